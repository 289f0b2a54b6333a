//! SentencePiece's unigram tokenizer, as XLM-RoBERTa and its relatives use it: the split of a text
//! into known pieces with the best sum of log-probabilities (Kudo 2018, arXiv:1804.10959).

use ahash::AHashMap;
use anyhow::{Context as _, ensure};
use unicode_normalization::UnicodeNormalization as _;

/// Stands for a space, and begins every word.
const SPACE: char = '\u{2581}';
/// A character no piece holds costs this much more than the rarest piece (SentencePiece's
/// `kUnkPenalty`).
const UNKNOWN_PENALTY: f64 = 10.0;
/// The ids fairseq gives `<s>`, `</s>` and `<unk>`; `<pad>` is 1.
const BEGIN: u32 = 0;
const END: u32 = 2;
const UNKNOWN: u32 = 3;
/// Characters of the longest piece of XLM-RoBERTa.
const LONGEST_PIECE: usize = 16;
/// Characters split at a time when tokens are only counted.
const COUNTED: usize = 20_000;
/// Ids below this are not pieces of text.
const SPECIAL: usize = 4;

/// Pieces with their scores.
pub struct Unigram {
    pieces: AHashMap<&'static str, (u32, f64)>,
    longest: usize,
    unknown: f64,
}

impl Unigram {
    /// Reads `piece<TAB>log-probability`, a line for each id.
    ///
    /// # Errors
    /// A line that is not of that form.
    pub fn new(vocabulary: &'static str) -> anyhow::Result<Self> {
        let mut pieces = AHashMap::with_capacity(vocabulary.len() / 16);
        let (mut longest, mut least) = (0, 0.0_f64);
        for (line, id) in vocabulary.lines().zip(0..) {
            let (piece, score) = line.split_once('\t').context("a piece without a score")?;
            let score: f64 = score.parse().context("a score that is no number")?;
            if id as usize >= SPECIAL {
                longest = longest.max(piece.len());
                least = least.min(score);
                pieces.insert(piece, (id, score));
            }
        }
        ensure!(!pieces.is_empty(), "the vocabulary is empty");
        Ok(Self {
            pieces,
            longest,
            unknown: least - UNKNOWN_PENALTY,
        })
    }

    /// Ids of `text` between those of `<s>` and `</s>`; past `max_tokens` the text is cut.
    pub fn ids(&self, text: &str, max_tokens: usize) -> Vec<u32> {
        let room = max_tokens.saturating_sub(2);
        // No piece is longer than 16 characters, so what is beyond is cut off anyway.
        let most = room.saturating_mul(LONGEST_PIECE);
        let text = text
            .char_indices()
            .nth(most)
            .map_or(text, |(end, _)| &text[..end]);
        let mut ids = vec![BEGIN];
        ids.extend(self.pieces(text).into_iter().take(room));
        ids.push(END);
        ids
    }

    /// Tokens of `text` without special ones.
    pub fn count(&self, text: &str) -> usize {
        let mut rest = text;
        let mut count = 0;
        // Piece by piece: the table of the best split is many times as large as the text.
        while let Some((end, _)) = rest.char_indices().nth(COUNTED) {
            count += self.pieces(&rest[..end]).len();
            rest = &rest[end..];
        }
        count + self.pieces(rest).len()
    }

    /// The best split (Viterbi): for every end the best piece that leads there.
    fn pieces(&self, text: &str) -> Vec<u32> {
        let text = normalised(text);
        let mut best = vec![Step::NONE; text.len() + 1];
        best[0].score = 0.0;
        let mut ends: Vec<usize> = text.char_indices().map(|(at, _)| at).skip(1).collect();
        ends.push(text.len());
        for (index, start) in std::iter::once(0).chain(ends.iter().copied()).enumerate() {
            let score = best[start].score;
            for &end in ends[index.min(ends.len())..].iter() {
                if end - start > self.longest {
                    break;
                }
                if let Some(&(id, own)) = self.pieces.get(&text[start..end]) {
                    best[end].improve(score + own, start, id);
                }
            }
            if let Some(&end) = ends.get(index) {
                best[end].improve(score + self.unknown, start, UNKNOWN);
            }
        }
        let mut ids = Vec::new();
        let mut at = text.len();
        while at > 0 {
            // Unknown characters side by side are one unknown, as SentencePiece has it.
            if !(best[at].id == UNKNOWN && ids.last() == Some(&UNKNOWN)) {
                ids.push(best[at].id);
            }
            at = best[at].start;
        }
        ids.reverse();
        ids
    }
}

/// The best way to a place in the text, and its last piece.
#[derive(Clone, Copy)]
struct Step {
    score: f64,
    start: usize,
    id: u32,
}

impl Step {
    const NONE: Step = Step {
        score: f64::NEG_INFINITY,
        start: 0,
        id: UNKNOWN,
    };

    fn improve(&mut self, score: f64, start: usize, id: u32) {
        if score > self.score {
            *self = Step { score, start, id };
        }
    }
}

/// Kept as it is where NFKC would fold it.
const WIDE_TILDE: char = '\u{FF5E}';
/// Stands for [`WIDE_TILDE`] while the rest is folded.
const ASIDE: char = '\u{E000}';

/// SentencePiece's `nmt_nfkc` rules, then its mark for spaces: one before the text, none twice.
fn normalised(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    out.push(SPACE);
    let kept = text.chars().filter(|&c| !is_dropped(c)).map(set_aside);
    for c in kept.nfkc() {
        match c {
            ' ' if out.ends_with(SPACE) => {}
            ' ' => out.push(SPACE),
            ASIDE => out.push(WIDE_TILDE),
            other => out.push(other),
        }
    }
    if out.ends_with(SPACE) && out.len() > SPACE.len_utf8() {
        out.pop();
    }
    out
}

/// Control characters that are not space.
fn is_dropped(c: char) -> bool {
    let control = matches!(c, '\u{1}'..='\u{1F}' | '\u{7F}' | '\u{8F}' | '\u{9F}');
    control && !matches!(c, '\t' | '\n' | '\u{C}' | '\r')
}

/// What is no visible character becomes a space.
fn set_aside(c: char) -> char {
    match c {
        '\t'
        | '\n'
        | '\u{C}'
        | '\r'
        | '\u{1680}'
        | '\u{200B}'..='\u{200F}'
        | '\u{2028}'
        | '\u{2029}'
        | SPACE
        | '\u{FEFF}'
        | '\u{FFFD}' => ' ',
        WIDE_TILDE => ASIDE,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOCABULARY: &str = "<s>\t0\n<pad>\t0\n</s>\t0\n<unk>\t0\n\u{2581}\t-3\n\u{2581}예산\t-4\n\
        을\t-2\na\t-1\nab\t-5\nb\t-1.5\n";

    fn pieces(text: &str) -> Vec<u32> {
        let ids = Unigram::new(VOCABULARY).unwrap().ids(text, 64);
        ids[1..ids.len() - 1].to_vec()
    }

    #[test]
    fn the_best_split_wins_not_the_longest_piece() {
        assert_eq!(pieces("예산을"), [5, 6]);
        assert_eq!(pieces("ab"), [4, 7, 9]);
    }

    #[test]
    fn what_no_piece_holds_is_one_unknown() {
        assert_eq!(pieces("xya"), [4, 3, 7]);
    }

    #[test]
    fn spaces_are_one_mark_and_controls_are_gone() {
        assert_eq!(pieces("  a \t\u{3000}a\u{7} "), [4, 7, 4, 7]);
        assert_eq!(pieces(""), [4]);
    }

    #[test]
    fn a_long_text_keeps_its_ends() {
        let ids = Unigram::new(VOCABULARY).unwrap().ids("aaaaaaaa", 5);
        assert_eq!(ids, [0, 4, 7, 7, 2]);
    }

    #[test]
    fn a_text_without_end_is_counted_in_parts() {
        let unigram = Unigram::new(VOCABULARY).unwrap();
        let count = unigram.count(&"a".repeat(3 * COUNTED));
        assert!((3 * COUNTED..3 * COUNTED + 4).contains(&count), "{count}");
    }

    #[test]
    fn a_line_without_a_score_is_an_error() {
        assert!(Unigram::new("<s>\n").is_err());
    }
}
