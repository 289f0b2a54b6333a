//! Word documents of 1993 to 2003 (doc, [MS-DOC]): the text by its piece table, pages by its page breaks,
//! table rows by their marks. Styles are not read, so headings are paragraphs.

use std::collections::HashSet;

use encoding_rs::{EUC_KR, Encoding, GBK, SHIFT_JIS, UTF_16LE, WINDOWS_1252};

use super::super::archive::password;
use super::super::flow::Flow;
use super::ole::Ole;
use super::properties;
use crate::document::Parsed;
use crate::parse::ParseError;

/// Pieces of the largest documents number in the thousands.
const MOST_PIECES: usize = 1_000_000;
/// The first version (`nFib`) with a table stream and Unicode text: Word 97.
const WORD_97: u16 = 0xC1;

/// # Errors
/// When the container or the text's place in it cannot be read, or a password is needed.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let mut ole = Ole::open(bytes)?;
    let main = ole.stream("/WordDocument");
    let u16_at = |at: usize| read(&main, at).map(u16::from_le_bytes);
    let u32_at = |at: usize| read(&main, at).map(u32::from_le_bytes);
    let (Some(version), Some(flags)) = (u16_at(2), u16_at(0x0A)) else {
        return Err(damaged());
    };
    if flags & 0x0100 != 0 {
        return Err(password());
    }
    let text = match version < WORD_97 {
        true => {
            let range = u32_at(0x18).zip(u32_at(0x1C)).ok_or_else(damaged)?;
            let bytes = main.get(range.0 as usize..(range.1 as usize).min(main.len()));
            let language = u16_at(6).unwrap_or(0);
            let (text, _) =
                code_page(language).decode_without_bom_handling(bytes.ok_or_else(damaged)?);
            text.chars().collect()
        }
        false => {
            let table = ole.stream(match flags & 0x0200 {
                0 => "/0Table",
                _ => "/1Table",
            });
            let place = u32_at(0x01A2).zip(u32_at(0x01A6)).ok_or_else(damaged)?;
            let end = (place.0 as usize)
                .saturating_add(place.1 as usize)
                .min(table.len());
            let clx = table.get(place.0 as usize..end).ok_or_else(damaged)?;
            pieces(&main, clx).ok_or_else(damaged)?
        }
    };
    // Lengths of the text itself, footnotes, headers, macros, comments, endnotes, text boxes.
    let lengths =
        [0x4C, 0x50, 0x54, 0x58, 0x5C, 0x60, 0x64].map(|at| u32_at(at).unwrap_or(0) as usize);
    let lengths = match version < WORD_97 {
        true => {
            [0x34, 0x38, 0x3C, 0x40, 0x44, 0x48, 0x4C].map(|at| u32_at(at).unwrap_or(0) as usize)
        }
        false => lengths,
    };
    let (details, title) = properties::property_set(&ole.stream("/\u{5}SummaryInformation"));
    Ok(Parsed {
        pages: compose(&text, lengths).pages(),
        title,
        details,
    })
}

fn damaged() -> ParseError {
    ParseError::unreadable_here(
        "its text cannot be found, the file is damaged or not complete",
        "saving it anew in its own program often helps",
    )
}

fn read<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// What text without Unicode is written in, by the language of the document.
fn code_page(language: u16) -> &'static Encoding {
    match language & 0x3FF {
        0x12 => EUC_KR,
        0x11 => SHIFT_JIS,
        0x04 => GBK,
        _ => WINDOWS_1252,
    }
}

/// The characters in the order of the piece table, [MS-DOC] 2.9.38 and 2.8.35.
fn pieces(main: &[u8], clx: &[u8]) -> Option<Vec<char>> {
    let mut at = 0;
    // Formatting of pieces comes first.
    while *clx.get(at)? == 1 {
        at += 3 + u16::from_le_bytes(read(clx, at + 1)?) as usize;
    }
    let length = u32::from_le_bytes(read(clx, at + 1)?) as usize;
    let plc = clx.get(at + 5..(at + 5).checked_add(length)?.min(clx.len()))?;
    let count = (plc.len().checked_sub(4)? / 12).min(MOST_PIECES);
    let cp = |index: usize| read(plc, 4 * index).map(u32::from_le_bytes);
    let mut text = Vec::new();
    for index in 0..count {
        let (from, to) = (cp(index)?, cp(index + 1)?);
        let place = u32::from_le_bytes(read(plc, 4 * (count + 1) + 8 * index + 2)?);
        let chars = to.saturating_sub(from) as usize;
        let narrow = place & 0x4000_0000 != 0;
        let start = (place & 0x3FFF_FFFF) as usize / if narrow { 2 } else { 1 };
        let end = start
            .saturating_add(chars * if narrow { 1 } else { 2 })
            .min(main.len());
        let Some(bytes) = main.get(start..end) else {
            continue;
        };
        let encoding = if narrow { WINDOWS_1252 } else { UTF_16LE };
        text.extend(encoding.decode_without_bom_handling(bytes).0.chars());
        // Overlapping pieces of a damaged table could repeat the file without end.
        if text.len() > super::super::MAX_TEXT {
            break;
        }
    }
    Some(text)
}

fn compose(text: &[char], lengths: [usize; 7]) -> Flow {
    let [body, foot, headers, macros, comments, end, boxes] = lengths;
    let mut at = 0;
    let mut take = |length: usize| {
        let start = at.min(text.len());
        at = start.saturating_add(length).min(text.len());
        &text[start..at]
    };
    let body = match take(body) {
        // A length that is not true loses nothing.
        [] => text,
        body => body,
    };
    let foot = take(foot);
    let headers = take(headers);
    take(macros);
    let (comments, end, boxes) = (take(comments), take(end), take(boxes));
    let mut flow = Flow::default();
    speak(body, &mut flow);
    speak(boxes, &mut flow);
    for part in [foot, end, comments] {
        for paragraph in part.split(|c| *c == '\r') {
            flow.note(&plain(paragraph));
        }
    }
    let mut said = HashSet::new();
    for paragraph in headers.split(|c| *c == '\r') {
        let line = plain(paragraph);
        if said.insert(line.clone()) {
            flow.note(&line);
        }
    }
    flow
}

/// Paragraphs, rows and page breaks.
fn speak(text: &[char], flow: &mut Flow) {
    let mut cells: Vec<String> = Vec::new();
    let mut cell = String::new();
    let mut from = 0;
    for (at, c) in text.iter().enumerate() {
        if !matches!(c, '\r' | '\u{7}' | '\u{C}') {
            continue;
        }
        let part = plain(&text[from..at]);
        from = at + 1;
        match c {
            // In a table, the mark that follows the last cell's ends the row.
            '\u{7}' if part.is_empty() && cell.is_empty() && at > 0 && text[at - 1] == '\u{7}' => {
                flow.row(&cells);
                cells.clear();
            }
            '\u{7}' => {
                cell.push_str(&part);
                cells.push(std::mem::take(&mut cell));
            }
            '\r' if !cells.is_empty() => {
                cell.push_str(&part);
                cell.push(' ');
            }
            // It may be the first paragraph of a row's first cell, which only its end would tell.
            _ => flow.paragraph(&part),
        }
        if *c == '\u{C}' {
            flow.page_break();
        }
    }
    flow.row(&cells);
    flow.paragraph(&plain(&text[from..]));
}

/// Without marks of pictures and notes, and of fields only what they show.
fn plain(text: &[char]) -> String {
    let mut shown = String::new();
    // For each open field, whether its result has begun.
    let mut fields: Vec<bool> = Vec::new();
    for c in text {
        match c {
            '\u{13}' => fields.push(false),
            '\u{14}' => {
                if let Some(field) = fields.last_mut() {
                    *field = true;
                }
            }
            '\u{15}' => drop(fields.pop()),
            _ if fields.contains(&false) => {}
            '\u{B}' => shown.push('\n'),
            '\u{1E}' => shown.push('-'),
            '\t' => shown.push('\t'),
            c if c.is_control() => {}
            c => shown.push(*c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let text: Vec<char> = text.chars().collect();
        compose(&text, [text.len(), 0, 0, 0, 0, 0, 0]).one_page()
    }

    #[test]
    fn fields_show_their_result() {
        assert_eq!(
            said("See \u{13} HYPERLINK \"x\" \u{14}the page\u{15}.\rNext\r"),
            "See the page.\n\nNext"
        );
    }

    #[test]
    fn cells_make_rows() {
        assert_eq!(
            said("Fees\rboat\u{7}fee\u{7}\u{7}small\u{7}20\u{7}\u{7}End\r"),
            "Fees\n\n| boat | fee |\n| small | 20 |\n\nEnd"
        );
    }
}
