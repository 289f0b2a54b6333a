//! The built-in parser: PDF, plain text and Markdown, on this machine only.

mod layout;
mod pdf;
mod plain;

use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::{Outcome, ParseError, Parser, Step, Work};
use crate::document::Parsed;

/// The name of this parser in jobs and documents.
pub const SERVICE: &str = "local";
/// Raise the number when the same file would give other text.
const VERSION: &str = "local-1";
const EXTENSIONS: [&str; 6] = ["pdf", "txt", "text", "md", "markdown", "log"];
/// Deeply nested PDFs recurse; the main thread's 8 MiB is not enough for the worst of them.
const STACK_BYTES: usize = 64 << 20;
/// Files are read whole, so there is a limit.
const MAX_BYTES: u64 = 2 << 30;

/// Parses on this machine. Holds the time limit for one file.
pub struct LocalParser {
    timeout: Duration,
}

impl LocalParser {
    /// A parser that gives up on a file after `timeout`.
    pub fn new(timeout: Duration) -> Self {
        Self { timeout }
    }
}

impl Parser for LocalParser {
    fn service(&self) -> &str {
        SERVICE
    }

    fn version(&self) -> &str {
        VERSION
    }

    fn is_remote(&self) -> bool {
        false
    }

    fn extensions(&self) -> &'static [&'static str] {
        &EXTENSIONS
    }

    fn default_concurrency(&self) -> usize {
        std::thread::available_parallelism().map_or(2, usize::from)
    }

    fn parse<'a>(&'a self, work: Work<'a>) -> BoxFuture<'a, Result<Outcome, ParseError>> {
        async move {
            (work.report)(Step::Parsing);
            let pages = guarded(&work.source.file, self.timeout);
            tokio::select! {
                parsed = pages => parsed.map(Outcome::Pages),
                () = work.stop.cancelled() => Err(ParseError::Interrupted),
            }
        }
        .boxed()
    }
}

/// Reads `file` on a thread of its own: a panic is caught there, and when the time is up the
/// thread is left behind, to end with the process.
async fn guarded(file: &Path, timeout: Duration) -> Result<Parsed, ParseError> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let owned = file.to_path_buf();
    std::thread::Builder::new()
        .name("parse".into())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let result = std::panic::catch_unwind(|| read(&owned));
            // The receiver is gone when the time was up.
            let _ = sender.send(result);
        })
        .map_err(|error| anyhow::anyhow!("cannot start a parser thread: {error}"))?;
    match tokio::time::timeout(timeout, receiver).await {
        Ok(Ok(Ok(parsed))) => parsed,
        Ok(Ok(Err(_))) | Ok(Err(_)) => Err(ParseError::with_hint(
            "the parser crashed on this file",
            "the file is probably damaged; saving it anew in its own program often helps",
        )),
        Err(_) => Err(ParseError::with_hint(
            format!(
                "parsing took longer than {}",
                humantime::format_duration(timeout)
            ),
            "give it more with --timeout",
        )),
    }
}

fn read(file: &Path) -> Result<Parsed, ParseError> {
    let unreadable =
        |error: std::io::Error| ParseError::document(format!("cannot be read: {error}"));
    let size = std::fs::metadata(file).map_err(unreadable)?.len();
    if size > MAX_BYTES {
        return Err(ParseError::document(format!(
            "is {} MB, the local parser takes files up to {} MB",
            size >> 20,
            MAX_BYTES >> 20
        )));
    }
    let bytes = std::fs::read(file).map_err(unreadable)?;
    let extension = file
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or("")
        .to_lowercase();
    if bytes.is_empty() {
        return Err(ParseError::document("the file is empty"));
    }
    if pdf::is_pdf(&bytes) {
        return pdf::parse(bytes);
    }
    match extension.as_str() {
        "pdf" => Err(not_a_pdf(&bytes)),
        extension if EXTENSIONS.contains(&extension) => plain::parse(&bytes),
        "" => plain::parse(&bytes),
        other => Err(ParseError::with_hint(
            format!(".{other} files are not among those the local parser reads"),
            "use --parser storm, or convert the file to PDF or text",
        )),
    }
}

fn not_a_pdf(bytes: &[u8]) -> ParseError {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(512)]).to_lowercase();
    let looks = if head.contains("<html") || head.contains("<!doctype") {
        "it is an HTML page, perhaps a login or error page saved in place of the document"
    } else if bytes.starts_with(b"PK\x03\x04") {
        "it is a ZIP archive or an Office file"
    } else {
        "it has no PDF header"
    };
    ParseError::with_hint(format!("not a PDF: {looks}"), "download or export it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_takes_too_long_fails_alone() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("slow.txt");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        let error = guarded(&fifo, Duration::from_millis(50)).await.unwrap_err();
        assert!(error.to_string().contains("longer than 50ms"), "{error}");
    }

    #[test]
    fn the_content_decides_what_a_file_is() {
        assert!(not_a_pdf(b"<!DOCTYPE html>").to_string().contains("HTML"));
        assert!(not_a_pdf(b"PK\x03\x04").to_string().contains("ZIP"));
    }
}
