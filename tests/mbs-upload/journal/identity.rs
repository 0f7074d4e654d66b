use super::*;

impl Bench {
    fn empty(&mut self) {
        let sql = "truncate ebook, source, upload, author, series restart identity cascade";
        self.server.execute(sql);
    }

    fn remove(&mut self, which: &str) {
        let sql = format!("delete from ebook where {which}");
        self.server.execute(&sql);
    }

    /// As a dump of the time when it had so many ebooks would: later rows are gone, and their ids are
    /// given again.
    fn set_back(&mut self, ebooks: usize) {
        self.remove(&format!("id > {ebooks}"));
        for table in ["ebook", "source"] {
            let sql = format!(
                "select setval('{table}_id_seq', greatest(1, (select max(id) from {table})))"
            );
            self.server.execute(&sql);
        }
    }
}

#[test]
fn another_server_is_refused_unless_told() {
    let (bench, other) = (Bench::new(), Bench::new());
    let books = bench.books(3);
    bench.journaled(&books).ok();
    // It is no empty one.
    let theirs: Vec<_> = (0..3)
        .map(|i| other.book(&format!("Theirs {i}"), "B", "epub"))
        .collect();
    other.tool(&theirs).ok();
    let before = fs::read(bench.journal()).unwrap();
    let run = || {
        let run = bench.journaled(&books);
        run.env("MBS_API", other.server.api())
            .env("MBS_WS", other.server.ws())
            .env("MBS_PASSWORD_FILE", other.server.password_file("user"))
    };
    run()
        .code(3)
        .one_line(&["state/journal", "another server", "--new-server"]);
    assert_eq!(fs::read(bench.journal()).unwrap(), before);
    run().arg("--dry-run").code(3).one_line(&["state/journal"]);
    let ran = run().arg("--new-server").ok();
    assert_eq!(counts(&ran)["uploaded"], 3, "{}", ran.report());
    // From now on it is that server's journal.
    let ran = run().ok();
    assert!(ran.of_type("upload").iter().all(|r| r["by"] == "journal"));
    bench.journaled(&books).code(3);
}

#[test]
fn an_emptied_server_is_refused_unless_told() {
    let mut bench = Bench::new();
    let books = bench.books(10);
    bench.journaled(&books).ok();
    bench.empty();
    bench
        .journaled(&books)
        .code(3)
        .one_line(&["emptied", "--new-server"]);
    let ran = bench.journaled(&books).arg("--new-server").ok();
    assert_eq!(counts(&ran), [("uploaded".into(), 10)].into());
    bench.holds(&books);
}

#[test]
fn an_emptied_server_that_got_some_of_the_files_again_gets_the_rest() {
    let mut bench = Bench::new();
    let books = bench.books(10);
    bench.journaled(&books).args(["-j", "1"]).ok();
    bench.empty();
    // In the same order, and so under the same ids.
    bench.tool(&books[..3]).args(["-j", "1"]).ok();
    bench.journaled(&books).ok();
    bench.holds(&books);
}

#[test]
fn an_emptied_server_is_noticed_by_a_journal_of_duplicates() {
    let mut bench = Bench::new();
    let books = bench.books(3);
    bench.tool(&books).ok();
    let ran = bench.journaled(&books).ok();
    assert_eq!(counts(&ran)["duplicate"], 3);
    bench.journaled(&books).ok();
    bench.empty();
    bench.journaled(&books).code(3);
}

#[test]
fn what_a_server_set_back_to_a_backup_has_lost_is_sent_again() {
    // More than are sampled, and fewer.
    for (all, kept) in [(40, 32), (90, 15), (8, 1)] {
        let mut bench = Bench::new();
        let books = bench.books(all);
        bench.journaled(&books).ok();
        bench.set_back(kept);
        let dry = bench.journaled(&books).arg("--dry-run").ok();
        dry.one_line(&["state/journal", "are not there", "are asked about again"]);
        assert_eq!(counts(&dry)["would_upload"], all - kept, "{}", dry.report());
        let ran = bench.journaled(&books).ok();
        assert_eq!(counts(&ran)["uploaded"], all - kept, "{}", ran.report());
        bench.holds(&books);
        let ran = bench.journaled(&books).ok();
        assert!(ran.of_type("upload").iter().all(|r| r["by"] == "journal"));
        assert!(ran.stderr.is_empty(), "{}", ran.report());
    }
}

#[test]
fn a_server_set_back_to_before_the_journal_is_known_by_what_it_had() {
    let mut bench = Bench::new();
    let before = [bench.book("Before", "B", "epub")];
    bench.tool(&before).ok();
    let books = bench.books(5);
    bench.journaled(&books).ok();
    bench.set_back(1);
    let ran = bench.journaled(&books).ok();
    assert_eq!(counts(&ran)["uploaded"], 5, "{}", ran.report());
    bench.holds(&[&before[..], &books].concat());
}

#[test]
fn ids_that_a_server_gave_to_others_after_it_was_set_back_prove_nothing() {
    let mut bench = Bench::new();
    let books = bench.books(10);
    bench.journaled(&books).args(["-j", "1"]).ok();
    bench.set_back(4);
    // Of the same sizes, so that only the hash tells them apart.
    let others: Vec<_> = (0..6)
        .map(|i| bench.book(&format!("Buch {i}"), "Jan Novák", "epub"))
        .collect();
    assert_eq!(others[0]["size"], books[0]["size"]);
    bench.tool(&others).args(["-j", "1"]).ok();
    assert_eq!(bench.number("select max(id) from source"), 10);
    bench.journaled(&books).ok();
    bench.holds(&[books, others].concat());
}

#[test]
fn an_ebook_that_a_server_set_back_gave_to_others_is_not_taken_for_a_book_s() {
    let mut bench = Bench::new();
    let books = [&bench.books(8)[..], &[bench.equal(17, "epub")]].concat();
    bench.journaled(&books).args(["-j", "1"]).ok();
    bench.set_back(8);
    bench.tool(&[bench.equal(19, "epub")]).ok();
    assert_eq!(bench.number("select max(id) from ebook"), 9);
    let second = bench.equal(18, "epub");
    let ran = bench.journaled(std::slice::from_ref(&second)).ok();
    let told = outcome(&ran, &second);
    assert_eq!((&told["ebook_id"], &told["notes"]), (&json!(9), &json!([])));
}

#[test]
fn files_that_the_server_lost_in_the_middle_are_sent_again() {
    let mut bench = Bench::new();
    let books = bench.books(40);
    bench.journaled(&books).ok();
    bench.remove("id between 10 and 20 or id = 40");
    let ran = bench.journaled(&books).ok();
    assert_eq!(counts(&ran)["uploaded"], 12, "{}", ran.report());
    bench.holds(&books);
}

#[test]
fn duplicates_of_a_journal_that_are_gone_from_the_server_are_sent() {
    let mut bench = Bench::new();
    let books = bench.books(10);
    bench.tool(&books).args(["-j", "1"]).ok();
    bench.journaled(&books).ok();
    bench.set_back(6);
    let ran = bench.journaled(&books).ok();
    assert_eq!(counts(&ran)["uploaded"], 4, "{}", ran.report());
    bench.holds(&books);
}

#[test]
fn the_same_server_may_be_called_otherwise() {
    let bench = Bench::new();
    let books = bench.books(2);
    bench.journaled(&books[..1]).ok();
    let named = |url: String| url.replace("127.0.0.1", "localhost");
    let run = bench.journaled(&books);
    let ran = run
        .env("MBS_API", named(bench.server.api()))
        .env("MBS_WS", named(bench.server.ws()))
        .ok();
    assert_eq!(outcome(&ran, &books[0])["by"], "journal");
    assert_eq!(counts(&ran)["uploaded"], 1);
}

#[test]
fn a_server_that_does_not_answer_is_not_taken_for_another_one() {
    let bench = Bench::new();
    let books = bench.books(1);
    bench.journaled(&books).ok();
    bench.fault(json!({"on": "GET /api/ebooks/*", "kind": "status", "status": 500, "times": 0}));
    bench
        .journaled(&books)
        .code(255)
        .one_line(&["state/journal", "500"]);
}
