//! The real server.

use serde_json::Value;

use crate::{
    api::{
        Api, ReadFile, SendBody,
        engine::{Call, Engine},
        rest::Rest,
    },
    model::failure::Failure,
};

/// REST and, but for a dry run, the engine.
#[derive(Debug)]
pub struct Client {
    /// Its REST API.
    pub rest: Rest,
    /// Its task engine.
    pub engine: Option<Engine>,
}

impl Api for Client {
    fn address(&self) -> &str {
        self.rest.base()
    }

    fn user_id(&self) -> Option<i64> {
        self.rest.user_id()
    }

    fn ping(&self) -> Result<(), Failure> {
        self.rest.ping("/api/languages").map(drop)
    }

    fn get(&self, path: &str) -> Result<Value, Failure> {
        self.rest.get(path)
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.rest.post(path, body)
    }

    fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.rest.delete(path)
    }

    fn stream(&self, path: &str, send: &mut SendBody<'_>) -> Result<Value, Failure> {
        self.rest.stream(path, send)
    }

    fn download(&self, path: &str, read: &mut ReadFile<'_>) -> Result<(), Failure> {
        self.rest.download(path, read)
    }

    fn call(&self, task: &str, args: &Value) -> Result<Call<'_>, Failure> {
        let none = || Failure::Refused("the engine is not asked in a dry run".into());
        Ok(self.engine.as_ref().ok_or_else(none)?.call(task, args))
    }
}
