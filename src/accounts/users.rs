//! Users.

use rusqlite::{OptionalExtension as _, Row, TransactionBehavior, params};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Accounts, Role, Who, named, passwords, secret};
use crate::error::Error;
use crate::ledger::timestamp;
use crate::usage;

/// Longest name for people, in characters.
const MOST_NAME: usize = 200;

/// A user, without the password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct User {
    pub id: String,
    pub username: String,
    /// For people.
    pub name: String,
    pub role: Role,
    /// RFC 3339, UTC.
    pub created_at: String,
}

const COLUMNS: &str = "id, username, name, role, created_at";

impl Accounts {
    /// Makes a user.
    ///
    /// # Errors
    /// A usage error for a name that is taken or none, or a password too short.
    pub fn create_user(&self, username: &str, password: &str, role: Role) -> anyhow::Result<User> {
        let username = named(username)?;
        self.must_be_free(&username)?;
        let password = passwords::hash(password)?;
        let user = User {
            id: secret()?[..16].to_owned(),
            name: username.clone(),
            username,
            role,
            created_at: timestamp(),
        };
        let made = self.db().execute(
            "INSERT OR IGNORE INTO users (id, username, name, role, password, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                user.id,
                user.username,
                user.name,
                role.as_str(),
                password,
                user.created_at
            ],
        )?;
        match made {
            1 => Ok(user),
            _ => Err(usage!("there is a user '{}' already", user.username).into()),
        }
    }

    /// All users, by name.
    pub fn users(&self) -> anyhow::Result<Vec<User>> {
        let db = self.db();
        let sql = format!("SELECT {COLUMNS} FROM users ORDER BY username");
        let mut statement = db.prepare(&sql)?;
        let users = statement.query_map([], user)?;
        Ok(users.collect::<Result<_, _>>()?)
    }

    /// The user with this id.
    pub fn user(&self, id: &str) -> anyhow::Result<Option<User>> {
        let sql = format!("SELECT {COLUMNS} FROM users WHERE id = ?1");
        Ok(self.db().query_row(&sql, [id], user).optional()?)
    }

    /// Forgets a user and the sessions; whether there was one.
    pub fn remove_user(&self, username: &str) -> anyhow::Result<bool> {
        self.delete("users", "username", username)
    }

    /// Changes what a user may do, from the next request on.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such user.
    pub fn change_role(&self, username: &str, role: Role) -> anyhow::Result<()> {
        let sql = "UPDATE users SET role = ?2 WHERE username = ?1";
        match self.db().execute(sql, params![username, role.as_str()])? {
            0 => Err(Error::NotFound(format!("there is no user '{username}'")).into()),
            _ => Ok(()),
        }
    }

    /// Gives a user a new password, which ends all sessions.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such user, a usage error for a password that is none.
    pub fn reset_password(&self, username: &str, password: &str) -> anyhow::Result<()> {
        let hash = passwords::hash(password)?;
        let mut db = self.db();
        let tx = db.transaction()?;
        let sql = "UPDATE users SET password = ?2 WHERE username = ?1";
        if tx.execute(sql, params![username, hash])? == 0 {
            return Err(Error::NotFound(format!("there is no user '{username}'")).into());
        }
        let sql = "DELETE FROM sessions WHERE user_id = (SELECT id FROM users WHERE username = ?1)";
        tx.execute(sql, [username])?;
        Ok(tx.commit()?)
    }

    /// Has an admin change the role of another user, or with `None` remove that user; `None` where there is
    /// none. Whether `who` still is an admin is seen in the same transaction, so that of two who do it to each
    /// other one is late.
    ///
    /// # Errors
    /// A usage error for oneself, and for who is no admin any more.
    pub fn administer(
        &self,
        who: &Who,
        id: &str,
        role: Option<Role>,
    ) -> anyhow::Result<Option<User>> {
        let Some(known) = self.user(id)? else {
            return Ok(None);
        };
        let mut db = self.db();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(own) = &who.user_id {
            if own == id {
                return Err(usage!("another admin must do that to you").into());
            }
            let sql = "SELECT 1 FROM users WHERE id = ?1 AND role = 'admin'";
            if tx.query_row(sql, [own], |_| Ok(())).optional()?.is_none() {
                return Err(usage!("you are no admin any more").into());
            }
        }
        match role {
            Some(role) => tx.execute(
                "UPDATE users SET role = ?2 WHERE id = ?1",
                params![id, role.as_str()],
            )?,
            None => tx.execute("DELETE FROM users WHERE id = ?1", [id])?,
        };
        tx.commit()?;
        Ok(Some(User {
            role: role.unwrap_or(known.role),
            ..known
        }))
    }

    /// Changes what a user may change of the own profile, and whether the old password was right. A new one
    /// ends all sessions.
    ///
    /// # Errors
    /// A usage error for a value that is none.
    pub fn change_profile(
        &self,
        id: &str,
        name: Option<&str>,
        passwords: Option<(&str, &str)>,
    ) -> anyhow::Result<bool> {
        let new = match passwords {
            Some((old, new)) => {
                let stored = self.password("id", id)?;
                if !passwords::is_right(old, stored.as_ref().map(|(_, hash)| hash.as_str())) {
                    return Ok(false);
                }
                Some(passwords::hash(new)?)
            }
            None => None,
        };
        if let Some(name) = name {
            let fine = name.chars().count() <= MOST_NAME && !name.chars().any(char::is_control);
            if !fine {
                return Err(usage!("a name has at most {MOST_NAME} characters").into());
            }
        }
        let mut db = self.db();
        let tx = db.transaction()?;
        tx.execute(
            "UPDATE users SET name = coalesce(?2, name), password = coalesce(?3, password)
             WHERE id = ?1",
            params![id, name, new],
        )?;
        if new.is_some() {
            tx.execute("DELETE FROM sessions WHERE user_id = ?1", [id])?;
        }
        tx.commit()?;
        Ok(true)
    }

    /// Id and hashed password of a user.
    pub(super) fn password(
        &self,
        column: &str,
        value: &str,
    ) -> anyhow::Result<Option<(String, String)>> {
        let sql = format!("SELECT id, password FROM users WHERE {column} = ?1");
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        Ok(self.db().query_row(&sql, [value], read).optional()?)
    }
}

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get(0)?,
        username: row.get(1)?,
        name: row.get(2)?,
        role: Role::parse(&row.get::<_, String>(3)?),
        created_at: row.get(4)?,
    })
}
