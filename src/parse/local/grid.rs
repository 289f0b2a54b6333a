//! Rows of a spreadsheet or a CSV file to pages: some tens of rows each, with the head row above them, so
//! that no row is met without the names of its columns.

use super::flow::table_row;

/// Rows of one page, beside the head row.
const ROWS: usize = 40;
/// Longest text of a page, in bytes, from which on the next row is on a new one.
const PAGE: usize = 4_000;
/// Rows looked at for the head row.
const LOOK: usize = 10;

/// A row and its number, from 0.
pub type Row = (u32, Vec<String>);

/// The pages of `rows`, none of which may be empty. `heading` is asked for the line above a page of rows
/// from one number to another.
pub fn pages(rows: &[Row], heading: &dyn Fn(u32, u32) -> Option<String>) -> Vec<String> {
    let head = head_row(rows);
    let (titles, body) = match head {
        Some(at) => (&rows[..at], &rows[at + 1..]),
        None => (&rows[..0], rows),
    };
    let head = head.and_then(|at| table_row(&rows[at].1));
    let top: String = titles.iter().map(|(_, cells)| title(cells)).collect();
    let mut pages = Vec::new();
    let mut lines: Vec<String> = Vec::new();
    let mut size = top.len();
    let mut first = rows.first().map_or(0, |(row, _)| *row);
    let mut last = titles.last().map_or(first, |(row, _)| *row);
    let mut end = |first: u32, last: u32, lines: &mut Vec<String>| {
        let above = match pages.is_empty() {
            true => top.as_str(),
            false => "",
        };
        let heading = heading(first, last).map_or_else(String::new, |text| format!("# {text}\n\n"));
        let table: Vec<String> = head.iter().cloned().chain(lines.drain(..)).collect();
        pages.push(
            format!("{heading}{above}{}", table.join("\n"))
                .trim()
                .to_owned(),
        );
    };
    for (row, cells) in body {
        let Some(line) = table_row(cells) else {
            continue;
        };
        if lines.len() >= ROWS || (!lines.is_empty() && size + line.len() > PAGE) {
            end(first, last, &mut lines);
            (first, size) = (*row, 0);
        }
        size += line.len();
        last = *row;
        lines.push(line);
    }
    end(first, last, &mut lines);
    pages
}

/// A row above the head row as a paragraph.
fn title(cells: &[String]) -> String {
    let filled: Vec<&str> = cells
        .iter()
        .map(|cell| cell.trim())
        .filter(|cell| !cell.is_empty())
        .collect();
    format!("{}\n\n", filled.join(" "))
}

/// The first of the first rows that is as full as those below it, if it holds words: the head of the table.
fn head_row(rows: &[Row]) -> Option<usize> {
    let filled = |cells: &[String]| cells.iter().filter(|cell| !cell.trim().is_empty()).count();
    let widest = rows
        .iter()
        .take(LOOK)
        .map(|(_, cells)| filled(cells))
        .max()?;
    let is_number = |cell: &&String| {
        cell.chars().any(|c| c.is_ascii_digit()) && !cell.chars().any(char::is_alphabetic)
    };
    let found = rows
        .iter()
        .take(LOOK)
        .position(|(_, cells)| filled(cells) > 1 && filled(cells) * 10 >= widest * 8)?;
    let numbers = rows[found].1.iter().filter(is_number).count();
    (numbers * 3 <= filled(&rows[found].1) && found + 1 < rows.len()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(cells: &[&[&str]]) -> Vec<Row> {
        let owned = |cells: &&[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        (1..).zip(cells.iter().map(owned)).collect()
    }

    #[test]
    fn a_title_stands_above_and_the_head_row_on_every_page() {
        let mut cells: Vec<&[&str]> = vec![&["2026 budget", "", ""], &["item", "unit", "sum"]];
        cells.extend(std::iter::repeat_n(&["paper", "box", "1200.5"][..], 60));
        let pages = pages(&rows(&cells), &|first, last| {
            Some(format!("{first} to {last}"))
        });
        assert_eq!(pages.len(), 2);
        assert!(pages[0].starts_with(
            "# 1 to 42\n\n2026 budget\n\n| item | unit | sum |\n| paper | box | 1200.5 |\n"
        ));
        assert!(pages[1].starts_with("# 43 to 62\n\n| item | unit | sum |\n| paper"));
    }

    #[test]
    fn numbers_alone_have_no_head_row() {
        let pages = pages(&rows(&[&["1", "2"], &["3", "4"]]), &|_, _| None);
        assert_eq!(pages, ["| 1 | 2 |\n| 3 | 4 |"]);
    }
}
