//! What may be worked on now: no two files of the same content, and no two of books that may be one
//! ebook, at the same time. Pure; the threads are elsewhere.

use std::{
    collections::{HashSet, VecDeque},
    time::Instant,
};

use crate::model::{
    check::{CheckAnswer, Question},
    claim::Claim,
    job::Job,
};

/// Jobs that wait, and claims that are held.
#[derive(Debug)]
pub struct Scheduler {
    waiting: VecDeque<Job>,
    held: HashSet<Claim>,
    room: usize,
}

impl Scheduler {
    /// A scheduler that looks ahead over so many jobs, whatever the length of the input.
    pub fn new(room: usize) -> Scheduler {
        Scheduler {
            waiting: VecDeque::new(),
            held: HashSet::new(),
            room,
        }
    }

    /// Is there no room for another job?
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= self.room
    }

    /// How many jobs wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes a job in.
    pub fn push(&mut self, job: Job) {
        self.waiting.push_back(job);
    }

    /// The first job that shares nothing with those under way, nor with an earlier one that waits.
    /// What is put off beyond `now` stays.
    pub fn take(&mut self, now: Instant) -> Option<Job> {
        let mut reserved: HashSet<Claim> = HashSet::new();
        let free = self.waiting.iter().position(|job| {
            if job.put_off.is_some_and(|off| off.until > now) {
                return false;
            }
            let free = job
                .claims
                .iter()
                .all(|c| !self.held.contains(c) && !reserved.contains(c));
            if !free {
                reserved.extend(&job.claims);
            }
            free
        })?;
        let job = self.waiting.remove(free)?;
        self.held.extend(&job.claims);
        Some(job)
    }

    /// When the first of the jobs that are put off beyond `now` is to be tried again. What is due by
    /// then and still waits, waits for claims, and whoever gives those back says so.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let until = |job: &Job| job.put_off.map(|off| off.until);
        let times = self.waiting.iter().filter_map(until);
        times.filter(|&until| until > now).min()
    }

    /// Holds these claims for a job under way, all or none; says whether it does now.
    pub fn hold(&mut self, claims: &[Claim]) -> bool {
        let free = claims.iter().all(|claim| !self.held.contains(claim));
        if free {
            self.held.extend(claims);
        }
        free
    }

    /// A job is done.
    pub fn release(&mut self, claims: &[Claim]) {
        for claim in claims {
            self.held.remove(claim);
        }
    }

    /// Up to `most` of the waiting jobs that the server was not asked about; they now count as asked.
    pub fn unasked(&mut self, most: usize) -> Vec<Question> {
        let jobs = self.waiting.iter_mut().filter(|job| !job.asked).take(most);
        jobs.map(|job| {
            job.asked = true;
            job.question()
        })
        .collect()
    }

    /// The server's answers to those of them that still wait.
    pub fn answer(&mut self, answers: impl IntoIterator<Item = (Question, CheckAnswer)>) {
        let answers: std::collections::HashMap<_, _> = answers.into_iter().collect();
        for job in self.waiting.iter_mut().filter(|job| job.checked.is_none()) {
            // By extension, too: equal bytes may come as azw, which the server lacks, and as azw3.
            job.checked = answers.get(&job.question()).cloned();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wire::Record;

    use super::*;
    use crate::model::job::PutOff;

    fn job(name: &str, digit: char, author: &str) -> Job {
        let sha1 = digit.to_string().repeat(40);
        let line = format!(
            r#"{{"type":"file_hash","path":"/{name}.epub","sha1":"{sha1}","size":3,"title":"T","authors":["{author}"]}}"#
        );
        Job::new(Record::parse(line.into_bytes()).unwrap()).unwrap()
    }

    fn take(scheduler: &mut Scheduler) -> Option<String> {
        scheduler.take(Instant::now()).map(|job| job.stem())
    }

    #[test]
    fn what_shares_a_book_or_a_content_goes_one_after_another() {
        let mut scheduler = Scheduler::new(10);
        for job in [
            job("a", '1', "A"),
            job("b", '2', "A"),
            job("c", '1', "C"),
            job("d", '4', "D"),
        ] {
            scheduler.push(job);
        }
        let first = scheduler.take(Instant::now()).unwrap();
        assert_eq!(take(&mut scheduler).unwrap(), "d");
        assert_eq!(take(&mut scheduler), None);
        scheduler.release(&first.claims);
        assert_eq!(take(&mut scheduler).unwrap(), "b");
        assert_eq!(take(&mut scheduler).unwrap(), "c");
    }

    #[test]
    fn an_earlier_job_is_not_starved_by_later_ones() {
        let mut scheduler = Scheduler::new(10);
        scheduler.push(job("a", '1', "A"));
        let a = scheduler.take(Instant::now()).unwrap();
        // b waits for a's author and wants content 2; c wants content 2 alone.
        scheduler.push(job("b", '2', "A"));
        scheduler.push(job("c", '2', "C"));
        assert_eq!(take(&mut scheduler), None);
        scheduler.release(&a.claims);
        assert_eq!(take(&mut scheduler).unwrap(), "b");
    }

    #[test]
    fn what_is_put_off_lets_others_by_until_it_is_due() {
        let mut scheduler = Scheduler::new(10);
        let now = Instant::now();
        let until = now + Duration::from_secs(1);
        let mut off = job("a", '1', "A");
        off.put_off = Some(PutOff { since: now, until });
        scheduler.push(off);
        scheduler.push(job("b", '2', "A"));
        assert_eq!(scheduler.due(now), Some(until));
        let b = scheduler.take(now).unwrap();
        assert_eq!(b.stem(), "b");
        // Due, but the book is taken: there is no time to wait for, and none that has passed.
        assert!(scheduler.take(until).is_none());
        assert_eq!(scheduler.due(until), None);
        scheduler.release(&b.claims);
        assert_eq!(scheduler.take(until).unwrap().stem(), "a");
        assert_eq!(scheduler.due(now), None);
    }

    #[test]
    fn late_claims_are_held_all_or_none() {
        let mut scheduler = Scheduler::new(10);
        assert!(scheduler.hold(&[1, 2]));
        assert!(!scheduler.hold(&[2, 3]));
        scheduler.release(&[1, 2]);
        assert!(scheduler.hold(&[2, 3]));
    }

    #[test]
    fn each_job_is_asked_about_once() {
        let mut scheduler = Scheduler::new(10);
        scheduler.push(job("a", '1', "A"));
        scheduler.push(job("b", '2', "B"));
        let asked = scheduler.unasked(200);
        assert_eq!(asked.len(), 2);
        assert!(scheduler.unasked(200).is_empty());
        scheduler.answer([(asked[1].clone(), CheckAnswer::Exists)]);
        let now = Instant::now();
        assert_eq!(scheduler.take(now).unwrap().checked, None);
        assert_eq!(
            scheduler.take(now).unwrap().checked,
            Some(CheckAnswer::Exists)
        );
    }
}
