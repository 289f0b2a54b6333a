//! What a docx paragraph's style and number mean: a heading of some level, an item of some list.

use std::collections::HashMap;

use super::super::super::numbering::{Counter, Digits, Level};
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
    /// What a list is an instance of; all of these count together.
    kinds: HashMap<String, String>,
    levels: HashMap<String, Vec<Level>>,
    counters: HashMap<String, Counter>,
    /// Numbers that a list begins at, by list: level and number. Taken when it does.
    starts: HashMap<String, Vec<(usize, usize)>>,
}

impl Numbering {
    /// From `numbering.xml`.
    pub fn read(xml: &[u8]) -> Self {
        let mut read = Self::default();
        let (mut kind, mut list, mut level) = (String::new(), String::new(), 0);
        let _ = walk(xml, &mut |node| {
            let Node::Open(tag) = node else { return };
            let value = || tag.get("val").unwrap_or_default();
            match tag.name {
                "abstractNum" => kind = tag.get("abstractNumId").unwrap_or_default(),
                "num" => {
                    list = tag.get("numId").unwrap_or_default();
                    // Levels from here on are exceptions of single lists.
                    kind.clear();
                }
                "abstractNumId" => drop(read.kinds.insert(list.clone(), value())),
                "lvl" | "lvlOverride" => {
                    level = tag.number("ilvl").unwrap_or(0).clamp(0, 8) as usize;
                }
                "startOverride" => {
                    let number = tag.number("val").unwrap_or(1).max(0) as usize;
                    let starts = read.starts.entry(list.clone()).or_default();
                    starts.push((level, number));
                }
                "start" | "numFmt" | "lvlText" if !kind.is_empty() => {
                    let levels = read.levels.entry(kind.clone()).or_default();
                    while levels.len() <= level {
                        levels.push(Level::Number {
                            digits: Digits::Decimal,
                            text: format!("%{}.", levels.len() + 1),
                            start: 1,
                        });
                    }
                    set(&mut levels[level], tag.name, &value());
                }
                _ => {}
            }
        });
        read
    }

    /// The mark of the next item of this list and level; `None` where the paragraph is in no list.
    pub fn mark(&mut self, list: &str, level: usize) -> Option<String> {
        if list.is_empty() || list == "0" {
            return None;
        }
        let kind = self.kinds.get(list).map_or(list, String::as_str).to_owned();
        let Some(levels) = self.levels.get(&kind) else {
            return Some("-".to_owned());
        };
        let counter = self.counters.entry(kind).or_default();
        for (level, number) in self.starts.remove(list).unwrap_or_default() {
            counter.set(level, number);
        }
        counter.next(levels, level)
    }
}

/// What an element of a level says of it.
fn set(of: &mut Level, name: &str, value: &str) {
    if name == "numFmt" && value == "bullet" {
        *of = Level::Bullet;
    }
    let Level::Number {
        digits,
        text,
        start,
    } = of
    else {
        return;
    };
    match name {
        "start" => *start = value.parse().unwrap_or(1),
        "lvlText" => *text = value.to_owned(),
        "numFmt" if value == "none" => text.clear(),
        _ => *digits = format(value),
    }
}

/// Formats of OOXML, ECMA-376, 17.18.59.
fn format(name: &str) -> Digits {
    match name {
        "lowerLetter" => Digits::LowerLetter,
        "upperLetter" => Digits::UpperLetter,
        "lowerRoman" => Digits::LowerRoman,
        "upperRoman" => Digits::UpperRoman,
        "decimalEnclosedCircle" => Digits::Circled,
        "ganada" => Digits::Syllable,
        "chosung" => Digits::Jamo,
        "koreanDigital" | "koreanCounting" => Digits::Korean,
        _ => Digits::Decimal,
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
    fn lists_count_as_their_levels_say() {
        let mut lists = Numbering::read(
            "<numbering><abstractNum abstractNumId='7'>
                <lvl ilvl='0'><start val='3'/><numFmt val='decimal'/><lvlText val='제%1조'/></lvl>
                <lvl ilvl='1'><numFmt val='ganada'/></lvl>
                <lvl ilvl='2'><numFmt val='bullet'/><lvlText val='•'/></lvl>
                <lvl ilvl='3'><numFmt val='none'/><lvlText val=''/></lvl></abstractNum>
                <num numId='3'><abstractNumId val='7'/></num>
                <num numId='4'><abstractNumId val='7'/><lvlOverride ilvl='0'><startOverride val='1'/></lvlOverride></num>
                <num numId='5'><abstractNumId val='7'/></num></numbering>"
                .as_bytes(),
        );
        let places = [
            ("3", 0),
            ("3", 1),
            ("3", 1),
            ("5", 0),
            ("3", 1),
            ("3", 2),
            ("4", 0),
            ("4", 0),
        ];
        let marks = places.map(|(list, level)| lists.mark(list, level).unwrap_or_default());
        assert_eq!(
            marks,
            ["제3조", "가.", "나.", "제4조", "가.", "-", "제1조", "제2조"]
        );
        assert_eq!(lists.mark("3", 3), None);
        assert_eq!(lists.mark("0", 0), None);
        assert_eq!(lists.mark("9", 0).as_deref(), Some("-"));
    }
}
