//! Sessions: a short-lived access token (JWT, HS256) and a refresh token that is used once.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rusqlite::{OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Accounts, Proof, Role, User, Who, digest, passwords, secret};

/// Seconds an access token is good for, and a refresh token.
const ACCESS: u64 = 15 * 60;
const REFRESH: u64 = 30 * 24 * 3600;

/// What a login gives.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Session {
    /// For `Authorization: Bearer ...`.
    pub access_token: String,
    /// For the next session, once.
    pub refresh_token: String,
    /// Seconds the access token is good for.
    pub expires_in: u64,
    pub user: User,
}

/// What an access token says.
#[derive(Serialize, Deserialize)]
struct Claims {
    /// The user's id.
    sub: String,
    /// The family of the refresh token.
    sid: String,
    exp: u64,
}

impl Accounts {
    /// A session for a user with that password.
    pub fn login(&self, username: &str, password: &str) -> anyhow::Result<Option<Session>> {
        let stored = self.password("username", username)?;
        let hash = stored.as_ref().map(|(_, hash)| hash.as_str());
        if !passwords::is_right(password, hash) {
            return Ok(None);
        }
        match stored {
            Some((id, _)) => self.session(&id, &secret()?),
            None => Ok(None),
        }
    }

    /// The next session for a refresh token. One that was used before ends the whole family: somebody
    /// else has it too.
    pub fn refresh(&self, refresh_token: &str) -> anyhow::Result<Option<Session>> {
        let digest = digest(refresh_token);
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let found: Option<(String, String, i64, bool)> = self
            .db()
            .query_row(
                "SELECT family, user_id, expires, used FROM sessions WHERE digest = ?1",
                [&digest],
                read,
            )
            .optional()?;
        let Some((family, user, expires, _)) = found else {
            return Ok(None);
        };
        // Only one of two that come at once is first.
        let first = self.db().execute(
            "UPDATE sessions SET used = 1 WHERE digest = ?1 AND used = 0",
            [&digest],
        )?;
        if first == 0 {
            self.delete("sessions", "family", &family)?;
            tracing::warn!("a refresh token was used twice; its session is ended");
            return Ok(None);
        }
        match (expires as u64) > now() {
            true => self.session(&user, &family),
            false => Ok(None),
        }
    }

    /// Ends the session of a refresh token.
    pub fn logout(&self, refresh_token: &str) -> anyhow::Result<()> {
        self.db().execute(
            "DELETE FROM sessions WHERE family =
             (SELECT family FROM sessions WHERE digest = ?1)",
            [digest(refresh_token)],
        )?;
        Ok(())
    }

    fn session(&self, user: &str, family: &str) -> anyhow::Result<Option<Session>> {
        let Some(user) = self.user(user)? else {
            return Ok(None);
        };
        let refresh_token = secret()?;
        {
            let db = self.db();
            db.execute("DELETE FROM sessions WHERE expires < ?1", [now() as i64])?;
            db.execute(
                "INSERT INTO sessions (digest, family, user_id, expires) VALUES (?1, ?2, ?3, ?4)",
                params![
                    digest(&refresh_token),
                    family,
                    user.id,
                    (now() + REFRESH) as i64
                ],
            )?;
        }
        let claims = Claims {
            sub: user.id.clone(),
            sid: family.to_owned(),
            exp: now() + ACCESS,
        };
        let key = EncodingKey::from_secret(&self.key);
        Ok(Some(Session {
            access_token: jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)?,
            refresh_token,
            expires_in: ACCESS,
            user,
        }))
    }

    /// Who an access token stands for. Its user and its session are looked up, so that what was revoked
    /// ends at once, and a role is the one of now.
    pub(super) fn who_by_session(&self, token: &str) -> anyhow::Result<Option<Who>> {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = 0;
        let key = DecodingKey::from_secret(&self.key);
        let Ok(decoded) = jsonwebtoken::decode::<Claims>(token, &key, &rules) else {
            return Ok(None);
        };
        self.who_in_session(&decoded.claims.sub, &decoded.claims.sid)
    }

    /// A user with a session of that family.
    pub(super) fn who_in_session(&self, user: &str, family: &str) -> anyhow::Result<Option<Who>> {
        let who = |row: &Row<'_>| {
            Ok(Who {
                user_id: Some(user.to_owned()),
                username: row.get(0)?,
                role: Role::parse(&row.get::<_, String>(1)?),
                proof: Proof::Session(family.to_owned()),
            })
        };
        let db = self.db();
        let mut statement = db.prepare_cached(
            "SELECT username, role FROM users u WHERE id = ?1
             AND EXISTS (SELECT 1 FROM sessions s WHERE s.family = ?2 AND s.user_id = u.id)",
        )?;
        Ok(statement.query_row([user, family], who).optional()?)
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::tests::accounts;

    #[test]
    fn a_session_lasts_until_it_is_ended_and_a_stolen_one_ends() {
        let (_dir, accounts) = accounts();
        let user = accounts.create_user("Ann", "password 1", Role::Writer);
        let user = user.unwrap();
        assert!(
            accounts
                .create_user("ann", "password 2", Role::Admin)
                .is_err()
        );
        assert!(accounts.login("ann", "password 2").unwrap().is_none());
        assert!(accounts.login("bob", "password 1").unwrap().is_none());
        let first = accounts.login("ann", "password 1").unwrap().unwrap();
        let who = |token: &str| accounts.who(token).unwrap();
        assert_eq!(
            who(&first.access_token).unwrap().user_id,
            Some(user.id.clone())
        );
        let second = accounts.refresh(&first.refresh_token).unwrap().unwrap();
        assert!(who(&second.access_token).is_some());
        // The thief comes with the old one: both are out.
        assert!(accounts.refresh(&first.refresh_token).unwrap().is_none());
        assert!(who(&second.access_token).is_none());
        assert!(accounts.refresh(&second.refresh_token).unwrap().is_none());
        let third = accounts.login("ann", "password 1").unwrap().unwrap();
        accounts.logout(&third.refresh_token).unwrap();
        assert!(who(&third.access_token).is_none());
        let fourth = accounts.login("ann", "password 1").unwrap().unwrap();
        let change = Some(("password 1", "password 3"));
        accounts
            .change_profile(&user.id, Some("Ann B."), change)
            .unwrap();
        assert!(who(&fourth.access_token).is_none());
        let fifth = accounts.login("ann", "password 3").unwrap().unwrap();
        assert!(accounts.remove_user("ann").unwrap());
        assert!(who(&fifth.access_token).is_none());
    }

    #[test]
    fn forged_and_expired_tokens_are_nobodys() {
        let (_dir, accounts) = accounts();
        let user = accounts.create_user("ann", "password 1", Role::Admin);
        let user = user.unwrap();
        let good = accounts.login("ann", "password 1").unwrap().unwrap();
        let (_, others) = super::super::tests::accounts();
        assert!(others.who(&good.access_token).unwrap().is_none());
        let who = accounts.who(&good.access_token).unwrap().unwrap();
        let Proof::Session(sid) = who.proof else {
            panic!("no session");
        };
        let signed = |exp: u64, key: &[u8], algorithm: Algorithm| {
            let claims = Claims {
                sub: user.id.clone(),
                sid: sid.clone(),
                exp,
            };
            let key = EncodingKey::from_secret(key);
            jsonwebtoken::encode(&Header::new(algorithm), &claims, &key).unwrap()
        };
        let later = now() + 60;
        let who = |token: &str| accounts.who(token).unwrap();
        assert!(who(&signed(later, &accounts.key, Algorithm::HS256)).is_some());
        for bad in [
            signed(now() - 1, &accounts.key, Algorithm::HS256),
            signed(later, b"guessed", Algorithm::HS256),
            signed(later, &accounts.key, Algorithm::HS512),
            // {"alg":"none"}
            format!(
                "eyJhbGciOiJub25lIn0.{}.",
                good.access_token.split('.').nth(1).unwrap()
            ),
            String::new(),
            "squall_".to_owned(),
        ] {
            assert!(who(&bad).is_none(), "{bad}");
        }
    }
}
