//! What `verify` says and what `repair` does of single kinds of damage.

use std::path::Path;

use rusqlite::Connection;

use crate::ingest::demo;
use crate::support::Home;
use crate::support::storm::{Reply, Server};

/// Changes a letter wherever `text` stands in a file, which SQLite itself does not notice.
pub fn spoil(path: &Path, text: &str) {
    let mut bytes = std::fs::read(path).unwrap();
    let places: Vec<usize> = (0..bytes.len() - text.len())
        .filter(|&at| bytes[at..].starts_with(text.as_bytes()))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at] ^= 1;
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_letter_changed_in_the_database_is_never_quoted() {
    let home = demo();
    let path = home.data_dir().join("squall.db");
    spoil(&path, "Halvorsen");
    let ran = home.run(&["query", "who approved the budget?"]).expect(5);
    assert!(ran.stderr.contains("squall repair"), "{}", ran.stderr);
    let verified = home.json(&["verify"], 5);
    assert_eq!(verified[0]["healthy"], false);
    let left = home.run(&["repair"]).expect(5);
    assert!(left.stdout.contains("--yes drops it"), "{}", left.stdout);
    home.run(&["repair", "--yes"]).expect(0);
    let summary = home.json(&["ingest", "docs"], 0).pop().unwrap();
    assert_eq!(
        summary["indexed"], 2,
        "only the two that name her are read anew"
    );
    home.run(&["query", "who approved the budget?"]).expect(0);
    home.run(&["verify"]).expect(0);
}

#[test]
fn an_older_copy_of_the_database_is_not_written_to() {
    let home = demo();
    let database = home.data_dir().join("squall.db");
    let older = std::fs::read(&database).unwrap();
    home.write(
        "late.txt",
        "The ferry to Lindholm sails at noon on Sundays.",
    );
    home.run(&["ingest", "docs"]).expect(0);
    std::fs::write(&database, older).unwrap();
    for args in [
        &["ingest", "docs"][..],
        &["remove", "docs/onboarding.md"],
        &["optimize"],
        &["verify"],
        &["repair"],
        &["ingest", "docs"],
    ] {
        let ran = home.run(args).expect(5);
        let said = ran.stdout + &ran.stderr;
        assert!(
            said.contains("write") && (said.contains("repair") || said.contains("--yes")),
            "{args:?}: {said}"
        );
    }
    // Reading is free.
    home.run(&["query", "who approved the budget?"]).expect(0);
    home.run(&["repair", "--yes"]).expect(0);
    home.run(&["ingest", "docs"]).expect(0);
    home.run(&["verify"]).expect(0);
}

#[test]
fn a_damaged_job_is_kept_and_never_sent_again_unasked() {
    let server = Server::new(vec![Reply::fixture("v1_uploaded.json")], vec![]);
    let home = Home::with_storm(&server);
    home.write("a.pdf", "the one document");
    home.run(&["ingest", "docs", "--detach"]).expect(0);
    spoil(&home.data_dir().join("squall.db"), "5b0c2f6e-8d41");
    home.run(&["verify"]).expect(5);
    let ran = home.run(&["repair"]).expect(5);
    assert!(
        ran.stdout.contains("not to be sent again"),
        "{}",
        ran.stdout
    );
    home.run(&["repair", "--yes"]).expect(0);
    home.run(&["verify"]).expect(0);
    assert_eq!(home.json(&["status"], 0)[0]["jobs"][0]["state"], "lost");
    server.script(vec![], vec![Reply::fixture("v1_not_found.json")]);
    home.run(&["ingest", "docs", "--poll-interval", "10ms"])
        .expect(3);
    assert_eq!(server.uploads(), 1);
}

#[test]
fn a_damaged_collection_keeps_its_documents() {
    let home = demo();
    let before = home.json(&["status", "-d"], 0)[0]["documents"].clone();
    spoil(
        &home.data_dir().join("squall.db"),
        "multilingual-e5-small/q4",
    );
    let ran = home.run(&["query", "who approved the budget?"]).expect(5);
    assert!(ran.stderr.contains("squall repair"), "{}", ran.stderr);
    home.run(&["repair", "--yes"]).expect(0);
    home.run(&["verify"]).expect(0);
    assert_eq!(home.json(&["status", "-d"], 0)[0]["documents"], before);
    home.run(&["query", "who approved the budget?"]).expect(0);
}

#[test]
fn a_database_with_a_broken_page_is_built_anew_and_the_old_one_kept() {
    let home = demo();
    let database = home.data_dir().join("squall.db");
    let mut bytes = std::fs::read(&database).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xA5);
    std::fs::write(&database, &bytes).unwrap();
    home.run(&["verify"]).expect(5);
    let ran = home.run(&["repair"]).expect(5);
    assert!(ran.stderr.contains("repair --yes"), "{}", ran.stderr);
    assert_eq!(
        std::fs::read(&database).unwrap().len(),
        bytes.len(),
        "nothing was done yet"
    );
    let repaired = home.json(&["repair", "--yes"], 0);
    let aside = repaired[0]["quarantine"].as_str().unwrap();
    assert_eq!(
        std::fs::read(Path::new(aside).join("squall.db")).unwrap(),
        bytes
    );
    home.run(&["ingest", "docs"]).expect(0);
    home.run(&["verify"]).expect(0);
    home.run(&["query", "who approved the budget?"]).expect(0);
}

#[test]
fn a_database_that_was_cut_short_gives_back_what_it_still_holds() {
    let server = Server::new(vec![Reply::fixture("v1_uploaded.json")], vec![]);
    let home = Home::with_storm(&server);
    home.write("first.pdf", "%PDF-1.4 the one document");
    home.run(&["ingest", "docs", "--detach"]).expect(0);
    for name in ["harbour-committee-minutes.pdf", "sensor-manual.pdf"] {
        home.copy(&format!("documents/{name}"));
    }
    let args = ["ingest", "docs", "--parser", "local"];
    home.run(&args).expect(3);
    let database = home.data_dir().join("squall.db");
    let bytes = std::fs::read(&database).unwrap();
    std::fs::write(&database, &bytes[..bytes.len() - 2 * 4096]).unwrap();
    let start = std::time::Instant::now();
    let repaired = home.json(&["repair", "--yes"], 0);
    assert!(start.elapsed().as_secs() < 60);
    assert_eq!(repaired[0]["salvaged"], true, "{repaired:?}");
    let jobs = home.json(&["status"], 0)[0]["jobs"].clone();
    let states: Vec<&str> = jobs
        .as_array()
        .unwrap()
        .iter()
        .map(|j| j["state"].as_str().unwrap())
        .collect();
    assert!(states.contains(&"submitted"), "the ledger is kept: {jobs}");
    home.run(&["verify"]).expect(0);
    home.run(&args).expect(3);
    home.run(&["query", "who approved the budget?"]).expect(0);
}

#[test]
fn a_database_that_is_gone_is_not_taken_for_none() {
    let home = demo();
    let database = home.data_dir().join("squall.db");
    for gone in [None, Some(b"")] {
        match gone {
            None => std::fs::remove_file(&database).unwrap(),
            Some(bytes) => std::fs::write(&database, bytes).unwrap(),
        }
        for args in [
            &["status"][..],
            &["query", "x"],
            &["verify"],
            &["ingest", "docs"],
            &["repair"],
        ] {
            let ran = home.run(args).expect(5);
            assert!(
                ran.stderr.contains("repair --yes"),
                "{args:?}: {}",
                ran.stderr
            );
        }
        let ran = home.run(&["repair", "--yes"]).expect(0);
        assert!(
            ran.stdout.contains("ledger could not be read"),
            "{}",
            ran.stdout
        );
        home.run(&["ingest", "docs"]).expect(0);
        home.run(&["verify"]).expect(0);
    }
}

#[test]
fn what_is_no_damage_is_not_repaired() {
    let home = demo();
    let db = Connection::open(home.data_dir().join("squall.db")).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let ran = home.run(&["repair", "--yes"]).expect(5);
    assert!(ran.stderr.contains("newer squall"), "{}", ran.stderr);
    assert!(!home.data_dir().join("quarantine").exists());
    // And a store that is sound is left as it is.
    let sound = demo();
    let ran = sound.run(&["repair", "--yes"]).expect(0);
    assert!(
        !ran.stdout.contains("dropped") && !ran.stdout.contains("embedded"),
        "{}",
        ran.stdout
    );
    assert!(!sound.data_dir().join("quarantine").exists());
}

/// A file that is damaged where opening it does not look is not merged into the next: that is made from
/// the database.
#[test]
fn a_damaged_posting_file_is_not_carried_on() {
    let home = demo();
    let folder = home.data_dir().join("postings");
    let file = std::fs::read_dir(&folder).unwrap().next().unwrap();
    let path = file.unwrap().path();
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 0x10;
    std::fs::write(&path, bytes).unwrap();
    home.run(&["verify"]).expect(5);
    // As many as it takes for the two to be merged.
    for i in 0..40 {
        home.write(
            &format!("late/{i}.txt"),
            format!("Berth {i} is kept for pilots."),
        );
    }
    let ran = home.run(&["ingest", "docs"]).expect(0);
    assert!(ran.stderr.contains("posting file"), "{}", ran.stderr);
    home.run(&["verify"]).expect(0);
    assert!(!path.exists());
    // What reached further than the chunks do now is made anew, too.
    home.run(&["remove", "docs/late"]).expect(0);
    home.run(&["optimize"]).expect(0);
    home.run(&["query", "who approved the budget?"]).expect(0);
    let names = std::fs::read_dir(&folder).unwrap();
    assert_eq!(names.count(), 1);
}

/// What the index files hold is read from the pages where they are missing, and a page that is damaged
/// stands in nobody else's way.
#[test]
fn a_damaged_page_without_index_files_leaves_the_others_to_be_found() {
    let home = demo();
    home.write(
        "odd.txt",
        "The lighthouse keeper of Skagen is called Ovesen.",
    );
    home.run(&["ingest", "docs"]).expect(0);
    let path = home.data_dir().join("squall.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let text = b"keeper of Skagen";
    let at = bytes.windows(text.len()).position(|window| window == text);
    bytes[at.unwrap()] = 0xFF;
    std::fs::write(&path, bytes).unwrap();
    for folder in ["vectors", "postings"] {
        std::fs::remove_dir_all(home.data_dir().join(folder)).unwrap();
    }
    home.run(&["query", "who approved the budget?"]).expect(0);
    home.run(&["verify"]).expect(5);
    home.run(&["repair", "--yes"]).expect(0);
    home.run(&["ingest", "docs"]).expect(0);
    home.run(&["verify"]).expect(0);
}

/// A log that is gone takes the whole store with it when nothing was moved out of it yet.
#[test]
fn reading_a_store_that_lost_its_latest_writes_says_so() {
    let home = demo();
    let database = home.data_dir().join("squall.db");
    let older = std::fs::read(&database).unwrap();
    home.write("late.txt", "The ferry to Lindholm sails at noon.");
    home.run(&["ingest", "docs"]).expect(0);
    std::fs::write(&database, older).unwrap();
    let ran = home.run(&["query", "who approved the budget?"]).expect(0);
    assert!(ran.stderr.contains("squall repair"), "{}", ran.stderr);
    home.run(&["doctor"]).expect(5);
}

#[test]
fn index_files_that_cannot_be_read_are_told_of() {
    let home = demo();
    let folder = home.data_dir().join("postings");
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "not a folder").unwrap();
    let ran = home.run(&["query", "who approved the budget?"]).expect(0);
    assert!(ran.stderr.contains("postings"), "{}", ran.stderr);
    home.run(&["verify"]).expect(5);
}
