//! The file as the body of an upload: read as it is sent, and not sent whole unless it is still the
//! file whose hash names the document.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use futures_util::{Stream, StreamExt as _, stream};
use reqwest::multipart::Part;
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;
use tokio_util::bytes::Bytes;
use tokio_util::io::ReaderStream;

use super::fault::Fault;
use crate::document::DocumentId;

/// Bytes read from the file at a time.
const PIECE: usize = 64 << 10;

/// A file on its way.
pub struct Body {
    pub part: Part,
    /// Bytes.
    pub length: u64,
    /// Bytes handed to the connection so far.
    pub sent: watch::Receiver<u64>,
    /// Set when the bytes turn out not to be those of the document; the last piece is kept back
    /// then, so that the service cannot take the rest for a document.
    pub changed: Arc<AtomicBool>,
}

impl Body {
    /// Opens `file` to send it under `name`; `gone` counts the bytes as the connection takes them.
    pub async fn open(
        file: &Path,
        name: &str,
        document: &DocumentId,
        gone: Arc<AtomicU64>,
    ) -> Result<Self, Fault> {
        let open = tokio::fs::File::open(file).await.map_err(Fault::File)?;
        let length = open.metadata().await.map_err(Fault::File)?.len();
        let changed = Arc::new(AtomicBool::new(false));
        let (sender, sent) = watch::channel(0);
        let pieces = ReaderStream::with_capacity(open.take(length), PIECE);
        let pieces = whole_or_not(pieces, document.clone(), Arc::clone(&changed));
        let pieces = pieces.inspect(move |piece| {
            if let Ok(piece) = piece {
                gone.fetch_add(piece.len() as u64, SeqCst);
                sender.send_modify(|sent| *sent += piece.len() as u64);
            }
        });
        let part = Part::stream_with_length(reqwest::Body::wrap_stream(pieces), length)
            .file_name(name.to_owned())
            .mime_str(content_type(name))
            .map_err(|error| Fault::File(std::io::Error::other(error)))?;
        Ok(Self {
            part,
            length,
            sent,
            changed,
        })
    }
}

/// Passes `pieces` on, always one behind, and the last one only if all of them together are
/// `document`.
fn whole_or_not(
    pieces: impl Stream<Item = std::io::Result<Bytes>> + Unpin,
    document: DocumentId,
    changed: Arc<AtomicBool>,
) -> impl Stream<Item = std::io::Result<Bytes>> {
    let start = (pieces, blake3::Hasher::new(), None::<Bytes>);
    stream::unfold(start, move |(mut pieces, mut hasher, mut held)| {
        let (document, changed) = (document.clone(), Arc::clone(&changed));
        async move {
            loop {
                match pieces.next().await {
                    Some(Ok(piece)) => {
                        hasher.update(&piece);
                        if let Some(before) = held.replace(piece) {
                            return Some((Ok(before), (pieces, hasher, held)));
                        }
                    }
                    Some(Err(error)) => return Some((Err(error), (pieces, hasher, None))),
                    None => {
                        let last = held.take()?;
                        let same = hasher.finalize().to_hex().as_str() == document.0;
                        changed.store(!same, SeqCst);
                        let last = match same {
                            true => Ok(last),
                            false => Err(std::io::Error::other("the file changed")),
                        };
                        return Some((last, (pieces, hasher, None)));
                    }
                }
            }
        }
    })
}

fn content_type(name: &str) -> &'static str {
    let (_, extension) = name.rsplit_once('.').unwrap_or_default();
    match extension.to_lowercase().as_str() {
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "csv" => "text/csv",
        "txt" => "text/plain",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "ppt" => "application/vnd.ms-powerpoint",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "xls" => "application/vnd.ms-excel",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "hwp" => "application/x-hwp",
        "hwpx" => "application/hwp+zip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sent(content: &[&'static [u8]], document: &[u8]) -> (Vec<u8>, bool, bool) {
        let changed = Arc::new(AtomicBool::new(false));
        let pieces: Vec<_> = content
            .iter()
            .map(|piece| Ok(Bytes::from_static(piece)))
            .collect();
        let id = DocumentId::of(document).unwrap();
        let passed = whole_or_not(stream::iter(pieces), id, Arc::clone(&changed));
        let passed: Vec<_> = passed.collect().await;
        let failed = passed.iter().any(Result::is_err);
        let bytes = passed
            .into_iter()
            .filter_map(Result::ok)
            .flatten()
            .collect();
        (bytes, failed, changed.load(SeqCst))
    }

    #[tokio::test]
    async fn the_last_piece_goes_only_when_all_are_the_document() {
        let good = sent(&[b"one ", b"two ", b"three"], b"one two three").await;
        assert_eq!(good, (b"one two three".to_vec(), false, false));
        let bad = sent(&[b"one ", b"2.. ", b"three"], b"one two three").await;
        assert_eq!(bad, (b"one 2.. ".to_vec(), true, true));
        let shorter = sent(&[b"one "], b"one two three").await;
        assert_eq!(shorter, (Vec::new(), true, true));
    }
}
