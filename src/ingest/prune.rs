//! `--prune`: documents whose file is gone leave the index, unless everything is gone at once,
//! which looks like an unmounted disk.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use crate::document::Source;
use crate::source::{member, members};
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
    let (mut gone, mut listed) = (Vec::new(), Listed::new());
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
            .filter(|known| is_gone(&known.source) || is_unlisted(&known.source, &mut listed))
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
fn is_gone(source: &Source) -> bool {
    matches!(std::fs::symlink_metadata(&source.file), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}

/// Whether a document that was in an archive is not in it any more. An archive that cannot be read keeps what
/// it had; each is read once.
fn is_unlisted(source: &Source, listed: &mut Listed) -> bool {
    let Some(name) = member(source) else {
        return false;
    };
    let read = || {
        let found = members(&source.file).ok().flatten()?;
        Some(found.into_iter().map(|member| member.name).collect())
    };
    let names = listed.entry(source.file.clone()).or_insert_with(read);
    names.as_ref().is_some_and(|names| !names.contains(name))
}

/// The names in archives, where they can be read.
type Listed = HashMap<PathBuf, Option<HashSet<String>>>;
