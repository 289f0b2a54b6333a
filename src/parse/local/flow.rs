//! Text that flows, as office documents and web pages have it, to pages: paragraphs, headings, list items
//! and tables in the shapes of Markdown, cut where the document says that a page ends.
//!
//! Where it does not say, a page is a part of about a page that begins at a heading if one is
//! near; its number counts parts then.

mod parts;
mod table;

use std::fmt::Write as _;

use self::parts::parts;
pub use self::table::table_row;
use self::table::{Row, Table};
use super::MAX_TEXT;
use super::verdict::{Looks, judge};
use crate::document::Page;
use crate::text::one_line;

/// A paragraph or what is like one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Block {
    Heading(String),
    Paragraph(String),
    Item(String),
    Row(String),
}

impl Block {
    fn text(&self) -> &str {
        match self {
            Block::Heading(text)
            | Block::Paragraph(text)
            | Block::Item(text)
            | Block::Row(text) => text,
        }
    }

    /// Whether `next` stands on the very next line.
    fn is_followed_closely_by(&self, next: &Block) -> bool {
        matches!(
            (self, next),
            (Block::Item(_), Block::Item(_)) | (Block::Row(_), Block::Row(_))
        )
    }
}

#[derive(Default)]
struct Sheet {
    blocks: Vec<Block>,
    /// Footnotes, at the foot.
    notes: Vec<String>,
}

/// Takes a document's parts in their order.
#[derive(Default)]
pub struct Flow {
    sheets: Vec<Sheet>,
    tables: Vec<Table>,
    /// Tables that are open in the deepest one that counts.
    deeper: usize,
    /// Bytes so far.
    size: usize,
    /// Page breaks are where the document was printed, so no page is cut.
    exact: bool,
}

impl Flow {
    /// For a document whose own program noted where pages end.
    pub fn exact(exact: bool) -> Self {
        Self {
            exact,
            ..Self::default()
        }
    }

    /// A heading; 1 is the highest level.
    pub fn heading(&mut self, level: usize, text: &str) {
        let text = one_line(text);
        if !text.is_empty() {
            let marks = "#".repeat(level.clamp(1, 6));
            self.push(Block::Heading(format!("{marks} {text}")));
        }
    }

    /// A paragraph; line breaks in it stay.
    pub fn paragraph(&mut self, text: &str) {
        let lines: Vec<String> = text.lines().map(one_line).collect();
        let text = lines.join("\n");
        let text = text.trim_matches('\n');
        if !text.is_empty() {
            self.push(Block::Paragraph(text.to_owned()));
        }
    }

    /// A list item with its mark, such as `-` or `2.`.
    pub fn item(&mut self, mark: &str, text: &str) {
        let text = one_line(text);
        if !text.is_empty() {
            self.push(Block::Item(format!("{mark} {text}")));
        }
    }

    /// A paragraph, an item if there is a mark before it, or a heading if it has a level.
    pub fn numbered(&mut self, level: Option<usize>, mark: Option<&str>, text: &str) {
        // Some writers type the number that their program writes, too.
        let is_typed = |mark: &str| {
            let rest = text.trim_start().strip_prefix(mark);
            rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        };
        let mark = mark.filter(|mark| *mark == "-" || !is_typed(mark));
        match (level, mark) {
            (Some(level), Some(mark)) if mark != "-" && !text.trim().is_empty() => {
                self.heading(level, &format!("{mark} {text}"));
            }
            (Some(level), _) => self.heading(level, text),
            (None, Some(mark)) => self.item(mark, text),
            (None, None) => self.paragraph(text),
        }
    }

    /// A footnote, for the foot of this page.
    pub fn note(&mut self, text: &str) {
        let text = one_line(text);
        if !text.is_empty() && self.takes(text.len()) {
            self.sheet().notes.push(text);
        }
    }

    /// What follows is on a new page.
    pub fn page_break(&mut self) {
        match self.tables.first_mut() {
            Some(table) => {
                if let Some(row) = table.rows.last_mut() {
                    row.on_new_page = true;
                }
            }
            // A break before anything is said makes no page, unless pages are counted.
            None if self.sheets.is_empty() && !self.exact => {}
            None => {
                self.sheet();
                self.sheets.push(Sheet::default());
            }
        }
    }

    fn is_at_top(&self) -> bool {
        self.sheets
            .last()
            .is_none_or(|sheet| sheet.blocks.is_empty())
    }

    fn sheet(&mut self) -> &mut Sheet {
        if self.sheets.is_empty() {
            self.sheets.push(Sheet::default());
        }
        let last = self.sheets.len() - 1;
        &mut self.sheets[last]
    }

    /// Whether there is room for so many bytes more. What is too much is refused at the end, by its
    /// size; until then it need not be kept.
    fn takes(&mut self, bytes: usize) -> bool {
        self.size += bytes;
        self.size <= MAX_TEXT + bytes
    }

    fn push(&mut self, block: Block) {
        if self.takes(block.text().len()) {
            self.place(block);
        }
    }

    fn place(&mut self, block: Block) {
        if let Some(table) = self.tables.last_mut() {
            if table.rows.is_empty() {
                table.rows.push(Row::default());
            }
            if let Some(row) = table.rows.last_mut() {
                if row.cells.is_empty() {
                    row.cells.push(Vec::new());
                }
                if let Some(cell) = row.cells.last_mut() {
                    cell.push(block);
                }
            }
            return;
        }
        self.sheet().blocks.push(block);
    }

    /// All of it as one page.
    pub fn one_page(mut self) -> String {
        self.exact = true;
        let pages = self.pages();
        let texts: Vec<String> = pages.into_iter().map(|page| page.text).collect();
        texts.join("\n\n").trim().to_owned()
    }

    /// The pages. There is one at least, if an empty one.
    pub fn pages(mut self) -> Vec<Page> {
        self.deeper = 0;
        while !self.tables.is_empty() {
            self.close_table();
        }
        self.sheet();
        let exact = self.exact;
        let texts = self.sheets.into_iter().flat_map(|sheet| match exact {
            true => vec![sheet],
            false => parts(sheet),
        });
        // An empty page at the end is a page break after the last word.
        let mut texts: Vec<String> = texts.map(|sheet| text(&sheet)).collect();
        while texts.len() > 1 && texts.last().is_some_and(String::is_empty) {
            texts.pop();
        }
        (1..)
            .zip(texts)
            .map(|(number, text)| page(number, text))
            .collect()
    }
}

/// A page with what can be said of its text alone.
pub fn page(number: u32, text: String) -> Page {
    Page {
        number,
        verdict: judge(&text, Looks::default()),
        text,
    }
}

fn text(sheet: &Sheet) -> String {
    let mut text = String::new();
    let mut before: Option<&Block> = None;
    for block in &sheet.blocks {
        if let Some(before) = before {
            text.push_str(match before.is_followed_closely_by(block) {
                true => "\n",
                false => "\n\n",
            });
        }
        text.push_str(block.text());
        before = Some(block);
    }
    for note in &sheet.notes {
        let gap = if text.is_empty() { "" } else { "\n\n" };
        let _ = write!(text, "{gap}{note}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(flow: Flow) -> Vec<String> {
        flow.pages().into_iter().map(|page| page.text).collect()
    }

    #[test]
    fn paragraphs_stand_apart_and_items_and_rows_together() {
        let mut flow = Flow::default();
        flow.heading(2, " Fees\n2026 ");
        flow.paragraph("One\nline");
        flow.item("-", "a");
        flow.item("-", "b");
        flow.row(&["boat".into(), "fee|kr".into(), " ".into()]);
        flow.row(&["small".into(), "20".into()]);
        flow.note("1) a note");
        assert_eq!(
            texts(flow),
            [
                "## Fees 2026\n\nOne\nline\n\n- a\n- b\n\n| boat | fee\\|kr |\n| small | 20 |\n\n1) a note"
            ]
        );
    }

    #[test]
    fn numbers_that_were_typed_too_are_said_once() {
        let mut flow = Flow::default();
        flow.numbered(Some(1), Some("1."), "1. Fees");
        flow.numbered(Some(1), Some("2."), "2.5 metres");
        flow.numbered(Some(1), Some("-"), "Boats");
        flow.numbered(None, Some("제3조"), "제3조(목적) 이 규칙은");
        flow.numbered(None, Some("제4조"), "적용 범위");
        assert_eq!(
            flow.one_page(),
            "# 1. Fees\n\n# 2. 2.5 metres\n\n# Boats\n\n제3조(목적) 이 규칙은\n\n제4조 적용 범위"
        );
    }

    #[test]
    fn breaks_make_pages_and_a_frame_is_no_table() {
        let mut flow = Flow::default();
        flow.page_break();
        flow.open_table();
        flow.open_row();
        flow.open_cell();
        flow.heading(1, "In a frame");
        flow.open_table();
        for cells in [["a", "b"], ["c", "d"]] {
            flow.open_row();
            for cell in cells {
                flow.open_cell();
                flow.paragraph(cell);
                flow.paragraph(cell);
            }
        }
        flow.close_table();
        flow.close_table();
        flow.page_break();
        flow.paragraph("two");
        flow.page_break();
        assert_eq!(
            texts(flow),
            ["# In a frame\n\n| a a | b b |\n| c c | d d |", "two"]
        );
    }

    #[test]
    fn a_table_over_two_pages_is_cut_once() {
        let mut flow = Flow::exact(true);
        flow.paragraph("before");
        flow.open_table();
        for (at, row) in [["a", "b"], ["c", "d"]].iter().enumerate() {
            flow.open_row();
            for cell in row {
                flow.open_cell();
                if at == 1 {
                    flow.page_break();
                }
                flow.paragraph(cell);
            }
        }
        flow.close_table();
        assert_eq!(texts(flow), ["before\n\n| a | b |", "| c | d |"]);
    }

    #[test]
    fn long_documents_without_pages_come_in_parts_that_begin_at_headings_and_repeat_table_heads() {
        let mut flow = Flow::default();
        for chapter in 0..3 {
            flow.heading(1, &format!("Chapter {chapter}"));
            flow.paragraph(&"word ".repeat(500));
        }
        flow.row(&["name".into(), "note".into()]);
        for row in 0..400 {
            flow.row(&[format!("row {row}"), "some text".into()]);
        }
        let pages = texts(flow);
        assert!(pages[..3].iter().enumerate().all(|(at, page)| {
            page.starts_with(&format!("# Chapter {at}")) && page.len() < 4_000
        }));
        assert!(
            pages[3..]
                .iter()
                .all(|page| page.starts_with("| name | note |")),
            "{pages:?}"
        );
        assert!(pages.last().unwrap().ends_with("| row 399 | some text |"));
    }
}
