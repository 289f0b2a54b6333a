//! How good are the answers? Asks questions whose answers are known and measures what comes back.

mod corpus;
mod metrics;
mod questions;

use std::io::Write as _;
use std::time::Instant;

use serde::Serialize;

pub use corpus::{COLLECTION, open as open_corpus};
pub use metrics::{Place, is_document};
pub use questions::{Question, Relevant, Set, read};

use crate::ask::Asker;
use crate::document::{Answer, Citation, Hit};
use crate::settings::Mode;
use crate::text::{byte_of_char, folded};
use metrics::{gains, ndcg, percentile, recall, reciprocal_rank};

/// Chunks ranked for each question: enough for twenty documents of several chunks.
const DEPTH: usize = 100;
/// Places written to the file of single questions.
const SHOWN: usize = 10;

/// What to measure.
pub struct Plan {
    /// Only rank, do not answer.
    pub retrieval_only: bool,
}

/// Averages over all questions; what could not be measured is left out.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Evaluation {
    pub collection: String,
    pub model: String,
    pub mode: Mode,
    pub questions: u64,
    pub unanswerable: u64,
    /// Documents that questions name and the collection does not hold.
    pub missing_documents: Vec<String>,
    /// Over the questions with a known document. Where questions name pages, pages are ranked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranking: Option<Ranking>,
    /// Over all questions, unless only the ranking was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<Answers>,
    pub latency_ms: Latency,
}

/// How high the right documents stand.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Ranking {
    pub questions: u64,
    pub ndcg_at_10: f64,
    pub mrr_at_10: f64,
    pub recall_at_1: f64,
    pub recall_at_5: f64,
    pub recall_at_10: f64,
    pub recall_at_20: f64,
    /// Over the questions with a known page: one of the first k passages stands on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_hit: Option<PageHit>,
}

/// Share of questions with a passage of the right page among the first k.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct PageHit {
    pub questions: u64,
    pub at_1: f64,
    pub at_3: f64,
    pub at_5: f64,
    pub at_10: f64,
}

/// What the answers are worth.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Answers {
    pub answered: u64,
    /// Share of the questions with a known answer whose quotes hold it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_in_quote: Option<f64>,
    pub citations: u64,
    /// Share of the citations whose quote stands on the stored page at the place they name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_citations: Option<f64>,
    /// Share of the unanswerable questions that were answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub false_answers: Option<f64>,
    /// Share of the answerable questions that were not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub false_refusals: Option<f64>,
}

/// Milliseconds a question took.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
}

/// One question, for looking at failures.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    question: &'a str,
    answerable: bool,
    relevant: Vec<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ndcg_at_10: Option<f64>,
    ranking: Vec<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_in_quote: Option<bool>,
    known_answers: &'a [String],
    quotes: Vec<Quote<'a>>,
    ms: f64,
}

#[derive(Serialize)]
struct Quote<'a> {
    document: &'a str,
    page: u32,
    text: &'a str,
}

/// Asks every question and averages. `details` gets a line of JSON for each question; `heard` is
/// told how many are done.
///
/// # Errors
/// Those of the store and the model, and of writing `details`.
pub fn run(
    asker: &Asker<'_>,
    questions: &[Question],
    plan: &Plan,
    mut details: Option<&mut dyn std::io::Write>,
    heard: &dyn Fn(usize) -> anyhow::Result<()>,
) -> anyhow::Result<Evaluation> {
    let mut sums = Sums::default();
    for (question, number) in questions.iter().zip(1..) {
        heard(number)?;
        let start = Instant::now();
        let ranked = asker.search.run(&question.text, DEPTH)?;
        let mut seconds = start.elapsed();
        let answer = match plan.retrieval_only {
            true => None,
            false => {
                let start = Instant::now();
                let answer = asker.ask(&question.text)?;
                seconds = start.elapsed();
                Some(answer)
            }
        };
        let ms = seconds.as_secs_f64() * 1000.0;
        let row = sums.add(asker, question, &ranked.hits, answer.as_ref(), ms)?;
        if let Some(out) = &mut details {
            serde_json::to_writer(&mut *out, &row)?;
            out.write_all(b"\n")?;
        }
    }
    let mut evaluation = sums.averages(plan);
    evaluation
        .collection
        .clone_from(&asker.search.collection.name);
    evaluation
        .model
        .clone_from(&asker.search.collection.model.name);
    evaluation.mode = asker.search.mode;
    evaluation.questions = questions.len() as u64;
    evaluation.unanswerable = questions.iter().filter(|q| !q.answerable).count() as u64;
    Ok(evaluation)
}

/// Running totals.
#[derive(Default)]
struct Sums {
    ranking: Ranking,
    pages: PageHit,
    answers: Answers,
    answerable: u64,
    unanswerable: u64,
    false_answers: u64,
    false_refusals: u64,
    with_known_answer: u64,
    in_quote: u64,
    verified: u64,
    ms: Vec<f64>,
}

impl Sums {
    fn add<'a>(
        &mut self,
        asker: &Asker<'_>,
        question: &'a Question,
        hits: &[Hit],
        answer: Option<&'a Answer>,
        ms: f64,
    ) -> anyhow::Result<Row<'a>> {
        self.ms.push(ms);
        let by_page = question.relevant.iter().any(|judged| judged.page.is_some());
        let ranking = places(hits, by_page);
        let found = gains(&ranking, &question.relevant);
        let is_judged = question.answerable && !question.relevant.is_empty();
        if is_judged {
            self.rank(question, &found, hits, by_page);
        }
        let in_quote = match answer {
            Some(answer) => self.judge(asker, question, answer)?,
            None => None,
        };
        let quotes = answer.into_iter().flat_map(|answer| &answer.citations);
        Ok(Row {
            id: &question.id,
            question: &question.text,
            answerable: question.answerable,
            relevant: question.relevant.iter().map(place_of).collect(),
            ndcg_at_10: is_judged.then(|| ndcg(&found, &question.relevant, 10)),
            ranking: ranking.into_iter().take(SHOWN).collect(),
            answered: answer.map(|answer| answer.answered),
            confidence: answer.map(|answer| answer.confidence),
            answer_in_quote: in_quote,
            known_answers: &question.answers,
            quotes: quotes
                .map(|citation| Quote {
                    document: &citation.document,
                    page: citation.page_number,
                    text: &citation.quote,
                })
                .collect(),
            ms,
        })
    }

    fn rank(&mut self, question: &Question, found: &[f64], hits: &[Hit], by_page: bool) {
        let relevant = &question.relevant;
        let sums = &mut self.ranking;
        sums.questions += 1;
        sums.ndcg_at_10 += ndcg(found, relevant, 10);
        sums.mrr_at_10 += reciprocal_rank(found, 10);
        sums.recall_at_1 += recall(found, relevant, 1);
        sums.recall_at_5 += recall(found, relevant, 5);
        sums.recall_at_10 += recall(found, relevant, 10);
        sums.recall_at_20 += recall(found, relevant, 20);
        if by_page {
            let first = hits.iter().position(|hit| {
                let place = place(hit, true);
                relevant.iter().any(|judged| place.is(judged))
            });
            let within = |k: usize| f64::from(u8::from(first.is_some_and(|rank| rank < k)));
            self.pages.questions += 1;
            self.pages.at_1 += within(1);
            self.pages.at_3 += within(3);
            self.pages.at_5 += within(5);
            self.pages.at_10 += within(10);
        }
    }

    /// Whether a quote holds a known answer; `None` when none is known.
    fn judge(
        &mut self,
        asker: &Asker<'_>,
        question: &Question,
        answer: &Answer,
    ) -> anyhow::Result<Option<bool>> {
        self.answers.answered += u64::from(answer.answered);
        for citation in &answer.citations {
            self.answers.citations += 1;
            self.verified += u64::from(stands(asker, citation)?);
        }
        if !question.answerable {
            self.unanswerable += 1;
            self.false_answers += u64::from(answer.answered);
            return Ok(None);
        }
        self.answerable += 1;
        self.false_refusals += u64::from(!answer.answered);
        if question.answers.is_empty() {
            return Ok(None);
        }
        let quotes = answer
            .citations
            .iter()
            .map(|citation| plain(&citation.quote));
        let quoted: Vec<String> = quotes.collect();
        let known = question.answers.iter().map(|known| plain(known));
        let held = known
            .into_iter()
            .any(|known| quoted.iter().any(|quote| holds(quote, &known)));
        self.with_known_answer += 1;
        self.in_quote += u64::from(held);
        Ok(Some(held))
    }

    fn averages(self, plan: &Plan) -> Evaluation {
        let mut ranking = self.ranking;
        let n = ranking.questions.max(1) as f64;
        for sum in [
            &mut ranking.ndcg_at_10,
            &mut ranking.mrr_at_10,
            &mut ranking.recall_at_1,
            &mut ranking.recall_at_5,
            &mut ranking.recall_at_10,
            &mut ranking.recall_at_20,
        ] {
            *sum = rounded(*sum / n);
        }
        let mut pages = self.pages;
        let n = pages.questions.max(1) as f64;
        for sum in [
            &mut pages.at_1,
            &mut pages.at_3,
            &mut pages.at_5,
            &mut pages.at_10,
        ] {
            *sum = rounded(*sum / n);
        }
        ranking.page_hit = (pages.questions > 0).then_some(pages);
        let share = |part: u64, of: u64| (of > 0).then(|| rounded(part as f64 / of as f64));
        let answers = Answers {
            answer_in_quote: share(self.in_quote, self.with_known_answer),
            verified_citations: share(self.verified, self.answers.citations),
            false_answers: share(self.false_answers, self.unanswerable),
            false_refusals: share(self.false_refusals, self.answerable),
            ..self.answers
        };
        Evaluation {
            ranking: (ranking.questions > 0).then_some(ranking),
            answers: (!plan.retrieval_only).then_some(answers),
            latency_ms: Latency {
                p50: percentile(&self.ms, 0.5),
                p90: percentile(&self.ms, 0.9),
                p99: percentile(&self.ms, 0.99),
            },
            ..Evaluation::default()
        }
    }
}

/// Documents, or pages, in the order their first passage came.
fn places(hits: &[Hit], by_page: bool) -> Vec<Place> {
    let mut seen = std::collections::HashSet::new();
    let all = hits.iter().map(|hit| place(hit, by_page));
    all.filter(|place| seen.insert(place.clone())).collect()
}

fn place(hit: &Hit, by_page: bool) -> Place {
    Place {
        document: hit.document.clone(),
        page: by_page.then_some(hit.page_number),
    }
}

fn place_of(judged: &Relevant) -> Place {
    Place {
        document: judged.document.clone(),
        page: judged.page,
    }
}

/// Reads the page again, apart from the check that `answer` makes.
fn stands(asker: &Asker<'_>, citation: &Citation) -> anyhow::Result<bool> {
    let search = &asker.search;
    let page = search.store.page(
        &search.collection.name,
        &citation.document_id,
        citation.page_number,
    )?;
    Ok(page.is_some_and(|page| {
        let (from, to) = (citation.start, citation.end);
        from < to
            && page
                .text
                .get(byte_of_char(&page.text, from)..byte_of_char(&page.text, to))
                == Some(citation.quote.as_str())
    }))
}

/// Whether `known` stands in `quote` as words of its own: 5 is not in 15.
fn holds(quote: &str, known: &str) -> bool {
    let joins = |a: Option<char>, b: Option<char>| {
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        is_word(a) && is_word(b)
    };
    quote.match_indices(known).any(|(at, _)| {
        let (before, after) = (&quote[..at], &quote[at + known.len()..]);
        !joins(before.chars().next_back(), known.chars().next())
            && !joins(known.chars().next_back(), after.chars().next())
    })
}

/// Case, width and line breaks do not make another answer.
fn plain(text: &str) -> String {
    folded(text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Four digits: what is beyond is noise.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_held_as_a_word() {
        assert!(holds("there are 5 boats", "5"));
        assert!(!holds("there are 15 boats", "5") && !holds("in 1985", "5"));
        assert!(holds("예산은 5억 원이다", "5억"));
        assert!(!holds("harbours", "harbour"));
    }
}
