//! What is looked at to rank lexical hits: names and scripts of chunks.

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::postings::{Postings, SCRIPT, counted, in_heading};
use super::sqlite::EmbeddedStore;
use super::{Collection, Sketch};
use crate::text::Script;

impl EmbeddedStore {
    pub(super) fn find_sketches(
        &self,
        collection: &Collection,
        terms: &[String],
        chunks: &[i64],
    ) -> anyhow::Result<Vec<Sketch>> {
        let files = self.postings(collection);
        let db = self.reader();
        let mut sketches = Vec::with_capacity(chunks.len());
        for &chunk in chunks {
            // What cannot be read is for `find_hits` to tell of, if it comes to be shown.
            let Ok(Some(named)) = named(&db, chunk) else {
                continue;
            };
            let mut all = files.parts().iter();
            let held = all.find_map(|file| Some((file, file.place(chunk)?)));
            sketches.push(match held {
                Some((file, place)) => by_file(named, file, place as u32, terms),
                None => by_text(named, &text(&db, chunk).unwrap_or_default(), terms),
            });
        }
        Ok(sketches)
    }
}

/// A chunk and the names of its document.
fn named(db: &Connection, chunk: i64) -> rusqlite::Result<Option<Sketch>> {
    let read = |row: &Row<'_>| {
        Ok(Sketch {
            chunk,
            document: row.get::<_, Option<String>>(0)?.unwrap_or_default(),
            title: row.get(1)?,
            ..Sketch::default()
        })
    };
    // Without the plus SQLite plans anew for every value, which takes longer than the look-up.
    let mut statement = db.prepare_cached(
        "SELECT (SELECT min(path) FROM sources s WHERE s.document_id = d.id), d.title
         FROM chunks k JOIN documents d ON d.id = k.document_id WHERE k.id = +?1",
    )?;
    statement.query_row([chunk], read).optional()
}

/// The text of a chunk, empty where its page is gone.
fn text(db: &Connection, chunk: i64) -> rusqlite::Result<String> {
    let mut statement = db.prepare_cached(
        "SELECT CAST(substr(p.text, k.start + 1, k.end - k.start) AS BLOB) FROM chunks k
         JOIN pages p ON p.document_id = k.document_id AND p.number = k.page WHERE k.id = ?1",
    )?;
    let read = |row: &Row<'_>| {
        let bytes = row.get_ref(0)?.as_bytes().unwrap_or_default();
        Ok(String::from_utf8_lossy(bytes).into_owned())
    };
    let found = statement.query_row([chunk], read).optional()?;
    Ok(found.unwrap_or_default())
}

/// The chunk at `place` of a posting file.
fn by_file(named: Sketch, file: &Postings, place: u32, terms: &[String]) -> Sketch {
    let count = |name: &str| {
        let list = file.find(name)?;
        let at = list.places.binary_search(&place).ok()?;
        list.counts.get(at).copied()
    };
    sketch(named, &count, terms)
}

/// A chunk that is in no posting file yet.
fn by_text(named: Sketch, text: &str, terms: &[String]) -> Sketch {
    let (_, counts) = counted(text);
    sketch(named, &|name| counts.get(name).copied(), terms)
}

fn sketch(named: Sketch, count: &dyn Fn(&str) -> Option<u8>, terms: &[String]) -> Sketch {
    let is_heading = |index: &usize| count(&in_heading(&terms[*index])).is_some();
    Sketch {
        headings: (0..terms.len()).filter(is_heading).collect(),
        script: Script::from_byte(count(SCRIPT).unwrap_or(0)),
        ..named
    }
}
