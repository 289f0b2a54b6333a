//! Word documents of 1993 to 2003 (doc, [MS-DOC]): the text by its piece table, pages by its page breaks,
//! table rows by their marks, headings by their styles.

mod formatting;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use encoding_rs::{EUC_KR, Encoding, GBK, SHIFT_JIS, WINDOWS_1252};

use self::formatting::{Formatting, Paragraph};
use super::super::archive::{broken, password};
use super::super::flow::Flow;
use super::ole::Ole;
use super::properties;
use crate::document::Parsed;
use crate::parse::ParseError;

/// Pieces of the largest documents number in the thousands.
const MOST_PIECES: usize = 1_000_000;
/// Stands where nothing is shown.
const BLANK: char = '\0';
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
            Text {
                chars: text.chars().collect(),
                ..Text::default()
            }
        }
        false => {
            let table = ole.stream(match flags & 0x0200 {
                0 => "/0Table",
                _ => "/1Table",
            });
            // The tables by where the file says their place and length, [MS-DOC] 2.5.6.
            let part = |at: usize| {
                let (start, length) = u32_at(at).zip(u32_at(at + 4))?;
                let end = (start as usize).saturating_add(length as usize);
                table.get(start as usize..end.min(table.len()))
            };
            let [of_text, of_paragraphs] = [0xFA, 0x102].map(|at| part(at).unwrap_or_default());
            let formatting = Formatting::new(&main, of_paragraphs, of_text);
            let mut text = pieces(&main, part(0x01A2).ok_or_else(damaged)?, &formatting)
                .ok_or_else(damaged)?;
            if let (Some(marks), Some(bounds)) = (part(0xAA), part(0xB2)) {
                text.notes = notes(marks, bounds);
            }
            text
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
    broken("its text cannot be found, the file is damaged or not complete")
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

/// The text of a document by its character positions (CP, [MS-DOC] 2.2.1).
#[derive(Default)]
struct Text {
    chars: Vec<char>,
    /// What is special about the paragraphs whose marks stand there.
    paragraphs: HashMap<usize, Paragraph>,
    /// Where footnotes are called, and where in the text of all footnotes each stands.
    notes: BTreeMap<usize, Range<usize>>,
}

/// The footnotes: where they are called ([MS-DOC] 2.8.18 PlcffndRef), and where each begins (2.8.19
/// PlcffndTxt).
fn notes(marks: &[u8], bounds: &[u8]) -> BTreeMap<usize, Range<usize>> {
    let count = marks.len().saturating_sub(4) / 6;
    let cp = |of: &[u8], index: usize| Some(u32::from_le_bytes(read(of, 4 * index)?) as usize);
    let found = (0..count).map_while(|index| {
        let place = cp(bounds, index)?..cp(bounds, index + 1)?;
        Some((cp(marks, index)?, place))
    });
    found.collect()
}

/// The characters in the order of the piece table, [MS-DOC] 2.9.38 and 2.8.35; those that are deleted or
/// hidden are left blank.
fn pieces(main: &[u8], clx: &[u8], formatting: &Formatting) -> Option<Text> {
    let mut at = 0;
    // Formatting of pieces comes first.
    while *clx.get(at)? == 1 {
        at += 3 + u16::from_le_bytes(read(clx, at + 1)?) as usize;
    }
    let length = u32::from_le_bytes(read(clx, at + 1)?) as usize;
    let plc = clx.get(at + 5..(at + 5).checked_add(length)?.min(clx.len()))?;
    let count = (plc.len().checked_sub(4)? / 12).min(MOST_PIECES);
    let cp = |index: usize| read(plc, 4 * index).map(u32::from_le_bytes);
    let mut text = Text::default();
    for index in 0..count {
        let (from, to) = (cp(index)?, cp(index + 1)?);
        let place = u32::from_le_bytes(read(plc, 4 * (count + 1) + 8 * index + 2)?);
        let chars = to.saturating_sub(from) as usize;
        let narrow = place & 0x4000_0000 != 0;
        let width = if narrow { 1 } else { 2 };
        let start = (place & 0x3FFF_FFFF) as usize * width / 2;
        let end = start.saturating_add(chars * width).min(main.len());
        let Some(bytes) = main.get(start..end) else {
            continue;
        };
        let decoded = match narrow {
            true => WINDOWS_1252
                .decode_without_bom_handling(bytes)
                .0
                .chars()
                .collect(),
            false => wide(bytes),
        };
        for (offset, c) in decoded.into_iter().enumerate() {
            let at = (start + offset * width) as u32;
            if matches!(c, '\r' | '\u{7}' | '\u{C}') {
                let paragraph = formatting.paragraph(at);
                if paragraph != Paragraph::default() {
                    text.paragraphs.insert(text.chars.len(), paragraph);
                }
            }
            let is_unseen = !c.is_control() && formatting.is_unseen(at);
            text.chars.push(if is_unseen { BLANK } else { c });
        }
        // Overlapping pieces of a damaged table could repeat the file without end.
        if text.chars.len() > super::super::MAX_TEXT {
            break;
        }
    }
    Some(text)
}

/// UTF-16 with a place for each of its units: the second of a pair is blank.
fn wide(bytes: &[u8]) -> Vec<char> {
    let units = bytes
        .as_chunks()
        .0
        .iter()
        .map(|unit| u16::from_le_bytes(*unit));
    let mut chars = Vec::with_capacity(bytes.len() / 2);
    for c in char::decode_utf16(units) {
        let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
        chars.push(c);
        if c.len_utf16() == 2 {
            chars.push(BLANK);
        }
    }
    chars
}

fn compose(text: &Text, lengths: [usize; 7]) -> Flow {
    let [body, foot, headers, macros, comments, end, boxes] = lengths;
    let most = text.chars.len();
    let mut at = 0usize;
    let mut take = |length: usize| {
        let start = at;
        at = start.saturating_add(length).min(most);
        start..at
    };
    let body = match take(body) {
        // A length that is not true loses nothing.
        body if body.is_empty() => 0..most,
        body => body,
    };
    let foot = take(foot);
    let headers = take(headers);
    take(macros);
    let (comments, end, boxes) = (take(comments), take(end), take(boxes));
    let mut flow = Flow::default();
    let mut noted = foot.start;
    speak(text, body, &mut flow, |called, flow| {
        for place in text.notes.range(called).map(|(_, place)| place) {
            let place = foot.start + place.start..(foot.start + place.end).min(foot.end);
            if place.start >= noted && place.start < place.end {
                noted = place.end;
                note(text, place, flow);
            }
        }
    });
    speak(text, boxes, &mut flow, |_, _| {});
    for part in [noted..foot.end, end, comments] {
        note(text, part, &mut flow);
    }
    let mut said = HashSet::new();
    for paragraph in text.chars[headers].split(|c| *c == '\r') {
        let line = plain(paragraph);
        if said.insert(line.clone()) {
            flow.note(&line);
        }
    }
    flow
}

/// A part of the text for the foot of the page.
fn note(text: &Text, part: Range<usize>, flow: &mut Flow) {
    for paragraph in text.chars[part].split(|c| *c == '\r') {
        flow.note(&plain(paragraph));
    }
}

/// Paragraphs, rows and page breaks. `notes` is told of each stretch of the text once it is said.
fn speak(
    text: &Text,
    part: Range<usize>,
    flow: &mut Flow,
    mut notes: impl FnMut(Range<usize>, &mut Flow),
) {
    let mut cells: Vec<String> = Vec::new();
    let mut cell = String::new();
    let mut from = part.start;
    // Whether nothing stands on this page yet, so that a new one would leave it blank.
    let mut is_fresh = true;
    let knows_rows = text.paragraphs.values().any(|set| set.ends_row);
    let chars = &text.chars;
    for at in part.clone() {
        let c = chars[at];
        if !matches!(c, '\r' | '\u{7}' | '\u{C}') {
            continue;
        }
        let part = plain(&chars[from..at]);
        let set = text.paragraphs.get(&at).copied().unwrap_or_default();
        let follows_cell = at > 0 && chars[at - 1] == '\u{7}';
        // Where no properties say so, the mark that follows the last cell's ends the row.
        let ends_row = match knows_rows {
            true => set.ends_row,
            false => part.is_empty() && cell.is_empty() && follows_cell,
        };
        let said = from..at;
        from = at + 1;
        match c {
            '\u{7}' if ends_row => {
                flow.row(&cells);
                cells.clear();
                cell.clear();
            }
            '\u{7}' => {
                cell.push_str(&part);
                cells.push(std::mem::take(&mut cell));
            }
            '\r' if !cells.is_empty() || set.in_table => {
                cell.push_str(&part);
                cell.push(' ');
            }
            _ => {
                if set.on_new_page && !is_fresh {
                    flow.page_break();
                }
                match set.level {
                    0 => flow.paragraph(&part),
                    level => flow.heading(usize::from(level), &part),
                }
            }
        }
        notes(said, flow);
        is_fresh = c == '\u{C}' || (is_fresh && part.is_empty());
        if c == '\u{C}' {
            flow.page_break();
        }
    }
    flow.row(&cells);
    flow.paragraph(&plain(&chars[from..part.end]));
    notes(from..part.end, flow);
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
        let text = Text {
            chars: text.chars().collect(),
            ..Text::default()
        };
        compose(&text, [text.chars.len(), 0, 0, 0, 0, 0, 0]).one_page()
    }

    #[test]
    fn paragraphs_are_headings_and_begin_pages_and_notes_stand_where_they_are_called() {
        let chars: Vec<char> =
            "Fees\rIn force.\u{2}\rRules\rAll new.\u{2}\r\u{2} Since May.\r\u{2} Since June.\r"
                .chars()
                .collect();
        let at = |c: char, nth: usize| {
            let places = chars.iter().enumerate().filter(|(_, other)| **other == c);
            places.map(|(at, _)| at).nth(nth).unwrap()
        };
        let foot = at('\r', 3) + 1;
        let heading = |on_new_page| Paragraph {
            level: 1,
            on_new_page,
            ..Paragraph::default()
        };
        let text = Text {
            paragraphs: [(at('\r', 0), heading(false)), (at('\r', 2), heading(true))].into(),
            notes: [(at('\u{2}', 0), 0..13), (at('\u{2}', 1), 13..28)].into(),
            chars: chars.clone(),
        };
        let pages = compose(&text, [foot, chars.len() - foot, 0, 0, 0, 0, 0]).pages();
        let pages: Vec<&str> = pages.iter().map(|page| page.text.as_str()).collect();
        assert_eq!(
            pages,
            [
                "# Fees\n\nIn force.\n\nSince May.",
                "# Rules\n\nAll new.\n\nSince June."
            ]
        );
    }

    #[test]
    fn empty_cells_end_no_row_where_rows_are_known() {
        let chars: Vec<char> = "a\r\u{7}\u{7}c\u{7}\u{7}\u{7}d\u{7}e\u{7}\u{7}End\r"
            .chars()
            .collect();
        let set = |in_table, ends_row| Paragraph {
            in_table,
            ends_row,
            ..Paragraph::default()
        };
        let text = Text {
            paragraphs: [
                (1, set(true, false)),
                (6, set(true, true)),
                (12, set(true, true)),
            ]
            .into(),
            chars,
            ..Text::default()
        };
        let flow = compose(&text, [text.chars.len(), 0, 0, 0, 0, 0, 0]);
        assert_eq!(flow.one_page(), "| a |  | c |\n|  | d | e |\n\nEnd");
    }

    #[test]
    fn a_pair_takes_two_places() {
        let bytes: Vec<u8> = "a😀b".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(wide(&bytes), ['a', '😀', BLANK, 'b']);
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
