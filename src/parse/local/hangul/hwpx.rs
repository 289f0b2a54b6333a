//! hwpx, the XML format of Hangul (KS X 6101, OWPML).

use std::collections::HashMap;

use super::super::archive::{Archive, broken, password};
use super::super::flow::Flow;
use super::super::office::properties;
use super::super::xml::{Node, Skip, Tag, walk};
use super::heads::{self, Head, Heads};
use super::{Line, Lines, heading_level};
use crate::document::Parsed;
use crate::parse::ParseError;

/// UTF-16 units a control takes in the positions of lines.
const CONTROL: usize = 8;

/// # Errors
/// When the container cannot be read, holds no section, or a password is needed.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let mut archive = Archive::open(bytes)?;
    if archive.is_encrypted() {
        return Err(password());
    }
    let names = archive.numbered("Contents/section");
    if names.is_empty() {
        return Err(broken("its container has no section of text"));
    }
    let header = archive.optional("Contents/header.xml");
    let (levels, heads) = (levels(&header), heads(&header));
    let mut sections = Vec::new();
    for name in &names {
        sections.push(archive.needed(name)?);
    }
    let lines: Vec<Vec<Vec<Line>>> = sections.iter().map(|xml| lines(xml)).collect();
    let is_laid_out = lines.iter().flatten().any(|lines| !lines.is_empty());
    let mut body = Body {
        flow: Flow::exact(is_laid_out),
        levels,
        heads,
        ..Body::default()
    };
    let mut ended = Ok(());
    for (index, (xml, lines)) in sections.iter().zip(lines).enumerate() {
        if index > 0 {
            body.flow.page_break();
        }
        body.begin_section(lines);
        ended = ended.and(walk(xml, &mut |node| body.hear(node)));
    }
    let (details, title) = properties::named(&archive.optional("Contents/content.hpf"));
    let pages = body.flow.pages();
    if let (Err(error), true) = (ended, pages.iter().all(|page| page.text.is_empty())) {
        return Err(broken(format!("its text is damaged ({error})")));
    }
    Ok(Parsed {
        pages,
        title: title.filter(|title| !title.trim().is_empty()),
        details,
    })
}

/// Heading levels of the styles, by their ids.
fn levels(xml: &[u8]) -> HashMap<String, usize> {
    let mut levels = HashMap::new();
    let _ = walk(xml, &mut |node| {
        if let Node::Open(tag) = node
            && tag.name == "style"
            && let Some(id) = tag.get("id")
        {
            let names = [tag.get("name"), tag.get("engName")];
            let level = names
                .into_iter()
                .flatten()
                .find_map(|name| heading_level(&name));
            levels.extend(level.map(|level| (id, level)));
        }
    });
    levels
}

/// What stands before paragraphs, by their shapes.
fn heads(xml: &[u8]) -> Heads {
    let mut heads = Heads::default();
    let (mut shape, mut numbering) = (0, 0);
    // How the open level counts: its index, the name of its digits, and its first number.
    let mut open: Option<(usize, String, usize)> = None;
    let mut format = String::new();
    let number = |tag: &Tag<'_>, name: &str| tag.number(name).unwrap_or(0).max(0) as usize;
    let _ = walk(xml, &mut |node| match node {
        Node::Open(tag) => match tag.name {
            "numbering" => numbering = number(&tag, "id"),
            "paraHead" => {
                let start = tag.number("start").unwrap_or(1).max(0) as usize;
                let level = number(&tag, "level").saturating_sub(1);
                open = Some((level, tag.get("numFormat").unwrap_or_default(), start));
                format.clear();
            }
            "paraPr" => shape = number(&tag, "id"),
            "heading" => {
                let level = number(&tag, "level");
                let head = match tag.get("type").unwrap_or_default().as_str() {
                    "OUTLINE" => Some(Head::Outline(level)),
                    "NUMBER" => Some(Head::Number(number(&tag, "idRef"), level)),
                    "BULLET" => Some(Head::Bullet),
                    _ => None,
                };
                heads.shapes.extend(head.map(|head| (shape, head)));
            }
            _ => {}
        },
        Node::Text(text) if open.is_some() => format.push_str(text),
        Node::Close("paraHead") => {
            let levels = heads.numberings.entry(numbering).or_default();
            // Bullets have one, too, of no numbering.
            if let Some((level, digits, start)) = open.take().filter(|(at, ..)| *at == levels.len())
            {
                let digits = heads::named_digits(&digits);
                levels.push(heads::level(level, digits, &format, start));
            }
        }
        Node::Text(_) | Node::Close(_) => {}
    });
    heads
}

/// The lines of each paragraph of the body. They stand behind its text, and are needed before.
fn lines(xml: &[u8]) -> Vec<Vec<Line>> {
    let mut found: Vec<Vec<Line>> = Vec::new();
    let mut depth = 0;
    let _ = walk(xml, &mut |node| match node {
        Node::Open(tag) if tag.name == "p" => {
            if depth == 0 {
                found.push(Vec::new());
            }
            depth += 1;
        }
        Node::Open(tag) if tag.name == "lineseg" && depth == 1 => {
            let line = tag.number("textpos").zip(tag.number("vertpos"));
            if let (Some((start, down)), Some(lines)) = (line, found.last_mut()) {
                lines.push((start.max(0) as usize, down));
            }
        }
        Node::Close("p") => depth -= 1,
        _ => {}
    });
    found
}

#[derive(Default)]
struct Paragraph {
    text: String,
    level: Option<usize>,
    /// Its number among the shapes, until it is said what stands before it.
    shape: Option<usize>,
    /// UTF-16 units so far.
    at: usize,
    /// Where new pages begin, the last first.
    breaks: Vec<usize>,
}

/// A footnote, header or the like whose paragraphs are on their way to the foot.
struct Aside {
    kind: String,
    text: String,
    /// Paragraphs that were open when it began.
    above: usize,
}

#[derive(Default)]
struct Body {
    flow: Flow,
    levels: HashMap<String, usize>,
    heads: Heads,
    lines: std::vec::IntoIter<Vec<Line>>,
    places: Lines,
    open: Vec<Paragraph>,
    aside: Option<Aside>,
    in_text: bool,
    in_script: bool,
    /// Columns that the open cells take.
    spans: Vec<i64>,
    notes: usize,
    running: Vec<String>,
    deleted: bool,
    skip: Skip,
}

impl Body {
    fn begin_section(&mut self, lines: Vec<Vec<Line>>) {
        self.lines = lines.into_iter();
        self.places = Lines::default();
        self.open.clear();
    }

    fn hear(&mut self, node: Node<'_>) {
        if self.skip.takes(&node) {
            return;
        }
        match node {
            Node::Open(tag) => self.opens(&tag),
            Node::Close(name) => self.closes(name),
            Node::Text(_) if self.deleted => {}
            Node::Text(text) if self.in_text || self.in_script => self.say(text),
            Node::Text(_) => {}
        }
    }

    fn opens(&mut self, tag: &Tag<'_>) {
        match tag.name {
            "p" => self.open_paragraph(tag),
            "t" => self.in_text = true,
            "script" => self.in_script = true,
            // Said for those who cannot see the picture, or what its file was called.
            "shapeComment" | "parameters" => self.skip.begin(),
            "tab" => self.control("\t"),
            "lineBreak" => self.say("\n"),
            "fwSpace" | "nbSpace" => self.say(" "),
            "hyphen" => self.say("-"),
            "autoNum"
                if matches!(
                    tag.get("numType").as_deref(),
                    Some("PICTURE" | "TABLE" | "EQUATION")
                ) =>
            {
                let number = tag.get("num").unwrap_or_default();
                self.control(&number);
            }
            "footNote" | "endNote" | "header" | "footer" | "hiddenComment"
                if self.aside.is_none() =>
            {
                self.aside = Some(Aside {
                    kind: tag.name.to_owned(),
                    text: String::new(),
                    above: self.open.len(),
                });
            }
            "colPr" if self.open.len() == 1 => {
                let columns = tag.number("colCount").unwrap_or(1).max(1) as usize;
                self.places.set_columns(columns);
            }
            "tbl" if self.aside.is_none() => {
                self.control("");
                self.end(false);
                self.flow.open_table();
            }
            "tr" if self.aside.is_none() => self.flow.open_row(),
            "tc" if self.aside.is_none() => {
                self.spans.push(1);
                self.flow.open_cell();
            }
            "cellAddr" if self.aside.is_none() => {
                self.flow
                    .at_column(tag.number("colAddr").unwrap_or(0).max(0) as usize);
            }
            // Deleted, and kept to be looked through.
            "deleteBegin" => self.deleted = true,
            "deleteEnd" => self.deleted = false,
            "secPr" => {
                let outline = tag.number("outlineShapeIDRef").unwrap_or(0);
                self.heads.outline = outline.max(0) as usize;
                self.control("");
            }
            // They take the place of a control in the line.
            "pic" | "rect" | "ellipse" | "equation" | "ole" => self.control(""),
            "cellSpan" => {
                if let Some(columns) = self.spans.last_mut() {
                    *columns = tag.number("colSpan").unwrap_or(1);
                }
            }
            "drawText" => self.end(false),
            "ctrl" => self.control(""),
            _ => {}
        }
    }

    fn open_paragraph(&mut self, tag: &Tag<'_>) {
        let mut breaks = Vec::new();
        if self.open.is_empty() {
            if tag.get("pageBreak").as_deref() == Some("1") {
                self.flow.page_break();
                self.places.begin();
            }
            let lines = self.lines.next().unwrap_or_default();
            breaks = self.places.breaks(&lines);
            breaks.reverse();
        }
        let style = tag.get("styleIDRef").unwrap_or_default();
        self.open.push(Paragraph {
            level: self.levels.get(&style).copied(),
            shape: tag
                .number("paraPrIDRef")
                .and_then(|id| usize::try_from(id).ok()),
            breaks,
            ..Paragraph::default()
        });
        self.turn();
    }

    fn closes(&mut self, name: &str) {
        match name {
            "t" => self.in_text = false,
            "script" => self.in_script = false,
            "p" => {
                self.end(true);
                self.open.pop();
            }
            "tc" if self.aside.is_none() => self.flow.span(self.spans.pop().unwrap_or(1)),
            "tbl" if self.aside.is_none() => self.flow.close_table(),
            "footNote" | "endNote" | "header" | "footer" | "hiddenComment" => self.end_aside(name),
            _ => {}
        }
    }

    fn say(&mut self, text: &str) {
        if let Some(paragraph) = self.open.last_mut() {
            paragraph.text.push_str(text);
            paragraph.at += text.encode_utf16().count();
        }
        self.turn();
    }

    /// Something that takes the place of a control, and what it shows.
    fn control(&mut self, shown: &str) {
        if let Some(paragraph) = self.open.last_mut() {
            paragraph.text.push_str(shown);
            paragraph.at += CONTROL;
        }
        self.turn();
    }

    /// Turns the page where the paragraph has come to its next one.
    fn turn(&mut self) {
        while let Some(paragraph) = self.open.last_mut()
            && let Some(start) = paragraph.breaks.last().copied()
            && start <= paragraph.at
        {
            paragraph.breaks.pop();
            let over = paragraph.at - start;
            let mut units = 0;
            let split = paragraph.text.char_indices().rev().find(|(_, c)| {
                units += c.len_utf16();
                units >= over
            });
            let at = match over {
                0 => paragraph.text.len(),
                _ => split.map_or(0, |(at, _)| at),
            };
            let rest = paragraph.text.split_off(at);
            self.end(false);
            self.flow.page_break();
            if let Some(paragraph) = self.open.last_mut() {
                paragraph.text = rest;
            }
        }
    }

    /// Says what the open paragraph holds so far.
    fn end(&mut self, closing: bool) {
        let Some(paragraph) = self.open.last_mut() else {
            return;
        };
        let text = std::mem::take(&mut paragraph.text);
        let level = paragraph.level;
        let shape = match text.trim().is_empty() {
            true => None,
            false => paragraph.shape.take(),
        };
        if closing {
            for _ in paragraph.breaks.drain(..) {
                self.flow.page_break();
            }
        }
        match (&mut self.aside, level) {
            (Some(aside), _) if self.open.len() > aside.above => {
                aside.text.push_str(&text);
                aside.text.push(' ');
            }
            _ if text.trim().is_empty() => {}
            _ => {
                let mark = shape.and_then(|shape| self.heads.mark(shape));
                self.flow.numbered(level, mark.as_deref(), &text);
            }
        }
    }

    fn end_aside(&mut self, name: &str) {
        let Some(aside) = self.aside.take_if(|aside| aside.kind == name) else {
            return;
        };
        let text = crate::text::one_line(&aside.text);
        match name {
            _ if text.is_empty() => {}
            "footNote" | "endNote" => {
                self.notes += 1;
                self.flow.note(&format!("{}) {text}", self.notes));
            }
            "hiddenComment" => self.flow.note(&format!("[{text}]")),
            _ if self.running.contains(&text) => {}
            "header" => {
                self.flow.paragraph(&text);
                self.running.push(text);
            }
            _ => {
                self.flow.note(&text);
                self.running.push(text);
            }
        }
    }
}
