//! The sentences that may answer a question, and what speaks for each.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::wanted::{Wanted, wanted};
use crate::document::Hit;
use crate::embed::Role;
use crate::retrieve::{Retrieved, Search};
use crate::terms::{query_terms, terms};
use crate::text::{byte_of_char, is_item, quotable, table_head, unnumbered};

/// Chunks whose sentences are looked at, the best first.
const CHUNKS: usize = 10;
/// Sentences the model looks at: those that look best without it. More do not make better answers on
/// the open sets.
const EMBEDDED: usize = 8;
/// Sentences longer than this are tables and lists gone wrong; they are not quoted.
const LONGEST: usize = 1200;
/// A line of fewer terms may be a heading, which says nothing where there is a text below it.
const FEWEST_TERMS: usize = 6;

/// What is known of a sentence. Shares are 0 to 1 and weigh terms by their rarity in the collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Features {
    /// Share of the question's terms in the sentence.
    pub covered: f32,
    /// ... in the sentence or those beside it.
    pub covered_near: f32,
    /// ... in its chunk.
    pub covered_chunk: f32,
    /// Share of neighbouring terms of the question that are neighbours in the sentence.
    pub adjacent: f32,
    /// Cosine of the sentence to the question; 0 when the model did not look.
    pub cosine: f32,
    /// Cosine of its chunk to the question.
    pub chunk_cosine: f32,
    /// One over the rank of its chunk.
    pub rank: f32,
    /// 1 when it has what the question asks for, -1 when it has not, 0 when that is not known.
    pub wanted: f32,
}

/// A sentence of a hit.
#[derive(Debug, Clone)]
pub struct Evidence<'a> {
    pub hit: &'a Hit,
    /// Characters into the page's text.
    pub start: usize,
    pub end: usize,
    pub text: &'a str,
    /// The head of the table of which it is a row.
    pub head: Option<String>,
    pub features: Features,
}

/// Every sentence of the best chunks once, though overlapping chunks hold it twice.
pub fn gather<'a>(
    search: &Search<'_>,
    question: &str,
    retrieved: &'a Retrieved,
) -> anyhow::Result<Vec<Evidence<'a>>> {
    let rarity = Rarity::of(search, question)?;
    let kind = wanted(question);
    let mut seen = HashSet::new();
    let mut found: Vec<Evidence<'a>> = Vec::new();
    for (hit, rank) in retrieved.hits.iter().take(CHUNKS).zip(1..) {
        let ranges = quotable(&hit.text);
        let mut heads = heads(search, hit, &ranges)?;
        // A row says what it does with the names of its columns.
        let said = ranges.iter().zip(&heads).map(|(range, head)| {
            let head = head.as_deref().unwrap_or_default();
            [terms(head), terms(&hit.text[range.clone()])].concat()
        });
        let held: Vec<Vec<String>> = said.collect();
        let chunk = rarity.held(held.iter());
        // Who types a word or two looks for where it stands.
        let is_lookup =
            rarity.terms.len() <= 2 && kind == Wanted::Open && !question.trim_end().ends_with('?');
        let says_more = held.iter().any(|terms| terms.len() >= FEWEST_TERMS);
        for (index, range) in ranges.iter().enumerate() {
            let text = &hit.text[range.clone()];
            let start = hit.start + hit.text[..range.start].chars().count();
            let end = start + text.chars().count();
            let satisfied = kind.is_in(text, question);
            let is_short = held[index].len() < FEWEST_TERMS && says_more && !is_lookup;
            // A heading has capitals, too: they make no answer of it.
            let has_it = kind != Wanted::Name && kind.is_in(unnumbered(text), question) > 0.0;
            // One item alone is none: `6. Accounts` is the heading of what is below it.
            let beside = [index.checked_sub(1), Some(index + 1)]
                .into_iter()
                .flatten();
            let in_list = beside
                .filter_map(|at| ranges.get(at))
                .any(|range| is_item(&hit.text[range.clone()]));
            let is_heading = is_short && !has_it && !says_something(text, in_list);
            if is_heading
                || end - start > LONGEST
                || !seen.insert((&hit.document_id, hit.page_number, start, end))
            {
                continue;
            }
            let beside = index.saturating_sub(1)..(index + 2).min(held.len());
            let features = Features {
                covered: rarity.share(&rarity.held([&held[index]])),
                covered_near: rarity.share(&rarity.held(&held[beside])),
                covered_chunk: rarity.share(&chunk),
                adjacent: rarity.adjacent(&held[index]),
                cosine: 0.0,
                chunk_cosine: hit.cosine.unwrap_or(0.0),
                rank: 1.0 / rank as f32,
                wanted: satisfied,
            };
            found.push(Evidence {
                hit,
                start,
                end,
                text,
                head: heads[index].take(),
                features,
            });
        }
    }
    look(search, retrieved, &mut found)?;
    Ok(found)
}

/// For each of a hit's sentences the head of the table of which it is a row.
fn heads(
    search: &Search<'_>,
    hit: &Hit,
    sentences: &[Range<usize>],
) -> anyhow::Result<Vec<Option<String>>> {
    let is_row = |range: &Range<usize>| hit.text[range.start..].starts_with('|');
    let page = match sentences.iter().any(is_row) {
        true => {
            let collection = &search.collection.name;
            search
                .store
                .page(collection, &hit.document_id, hit.page_number)?
        }
        false => None,
    };
    let Some(page) = page else {
        return Ok(vec![None; sentences.len()]);
    };
    let from = byte_of_char(&page.text, hit.start);
    let heads = sentences.iter().map(|range| {
        let at = from + range.start;
        let is_there = page.text.get(at..at + range.len()) == Some(&hit.text[range.clone()]);
        let head = (is_there && is_row(range)).then(|| table_head(&page.text, at));
        head.flatten().map(str::to_owned)
    });
    Ok(heads.collect())
}

/// Whether a short line ends as a sentence does, or is an item of a list, a row, or `Deposit: 500`.
fn says_something(line: &str, in_list: bool) -> bool {
    line.ends_with(['.', '!', '?', '다', '요', '음', '함', '。'])
        || is_item(line) && (in_list || !line.starts_with(|c: char| c.is_ascii_digit()))
        || line.starts_with('|')
        || line.contains([':', '：'])
}

/// Has the model read the sentences that look best without it.
fn look(
    search: &Search<'_>,
    retrieved: &Retrieved,
    found: &mut [Evidence<'_>],
) -> anyhow::Result<()> {
    let Some(question) = &retrieved.vector else {
        return Ok(());
    };
    let promise = |f: &Features| f.covered_near + f.covered + f.rank + 0.2 * f.wanted;
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (&found[a].features, &found[b].features);
        promise(b).total_cmp(&promise(a))
    });
    order.truncate(EMBEDDED);
    let texts = order.iter().map(|&index| match &found[index].head {
        Some(head) => format!("{head}\n{}", found[index].text),
        None => found[index].text.to_owned(),
    });
    let texts: Vec<String> = texts.collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = search.embedder.embed(&texts, Role::Passage)?;
    for (&index, vector) in order.iter().zip(&vectors) {
        found[index].features.cosine = question.iter().zip(vector).map(|(a, b)| a * b).sum();
    }
    Ok(())
}

/// The terms of a question with their weights: BM25's inverse document frequency in the collection.
struct Rarity {
    terms: Vec<String>,
    place: HashMap<String, usize>,
    weights: Vec<f32>,
    total: f32,
}

impl Rarity {
    fn of(search: &Search<'_>, question: &str) -> anyhow::Result<Self> {
        let terms = query_terms(question);
        let found = search.store.frequencies(&search.collection, &terms)?;
        let idf = |with: u64| {
            let (all, with) = (found.chunks as f32, with as f32);
            (1.0 + (all - with + 0.5).max(0.0) / (with + 0.5)).ln()
        };
        let weights: Vec<f32> = found.with.iter().map(|&with| idf(with)).collect();
        Ok(Self {
            place: terms.iter().cloned().zip(0..).collect(),
            total: weights.iter().sum::<f32>().max(f32::EPSILON),
            terms,
            weights,
        })
    }

    /// Which of the terms are among `texts`.
    fn held<'t>(&self, texts: impl IntoIterator<Item = &'t Vec<String>>) -> Vec<bool> {
        let mut held = vec![false; self.terms.len()];
        for term in texts.into_iter().flatten() {
            if let Some(&index) = self.place.get(term) {
                held[index] = true;
            }
        }
        held
    }

    /// Share of all the weight that `held` has.
    fn share(&self, held: &[bool]) -> f32 {
        let with = self.weights.iter().zip(held).filter(|(_, held)| **held);
        with.map(|(weight, _)| weight).sum::<f32>() / self.total
    }

    /// Share of neighbouring terms of the question that are neighbours in `text`, or nearly.
    fn adjacent(&self, text: &[String]) -> f32 {
        let known = text.iter().map(|term| self.place.get(term).copied());
        let places: Vec<Option<usize>> = known.chain([None]).collect();
        let (mut found, mut all) = (0.0, 0.0);
        for first in 0..self.terms.len().saturating_sub(1) {
            let weight = self.weights[first].min(self.weights[first + 1]);
            all += weight;
            let near = places
                .windows(3)
                .any(|window| window[0] == Some(first) && window[1..].contains(&Some(first + 1)));
            if near {
                found += weight;
            }
        }
        if all > 0.0 { found / all } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_alone_makes_no_item_of_a_heading() {
        assert!(!says_something("6. Accounts and budget", false));
        assert!(says_something("6. Accounts and budget", true));
        assert!(says_something("• Accounts", false) && says_something("6. It was paid.", false));
    }
}
