//! What chunks, which are stored as ranges of their pages, are found by.

use std::borrow::Cow;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::mapped::Reach;
use crate::chunk::searched;

/// A page as it was last read, and a place in it that chunks go on from.
#[derive(Default)]
struct Page {
    of: (i64, i64),
    text: String,
    /// Characters and bytes before it.
    at: (usize, usize),
}

impl Page {
    /// Characters `start` to `end` of the page. Chunks mostly follow each other, so that going on from the
    /// one before costs less than counting from the front.
    fn cut(&mut self, start: usize, end: usize) -> Cow<'_, str> {
        if start < self.at.0 {
            self.at = (0, 0);
        }
        let rest = &self.text[self.at.1..];
        let from = self.at.1 + byte_of(rest, start - self.at.0);
        self.at = (start, from);
        let length = byte_of(&self.text[from..], end.saturating_sub(start));
        searched(&self.text, from..from + length)
    }
}

/// Bytes of the first `count` characters.
fn byte_of(text: &str, count: usize) -> usize {
    let mut places = text.char_indices().map(|(at, _)| at);
    places.nth(count).unwrap_or(text.len())
}

/// Hands out the chunks of a collection within `reach`, in order of their ids.
pub fn each_text(
    db: &Connection,
    collection: i64,
    reach: Reach,
    each: &mut dyn FnMut(i64, &str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    // Without the pluses SQLite plans anew for every value.
    let mut chunks = db.prepare_cached(
        "SELECT id, document_id, page, start, end FROM chunks
         WHERE collection_id = +?1 AND id > +?2 AND id <= +?3 ORDER BY id",
    )?;
    let mut pages =
        db.prepare_cached("SELECT text FROM pages WHERE document_id = ?1 AND number = ?2")?;
    let mut rows = chunks.query(params![collection, reach.after, reach.to])?;
    let mut page = Page::default();
    while let Some(row) = rows.next()? {
        let of = (row.get(1)?, row.get(2)?);
        if page.of != of {
            // A page that is gone or damaged is for `verify` to tell; the others are found.
            let read = |row: &Row<'_>| {
                let bytes = row.get_ref(0)?.as_bytes().unwrap_or_default();
                Ok(String::from_utf8_lossy(bytes).into_owned())
            };
            let text = pages.query_row(params![of.0, of.1], read).optional()?;
            page = Page {
                of,
                text: text.unwrap_or_default(),
                at: (0, 0),
            };
        }
        let (start, end): (i64, i64) = (row.get(3)?, row.get(4)?);
        each(
            row.get(0)?,
            &page.cut(start.max(0) as usize, end.max(0) as usize),
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_by_characters_in_any_order() {
        let mut page = Page {
            of: (1, 1),
            text: "가나다 라마바 abc".into(),
            at: (0, 0),
        };
        assert_eq!(page.cut(4, 7), "라마바");
        assert_eq!(page.cut(5, 9), "마바 a");
        assert_eq!(page.cut(0, 3), "가나다");
        assert_eq!(page.cut(8, 99), "abc");
        assert_eq!(page.cut(50, 60), "");
        assert_eq!(page.cut(3, 2), "");
    }
}
