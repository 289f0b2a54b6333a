//! `squall inspect`: what it says of files and documents, and of what it cannot read.

use crate::formats::documents;
use crate::support::Home;

#[test]
fn inspect_reports_on_files_and_documents_alike() {
    let home = Home::new();
    let path = home.copy("formats/documents/table.pdf");
    let path = path.to_str().unwrap();
    let ran = home.run(&["inspect", path, "--table", "1"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout.starts_with("Goods,2023 (t),2024 (t),Change\n"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout
            .contains("\"Slate, sorted and packed in crates of forty\",806.5")
    );
    let file = home.run(&["inspect", path, "--json"]).json().remove(0);
    assert_eq!(home.run(&["ingest", path]).code, 0);
    let id = file["document_id"].as_str().unwrap();
    let stored = home.run(&["inspect", &id[..10], "--json"]).json().remove(0);
    for field in [
        "tables",
        "amounts",
        "summary",
        "key_phrases",
        "page_count",
        "format",
    ] {
        assert_eq!(file[field], stored[field], "{field}");
    }
    let shares: Vec<f64> = file["amounts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|amount| amount["unit"] == "%")
        .map(|amount| amount["value"].as_f64().unwrap())
        .collect();
    assert_eq!(shares, [5.2, -1.8, 27.8, -14.3, -5.8]);
    let report = home.run(&["inspect", id]).stdout;
    assert!(
        report.contains("## Tables") && report.contains("5.2 % = 5.2 %"),
        "{report}"
    );
    let blank = home.path().join("blank.rtf");
    std::fs::write(&blank, r"{\rtf1 }").unwrap();
    let ran = home.run(&["inspect", blank.to_str().unwrap(), "--pages"]);
    assert!(
        ran.stderr.contains("blank.rtf: no text was found in it"),
        "{}",
        ran.stderr
    );
    let ran = home.run(&["inspect", "/dev/null"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("pipe or a device"), "{}", ran.stderr);
    assert_eq!(home.run(&["inspect", "no-such-document"]).code, 1);
    assert_eq!(home.run(&["inspect", path, "--table", "9"]).code, 1);
}

#[test]
fn inspect_takes_several_and_passes_over_what_it_cannot_read() {
    let home = Home::new();
    let table = home.copy("formats/documents/table.pdf");
    let broken = home.write("broken.pdf", "%PDF-1.4 and no more");
    let note = home.write("note.txt", "The gate opens at nine.");
    let paths = [&table, &broken, &note].map(|path| path.to_str().unwrap());
    let ran = home.run(&[&["inspect", "--json"], &paths[..]].concat());
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("broken.pdf"), "{}", ran.stderr);
    let names: Vec<String> = ran
        .json()
        .iter()
        .map(|report| report["document"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        names.len() == 2 && names[0].ends_with("table.pdf") && names[1].ends_with("note.txt"),
        "{names:?}"
    );
    let pages = home.run(&["inspect", "--pages", paths[2], paths[2]]);
    assert_eq!(
        pages.stdout,
        "The gate opens at nine.\n\u{C}The gate opens at nine.\n"
    );
    assert_eq!(
        home.run(&["inspect", "--table", "1", paths[0], paths[2]])
            .code,
        2
    );
}

#[test]
fn attachments_bookmarks_and_forms_of_a_pdf_are_known() {
    let home = Home::new();
    let about = |name: &str| {
        let path = documents().join(name);
        home.run(&["inspect", path.to_str().unwrap(), "--json", "--pages"])
            .json()
            .remove(0)
    };
    let found = about("attachments.pdf");
    assert_eq!(
        found["attachments"],
        serde_json::json!(["diver-notes.txt", "gauge-readings.csv"])
    );
    let outline = found["outline"].as_array().unwrap();
    assert_eq!(
        (&outline[1]["level"], &outline[5]["page"]),
        (&2.into(), &2.into())
    );
    // Values stand with the labels printed beside their fields, drawn or not; states have none.
    let form = about("form.pdf");
    let text = form["pages"][0]["text"].as_str().unwrap();
    assert!(
        text.contains("\nName of vessel Patient Margaret\n"),
        "{text}"
    );
    assert!(text.contains("\n- Shore power wanted: Yes"), "{text}");
    assert!(
        text.contains("\n신청인 갈마루 해운 대표 온누리\n"),
        "{text}"
    );
}

#[test]
fn a_template_makes_the_text_of_json() {
    let home = Home::new();
    let path = documents().join("상담-기록.ndjson");
    let args = [
        "inspect",
        path.to_str().unwrap(),
        "--pages",
        "--json-template",
        "{title} / {id}",
    ];
    let ran = home.run(&args);
    assert!(
        ran.stdout.starts_with("난방비 지원 문의 / c-101\n"),
        "{}",
        ran.stdout
    );
}
