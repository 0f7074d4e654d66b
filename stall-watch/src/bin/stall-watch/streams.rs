//! stdout and stderr of the command: through us, or where they are a terminal, its own.

use std::{
    io::{self, IsTerminal, stderr, stdout},
    process::Command,
};

use rustix::event::PollFd;
use stall_watch::{
    proc,
    relay::{Lost, Stream, same},
};

/// Lines of evidence.
const LAST: usize = 5;

/// Both streams, as far as they go through us.
pub(crate) struct Streams {
    list: Vec<Stream>,
    /// The command writes to a terminal, unseen by us.
    pub(crate) inherited: bool,
}

impl Streams {
    /// Gives the command its stdout and stderr.
    pub(crate) fn give(command: &mut Command) -> io::Result<Streams> {
        let terminals = [stdout().is_terminal(), stderr().is_terminal()];
        // What is written to a terminal is seen in /proc alone.
        let own = terminals.map(|terminal| terminal && proc::is_there());
        let mut list = Vec::new();
        match own {
            [false, false] if same(stdout(), stderr()) => {
                let (stream, theirs) = Stream::new("stdout", stdout())?;
                command.stdout(theirs.try_clone()?).stderr(theirs);
                list.push(stream);
            }
            _ => {
                if !own[0] {
                    let (stream, theirs) = Stream::new("stdout", stdout())?;
                    command.stdout(theirs);
                    list.push(stream);
                }
                if !own[1] {
                    let (stream, theirs) = Stream::new("stderr", stderr())?;
                    command.stderr(theirs);
                    list.push(stream);
                }
            }
        }
        Ok(Streams {
            list,
            inherited: own.contains(&true),
        })
    }

    pub(crate) fn polls(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.list.iter().filter_map(Stream::poll)
    }

    /// Moves what can be moved.
    pub(crate) fn pump(&mut self) -> Vec<Lost> {
        self.list
            .iter_mut()
            .filter_map(|stream| stream.pump().err())
            .collect()
    }

    /// Bytes so far.
    pub(crate) fn total(&self) -> u64 {
        self.list.iter().map(Stream::total).sum()
    }

    /// May more come?
    pub(crate) fn are_open(&self) -> bool {
        self.list.iter().any(Stream::is_open)
    }

    /// Does a reader keep us waiting?
    pub(crate) fn are_blocked(&self) -> bool {
        self.list.iter().any(Stream::is_blocked)
    }

    /// Is all written that was there before the first of these questions?
    pub(crate) fn are_through(&mut self) -> bool {
        // Each is to be asked.
        let through = self.list.iter_mut().map(Stream::is_through);
        through.fold(true, |all, one| all & one)
    }

    /// Is there anything of it that we see?
    pub(crate) fn are_seen(&self) -> bool {
        !self.list.is_empty()
    }

    pub(crate) fn last_lines(&self) -> Vec<String> {
        self.list
            .iter()
            .flat_map(|stream| stream.last_lines(LAST))
            .collect()
    }
}
