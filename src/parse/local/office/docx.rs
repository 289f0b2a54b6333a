//! Word documents (docx). Pages are those Word noted when it last laid the document out; without its notes,
//! those of page and section breaks.

mod styles;

use std::collections::{HashMap, HashSet};

use self::styles::{Numbering, Styles};
use super::super::archive::{Archive, broken};
use super::super::flow::Flow;
use super::super::xml::{Node, Skip, Tag, walk};
use super::{drawing, properties};
use crate::document::Parsed;
use crate::parse::ParseError;

/// # Errors
/// When the container or its main part cannot be read.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let mut archive = Archive::open(bytes)?;
    let relations = archive.optional("_rels/.rels");
    let main = main_part(&relations).unwrap_or_else(|| "word/document.xml".to_owned());
    let xml = archive.needed(&main)?;
    let folder = main.rsplit_once('/').map_or("", |(folder, _)| folder);
    let at = |name: &str| format!("{folder}/{name}");
    let notes = Notes {
        foot: notes(&archive.optional(&at("footnotes.xml")), "footnote"),
        end: notes(&archive.optional(&at("endnotes.xml")), "endnote"),
        comments: notes(&archive.optional(&at("comments.xml")), "comment"),
    };
    let is_printed = contains(&xml, b"lastRenderedPageBreak");
    let mut body = Body {
        flow: Flow::exact(is_printed),
        styles: Styles::read(&archive.optional(&at("styles.xml"))),
        numbering: Numbering::read(&archive.optional(&at("numbering.xml"))),
        notes,
        is_printed,
        ..Body::default()
    };
    for part in archive.numbered(&at("header")) {
        body.running(&archive.optional(&part));
    }
    body.sections = sections(&xml).into_iter();
    // A section's own type says how it begins: the break after the first is the second's.
    body.sections.next();
    let ended = walk(&xml, &mut |node| body.hear(node));
    for text in drawing::words(&mut archive, &[&at("charts/chart"), &at("diagrams/data")]) {
        body.flow.paragraph(&text);
    }
    for part in archive.numbered(&at("footer")) {
        body.running(&archive.optional(&part));
    }
    let (details, title) = properties::ooxml(&mut archive);
    let pages = body.flow.pages();
    if let (Err(error), true) = (ended, pages.iter().all(|page| page.text.is_empty())) {
        return Err(broken(format!("its text is damaged ({error})")));
    }
    Ok(Parsed {
        pages,
        title,
        details,
    })
}

/// What the container calls its main part: `word/document.xml` but for a few programs.
pub fn main_part(relations: &[u8]) -> Option<String> {
    let mut found = None;
    let _ = walk(relations, &mut |node| {
        if let Node::Open(tag) = node
            && tag
                .get("Type")
                .is_some_and(|kind| kind.ends_with("/officeDocument"))
        {
            found = tag.get("Target");
        }
    });
    found.map(|target| target.trim_start_matches('/').to_owned())
}

/// For each section, whether it begins on a new page.
fn sections(xml: &[u8]) -> Vec<bool> {
    let (mut found, mut inside) = (Vec::new(), false);
    let _ = walk(xml, &mut |node| match node {
        Node::Open(tag) if tag.name == "sectPr" => {
            inside = true;
            found.push(true);
        }
        Node::Open(tag) if tag.name == "type" && inside => {
            let goes_on = tag.get("val").is_some_and(|kind| kind == "continuous");
            if let (true, Some(last)) = (goes_on, found.last_mut()) {
                *last = false;
            }
        }
        Node::Close("sectPr") => inside = false,
        _ => {}
    });
    found
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[derive(Default)]
struct Notes {
    foot: HashMap<String, String>,
    end: HashMap<String, String>,
    comments: HashMap<String, String>,
}

/// Ids and texts of notes.
fn notes(xml: &[u8], element: &str) -> HashMap<String, String> {
    let mut found: Vec<(String, String)> = Vec::new();
    let (mut inside, mut in_text) = (false, false);
    let _ = walk(xml, &mut |node| match node {
        Node::Open(tag) if tag.name == element => {
            // The separators between text and notes are notes, too.
            inside = tag.get("type").is_none_or(|kind| kind == "normal");
            if inside {
                found.push((tag.get("id").unwrap_or_default(), String::new()));
            }
        }
        Node::Open(tag) => {
            in_text = tag.name == "t";
            if let (true, "p" | "tab" | "br", Some((_, text))) =
                (inside, tag.name, found.last_mut())
            {
                text.push(' ');
            }
        }
        Node::Close(name) => {
            in_text = false;
            inside &= name != element;
        }
        Node::Text(part) => {
            if let (true, true, Some((_, text))) = (inside, in_text, found.last_mut()) {
                text.push_str(part);
            }
        }
    });
    found.into_iter().collect()
}

/// A paragraph as it comes.
#[derive(Default)]
struct Paragraph {
    text: String,
    style: String,
    outline: Option<usize>,
    number: Option<(String, usize)>,
    /// A section ends with it.
    ends_section: bool,
    /// What it says already stands on the page before.
    cut: bool,
}

#[derive(Default)]
struct Body {
    flow: Flow,
    styles: Styles,
    numbering: Numbering,
    notes: Notes,
    is_printed: bool,
    /// Text boxes stand inside paragraphs, so several may be open.
    open: Vec<Paragraph>,
    /// Depth inside what is not read, such as the second version of a drawing.
    skip: Skip,
    /// For each section to come, whether it begins on a new page.
    sections: std::vec::IntoIter<bool>,
    /// Headers and footers said so far.
    said: HashSet<String>,
    in_text: bool,
    in_properties: bool,
    /// Columns that the open cells take.
    spans: Vec<i64>,
    noted: usize,
}

impl Body {
    fn hear(&mut self, node: Node<'_>) {
        if self.skip.takes(&node) {
            return;
        }
        match node {
            Node::Open(tag) => self.opens(&tag),
            Node::Close(name) => self.closes(name),
            Node::Text(text) if self.in_text => self.say(text),
            Node::Text(_) => {}
        }
    }

    /// A header or footer, whose text stands on every page and is kept once.
    fn running(&mut self, xml: &[u8]) {
        let mut text = String::new();
        let _ = walk(xml, &mut |node| {
            if let Node::Text(part) = node {
                text.push_str(part);
            }
        });
        if self.said.insert(text) {
            let _ = walk(xml, &mut |node| self.hear(node));
        }
    }

    fn opens(&mut self, tag: &Tag<'_>) {
        match tag.name {
            // The same drawing for older programs; what was moved away or deleted; codes of fields.
            // And the properties before a tracked change.
            "Fallback" | "moveFrom" | "del" | "instrText" | "pPrChange" | "rPrChange"
            | "sectPrChange" | "tblPrChange" | "trPrChange" | "tcPrChange" => self.skip.begin(),
            "p" => self.open.push(Paragraph::default()),
            "pPr" => self.in_properties = true,
            "pStyle" => self.paragraph().style = tag.get("val").unwrap_or_default(),
            "outlineLvl" if self.in_properties => {
                let level = tag.number("val").filter(|level| (0..9).contains(level));
                self.paragraph().outline = level.map(|level| level as usize + 1);
            }
            "numId" if self.in_properties => {
                let id = tag.get("val").unwrap_or_default();
                self.paragraph().number.get_or_insert_default().0 = id;
            }
            "ilvl" if self.in_properties => {
                let level = tag.number("val").unwrap_or(0).clamp(0, 8) as usize;
                self.paragraph().number.get_or_insert_default().1 = level;
            }
            "pageBreakBefore"
                if self.in_properties && tag.get("val").is_none_or(|on| is_on(&on)) =>
            {
                self.break_page(false);
            }
            "sectPr" if self.in_properties => self.paragraph().ends_section = true,
            "t" => self.in_text = true,
            "tab" if !self.in_properties => self.say("\t"),
            "cr" => self.say("\n"),
            "br" => match tag.get("type").as_deref() {
                Some("page") => self.break_page(false),
                _ => self.say("\n"),
            },
            "lastRenderedPageBreak" => self.break_page(true),
            "noBreakHyphen" => self.say("-"),
            "footnoteReference" => self.refer(&tag.get("id").unwrap_or_default(), false),
            "endnoteReference" => self.refer(&tag.get("id").unwrap_or_default(), true),
            "commentReference" => {
                let id = tag.get("id").unwrap_or_default();
                if let Some(text) = self.notes.comments.get(&id) {
                    self.flow.note(&format!("[{}]", text.trim()));
                }
            }
            "tbl" => self.flow.open_table(),
            "tr" => self.flow.open_row(),
            "tc" => {
                self.spans.push(1);
                self.flow.open_cell();
            }
            "gridSpan" => {
                if let Some(columns) = self.spans.last_mut() {
                    *columns = tag.number("val").unwrap_or(1);
                }
            }
            _ => {}
        }
    }

    fn closes(&mut self, name: &str) {
        match name {
            "t" => self.in_text = false,
            "pPr" => self.in_properties = false,
            "p" => {
                if let Some(paragraph) = self.open.pop() {
                    self.end(&paragraph);
                }
            }
            "tc" => self.flow.span(self.spans.pop().unwrap_or(1)),
            "tbl" => self.flow.close_table(),
            _ => {}
        }
    }

    fn paragraph(&mut self) -> &mut Paragraph {
        if self.open.is_empty() {
            self.open.push(Paragraph::default());
        }
        let last = self.open.len() - 1;
        &mut self.open[last]
    }

    fn say(&mut self, text: &str) {
        self.paragraph().text.push_str(text);
    }

    /// A page ends here. Where Word noted its pages, its notes count and nothing else.
    fn break_page(&mut self, noted: bool) {
        if noted != self.is_printed || self.open.len() > 1 {
            return;
        }
        let begun = std::mem::take(&mut self.paragraph().text);
        if !begun.trim().is_empty() {
            let paragraph = Paragraph {
                text: begun,
                ..self.shape()
            };
            self.paragraph().cut = true;
            self.place(&paragraph);
        }
        self.flow.page_break();
    }

    /// The open paragraph without its text.
    fn shape(&mut self) -> Paragraph {
        let open = self.paragraph();
        Paragraph {
            style: open.style.clone(),
            outline: open.outline,
            number: open.number.clone(),
            ..Paragraph::default()
        }
    }

    fn end(&mut self, paragraph: &Paragraph) {
        let style = self.styles.find(&paragraph.style);
        if style.is_some_and(|style| style.on_new_page)
            && !self.is_printed
            && !paragraph.cut
            && !paragraph.text.trim().is_empty()
        {
            self.flow.page_break();
        }
        match paragraph.cut {
            true => self.flow.paragraph(&paragraph.text),
            false => self.place(paragraph),
        }
        if paragraph.ends_section
            && self.open.is_empty()
            && self.sections.next().unwrap_or(true)
            && !self.is_printed
        {
            self.flow.page_break();
        }
    }

    fn place(&mut self, paragraph: &Paragraph) {
        let text = &paragraph.text;
        if text.trim().is_empty() {
            return;
        }
        let style = self.styles.find(&paragraph.style);
        let level = paragraph.outline.or(style.and_then(|style| style.level));
        let number = paragraph.number.as_ref();
        let number = number.or(style.and_then(|style| style.number.as_ref()));
        let mark = number.and_then(|(id, level)| self.numbering.mark(id, *level));
        self.flow.numbered(level, mark.as_deref(), text);
    }

    fn refer(&mut self, id: &str, at_the_end: bool) {
        let notes = match at_the_end {
            true => &self.notes.end,
            false => &self.notes.foot,
        };
        let Some(text) = notes.get(id) else {
            return;
        };
        self.noted += 1;
        let note = format!("{}) {}", self.noted, text.trim());
        self.flow.note(&note);
    }
}

/// How OOXML spells a switch that is on.
fn is_on(value: &str) -> bool {
    !matches!(value, "0" | "false" | "off")
}
