//! Ingest of local files: what goes in, what changes, what goes.

use crate::support::{Home, fixture};

/// A home with the demo folder ingested.
pub fn demo() -> Home {
    let home = Home::new();
    for name in [
        "harbour-committee-minutes.pdf",
        "가람시-도서관-운영보고서.pdf",
        "sensor-manual.pdf",
        "onboarding.md",
        "회의-안내.txt",
    ] {
        home.copy(&format!("documents/{name}"));
    }
    home.run(&["ingest", "docs"]).expect(0);
    home
}

#[test]
fn a_folder_goes_in_once_and_a_second_run_does_nothing() {
    let home = demo();
    let again = home.json(&["ingest", "docs"], 0);
    let summary = again.last().unwrap();
    assert_eq!(summary["indexed"], 0);
    assert_eq!(summary["skipped"], 5);
    assert_eq!(summary["uploaded"], 0);
    let status = home.json(&["status"], 0);
    let row = &status[0]["collections"][0];
    assert_eq!((&row["documents"], &row["pages"]), (&5.into(), &12.into()));
}

#[test]
fn events_are_lines_of_json_and_end_with_the_summary() {
    let home = Home::new();
    home.copy("documents/onboarding.md");
    let lines = home.json(&["ingest", "docs"], 0);
    let events: Vec<_> = lines.iter().map(|line| line["event"].clone()).collect();
    assert_eq!(
        events,
        ["started".into(), "indexed".into(), serde_json::Value::Null]
    );
    assert_eq!(lines[1]["pages"], 1);
    assert_eq!(lines[2]["parser"], "local");
}

#[test]
fn a_changed_file_replaces_its_old_version() {
    let home = Home::new();
    home.write("a.txt", "The ferry leaves at seven from the north quay.");
    home.run(&["ingest", "docs"]).expect(0);
    home.write(
        "a.txt",
        "The ferry leaves at nine from the south quay, as decided.",
    );
    let summary = home.json(&["ingest", "docs"], 0).pop().unwrap();
    assert_eq!(
        (&summary["indexed"], &summary["replaced"]),
        (&1.into(), &1.into())
    );
    let answer = home.json(&["query", "when does the ferry leave?"], 0);
    assert!(
        answer[0]["generated_answer"]
            .as_str()
            .unwrap()
            .contains("nine")
    );
    assert_eq!(answer[0]["retrieved_context"].as_array().unwrap().len(), 1);
}

#[test]
fn a_touched_file_is_hashed_and_left_alone_and_checksum_sees_a_hidden_change() {
    let home = Home::new();
    let path = home.write("a.txt", "alpha beta gamma");
    home.run(&["ingest", "docs"]).expect(0);
    let time = std::fs::metadata(&path).unwrap().modified().unwrap();
    home.write("a.txt", "gamma beta alpha");
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(time)
        .unwrap();
    let summary = home.json(&["ingest", "docs"], 0).pop().unwrap();
    assert_eq!(summary["indexed"], 0, "same size and time");
    let summary = home
        .json(&["ingest", "--checksum", "docs"], 0)
        .pop()
        .unwrap();
    assert_eq!(summary["replaced"], 1);
}

#[test]
fn the_same_bytes_under_two_names_are_one_document() {
    let home = Home::new();
    home.write("a.txt", "the budget was approved");
    home.write("b/copy.txt", "the budget was approved");
    home.run(&["ingest", "docs"]).expect(0);
    let status = home.json(&["status", "--documents"], 0);
    let documents = status[0]["documents"].as_array().unwrap();
    assert_eq!(documents.len(), 1);
    assert_eq!(documents[0]["paths"].as_array().unwrap().len(), 2);
    home.run(&["remove", "docs/a.txt"]).expect(0);
    home.run(&["query", "budget approved?"]).expect(0);
    home.run(&["remove", "docs/b/copy.txt"]).expect(0);
    home.run(&["query", "budget approved?"]).expect(1);
}

#[test]
fn prune_drops_what_is_gone_but_not_when_everything_is() {
    let home = Home::new();
    let gone = home.write("gone.txt", "this one will go away");
    home.write("stays.txt", "this one stays here");
    home.run(&["ingest", "docs"]).expect(0);
    std::fs::remove_file(gone).unwrap();
    let dry = home
        .json(&["ingest", "--prune", "--dry-run", "docs"], 0)
        .pop()
        .unwrap();
    assert_eq!(dry["pruned"], 1);
    let summary = home.json(&["ingest", "--prune", "docs"], 0).pop().unwrap();
    assert_eq!(summary["pruned"], 1);
    std::fs::remove_file(home.path().join("docs/stays.txt")).unwrap();
    let refused = home.run(&["ingest", "--prune", "docs"]).expect(2);
    assert!(
        refused.stderr.contains("unmounted disk"),
        "{}",
        refused.stderr
    );
    let status = home.json(&["status"], 0);
    assert_eq!(status[0]["collections"][0]["documents"], 1);
}

#[test]
fn globs_lists_and_dry_runs() {
    let home = Home::new();
    home.write("a.txt", "first text");
    home.write("b.md", "second text");
    home.write("sub/c.txt", "third text");
    let dry = home.json(&["ingest", "-n", "--include", "*.txt", "docs"], 0);
    let names: Vec<&str> = dry
        .iter()
        .filter(|line| line["event"] == "would_ingest")
        .map(|line| line["path"].as_str().unwrap().rsplit('/').next().unwrap())
        .collect();
    assert_eq!(names, ["a.txt", "c.txt"]);
    assert!(
        !home.data_dir().join("squall.db").exists() || {
            let status = home.json(&["status"], 0);
            status[0]["collections"].as_array().unwrap().is_empty()
        }
    );
    let list = b"docs/a.txt\0docs/b.md\0";
    home.run_with(&["ingest", "--files-from", "-", "-0"], list)
        .expect(0);
    let status = home.json(&["status"], 0);
    assert_eq!(status[0]["collections"][0]["documents"], 2);
}

#[test]
fn collections_and_tags_narrow_a_question() {
    let home = Home::new();
    home.write("old.txt", "The chair of the committee is Anna Holm.");
    home.run(&["ingest", "docs/old.txt", "--tag", "year=2024"])
        .expect(0);
    home.write("new.txt", "The chair of the committee is Bo Lind.");
    home.run(&["ingest", "docs/new.txt", "--tag", "year=2025"])
        .expect(0);
    let ask = |args: &[&str]| {
        let all = [
            &["query", "who is the chair of the committee?", "-k", "1"],
            args,
        ]
        .concat();
        home.json(&all, 0)[0]["generated_answer"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(ask(&["--tag", "year=2024"]).contains("Holm"));
    assert!(ask(&["--tag", "year=2025"]).contains("Lind"));
    assert!(ask(&["--path-prefix", "docs/old"]).contains("Holm"));
    let nothing = ["query", "who is the chair?", "--tag", "year=1999"];
    home.run(&nothing).expect(1);
    home.run(&["ingest", "docs", "--collection", "다른 모음"])
        .expect(0);
    home.run(&["query", "who is the chair?", "-c", "다른 모음"])
        .expect(0);
    home.run(&["remove", "--all", "-c", "다른 모음"]).expect(0);
    home.run(&["query", "who is the chair?", "-c", "다른 모음"])
        .expect(2);
}

#[test]
fn a_bad_document_fails_alone_and_status_says_why() {
    let home = Home::new();
    for entry in std::fs::read_dir(fixture("hostile")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        home.copy(&format!("hostile/{name}"));
    }
    home.copy("documents/onboarding.md");
    let summary = home.json(&["ingest", "docs"], 3).pop().unwrap();
    let reason = |name: &str| {
        let failed = summary["failed"].as_array().unwrap();
        let row = failed
            .iter()
            .find(|row| row["path"].as_str().unwrap().ends_with(name))
            .unwrap_or_else(|| panic!("{name} did not fail: {summary}"));
        row["reason"].as_str().unwrap().to_owned()
    };
    assert!(reason("encrypted.pdf").contains("password"));
    assert!(reason("no-pages.pdf").contains("no pages"));
    assert!(reason("truncated.pdf").contains("damaged"));
    assert!(reason("zero-byte.pdf").contains("empty"));
    assert!(reason("binary.txt").contains("binary"));
    assert_eq!(summary["failed"].as_array().unwrap().len(), 5);
    assert_eq!(summary["indexed"], 8);
    assert_eq!(
        (&summary["empty_pages"], &summary["garbled_pages"]),
        (&1.into(), &1.into())
    );
    let status = home.json(&["status"], 0);
    assert_eq!(status[0]["jobs_by_state"]["failed"], 5);
    // Mended, it goes in and the failure is forgotten.
    home.write(
        "zero-byte.pdf",
        std::fs::read(fixture("documents/sensor-manual.pdf")).unwrap(),
    );
    home.run(&["ingest", "docs/zero-byte.pdf"]).expect(0);
    let status = home.json(&["status"], 0);
    assert_eq!(status[0]["jobs_by_state"]["failed"], 4);
}

#[test]
fn korean_text_in_old_encodings_is_found() {
    let home = Home::new();
    home.copy("hostile/cp949.txt");
    home.copy("hostile/utf16.txt");
    home.run(&["ingest", "docs"]).expect(0);
    let documents = home.json(&["query", "안내", "-k", "5"], 0);
    let text = documents[0]["retrieved_context"].to_string();
    assert!(!text.contains('\u{FFFD}'), "{text}");
}

#[test]
fn decomposed_file_names_are_found_under_their_composed_spelling() {
    let home = Home::new();
    let decomposed = "\u{1112}\u{116C}\u{110B}\u{1174}.txt";
    home.write(decomposed, "회의는 금요일에 열린다.");
    home.run(&["ingest", "docs"]).expect(0);
    let answer = home.json(&["query", "회의는 금요일", "--path-prefix", "docs/회의"], 0);
    assert!(
        answer[0]["citations"][0]["document"]
            .as_str()
            .unwrap()
            .ends_with("/회의.txt")
    );
    let again = home.json(&["ingest", "--prune", "docs"], 0).pop().unwrap();
    assert_eq!(
        (&again["skipped"], &again["pruned"]),
        (&1.into(), &0.into())
    );
}
