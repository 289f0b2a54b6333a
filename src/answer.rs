//! Chunks to an answer: the sentences most likely to hold it, quoted verbatim, or none.

mod calibration;
mod evidence;
mod wanted;

use std::time::Instant;

pub use evidence::{Evidence, Features, gather};

use self::calibration::calibration;
use crate::document::{Answer, Citation};
use crate::retrieve::{Retrieved, Search};
use crate::text::{byte_of_char, cjk_share, one_line};

/// Most sentences quoted.
const MOST_QUOTES: usize = 3;
/// Further sentences must be at least this likely, as a share of the best.
const GOOD_SHARE: f32 = 0.35;
/// Share of CJK letters from which a question is Korean, Chinese or Japanese.
const CJK: f32 = 0.3;

/// Composes the answer to `question` from what was retrieved. Below `min_confidence` there is none;
/// by default that is as calibrated.
pub fn answer(
    search: &Search<'_>,
    question: &str,
    mut retrieved: Retrieved,
    top_k: usize,
    min_confidence: Option<f32>,
) -> anyhow::Result<Answer> {
    let start = Instant::now();
    let model = &search.collection.model.name;
    let is_cjk = cjk_share(question) >= CJK;
    let calibration = calibration(model, is_cjk, retrieved.vector.is_some());
    let mut found: Vec<(f32, Evidence<'_>)> = gather(search, question, &retrieved)?
        .into_iter()
        .map(|evidence| (calibration.confidence(&evidence.features), evidence))
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let confidence = found.first().map_or(0.0, |best| best.0);
    let mut citations = Vec::new();
    if confidence >= min_confidence.unwrap_or(calibration.enough) {
        for (likely, evidence) in found {
            if likely < confidence * GOOD_SHARE || citations.len() == MOST_QUOTES {
                break;
            }
            let citation = evidence.citation();
            if !repeats(&citations, &citation) && stands(search, &citation)? {
                citations.push(citation);
            }
        }
    }
    let quotes: Vec<String> = citations.iter().map(|c| one_line(&c.quote)).collect();
    let mut timings_ms = retrieved.timings_ms;
    timings_ms.insert("answer", start.elapsed().as_secs_f64() * 1000.0);
    retrieved.hits.truncate(top_k);
    Ok(Answer {
        query: question.to_owned(),
        answered: !citations.is_empty(),
        confidence,
        generated_answer: quotes.join(" "),
        citations,
        retrieved_context: retrieved.hits,
        timings_ms,
    })
}

impl Evidence<'_> {
    fn citation(&self) -> Citation {
        Citation {
            document: self.hit.document.clone(),
            document_id: self.hit.document_id.clone(),
            page_number: self.hit.page_number,
            start: self.start,
            end: self.end,
            quote: self.text.to_owned(),
        }
    }
}

fn repeats(citations: &[Citation], citation: &Citation) -> bool {
    let words = one_line(&citation.quote);
    citations
        .iter()
        .any(|other| one_line(&other.quote) == words)
}

/// Whether the quote is what the stored page says at that place.
fn stands(search: &Search<'_>, citation: &Citation) -> anyhow::Result<bool> {
    let page = search.store.page(
        &search.collection.name,
        &citation.document_id,
        citation.page_number,
    )?;
    Ok(page.is_some_and(|page| {
        let from = byte_of_char(&page.text, citation.start);
        let to = byte_of_char(&page.text, citation.end);
        page.text[from..to] == citation.quote
    }))
}
