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

/// `1.234,56`, `1.234.567`, `1 234,56`, `1'234.50`, `3,000.50`, `99,90`, `3.5`.
const NUMBER: &str = r"(?:\d{1,3}(?:\.\d{3})+,\d{1,2}\b|\d{1,3}(?:\.\d{3}){2,}|\d{1,3}(?:[\ \u{A0}\u{202F}]\d{3})+,\d{1,2}\b|\d{1,3}(?:'\d{3})+(?:\.\d+)?|\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+,\d{1,2}\b|\d+(?:\.\d+)?)";
const SCALE: &str = "(?:천|백|십)?(?:조|억|만)|천|백|십";
/// `12억 4,600만 원`, `3,000천원`, `2조5천억원`, `50만 달러`.
static KOREAN: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(
        r"(?x)(?P<n>(?:{NUMBER}[\ \u{{A0}}]?(?:{SCALE})[\ \u{{A0}}]?)*{NUMBER}[\ \u{{A0}}]?(?:{SCALE})?)[\ \u{{A0}}]?
          (?P<u>원|달러|유로|엔화|엔|위안)",
    ))
});
static PART: LazyLock<Regex> =
    LazyLock::new(|| regex(&format!(r"({NUMBER})[ \u{{A0}}]?({SCALE})?")));
/// What may stand right behind a unit: particles and the like. With other syllables it is a word of its own,
/// such as `원칙` or `엔진`.
const BEHIND: [&str; 45] = [
    "정", "을", "이", "은", "의", "으로", "에", "권", "짜리", "화", "대", "씩", "까지", "부터",
    "미만", "어치", "만", "도", "과", "인", "입", "였", "밖", "당", "쯤", "가량", "안팎", "선에",
    "보다", "넘", "초과", "규모", "상당", "뿐", "라", "란", "로", "를", "가", "와", "는", "하",
    "어", "수준", "내외",
];
/// Of those, what makes another word where a blank stands before the unit: `3 원인`.
const WORDS: [&str; 4] = ["인", "가", "화", "라"];
/// `$1.84 million`, `USD 3,000`, `₩5,000`, `HK$40`.
static SIGNED: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(
        r"(?x)(?P<u>(?:US|AU|A|CA|C|HK|NT|NZ|S)?\$|[€£¥₩]|(?-u:\b)(?:USD|EUR|GBP|JPY|KRW|CNY|CHF|SEK|NOK|DKK|CAD|AUD)(?-u:\b))
          [\ \u{{A0}}]?(?P<n>[-−]?{NUMBER})(?:[\ \u{{A0}}]?(?P<s>(?i:thousand|million|billion|trillion|[kmb]n?))(?-u:\b))?",
    ))
});
/// `1.84 million crowns`, `3,000 USD`, `99,90 €`, `25 %`, `3.5%p`.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(
        r"(?x)(?P<n>{NUMBER})[\ \u{{A0}}]?(?:(?P<s>(?i:thousand|million|billion|trillion))[\ \u{{A0}}])?
          (?P<u>%p|%포인트|퍼센트포인트|%|％|퍼센트|[€£₩]|
            (?i:percentage\ points?|percent|per\ cent|us\ dollars?|dollars?|euros?|pounds\ sterling|yen|crowns?|francs?|
                krw|usd|eur|gbp|jpy|cny|chf|sek|nok|dkk|cad|aud|won)(?-u:\b))",
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

/// Where an amount stands, its value and unit.
type Place = (Range<usize>, f64, String);

/// The amounts of a page, in their order.
fn on_page(text: &str) -> Vec<Place> {
    let mut found: Vec<Place> = Vec::new();
    for (pattern, read) in [
        (&*KOREAN, korean as fn(&str, &Captures<'_>) -> Option<Place>),
        (&*SIGNED, signed),
        (&*NAMED, named),
    ] {
        for captures in pattern.captures_iter(text) {
            // A page of nothing but numbers says no more with more of them.
            if found.len() >= MOST {
                break;
            }
            let Some((range, value, unit)) = read(text, &captures) else {
                continue;
            };
            let is_taken = found
                .iter()
                .any(|(other, ..)| other.start < range.end && range.start < other.end);
            if !is_taken {
                found.push((range, value, unit));
            }
        }
    }
    found.sort_by_key(|(range, ..)| range.start);
    found
}

/// Whether what begins behind `before` is the rest of a longer number or code.
fn is_rest(before: &str) -> bool {
    let mut before = before.chars().rev();
    match before.next() {
        Some('.' | ',' | '\'') => before.next().is_some_and(|c| c.is_ascii_digit()),
        last => last.is_some_and(|c| c.is_ascii_alphanumeric()),
    }
}

/// Length of the sign at the end of `before` that makes the amount behind it negative; Korean accounts
/// use triangles. Between two numbers it is a range.
fn sign(before: &str) -> usize {
    let Some(rest) = before.strip_suffix(['-', '−', '△', '▲']) else {
        return 0;
    };
    let is_alone = rest.chars().next_back().is_none_or(|c| {
        c.is_whitespace() || matches!(c, '(' | '[' | '|' | ':' | '~' | '∼' | '～' | '/')
    });
    if is_alone {
        before.len() - rest.len()
    } else {
        0
    }
}

/// A single comma with one or two digits behind it is the decimal one, and dots or blanks before it part
/// thousands, as several dots do.
fn number(text: &str) -> Option<f64> {
    let text = text.replace('−', "-");
    let text = text.replace([' ', '\u{A0}', '\u{202F}', '\''], "");
    let plain = match text.rsplit_once(',') {
        Some((whole, part)) if part.len() < 3 => format!("{}.{part}", whole.replace('.', "")),
        None if text.matches('.').count() > 1 => text.replace('.', ""),
        _ => text.replace(',', ""),
    };
    plain.parse().ok()
}

/// The sum of the parts of a Korean number: `1억 2,500만` is 125,000,000.
fn korean(text: &str, captures: &Captures<'_>) -> Option<Place> {
    let (whole, mut count) = (captures.get(0)?, captures.name("n")?.as_str());
    let mut start = whole.start();
    let before = text[..start].trim_end_matches(' ');
    // An article of a law, and no trillions.
    if let (true, Some((_, rest))) = (before.ends_with('제'), count.split_once('조')) {
        let rest = rest.trim_start();
        start += count.len() - rest.len();
        count = rest;
    }
    let behind = &text[whole.end()..];
    let is_hangul = |c: char| ('가'..='힣').contains(&c);
    let parted = text[..captures.name("u")?.start()].ends_with([' ', '\u{A0}']);
    let goes_on = behind.starts_with(is_hangul)
        && !BEHIND
            .iter()
            .any(|end| behind.starts_with(end) && !(parted && WORDS.contains(end)));
    if goes_on || count.is_empty() || is_rest(&text[..start]) {
        return None;
    }
    let (mut sum, mut section) = (0.0, 0.0);
    for part in PART.captures_iter(count) {
        let scale = part.get(2).map_or("", |scale| scale.as_str());
        let times = |marks: [(char, f64); 3]| {
            let found = marks.iter().find(|(mark, _)| scale.contains(*mark));
            found.map(|(_, times)| *times)
        };
        section +=
            number(&part[1])? * times([('천', 1e3), ('백', 1e2), ('십', 10.0)]).unwrap_or(1.0);
        if let Some(times) = times([('조', 1e12), ('억', 1e8), ('만', 1e4)]) {
            sum += std::mem::take(&mut section) * times;
        }
    }
    let end = match &captures["u"] {
        "원" if behind.starts_with('정') => whole.end() + '정'.len_utf8(),
        _ => whole.end(),
    };
    Some((start..end, sum + section, unit(&captures["u"])))
}

fn signed(text: &str, captures: &Captures<'_>) -> Option<Place> {
    let (whole, said) = (captures.get(0)?, captures.name("u")?);
    let before = &text[..said.start()];
    if before.ends_with(|c: char| c.is_ascii_alphabetic()) || belongs_before(before, captures) {
        return None;
    }
    Some((whole.range(), value(captures)?, unit(said.as_str())))
}

/// Whether the sign at the head of a match is the unit of a number before it: `20 € 30 €`.
fn belongs_before(before: &str, captures: &Captures<'_>) -> bool {
    let (Some(sign), Some(number)) = (captures.name("u"), captures.name("n")) else {
        return false;
    };
    let last: String = before
        .trim_end_matches(' ')
        .chars()
        .rev()
        .take_while(|c| c.is_ascii_digit())
        .collect();
    // `in 2025 € 5,000`
    let is_year = last.len() == 4 && (last.ends_with("91") || last.ends_with("02"));
    let parted = sign.end() < number.start();
    matches!(sign.as_str(), "€" | "£" | "₩")
        && !last.is_empty()
        && (!before.ends_with(' ') || (parted && !is_year))
}

fn named(text: &str, captures: &Captures<'_>) -> Option<Place> {
    let (whole, value) = (captures.get(0)?, value(captures)?);
    // Somebody `won by 3`.
    let is_verb = captures["u"].eq_ignore_ascii_case("won") && value < 100.0;
    (!is_verb && !is_rest(&text[..whole.start()]))
        .then(|| (whole.range(), value, unit(&captures["u"])))
}

fn value(captures: &Captures<'_>) -> Option<f64> {
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
    Some(value * times)
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
        "a$" | "au$" => "AUD",
        "c$" | "ca$" => "CAD",
        "hk$" => "HKD",
        "nt$" => "TWD",
        "nz$" => "NZD",
        "s$" => "SGD",
        "€" | "euro" | "euros" | "유로" => "EUR",
        "£" | "pounds sterling" => "GBP",
        "¥" | "yen" | "엔" | "엔화" => "JPY",
        "₩" | "won" | "원" => "KRW",
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

    fn found(text: &str) -> String {
        let page = page(text);
        let found = amounts(&[Places::new(&page)]);
        let found = found.iter().map(|a| format!("{} {}", a.value, a.unit));
        found.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn amounts_have_value_and_unit() {
        assert_eq!(
            found(
                "12억 4,600만 원, 5,000천원, 35백만원, $1.84 million, 20 crowns, 1.2 billion won, 3.5%p, 25 %, \
                 -4.1%, USD 3,000.50, 100유로, 원은 둥글다, 20 people, 5억원정"
            ),
            "1246000000 KRW, 5000000 KRW, 35000000 KRW, 1840000 USD, 20 crowns, 1200000000 KRW, 3.5 %p, 25 %, \
             -4.1 %, 3000.5 USD, 100 EUR, 500000000 KRW"
        );
        assert_eq!(
            found(
                "50만 달러, 3천 유로, 5천억원, 2조5천억 원, 3천5백만원, 3백원, HK$40, A$30, 2025년 3,000원"
            ),
            "500000 USD, 3000 EUR, 500000000000 KRW, 2500000000000 KRW, 35000000 KRW, 300 KRW, 40 HKD, 30 AUD, \
             3000 KRW"
        );
    }

    #[test]
    fn signs_are_of_the_amount_or_of_a_range() {
        assert_eq!(
            found("-₩4,500, ₩-4,500, △3,000원, -3만 원, 10-20원, 10-20%, -5%~-3%, [-3%]"),
            "-4500 KRW, -4500 KRW, -3000 KRW, -30000 KRW, 20 KRW, 20 %, -5 %, -3 %, -3 %"
        );
        assert_eq!(
            found("20 € 30 €, 5€ 6€, in 2025 €5, in 2025 € 5,000"),
            "20 EUR, 30 EUR, 5 EUR, 6 EUR, 5 EUR, 5000 EUR"
        );
    }

    #[test]
    fn numbers_are_written_in_many_ways() {
        assert_eq!(
            found(
                "99,90 €, 1.234,56 EUR, €1.234,56, 1.234.567 €, 1 234,56 €, 1'234.50 CHF, 2,5 %, 2,500 USD"
            ),
            "99.9 EUR, 1234.56 EUR, 1234.56 EUR, 1234567 EUR, 1234.56 EUR, 1234.5 CHF, 2.5 %, 2500 USD"
        );
        assert_eq!(
            found("성장률3.5%, 약10%, 3,000 USD를, 1,2,3%, 2024, 3,000원, 2024 500원, A3%, 1.2.3%"),
            "3.5 %, 10 %, 3000 USD, 3000 KRW, 500 KRW"
        );
    }

    #[test]
    fn other_words_are_no_units() {
        assert_eq!(
            found(
                "5원칙, 3원색, 12엔진, 30 원격, 2024\n원고, 3 원인, 2 유로파, 1위안부, 3 won the game"
            ),
            ""
        );
        assert_eq!(
            found("제3조 500만원, 3만원권, 100엔화로, 5,000원이며 2,000원은 900원짜리, 300 원을"),
            "5000000 KRW, 30000 KRW, 100 JPY, 5000 KRW, 2000 KRW, 900 KRW, 300 KRW"
        );
    }
}
