//! The cover that the metadata task found, made small twice by ImageMagick as the server does.

use std::path::Path;

use tokio::process::Command;

/// Name of a cover fresh from the book.
pub(crate) const FRESH: &str = "cover_tmp.jpg";

/// Makes cover.jpg and thumbnail.jpg of a fresh cover in `folder` below `uploads`. Gives the
/// cover's path below `uploads`; nothing where there is no fresh one.
pub(crate) async fn shrink(uploads: &Path, folder: &str) -> Option<String> {
    let dir = uploads.join(folder);
    let (fresh, cover) = (dir.join(FRESH), dir.join("cover.jpg"));
    if !fresh.exists() {
        return None;
    }
    let trimmed = ["-fuzz", "7%", "-trim", "-resize", "320X452"];
    if convert(&fresh, &trimmed, &cover).await {
        let _ = std::fs::remove_file(&fresh);
    } else {
        let _ = std::fs::rename(&fresh, &cover);
    }
    convert(&cover, &["-resize", "100X140"], &dir.join("thumbnail.jpg")).await;
    Some(format!("{folder}/cover.jpg"))
}

async fn convert(from: &Path, how: &[&str], to: &Path) -> bool {
    let status = Command::new("/usr/bin/convert")
        .arg(from)
        .args(how)
        .arg(to)
        .status()
        .await;
    status.is_ok_and(|status| status.success()) && to.exists()
}
