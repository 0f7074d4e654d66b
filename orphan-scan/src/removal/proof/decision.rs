//! May one file go? A pure decision over what was found out about it in the same moment. Every question
//! has three answers, and one that was not asked has none: only a yes to all of them lets a file go.

/// The classes that may be removed, each only where it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Nobody has it on record, and the server has the bytes.
    UntrackedOnServer,
    /// Calibre has it on record, and the server has the bytes, too.
    DuplicateOfServer,
    /// Nobody has it on record. It may be the only copy, so it is never purged.
    Untracked,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 3] = [
        Class::UntrackedOnServer,
        Class::DuplicateOfServer,
        Class::Untracked,
    ];

    /// The word for it in records.
    pub fn name(self) -> &'static str {
        match self {
            Class::UntrackedOnServer => "untracked_on_server",
            Class::DuplicateOfServer => "duplicate_of_server",
            Class::Untracked => "untracked",
        }
    }

    /// The class of this name, where it is one that may go at all.
    pub fn named(name: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|class| class.name() == name)
    }
}

/// What is asked about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Is Calibre away from this library?
    CalibreAway,
    /// Is it a regular file below the library, where books are, reached without any link?
    Place,
    /// Is it the file that was found: device, inode, size, time of change?
    Same,
    /// Is Calibre's record of it what the class says?
    Row,
    /// Is no tracked format of this extension missing in its folder?
    NoHeal,
    /// Are its bytes, read again, those that were found?
    Bytes,
    /// Has the server a row with this SHA-1 and size?
    Server,
    /// Has the server's own file these bytes, and is it another file than this one?
    Stored,
    /// Does no link of the store lead here?
    NoLink,
}

impl Question {
    /// All of them, in the order in which they are asked: the cheap before the dear, and those that
    /// others can change at any time last.
    pub const ALL: [Question; 9] = [
        Question::CalibreAway,
        Question::Place,
        Question::Same,
        Question::Row,
        Question::NoHeal,
        Question::Bytes,
        Question::Server,
        Question::Stored,
        Question::NoLink,
    ];

    /// Those whose answers others can change while the tool is at work. The rest is about the file
    /// itself, which is held open and looked at last.
    pub const OTHERS: [Question; 6] = [
        Question::CalibreAway,
        Question::Row,
        Question::NoHeal,
        Question::Server,
        Question::Stored,
        Question::NoLink,
    ];

    /// Those that are asked of a file that has gone. A Calibre that was started since does no harm to it.
    const AFTERWARDS: [Question; 5] = [
        Question::Row,
        Question::NoHeal,
        Question::Server,
        Question::Stored,
        Question::NoLink,
    ];

    /// Must it be answered for a file of this class? Those that nobody tracks and the server may lack
    /// only go where they can be fetched back from.
    pub fn concerns(self, class: Class) -> bool {
        class != Class::Untracked || !matches!(self, Question::Server | Question::Stored)
    }

    /// What a no means, in a few words.
    fn no(self) -> &'static str {
        match self {
            Question::CalibreAway => "the library is open in Calibre",
            Question::Place => "gone, a link, or not where books are",
            Question::Same => "another file, or changed since the scan",
            Question::Row => "Calibre's record is another one now",
            Question::NoHeal => "Calibre may heal a book with it",
            Question::Bytes => "its bytes have changed",
            Question::Server => "the server has no row of it",
            Question::Stored => "the server has no copy of its own",
            Question::NoLink => "a link of the store leads to it",
        }
    }

    /// What no answer means, in a few words.
    fn unknown(self) -> &'static str {
        match self {
            Question::CalibreAway => "not known: whether Calibre is away",
            Question::Place => "not known: it cannot be reached",
            Question::Same => "not known: the finding says too little",
            Question::Row => "not known: what Calibre has on record",
            Question::NoHeal => "not known: whether Calibre needs it",
            Question::Bytes => "not known: it cannot be read",
            Question::Server => "not known: what the server has",
            Question::Stored => "not known: the server's copy",
            Question::NoLink => "not known: where the store's links lead",
        }
    }
}

/// An answer, and in one line how it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is so.
    Yes(String),
    /// It is not so.
    No(String),
    /// It is not known.
    Unknown(String),
}

impl Answer {
    /// Is it a yes?
    pub fn yes(&self) -> bool {
        matches!(self, Answer::Yes(_))
    }
}

/// All that was found out about one file.
#[derive(Clone, Debug, Default)]
pub struct Answers([Option<Answer>; Question::ALL.len()]);

impl Answers {
    /// Notes an answer. Says whether to ask on.
    pub fn note(&mut self, question: Question, answer: Answer) -> bool {
        let yes = answer.yes();
        self.0[question as usize] = Some(answer);
        yes
    }

    /// Takes answers back.
    pub fn forget(&mut self, questions: &[Question]) {
        for question in questions {
            self.0[*question as usize] = None;
        }
    }

    /// How each answer was found, as the journal and the records keep it.
    pub fn proof(&self) -> Vec<String> {
        let found = |answer: &Answer| match answer {
            Answer::Yes(how) => Some(how.clone()),
            Answer::No(_) | Answer::Unknown(_) => None,
        };
        self.0.iter().flatten().filter_map(found).collect()
    }
}

/// Why a file came to the end that it came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// In a few words, the same for all files of one reason, so that they can be counted.
    pub kind: &'static str,
    /// In one line, with what belongs to this file.
    pub why: String,
}

impl Reason {
    /// A reason; one of no kind needs not be counted.
    pub fn new(kind: &'static str, why: impl Into<String>) -> Reason {
        Reason {
            kind,
            why: why.into(),
        }
    }
}

/// What to do with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Its bytes are elsewhere and nobody needs it here.
    Remove,
    /// It stays, and why.
    Keep(Reason),
}

/// Decides. The first answer that is no yes is the reason.
pub fn may_remove(class: Class, answers: &Answers) -> Decision {
    let mut unasked = None;
    for question in Question::ALL {
        if !question.concerns(class) {
            continue;
        }
        match &answers.0[question as usize] {
            Some(Answer::Yes(_)) => {}
            Some(Answer::No(why)) => return Decision::Keep(Reason::new(question.no(), why)),
            Some(Answer::Unknown(why)) => {
                let why = format!("not known: {why}");
                return Decision::Keep(Reason::new(question.unknown(), why));
            }
            None => unasked = unasked.or(Some(question)),
        }
    }
    match unasked {
        None => Decision::Remove,
        Some(question) => {
            let why = format!("not known: {question:?} was not looked at");
            Decision::Keep(Reason::new(question.unknown(), why))
        }
    }
}

/// Was it right that a file of this class went, by all that was asked afterwards? One no is a no, whatever
/// else is not known.
pub fn was_right(class: Class, answers: &Answers) -> Answer {
    let mut unknown = None;
    for question in Question::AFTERWARDS {
        if !question.concerns(class) {
            continue;
        }
        match &answers.0[question as usize] {
            Some(Answer::Yes(_)) => {}
            Some(Answer::No(why)) => return Answer::No(why.clone()),
            Some(Answer::Unknown(why)) => {
                unknown.get_or_insert(format!("not known: {why}"));
            }
            None => {
                unknown.get_or_insert(format!("not known: {question:?} was not looked at"));
            }
        }
    }
    match unknown {
        Some(why) => Answer::Unknown(why),
        None => Answer::Yes("all is still so".into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer() -> impl Strategy<Value = Option<Answer>> {
        prop_oneof![
            8 => Just(Some(Answer::Yes("y".into()))),
            1 => Just(Some(Answer::No("n".into()))),
            1 => Just(Some(Answer::Unknown("u".into()))),
            1 => Just(None),
        ]
    }

    proptest! {
        /// Nothing goes but by a yes to every question that concerns it.
        #[test]
        fn only_a_yes_to_all_lets_a_file_go(
            answers in prop::array::uniform9(answer()),
            class in prop::sample::select(&Class::ALL[..]),
        ) {
            let given = Answers(answers.clone());
            let all = Question::ALL
                .into_iter()
                .filter(|question| question.concerns(class))
                .all(|question| matches!(answers[question as usize], Some(Answer::Yes(_))));
            prop_assert_eq!(may_remove(class, &given) == Decision::Remove, all);
        }

        /// Nothing stays away but by a yes to all that others can have changed, and one no is enough.
        #[test]
        fn only_a_yes_to_all_leaves_a_file_where_it_went(
            answers in prop::array::uniform9(answer()),
            class in prop::sample::select(&Class::ALL[..]),
        ) {
            let given = Answers(answers.clone());
            let asked: Vec<&Option<Answer>> = Question::AFTERWARDS
                .into_iter()
                .filter(|question| question.concerns(class))
                .map(|question| &answers[question as usize])
                .collect();
            let no = asked.iter().any(|answer| matches!(answer, Some(Answer::No(_))));
            let all = asked.iter().all(|answer| matches!(answer, Some(Answer::Yes(_))));
            let answer = was_right(class, &given);
            prop_assert_eq!(matches!(answer, Answer::No(_)), no);
            prop_assert_eq!(answer.yes(), all);
        }
    }

    #[test]
    fn what_others_can_change_is_asked_before_and_after() {
        let own = [Question::Place, Question::Same, Question::Bytes];
        for question in Question::ALL {
            let of_others = Question::OTHERS.contains(&question);
            assert_eq!(of_others, !own.contains(&question), "{question:?}");
            let after = of_others && question != Question::CalibreAway;
            assert_eq!(Question::AFTERWARDS.contains(&question), after);
            let mut answers = Answers(std::array::from_fn(|_| Some(Answer::Yes("y".into()))));
            answers.forget(&Question::OTHERS);
            assert_eq!(answers.0[question as usize].is_none(), of_others);
        }
    }

    #[test]
    fn what_may_be_the_only_copy_is_asked_all_but_the_server() {
        let skipped = |class| {
            let asked = |question: &Question| !question.concerns(class);
            Question::ALL.into_iter().filter(asked).collect::<Vec<_>>()
        };
        assert_eq!(skipped(Class::UntrackedOnServer), []);
        assert_eq!(skipped(Class::DuplicateOfServer), []);
        let server = [Question::Server, Question::Stored];
        assert_eq!(skipped(Class::Untracked), server);
    }

    #[test]
    fn the_order_of_the_questions_is_that_of_their_answers() {
        for (place, question) in Question::ALL.into_iter().enumerate() {
            assert_eq!(place, question as usize);
        }
    }
}
