//! Facts about text that several stages need: normal forms, scripts, sentences. Pure.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// Canonical composition, so that macOS file names and typed text compare equal.
pub fn nfc(text: &str) -> String {
    match text.chars().all(is_inert) {
        true => text.to_owned(),
        false => text.nfc().collect(),
    }
}

/// Characters that composition leaves as they are, whatever of their kind stands beside them: Latin
/// before the combining marks, Hangul syllables, the unified ideographs, common punctuation. Of most
/// texts that is all, and asking the tables for each character takes longer than the rest of the clean-up.
fn is_inert(c: char) -> bool {
    matches!(c, '\0'..='\u{2FF}' | '\u{AC00}'..='\u{D7A3}' | '\u{4E00}'..='\u{9FFF}' | '\u{2010}'..='\u{2027}' | '\u{3001}'..='\u{3029}')
}

/// The extension of a file name in lower case, without its dot; empty where there is none.
pub fn extension(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let (_, extension) = name.rsplit_once('.').unwrap_or_default();
    extension.to_lowercase()
}

/// Hangul syllables and jamo.
pub fn is_hangul(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11FF}' | '\u{3130}'..='\u{318F}' | '\u{A960}'..='\u{A97F}'
        | '\u{AC00}'..='\u{D7FF}')
}

/// Scripts written without spaces between the parts a reader would search for: Hangul, Han, kana.
pub fn is_cjk(c: char) -> bool {
    is_hangul(c)
        || matches!(c, '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}'
            | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{2FA1F}')
}

/// The share of CJK letters from which a text is mainly Korean, Chinese or Japanese.
const MAINLY: f32 = 0.3;

/// Number of letters, and of CJK letters among them.
fn letters(text: &str) -> (u32, u32) {
    let letters = text.chars().filter(|c| c.is_alphabetic());
    letters.fold((0, 0), |(all, cjk), c| {
        (all + 1, cjk + u32::from(is_cjk(c)))
    })
}

/// Share of the letters that are CJK, 0 for text without letters.
pub fn cjk_share(text: &str) -> f32 {
    let (letters, cjk) = letters(text);
    cjk as f32 / letters.max(1) as f32
}

/// Whether a text is mainly Korean, Chinese or Japanese: such text has Latin words too.
pub fn is_cjk_text(text: &str) -> bool {
    cjk_share(text) >= MAINLY
}

/// What a text is written in: how many of its letters are CJK.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Script(u8);

impl Script {
    /// Steps of the share; thresholds are whole numbers of them.
    const STEPS: u32 = 200;
    const NO_LETTERS: u8 = u8::MAX;

    pub fn of(text: &str) -> Self {
        let (letters, cjk) = letters(text);
        // At most `STEPS`.
        let share = (Self::STEPS * cjk).checked_div(letters);
        Self(share.map_or(Self::NO_LETTERS, |share| share as u8))
    }

    /// From what [`Script::byte`] gave.
    pub fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// In one byte, 0 for text without CJK letters that has others.
    pub fn byte(self) -> u8 {
        self.0
    }

    /// As [`cjk_share`].
    pub fn cjk_share(self) -> f32 {
        match self.0 {
            Self::NO_LETTERS => 0.0,
            share => f32::from(share) / Self::STEPS as f32,
        }
    }

    /// Whether words of a question in this script can be expected in `passage`: both Korean, Chinese or
    /// Japanese, or neither. A Korean page full of commands is Korean still; text without letters may be
    /// either.
    pub fn may_share_words(self, passage: Self) -> bool {
        match self.cjk_share() >= MAINLY {
            true => passage.cjk_share() >= 0.05 || passage.0 == Self::NO_LETTERS,
            false => passage.cjk_share() < MAINLY,
        }
    }
}

/// Byte ranges of the sentences of `text`, blanks around them left out. A paragraph break, a list
/// item, a heading or a table row ends a sentence; a wrapped line does not.
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for block in blocks(text) {
        // Same byte length, so that offsets stay true.
        let flat = text[block.clone()].replace('\n', " ");
        let mut open: Option<Range<usize>> = None;
        for (at, piece) in flat.split_sentence_bound_indices() {
            let piece_range = block.start + at..block.start + at + piece.len();
            let whole = match open.take() {
                Some(before) => before.start..piece_range.end,
                None => piece_range,
            };
            if ends_in_abbreviation(text[whole.clone()].trim_end()) {
                open = Some(whole);
            } else {
                found.extend(trimmed(text, whole));
            }
        }
        found.extend(open.and_then(|rest| trimmed(text, rest)));
    }
    found
}

/// The sentences of `text` as a reader would quote them: what looks like an end and is none, as in
/// `2026. 4. 30.까지`, `M.V.` or the number before a list item, is joined to what follows.
pub fn quotable(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for next in sentences(text) {
        match found.last_mut() {
            Some(last)
                if goes_on(
                    &text[last.clone()],
                    &text[last.end..next.start],
                    &text[next.clone()],
                ) =>
            {
                last.end = next.end;
            }
            _ => found.push(next),
        }
    }
    found
}

/// Dates as `2026. 4. 30.`, single numbers, and letters with dots, at the end of a text.
static NO_END: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(\d{4}\.\s?\d{1,2}\.\s?\d{1,2}\.|^\(?\d{1,3}\.|\b([A-Za-z]\.){2,}|\b(Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|Mon|Tue|Wed|Thu|Fri|Sat|Sun)\.)$";
    Regex::new(pattern).expect("a constant pattern")
});

/// Whether `next` belongs to the sentence that seems to end with `last`; `between` is what is between.
fn goes_on(last: &str, between: &str, next: &str) -> bool {
    if between.contains('\n') {
        return false;
    }
    let after_number = last
        .strip_suffix('.')
        .is_some_and(|body| body.ends_with(|c: char| c.is_ascii_digit()));
    let number_follows = next.starts_with(|c: char| c.is_ascii_digit() || c == '~' || c == '-');
    (last.ends_with('.') && between.is_empty())
        || (after_number && number_follows)
        || NO_END.is_match(last)
}

/// Runs of lines that belong together: wrapped prose, one list item, one heading, one table row.
fn blocks(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut open: Option<Range<usize>> = None;
    let mut previous = "";
    let widest = text.split("\n\n").map(widest_line);
    let mut at = 0;
    for (paragraph, widest) in text.split("\n\n").zip(widest) {
        for line in paragraph.split('\n') {
            let range = at..at + line.len();
            at = range.end + 1;
            open = Some(match open.take() {
                Some(block) if wraps(previous, line, widest) => block.start..range.end,
                Some(block) => {
                    found.push(block);
                    range
                }
                None => range,
            });
            previous = line;
        }
        found.extend(open.take());
        at += 1;
    }
    found
}

fn widest_line(paragraph: &str) -> usize {
    paragraph.split('\n').map(width).max().unwrap_or(0)
}

/// Columns on a terminal: CJK takes two.
fn width(line: &str) -> usize {
    line.trim()
        .chars()
        .map(|c| 1 + usize::from(is_cjk(c)))
        .sum()
}

/// NFKC in lower case: what differs only in width, case or composition becomes the same.
pub fn folded(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).collect()
}

/// A line without the number it begins with, as an item or a heading does: `3. Budget` is `Budget`.
pub fn unnumbered(line: &str) -> &str {
    let is_number = |n: &str| (1..=3).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit());
    match line.split_once(['.', ')']) {
        Some((n, rest)) if is_number(n) && rest.starts_with(' ') => rest.trim_start(),
        _ => line,
    }
}

/// Whether a line, without blanks before it, is an item of a list.
pub fn is_item(line: &str) -> bool {
    unnumbered(line).len() < line.len()
        || line.starts_with(['•', '◦', '▪', '●', '○', '■', '□', '※', '·'])
        || ["- ", "* ", "+ "].iter().any(|mark| line.starts_with(mark))
}

/// Whether `line` goes on with what `previous` began.
fn wraps(previous: &str, line: &str, widest: usize) -> bool {
    let starts_anew = |line: &str| {
        let line = line.trim_start();
        is_item(line) || line.starts_with(['#', '|', '>'])
    };
    let headed = previous.trim_start().starts_with(['#', '|']);
    // A line that stops well short of the widest was ended on purpose, not wrapped.
    let full = width(previous) * 10 >= widest * 7;
    full && !headed && !starts_anew(line) && !line.trim().is_empty()
}

fn trimmed(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let slice = &text[range.clone()];
    let start = range.start + (slice.len() - slice.trim_start().len());
    let end = range.start + slice.trim_end().len();
    (start < end).then_some(start..end)
}

/// Words after which a full stop does not end the sentence.
const ABBREVIATIONS: [&str; 26] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "no", "nos", "vs", "fig", "figs", "eq", "sec", "ch",
    "vol", "pp", "ed", "al", "inc", "ltd", "jr", "sr", "approx", "e.g", "i.e", "cf",
];

fn ends_in_abbreviation(sentence: &str) -> bool {
    let Some(body) = sentence.strip_suffix('.') else {
        return false;
    };
    let word = body
        .rsplit(|c: char| c.is_whitespace() || c == '(')
        .next()
        .unwrap_or("");
    let initial = word.chars().count() == 1 && word.chars().all(|c| c.is_ascii_uppercase());
    initial || ABBREVIATIONS.contains(&word.to_lowercase().as_str())
}

/// The byte offset of character number `index`, or the length of `text` past its end.
pub fn byte_of_char(text: &str, index: usize) -> usize {
    text.char_indices()
        .nth(index)
        .map_or(text.len(), |(byte, _)| byte)
}

/// The head of the table that the text at byte `start` of `page` is in, unless it begins with the head:
/// the first of the rows, which begin with `|`, that end above it.
pub fn table_head(page: &str, start: usize) -> Option<&str> {
    let line_start = page[..start].rfind('\n').map_or(0, |at| at + 1);
    if !page[line_start..].trim_start().starts_with('|') {
        return None;
    }
    let above = page[..line_start].lines().rev();
    let rows = above.take_while(|line| line.trim_start().starts_with('|'));
    rows.last().map(str::trim)
}

/// `1 page`, `2 pages`.
pub fn count(number: u64, word: &str) -> String {
    match number {
        1 => format!("1 {word}"),
        _ => format!("{number} {word}s"),
    }
}

/// `text` on one line: every run of blanks is one space.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_inert_composes_with_nothing_of_its_kind(text in ".{0,40}") {
            let inert: String = text.chars().filter(|&c| is_inert(c)).collect();
            prop_assert_eq!(inert.nfc().collect::<String>(), inert);
        }
    }

    #[test]
    fn every_inert_character_is_composed_already() {
        for c in (0..=u32::from(char::MAX))
            .filter_map(char::from_u32)
            .filter(|&c| is_inert(c))
        {
            assert!(std::iter::once(c).nfc().eq([c]), "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn items_have_a_number_or_a_mark() {
        assert_eq!(unnumbered("3. 예산과 집행"), "예산과 집행");
        for line in ["1.84 million", "2024. 3. 15.", "Budget"] {
            assert_eq!(unnumbered(line), line);
            assert!(!is_item(line));
        }
        assert!(is_item("12) twelve") && is_item("- dash") && is_item("□ 항목"));
    }

    #[test]
    fn a_date_or_an_abbreviation_does_not_end_a_quote() {
        let quoted = |text: &'static str| -> Vec<&str> {
            quotable(text)
                .into_iter()
                .map(|range| &text[range])
                .collect()
        };
        for whole in [
            "납품 기한은 2026. 4. 30.까지이다.",
            "계약은 2024. 3. 15. 체결되었다.",
            "접수 기간: 2025. 1. 2. ~ 2025. 1. 31.",
            "The vessel M.V. St. Olaf, no. 7, arrived on Mon. 5 Jan. 2026 at noon.",
            "4. Close the valve.",
        ] {
            assert_eq!(quoted(whole), [whole]);
        }
        assert_eq!(
            quoted("It opened in 1921. The pier is older."),
            ["It opened in 1921.", "The pier is older."]
        );
        assert_eq!(quoted("승인했다. 끝났다."), ["승인했다.", "끝났다."]);
    }

    fn split(text: &str) -> Vec<&str> {
        sentences(text).into_iter().map(|r| &text[r]).collect()
    }

    #[test]
    fn sentences_end_at_full_stops_but_not_at_abbreviations() {
        assert_eq!(
            split("Dr. Holm agreed. The vote by J. Berg was 4.5 to 2! Done?"),
            [
                "Dr. Holm agreed.",
                "The vote by J. Berg was 4.5 to 2!",
                "Done?"
            ]
        );
    }

    #[test]
    fn korean_sentences_split_after_their_full_stops() {
        assert_eq!(
            split("예산은 3.5% 늘었다. 관장이 승인했습니다. 끝"),
            ["예산은 3.5% 늘었다.", "관장이 승인했습니다.", "끝"]
        );
    }

    #[test]
    fn a_wrapped_line_goes_on_and_a_list_item_does_not() {
        assert_eq!(
            split(
                "The long first line of this text\nends here. Next.\n- one\n- two\n\nTitle\nBody text that goes on for long."
            ),
            [
                "The long first line of this text\nends here.",
                "Next.",
                "- one",
                "- two",
                "Title",
                "Body text that goes on for long."
            ]
        );
    }

    #[test]
    fn numbers_read_naturally() {
        assert_eq!(count(1, "page"), "1 page");
        assert_eq!(count(0, "page"), "0 pages");
    }

    #[test]
    fn blank_text_has_no_sentences() {
        assert!(split(" \n\n \n").is_empty());
    }

    #[test]
    fn script_share_ignores_digits() {
        assert_eq!(cjk_share("2024 예산"), 1.0);
        assert_eq!(cjk_share("123"), 0.0);
        assert_eq!(cjk_share("가 b"), 0.5);
        for text in ["2024 예산", "123", "가 b", "command", "가나다 abcdefg"] {
            let script = Script::of(text);
            assert_eq!(Script::from_byte(script.byte()), script);
            assert!((script.cjk_share() - cjk_share(text)).abs() <= 0.005);
        }
        let may = |a: &str, b: &str| Script::of(a).may_share_words(Script::of(b));
        assert!(may("예산은?", "2024") && may("budget", "2024"));
        assert!(may("예산은?", "예산 a long command of more words"));
        assert!(!may("예산은?", "budget") && !may("budget", "예산"));
    }
}
