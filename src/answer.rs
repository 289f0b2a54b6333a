//! Chunks to an answer: the sentences most likely to hold it, quoted verbatim, or none.

mod calibration;
mod context;
mod evidence;
mod header;
mod wanted;

use std::collections::HashSet;
use std::time::Instant;

pub use evidence::{Evidence, Features, gather};

use self::calibration::{Kind, Reader};
use self::wanted::wanted;
use crate::document::{Answer, Citation, Span};
use crate::retrieve::{Retrieved, Search};
use crate::text::{Script, byte_of_char, is_cjk_text, one_line};

/// Most sentences quoted.
const MOST_QUOTES: usize = 3;
/// Further sentences must be at least this likely, as a share of the best.
const GOOD_SHARE: f32 = 0.3;

/// Composes the answer to `question` from what was retrieved. Below `min_confidence` there is none;
/// by default that is as calibrated.
pub fn answer(
    search: &Search<'_>,
    question: &str,
    retrieved: Retrieved,
    top_k: usize,
    min_confidence: Option<f32>,
) -> anyhow::Result<Answer> {
    let start = Instant::now();
    let is_cjk = is_cjk_text(question);
    let best = retrieved.hits.first();
    let calibration = Kind {
        is_cjk,
        is_across: best
            .is_some_and(|hit| !Script::of(question).may_share_words(Script::of(&hit.text))),
        model: match retrieved.vector.is_some() {
            true => Reader::of(&search.collection.model.fingerprint),
            false => Reader::Other,
        },
    }
    .calibration();
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
            if let Some(citation) = cite(search, question, &evidence)?
                && !repeats(&citations, &citation)
            {
                citations.push(citation);
            }
        }
    }
    // The head of a table stands with its rows.
    let heads = citations
        .iter()
        .filter_map(|citation| citation.header.as_deref());
    let heads: HashSet<String> = heads.map(one_line).collect();
    citations.retain(|citation| !heads.contains(&one_line(&citation.quote)));
    let quotes: Vec<String> = citations.iter().map(|c| one_line(&c.quote)).collect();
    let mut timings_ms = retrieved.timings_ms;
    timings_ms.insert("answer", start.elapsed().as_secs_f64() * 1000.0);
    Ok(Answer {
        query: question.to_owned(),
        answered: !citations.is_empty(),
        confidence,
        generated_answer: quotes.join(" "),
        citations,
        retrieved_context: context::context(retrieved.hits, top_k),
        timings_ms,
    })
}

/// The citation of a sentence, read again from the stored page; `None` if it does not stand there.
fn cite(
    search: &Search<'_>,
    question: &str,
    evidence: &Evidence<'_>,
) -> anyhow::Result<Option<Citation>> {
    let hit = evidence.hit;
    let name = &search.collection.name;
    let page = search.store.page(name, &hit.document_id, hit.page_number)?;
    let Some(page) = page else {
        return Ok(None);
    };
    let from = byte_of_char(&page.text, evidence.start);
    let to = byte_of_char(&page.text, evidence.end);
    if page.text.get(from..to) != Some(evidence.text) {
        return Ok(None);
    }
    let quote = &page.text[from..header::list_end(&page.text, to)];
    let span = wanted(question).span(evidence.text, question).map(|range| {
        let start = evidence.start + evidence.text[..range.start].chars().count();
        let text = evidence.text[range].to_owned();
        Span {
            end: start + text.chars().count(),
            start,
            text,
        }
    });
    Ok(Some(Citation {
        document: hit.document.clone(),
        document_id: hit.document_id.clone(),
        page_number: hit.page_number,
        start: evidence.start,
        end: evidence.start + quote.chars().count(),
        quote: quote.to_owned(),
        header: header::header(&page.text, from).map(str::to_owned),
        span,
    }))
}

fn repeats(citations: &[Citation], citation: &Citation) -> bool {
    let words = one_line(&citation.quote);
    citations
        .iter()
        .any(|other| one_line(&other.quote) == words)
}
