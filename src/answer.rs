//! Chunks to an answer: the sentences that fit the question best, quoted verbatim.
//!
//! Whether there is an answer at all is judged by simple, documented bars; calibrating them on
//! open data is work to come.

use std::collections::{HashMap, HashSet};

use crate::document::{Answer, Citation, Hit};
use crate::embed::{Embedder, Role};
use crate::retrieve::{Retrieved, Search};
use crate::store::{Collection, Store};
use crate::terms::{query_terms, terms};
use crate::text::{byte_of_char, one_line, sentences};

/// Most sentences quoted.
const MOST_QUOTES: usize = 3;
/// Further sentences must be at least this good, as a share of the best.
const GOOD_SHARE: f32 = 0.72;
/// Share of the question's terms (weighted by rarity) one sentence must hold, when the semantic
/// arm does not vouch for it.
const ENOUGH_TERMS: f32 = 0.45;
/// What a term counts that stands not in the sentence but beside it, in the same chunk.
const NEARBY: f32 = 0.4;
/// Cosine from which the built-in model vouches for a sentence without shared terms.
const ENOUGH_COSINE: f32 = 0.45;
/// Part of the semantic arm in a sentence's score.
const SEMANTIC_PART: f32 = 0.5;
/// Most sentences the model looks at, those of the best chunks first: a large top-k must not cost
/// minutes.
const MOST_EMBEDDED: usize = 64;
/// Sentences longer than this are cut out of tables and lists gone wrong; they are not quoted.
const LONGEST_QUOTE: usize = 1200;

/// Composes the answer to `question` from what was retrieved.
pub fn answer(
    search: &Search<'_>,
    question: &str,
    retrieved: Retrieved,
    _min_confidence: Option<f32>,
) -> anyhow::Result<Answer> {
    let start = std::time::Instant::now();
    let mut candidates = candidates(&retrieved.hits);
    score(&mut candidates, search.embedder, question, &retrieved)?;
    candidates.retain(Candidate::fits);
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut citations = Vec::new();
    let mut best = None;
    for candidate in candidates {
        let good = best.is_none_or(|best| candidate.score >= best * GOOD_SHARE);
        if !good || citations.len() == MOST_QUOTES {
            break;
        }
        let citation = candidate.citation();
        if repeats(&citations, &citation) || !stands(search.store, &search.collection, &citation)? {
            continue;
        }
        best.get_or_insert(candidate.score);
        citations.push(citation);
    }
    let quotes: Vec<String> = citations.iter().map(|c| one_line(&c.quote)).collect();
    let mut timings_ms = retrieved.timings_ms;
    timings_ms.insert("answer", start.elapsed().as_secs_f64() * 1000.0);
    Ok(Answer {
        query: question.to_owned(),
        answered: !citations.is_empty(),
        confidence: 0.0,
        generated_answer: quotes.join(" "),
        citations,
        retrieved_context: retrieved.hits,
        timings_ms,
    })
}

/// A sentence of a hit.
struct Candidate<'a> {
    hit: &'a Hit,
    /// Characters into the page's text.
    start: usize,
    end: usize,
    text: &'a str,
    coverage: f32,
    cosine: Option<f32>,
    score: f32,
}

impl Candidate<'_> {
    fn fits(&self) -> bool {
        self.coverage >= ENOUGH_TERMS || self.cosine.is_some_and(|cosine| cosine >= ENOUGH_COSINE)
    }

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

/// Each sentence once, though overlapping chunks hold it twice.
fn candidates(hits: &[Hit]) -> Vec<Candidate<'_>> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for hit in hits {
        for range in sentences(&hit.text) {
            let text = &hit.text[range.clone()];
            let start = hit.start + hit.text[..range.start].chars().count();
            let length = text.chars().count();
            if length <= LONGEST_QUOTE
                && seen.insert((&hit.document_id, hit.page_number, start, length))
            {
                found.push(Candidate {
                    hit,
                    start,
                    end: start + length,
                    text,
                    coverage: 0.0,
                    cosine: None,
                    score: 0.0,
                });
            }
        }
    }
    found
}

fn score(
    candidates: &mut [Candidate<'_>],
    embedder: &dyn Embedder,
    question: &str,
    retrieved: &Retrieved,
) -> anyhow::Result<()> {
    let wanted = query_terms(question);
    let held: Vec<HashSet<String>> = candidates
        .iter()
        .map(|candidate| terms(candidate.text).into_iter().collect())
        .collect();
    let weights = rarity(&wanted, &held);
    let total: f32 = weights.values().sum();
    let vectors = match &retrieved.vector {
        Some(_) => {
            let seen = candidates.iter().take(MOST_EMBEDDED);
            let texts: Vec<&str> = seen.map(|candidate| candidate.text).collect();
            embedder.embed(&texts, Role::Passage)?
        }
        None => Vec::new(),
    };
    for (index, candidate) in candidates.iter_mut().enumerate() {
        let around: HashSet<String> = terms(&candidate.hit.text).into_iter().collect();
        let found: f32 = weights
            .iter()
            .map(|(term, weight)| match held[index].contains(*term) {
                true => *weight,
                false if around.contains(*term) => NEARBY * weight,
                false => 0.0,
            })
            .sum();
        candidate.coverage = if total > 0.0 { found / total } else { 0.0 };
        candidate.cosine = match (&retrieved.vector, vectors.get(index)) {
            (Some(query), Some(vector)) => Some(query.iter().zip(vector).map(|(a, b)| a * b).sum()),
            _ => None,
        };
        let own = match candidate.cosine {
            Some(cosine) => {
                SEMANTIC_PART * cosine.max(0.0) + (1.0 - SEMANTIC_PART) * candidate.coverage
            }
            None => candidate.coverage,
        };
        // The passage speaks for its sentences: a heading alone says little.
        let length = terms(candidate.text).len() as f32;
        let fullness = (length / 6.0).min(1.0);
        candidate.score = own * (0.7 + 0.3 * candidate.hit.score) * (0.6 + 0.4 * fullness);
    }
    Ok(())
}

/// How telling each term is: rare among the candidate sentences weighs more (BM25's idf).
fn rarity<'t>(wanted: &'t [String], held: &[HashSet<String>]) -> HashMap<&'t str, f32> {
    let count = held.len() as f32;
    wanted
        .iter()
        .map(|term| {
            let with = held.iter().filter(|terms| terms.contains(term)).count() as f32;
            let idf = (1.0 + (count - with + 0.5) / (with + 0.5)).ln();
            (term.as_str(), idf)
        })
        .collect()
}

fn repeats(citations: &[Citation], citation: &Citation) -> bool {
    let words = one_line(&citation.quote);
    citations
        .iter()
        .any(|other| one_line(&other.quote) == words)
}

/// Whether the quote is what the stored page says at that place.
fn stands(store: &dyn Store, collection: &Collection, citation: &Citation) -> anyhow::Result<bool> {
    let page = store.page(
        &collection.name,
        &citation.document_id,
        citation.page_number,
    )?;
    Ok(page.is_some_and(|page| {
        let from = byte_of_char(&page.text, citation.start);
        let to = byte_of_char(&page.text, citation.end);
        page.text[from..to] == citation.quote
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::DocumentId;

    fn hit(start: usize, text: &str) -> Hit {
        Hit {
            id: String::new(),
            document_id: DocumentId("d".into()),
            document: "d.pdf".into(),
            page_number: 1,
            start,
            end: start + text.chars().count(),
            text: text.into(),
            score: 1.0,
            cosine: None,
        }
    }

    #[test]
    fn a_sentence_in_two_chunks_is_one_candidate() {
        let hits = [
            hit(0, "예산을 승인했다. 끝났다."),
            hit(10, "끝났다. 더 있다."),
        ];
        let found: Vec<(usize, &str)> = candidates(&hits)
            .iter()
            .map(|c| (c.start, c.text))
            .collect();
        assert_eq!(
            found,
            [(0, "예산을 승인했다."), (10, "끝났다."), (15, "더 있다.")]
        );
    }

    #[test]
    fn rare_terms_weigh_more() {
        let wanted = ["budget".to_owned(), "harbour".to_owned()];
        let held = [
            HashSet::from(["harbour".to_owned()]),
            HashSet::from(["harbour".to_owned(), "budget".to_owned()]),
        ];
        let weights = rarity(&wanted, &held);
        assert!(weights["budget"] > weights["harbour"]);
    }
}
