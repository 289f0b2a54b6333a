//! Spreadsheets (xlsx, xlsm, xlsb, xls). A page is a range of rows of one sheet: its name and the
//! range first, then the head row, then the rows. What text boxes and charts say is on one more at the end.

mod formats;
mod numbers;

use std::io::Cursor;
use std::panic::AssertUnwindSafe;

use calamine::{
    Data, Range, Reader as _, SheetVisible, Sheets, StyleRange, open_workbook_auto_from_rs,
};

use self::formats::Formats;
use self::numbers::{float, formatted};
use super::super::MAX_TEXT;
use super::super::archive::{Archive, broken, password};
use super::super::flow::page;
use super::super::grid::{self, Row};
use super::{drawing, properties};
use crate::document::{Page, Parsed};
use crate::parse::ParseError;

/// # Errors
/// When the workbook is damaged or protected with a password.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let rebuilt = match bytes.starts_with(b"PK").then(|| Archive::open(bytes)) {
        Some(Ok(mut archive)) if archive.is_damaged() => archive.rebuilt(),
        _ => None,
    };
    let bytes = rebuilt.as_deref().unwrap_or(bytes);
    let opened = std::panic::catch_unwind(|| open_workbook_auto_from_rs(Cursor::new(bytes)));
    let mut book = match opened {
        Ok(book) => book.map_err(|error| refusal(&error))?,
        Err(_) => return Err(damaged("its reader gave up")),
    };
    let sheets = book.sheets_metadata().to_vec();
    let of_xls = match book {
        Sheets::Xls(_) => Formats::of(bytes),
        _ => Formats::default(),
    };
    let (mut pages, mut notes, mut size) = (Vec::new(), Vec::new(), 0);
    for (at, sheet) in sheets.iter().enumerate() {
        // What is wrong with one sheet is not the others' fault, even where it makes the reader panic.
        let read = std::panic::catch_unwind(AssertUnwindSafe(|| book.worksheet_range_at(at)));
        let range = match read {
            Ok(Some(Ok(range))) => range,
            Ok(Some(Err(_))) | Err(_) => {
                notes.push(format!(
                    "the sheet {} is damaged and was not read",
                    sheet.name
                ));
                pages.push(Page {
                    number: pages.len() as u32 + 1,
                    text: String::new(),
                    verdict: crate::document::Verdict::Failed,
                });
                continue;
            }
            Ok(None) => continue,
        };
        if sheet.visible != SheetVisible::Visible {
            notes.push(format!("the sheet {} is hidden", sheet.name));
        }
        notes.extend(unanswered(&mut book, &sheet.name, &range));
        let styles = styles(&mut book, &sheet.name);
        let formats = |row, column| match &styles {
            Some(styles) => format(styles, row, column),
            None => of_xls.get(&sheet.name, (row, column)),
        };
        let rows = rows(&range, &formats);
        let left = range.start().map_or(0, |(_, left)| left);
        let right = range.end().map_or(0, |(_, right)| right);
        for text in texts(&sheet.name, (left, right), &rows) {
            size += text.len();
            pages.push(page(pages.len() as u32 + 1, text));
            if size > MAX_TEXT {
                return Err(super::super::read::too_much_text());
            }
        }
    }
    if pages.is_empty() {
        return Err(ParseError::document("the workbook has no sheets"));
    }
    let (mut details, title) = match Archive::open(bytes) {
        Ok(mut archive) => {
            let boxes = drawing::words(
                &mut archive,
                &[
                    "xl/drawings/drawing",
                    "xl/charts/chart",
                    "xl/comments",
                    "xl/comments/comment",
                ],
            );
            if !boxes.is_empty() {
                pages.push(page(pages.len() as u32 + 1, boxes.join("\n\n")));
            }
            properties::ooxml(&mut archive)
        }
        Err(_) => super::ole::summary(bytes),
    };
    details.notes = notes;
    Ok(Parsed {
        pages,
        title,
        details,
    })
}

fn refusal(error: &calamine::Error) -> ParseError {
    let said = error.to_string();
    if said.to_lowercase().contains("password") || said.to_lowercase().contains("encrypt") {
        return password();
    }
    damaged(&said)
}

pub fn damaged(why: &str) -> ParseError {
    broken(format!("the workbook is damaged ({why})"))
}

/// A word on formulas whose results the file does not hold.
fn unanswered(book: &mut Sheets<Cursor<&[u8]>>, name: &str, range: &Range<Data>) -> Option<String> {
    let formulas = book.worksheet_formula(name).ok()?;
    let (top, left) = formulas.start()?;
    let lacks = |&(row, column, formula): &(usize, usize, &String)| {
        let at = (top + row as u32, left + column as u32);
        !formula.is_empty()
            && range
                .get_value(at)
                .is_none_or(|value| *value == Data::Empty)
    };
    without_result(name, formulas.used_cells().filter(lacks).count() as u64)
}

/// That a sheet has so many formulas without a result, unless it has none.
pub fn without_result(name: &str, lacking: u64) -> Option<String> {
    let formulas = crate::text::count(lacking, "formula");
    (lacking > 0).then(|| {
        format!("the sheet {name} has {formulas} without a result; opening and saving the file adds them")
    })
}

/// The formats of a sheet's cells, where they can be had.
fn styles(book: &mut Sheets<Cursor<&[u8]>>, name: &str) -> Option<StyleRange> {
    match book {
        Sheets::Xlsx(book) => book.worksheet_style(name).ok(),
        _ => None,
    }
}

/// The number format of a cell.
fn format(styles: &StyleRange, row: u32, column: u32) -> Option<&str> {
    let format = styles.get((row, column))?.number_format.as_ref()?;
    Some(format.format_code.as_str())
}

/// The rows of a sheet in which something is said.
fn rows<'a>(range: &Range<Data>, formats: &dyn Fn(u32, u32) -> Option<&'a str>) -> Vec<Row> {
    let Some((top, left)) = range.start() else {
        return Vec::new();
    };
    let mut rows: Vec<Row> = Vec::new();
    for (row, cells) in (top..).zip(range.rows()) {
        let shown = (left..)
            .zip(cells)
            .map(|(column, cell)| show(cell, &|| formats(row, column)));
        let shown: Vec<String> = shown.collect();
        if shown.iter().any(|cell| !cell.trim().is_empty()) {
            rows.push((row, shown));
        }
    }
    rows
}

/// The pages of one sheet, of which the columns from `left` to `right` are used.
pub fn texts(name: &str, (left, right): (u32, u32), rows: &[Row]) -> Vec<String> {
    if rows.is_empty() {
        // Without a cell there is its name alone, which makes page numbers those of the sheets.
        return vec![format!("# {name}")];
    }
    let (left, right) = (column_name(left), column_name(right));
    grid::pages(rows, &|first, last| {
        Some(format!("{name} ({left}{}:{right}{})", first + 1, last + 1))
    })
}

/// A cell as its program shows it, as far as that can be told.
fn show<'a>(cell: &Data, format: &dyn Fn() -> Option<&'a str>) -> String {
    match cell {
        Data::Empty => String::new(),
        Data::String(text) => text.clone(),
        Data::Int(number) => match format() {
            Some(format) => formatted(*number as f64, format),
            None => number.to_string(),
        },
        Data::Float(number) => formatted(*number, format().unwrap_or_default()),
        Data::Bool(true) => "TRUE".to_owned(),
        Data::Bool(false) => "FALSE".to_owned(),
        Data::DateTime(time) if time.is_duration() => time.as_duration().map_or_else(
            || float(time.as_f64()),
            |time| {
                let minutes = time.num_minutes();
                format!(
                    "{}:{:02}:{:02}",
                    minutes / 60,
                    minutes % 60,
                    time.num_seconds() % 60
                )
            },
        ),
        Data::DateTime(time) => time.as_datetime().map_or_else(
            || float(time.as_f64()),
            |when| match time.as_f64() {
                days if days < 1.0 => when.format("%H:%M:%S").to_string(),
                days if days.fract() == 0.0 => when.format("%Y-%m-%d").to_string(),
                _ => when.format("%Y-%m-%d %H:%M:%S").to_string(),
            },
        ),
        Data::DateTimeIso(text) => text.trim_end_matches("T00:00:00").replace('T', " "),
        Data::DurationIso(text) => clock(text).unwrap_or_else(|| text.clone()),
        Data::Error(error) => error.to_string(),
    }
}

/// `PT14H05M00S` as `14:05:00`.
pub fn clock(duration: &str) -> Option<String> {
    let (hours, rest) = duration.strip_prefix("PT")?.split_once('H')?;
    let (minutes, rest) = rest.split_once('M')?;
    let seconds = rest.strip_suffix('S')?.split('.').next()?;
    Some(format!("{hours}:{minutes}:{seconds}"))
}

/// `A` for 0, `AA` for 26.
pub fn column_name(mut column: u32) -> String {
    let mut name = Vec::new();
    loop {
        name.push(b'A' + (column % 26) as u8);
        match column / 26 {
            0 => break,
            more => column = more - 1,
        }
    }
    name.iter().rev().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_shown_as_people_see_them() {
        assert_eq!(show(&Data::Float(0.1 + 0.2), &|| None), "0.3");
        assert_eq!(show(&Data::Float(1_234_567.0), &|| None), "1234567");
        assert_eq!(show(&Data::Float(0.125), &|| Some("0.0%")), "12.5%");
        assert_eq!(clock("PT14H05M00S").as_deref(), Some("14:05:00"));
        assert_eq!(column_name(0), "A");
        assert_eq!(column_name(701), "ZZ");
        assert_eq!(column_name(702), "AAA");
    }
}
