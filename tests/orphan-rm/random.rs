use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::world::{World, files_below, sha1};

/// Small and without a pattern that matters; the seed is told, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }
}

/// What is to be done in the databases; each is opened once for all of it.
#[derive(Default)]
struct Sql {
    server: String,
    calibre: String,
}

/// One random change of the world.
fn change(world: &World, dice: &mut Dice, names: &[String], sql: &mut Sql) {
    let name = &names[dice.below(names.len())];
    let other = &names[dice.below(names.len())];
    let (folder, file) = name.rsplit_once('/').unwrap();
    let stem = file.trim_end_matches(".epub");
    let location = format!("Stored/{}", name.replace('/', "-"));
    let (path, at_server) = (world.lib(name), world.books(&location));
    let number = dice.below(1_000_000_000);
    let late = world.books(&format!("Late/{number}"));
    let quiet = |done: std::io::Result<()>| drop(done);
    let on_record = |stem: &str| {
        format!(
            "insert into books (id, title, sort, path, uuid)
             values ({0}, 'x', 'x', '{folder}', 'u{0}');
             insert into data (book, format, uncompressed_size, name)
             values ({0}, 'EPUB', 4, '{stem}');",
            number + 100
        )
    };
    match dice.below(22) {
        0 => quiet(fs::write(&path, format!("new {}", dice.below(9)))),
        1 => quiet(fs::remove_file(&path)),
        2 => quiet(fs::rename(&path, world.lib(other))),
        3 => quiet(fs::remove_file(&at_server)),
        4 => quiet(fs::write(&at_server, b"rot")),
        5 => {
            let _ = fs::remove_file(&at_server);
            quiet(symlink(&path, &at_server));
        }
        6 => {
            let _ = fs::remove_file(&at_server);
            quiet(fs::hard_link(&path, &at_server));
        }
        7 => sql.server += &format!("delete from source where location = '{location}';"),
        8 => {
            sql.server +=
                &format!("update source set size = size + 1 where location = '{location}';");
        }
        9 => quiet(symlink(&path, late)),
        10 => sql.calibre += &on_record(stem),
        11 => sql.calibre += &on_record("lost"),
        12 => quiet(fs::hard_link(&path, world.lib(&format!("{other}.name")))),
        13 => {
            // Other bytes of the same length, and the old time.
            if let Ok(time) = fs::metadata(&path).and_then(|seen| seen.modified()) {
                let _ = fs::write(&path, format!("{:04}", dice.below(10_000)));
                let file = fs::File::options().write(true).open(&path);
                quiet(file.and_then(|file| file.set_modified(time)));
            }
        }
        14 => {
            quiet(symlink(&path, &late));
            sql.server += &row(&format!("Late/{number}"), 4, &"7".repeat(40));
        }
        15 => {
            quiet(fs::rename(&at_server, &late));
            sql.server += &format!(
                "update source set location = 'Late/{number}' where location = '{location}';"
            );
        }
        16 => {
            let hash = "8".repeat(40);
            sql.server +=
                &format!("update source set hash = '{hash}' where location = '{location}';");
        }
        17 => {
            let aside = world.lib(&format!("{folder} moved {number}"));
            if fs::rename(world.lib(folder), &aside).is_ok() {
                quiet(symlink(&aside, world.lib(folder)));
            }
        }
        18 => {
            let file = fs::File::options().write(true).open(&path);
            quiet(file.and_then(|file| file.set_modified(std::time::SystemTime::now())));
        }
        19 => quiet(symlink(world.lib(folder), late)),
        20 => {
            // The server's file made anew with the same bytes: a change that harms nobody.
            if let Ok(bytes) = fs::read(&at_server) {
                let _ = fs::remove_file(&at_server);
                quiet(fs::write(&at_server, bytes));
            }
        }
        _ => quiet(fs::write(world.lib(&format!("{folder}/metadata.db")), b"")),
    }
}

fn row(location: &str, size: usize, hash: &str) -> String {
    format!(
        "insert into source
           (version_id, created, modified, ebook_id, location, format_id, size, hash)
         values (1, now(), now(), 1, '{location}', 8, {size}, '{hash}');"
    )
}

/// Orphans of which the server has a copy each, two in a folder.
fn orphans(world: &World, names: &[String]) -> Vec<Value> {
    let mut rows = String::new();
    let mut findings = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let bytes = format!("{i:04}");
        let location = format!("Stored/{}", name.replace('/', "-"));
        let stored = world
            .work
            .write(Path::new("data/books").join(&location), &bytes);
        rows += &row(&location, bytes.len(), &sha1(&stored));
        world.stray(name, bytes.as_bytes());
        findings.push(world.finding(name, "untracked_on_server"));
    }
    world.sql(&rows);
    fs::create_dir_all(world.books("Late")).unwrap();
    findings
}

/// The world after a run, each part read once and not by the tool.
struct After {
    /// Stored files by SHA-1 and size of their rows.
    rows: HashMap<(String, u64), Vec<String>>,
    /// Where the store's links lead.
    links: HashSet<PathBuf>,
    /// Files on record, by their folders.
    on_record: HashMap<PathBuf, Vec<PathBuf>>,
}

impl After {
    fn of(world: &World) -> After {
        let mut rows: HashMap<_, Vec<String>> = HashMap::new();
        for row in world.query("select hash, size, location from source") {
            let [Some(hash), Some(size), Some(location)] = row.as_slice() else {
                continue;
            };
            let of = (hash.clone(), size.parse().unwrap());
            rows.entry(of).or_default().push(location.clone());
        }
        let entries = ["Late", "Stored"].map(|folder| fs::read_dir(world.books(folder)).unwrap());
        let links = entries
            .into_iter()
            .flatten()
            .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
        let db = rusqlite::Connection::open(world.lib("metadata.db")).unwrap();
        let mut books = db
            .prepare("select path, name from data join books on books.id = book")
            .unwrap();
        let mut on_record: HashMap<_, Vec<PathBuf>> = HashMap::new();
        let found = books.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        for book in found.unwrap() {
            let (folder, name): (String, String) = book.unwrap();
            let folder = world.lib(&folder);
            let file = folder.join(format!("{name}.epub"));
            on_record.entry(folder).or_default().push(file);
        }
        After {
            rows,
            links: links.collect(),
            on_record,
        }
    }

    /// Why this removal was wrong.
    fn wrong(&self, world: &World, removal: &Value, finding: &Value) -> Option<&'static str> {
        let trash = Path::new(removal["trash"].as_str().unwrap());
        let path = Path::new(removal["path"].as_str().unwrap());
        let Ok(gone) = fs::metadata(trash) else {
            return Some("it is not in the quarantine");
        };
        let hash = sha1(trash);
        let inode = gone.ino().to_string();
        if finding["sha1"] != *hash || finding["inode"] != *inode {
            return Some("it is another file than the one that was found");
        }
        let mut stored = self.rows.get(&(hash.clone(), gone.size())).into_iter();
        let elsewhere = |location: &String| {
            let stored = world.books(location);
            fs::metadata(&stored)
                .is_ok_and(|seen| (seen.dev(), seen.ino()) != (gone.dev(), gone.ino()))
                && sha1(&stored) == hash
        };
        if !stored.any(|locations| locations.iter().any(elsewhere)) {
            return Some("its bytes are not elsewhere");
        }
        if path.ancestors().any(|path| self.links.contains(path)) {
            return Some("a link leads to it");
        }
        for file in self.on_record.get(path.parent()?).into_iter().flatten() {
            if file == path {
                return Some("Calibre has it on record");
            }
            if !file.exists() {
                return Some("Calibre would have healed a book with it");
            }
        }
        None
    }
}

/// Whatever happens between scan and removal: what goes is somewhere else, for certain.
#[test]
fn no_file_goes_whose_bytes_are_not_provably_elsewhere() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let operations = number("ORPHAN_RM_OPERATIONS").unwrap_or(300) as usize;
    let mut dice = Dice(number("ORPHAN_RM_SEED").unwrap_or(0x2545_f491_4f6c_dd1d));
    let files = (operations / 2).min(300);
    let (mut done, mut rounds, mut removed, mut kept) = (0, 0, 0, BTreeMap::new());
    while done < operations {
        let seed = dice.0;
        let world = World::new();
        let names: Vec<String> = (0..files)
            .map(|i| format!("A{}/T ({})/x{i}.epub", i / 6, i / 2))
            .collect();
        let findings = orphans(&world, &names);
        let mut sql = Sql::default();
        let count = files + dice.below(2 * files);
        for _ in 0..count {
            change(&world, &mut dice, &names, &mut sql);
        }
        world.sql(&sql.server);
        world.calibre(&sql.calibre);
        (done, rounds) = (done + count, rounds + 1);

        let before = files_below(&world.lib(""));
        // More than are left, where many were removed.
        let run = world.rm(&findings);
        let ran = run.arg("--apply").ok();
        let removals = ran.of_type("removal");
        assert_eq!(removals.len(), findings.len(), "{}", ran.report());
        let after = After::of(&world);
        for (removal, finding) in removals.iter().map(|removal| {
            let of = |finding: &&Value| finding["path"] == removal["path"];
            (removal, findings.iter().find(of).unwrap())
        }) {
            if removal["outcome"] == "removed" {
                removed += 1;
                let wrong = after.wrong(&world, removal, finding);
                assert_eq!(wrong, None, "seed {seed}: {removal}\n{}", ran.stderr());
            } else {
                assert_eq!(removal["outcome"], "kept", "seed {seed}: {removal}");
                let why = removal["why"].as_str().unwrap();
                let gist: String = why
                    .chars()
                    .filter(|c| !c.is_ascii_digit())
                    .take(50)
                    .collect();
                *kept.entry(gist).or_insert(0) += 1;
            }
        }
        // Nothing is lost: every file is there or in the quarantine, its bytes as they were.
        let mut there: HashMap<String, Vec<u8>> = files_below(&world.lib("")).into_iter().collect();
        for (path, bytes) in world.trash() {
            assert_eq!(
                there.insert(path, bytes),
                None,
                "seed {seed}: two of one path"
            );
        }
        let lost = before
            .iter()
            .find(|(path, bytes)| there.get(path) != Some(bytes));
        assert_eq!(lost, None, "seed {seed}");
    }
    assert!(removed > 0, "nothing ever went");
    println!("{done} operations in {rounds} rounds: {removed} removed, kept: {kept:#?}");
}
