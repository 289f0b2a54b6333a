//! Email addresses, phone numbers and codes.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::{Found, MOST, Places, regex};

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?-u:\b)[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}(?-u:\b)")
});
/// Korean numbers with their area, mobile and service numbers, and international ones. Particles stand
/// right behind them, so only ASCII letters and digits make a longer word.
static PHONE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?x)\+\d{1,3}[\ -]?(?:\(0\)\ ?)?\d{1,4}(?:[\ -]\d{2,4}){2,3}(?-u:\b)
        | (?-u:\b)0\d{1,2}\)\ ?\d{3,4}-\d{4}(?-u:\b)
        | (?-u:\b)0\d{1,2}[-.]\d{3,4}[-.]\d{4}(?-u:\b)
        | (?-u:\b)0(?:2|[3-6]\d|70|1[016-9])\ \d{3,4}\ \d{4}(?-u:\b)
        | (?-u:\b)01[016-9]\d{7,8}(?-u:\b)
        | (?-u:\b)1(?:5(?:22|33|44|55|66|77|88|99)|6(?:00|11|22|33|44|55|61|66|68|70|77|88|99)
            |8(?:00|11|22|33|44|55|66|77|88|99))-\d{4}(?-u:\b)
        | \(0\d{1,2}\)\ ?\d{3,4}-\d{4}(?-u:\b)
        | \(\d{3}\)\ ?\d{3}-\d{4}(?-u:\b)
        | (?-u:\b)[2-9]\d{2}-\d{3}-\d{4}(?-u:\b)",
    )
});
/// Numbers of notices, of companies, and codes of letters and digits.
static ID: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?x)제\s?\d{2,4}\s?-\s?\d{1,6}\s?호
        | \b[가-힣]{2,10}-\d{2,8}(?-u:\b)
        | (?-u:\b)\d{3}-\d{2}-\d{5}(?-u:\b)
        | (?-u:\b)[A-Z]{1,8}(?:[-/][A-Z]{1,8}){0,2}[-/]?\d{2,}[A-Z0-9]*(?:[-/.][A-Z0-9]+)*(?-u:\b)",
    )
});

pub fn emails(places: &[Places<'_>]) -> Vec<Found> {
    once(matches(places, &EMAIL))
}

pub fn phones(places: &[Places<'_>]) -> Vec<Found> {
    once(matches(places, &PHONE))
}

pub fn ids(places: &[Places<'_>]) -> Vec<Found> {
    let codes = places.iter().flat_map(|place| {
        let text = &place.page.text;
        let codes = ID.find_iter(text).map(|code| code.range());
        let codes = codes.filter(|code| !is_cell(text, code));
        codes.map(|code| place.found(code))
    });
    once(codes)
}

fn matches(places: &[Places<'_>], pattern: &'static Regex) -> impl Iterator<Item = Found> {
    places.iter().flat_map(|place| {
        let found = pattern.find_iter(&place.page.text);
        found.map(|found| place.found(found.range()))
    })
}

/// Whether it is an end of a range of cells, `A10:F41`.
fn is_cell(text: &str, range: &Range<usize>) -> bool {
    let is_name = |name: &str| {
        let letters = name.trim_end_matches(|c: char| c.is_ascii_digit());
        letters.len() < name.len()
            && (1..=3).contains(&letters.len())
            && letters.bytes().all(|byte| byte.is_ascii_uppercase())
    };
    let is_part = |c: char| !c.is_ascii_alphanumeric();
    let before = text[..range.start].strip_suffix(':');
    let before = before.and_then(|before| before.rsplit(is_part).next());
    let after = text[range.end..].strip_prefix(':');
    let after = after.and_then(|after| after.split(is_part).next());
    is_name(&text[range.clone()]) && (before.is_some_and(is_name) || after.is_some_and(is_name))
}

/// Each where it stands first.
fn once(found: impl Iterator<Item = Found>) -> Vec<Found> {
    let mut seen = HashSet::new();
    let first = found.filter(|found| seen.insert(found.text.clone()));
    first.take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::tests::page;

    fn texts(find: fn(&[Places<'_>]) -> Vec<Found>, text: &str) -> Vec<String> {
        let page = page(text);
        find(&[Places::new(&page)])
            .into_iter()
            .map(|found| found.text)
            .collect()
    }

    #[test]
    fn addresses_numbers_and_codes() {
        let text = "문의 kim.s@garam.go.kr 또는 02-123-4567, 010-1234-5678, 1588-1234, +82 2 123 4567; \
            kim.s@garam.go.kr 제2025-14호, 123-45-67890, seal A-1234, E-03, DCA23MA001, ISO9001, 2025-03-14, \
            (02) 765-4321, 031 123 4567, 01098765432, 12345678901, A10:F41, Budget (B2:F77) \
            ISO27001:2022 and Seal:AB-12345, (12) 2019-2020, 1939-1945, 010-2222-3333로 lee@garam.go.kr로";
        assert_eq!(
            texts(emails, text),
            ["kim.s@garam.go.kr", "lee@garam.go.kr"]
        );
        assert_eq!(
            texts(phones, text),
            [
                "02-123-4567",
                "010-1234-5678",
                "1588-1234",
                "+82 2 123 4567",
                "(02) 765-4321",
                "031 123 4567",
                "01098765432",
                "010-2222-3333"
            ]
        );
        assert_eq!(
            texts(ids, text),
            [
                "제2025-14호",
                "123-45-67890",
                "A-1234",
                "E-03",
                "DCA23MA001",
                "ISO9001",
                "ISO27001",
                "AB-12345"
            ]
        );
    }
}
