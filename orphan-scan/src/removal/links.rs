//! What the links of the server's store say of one file.

use std::ffi::OsStr;

use crate::{
    links::{Lead, Links},
    store::Id,
};
use hash_files::Stamp;

use crate::removal::proof::Answer;

/// Does no link lead to this file, of this name in the first of these folders, each in the next? Nor to
/// one of the folders? Not known where one leads nobody knows where.
pub(super) fn none_leads_to(links: &Links, file: Id, folders: &[Id], name: &OsStr) -> Answer {
    // No folder has this number.
    let folder = folders.first().copied().unwrap_or_default();
    let lost = |why: &str| Answer::Unknown(format!("where the store's links lead: {why}"));
    if folders.iter().any(|&folder| links.lead_to_folder(folder)) {
        return Answer::No("a link of the server's store leads to its folder".into());
    }
    match (links.lead_to(file, folder, name), &links.anywhere) {
        (Lead::Here, _) => Answer::No("a link of the server's store leads here".into()),
        (Lead::Lost, _) => lost(&links.example),
        // Where not one leads to a place that is known, the others are not believed either.
        _ if !links.found && links.lost() > 0 => lost(&links.example),
        (_, Some(why)) => lost(why),
        (Lead::Anywhere, None) => lost("nobody knows"),
        (Lead::Nowhere, None) => Answer::Yes(format!(
            "none of the store's {} links leads here",
            links.count
        )),
    }
}

/// Is the server's stored file another file than this one? A copy that keeps inode, size and time on
/// another device is the same file seen through another mount, as far as is known.
pub(super) fn is_other(stored: &Stamp, file: &Stamp) -> Answer {
    if (stored.dev, stored.inode) == (file.dev, file.inode) {
        return Answer::No("the server's stored file is this very file, by a link".into());
    }
    if (stored.inode, stored.size, stored.mtime) == (file.inode, file.size, file.mtime) {
        return Answer::Unknown(
            "the server's stored file may be this very file on another mount: inode, size and time \
             are the same"
                .into(),
        );
    }
    Answer::Yes("another file".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_file_by_any_link_or_mount_is_no_copy() {
        let file = Stamp {
            dev: 1,
            inode: 2,
            size: 3,
            mtime: 4,
            ctime: 5,
        };
        assert!(matches!(is_other(&file, &file), Answer::No(_)));
        let mount = Stamp { dev: 9, ..file };
        assert!(matches!(is_other(&mount, &file), Answer::Unknown(_)));
        let hard_link_rewritten = Stamp { size: 9, ..file };
        assert!(matches!(
            is_other(&hard_link_rewritten, &file),
            Answer::No(_)
        ));
        let copy = Stamp { inode: 9, ..file };
        assert!(is_other(&copy, &file).yes());
    }
}
