//! Key phrases: one to three words that no stop word or mark parts (as RAKE takes them, Rose et al. 2010), in
//! Korean without their particles. Ranked by how often they occur and how long they are.

use std::collections::HashMap;

use super::KeyPhrase;
use crate::document::Page;
use crate::terms::{is_stop_word, without_ending};
use crate::text::is_hangul;

/// Phrases kept.
const KEPT: usize = 20;
/// Words of a phrase, at most.
const LONGEST: usize = 3;
/// Shortest Korean word, without its particle, that may say something alone.
const SHORTEST: usize = 2;

#[derive(Default)]
struct Seen {
    shown: String,
    count: usize,
    page: u32,
    order: usize,
    words: usize,
}

/// The phrases that stand for the document, the most telling first.
pub fn key_phrases(pages: &[&Page]) -> Vec<KeyPhrase> {
    let mut seen: HashMap<String, Seen> = HashMap::new();
    for page in pages {
        for line in page.text.lines() {
            for run in runs(line) {
                note(&run, page.number, &mut seen);
            }
        }
    }
    let mut ranked: Vec<Seen> = seen
        .into_values()
        .filter(|phrase| phrase.count > 1)
        .collect();
    let score = |phrase: &Seen| phrase.count as f64 * (phrase.words as f64).sqrt();
    ranked.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a.order.cmp(&b.order)));
    let mut kept: Vec<KeyPhrase> = Vec::new();
    for phrase in ranked {
        // What only occurs inside a phrase that is kept says nothing more.
        let is_part = kept.iter().any(|longer| {
            longer.count >= phrase.count
                && longer
                    .text
                    .to_lowercase()
                    .contains(&phrase.shown.to_lowercase())
        });
        if is_part {
            continue;
        }
        kept.push(KeyPhrase {
            text: phrase.shown,
            count: phrase.count,
            page: phrase.page,
        });
        if kept.len() == KEPT {
            break;
        }
    }
    kept
}

/// Runs of words that no stop word, number or mark interrupts.
fn runs(line: &str) -> Vec<Vec<&str>> {
    let mut runs = vec![Vec::new()];
    for part in line.split(|c: char| c.is_whitespace()) {
        let word = part.trim_matches(|c: char| !c.is_alphanumeric());
        let begins = part.starts_with(|c: char| !c.is_alphanumeric());
        let ends = part.ends_with(|c: char| !c.is_alphanumeric());
        let says_something = word.chars().filter(|c| c.is_alphabetic()).count() > 1
            && !is_stop_word(&word.to_lowercase());
        if begins || !says_something {
            runs.push(Vec::new());
        }
        if says_something && let Some(run) = runs.last_mut() {
            run.push(word);
        }
        if ends {
            runs.push(Vec::new());
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

fn note(run: &[&str], page: u32, seen: &mut HashMap<String, Seen>) {
    let is_korean = run.iter().any(|word| word.chars().any(is_hangul));
    let phrases = (1..=LONGEST).flat_map(|words| run.windows(words));
    for phrase in phrases {
        let Some((last, before)) = phrase.split_last() else {
            continue;
        };
        let mut shown: Vec<&str> = before.to_vec();
        let last = match is_korean {
            true => without_ending(last),
            false => last,
        };
        if is_korean
            && (last.chars().count() < SHORTEST || before.iter().any(|word| is_inflected(word)))
        {
            continue;
        }
        shown.push(last);
        let shown = shown.join(" ");
        let order = seen.len();
        let entry = seen.entry(shown.to_lowercase()).or_insert_with(|| Seen {
            shown,
            page,
            order,
            words: phrase.len(),
            ..Seen::default()
        });
        entry.count += 1;
    }
}

/// Whether a Korean word has a particle: it is not the first part of a compound then.
fn is_inflected(word: &str) -> bool {
    without_ending(word).len() < word.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::tests::page;

    #[test]
    fn what_is_repeated_stands_for_the_document() {
        let page = page(
            "The harbour committee met. The harbour committee approved the dredging of the basin. \
             Dredging costs money, and the harbour committee knows.",
        );
        let phrases = key_phrases(&[&page]);
        assert_eq!(phrases[0].text, "harbour committee");
        assert_eq!(phrases[0].count, 3);
    }

    #[test]
    fn korean_words_lose_their_particles() {
        let page = page("도서관은 예산을 늘렸다. 도서관의 예산이 부족했다. 도서관 예산");
        let texts: Vec<String> = key_phrases(&[&page]).into_iter().map(|p| p.text).collect();
        assert!(
            texts.contains(&"도서관".to_owned()) && texts.contains(&"예산".to_owned()),
            "{texts:?}"
        );
    }
}
