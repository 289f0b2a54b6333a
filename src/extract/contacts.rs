//! Email addresses, phone numbers and codes.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::{Found, MOST, Places, regex};

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"\b[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}\b")
});
/// Korean numbers with their area, mobile and service numbers, and international ones.
static PHONE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?x)\+\d{1,3}[\s-]?(?:\(0\)\s?)?\d{1,4}(?:[\s-]\d{2,4}){2,3}\b
        | \b0\d{1,2}\)\s?\d{3,4}-\d{4}\b
        | \b0\d{1,2}[-.]\d{3,4}[-.]\d{4}\b
        | \b0(?:2|[3-6]\d|70|1[016-9])\ \d{3,4}\ \d{4}\b
        | \b01[016-9]\d{7,8}\b
        | \b1[5-9]\d{2}-\d{4}\b
        | \(\d{2,3}\)\s?\d{3,4}-\d{4}\b
        | \b[2-9]\d{2}-\d{3}-\d{4}\b",
    )
});
/// Numbers of notices, of companies, and codes of letters and digits.
static ID: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?x)제\s?\d{2,4}\s?-\s?\d{1,6}\s?호
        | \b[가-힣]{2,10}-\d{2,8}\b
        | \b\d{3}-\d{2}-\d{5}\b
        | \b[A-Z]{1,8}(?:[-/][A-Z]{1,8}){0,2}[-/]?\d{2,}[A-Z0-9]*(?:[-/.][A-Z0-9]+)*\b",
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
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let mut before = text[..range.start].chars().rev();
    let mut after = text[range.end..].chars();
    (before.next() == Some(':') && is_end(before.next()))
        || (after.next() == Some(':') && is_end(after.next()))
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
            (02) 765-4321, 031 123 4567, 01098765432, 12345678901, A10:F41, Budget (B2:F77)";
        assert_eq!(texts(emails, text), ["kim.s@garam.go.kr"]);
        assert_eq!(
            texts(phones, text),
            [
                "02-123-4567",
                "010-1234-5678",
                "1588-1234",
                "+82 2 123 4567",
                "(02) 765-4321",
                "031 123 4567",
                "01098765432"
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
                "ISO9001"
            ]
        );
    }
}
