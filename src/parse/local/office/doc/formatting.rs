//! What a doc file says of its paragraphs and of text marked as deleted: pages of 512 bytes that list, for
//! stretches of the file, the properties of the text there ([MS-DOC] 2.9.33 ChpxFkp, 2.9.174 PapxFkp).

use super::read;

const PAGE: usize = 512;
/// Pages of properties and stretches in all; a damaged table could name the same page without end.
const MOST: usize = 100_000;
/// `sprmPFPageBreakBefore`, `sprmPFInTable`, `sprmPFTtp`, `sprmCFRMarkDel` and `sprmCFVanish`, [MS-DOC] 2.6.
const PAGE_BREAK_BEFORE: u16 = 0x2407;
const IN_TABLE: u16 = 0x2416;
const ENDS_ROW: u16 = 0x2417;
const DELETED: u16 = 0x0800;
const HIDDEN: u16 = 0x083C;
/// Properties whose operands have lengths of their own kind.
const TABLE: u16 = 0xD608;
const TABS: u16 = 0xC615;

/// How a paragraph is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Paragraph {
    /// 1 to 9 for a heading, 0 for other text.
    pub level: u8,
    pub on_new_page: bool,
    pub in_table: bool,
    /// Its mark ends a row of a table and not a cell.
    pub ends_row: bool,
}

/// Properties by place in the file.
#[derive(Default)]
pub struct Formatting {
    paragraphs: Vec<(u32, u32, Paragraph)>,
    /// Deleted and hidden text.
    unseen: Vec<(u32, u32, bool)>,
}

impl Formatting {
    /// `main` is the document's stream, the others are the tables of its pages of properties
    /// ([MS-DOC] 2.8.5 PlcBteChpx, 2.8.6 PlcBtePapx).
    pub fn new(main: &[u8], of_paragraphs: &[u8], of_text: &[u8]) -> Self {
        let mut paragraphs = Vec::new();
        for page in pages(main, of_paragraphs) {
            stretches(page, 13, &mut paragraphs, |at| {
                // Its length in pairs of bytes, less one; where that is 0, another byte has it.
                let short = usize::from(*page.get(at)?);
                let (start, length) = match short {
                    0 => (at + 2, 2 * usize::from(*page.get(at + 1)?)),
                    _ => (at + 1, 2 * short - 1),
                };
                let said = page.get(start..(start + length).min(PAGE))?;
                let style = u16::from_le_bytes(read(said, 0)?);
                let paragraph = Paragraph {
                    // The first styles of every document are its headings, [MS-DOC] 2.9.271.
                    level: if style < 10 { style as u8 } else { 0 },
                    on_new_page: is_set(said.get(2..)?, PAGE_BREAK_BEFORE),
                    in_table: is_set(said.get(2..)?, IN_TABLE),
                    ends_row: is_set(said.get(2..)?, ENDS_ROW),
                };
                (paragraph != Paragraph::default()).then_some(paragraph)
            });
        }
        let mut unseen = Vec::new();
        for page in pages(main, of_text) {
            stretches(page, 1, &mut unseen, |at| {
                let length = usize::from(*page.get(at)?);
                let said = page.get(at + 1..(at + 1 + length).min(PAGE))?;
                (is_set(said, DELETED) || is_set(said, HIDDEN)).then_some(true)
            });
        }
        paragraphs.sort_by_key(|(from, ..)| *from);
        unseen.sort_by_key(|(from, ..)| *from);
        Self { paragraphs, unseen }
    }

    /// Of the paragraph whose mark stands at this byte of the document's stream.
    pub fn paragraph(&self, at: u32) -> Paragraph {
        find(&self.paragraphs, at).unwrap_or_default()
    }

    /// Whether the character at this byte is deleted or hidden.
    pub fn is_unseen(&self, at: u32) -> bool {
        find(&self.unseen, at).unwrap_or_default()
    }
}

fn find<T: Copy>(stretches: &[(u32, u32, T)], at: u32) -> Option<T> {
    let after = stretches.partition_point(|(from, ..)| *from <= at);
    let (_, to, found) = stretches.get(after.checked_sub(1)?)?;
    (at < *to).then_some(*found)
}

/// The pages a table names.
fn pages<'a>(main: &'a [u8], table: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let count = table.len().saturating_sub(4) / 8;
    (0..count.min(MOST)).filter_map(move |index| {
        let number = u32::from_le_bytes(read(table, 4 * (count + 1) + 4 * index)?) & 0x003F_FFFF;
        let start = number as usize * PAGE;
        main.get(start..start + PAGE)
    })
}

/// Adds the stretches of a page for which `properties`, given where they stand in the page, says something.
/// Each has an entry of `width` bytes that begins with that place, in pairs of bytes.
fn stretches<T>(
    page: &[u8],
    width: usize,
    found: &mut Vec<(u32, u32, T)>,
    properties: impl Fn(usize) -> Option<T>,
) {
    let count = usize::from(page[PAGE - 1]);
    for index in 0..count {
        let byte = |at: usize| read(page, at).map(u32::from_le_bytes);
        let (Some(from), Some(to)) = (byte(4 * index), byte(4 * index + 4)) else {
            return;
        };
        let at = page.get(4 * (count + 1) + width * index);
        let at = at.map_or(0, |at| 2 * usize::from(*at));
        if at == 0 || from >= to || found.len() >= MOST {
            continue;
        }
        found.extend(properties(at).map(|said| (from, to, said)));
    }
}

/// Whether a list of properties switches this one on.
fn is_set(mut said: &[u8], wanted: u16) -> bool {
    let mut set = false;
    while let Some(property) = read(said, 0).map(u16::from_le_bytes) {
        let length = match (property, property >> 13) {
            (TABLE, _) => match read(said, 2).map(u16::from_le_bytes) {
                Some(length) => usize::from(length) + 1,
                None => break,
            },
            // Its length may stand for more than a byte can say; no such paragraph is looked for.
            (TABS, _) if said.get(2) == Some(&255) => break,
            (_, 0 | 1) => 1,
            (_, 2 | 4 | 5) => 2,
            (_, 3) => 4,
            (_, 7) => 3,
            _ => 1 + usize::from(said.get(2).copied().unwrap_or(0)),
        };
        if property == wanted {
            set = said.get(2) == Some(&1);
        }
        said = said.get(2 + length..).unwrap_or_default();
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page that says one thing of one stretch.
    fn page(from: u32, to: u32, width: usize, said: &[u8]) -> Vec<u8> {
        let mut page = vec![0; PAGE];
        page[..4].copy_from_slice(&from.to_le_bytes());
        page[4..8].copy_from_slice(&to.to_le_bytes());
        page[8] = 100;
        assert!(width < 192);
        page[200..200 + said.len()].copy_from_slice(said);
        page[PAGE - 1] = 1;
        page
    }

    /// A table of the second page alone.
    fn table() -> Vec<u8> {
        [0u32, 1000, 1]
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect()
    }

    #[test]
    fn headings_and_breaks_are_found() {
        let mut main = vec![0; PAGE];
        // Style 2, another property of four bytes, then the break.
        let said = [5, 2, 0, 0x12, 0x64, 0, 0, 0, 0, 0x07, 0x24, 1];
        main.extend(page(10, 20, 13, &said));
        main[PAGE + 200] = (said.len() / 2) as u8;
        let found = Formatting::new(&main, &table(), &[]);
        let set = Paragraph {
            level: 2,
            on_new_page: true,
            ..Paragraph::default()
        };
        assert_eq!((found.paragraph(10), found.paragraph(19)), (set, set));
        assert_eq!(found.paragraph(20), Paragraph::default());
    }

    #[test]
    fn deleted_text_is_found_and_garbage_is_not() {
        let mut main = vec![0; PAGE];
        main.extend(page(10, 20, 1, &[3, 0x00, 0x08, 1]));
        let found = Formatting::new(&main, &[], &table());
        assert!(found.is_unseen(10) && !found.is_unseen(9) && !found.is_unseen(20));
        let garbage: Vec<u8> = (0..2 * PAGE).map(|n| (n * 7) as u8).collect();
        Formatting::new(&garbage, &table(), &table());
    }
}
