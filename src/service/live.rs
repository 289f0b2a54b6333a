//! What can change while a server runs: settings, and what is made from them.

use std::sync::{Arc, PoisonError, RwLock};

use super::limit::RateLimit;
use super::{Service, lock};
use crate::ingest::{Budget, Parsers};
use crate::settings::Settings;

/// What every request looks at anew.
#[derive(Clone)]
struct Current {
    settings: Arc<Settings>,
    parsers: Parsers,
    limit: Arc<RateLimit>,
}

pub struct Live(RwLock<Current>);

impl Live {
    pub fn new(settings: Settings, parsers: Parsers) -> Self {
        Self(RwLock::new(Current {
            limit: Arc::new(RateLimit::new(settings.rate_limit())),
            settings: Arc::new(settings),
            parsers,
        }))
    }

    fn current(&self) -> std::sync::RwLockReadGuard<'_, Current> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.live.current().settings)
    }

    pub fn parsers(&self) -> Parsers {
        self.live.current().parsers.clone()
    }

    /// How much each user may ask.
    pub fn limit(&self) -> Arc<RateLimit> {
        Arc::clone(&self.live.current().limit)
    }

    /// Goes on with `new` settings and the parsers made from them; what is under way ends with the old
    /// ones. Returns the names of settings that differ and wait for the next start.
    pub fn reload(
        &self,
        mut new: Settings,
        parsers: impl FnOnce(&Settings) -> anyhow::Result<Parsers>,
    ) -> anyhow::Result<Vec<&'static str>> {
        let old = self.settings();
        let mut waiting = Vec::new();
        macro_rules! keep { ($($field:ident),*) => {$(
            if new.$field != old.$field {
                waiting.push(stringify!($field));
                new.$field = old.$field.clone();
            }
        )*} }
        keep!(
            data_dir, collection, model, device, addr, login, hosts, proxies, max_upload, log_dir,
            log_format, log_size
        );
        let parsers = parsers(&new)?;
        let budget = Budget::of(&new);
        if budget != Budget::of(&old) {
            *lock(&self.budget) = budget;
        }
        let mut current = self.live.0.write().unwrap_or_else(PoisonError::into_inner);
        let limit = match new.rate_limit() == old.rate_limit() {
            true => Arc::clone(&current.limit),
            false => Arc::new(RateLimit::new(new.rate_limit())),
        };
        *current = Current {
            parsers,
            settings: Arc::new(new),
            limit,
        };
        Ok(waiting)
    }
}
