//! What a row or a list item stands under.

use crate::text::{is_item, table_head};

/// Most items quoted with the line that introduces them.
const MOST_ITEMS: usize = 10;

/// Where the list ends that the line which ends at byte `end` of `page` introduces with a colon; `end`
/// when it introduces none.
pub fn list_end(page: &str, end: usize) -> usize {
    if !page[..end].ends_with([':', '：']) {
        return end;
    }
    let (mut found, mut at, mut items) = (end, end, 0);
    for line in page[end..].split_inclusive('\n') {
        at += line.len();
        let text = line.trim();
        if is_item(text) && items < MOST_ITEMS {
            items += 1;
            found = at - (line.len() - line.trim_end().len());
        } else if !text.is_empty() {
            break;
        }
    }
    found
}

/// The head of the table, or the line that introduces the list, that the text at byte `start` of
/// `page` belongs to.
pub fn header(page: &str, start: usize) -> Option<&str> {
    let line_start = page[..start].rfind('\n').map_or(0, |at| at + 1);
    let line = page[line_start..].trim_start();
    if line.starts_with('|') {
        return table_head(page, start);
    }
    is_item(line)
        .then(|| introduction(&page[..line_start]))
        .flatten()
}

/// The line above the list whose items end `above`: one that ends with a colon.
fn introduction(above: &str) -> Option<&str> {
    let mut lines = above.lines().rev().map(str::trim);
    let line = lines.find(|line| !line.is_empty() && !is_item(line))?;
    line.ends_with([':', '：']).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_head_of_its_table() {
        let page = "Fees\n\n| boat | fee |\n|---|---|\n| small | 20 |\n| large | 55 |\n\nEnd.";
        let at = page.find("| large").unwrap();
        assert_eq!(header(page, at), Some("| boat | fee |"));
        assert_eq!(header(page, page.find("| boat").unwrap()), None);
        assert_eq!(header(page, page.find("End").unwrap()), None);
    }

    #[test]
    fn an_introduction_takes_its_list_along() {
        let page =
            "Pump\n\nTo start the pump:\n\n1. Open the valve.\n2. Press start.\n\nThen wait.";
        let end = page.find(':').unwrap() + 1;
        assert!(page[..list_end(page, end)].ends_with("2. Press start."));
        let end = page.find("Then wait.").unwrap() + 10;
        assert_eq!(list_end(page, end), end);
    }

    #[test]
    fn an_item_has_the_line_that_introduces_its_list() {
        let page = "준비물:\n- 신분증\n- 신청서\n\nNotes\n- one";
        assert_eq!(
            header(page, page.find("- 신청서").unwrap()),
            Some("준비물:")
        );
        assert_eq!(header(page, page.find("- one").unwrap()), None);
    }
}
