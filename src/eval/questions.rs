//! Questions with known answers, in the layouts people have them in.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::Error;
use crate::usage;

/// A question and what is known of its answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Question {
    pub id: String,
    pub text: String,
    /// Where the answer stands; empty when that is not known, or there is none.
    pub relevant: Vec<Relevant>,
    /// Spellings of the answer, any of which will do.
    pub answers: Vec<String>,
    /// Whether the documents hold an answer.
    pub answerable: bool,
}

/// A document, or a page of it, that answers a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Relevant {
    /// A path, the end of one, or an id of `corpus.jsonl`.
    pub document: String,
    pub page: Option<u32>,
    /// How much it helps; 1 unless the judgements grade.
    pub gain: f64,
}

/// What `squall eval` was pointed at.
#[derive(Debug)]
pub struct Set {
    pub questions: Vec<Question>,
    /// Documents of its own; `None` when the questions are about a collection.
    pub corpus: Option<PathBuf>,
}

/// Reads a folder in BEIR layout, or a file of questions (`.jsonl`, or `.tsv`).
///
/// # Errors
/// A usage error naming the file and line.
pub fn read(path: &Path, split: &str) -> Result<Set, Error> {
    if !path.is_dir() {
        let questions = match path.extension().and_then(|e| e.to_str()) {
            Some("jsonl" | "ndjson") => json_lines(path, Line::into_known_question)?,
            Some("tsv") => tsv(path)?,
            _ => {
                return Err(usage!(
                    "{}: give a folder with queries.jsonl and qrels/, or a .jsonl or .tsv file",
                    path.display()
                ));
            }
        };
        return Ok(Set {
            questions: numbered(questions),
            corpus: None,
        });
    }
    let corpus = path.join("corpus.jsonl");
    let questions = json_lines(&path.join("queries.jsonl"), |line| Ok(line.into_question()))?;
    Ok(Set {
        questions: judged(questions, &path.join("qrels").join(format!("{split}.tsv")))?,
        corpus: corpus.exists().then_some(corpus),
    })
}

/// One line of `queries.jsonl`, or of a file of questions.
#[derive(Deserialize)]
struct Line {
    #[serde(alias = "_id", default)]
    id: Option<serde_json::Value>,
    #[serde(alias = "question", alias = "query")]
    text: String,
    #[serde(default, alias = "doc")]
    document: Option<String>,
    #[serde(default)]
    page: Option<u32>,
    #[serde(default)]
    answer: Option<String>,
    #[serde(default)]
    answers: Vec<String>,
    #[serde(default)]
    answerable: Option<bool>,
    #[serde(flatten)]
    others: std::collections::BTreeMap<String, serde_json::Value>,
}

impl Line {
    /// A line that says nothing of an answer counts as unanswerable, unless it seems to mean to.
    fn into_known_question(self) -> Result<Question, String> {
        let unknown = self.others.keys().next().cloned();
        let question = Line::into_question(self);
        match unknown {
            Some(key) if !question.answerable && question.relevant.is_empty() => Err(format!(
                "there is no document and no answer, and '{key}' is not a known key (question, \
                 document, page, answer, answers, answerable, id)"
            )),
            _ => Ok(question),
        }
    }

    fn into_question(self) -> Question {
        let filled = |text: &String| !text.trim().is_empty();
        let document = self.document.filter(filled);
        let answers = self.answer.into_iter().chain(self.answers);
        let answers: Vec<String> = answers.filter(filled).collect();
        let known = document.is_some() || !answers.is_empty();
        let page = self.page;
        Question {
            id: match self.id {
                Some(serde_json::Value::String(id)) => id,
                Some(other) => other.to_string(),
                None => String::new(),
            },
            text: self.text,
            relevant: document.into_iter().map(|d| relevant(d, page)).collect(),
            answers,
            answerable: self.answerable.unwrap_or(known),
        }
    }
}

fn relevant(document: String, page: Option<u32>) -> Relevant {
    Relevant {
        document,
        page,
        gain: 1.0,
    }
}

fn content(path: &Path) -> Result<String, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| usage!("cannot read {}: {error}", path.display()))?;
    // Spreadsheets begin their text files with one.
    Ok(text.trim_start_matches('\u{FEFF}').to_owned())
}

fn json_lines(
    path: &Path,
    make: impl Fn(Line) -> Result<Question, String>,
) -> Result<Vec<Question>, Error> {
    let text = content(path)?;
    let lines = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim().is_empty());
    lines
        .map(|(line, number)| {
            let line: Line = serde_json::from_str(line)
                .map_err(|error| usage!("{}:{number}: {error}", path.display()))?;
            make(line).map_err(|error| usage!("{}:{number}: {error}", path.display()))
        })
        .collect()
}

/// Columns `question`, `document`, `page`, `answer`; all but the first may be empty or missing. A
/// first line that spells these names is a heading.
fn tsv(path: &Path) -> Result<Vec<Question>, Error> {
    let mut questions = Vec::new();
    for (line, number) in content(path)?.lines().zip(1..) {
        let mut columns = line.split('\t').map(str::trim);
        let text = columns.next().unwrap_or_default();
        if number == 1 && text.eq_ignore_ascii_case("question") {
            let names = ["document", "page", "answer"];
            if !columns
                .zip(names)
                .all(|(column, name)| column.starts_with(name))
            {
                return Err(usage!(
                    "{}:1: the columns must be question, document, page, answer",
                    path.display()
                ));
            }
            continue;
        }
        if text.is_empty() {
            continue;
        }
        let mut filled = || columns.next().filter(|column| !column.is_empty());
        let document = filled().map(str::to_owned);
        let page = match filled() {
            Some(page) => match page.parse() {
                Ok(page) if page > 0 => Some(page),
                _ => {
                    return Err(usage!(
                        "{}:{number}: '{page}' is not a page number",
                        path.display()
                    ));
                }
            },
            None => None,
        };
        let answers: Vec<String> = filled().map(str::to_owned).into_iter().collect();
        questions.push(Question {
            id: String::new(),
            text: text.to_owned(),
            answerable: document.is_some() || !answers.is_empty(),
            relevant: document.into_iter().map(|d| relevant(d, page)).collect(),
            answers,
        });
    }
    Ok(questions)
}

/// Gives questions without an id the number they stand at.
fn numbered(mut questions: Vec<Question>) -> Vec<Question> {
    for (question, number) in questions.iter_mut().zip(1..) {
        if question.id.is_empty() {
            question.id = format!("{number}");
        }
    }
    questions
}

/// The questions that `qrels` (query id, document id, gain; tab-separated, with a heading) judges.
fn judged(questions: Vec<Question>, qrels: &Path) -> Result<Vec<Question>, Error> {
    let mut judgements: HashMap<String, Vec<Relevant>> = HashMap::new();
    for (line, number) in content(qrels)?.lines().zip(1..) {
        let columns: Vec<&str> = line.split('\t').map(str::trim).collect();
        let (id, document, gain) = match columns[..] {
            [""] => continue,
            [id, document, gain] => (id, document, gain),
            [id, _, document, gain] => (id, document, gain),
            _ => {
                return Err(usage!(
                    "{}:{number}: not query, document, score",
                    qrels.display()
                ));
            }
        };
        match gain.parse::<f64>() {
            Ok(gain) if gain > 0.0 => {
                judgements.entry(id.to_owned()).or_default().push(Relevant {
                    gain,
                    ..relevant(document.to_owned(), None)
                });
            }
            Ok(_) => {}
            Err(_) if number == 1 => {}
            Err(_) => {
                return Err(usage!(
                    "{}:{number}: '{gain}' is not a score",
                    qrels.display()
                ));
            }
        }
    }
    let judged = questions.into_iter().filter_map(|mut question| {
        question.relevant = judgements.remove(&question.id)?;
        question.answerable = true;
        Some(question)
    });
    Ok(judged.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn a_line_without_a_document_is_unanswerable() {
        let text = "question\tdocument\tpage\tanswer\nwho?\ta.pdf\t3\tIda\nwhy?\n\n누가?\tb.pdf\n";
        let (_folder, path) = file("q.tsv", text);
        let questions = read(&path, "test").unwrap().questions;
        let seen: Vec<_> = questions
            .iter()
            .map(|q| {
                (
                    q.id.as_str(),
                    q.answerable,
                    q.relevant.first().and_then(|r| r.page),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [("1", true, Some(3)), ("2", false, None), ("3", true, None)]
        );
        assert_eq!(questions[0].answers, ["Ida"]);
    }

    #[test]
    fn json_lines_say_whether_there_is_an_answer() {
        let text = r#"{"question":"a?","answers":["x","y"],"document":"d.txt","page":2}
            {"_id":7,"query":"b?","answerable":false,"document":"d.txt"}"#;
        let (_folder, path) = file("q.jsonl", text);
        let questions = read(&path, "test").unwrap().questions;
        assert_eq!(
            (questions[0].answerable, questions[1].answerable),
            (true, false)
        );
        assert_eq!(questions[1].id, "7");
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (name, text, said) in [
            (
                "q.tsv",
                "a?\tb.pdf\tthree",
                "q.tsv:1: 'three' is not a page number",
            ),
            ("q.jsonl", "{\"question\":\"a?\"}\nnonsense", "q.jsonl:2: "),
            ("q.csv", "a", "give a folder"),
            ("q.tsv", "a?\tb.pdf\t0", "'0' is not a page number"),
            ("q.tsv", "question\tanswer\n", "the columns must be"),
            (
                "q.jsonl",
                "{\"question\":\"a?\",\"documnt\":\"x\"}",
                "'documnt' is not a known key",
            ),
        ] {
            let (_folder, path) = file(name, text);
            let message = read(&path, "test").unwrap_err().to_string();
            assert!(message.contains(said), "{message}");
        }
    }

    #[test]
    fn a_beir_folder_keeps_the_judged_questions() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("qrels")).unwrap();
        write(
            "queries.jsonl",
            "{\"_id\":\"q1\",\"text\":\"a\"}\n{\"_id\":\"q2\",\"text\":\"b\"}\n",
        );
        write("corpus.jsonl", "");
        write(
            "qrels/test.tsv",
            "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td1\t0\n",
        );
        let set = read(folder.path(), "test").unwrap();
        assert!(set.corpus.is_some());
        assert_eq!(set.questions.len(), 1);
        assert_eq!(set.questions[0].relevant.len(), 1);
        assert_eq!(set.questions[0].relevant[0].gain, 2.0);
    }
}
