//! hwp, the binary format of Hangul since 2000 (Hancom's specification of HWP 5.0).

use super::super::archive::{broken, password};
use super::super::flow::Flow;
use super::super::numbering::Level;
use super::super::office::ole::Ole;
use super::super::office::properties;
use super::heads::{self, Head, Heads};
use super::record::{
    CONTROL, EQUATION, LINES, LIST, NUMBERING, PARA, PARA_SHAPE, Record, STYLE, TEXT, tree,
    unpacked,
};
use super::{Line, Lines, heading_level, sealed};
use crate::document::Parsed;
use crate::parse::ParseError;

/// Tables in tables in text boxes.
const DEEPEST: usize = 40;

/// # Errors
/// When the container cannot be read, or a password or a licence is needed.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let mut ole = Ole::open(bytes)?;
    let header = ole.stream("/FileHeader");
    let flags = header
        .get(36..40)
        .map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let (compressed, locked, sealed, managed) = (
        flags & 1 != 0,
        flags & 2 != 0,
        flags & 4 != 0,
        flags & 0x10 != 0,
    );
    if locked {
        return Err(password());
    }
    if managed {
        return Err(ParseError::with_hint(
            "the document is under rights management (DRM)",
            "save a copy without it and ingest that",
        ));
    }
    let styles = Styles::read(&tree(&unpacked(&ole.stream("/DocInfo"), compressed)));
    // A document for distribution keeps its text elsewhere, scrambled.
    let storage = if sealed { "/ViewText" } else { "/BodyText" };
    let names = ole.names(storage);
    if names.is_empty() {
        return Err(broken(
            "its text cannot be found, the file is damaged or not complete",
        ));
    }
    let mut sections = Vec::new();
    for name in names.iter().filter(|name| name.starts_with("Section")) {
        let stream = ole.stream(&format!("{storage}/{name}"));
        let stream = match sealed {
            true => sealed::open(&stream).unwrap_or_default(),
            false => stream,
        };
        sections.push(tree(&unpacked(&stream, compressed)));
    }
    let is_laid_out = sections
        .iter()
        .flatten()
        .any(|para| para.child(LINES).is_some());
    let mut body = Body {
        flow: Flow::exact(is_laid_out),
        styles,
        ..Body::default()
    };
    for (index, section) in sections.iter().enumerate() {
        if index > 0 {
            body.flow.page_break();
        }
        body.lines = Lines::default();
        for para in section.iter().filter(|record| record.tag == PARA) {
            body.paragraph(para, 0);
        }
    }
    let (details, title) = properties::property_set(&ole.stream("/\u{5}HwpSummaryInformation"));
    Ok(Parsed {
        pages: body.flow.pages(),
        title,
        details,
    })
}

/// What the paragraph styles and shapes of a document mean.
#[derive(Default)]
struct Styles {
    /// Heading levels by style.
    levels: Vec<Option<usize>>,
    heads: Heads,
}

/// Levels of a numbering in every version of the format.
const LEVELS: usize = 7;

/// The levels of a numbering (Hancom's specification, 4.2.8): for each how its numbers are written and what
/// stands around them, then where they start.
fn levels(record: &Record) -> Option<Vec<Level>> {
    let mut found = Vec::new();
    let mut at = 0;
    for _ in 0..LEVELS {
        let digits = heads::digits(record.u32_at(at)? >> 5 & 0xF);
        let (format, end) = record.string_at(at + 12)?;
        found.push((digits, format));
        at = end;
    }
    // One number for all levels, and in newer files one for each.
    let first = record.u16_at(at).unwrap_or(1);
    let levels = found
        .into_iter()
        .enumerate()
        .map(|(index, (digits, format))| {
            let own = record.u32_at(at + 2 + 4 * index);
            let start = own.map_or(usize::from(first), |own| own as usize);
            heads::level(index, digits, &format, start)
        });
    Some(levels.collect())
}

impl Styles {
    fn read(info: &[Record]) -> Self {
        let mut styles = Self::default();
        let (mut shapes, mut numberings) = (0, 0);
        // All are below the one root, or beside it where a program wrote so.
        let all = info
            .iter()
            .flat_map(|root| std::iter::once(root).chain(&root.children));
        for record in all {
            match record.tag {
                STYLE => {
                    let name = record.string_at(0);
                    let english = name.as_ref().and_then(|(_, end)| record.string_at(*end));
                    let level = [name, english].into_iter().flatten();
                    styles
                        .levels
                        .push(level.into_iter().find_map(|(name, _)| heading_level(&name)));
                }
                PARA_SHAPE => {
                    let attributes = record.u32_at(0).unwrap_or(0);
                    let level = (attributes >> 25 & 7) as usize;
                    let numbering = usize::from(record.u16_at(30).unwrap_or(0));
                    let head = match attributes >> 23 & 3 {
                        1 => Some(Head::Outline(level)),
                        2 => Some(Head::Number(numbering, level)),
                        3 => Some(Head::Bullet),
                        _ => None,
                    };
                    styles.heads.shapes.extend(head.map(|head| (shapes, head)));
                    shapes += 1;
                }
                // Their ids count from 1.
                NUMBERING => {
                    numberings += 1;
                    let levels = levels(record).map(|levels| (numberings, levels));
                    styles.heads.numberings.extend(levels);
                }
                _ => {}
            }
        }
        styles
    }
}

/// What a paragraph has said and not yet handed on.
struct Said {
    /// UTF-16.
    units: Vec<u16>,
    /// The paragraph's shape, until what stands before it is said.
    shape: Option<usize>,
}

impl Said {
    fn new(para: &Record) -> Self {
        Self {
            units: Vec::new(),
            shape: para.u16_at(8).map(usize::from),
        }
    }
}

#[derive(Default)]
struct Body {
    flow: Flow,
    styles: Styles,
    lines: Lines,
    notes: usize,
    /// Headers and footers, each once.
    running: Vec<String>,
}

impl Body {
    /// A paragraph with the tables, boxes and notes in it.
    fn paragraph(&mut self, para: &Record, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        let breaks = match depth {
            0 => self.breaks(para),
            _ => Vec::new(),
        };
        let mut breaks = breaks.into_iter().peekable();
        let mut controls = para.children.iter().filter(|child| child.tag == CONTROL);
        let units: Vec<u16> = para
            .child(TEXT)
            .map(|text| {
                text.data
                    .chunks_exact(2)
                    .map(|b| u16::from_le_bytes([b[0], b[1]]))
                    .collect()
            })
            .unwrap_or_default();
        let mut said = Said::new(para);
        let mut at = 0;
        while at < units.len() {
            if breaks.next_if(|start| at >= *start).is_some() {
                self.end(para, &mut said);
                self.flow.page_break();
            }
            let unit = units[at];
            at += match unit {
                // A control has its code on both sides of what only the program needs.
                1..=9 | 11..=23 => 8,
                _ => 1,
            };
            match unit {
                9 => said.units.push(u16::from(b'\t')),
                10 => said.units.push(u16::from(b'\n')),
                24 => said.units.push(u16::from(b'-')),
                30 | 31 => said.units.push(u16::from(b' ')),
                1..=3 | 11..=18 | 21..=23 => {
                    if let Some(control) = controls.next() {
                        self.control(control, para, &mut said, depth);
                    }
                }
                0..=31 => {}
                _ => said.units.push(unit),
            }
        }
        for _ in breaks {
            self.flow.page_break();
        }
        self.end(para, &mut said);
        // What the text does not place still says something.
        for control in controls {
            self.control(control, para, &mut said, depth);
        }
        self.end(para, &mut said);
    }

    /// Where pages begin in a paragraph of the body.
    fn breaks(&mut self, para: &Record) -> Vec<usize> {
        let on_new_page = para.data.get(11).is_some_and(|kind| kind & 4 != 0);
        if on_new_page {
            self.flow.page_break();
            self.lines.begin();
        }
        let Some(lines) = para.child(LINES) else {
            return Vec::new();
        };
        let lines: Vec<Line> = lines
            .data
            .chunks_exact(36)
            .map(|line| {
                let word = |at: usize| {
                    i32::from_le_bytes([line[at], line[at + 1], line[at + 2], line[at + 3]])
                };
                (word(0).max(0) as usize, i64::from(word(4)))
            })
            .collect();
        self.lines.breaks(&lines)
    }

    /// Ends what was said so far as a paragraph of `para`'s style.
    fn end(&mut self, para: &Record, said: &mut Said) {
        let text = String::from_utf16_lossy(&said.units);
        said.units.clear();
        let style = para.data.get(10).map_or(0, |id| usize::from(*id));
        if text.trim().is_empty() {
            return;
        }
        let level = self.styles.levels.get(style).copied().flatten();
        let shape = said.shape.take();
        let mark = shape.and_then(|shape| self.styles.heads.mark(shape));
        self.flow.numbered(level, mark.as_deref(), &text);
    }

    fn control(&mut self, control: &Record, para: &Record, said: &mut Said, depth: usize) {
        // The four letters stand in the order of a little-endian number.
        let mut kind: [u8; 4] = control.u32_at(0).unwrap_or(0).to_le_bytes();
        kind.reverse();
        match &kind {
            b"tbl " => {
                self.end(para, said);
                self.table(control, depth);
            }
            b"gso " => {
                self.end(para, said);
                self.inside(control, depth);
            }
            b"fn  " | b"en  " => {
                self.notes += 1;
                let note = format!("{}) {}", self.notes, text_in(control, depth));
                self.flow.note(&note);
            }
            b"head" | b"foot" => {
                let text = text_in(control, depth);
                if !text.is_empty() && !self.running.contains(&text) {
                    match &kind {
                        b"head" => self.flow.paragraph(&text),
                        _ => self.flow.note(&text),
                    }
                    self.running.push(text);
                }
            }
            b"tcmt" => self.flow.note(&format!("[{}]", text_in(control, depth))),
            b"eqed" => {
                let script = control
                    .child(EQUATION)
                    .and_then(|record| record.string_at(4));
                said.units.extend(
                    script
                        .map(|(script, _)| script)
                        .unwrap_or_default()
                        .encode_utf16(),
                );
            }
            // A number that counts pictures, tables or formulas is part of the text around it.
            b"atno"
                if control
                    .u32_at(4)
                    .is_some_and(|kind| (3..=5).contains(&(kind & 0xF))) =>
            {
                let number = control.u16_at(8).unwrap_or(0);
                said.units.extend(number.to_string().encode_utf16());
            }
            b"secd" => {
                self.styles.heads.outline = control.u16_at(18).map_or(0, usize::from);
            }
            b"cold" if depth == 0 => {
                let columns = control.u16_at(4).unwrap_or(0) >> 2 & 0xFF;
                self.lines.set_columns(usize::from(columns));
            }
            _ => {}
        }
    }

    fn table(&mut self, control: &Record, depth: usize) {
        // Each cell says where it stands (column, row) after its list's header.
        let (mut row, mut span) = (None, 1);
        self.flow.open_table();
        for child in &control.children {
            match child.tag {
                LIST => {
                    let (column, at) = (child.u16_at(8), child.u16_at(10));
                    // A caption has no place.
                    let is_cell = child.data.len() >= 34 && column.is_some();
                    self.flow.span(span);
                    span = 1;
                    if is_cell && row != at {
                        self.flow.open_row();
                        row = at;
                    }
                    if is_cell {
                        span = i64::from(child.u16_at(12).unwrap_or(1));
                    }
                    self.flow.open_cell();
                    if let (true, Some(column)) = (is_cell, column) {
                        self.flow.at_column(usize::from(column));
                    }
                }
                PARA => self.paragraph(child, depth + 1),
                _ => {}
            }
        }
        self.flow.close_table();
    }

    /// All paragraphs of a text box or a group of them.
    fn inside(&mut self, record: &Record, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        for child in &record.children {
            match child.tag {
                PARA => self.paragraph(child, depth + 1),
                _ => self.inside(child, depth + 1),
            }
        }
    }
}

/// The text of a note or header on one line.
fn text_in(control: &Record, depth: usize) -> String {
    let mut part = Body::default();
    part.inside(control, depth);
    crate::text::one_line(&part.flow.one_page())
}
