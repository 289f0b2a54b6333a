//! Failed logins slow down who tries. A try counts as failed from its beginning, so that many at once are no
//! way around it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Tries at one name from one address that are forgiven, and accounts an address may make.
const FREE: u32 = 5;
/// The same at one name from anywhere, and from an address at any name, as people behind one router share it.
const FREE_IN_ALL: u32 = 50;
/// The wait after that, which doubles with each failure, and the longest.
const FIRST: Duration = Duration::from_secs(15);
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// After this long without a failure it is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// Most names and addresses that are remembered.
const MOST: usize = 10_000;

/// What is tried.
#[derive(Debug, Clone)]
pub enum Try {
    /// A password for a name.
    Password { name: String, from: IpAddr },
    /// A new account.
    Account { from: IpAddr },
}

/// Whose failures are counted. Of names only the hash is kept, as anybody may send long ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    NameFrom(blake3::Hash, IpAddr),
    Name(blake3::Hash),
    Address(IpAddr),
    AccountsOf(IpAddr),
}

struct Failures {
    count: u32,
    last: Instant,
}

/// Failures by name and address, in memory.
#[derive(Default)]
pub struct Lockout {
    failures: Mutex<HashMap<Key, Failures>>,
}

impl Try {
    /// What counts, and how often it is forgiven.
    fn keys(&self) -> Vec<(Key, u32)> {
        match self {
            Try::Password { name, from } => {
                // Names differ in case only for people.
                let name = blake3::hash(name.to_lowercase().as_bytes());
                vec![
                    (Key::NameFrom(name, *from), FREE),
                    (Key::Name(name), FREE_IN_ALL),
                    (Key::Address(*from), FREE_IN_ALL),
                ]
            }
            Try::Account { from } => vec![(Key::AccountsOf(*from), FREE)],
        }
    }
}

impl Lockout {
    /// Counts a try as failed, for now.
    ///
    /// # Errors
    /// How long who tries must wait before the next one.
    pub fn begin(&self, tried: &Try) -> Result<(), Duration> {
        let mut failures = self.failures();
        let keys = tried.keys();
        let left = |(key, free): &(Key, u32)| {
            let failures = failures.get(key)?;
            let over = failures.count.checked_sub(*free)?;
            let wait = FIRST.saturating_mul(1 << over.min(10)).min(LONGEST);
            wait.checked_sub(failures.last.elapsed())
        };
        if let Some(wait) = keys.iter().filter_map(left).max() {
            return Err(wait);
        }
        if failures.len() >= MOST {
            failures.retain(|_, failures| failures.last.elapsed() < FORGOTTEN);
        }
        if failures.len() >= MOST {
            failures.clear();
        }
        for (key, _) in keys {
            let now = Instant::now();
            let entry = failures.entry(key);
            let entry = entry.or_insert(Failures {
                count: 0,
                last: now,
            });
            if entry.last.elapsed() > FORGOTTEN {
                entry.count = 0;
            }
            entry.count += 1;
            entry.last = now;
        }
        Ok(())
    }

    /// A try was none: the name is forgiven there, the address this once. Accounts that were made count.
    pub fn succeeded(&self, tried: &Try) {
        let mut failures = self.failures();
        for (key, _) in tried.keys() {
            match key {
                Key::NameFrom(..) => {
                    failures.remove(&key);
                }
                Key::Name(_) | Key::Address(_) => {
                    if let Some(entry) = failures.get_mut(&key) {
                        entry.count = entry.count.saturating_sub(1);
                    }
                }
                Key::AccountsOf(_) => {}
            }
        }
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn password(name: &str, from: IpAddr) -> Try {
        let name = name.to_owned();
        Try::Password { name, from }
    }

    #[test]
    fn who_fails_often_waits_and_others_do_not() {
        let lockout = Lockout::default();
        let ann = password("ann", HERE);
        for _ in 0..FREE {
            assert_eq!(lockout.begin(&ann), Ok(()));
        }
        let wait = lockout.begin(&password("ANN", HERE)).unwrap_err();
        assert!(wait <= FIRST && wait > FIRST / 2, "{wait:?}");
        assert_eq!(lockout.begin(&password("bob", HERE)), Ok(()));
        assert_eq!(
            lockout.begin(&password("ann", THERE)),
            Ok(()),
            "a stranger locks nobody out"
        );
        lockout.succeeded(&ann);
        assert_eq!(lockout.begin(&ann), Ok(()));
        for n in 0..FREE_IN_ALL {
            let _ = lockout.begin(&password(&format!("user{n}"), HERE));
        }
        assert!(lockout.begin(&password("carol", HERE)).is_err());
        assert_eq!(lockout.begin(&password("carol", THERE)), Ok(()));
    }

    #[test]
    fn who_succeeds_never_waits_and_who_makes_accounts_does() {
        let lockout = Lockout::default();
        for _ in 0..1000 {
            let ann = password("ann", HERE);
            assert_eq!(lockout.begin(&ann), Ok(()));
            lockout.succeeded(&ann);
        }
        let account = Try::Account { from: HERE };
        for _ in 0..FREE {
            assert_eq!(lockout.begin(&account), Ok(()));
            lockout.succeeded(&account);
        }
        assert!(lockout.begin(&account).is_err());
        assert_eq!(lockout.begin(&password("ann", HERE)), Ok(()));
    }
}
