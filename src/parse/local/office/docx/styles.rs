//! What a docx paragraph's style and number mean: a heading of some level, an item of some list.

use std::collections::HashMap;

use super::super::super::xml::{Node, walk};

/// What a style makes of its paragraphs.
#[derive(Debug, Clone, Default)]
pub struct Style {
    /// 1 is the highest.
    pub level: Option<usize>,
    /// Id and level of a list.
    pub number: Option<(String, usize)>,
    /// Its paragraphs begin pages.
    pub on_new_page: bool,
    based_on: Option<String>,
}

/// Styles by their ids.
#[derive(Debug, Default)]
pub struct Styles(HashMap<String, Style>);

impl Styles {
    /// From `styles.xml`.
    pub fn read(xml: &[u8]) -> Self {
        let mut styles: HashMap<String, Style> = HashMap::new();
        let mut id = String::new();
        let _ = walk(xml, &mut |node| {
            let Node::Open(tag) = node else { return };
            if tag.name == "style" {
                id = tag.get("styleId").unwrap_or_default();
                styles.insert(id.clone(), Style::default());
                return;
            }
            let Some(style) = styles.get_mut(&id) else {
                return;
            };
            let value = tag.get("val").unwrap_or_default();
            match tag.name {
                "name" => style.level = heading_level(&value),
                "basedOn" => style.based_on = Some(value),
                "pageBreakBefore" => style.on_new_page = !matches!(value.as_str(), "0" | "false"),
                "outlineLvl" => {
                    let level: Option<usize> = value.parse().ok();
                    style.level = level.filter(|level| *level < 9).map(|level| level + 1);
                }
                "numId" => style.number.get_or_insert_default().0 = value,
                "ilvl" => {
                    style.number.get_or_insert_default().1 = value.parse().unwrap_or(0).min(8);
                }
                _ => {}
            }
        });
        Self(styles)
    }

    /// The style with this id, or the nearest it is based on that says something.
    pub fn find(&self, id: &str) -> Option<&Style> {
        let mut style = self.0.get(id)?;
        // Styles of broken documents are based on themselves.
        for _ in 0..10 {
            if style.level.is_some() || style.number.is_some() || style.on_new_page {
                break;
            }
            style = self.0.get(style.based_on.as_deref()?)?;
        }
        Some(style)
    }
}

/// `heading 2` is what Word calls its second level in every language; titles are above all.
fn heading_level(name: &str) -> Option<usize> {
    let name = name.to_lowercase();
    if name == "title" {
        return Some(1);
    }
    let level: usize = name.strip_prefix("heading ")?.trim().parse().ok()?;
    (1..10).contains(&level).then_some(level)
}

/// Lists and how far they have counted.
#[derive(Debug, Default)]
pub struct Numbering {
    /// Formats by list and level.
    formats: HashMap<(String, usize), String>,
    counts: HashMap<(String, usize), usize>,
}

impl Numbering {
    /// From `numbering.xml`.
    pub fn read(xml: &[u8]) -> Self {
        let mut shapes: HashMap<(String, usize), String> = HashMap::new();
        let mut formats = HashMap::new();
        let (mut shape, mut list, mut level) = (String::new(), String::new(), 0);
        let _ = walk(xml, &mut |node| {
            let Node::Open(tag) = node else { return };
            match tag.name {
                "abstractNum" => shape = tag.get("abstractNumId").unwrap_or_default(),
                "lvl" => level = tag.number("ilvl").unwrap_or(0).clamp(0, 8) as usize,
                "numFmt" => {
                    let format = tag.get("val").unwrap_or_default();
                    shapes.insert((shape.clone(), level), format);
                }
                "num" => {
                    list = tag.get("numId").unwrap_or_default();
                    // Formats from here on are of single lists.
                    shape.clear();
                }
                "abstractNumId" => {
                    let of = tag.get("val").unwrap_or_default();
                    for level in 0..9 {
                        if let Some(format) = shapes.get(&(of.clone(), level)) {
                            formats.insert((list.clone(), level), format.clone());
                        }
                    }
                }
                _ => {}
            }
        });
        Self {
            formats,
            counts: HashMap::new(),
        }
    }

    /// The mark of the next item of this list and level; `None` where the paragraph is in no list.
    pub fn mark(&mut self, list: &str, level: usize) -> Option<String> {
        if list.is_empty() || list == "0" {
            return None;
        }
        let format = self.formats.get(&(list.to_owned(), level));
        let format = format.map_or("bullet", String::as_str);
        for deeper in level + 1..9 {
            self.counts.remove(&(list.to_owned(), deeper));
        }
        let count = self.counts.entry((list.to_owned(), level)).or_default();
        *count += 1;
        Some(match format {
            "bullet" => "-".to_owned(),
            "none" => return None,
            _ => number(format, *count),
        })
    }
}

/// `number` in one of OOXML's formats (ECMA-376, 17.18.59): letters, Hangul syllables, or digits.
pub fn number(format: &str, number: usize) -> String {
    const GANADA: [char; 14] = [
        '가', '나', '다', '라', '마', '바', '사', '아', '자', '차', '카', '타', '파', '하',
    ];
    let letter = |first: u8| char::from(first + ((number - 1) % 26) as u8);
    match format {
        "lowerLetter" => format!("{})", letter(b'a')),
        "upperLetter" => format!("{})", letter(b'A')),
        "ganada" => format!("{}.", GANADA[(number - 1) % 14]),
        _ => format!("{number}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_inherit_their_level() {
        let styles = Styles::read(
            br#"<styles><style styleId="h"><name val="heading 2"/></style>
                <style styleId="mine"><name val="My own"/><basedOn val="h"/></style>
                <style styleId="loop"><basedOn val="loop"/></style></styles>"#,
        );
        assert_eq!(styles.find("mine").unwrap().level, Some(2));
        assert!(styles.find("loop").unwrap().level.is_none());
        assert!(styles.find("none").is_none());
    }

    #[test]
    fn lists_count_and_deeper_levels_begin_again() {
        let mut lists = Numbering::read(
            br#"<numbering><abstractNum abstractNumId="7"><lvl ilvl="0"><numFmt val="decimal"/></lvl>
                <lvl ilvl="1"><numFmt val="ganada"/></lvl></abstractNum>
                <num numId="3"><abstractNumId val="7"/></num></numbering>"#,
        );
        let marks: Vec<Option<String>> = [0, 1, 1, 0, 1].map(|level| lists.mark("3", level)).into();
        let marks: Vec<String> = marks.into_iter().flatten().collect();
        assert_eq!(marks, ["1.", "가.", "나.", "2.", "가."]);
        assert_eq!(lists.mark("0", 0), None);
        assert_eq!(lists.mark("9", 0).as_deref(), Some("-"));
    }
}
