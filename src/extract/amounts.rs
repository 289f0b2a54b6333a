//! Amounts with their values, in Korean and English.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Found, MOST, Places, regex};

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

/// `3,000`, `3,000.50`, `99,90`, `1.234,56`.
const NUMBER: &str = r"(?:\d{1,3}(?:\.\d{3})+,\d{1,2}\b|\d+(?:,\d+)*(?:\.\d+)?)";
const SCALE: &str = "조|억|천만|백만|십만|만|천";
/// `12억 4,600만 원`, `3,000천원`, `50만 달러`.
static KOREAN: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(
        r"(?x)(?P<n>(?:{NUMBER}\s?(?:{SCALE})\s?)*{NUMBER}\s?(?:{SCALE})?)\s?
          (?P<u>원(?:정)?|달러|유로|엔(?:화)?|위안)",
    ))
});
static PART: LazyLock<Regex> = LazyLock::new(|| regex(&format!(r"({NUMBER})\s?({SCALE})?")));
/// `$1.84 million`, `USD 3,000`, `₩5,000`.
static SIGNED: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(
        r"(?x)(?P<u>US\$|[$€£¥₩]|\b(?:USD|EUR|GBP|JPY|KRW|CNY|CHF|SEK|NOK|DKK|CAD|AUD)\b)\s?
          (?P<n>[-−]?{NUMBER})(?:\s?(?P<s>(?i:thousand|million|billion|trillion|[kmb]n?))\b)?",
    ))
});
/// `1.84 million crowns`, `3,000 USD`, `99,90 €`, `25 %`, `3.5%p`.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(
        r"(?x)\b(?P<n>{NUMBER})\s?(?:(?P<s>(?i:thousand|million|billion|trillion))\s)?
          (?P<u>%p|%포인트|퍼센트포인트|%|％|퍼센트|[€£₩]|
            (?i:percentage\ points?|percent|per\ cent|us\ dollars?|dollars?|euros?|pounds\ sterling|yen|crowns?|francs?|
                krw|usd|eur|gbp|jpy|cny|chf|sek|nok|dkk|cad|aud|won)\b)",
    ))
});

/// All amounts, in the order they stand.
pub fn amounts(places: &[Places<'_>]) -> Vec<Amount> {
    let mut found = Vec::new();
    for place in places {
        let text = &place.page.text;
        found.extend(on_page(text).into_iter().map(|(range, value, unit)| {
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

/// Where the amounts of a page stand, in their order, with value and unit.
fn on_page(text: &str) -> Vec<(Range<usize>, f64, String)> {
    let mut found: Vec<(Range<usize>, f64, String)> = Vec::new();
    for (pattern, read) in [
        (
            &*KOREAN,
            korean as fn(&Captures<'_>) -> Option<(f64, String)>,
        ),
        (&*SIGNED, counted),
        (&*NAMED, counted),
    ] {
        for captures in pattern.captures_iter(text) {
            // A page of nothing but numbers says no more with more of them.
            if found.len() >= MOST {
                break;
            }
            let Some(whole) = captures.get(0) else {
                continue;
            };
            let is_taken = found
                .iter()
                .any(|(range, ..)| range.start < whole.end() && whole.start() < range.end);
            if is_taken || belongs_before(text, &captures) {
                continue;
            }
            if let Some((value, unit)) = read(&captures) {
                found.push((whole.range(), value, unit));
            }
        }
    }
    found.sort_by_key(|(range, ..)| range.start);
    found
}

/// Whether the sign at the head of a match is the unit of a number before it: `20 € 30 €`.
fn belongs_before(text: &str, captures: &Captures<'_>) -> bool {
    let (Some(sign), Some(number)) = (captures.name("u"), captures.name("n")) else {
        return false;
    };
    let follows_number = |text: &str| text.ends_with(|c: char| c.is_ascii_digit());
    let before = &text[..sign.start()];
    sign.end() <= number.start()
        && matches!(sign.as_str(), "€" | "£" | "₩")
        && (follows_number(before)
            || (sign.end() < number.start() && follows_number(before.trim_end_matches(' '))))
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

/// With a comma before the last one or two digits, that is the decimal one.
fn number(text: &str) -> Option<f64> {
    let text = text.replace('−', "-");
    let plain = match text.rsplit_once(',') {
        Some((whole, part)) if part.len() < 3 && !part.contains('.') => {
            format!("{}.{part}", whole.replace(['.', ','], ""))
        }
        _ => text.replace(',', ""),
    };
    plain.parse().ok()
}

/// The sum of the parts of a Korean number: `1억 2,500만` is 125,000,000.
fn korean(captures: &Captures<'_>) -> Option<(f64, String)> {
    let mut sum = 0.0;
    for part in PART.captures_iter(&captures["n"]) {
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
    Some((sum, unit(&captures["u"])))
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
    Some((value * times, unit(&captures["u"])))
}

/// ISO 4217 where the text says that much.
fn unit(said: &str) -> String {
    let said = said.to_lowercase();
    let unit = match said.as_str() {
        "%" | "％" | "퍼센트" | "percent" | "per cent" => "%",
        "%p" | "%포인트" | "퍼센트포인트" | "percentage point" | "percentage points" => {
            "%p"
        }
        "$" | "us$" | "dollar" | "dollars" | "us dollar" | "us dollars" | "달러" => "USD",
        "€" | "euro" | "euros" | "유로" => "EUR",
        "£" | "pounds sterling" => "GBP",
        "¥" | "yen" | "엔" | "엔화" => "JPY",
        "₩" | "won" | "원" | "원정" => "KRW",
        "위안" => "CNY",
        // Several countries have them, and the text need not say which.
        "crown" | "crowns" => "crowns",
        "franc" | "francs" => "francs",
        code => return code.to_uppercase(),
    };
    unit.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::tests::page;

    #[test]
    fn amounts_have_value_and_unit() {
        let page = page(
            "12억 4,600만 원, 5,000천원, 35백만원, $1.84 million, 20 crowns, 1.2 billion won, 3.5%p, 25 %, \
             -4.1%, USD 3,000.50, 100유로, 원은 둥글다, 20 people, -₩4,500, ₩-4,500, △3,000원, -3만 원, 10-20원, \
             50만 달러, 3천 유로, 99,90 €, 1.234,56 EUR, €1.234,56, 2,5 %, 2,500 USD, \
             20 € 30 €, in 2025 €5, 2024, 3,000원, 2024 500원, 10-20%",
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
                "20 KRW",
                "500000 USD",
                "3000 EUR",
                "99.9 EUR",
                "1234.56 EUR",
                "1234.56 EUR",
                "2.5 %",
                "2500 USD",
                "20 EUR",
                "30 EUR",
                "5 EUR",
                "3000 KRW",
                "500 KRW",
                "20 %"
            ]
        );
    }
}
