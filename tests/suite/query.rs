//! Questions to the demo folder: the right document, the right page, quotes that stand there.

use crate::ingest::demo;
use crate::support::{Home, fixture};

struct Expected {
    question: String,
    document: String,
    page: u64,
    phrase: String,
}

fn questions() -> Vec<Expected> {
    let text = std::fs::read_to_string(fixture("questions.tsv")).unwrap();
    text.lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            Expected {
                question: fields[0].into(),
                document: fields[1].rsplit('/').next().unwrap().into(),
                page: fields[2].parse().unwrap(),
                phrase: fields[3].into(),
            }
        })
        .collect()
}

/// The last question asks "where" of a line that says "place:" and shares no word with it; the
/// answer is the notice's title, and the line itself is in the context.
#[test]
fn the_demo_questions_are_answered_from_the_right_page() {
    let home = demo();
    let expected = questions();
    assert_eq!(expected.len(), 14);
    let lines: Vec<&str> = expected.iter().map(|e| e.question.as_str()).collect();
    let answers = home
        .run_with(&["query", "-"], lines.join("\n").as_bytes())
        .expect(0)
        .json();
    let mut quoted = 0;
    for (expected, answer) in expected.iter().zip(&answers) {
        let citation = &answer["citations"][0];
        let document = citation["document"].as_str().unwrap_or("");
        assert!(
            document.ends_with(&expected.document),
            "{}: {answer}",
            expected.question
        );
        assert_eq!(
            citation["page_number"], expected.page,
            "{}",
            expected.question
        );
        let text = answer["generated_answer"].as_str().unwrap();
        quoted += usize::from(text.contains(&expected.phrase));
    }
    assert!(quoted >= 13, "{quoted} of 14 answers hold the phrase");
}

#[test]
fn text_output_is_the_quote_and_its_place() {
    let home = demo();
    let ran = home
        .run(&["query", "Who approved the 2025 maintenance budget?"])
        .expect(0);
    let mut lines = ran.stdout.lines();
    assert_eq!(lines.next().unwrap(), "Treasurer Ines Halvorsen");
    assert_eq!(
        lines.next().unwrap(),
        "The 2025 maintenance budget of 1.84 million crowns was approved by Treasurer Ines \
         Halvorsen on 14 March 2025."
    );
    assert_eq!(
        lines.next().unwrap(),
        "    docs/harbour-committee-minutes.pdf:3"
    );
    assert_eq!(ran.stderr, "");
}

#[test]
fn the_json_answer_has_the_documented_shape() {
    let home = demo();
    let answer = &home.json(&["query", "What does fault code E-07 mean?", "-k", "2"], 0)[0];
    let keys: Vec<&str> = answer
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "answered",
            "citations",
            "confidence",
            "generated_answer",
            "query",
            "retrieved_context",
            "schema",
            "timings_ms"
        ]
    );
    assert_eq!(answer["answered"], true);
    let context = answer["retrieved_context"].as_array().unwrap();
    assert_eq!(context.len(), 2);
    for hit in context {
        for key in [
            "id",
            "document_id",
            "document",
            "page_number",
            "text",
            "score",
        ] {
            assert!(!hit[key].is_null(), "{key} of {hit}");
        }
    }
    let quote = answer["citations"][0]["quote"].as_str().unwrap();
    assert!(
        context
            .iter()
            .any(|hit| hit["text"].as_str().unwrap().contains(quote))
    );
}

#[test]
fn what_the_documents_do_not_say_is_not_answered() {
    let home = demo();
    for question in [
        "zebra stripes evolution on Mars",
        "화성 얼룩말의 유전자 지도",
    ] {
        let ran = home.run(&["query", question]).expect(1);
        assert_eq!(ran.stdout, "");
        let said = ran.stderr.contains("no answer") || ran.stderr.contains("답이 없습니다");
        assert!(said, "{}", ran.stderr);
        let answer = home.json(&["query", question], 1);
        assert_eq!(answer[0]["answered"], false);
    }
}

#[test]
fn pages_can_be_picked() {
    let home = demo();
    let question = "Who approved the 2025 maintenance budget of the harbour?";
    let answer = &home.json(&["query", question, "--page", "3", "-k", "20"], 0)[0];
    let context = answer["retrieved_context"].as_array().unwrap();
    assert!(!context.is_empty() && context.iter().all(|hit| hit["page_number"] == 3));
    let answer = home.json(&["query", question, "--page", "90-99"], 1);
    assert!(
        answer[0]["retrieved_context"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn search_operators_in_a_question_are_only_text() {
    let home = demo();
    for question in [
        "\" OR 1=1 --",
        "NEAR(a b) AND *",
        "terms : ^budget* (",
        "'; DROP TABLE chunks;",
    ] {
        let ran = home.run(&["query", question]);
        assert!(matches!(ran.code, 0 | 1), "{question}: {}", ran.stderr);
    }
    home.run(&["query", "Who approved the budget?"]).expect(0);
}

#[test]
fn hnsw_and_exact_search_agree_and_damage_is_survived() {
    let home = Home::new();
    for i in 0..60 {
        home.write(
            &format!("{i}.txt"),
            format!(
                "Berth number {i} is let to the boat called Vessel{i} of harbour town {}.",
                i * 7
            ),
        );
    }
    std::fs::write(home.path().join("c.toml"), "hnsw_min_chunks = 10").unwrap();
    home.run(&["ingest", "docs"]).expect(0);
    home.run(&["--config", "c.toml", "optimize"]).expect(0);
    let status = home.json(&["status"], 0);
    assert_eq!(status[0]["collections"][0]["graph_chunks"], 60);
    let ids = |index: &str| -> Vec<String> {
        let args = [
            "query",
            "which boat has berth 17?",
            "-k",
            "10",
            "--index",
            index,
        ];
        // Without berth 17 there is no answer, but there are passages.
        let mut args = args.to_vec();
        args.push("--json");
        let answer = home.run(&args).json();
        let context = answer[0]["retrieved_context"].as_array().unwrap();
        context.iter().map(|hit| hit["id"].to_string()).collect()
    };
    let exact = ids("exact");
    assert_eq!(ids("hnsw"), exact);
    home.run(&["remove", "docs/17.txt"]).expect(0);
    let without = ids("exact");
    assert!(!without.contains(&exact[0]));
    assert_eq!(ids("hnsw"), without);
    let vectors = std::fs::read_dir(home.data_dir().join("vectors")).unwrap();
    for file in vectors {
        std::fs::write(file.unwrap().path(), "damaged").unwrap();
    }
    let ran = home
        .run(&["query", "which boat has berth 18?", "-k", "10", "--json"])
        .expect(0);
    assert!(ran.stderr.contains("squall optimize"), "{}", ran.stderr);
    assert!(ran.stdout.contains("Vessel18"));
    home.run(&["doctor"]).expect(5);
    home.run(&["--config", "c.toml", "optimize"]).expect(0);
    home.run(&["doctor"]).expect(0);
    assert_eq!(ids("exact"), without);
}

/// The other arm knows nothing of a page the model cannot read: its words must tell, across scripts too.
#[test]
fn a_name_on_a_page_without_a_vector_is_found() {
    let home = Home::new();
    home.write(
        "ko.txt",
        "서버 상태는 Grafana 화면에서 확인하고, 이상이 있으면 담당자에게 알린다.",
    );
    for i in 0..12 {
        home.write(
            &format!("{i}.txt"),
            format!("Dashboards of machine {i} are kept by the office."),
        );
    }
    home.run(&["ingest", "docs", "--model", "minilm"]).expect(0);
    let answer = &home.run(&["query", "Grafana", "--json"]).json()[0];
    let first = answer["retrieved_context"][0]["document"].as_str().unwrap();
    assert!(first.ends_with("ko.txt"), "{answer}");
}
