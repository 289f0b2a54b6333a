//! What a document is written in.

use std::collections::BTreeMap;

use crate::document::Page;
use crate::text::is_hangul;

/// Characters looked at to tell Latin-script languages apart.
const SAMPLE: usize = 20_000;

/// Share of the letters in each script, to three decimals; scripts under one in a thousand left out.
pub fn scripts(pages: &[&Page]) -> BTreeMap<String, f64> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let letters = pages
        .iter()
        .flat_map(|page| page.text.chars())
        .filter(|c| c.is_alphabetic());
    for c in letters {
        *counts.entry(script(c)).or_default() += 1;
    }
    let all: usize = counts.values().sum();
    let share = |count: usize| (count as f64 / all as f64 * 1000.0).round() / 1000.0;
    let shares = counts
        .into_iter()
        .map(|(name, count)| (name.to_owned(), share(count)));
    shares.filter(|(_, share)| *share > 0.0).collect()
}

fn script(c: char) -> &'static str {
    match c {
        c if is_hangul(c) => "hangul",
        '\u{3040}'..='\u{30FF}' => "kana",
        '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{2FA1F}' => "han",
        'A'..='Z' | 'a'..='z' | '\u{AA}'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}' => "latin",
        '\u{370}'..='\u{3FF}' => "greek",
        '\u{400}'..='\u{52F}' => "cyrillic",
        '\u{590}'..='\u{5FF}' => "hebrew",
        '\u{600}'..='\u{77F}' => "arabic",
        '\u{900}'..='\u{97F}' => "devanagari",
        '\u{E00}'..='\u{E7F}' => "thai",
        _ => "other",
    }
}

/// ISO 639-1 code of the main language. Korean pages have many Latin words, so a third decides.
pub fn language(pages: &[&Page], scripts: &BTreeMap<String, f64>) -> Option<String> {
    let share = |name: &str| scripts.get(name).copied().unwrap_or(0.0);
    if share("hangul") >= 0.3 {
        return Some("ko".into());
    }
    if share("kana") >= 0.1 {
        return Some("ja".into());
    }
    if share("han") >= 0.3 {
        return Some("zh".into());
    }
    let text: String = pages
        .iter()
        .flat_map(|page| page.text.chars())
        .take(SAMPLE)
        .collect();
    let info = whatlang::detect(&text).filter(whatlang::Info::is_reliable)?;
    let code = match info.lang().code() {
        "eng" => "en",
        "deu" => "de",
        "fra" => "fr",
        "spa" => "es",
        "ita" => "it",
        "por" => "pt",
        "nld" => "nl",
        "rus" => "ru",
        "pol" => "pl",
        "swe" => "sv",
        "vie" => "vi",
        "jpn" => "ja",
        other => other,
    };
    Some(code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::tests::page;

    #[test]
    fn languages_are_told_apart() {
        let of = |text: &str| {
            let page = page(text);
            language(&[&page], &scripts(&[&page]))
        };
        assert_eq!(
            of("도서관 운영 위원회 meeting notes").as_deref(),
            Some("ko")
        );
        assert_eq!(
            of("The committee met on a cold day in the old harbour hall and approved the budget.")
                .as_deref(),
            Some("en")
        );
        assert_eq!(of("12 34"), None);
    }
}
