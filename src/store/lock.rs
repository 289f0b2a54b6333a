//! Writers take turns: an exclusive lock on a file in the data directory, freed by the system when
//! the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::error::Error;

/// Held while a process writes.
pub struct WriterLock {
    _file: File,
}

/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);

impl WriterLock {
    /// Waits for the lock; `waiting` is called once if it is taken.
    ///
    /// # Errors
    /// Exit code 5 when another process holds it for longer than `patience`.
    pub fn acquire(
        data_dir: &Path,
        patience: Duration,
        waiting: impl FnOnce(),
    ) -> anyhow::Result<Self> {
        let busy = || {
            format!(
                "another squall has been writing to {} for more than {}; try again when it is done, or wait \
                 longer with --lock-timeout",
                data_dir.display(),
                humantime::format_duration(patience)
            )
        };
        let path = data_dir.join("writer.lock");
        Ok(Self {
            _file: lock(&path, patience, waiting, busy)?,
        })
    }
}

/// Held while a process serves: two would not hear of each other's documents.
pub struct ServerLock {
    _file: File,
}

impl ServerLock {
    /// Waits for the lock, as a server that stops may still be at its last requests.
    ///
    /// # Errors
    /// Exit code 5 when another process holds it for longer than `patience`.
    pub fn acquire(
        data_dir: &Path,
        patience: Duration,
        waiting: impl FnOnce(),
    ) -> anyhow::Result<Self> {
        let busy = || {
            format!(
                "another squall serves {} already; stop it, or choose another place with --data-dir",
                data_dir.display()
            )
        };
        let path = data_dir.join("serve.lock");
        Ok(Self {
            _file: lock(&path, patience, waiting, busy)?,
        })
    }
}

fn lock(
    path: &Path,
    patience: Duration,
    waiting: impl FnOnce(),
    busy: impl FnOnce() -> String,
) -> anyhow::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|error| {
            Error::Store(format!(
                "{} cannot be opened for writing ({error}); check the permissions, or choose \
                     another place with --data-dir or SQUALL_DATA_DIR",
                path.display()
            ))
        })?;
    let start = Instant::now();
    let mut waiting = Some(waiting);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if start.elapsed() < patience => {
                if let Some(waiting) = waiting.take() {
                    waiting();
                }
                std::thread::sleep(PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Store(busy()).into());
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_writer_waits_and_then_gives_up() {
        let dir = tempfile::tempdir().unwrap();
        let first = WriterLock::acquire(dir.path(), Duration::ZERO, || panic!("free")).unwrap();
        let mut told = false;
        let patience = Duration::from_millis(150);
        let second = WriterLock::acquire(dir.path(), patience, || told = true);
        assert!(second.is_err() && told);
        drop(first);
        WriterLock::acquire(dir.path(), patience, || ()).unwrap();
    }
}
