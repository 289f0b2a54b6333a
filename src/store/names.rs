//! What is looked at to rank lexical hits: names and texts of chunks, without comparing checksums.

use rusqlite::OptionalExtension as _;

use super::parts::Chain;
use super::postings::{Postings, in_heading};
use super::sqlite::EmbeddedStore;
use super::{Collection, Named};
use crate::terms::heading_terms;

impl EmbeddedStore {
    pub(super) fn find_texts(&self, chunks: &[i64]) -> anyhow::Result<Vec<String>> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "SELECT substr(p.text, k.start + 1, k.end - k.start) FROM chunks k
             JOIN pages p ON p.document_id = k.document_id AND p.number = k.page WHERE k.id = ?1",
        )?;
        let text = |chunk| statement.query_row([chunk], |row| row.get(0)).ok();
        Ok(chunks.iter().filter_map(text).collect())
    }

    pub(super) fn find_names(
        &self,
        collection: &Collection,
        terms: &[String],
        chunks: &[i64],
    ) -> anyhow::Result<Vec<Named>> {
        let mut names = self.document_names(chunks)?;
        let files = self.postings(collection);
        for named in &mut names {
            named.headings = match named.chunk > files.covers() {
                true => self.late_headings(named.chunk, terms)?,
                false => headings(&files, named.chunk, terms),
            };
        }
        Ok(names)
    }

    fn document_names(&self, chunks: &[i64]) -> anyhow::Result<Vec<Named>> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "SELECT (SELECT min(path) FROM sources s WHERE s.document_id = d.id), d.title
             FROM chunks k JOIN documents d ON d.id = k.document_id WHERE k.id = ?1",
        )?;
        let mut name = |chunk: i64| {
            let read = |row: &rusqlite::Row<'_>| {
                Ok(Named {
                    chunk,
                    document: row.get::<_, Option<String>>(0)?.unwrap_or_default(),
                    title: row.get(1)?,
                    headings: Vec::new(),
                })
            };
            statement.query_row([chunk], read).optional().ok()?
        };
        Ok(chunks.iter().filter_map(|&chunk| name(chunk)).collect())
    }

    /// What the headings of a chunk that is in no posting file hold of `terms`.
    fn late_headings(&self, chunk: i64, terms: &[String]) -> anyhow::Result<Vec<usize>> {
        let texts = self.find_texts(&[chunk])?;
        let held: Vec<String> = texts.iter().flat_map(|text| heading_terms(text)).collect();
        let is_held = |index: &usize| held.contains(&terms[*index]);
        Ok((0..terms.len()).filter(is_held).collect())
    }
}

/// What the headings of a chunk hold of `terms`, by the posting files.
fn headings(files: &Chain<Postings>, chunk: i64, terms: &[String]) -> Vec<usize> {
    let mut places = files
        .parts()
        .iter()
        .filter_map(|file| Some((file, file.place(chunk)?)));
    let Some((file, place)) = places.next() else {
        return Vec::new();
    };
    let is_held = |index: &usize| {
        let list = file.find(&in_heading(&terms[*index]));
        list.is_some_and(|list| list.places.binary_search(&(place as u32)).is_ok())
    };
    (0..terms.len()).filter(is_held).collect()
}
