use super::*;

impl Bench {
    fn empty(&mut self) {
        let sql = "truncate ebook, source, upload, author, series restart identity cascade";
        self.server.cluster().execute("ebooks", sql);
    }

    fn remove(&mut self, ids: &str) {
        let sql = format!("delete from ebook where id in ({ids})");
        self.server.cluster().execute("ebooks", &sql);
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
    // Nor is it the same again when some of the files have come back, in the same order.
    bench.tool(&books[..3]).args(["-j", "1"]).ok();
    bench.journaled(&books).code(3);
    let ran = bench.journaled(&books).arg("--new-server").ok();
    assert_eq!(
        counts(&ran),
        [("duplicate".into(), 3), ("uploaded".into(), 7)].into()
    );
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
fn a_server_set_back_to_a_backup_is_refused() {
    let mut bench = Bench::new();
    let books = bench.books(8);
    bench.journaled(&books).args(["-j", "1"]).ok();
    bench.remove("2,3,4,5,6,7,8");
    assert_eq!(bench.ebooks(), 1);
    bench.journaled(&books).code(3);
}

#[test]
fn ebooks_that_a_user_removes_do_not_block() {
    let mut bench = Bench::new();
    let books = bench.books(4);
    bench.journaled(&books).args(["-j", "1"]).ok();
    for gone in ["4", "1"] {
        bench.remove(gone);
        let ran = bench.journaled(&books).ok();
        assert_eq!(counts(&ran), [("duplicate".into(), 4)].into());
    }
    // Removed on purpose: it does not come back.
    assert_eq!(bench.ebooks(), 2);
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
