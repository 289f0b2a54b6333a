//! CSV and its relatives: the delimiter and the encoding are found out. Pages as of a spreadsheet.

use super::super::flow::page;
use super::super::grid::{self, Row};
use super::super::plain;
use crate::document::{Details, Parsed};
use crate::parse::ParseError;

/// Records looked at for the delimiter.
const LOOK: usize = 100;
const DELIMITERS: [u8; 4] = *b",\t;|";

/// # Errors
/// When it is binary data.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let text = plain::decode(bytes).ok_or_else(plain::binary)?;
    let rows: Vec<Row> = records(&text, delimiter(&text))
        .filter(|(_, cells)| cells.iter().any(|cell| !cell.trim().is_empty()))
        .collect();
    let pages = grid::pages(&rows, &|_, _| None);
    Ok(Parsed {
        pages: (1..)
            .zip(pages)
            .map(|(number, text)| page(number, text))
            .collect(),
        title: None,
        details: Details::default(),
    })
}

fn records(text: &str, delimiter: u8) -> impl Iterator<Item = Row> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    // What Excel writes for itself above the head row.
    let is_hint = |cells: &[String]| cells.len() == 1 && cells[0].starts_with("sep=");
    let records: Vec<Vec<String>> = reader
        .records()
        .flatten()
        .map(|record| record.iter().map(str::to_owned).collect())
        .collect();
    (0..).zip(records).filter(move |(_, cells)| !is_hint(cells))
}

/// The delimiter that gives most records the same number of cells, of which there are several.
fn delimiter(text: &str) -> u8 {
    let score = |delimiter: &u8| {
        let widths: Vec<usize> = csv::ReaderBuilder::new()
            .delimiter(*delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes())
            .records()
            .take(LOOK)
            .flatten()
            .map(|record| record.len())
            .collect();
        let usual = |width: usize| widths.iter().filter(|other| **other == width).count();
        let best = widths
            .iter()
            .filter(|width| **width > 1)
            .map(|width| (usual(*width), *width));
        best.max().unwrap_or((0, 0))
    };
    let best = DELIMITERS
        .iter()
        .rev()
        .max_by_key(|delimiter| score(delimiter));
    best.copied().unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_found_out() {
        assert_eq!(delimiter("a,b\n\"1,5\",2\n"), b',');
        assert_eq!(delimiter("a;b\n1,5;2,5\n3;4\n"), b';');
        assert_eq!(delimiter("a\tb\n1, 2, 3\tx\n"), b'\t');
        assert_eq!(delimiter("one\ntwo\n"), b',');
    }

    #[test]
    fn quotes_and_line_breaks_stay_in_their_cell() {
        let parsed = parse("name,note\nkim,\"a, b\nc\"\n".as_bytes()).unwrap();
        assert_eq!(parsed.pages[0].text, "| name | note |\n| kim | a, b c |");
    }
}
