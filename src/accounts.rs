//! Who may use a server: users with passwords, their sessions, and tokens for scripts. They are kept in a
//! small database of their own beside the store, and no secret is in it but as a hash.

mod lockout;
mod passwords;
mod sessions;
mod tokens;
mod users;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use lockout::{Lockout, Try};
pub use sessions::Session;
pub use tokens::TokenRow;
pub use users::User;

use crate::usage;

/// The database's file name, in the data directory.
const FILE: &str = "accounts.db";

/// What a user may do; each role may do what those before it may.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    clap::ValueEnum,
    ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Ask and look
    Reader,
    /// Add, remove and parse anew
    Writer,
    /// Everything, in every collection
    Admin,
}

impl Role {
    /// The stored and printed spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Reader => "reader",
            Role::Writer => "writer",
            Role::Admin => "admin",
        }
    }

    /// The role spelled `text`; what is not known may least.
    fn parse(text: &str) -> Self {
        match text {
            "admin" => Role::Admin,
            "writer" => Role::Writer,
            _ => Role::Reader,
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// Of the user; `None` for a token, and where there is no login.
    pub user_id: Option<String>,
    pub username: String,
    pub role: Role,
    proof: Proof,
}

/// How it is known who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Proof {
    /// Nobody was asked.
    None,
    /// A session, by its family.
    Session(String),
    /// A token, by its hash.
    Token(String),
}

impl Who {
    /// Anybody, where there is no login.
    pub fn anybody() -> Self {
        Self {
            user_id: None,
            username: "local".to_owned(),
            role: Role::Admin,
            proof: Proof::None,
        }
    }

    /// Who has not logged in: sees what is open to all.
    pub fn nobody() -> Self {
        Self {
            role: Role::Reader,
            username: String::new(),
            ..Self::anybody()
        }
    }

    /// The collection that is this user's own.
    pub fn own_collection(&self) -> String {
        format!("~{}", self.username)
    }

    /// Whether a collection may be looked into, where `shared` is everybody's.
    pub fn may_use(&self, collection: &str, shared: &str) -> bool {
        self.role == Role::Admin || collection == shared || collection == self.own_collection()
    }
}

/// The database, open.
pub struct Accounts {
    db: Mutex<Connection>,
    /// Signs access tokens.
    key: Vec<u8>,
}

impl Accounts {
    /// Opens the accounts of a data directory; they are made if they are not there.
    ///
    /// # Errors
    /// When the file cannot be opened, or is no database.
    pub fn open(data_dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(data_dir)?;
        let path = data_dir.join(FILE);
        let db = Connection::open(&path)?;
        only_owner(&path)?;
        db.busy_timeout(std::time::Duration::from_secs(10))?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "foreign_keys", true)?;
        db.execute_batch(include_str!("accounts/tables.sql"))?;
        let known = "SELECT value FROM secrets WHERE name = 'key'";
        db.execute(
            "INSERT OR IGNORE INTO secrets (name, value) VALUES ('key', ?1)",
            [random::<32>()?.as_slice()],
        )?;
        let key = db.query_row(known, [], |row| row.get(0))?;
        Ok(Self {
            db: Mutex::new(db),
            key,
        })
    }

    /// Whether there is neither a user nor a token.
    pub fn is_empty(&self) -> anyhow::Result<bool> {
        let any = "SELECT 1 FROM users UNION ALL SELECT 1 FROM tokens LIMIT 1";
        let found = self.db().query_row(any, [], |_| Ok(())).optional()?;
        Ok(found.is_none())
    }

    /// Who a bearer token stands for: a session's access token, or a token for scripts.
    pub fn who(&self, bearer: &str) -> anyhow::Result<Option<Who>> {
        match bearer.starts_with(tokens::PREFIX) {
            true => self.who_of_digest(&digest(bearer)),
            false => self.who_by_session(bearer),
        }
    }

    /// The same one as of now; `None` once the session or the token has ended, or the user is gone.
    pub fn again(&self, who: &Who) -> anyhow::Result<Option<Who>> {
        match (&who.proof, &who.user_id) {
            (Proof::None, _) => Ok(Some(who.clone())),
            (Proof::Session(family), Some(user)) => self.who_in_session(user, family),
            (Proof::Token(digest), _) => self.who_of_digest(digest),
            (Proof::Session(_), None) => Ok(None),
        }
    }

    /// Refuses a name that a user or a token has, but for case: what is theirs goes by it.
    fn must_be_free(&self, name: &str) -> anyhow::Result<()> {
        let taken = "SELECT 'user' FROM users WHERE username = ?1
                     UNION ALL SELECT 'token' FROM tokens WHERE name = ?1 COLLATE NOCASE";
        let found: Option<String> = self
            .db()
            .query_row(taken, [name], |row| row.get(0))
            .optional()?;
        match found {
            Some(what) => {
                Err(usage!("there is a {what} '{name}' already; choose another name").into())
            }
            None => Ok(()),
        }
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn delete(&self, table: &str, column: &str, value: &str) -> anyhow::Result<bool> {
        let sql = format!("DELETE FROM {table} WHERE {column} = ?1");
        Ok(self.db().execute(&sql, params![value])? > 0)
    }
}

/// A name for a user or a token.
///
/// # Errors
/// A usage error for one that is none.
fn named(name: &str) -> anyhow::Result<String> {
    let name = crate::text::nfc(name.trim());
    let fine = (1..=64).contains(&name.chars().count())
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@'));
    match fine {
        true => Ok(name),
        false => Err(usage!("a name has 1 to 64 letters, digits, and . _ - @").into()),
    }
}

/// Bytes nobody can guess.
fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    use ring::rand::SecureRandom as _;
    let mut bytes = [0; N];
    let filled = ring::rand::SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| anyhow::anyhow!("the system has no random numbers"))?;
    Ok(bytes)
}

/// Bytes nobody can guess, in hex.
fn secret() -> anyhow::Result<String> {
    let hex = random::<32>()?.map(|byte| format!("{byte:02x}"));
    Ok(hex.concat())
}

/// What is stored of a secret: they are random, so a plain hash is as good as a slow one.
fn digest(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}

fn only_owner(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn accounts() -> (tempfile::TempDir, Accounts) {
        let dir = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(dir.path()).unwrap();
        (dir, accounts)
    }

    #[test]
    fn users_use_their_own_and_the_shared_collection() {
        let (_dir, accounts) = accounts();
        assert!(accounts.is_empty().unwrap());
        let token = accounts.create_token("ci", Role::Writer).unwrap();
        assert!(!accounts.is_empty().unwrap());
        let who = accounts.who(&token).unwrap().unwrap();
        assert_eq!((who.username.as_str(), who.role), ("ci", Role::Writer));
        assert!(who.may_use("default", "default") && who.may_use("~ci", "default"));
        assert!(!who.may_use("~ann", "default"));
        assert!(Who::anybody().may_use("~ann", "default"));
        assert!(Role::Reader < Role::Writer && Role::Writer < Role::Admin);
    }

    #[test]
    fn no_secret_is_in_the_file() {
        let (dir, accounts) = accounts();
        let token = accounts.create_token("ci", Role::Admin).unwrap();
        accounts
            .create_user("ann", "correct horse 7", Role::Reader)
            .unwrap();
        let session = accounts.login("ann", "correct horse 7").unwrap().unwrap();
        drop(accounts);
        let file = std::fs::read(dir.path().join(FILE)).unwrap();
        for secret in [&token, "correct horse 7", &session.refresh_token] {
            let is_there = file.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!is_there);
        }
    }
}
