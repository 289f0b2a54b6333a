//! Cleans a page's text before it is stored, so that chunks and citations point into clean text.

use std::sync::LazyLock;

use regex::Regex;

use crate::text::nfc;

/// Four or more leaders, blanks between them or not, as contents pages have them.
static LEADERS: LazyLock<Regex> = LazyLock::new(|| regex(r"[ \t]*(?:[.·…‧･・∙⋅][ \t]*){4,}"));
/// Rules drawn with characters.
static RULES: LazyLock<Regex> =
    LazyLock::new(|| regex(r"-{6,}|_{4,}|={4,}|\*{6,}|~{4,}|#{7,}|[─━═]{4,}"));
/// A word broken at the end of a line: `appro-` / `ved`; a soft hyphen is always a break.
static HYPHENS: LazyLock<Regex> = LazyLock::new(|| regex(r"(\p{Ll})[-\u{2010}]\n[ \t]*(\p{Ll})"));
static SOFT_HYPHENS: LazyLock<Regex> = LazyLock::new(|| regex(r"\u{AD}(?:[ \t]*\n[ \t]*)?"));
static BLANKS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"[ \t\u{A0}\u{2000}-\u{200A}\u{202F}\u{3000}]{2,}|[\t\u{A0}\u{2000}-\u{200A}\u{202F}\u{3000}]",
    )
});
static LINE_EDGES: LazyLock<Regex> = LazyLock::new(|| regex(r" \n ?|\n "));
static BLANK_LINES: LazyLock<Regex> = LazyLock::new(|| regex(r"\n{3,}"));

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern")
}

/// NFC; one kind of line end; control and zero-width characters dropped; ligatures taken apart; dot leaders, drawn rules,
/// runs of blanks and of blank lines collapsed; words broken at line ends joined. Idempotent.
pub fn normalise(text: &str) -> String {
    let text = plain(nfc(text));
    // Dropping a character may have left a base and its mark side by side.
    let text = nfc(&SOFT_HYPHENS.replace_all(&text, ""));
    let text = BLANKS.replace_all(&text, " ");
    let text = LEADERS.replace_all(&text, " … ");
    let text = RULES.replace_all(&text, "---");
    let text = LINE_EDGES.replace_all(&text, "\n");
    let text = HYPHENS.replace_all(&text, "$1$2");
    let text = BLANK_LINES.replace_all(&text, "\n\n");
    nfc(text.trim())
}

/// One kind of line end, no noise, no ligatures.
fn plain(text: String) -> String {
    if !text.contains(|c| is_noise(c) || is_ligature(c) || matches!(c, '\u{2028}' | '\u{2029}')) {
        return text;
    }
    let text = text
        .replace("\r\n", "\n")
        .replace(['\r', '\u{C}', '\u{2028}', '\u{2029}'], "\n");
    let text: String = text.chars().filter(|&c| !is_noise(c)).collect();
    without_ligatures(&text)
}

/// Letters that are drawn as one, as separate letters: who looks for `office` types no `ﬃ`.
fn without_ligatures(text: &str) -> String {
    let letters = |c| match c {
        '\u{FB00}' => "ff",
        '\u{FB01}' => "fi",
        '\u{FB02}' => "fl",
        '\u{FB03}' => "ffi",
        '\u{FB04}' => "ffl",
        '\u{FB05}' | '\u{FB06}' => "st",
        _ => "",
    };
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match letters(c) {
            "" => plain.push(c),
            several => plain.push_str(several),
        }
    }
    plain
}

fn is_ligature(c: char) -> bool {
    matches!(c, '\u{FB00}'..='\u{FB06}')
}

fn is_noise(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(
            c,
            '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2060}' | '\u{FEFF}' | '\u{FFFC}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dot_leaders_collapse() {
        assert_eq!(
            normalise("1. 개요 ......... 3\n2. 끝 . . . . . 9"),
            "1. 개요 … 3\n2. 끝 … 9"
        );
        assert_eq!(normalise("Wait... what"), "Wait... what");
    }

    #[test]
    fn ligatures_become_letters() {
        assert_eq!(normalise("oﬃce ﬁle"), "office file");
    }

    #[test]
    fn words_broken_at_line_ends_are_joined() {
        assert_eq!(
            normalise("was appro-\n ved by A-\n1234"),
            "was approved by A-\n1234"
        );
        assert_eq!(normalise("a\u{AD}\u{301}-\na"), "áa");
        assert_eq!(
            normalise("main\u{AD}\ntenance co\u{AD}op"),
            "maintenance coop"
        );
    }

    #[test]
    fn blanks_and_controls_collapse() {
        assert_eq!(
            normalise("a \t\u{A0} b\u{0}\r\n\r\n\r\n\r\n c "),
            "a b\n\nc"
        );
    }

    #[test]
    fn decomposed_hangul_is_composed() {
        assert_eq!(normalise("\u{1112}\u{1161}\u{11AB}"), "한");
    }

    proptest! {
        #[test]
        fn doing_it_twice_changes_nothing(text in "[a-z가-힣\\-\\n\\t .…_\u{AD}\u{301}\u{200B}]{0,80}") {
            let once = normalise(&text);
            prop_assert_eq!(normalise(&once), once);
        }
    }
}
