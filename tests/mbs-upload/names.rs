use mbs_upload::model::claim;

use super::{
    claims::{both, ended, lock, started},
    *,
};

impl Bench {
    /// The server takes its time between looking for a name and making it.
    fn slow_at_names(&self) {
        let slow = "create function slow() returns trigger language plpgsql as
            'begin perform pg_sleep(0.15); return new; end'";
        self.server.execute(slow);
        for table in ["author", "series"] {
            let trigger = format!(
                "create trigger slow before insert on {table} for each row execute function slow()"
            );
            self.server.execute(&trigger);
        }
    }

    /// What the server has by name, once for each row.
    fn names(&self) -> [Vec<String>; 2] {
        let all = |sql| {
            let rows = self.server.query(sql).into_iter();
            rows.map(|mut row| row.remove(0).unwrap()).collect()
        };
        [
            all("select concat_ws(', ', last_name, first_name) from author order by 1"),
            all("select title from series order by 1"),
        ]
    }

    fn volume(&self, title: &str, author: &str, series: &str, index: i64) -> Value {
        let mut book = self.book(title, author, "epub");
        (book["series"], book["series_index"]) = (json!(series), json!(index));
        book
    }
}

/// Case by case: PostgreSQL's order of names depends on its locale.
fn sorted(names: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    names.sort();
    names
}

#[test]
fn a_new_author_of_several_books_in_flight_is_made_once() {
    let bench = Bench::new();
    bench.slow_at_names();
    let books = bench.books(8);
    bench.tool(&books).args(["-j", "8"]).ok();
    bench.holds(&books);
    assert_eq!(bench.names()[0], ["Novák, Jan"]);
}

#[test]
fn authors_and_a_series_that_several_books_share_are_made_once_and_nobody_waits_for_ever() {
    let bench = Bench::new();
    bench.slow_at_names();
    let books: Vec<Value> = (0..12)
        .map(|i| {
            let mut book = bench.volume(&format!("Book {i}"), "-", ["S", "T"][i % 2], i as i64);
            let names = ["Ann A", "Bo B", "Cy C", "Di D"];
            let authors: Vec<&str> = (0..3).map(|k| names[(i * (k + 1) + k) % 4]).collect();
            book["author_sorts"] = authors.iter().map(|author| sort(author)).collect();
            book["authors"] = json!(authors);
            book
        })
        .collect();
    bench.tool(&books).args(["-j", "12"]).ok();
    bench.holds(&books);
    let [authors, series] = bench.names();
    assert_eq!(authors, ["A, Ann", "B, Bo", "C, Cy", "D, Di"]);
    assert_eq!(series, ["S", "T"]);
}

#[test]
fn a_series_in_other_letters_is_made_once_and_an_author_as_the_server_tells_them_apart() {
    let bench = Bench::new();
    bench.slow_at_names();
    let series = ["Šperky", "ŠPERKY", "šperky", "ŠPErky"];
    let authors = ["Jan Novák", "Jan NOVÁK", "Jan Nova\u{301}k", "Jan Novák"];
    let books: Vec<Value> = (0..8)
        .map(|i| {
            let (series, author) = (series[i % 4], authors[i % 4]);
            bench.volume(&format!("Book {i}"), author, series, i as i64)
        })
        .collect();
    bench.tool(&books).args(["-j", "8"]).ok();
    bench.holds(&books);
    let [mut names, made] = bench.names();
    assert_eq!(made.len(), 1, "{made:?}");
    names.sort();
    assert_eq!(
        names,
        sorted(&["Novák, Jan", "NOVÁK, Jan", "Nova\u{301}k, Jan"])
    );
}

#[test]
fn names_that_several_uploaders_need_are_made_once() {
    let bench = Bench::new();
    bench.slow_at_names();
    let books: Vec<Value> = (0..16)
        .map(|i| {
            let author = format!("Jan Novák{}", i / 4);
            let series = ["Šperky", "ŠPERKY"][i % 2];
            bench.volume(&format!("Book {i}"), &author, series, i as i64)
        })
        .collect();
    let (ours, theirs): (Vec<_>, Vec<_>) = books
        .iter()
        .cloned()
        .enumerate()
        .partition(|(i, _)| i % 2 == 0);
    let only =
        |books: Vec<(usize, Value)>| books.into_iter().map(|(_, book)| book).collect::<Vec<_>>();
    let run = |books: &[Value]| bench.claiming(books).args(["-j", "4"]);
    both(run(&only(ours)), run(&only(theirs)));
    bench.holds(&books);
    let [authors, series] = bench.names();
    assert_eq!(
        authors,
        ["Novák0, Jan", "Novák1, Jan", "Novák2, Jan", "Novák3, Jan"]
    );
    assert_eq!(series.len(), 1, "{series:?}");
}

#[test]
fn a_book_made_by_others_while_names_were_waited_for_without_its_lock_is_found() {
    let bench = Bench::new();
    let book = bench.book("T", "Jan Novák", "epub");
    let mut rival = bench.rival();
    let author = claim::author("Novák", "Jan");
    lock(&mut rival, author);
    let tool = started(bench.claiming(&[]), std::slice::from_ref(&book));
    let asked = format!(
        "select 1 from pg_stat_activity where datname = current_database() and application_name = 'mbs-upload'
            and query like '%pg_try_advisory_lock%{{{}}}%'",
        author as i64
    );
    harness::wait_for("the author to be waited for", DEADLINE, || {
        (!bench.server.query(&asked).is_empty()).then_some(())
    });
    // Its connection, and with it its book, is lost while it waits for the author.
    assert_eq!(bench.cut_locks(), 1);
    bench.tool(&[bench.book("T", "Jan Novák", "pdf")]).ok();
    drop(rival);
    assert_eq!(ended(tool)[0]["outcome"], "uploaded");
    assert_eq!(bench.ebooks(), 1);
}
