//! Dates and amounts with their values, in Korean and English.

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

/// A number with a unit that counts money or a share.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Amount {
    #[serde(flatten)]
    pub found: Found,
    /// In whole units: 12 for `12 %`, 5000000 for `5백만 원`.
    pub value: f64,
    /// ISO 4217, or `%`, or `%p` for percentage points.
    pub unit: String,
}

const MONTHS: &str = "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?";

/// `2025년 3월 14일`, `3월 14일`, `2025. 3. 14.`, `2025-03-14`, `2025/3/14`, `'25. 3. 14.`.
static BY_NUMBERS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?x)
        (?:(?P<ky>\d{4})[\ ]?년[\ ]?)?(?P<km>1[0-2]|0?[1-9])[\ ]?월(?:[\ ]?(?P<kd>3[01]|[12]\d|0?[1-9])[\ ]?일)?
        | \b(?P<y>(?:1[89]|20|21)\d\d)(?:-(?P<m1>\d{1,2})-(?P<d1>\d{1,2})|/(?P<m2>\d{1,2})/(?P<d2>\d{1,2})
            |\.[\ ]?(?P<m3>\d{1,2})\.[\ ]?(?P<d3>\d{1,2}))\b
        | ['’](?P<sy>\d\d)\.[\ ]?(?P<sm>\d{1,2})\.[\ ]?(?P<sd>\d{1,2})\b",
    )
});
/// `14 March 2025`, `March 14, 2025`, `March 2025`.
static BY_NAMES: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(
        r"(?ix)\b(?:(?P<d>3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?\s+(?:of\s+)?)?(?P<m>{MONTHS})\b\.?
          (?:\s+(?P<d2>3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?\b)?,?\s+(?P<y>(?:1[89]|20|21)\d\d)\b"
    ))
});

/// All dates that exist.
pub fn dates(places: &[Places<'_>]) -> Vec<Date> {
    let mut found: Vec<Date> = Vec::new();
    for place in places {
        let mut on_page: Vec<(std::ops::Range<usize>, String)> = Vec::new();
        for (pattern, value) in [
            (
                &*BY_NUMBERS,
                numbered as fn(&Captures<'_>) -> Option<String>,
            ),
            (&*BY_NAMES, named),
        ] {
            for captures in pattern.captures_iter(&place.page.text) {
                if let (Some(whole), Some(value)) = (captures.get(0), value(&captures)) {
                    on_page.push((whole.range(), value));
                }
            }
        }
        on_page.sort_by_key(|(range, _)| range.start);
        found.extend(on_page.into_iter().map(|(range, value)| Date {
            found: place.found(range),
            value,
        }));
        if found.len() >= MOST {
            break;
        }
    }
    found.truncate(MOST);
    found
}

fn numbered(captures: &Captures<'_>) -> Option<String> {
    let get = |names: &[&str]| -> Option<u32> {
        let found = names.iter().find_map(|name| captures.name(name))?;
        found.as_str().parse().ok()
    };
    let year =
        get(&["ky", "y"]).or(get(&["sy"]).map(|year| year + if year < 70 { 2000 } else { 1900 }));
    let month = get(&["km", "m1", "m2", "m3", "sm"])?;
    let day = get(&["kd", "d1", "d2", "d3", "sd"]);
    match (year, day) {
        (None, None) => None,
        (year, day) => value(year, month, day),
    }
}

fn named(captures: &Captures<'_>) -> Option<String> {
    let number = |name: &str| {
        captures
            .name(name)
            .and_then(|found| found.as_str().parse().ok())
    };
    let names = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let month = captures.name("m")?.as_str().to_lowercase();
    let month = names.iter().position(|name| month.starts_with(name))? as u32 + 1;
    value(number("y"), month, number("d").or(number("d2")))
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

/// `12억 4,600만 원`, `3,000천원`, `5백만원`.
static WON: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?:\d[\d,]*(?:\.\d+)?\s?(?:조|억|천만|백만|십만|만|천)?\s?)+원(?:정)?")
});
static PART: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(\d[\d,]*(?:\.\d+)?)\s?(조|억|천만|백만|십만|만|천)?"));
/// `$1.84 million`, `USD 3,000`, `₩5,000`.
static SIGNED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?x)(?P<u>US\$|[$€£¥₩]|\b(?:USD|EUR|GBP|JPY|KRW|CNY|CHF|SEK|NOK|DKK|CAD|AUD)\b)\s?
          (?P<n>[-−]?\d[\d,]*(?:\.\d+)?)(?:\s?(?P<s>(?i:thousand|million|billion|trillion|[kmb]n?))\b)?",
    )
});
/// `1.84 million crowns`, `3,000 USD`, `25 %`, `3.5%p`.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?x)(?P<n>[-−]?\b\d[\d,]*(?:\.\d+)?)\s?(?:(?P<s>(?i:thousand|million|billion|trillion))\s)?
          (?P<u>%p|%포인트|퍼센트포인트|%|％|퍼센트|
            (?i:percentage\ points?|percent|per\ cent|us\ dollars?|dollars?|euros?|pounds\ sterling|yen|crowns?|francs?|
                krw|usd|eur|gbp|jpy|cny|chf|sek|nok|dkk|cad|aud|won)\b|달러|유로|엔(?:화)?|위안)",
    )
});

/// All amounts, in the order they stand.
pub fn amounts(places: &[Places<'_>]) -> Vec<Amount> {
    let mut found = Vec::new();
    for place in places {
        let text = &place.page.text;
        let mut on_page: Vec<(std::ops::Range<usize>, f64, String)> = Vec::new();
        on_page.extend(
            WON.find_iter(text)
                .filter_map(|won| Some((won.range(), korean(won.as_str())?, "KRW".to_owned()))),
        );
        for pattern in [&*SIGNED, &*NAMED] {
            for captures in pattern.captures_iter(text) {
                let Some(whole) = captures.get(0) else {
                    continue;
                };
                let is_taken = |(range, ..): &(std::ops::Range<usize>, f64, String)| {
                    range.start < whole.end() && whole.start() < range.end
                };
                // A page of nothing but numbers says no more with more of them.
                if on_page.len() >= MOST {
                    break;
                }
                if on_page.iter().any(is_taken) {
                    continue;
                }
                if let Some((value, unit)) = counted(&captures) {
                    on_page.push((whole.range(), value, unit));
                }
            }
        }
        on_page.sort_by_key(|(range, ..)| range.start);
        found.extend(on_page.into_iter().map(|(range, value, unit)| {
            let sign = sign(&text[..range.start]);
            Amount {
                found: place.found(range.start - sign..range.end),
                value: if sign > 0 { -value } else { value },
                unit,
            }
        }));
        if found.len() >= MOST {
            break;
        }
    }
    found.truncate(MOST);
    found
}

/// Length of the sign at the end of `before` that makes the amount behind it negative; Korean accounts
/// use triangles. Between two numbers it is a range.
fn sign(before: &str) -> usize {
    let Some(rest) = before.strip_suffix(['-', '−', '△', '▲']) else {
        return 0;
    };
    let is_alone = rest
        .chars()
        .next_back()
        .is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '|' | ':'));
    if is_alone {
        before.len() - rest.len()
    } else {
        0
    }
}

fn number(text: &str) -> Option<f64> {
    text.replace(',', "").replace('−', "-").parse().ok()
}

/// The sum of the parts of a Korean number: `1억 2,500만` is 125,000,000.
fn korean(text: &str) -> Option<f64> {
    let mut sum = 0.0;
    for part in PART.captures_iter(text) {
        let times = match part.get(2).map(|unit| unit.as_str()) {
            Some("조") => 1e12,
            Some("억") => 1e8,
            Some("천만") => 1e7,
            Some("백만") => 1e6,
            Some("십만") => 1e5,
            Some("만") => 1e4,
            Some("천") => 1e3,
            _ => 1.0,
        };
        sum += number(&part[1])? * times;
    }
    Some(sum)
}

fn counted(captures: &Captures<'_>) -> Option<(f64, String)> {
    let value = number(&captures["n"])?;
    let scale = captures
        .name("s")
        .map(|scale| scale.as_str().to_lowercase());
    let times = match scale.as_deref() {
        Some("thousand" | "k") => 1e3,
        Some("million" | "m" | "mn") => 1e6,
        Some("billion" | "b" | "bn") => 1e9,
        Some("trillion") => 1e12,
        _ => 1.0,
    };
    let said = captures["u"].to_lowercase();
    let unit = match said.as_str() {
        "%" | "％" | "퍼센트" | "percent" | "per cent" => "%",
        "%p" | "%포인트" | "퍼센트포인트" | "percentage point" | "percentage points" => {
            "%p"
        }
        "$" | "us$" | "dollar" | "dollars" | "us dollar" | "us dollars" | "달러" => "USD",
        "€" | "euro" | "euros" | "유로" => "EUR",
        "£" | "pounds sterling" => "GBP",
        "¥" | "yen" | "엔" | "엔화" => "JPY",
        "₩" | "won" => "KRW",
        "위안" => "CNY",
        // Several countries have them, and the text need not say which.
        "crown" | "crowns" => "crowns",
        "franc" | "francs" => "francs",
        code => return Some((value * times, code.to_uppercase())),
    };
    Some((value * times, unit.to_owned()))
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
    fn amounts_have_value_and_unit() {
        let page = page(
            "12억 4,600만 원, 5,000천원, 35백만원, $1.84 million, 20 crowns, 1.2 billion won, 3.5%p, 25 %, \
             -4.1%, USD 3,000.50, 100유로, 원은 둥글다, 20 people, -₩4,500, ₩-4,500, △3,000원, -3만 원, 10-20원",
        );
        let found = amounts(&[Places::new(&page)]);
        let found: Vec<String> = found
            .iter()
            .map(|a| format!("{} {}", a.value, a.unit))
            .collect();
        assert_eq!(
            found,
            [
                "1246000000 KRW",
                "5000000 KRW",
                "35000000 KRW",
                "1840000 USD",
                "20 crowns",
                "1200000000 KRW",
                "3.5 %p",
                "25 %",
                "-4.1 %",
                "3000.5 USD",
                "100 EUR",
                "-4500 KRW",
                "-4500 KRW",
                "-3000 KRW",
                "-30000 KRW",
                "20 KRW"
            ]
        );
    }
}
