//! How long the rest will take, as a range: large files take longer than small ones, and of what has
//! not been read yet only the mix is known. Pure: counts and times are given.

use std::time::Duration;

const MIB: u64 = 1 << 20;

/// Sizes in which times are alike, each up to so many bytes.
const UP_TO: [u64; 4] = [MIB, 10 * MIB, 50 * MIB, u64::MAX];

/// Files that must have ended before anything is foretold.
const ENOUGH: f64 = 5.0;

/// One of a few classes of size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bracket(usize);

impl Bracket {
    /// All of them, small ones first.
    pub const ALL: [Bracket; UP_TO.len()] = [Bracket(0), Bracket(1), Bracket(2), Bracket(3)];

    /// The class of a file of so many bytes.
    pub fn of(size: u64) -> Bracket {
        Bracket(UP_TO.partition_point(|&up_to| up_to < size))
    }

    /// Its name, its largest size.
    pub fn name(self) -> &'static str {
        ["1MiB", "10MiB", "50MiB", "larger"][self.0]
    }
}

/// What is known of the files of one bracket.
#[derive(Clone, Copy, Debug, Default)]
struct BracketStats {
    read: f64,
    ended: f64,
    seconds: f64,
    squares: f64,
}

/// Learns from each file how long the others will take.
#[derive(Clone, Debug, Default)]
pub struct Estimator {
    seen: [BracketStats; UP_TO.len()],
}

impl Estimator {
    /// A file was read from the input.
    pub fn read(&mut self, bracket: Bracket) {
        self.seen[bracket.0].read += 1.0;
    }

    /// A file that was read has ended, after this time with a worker; nothing at all for one that was
    /// known.
    pub fn ended(&mut self, bracket: Bracket, took: Duration) {
        let seen = &mut self.seen[bracket.0];
        let seconds = took.as_secs_f64();
        seen.ended += 1.0;
        seen.seconds += seconds;
        seen.squares += seconds * seconds;
    }

    /// Between which times the rest will end, if that can be told. `unread` is the part of the input
    /// still to be read, as a multiple of what was read; `workers` are at work at a time.
    pub fn left(&self, unread: f64, workers: f64) -> Option<(Duration, Duration)> {
        if self.seen.iter().map(|seen| seen.ended).sum::<f64>() < ENOUGH {
            return None;
        }
        let (mut seconds, mut variance) = (0.0, 0.0);
        // Where no file has ended yet, the class below is the best guess, and a bad one.
        let mut like = self.seen.iter().find(|seen| seen.ended > 0.0)?;
        for seen in &self.seen {
            let files = (seen.read - seen.ended).max(0.0) + seen.read * unread;
            let guess = seen.ended == 0.0;
            if !guess {
                like = seen;
            }
            let mean = like.seconds / like.ended;
            let spread = match guess {
                true => mean * mean,
                false => (like.squares / like.ended - mean * mean).max(0.0),
            };
            seconds += files * mean;
            // Each file strays from the mean, and the mean itself is known by a few files only.
            variance += files * spread + files * files * spread / like.ended;
        }
        let stray = 2.0 * variance.sqrt();
        let time = |seconds: f64| Duration::try_from_secs_f64(seconds / workers.max(1.0));
        Some((
            time((seconds - stray).max(0.0)).ok()?,
            time(seconds + stray).ok()?,
        ))
    }
}

/// A range of times as people say it, in two digits at most.
pub fn format_range((low, high): (Duration, Duration)) -> String {
    let (low, high) = (rough(low), rough(high));
    match low == high {
        true => low,
        false => format!("{low} to {high}"),
    }
}

/// A time in one unit, roundly.
pub fn rough(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let units = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s")];
    let (one, unit) = units
        .into_iter()
        .find(|(one, _)| seconds >= 2.0 * one)
        .unwrap_or((1.0, "s"));
    format!("{:.0} {unit}", seconds / one)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Bracket = Bracket(0);
    const LARGE: Bracket = Bracket(3);

    fn seconds(range: Option<(Duration, Duration)>) -> (f64, f64) {
        let (low, high) = range.unwrap();
        (low.as_secs_f64(), high.as_secs_f64())
    }

    fn of(read: &[(Bracket, usize)], ended: &[(Bracket, f64)]) -> Estimator {
        let mut estimator = Estimator::default();
        for &(bracket, files) in read {
            (0..files).for_each(|_| estimator.read(bracket));
        }
        for &(bracket, seconds) in ended {
            estimator.ended(bracket, Duration::from_secs_f64(seconds));
        }
        estimator
    }

    #[test]
    fn sizes_are_in_the_bracket_that_ends_with_them() {
        let name = |size| Bracket::of(size).name();
        assert_eq!(
            (name(0), name(MIB), name(MIB + 1)),
            ("1MiB", "1MiB", "10MiB")
        );
        assert_eq!((name(50 * MIB), name(u64::MAX)), ("50MiB", "larger"));
    }

    #[test]
    fn equal_times_make_a_narrow_range_and_workers_share_it() {
        let estimator = of(&[(SMALL, 110)], &[(SMALL, 2.0); 10]);
        assert_eq!(seconds(estimator.left(0.0, 1.0)), (200.0, 200.0));
        assert_eq!(seconds(estimator.left(0.0, 4.0)), (50.0, 50.0));
        // As much again has not been read: 100 and 110 files.
        assert_eq!(seconds(estimator.left(1.0, 1.0)), (420.0, 420.0));
    }

    #[test]
    fn a_few_files_that_differ_make_a_wide_range_which_narrows() {
        let mixed = |n: usize| [(SMALL, 1.0), (SMALL, 9.0)].repeat(n);
        let few = seconds(of(&[(SMALL, 1010)], &mixed(5)).left(0.0, 1.0));
        let many = seconds(of(&[(SMALL, 2000)], &mixed(500)).left(0.0, 1.0));
        assert!(few.0 < 3000.0 && 7000.0 < few.1, "{few:?}");
        assert!(4500.0 < many.0 && many.1 < 5500.0, "{many:?}");
    }

    #[test]
    fn large_files_are_not_taken_for_small_ones() {
        let ended = [vec![(SMALL, 1.0); 50], vec![(LARGE, 60.0); 5]].concat();
        let (low, high) = seconds(of(&[(SMALL, 50), (LARGE, 105)], &ended).left(0.0, 1.0));
        assert_eq!((low, high), (6000.0, 6000.0));
        // No large one has ended: anything may be.
        let (low, high) = seconds(of(&[(SMALL, 50), (LARGE, 100)], &ended[..50]).left(0.0, 1.0));
        assert!(low < 85.0 && 115.0 < high, "{low} {high}");
    }

    #[test]
    fn what_was_known_takes_no_time() {
        let ended = [vec![(SMALL, 0.0); 90], vec![(SMALL, 2.0); 10]].concat();
        let (low, high) = seconds(of(&[(SMALL, 100)], &ended).left(9.0, 1.0));
        assert!(low < 180.0 && 180.0 < high, "{low} {high}");
    }

    #[test]
    fn nothing_is_foretold_from_nothing() {
        assert_eq!(Estimator::default().left(3.0, 4.0), None);
        assert_eq!(of(&[(SMALL, 9)], &[(SMALL, 1.0); 4]).left(0.0, 1.0), None);
        let whole = of(&[(SMALL, 9)], &[(SMALL, 1.0); 9]).left(0.0, 0.0);
        assert_eq!(seconds(whole), (0.0, 0.0));
        assert_eq!(
            of(&[(SMALL, 9)], &[(SMALL, 1.0); 9]).left(f64::MAX, 1.0),
            None
        );
    }

    #[test]
    fn ranges_are_told_in_few_digits() {
        let range = |low, high| format_range((Duration::from_secs(low), Duration::from_secs(high)));
        assert_eq!(range(0, 90), "0 s to 90 s");
        assert_eq!(range(3500, 8000), "58 min to 2 h");
        assert_eq!(range(86_400, 90_000), "24 h to 25 h");
        assert_eq!(range(864_000, 864_100), "10 d");
    }
}
