//! A plain WebSocket client.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Error, Message, WebSocket};

use crate::client::Server;

/// One connection.
pub(crate) struct Socket(pub(crate) WebSocket<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Connects as the server's user.
    pub(crate) fn open(server: &Server) -> Self {
        Self::with(server, &server.token, None).unwrap()
    }

    /// Connects with a token and perhaps a session id.
    pub(crate) fn with(
        server: &Server,
        token: &str,
        session_id: Option<&str>,
    ) -> Result<Self, Box<Error>> {
        let mut url = format!("{}?token={token}", server.ws);
        if let Some(session_id) = session_id {
            url.push_str(&format!("&session_id={session_id}"));
        }
        let request = url.into_client_request().map_err(Box::new)?;
        let (socket, _) = tungstenite::connect(request).map_err(Box::new)?;
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream
                .set_read_timeout(Some(Duration::from_secs(60)))
                .unwrap();
        }
        Ok(Self(socket))
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).unwrap();
    }

    /// Calls the metadata task.
    pub(crate) fn call(&mut self, id: i64, file: &str, meta: Value) {
        self.say(&json!([id, "metadata", { "args": [file, meta] }]).to_string());
    }

    /// The next text as it came.
    pub(crate) fn text(&mut self) -> String {
        loop {
            match self.0.read() {
                Ok(Message::Text(text)) => return text.to_string(),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                // A child of another test in this process has ended.
                Err(Error::Io(error)) if error.kind() == ErrorKind::Interrupted => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next message.
    pub(crate) fn next(&mut self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    /// All messages up to the end of one call, the last one being its end.
    pub(crate) fn until_end(&mut self, id: i64) -> Vec<Value> {
        let mut heard = Vec::new();
        loop {
            let message = self.next();
            let ends = message[1] == id
                && (message[0] == "e"
                    || matches!(message[2]["status"].as_str(), Some("success" | "error")));
            heard.push(message);
            if ends {
                return heard;
            }
        }
    }

    /// Calls the task and gives the id of the upload that it made.
    pub(crate) fn upload_id(&mut self, file: &str, meta: Value) -> i64 {
        self.call(1, file, meta);
        let heard = self.until_end(1);
        let end = &heard.last().unwrap()[2];
        assert_eq!(end["status"], "success", "{heard:?}");
        end["result"].as_i64().unwrap()
    }

    /// Calls the task and gives its error.
    pub(crate) fn error(&mut self, file: &str, meta: Value) -> String {
        self.call(1, file, meta);
        let heard = self.until_end(1);
        let end = &heard.last().unwrap()[2];
        assert_eq!(end["status"], "error", "{heard:?}");
        end["error"].as_str().unwrap().to_owned()
    }

    /// Code and reason of the close frame that comes next; nothing when the line is just cut.
    pub(crate) fn closed(&mut self) -> Option<(u16, String)> {
        loop {
            match self.0.read() {
                Ok(Message::Close(Some(frame))) => {
                    return Some((frame.code.into(), frame.reason.to_string()));
                }
                Ok(Message::Close(None)) => return Some((0, String::new())),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
}

/// Uploads unique bytes and has the server make an upload row of them, with this metadata.
pub(crate) fn uploaded(server: &Server, meta: Value) -> i64 {
    let file = server.upload("book.epub", crate::client::unique().as_bytes());
    Socket::open(server).upload_id(&file, meta)
}
