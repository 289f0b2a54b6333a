//! The service's pages as ours: in order, one a number, empty ones recognised.

use super::wire::RemotePage;
use crate::document::{Page, Parsed, Verdict};

/// Pages in order of their number. A page of nothing but its number is empty.
pub fn parsed(pages: Vec<RemotePage>, title: Option<String>) -> Parsed {
    let mut pages: Vec<Page> = pages
        .into_iter()
        .map(|page| {
            let text = page.content.unwrap_or_default();
            let bare = text.trim().trim_matches(['-', '–', '—', '|', ' ']);
            let empty = bare.is_empty() || bare == page.page_number.to_string();
            Page {
                number: page.page_number,
                verdict: if empty { Verdict::Empty } else { Verdict::Ok },
                text: if empty { String::new() } else { text },
            }
        })
        .collect();
    pages.sort_by_key(|page| page.number);
    pages.dedup_by(|page, before| {
        let same = page.number == before.number;
        if same && page.verdict == Verdict::Ok {
            before.text = format!("{}\n\n{}", before.text, page.text);
            before.verdict = Verdict::Ok;
        }
        same
    });
    Parsed {
        pages,
        title,
        ..Parsed::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_sorted_and_a_bare_number_is_an_empty_page() {
        let page = |number, content: &str| RemotePage {
            page_number: number,
            content: Some(content.to_owned()),
        };
        let parsed = parsed(
            vec![page(3, "- 3 -"), page(1, "one"), page(2, "2022")],
            None,
        );
        let seen: Vec<_> = parsed.pages.iter().map(|p| (p.number, p.verdict)).collect();
        assert_eq!(
            seen,
            [(1, Verdict::Ok), (2, Verdict::Ok), (3, Verdict::Empty)]
        );
    }
}
