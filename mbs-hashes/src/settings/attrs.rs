//! Which of several servers is wanted: libpq's target_session_attrs.

use std::str::FromStr;

/// What a server has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attrs {
    /// Whatever answers.
    #[default]
    Any,
    /// One that takes changes by default.
    ReadWrite,
    /// One that does not.
    ReadOnly,
    /// No standby.
    Primary,
    /// A standby.
    Standby,
    /// A standby if there is one, else whatever answers.
    PreferStandby,
}

impl FromStr for Attrs {
    type Err = String;

    fn from_str(name: &str) -> Result<Attrs, String> {
        Ok(match name {
            "any" => Attrs::Any,
            "read-write" => Attrs::ReadWrite,
            "read-only" => Attrs::ReadOnly,
            "primary" => Attrs::Primary,
            "standby" => Attrs::Standby,
            "prefer-standby" => Attrs::PreferStandby,
            _ => {
                let known = "any, read-write, read-only, primary, standby or prefer-standby";
                return Err(format!("target_session_attrs is {known}"));
            }
        })
    }
}

impl Attrs {
    /// What the hosts are asked for, one round after the other.
    pub(crate) fn rounds(self) -> &'static [Attrs] {
        match self {
            Attrs::Any => &[Attrs::Any],
            Attrs::ReadWrite => &[Attrs::ReadWrite],
            Attrs::ReadOnly => &[Attrs::ReadOnly],
            Attrs::Primary => &[Attrs::Primary],
            Attrs::Standby => &[Attrs::Standby],
            Attrs::PreferStandby => &[Attrs::Standby, Attrs::Any],
        }
    }

    /// Why a server does not do.
    pub(crate) fn objection(self, standby: bool, read_only: bool) -> Option<&'static str> {
        match self {
            Attrs::ReadWrite if standby || read_only => Some("the session is read-only"),
            Attrs::ReadOnly if !standby && !read_only => Some("the session is not read-only"),
            Attrs::Primary if standby => Some("the server is a standby"),
            Attrs::Standby if !standby => Some("the server is no standby"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_does_only_when_it_is_what_is_asked_for() {
        let fit = |attrs: Attrs| {
            [(false, false), (false, true), (true, true)]
                .map(|(standby, read_only)| attrs.objection(standby, read_only).is_none())
        };
        assert_eq!(fit(Attrs::Any), [true, true, true]);
        assert_eq!(fit(Attrs::ReadWrite), [true, false, false]);
        assert_eq!(fit(Attrs::ReadOnly), [false, true, true]);
        assert_eq!(fit(Attrs::Primary), [true, true, false]);
        assert_eq!(fit(Attrs::Standby), [false, false, true]);
        assert!(Attrs::from_str("primaryy").is_err());
    }
}
