//! Long-lived tokens for scripts.

use rusqlite::{OptionalExtension as _, Row, params};
use serde::Serialize;

use super::{Accounts, Proof, Role, Who, digest, named, secret};
use crate::ledger::timestamp;
use crate::usage;

/// What every token begins with, so that leaked ones can be searched for.
pub const PREFIX: &str = "squall_";

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenRow {
    pub name: String,
    pub role: Role,
    /// RFC 3339, UTC.
    pub created_at: String,
}

impl Accounts {
    /// Makes a token. It is shown once: only its hash is kept.
    ///
    /// # Errors
    /// A usage error for a name that is taken or none.
    pub fn create_token(&self, name: &str, role: Role) -> anyhow::Result<String> {
        let name = named(name)?;
        self.must_be_free(&name)?;
        let token = format!("{PREFIX}{}", secret()?);
        let made = self.db().execute(
            "INSERT OR IGNORE INTO tokens (digest, name, role, created_at) VALUES (?1, ?2, ?3, ?4)",
            params![digest(&token), name, role.as_str(), timestamp()],
        )?;
        match made {
            1 => Ok(token),
            _ => Err(usage!("there is a token '{name}' already").into()),
        }
    }

    /// All tokens, by name.
    pub fn tokens(&self) -> anyhow::Result<Vec<TokenRow>> {
        let db = self.db();
        let mut statement =
            db.prepare("SELECT name, role, created_at FROM tokens ORDER BY name")?;
        let token = |row: &Row<'_>| {
            Ok(TokenRow {
                name: row.get(0)?,
                role: Role::parse(&row.get::<_, String>(1)?),
                created_at: row.get(2)?,
            })
        };
        let tokens = statement.query_map([], token)?;
        Ok(tokens.collect::<Result<_, _>>()?)
    }

    /// Ends a token; whether there was one.
    pub fn revoke_token(&self, name: &str) -> anyhow::Result<bool> {
        self.delete("tokens", "name", name)
    }

    pub(super) fn who_of_digest(&self, digest: &str) -> anyhow::Result<Option<Who>> {
        let who = |row: &Row<'_>| {
            Ok(Who {
                user_id: None,
                username: row.get(0)?,
                role: Role::parse(&row.get::<_, String>(1)?),
                proof: Proof::Token(digest.to_owned()),
            })
        };
        let db = self.db();
        let mut statement = db.prepare_cached("SELECT name, role FROM tokens WHERE digest = ?1")?;
        Ok(statement.query_row([digest], who).optional()?)
    }
}
