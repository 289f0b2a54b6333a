//! Ctrl-C and SIGTERM: once stops taking new work, twice leaves at once.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::Exit;
use crate::ingest::Observer;

/// [`watch`] on a thread of its own, beside work that is not async; it ends with what is returned.
pub fn watch_beside(
    stop: &CancellationToken,
    observer: Arc<dyn Observer>,
    message: &'static str,
) -> anyhow::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    {
        let _inside = runtime.enter();
        watch(stop, observer, message)?;
    }
    Ok(runtime)
}

/// Cancels `stop` at the first signal; the store is consistent at every moment, so the second may
/// end the process where it stands.
pub fn watch(
    stop: &CancellationToken,
    observer: Arc<dyn Observer>,
    message: &'static str,
) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = stop.clone();
    tokio::spawn(async move {
        let mut signals = 0;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            signals += 1;
            if signals > 1 {
                std::process::exit(Exit::Interrupted as i32);
            }
            stop.cancel();
            observer.say(&format!("squall: {message}"));
        }
    });
    Ok(())
}
