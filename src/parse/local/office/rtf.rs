//! Rich text (rtf), which many files called .doc are. Pages by its page breaks, rows by its cell marks.

mod control;

use std::collections::HashMap;

use encoding_rs::{EUC_KR, Encoding, GBK, SHIFT_JIS, WINDOWS_1252};

use super::super::flow::Flow;
use crate::document::{Details, Parsed};
use crate::parse::ParseError;

/// Groups in groups; what is deeper is no document.
const DEEPEST: usize = 500;
/// Destinations whose text is not the document's.
const ASIDE: [&str; 15] = [
    "fonttbl",
    "colortbl",
    "pict",
    "object",
    "themedata",
    "datastore",
    "listtable",
    "listoverridetable",
    "rsidtbl",
    "generator",
    "xmlnstbl",
    "latentstyles",
    "fldinst",
    "deleted",
    "info",
];

/// # Errors
/// When groups are nested beyond reason.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let mut reader = Reader {
        rest: bytes,
        flow: Flow::default(),
        groups: vec![Group::default()],
        encoding: WINDOWS_1252,
        text: String::new(),
        bytes: Vec::new(),
        cells: Vec::new(),
        mark: String::new(),
        style: (None, String::new()),
        levels: HashMap::new(),
        title: String::new(),
        author: String::new(),
        skip: 0,
        high: 0,
        ended: false,
        goes_on: false,
    };
    reader.run()?;
    let some = |text: String| Some(crate::text::one_line(&text)).filter(|text| !text.is_empty());
    Ok(Parsed {
        pages: reader.flow.pages(),
        title: some(reader.title),
        details: Details {
            author: some(reader.author),
            ..Details::default()
        },
    })
}

/// The level of a style by its name.
fn heading(style: &str) -> Option<usize> {
    let name = style.trim_end_matches(';').trim().to_lowercase();
    let level = name
        .strip_prefix("heading ")
        .or(name.strip_prefix("제목 "))?;
    level.parse().ok().filter(|level| (1..=9).contains(level))
}

/// Where the text of a group goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Page,
    Note,
    /// The number or bullet before a list item.
    Mark,
    /// The name of a style.
    Style,
    Title,
    Author,
    Nowhere,
}

#[derive(Clone, Copy)]
struct Group {
    to: To,
    /// Characters after `\u` that stand for it in programs without Unicode.
    stand_ins: usize,
    in_table: bool,
    hidden: bool,
    /// 1 to 9 in a heading, 0 in other text.
    level: usize,
}

impl Default for Group {
    fn default() -> Self {
        Self {
            to: To::Page,
            stand_ins: 1,
            in_table: false,
            hidden: false,
            level: 0,
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    flow: Flow,
    groups: Vec<Group>,
    encoding: &'static Encoding,
    /// Of the open paragraph or note.
    text: String,
    /// Bytes of the document's encoding that wait to be decoded together.
    bytes: Vec<u8>,
    cells: Vec<String>,
    mark: String,
    /// Number and name of the style that is being defined.
    style: (Option<i32>, String),
    /// Those styles that are headings.
    levels: HashMap<i32, usize>,
    title: String,
    author: String,
    /// Stand-ins still to be left out.
    skip: usize,
    /// The first half of a pair of surrogates.
    high: u16,
    /// A section has ended, and the next one begins on the same page.
    ended: bool,
    goes_on: bool,
}

impl Reader<'_> {
    fn run(&mut self) -> Result<(), ParseError> {
        while let [first, rest @ ..] = self.rest {
            self.rest = rest;
            match first {
                b'{' if self.groups.len() >= DEEPEST => {
                    return Err(ParseError::document(
                        "the file is nested too deeply to be read",
                    ));
                }
                b'{' => {
                    self.decode();
                    self.groups.push(self.group());
                }
                b'}' => self.close(),
                b'\\' => self.control(),
                b'\r' | b'\n' => {}
                byte => self.byte(*byte),
            }
        }
        self.decode();
        self.paragraph();
        Ok(())
    }

    fn group(&self) -> Group {
        self.groups.last().copied().unwrap_or_default()
    }

    fn set(&mut self, change: impl FnOnce(&mut Group)) {
        if let Some(group) = self.groups.last_mut() {
            change(group);
        }
    }

    fn close(&mut self) {
        self.decode();
        let inner = self.groups.pop().unwrap_or_default();
        let outer = self.group();
        if inner.to == To::Note && outer.to != To::Note {
            let note = std::mem::take(&mut self.text);
            // What was said before the note goes on after it.
            let (before, note) = note.split_once('\u{0}').unwrap_or(("", &note));
            self.flow.note(note);
            self.text = before.to_owned();
        }
        // A name ends with a semicolon; groups inside a style do not.
        if inner.to == To::Style && self.style.1.ends_with(';') {
            let (number, name) = std::mem::take(&mut self.style);
            self.levels.extend(number.zip(heading(&name)));
        }
        // In a cell the paragraphs are one text.
        if inner.to == To::Mark && outer.to == To::Page && outer.in_table {
            let mark = std::mem::take(&mut self.mark);
            self.say(mark.trim());
            self.say(" ");
        }
        if self.groups.is_empty() {
            self.groups.push(Group::default());
        }
    }

    fn byte(&mut self, byte: u8) {
        match self.skip {
            0 => self.bytes.push(byte),
            _ => self.skip -= 1,
        }
    }

    fn decode(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if !bytes.is_empty() {
            let (text, _) = self.encoding.decode_without_bom_handling(&bytes);
            self.say(&text);
        }
    }

    fn say(&mut self, text: &str) {
        let group = self.group();
        match group.to {
            _ if group.hidden => {}
            To::Page | To::Note => self.text.push_str(text),
            To::Mark => self.mark.push_str(text),
            To::Style => self.style.1.push_str(text),
            To::Title => self.title.push_str(text),
            To::Author => self.author.push_str(text),
            To::Nowhere => {}
        }
    }

    fn word(&mut self, name: &str, number: Option<i32>) {
        match name {
            "ansicpg" => {
                self.encoding = match number {
                    Some(949 | 1361) => EUC_KR,
                    Some(932) => SHIFT_JIS,
                    Some(936) => GBK,
                    Some(950) => encoding_rs::BIG5,
                    Some(65001) => encoding_rs::UTF_8,
                    Some(page) => Encoding::for_label(format!("windows-{page}").as_bytes())
                        .unwrap_or(WINDOWS_1252),
                    None => WINDOWS_1252,
                };
            }
            "uc" => self.set(|group| group.stand_ins = number.unwrap_or(1).clamp(0, 10) as usize),
            "u" => self.unicode(number.unwrap_or(0)),
            "par" => self.paragraph(),
            // Bytes of a picture that stand as they are.
            "bin" => {
                let length = number.unwrap_or(0).max(0) as usize;
                self.rest = self.rest.get(length..).unwrap_or_default();
            }
            "pagebb" if number != Some(0) => self.flow.page_break(),
            "sbknone" => self.goes_on = true,
            "sbkpage" | "sectd" => self.goes_on = false,
            "sect" => {
                self.paragraph();
                self.ended = true;
            }
            "page" => {
                self.paragraph();
                self.flow.page_break();
            }
            "line" => self.say("\n"),
            "tab" => self.say("\t"),
            "emdash" => self.say("—"),
            "endash" => self.say("–"),
            "lquote" => self.say("‘"),
            "rquote" => self.say("’"),
            "ldblquote" => self.say("“"),
            "rdblquote" => self.say("”"),
            "bullet" => self.say("•"),
            "intbl" => self.set(|group| group.in_table = true),
            "pard" => self.set(|group| (group.in_table, group.level) = (false, 0)),
            "stylesheet" => self.set(|group| group.to = To::Style),
            "s" if self.group().to == To::Style => {
                self.style = (number, String::new());
            }
            "s" => {
                let level = self.levels.get(&number.unwrap_or(0)).copied();
                self.set(|group| group.level = level.unwrap_or(0));
            }
            "outlinelevel" => {
                let level = number.filter(|level| (0..9).contains(level));
                self.set(|group| group.level = level.map_or(0, |level| level as usize + 1));
            }
            "listtext" | "pntext" => {
                self.mark.clear();
                self.set(|group| group.to = To::Mark);
            }
            "v" | "deleted" => self.set(|group| group.hidden = number != Some(0)),
            "cell" | "nestcell" => {
                let cell = std::mem::take(&mut self.text);
                self.cells.push(cell);
            }
            "row" | "nestrow" => {
                let cells = std::mem::take(&mut self.cells);
                self.flow.row(&cells);
            }
            "footnote" | "annotation" => {
                if self.group().to != To::Note {
                    self.text.push('\u{0}');
                }
                self.set(|group| group.to = To::Note);
            }
            // Said twice, for programs without Unicode and for those with it: the second counts.
            "title" => {
                self.decode();
                self.title.clear();
                self.set(|group| group.to = To::Title);
            }
            "author" => {
                self.decode();
                self.author.clear();
                self.set(|group| group.to = To::Author);
            }
            "header" | "headerl" | "headerr" | "headerf" | "footer" | "footerl" | "footerr"
            | "footerf" => {
                self.set(|group| group.to = To::Nowhere);
            }
            // Unicode for the destination before it, which is for programs without.
            "ud" => self.set(|group| {
                if group.to == To::Nowhere {
                    group.to = To::Page;
                }
            }),
            "shptxt" => self.set(|group| group.to = To::Page),
            name if ASIDE.contains(&name) => self.set(|group| group.to = To::Nowhere),
            _ => {}
        }
    }

    fn unicode(&mut self, number: i32) {
        self.decode();
        // Above 32,767 it is written as a negative number; pairs of surrogates come one after the other.
        let unit = number as u16;
        match char::from_u32(u32::from(unit)) {
            Some(c) => self.say(c.encode_utf8(&mut [0; 4])),
            None if (0xD800..0xDC00).contains(&unit) => self.high = unit,
            None => {
                let high = std::mem::take(&mut self.high);
                if let Ok(text) = String::from_utf16(&[high, unit]) {
                    self.say(&text);
                }
            }
        }
        self.skip = self.group().stand_ins;
    }

    fn paragraph(&mut self) {
        // How a section begins is said after the one before it has ended.
        if std::mem::take(&mut self.ended) && !self.goes_on {
            self.flow.page_break();
        }
        match self.group() {
            group if group.to == To::Note || group.in_table => self.text.push(' '),
            group if group.to == To::Page => {
                let text = std::mem::take(&mut self.text);
                let mark = std::mem::take(&mut self.mark);
                let mark = match mark.trim() {
                    "" => None,
                    // Bullets are signs, or letters of fonts of their own.
                    "o" => Some("-"),
                    mark if mark.contains(char::is_alphanumeric) => Some(mark),
                    _ => Some("-"),
                };
                let level = Some(group.level).filter(|level| *level > 0);
                self.flow.numbered(level, mark, &text);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_tables_notes_and_breaks_are_read() {
        let rtf = br"{\rtf1\ansi\ansicpg949{\fonttbl{\f0 Batang;}}{\info{\title Fees}}
            \pard\b Fees\b0  of \u-10916?\u50868 ?\'c8\'b8\'c0\'c7{\footnote a note}.\par
            \trowd\intbl boat\cell fee\cell\row\trowd\intbl small\cell 20\cell\row\pard\page next\par}";
        let parsed = parse(rtf).unwrap();
        let texts: Vec<&str> = parsed.pages.iter().map(|page| page.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "Fees of 한운회의.\n\n| boat | fee |\n| small | 20 |\n\na note",
                "next"
            ]
        );
        assert_eq!(parsed.title.as_deref(), Some("Fees"));
    }

    #[test]
    fn headings_lists_and_pairs_are_read() {
        let rtf = br"{\rtf1\ansi{\stylesheet{\s1\b Heading 1;}{\*\cs2 Heading 2;}{\s3 Plain;}}
            \pard\s1{\listtext\pard\plain\tab}Fees\par\pard\outlinelevel1 Nets\par
            \pard\s3{\listtext\pard\plain \u8226\'95\tab}boats\par
            \pard{\pntext 2.\tab}nets{\footnote a\par b} \'b0\par\pard{\listtext \u9312?\tab}\s0 ropes\par
            \trowd\intbl{\listtext 7.\tab}cell\cell\row\pard\outlinelevel2{\listtext 1.\tab}Scope \u-10179\'3f\u-8704\'3f.\par}";
        assert_eq!(
            parse(rtf).unwrap().pages[0].text,
            "# Fees\n\n## Nets\n\n- boats\n2. nets °\n① ropes\n\n| 7. cell |\n\n### 1. Scope \u{1F600}.\n\na b"
        );
    }
}
