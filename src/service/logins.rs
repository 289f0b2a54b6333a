//! What takes a password: few at a time, slower after failures, and counted even if the client goes away.

use std::sync::Arc;
use std::time::Duration;

use super::Service;
use crate::accounts::{Accounts, Try};

/// What became of a try.
pub enum Tried<T> {
    Right(T),
    Wrong,
    /// Too many failed before; how long to wait.
    Later(Duration),
}

impl Service {
    /// Runs `work`, which compares or hashes a password, and finds `None` where it was wrong. What is `tried`
    /// counts against who tries.
    pub async fn with_password<T: Send + 'static>(
        self: &Arc<Self>,
        accounts: Arc<Accounts>,
        tried: Option<Try>,
        work: impl FnOnce(&Accounts) -> anyhow::Result<Option<T>> + Send + 'static,
    ) -> anyhow::Result<Tried<T>> {
        if let Some(tried) = &tried
            && let Err(wait) = self.lockout.begin(tried)
        {
            return Ok(Tried::Later(wait));
        }
        let turn = Arc::clone(&self.passwords).acquire_owned().await?;
        let service = Arc::clone(self);
        let span = tracing::Span::current();
        let found = tokio::task::spawn_blocking(move || {
            // Kept to the end of the work, not of the request.
            let _turn = turn;
            let found = span.in_scope(|| work(&accounts))?;
            if let (Some(_), Some(tried)) = (&found, &tried) {
                service.lockout.succeeded(tried);
            }
            anyhow::Ok(found)
        });
        Ok(match found.await?? {
            Some(found) => Tried::Right(found),
            None => Tried::Wrong,
        })
    }
}
