//! What Hangul writes before paragraphs: bullets, and the numbers of lists and outlines.

use std::collections::HashMap;

use super::super::numbering::{Counter, Digits, Level};

/// What stands before the paragraphs of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    Bullet,
    /// The number of this level, from 0, of a numbering.
    Number(usize, usize),
    /// The same of the numbering that the section's outline has.
    Outline(usize),
}

/// The heads of all shapes, and how far they have counted.
#[derive(Debug, Default)]
pub struct Heads {
    pub shapes: HashMap<usize, Head>,
    /// Numberings by their ids.
    pub numberings: HashMap<usize, Vec<Level>>,
    /// The numbering of this section's outline.
    pub outline: usize,
    counters: HashMap<usize, Counter>,
}

impl Heads {
    /// What stands before the next paragraph of `shape`.
    pub fn mark(&mut self, shape: usize) -> Option<String> {
        let (numbering, level) = match self.shapes.get(&shape)? {
            Head::Bullet => return Some("-".to_owned()),
            Head::Number(numbering, level) => (*numbering, *level),
            Head::Outline(level) => (self.outline, *level),
        };
        let levels = self.numberings.get(&numbering)?;
        self.counters
            .entry(numbering)
            .or_default()
            .next(levels, level)
    }
}

/// A level by its format, as `제^1조`: `^1` is the number of the first level, `^n` those of all levels down to
/// this one, `^N` the same with a dot behind.
pub fn level(index: usize, digits: Digits, format: &str, start: usize) -> Level {
    let path = (1..=index + 1).map(|level| format!("%{level}"));
    let path = path.collect::<Vec<_>>().join(".");
    let text = format
        .replace("^n", &path)
        .replace("^N", &format!("{path}."))
        .replace('^', "%");
    Level::Number {
        digits,
        text,
        start,
    }
}

/// Formats by their numbers in hwp (Hancom's specification, table 43).
pub fn digits(kind: u32) -> Digits {
    match kind {
        1 => Digits::Circled,
        2 => Digits::UpperRoman,
        3 => Digits::LowerRoman,
        4 => Digits::UpperLetter,
        5 => Digits::LowerLetter,
        8 => Digits::Syllable,
        10 => Digits::Jamo,
        12 => Digits::Korean,
        _ => Digits::Decimal,
    }
}

/// Formats by their names in hwpx.
pub fn named_digits(name: &str) -> Digits {
    digits(match name {
        "CIRCLED_DIGIT" => 1,
        "ROMAN_CAPITAL" => 2,
        "ROMAN_SMALL" => 3,
        "LATIN_CAPITAL" => 4,
        "LATIN_SMALL" => 5,
        "HANGUL_SYLLABLE" => 8,
        "HANGUL_JAMO" => 10,
        "HANGUL_PHONETIC" => 12,
        _ => 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_bullets_and_numbers() {
        let mut heads = Heads {
            shapes: [
                (1, Head::Bullet),
                (2, Head::Number(7, 0)),
                (3, Head::Number(7, 1)),
                (4, Head::Outline(1)),
            ]
            .into(),
            ..Heads::default()
        };
        let levels = vec![
            level(0, Digits::Decimal, "제^1조", 1),
            level(1, named_digits("HANGUL_SYLLABLE"), "^n)", 1),
        ];
        heads.numberings = [(7, levels)].into();
        let marks = [1, 2, 3, 3, 2, 0, 4].map(|shape| heads.mark(shape).unwrap_or_default());
        assert_eq!(marks, ["-", "제1조", "1.가)", "1.나)", "제2조", "", ""]);
        heads.outline = 7;
        assert_eq!(heads.mark(4).as_deref(), Some("2.가)"));
    }
}
