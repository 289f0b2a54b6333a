//! What the head of an HTML page says: its encoding, title and metadata.

use encoding_rs::Encoding;
use scraper::{Html, Node};

use super::super::super::plain;
use crate::document::Details;
use crate::parse::ParseError;
use crate::text::one_line;

/// Where a declared character set is looked for, as browsers do.
const HEAD: usize = 1_024;

/// By its mark, what the page declares, or what the bytes look like, in this order.
pub fn decode(bytes: &[u8]) -> Result<String, ParseError> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(HEAD)]).to_lowercase();
    let declared = head.split_once("charset=").and_then(|(_, rest)| {
        let label = rest.trim_start_matches(['"', '\'', ' ']);
        let end = label.find(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)));
        Encoding::for_label(&label.as_bytes()[..end.unwrap_or(label.len())])
    });
    match (Encoding::for_bom(bytes), declared) {
        (None, Some(encoding)) => {
            let (text, broken) = encoding.decode_without_bom_handling(bytes);
            // Pages are saved in other encodings than the one they came in.
            if broken && let Some(text) = plain::decode(bytes) {
                return Ok(text);
            }
            Ok(text.into_owned())
        }
        _ => plain::decode(bytes).ok_or_else(plain::binary),
    }
}

/// What the head of the page says of it.
pub fn about(html: &Html) -> (Details, Option<String>) {
    let (mut details, mut title) = (Details::default(), None);
    for node in html.tree.root().descendants() {
        let Node::Element(element) = node.value() else {
            continue;
        };
        match element.name() {
            "title" if title.is_none() => {
                let texts = node.descendants().filter_map(|node| node.value().as_text());
                let text: String = texts.map(|text| &**text).collect();
                title = Some(one_line(&text)).filter(|text| !text.is_empty());
            }
            "meta" => {
                let name = element.attr("name").or(element.attr("property"));
                let content = element
                    .attr("content")
                    .map(one_line)
                    .filter(|text| !text.is_empty());
                let place = match name.unwrap_or_default().to_lowercase().as_str() {
                    "author" => &mut details.author,
                    "description" | "og:description" => &mut details.subject,
                    "keywords" => &mut details.keywords,
                    "date" | "dc.date" | "article:published_time" => &mut details.created,
                    "article:modified_time" => &mut details.modified,
                    "generator" => &mut details.producer,
                    _ => continue,
                };
                *place = place.take().or(content);
            }
            "body" => break,
            _ => {}
        }
    }
    (details, title)
}
