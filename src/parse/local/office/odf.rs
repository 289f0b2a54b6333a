//! OpenDocument texts (odt) and presentations (odp). A slide is a page; a text has the pages its program
//! noted (`text:soft-page-break`), or those of its page breaks.

mod lists;

use std::collections::HashSet;

use self::lists::Lists;
use super::super::archive::{Archive, broken};
use super::super::flow::Flow;
use super::super::xml::{Node, Skip, Tag, walk};
use super::properties;
use crate::document::Parsed;
use crate::parse::ParseError;

/// Longest run of blanks one element may stand for.
const MOST_BLANKS: i64 = 100;

/// # Errors
/// When the container or its content cannot be read.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let mut archive = Archive::open(bytes)?;
    if archive.is_encrypted() {
        return Err(super::super::archive::password());
    }
    let xml = archive.needed("content.xml")?;
    let is_printed = xml.windows(16).any(|window| window == b"soft-page-break/");
    let mut body = Body {
        flow: Flow::exact(is_printed),
        ..Body::default()
    };
    // Styles that begin pages; what the pages have in common comes with them.
    let _ = walk(&archive.optional("styles.xml"), &mut |node| body.hear(node));
    let ended = walk(&xml, &mut |node| body.hear(node));
    let (details, title) = properties::named(&archive.optional("meta.xml"));
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

/// A paragraph or heading as it comes; notes and frames stand inside them.
#[derive(Default)]
struct Paragraph {
    text: String,
    level: Option<usize>,
}

#[derive(Default)]
struct Body {
    flow: Flow,
    /// Styles that begin a page.
    breaking: HashSet<String>,
    style: String,
    in_body: bool,
    open: Vec<Paragraph>,
    lists: Lists,
    notes: usize,
    /// Text of the note that is open, with its mark.
    note: Option<String>,
    /// Text of the comment that is open.
    comment: Option<String>,
    /// For each open cell, how many it stands for.
    repeated: Vec<i64>,
    slides: usize,
    /// What comes is the title of a slide.
    is_title: bool,
    skip: Skip,
}

impl Body {
    fn hear(&mut self, node: Node<'_>) {
        if self.skip.takes(&node) {
            return;
        }
        match node {
            Node::Open(tag) => self.opens(&tag),
            Node::Close(name) => self.closes(name),
            Node::Text(text) if self.in_body => self.say(text),
            Node::Text(_) => {}
        }
    }

    fn opens(&mut self, tag: &Tag<'_>) {
        self.lists.opens(tag);
        match tag.name {
            "body" => self.in_body = true,
            "style" => {
                self.style = tag.get("name").unwrap_or_default();
                let parent = tag.get("parent-style-name").unwrap_or_default();
                let has_page = tag
                    .get("master-page-name")
                    .is_some_and(|page| !page.is_empty());
                if has_page || self.breaking.contains(&parent) {
                    self.breaking.insert(self.style.clone());
                }
            }
            "paragraph-properties" if tag.get("break-before").as_deref() == Some("page") => {
                self.breaking.insert(self.style.clone());
            }
            // What was deleted, and what a program says of the pictures.
            "tracked-changes" | "event-listeners" | "forms" | "ruby-text" => self.skip.begin(),
            "title" | "desc" if tag.is_of("svg") => self.skip.begin(),
            "creator" | "date" if self.comment.is_some() => self.skip.begin(),
            "annotation" => self.comment = Some(String::new()),
            "page" => {
                if self.slides > 0 {
                    self.flow.page_break();
                }
                self.slides += 1;
            }
            // The number of a slide on its notes.
            "page-number" if self.slides > 0 => self.skip.begin(),
            "frame" => self.is_title = tag.get("class").is_some_and(|class| class == "title"),
            "soft-page-break" => self.break_softly(),
            "p" | "h" => self.open_paragraph(tag),
            "s" => {
                let blanks = tag.number("c").unwrap_or(1).clamp(1, MOST_BLANKS) as usize;
                self.say(&" ".repeat(blanks));
            }
            "tab" => self.say("\t"),
            "line-break" => self.say("\n"),
            "note" => {
                self.notes += 1;
                self.note = Some(format!("{})", self.notes));
            }
            "note-citation" => self.skip.begin(),
            "table" => self.flow.open_table(),
            "table-row" => self.flow.open_row(),
            "table-cell" | "covered-table-cell" => {
                self.flow.open_cell();
                self.repeated
                    .push(tag.number("number-columns-repeated").unwrap_or(1));
            }
            _ => {}
        }
    }

    /// A page ended where the program broke the lines, perhaps inside a paragraph.
    fn break_softly(&mut self) {
        if self.note.is_some() || self.open.len() > 1 {
            return;
        }
        if let Some(open) = self.open.last_mut() {
            let begun = std::mem::take(&mut open.text);
            let level = open.level;
            self.place(level, &begun);
        }
        self.flow.page_break();
    }

    fn open_paragraph(&mut self, tag: &Tag<'_>) {
        let breaks = tag
            .get("style-name")
            .is_some_and(|style| self.breaking.contains(&style));
        if breaks && self.open.is_empty() {
            self.flow.page_break();
        }
        let level = (tag.name == "h" || self.is_title)
            .then(|| tag.number("outline-level").unwrap_or(1).max(1) as usize);
        self.open.push(Paragraph {
            text: String::new(),
            level,
        });
    }

    fn closes(&mut self, name: &str) {
        self.lists.closes(name);
        match name {
            "p" | "h" => self.end_paragraph(),
            "note" => {
                if let Some(note) = self.note.take() {
                    self.flow.note(&note);
                }
            }
            "table-cell" | "covered-table-cell" => {
                // Empty ones in between; how often a full one is repeated is for programs that count.
                self.flow.span(self.repeated.pop().unwrap_or(1));
            }
            "annotation" => {
                if let Some(comment) = self.comment.take() {
                    self.flow.note(&format!("[{}]", comment.trim()));
                }
            }
            "table" => self.flow.close_table(),
            "body" => self.in_body = false,
            _ => {}
        }
    }

    fn say(&mut self, text: &str) {
        if let Some(paragraph) = self.open.last_mut() {
            paragraph.text.push_str(text);
        }
    }

    fn end_paragraph(&mut self) {
        let Some(paragraph) = self.open.pop() else {
            return;
        };
        if let Some(comment) = &mut self.comment {
            comment.push_str(&paragraph.text);
            comment.push(' ');
            return;
        }
        if let Some(note) = &mut self.note {
            note.push(' ');
            note.push_str(&paragraph.text);
            return;
        }
        self.place(paragraph.level, &paragraph.text);
    }

    fn place(&mut self, level: Option<usize>, text: &str) {
        if !text.trim().is_empty() {
            let mark = self.lists.mark(level);
            self.flow.numbered(level, mark.as_deref(), text);
        }
    }
}
