//! Checks over larger data that is not part of the repository: `SQUALL_TEST_DATA` names its folder.
//! `cargo test -- --ignored` runs them, as `.ci/run` does where the data is there.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

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

/// What a reader makes of a file, as far as a search engine cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Text,
    Pages,
    Nothing,
}

/// Files of which Squall makes something else than MuPDF does, and why.
const EXPLAINED: [(&str, Reading, &str); 14] = [
    ("bad.pdf", Reading::Text, "a text, by its content"),
    (
        "T01_007_header-no-version-info.pdf",
        Reading::Nothing,
        "the %PDF- header is missing",
    ),
    (
        "T02-02_002_page-tree-kids-links-recursive.pdf",
        Reading::Nothing,
        "no page in the tree",
    ),
    ("deep-pages.pdf", Reading::Nothing, "no page in the tree"),
    (
        "T02-02_004_page-tree-non-existing-object-as-kid.pdf",
        Reading::Nothing,
        "no page there",
    ),
    (
        "440599107.fuzz",
        Reading::Nothing,
        "MuPDF believes a page count",
    ),
    (
        "T02-01_005_document-catalog-type-key-missing.pdf",
        Reading::Nothing,
        "MuPDF: 0 pages",
    ),
    ("464655077.fuzz", Reading::Nothing, "MuPDF: 0 pages"),
    ("issue-335a.pdf", Reading::Nothing, "MuPDF: 0 pages"),
    (
        "T02-02_005_page-tree-no-kids.pdf",
        Reading::Text,
        "the orphaned page is found",
    ),
    (
        "UnknownFilter-Linearized.pdf",
        Reading::Text,
        "MuPDF: 0 pages",
    ),
    ("UnknownFilter-xrefstm.pdf", Reading::Text, "MuPDF: 0 pages"),
    ("raw_image_demo.pdf", Reading::Text, "text outside the page"),
    (
        "imagemagick-images.pdf",
        Reading::Text,
        "text outside the page",
    ),
];

/// Path and what MuPDF makes of it, from the manifest. An error on a page counts as a page, and no
/// page at all as such, though MuPDF calls it fine.
fn manifest(folder: &Path) -> Vec<(PathBuf, Reading)> {
    let text = std::fs::read_to_string(folder.join("manifest.tsv")).unwrap();
    let rows = text.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let reading = match (fields[3], fields[5], fields[4]) {
            ("open-error" | "needs-password", _, _) => Reading::Nothing,
            (_, chars, _) if chars != "0" => Reading::Text,
            _ => Reading::Pages,
        };
        (folder.join(fields[0]), reading)
    });
    rows.collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files_below(&path)),
            false => found.push(path),
        }
    }
    found
}

/// Takes in exactly `files` and returns what was said of each, and the whole time.
fn verdicts(home: &Home, files: &[PathBuf]) -> (HashMap<String, Value>, Duration) {
    let list: Vec<&str> = files.iter().map(|path| path.to_str().unwrap()).collect();
    let list = home.write("list", list.join("\n"));
    let args = [
        "ingest",
        "--files-from",
        list.to_str().unwrap(),
        "--timeout",
        "60s",
        "--json",
    ];
    let start = std::time::Instant::now();
    let ran = home.run(&args);
    assert!(matches!(ran.code, 0 | 3), "{}", ran.stderr);
    let said = ran.json().into_iter().filter(|line| {
        matches!(
            line["event"].as_str(),
            Some("indexed" | "failed" | "skipped")
        )
    });
    let said = said.map(|line| (line["path"].as_str().unwrap().to_owned(), line));
    (said.collect(), start.elapsed())
}

#[test]
#[ignore = "needs SQUALL_TEST_DATA"]
fn odd_and_broken_pdfs_get_the_verdict_another_reader_gives_or_one_that_is_explained() {
    let expected = manifest(&data().join("robustness/pdf"));
    let files: Vec<PathBuf> = expected.iter().map(|(path, _)| path.clone()).collect();
    let (said, time) = verdicts(&Home::new(), &files);
    assert_eq!(said.len(), files.len(), "a verdict for every file");
    let mut differing = 0;
    for (path, theirs) in &expected {
        let row = &said[path.to_str().unwrap()];
        let reason = row["reason"].as_str().unwrap_or_default();
        assert!(
            !reason.contains("crashed") && !reason.contains("longer than"),
            "{row}"
        );
        let ours = match (row["event"].as_str().unwrap(), row["chunks"].as_u64()) {
            ("indexed", Some(1..)) => Reading::Text,
            ("indexed", _) => Reading::Pages,
            _ => Reading::Nothing,
        };
        if ours != *theirs {
            differing += 1;
            let name = path.file_name().unwrap().to_str().unwrap();
            let explained = EXPLAINED.iter().find(|(known, ..)| *known == name);
            assert_eq!(
                explained.map(|row| row.1),
                Some(ours),
                "MuPDF {theirs:?}: {row}"
            );
        }
    }
    println!(
        "{} files, {differing} differ from MuPDF, {time:?}",
        files.len()
    );
    assert!(time < Duration::from_secs(900));
}

/// Files that are refused, and why no reader does better.
const REFUSED: [(&str, &str); 6] = [
    (
        "clusterfuzz-testcase-minimized-POIHWPFFuzzer-4947285593948160.doc",
        "damaged; no reader finds text",
    ),
    (
        "clusterfuzz-testcase-minimized-POIHSSFFuzzer-4657005060816896.xls",
        "damaged; no reader finds text",
    ),
    (
        "clusterfuzz-testcase-minimized-POIHSSFFuzzer-4819588401201152.xls",
        "damaged; no reader finds text",
    ),
    (
        "clusterfuzz-testcase-minimized-XLSX2CSVFuzzer-5542865479270400.xlsx",
        "damaged; no sheet is left in it",
    ),
    ("testPPT_protected_passtika.ppt", "password"),
    ("testWORD_protected_passtika.docx", "password"),
];

/// How many files of a kind have text for at least one of two to four established readers.
const WITH_TEXT: [(&str, usize); 8] = [
    ("xlsx", 41),
    ("xls", 35),
    ("docx", 15),
    ("pptx", 7),
    ("doc", 20),
    ("ppt", 5),
    ("hwp", 17),
    ("hwpx", 16),
];

#[test]
#[ignore = "needs SQUALL_TEST_DATA"]
fn office_and_hangul_files_are_read_where_other_readers_do() {
    let folders = ["robustness/office", "robustness/hwp"].map(|name| data().join(name));
    let mut files: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| files_below(folder))
        .collect();
    files.retain(|path| path.extension().is_none_or(|kind| kind != "md"));
    let (said, time) = verdicts(&Home::new(), &files);
    assert_eq!(said.len(), files.len(), "a verdict for every file");
    let mut with_text: HashMap<&str, usize> = HashMap::new();
    for (path, row) in &said {
        let (_, name) = path.rsplit_once('/').unwrap();
        let reason = row["reason"].as_str().unwrap_or_default();
        assert!(
            !reason.contains("crashed") && !reason.contains("longer than"),
            "{row}"
        );
        let is_refused = row["event"] == "failed";
        let known = REFUSED.iter().any(|(known, _)| *known == name);
        assert_eq!(is_refused, known, "{row}");
        let kind = name.rsplit('.').next().unwrap();
        // The same bytes twice are in once.
        let has_text = row["event"] == "skipped" || row["chunks"].as_u64() > Some(0);
        *with_text.entry(kind).or_default() += usize::from(has_text);
    }
    println!("{} files, {with_text:?}, {time:?}", files.len());
    for (kind, least) in WITH_TEXT {
        // One presentation has a single letter for one reader and none for the others.
        let least = least - usize::from(kind == "pptx");
        assert!(with_text[kind] >= least, "{kind}: {}", with_text[kind]);
    }
    assert!(time < Duration::from_secs(300));
}
