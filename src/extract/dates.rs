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

/// `2025년 3월 14일`, `3월 14일`, `2025. 3. 14.`, `2025-03-14`, `2025/3/14`, `'25. 3. 14.`, `14.03.2025`,
/// `14/3/2025`.
static BY_NUMBERS: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(
        r"(?x)
        (?:(?P<ky>\d{{4}})[\ ]?년[\ ]?)?(?P<km>1[0-2]|0?[1-9])[\ ]?월(?:[\ ]?(?P<kd>{DAY})[\ ]?일)?
        | \b(?P<y>{YEAR})(?:-(?P<m1>\d{{1,2}})-(?P<d1>\d{{1,2}})|/(?P<m2>\d{{1,2}})/(?P<d2>\d{{1,2}})
            |\.[\ ]?(?P<m3>\d{{1,2}})\.[\ ]?(?P<d3>\d{{1,2}}))\b
        | ['’](?P<sy>\d\d)\.[\ ]?(?P<sm>\d{{1,2}})\.[\ ]?(?P<sd>\d{{1,2}})\b
        | \b(?P<d4>\d{{1,2}})\.(?P<m4>\d{{1,2}})\.(?P<y4>{YEAR})\b
        | \b(?P<a>\d{{1,2}})/(?P<b>\d{{1,2}})/(?P<y5>{YEAR})\b"
    ))
});
/// `14 March 2025`, `March 14, 2025`, `March 2025`.
static BY_NAMES: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(
        r"(?ix)\b(?:(?P<d>{DAY})(?:st|nd|rd|th)?\s+(?:of\s+)?)?(?P<m>{MONTHS})\b\.?
          (?:\s+(?P<d2>{DAY})(?:st|nd|rd|th)?\b)?,?\s+(?P<y>{YEAR})\b"
    ))
});
/// `14 March`, `March 14th`.
static WITHOUT_YEAR: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(
        r"(?x)\b(?:(?P<d>{DAY})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<m>{CAPITAL_MONTHS})
          | (?P<m2>{CAPITAL_MONTHS})\.?\s+(?P<d2>{DAY})(?:st|nd|rd|th)?)\b"
    ))
});

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
        if let (Some(whole), Some(value)) = (captures.get(0), numbered(&captures)) {
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
        if !is_part && !goes_on(&text[whole.end()..]) {
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
    }
}
