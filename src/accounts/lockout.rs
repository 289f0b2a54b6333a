//! Failed logins slow down who tries, by name and by address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures that are forgiven.
const FREE: u32 = 5;
/// The wait after that, which doubles with each failure, and the longest.
const FIRST: Duration = Duration::from_secs(15);
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Failures an address may have in all, as people behind one router share it.
const BY_ADDRESS: u32 = 50;
/// After this long without a failure it is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// Most names and addresses that are remembered.
const MOST: usize = 10_000;

/// Who fails.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Name(String),
    Address(IpAddr),
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

impl Lockout {
    /// How long who asks must wait before the next try, if at all.
    pub fn wait(&self, name: &str, address: IpAddr) -> Option<Duration> {
        let failures = self.failures();
        let left = |key: Key, free: u32| {
            let failures = failures.get(&key)?;
            let over = failures.count.checked_sub(free)?;
            let wait = FIRST.saturating_mul(1 << over.min(10)).min(LONGEST);
            wait.checked_sub(failures.last.elapsed())
        };
        let by_name = left(key(name), FREE);
        by_name.max(left(Key::Address(address), BY_ADDRESS))
    }

    /// A login has failed.
    pub fn failed(&self, name: &str, address: IpAddr) {
        let mut failures = self.failures();
        if failures.len() >= MOST {
            failures.retain(|_, failures| failures.last.elapsed() < FORGOTTEN);
        }
        if failures.len() >= MOST {
            failures.clear();
        }
        for key in [key(name), Key::Address(address)] {
            let entry = failures.entry(key).or_insert(Failures {
                count: 0,
                last: Instant::now(),
            });
            if entry.last.elapsed() > FORGOTTEN {
                entry.count = 0;
            }
            entry.count += 1;
            entry.last = Instant::now();
        }
    }

    /// A login has succeeded.
    pub fn succeeded(&self, name: &str) {
        self.failures().remove(&key(name));
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names differ in case only for people.
fn key(name: &str) -> Key {
    Key::Name(name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_often_waits_and_others_do_not() {
        let lockout = Lockout::default();
        let address = IpAddr::from([10, 0, 0, 1]);
        for _ in 0..FREE {
            assert_eq!(lockout.wait("ann", address), None);
            lockout.failed("ann", address);
        }
        let wait = lockout.wait("ANN", address).unwrap();
        assert!(wait <= FIRST && wait > FIRST / 2, "{wait:?}");
        assert_eq!(lockout.wait("bob", address), None);
        lockout.failed("ann", address);
        assert!(lockout.wait("ann", address).unwrap() > FIRST);
        lockout.succeeded("Ann");
        assert_eq!(lockout.wait("ann", address), None);
        for n in 0..BY_ADDRESS {
            lockout.failed(&format!("user{n}"), address);
        }
        assert!(lockout.wait("carol", address).is_some());
        assert_eq!(lockout.wait("carol", IpAddr::from([10, 0, 0, 2])), None);
    }
}
