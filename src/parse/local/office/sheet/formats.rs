//! Number formats of the cells of an xls, which calamine does not tell: the records of its workbook stream
//! ([MS-XLS] 2.4) that have numbers, by the format their cells have.

use std::collections::HashMap;

use crate::parse::local::office::ole::Ole;

// Kinds of records, [MS-XLS] 2.3.
const END: u16 = 0x000A;
const BOUND_SHEET: u16 = 0x0085;
const FORMAT: u16 = 0x041E;
const XF: u16 = 0x00E0;
const NUMBER: u16 = 0x0203;
const RK: u16 = 0x027E;
const MULTIPLE_RK: u16 = 0x00BD;
const FORMULA: u16 = 0x0006;
const BEGIN: u16 = 0x0809;
/// The version of records since Excel 97.
const BIFF8: u16 = 0x0600;

/// Row and column, from 0.
type Place = (u32, u32);

/// Formats by sheet and place.
#[derive(Default)]
pub struct Formats {
    codes: Vec<Option<String>>,
    sheets: HashMap<String, HashMap<Place, u16>>,
}

impl Formats {
    /// Those of a compound file; none where there is no workbook of Excel 97 or later.
    pub fn of(bytes: &[u8]) -> Self {
        let Ok(mut ole) = Ole::open(bytes) else {
            return Self::default();
        };
        Self::in_stream(&ole.stream("/Workbook"))
    }

    fn in_stream(book: &[u8]) -> Self {
        let mut names: HashMap<u16, String> = HashMap::new();
        let mut styles: Vec<u16> = Vec::new();
        let mut places: Vec<(String, usize)> = Vec::new();
        for (kind, body) in records(book, 0) {
            match kind {
                BEGIN if u16_at(body, 0) != Some(BIFF8) => return Self::default(),
                FORMAT => names.extend(u16_at(body, 0).zip(text(body, 2, 2))),
                XF => styles.push(u16_at(body, 2).unwrap_or(0)),
                BOUND_SHEET => {
                    let place = u16_at(body, 0).zip(u16_at(body, 2));
                    let place = place.map(|(low, high)| usize::from(low) | usize::from(high) << 16);
                    places.extend(text(body, 6, 1).zip(place));
                }
                _ => {}
            }
        }
        let code = |format: &u16| {
            let built_in = || built_in(*format).map(str::to_owned);
            names.get(format).cloned().or_else(built_in)
        };
        let codes: Vec<Option<String>> = styles.iter().map(code).collect();
        let tells = |style: u16| codes.get(usize::from(style)).is_some_and(Option::is_some);
        let sheets = places.into_iter().map(|(name, at)| {
            let cells = cells(book, at).filter(|(_, style)| tells(*style));
            (name, cells.collect())
        });
        Self {
            sheets: sheets.collect(),
            codes,
        }
    }

    /// The format of a cell, where it has one of its own.
    pub fn get(&self, sheet: &str, place: Place) -> Option<&str> {
        let style = self.sheets.get(sheet)?.get(&place)?;
        self.codes.get(usize::from(*style))?.as_deref()
    }
}

/// Codes of formats that files need not spell out, [MS-XLS] 2.4.126 and ECMA-376, 18.8.30.
fn built_in(format: u16) -> Option<&'static str> {
    Some(match format {
        3 => "#,##0",
        4 => "#,##0.00",
        9 => "0%",
        10 => "0.00%",
        37 | 38 => "#,##0",
        39 | 40 => "#,##0.00",
        _ => return None,
    })
}

/// The records from `at` to the end of their part of the stream.
fn records(book: &[u8], mut at: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut ended = false;
    std::iter::from_fn(move || {
        let kind = u16_at(book, at).filter(|_| !ended)?;
        let length = usize::from(u16_at(book, at + 2)?);
        let body = book.get(at + 4..at + 4 + length)?;
        at += 4 + length;
        ended = kind == END;
        Some((kind, body))
    })
}

/// The cells with numbers of the sheet that begins at `at`, with their styles.
fn cells(book: &[u8], at: usize) -> impl Iterator<Item = (Place, u16)> {
    records(book, at).flat_map(|(kind, body)| {
        let count = match kind {
            NUMBER | RK | FORMULA => 1,
            // Row and first column, six bytes a cell, last column.
            MULTIPLE_RK => body.len().saturating_sub(6) / 6,
            _ => 0,
        };
        (0..count).filter_map(|index| {
            let (row, column) = (u16_at(body, 0)?, u16_at(body, 2)?);
            let style = u16_at(body, 4 + 6 * index)?;
            Some(((u32::from(row), u32::from(column) + index as u32), style))
        })
    })
}

/// A text with its length, of `width` bytes, before it.
fn text(body: &[u8], at: usize, width: usize) -> Option<String> {
    let length = match width {
        1 => usize::from(*body.get(at)?),
        _ => usize::from(u16_at(body, at)?),
    };
    let is_wide = body.get(at + width)? & 1 == 1;
    let start = at + width + 1;
    match is_wide {
        true => {
            let bytes = body.get(start..start + 2 * length)?;
            let (text, _) = encoding_rs::UTF_16LE.decode_without_bom_handling(bytes);
            Some(text.into_owned())
        }
        // The low bytes of UTF-16 whose high ones are zero.
        false => {
            let bytes = body.get(start..start + length)?;
            Some(bytes.iter().map(|byte| char::from(*byte)).collect())
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u16, body: &[u8]) -> Vec<u8> {
        let head = [kind.to_le_bytes(), (body.len() as u16).to_le_bytes()];
        [head.concat(), body.to_vec()].concat()
    }

    #[test]
    fn formats_are_found_by_sheet_and_place() {
        let mut book = [
            record(BEGIN, &[0, 6, 5, 0]),
            record(FORMAT, &[164, 0, 3, 0, 1, b'0', 0, 0xD0, 0xC6, b'0', 0]),
            record(XF, &[0, 0, 0, 0]),
            record(XF, &[0, 0, 164, 0]),
            record(XF, &[0, 0, 9, 0]),
        ]
        .concat();
        let sheet = book.len() + 4 + 10 + 4;
        let place = (sheet as u32).to_le_bytes();
        let name = [0, 0, 2, 0, b'F', b'1'];
        book.extend(record(BOUND_SHEET, &[&place[..], &name].concat()));
        book.extend(record(END, &[]));
        assert_eq!(book.len(), sheet);
        book.extend(record(NUMBER, &[1, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
        let several = [3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 2, 0];
        book.extend(record(MULTIPLE_RK, &several));
        book.extend(record(END, &[]));
        book.extend(record(RK, &[9, 0, 9, 0, 1, 0, 0, 0, 0, 0]));
        let formats = Formats::in_stream(&book);
        assert_eq!(formats.get("F1", (1, 2)), Some("0원0"));
        assert_eq!(formats.get("F1", (3, 1)), None);
        assert_eq!(formats.get("F1", (3, 2)), Some("0%"));
        assert_eq!(formats.get("F1", (9, 9)), None);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for length in 0..200 {
            let bytes: Vec<u8> = (0..length).map(|n| (n * 37 + length) as u8).collect();
            Formats::in_stream(&bytes);
            Formats::of(&bytes);
        }
    }
}
