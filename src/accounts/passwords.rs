//! Passwords as Argon2id hashes.

use std::sync::LazyLock;

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};

use crate::usage;

/// Fewest and most bytes of a password (NIST SP 800-63B asks for 8 at least).
const LENGTH: std::ops::RangeInclusive<usize> = 8..=1024;

/// Compared with where there is no such user, so that an answer takes as long.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash("no such user").unwrap_or_default());

/// A password as it is stored.
///
/// # Errors
/// A usage error for one that is too short or too long.
pub fn hash(password: &str) -> anyhow::Result<String> {
    if !LENGTH.contains(&password.len()) {
        return Err(usage!("a password has 8 to 1024 bytes").into());
    }
    let salt = SaltString::encode_b64(&super::random::<16>()?);
    let salt = salt.map_err(|error| anyhow::anyhow!("{error}"))?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
    Ok(hash
        .map_err(|error| anyhow::anyhow!("{error}"))?
        .to_string())
}

/// Whether `password` is the one stored; never, where none is.
pub fn is_right(password: &str, stored: Option<&str>) -> bool {
    let Ok(hash) = PasswordHash::new(stored.unwrap_or(&NOBODY)) else {
        return false;
    };
    let verified = Argon2::default().verify_password(password.as_bytes(), &hash);
    verified.is_ok() && stored.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_is_right() {
        let stored = hash("correct horse").unwrap();
        assert!(stored.starts_with("$argon2id$"));
        assert!(is_right("correct horse", Some(&stored)));
        assert!(!is_right("correct horsf", Some(&stored)));
        assert!(!is_right("no such user", None));
        assert!(!is_right("", Some("nonsense")));
        assert!(hash("short").is_err());
    }
}
