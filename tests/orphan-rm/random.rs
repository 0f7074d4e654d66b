use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
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

/// One random change of the world.
fn change(world: &World, dice: &mut Dice, names: &[String]) -> String {
    let name = &names[dice.below(names.len())];
    let other = &names[dice.below(names.len())];
    let (path, location) = (
        world.lib(name),
        format!("Stored/{}", name.replace('/', "-")),
    );
    let at_server = world.books(&location);
    let quiet = |done: std::io::Result<()>| drop(done);
    match dice.below(14) {
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
        7 => world.sql(&format!("delete from source where location = '{location}'")),
        8 => world.sql(&format!(
            "update source set size = size + 1 where location = '{location}'"
        )),
        9 => {
            let link = world.books(&format!("Late/{}", dice.below(1_000_000)));
            let _ = fs::create_dir_all(link.parent().unwrap());
            quiet(symlink(&path, link));
        }
        10 => {
            let stem = name.rsplit('/').next().unwrap().trim_end_matches(".epub");
            world.calibre(&format!(
                "insert or ignore into data (book, format, uncompressed_size, name)
                 values (1, 'E{}', 1, '{stem}')",
                dice.below(1000)
            ));
        }
        11 => world.calibre(&format!(
            "update books set path = '{}' where id = 1",
            name.rsplit_once('/').unwrap().0
        )),
        12 => quiet(fs::hard_link(&path, world.lib(&format!("{other}.name")))),
        _ => {
            let time = fs::metadata(&path).and_then(|seen| seen.modified());
            if let Ok(time) = time {
                let _ = fs::write(&path, format!("{:04}", dice.below(10_000)));
                let file = fs::File::options().write(true).open(&path);
                quiet(file.and_then(|file| file.set_modified(time)));
            }
        }
    }
    name.clone()
}

/// Whatever happens between scan and removal: what goes is somewhere else, for certain.
#[test]
fn no_file_goes_whose_bytes_are_not_provably_elsewhere() {
    let operations: usize = std::env::var("ORPHAN_RM_OPERATIONS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(80);
    let seed = std::env::var("ORPHAN_RM_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let mut dice = Dice(seed.unwrap_or(0x2545_f491_4f6c_dd1d));
    let (mut done, mut removed) = (0, 0);
    while done < operations {
        let seed = dice.0;
        let world = World::new();
        let names: Vec<String> = (0..12)
            .map(|i| format!("A{}/T ({i})/x{i}.epub", i % 3))
            .collect();
        let findings: Vec<Value> = names
            .iter()
            .enumerate()
            .map(|(i, name)| world.orphan(name, format!("{i:04}").as_bytes()))
            .collect();
        for _ in 0..dice.below(20) {
            change(&world, &mut dice, &names);
            done += 1;
        }
        let before = files_below(&world.lib(""));
        let ran = world.rm(&findings).arg("--apply").ok();
        let trash = world.trash();
        for removal in ran.of_type("removal") {
            if removal["outcome"] != "removed" {
                continue;
            }
            removed += 1;
            let said = format!("seed {seed}: {removal}\n{}", ran.report());
            let gone = fs::metadata(removal["trash"].as_str().unwrap()).expect(&said);
            let hash = sha1(Path::new(removal["trash"].as_str().unwrap()));
            // A row with this hash and size, whose file is another one of these bytes.
            let rows = world.query(&format!(
                "select location from source where hash = '{hash}' and size = {}",
                gone.size()
            ));
            let elsewhere = rows.iter().flatten().flatten().any(|location| {
                let stored = world.books(location);
                fs::metadata(&stored).is_ok_and(|seen| seen.ino() != gone.ino())
                    && sha1(&stored) == hash
            });
            assert!(elsewhere, "{said}");
            // No link dangles for it.
            for link in ["Late", "Stored"] {
                for entry in fs::read_dir(world.books(link))
                    .into_iter()
                    .flatten()
                    .flatten()
                {
                    if let Ok(to) = fs::read_link(entry.path()) {
                        assert_ne!(
                            Some(to.to_str().unwrap()),
                            removal["path"].as_str(),
                            "{said}"
                        );
                    }
                }
            }
        }
        // Nothing is lost: every file is there or in the quarantine, its bytes as they were.
        let after = files_below(&world.lib(""));
        for file in &before {
            assert!(
                after.contains(file) || trash.contains(file),
                "seed {seed}: {file:?}"
            );
        }
    }
    assert!(removed > 0, "nothing ever went");
}
