//! Checksums of rows. SQLite checks its own structure, not the content of a row: a bit that flips in
//! a page's text would be quoted as if it stood there. Each table therefore has a generated column
//! `sum`, computed by the SQL function `row_sum` whenever a row is written, and compared here.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use crate::error::Error;

/// The columns each table's `sum` covers, as in `schema/tables.sql`.
pub const TABLES: [(&str, &str); 12] = [
    (
        "collections",
        "id, name, uid, model, fingerprint, dimension, generation, created_at",
    ),
    (
        "documents",
        "id, collection_id, hash, service, parser, title, size, pages, chunks, created_at",
    ),
    (
        "sources",
        "collection_id, path, file, root, size, modified, document_id",
    ),
    ("tags", "document_id, key, value"),
    ("pages", "document_id, number, verdict, text"),
    ("details", "document_id, details"),
    ("chunks", "id, collection_id, document_id, page, start, end"),
    ("vectors", "chunk_id, vector"),
    ("tombstones", "chunk_id, collection_id"),
    (
        "jobs",
        "id, service, hash, state, remote_id, attempts, error, size, pages, created_at, updated_at",
    ),
    ("state", "id, writes"),
    ("job_targets", "job_id, collection, path, target"),
];

/// Makes `row_sum` known to a connection. Without it nothing can be written.
pub fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("row_sum", -1, flags, row_sum)
}

/// The first eight bytes of the BLAKE3 of all values with their types and lengths.
#[expect(clippy::unnecessary_wraps, reason = "what SQLite calls may fail")]
fn row_sum(context: &Context<'_>) -> rusqlite::Result<i64> {
    let mut hasher = blake3::Hasher::new();
    for index in 0..context.len() {
        let (kind, bytes) = match context.get_raw(index) {
            ValueRef::Null => (0u8, &[][..]),
            ValueRef::Integer(number) => {
                hasher.update(&number.to_le_bytes());
                (1, &[][..])
            }
            ValueRef::Real(number) => {
                hasher.update(&number.to_le_bytes());
                (2, &[][..])
            }
            ValueRef::Text(text) => (3, text),
            ValueRef::Blob(blob) => (4, blob),
        };
        hasher.update(bytes);
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(&[kind]);
    }
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    Ok(i64::from_le_bytes(first))
}

/// The columns of `table` that are not computed.
pub fn columns(table: &str) -> &'static str {
    let found = TABLES.iter().find(|(name, _)| *name == table);
    found.map_or("", |(_, columns)| columns)
}

/// SQL that is true for a row of `table`, known as `alias`, that is as it was written.
pub fn intact(table: &str, alias: &str) -> String {
    let columns: Vec<String> = columns(table)
        .split(", ")
        .map(|column| format!("{alias}.{column}"))
        .collect();
    format!("{alias}.sum = row_sum({})", columns.join(", "))
}

/// Refuses a row whose column `index`, made by [`intact`], is not true.
///
/// # Errors
/// One that ends the process with exit code 5 and says what to type.
pub fn check(row: &Row<'_>, index: usize, what: impl Fn() -> String) -> rusqlite::Result<()> {
    if row.get::<_, Option<bool>>(index)? == Some(true) {
        return Ok(());
    }
    let message = format!(
        "{} is damaged in the store; type `squall repair` to see what can be saved",
        what()
    );
    Err(rusqlite::Error::ToSqlConversionFailure(Box::new(
        Error::Store(message),
    )))
}
