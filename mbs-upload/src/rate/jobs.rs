//! How many files the command line wants in flight.

use std::str::FromStr;

/// One number, or the best between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jobs {
    /// So many, whatever happens.
    Fixed(u8),
    /// To be found out, within these bounds.
    Between(u8, u8),
}

impl Jobs {
    /// The most at a time.
    pub fn most(self) -> u8 {
        match self {
            Jobs::Fixed(jobs) | Jobs::Between(_, jobs) => jobs,
        }
    }
}

/// What `-j` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobsArg {
    /// `auto`.
    Auto,
    /// A number.
    Number(u8),
}

impl FromStr for JobsArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<JobsArg, Self::Err> {
        match text.parse() {
            _ if text == "auto" => Ok(JobsArg::Auto),
            Ok(number @ 1..=64) => Ok(JobsArg::Number(number)),
            _ => Err("neither auto nor a number from 1 to 64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_auto() {
        assert_eq!("auto".parse(), Ok(JobsArg::Auto));
        assert_eq!("64".parse(), Ok(JobsArg::Number(64)));
        for text in ["0", "65", "Auto", "", "-1", "300"] {
            assert!(text.parse::<JobsArg>().is_err(), "{text}");
        }
    }
}
