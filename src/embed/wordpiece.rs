//! BERT's uncased WordPiece tokenizer for a vocabulary inside the binary: nothing is parsed or copied,
//! and words of ASCII, nearly all of them, take a short way. A test holds its ids to those of the
//! crate `tokenizers`.

use ahash::AHashMap;
use anyhow::{Context as _, ensure};
use unicode_categories::UnicodeCategories as _;
use unicode_normalization::UnicodeNormalization as _;

/// What a piece that does not begin a word begins with.
const CONTINUED: &str = "##";
/// A longer word is unknown.
const LONGEST_WORD: usize = 100;

/// Pieces and their ids.
pub struct WordPiece {
    begins: AHashMap<&'static str, u32>,
    continues: AHashMap<&'static str, u32>,
    /// Bytes of the longest piece.
    longest: usize,
    first: u32,
    last: u32,
    unknown: u32,
}

impl WordPiece {
    /// Reads `vocabulary`, a piece a line in the order of ids.
    ///
    /// # Errors
    /// A vocabulary without BERT's special tokens.
    pub fn new(vocabulary: &'static str) -> anyhow::Result<Self> {
        let mut begins = AHashMap::with_capacity(vocabulary.len() / 8);
        let mut continues = AHashMap::with_capacity(vocabulary.len() / 32);
        let mut longest = 0;
        for (piece, id) in vocabulary.lines().zip(0..) {
            longest = longest.max(piece.len());
            match piece.strip_prefix(CONTINUED) {
                Some(rest) if !rest.is_empty() => continues.insert(rest, id),
                _ => begins.insert(piece, id),
            };
        }
        let special = |token: &str| {
            let id = begins.get(token).copied();
            id.with_context(|| format!("the vocabulary has no {token} token"))
        };
        let (first, last, unknown) = (special("[CLS]")?, special("[SEP]")?, special("[UNK]")?);
        ensure!(!continues.is_empty(), "the vocabulary has whole words only");
        Ok(Self {
            begins,
            continues,
            longest,
            first,
            last,
            unknown,
        })
    }

    /// Ids of `text` between those of `[CLS]` and `[SEP]`; past `max_tokens` the text is cut.
    pub fn ids(&self, text: &str, max_tokens: usize) -> Vec<u32> {
        let most = max_tokens.saturating_sub(1).max(1);
        let mut ids = vec![self.first];
        self.pieces(text, &mut ids, |ids| ids.len() >= most);
        ids.truncate(most);
        ids.push(self.last);
        ids
    }

    /// Tokens of `text` without special ones.
    pub fn count(&self, text: &str) -> usize {
        let mut ids = Vec::new();
        let mut count = 0;
        self.pieces(text, &mut ids, |ids| {
            count += ids.len();
            ids.clear();
            false
        });
        count + ids.len()
    }

    /// Appends the pieces of `text`, word by word until one is `enough`.
    fn pieces(
        &self,
        text: &str,
        ids: &mut Vec<u32>,
        mut enough: impl FnMut(&mut Vec<u32>) -> bool,
    ) {
        let mut folded = String::new();
        for word in text.split(is_space).filter(|word| !word.is_empty()) {
            folded.clear();
            if word.is_ascii() {
                let kept = word.bytes().filter(|byte| !byte.is_ascii_control());
                folded.extend(kept.map(|byte| char::from(byte.to_ascii_lowercase())));
            } else {
                let kept = word.chars().filter(|&c| !is_dropped(c)).flat_map(apart);
                let bare = kept.nfd().filter(|c| !c.is_mark_nonspacing());
                folded.extend(bare.flat_map(char::to_lowercase));
            }
            for word in folded.split(' ') {
                self.split_at_punctuation(word, ids);
            }
            if enough(ids) {
                return;
            }
        }
    }

    fn split_at_punctuation(&self, word: &str, ids: &mut Vec<u32>) {
        let mut start = 0;
        for (at, c) in word.char_indices() {
            if c.is_ascii_punctuation() || (!c.is_ascii() && c.is_punctuation()) {
                self.split(&word[start..at], ids);
                start = at + c.len_utf8();
                self.split(&word[at..start], ids);
            }
        }
        self.split(&word[start..], ids);
    }

    /// The longest piece that begins the word, then the longest that goes on, and so forth.
    fn split(&self, word: &str, ids: &mut Vec<u32>) {
        if let Some(&id) = self.begins.get(word) {
            ids.push(id);
            return;
        }
        let known = ids.len();
        let mut start = 0;
        let is_long = word.len() > LONGEST_WORD && word.chars().count() > LONGEST_WORD;
        while start < word.len() && !is_long {
            let pieces = if start == 0 {
                &self.begins
            } else {
                &self.continues
            };
            let mut end = word.floor_char_boundary(start + self.longest);
            let id = loop {
                if end == start {
                    break None;
                }
                if let Some(&id) = pieces.get(&word[start..end]) {
                    break Some(id);
                }
                end = word.floor_char_boundary(end - 1);
            };
            let Some(id) = id else { break };
            ids.push(id);
            start = end;
        }
        if start < word.len() {
            ids.truncate(known);
            ids.push(self.unknown);
        }
    }
}

/// Whether a character parts words.
fn is_space(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r') || c.is_whitespace() && !c.is_other()
}

/// Control characters and the like.
fn is_dropped(c: char) -> bool {
    matches!(c, '\0' | '\u{FFFD}') || c.is_other()
}

/// Chinese characters are words of their own.
fn apart(c: char) -> impl Iterator<Item = char> {
    let is_chinese = matches!(c,
        '\u{4E00}'..='\u{9FFF}' | '\u{3400}'..='\u{4DBF}' | '\u{20000}'..='\u{2A6DF}'
        | '\u{2A700}'..='\u{2B73F}' | '\u{2B740}'..='\u{2B81F}' | '\u{2B920}'..='\u{2CEAF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{2F800}'..='\u{2FA1F}');
    let space = is_chinese.then_some(' ');
    space.into_iter().chain([c]).chain(space)
}
