//! `eval`, `reembed`, the choice of a model, and what an answer carries.

use serde_json::{Value, json};

use crate::ingest::demo;
use crate::support::{Home, fixture};

fn model(home: &Home) -> String {
    let status = home.json(&["status"], 0);
    let model = &status[0]["collections"][0]["model"];
    model.as_str().unwrap().to_owned()
}

#[test]
fn the_first_documents_choose_the_model_and_the_user_can_overrule() {
    let english = Home::new();
    english.write(
        "a.txt",
        "The harbour committee approved the budget in March.",
    );
    let ran = english.run(&["ingest", "docs"]).expect(0);
    assert!(
        ran.stdout.contains("made with the minilm model"),
        "{}",
        ran.stdout
    );
    assert_eq!(model(&english), "minilm");
    let korean = Home::new();
    korean.write(
        "a.txt",
        "The harbour committee approved the budget in March.",
    );
    korean.write("b.txt", "위원회는 3월에 항만 예산을 승인하였다.");
    korean.run(&["ingest", "docs"]).expect(0);
    assert_eq!(model(&korean), "multilingual");
    // The choice stands, whatever comes later.
    english.write("b.txt", "위원회는 3월에 항만 예산을 승인하였다.");
    let ran = english.run(&["ingest", "docs"]).expect(0);
    assert!(
        ran.stdout.contains("squall reembed --model multilingual"),
        "{}",
        ran.stdout
    );
    let asked = Home::new();
    asked.write("b.txt", "위원회는 3월에 항만 예산을 승인하였다.");
    asked
        .run(&["ingest", "docs", "--model", "minilm"])
        .expect(0);
    assert_eq!(model(&asked), "minilm");
}

#[test]
fn a_collection_changes_its_model_and_keeps_everything_else() {
    let home = Home::new();
    home.write(
        "a.txt",
        "The treasurer approved the harbour budget in March 2025.",
    );
    home.write("b.txt", "위원회는 2025년 4월에 도서관 예산을 승인하였다.");
    home.run(&["ingest", "docs", "--tag", "year=2025", "--model", "minilm"])
        .expect(0);
    let before = home.json(&["status", "--documents"], 0);
    let report = home.json(&["reembed"], 0).pop().unwrap();
    assert_eq!(
        (&report["was"], &report["model"]),
        (&json!("minilm"), &json!("multilingual"))
    );
    assert_eq!(report["documents"], 2);
    let after = home.json(&["status", "--documents"], 0);
    let rows = |status: &[Value]| -> Vec<(Value, Value, Value)> {
        let documents = status[0]["documents"].as_array().unwrap().iter();
        documents
            .map(|row| {
                (
                    row["paths"].clone(),
                    row["tags"].clone(),
                    row["document_id"].clone(),
                )
            })
            .collect()
    };
    assert_eq!(rows(&before), rows(&after));
    assert_eq!(after[0]["collections"].as_array().unwrap().len(), 1);
    assert_eq!(after[0]["collections"][0]["embedded_chunks"], 2);
    home.run(&["verify"]).expect(0);
    // An English question to the Korean page.
    let answer = home.json(
        &[
            "query",
            "Who approved the library budget?",
            "--mode",
            "semantic",
        ],
        0,
    );
    assert_eq!(answer[0]["retrieved_context"].as_array().unwrap().len(), 2);
    let again = home.json(&["reembed"], 0).pop().unwrap();
    assert_eq!(again["changed"], false);
    home.run(&["ingest", "docs"]).expect(0);
    home.run(&["reembed", "-c", "nowhere"]).expect(2);
}

/// What a killed run left in its workplace is used, unless it is stale.
#[test]
fn an_interrupted_change_of_model_goes_on() {
    let home = Home::new();
    home.write(
        "a.txt",
        "The treasurer approved the harbour budget in March 2025.",
    );
    home.run(&["ingest", "docs", "--model", "minilm"]).expect(0);
    let left = "default (being embedded anew)";
    home.run(&["ingest", "docs", "--model", "multilingual", "-c", left])
        .expect(0);
    home.write("gone.txt", "This was removed from the collection since.");
    home.run(&["ingest", "docs", "--model", "multilingual", "-c", left])
        .expect(0);
    home.run(&["reembed", "--model", "multilingual"]).expect(0);
    let status = home.json(&["status"], 0);
    assert_eq!(status[0]["collections"].as_array().unwrap().len(), 1);
    assert_eq!(status[0]["collections"][0]["documents"], 1);
    home.run(&["verify"]).expect(0);
}

#[test]
fn the_demo_is_measured_the_same_every_time() {
    let home = demo();
    let questions = fixture("questions.tsv");
    let out = home.path().join("rows.jsonl");
    let args = [
        "eval",
        questions.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ];
    let mut first = home.json(&args, 0).pop().unwrap();
    assert_eq!(first["questions"], 14);
    assert_eq!(first["missing_documents"], json!([]));
    assert_eq!(first["answers"]["verified_citations"], 1.0);
    assert!(
        first["ranking"]["ndcg_at_10"].as_f64().unwrap() > 0.9,
        "{first}"
    );
    assert!(
        first["ranking"]["page_hit"]["at_5"].as_f64().unwrap() > 0.9,
        "{first}"
    );
    let rows = std::fs::read_to_string(&out).unwrap();
    assert_eq!(rows.lines().count(), 14);
    let row: Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    assert!(
        row["quotes"][0]["text"].is_string() && row["confidence"].is_number(),
        "{row}"
    );
    let mut second = home.json(&args, 0).pop().unwrap();
    for report in [&mut first, &mut second] {
        report.as_object_mut().unwrap().remove("latency_ms");
    }
    assert_eq!(first, second);
    let text = home
        .run(&["eval", questions.to_str().unwrap()])
        .expect(0)
        .stdout;
    assert!(
        text.contains("nDCG@10") && text.contains("page-hit@1/3/5/10"),
        "{text}"
    );
}

#[test]
fn a_corpus_is_embedded_once() {
    let home = Home::new();
    let cache = home.path().join("cache");
    let home = home.env("SQUALL_CACHE_DIR", cache.to_str().unwrap());
    let folder = home.path().join("beir");
    std::fs::create_dir_all(folder.join("qrels")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write(
        "corpus.jsonl",
        "{\"_id\":\"d1\",\"title\":\"Ferries\",\"text\":\"The first ferry leaves at six.\"}\n\
         {\"_id\":\"d2\",\"title\":\"Budget\",\"text\":\"The budget was approved in March.\"}\n",
    );
    write(
        "queries.jsonl",
        "{\"_id\":\"q\",\"text\":\"when does the ferry leave?\"}\n",
    );
    write("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq\td1\t1\n");
    for _ in 0..2 {
        let report = home
            .json(&["eval", folder.to_str().unwrap()], 0)
            .pop()
            .unwrap();
        assert_eq!(report["ranking"]["ndcg_at_10"], 1.0, "{report}");
        assert_eq!(std::fs::read_dir(cache.join("eval")).unwrap().count(), 1);
    }
    // The user's own collections are not touched.
    home.run(&["status"]).expect(1);
    write("corpus.jsonl", "{\"_id\":\"d1\"}\n");
    let ran = home.run(&["eval", folder.to_str().unwrap()]).expect(2);
    assert!(ran.stderr.contains("corpus.jsonl:1"), "{}", ran.stderr);
    home.run(&["eval", "nowhere.tsv"]).expect(2);
    home.run(&["eval", folder.to_str().unwrap(), "--split", "dev"])
        .expect(2);
}

#[test]
fn words_alone_load_no_model_and_meaning_alone_counts_no_words() {
    let home = demo();
    let timings = |mode: &str| {
        let question = "Who approved the 2025 maintenance budget of the harbour?";
        home.json(&["query", question, "--mode", mode], 0)[0]["timings_ms"].clone()
    };
    let (lexical, semantic) = (timings("lexical"), timings("semantic"));
    assert!(lexical["embed"].is_null() && lexical["lexical"].is_number());
    assert!(semantic["embed"].is_number() && semantic["lexical"].is_null());
    let ran = home
        .run(&["query", "Who approved the 2025 budget?", "--timings"])
        .expect(0);
    for stage in ["total", "open", "embed", "answer"] {
        assert!(
            ran.stderr.contains(&format!(" ms  {stage}")),
            "{}",
            ran.stderr
        );
    }
    assert!(!ran.stdout.contains(" ms  "));
}

#[test]
fn an_answer_names_what_was_asked_for_and_the_head_of_its_table() {
    let home = Home::new();
    home.write(
        "fees.md",
        "# Berth fees\n\n| boat | yearly fee |\n|---|---|\n| small sailing boat | 240 crowns |\n\
         | large motor yacht | 990 crowns |\n\nFees are due in June.\n",
    );
    home.run(&["ingest", "docs"]).expect(0);
    let answer = &home.json(
        &["query", "How much is the fee for a large motor yacht?"],
        0,
    )[0];
    let citation = &answer["citations"][0];
    assert_eq!(citation["header"], "| boat | yearly fee |", "{answer}");
    assert_eq!(citation["span"]["text"], "990", "{answer}");
    let text = home
        .run(&["query", "How much is the fee for a large motor yacht?"])
        .expect(0);
    assert!(
        text.stdout.starts_with("990\n| boat | yearly fee |\n"),
        "{}",
        text.stdout
    );
}

#[test]
fn a_row_is_found_by_the_names_of_its_columns_and_its_head_is_no_answer() {
    let home = Home::new();
    home.write(
        "waste.md",
        "# 월별 배출량\n\n| 월 | 일반 쓰레기 | 재활용 |\n|---|---|---|\n| 1월 | 412톤 | 96톤 |\n\
         | 2월 | 387톤 | 103톤 |\n| 3월 | 365톤 | 118톤 |\n\n조사는 5월에 한다.\n",
    );
    home.run(&["ingest", "docs"]).expect(0);
    for (question, row) in [
        ("3월 일반 쓰레기 배출량은?", "| 3월 | 365톤 | 118톤 |"),
        ("2월 재활용은 얼마인가요?", "| 2월 | 387톤 | 103톤 |"),
    ] {
        let answer = &home.json(&["query", question], 0)[0];
        let citations = answer["citations"].as_array().unwrap();
        assert_eq!(citations[0]["quote"], row, "{answer}");
        let head = "| 월 | 일반 쓰레기 | 재활용 |";
        assert!(
            citations.iter().all(|citation| citation["quote"] != head),
            "{answer}"
        );
    }
}

#[test]
fn confidence_has_a_bar_that_can_be_moved() {
    let home = demo();
    let question = "Who approved the 2025 maintenance budget of the harbour?";
    let answer = &home.json(&["query", question], 0)[0];
    assert!(answer["confidence"].as_f64().unwrap() > 0.3, "{answer}");
    home.run(&["query", question, "--min-confidence", "1"])
        .expect(1);
    home.run(&["query", "zebra stripes on Mars", "--min-confidence", "0"])
        .expect(0);
    home.run(&["query", question, "--min-confidence", "2"])
        .expect(2);
    let ran = home
        .run(&["query", "화성에는 얼룩말이 몇 마리 사나요?"])
        .expect(1);
    assert!(
        ran.stderr.contains("이 문서들에는 답이 없습니다"),
        "{}",
        ran.stderr
    );
}

#[test]
fn questions_can_be_limited_to_days() {
    let home = Home::new();
    let path = home.write(
        "a.txt",
        "The treasurer approved the harbour budget in March 2025.",
    );
    let day = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(86_400 * 19_000);
    let file = std::fs::File::options().append(true).open(&path).unwrap();
    file.set_modified(day).unwrap();
    home.run(&["ingest", "docs"]).expect(0);
    let question = "Who approved the harbour budget?";
    for (args, code) in [
        (["--since", "2022-01-08", "--until", "2022-01-08"], 0),
        (["--since", "2022-01-09", "--until", "2022-12-31"], 1),
        (["--since", "2021-01-01", "--until", "2022-01-07"], 1),
        (["--since", "2022-02-01", "--until", "2022-01-01"], 2),
    ] {
        let mut all = vec!["query", question];
        all.extend(args);
        home.run(&all).expect(code);
    }
}
