//! The engine's messages: JSON arrays.

use serde_json::Value;
use wire::secret::redact;

use crate::api::{ebook::row, engine::Event};

/// The call that a message is about, and what it says; nothing for a message that is none of ours.
pub(super) fn read(text: &str) -> Option<(u64, Event)> {
    let message: Vec<Value> = serde_json::from_str(text).ok()?;
    let (kind, id) = (message.first()?.as_str()?, message.get(1)?.as_u64()?);
    let body = message.get(2).cloned().unwrap_or_default();
    let words = |value: Option<&Value>| match value {
        Some(Value::String(text)) => redact(text),
        Some(other) => redact(&other.to_string()),
        None => String::new(),
    };
    let event = match kind {
        "r" => Event::Accepted,
        "e" => Event::Refused(words(Some(&body))),
        "m" => match body.get("status")?.as_str()? {
            "started" => Event::Started,
            "success" => Event::Done(row(body.get("result"))),
            "error" => Event::Failed(words(body.get("error"))),
            // None is known today; whatever it says, the task is alive.
            _ => Event::Progress,
        },
        _ => return None,
    };
    Some((id, event))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_the_engine_s() {
        let cases = [
            (r#"["r",1,"b9758a"]"#, Some((1, Event::Accepted))),
            (
                r#"["m",1,{"status":"started","task_id":"b9"}]"#,
                Some((1, Event::Started)),
            ),
            (
                r#"["m",1,{"status":"success","result":2,"duration":8.09,"task_id":"b"}]"#,
                Some((1, Event::Done(Some(2)))),
            ),
            (
                r#"["m",4,{"status":"error","error":"no '\/srv\/x'","duration":null}]"#,
                Some((4, Event::Failed("no '/srv/x'".into()))),
            ),
            (
                r#"["e",10003,"QueueFull()","Traceback"]"#,
                Some((10003, Event::Refused("QueueFull()".into()))),
            ),
            (
                r#"["m",1,{"status":"progress"}]"#,
                Some((1, Event::Progress)),
            ),
            (r#"["r","text","x"]"#, None),
            (r#"{"a":1}"#, None),
            ("nonsense", None),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
