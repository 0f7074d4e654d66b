//! The stored file as a link: asked for, looked at, and followed before it counts.

use crate::{
    api::{download, ebook},
    input::links::{Leads, Links, Made, Turn},
    model::{
        failure::Failure,
        outcome::{Kind, Outcome},
    },
    steps::UploadTask,
};

/// What a server says whose file system lacks the file that it is to link to.
const NO_FILE: [&str; 6] = [
    "no such file",
    "not exist",
    "not found",
    "not accessible",
    "not readable",
    "filenotfound",
];

impl UploadTask<'_> {
    /// The path that the server is to link to, where links are wanted.
    pub(super) fn link(&self) -> Result<Option<String>, Failure> {
        let target = |links: &Links| links.target(&self.job.origin);
        let target = self.with.links.map(target).transpose();
        target.map_err(|why| Failure::Local(format!("{why}; nothing was sent")))
    }

    /// Before anything is sent: while nobody knows what the server makes of the first file, no other
    /// is. An outcome when this one cannot be now.
    pub(super) fn take_turn(&mut self) -> Option<Outcome> {
        if self.turn.is_some() {
            return None;
        }
        match self.with.links.map(Links::turn)? {
            Turn::Open => None,
            Turn::First(turn) => {
                self.turn = Some(turn);
                None
            }
            // After that there may be none.
            Turn::Theirs | Turn::Never => {
                self.put_off = true;
                Some(Outcome::new(Kind::Unfinished))
            }
        }
    }

    /// Looks at what the server made of a file that is there now, and where that leads. What leads
    /// elsewhere is not there: it is taken away again, where it is `ours` for certain.
    pub(super) fn look_at_link(&mut self, outcome: &mut Outcome, ours: bool) {
        let Some(links) = self.with.links else {
            return;
        };
        let (Ok(Some(target)), Some(ebook), Some(source)) =
            (self.link(), outcome.ebook, outcome.source)
        else {
            return self.unseen(outcome, "which file of the ebook it is");
        };
        let found = self.insist(|task| ebook::get(task.with.api, ebook));
        let location = match &found {
            Ok(Some(found)) => found.location(source).map(String::from),
            _ => None,
        };
        let content = self.job.content;
        let here = location
            .as_deref()
            .and_then(|at| links.follow(at, &content));
        let leads = here.unwrap_or_else(|| {
            let asked = self.insist(|task| download::leads(task.with.api, source, &content));
            asked.unwrap_or_else(|failure| Leads::Unseen(failure.to_string()))
        });
        let why = match leads {
            Leads::Here => {
                match location.filter(|_| links.sees()) {
                    Some(at) => {
                        if let Made::Other(what) = links.look(&at, &target) {
                            outcome.notes.push(format!("not linked: {what}"));
                            return;
                        }
                    }
                    None if links.sees() => {
                        outcome.notes.push("not seen whether it is a link".into());
                        return;
                    }
                    None => links.work(),
                }
                outcome.link = Some(target);
                return;
            }
            Leads::Elsewhere(what) if !links.are_untried() => format!("its link leads to {what}"),
            Leads::Elsewhere(what) => {
                links.astray(&self.job.origin, &target, &format!("there is {what}"))
            }
            Leads::Nowhere => links.astray(&self.job.origin, &target, "there is no file"),
            Leads::Unseen(why) => return self.unseen(outcome, &why),
        };
        let (kind, left) = match ours {
            true => self.take_away(source),
            false => (
                Kind::Failed,
                Some(format!("file {source} of ebook {ebook} is left")),
            ),
        };
        (outcome.kind, outcome.reason) = (kind, Some(why));
        outcome.notes.extend(left);
        (outcome.source, outcome.ebook) = (None, None);
    }

    /// Nobody knows what the file is now: it does not count.
    fn unseen(&self, outcome: &mut Outcome, why: &str) {
        outcome.kind = match self.with.retry.outage.gone() {
            Some(_) => Kind::Unfinished,
            None => Kind::Failed,
        };
        outcome.reason = Some(format!("not seen where its link leads: {why}"));
    }

    /// Takes a link away that this task has just made.
    fn take_away(&mut self, source: i64) -> (Kind, Option<String>) {
        let gone = self.insist(|task| ebook::remove_file(task.with.api, source));
        let left = |failure| format!("the link stays as file {source}, remove it: {failure}");
        (Kind::Failed, gone.err().map(left))
    }

    /// Is this failure to add the file the path map's fault, before any link has worked? Then no other
    /// file is sent.
    pub(super) fn is_astray(&self, failure: &Failure, finally: bool) -> Option<Outcome> {
        let links = self.with.links.filter(|links| links.are_untried())?;
        let text = failure.to_string();
        let small = text.to_lowercase();
        let tells = NO_FILE.iter().any(|words| small.contains(words));
        let about_it = match failure {
            Failure::Refused(_) | Failure::Said { .. } => true,
            Failure::Down(_) | Failure::Server(_) | Failure::NotFound(_) => tells || finally,
            _ => false,
        };
        let target = self.link().ok().flatten().filter(|_| about_it)?;
        let status = text.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let status = status.trim_end_matches(':');
        let why = match failure {
            Failure::Said { .. } => text.as_str(),
            _ => status,
        };
        let why = links.astray(&self.job.origin, &target, why);
        Some(Outcome::because(Kind::Failed, why))
    }
}
