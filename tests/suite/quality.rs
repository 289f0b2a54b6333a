//! How good retrieval and answers are on open data: `SQUALL_TEST_DATA` names its folder, and the
//! floors below are what must hold with default settings. `--nocapture` shows the figures.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use squall::embed::{BertEmbedder, Embedder as _, Role, minilm, multilingual, reference};

use crate::support::Home;

/// What fusing may cost against the better of its arms.
const SLACK: f64 = 0.005;

fn data() -> PathBuf {
    PathBuf::from(std::env::var_os("SQUALL_TEST_DATA").expect("SQUALL_TEST_DATA names the data"))
}

fn unpacked(path: &Path) -> String {
    let output = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    assert!(output.status.success(), "{}", path.display());
    String::from_utf8(output.stdout).unwrap()
}

fn lines(path: &Path, rows: impl IntoIterator<Item = Value>) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    for row in rows {
        writeln!(file, "{row}").unwrap();
    }
}

/// A folder in BEIR layout.
fn beir(
    folder: &Path,
    corpus: impl IntoIterator<Item = (String, String)>,
    questions: &[(String, String, String)],
) {
    std::fs::create_dir_all(folder.join("qrels")).unwrap();
    let corpus = corpus.into_iter();
    lines(
        &folder.join("corpus.jsonl"),
        corpus.map(|(id, text)| json!({"_id": id, "text": text})),
    );
    let queries = questions.iter();
    lines(
        &folder.join("queries.jsonl"),
        queries.map(|(id, text, _)| json!({"_id": id, "text": text})),
    );
    let mut qrels = String::from("query-id\tcorpus-id\tscore\n");
    for (id, _, document) in questions {
        qrels.push_str(&format!("{id}\t{document}\t1\n"));
    }
    std::fs::write(folder.join("qrels/test.tsv"), qrels).unwrap();
}

fn evaluate(home: &Home, path: &Path, more: &[&str]) -> Value {
    let mut args = vec!["eval", path.to_str().unwrap()];
    args.extend(more);
    let report = home.json(&args, 0).pop().unwrap();
    println!("{} {more:?}: {report}", path.file_name().unwrap().display());
    assert_eq!(report["missing_documents"], json!([]));
    report
}

/// The value of `measure` with both arms, which must hold `floor` and either arm.
fn fused(home: &Home, path: &Path, model: &str, measure: &str, floor: f64) {
    let of = |mode: &str| {
        let args = ["--retrieval-only", "--model", model, "--mode", mode];
        let report = evaluate(home, path, &args);
        report["ranking"][measure].as_f64().unwrap()
    };
    let (lexical, semantic, hybrid) = (of("lexical"), of("semantic"), of("hybrid"));
    assert!(hybrid >= floor, "{measure} {hybrid}, wanted {floor}");
    let better = lexical.max(semantic);
    assert!(hybrid >= better - SLACK, "{hybrid} fused, {better} alone");
}

fn home() -> Home {
    let home = Home::new();
    let cache = home.path().join("cache");
    home.env("SQUALL_CACHE_DIR", cache.to_str().unwrap())
}

#[test]
#[ignore = "needs SQUALL_TEST_DATA"]
fn quality_on_english_abstracts() {
    let (home, source) = (home(), data().join("scifact"));
    let folder = home.path().join("scifact");
    std::fs::create_dir_all(folder.join("qrels")).unwrap();
    for name in ["corpus.jsonl", "queries.jsonl"] {
        let text = unpacked(&source.join(format!("{name}.gz")));
        std::fs::write(folder.join(name), text).unwrap();
    }
    std::fs::copy(source.join("qrels/test.tsv"), folder.join("qrels/test.tsv")).unwrap();
    fused(&home, &folder, "auto", "ndcg_at_10", 0.725);
}

/// Passages of KorQuAD, and its questions with the passage and the answers of each.
type Passages = (Vec<(String, String)>, Vec<(String, String, String)>);

fn korquad() -> Passages {
    let text = unpacked(&data().join("korquad/KorQuAD_v1.0_dev.json.gz"));
    let korquad: Value = serde_json::from_str(&text).unwrap();
    let (mut passages, mut questions) = (Vec::<(String, String)>::new(), Vec::new());
    let all = korquad["data"].as_array().unwrap().iter();
    for paragraph in all.flat_map(|article| article["paragraphs"].as_array().unwrap()) {
        let text = paragraph["context"].as_str().unwrap();
        let known = passages.iter().find(|(_, known)| known == text);
        let id = known.map_or_else(|| format!("p{}", passages.len()), |(id, _)| id.clone());
        if known.is_none() {
            passages.push((id.clone(), text.to_owned()));
        }
        for question in paragraph["qas"].as_array().unwrap() {
            questions.push((
                question["id"].as_str().unwrap().to_owned(),
                question["question"].as_str().unwrap().to_owned(),
                id.clone(),
            ));
        }
    }
    (passages, questions)
}

#[test]
#[ignore = "needs SQUALL_TEST_DATA"]
fn quality_on_korean_passages() {
    let home = home();
    let folder = home.path().join("korquad");
    let (passages, questions) = korquad();
    beir(&folder, passages, &questions);
    fused(&home, &folder, "auto", "ndcg_at_10", 0.955);
}

/// The quick encoders against the same weights in f32 on candle: 5,183 English texts and 961 Korean,
/// vectors and how they rank.
#[test]
#[ignore = "needs SQUALL_TEST_DATA"]
fn quality_of_vectors_in_int8() {
    let scifact = |name: &str| unpacked(&data().join(format!("scifact/{name}.jsonl.gz")));
    let rows = |text: &str| -> Vec<Value> {
        let rows = text.lines().map(serde_json::from_str);
        rows.collect::<Result<_, _>>().unwrap()
    };
    let (corpus, queries) = (rows(&scifact("corpus")), rows(&scifact("queries")));
    let abstracts = corpus.iter().map(|row| {
        let text = row["text"].as_str().unwrap();
        text.chars().take(500).collect()
    });
    let number = |id: &str| corpus.iter().position(|row| row["_id"] == id).unwrap();
    let qrels = std::fs::read_to_string(data().join("scifact/qrels/test.tsv")).unwrap();
    let mut asked: Vec<(&str, Vec<usize>)> = Vec::new();
    for line in qrels.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let text = queries.iter().find(|row| row["_id"] == fields[0]).unwrap();
        let text = text["text"].as_str().unwrap();
        match asked.iter_mut().find(|(known, _)| *known == text) {
            Some((_, wanted)) => wanted.push(number(fields[1])),
            None => asked.push((text, vec![number(fields[1])])),
        }
    }
    agree("minilm", &minilm(), &abstracts.collect::<Vec<_>>(), &asked);
    let (passages, questions) = korquad();
    let texts = passages
        .iter()
        .map(|(_, text)| text.chars().take(250).collect());
    let number = |id: &str| passages.iter().position(|(known, _)| known == id).unwrap();
    let asked = questions.iter().step_by(6);
    let asked = asked.map(|(_, text, id)| (text.as_str(), vec![number(id)]));
    agree(
        "multilingual",
        &multilingual(),
        &texts.collect::<Vec<_>>(),
        &asked.collect::<Vec<_>>(),
    );
}

fn embedded(embedder: &BertEmbedder, texts: &[&str], role: Role) -> Vec<Vec<f32>> {
    let batches = texts
        .chunks(64)
        .map(|batch| embedder.embed(batch, role).unwrap());
    batches.flatten().collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Mean nDCG@10 of questions to texts, given the texts that answer each.
fn ndcg(texts: &[Vec<f32>], questions: &[Vec<f32>], asked: &[(&str, Vec<usize>)]) -> f64 {
    let discount = |rank: usize| 1.0 / ((rank + 2) as f64).log2();
    let of = |(question, (_, wanted)): (&Vec<f32>, &(&str, Vec<usize>))| {
        let mut order: Vec<(f32, usize)> = texts
            .iter()
            .map(|text| cosine(question, text))
            .zip(0..)
            .collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        let best = order.iter().take(10).enumerate();
        let gained: f64 = best
            .filter(|(_, (_, text))| wanted.contains(text))
            .map(|(rank, _)| discount(rank))
            .sum();
        gained / (0..wanted.len().min(10)).map(discount).sum::<f64>()
    };
    questions.iter().zip(asked).map(of).sum::<f64>() / asked.len() as f64
}

fn agree(name: &str, packed: &BertEmbedder, texts: &[String], asked: &[(&str, Vec<usize>)]) {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let questions: Vec<&str> = asked.iter().map(|(text, _)| *text).collect();
    let both = |embedder: &BertEmbedder| {
        let texts = embedded(embedder, &texts, Role::Passage);
        let ndcg = ndcg(&texts, &embedded(embedder, &questions, Role::Query), asked);
        (texts, ndcg)
    };
    let (packed, of_packed) = both(packed);
    let (exact, of_exact) = both(&reference(name));
    let cosines: Vec<f32> = packed
        .iter()
        .zip(&exact)
        .map(|(a, b)| cosine(a, b))
        .collect();
    let mean = cosines.iter().sum::<f32>() / cosines.len() as f32;
    let least = cosines.iter().copied().fold(1.0, f32::min);
    println!(
        "{name}: {} texts, mean cosine {mean}, least {least}; {} questions, nDCG@10 {of_packed:.4} \
         in int8, {of_exact:.4} in f32",
        texts.len(),
        asked.len()
    );
    assert!(mean >= 0.995 && least >= 0.98, "{name}: {mean}, {least}");
    assert!(
        (of_packed - of_exact).abs() <= 0.005,
        "{name}: {of_packed}, {of_exact}"
    );
}

/// Questions to Wikipedia articles, once with all of them and once without a quarter.
#[test]
#[ignore = "needs SQUALL_TEST_DATA"]
fn quality_of_answers_and_of_refusals() {
    let home = home();
    let articles = data().join("xquad/articles");
    let text = std::fs::read_to_string(data().join("xquad/queries.jsonl")).unwrap();
    let questions: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let mut names: Vec<&str> = questions
        .iter()
        .map(|q| q["article"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    names.dedup();
    let out: Vec<&str> = names.iter().copied().skip(1).step_by(4).collect();
    assert_eq!((names.len(), out.len()), (48, 12));
    let row = |question: &Value, out: &[&str]| {
        let article = question["article"].as_str().unwrap();
        json!({
            "question": question["question"], "document": article, "answers": question["answers"],
            "answerable": !out.contains(&article),
        })
    };
    home.run(&["ingest", articles.to_str().unwrap()]).expect(0);
    let all = home.path().join("all.jsonl");
    lines(&all, questions.iter().map(|question| row(question, &[])));
    let answers = &evaluate(&home, &all, &[])["answers"];
    assert!(
        answers["answer_in_quote"].as_f64().unwrap() >= 0.80,
        "{answers}"
    );
    assert_eq!(answers["verified_citations"], 1.0);
    let gone: Vec<PathBuf> = out.iter().map(|name| articles.join(name)).collect();
    let mut args = vec!["remove"];
    args.extend(gone.iter().map(|path| path.to_str().unwrap()));
    home.run(&args).expect(0);
    let some = home.path().join("some.jsonl");
    lines(&some, questions.iter().map(|question| row(question, &out)));
    let answers = &evaluate(&home, &some, &[])["answers"];
    assert!(
        answers["false_answers"].as_f64().unwrap() <= 0.20,
        "{answers}"
    );
    assert!(
        answers["false_refusals"].as_f64().unwrap() <= 0.10,
        "{answers}"
    );
    assert_eq!(answers["verified_citations"], 1.0);
}

/// The text of a page of the guide: tags out, blocks apart.
fn page_text(html: &str) -> String {
    let body = html.split_once("<body").map_or(html, |(_, body)| body);
    let mut text = String::new();
    let mut rest = body;
    while let Some((before, after)) = rest.split_once('<') {
        text.push_str(before);
        let (tag, after) = after.split_once('>').unwrap_or((after, ""));
        let name = tag
            .trim_start_matches('/')
            .split([' ', '\n'])
            .next()
            .unwrap();
        if [
            "p", "div", "li", "h1", "h2", "h3", "h4", "tr", "pre", "table",
        ]
        .contains(&name)
        {
            text.push_str("\n\n");
        }
        rest = after;
    }
    for (name, c) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&amp;", "&"),
    ] {
        text = text.replace(name, c);
    }
    text
}

/// The title without its number: `B.2. Using preseeding` is `Using preseeding`.
fn title(text: &str) -> String {
    let number = r"^((Chapter|Appendix|부록|제)\s*)?[0-9A-G]+(\.[0-9]+)*(장)?\.\s*";
    regex::Regex::new(number)
        .unwrap()
        .replace(text, "")
        .into_owned()
}

/// An English title must find the Korean page of the same manual, and the other way round.
#[test]
#[ignore = "needs SQUALL_TEST_DATA"]
fn quality_across_languages() {
    let home = home();
    let guide = data().join("pdf-korean/debian-installation-guide");
    let text = std::fs::read_to_string(guide.join("parallel_pages.jsonl")).unwrap();
    let pages: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    for (asked, found) in [("en", "ko"), ("ko", "en")] {
        let name = |page: &Value| page["file"].as_str().unwrap().to_owned();
        let corpus = pages.iter().map(|page| {
            let html = std::fs::read_to_string(guide.join(found).join(name(page))).unwrap();
            (name(page), page_text(&html))
        });
        let questions: Vec<(String, String, String)> = pages
            .iter()
            .map(|page| {
                let asked = page[format!("title_{asked}")].as_str().unwrap();
                (name(page), title(asked), name(page))
            })
            .collect();
        let folder = home.path().join(format!("{asked}-{found}"));
        beir(&folder, corpus, &questions);
        // English pages alone would be given the English model.
        fused(&home, &folder, "multilingual", "recall_at_5", 0.60);
    }
}
