//! OpenDocument spreadsheets (ods). Pages are those of other workbooks; cells say what their program shows,
//! but dates are ISO 8601.

use std::collections::HashSet;

use super::super::MAX_TEXT;
use super::super::archive::{Archive, password};
use super::super::flow::page;
use super::super::grid::Row;
use super::super::read::too_much_text;
use super::super::xml::{Node, Skip, Tag, walk};
use super::properties;
use super::sheet::{clock, column_name, texts, without_result};
use crate::document::{Page, Parsed};
use crate::parse::ParseError;

/// Times one row or cell with something in it is repeated; sheets end in rows that are so a million times.
const MOST_REPEATED: u32 = 1_000;
/// Cells of a sheet, empty ones between others counted.
const MOST_CELLS: usize = 2_000_000;
/// Farther down or to the right is no cell in any program.
const FARTHEST: u32 = 1 << 24;
/// Bytes a cell takes beside its text.
const CELL: usize = 32;

/// # Errors
/// When the container or its content cannot be read, or a password is needed.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let mut archive = Archive::open(bytes)?;
    if archive.is_encrypted() {
        return Err(password());
    }
    let mut book = Book {
        room: MAX_TEXT,
        ..Book::default()
    };
    let ended = walk(&archive.needed("content.xml")?, &mut |node| book.hear(node));
    if book.room == 0 {
        return Err(too_much_text());
    }
    let (mut details, title) = properties::named(&archive.optional("meta.xml"));
    let mut pages: Vec<Page> = Vec::new();
    let mut size = 0;
    for sheet in book.sheets.iter().filter(|sheet| !sheet.is_copy) {
        if sheet.is_hidden {
            details
                .notes
                .push(format!("the sheet {} is hidden", sheet.name));
        }
        details
            .notes
            .extend(without_result(&sheet.name, sheet.without_result));
        for text in sheet.texts()? {
            size += text.len();
            pages.push(page(pages.len() as u32 + 1, text));
            if size > MAX_TEXT {
                return Err(too_much_text());
            }
        }
        if sheet.is_cut {
            details.notes.push(format!(
                "the sheet {} repeats something more than {MOST_REPEATED} times; the rest is left out",
                sheet.name
            ));
        }
    }
    if !book.notes.is_empty() {
        pages.push(page(pages.len() as u32 + 1, book.notes.join("\n\n")));
    }
    if let Err(why) = ended {
        if pages.iter().all(|page| page.text.is_empty()) {
            return Err(super::sheet::damaged(&why));
        }
        details
            .notes
            .push(format!("its last part is damaged and was not read ({why})"));
    }
    if pages.is_empty() {
        return Err(ParseError::document("the workbook has no sheets"));
    }
    Ok(Parsed {
        pages,
        title,
        details,
    })
}

#[derive(Default)]
struct Sheet {
    name: String,
    is_hidden: bool,
    /// What another file's sheet held, kept for the formulas that use it.
    is_copy: bool,
    /// Row, and its cells by column.
    rows: Vec<(u32, Vec<(u32, String)>)>,
    /// Formulas without one.
    without_result: u64,
    /// Something stands there more often than is kept.
    is_cut: bool,
}

impl Sheet {
    fn texts(&self) -> Result<Vec<String>, ParseError> {
        let cells = || self.rows.iter().flat_map(|(_, cells)| cells);
        let left = cells().map(|(column, _)| *column).min().unwrap_or(0);
        let right = cells().map(|(column, _)| *column).max().unwrap_or(0);
        let ends = self.rows.iter().filter_map(|(_, cells)| cells.last());
        let wide: usize = ends.map(|(column, _)| (column - left) as usize + 1).sum();
        if wide > MOST_CELLS {
            return Err(too_much_text());
        }
        let rows: Vec<Row> = self
            .rows
            .iter()
            .map(|(row, cells)| {
                let mut shown = Vec::new();
                for (column, cell) in cells {
                    shown.resize((column - left) as usize, String::new());
                    shown.push(cell.clone());
                }
                (*row, shown)
            })
            .collect();
        Ok(texts(&self.name, (left, right), &rows))
    }
}

/// A cell while it is read.
#[derive(Default)]
struct Cell {
    kind: String,
    value: String,
    has_formula: bool,
    repeated: u32,
    text: String,
}

impl Cell {
    fn new(tag: &Tag<'_>) -> Self {
        let kind = tag.get("value-type").unwrap_or_default();
        let value = match kind.as_str() {
            "date" => tag.get("date-value"),
            "time" => tag.get("time-value"),
            "boolean" => tag.get("boolean-value"),
            "string" => tag.get("string-value"),
            _ => tag.get("value"),
        };
        Self {
            kind,
            value: value.unwrap_or_default(),
            has_formula: tag.get("formula").is_some(),
            repeated: repeated(tag, "number-columns-repeated"),
            text: String::new(),
        }
    }

    /// A date or time by its value, which is one way to write it; else the text, unless there is none.
    fn shown(&self) -> String {
        let exact = match self.kind.as_str() {
            "date" if !self.value.is_empty() => {
                Some(self.value.trim_end_matches("T00:00:00").replace('T', " "))
            }
            // Of more than a day, programs show more ways than one.
            "time" => clock(&self.value).filter(|time| time.find(':') <= Some(2)),
            "boolean" => Some(self.value.to_uppercase()),
            _ => None,
        };
        exact.unwrap_or_else(|| match self.text.trim_matches('#').is_empty() {
            // A column too narrow shows signs in place of the number.
            true => self.value.clone(),
            false => self.text.clone(),
        })
    }
}

fn repeated(tag: &Tag<'_>, name: &str) -> u32 {
    let times = tag.number(name).unwrap_or(1);
    times.clamp(1, i64::from(FARTHEST)) as u32
}

#[derive(Default)]
struct Book {
    sheets: Vec<Sheet>,
    /// Comments and what stands in drawings.
    notes: Vec<String>,
    /// Bytes that may still be kept.
    room: usize,
    /// Styles of hidden sheets, and the style that is being defined.
    hiding: HashSet<String>,
    style: String,
    /// Where in the sheet the next cell is.
    row: u32,
    column: u32,
    rows_repeated: u32,
    cells: Vec<(u32, String)>,
    cell: Option<Cell>,
    comment: Option<String>,
    /// Elements that are open in a drawing.
    drawing: usize,
    /// Of the open paragraph.
    text: Option<String>,
    skip: Skip,
}

impl Book {
    fn hear(&mut self, node: Node<'_>) {
        if self.skip.takes(&node) {
            return;
        }
        match node {
            Node::Open(tag) => self.opens(&tag),
            Node::Close(name) => self.closes(name),
            Node::Text(text) => self.say(text),
        }
    }

    fn say(&mut self, text: &str) {
        if let Some(open) = &mut self.text {
            open.push_str(text);
        }
    }

    fn opens(&mut self, tag: &Tag<'_>) {
        let is_aside = match tag.name {
            "tracked-changes" | "content-validations" | "forms" | "event-listeners" => true,
            // A table in a cell is of no program that people use.
            "table" => self.cell.is_some(),
            _ => false,
        };
        if is_aside {
            self.skip.begin();
            return;
        }
        if self.drawing > 0 || tag.is_of("draw") {
            self.drawing += 1;
        }
        match tag.name {
            "style" => self.style = tag.get("name").unwrap_or_default(),
            "table-properties" if tag.get("display").as_deref() == Some("false") => {
                self.hiding.insert(self.style.clone());
            }
            "table" => {
                let style = tag.get("style-name").unwrap_or_default();
                (self.row, self.column) = (0, 0);
                self.sheets.push(Sheet {
                    name: tag.get("name").unwrap_or_default(),
                    is_hidden: self.hiding.contains(&style),
                    ..Sheet::default()
                });
            }
            "table-source" => {
                if let Some(sheet) = self.sheets.last_mut() {
                    sheet.is_copy = true;
                }
            }
            "table-row" => {
                self.column = 0;
                self.rows_repeated = repeated(tag, "number-rows-repeated");
            }
            "table-cell" | "covered-table-cell" => self.cell = Some(Cell::new(tag)),
            "annotation" => self.comment = Some(String::new()),
            "p" => self.text = Some(String::new()),
            "s" => {
                let blanks = tag.number("c").unwrap_or(1).clamp(1, 100) as usize;
                self.say(&" ".repeat(blanks));
            }
            "tab" | "line-break" => self.say(" "),
            _ => {}
        }
    }

    fn closes(&mut self, name: &str) {
        let in_drawing = self.drawing > 0;
        self.drawing = self.drawing.saturating_sub(1);
        match name {
            "p" => {
                let text = self.text.take().unwrap_or_default();
                let place = match (&mut self.comment, &mut self.cell) {
                    _ if in_drawing => {
                        return self.notes.extend(Some(text).filter(|t| !t.is_empty()));
                    }
                    (Some(comment), _) => comment,
                    (None, Some(cell)) => &mut cell.text,
                    (None, None) => return,
                };
                if !place.is_empty() && !text.is_empty() {
                    place.push(' ');
                }
                place.push_str(&text);
            }
            "annotation" => {
                let at = format!("{}{}", column_name(self.column), u64::from(self.row) + 1);
                let comment = self.comment.take().filter(|comment| !comment.is_empty());
                self.notes
                    .extend(comment.map(|comment| format!("[{at}: {comment}]")));
            }
            "table-cell" | "covered-table-cell" => self.end_cell(),
            "table-row" => self.end_row(),
            _ => {}
        }
    }

    fn end_cell(&mut self) {
        let (Some(cell), Some(sheet)) = (self.cell.take(), self.sheets.last_mut()) else {
            return;
        };
        let shown = cell.shown();
        if shown.trim().is_empty() {
            sheet.without_result += u64::from(cell.has_formula && cell.kind.is_empty());
        } else {
            let times = cell.repeated.min(MOST_REPEATED);
            sheet.is_cut |= times < cell.repeated;
            self.room = self
                .room
                .saturating_sub((shown.len() + CELL) * times as usize);
            if self.room > 0 {
                let columns = self.column..self.column + times;
                self.cells
                    .extend(columns.map(|column| (column, shown.clone())));
            }
        }
        self.column = (self.column + cell.repeated).min(FARTHEST);
    }

    fn end_row(&mut self) {
        let cells = std::mem::take(&mut self.cells);
        if let (false, Some(sheet)) = (cells.is_empty(), self.sheets.last_mut()) {
            let times = self.rows_repeated.min(MOST_REPEATED);
            sheet.is_cut |= times < self.rows_repeated;
            let size: usize = cells.iter().map(|(_, cell)| cell.len() + CELL).sum();
            self.room = self.room.saturating_sub(size * (times as usize - 1));
            if self.room > 0 {
                let rows = self.row..self.row + times;
                sheet.rows.extend(rows.map(|row| (row, cells.clone())));
            }
        }
        self.row = (self.row + self.rows_repeated).min(FARTHEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rows: &str) -> Book {
        let xml = format!(
            "<style:style style:name='ta2'><style:table-properties table:display='false'/></style:style>
            <table:table table:name='Fees' table:style-name='ta2'>{rows}</table:table>"
        );
        let mut book = Book {
            room: MAX_TEXT,
            ..Book::default()
        };
        walk(xml.as_bytes(), &mut |node| book.hear(node)).unwrap();
        book
    }

    #[test]
    fn cells_are_those_that_are_shown() {
        let book = read(
            "<table:table-row><table:table-cell office:value-type='percentage' office:value='0.262'>
            <text:p>26.2%</text:p></table:table-cell>
            <table:table-cell table:number-columns-repeated='2'/>
            <table:table-cell office:value-type='date' office:date-value='2025-01-15'><text:p>15.1.</text:p></table:table-cell>
            <table:table-cell office:value-type='boolean' office:boolean-value='true'><text:p>참</text:p></table:table-cell>
            <table:table-cell office:value-type='float' office:value='5'><office:annotation><dc:date>2025</dc:date>
            <text:p>checked</text:p></office:annotation><text:p>###</text:p></table:table-cell></table:table-row>
            <table:table-row table:number-rows-repeated='1048570'><table:table-cell table:number-columns-repeated='16384'/></table:table-row>",
        );
        let sheet = &book.sheets[0];
        assert!(sheet.is_hidden);
        assert_eq!(
            sheet.texts().unwrap(),
            ["# Fees (A1:F1)\n\n| 26.2% |  |  | 2025-01-15 | TRUE | 5 |"]
        );
        assert_eq!(book.notes, ["[F1: checked]"]);
    }

    #[test]
    fn times_of_any_kind_are_shown() {
        let cell = |value: &str, text: &str| Cell {
            kind: "time".to_owned(),
            value: value.to_owned(),
            text: text.to_owned(),
            ..Cell::default()
        };
        assert_eq!(cell("PT14H05M00S", "2:05 PM").shown(), "14:05:00");
        assert_eq!(cell("PT1106822H30M00S", "30:00").shown(), "30:00");
        assert_eq!(cell("PTHMS", "###").shown(), "::");
        assert_eq!(cell("P1D", "").shown(), "P1D");
    }

    #[test]
    fn what_is_repeated_without_end_ends() {
        let book = read(
            "<table:table-row table:number-rows-repeated='1048576'>
            <table:table-cell table:number-columns-repeated='16384'><text:p>x</text:p></table:table-cell></table:table-row>
            <table:table-row table:number-rows-repeated='99999999999'><table:table-cell><text:p>y</text:p></table:table-cell></table:table-row>
            <table:table-row><table:table-cell table:formula='of:=A1'/></table:table-row>",
        );
        let sheet = &book.sheets[0];
        assert_eq!(sheet.rows.len(), 2 * MOST_REPEATED as usize);
        assert!(sheet.is_cut && sheet.without_result == 1);
        let row = "<table:table-row table:number-rows-repeated='1000'><table:table-cell
            table:number-columns-repeated='1000'><text:p>long enough to count</text:p></table:table-cell></table:table-row>";
        assert_eq!(read(&row.repeat(5)).room, 0);
    }

    #[test]
    fn what_is_left_out_takes_nothing_with_it() {
        let book = read(
            "<table:shapes><draw:frame><office:event-listeners><script:event-listener/></office:event-listeners>
            <text:p>A button</text:p></draw:frame><draw:frame><office:event-listeners/></draw:frame></table:shapes>
            <table:table-row><table:table-cell><text:p>kept</text:p></table:table-cell></table:table-row>",
        );
        assert_eq!(
            book.sheets[0].texts().unwrap(),
            ["# Fees (A1:A1)\n\n| kept |"]
        );
        assert_eq!(book.notes, ["A button"]);
    }
}
