//! XML as a flat run of openings, closings and text. Entities of the document's own are not expanded, so
//! a few bytes cannot become many; prefixes are dropped, so `w:p` and `p` are the same.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// What comes next.
pub enum Node<'a> {
    Open(Tag<'a>),
    Close(&'a str),
    Text(&'a str),
}

/// An opening tag.
pub struct Tag<'a> {
    pub name: &'a str,
    start: &'a BytesStart<'a>,
}

impl Tag<'_> {
    /// The value of the attribute with this name, whatever its prefix.
    pub fn get(&self, name: &str) -> Option<String> {
        let mut attributes = self.start.attributes();
        let mut attributes = attributes.with_checks(false).flatten();
        let found = attributes.find(|attribute| attribute.key.local_name().as_ref() == name)?;
        let value = quick_xml::escape::unescape(&found.value);
        Some(value.map_or_else(|_| found.value.to_string(), Cow::into_owned))
    }

    /// The same for an attribute that has a prefix, where one without has the same name.
    pub fn prefixed(&self, name: &str) -> Option<String> {
        let mut attributes = self.start.attributes();
        let mut attributes = attributes.with_checks(false).flatten();
        let is_it = |key: quick_xml::name::QName<'_>| {
            key.local_name().as_ref() == name && key.prefix().is_some()
        };
        let found = attributes.find(|attribute| is_it(attribute.key))?;
        Some(found.value.to_string())
    }

    /// Whether the element has this prefix, where its name alone has two meanings.
    pub fn is_of(&self, prefix: &str) -> bool {
        let name = self.start.name();
        name.prefix().is_some_and(|own| own.as_ref() == prefix)
    }

    /// The attribute as a number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.trim().parse().ok()
    }
}

/// Leaves elements out, with all that is in them.
#[derive(Debug, Default)]
pub struct Skip(usize);

impl Skip {
    /// Leaves out the element that has just opened.
    pub fn begin(&mut self) {
        self.0 = 1;
    }

    /// Whether the node is left out.
    pub fn takes(&mut self, node: &Node<'_>) -> bool {
        if self.0 == 0 {
            return false;
        }
        match node {
            Node::Open(_) => self.0 += 1,
            Node::Close(_) => self.0 -= 1,
            Node::Text(_) => {}
        }
        true
    }
}

/// Hands all of `xml` to `hear`. An element without content closes right after it opens.
///
/// # Errors
/// Where the XML is broken, after what stands before that was heard.
pub fn walk(xml: &[u8], hear: &mut dyn FnMut(Node<'_>)) -> Result<(), String> {
    let text = decode(xml);
    let mut reader = Reader::from_str(&text);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    loop {
        let event = reader.read_event().map_err(|error| error.to_string())?;
        match event {
            Event::Start(start) => open(&start, hear),
            Event::Empty(start) => {
                open(&start, hear);
                hear(Node::Close(start.local_name().as_ref()));
            }
            Event::End(end) => hear(Node::Close(end.local_name().as_ref())),
            Event::Text(text) => hear(Node::Text(&text.xml10_content())),
            Event::CData(text) => hear(Node::Text(&text.xml10_content())),
            Event::GeneralRef(name) => {
                let resolved = match name.resolve_char_ref() {
                    Ok(Some(c)) => Some(c.to_string()),
                    Ok(None) => quick_xml::escape::resolve_xml_entity(&name).map(str::to_owned),
                    Err(_) => None,
                };
                if let Some(text) = resolved {
                    hear(Node::Text(&text));
                }
            }
            Event::Eof => return Ok(()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

fn open(start: &BytesStart<'_>, hear: &mut dyn FnMut(Node<'_>)) {
    let name = start.local_name();
    hear(Node::Open(Tag {
        name: name.as_ref(),
        start,
    }));
}

/// UTF-8 unless a byte order mark or the declaration says otherwise.
pub fn decode(xml: &[u8]) -> Cow<'_, str> {
    if encoding_rs::Encoding::for_bom(xml).is_some() {
        return encoding_rs::UTF_8.decode(xml).0;
    }
    let head = String::from_utf8_lossy(&xml[..xml.len().min(200)]);
    let declared = head
        .split_once("encoding=")
        .filter(|(before, _)| before.contains("<?xml"))
        .and_then(|(_, rest)| rest.get(1..)?.split(['"', '\'']).next())
        .and_then(|label| encoding_rs::Encoding::for_label(label.as_bytes()));
    let encoding = declared.unwrap_or(encoding_rs::UTF_8);
    encoding.decode_without_bom_handling(xml).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_dropped_and_entities_resolved_but_those_of_the_document() {
        let xml = br#"<!DOCTYPE a [<!ENTITY b "boom">]><w:a w:v="1 &lt; 2"><t>x &amp; y&#44608;&b;</t><br/></w:a>"#;
        let mut seen = String::new();
        walk(xml, &mut |node| match node {
            Node::Open(tag) => {
                seen += &format!("<{} {:?}>", tag.name, tag.get("v"));
            }
            Node::Close(name) => seen += &format!("</{name}>"),
            Node::Text(text) => seen += text,
        })
        .unwrap();
        assert_eq!(
            seen,
            "<a Some(\"1 < 2\")><t None>x & y김</t><br None></br></a>"
        );
    }

    #[test]
    fn what_stands_before_broken_xml_is_heard() {
        let mut text = String::new();
        let ended = walk(b"<a>one<b>two</b><", &mut |node| {
            if let Node::Text(part) = node {
                text += part;
            }
        });
        assert!(ended.is_err());
        assert_eq!(text, "onetwo");
    }

    #[test]
    fn utf16_is_decoded() {
        let xml: Vec<u8> = "\u{FEFF}<a>회의</a>"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let mut text = String::new();
        walk(&xml, &mut |node| {
            if let Node::Text(part) = node {
                text += part;
            }
        })
        .unwrap();
        assert_eq!(text, "회의");
    }
}
