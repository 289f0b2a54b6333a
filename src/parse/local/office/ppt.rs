//! Presentations of 1997 to 2003 (ppt, [MS-PPT]): a slide is a page, its notes at the foot.

use std::collections::HashMap;

use super::super::archive::{broken, password};
use super::super::flow::{Flow, page};
use super::ole::Ole;
use super::properties;
use crate::document::Parsed;
use crate::parse::ParseError;

// Record types, [MS-PPT] 2.13.24.
const DOCUMENT: u16 = 0x03E8;
const SLIDE_ATOM: u16 = 0x03EF;
const SLIDE_PERSIST: u16 = 0x03F3;
const LIST_WITH_TEXT: u16 = 0x0FF0;
const USER_EDIT: u16 = 0x0FF5;
const PERSIST_DIRECTORY: u16 = 0x1772;
const OUTLINE_REF: u16 = 0x0F9E;
const TEXT_HEADER: u16 = 0x0F9F;
const TEXT_CHARS: u16 = 0x0FA0;
const TEXT_BYTES: u16 = 0x0FA8;
/// The drawing layer's groups, properties, places in a group and text boxes, [MS-ODRAW] 2.2.
const GROUP: u16 = 0xF003;
const PROPERTIES: u16 = 0xF122;
const ANCHOR: u16 = 0xF00F;
const TEXT_BOX: u16 = 0xF00D;
/// The property whose first bit makes a group a table, [MS-ODRAW] 2.3.4.37.
const TABLE: u16 = 0x039F;
/// The token of a "Current User" stream whose presentation is encrypted.
const ENCRYPTED: u32 = 0xF3D1_C4DF;
/// Edits of one file since it was last saved whole; a loop of broken ones ends.
const MOST_EDITS: usize = 1_000;
/// Containers in containers.
const DEEPEST: usize = 40;

/// # Errors
/// When the container cannot be read, holds no text stream, or needs a password.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let mut ole = Ole::open(bytes)?;
    let data = ole.stream("/PowerPoint Document");
    let user = ole.stream("/Current User");
    if u32_at(&user, 12) == Some(ENCRYPTED) {
        return Err(password());
    }
    if data.is_empty() {
        return Err(broken("its slides cannot be found, the file is damaged"));
    }
    let texts = u32_at(&user, 16)
        .and_then(|edit| slides(&data, edit as usize))
        .filter(|slides| slides.iter().any(|slide| !slide.is_empty()))
        // Without its tables, all that is said comes on one page.
        .unwrap_or_else(|| vec![everything(&data)]);
    let (details, title) = properties::property_set(&ole.stream("/\u{5}SummaryInformation"));
    Ok(Parsed {
        pages: (1..)
            .zip(texts)
            .map(|(number, text)| page(number, text))
            .collect(),
        title,
        details,
    })
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// A record: its kind, the number in its header, and what is in it.
#[derive(Clone, Copy)]
struct Record<'a> {
    kind: u16,
    instance: u16,
    is_container: bool,
    body: &'a [u8],
}

/// The record at `at` and where the next one begins.
fn record(data: &[u8], at: usize) -> Option<(Record<'_>, usize)> {
    let head: [u8; 8] = data.get(at..at.checked_add(8)?)?.try_into().ok()?;
    let first = u16::from_le_bytes([head[0], head[1]]);
    let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let end = (at + 8).checked_add(length)?.min(data.len());
    let record = Record {
        kind: u16::from_le_bytes([head[2], head[3]]),
        instance: first >> 4,
        is_container: first & 0xF == 0xF,
        body: &data[at + 8..end],
    };
    Some((record, end))
}

/// The records of a container, one after another.
fn records(data: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (found, next) = record(data, at)?;
        at = next;
        Some(found)
    })
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Text {
    /// Its kind, of [MS-PPT] 2.13.33, and words.
    Plain(u32, String),
    Row(Vec<String>),
}

/// The text of each slide, in the order they are shown.
fn slides(data: &[u8], edit: usize) -> Option<Vec<String>> {
    let (places, document) = places(data, edit)?;
    let at = |id: u32| {
        let (found, _) = record(data, *places.get(&id)? as usize)?;
        Some(found)
    };
    let document = at(document).filter(|found| found.kind == DOCUMENT)?;
    let list = |instance: u16| {
        records(document.body).find(|r| r.kind == LIST_WITH_TEXT && r.instance == instance)
    };
    let notes: HashMap<u32, u32> = list(2)
        .map(|list| {
            entries(list.body)
                .map(|(place, id, _)| (id, place))
                .collect()
        })
        .unwrap_or_default();
    let mut slides = Vec::new();
    for (place, _, outline) in entries(list(0)?.body) {
        let slide = at(place);
        let mut flow = Flow::default();
        let mut used = vec![false; outline.len()];
        let mut texts = Vec::new();
        if let Some(slide) = slide {
            collect(slide.body, &outline, &mut used, &mut texts, 0);
        }
        // Titles and lists that no shape of the slide asks for.
        let rest = outline.iter().zip(&used).filter(|(_, used)| !**used);
        let mut all: Vec<Text> = rest.map(|(text, _)| text.clone()).collect();
        all.extend(texts);
        for text in &all {
            say(text, &mut flow);
        }
        let noted = slide
            .and_then(|slide| records(slide.body).find(|r| r.kind == SLIDE_ATOM))
            .and_then(|atom| u32_at(atom.body, 16))
            .and_then(|id| notes.get(&id))
            .and_then(|place| at(*place));
        if let Some(notes) = noted {
            let mut texts = Vec::new();
            collect(notes.body, &[], &mut [], &mut texts, 0);
            // A star stands for the number of the slide.
            for text in &texts {
                match text {
                    Text::Plain(_, star) if star == "*" => {}
                    Text::Plain(_, text) => flow.paragraph(&text.replace('\r', "\n")),
                    row => say(row, &mut flow),
                }
            }
        }
        slides.push(flow.one_page());
    }
    Some(slides)
}

/// Where each saved object is, by its id, and the id of the document.
fn places(data: &[u8], mut edit: usize) -> Option<(HashMap<u32, u32>, u32)> {
    let mut places = HashMap::new();
    let mut document = None;
    for _ in 0..MOST_EDITS {
        let (found, _) = record(data, edit).filter(|(found, _)| found.kind == USER_EDIT)?;
        document = document.or(u32_at(found.body, 16));
        let directory = u32_at(found.body, 12)? as usize;
        let (directory, _) =
            record(data, directory).filter(|(r, _)| r.kind == PERSIST_DIRECTORY)?;
        let mut at = 0;
        while let Some(head) = u32_at(directory.body, at) {
            let (first, count) = (head & 0xF_FFFF, head >> 20);
            for index in 0..count {
                let place = u32_at(directory.body, at + 4 + 4 * index as usize)?;
                // The newest edit comes first.
                places.entry(first + index).or_insert(place);
            }
            at += 4 + 4 * count as usize;
        }
        edit = match u32_at(found.body, 8)? {
            0 => break,
            before => before as usize,
        };
    }
    Some((places, document?))
}

/// Each entry of a list: the id of its object, its own id, and the texts that stand with it.
fn entries(list: &[u8]) -> impl Iterator<Item = (u32, u32, Vec<Text>)> {
    let mut found: Vec<(u32, u32, Vec<Text>)> = Vec::new();
    let mut kind = 4;
    for record in records(list) {
        match record.kind {
            SLIDE_PERSIST => {
                let (place, id) = (u32_at(record.body, 0), u32_at(record.body, 12));
                found.push((place.unwrap_or(0), id.unwrap_or(0), Vec::new()));
            }
            TEXT_HEADER => kind = u32_at(record.body, 0).unwrap_or(4),
            _ => {
                if let (Some(text), Some((_, _, texts))) = (words(&record), found.last_mut()) {
                    texts.push(Text::Plain(kind, text));
                }
            }
        }
    }
    found.into_iter()
}

/// The texts in a container and those of the outline it refers to.
fn collect(data: &[u8], outline: &[Text], used: &mut [bool], texts: &mut Vec<Text>, depth: usize) {
    let mut kind = 4;
    for record in records(data) {
        match record.kind {
            TEXT_HEADER => kind = u32_at(record.body, 0).unwrap_or(4),
            OUTLINE_REF => {
                let index = u32_at(record.body, 0).unwrap_or(u32::MAX) as usize;
                if let (Some(text), Some(used)) = (outline.get(index), used.get_mut(index)) {
                    *used = true;
                    texts.push(text.clone());
                }
            }
            GROUP if is_table(record.body) && depth < DEEPEST => {
                rows(record.body, outline, used, texts, depth);
            }
            // They are containers without the mark of one.
            TEXT_BOX => collect(record.body, outline, used, texts, depth + 1),
            _ if record.is_container && depth < DEEPEST => {
                collect(record.body, outline, used, texts, depth + 1);
            }
            _ => texts.extend(words(&record).map(|text| Text::Plain(kind, text))),
        }
    }
}

/// Whether a group's own shape, the first one in it, says that it is a table.
fn is_table(group: &[u8]) -> bool {
    let Some(shape) = records(group).next() else {
        return false;
    };
    let properties = records(shape.body).filter(|record| record.kind == PROPERTIES);
    let mut each = properties.flat_map(|record| {
        let count = usize::from(record.instance);
        record.body.as_chunks::<6>().0.iter().take(count)
    });
    each.any(|[id, kind, value, ..]| u16::from_le_bytes([*id, *kind]) == TABLE && value & 1 == 1)
}

/// The rows of a table, whose cells are shapes that stand beside and below each other.
fn rows(group: &[u8], outline: &[Text], used: &mut [bool], texts: &mut Vec<Text>, depth: usize) {
    // Top, left and text of each; lines between the cells are shapes, too.
    let mut cells: Vec<(u32, u32, String)> = Vec::new();
    for shape in records(group) {
        let anchor = records(shape.body).find(|record| record.kind == ANCHOR);
        let edges = anchor.map(|at| [0, 4, 8, 12].map(|edge| u32_at(at.body, edge)));
        let Some([Some(left), Some(top), Some(right), Some(bottom)]) = edges else {
            continue;
        };
        if left == right || top == bottom {
            continue;
        }
        let mut said = Vec::new();
        collect(shape.body, outline, used, &mut said, depth + 1);
        let words = said.iter().flat_map(|text| match text {
            Text::Plain(_, text) => std::slice::from_ref(text),
            Text::Row(cells) => cells.as_slice(),
        });
        let words = words.map(|text| text.replace(['\r', '\u{B}'], " "));
        cells.push((top, left, words.collect::<Vec<_>>().join(" ")));
    }
    cells.sort();
    let mut columns: Vec<u32> = cells.iter().map(|(_, left, _)| *left).collect();
    columns.sort_unstable();
    columns.dedup();
    for row in cells.chunk_by(|(a, ..), (b, ..)| a == b) {
        let mut shown: Vec<String> = Vec::new();
        for (_, left, cell) in row {
            shown.resize(
                columns.partition_point(|column| column < left),
                String::new(),
            );
            shown.push(cell.clone());
        }
        texts.push(Text::Row(shown));
    }
}

fn words(record: &Record<'_>) -> Option<String> {
    match record.kind {
        TEXT_CHARS => {
            let (text, _) = encoding_rs::UTF_16LE.decode_without_bom_handling(record.body);
            Some(text.into_owned())
        }
        // The low bytes of UTF-16 whose high ones are zero.
        TEXT_BYTES => Some(record.body.iter().map(|byte| char::from(*byte)).collect()),
        _ => None,
    }
}

fn say(text: &Text, flow: &mut Flow) {
    let (kind, text) = match text {
        Text::Plain(kind, text) => (kind, text),
        Text::Row(cells) => return flow.row(cells),
    };
    let text = text.replace('\u{B}', " ");
    for paragraph in text.split('\r') {
        match kind {
            0 | 6 => flow.heading(1, paragraph),
            1 | 7 | 8 => flow.item("-", paragraph),
            _ => flow.paragraph(paragraph),
        }
    }
}

/// All texts of a file whose order is lost.
fn everything(data: &[u8]) -> String {
    let mut texts = Vec::new();
    collect(data, &[], &mut [], &mut texts, 0);
    let mut flow = Flow::default();
    for text in &texts {
        say(text, &mut flow);
    }
    flow.one_page()
}
