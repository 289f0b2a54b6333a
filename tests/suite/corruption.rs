//! Bytes flipped, files cut short and removed: `verify` notices, `query` answers as before or
//! refuses, `repair` restores.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::Value;

use crate::ingest::demo;
use crate::support::{Home, fixture};

/// Small numbers that are the same in every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit.max(1)
    }
}

const QUESTIONS: [&str; 3] = [
    "who approved the budget?",
    "Which company will dredge the inner basin?",
    "가람시 도서관의 회의는 언제 열립니까?",
];

/// A home with five documents, a graph, and a log as a killed process leaves it.
fn home() -> Home {
    let home = demo().env(
        "SQUALL_CONFIG",
        fixture("stores/graph.toml").to_str().unwrap(),
    );
    home.run(&["optimize"]).expect(0);
    assert!(home.data_dir().join("graphs").read_dir().unwrap().count() > 0);
    // A reader keeps the log of the next ingest from being taken into the database.
    let reader = Connection::open(home.data_dir().join("squall.db")).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM documents;")
        .unwrap();
    home.write(
        "late.txt",
        "The ferry to Lindholm sails at noon on Sundays.",
    );
    home.run(&["ingest", "docs"]).expect(0);
    let kept = home.path().join("kept");
    copy(&home.data_dir(), &kept);
    drop(reader);
    home
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if entry.file_name() != "squall.db-shm" {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false if std::fs::metadata(&path).unwrap().len() > 0 => found.push(path),
            false => {}
        }
    }
    found.sort();
    found
}

/// What the store answers and lists, without what may differ between two runs.
fn view(home: &Home) -> Option<Vec<Value>> {
    let mut seen = Vec::new();
    for question in QUESTIONS {
        let ran = home.run(&["query", question, "--json", "--index", "hnsw"]);
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        if ran.code == 5 {
            assert!(ran.stderr.contains("squall repair"), "{}", ran.stderr);
            return None;
        }
        assert!(ran.code == 0, "{} {}", ran.code, ran.stderr);
        let answer = &ran.json()[0];
        seen.push(answer["citations"].clone());
    }
    Some(seen)
}

fn documents(home: &Home) -> Value {
    home.json(&["status", "-d"], 0)[0]["documents"].clone()
}

/// Does one kind of harm to one file and says which.
fn harm(path: &Path, dice: &mut Dice) -> String {
    let mut bytes = std::fs::read(path).unwrap();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    match dice.below(10) {
        0 if !name.starts_with("squall.db") => {
            std::fs::remove_file(path).unwrap();
            return format!("{name} removed");
        }
        1 => bytes.truncate(dice.below(bytes.len())),
        _ => {
            let at = dice.below(bytes.len());
            bytes[at] ^= 1 << dice.below(8);
            std::fs::write(path, &bytes).unwrap();
            return format!("{name}: byte {at} flipped");
        }
    }
    std::fs::write(path, &bytes).unwrap();
    format!("{name} cut to {} bytes", bytes.len())
}

fn rounds(count: usize, seed: u64) {
    let home = home();
    let kept = home.path().join("kept");
    let answers = view(&home).expect("an undamaged store answers");
    let listed = documents(&home);
    let mut dice = Dice(seed);
    let (mut noticed, mut harmless) = (0, 0);
    for round in 0..count {
        copy(&kept, &home.data_dir());
        let all = files(&home.data_dir());
        let what = harm(&all[dice.below(all.len())], &mut dice);
        let what = format!("round {round}, seed {seed}: {what}");
        let harmed = home.path().join("harmed");
        copy(&home.data_dir(), &harmed);
        if let Some(seen) = view(&home) {
            assert_eq!(seen, answers, "{what}");
        }
        copy(&harmed, &home.data_dir());
        let verified = home.run(&["verify"]);
        assert!(
            !verified.stderr.contains("panicked"),
            "{what}: {}",
            verified.stderr
        );
        match verified.code {
            5 => noticed += 1,
            0 => {
                harmless += 1;
                assert_eq!(documents(&home), listed, "{what} went unnoticed");
                assert_eq!(
                    view(&home).as_ref(),
                    Some(&answers),
                    "{what} went unnoticed"
                );
            }
            code => panic!("{what}: verify ended with {code}: {}", verified.stderr),
        }
        copy(&harmed, &home.data_dir());
        let repaired = home.run(&["repair", "--yes"]);
        assert_eq!(
            repaired.code, 0,
            "{what}: {}{}",
            repaired.stdout, repaired.stderr
        );
        home.run(&["ingest", "docs"]).expect(0);
        let again = home.run(&["verify"]);
        assert_eq!(
            again.code, 0,
            "{what}: {}\n{}",
            again.stdout, repaired.stdout
        );
        assert_eq!(
            view(&home).as_ref(),
            Some(&answers),
            "{what}: {}",
            repaired.stdout
        );
    }
    println!("{count} rounds: {noticed} noticed, {harmless} without effect");
    assert!(noticed > 0);
}

#[test]
fn damage_is_noticed_survived_and_mended() {
    rounds(6, 11);
}

#[test]
#[ignore = "takes minutes"]
fn damage_is_noticed_survived_and_mended_many_times() {
    rounds(80, 2);
}
