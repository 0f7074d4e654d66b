//! Every record type that crosses a pipe, documented once.
//!
//! A new field may be added at any time; a changed meaning is a new type. A field that is not known
//! is left out; an empty list is `[]`. Times are RFC 3339 in UTC, sizes are bytes, hashes are
//! lower-case hex. Tools keep the fields that they do not know, so a `file_hash` made from a
//! `book_file` still carries its title and authors.

use serde::{Deserialize, Serialize};

/// What JSON a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string.
    Text,
    /// A whole number below 2^53.
    Integer,
    /// Any number.
    Number,
    /// true or false.
    Flag,
    /// A list of strings.
    List,
}

/// One field of a record type.
#[derive(Debug)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// What it holds.
    pub shape: Shape,
    /// Is it there in every record of the type?
    pub required: bool,
    /// What it means.
    pub doc: &'static str,
}

/// A record type as data.
#[derive(Debug)]
pub struct Kind {
    /// The value of `type`.
    pub name: &'static str,
    /// What the record stands for.
    pub doc: &'static str,
    /// Its own fields, `type` not among them.
    pub fields: &'static [Field],
}

impl Kind {
    /// Does it stand in a journal, a file of its own, and never in the stream?
    pub fn is_journal(&self) -> bool {
        self.name.starts_with("journal")
    }
}

/// A Rust type that is a record.
pub trait RecordType {
    /// Its name and fields.
    const KIND: Kind;
}

trait Shaped {
    const SHAPE: Shape;
    const REQUIRED: bool = true;
}

macro_rules! shaped {
    ($($rust:ty => $shape:ident),*) => {
        $(impl Shaped for $rust { const SHAPE: Shape = Shape::$shape; })*
    };
}
shaped!(String => Text, i64 => Integer, u64 => Integer, f64 => Number, bool => Flag, Vec<String> => List);

impl<T: Shaped> Shaped for Option<T> {
    const SHAPE: Shape = T::SHAPE;
    const REQUIRED: bool = false;
}

macro_rules! records {
    ($($(#[doc = $about:literal])+ $rust:ident $constant:ident $name:literal {
        $($(#[doc = $doc:literal])+ $field:ident: $kind:ty,)*
    })*) => {
        $(
            $(#[doc = $about])+
            #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
            pub struct $rust {
                $(
                    $(#[doc = $doc])+
                    #[serde(default, skip_serializing_if = "Unknown::is_unknown")]
                    pub $field: $kind,
                )*
            }

            impl RecordType for $rust {
                const KIND: Kind = Kind {
                    name: $name,
                    doc: concat!($($about),+),
                    fields: &[$(Field {
                        name: stringify!($field),
                        shape: <$kind as Shaped>::SHAPE,
                        required: <$kind as Shaped>::REQUIRED,
                        doc: concat!($($doc),+),
                    }),*],
                };
            }

            #[doc = concat!("The fields of `", $name, "`.")]
            pub static $constant: Kind = <$rust as RecordType>::KIND;
        )*

        /// All record types.
        pub static ALL: &[&Kind] = &[$(&$constant),*];
    };
}

/// Tells whether a field is left out of the line.
trait Unknown {
    fn is_unknown(&self) -> bool {
        false
    }
}
impl Unknown for String {}
impl Unknown for i64 {}
impl Unknown for u64 {}
impl Unknown for f64 {}
impl Unknown for bool {}
impl Unknown for Vec<String> {}
impl<T> Unknown for Option<T> {
    fn is_unknown(&self) -> bool {
        self.is_none()
    }
}

records! {
    /// One file that Calibre has on record: one format of one book.
    BookFile BOOK_FILE "book_file" {
        /// Absolute path of the file as the database names it; it need not exist.
        path: String,
        /// The exact bytes of `path` in base64, only where it is not UTF-8.
        path_b64: Option<String>,
        /// Calibre's number of the book, unique in its library.
        book_id: i64,
        /// Format in lower case, as the file's extension has it: epub, original_epub, kepub.
        format: String,
        /// The book's title.
        title: String,
        /// Authors in the book's order, commas restored.
        authors: Vec<String>,
        /// How each author is sorted, beside `authors`: Last, First.
        author_sorts: Vec<String>,
        /// The series.
        series: Option<String>,
        /// Place in the series, possibly fractional.
        series_index: Option<f64>,
        /// Languages as Calibre has them, ISO 639-2 codes of three letters.
        languages: Vec<String>,
        /// Tags.
        tags: Vec<String>,
        /// Identifiers as `isbn:9780…`.
        identifiers: Vec<String>,
        /// The publisher.
        publisher: Option<String>,
        /// Rating from 0 to 10, two for a star.
        rating: Option<i64>,
        /// The book's uuid.
        uuid: String,
        /// When it was published; left out for Calibre's year 101, which means unknown.
        pubdate: Option<String>,
        /// When Calibre last changed the book.
        last_modified: Option<String>,
        /// Size when the file was added; later edits do not change it.
        recorded_size: Option<i64>,
        /// Absolute path of the cover, where the book has one.
        cover: Option<String>,
        /// The exact bytes of `cover` in base64, only where it is not UTF-8.
        cover_b64: Option<String>,
        /// With --stat: ok, missing, case_mismatch or heal_candidate.
        status: Option<String>,
        /// Fields that were cut to keep the line short.
        truncated: Option<Vec<String>>,
    }

    /// The digest of one file's bytes; keeps the fields of the record that named the file. A member of
    /// a tar archive has the archive's path: its bytes are there, `size` of them from `offset` on.
    FileHash FILE_HASH "file_hash" {
        /// Absolute path of the file, or of the archive that holds it.
        path: String,
        /// The exact bytes of `path` in base64, only where it is not UTF-8.
        path_b64: Option<String>,
        /// SHA-1 in lower-case hex; with `size` the identity of a file on the server.
        sha1: String,
        /// Size in bytes.
        size: u64,
        /// Time of last change, with nanoseconds; a member's as the archive tells it.
        mtime: String,
        /// Of a member: the archive's path again. With `offset` it says which member is meant, since
        /// two may have one name.
        archive: Option<String>,
        /// The exact bytes of `archive` in base64, only where it is not UTF-8.
        archive_b64: Option<String>,
        /// Of a member: its name in the archive, as it stands there. Never a path to act upon.
        member: Option<String>,
        /// The exact bytes of `member` in base64, only where it is not UTF-8.
        member_b64: Option<String>,
        /// Of a member: where its bytes begin in the archive.
        offset: Option<u64>,
        /// Of a member: its format in lower case, by its name or else its first bytes; left out where
        /// neither tells. `appledouble` is what macOS keeps beside a file, no book.
        format: Option<String>,
    }

    /// One stored file of the server: a row of its table `source`.
    KnownHash KNOWN_HASH "known_hash" {
        /// SHA-1 in lower-case hex.
        sha1: String,
        /// Size in bytes.
        size: i64,
        /// The row's id.
        source_id: i64,
        /// The ebook that it belongs to.
        ebook_id: i64,
        /// Path below the server's books folder.
        location: String,
        /// The exact bytes of `location` in base64, only where it is not UTF-8.
        location_b64: Option<String>,
        /// Format as the server names it, its extension.
        format: String,
    }

    /// With --follow: all rows that were there at the start have been written.
    CaughtUp CAUGHT_UP "caught_up" {
        /// The highest source id seen so far.
        last_id: i64,
        /// Rows written so far.
        rows: u64,
        /// When the pass ended.
        as_of: String,
    }

    /// One thing that was looked at before anything is sent, or a file that can never get to the server, or
    /// not whole; that one keeps the fields of the record that named it.
    Preflight PREFLIGHT "preflight" {
        /// login, languages, websocket, one_server, limit, formats, links, store, database, index, journal,
        /// converter, space; or input for a file that cannot get there, metadata for one of which
        /// something is cut or left out.
        check: String,
        /// Where, if it is no file: an address, a database, a folder.
        object: Option<String>,
        /// ok, warning or failed.
        result: String,
        /// Why it is not ok.
        message: Option<String>,
        /// Absolute path of the file.
        path: Option<String>,
        /// The exact bytes of `path` in base64, only where it is not UTF-8.
        path_b64: Option<String>,
        /// SHA-1 of the file.
        sha1: Option<String>,
        /// Size in bytes.
        size: Option<u64>,
        /// How sending the file would end: too_big, unsupported or failed.
        outcome: Option<String>,
        /// limit: bytes of a request that the server takes at most; a form's frame of some 200 counts.
        max_size: Option<u64>,
        /// languages: those that the server has, as codes.
        languages: Option<Vec<String>>,
        /// formats: those of the usual ones that the server takes, as extensions.
        formats: Option<Vec<String>>,
        /// index: the statement that makes the index.
        statement: Option<String>,
        /// space: bytes that are free.
        free: Option<u64>,
    }

    /// What became of one file; keeps the fields of the record that named it.
    Upload UPLOAD "upload" {
        /// Absolute path of the file.
        path: String,
        /// The exact bytes of `path` in base64, only where it is not UTF-8.
        path_b64: Option<String>,
        /// SHA-1 of the file.
        sha1: String,
        /// Size in bytes.
        size: u64,
        /// uploaded, duplicate, too_big, unsupported, failed, or with --dry-run would_upload.
        outcome: String,
        /// Who knew it for a duplicate: known, journal, check, upload or add; or journal for another
        /// outcome of an earlier run that still holds.
        by: Option<String>,
        /// The server's ebook.
        ebook_id: Option<i64>,
        /// The server's row for this file.
        source_id: Option<i64>,
        /// With --symlink: the server's own path of the file, to which it keeps a link, not a copy.
        link: Option<String>,
        /// How often it was tried; 0 where the server was not asked.
        attempts: u64,
        /// Time from the first step to the outcome.
        seconds: f64,
        /// Why, where the outcome is not plain success.
        reason: Option<String>,
        /// What was cut, mapped or left out of the metadata, and whose ebook it joined.
        notes: Vec<String>,
    }

    /// The head of a journal: which server all that follows is about.
    Journal JOURNAL "journal" {
        /// The tool that began it.
        tool: String,
        /// The tool's version.
        version: String,
        /// When this line was written.
        at: String,
        /// The server's address, for people: the same server may get another one.
        api: String,
        /// Who was logged in.
        user_id: Option<i64>,
        /// Some ebooks that the server had then, as `ID CREATED`: another server has others.
        anchors: Vec<String>,
        /// true where what stands before this line is about another server.
        new_server: Option<bool>,
    }

    /// In a journal: how far one file has come.
    JournalStep JOURNAL_STEP "journal_step" {
        /// claimed: it will be sent. sent: the server has the bytes, aside. row: the engine has looked
        /// into it. making: its ebook is about to be made. adding: it is about to become part of
        /// ebook_id. cleared: an ebook that was made for it is not empty, or is gone.
        step: String,
        /// SHA-1 of the file.
        sha1: String,
        /// Size in bytes.
        size: u64,
        /// When this line was written.
        at: String,
        /// claimed: absolute path of the file, or of the archive that holds it.
        path: Option<String>,
        /// claimed: the exact bytes of `path` in base64, only where it is not UTF-8.
        path_b64: Option<String>,
        /// claimed: its extension in lower case.
        format: Option<String>,
        /// sent: its name on the server.
        file: Option<String>,
        /// sent: the newest row of the server's table upload that was known then.
        since: Option<i64>,
        /// row: its row in that table.
        upload_id: Option<i64>,
        /// adding: the ebook.
        ebook_id: Option<i64>,
        /// adding: true where this file's way made the ebook.
        made: Option<bool>,
        /// adding: as in upload.
        notes: Option<Vec<String>>,
        /// adding: Calibre's number of the file's book.
        book_id: Option<i64>,
        /// adding: that book's uuid.
        uuid: Option<String>,
    }

    /// In a journal: what became of one file, written before the record on standard output.
    JournalEnd JOURNAL_END "journal_end" {
        /// As in upload.
        outcome: String,
        /// SHA-1 of the file.
        sha1: String,
        /// Size in bytes.
        size: u64,
        /// When this line was written.
        at: String,
        /// Absolute path of the file, or of the archive that holds it.
        path: Option<String>,
        /// The exact bytes of `path` in base64, only where it is not UTF-8.
        path_b64: Option<String>,
        /// As in upload.
        by: Option<String>,
        /// The server's ebook.
        ebook_id: Option<i64>,
        /// The server's row for this file.
        source_id: Option<i64>,
        /// How often it was tried.
        attempts: u64,
        /// Time from the first step to the outcome.
        seconds: f64,
        /// Why, where the outcome is not plain success.
        reason: Option<String>,
        /// As in upload.
        notes: Option<Vec<String>>,
        /// What it was refused for, where that may change: size, format, engine (which cannot deal with
        /// a format that the server takes) or language.
        refused: Option<String>,
        /// size: the size that the server was asked about.
        refused_size: Option<u64>,
        /// format, engine: its extension in lower case.
        format: Option<String>,
        /// language: the book's languages as the input named them.
        languages: Option<Vec<String>>,
        /// language: the codes that the server had.
        server_languages: Option<Vec<String>>,
        /// language: the code that --default-language gave.
        default_language: Option<String>,
    }

    /// What became of one finding, or of one file in the quarantine; keeps the fields of the finding.
    Removal REMOVAL "removal" {
        /// Absolute path of the file in the library.
        path: String,
        /// The exact bytes of `path` in base64, only where it is not UTF-8.
        path_b64: Option<String>,
        /// removed: it is in the quarantine. kept: it stayed, or was put back. failed: it could not be
        /// moved. would_remove: a dry run. verified: --verify-only. restored and purged: what was in
        /// the quarantine.
        outcome: String,
        /// Why, in one line.
        why: String,
        /// What was asked and how it was answered, in the same moment.
        proof: Vec<String>,
        /// Absolute path in the quarantine.
        trash: Option<String>,
        /// The exact bytes of `trash` in base64, only where it is not UTF-8.
        trash_b64: Option<String>,
        /// The journal that can undo it.
        journal: Option<String>,
        /// The exact bytes of `journal` in base64, only where it is not UTF-8.
        journal_b64: Option<String>,
        /// mbs-prune: the ebook.
        ebook_id: Option<i64>,
    }

    /// The head of a journal of removals: which library, and where its files went.
    JournalRun JOURNAL_RUN "journal_run" {
        /// The tool that began it.
        tool: String,
        /// The tool's version.
        version: String,
        /// When this line was written.
        at: String,
        /// The library's folder.
        root: String,
        /// The exact bytes of `root` in base64, only where it is not UTF-8.
        root_b64: Option<String>,
        /// The library's uuid.
        library: Option<String>,
        /// Its database, where that is not in the folder.
        metadata_db: Option<String>,
        /// The exact bytes of `metadata_db` in base64, only where it is not UTF-8.
        metadata_db_b64: Option<String>,
        /// The run's folder in the quarantine, in which files keep their paths.
        trash: String,
        /// The exact bytes of `trash` in base64, only where it is not UTF-8.
        trash_b64: Option<String>,
    }

    /// In a journal of removals: one step of one file. What is about to be done is on disk before it is
    /// done.
    JournalMove JOURNAL_MOVE "journal_move" {
        /// removing, then removed or not_removed; returning, then returned, for what is put back in the
        /// same run; looked, when the links were looked at again after all up to seq; restoring, then
        /// restored; purging, then purged.
        step: String,
        /// Which file of this journal.
        seq: u64,
        /// When this line was written.
        at: String,
        /// removing: absolute path in the library.
        path: Option<String>,
        /// removing: the exact bytes of `path` in base64, only where it is not UTF-8.
        path_b64: Option<String>,
        /// removing: path relative to the library and to the run's folder in the quarantine.
        relative: Option<String>,
        /// removing: the exact bytes of `relative` in base64, only where it is not UTF-8.
        relative_b64: Option<String>,
        /// removing: the class that was proven.
        class: Option<String>,
        /// removing: SHA-1 of the bytes, read just before.
        sha1: Option<String>,
        /// removing: size in bytes.
        size: Option<u64>,
        /// removing: time of last change, with nanoseconds.
        mtime: Option<String>,
        /// removing: the device that holds it.
        dev: Option<String>,
        /// removing: its number on that device.
        inode: Option<String>,
        /// removing: how many names it has.
        nlink: Option<u64>,
        /// removing: type and permissions, as stat has them.
        mode: Option<u64>,
        /// removing: its owner's number.
        uid: Option<u64>,
        /// removing: its group's number.
        gid: Option<u64>,
        /// removing: Calibre's number of the book, of a tracked file.
        book_id: Option<i64>,
        /// removing: the row's format in lower case, of a tracked file.
        format: Option<String>,
        /// removing: what was asked and how it was answered.
        proof: Option<Vec<String>>,
        /// When the file's folder was last changed: removing, before the move; removed, after it;
        /// restoring, what it will be set to, where nobody else has changed it.
        folder_mtime: Option<String>,
        /// not_removed, returning: why.
        why: Option<String>,
    }

    /// In a backup of the server's rows: one row, as it was before it was deleted.
    BackupRow BACKUP_ROW "backup_row" {
        /// The table.
        table_name: String,
        /// The ebook that it belonged to.
        ebook_id: Option<i64>,
        /// The row of the table source that it was, or belonged to.
        source_id: Option<i64>,
        /// The row as PostgreSQL writes it in JSON, for json_populate_record.
        row: String,
        /// When it was read.
        at: String,
    }

    /// One entry of a library's folder, or one tracked file that is not there, in exactly one class.
    Finding FINDING "finding" {
        /// Absolute path of the entry. Of a missing file: where it should be.
        path: String,
        /// The exact bytes of `path` in base64, only where it is not UTF-8.
        path_b64: Option<String>,
        /// tracked, in_use, duplicate_of_server, not_uploaded, unknown, internal, foreign, extra_data,
        /// heal_candidate, case_mismatch, unreadable, untracked, untracked_on_server or missing.
        class: String,
        /// Why it is of this class, for a person.
        why: String,
        /// May its bytes be removed without loss, as far as the scan can tell: yes, no or unknown.
        /// orphan-rm proves it again.
        removable: String,
        /// SHA-1 of the bytes, where it was told or found out, and holds for the file as it is.
        sha1: Option<String>,
        /// Size in bytes.
        size: Option<u64>,
        /// Time of last change, with nanoseconds.
        mtime: Option<String>,
        /// The device that holds it.
        dev: Option<String>,
        /// Its number on that device.
        inode: Option<String>,
        /// How many names the file has.
        nlink: Option<u64>,
        /// Calibre's number of the book that the row belongs to.
        book_id: Option<i64>,
        /// The row's format in lower case.
        format: Option<String>,
        /// The uuid of the book that the row belongs to.
        uuid: Option<String>,
        /// The tracked path that this entry is, or would mend, as the list of tracked files has it.
        row: Option<String>,
        /// The exact bytes of `row` in base64, only where it is not UTF-8.
        row_b64: Option<String>,
    }

    /// Something in the server that lacks its other half: an ebook without files, a row without its
    /// file, a stored file without its row.
    ServerFinding SERVER_FINDING "server_finding" {
        /// ebook_without_source, source_without_file or file_without_source.
        class: String,
        /// Why it is of this class, for a person.
        why: String,
        /// The ebook.
        ebook_id: Option<i64>,
        /// The ebook's title.
        title: Option<String>,
        /// When the row was made.
        created: Option<String>,
        /// The row of the table source.
        source_id: Option<i64>,
        /// SHA-1 that the row tells.
        sha1: Option<String>,
        /// Size in bytes, as the row or the file tells.
        size: Option<u64>,
        /// Path below the server's books folder.
        location: Option<String>,
        /// The exact bytes of `location` in base64, only where it is not UTF-8.
        location_b64: Option<String>,
        /// Absolute path of the stored file on this machine.
        path: Option<String>,
        /// The exact bytes of `path` in base64, only where it is not UTF-8.
        path_b64: Option<String>,
    }

    /// Counts of the server's rows; a count that could not be had is left out.
    MbsStats MBS_STATS "mbs_stats" {
        /// Rows of the table ebook.
        ebooks: Option<u64>,
        /// Rows of the table source.
        sources: Option<u64>,
        /// Ebooks that no source belongs to.
        ebooks_without_source: Option<u64>,
        /// Where the counts come from: database or api.
        via: String,
        /// When they were taken.
        as_of: String,
    }

    /// What became of a watched command, as its watchdog saw it.
    Event EVENT "event" {
        /// started, progress, waiting (on purpose), warned, stalled, killed, ended, restarted, scaled, paused
        /// or heartbeat.
        event: String,
        /// When.
        at: String,
        /// The program that saw it.
        tool: String,
        /// The command that is watched, cut where it is long.
        command: Option<String>,
        /// Its process.
        pid: Option<u64>,
        /// Which start of it this is, from 1 on.
        attempt: Option<u64>,
        /// How long it has been running.
        seconds: Option<f64>,
        /// How long it has not made progress.
        idle: Option<f64>,
        /// Signs of progress that are looked at, or that were seen: output, cpu, io, units.
        signals: Option<Vec<String>>,
        /// Bytes that it wrote to stdout and stderr.
        output: Option<u64>,
        /// Units of work that it reported.
        work: Option<u64>,
        /// Units of discovery that it reported.
        discovery: Option<u64>,
        /// Its processes, all generations.
        processes: Option<u64>,
        /// warned, stalled: what they wait for, in which file, under which pressure; one fact each.
        evidence: Option<Vec<String>>,
        /// warned, stalled: the last lines that it wrote.
        last_lines: Option<Vec<String>>,
        /// What is done about it: TERM, KILL, restart, or the signal that was handed on.
        action: Option<String>,
        /// Why.
        reason: Option<String>,
        /// killed: processes that are there still, as PID NAME.
        remaining: Option<Vec<String>>,
        /// ended: its exit code.
        code: Option<i64>,
        /// ended: the signal that ended it.
        signal: Option<String>,
        /// stall-pool: the number of the worker.
        worker: Option<u64>,
        /// stall-pool: how many workers are neither done nor paused.
        workers: Option<u64>,
        /// stall-pool: how many of them may run now.
        places: Option<u64>,
        /// stall-pool: how many may run when all is calm.
        target: Option<u64>,
        /// stall-pool: how much of the last interval the busiest disk had something to do, in percent.
        disk: Option<f64>,
        /// stall-pool: how much of it some process waited for a disk, in percent.
        io: Option<f64>,
        /// stall-pool: how much of the memory is in use, in percent.
        memory: Option<f64>,
    }

    /// A pool of workers, as it stands.
    Pool POOL "pool" {
        /// When it stood so.
        at: String,
        /// Its process, while it runs.
        pid: Option<u64>,
        /// The command of its workers, placeholders included.
        command: String,
        /// How many workers the command line asks for.
        workers: u64,
        /// How many may run when all is calm.
        target: u64,
        /// How many may run now.
        places: u64,
        /// When that was last changed.
        changed: Option<String>,
        /// No worker is started before.
        hold: Option<String>,
        /// Everything was done that could be; a new start begins afresh.
        finished: bool,
        /// The disks that are looked at.
        disks: Vec<String>,
        /// How much of the last interval the busiest of them had something to do, in percent.
        disk: Option<f64>,
        /// How much of it some process waited for a disk, in percent.
        io: Option<f64>,
        /// How much of the memory is in use, in percent.
        memory: Option<f64>,
    }

    /// A worker of a pool, as it stands.
    Worker WORKER "worker" {
        /// Its number, from 1 on.
        worker: u64,
        /// running, verify (restarted, work not yet back), stalled or stopping (being ended), waiting,
        /// cooldown, held (no place for it now), paused or done.
        state: String,
        /// When this start of it began.
        begun: Option<String>,
        /// It is not started before; running: until then it waits on purpose.
        until: Option<String>,
        /// The process that keeps it; all of the worker hangs under it.
        pid: Option<u64>,
        /// How often it was started.
        starts: u64,
        /// Restarts in a row that have not brought work back.
        attempts: u64,
        /// When it was last restarted after a failure.
        restarted: Option<String>,
        /// Its next start is such a restart.
        failing: bool,
        /// What it does, as it says itself: discovery or work.
        phase: Option<String>,
        /// Units of work that it reported.
        work: u64,
        /// Units of discovery that it reported.
        discovery: u64,
        /// How long it has not made progress, in seconds.
        idle: Option<f64>,
        /// done: its exit code.
        code: Option<i64>,
        /// paused: why; running: what it waits for on purpose.
        reason: Option<String>,
        /// Its log.
        log: Option<String>,
        /// --dry-run: what would be done with it: start or leave.
        action: Option<String>,
        /// --dry-run: its command, placeholders filled in.
        command: Option<String>,
    }

    /// An input that could not be used or a file that could not be read; keeps the record's fields.
    Error ERROR "error" {
        /// The type that the record had, or would have had.
        was: Option<String>,
        /// The tool that failed.
        tool: String,
        /// What it tried.
        op: String,
        /// Why that failed.
        message: String,
        /// May it succeed when tried again?
        retry: bool,
    }

    /// The last line of every stream: what it holds and whether it is whole.
    Summary SUMMARY "summary" {
        /// The tool that wrote it.
        tool: String,
        /// Lines before this one.
        records: u64,
        /// Those among them that are errors or failed outcomes.
        failed: u64,
        /// The input was whole, the tool reached its end, and nothing was selected away. Failed items
        /// do not make it false: each has its own line, so the stream still names every one.
        complete: bool,
        /// The uuid of the Calibre library.
        library: Option<String>,
        /// What was selected, as the flags said it.
        selection: Option<String>,
        /// Which part of how many, as K/N.
        shard: Option<String>,
        /// calibre-list: how long the library was read for the private copy, in milliseconds.
        snapshot_ms: Option<u64>,
        /// mbs-upload: files that are on the server now and were not before.
        uploaded: Option<u64>,
        /// mbs-upload: files that the server had already.
        duplicate: Option<u64>,
        /// Those among them that --known named, or that this run had sent before.
        duplicate_known: Option<u64>,
        /// Those that the journal named.
        duplicate_journal: Option<u64>,
        /// Those that the server's check, or its database, told of before they were sent.
        duplicate_check: Option<u64>,
        /// Those that the server told of when it had received them.
        duplicate_upload: Option<u64>,
        /// Those that it told of only when they were to be added to an ebook.
        duplicate_add: Option<u64>,
        /// mbs-upload: files larger than the server takes.
        too_big: Option<u64>,
        /// mbs-upload: files of a format or language that the server lacks, and empty ones.
        unsupported: Option<u64>,
        /// mbs-upload --dry-run: files that would be sent.
        would_upload: Option<u64>,
        /// orphan-scan: entries of the library that are no folders, and folders that were not entered.
        walked: Option<u64>,
        /// Their bytes.
        walked_bytes: Option<u64>,
        /// Entries that were gone when they were looked at; they have no finding.
        vanished: Option<u64>,
        /// Distinct paths that are tracked.
        rows: Option<u64>,
        /// Those among them that are there, be it under another normalisation or case.
        rows_found: Option<u64>,
        /// Those of which it is not known, for the walk did not come to them; each has a finding.
        rows_unknown: Option<u64>,
        /// Those that are not; each has a finding.
        missing: Option<u64>,
        /// Distinct contents that the server is known to have.
        known: Option<u64>,
        /// Those among them that a finding of this run has.
        known_matched: Option<u64>,
        /// Those that none has.
        known_unmatched: Option<u64>,
        /// Tracked files, the server not asked.
        tracked: Option<u64>,
        /// Their bytes.
        tracked_bytes: Option<u64>,
        /// Files that a link of the server's store leads to.
        in_use: Option<u64>,
        /// Their bytes.
        in_use_bytes: Option<u64>,
        /// Tracked files that the server has, too.
        duplicate_of_server: Option<u64>,
        /// Their bytes.
        duplicate_of_server_bytes: Option<u64>,
        /// Tracked files that the server lacks.
        not_uploaded: Option<u64>,
        /// Their bytes.
        not_uploaded_bytes: Option<u64>,
        /// Entries of which no class is certain.
        unknown: Option<u64>,
        /// Their bytes.
        unknown_bytes: Option<u64>,
        /// What Calibre keeps for itself.
        internal: Option<u64>,
        /// Their bytes.
        internal_bytes: Option<u64>,
        /// What other programs keep there, links, other libraries and file systems.
        foreign: Option<u64>,
        /// Their bytes.
        foreign_bytes: Option<u64>,
        /// Files in the data folder of a book.
        extra_data: Option<u64>,
        /// Their bytes.
        extra_data_bytes: Option<u64>,
        /// Files that Calibre may take for a missing one.
        heal_candidate: Option<u64>,
        /// Their bytes.
        heal_candidate_bytes: Option<u64>,
        /// Files whose tracked name differs by case.
        case_mismatch: Option<u64>,
        /// Their bytes.
        case_mismatch_bytes: Option<u64>,
        /// Entries that cannot be read.
        unreadable: Option<u64>,
        /// Their bytes.
        unreadable_bytes: Option<u64>,
        /// Files that nobody has on record.
        untracked: Option<u64>,
        /// Their bytes.
        untracked_bytes: Option<u64>,
        /// Such files that the server has.
        untracked_on_server: Option<u64>,
        /// Their bytes.
        untracked_on_server_bytes: Option<u64>,
        /// mbs-prune: ebooks that have no file.
        ebook_without_source: Option<u64>,
        /// Rows whose stored file is not there.
        source_without_file: Option<u64>,
        /// Stored files that no row names.
        file_without_source: Option<u64>,
        /// orphan-rm: files in the quarantine; orphan-purge frees their bytes. mbs-prune: rows that are
        /// gone.
        removed: Option<u64>,
        /// Their bytes.
        removed_bytes: Option<u64>,
        /// orphan-rm: files that stayed, each with its reason.
        kept: Option<u64>,
        /// orphan-rm: files that could be moved neither there nor back.
        removal_failed: Option<u64>,
        /// orphan-rm without --apply: files that would be removed.
        would_remove: Option<u64>,
        /// Their bytes.
        would_remove_bytes: Option<u64>,
        /// orphan-rm --verify-only: files of which all is proven.
        verified: Option<u64>,
        /// orphan-restore: files that are in their place again.
        restored: Option<u64>,
        /// orphan-purge: files that are gone for good.
        purged: Option<u64>,
        /// Their bytes.
        purged_bytes: Option<u64>,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn one_name_has_one_shape_in_all_types() {
        let mut shapes = HashMap::new();
        for kind in ALL {
            for field in kind.fields {
                let shape = *shapes.entry(field.name).or_insert(field.shape);
                assert_eq!(shape, field.shape, "{}.{}", kind.name, field.name);
                assert!(!field.doc.is_empty());
            }
        }
    }

    #[test]
    fn the_struct_and_its_table_agree() {
        let line = crate::Line::of(&Upload {
            sha1: "x".into(),
            ..Upload::default()
        });
        let record = crate::Record::parse([line.open_bytes(), b"}"].concat()).unwrap();
        assert_eq!(record.kind(), UPLOAD.name);
        for field in UPLOAD.fields {
            assert_eq!(
                record.get::<serde_json::Value>(field.name).is_some(),
                field.required
            );
        }
    }
}
