//! How much may go in one run, and the sentence that a person types to let it.

/// What a run must not exceed; what is not given is not limited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Files.
    pub count: Option<u64>,
    /// Bytes.
    pub bytes: Option<u64>,
    /// Per cent of the files in the library.
    pub percent: f64,
}

/// What a run would do at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Candidates.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files in the library.
    pub files: u64,
}

impl Limits {
    /// Why a run of this size is refused; nothing where it is not.
    pub fn refusal(&self, load: Load) -> Option<String> {
        let Load {
            count,
            bytes,
            files,
        } = load;
        if let Some(most) = self.count.filter(|&most| count > most) {
            return Some(format!(
                "{count} candidates are more than --max-count {most}"
            ));
        }
        if let Some(most) = self.bytes.filter(|&most| bytes > most) {
            return Some(format!("{bytes} bytes are more than --max-bytes {most}"));
        }
        let percent = match files {
            0 => 100.0,
            // Findings may name files that are gone by now.
            files => (count as f64 * 100.0 / files as f64).min(100.0),
        };
        (count > 0 && percent > self.percent).then(|| {
            format!(
                "{count} candidates are {percent:.1} % of the {files} files in the library, more \
                 than --max-percent {}",
                self.percent
            )
        })
    }
}

/// What is to be typed to let this many go.
pub fn sentence(count: u64) -> String {
    format!("DELETE {count}")
}

/// How a run is to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// It is.
    Given,
    /// A person must be asked on the terminal.
    Ask,
    /// The sentence that was given names another number.
    Wrong,
}

/// Is consent given, by what `--confirm` says?
pub fn consent(count: u64, threshold: u64, given: Option<&str>) -> Consent {
    match given {
        Some(text) if text.trim() == sentence(count) => Consent::Given,
        Some(_) => Consent::Wrong,
        None if count >= threshold => Consent::Ask,
        None => Consent::Given,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load = Load {
        count: 10,
        bytes: 1000,
        files: 40,
    };
    const NONE: Limits = Limits {
        count: None,
        bytes: None,
        percent: 100.0,
    };

    #[test]
    fn a_run_at_its_limit_goes_on_and_one_above_is_refused() {
        let refused = |limits: Limits| limits.refusal(LOAD).is_some();
        assert!(!refused(NONE));
        for (most, refuses) in [(9, true), (10, false)] {
            assert_eq!(
                refused(Limits {
                    count: Some(most),
                    ..NONE
                }),
                refuses
            );
        }
        for (most, refuses) in [(999, true), (1000, false)] {
            assert_eq!(
                refused(Limits {
                    bytes: Some(most),
                    ..NONE
                }),
                refuses
            );
        }
        for (percent, refuses) in [(24.9, true), (25.0, false)] {
            assert_eq!(refused(Limits { percent, ..NONE }), refuses);
        }
    }

    #[test]
    fn a_hundred_per_cent_is_no_limit_even_when_files_are_gone() {
        let load = Load { files: 1, ..LOAD };
        assert!(NONE.refusal(load).is_none());
    }

    #[test]
    fn an_empty_library_has_nothing_that_may_go() {
        let load = Load { files: 0, ..LOAD };
        assert!(
            Limits {
                percent: 25.0,
                ..NONE
            }
            .refusal(load)
            .is_some()
        );
        assert!(
            Limits {
                percent: 25.0,
                ..NONE
            }
            .refusal(Load::default())
            .is_none()
        );
    }

    #[test]
    fn the_sentence_names_the_exact_number() {
        assert_eq!(consent(1000, 1000, None), Consent::Ask);
        assert_eq!(consent(999, 1000, None), Consent::Given);
        assert_eq!(consent(1000, 1000, Some("DELETE 1000")), Consent::Given);
        for wrong in ["DELETE 999", "delete 1000", "", "yes", "DELETE 10000"] {
            assert_eq!(consent(1000, 1000, Some(wrong)), Consent::Wrong, "{wrong}");
            assert_eq!(consent(5, 1000, Some(wrong)), Consent::Wrong, "{wrong}");
        }
    }
}
