//! An extractive summary: the sentences nearest to the whole document's words, each saying something the
//! others do not (SumBasic, Nenkova and Vanderwende 2005: words count less once they are said).

use std::collections::HashMap;
use std::ops::Range;

use super::{Found, Places};
use crate::terms::{is_stop_word, terms};
use crate::text::quotable;

/// Sentences kept.
const KEPT: usize = 5;
/// Sentences looked at, evenly over a longer document.
const MOST: usize = 4_000;
/// Terms a sentence has at least and at most.
const TERMS: Range<usize> = 5..60;

struct Sentence {
    place: usize,
    range: Range<usize>,
    terms: Vec<String>,
}

/// The sentences in the order of the document.
pub fn summary(places: &[Places<'_>]) -> Vec<Found> {
    let sentences = sentences(places);
    let mut weights: HashMap<&str, f64> = HashMap::new();
    let mut all = 0.0;
    for term in sentences.iter().flat_map(|sentence| &sentence.terms) {
        *weights.entry(term).or_default() += 1.0;
        all += 1.0;
    }
    for weight in weights.values_mut() {
        *weight /= all;
    }
    let mut kept: Vec<usize> = Vec::new();
    while kept.len() < KEPT {
        let score = |at: usize| -> f64 {
            let terms = &sentences[at].terms;
            let sum: f64 = terms.iter().map(|term| weights[term.as_str()]).sum();
            // What comes first was put there for a reason.
            let early = 1.0 + 0.3 / (1.0 + at as f64 / 5.0);
            sum / terms.len() as f64 * early
        };
        let free = (0..sentences.len()).filter(|at| !kept.contains(at));
        // Of two that are as good, the first.
        let best = free.max_by(|a, b| score(*a).total_cmp(&score(*b)).then(b.cmp(a)));
        let Some(best) = best else { break };
        kept.push(best);
        for term in &sentences[best].terms {
            if let Some(weight) = weights.get_mut(term.as_str()) {
                *weight *= *weight;
            }
        }
    }
    kept.sort_unstable();
    let found = kept.into_iter().map(|at| {
        let sentence = &sentences[at];
        places[sentence.place].found(sentence.range.clone())
    });
    found.collect()
}

/// What reads as a sentence: no heading, table row or contents line.
fn sentences(places: &[Places<'_>]) -> Vec<Sentence> {
    let mut found = Vec::new();
    for (at, place) in places.iter().enumerate() {
        let text = &place.page.text;
        for range in quotable(text) {
            let sentence = &text[range.clone()];
            let reads = sentence.ends_with(['.', '!', '?', '。', '다', '요', '함', '임', '음'])
                && !sentence.starts_with(['#', '|'])
                && !sentence.contains('…');
            if !reads {
                continue;
            }
            let mut terms = terms(sentence);
            terms.retain(|term| !is_stop_word(term) && term.chars().any(char::is_alphabetic));
            if TERMS.contains(&terms.len()) {
                found.push(Sentence {
                    place: at,
                    range,
                    terms,
                });
            }
        }
    }
    let step = found.len().div_ceil(MOST).max(1);
    found.into_iter().step_by(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::tests::page;

    #[test]
    fn the_summary_is_verbatim_in_order_and_not_the_same_twice() {
        let page = page(
            "# Minutes\n\nThe harbour committee approved the dredging budget for the basin. \
             The harbour committee approved the dredging budget for the basin. \
             Lunch was served at noon in the small room upstairs. \
             The dredging of the basin begins in October under the harbour master.",
        );
        let places = [Places::new(&page)];
        let summary = summary(&places);
        assert!(
            summary[0]
                .text
                .starts_with("The harbour committee approved")
        );
        let starts: Vec<usize> = summary.iter().map(|found| found.start).collect();
        assert!(starts.is_sorted());
    }
}
