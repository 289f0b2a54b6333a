//! Reads what can be read of a database SQLite calls damaged, into a new one. Rows are looked for
//! from the front, from the back, and one by one in between, since a damaged page hides those
//! around it; only rows whose checksum is right are taken.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Statement, params_from_iter};

use super::repair::DAMAGED_JOB;
use super::sqlite::EmbeddedStore;
use super::sums;
use crate::document::DocumentId;
use crate::ledger::{JobState, job_id};

/// Row ids tried one by one between the front and the back part of a table.
const MOST_TRIED: i64 = 100_000;

/// What could not be read.
#[derive(Debug, Default)]
pub struct Salvaged {
    /// Rows that were seen and were not whole.
    pub lost: u64,
    /// Whether rows of the ledger may be among those never seen.
    pub ledger_is_incomplete: bool,
}

/// Makes a store in `folder` from what can be read of the database at `damaged`.
pub fn salvage(damaged: &Path, folder: &Path) -> anyhow::Result<Salvaged> {
    let fresh = EmbeddedStore::open(folder)?;
    // Read-write, as a log beside it may hold the latest transactions.
    let old = Connection::open_with_flags(damaged, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    sums::register(&old)?;
    // SQLite reads a file that was cut short only for those who say they know what they do.
    let _ = old.pragma_update(None, "writable_schema", true);
    let mut salvaged = Salvaged::default();
    fresh.unchecked(|new| {
        for (table, columns) in sums::TABLES {
            let is_whole = copy(&old, new, table, columns, &mut salvaged.lost);
            salvaged.ledger_is_incomplete |= table == "jobs" && !is_whole;
        }
        // Ids that were used are not used again, as far as that can be told.
        let _ = read(
            &old,
            "SELECT name, seq FROM sqlite_sequence",
            &[],
            &mut |row| {
                let sql = "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1";
                let _ = new.execute(sql, params_from_iter(row));
                true
            },
        );
        Ok(())
    })?;
    fresh.settle_salvaged()?;
    Ok(salvaged)
}

/// A row as it may be taken over: whole, or damaged in a way that can be told and does no harm.
fn usable(table: &str, row: &[Value], is_intact: bool) -> Option<Vec<Value>> {
    let mut row = row.to_vec();
    match table {
        _ if is_intact => {}
        // What is wrong with it is found out with the model (see repair.rs).
        "collections" => {}
        "jobs" => {
            let text = |index: usize| match &row[index] {
                Value::Text(text) => text.clone(),
                _ => String::new(),
            };
            if job_id(&text(1), &DocumentId(text(2))) != text(0) {
                return None;
            }
            row[3] = Value::from(JobState::Lost.as_str().to_owned());
            row[6] = Value::from(DAMAGED_JOB.to_owned());
        }
        _ => return None,
    }
    Some(row)
}

/// Copies one table as far as it can be read; whether that was to its end.
fn copy(old: &Connection, new: &Connection, table: &str, columns: &str, lost: &mut u64) -> bool {
    let mut take = |row: &[Value], is_intact: bool| {
        let places = vec!["?"; row.len()].join(", ");
        let sql = format!("INSERT OR IGNORE INTO {table} ({columns}) VALUES ({places})");
        let usable = usable(table, row, is_intact);
        match usable.map(|row| new.execute(&sql, params_from_iter(row))) {
            Some(Ok(_)) => {}
            _ => *lost += 1,
        }
    };
    let intact = sums::intact(table, "t");
    let select = format!("SELECT {columns}, ({intact}) IS TRUE FROM {table} t NOT INDEXED");
    if table == "tags" {
        // Has no row ids; tags are few.
        return read(old, &select, &[], &mut |row| {
            take(&row[..row.len() - 1], is_true(row));
            true
        })
        .is_ok();
    }
    let select =
        format!("SELECT {columns}, ({intact}) IS TRUE, t.rowid FROM {table} t NOT INDEXED");
    let (mut first, mut last) = (i64::MIN, i64::MAX);
    let mut pass = |row: &[Value]| -> i64 {
        let end = row.len() - 2;
        take(&row[..end], is_true(&row[..=end]));
        integer(&row[end + 1])
    };
    // A damaged tree can lead in circles: ids must go on rising, or falling.
    let forward = format!("{select} ORDER BY t.rowid");
    let mut rises = true;
    let whole = read(old, &forward, &[], &mut |row| {
        let id = pass(row);
        rises = id > first;
        first = id.max(first);
        rises
    });
    if whole.is_ok() && rises {
        return true;
    }
    let backward = format!("{select} WHERE t.rowid > ?1 ORDER BY t.rowid DESC");
    let _ = read(old, &backward, &[Value::from(first)], &mut |row| {
        let id = pass(row);
        let falls = id < last;
        last = id.min(last);
        falls
    });
    let from = first.saturating_add(1).max(1);
    let to = last.min(from.saturating_add(MOST_TRIED));
    if let Ok(mut single) = old.prepare(&format!("{select} WHERE t.rowid = ?1")) {
        for id in from..to {
            let _ = each(&mut single, &[Value::from(id)], &mut |row| {
                pass(row);
                true
            });
        }
    }
    false
}

/// Calls `take` for each row until the end, the first error, or `false`.
fn read(
    db: &Connection,
    sql: &str,
    values: &[Value],
    take: &mut dyn FnMut(&[Value]) -> bool,
) -> rusqlite::Result<()> {
    each(&mut db.prepare(sql)?, values, take)
}

fn each(
    statement: &mut Statement<'_>,
    values: &[Value],
    take: &mut dyn FnMut(&[Value]) -> bool,
) -> rusqlite::Result<()> {
    let width = statement.column_count();
    let mut rows = statement.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        let values = (0..width).map(|index| row.get(index));
        if !take(&values.collect::<Result<Vec<Value>, _>>()?) {
            break;
        }
    }
    Ok(())
}

fn is_true(row: &[Value]) -> bool {
    row.last() == Some(&Value::Integer(1))
}

fn integer(value: &Value) -> i64 {
    match value {
        Value::Integer(number) => *number,
        _ => 0,
    }
}

impl EmbeddedStore {
    /// Runs `work` in a transaction that does not ask whether what rows point to is there.
    fn unchecked(
        &self,
        work: impl FnOnce(&Connection) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.db().pragma_update(None, "foreign_keys", false)?;
        let done = self.write(|tx| work(tx));
        self.db().pragma_update(None, "foreign_keys", true)?;
        done
    }

    /// Drops rows whose parents were not found.
    /// Documents that are not whole are left to the rest of the repair.
    fn settle_salvaged(&self) -> anyhow::Result<()> {
        self.unchecked(|db| {
            // Documents whose collection could not be read get one that says so.
            db.execute_batch(
                "INSERT INTO collections
                     (id, name, uid, model, fingerprint, dimension, generation, created_at)
                 SELECT DISTINCT collection_id, 'recovered-' || collection_id,
                     lower(hex(randomblob(8))), '', '', 0, 1, datetime() FROM documents
                 WHERE collection_id NOT IN (SELECT id FROM collections);
                 DELETE FROM sources WHERE document_id NOT IN (SELECT id FROM documents);
                 DELETE FROM tags WHERE document_id NOT IN (SELECT id FROM documents);
                 DELETE FROM pages WHERE document_id NOT IN (SELECT id FROM documents);
                 DELETE FROM details WHERE document_id NOT IN (SELECT id FROM documents);
                 DELETE FROM chunks WHERE document_id NOT IN (SELECT id FROM documents);
                 DELETE FROM vectors WHERE chunk_id NOT IN (SELECT id FROM chunks);
                 DELETE FROM tombstones WHERE collection_id NOT IN (SELECT id FROM collections);
                 DELETE FROM job_targets WHERE job_id NOT IN (SELECT id FROM jobs);",
            )?;
            Ok(())
        })
    }
}
