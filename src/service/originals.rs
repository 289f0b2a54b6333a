//! Originals: the bytes of uploads, by their hash, in a folder beside the store.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::Service;
use crate::document::DocumentId;
use crate::text::extension;

impl Service {
    pub(super) fn originals_folder(&self) -> PathBuf {
        self.settings.data_dir.join("originals")
    }

    /// Where the original of a document called `name` is kept: never a name a client chose.
    pub(super) fn original_path(&self, document: &DocumentId, name: &str) -> PathBuf {
        let file = match extension(name) {
            none if none.is_empty() => document.0.clone(),
            extension => format!("{document}.{extension}"),
        };
        self.originals_folder().join(file)
    }

    /// The original of a document of a collection: a file whose bytes are still those.
    pub fn original(
        &self,
        collection: &str,
        document: &DocumentId,
    ) -> anyhow::Result<Option<PathBuf>> {
        let entry = self.store.entry(collection, document)?;
        let stored = entry.into_iter().flat_map(|entry| entry.sources);
        let job = crate::ledger::job_id(self.parsers.first.service(), document);
        let waiting = self.store.job_row(&job)?;
        let waiting = waiting.into_iter().flat_map(|row| row.targets);
        let waiting = waiting.filter(|target| target.collection == collection);
        let files = stored
            .chain(waiting.map(|target| target.source))
            .map(|source| source.file);
        let is_it = |file: &PathBuf| {
            File::open(file)
                .and_then(DocumentId::of)
                .is_ok_and(|id| id == *document)
        };
        Ok(files.into_iter().find(is_it))
    }

    /// Whether the original of a document seems to be there; its bytes are not read.
    pub(super) fn has_original(&self, collection: &str, paths: &[String]) -> bool {
        paths.iter().any(|path| {
            let stored = self.store.source(collection, path).ok().flatten();
            stored.is_some_and(|stored| stored.source.file.is_file())
        })
    }

    /// Removes a kept original, unless a document or a job still needs it.
    pub(super) fn forget_original(&self, document: &DocumentId, file: &Path) -> anyhow::Result<()> {
        if !file.starts_with(self.originals_folder()) {
            return Ok(());
        }
        let job = crate::ledger::job_id(self.parsers.first.service(), document);
        if let Some(job) = self.store.job(&job)?
            && job.state.is_open()
        {
            return Ok(());
        }
        if self.settings.keep_originals {
            for row in self.store.collections()? {
                if self.store.contains(&row.collection, document)? {
                    return Ok(());
                }
            }
        }
        // It may be gone already: two paths of the same bytes share it.
        let _ = std::fs::remove_file(file);
        Ok(())
    }
}

/// Makes names in a folder survive a power cut.
pub(super) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}
