use super::*;
use std::{collections::HashSet, fs, path::Path};

/// Reads OpenMetrics text, strictly: what a lenient reader would let pass fails here.
fn figures(file: &Path) -> BTreeMap<String, f64> {
    let text = fs::read_to_string(file).unwrap();
    let body = text.strip_suffix("# EOF\n").expect(&text);
    let mut figures = BTreeMap::new();
    let (mut families, mut family, mut kind) = (HashSet::new(), String::new(), String::new());
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let [word, name, rest] = comment.splitn(3, ' ').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            if name != family {
                assert!(families.insert(name.to_string()), "{name} comes twice");
                family = name.into();
            }
            match word {
                "TYPE" => kind = rest.into(),
                "UNIT" => assert!(name.ends_with(&format!("_{rest}")), "{line}"),
                "HELP" => assert!(!rest.is_empty(), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect(line);
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let suffix = name.strip_prefix(family.as_str()).expect(line);
        let suffixes: &[&str] = match kind.as_str() {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "gauge" => &[""],
            _ => panic!("{kind}: {line}"),
        };
        assert!(suffixes.contains(&suffix), "{kind}: {line}");
        let labels = labels.strip_suffix('}').expect(line);
        for label in labels.split_terminator(',') {
            let (name, value) = label.split_once('=').expect(line);
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{line}"
            );
            assert!(
                value.len() > 2 && value.starts_with('"') && value.ends_with('"'),
                "{line}"
            );
        }
        let value: f64 = value.parse().expect(line);
        assert!(
            figures.insert(series.to_string(), value).is_none(),
            "{series} comes twice"
        );
    }
    histograms(&figures);
    figures
}

/// Buckets only grow, and the last one holds all.
fn histograms(figures: &BTreeMap<String, f64>) {
    let mut buckets: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for (series, &value) in figures
        .iter()
        .filter(|(series, _)| series.contains("_bucket{"))
    {
        let le = series
            .split("le=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        let rest = series
            .replace(&format!("le=\"{le}\""), "")
            .replace(",}", "}");
        let rest = rest.replace("{,", "{").replace("_bucket", "_count");
        let le = if le == "+Inf" {
            f64::INFINITY
        } else {
            le.parse().unwrap()
        };
        buckets.entry(rest).or_default().push((le, value));
    }
    for (count, mut buckets) in buckets {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(
            buckets.is_sorted_by(|a, b| a.1 <= b.1),
            "{count}: {buckets:?}"
        );
        assert_eq!(
            buckets.last(),
            Some(&(f64::INFINITY, figures[&count])),
            "{count}"
        );
    }
}

fn figure(figures: &BTreeMap<String, f64>, name: &str) -> f64 {
    let found = figures.get(&format!("mbs_upload_{name}"));
    *found.unwrap_or_else(|| panic!("{name}: {figures:#?}"))
}

#[test]
fn the_figures_are_there_from_the_start_and_right_at_the_end() {
    let bench = Bench::new();
    let books = bench.books(4);
    bench.tool(&books[..1]).ok();
    let mut records = books.clone();
    records.push(bench.file("a.kepub", "k", meta("K", "A")));
    records.push(bench.file("gone.epub", "g", meta("G", "A")));
    fs::remove_file(bench.dir.join("gone.epub")).unwrap();
    bench.fault(json!({"on": "POST /api/upload", "kind": "status", "status": 500}));
    bench.fault(json!({"on": "TASK metadata", "kind": "delay", "millis": 1500, "times": 0}));
    let file = bench.dir.join("upload.prom");
    let tool = bench.tool(&records).arg("--metrics").arg(&file);
    let tool = tool.args(["-j", "3"]);
    let ran = std::thread::scope(|scope| {
        let ran = scope.spawn(|| tool.code(1));
        harness::wait_for("the figures", DEADLINE, || file.is_file().then_some(()));
        // It is replaced as a whole, so it can be read at any time.
        let now = figures(&file);
        assert_eq!((figure(&now, "running"), figure(&now, "jobs")), (1.0, 3.0));
        ran.join().unwrap()
    });
    let end = figures(&file);
    for (name, value) in [
        ("files_total{outcome=\"uploaded\"}", 3.0),
        ("files_total{outcome=\"duplicate\"}", 1.0),
        ("files_total{outcome=\"unsupported\"}", 1.0),
        ("files_total{outcome=\"failed\"}", 1.0),
        ("files_total{outcome=\"too_big\"}", 0.0),
        ("duplicates_total{by=\"check\"}", 1.0),
        ("duplicates_total{by=\"add\"}", 0.0),
        ("duration_seconds_count{size=\"1MiB\"}", 3.0),
        ("duration_seconds_bucket{le=\"1.0\",size=\"1MiB\"}", 0.0),
        ("retries_total", 1.0),
        ("in_flight", 0.0),
        ("running", 0.0),
    ] {
        assert_eq!(figure(&end, name), value, "{name}: {}", ran.report());
    }
    let bytes: u64 = books[1..]
        .iter()
        .map(|book| book["size"].as_u64().unwrap())
        .sum();
    assert!(figure(&end, "sent_bytes_total") >= bytes as f64);
    assert!(figure(&end, "duration_seconds_sum{size=\"1MiB\"}") >= 4.5);
    let times = ["start_time", "last_end_time", "write_time"];
    let times = times.map(|name| figure(&end, &format!("{name}_seconds")));
    assert!(times[0] > 1.7e9 && times.is_sorted(), "{times:?}");
    let beside = fs::read_dir(bench.dir.path()).unwrap();
    let left: Vec<_> = beside
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("prom"))
        .collect();
    assert_eq!(left, ["upload.prom"]);
}

#[test]
fn figures_that_cannot_be_written_are_told_before_anything_is_done() {
    let bench = Bench::new();
    let file = bench.dir.join("no/such/upload.prom");
    let ran = bench
        .tool(&bench.books(1))
        .arg("--metrics")
        .arg(&file)
        .code(2);
    ran.one_line(&["upload.prom: write the metrics: No such file"]);
    assert_eq!(bench.server.count("POST", "/login"), 0);
}

#[test]
fn a_slow_file_is_told_of_once_with_what_it_waits_for() {
    let bench = Bench::new();
    let books = bench.books(2);
    bench.fault(json!({"on": "TASK metadata", "kind": "delay", "millis": 3500}));
    let ran = bench.tool(&books).args(["--slow", "1s", "-j", "1"]).ok();
    ran.one_line(&[
        "epub: upload: ",
        "slow: under way for",
        "waiting for the engine's metadata task",
    ]);
    bench.holds(&books);
}

/// Runs `-j auto` over many small books and gives the number in flight at the end.
fn settled(bench: &Bench, count: usize) -> f64 {
    let file = bench.dir.join("upload.prom");
    let books = bench.books(count);
    let ran = bench
        .tool(&books)
        .arg("--metrics")
        .arg(&file)
        .args(["-j", "auto", "--max", "8", "--retries", "20"])
        .ok();
    assert_eq!(counts(&ran)["uploaded"], count, "{}", ran.report());
    bench.holds(&books);
    figure(&figures(&file), "jobs")
}

#[test]
fn auto_gives_a_server_that_takes_many_at_a_time_more_than_it_began_with() {
    let bench = Bench::with(Settings {
        tasks: 8,
        task_millis: 300,
        ..Settings::default()
    });
    let jobs = settled(&bench, 90);
    assert!(jobs > 3.0, "{jobs}");
    assert!(bench.server.high_water()["TASK metadata"] > 3);
}

#[test]
fn auto_gives_way_to_a_server_that_refuses_more_than_two_at_a_time() {
    let bench = Bench::with(Settings {
        tasks: 1,
        queue_limit: 1,
        task_millis: 200,
        ..Settings::default()
    });
    let jobs = settled(&bench, 60);
    assert!(jobs < 5.0, "{jobs}");
    assert!(bench.server.high_water()["TASK metadata"] < 6);
}

#[test]
fn a_number_in_flight_is_kept_to() {
    let bench = Bench::with(Settings {
        task_millis: 50,
        ..Settings::default()
    });
    bench.tool(&bench.books(20)).args(["-j", "2"]).ok();
    let most = bench.server.high_water();
    assert_eq!(most["TASK metadata"], 2);
    assert!(most.values().all(|&most| most <= 2), "{most:?}");
    let ran = bench
        .tool(&[])
        .args(["-j", "auto", "--min", "5", "--max", "3"])
        .code(2);
    ran.one_line(&["--min 5: more than --max 3"]);
}
