//! The stored file as a link: asked for, and looked at.

use super::Errand;
use crate::{
    input::links::{Links, Made},
    run::outcome::Outcome,
    server::{ebook, failure::Failure},
};

impl Errand<'_> {
    /// The path that the server is to link to, where links are wanted.
    pub(super) fn link(&self) -> Result<Option<String>, Failure> {
        let target = |links: &Links| links.target(&self.job.origin);
        let target = self.server.links.as_ref().map(target).transpose();
        target.map_err(|why| Failure::Local(format!("{why}; nothing was sent")))
    }

    /// Looks at what the server made of a file that is there now.
    pub(super) fn look_at_link(&mut self, outcome: &mut Outcome) {
        let Some(links) = &self.server.links else {
            return;
        };
        let (Ok(Some(target)), Some(ebook)) = (self.link(), outcome.ebook) else {
            outcome.notes.push("not seen whether it is a link".into());
            return;
        };
        if links.sees() {
            let found = self.insist(|errand| ebook::get(&errand.server.api, ebook));
            let location = match &found {
                Ok(Some(found)) => outcome.source.and_then(|source| found.location(source)),
                _ => None,
            };
            let Some(location) = location else {
                outcome.notes.push("not seen whether it is a link".into());
                return;
            };
            if let Made::Other(what) = links.look(location, &target) {
                outcome.notes.push(format!("not linked: {what}"));
                return;
            }
        }
        outcome.link = Some(target);
    }
}
