//! Lists of OpenDocument: what stands before their items and before numbered headings.

use std::collections::HashMap;

use super::super::super::numbering::{Counter, Digits, Level};
use super::super::super::xml::Tag;

/// Under this name go the levels of headings, which are of no list.
const OUTLINE: &str = "\0outline";

/// List styles, and the lists that are open.
#[derive(Debug, Default)]
pub struct Lists {
    styles: HashMap<String, Vec<Level>>,
    /// The style that is being defined.
    style: String,
    counters: HashMap<String, Counter>,
    /// Styles of the open lists, the outermost first.
    open: Vec<String>,
    /// An item has begun and nothing of it is said.
    at_item: bool,
}

impl Lists {
    pub fn opens(&mut self, tag: &Tag<'_>) {
        match tag.name {
            "list-style" => self.begin_style(tag.get("name").unwrap_or_default()),
            "outline-style" => self.begin_style(OUTLINE.to_owned()),
            "list-level-style-bullet" | "list-level-style-image" => {
                self.set(tag, Level::Bullet);
            }
            "list-level-style-number" | "outline-level-style" => self.set(tag, numbered(tag)),
            "list" => {
                let own = tag.get("style-name");
                let outer = self.open.last().cloned();
                let style = own.or(outer).unwrap_or_default();
                let goes_on = tag.get("continue-numbering").as_deref() == Some("true")
                    || tag.get("continue-list").is_some();
                if self.open.is_empty() && !goes_on {
                    self.counters.remove(&style);
                }
                self.open.push(style);
            }
            "list-item" => {
                self.at_item = true;
                let level = self.open.len().saturating_sub(1);
                if let (Some(start), Some(style)) = (tag.number("start-value"), self.open.last()) {
                    let counter = self.counters.entry(style.clone()).or_default();
                    counter.set(level, start.max(0) as usize);
                }
            }
            // It looks like an item and has no number.
            "list-header" => self.at_item = false,
            _ => {}
        }
    }

    pub fn closes(&mut self, name: &str) {
        if name == "list" {
            self.open.pop();
        }
    }

    /// What stands before the next paragraph, of this level if it is a heading.
    pub fn mark(&mut self, heading: Option<usize>) -> Option<String> {
        let Some(style) = self.open.last() else {
            let level = heading?.checked_sub(1)?;
            let levels = self.styles.get(OUTLINE)?;
            let counter = self.counters.entry(OUTLINE.to_owned()).or_default();
            return counter.next(levels, level).filter(|mark| mark != "-");
        };
        if !std::mem::take(&mut self.at_item) {
            return None;
        }
        let Some(levels) = self.styles.get(style) else {
            return Some("-".to_owned());
        };
        let counter = self.counters.entry(style.clone()).or_default();
        counter.next(levels, self.open.len() - 1)
    }

    fn begin_style(&mut self, name: String) {
        self.styles.insert(name.clone(), Vec::new());
        self.style = name;
    }

    fn set(&mut self, tag: &Tag<'_>, level: Level) {
        let at = tag.number("level").unwrap_or(1).clamp(1, 10) as usize;
        let levels = self.styles.entry(self.style.clone()).or_default();
        while levels.len() < at {
            levels.push(Level::Bullet);
        }
        levels[at - 1] = level;
    }
}

/// A level whose numbers show as many levels as it says.
fn numbered(tag: &Tag<'_>) -> Level {
    let format = tag.get("num-format").unwrap_or_default();
    let start = tag.number("start-value").unwrap_or(1).max(0) as usize;
    let Some(first) = format.chars().next() else {
        return Level::Number {
            digits: Digits::Decimal,
            text: String::new(),
            start,
        };
    };
    let digits = match first {
        'a' => Digits::LowerLetter,
        'A' => Digits::UpperLetter,
        'i' => Digits::LowerRoman,
        'I' => Digits::UpperRoman,
        '①' => Digits::Circled,
        '가' => Digits::Syllable,
        'ㄱ' => Digits::Jamo,
        '일' => Digits::Korean,
        _ => Digits::Decimal,
    };
    let level = tag.number("level").unwrap_or(1).clamp(1, 9);
    let shown = tag.number("display-levels").unwrap_or(1).clamp(1, level);
    let path = (level - shown + 1..=level).map(|level| format!("%{level}"));
    let path = path.collect::<Vec<_>>().join(".");
    // A per cent sign of the text's own would be taken for a number.
    let own = |name: &str| tag.get(name).unwrap_or_default().replace('%', "");
    Level::Number {
        digits,
        text: format!("{}{path}{}", own("num-prefix"), own("num-suffix")),
        start,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::super::xml::{Node, walk};
    use super::*;

    #[test]
    fn items_and_headings_count() {
        let xml = "<text:outline-style><text:outline-level-style text:level='1' style:num-format='1'
              style:num-prefix='제' style:num-suffix='장'/></text:outline-style>
            <text:list-style style:name='L'>
            <text:list-level-style-number text:level='1' style:num-format='1' style:num-suffix='.'/>
            <text:list-level-style-number text:level='2' style:num-format='가, 나, 다, ...' text:display-levels='2'/>
            <text:list-level-style-bullet text:level='3'/></text:list-style>
            <text:h text:outline-level='1'/>
            <text:list text:style-name='L'><text:list-item><text:p/><text:p/>
              <text:list><text:list-item><text:p/></text:list-item></text:list></text:list-item>
              <text:list-header><text:p/></text:list-header>
              <text:list-item text:start-value='7'><text:p/></text:list-item></text:list>
            <text:p/><text:list text:style-name='L' text:continue-numbering='true'>
              <text:list-item><text:p/></text:list-item></text:list>
            <text:list text:style-name='L'><text:list-item><text:p/></text:list-item></text:list>
            <text:h text:outline-level='1'/>";
        let mut lists = Lists::default();
        let mut marks = Vec::new();
        walk(xml.as_bytes(), &mut |node| match node {
            Node::Open(tag) => {
                lists.opens(&tag);
                let level = tag.number("outline-level").map(|level| level as usize);
                if matches!(tag.name, "p" | "h") {
                    marks.push(lists.mark(level).unwrap_or_default());
                }
            }
            Node::Close(name) => lists.closes(name),
            Node::Text(_) => {}
        })
        .unwrap();
        assert_eq!(
            marks,
            ["제1장", "1.", "", "1.가", "", "7.", "", "8.", "1.", "제2장"]
        );
    }
}
