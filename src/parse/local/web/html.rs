//! HTML pages: the title and the main text, without menus, scripts and what else surrounds it.

mod head;

use std::borrow::Cow;
use std::sync::LazyLock;

use ego_tree::NodeRef;
use ego_tree::iter::Edge;
use regex::{Captures, Regex};
use scraper::node::Element;
use scraper::{Html, Node};

use self::head::{about, decode};
use super::super::flow::Flow;
use crate::document::Parsed;
use crate::parse::ParseError;

/// Elements whose text no reader sees, or that are for acting and not for reading.
const UNSEEN: [&str; 15] = [
    "script", "style", "noscript", "template", "svg", "iframe", "button", "select", "textarea",
    "head", "object", "canvas", "audio", "video", "math",
];
/// Elements around the text of a page.
const AROUND: [&str; 4] = ["nav", "header", "footer", "aside"];
/// Elements that end a line.
const BLOCKS: [&str; 24] = [
    "p",
    "div",
    "section",
    "article",
    "main",
    "ul",
    "ol",
    "dl",
    "dt",
    "dd",
    "blockquote",
    "figure",
    "figcaption",
    "form",
    "fieldset",
    "address",
    "details",
    "summary",
    "hr",
    "pre",
    "body",
    "caption",
    "center",
    "header",
];

/// # Errors
/// When it is binary data.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let text = decode(bytes)?;
    let html = match text.trim_start().starts_with("<?xml") {
        true => Html::parse_document(&from_xml(&text)),
        false => Html::parse_document(&text),
    };
    let (details, title) = about(&html);
    let mut flow = Flow::default();
    speak(&html, &mut flow);
    Ok(Parsed {
        pages: flow.pages(),
        title,
        details,
    })
}

/// The text of an HTML page as one page.
pub fn text(html: &str) -> String {
    let mut flow = Flow::default();
    speak(&Html::parse_document(html), &mut flow);
    flow.one_page()
}

/// Elements that never have content; all others may be written `<x/>` in XML, which in HTML opens them.
const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
];

/// XHTML as HTML has it: `<title/>` is `<title></title>`.
pub fn from_xml(text: &str) -> Cow<'_, str> {
    static EMPTY: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"<([A-Za-z][A-Za-z0-9]*)(\s[^<>]*)?/>").expect("a constant pattern")
    });
    EMPTY.replace_all(text, |found: &Captures<'_>| {
        let (name, rest) = (&found[1], found.get(2).map_or("", |rest| rest.as_str()));
        match VOID.contains(&name.to_lowercase().as_str()) {
            true => found[0].to_owned(),
            false => format!("<{name}{rest}></{name}>"),
        }
    })
}

fn speak(html: &Html, flow: &mut Flow) {
    let root = html.tree.root();
    let all = weight(root, false);
    // Where a page says what its main part is, or is one article, that is it.
    let is = |node: &NodeRef<'_, Node>, of: &dyn Fn(&Element) -> bool| match node.value() {
        Node::Element(element) => of(element),
        _ => false,
    };
    let is_main = |e: &Element| e.name() == "main" || e.attr("role") == Some("main");
    let mut articles = root
        .descendants()
        .filter(|node| is(node, &|e| e.name() == "article"));
    let only = articles.next().filter(|_| articles.next().is_none());
    let main = root.descendants().find(|node| is(node, &is_main)).or(only);
    let mut speaker = Speaker::default();
    match main.filter(|main| weight(*main, false) * 2 > all) {
        Some(main) => speaker.walk(main, false, flow),
        // A page that is all menu is a page, too.
        None => speaker.walk(root, weight(root, true) * 4 > all, flow),
    }
}

/// Bytes of text that is seen in `node`; `bare`: without what is around the main text.
fn weight(node: NodeRef<'_, Node>, bare: bool) -> usize {
    let (mut size, mut hidden) = (0, 0);
    for edge in node.traverse() {
        match edge {
            Edge::Open(node) => {
                hidden += usize::from(hidden > 0 || is_left_out(node, bare));
                if let (0, Some(text)) = (hidden, node.value().as_text()) {
                    size += text.trim().len();
                }
            }
            Edge::Close(_) => hidden = hidden.saturating_sub(1),
        }
    }
    size
}

fn is_left_out(node: NodeRef<'_, Node>, bare: bool) -> bool {
    let Node::Element(element) = node.value() else {
        return false;
    };
    let style = element.attr("style").unwrap_or_default().replace(' ', "");
    // The header of an article has its title; that of the page its menu.
    let is_of_article = element.name() == "header"
        && node.ancestors().any(|above| {
            above
                .value()
                .as_element()
                .is_some_and(|e| matches!(e.name(), "article" | "main"))
        });
    UNSEEN.contains(&element.name())
        || element.attr("hidden").is_some()
        || style.contains("display:none")
        || (bare && AROUND.contains(&element.name()) && !is_of_article)
}

/// A list that is open.
struct List {
    /// The number of its next item, where they have numbers.
    next: Option<usize>,
}

/// A table that is open.
#[derive(Default)]
struct Open {
    /// A row of it has come: its caption stands above.
    begun: bool,
    /// For each column, how many rows more a cell from above takes.
    taken: Vec<usize>,
    column: usize,
}

impl Open {
    /// Where the next cell stands, past those from above.
    fn next(&mut self) -> usize {
        while let Some(rows @ 1..) = self.taken.get_mut(self.column) {
            *rows -= 1;
            self.column += 1;
        }
        self.column
    }
}

#[derive(Default)]
struct Speaker {
    text: String,
    lists: Vec<List>,
    /// The mark of the item whose text comes.
    mark: Option<String>,
    level: Option<usize>,
    preformatted: usize,
    tables: Vec<Open>,
    /// Columns that the open cells take.
    spans: Vec<i64>,
}

impl Speaker {
    fn walk(&mut self, root: NodeRef<'_, Node>, bare: bool, flow: &mut Flow) {
        let mut hidden = 0;
        for edge in root.traverse() {
            match edge {
                Edge::Open(node) => {
                    hidden += usize::from(hidden > 0 || is_left_out(node, bare));
                    if hidden > 0 {
                        continue;
                    }
                    match node.value() {
                        Node::Text(text) => self.say(text),
                        Node::Element(element) => self.opens(element, flow),
                        _ => {}
                    }
                }
                Edge::Close(_) if hidden > 0 => hidden -= 1,
                Edge::Close(node) => {
                    if let Node::Element(element) = node.value() {
                        self.closes(element.name(), flow);
                    }
                }
            }
        }
        self.end(flow);
    }

    fn say(&mut self, text: &str) {
        if self.preformatted > 0 {
            self.text.push_str(text);
            return;
        }
        // Blanks and line ends are all one blank, and none begins a line.
        for part in text.split_inclusive(char::is_whitespace) {
            let word = part.trim_end();
            self.text.push_str(word);
            if word.len() < part.len() && !self.text.is_empty() && !self.text.ends_with([' ', '\n'])
            {
                self.text.push(' ');
            }
        }
    }

    fn opens(&mut self, element: &Element, flow: &mut Flow) {
        let name = element.name();
        match name {
            "br" => self.text.push('\n'),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.end(flow);
                self.level = name[1..].parse().ok();
            }
            "ul" | "menu" => {
                self.end(flow);
                self.lists.push(List { next: None });
            }
            "ol" => {
                self.end(flow);
                let start = element.attr("start").and_then(|start| start.parse().ok());
                self.lists.push(List {
                    next: Some(start.unwrap_or(1)),
                });
            }
            "li" => {
                self.end(flow);
                self.mark = Some(
                    match self.lists.last_mut().and_then(|list| list.next.as_mut()) {
                        Some(next) => {
                            *next = next.saturating_add(1);
                            format!("{}.", *next - 1)
                        }
                        None => "-".to_owned(),
                    },
                );
            }
            "table" => {
                self.end(flow);
                self.tables.push(Open::default());
            }
            "tr" => {
                self.end(flow);
                self.open_table(flow);
                if let Some(table) = self.tables.last_mut() {
                    table.column = 0;
                }
                flow.open_row();
            }
            "td" | "th" => {
                self.end(flow);
                self.open_table(flow);
                flow.open_cell();
                let number = |name: &str| -> Option<i64> { element.attr(name)?.parse().ok() };
                let (wide, high) = (
                    number("colspan").unwrap_or(1),
                    number("rowspan").unwrap_or(1),
                );
                if let Some(table) = self.tables.last_mut() {
                    let column = table.next();
                    flow.at_column(column);
                    let end = column + wide.clamp(1, 100) as usize;
                    if table.taken.len() < end {
                        table.taken.resize(end, 0);
                    }
                    table.taken[column..end].fill(high.clamp(1, 10_000) as usize - 1);
                    table.column = end;
                }
                self.spans.push(wide);
            }
            "pre" => {
                self.end(flow);
                self.preformatted += 1;
            }
            _ if BLOCKS.contains(&name) => self.end(flow),
            _ => {}
        }
    }

    fn closes(&mut self, name: &str, flow: &mut Flow) {
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "li" => self.end(flow),
            "td" | "th" => {
                self.end(flow);
                flow.span(self.spans.pop().unwrap_or(1));
            }
            "ul" | "ol" | "menu" => {
                self.end(flow);
                self.lists.pop();
            }
            "table" => {
                self.end(flow);
                if self.tables.pop().is_some_and(|table| table.begun) {
                    flow.close_table();
                }
            }
            "pre" => {
                self.end(flow);
                self.preformatted = self.preformatted.saturating_sub(1);
            }
            _ if BLOCKS.contains(&name) => self.end(flow),
            _ => {}
        }
        if matches!(name, "li") {
            self.mark = None;
        }
    }

    /// A table begins with its first row: its caption stands above.
    fn open_table(&mut self, flow: &mut Flow) {
        if let Some(table) = self.tables.last_mut()
            && !table.begun
        {
            table.begun = true;
            flow.open_table();
        }
    }

    fn end(&mut self, flow: &mut Flow) {
        let text = std::mem::take(&mut self.text);
        if text.trim().is_empty() {
            return;
        }
        match (self.level.take(), self.mark.take()) {
            (Some(level), _) => flow.heading(level, &text),
            (None, Some(mark)) => flow.item(&mark, &text),
            (None, None) => flow.paragraph(&text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_text_is_kept_and_what_surrounds_it_is_not() {
        let html =
            "<html><head><title>T</title><style>x{}</style></head><body><nav>Menu of all</nav>
            <main><h1>Fees &amp; dates</h1><p>Boats\n pay <b>20</b> crowns.<br>Always.</p>
            <ol start=3><li>three<li><a href='/x'>four</a></ol>
            <table><tr><th>boat<th>fee<tr><td>small<td>20</table>
            <pre>a  b\n c</pre><script>no()</script></main><footer>Foot</footer></body></html>";
        assert_eq!(
            text(html),
            "# Fees & dates\n\nBoats pay 20 crowns.\nAlways.\n\n3. three\n4. four\n\n\
             | boat | fee |\n| small | 20 |\n\na b\nc"
        );
    }

    #[test]
    fn all_articles_count_and_xml_may_leave_elements_empty() {
        let long = "word ".repeat(50);
        let html = format!("<h1>News</h1><article>{long}</article><article>short</article>");
        assert!(text(&html).starts_with("# News") && text(&html).ends_with("short"));
        let xhtml = "<html><head><title/></head><body><a id='x'/><p>Text.</p></body></html>";
        assert_eq!(text(&from_xml(xhtml)), "Text.");
    }

    #[test]
    fn a_page_that_is_all_menu_is_kept() {
        assert_eq!(text("<nav><a>One</a> <a>Two</a></nav>"), "One Two");
    }

    #[test]
    fn cells_over_several_rows_keep_their_column() {
        let html = "<table><tr><td rowspan=2>a</td><td>b<td>c</tr><tr><td>d</td><td>e</tr></table>";
        assert_eq!(text(html), "| a | b | c |\n|  | d | e |");
    }

    #[test]
    fn the_declared_encoding_counts() {
        let page = "<meta charset=euc-kr><title>공지</title><p>도서관 휴관";
        let (bytes, _, _) = encoding_rs::EUC_KR.encode(page);
        let parsed = parse(&bytes).unwrap();
        assert_eq!(parsed.title.as_deref(), Some("공지"));
        assert_eq!(parsed.pages[0].text, "도서관 휴관");
    }
}
