//! What is in a document, found in its pages: tables, dates, amounts, people's addresses, key phrases, a
//! summary. A pure function of the pages, so the same document always gives the same report.

mod amounts;
mod contacts;
mod dates;
mod language;
mod phrases;
mod summary;
mod tables;

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;
use utoipa::ToSchema;

use crate::document::{OutlineItem, Page, Parsed, Verdict};

pub use amounts::Amount;
pub use dates::Date;
pub use tables::Table;

/// Most findings of each kind.
const MOST: usize = 2_000;

/// What is found in a document.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Extract {
    /// ISO 639-1 code of the language most of it is in, where that can be told.
    pub language: Option<String>,
    /// Share of the letters in each script, 0 to 1, to three decimals.
    pub scripts: BTreeMap<String, f64>,
    /// The file's own table of contents, or the headings in the text.
    pub outline: Vec<OutlineItem>,
    pub tables: Vec<Table>,
    pub dates: Vec<Date>,
    pub amounts: Vec<Amount>,
    pub emails: Vec<Found>,
    pub phones: Vec<Found>,
    /// Codes such as `제2025-14호`, `A-1234` or a company's registration number.
    pub ids: Vec<Found>,
    /// The most telling first.
    pub key_phrases: Vec<KeyPhrase>,
    /// Sentences that together say most of what the document says, in its order.
    pub summary: Vec<Found>,
    /// Kinds of which there may be more than the 2,000 kept.
    pub truncated: Vec<&'static str>,
}

/// A piece of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Found {
    pub text: String,
    pub page: u32,
    /// Character range in the stored page text.
    pub start: usize,
    pub end: usize,
}

/// Words that stand for what a document is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct KeyPhrase {
    pub text: String,
    /// How often it occurs.
    pub count: usize,
    /// Where it occurs first.
    pub page: u32,
}

/// Looks through all pages that can be read.
pub fn extract(parsed: &Parsed) -> Extract {
    let pages: Vec<&Page> = parsed
        .pages
        .iter()
        .filter(|page| page.verdict == Verdict::Ok)
        .collect();
    let places: Vec<Places<'_>> = pages.iter().map(|page| Places::new(page)).collect();
    let outline = match parsed.details.outline.as_slice() {
        [] => headings(&pages),
        own => own.to_vec(),
    };
    let scripts = language::scripts(&pages);
    let mut extract = Extract {
        language: language::language(&pages, &scripts),
        scripts,
        outline,
        tables: tables::tables(&pages),
        dates: dates::dates(&places),
        amounts: amounts::amounts(&places),
        emails: contacts::emails(&places),
        phones: contacts::phones(&places),
        ids: contacts::ids(&places),
        key_phrases: phrases::key_phrases(&pages),
        summary: summary::summary(&places),
        truncated: Vec::new(),
    };
    let kinds = [
        ("dates", extract.dates.len()),
        ("amounts", extract.amounts.len()),
        ("emails", extract.emails.len()),
        ("phones", extract.phones.len()),
        ("ids", extract.ids.len()),
        ("tables", extract.tables.len()),
    ];
    let full = kinds.into_iter().filter(|(_, count)| *count >= MOST);
    extract.truncated = full.map(|(kind, _)| kind).collect();
    extract
}

/// Markdown headings, as flowing documents have them.
fn headings(pages: &[&Page]) -> Vec<OutlineItem> {
    let lines = pages
        .iter()
        .flat_map(|page| page.text.lines().map(|line| (page.number, line)));
    let found = lines.filter_map(|(page, line)| {
        let title = line.trim_start_matches('#');
        let level = line.len() - title.len();
        let is_heading = (1..=6).contains(&level) && title.starts_with(' ');
        is_heading.then(|| OutlineItem {
            level: level as u8,
            title: title.trim().to_owned(),
            page: Some(page),
        })
    });
    found.take(MOST).collect()
}

/// Turns byte ranges of a page into findings with character ranges.
struct Places<'a> {
    page: &'a Page,
    /// Bytes before every hundredth character.
    marks: Vec<usize>,
}

impl<'a> Places<'a> {
    const STEP: usize = 100;

    fn new(page: &'a Page) -> Self {
        let marks = page.text.char_indices().step_by(Self::STEP);
        Self {
            page,
            marks: marks.map(|(byte, _)| byte).collect(),
        }
    }

    fn found(&self, range: Range<usize>) -> Found {
        let text = &self.page.text;
        Found {
            text: crate::text::one_line(&text[range.clone()]),
            page: self.page.number,
            start: self.chars_before(range.start),
            end: self.chars_before(range.end),
        }
    }

    fn chars_before(&self, byte: usize) -> usize {
        let mark = self
            .marks
            .partition_point(|mark| *mark <= byte)
            .saturating_sub(1);
        let from = self.marks.get(mark).copied().unwrap_or(0);
        mark * Self::STEP + self.page.text[from..byte].chars().count()
    }
}

fn regex(pattern: &str) -> regex::Regex {
    regex::Regex::new(pattern).expect("a constant pattern")
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn page(text: &str) -> Page {
        Page {
            number: 1,
            text: text.to_owned(),
            verdict: Verdict::Ok,
        }
    }

    #[test]
    fn places_are_counted_in_characters() {
        let text = format!("{}끝 2025-03-14", "가나다 ".repeat(60));
        let page = page(&text);
        let start = text.find("2025").unwrap();
        let found = Places::new(&page).found(start..text.len());
        let chars: Vec<char> = text.chars().collect();
        assert_eq!(
            String::from_iter(&chars[found.start..found.end]),
            "2025-03-14"
        );
    }

    #[test]
    fn what_was_cut_off_is_said() {
        let dates = |count: usize| Parsed {
            pages: vec![page(&"2025-03-14\n".repeat(count))],
            ..Parsed::default()
        };
        assert!(extract(&dates(20)).truncated.is_empty());
        let many = extract(&dates(MOST + 5));
        assert_eq!((many.dates.len(), many.truncated), (MOST, vec!["dates"]));
    }

    #[test]
    fn a_report_has_all_its_parts() {
        let parsed = Parsed {
            pages: vec![page(
                "# 예산 보고\n\n2025년 예산은 12억 원이다. 문의: kim@garam.kr, 02-123-4567.\n\n\
                 | 항목 | 금액 |\n| 도서 | 5,000천원 |",
            )],
            ..Parsed::default()
        };
        let extract = extract(&parsed);
        assert_eq!(extract.language.as_deref(), Some("ko"));
        assert_eq!(extract.outline[0].title, "예산 보고");
        assert_eq!(extract.tables[0].rows[1], ["도서", "5,000천원"]);
        let amounts: Vec<f64> = extract.amounts.iter().map(|amount| amount.value).collect();
        assert_eq!(amounts, [1.2e9, 5e6]);
        assert_eq!(extract.emails[0].text, "kim@garam.kr");
        assert_eq!(extract.phones[0].text, "02-123-4567");
        assert!(!extract.summary.is_empty());
    }
}
