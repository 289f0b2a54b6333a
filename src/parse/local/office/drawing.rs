//! Words in drawings, charts and diagrams (DrawingML), which stand in parts of their own.

use super::super::archive::Archive;
use super::super::xml::{Node, walk};

/// Paragraphs of a drawing; of a chart the titles and the names of its series and categories.
pub fn paragraphs(xml: &[u8]) -> Vec<String> {
    let mut found = vec![String::new()];
    let (mut in_text, mut in_value, mut in_names) = (false, false, false);
    let _ = walk(xml, &mut |node| match node {
        Node::Open(tag) => match tag.name {
            "t" => in_text = true,
            "strCache" | "strLit" => in_names = true,
            "v" => in_value = in_names,
            _ => {}
        },
        Node::Close(name) => match name {
            "t" => in_text = false,
            "strCache" | "strLit" => in_names = false,
            // Paragraphs, and comments on cells.
            "p" | "text" => found.push(String::new()),
            "v" => {
                in_value = false;
                found.push(String::new());
            }
            _ => {}
        },
        Node::Text(text) if in_text || in_value => {
            if let Some(last) = found.last_mut() {
                last.push_str(text);
            }
        }
        Node::Text(_) => {}
    });
    // A category is named once for each series.
    let mut seen = std::collections::HashSet::new();
    found.retain(|text| !text.trim().is_empty() && seen.insert(text.clone()));
    found
}

/// The words of all parts whose names begin with one of `starts`.
pub fn words(archive: &mut Archive<'_>, starts: &[&str]) -> Vec<String> {
    let names = starts
        .iter()
        .flat_map(|start| archive.numbered(start))
        .collect::<Vec<_>>();
    let found = names
        .iter()
        .flat_map(|name| paragraphs(&archive.optional(name)));
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_says_its_titles_and_names_but_not_its_numbers() {
        let xml = b"<c:chart><a:p><a:r><a:t>Fees </a:t></a:r><a:r><a:t>2025</a:t></a:r></a:p>
            <c:ser><c:tx><c:strCache><c:v>boats</c:v></c:strCache></c:tx>
            <c:val><c:numCache><c:v>20</c:v></c:numCache></c:val></c:ser></c:chart>";
        assert_eq!(paragraphs(xml), ["Fees 2025", "boats"]);
    }

    #[test]
    fn comments_are_one_paragraph_each() {
        let xml = b"<comments><authors><author>Kim</author></authors><commentList>
            <comment ref='A1'><text><r><t>Ask </t></r><r><t>Kim</t></r></text></comment>
            <comment ref='B2'><text><t>Paid</t></text></comment></commentList></comments>";
        assert_eq!(paragraphs(xml), ["Ask Kim", "Paid"]);
    }
}
