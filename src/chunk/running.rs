//! Headers and footers: lines at the edges of pages that many pages share, but for their numbers. They stay in
//! the page's text and are left out of chunks, which they would fill with the same words over and over, but on the first page that has them.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::document::Page;

/// Lines looked at on either edge of a page.
const EDGE: usize = 3;
/// Pages a document has at least.
const PAGES: usize = 4;
/// Pages a line is on at least, and their share as one in so many: left and right pages may differ.
const REPEATED: usize = 3;
const SHARE: usize = 3;
/// Numbers of a line that may count the pages.
const NUMBERS: usize = 3;
/// Longest header, in bytes.
const LONGEST: usize = 200;

/// The part of each page between its header and footer, as byte ranges of the pages' texts.
pub fn bodies(pages: &[Page]) -> Vec<Range<usize>> {
    let whole = |page: &Page| 0..page.text.len();
    if pages.len() < PAGES {
        return pages.iter().map(whole).collect();
    }
    // On how many pages a line is, and on which one first.
    let mut on: HashMap<String, (usize, usize)> = HashMap::new();
    for (at, page) in pages.iter().enumerate() {
        let lines = lines(&page.text);
        let keys = edges(&lines).flat_map(|line| keys(&page.text[line.clone()], page.number));
        for key in keys.collect::<HashSet<_>>() {
            on.entry(key).or_insert((0, at)).0 += 1;
        }
    }
    // Where a line comes first it stays, so that what it says is found once.
    let is_running = |at: usize, page: &Page, line: &Range<usize>| {
        let keys = keys(&page.text[line.clone()], page.number);
        keys.iter()
            .filter_map(|key| on.get(key))
            .any(|&(number, first)| {
                number >= REPEATED && number * SHARE >= pages.len() && first != at
            })
    };
    let body = |(at, page): (usize, &Page)| {
        let lines = lines(&page.text);
        let is_running = |line: &&Range<usize>| is_running(at, page, line);
        let above = lines.iter().take(EDGE).take_while(is_running).count();
        let rest = &lines[above..];
        let below = rest.iter().rev().take(EDGE).take_while(is_running).count();
        match &rest[..rest.len() - below] {
            // Pages that are all alike are not headers.
            [] => whole(page),
            [only] => only.clone(),
            [first, .., last] => first.start..last.end,
        }
    };
    pages.iter().enumerate().map(body).collect()
}

/// The lines that are not blank, as byte ranges.
fn lines(text: &str) -> Vec<Range<usize>> {
    let mut at = 0;
    let ranges = text.split_inclusive('\n').map(|line| {
        let start = at;
        at += line.len();
        start..start + line.trim_end().len()
    });
    ranges
        .filter(|range| !text[range.clone()].trim().is_empty())
        .collect()
}

fn edges(lines: &[Range<usize>]) -> impl Iterator<Item = &Range<usize>> {
    let below = lines.len().saturating_sub(EDGE).max(EDGE.min(lines.len()));
    lines.iter().take(EDGE).chain(&lines[below..])
}

/// A line as it stands on other pages: each of its numbers may be the same, or count the pages. None for
/// what repeats for another reason, as the head of a table does.
fn keys(line: &str, page: u32) -> Vec<String> {
    let line = line.trim();
    // `- state: open` is a field of a record.
    let is_field = line.starts_with("- ") && line.contains(": ");
    if line.len() > LONGEST || line.starts_with(['|', '#']) || is_field {
        return Vec::new();
    }
    let mut keys = vec![String::new()];
    let mut rest = line;
    let mut numbers = 0;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (text, tail) = rest.split_at(at);
        let end = tail
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (digits, tail) = tail.split_at(end);
        numbers += 1;
        let offset = digits
            .parse::<i64>()
            .ok()
            .map(|number| number - i64::from(page));
        let counts = offset.filter(|_| numbers <= NUMBERS && digits.len() <= 4);
        let counting = counts.map(|offset| {
            let counting = keys
                .iter()
                .map(|key| format!("{key}{text}\u{0}{offset}\u{0}"));
            counting.collect::<Vec<_>>()
        });
        for key in &mut keys {
            key.push_str(text);
            key.push_str(digits);
        }
        keys.extend(counting.into_iter().flatten());
        rest = tail;
    }
    for key in &mut keys {
        key.push_str(rest);
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Verdict;

    fn pages(texts: &[String]) -> Vec<Page> {
        let page = |(number, text): (u32, &String)| Page {
            number,
            text: text.clone(),
            verdict: Verdict::Ok,
        };
        (1..).zip(texts).map(page).collect()
    }

    #[test]
    fn what_stands_at_the_edge_of_most_pages_is_no_body() {
        let texts: Vec<String> = ('a'..='f')
            .zip(1..)
            .map(|(c, n)| {
                format!("Harbour news\n\nStory {c} begins.\nMore of {c}.\n\n- {n} of 6 -")
            })
            .collect();
        let pages = pages(&texts);
        let bodies = bodies(&pages);
        assert_eq!(bodies[0], 0..pages[0].text.len());
        for (page, body) in pages.iter().zip(bodies).skip(1) {
            let text = &page.text[body];
            assert!(text.starts_with("Story") && text.ends_with('.'), "{text}");
        }
    }

    #[test]
    fn numbers_that_do_not_count_pages_are_no_header() {
        let texts: Vec<String> = [20, 35, 31, 44, 90]
            .iter()
            .map(|fee| format!("The fee is {fee} crowns.\n\nAll pay."))
            .collect();
        let pages = pages(&texts);
        for (page, body) in pages.iter().zip(bodies(&pages)) {
            assert!(page.text[body].starts_with("The fee"));
        }
        let alike = vec!["Same.".to_owned(); 6];
        let alike = super::tests::pages(&alike);
        assert!(bodies(&alike).iter().all(|body| *body == (0..5)));
    }

    #[test]
    fn short_documents_and_heads_of_tables_are_left_alone() {
        let short = pages(&["Same\n\na".into(), "Same\n\nb".into(), "Same\n\nc".into()]);
        assert_eq!(bodies(&short)[0], 0..7);
        let tables: Vec<String> = (1..=5).map(|n| format!("| a | b |\n| {n} | x |")).collect();
        let tables = pages(&tables);
        assert_eq!(bodies(&tables)[0], 0..tables[0].text.len());
    }
}
