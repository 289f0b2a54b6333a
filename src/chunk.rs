//! Pages to chunks: a pure function. A chunk never crosses a page and knows its character range.

mod normalise;
mod running;

use std::borrow::Cow;
use std::ops::Range;

pub use normalise::normalise;
pub use running::bodies;

use crate::document::{Chunk, Page};
use crate::text::{sentences, table_head};

/// Part of every fingerprint: raise it when old chunks and new ones no longer rank fairly beside each other,
/// which asks every user for `reembed`. That headers are left out and rows have their table's head since was
/// not worth it.
pub const VERSION: u32 = 1;

/// Sizes in tokens of the model's own tokenizer, special tokens not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Where a chunk is full.
    pub target: usize,
    /// What a chunk repeats of the one before it.
    pub overlap: usize,
    /// What no chunk may pass.
    pub limit: usize,
}

impl Limits {
    /// About 200 tokens with 15 % overlap, less for a model that sees less; `max_tokens` is what
    /// the model reads, its two special tokens included.
    pub fn for_model(max_tokens: usize) -> Self {
        let limit = max_tokens.saturating_sub(2).max(8);
        let target = limit.min(200);
        Self {
            target,
            overlap: target * 15 / 100,
            limit,
        }
    }
}

/// Longest head of a table, in bytes, that is put before its rows.
const LONGEST_HEAD: usize = 300;

/// What a chunk is found by: its own text, and before the rows of a table the table's head, which need not
/// be in the chunk. `range` is the chunk's, in bytes of the page.
pub fn searched(page: &str, range: Range<usize>) -> Cow<'_, str> {
    let text = &page[range.clone()];
    match table_head(page, range.start).filter(|head| head.len() <= LONGEST_HEAD) {
        Some(head) => Cow::Owned(format!("{head}\n{text}")),
        None => Cow::Borrowed(text),
    }
}

/// A chunk and what it is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    pub chunk: Chunk,
    /// As [`searched`] gives it.
    pub searched: String,
}

/// Cuts the `body` of one page, a byte range of its text, into chunks. `count` gives a text's length in
/// tokens.
///
/// Every character of the body that is not blank is in at least one chunk, and every chunk's text
/// is exactly the page's text in its range.
pub fn split(
    page: &Page,
    body: Range<usize>,
    limits: Limits,
    count: &dyn Fn(&str) -> usize,
) -> Vec<Cut> {
    let units = units(&page.text, body, limits, count);
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut first = 0;
    while first < units.len() {
        let mut tokens = units[first].tokens;
        let mut next = first + 1;
        while next < units.len() && tokens + units[next].tokens <= limits.target {
            tokens += units[next].tokens;
            next += 1;
        }
        ranges.push(units[first].range.start..units[next - 1].range.end);
        if next == units.len() {
            break;
        }
        let room = limits.target.saturating_sub(units[next].tokens);
        first = next - overlap(&units[first..next], limits.overlap.min(room));
    }
    let mut place = CharIndex::new(&page.text);
    ranges
        .into_iter()
        .map(|range| Cut {
            chunk: Chunk {
                page: page.number,
                start: place.chars_before(range.start),
                end: place.chars_before(range.end),
                text: page.text[range.clone()].to_owned(),
            },
            searched: searched(&page.text, range).into_owned(),
        })
        .collect()
}

/// A sentence, or a part of one that is too long for a chunk.
struct Unit {
    range: Range<usize>,
    tokens: usize,
}

fn units(
    text: &str,
    body: Range<usize>,
    limits: Limits,
    count: &dyn Fn(&str) -> usize,
) -> Vec<Unit> {
    let mut units = Vec::new();
    for range in sentences(&text[body.clone()]) {
        let range = body.start + range.start..body.start + range.end;
        let tokens = count(&text[range.clone()]);
        if tokens <= limits.target {
            units.push(Unit { range, tokens });
        } else {
            split_long(text, range, limits, count, &mut units);
        }
    }
    units
}

/// Splits a sentence past the target into runs of words, and a word past it into runs of letters.
fn split_long(
    text: &str,
    sentence: Range<usize>,
    limits: Limits,
    count: &dyn Fn(&str) -> usize,
    units: &mut Vec<Unit>,
) {
    let mut open: Option<Unit> = None;
    for word in words(text, sentence) {
        let tokens = count(&text[word.clone()]);
        if tokens > limits.target {
            units.extend(open.take());
            units.extend(letters(text, word, limits.target, count));
            continue;
        }
        open = Some(match open.take() {
            Some(unit) if unit.tokens + tokens <= limits.target => Unit {
                range: unit.range.start..word.end,
                tokens: unit.tokens + tokens,
            },
            full => {
                units.extend(full);
                Unit {
                    range: word,
                    tokens,
                }
            }
        });
    }
    units.extend(open);
}

fn words(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let base = text.as_ptr() as usize;
    text[range]
        .split_whitespace()
        .map(|word| {
            let start = word.as_ptr() as usize - base;
            start..start + word.len()
        })
        .collect()
}

/// Halves a word until every part fits.
fn letters(
    text: &str,
    word: Range<usize>,
    target: usize,
    count: &dyn Fn(&str) -> usize,
) -> Vec<Unit> {
    let tokens = count(&text[word.clone()]);
    let middle = (word.start + word.len() / 2..word.end)
        .find(|&at| text.is_char_boundary(at) && at > word.start);
    match middle {
        Some(middle) if tokens > target => {
            let mut parts = letters(text, word.start..middle, target, count);
            parts.extend(letters(text, middle..word.end, target, count));
            parts
        }
        _ => vec![Unit {
            range: word,
            tokens,
        }],
    }
}

/// How many of the last units to repeat: up to `most` tokens, never all, so that chunks advance.
fn overlap(units: &[Unit], most: usize) -> usize {
    let mut tokens = 0;
    units[1..]
        .iter()
        .rev()
        .take_while(|unit| {
            tokens += unit.tokens;
            tokens <= most
        })
        .count()
}

/// Turns ascending byte offsets into character offsets, walking the text once.
struct CharIndex<'a> {
    text: &'a str,
    byte: usize,
    chars: usize,
}

impl<'a> CharIndex<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            byte: 0,
            chars: 0,
        }
    }

    fn chars_before(&mut self, byte: usize) -> usize {
        if byte < self.byte {
            // Overlapping chunks step back a little.
            self.chars -= self.text[byte..self.byte].chars().count();
        } else {
            self.chars += self.text[self.byte..byte].chars().count();
        }
        self.byte = byte;
        self.chars
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Verdict;
    use proptest::prelude::*;

    fn page(text: &str) -> Page {
        Page {
            number: 3,
            text: text.to_owned(),
            verdict: Verdict::Ok,
        }
    }

    /// One token a word of up to four letters, more for longer ones.
    fn count(text: &str) -> usize {
        text.split_whitespace()
            .map(|word| word.chars().count().div_ceil(4))
            .sum()
    }

    fn small() -> Limits {
        Limits {
            target: 8,
            overlap: 3,
            limit: 10,
        }
    }

    fn whole(page: &Page) -> Vec<Chunk> {
        let cuts = split(page, 0..page.text.len(), small(), &count);
        cuts.into_iter().map(|cut| cut.chunk).collect()
    }

    #[test]
    fn rows_are_searched_with_the_head_of_their_table() {
        let page = "Fees\n\n| boat | fee |\n| small | 20 |\n| large | 55 |";
        let of = |text: &str| {
            let start = page.find(text).unwrap();
            searched(page, start..start + text.len())
        };
        assert_eq!(of("| large | 55 |"), "| boat | fee |\n| large | 55 |");
        assert_eq!(of("| boat | fee |\n| small"), "| boat | fee |\n| small");
        assert_eq!(of("Fees"), "Fees");
    }

    #[test]
    fn what_is_not_in_the_body_is_in_no_chunk() {
        let page = page("Harbour news\n\nOne two three.\n\n- 3 -");
        let body = page.text.find("One").unwrap()..page.text.find("- 3").unwrap();
        let chunks = split(&page, body, small(), &count);
        let texts: Vec<&str> = chunks.iter().map(|cut| cut.chunk.text.as_str()).collect();
        assert_eq!((texts, chunks[0].chunk.start), (vec!["One two three."], 14));
    }

    #[test]
    fn sentences_are_packed_and_the_last_short_one_is_repeated() {
        let text = "One two three. Four five six. Ab cd. Ef gh ij kl.";
        let chunks = whole(&page(text));
        let texts: Vec<&str> = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "One two three. Four five six.",
                "Four five six. Ab cd.",
                "Ab cd. Ef gh ij kl."
            ]
        );
        let texts: Vec<String> =
            whole(&page("One two three. Four five. Six seven eight nine ten."))
                .into_iter()
                .map(|chunk| chunk.text)
                .collect();
        assert_eq!(
            texts,
            ["One two three. Four five.", "Six seven eight nine ten."]
        );
    }

    #[test]
    fn an_endless_word_is_cut() {
        let text = "x".repeat(1000);
        let chunks = whole(&page(&text));
        assert!(chunks.iter().all(|chunk| count(&chunk.text) <= 8));
        assert_eq!(chunks.iter().map(|c| c.text.len()).sum::<usize>(), 1000);
    }

    #[test]
    fn a_blank_page_has_no_chunks() {
        assert!(whole(&page(" \n\n")).is_empty());
    }

    #[test]
    fn limits_follow_the_model() {
        assert_eq!(
            Limits::for_model(256),
            Limits {
                target: 200,
                overlap: 30,
                limit: 254
            }
        );
        assert_eq!(Limits::for_model(128).target, 126);
    }

    proptest! {
        #[test]
        fn ranges_are_true_and_all_text_is_covered(text in "[a-zA-Z가-힣.!?\\n #|0-9\u{301}-]{0,400}") {
            let page = page(&text);
            let chars: Vec<char> = text.chars().collect();
            let mut covered = vec![false; chars.len()];
            for chunk in whole(&page) {
                prop_assert_eq!(&String::from_iter(&chars[chunk.start..chunk.end]), &chunk.text);
                prop_assert!(count(&chunk.text) <= small().limit);
                covered[chunk.start..chunk.end].fill(true);
            }
            for (c, covered) in chars.iter().zip(covered) {
                prop_assert!(covered || c.is_whitespace());
            }
        }
    }
}
