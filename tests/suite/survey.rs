//! Checks over larger data that is not part of the repository: `SQUALL_TEST_DATA` names its folder.
//! `cargo test -- --ignored` runs them, as `.ci/run` does where the data is there.

use std::path::PathBuf;
use std::time::Duration;

use crate::support::Home;
use crate::support::storm::{Reply, Server};

fn data() -> PathBuf {
    PathBuf::from(std::env::var_os("SQUALL_TEST_DATA").expect("SQUALL_TEST_DATA names the data"))
}

#[test]
#[ignore = "needs SQUALL_TEST_DATA"]
fn a_recorded_answer_of_the_real_service_goes_through() {
    let data = data();
    let recorded = data.join("storm/recorded_v1_completed.json");
    let uploaded = r#"{"result_type":"SUCCESS","success":{"job_id":"r","state":"REQUESTED"}}"#;
    let server = Server::new(
        vec![Reply::json(uploaded)],
        vec![Reply::json(std::fs::read_to_string(recorded).unwrap())],
    );
    let home = Home::with_storm(&server);
    home.write("recorded.pdf", "x");
    let args = ["ingest", "docs", "--poll-interval", "10ms"];
    let summary = home.json(&args, 0).pop().unwrap();
    assert_eq!(summary["pages"], 10);
    // 62,000 characters of dot leaders must not become hundreds of chunks.
    assert!(summary["chunks"].as_u64().unwrap() < 120, "{summary}");
}

#[test]
#[ignore = "needs SQUALL_TEST_DATA"]
fn the_korean_and_english_guides_are_read_page_by_page() {
    let data = data();
    let guides = data.join("pdf-korean/debian-installation-guide");
    let home = Home::new();
    for language in ["en", "ko"] {
        let folder = guides.join(language);
        let args = [
            "ingest",
            folder.to_str().unwrap(),
            "--include",
            "*.pdf",
            "-c",
            language,
        ];
        let summary = home.json(&args, 0).pop().unwrap();
        assert_eq!(summary["failed_pages"], 0, "{summary}");
        assert_eq!(summary["garbled_pages"], 0, "{summary}");
        assert!(summary["pages"].as_u64().unwrap() > 100, "{summary}");
    }
    home.run(&["query", "What is the minimum amount of memory?", "-c", "en"])
        .expect(0);
    home.run(&["query", "최소 메모리 용량은 얼마인가요?", "-c", "ko"])
        .expect(0);
}

#[test]
#[ignore = "needs SQUALL_TEST_DATA"]
fn odd_and_broken_pdfs_get_a_verdict_and_never_end_the_run() {
    let data = data();
    let home = Home::new();
    let folder = data.join("robustness/pdf");
    let args = [
        "ingest",
        folder.to_str().unwrap(),
        "--include",
        "*.pdf",
        "--timeout",
        "60s",
    ];
    let start = std::time::Instant::now();
    let ran = home.run(&[&args[..], &["--json"]].concat());
    assert!(matches!(ran.code, 0 | 3), "{}", ran.stderr);
    let summary = ran.json().pop().unwrap();
    let count = |key: &str| summary[key].as_u64().unwrap();
    let failed = summary["failed"].as_array().unwrap().len() as u64;
    assert_eq!(count("found"), count("indexed") + count("skipped") + failed);
    assert!(count("indexed") > 200, "{summary}");
    for row in summary["failed"].as_array().unwrap() {
        assert!(
            !row["reason"].as_str().unwrap().contains("crashed"),
            "{row}"
        );
    }
    assert!(start.elapsed() < Duration::from_secs(900));
}
