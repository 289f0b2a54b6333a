use std::collections::HashSet;
use std::sync::Arc;

use proptest::prelude::*;
use rusqlite::{Connection, params};

use super::*;
use crate::store::Scored;
use crate::store::best::Best;
use crate::store::bm25::{Impact, weight};
use crate::store::mapped::Reach;

fn collection() -> Collection {
    Collection::sample(3)
}

/// A database with a chunk for each text, ids from 1; all are cut from one page.
fn database(texts: &[String]) -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(
        "CREATE TABLE chunks (id INTEGER PRIMARY KEY, collection_id, document_id, page, start, end);
         CREATE TABLE pages (document_id INTEGER, number INTEGER, text TEXT);
         INSERT INTO chunks VALUES (900000, 2, 1, 1, 0, 1);",
    )
    .unwrap();
    let mut start = 0;
    for (text, id) in texts.iter().zip(1..) {
        let end = start + text.chars().count() as i64;
        let sql = "INSERT INTO chunks VALUES (?1, 1, 1, 1, ?2, ?3)";
        db.execute(sql, params![id, start, end]).unwrap();
        start = end + 1;
    }
    let page = texts.join(" ");
    let sql = "INSERT INTO pages VALUES (1, 1, ?1)";
    db.execute(sql, [page]).unwrap();
    db
}

fn write(
    folder: &Path,
    db: &Connection,
    reach: Reach,
    parts: &[Arc<Postings>],
    dead: &HashSet<i64>,
) -> Arc<Postings> {
    let path = folder.join(format!("{}-{}-{}", reach.after, reach.to, parts.len()));
    Postings::write(&Job {
        path: &path,
        db,
        collection: &collection(),
        reach,
        parts,
        dead,
    })
    .unwrap();
    Arc::new(Postings::open(&path, &collection()).unwrap().unwrap())
}

fn reach(after: usize, to: usize) -> Reach {
    Reach {
        after: after as i64,
        to: to as i64,
    }
}

/// Every chunk in turn.
fn by_hand(
    texts: &[String],
    asked: &[&str],
    wanted: &dyn Fn(i64) -> bool,
    k: usize,
) -> Vec<Scored> {
    let split: Vec<Vec<&str>> = texts.iter().map(|text| text.split(' ').collect()).collect();
    let tokens: usize = split.iter().map(Vec::len).sum();
    let impact = Impact::new(tokens as f32 / texts.len() as f32);
    let weights = asked.iter().map(|term| {
        let with = split.iter().filter(|words| words.contains(term)).count();
        weight(texts.len() as u64, with as u64)
    });
    let weights: Vec<f32> = weights.collect();
    let mut best = Best::new(k);
    for (words, id) in split.iter().zip(1..) {
        let each = asked.iter().zip(&weights).map(|(term, weight)| {
            let count = words.iter().filter(|word| *word == term).count() as f32;
            weight * impact.of(count, words.len() as u32)
        });
        let score: f32 = each.sum();
        if score > 0.0 && wanted(id) {
            best.push(id, score);
        }
    }
    best.into_sorted()
}

fn searched(
    files: &[Arc<Postings>],
    texts: &[String],
    asked: &[&str],
    wanted: &dyn Fn(i64) -> bool,
    k: usize,
) -> Vec<Scored> {
    let with = |term: &str| -> usize {
        let lists = files.iter().filter_map(|file| file.find(term));
        lists.map(|list| list.places.len()).sum()
    };
    let mut asked: Vec<Asked<'_>> = asked
        .iter()
        .map(|term| Asked {
            term,
            weight: weight(texts.len() as u64, with(term) as u64),
        })
        .collect();
    asked.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let tokens: u64 = files.iter().map(|file| file.tokens).sum();
    let mut best = Best::new(k);
    for file in files {
        file.search(
            &asked,
            tokens as f32 / texts.len() as f32,
            wanted,
            &mut best,
        );
    }
    best.into_sorted()
}

/// Words of which the first are in nearly every text, the last in hardly any.
fn texts(count: usize, seed: u64) -> Vec<String> {
    let mut state = seed;
    let mut next = move |most: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(99);
        (state >> 33) % most
    };
    (0..count)
        .map(|_| {
            let length = 3 + next(20);
            let words = (0..length).map(|_| {
                let rank = (1 << next(10)) + next(3);
                format!("k{rank}")
            });
            words.collect::<Vec<_>>().join(" ")
        })
        .collect()
}

fn assert_same(found: &[Scored], expected: &[Scored]) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a.score - b.score).abs() < 1e-4, "{a:?} {b:?}");
    }
    // Sums in another order may swap what is as good as equal.
    let ids = |all: &[Scored]| all.iter().map(|s| s.chunk).collect::<HashSet<_>>();
    let missing: Vec<i64> = ids(expected).difference(&ids(found)).copied().collect();
    let last = expected.last().map_or(0.0, |last| last.score);
    for scored in expected.iter().filter(|s| missing.contains(&s.chunk)) {
        assert!(scored.score - last < 1e-4, "{scored:?} is missing");
    }
}

#[test]
fn files_find_what_a_look_at_every_chunk_finds() {
    // More than one window, so that thresholds are at work.
    let texts = texts(20_000, 3);
    let db = database(&texts);
    let dir = tempfile::tempdir().unwrap();
    let none = HashSet::new();
    let files = [
        write(dir.path(), &db, reach(0, 12_000), &[], &none),
        write(dir.path(), &db, reach(12_000, 20_000), &[], &none),
    ];
    let one = [write(dir.path(), &db, reach(0, 20_000), &[], &none)];
    for asked in [
        vec!["k1"],
        vec!["k1", "k2", "k512"],
        vec!["k513", "k256", "k2", "k128", "k66"],
        vec!["nowhere", "k64"],
        vec!["nowhere"],
    ] {
        for k in [1, 10, 1000] {
            for wanted in [&|_| true, &|id: i64| id % 7 != 3] as [&dyn Fn(i64) -> bool; 2] {
                let expected = by_hand(&texts, &asked, wanted, k);
                assert_same(&searched(&files, &texts, &asked, wanted, k), &expected);
                assert_same(&searched(&one, &texts, &asked, wanted, k), &expected);
            }
        }
    }
}

#[test]
fn merged_files_are_those_made_at_once() {
    let texts = texts(700, 5);
    let db = database(&texts);
    let dir = tempfile::tempdir().unwrap();
    let none = HashSet::new();
    let parts = [
        write(dir.path(), &db, reach(0, 300), &[], &none),
        write(dir.path(), &db, reach(300, 600), &[], &none),
    ];
    let bytes = |file: &Postings| file.map.to_vec();
    let whole = write(dir.path(), &db, reach(0, 700), &[], &none);
    // The last hundred are in no part.
    let merged = write(dir.path(), &db, reach(0, 700), &parts, &none);
    assert!(bytes(&whole) == bytes(&merged));
    merged.verify().unwrap();
    // Without the dead, as if they had never been.
    let dead: HashSet<i64> = (1..=700).filter(|id| id % 3 == 0).collect();
    let rid = write(dir.path(), &db, reach(0, 700), &parts, &dead);
    assert!(rid.len() == 467 && !rid.holds(3) && rid.holds(4) && rid.holds(700));
    db.execute("DELETE FROM chunks WHERE id % 3 = 0", [])
        .unwrap();
    let anew = write(dir.path(), &db, reach(0, 700), &[], &none);
    assert!(bytes(&rid) == bytes(&anew));
}

#[test]
fn any_flipped_byte_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(
        dir.path(),
        &database(&texts(9, 1)),
        reach(0, 9),
        &[],
        &HashSet::new(),
    );
    let bytes = file.map.to_vec();
    let path = dir.path().join("x");
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 0x10;
        std::fs::write(&path, bad).unwrap();
        let opened = Postings::open(&path, &collection());
        assert!(
            opened.and_then(|file| file.unwrap().verify()).is_err(),
            "byte {at}"
        );
    }
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let opened = Postings::open(&path, &collection());
    assert!(opened.and_then(|file| file.unwrap().verify()).is_err());
}

proptest! {
    #[test]
    fn searches_in_a_damaged_file_end(
        changes in proptest::collection::vec((0usize..100_000, any::<u8>()), 1..40),
    ) {
        let texts = texts(60, 8);
        let dir = tempfile::tempdir().unwrap();
        let file = write(dir.path(), &database(&texts), reach(0, 60), &[], &HashSet::new());
        let mut bad = memmap2::MmapMut::map_anon(file.map.len()).unwrap();
        bad.copy_from_slice(&file.map);
        for (at, byte) in changes {
            let at = HEADER + at % (bad.len() - HEADER);
            bad[at] = byte;
        }
        let file = Arc::new(Postings { map: bad.make_read_only().unwrap(), ..*file });
        let found = searched(&[file], &texts, &["k1", "k2", "k64", "k129"], &|_| true, 5);
        prop_assert!(found.len() <= 5);
    }
}
