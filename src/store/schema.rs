//! The tables, and how those of earlier versions become them.

use rusqlite::{Connection, TransactionBehavior};

use crate::error::Error;

/// Raised with every change of the schema.
pub(super) const SCHEMA_VERSION: i64 = 4;
pub(super) const SCHEMA: &str = include_str!("schema/tables.sql");
/// The statements that lead from version 1 to these tables.
const FROM_1: [&str; 3] = [
    include_str!("schema/1-to-2-before.sql"),
    SCHEMA,
    include_str!("schema/1-to-2-after.sql"),
];

/// And from versions 2 and 3.
const FROM_3: &str = include_str!("schema/3-to-4.sql");

/// Brings a database to this program's schema, in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> anyhow::Result<()> {
    let version = |connection: &Connection| {
        connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
    };
    if version(connection)? == SCHEMA_VERSION {
        return Ok(());
    }
    // Tables that move over must not take their rows along.
    connection.pragma_update(None, "foreign_keys", false)?;
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&tx)?;
    if found > SCHEMA_VERSION {
        return Err(Error::Store(format!(
            "the store was written by a newer squall (schema {found}, this one knows \
             {SCHEMA_VERSION}); update squall"
        ))
        .into());
    }
    match found {
        0 => tx.execute_batch(SCHEMA)?,
        1 => {
            for part in FROM_1 {
                tx.execute_batch(part)?;
            }
            drop_full_text(&tx)?;
        }
        2 => {
            drop_full_text(&tx)?;
            tx.execute_batch(FROM_3)?;
        }
        3 => tx.execute_batch(FROM_3)?,
        _ => {}
    }
    tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    tx.commit()?;
    Ok(())
}

/// Schemas 1 and 2 had an FTS5 table for each collection, where posting files are now.
fn drop_full_text(db: &Connection) -> anyhow::Result<()> {
    let tables: Vec<String> = db
        .prepare(
            "SELECT name FROM sqlite_master WHERE name GLOB 'terms_[0-9]*' AND sql LIKE 'CREATE VIRTUAL%'",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for table in tables {
        db.execute_batch(&format!("DROP TABLE \"{table}\""))?;
    }
    Ok(())
}
