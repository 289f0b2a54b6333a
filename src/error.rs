//! The exit codes scripts rely on, and the errors that choose one.
//!
//! Stages return their own error types; a command turns whatever it cannot recover from into an
//! [`Error`] whose variant is the exit code and whose message names the thing and the way out.

/// What the process exits with (see README, "Exit codes").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done.
    Done = 0,
    /// Nothing was found, or the documents hold no answer.
    NotFound = 1,
    /// The command line, the environment or the configuration is wrong.
    Usage = 2,
    /// Some documents failed; the others are in.
    Partial = 3,
    /// The remote service refused or could not be reached.
    Service = 4,
    /// The store is damaged, busy, or cannot be written.
    Store = 5,
    /// Stopped by Ctrl-C or SIGTERM.
    Interrupted = 130,
}

/// An error that ends the command; the variant picks the exit code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Exit code 1.
    #[error("{0}")]
    NotFound(String),
    /// Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Exit code 3: a document cannot be read.
    #[error("{0}")]
    Document(String),
    /// Exit code 4.
    #[error("{0}")]
    Service(String),
    /// Exit code 5.
    #[error("{0}")]
    Store(String),
    /// Exit code 5: the database itself cannot be read.
    #[error("{0}")]
    Damaged(String),
    /// Exit code 130.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    fn exit(&self) -> Exit {
        match self {
            Error::NotFound(_) => Exit::NotFound,
            Error::Usage(_) => Exit::Usage,
            Error::Document(_) => Exit::Partial,
            Error::Service(_) => Exit::Service,
            Error::Store(_) | Error::Damaged(_) => Exit::Store,
            Error::Interrupted => Exit::Interrupted,
        }
    }
}

/// A usage error (exit code 2) from a formatted message.
#[macro_export]
macro_rules! usage {
    ($($arg:tt)*) => { $crate::error::Error::Usage(format!($($arg)*)) };
}

/// The exit code for an error that reached `main`: the first [`Error`] in its chain decides;
/// anything else that surfaces here concerns the data directory or the machine.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    if is_broken_pipe(error) {
        return Exit::Done;
    }
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Error>())
        .map_or(Exit::Store, Error::exit)
}

/// Whether the reader of our output went away, which is success for a filter.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn the_variant_survives_added_context() {
        let error = Err::<(), _>(Error::Service("refused".into()))
            .context("while polling")
            .unwrap_err();
        assert_eq!(exit_of(&error), Exit::Service);
    }

    #[test]
    fn a_closed_pipe_is_success() {
        let io = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(
            exit_of(&anyhow::Error::new(io).context("printing")),
            Exit::Done
        );
    }
}
