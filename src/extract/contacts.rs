//! Email addresses, phone numbers and codes.

use std::sync::LazyLock;

use regex::Regex;

use super::{Found, Places, matches, regex};

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"\b[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}\b")
});
/// Korean numbers with their area, mobile and service numbers, and international ones.
static PHONE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?x)\+\d{1,3}[\s-]?(?:\(0\)\s?)?\d{1,4}(?:[\s-]\d{2,4}){2,3}\b
        | \b0\d{1,2}\)\s?\d{3,4}-\d{4}\b
        | \b0\d{1,2}[-.]\d{3,4}[-.]\d{4}\b
        | \b1[5-9]\d{2}-\d{4}\b
        | \(\d{3}\)\s?\d{3}-\d{4}\b
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
    once(matches(places, &ID))
}

/// Each where it stands first.
fn once(found: Vec<Found>) -> Vec<Found> {
    let mut seen = std::collections::HashSet::new();
    let mut found = found;
    found.retain(|found| seen.insert(found.text.clone()));
    found
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
            kim.s@garam.go.kr 제2025-14호, 123-45-67890, seal A-1234, E-03, DCA23MA001, ISO9001, 2025-03-14";
        assert_eq!(texts(emails, text), ["kim.s@garam.go.kr"]);
        assert_eq!(
            texts(phones, text),
            [
                "02-123-4567",
                "010-1234-5678",
                "1588-1234",
                "+82 2 123 4567"
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
