use std::{thread, time::Duration};

use harness::wait_for;
use postgres::Client;

use crate::world::World;

/// Longer than anything here takes on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Holds the table `source` locked, and lets one question of the tool through at a time.
pub(crate) struct Stepper<'w> {
    world: &'w World,
    holder: Client,
    watcher: Client,
}

impl<'w> Stepper<'w> {
    pub(crate) fn new(world: &'w World) -> Stepper<'w> {
        Stepper {
            world,
            holder: locked(world),
            watcher: world.client(),
        }
    }

    /// Waits until a question of this text waits, every other one let through before it.
    pub(crate) fn until(&mut self, text: &str) {
        while !self.question(text).contains(text) {
            self.pass();
        }
    }

    /// As [`Stepper::until`], for one question after the other.
    pub(crate) fn after(&mut self, texts: &[&str]) {
        for (n, text) in texts.iter().enumerate() {
            if n > 0 {
                self.pass();
            }
            self.until(text);
        }
    }

    /// Waits until a question waits; this is what is hoped for.
    fn question(&mut self, hope: &str) -> String {
        wait_for(hope, DEADLINE, || waiting(&mut self.watcher))
    }

    /// Lets the question that waits through, but none after it.
    pub(crate) fn pass(&mut self) {
        let mut next = self.world.client();
        let pid: i32 = next
            .query_one("select pg_backend_pid()", &[])
            .unwrap()
            .get(0);
        let locking = thread::spawn(move || {
            // Queued behind the question, and so before the question after it.
            next.batch_execute("begin; lock table source in access exclusive mode")
                .unwrap();
            next
        });
        wait_for("the next lock to queue", DEADLINE, || {
            let sql = "select 1 from pg_locks where pid = $1 and not granted";
            self.watcher.query_opt(sql, &[&pid]).unwrap()
        });
        self.holder.batch_execute("rollback").unwrap();
        self.holder = locking.join().unwrap();
    }

    /// Changes rows while everybody else waits.
    pub(crate) fn sql(&mut self, sql: &str) {
        self.holder.batch_execute(sql).unwrap();
    }

    /// Lets go.
    pub(crate) fn go(mut self) {
        self.holder.batch_execute("commit").unwrap();
    }
}

fn locked(world: &World) -> Client {
    let mut client = world.client();
    let lock = "begin; lock table source in access exclusive mode";
    client.batch_execute(lock).unwrap();
    client
}

/// The question that waits. PostgreSQL reads what a session asks before it reads whether that waits, so a row
/// may join the question before with the wait of this one: what waits is asked for once more. It waits until it
/// is let through.
fn waiting(watcher: &mut Client) -> Option<String> {
    let sql = "select query from pg_stat_activity where application_name in ('orphan-rm', 'orphan-purge', 'mbs-prune')
               and datname = current_database() and wait_event_type = 'Lock'";
    watcher.query_opt(sql, &[]).unwrap()?;
    Some(watcher.query_opt(sql, &[]).unwrap()?.get(0))
}
