//! A server in memory, for tests of what is asked of one and of what its answers come to.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use serde_json::Value;

use crate::{
    api::{Answer, Api, ReadFile, SendBody, engine::Call},
    model::failure::Failure,
};

/// Answers each request as it was told to, any other with 404.
#[derive(Debug, Default)]
pub(crate) struct Fake {
    answers: HashMap<String, Answer>,
    asked: Mutex<Vec<String>>,
}

impl Fake {
    /// Answers `request`, like `GET /api/languages`, in this way.
    pub(crate) fn on(mut self, request: &str, answer: Answer) -> Fake {
        self.answers.insert(request.into(), answer);
        self
    }

    /// The requests so far, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock();
        asked.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn answer(&self, method: &str, path: &str) -> Answer {
        let request = format!("{method} {path}");
        let answer = self.answers.get(&request).cloned();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(request);
        answer.unwrap_or_else(|| Err(Failure::NotFound("HTTP 404".into())))
    }
}

impl Api for Fake {
    fn address(&self) -> &str {
        "http://fake"
    }

    fn user_id(&self) -> Option<i64> {
        Some(1)
    }

    fn ping(&self) -> Result<(), Failure> {
        self.answer("GET", "/api/languages").map(drop)
    }

    fn get(&self, path: &str) -> Answer {
        self.answer("GET", path)
    }

    fn post(&self, path: &str, _: &Value) -> Answer {
        self.answer("POST", path)
    }

    fn delete(&self, path: &str) -> Answer {
        self.answer("DELETE", path)
    }

    fn stream(&self, path: &str, _: &mut SendBody<'_>) -> Answer {
        self.answer("POST", path)
    }

    fn download(&self, path: &str, _: &mut ReadFile<'_>) -> Result<(), Failure> {
        self.answer("GET", path).map(drop)
    }

    fn call(&self, task: &str, _: &Value) -> Result<Call<'_>, Failure> {
        Err(Failure::NoEngine(format!("no task {task}")))
    }
}
