//! Every format: its text word for word, questions about it answered with the right page, slide or sheet,
//! and what is broken refused with a reason.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Home, fixture};

pub fn documents() -> PathBuf {
    fixture("formats/documents")
}

/// Pictures and archives have no text of their own.
fn is_read_alone(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    !name.starts_with("scan") && !name.ends_with(".zip")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Golden texts are in `golden/`, a file a document, pages parted by form feeds; made and made anew by
/// `squall inspect --pages FILE`.
#[test]
fn every_format_is_read_word_for_word() {
    let home = Home::new();
    let mut checked = 0;
    for path in files(&documents())
        .into_iter()
        .filter(|path| is_read_alone(path))
    {
        let ran = home.run(&["inspect", "--pages", "--ocr", "off", path.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{}: {}", path.display(), ran.stderr);
        let name = path.file_name().unwrap().to_str().unwrap();
        let golden = fixture(&format!("formats/golden/{name}.txt"));
        let golden = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(ran.stdout, golden, "{name}");
        checked += 1;
    }
    assert!(checked >= 40, "{checked} documents");
}

struct Asked {
    question: String,
    document: String,
    page: u64,
    phrase: String,
}

fn questions() -> Vec<Asked> {
    let table = std::fs::read_to_string(fixture("formats/questions.tsv")).unwrap();
    let rows = table.lines().skip(1).map(|row| {
        let fields: Vec<&str> = row.split('\t').collect();
        Asked {
            question: fields[0].into(),
            document: fields[1].into(),
            page: fields[2].parse().unwrap(),
            phrase: fields[3].into(),
        }
    });
    rows.collect()
}

/// Asks about one document among all: whether what is cited first stands on the right page. How sure an
/// answer has to be is not the question here.
fn unanswered<'a>(home: &Home, asked: &'a [Asked]) -> Vec<(&'a Asked, String)> {
    let wrong = asked.iter().filter_map(|asked| {
        let prefix = documents().join(&asked.document);
        let prefix = prefix.to_str().unwrap();
        let sure = ["--min-confidence", "0", "--path-prefix", prefix, "--json"];
        let ran = home.run(&[&["query", &asked.question][..], &sure].concat());
        let answer = ran.json().remove(0);
        let hits = answer["retrieved_context"].as_array().unwrap();
        let is_there = |found: &Value| found["page_number"] == asked.page;
        let says = |hit: &Value| hit["text"].as_str().unwrap().contains(&asked.phrase);
        let is_found = hits.iter().any(|hit| is_there(hit) && says(hit));
        let right = is_found && is_there(&answer["citations"][0]);
        (!right).then(|| {
            (
                asked,
                format!("{}: {} ({})", asked.document, asked.question, ran.stdout),
            )
        })
    });
    wrong.collect()
}

/// A page of a spreadsheet is a range of rows, so the sheets after a long one come later.
fn with_ranges(mut asked: Asked) -> Asked {
    if asked.document.starts_with("예산-집행현황") && asked.page == 3 {
        asked.page = 5;
    }
    asked
}

#[test]
fn a_question_about_every_format_is_answered_with_its_page() {
    let home = Home::new();
    let ran = home.run(&["ingest", documents().to_str().unwrap(), "--ocr", "off"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let asked: Vec<Asked> = questions()
        .into_iter()
        .filter(|asked| !asked.document.starts_with("scan"))
        // An archive in an archive is not opened.
        .filter(|asked| !asked.document.contains("lamps.zip/"))
        .map(with_ranges)
        .collect();
    let wrong = unanswered(&home, &asked);
    let lines: Vec<&str> = wrong.iter().map(|(_, line)| line.as_str()).collect();
    let lines = lines.join("\n");
    let mut by_format: HashMap<&str, [usize; 2]> = HashMap::new();
    let kind = |asked: &'_ Asked| asked.document.rfind('.').unwrap() + 1;
    for asked in &asked {
        by_format.entry(&asked.document[kind(asked)..]).or_default()[0] += 1;
    }
    for (asked, _) in &wrong {
        by_format.entry(&asked.document[kind(asked)..]).or_default()[1] += 1;
    }
    for (kind, [all, missed]) in &by_format {
        assert!(missed < all, "{kind}: {missed} of {all} wrong\n{lines}");
    }
    let missed = wrong.len();
    assert!(
        missed * 10 <= asked.len(),
        "{missed} of {}\n{lines}",
        asked.len()
    );
}

#[test]
#[ignore = "needs tesseract with Korean"]
fn ocr_reads_scans_in_both_languages_whatever_way_up() {
    let home = Home::new().env("SQUALL_OCR", "auto");
    for path in files(&documents()).iter().filter(|path| {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("scan")
    }) {
        let ran = home.run(&["ingest", path.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    let asked: Vec<Asked> = questions()
        .into_iter()
        .filter(|asked| asked.document.starts_with("scan"))
        .collect();
    let wrong = unanswered(&home, &asked);
    assert!(
        wrong.is_empty(),
        "{:?}",
        wrong.iter().map(|(_, line)| line).collect::<Vec<_>>()
    );
    let scan = documents().join("scan-ko.png");
    let ran = home.run(&["inspect", scan.to_str().unwrap(), "--json"]);
    let sure = ran.json()[0]["pages"][0]["ocr_confidence"]
        .as_f64()
        .unwrap();
    assert!((0.7..=1.0).contains(&sure), "{sure}");
}

#[test]
fn without_an_engine_scans_are_told_of_once_and_read_when_there_is_one() {
    let home = Home::new()
        .env("PATH", "/nowhere")
        .env("SQUALL_OCR", "auto");
    let scans = ["scan-en.jpg", "scan-low.png"].map(|name| documents().join(name));
    let paths = scans.map(|path| path.to_str().unwrap().to_owned());
    let ran = home.run(&["ingest", &paths[0], &paths[1]]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(
        ran.stderr.matches("install tesseract to read").count(),
        1,
        "{}",
        ran.stderr
    );
    let ran = home.run(&["inspect", &paths[0], "--json"]);
    assert_eq!(ran.json()[0]["pages"][0]["verdict"], "empty");
    let ran = home.run(&["doctor"]);
    assert!(ran.stdout.contains("tesseract"), "{}", ran.stdout);
}

#[test]
fn what_cannot_be_read_is_refused_with_the_reason_and_the_rest_goes_in() {
    let expected = [
        ("bomb.docx", "unpacks to more than"),
        ("bomb.hwp", ""),
        ("deep.hwp", ""),
        ("empty.xlsx", ""),
        ("encrypted.docx", "password"),
        ("encrypted.hwp", "password"),
        ("encrypted.xlsx", "password"),
        ("entities.docx", ""),
        ("loop.hwp", "damaged"),
        ("sizes.hwp", ""),
        ("truncated.docx", ""),
        ("truncated.hwp", "damaged"),
        ("truncated.xls", "damaged"),
    ];
    let home = Home::new();
    let folder = fixture("formats/broken");
    let ran = home.run(&["ingest", folder.to_str().unwrap(), "--json"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let said: HashMap<String, Value> = ran
        .json()
        .into_iter()
        .filter(|line| matches!(line["event"].as_str(), Some("indexed" | "failed")))
        .map(|line| {
            let path = line["path"].as_str().unwrap().to_owned();
            (path.rsplit('/').next().unwrap().to_owned(), line)
        })
        .collect();
    assert_eq!(said.len(), expected.len());
    for (name, reason) in expected {
        let line = &said[name];
        let given = line["reason"].as_str().unwrap_or_default();
        assert!(!given.contains("crashed"), "{line}");
        match reason {
            "" => {}
            reason => assert!(given.contains(reason), "{line}"),
        }
    }
}

#[test]
fn a_wrong_extension_is_noted_and_no_obstacle() {
    let home = Home::new();
    let path = documents().join("really-a-docx.pdf");
    let ran = home.run(&["ingest", path.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let page = home.copy("hostile/html.pdf");
    let said = home.run(&["ingest", page.to_str().unwrap()]).stderr;
    assert!(said.contains("perhaps a login or error page"), "{said}");
    assert!(
        ran.stderr
            .contains("its name ends in .pdf, its content is docx"),
        "{}",
        ran.stderr
    );
}

#[test]
fn an_archive_is_a_folder_of_documents() {
    let home = Home::new();
    let archive = home.copy("formats/documents/archive.zip");
    let ran = home.run(&["ingest", archive.to_str().unwrap(), "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let indexed = |ran: &crate::support::Ran| {
        let lines = ran.json().into_iter();
        lines.filter(|line| line["event"] == "indexed").count()
    };
    assert_eq!(indexed(&ran), 4, "{}", ran.stdout);
    let ran = home.run(&["query", "돌섬 조사 책임자는 누구인가요?", "--json"]);
    let cited = ran.json()[0]["citations"][0]["document"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(cited.ends_with("archive.zip/읽어보기.txt"), "{cited}");
    // Nothing is done twice, nothing is left behind, and what is in goes with the archive.
    let ran = home.run(&["ingest", archive.to_str().unwrap(), "--json"]);
    assert_eq!(indexed(&ran), 0, "{}", ran.stdout);
    // What is not in the archive any more is dropped, and what is left stays.
    let file = std::fs::File::create(&archive).unwrap();
    let mut writer = zip::ZipWriter::new(file);
    let options = zip::write::SimpleFileOptions::default();
    writer.start_file("읽어보기.txt", options).unwrap();
    writer
        .write_all("돌섬 조사 책임자는 노을빛 연구사이다.".as_bytes())
        .unwrap();
    writer.finish().unwrap();
    home.run(&["ingest", archive.to_str().unwrap(), "--prune"])
        .expect(0);
    let left = home.run(&["status", "--documents"]).stdout;
    assert!(
        left.contains("읽어보기.txt") && !left.contains("anchors.csv"),
        "{left}"
    );
    let docs = archive.parent().unwrap().to_owned();
    let other = home.write("other.txt", "Another document, which stays.");
    home.run(&["ingest", other.to_str().unwrap()]).expect(0);
    std::fs::remove_file(&archive).unwrap();
    let ran = home.run(&["ingest", docs.to_str().unwrap(), "--prune"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let ran = home.run(&["status", "--documents"]);
    assert!(
        !ran.stdout.contains("archive.zip") && ran.stdout.contains("other.txt"),
        "{}",
        ran.stdout
    );
}

#[test]
fn headers_and_footers_stay_on_the_page_and_out_of_the_chunks() {
    let home = Home::new();
    let path = documents().join("running.pdf");
    let ran = home.run(&["ingest", path.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let ran = home.run(&[
        "query",
        "Yearbook of the Tarnwick Lighthouse Fund",
        "-k",
        "10",
        "--json",
    ]);
    let answer = ran.json().remove(0);
    let hits = answer["retrieved_context"].as_array().unwrap();
    assert!(!hits.is_empty());
    // What is on every page is found on the first.
    for hit in hits.iter().filter(|hit| hit["page_number"] != 1) {
        let text = hit["text"].as_str().unwrap();
        assert!(
            !text.contains("Volume 12") && !text.contains("Brannock"),
            "{text}"
        );
    }
    let ran = home.run(&["inspect", path.to_str().unwrap(), "--pages"]);
    assert_eq!(ran.stdout.matches("Volume 12").count(), 6);
}
