//! Presentations (pptx): a slide is a page, its notes at the foot.

use std::collections::HashMap;

use super::super::archive::{Archive, resolve};
use super::super::flow::{Flow, page};
use super::super::xml::{Node, Skip, Tag, walk};
use super::docx::main_part;
use super::{drawing, properties};
use crate::document::Parsed;
use crate::parse::ParseError;

/// # Errors
/// When the container cannot be read, or holds no slides.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let mut archive = Archive::open(bytes)?;
    let relations = archive.optional("_rels/.rels");
    let main = main_part(&relations).unwrap_or_else(|| "ppt/presentation.xml".to_owned());
    let names = slides(&mut archive, &main);
    if names.is_empty() {
        return Err(ParseError::document("the presentation has no slides"));
    }
    let mut pages = Vec::new();
    for (number, name) in (1..).zip(&names) {
        pages.push(match archive.part(name) {
            Ok(Some(xml)) => {
                let mut text = slide(&xml);
                let mut related: Vec<_> = relations_of(&mut archive, name).into_values().collect();
                // Charts and diagrams are on the slide, its notes below.
                related.sort();
                for (kind, part) in related {
                    let more = match kind.as_str() {
                        "chart" | "diagramData" => {
                            drawing::paragraphs(&archive.optional(&part)).join("\n")
                        }
                        "notesSlide" => notes_of(&archive.optional(&part)),
                        _ => continue,
                    };
                    text = format!("{text}\n\n{more}").trim().to_owned();
                }
                page(number, text)
            }
            _ => crate::document::Page {
                number,
                text: String::new(),
                verdict: crate::document::Verdict::Failed,
            },
        });
    }
    let (details, title) = properties::ooxml(&mut archive);
    Ok(Parsed {
        pages,
        title,
        details,
    })
}

/// The parts of the slides in the order they are shown, which is not that of their names.
fn slides(archive: &mut Archive<'_>, main: &str) -> Vec<String> {
    let targets = relations_of(archive, main);
    let xml = archive.optional(main);
    let mut names = Vec::new();
    let _ = walk(&xml, &mut |node| {
        if let Node::Open(tag) = node
            && tag.name == "sldId"
            && let Some((_, part)) = relation(&tag).and_then(|id| targets.get(&id))
        {
            names.push(part.clone());
        }
    });
    match names.is_empty() {
        true => archive.numbered("ppt/slides/slide"),
        false => names,
    }
}

/// `r:id`, where the element has an `id` of its own, too.
fn relation(tag: &Tag<'_>) -> Option<String> {
    tag.prefixed("id")
}

/// Kind and part of what `part` refers to, by id.
fn relations_of(archive: &mut Archive<'_>, part: &str) -> HashMap<String, (String, String)> {
    let (folder, name) = part.rsplit_once('/').unwrap_or(("", part));
    let xml = archive.optional(&format!("{folder}/_rels/{name}.rels"));
    let mut found = HashMap::new();
    let _ = walk(&xml, &mut |node| {
        if let Node::Open(tag) = node
            && tag.name == "Relationship"
            && let (Some(id), Some(target)) = (tag.get("Id"), tag.get("Target"))
        {
            let kind = tag.get("Type").unwrap_or_default();
            let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
            found.insert(id, (kind, resolve(folder, &target)));
        }
    });
    found
}

/// The text of one slide: its title as a heading, then shape by shape.
fn slide(xml: &[u8]) -> String {
    let mut shapes = Shapes::default();
    let _ = walk(xml, &mut |node| shapes.hear(node));
    shapes.flow.one_page()
}

/// What the speaker's notes say, without the slide's number and date.
fn notes_of(xml: &[u8]) -> String {
    let mut shapes = Shapes {
        only_body: true,
        ..Shapes::default()
    };
    let _ = walk(xml, &mut |node| shapes.hear(node));
    shapes.flow.one_page()
}

#[derive(Default)]
struct Shapes {
    flow: Flow,
    /// What kind of placeholder the shape is, where it is one.
    placeholder: Option<String>,
    only_body: bool,
    in_text: bool,
    paragraph: String,
    /// Bullets of a shape are items where there are several.
    bullets: bool,
    skip: Skip,
}

impl Shapes {
    fn hear(&mut self, node: Node<'_>) {
        if self.skip.takes(&node) {
            return;
        }
        match node {
            Node::Open(tag) => self.opens(&tag),
            Node::Close(name) => self.closes(name),
            Node::Text(text) if self.in_text => self.paragraph.push_str(text),
            Node::Text(_) => {}
        }
    }

    fn opens(&mut self, tag: &Tag<'_>) {
        match tag.name {
            "Fallback" => self.skip.begin(),
            "sp" | "graphicFrame" => self.placeholder = None,
            "ph" => self.placeholder = Some(tag.get("type").unwrap_or_else(|| "body".to_owned())),
            "p" => {
                self.paragraph.clear();
                self.bullets = false;
            }
            "buChar" | "buAutoNum" => self.bullets = true,
            "t" => self.in_text = true,
            "br" => self.paragraph.push('\n'),
            "tbl" => self.flow.open_table(),
            "tr" => self.flow.open_row(),
            "tc" => self.flow.open_cell(),
            _ => {}
        }
    }

    fn closes(&mut self, name: &str) {
        match name {
            "t" => self.in_text = false,
            "p" => self.end_paragraph(),
            "tbl" => self.flow.close_table(),
            _ => {}
        }
    }

    fn end_paragraph(&mut self) {
        let text = std::mem::take(&mut self.paragraph);
        match self.placeholder.as_deref() {
            // They are on every slide and say nothing of it.
            Some("sldNum" | "dt" | "ftr" | "hdr" | "sldImg") => {}
            Some("title" | "ctrTitle") if !self.only_body => self.flow.heading(1, &text),
            Some("body" | "obj") if !self.only_body => self.flow.item("-", &text),
            _ if self.bullets => self.flow.item("-", &text),
            _ => self.flow.paragraph(&text),
        }
    }
}
