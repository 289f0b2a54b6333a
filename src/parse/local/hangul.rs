//! Documents of Hangul, the Korean word processor: hwp (version 5) and hwpx.

mod heads;
pub mod hwp;
pub mod hwpx;
mod record;
mod sealed;

/// Finds where pages end from where the program put each line: a line that stands higher than the one
/// before it begins a column, and the last column's successor a page.
#[derive(Debug, Default)]
struct Lines {
    columns: usize,
    resets: usize,
    last: Option<i64>,
}

/// Where a line begins in its paragraph (in UTF-16 units, a control has eight) and how far down its page.
type Line = (usize, i64);

impl Lines {
    /// The sections that follow have so many columns.
    fn set_columns(&mut self, columns: usize) {
        self.columns = columns;
        self.resets = 0;
    }

    /// A page ended for another reason.
    fn begin(&mut self) {
        self.last = None;
        self.resets = 0;
    }

    /// Where in the paragraph with these lines new pages begin.
    fn breaks(&mut self, lines: &[Line]) -> Vec<usize> {
        let mut found = Vec::new();
        for &(start, down) in lines {
            // Programs that lay nothing out write that every line is at the top.
            if self.last.is_some_and(|last| down < last) {
                self.resets += 1;
                if self.resets.is_multiple_of(self.columns.max(1)) {
                    found.push(start);
                }
            }
            self.last = Some(down);
        }
        found
    }
}

/// The level of a heading from the name of its style, as Hangul names them in Korean and English.
fn heading_level(style: &str) -> Option<usize> {
    let level = style
        .strip_prefix("개요 ")
        .or_else(|| style.strip_prefix("Outline "))?;
    level
        .trim()
        .parse()
        .ok()
        .filter(|level| (1..=3).contains(level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_above_the_one_before_begins_a_page_or_a_column() {
        let mut lines = Lines::default();
        assert!(lines.breaks(&[(0, 0), (30, 1000)]).is_empty());
        assert_eq!(lines.breaks(&[(0, 2000), (25, 0)]), [25]);
        lines.begin();
        lines.set_columns(2);
        assert!(
            lines
                .breaks(&[(0, 0), (9, 500), (18, 0), (27, 500)])
                .is_empty()
        );
        assert_eq!(lines.breaks(&[(0, 0)]), [0]);
    }
}
