//! `--prune`: documents whose file is gone leave the index, unless everything is gone at once,
//! which looks like an unmounted disk.

use std::path::{Path, PathBuf};

use crate::store::Store;
use crate::text::nfc;
use crate::usage;

/// The stored paths below `roots` whose file no longer exists.
///
/// # Errors
/// A usage error when a root is missing, or none of its stored files is there any more.
pub fn prune(
    store: &dyn Store,
    collection: &str,
    roots: &[PathBuf],
) -> anyhow::Result<Vec<String>> {
    let mut gone = Vec::new();
    for root in roots {
        let absolute = crate::source::clean(&std::path::absolute(root)?);
        let prefix = nfc(&absolute.to_string_lossy());
        // What came over HTTP has no file and no absolute path.
        let stored: Vec<_> = store
            .sources(collection, &prefix)?
            .into_iter()
            .filter(|known| known.source.path.starts_with('/'))
            .collect();
        let missing: Vec<String> = stored
            .iter()
            .filter(|known| is_gone(&known.source.file))
            .map(|known| known.source.path.clone())
            .collect();
        if !missing.is_empty() && missing.len() == stored.len() {
            return Err(usage!(
                "--prune: all {} documents below {prefix} are gone, which looks like an unmounted \
                 disk or a moved folder; nothing was dropped. If it is meant, type \
                 `squall remove '{prefix}'`",
                missing.len()
            )
            .into());
        }
        gone.extend(missing);
    }
    gone.sort();
    gone.dedup();
    Ok(gone)
}

/// Only a clear "not found" counts: a file that cannot be looked at is not gone.
fn is_gone(file: &Path) -> bool {
    matches!(std::fs::symlink_metadata(file), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}
