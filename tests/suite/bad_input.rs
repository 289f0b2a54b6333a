//! Wrong flags, wrong files, wrong questions: a clear message, the right exit code, nothing lost.

use std::os::unix::fs::PermissionsExt as _;

use crate::ingest::demo;
use crate::support::{Home, fixture};

#[track_caller]
fn complains(home: &Home, args: &[&str], code: i32, words: &str) {
    let ran = home.run(args).expect(code);
    assert!(ran.stderr.contains(words), "{args:?} said: {}", ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    assert_eq!(ran.stdout, "", "{args:?}");
}

#[test]
fn questions_that_are_none() {
    let home = demo();
    complains(&home, &["query", ""], 2, "the question is empty");
    complains(&home, &["query", " \n\t "], 2, "the question is empty");
    complains(
        &home,
        &["query", &"x ".repeat(50_000)],
        2,
        "100000 characters, the limit is 10000",
    );
    complains(
        &home,
        &["query", "x", "-k", "0"],
        2,
        "top_k is 0, it must be 1 to 1000",
    );
    complains(&home, &["query", "x", "-k", "-3"], 2, "unexpected argument");
    complains(
        &home,
        &["query", "x", "-c", "nope"],
        2,
        "there is no collection 'nope'; there is default",
    );
    complains(&home, &["query", "x", "--page", "0"], 2, "counting from 1");
    complains(&home, &["query", "x", "--tag", "y"], 2, "key=value");
}

#[test]
fn nothing_ingested_yet() {
    let home = Home::new();
    complains(&home, &["query", "anything"], 1, "squall ingest FOLDER");
    complains(&home, &["status"], 1, "squall ingest FOLDER");
    home.run(&["doctor"]).expect(0);
}

#[test]
fn a_stream_of_questions_goes_on_after_a_bad_one() {
    let home = demo();
    let long = "x".repeat(10_001);
    let input =
        format!("Who approved the budget?\n\n{long}\nWhich company will dredge the inner basin?\n");
    let ran = home.run_with(&["query", "-"], input.as_bytes()).expect(3);
    let lines = ran.json();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        (&lines[0]["answered"], &lines[2]["answered"]),
        (&true.into(), &true.into())
    );
    assert!(
        lines[1]["error"]
            .as_str()
            .unwrap()
            .contains("10001 characters")
    );
    let ran = home
        .run_with(&["query", "-"], b"\xFF\xFE\nWho approved the budget?\n")
        .expect(3);
    let lines = ran.json();
    assert!(lines[0]["error"].as_str().unwrap().contains("UTF-8"));
    assert_eq!(lines[1]["answered"], true);
}

#[test]
fn files_that_are_not_there_or_not_readable() {
    let home = Home::new();
    home.write("good.txt", "a good text about herring");
    let summary = home
        .json(&["ingest", "docs", "missing.pdf"], 3)
        .pop()
        .unwrap();
    assert_eq!(summary["indexed"], 1);
    assert_eq!(summary["failed"][0]["reason"], "no such file or folder");
    let made = std::process::Command::new("mkfifo")
        .arg(home.path().join("pipe"))
        .status();
    assert!(made.unwrap().success());
    let summary = home.json(&["ingest", "pipe"], 3).pop().unwrap();
    assert_eq!(
        summary["failed"][0]["reason"],
        "is neither a file nor a folder"
    );
    complains(&home, &["ingest"], 2, "required");
    complains(&home, &["status", ""], 2, "is not a path");
    complains(
        &home,
        &["ingest", "--files-from", "nolist"],
        2,
        "cannot read the list nolist",
    );
    complains(
        &home,
        &["ingest", "docs", "--include", "["],
        2,
        "--include '[' is not a glob",
    );
    home.run(&["query", "herring"]).expect(0);
}

#[test]
fn kinds_the_parser_does_not_take() {
    let home = Home::new();
    home.write("notes.xyz", "text");
    home.write("a.txt", "text about cod");
    let summary = home.json(&["ingest", "docs"], 0).pop().unwrap();
    assert_eq!(
        (&summary["indexed"], &summary["unsupported"]),
        (&1.into(), &1.into())
    );
    // A file that is named is read if it is text.
    home.run(&["ingest", "docs/notes.xyz"]).expect(0);
    home.write("data.xyz", b"\x00\x01\x02\xFF");
    let summary = home.json(&["ingest", "docs/data.xyz"], 3).pop().unwrap();
    assert!(
        summary["failed"][0]["reason"]
            .as_str()
            .unwrap()
            .contains(".xyz is not among")
    );
}

#[test]
fn settings_that_make_no_sense() {
    let home = Home::new();
    home.write("a.txt", "text");
    std::fs::write(home.path().join("bad.toml"), "colection = 'x'").unwrap();
    complains(
        &home,
        &["--config", "bad.toml", "ingest", "docs"],
        2,
        "unknown field `colection`",
    );
    complains(
        &home,
        &["--config", "none.toml", "ingest", "docs"],
        2,
        "cannot read none.toml",
    );
    complains(
        &home,
        &["ingest", "docs", "--parser", "storm"],
        2,
        "STORM_API_TOKEN",
    );
    complains(
        &home,
        &["ingest", "docs", "--detach"],
        2,
        "--detach is for --parser storm",
    );
    complains(
        &home,
        &["ingest", "docs", "--timeout", "soon"],
        2,
        "timeout: 'soon'",
    );
    complains(&home, &["ingest", "docs", "-j", "0"], 2, "concurrency is 0");
    complains(
        &home,
        &["ingest", "docs", "--model", "nowhere"],
        2,
        "--model nowhere: no such folder",
    );
    complains(&home, &["frobnicate"], 2, "unrecognized subcommand");
    let home = home.env("SQUALL_PARSER", "magic");
    complains(
        &home,
        &["ingest", "docs"],
        2,
        "SQUALL_PARSER=magic is not one of storm, local",
    );
}

#[test]
fn a_data_directory_that_cannot_be_written() {
    let home = Home::new();
    home.write("a.txt", "text");
    // A file where the directory should be stops root too, whom permissions do not.
    std::fs::write(home.path().join("flat"), "").unwrap();
    complains(
        &home,
        &["--data-dir", "flat/data", "ingest", "docs"],
        5,
        "cannot create the data directory",
    );
    complains(
        &home,
        &["--data-dir", "flat", "ingest", "docs"],
        5,
        "cannot create the data directory",
    );
    let home = demo();
    std::fs::write(
        home.data_dir().join("squall.db"),
        "not a database at all, but long enough",
    )
    .unwrap();
    complains(&home, &["query", "x"], 5, "is damaged");
}

#[test]
fn an_unreadable_file_fails_alone() {
    let home = Home::new();
    let locked = home.write("locked.txt", "secret");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(&locked).is_ok() {
        // Root reads everything; a folder in place of a list still cannot be read.
        complains(
            &home,
            &["ingest", "--files-from", "docs"],
            2,
            "cannot read the list docs",
        );
        return;
    }
    let summary = home.json(&["ingest", "docs"], 3).pop().unwrap();
    assert!(
        summary["failed"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("cannot be read")
    );
}

#[test]
fn another_model_is_refused_with_the_way_out() {
    let home = Home::new();
    std::fs::create_dir_all(home.data_dir()).unwrap();
    let database = home.data_dir().join("squall.db");
    // Its rows have no checksums yet, so that one can be changed by hand.
    std::fs::copy(fixture("stores/schema-1.db"), &database).unwrap();
    let db = rusqlite::Connection::open(database).unwrap();
    db.execute(
        "UPDATE collections SET fingerprint = 'other/1', model = 'other'",
        [],
    )
    .unwrap();
    drop(db);
    complains(&home, &["query", "x"], 2, "was embedded with other");
    home.write("new.txt", "text");
    complains(&home, &["ingest", "docs"], 2, "squall reembed");
    complains(
        &home,
        &["ingest", "docs", "--model", "minilm"],
        2,
        "squall reembed",
    );
    // The way out works, as the pages are there.
    home.run(&["reembed"]).expect(0);
    home.run(&["ingest", "docs"]).expect(0);
}
