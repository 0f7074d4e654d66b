//! Archives made block by block, whole and damaged.

use proptest::prelude::*;

use super::*;

fn header(kind: u8, name: &[u8], size: &[u8]) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    block[..name.len()].copy_from_slice(name);
    block[124..124 + size.len()].copy_from_slice(size);
    block[136..147].copy_from_slice(b"14522562471");
    block[156] = kind;
    sealed(block)
}

fn sealed(mut block: Vec<u8>) -> Vec<u8> {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

fn entry(kind: u8, name: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = header(
        kind,
        name.as_bytes(),
        format!("{:011o}", content.len()).as_bytes(),
    );
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

fn archive(parts: &[Vec<u8>]) -> Vec<u8> {
    let end = vec![0; 2 * BLOCK];
    [&parts.concat()[..], &end].concat()
}

/// All entries, each file with its bytes, and whether there may have been more.
fn walk(bytes: &[u8]) -> (Vec<(Entry, Vec<u8>)>, bool) {
    let mut archive = Archive::new(bytes, bytes.len() as u64);
    let (mut all, mut buffer) = (Vec::new(), [0; 700]);
    while let Some(entry) = archive.next_entry().unwrap() {
        let mut content = Vec::new();
        if let Entry::File(_) = entry {
            loop {
                match archive.read(&mut buffer).unwrap() {
                    0 => break,
                    count => content.extend_from_slice(&buffer[..count]),
                }
            }
        }
        all.push((entry, content));
    }
    (all, archive.is_cut())
}

fn names(bytes: &[u8]) -> Vec<String> {
    let name = |(entry, _): (Entry, _)| match entry {
        Entry::File(member) => shown(&member.name),
        Entry::Refused(member, why) => format!("{}: {why}", shown(&member.name)),
        Entry::Damaged(why) => why,
    };
    walk(bytes).0.into_iter().map(name).collect()
}

#[test]
fn the_seventh_edition_knew_neither_letters_nor_folders() {
    let bytes = archive(&[entry(0, "folder/", b""), entry(0, "folder/a", b"abc")]);
    let (all, cut) = walk(&bytes);
    assert!(!cut);
    let [(Entry::File(member), content)] = &all[..] else {
        panic!("{all:?}")
    };
    assert_eq!(
        (member.offset, member.size, &content[..]),
        (1024, 3, &b"abc"[..])
    );
    assert_eq!(member.mtime, Some(0o14522562471 * 1_000_000_000));
    assert_eq!(&bytes[1024..1027], b"abc");
}

#[test]
fn sizes_in_binary_are_believed_only_as_far_as_the_archive_goes() {
    let binary = |size: &[u8; 12]| [header(b'0', b"a", size), b"abc".to_vec(), vec![0; 509]];
    let three = archive(&binary(b"\x80\0\0\0\0\0\0\0\0\0\0\x03"));
    assert_eq!(names(&three), ["a"]);
    for size in [
        b"\x80\0\0\0\0\0\0\x30\0\0\0\0",
        b"\x80\0\0\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let (all, cut) = walk(&archive(&binary(size)));
        assert!(
            cut && matches!(&all[..], [(Entry::Refused(..), _)]),
            "{all:?}"
        );
    }
    // Beyond 64 bits, and below zero.
    for size in [
        b"\x80\0\x01\0\0\0\0\0\0\0\0\x03",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfd",
    ] {
        assert!(names(&archive(&binary(size)))[0].contains("no number"));
    }
}

#[test]
fn an_extended_header_too_large_to_be_a_name_costs_its_member_and_no_other() {
    let huge = vec![b'n'; (1 << 20) + 1];
    for kind in [b'x', b'L', b'K'] {
        let bytes = archive(&[
            entry(b'0', "a", b"A"),
            entry(kind, "x", &huge),
            entry(b'0', "b", b"B"),
            entry(b'0', "c", b"C"),
        ]);
        let all = names(&bytes);
        assert_eq!(
            (&all[0][..], &all[2][..], all.len()),
            ("a", "c", 3),
            "{all:?}"
        );
        assert!(
            all[1].contains("b: its extended header is larger"),
            "{all:?}"
        );
        assert!(!walk(&bytes).1, "each member has its line");
    }
    // What it says of all that follow, nobody knows.
    let all = names(&archive(&[entry(b'g', "g", &huge), entry(b'0', "a", b"A")]));
    assert!(
        all.len() == 1 && all[0].contains("a: a header before it"),
        "{all:?}"
    );
}

#[test]
fn a_damaged_header_costs_its_member_and_no_other() {
    let mut bytes = archive(&[
        entry(b'0', "a", b"A"),
        entry(b'0', "b", &[b'B'; 1000]),
        entry(b'0', "c", b"C"),
    ]);
    bytes[1024 + 3] ^= 1;
    let (all, cut) = walk(&bytes);
    assert!(cut);
    let [
        (Entry::File(a), _),
        (Entry::Damaged(why), _),
        (Entry::File(c), _),
    ] = &all[..]
    else {
        panic!("{all:?}")
    };
    assert_eq!((&a.name[..], &c.name[..]), (&b"a"[..], &b"c"[..]));
    assert!(
        why.contains("byte 1024") && why.contains("from byte 2560"),
        "{why}"
    );
}

#[test]
fn zeros_where_a_header_was_do_not_hide_what_follows() {
    let mut bytes = archive(&[
        entry(b'0', "a", b"A"),
        entry(b'0', "b", b"B"),
        entry(b'0', "c", b"C"),
    ]);
    // A bad sector: half of a's end and b's header with its content read as zeros.
    bytes[1024..2048].fill(0);
    let all = names(&bytes);
    assert_eq!((&all[0][..], &all[2][..], all.len()), ("a", "c", 3));
    assert!(all[1].contains("zeros from byte 1024 on"), "{all:?}");
    assert!(walk(&bytes).1);
    // And one block alone, or the very first.
    for lost in [512..1024, 0..512] {
        let mut bytes = archive(&[
            entry(b'0', "a", b""),
            entry(b'0', "b", b"B"),
            entry(b'0', "c", b""),
        ]);
        bytes[lost].fill(0);
        assert!(walk(&bytes).1, "{:?}", names(&bytes));
    }
    // The same before bytes that are no header.
    bytes[2048] ^= 1;
    assert!(names(&bytes)[1].contains("is no archive"));
}

#[test]
fn only_two_blocks_of_zeros_and_padding_are_an_end() {
    let members = entry(b'0', "a", b"A");
    let ended = |zeros: usize| {
        let (all, cut) = walk(&[&members[..], &vec![0; zeros]].concat());
        assert_eq!(all.len() - 1, usize::from(cut), "{zeros}");
        !cut
    };
    assert!(ended(1024) && ended(10240 - 1024) && ended(1024 + 10240 - 512));
    assert!(!ended(0) && !ended(512) && !ended(1024 + 511) && !ended(100) && !ended(600));
    assert!(!ended(1024 + 10240) && !ended(100 << 10));
    assert!(
        ended((64 << 10) - 1024) && ended((1 << 20) - 1024),
        "-b 128 and -b 2048"
    );
    assert!(!ended((1 << 20) - 512) && !ended((2 << 20) - 1024));
    assert!(!walk(&[0; 10240]).1, "an archive of nothing");
}

#[test]
fn an_extended_header_without_its_member_is_a_loss() {
    let lone = archive(&[
        entry(b'0', "a", b"A"),
        entry(b'x', "x", b"17 path=long/nam\n"),
    ]);
    let (all, cut) = walk(&lone);
    assert!(cut && all.len() == 2, "{all:?}");
    // Its member's header reads as zeros: what follows must not be taken for it.
    let mut bytes = archive(&[
        entry(b'x', "x", b"17 path=long/nam\n"),
        entry(b'0', "a", b""),
        entry(b'0', "b", b"B"),
    ]);
    bytes[1024..1536].fill(0);
    assert_eq!(names(&bytes)[1..], ["b"]);
    // One whose size is no number.
    let broken = [header(b'x', b"x", b"z"), entry(b'0', "b", b"B")];
    assert_eq!(names(&archive(&broken))[1..], ["b"]);
}

#[test]
fn archives_joined_are_one_and_dirt_behind_is_told_of() {
    let one = archive(&[entry(b'0', "a", b"A")]);
    let two = archive(&[entry(b'0', "b", b"B")]);
    let joined = names(&[one.clone(), vec![0; 9216], two].concat());
    assert_eq!((&joined[0][..], &joined[2][..]), ("a", "b"));
    assert!(
        joined[1].contains("unless archives were joined"),
        "{joined:?}"
    );
    let dirt = names(&[one, vec![7; 600]].concat());
    assert!(dirt[1].contains("behind its end mark"), "{dirt:?}");
}

#[test]
fn one_name_or_size_for_all_is_refused() {
    for body in ["16 path=../../x\n", "11 size=99\n"] {
        let all = names(&archive(&[
            entry(b'g', "g", body.as_bytes()),
            entry(b'0', "a", b"A"),
        ]));
        assert!(
            all.len() == 1 && all[0].contains("a: a header before it"),
            "{all:?}"
        );
    }
    let comment = entry(b'g', "g", b"18 comment=012345\n");
    assert_eq!(names(&archive(&[comment, entry(b'0', "a", b"A")])), ["a"]);
}

#[test]
fn an_extended_header_is_for_the_next_member_only() {
    let all = names(&archive(&[
        entry(b'x', "x", b"17 path=long/nam\n"),
        entry(b'0', "a", b"A"),
        entry(b'0', "b", b"B"),
        entry(b'L', "././@LongLink", b"longer\0"),
        entry(b'0', "c", b"C"),
        entry(b'x', "x", b"99 path=long/name\n"),
        entry(b'0', "d", b"D"),
        entry(b'x', "x", b"22 GNU.sparse.major=1\n"),
        entry(b'0', "e", b"E"),
    ]));
    assert_eq!(all[..3], ["long/nam", "b", "longer"]);
    assert!(
        all[3].contains("d: its extended header is damaged"),
        "{all:?}"
    );
    assert!(all[4].contains("e: a sparse file"), "{all:?}");
}

#[test]
fn what_is_no_file_is_passed_over_to_its_end() {
    let mut sparse = header(b'S', b"s", b"00000000003");
    sparse[482] = 1;
    let mut map = vec![0; BLOCK];
    map[504] = 1;
    let sparse = [
        sealed(sparse),
        map,
        vec![0; BLOCK],
        b"abc".to_vec(),
        vec![0; 509],
    ]
    .concat();
    // A hard link may tell the size of what it leads to, and has no bytes.
    let mut link = header(b'1', b"l", b"00000005000");
    link[157..160].copy_from_slice(b"s\0\0");
    let all = names(&archive(&[
        sparse,
        sealed(link),
        entry(b'D', "dump", b"Yfile\0\0"),
        entry(b'Z', "z", b"zzz"),
        entry(b'0', "a", b"A"),
    ]));
    assert!(all[0].contains("s: a sparse file"), "{all:?}");
    assert!(all[1].contains("l: a hard link to s"), "{all:?}");
    assert!(all[2].contains("z: of the unknown kind 'Z'"), "{all:?}");
    assert_eq!(all[3..], ["a"]);
}

fn sample() -> (Vec<u8>, Vec<(u64, u64)>) {
    let bytes = archive(&[
        entry(b'0', "a", &[b'A'; 700]),
        entry(b'x', "x", b"17 path=long/nam\n"),
        entry(b'0', "b", &[b'B'; 512]),
        entry(b'5', "folder/", b""),
        entry(b'0', "empty", b""),
        entry(b'L', "././@LongLink", &[b'n'; 300]),
        entry(b'0', "c", b"C"),
    ]);
    let files = |(entry, _)| match entry {
        Entry::File(member) => Some((member.offset, member.size)),
        _ => None,
    };
    let all = walk(&bytes).0.into_iter().filter_map(files).collect();
    (bytes, all)
}

proptest! {
    #[test]
    fn cut_anywhere_it_gives_what_is_whole_and_says_so(at in 0_usize..8000) {
        let (bytes, all) = sample();
        let at = at.min(bytes.len());
        let (entries, cut) = walk(&bytes[..at]);
        let whole: Vec<_> = all.iter().filter(|(offset, size)| offset + size <= at as u64).collect();
        let found: Vec<_> = entries.iter().filter_map(|(entry, _)| match entry {
            Entry::File(member) => Some((member.offset, member.size)),
            _ => None,
        }).collect();
        prop_assert_eq!(found.iter().collect::<Vec<_>>(), whole);
        prop_assert_eq!(cut, at < bytes.len());
        prop_assert_eq!(entries.len() - found.len(), usize::from(cut));
    }

    #[test]
    fn whatever_is_damaged_the_walk_ends_and_stays_within(
        damage in prop::collection::vec((0_usize..6000, any::<u8>()), 0..40),
        resealed in any::<bool>(),
    ) {
        let (mut bytes, _) = sample();
        for (at, byte) in damage {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        if resealed {
            // With checksums that are right, so that what the headers say is believed.
            for block in bytes.chunks_exact_mut(BLOCK).filter(|block| block.iter().any(|&b| b != 0)) {
                let right = sealed(block.to_vec());
                block.copy_from_slice(&right);
            }
        }
        let (entries, _) = walk(&bytes);
        let mut end = 0;
        for (entry, content) in entries {
            if let Entry::File(member) = entry {
                prop_assert!(member.offset >= end);
                end = member.offset + member.size;
                prop_assert!(end <= bytes.len() as u64);
                prop_assert_eq!(&bytes[member.offset as usize..end as usize], &content[..]);
                prop_assert!(refused(&member.name).is_none());
            }
        }
    }
}
