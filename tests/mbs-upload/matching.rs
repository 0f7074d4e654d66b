use super::*;

#[test]
fn a_later_run_finds_the_ebook_of_an_earlier_one() {
    let bench = Bench::new();
    let titles = [
        "Two Words",
        "C",
        "AC/DC Live",
        "100% sure_thing x\\y",
        "..",
        "3.14 reasons",
        "Kniha",
        "?",
        "Čapek’s „dream“",
    ];
    let book = |title: &str, extension: &str| bench.book(title, "Anna Nováková-Malá", extension);
    let first: Vec<_> = titles.iter().map(|title| book(title, "epub")).collect();
    // Other books whose titles begin alike must not be taken for these.
    let others: Vec<_> = ["C One", "Kniha 10", "Two Words More", "AC"]
        .iter()
        .map(|t| book(t, "pdf"))
        .collect();
    bench.tool(&[others.clone(), first.clone()].concat()).ok();
    assert_eq!(bench.ebooks(), (first.len() + others.len()) as i64);
    let second: Vec<_> = titles.iter().map(|title| book(title, "txt")).collect();
    let ran = bench.tool(&second).ok();
    bench.holds(&[others, first, second].concat());
    let made = bench.ebooks();
    assert_eq!(made, 13, "{}", ran.report());
}

#[test]
fn bug_the_title_is_compared_where_the_official_client_forgets_it() {
    let bench = Bench::new();
    bench
        .tool(&[bench.book("C One", "Ann Author", "epub")])
        .ok();
    let c = bench.book("C", "Ann Author", "epub");
    bench.tool(std::slice::from_ref(&c)).ok();
    assert_eq!(bench.ebooks(), 2);
    assert_eq!(bench.shelf(&c)[0].as_deref(), Some("C"));
}

#[test]
fn too_many_titles_that_begin_alike_do_not_hide_the_right_one() {
    let bench = Bench::new();
    let insert = "with a as (insert into author (version_id, created, modified, last_name, first_name)
          values (1, now(), now(), 'Many', 'B') returning id),
        e as (insert into ebook (version_id, created, modified, title, language_id, base_dir)
          select 1, now(), now(), 'A' || n, 2, 'x' || n from generate_series(100, 250) n returning id),
        s as (insert into source (version_id, created, modified, ebook_id, location, format_id, size, hash)
          select 1, now(), now(), id, 'x', 8, id, 'h' || id from e)
        insert into ebook_authors select e.id, a.id from e, a returning 1";
    assert_eq!(bench.server.query(insert).len(), 151);
    let first = bench.book("a", "B Many", "epub");
    let second = bench.book("a", "B Many", "pdf");
    bench.tool(&[first]).ok();
    bench.tool(&[second]).ok();
    assert_eq!(bench.ebooks(), 152);
}
