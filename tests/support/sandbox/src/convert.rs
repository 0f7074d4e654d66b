//! The task `convert` as far as it refuses: which file it is asked for, then to which format. Nothing
//! is converted here.

use serde_json::Value;

use crate::App;
use crate::engine::Task;
use crate::metadata::Failed;

/// What the server converts to.
const TARGETS: [&str; 3] = ["epub", "mobi", "fb2"];
/// The one of its formats that it does not convert from.
const NEVER: &str = "djvu";

/// The error that the task ends with.
pub(crate) async fn refuse(app: &App, task: &Task) -> Failed {
    let error = match reason(app, task).await {
        Ok(error) | Err(error) => error,
    };
    Failed {
        error,
        duration: None,
    }
}

async fn reason(app: &App, task: &Task) -> Result<String, String> {
    let id = task.args.first().and_then(Value::as_i64);
    let target = task.args.get(1).and_then(Value::as_str);
    let (Some(id), Some(target)) = (id, target) else {
        return Err("tuple index out of range".into());
    };
    let client = app.database.get().await.map_err(|e| e.to_string())?;
    let sql =
        "select extension from source join format on format.id = format_id where source.id = $1";
    let row = client
        .query_opt(sql, &[&id])
        .await
        .map_err(|e| e.to_string())?;
    let format = row.map(|row| row.get::<_, String>(0));
    Ok(match format.as_deref() {
        None => "Cannot convert from format None".into(),
        Some(NEVER) => format!("Cannot convert from format {NEVER}"),
        Some(_) if TARGETS.contains(&target) => "not converted in the sandbox".into(),
        Some(_) => format!("('Not supported target format %s', '{target}')"),
    })
}
