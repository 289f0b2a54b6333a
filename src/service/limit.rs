//! So many requests a second from each who asks.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// Askers that are remembered before those that have been quiet are forgotten.
const MOST: usize = 10_000;

/// Counts by name.
pub struct RateLimit {
    by_name: Option<RateLimiter<String, HashMapStateStore<String>, DefaultClock>>,
}

impl RateLimit {
    /// `per_second` requests, and twice as many at once after a pause; 0 is no limit.
    pub fn new(per_second: u32) -> Self {
        let by_name = NonZeroU32::new(per_second).map(|rate| {
            let burst = rate.saturating_add(rate.get());
            RateLimiter::hashmap(Quota::per_second(rate).allow_burst(burst))
        });
        Self { by_name }
    }

    /// Counts a request of `name`, unless it must wait, and then says how long.
    pub fn wait(&self, name: String) -> Option<Duration> {
        let counts = self.by_name.as_ref()?;
        if counts.len() > MOST {
            counts.retain_recent();
        }
        let refused = counts.check_key(&name).err()?;
        Some(refused.wait_time_from(DefaultClock::default().now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_too_much_waits_and_others_do_not() {
        let limit = RateLimit::new(5);
        let asked = |name: &str| limit.wait(name.to_owned());
        for _ in 0..10 {
            assert_eq!(asked("ann"), None);
        }
        let wait = asked("ann").unwrap();
        assert!(wait <= Duration::from_millis(200), "{wait:?}");
        assert_eq!(asked("bob"), None);
        std::thread::sleep(wait);
        assert_eq!(asked("ann"), None);
        let none = RateLimit::new(0);
        assert!((0..1000).all(|_| none.wait("ann".to_owned()).is_none()));
    }
}
