//! Is everything in the store as it was written? Reads all of it and changes nothing.

use std::collections::HashSet;
use std::hash::{Hash as _, Hasher as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rusqlite::{Connection, params};
use serde::Serialize;

use super::mapped::Reach;
use super::postings::counted;
use super::sqlite::EmbeddedStore;
use super::texts::each_text;
use super::{Collection, sums, wal};
use crate::chunk::searched;
use crate::embed::Embedder;
use crate::text::{byte_of_char, count};

/// Problems listed for one check; there may be a million.
const MOST: usize = 100;
/// How far the length of a vector may be from 1.
const ROUNDING: f32 = 1e-3;

/// What one check found.
#[derive(Debug, Serialize)]
pub struct Finding {
    pub name: &'static str,
    /// Empty when all is well.
    pub problems: Vec<String>,
}

impl Finding {
    /// Folds an error of the check itself into what it found.
    fn of(name: &'static str, found: anyhow::Result<Vec<String>>) -> Self {
        let problems = found.unwrap_or_else(|error| vec![format!("cannot be read: {error:#}")]);
        Self { name, problems }
    }
}

/// What is wrong with the write-ahead log. To be asked before the store is opened, which consumes it.
pub fn log(data_dir: &Path) -> Finding {
    let mut path = EmbeddedStore::database(data_dir).into_os_string();
    path.push("-wal");
    let found = wal::damage(Path::new(&path)).map(|damage| damage.into_iter().collect());
    Finding::of("write-ahead log", found)
}

impl EmbeddedStore {
    /// Checks the database and every derived file. Whether a chunk must have a vector is asked of the
    /// model of its collection; collections of models other than `models` are not asked.
    pub fn verify(&self, models: &[Arc<dyn Embedder>]) -> Vec<Finding> {
        let structure = Finding::of("database", structure(&self.db()));
        let is_sound = structure.problems.is_empty();
        let mut findings = vec![structure];
        // What SQLite itself finds broken can send every other query astray.
        if is_sound {
            findings.push(Finding::of("latest writes", self.check_mark()));
            findings.push(Finding::of("rows", rows(&self.db())));
            findings.push(Finding::of("documents", documents(&self.db())));
            findings.push(Finding::of("vectors", vectors(&self.db(), models)));
            findings.push(Finding::of(
                "vector files",
                self.each(Self::check_vector_files),
            ));
            findings.push(Finding::of(
                "posting files",
                self.each(Self::check_postings),
            ));
            findings.push(Finding::of("graphs", self.each(Self::check_graphs)));
        }
        findings
    }

    fn check_mark(&self) -> anyhow::Result<Vec<String>> {
        let lost = self.lost_writes()?;
        let mut problems = Vec::new();
        if lost > 0 {
            problems.push(format!("{} missing", count(lost as u64, "write")));
        }
        if self.lacks_mark()? {
            problems.push("squall.mark is gone: whether any are missing cannot be told".into());
        }
        Ok(problems)
    }

    /// Runs a check on every collection.
    fn each(
        &self,
        check: fn(&Self, &Collection) -> anyhow::Result<Vec<String>>,
    ) -> anyhow::Result<Vec<String>> {
        let mut problems = Vec::new();
        for name in self.names_of_collections()? {
            if let Some(collection) = self.find_collection(&name)? {
                problems.extend(check(self, &collection)?);
            }
        }
        Ok(problems)
    }

    pub(super) fn names_of_collections(&self) -> anyhow::Result<Vec<String>> {
        let db = self.db();
        let mut statement = db.prepare("SELECT name FROM collections ORDER BY name")?;
        let names = statement.query_map([], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    /// Whether the posting files are whole and hold the terms of the chunks they cover.
    fn check_postings(&self, collection: &Collection) -> anyhow::Result<Vec<String>> {
        if let Some((path, why)) = self.damage(&self.posting_files, collection) {
            return Ok(vec![format!("{}: {why:#}", path.display())]);
        }
        let files = self.postings(collection);
        let reach = Reach {
            after: 0,
            to: files.covers(),
        };
        let (mut live, mut expected) = (HashSet::new(), 0);
        each_text(&self.db(), collection.id, reach, &mut |chunk, text| {
            live.insert(chunk);
            for (term, count) in counted(text).1 {
                expected ^= digest(chunk, term.as_bytes(), count);
            }
            Ok(())
        })?;
        let mut actual = 0;
        for file in files.parts() {
            for index in 0..file.terms() {
                let list = file.list(index).context("a list is damaged")?;
                for (&place, &count) in list.places.iter().zip(list.counts) {
                    let chunk = file.chunk(place as usize);
                    if live.contains(&chunk) {
                        actual ^= digest(chunk, file.name(index), count);
                    }
                }
            }
        }
        let problem = format!(
            "'{}': the words are not those of its chunks",
            collection.name
        );
        Ok((expected != actual)
            .then_some(problem)
            .into_iter()
            .collect())
    }

    /// Whether the vector files are whole and hold what the database holds.
    fn check_vector_files(&self, collection: &Collection) -> anyhow::Result<Vec<String>> {
        if let Some((path, why)) = self.damage(&self.vector_files, collection) {
            return Ok(vec![format!("{}: {why:#}", path.display())]);
        }
        let files = self.vectors(collection);
        let db = self.db();
        let mut statement = db.prepare(
            "SELECT k.id, v.vector FROM chunks k JOIN vectors v ON v.chunk_id = k.id
             WHERE k.collection_id = ?1 AND k.id <= ?2",
        )?;
        let mut rows = statement.query(params![collection.id, files.covers()])?;
        while let Some(row) = rows.next()? {
            let chunk: i64 = row.get(0)?;
            let file = files.part_of(chunk);
            let held = file
                .and_then(|file| file.vector(chunk))
                .map(floats_to_bytes);
            if held.as_deref() != Some(row.get_ref(1)?.as_blob()?) {
                let name = &collection.name;
                return Ok(vec![format!(
                    "'{name}': chunk {chunk} is not as in the database"
                )]);
            }
        }
        Ok(Vec::new())
    }

    fn check_graphs(&self, collection: &Collection) -> anyhow::Result<Vec<String>> {
        let damage = self.damage(&self.graph_files, collection);
        let said = damage.map(|(path, why)| format!("{}: {why:#}", path.display()));
        Ok(said.into_iter().collect())
    }
}

/// A number for a term in a chunk.
fn digest(chunk: i64, term: &[u8], count: u8) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    (chunk, term, count).hash(&mut hasher);
    hasher.finish()
}

/// SQLite's own view of its file, and rows that point nowhere.
fn structure(db: &Connection) -> anyhow::Result<Vec<String>> {
    let mut problems: Vec<String> = db
        .prepare(&format!("PRAGMA integrity_check({MOST})"))?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    problems.retain(|line| line != "ok");
    let mut orphans = db.prepare("PRAGMA foreign_key_check")?;
    let mut rows = orphans.query([])?;
    while let (Some(row), true) = (rows.next()?, problems.len() < MOST) {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        problems.push(format!("a row of {table} points to nothing in {parent}"));
    }
    Ok(problems)
}

/// Rows that are not as they were written.
pub(super) fn rows(db: &Connection) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for (table, _) in sums::TABLES {
        let sql = format!(
            "SELECT count(*) FROM {table} t WHERE ({}) IS NOT TRUE",
            sums::intact(table, "t")
        );
        let damaged: i64 = db.query_row(&sql, [], |row| row.get(0))?;
        if damaged > 0 {
            problems.push(format!("{damaged} of table {table} are damaged"));
        }
    }
    Ok(problems)
}

/// Documents that [`unsound`] finds, by name.
fn documents(db: &Connection) -> anyhow::Result<Vec<String>> {
    Ok(unsound(db)?
        .into_iter()
        .take(MOST)
        .map(|document| format!("{} is not whole", document.name))
        .collect())
}

/// A document that cannot be trusted.
pub(super) struct Unsound {
    pub id: i64,
    /// A path, or the beginning of its hash where it has none.
    pub name: String,
}

/// Documents with a damaged row, page or chunk, without the pages and chunks they must have, without a path, or
/// with a chunk beyond its page: no citation into them can be trusted.
pub(super) fn unsound(db: &Connection) -> anyhow::Result<Vec<Unsound>> {
    let damaged = |table: &str, column: &str| {
        format!(
            "OR d.id IN (SELECT t.{column} FROM {table} t WHERE ({}) IS NOT TRUE)",
            sums::intact(table, "t")
        )
    };
    let sql = format!(
        "SELECT d.id, coalesce(
             (SELECT min(path) FROM sources s WHERE s.document_id = d.id), substr(d.hash, 1, 12))
         FROM documents d
         WHERE ({}) IS NOT TRUE {} {} {}
           OR NOT EXISTS (SELECT 1 FROM sources s WHERE s.document_id = d.id)
           OR d.pages <> (SELECT count(*) FROM pages p WHERE p.document_id = d.id)
           OR d.chunks <> (SELECT count(*) FROM chunks k WHERE k.document_id = d.id)
           OR d.id IN (
             SELECT k.document_id FROM chunks k
             LEFT JOIN pages p ON p.document_id = k.document_id AND p.number = k.page
             WHERE p.text IS NULL OR k.start < 0 OR k.start >= k.end OR k.end > length(p.text))
         ORDER BY 2",
        sums::intact("documents", "d"),
        damaged("pages", "document_id"),
        damaged("details", "document_id"),
        damaged("chunks", "document_id"),
    );
    let mut statement = db.prepare(&sql)?;
    let found = statement.query_map([], |row| {
        Ok(Unsound {
            id: row.get(0)?,
            name: row.get(1)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Chunks whose vector is missing or wrong.
fn vectors(db: &Connection, models: &[Arc<dyn Embedder>]) -> anyhow::Result<Vec<String>> {
    let mut lacking = 0;
    for model in models {
        lacking += unembedded(db, &**model)?.len();
    }
    let text = format!(
        "no vector, though there should be one: {}",
        count(lacking as u64, "chunk")
    );
    Ok((lacking > 0).then_some(text).into_iter().collect())
}

/// A chunk that needs a vector.
pub(super) struct Unembedded {
    pub chunk: i64,
    pub text: String,
}

/// Chunks of pages the model reads that have no vector, or one that is not a unit vector of the
/// right length.
pub(super) fn unembedded(db: &Connection, model: &dyn Embedder) -> anyhow::Result<Vec<Unembedded>> {
    let mut pages = db.prepare(&format!(
        "SELECT p.text, k.id, k.start, k.end, v.vector, c.dimension, ({}) IS TRUE
         FROM chunks k
         JOIN pages p ON p.document_id = k.document_id AND p.number = k.page
         JOIN collections c ON c.id = k.collection_id
         LEFT JOIN vectors v ON v.chunk_id = k.id
         WHERE c.fingerprint = ?1",
        sums::intact("vectors", "v")
    ))?;
    let mut found = Vec::new();
    let mut rows = pages.query([crate::ingest::identity(model).fingerprint])?;
    while let Some(row) = rows.next()? {
        let is_intact: bool = row.get(6)?;
        let is_good = match row.get_ref(4)?.as_blob_or_null()? {
            Some(vector) => is_intact && is_unit(vector, row.get::<_, i64>(5)? as usize),
            None => false,
        };
        if is_good {
            continue;
        }
        let page: String = row.get(0)?;
        let had_one = row.get_ref(4)?.as_blob_or_null()?.is_some();
        if had_one || model.understands(&page) {
            let (start, end): (i64, i64) = (row.get(2)?, row.get(3)?);
            let (start, end) = (start.max(0) as usize, end.max(start).max(0) as usize);
            let range = byte_of_char(&page, start)..byte_of_char(&page, end);
            found.push(Unembedded {
                chunk: row.get(1)?,
                text: searched(&page, range).into_owned(),
            });
        }
    }
    Ok(found)
}

fn is_unit(vector: &[u8], dimension: usize) -> bool {
    let squares: f32 = vector
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes).powi(2))
        .sum();
    vector.len() == 4 * dimension && (squares - 1.0).abs() < ROUNDING
}

fn floats_to_bytes(floats: &[f32]) -> Vec<u8> {
    floats.iter().flat_map(|x| x.to_le_bytes()).collect()
}
