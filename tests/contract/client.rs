//! A plain HTTP client and the server it talks to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, fs};

use sandbox::{Sandbox, Settings};
use serde_json::{Value, json};
use ureq::Agent;

/// The server under test, and a login on it.
pub(crate) struct Server {
    pub(crate) api: String,
    pub(crate) ws: String,
    pub(crate) token: String,
    pub(crate) refresh: String,
    pub(crate) user: String,
    pub(crate) password: String,
    /// Set unless a foreign server is tested.
    pub(crate) sandbox: Option<Sandbox>,
    agent: Agent,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Asserts an HTML page of this status that holds the words.
    pub(crate) fn is_page(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.kind.starts_with("text/html"), "{self:?}");
        assert!(self.text.contains(words), "{words}: {self:?}");
    }

    /// Asserts flask-restful's form of an error.
    pub(crate) fn is_message(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(
            self.json()["message"].as_str().unwrap().contains(words),
            "{words}: {self:?}"
        );
    }

    /// The answer of a success.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }
}

/// The address of a server that is not ours; set to nothing is not set.
fn foreign() -> Option<String> {
    env::var("MBS_API").ok().filter(|api| !api.is_empty())
}

/// The server that the environment names, or a fresh sandbox.
pub(crate) fn server() -> Server {
    match foreign() {
        Some(api) => {
            let ws = env::var("MBS_WS").expect("MBS_WS beside MBS_API");
            let user = env::var("MBS_USER").expect("MBS_USER beside MBS_API");
            let file = env::var("MBS_PASSWORD_FILE").expect("MBS_PASSWORD_FILE beside MBS_API");
            let password = fs::read_to_string(file).unwrap().trim_end().to_owned();
            let api = api.trim_end_matches('/').to_owned();
            Server::new(None, api, ws, &user, &password)
        }
        None => sandbox_with(Settings::default()),
    }
}

/// A sandbox made to order; nothing, and a word about it, where a foreign server is tested.
pub(crate) fn sandbox_only(settings: Settings, what: &str) -> Option<Server> {
    if let Some(api) = foreign() {
        println!("skipped: {what} needs the sandbox, and MBS_API is {api}");
        return None;
    }
    Some(sandbox_with(settings))
}

fn sandbox_with(settings: Settings) -> Server {
    let sandbox = Sandbox::start(settings);
    let (api, ws) = (sandbox.api(), sandbox.ws());
    Server::new(Some(sandbox), api, ws, "admin", "admin")
}

/// A word that nobody used before, for this run and this call.
pub(crate) fn unique() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64;
    let mut number = nanos ^ (u64::from(std::process::id()) << 40);
    number = number.wrapping_add(COUNTER.fetch_add(1, Ordering::Relaxed) << 20);
    // Letters only: search takes words apart at digits that touch signs.
    let mut word = String::from("q");
    for _ in 0..13 {
        word.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
    }
    word
}

impl Server {
    fn new(sandbox: Option<Sandbox>, api: String, ws: String, user: &str, pass: &str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .max_redirects(0)
            .build()
            .new_agent();
        let (user, password) = (user.to_owned(), pass.to_owned());
        let (token, refresh) = Default::default();
        let mut server = Self {
            api,
            ws,
            token,
            refresh,
            user,
            password,
            sandbox,
            agent,
        };
        let answer = server.login(user_of(&server)).ok();
        server.token = answer["access_token"].as_str().expect("login").to_owned();
        server.refresh = answer["refresh_token"].as_str().unwrap().to_owned();
        server
    }

    /// The token of another user whose password is the name; nothing where there is none such.
    pub(crate) fn token_of(&self, user: &str) -> Option<String> {
        let answer = self
            .login(json!({ "username": user, "password": user }))
            .json();
        let token = answer["access_token"].as_str().map(str::to_owned);
        if token.is_none() {
            println!(
                "skipped: {} has no user {user} with this password",
                self.api
            );
        }
        token
    }

    pub(crate) fn login(&self, body: Value) -> Reply {
        self.send("POST", "/login", &[JSON], Some(body.to_string().as_bytes()))
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[("Authorization", &self.bearer())], None)
    }

    pub(crate) fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, &[("Authorization", &self.bearer())], None)
    }

    pub(crate) fn post(&self, path: &str, body: Value) -> Reply {
        let headers = [JSON, ("Authorization", &self.bearer())];
        self.send("POST", path, &headers, Some(body.to_string().as_bytes()))
    }

    pub(crate) fn bearer(&self) -> String {
        format!("bearer {}", self.token)
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Reply {
        self.try_send(method, path, headers, body)
            .unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Reply, ureq::Error> {
        let url = format!("{}{path}", self.api);
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = match body {
            Some(body) => self.agent.run(request.body(body.to_vec())?)?,
            None => self.agent.run(request.body(())?)?,
        };
        let kind = response
            .headers()
            .get("content-type")
            .map(|v| v.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        Ok(Reply {
            status,
            kind: kind.unwrap_or_default(),
            text: response.body_mut().read_to_string()?,
        })
    }

    /// Uploads bytes under an ASCII name and gives the server's path of them.
    pub(crate) fn upload(&self, name: &str, bytes: &[u8]) -> String {
        let answer = self
            .upload_part(&format!("name=\"file\"; filename=\"{name}\""), bytes)
            .ok();
        assert_eq!(answer["result"], "ok", "{answer}");
        answer["file"].as_str().unwrap().to_owned()
    }

    /// Posts one part with this rest of its Content-Disposition.
    pub(crate) fn upload_part(&self, disposition: &str, bytes: &[u8]) -> Reply {
        self.upload_typed(disposition, "application/octet-stream", bytes)
    }

    pub(crate) fn upload_typed(&self, disposition: &str, kind: &str, bytes: &[u8]) -> Reply {
        let (header, body) = multipart(disposition, kind, bytes);
        let headers = [
            ("Content-Type", header.as_str()),
            ("Authorization", &self.bearer()),
        ];
        self.send("POST", "/api/upload", &headers, Some(&body))
    }

    /// Creates an ebook that is removed again at the end of the test.
    pub(crate) fn ebook(&self, body: Value) -> Made<'_> {
        let answer = self.post("/api/ebooks", body).ok();
        assert_eq!(answer["success"], true, "{answer}");
        Made {
            server: self,
            id: answer["id"].as_i64().unwrap(),
        }
    }
}

/// An ebook of this test.
pub(crate) struct Made<'a> {
    server: &'a Server,
    pub(crate) id: i64,
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        let _ = self.server.delete(&format!("/api/ebooks/{}", self.id));
    }
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn user_of(server: &Server) -> Value {
    json!({ "username": server.user, "password": server.password })
}

/// Content-Type header and body of a form with one part.
pub(crate) fn multipart(disposition: &str, kind: &str, bytes: &[u8]) -> (String, Vec<u8>) {
    let boundary = "----contract-7d3f1a";
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\nContent-Type: {kind}\r\n\r\n"
    );
    let mut body = head.into_bytes();
    body.extend_from_slice(bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}
