//! Dates with their values, in Korean and English.

use std::ops::Range;
use std::sync::LazyLock;

use chrono::{Datelike as _, NaiveDate};
use regex::{Captures, Regex};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Found, MOST, Places, regex};

/// A date in the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Date {
    #[serde(flatten)]
    pub found: Found,
    /// ISO 8601: `2025-03-14`, `2025-03`, or `--03-14` where no year is said.
    pub value: String,
}

const MONTHS: &str = "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?";
/// Where no year shows that `may` and `march` are months, a capital letter has to.
const CAPITAL_MONTHS: &str = "Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?";
const YEAR: &str = r"(?:1[89]|20|21)\d\d";
const DAY: &str = r"(?:3[01]|[12]\d|0?[1-9])";

/// Letters right behind a date, such as particles, are not part of it; those of ASCII are of a longer code.
const B: &str = r"(?-u:\b)";
/// Between the words of a date: on one line, or from one to the next.
const GAP: &str = r"(?:[\ \u{A0}]+\n?|\n)[\ \u{A0}]*";

/// `2025년 3월 14일`, `3월 14일`, `2025. 3. 14.`, `2025-03-14`, `2025/3/14`, `'25. 3. 14.`, `14.03.2025`,
/// `14/3/2025`.
static BY_NUMBERS: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(
        r"(?x)
        (?:(?P<ky>\d{{4}})[\ ]?년[\ ]?)?(?P<km>1[0-2]|0?[1-9])[\ ]?월(?:[\ ]?(?P<kd>{DAY})[\ ]?일)?
        | {B}(?P<y>{YEAR})(?:-(?P<m1>\d{{1,2}})-(?P<d1>\d{{1,2}})|/(?P<m2>\d{{1,2}})/(?P<d2>\d{{1,2}})
            |\.[\ ]?(?P<m3>\d{{1,2}})\.[\ ]?(?P<d3>\d{{1,2}})){B}
        | ['’](?P<sy>\d\d)\.[\ ]?(?P<sm>\d{{1,2}})\.[\ ]?(?P<sd>\d{{1,2}}){B}
        | {B}(?P<d4>\d{{1,2}})\.(?P<m4>\d{{1,2}})\.(?P<y4>{YEAR}){B}
        | {B}(?P<a>\d{{1,2}})/(?P<b>\d{{1,2}})/(?P<y5>{YEAR}){B}"
    ))
});
/// `14 March 2025`, `March 14, 2025`, `March 2025`, `14-Mar-2025`.
static BY_NAMES: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(
        r"(?ix){B}(?:(?P<d>{DAY})(?:st|nd|rd|th)?(?:{GAP}(?:of{GAP})?|-))?(?P<m>{MONTHS}){B}\.?
          (?:{GAP}(?P<d2>{DAY})(?:st|nd|rd|th)?{B})?(?:,?{GAP}|,|-)(?P<y>{YEAR}){B}"
    ))
});
/// `14 March`, `March 14th`.
static WITHOUT_YEAR: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(
        r"(?x){B}(?:(?P<d>{DAY})(?:st|nd|rd|th)?[\ \u{{A0}}]+(?:of[\ \u{{A0}}]+)?(?P<m>{CAPITAL_MONTHS})
          | (?P<m2>{CAPITAL_MONTHS})\.?[\ \u{{A0}}]+(?P<d2>{DAY})(?:st|nd|rd|th)?){B}"
    ))
});
/// Words that make the number behind them no day, and the numbers behind them no date.
const COUNTED: [&str; 12] = [
    "table", "figure", "page", "chapter", "room", "section", "no", "line", "version", "ver", "v",
    "release",
];

/// All dates that exist.
pub fn dates(places: &[Places<'_>]) -> Vec<Date> {
    let mut found: Vec<Date> = Vec::new();
    for place in places {
        found.extend(
            on_page(&place.page.text)
                .into_iter()
                .map(|(range, value)| Date {
                    found: place.found(range),
                    value,
                }),
        );
        if found.len() >= MOST {
            break;
        }
    }
    found.truncate(MOST);
    found
}

/// Where the dates of a page stand, in their order, and what they are.
fn on_page(text: &str) -> Vec<(Range<usize>, String)> {
    let mut found: Vec<(Range<usize>, String)> = Vec::new();
    let mut full = Vec::new();
    for captures in BY_NAMES.captures_iter(text) {
        let Some(whole) = captures.get(0) else {
            continue;
        };
        full.push(whole.range());
        found.extend(named(&captures).map(|value| (whole.range(), value)));
    }
    for captures in BY_NUMBERS.captures_iter(text) {
        let (Some(whole), Some(value)) = (captures.get(0), numbered(&captures)) else {
            continue;
        };
        // Of `13월`, and of version 1.2.2024.
        let before = &text[..whole.start()];
        let is_part = before.ends_with(|c: char| c.is_ascii_digit())
            || (captures.name("y4").is_some() && is_counted(before));
        if !is_part {
            found.push((whole.range(), value));
        }
    }
    let mut full = full.into_iter().peekable();
    for captures in WITHOUT_YEAR.captures_iter(text) {
        let Some(whole) = captures.get(0) else {
            continue;
        };
        while full.next_if(|range| range.end <= whole.start()).is_some() {}
        let is_part = full.peek().is_some_and(|range| range.start < whole.end());
        if !is_part && !goes_on(&text[whole.end()..]) && !is_counted(&text[..whole.start()]) {
            found.extend(named(&captures).map(|value| (whole.range(), value)));
        }
    }
    found.sort_by_key(|(range, _)| range.start);
    found
}

/// Whether the number before `rest` is longer: `March 5,000 people`.
fn goes_on(rest: &str) -> bool {
    let mut rest = rest.chars();
    matches!(rest.next(), Some(',' | '.' | ':' | '%' | '/'))
        && rest.next().is_some_and(|c| c.is_ascii_digit())
}

/// Whether the last word of `before` counts something else.
fn is_counted(before: &str) -> bool {
    let before = before.trim_end_matches([' ', '.']);
    let start = before.rfind(|c: char| !c.is_ascii_alphabetic());
    let word = &before[start.map_or(0, |at| at + 1)..];
    COUNTED
        .iter()
        .any(|counted| counted.eq_ignore_ascii_case(word))
}

fn numbered(captures: &Captures<'_>) -> Option<String> {
    let get = |names: &[&str]| -> Option<u32> {
        let found = names.iter().find_map(|name| captures.name(name))?;
        found.as_str().parse().ok()
    };
    let year = get(&["ky", "y", "y4", "y5"])
        .or(get(&["sy"]).map(|year| year + if year < 70 { 2000 } else { 1900 }));
    if let (Some(a), Some(b)) = (get(&["a"]), get(&["b"])) {
        // Day and month come in either order; only one of the two may exist.
        return match (a > 12, b > 12) {
            (true, false) => value(year, b, Some(a)),
            (false, true) => value(year, a, Some(b)),
            _ if a == b => value(year, a, Some(b)),
            _ => None,
        };
    }
    let month = get(&["km", "m1", "m2", "m3", "m4", "sm"])?;
    let day = get(&["kd", "d1", "d2", "d3", "d4", "sd"]);
    match (year, day) {
        (None, None) => None,
        (year, day) => value(year, month, day),
    }
}

fn named(captures: &Captures<'_>) -> Option<String> {
    let number = |name: &str| captures.name(name)?.as_str().parse().ok();
    let names = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let month = captures.name("m").or(captures.name("m2"))?;
    let month = month.as_str().to_lowercase();
    let month = names.iter().position(|name| month.starts_with(name))? as u32 + 1;
    let year = captures
        .name("y")
        .and_then(|year| year.as_str().parse().ok());
    value(year, month, number("d").or(number("d2")))
}

fn value(year: Option<u32>, month: u32, day: Option<u32>) -> Option<String> {
    // A leap year lets the 29th of February through where no year is said.
    let date = NaiveDate::from_ymd_opt(year.unwrap_or(2000) as i32, month, day.unwrap_or(1))?;
    Some(match (year, day) {
        (Some(_), Some(_)) => date.format("%Y-%m-%d").to_string(),
        (Some(_), None) => date.format("%Y-%m").to_string(),
        (None, _) => format!("--{:02}-{:02}", date.month(), date.day()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::tests::page;

    fn values(text: &str) -> Vec<String> {
        let page = page(text);
        dates(&[Places::new(&page)])
            .into_iter()
            .map(|date| date.value)
            .collect()
    }

    #[test]
    fn dates_of_many_shapes_have_one_value() {
        assert_eq!(
            values("2025년 3월 14일, 1월 7일, 2024. 12. 5.까지, 2025-02-30, 2025/1/9, '26. 4. 1."),
            [
                "2025-03-14",
                "--01-07",
                "2024-12-05",
                "2025-01-09",
                "2026-04-01"
            ]
        );
        assert_eq!(
            values("on 14 March 2025, March 1st, 2024; Sept. 2023 and May flowers, 12.5.3"),
            ["2025-03-14", "2024-03-01", "2023-09"]
        );
    }

    #[test]
    fn dates_of_other_countries_and_without_a_year() {
        assert_eq!(
            values("03.04.2026, 14/3/2025, 3/14/2025, 3/4/2025 may be either, 10.12.2025"),
            ["2026-04-03", "2025-03-14", "2025-03-14", "2025-12-10"]
        );
        assert_eq!(
            values(
                "from 5 April to May 7th, 6 June 2026; March 5,000 people, march 5 miles, you may 3 times"
            ),
            ["--04-05", "--05-07", "2026-06-06"]
        );
        assert_eq!(
            values(
                "Chapter 12\n\nMay was warm. Page 3\nMarch. Room 12 March, version 1.2.2024, 2025년 13월 5일"
            ),
            [""; 0]
        );
        assert_eq!(
            values(
                "2025.3.14까지, 2025-03-15부터, 작성일2025-03-16, 14-Mar-2025, 14 March\n2026, on 3 May"
            ),
            [
                "2025-03-14",
                "2025-03-15",
                "2025-03-16",
                "2025-03-14",
                "2026-03-14",
                "--05-03"
            ]
        );
    }
}
