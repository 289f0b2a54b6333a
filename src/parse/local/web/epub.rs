//! EPUB books: a chapter (an item of the book's spine) is a page.

use std::collections::HashMap;

use super::super::archive::{Archive, resolve};
use super::super::flow::page;
use super::super::office::properties;
use super::super::xml::{self, Node, walk};
use super::html;
use crate::document::{OutlineItem, Page, Parsed, Verdict};
use crate::parse::ParseError;

/// # Errors
/// When the container cannot be read, or its chapters are under rights management.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let mut archive = Archive::open(bytes)?;
    let container = archive.needed("META-INF/container.xml")?;
    let mut root = None;
    let _ = walk(&container, &mut |node| {
        if let Node::Open(tag) = node
            && tag.name == "rootfile"
        {
            root = root.take().or(tag.get("full-path"));
        }
    });
    let root = root.unwrap_or_else(|| "OEBPS/content.opf".to_owned());
    let package = archive.needed(&root)?;
    let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
    let sealed = sealed(&archive.optional("META-INF/encryption.xml"));
    let (mut pages, mut outline) = (Vec::new(), Vec::new());
    for href in spine(&package) {
        let name = resolve(folder, &href);
        if sealed.contains(&name) {
            return Err(ParseError::with_hint(
                "the book is under rights management (DRM)",
                "save a copy without it and ingest that",
            ));
        }
        let number = pages.len() as u32 + 1;
        let Ok(Some(chapter)) = archive.part(&name) else {
            pages.push(Page {
                number,
                text: String::new(),
                verdict: Verdict::Failed,
            });
            continue;
        };
        let text = html::text(&html::from_xml(&xml::decode(&chapter)));
        if let Some(title) = text.lines().find_map(|line| line.strip_prefix("# ")) {
            outline.push(OutlineItem {
                level: 1,
                title: title.to_owned(),
                page: Some(number),
            });
        }
        pages.push(page(number, text));
    }
    if pages.is_empty() {
        return Err(ParseError::document("the book has no chapters"));
    }
    let (mut details, title) = properties::named(&package);
    details.outline = outline;
    Ok(Parsed {
        pages,
        title,
        details,
    })
}

/// The files of the chapters, in reading order.
fn spine(package: &[u8]) -> Vec<String> {
    let mut files: HashMap<String, String> = HashMap::new();
    let mut order = Vec::new();
    let _ = walk(package, &mut |node| {
        let Node::Open(tag) = node else { return };
        match tag.name {
            "item" => {
                if let (Some(id), Some(href)) = (tag.get("id"), tag.get("href")) {
                    files.insert(id, decoded(&href));
                }
            }
            "itemref" => order.extend(tag.get("idref")),
            _ => {}
        }
    });
    order
        .iter()
        .filter_map(|id| files.get(id).cloned())
        .collect()
}

/// `chapter%201.xhtml` is `chapter 1.xhtml`.
fn decoded(href: &str) -> String {
    let path = href.split('#').next().unwrap_or_default();
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = (*first == b'%').then(|| tail.get(..2)).flatten();
        let byte = escape
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = match byte {
            Some(_) => &tail[2..],
            None => tail,
        };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| path.to_owned())
}

/// The parts that only a licence opens. Fonts may be, too, which does no harm.
fn sealed(encryption: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let _ = walk(encryption, &mut |node| {
        if let Node::Open(tag) = node
            && tag.name == "CipherReference"
        {
            found.extend(tag.get("URI").map(|uri| decoded(&uri)));
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_in_names_are_resolved() {
        assert_eq!(decoded("a%20b%EA%B0%80.xhtml#x"), "a b가.xhtml");
        assert_eq!(decoded("100%"), "100%");
    }
}
