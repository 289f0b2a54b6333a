//! What a PDF says beside its pages' text: metadata, bookmarks, files inside it, notes readers have put on it.

use std::collections::{HashMap, HashSet};

use hayro_interpret::hayro_syntax::Pdf;
use hayro_interpret::hayro_syntax::object::{
    Array, DateTime, Dict, Name, ObjRef, Object, ObjectIdentifier, String as Text,
};
use hayro_interpret::hayro_syntax::page::Page;

use crate::document::{Details, OutlineItem};

/// Bookmarks, files and fields of one PDF: broken ones refer to each other without end.
pub const MOST: usize = 5_000;
pub const DEEPEST: usize = 32;

/// Metadata, bookmarks and attachments.
pub fn details(pdf: &Pdf) -> Details {
    let about = pdf.metadata();
    let text = |bytes: &Option<Box<[u8]>>| bytes.as_deref().and_then(pdf_string);
    Details {
        author: text(&about.author),
        subject: text(&about.subject),
        keywords: text(&about.keywords),
        created: about.creation_date.map(moment),
        modified: about.modification_date.map(moment),
        producer: text(&about.creator).or(text(&about.producer)),
        outline: outline(pdf),
        attachments: attachments(pdf),
        ..Details::default()
    }
}

/// A PDF text string: UTF-16 with a byte order mark, UTF-8, or close enough to Latin-1.
pub fn pdf_string(bytes: &[u8]) -> Option<String> {
    let text = match bytes {
        [0xFE, 0xFF, rest @ ..] => encoding_rs::UTF_16BE.decode_without_bom_handling(rest).0,
        [0xFF, 0xFE, rest @ ..] => encoding_rs::UTF_16LE.decode_without_bom_handling(rest).0,
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.trim_start_matches('\u{FEFF}').into(),
            Err(_) => {
                encoding_rs::WINDOWS_1252
                    .decode_without_bom_handling(bytes)
                    .0
            }
        },
    };
    let text = crate::text::one_line(&text);
    (!text.is_empty()).then_some(text)
}

fn moment(time: DateTime) -> String {
    let zone = match (time.utc_offset_hour, time.utc_offset_minute) {
        (0, 0) => "Z".to_owned(),
        (hours, minutes) => format!("{hours:+03}:{minutes:02}"),
    };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{zone}",
        time.year, time.month, time.day, time.hour, time.minute, time.second
    )
}

fn root(pdf: &Pdf) -> Option<Dict<'_>> {
    pdf.xref().get(pdf.xref().root_id())
}

/// The bookmarks, with the pages they lead to.
fn outline(pdf: &Pdf) -> Vec<OutlineItem> {
    let Some(root) = root(pdf) else {
        return Vec::new();
    };
    let Some(top) = root.get::<Dict<'_>>("Outlines") else {
        return Vec::new();
    };
    let ids = pdf.pages().iter().map(|page| page.raw().obj_id());
    let pages: HashMap<ObjectIdentifier, u32> = (1..)
        .zip(ids)
        .filter_map(|(page, id)| Some((id?, page)))
        .collect();
    let named = destinations(&root);
    let page_of = |item: &Dict<'_>| {
        let target = item.get::<Object<'_>>("Dest");
        let action = || item.get::<Dict<'_>>("A")?.get::<Object<'_>>("D");
        let place = match target.or_else(action)? {
            Object::Array(place) => place,
            Object::String(name) => named.get(name.as_bytes())?.clone(),
            Object::Name(name) => named.get(name.as_ref())?.clone(),
            _ => return None,
        };
        let id = place.raw_iter().next()?.as_obj_ref()?;
        pages.get(&ObjectIdentifier::from(id)).copied()
    };
    let mut items = Vec::new();
    let mut seen: HashSet<ObjRef> = HashSet::new();
    let mut open: Vec<Option<Dict<'_>>> = vec![top.get("First")];
    while let Some(last) = open.last_mut() {
        let Some(item) = last.take() else {
            open.pop();
            continue;
        };
        *last = item
            .get_ref("Next")
            .filter(|next| seen.insert(*next))
            .and_then(|_| item.get("Next"));
        let level = open.len().min(DEEPEST) as u8;
        if let Some(title) = item
            .get::<Text<'_>>("Title")
            .and_then(|title| pdf_string(title.as_bytes()))
        {
            items.push(OutlineItem {
                level,
                title,
                page: page_of(&item),
            });
        }
        let first = item.get_ref("First").filter(|first| seen.insert(*first));
        if open.len() < DEEPEST && first.is_some() {
            open.push(item.get("First"));
        }
        if items.len() >= MOST {
            break;
        }
    }
    items
}

/// Names of places, from the old dictionary and the new tree of them.
fn destinations<'a>(root: &Dict<'a>) -> HashMap<Vec<u8>, Array<'a>> {
    let mut found = HashMap::new();
    let place = |value: Object<'a>| match value {
        Object::Array(place) => Some(place),
        Object::Dict(dict) => dict.get::<Array<'a>>("D"),
        _ => None,
    };
    if let Some(old) = root.get::<Dict<'a>>("Dests") {
        for (name, _) in old.entries().take(MOST) {
            found.extend(
                old.get::<Object<'a>>(&name)
                    .and_then(place)
                    .map(|at| (name.to_vec(), at)),
            );
        }
    }
    let tree = root
        .get::<Dict<'a>>("Names")
        .and_then(|names| names.get::<Dict<'a>>("Dests"));
    for (name, value) in tree.map(leaves).unwrap_or_default() {
        found.extend(place(value).map(|at| (name, at)));
    }
    found
}

/// Names and values of a name tree (ISO 32000-1, 7.9.6).
fn leaves(tree: Dict<'_>) -> Vec<(Vec<u8>, Object<'_>)> {
    let mut found = Vec::new();
    let mut open = vec![(tree, 0)];
    while let Some((node, depth)) = open.pop() {
        if let Some(names) = node.get::<Array<'_>>("Names") {
            let all: Vec<Object<'_>> = names.iter::<Object<'_>>().take(2 * MOST).collect();
            for pair in all.chunks_exact(2) {
                if let Object::String(name) = &pair[0] {
                    found.push((name.as_bytes().to_vec(), pair[1].clone()));
                }
            }
        }
        let kids = node.get::<Array<'_>>("Kids");
        if let (Some(kids), true) = (kids, depth < DEEPEST && open.len() < MOST) {
            open.extend(
                kids.iter::<Dict<'_>>()
                    .take(MOST)
                    .map(|kid| (kid, depth + 1)),
            );
        }
        if found.len() >= MOST {
            break;
        }
    }
    found
}

/// Names of the files inside.
fn attachments(pdf: &Pdf) -> Vec<String> {
    let tree = root(pdf)
        .and_then(|root| root.get::<Dict<'_>>("Names"))
        .and_then(|names| names.get::<Dict<'_>>("EmbeddedFiles"));
    let files = tree.map(leaves).unwrap_or_default().into_iter();
    let mut names: Vec<String> = files
        .filter_map(|(name, value)| {
            let file = value.into_dict();
            let own =
                file.and_then(|file| file.get::<Text<'_>>("UF").or(file.get::<Text<'_>>("F")));
            own.and_then(|own| pdf_string(own.as_bytes()))
                .or(pdf_string(&name))
        })
        .collect();
    names.sort();
    names
}

/// What readers noted on a page.
pub fn notes(page: &Page<'_>) -> Vec<String> {
    let Some(annotations) = page.raw().get::<Array<'_>>("Annots") else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for annotation in annotations.iter::<Dict<'_>>().take(MOST) {
        let kind = annotation.get::<Name<'_>>("Subtype");
        let line = match kind.as_deref().unwrap_or_default() {
            b"Text" | b"Highlight" | b"Underline" | b"StrikeOut" | b"Squiggly" => annotation
                .get::<Text<'_>>("Contents")
                .and_then(|said| pdf_string(said.as_bytes()))
                .map(|said| format!("[{said}]")),
            _ => None,
        };
        lines.extend(line.filter(|line| !lines.contains(line)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_come_in_several_encodings() {
        assert_eq!(
            pdf_string(b"\xFE\xFF\xD6\x8C\xC7\x58").as_deref(),
            Some("회의")
        );
        assert_eq!(pdf_string(b"  "), None);
    }
}
