//! What a document says of itself: title, author, dates. OOXML (`docProps`), OpenDocument (`meta.xml`) and
//! OLE property sets ([MS-OLEPS]), as doc, ppt, xls and hwp have them.

use chrono::DateTime;

use super::super::archive::Archive;
use super::super::xml::{Node, walk};
use crate::document::Details;
use crate::text::one_line;

/// Details and title of a docx, pptx or xlsx.
pub fn ooxml(archive: &mut Archive<'_>) -> (Details, Option<String>) {
    let (mut details, title) = named(&archive.optional("docProps/core.xml"));
    let (app, _) = named(&archive.optional("docProps/app.xml"));
    details.producer = app.producer;
    (details, title)
}

/// Details and title from elements that have their names in OOXML, OpenDocument or Dublin Core.
pub fn named(xml: &[u8]) -> (Details, Option<String>) {
    let (mut details, mut title) = (Details::default(), None);
    let mut path: Vec<String> = Vec::new();
    let _ = walk(xml, &mut |node| match node {
        Node::Open(tag) => path.push(tag.name.to_owned()),
        Node::Close(_) => drop(path.pop()),
        Node::Text(text) => {
            let text = one_line(text);
            let Some(name) = path.last().filter(|_| !text.is_empty()) else {
                return;
            };
            let place = match name.as_str() {
                "title" => &mut title,
                "creator" | "initial-creator" => &mut details.author,
                "subject" | "description" => &mut details.subject,
                "keywords" | "keyword" => &mut details.keywords,
                "created" | "creation-date" => &mut details.created,
                // OpenDocument calls it `dc:date`.
                "modified" | "date" => &mut details.modified,
                "Application" | "generator" => &mut details.producer,
                _ => return,
            };
            match place {
                // An OpenDocument file names who wrote it first and who last.
                Some(_) if name == "creator" => {}
                Some(known) if name == "keyword" => *known = format!("{known}, {text}"),
                _ => *place = Some(text),
            }
        }
    });
    (details, title)
}

/// Details and title from the stream `\x05SummaryInformation`, or Hangul's of the same form.
pub fn property_set(stream: &[u8]) -> (Details, Option<String>) {
    let (mut details, mut title) = (Details::default(), None);
    for (id, value) in properties(stream).unwrap_or_default() {
        let value = Some(value).filter(|value| !value.is_empty());
        match id {
            0x02 => title = value,
            0x03 => details.subject = value,
            0x04 => details.author = value,
            0x05 => details.keywords = value,
            0x0C => details.created = value,
            0x0D => details.modified = value,
            0x12 => details.producer = value,
            _ => {}
        }
    }
    (details, title)
}

/// Ids and values of the first property set, as texts.
fn properties(stream: &[u8]) -> Option<Vec<(u32, String)>> {
    let u32_at = |at: usize| -> Option<u32> {
        let bytes = stream.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let start = u32_at(44)? as usize;
    let count = u32_at(start + 4)?.min(200);
    let mut code_page = 1252;
    let mut found = Vec::new();
    for entry in 0..count as usize {
        let id = u32_at(start + 8 + 8 * entry)?;
        let at = start.checked_add(u32_at(start + 12 + 8 * entry)? as usize)?;
        let Some(kind) = u32_at(at) else { continue };
        let Some(size) = u32_at(at + 4) else { continue };
        let data = |length: usize| stream.get(at + 8..(at + 8).checked_add(length)?);
        match kind {
            2 if id == 1 => code_page = size & 0xFFFF,
            // VT_LPSTR, VT_LPWSTR, VT_FILETIME.
            0x1E => {
                if let Some(bytes) = data(size as usize) {
                    found.push((id, narrow(bytes, code_page)));
                }
            }
            0x1F => {
                if let Some(bytes) = data((size as usize).saturating_mul(2)) {
                    let (text, _) = encoding_rs::UTF_16LE.decode_without_bom_handling(bytes);
                    found.push((id, clean(&text)));
                }
            }
            0x40 => {
                if let Some(high) = u32_at(at + 8)
                    && let Some(time) = file_time(u64::from(high) << 32 | u64::from(size))
                {
                    found.push((id, time));
                }
            }
            _ => {}
        }
    }
    Some(found)
}

fn narrow(bytes: &[u8], code_page: u32) -> String {
    let encoding = match code_page {
        65001 => encoding_rs::UTF_8,
        949 => encoding_rs::EUC_KR,
        932 => encoding_rs::SHIFT_JIS,
        936 => encoding_rs::GBK,
        _ => encoding_rs::WINDOWS_1252,
    };
    clean(&encoding.decode_without_bom_handling(bytes).0)
}

fn clean(text: &str) -> String {
    one_line(text.trim_end_matches('\0'))
}

/// Hundreds of nanoseconds since 1601 as RFC 3339; `None` for the time that stands for none.
fn file_time(ticks: u64) -> Option<String> {
    const TO_1970: i64 = 11_644_473_600;
    let seconds = i64::try_from(ticks / 10_000_000).ok()? - TO_1970;
    let time = DateTime::from_timestamp(seconds, 0).filter(|_| seconds > 0)?;
    Some(time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_three_standards_are_known() {
        let (details, title) = named(
            "<p><dc:title>보고서</dc:title><dc:creator>A</dc:creator><dc:creator>B</dc:creator>\
             <meta:keyword>x</meta:keyword><meta:keyword>y</meta:keyword>\
             <dcterms:created>2025-01-02T03:04:05Z</dcterms:created></p>"
                .as_bytes(),
        );
        assert_eq!(title.as_deref(), Some("보고서"));
        assert_eq!(details.author.as_deref(), Some("A"));
        assert_eq!(details.keywords.as_deref(), Some("x, y"));
        assert_eq!(details.created.as_deref(), Some("2025-01-02T03:04:05Z"));
    }

    #[test]
    fn file_times_count_from_1601() {
        assert_eq!(
            file_time(133_801_632_000_000_000).as_deref(),
            Some("2025-01-01T00:00:00Z")
        );
        assert_eq!(file_time(0), None);
    }
}
