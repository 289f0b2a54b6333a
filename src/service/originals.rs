//! Originals: the bytes of uploads, by their hash, in a folder beside the store.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Service, lock};
use crate::document::DocumentId;
use crate::ledger::job_id;
use crate::text::extension;

/// After this long a file that did not become an upload is what a crash left behind.
const ABANDONED: Duration = Duration::from_secs(2 * 3600);

impl Service {
    pub(super) fn originals_folder(&self) -> PathBuf {
        self.settings().data_dir.join("originals")
    }

    /// Where the original of a document called `name` is kept: never a name a client chose.
    pub(super) fn original_path(&self, document: &DocumentId, name: &str) -> PathBuf {
        let file = match extension(name) {
            none if none.is_empty() => document.0.clone(),
            extension => format!("{document}.{extension}"),
        };
        self.originals_folder().join(file)
    }

    /// The original of a document of a collection: a kept one, which is written once and never changed, or
    /// a file whose bytes are still those.
    pub fn original(
        &self,
        collection: &str,
        document: &DocumentId,
    ) -> anyhow::Result<Option<PathBuf>> {
        let known = self.document(collection, document)?;
        let kept = self.original_path(document, &known.path);
        if std::fs::metadata(&kept).is_ok_and(|file| file.len() == known.size) {
            return Ok(Some(kept));
        }
        let sources = self.sources(collection, &known.paths)?;
        let mut files = sources.into_iter().map(|source| source.file);
        Ok(files.find(|file| {
            File::open(file)
                .and_then(DocumentId::of)
                .is_ok_and(|id| id == *document)
        }))
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
        let keep = self.settings().keep_originals;
        let job = job_id(self.parsers().first.service(), document);
        let job = self.store.job(&job)?;
        // One that failed may be tried again.
        if job.is_some_and(|job| job.state.is_open() || keep && job.state.is_failure()) {
            return Ok(());
        }
        if keep {
            for name in self.store.collection_names()? {
                if self.store.contains(&name, document)? {
                    return Ok(());
                }
            }
        }
        // It may be gone already: two paths of the same bytes share it.
        let _ = std::fs::remove_file(file);
        Ok(())
    }

    /// Removes what a crash left behind: uploads that never became a job, and originals of documents that
    /// are gone.
    pub(super) fn sweep_originals(&self) -> anyhow::Result<()> {
        let _turn = lock(&self.intake);
        for entry in std::fs::read_dir(self.originals_folder())
            .into_iter()
            .flatten()
        {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let stem = name.split('.').next().unwrap_or_default();
            if name.starts_with(".tmp") {
                // One that is younger may still be growing.
                let age = path.metadata()?.modified()?.elapsed();
                if age.is_ok_and(|age| age > ABANDONED) {
                    std::fs::remove_file(&path)?;
                }
            } else if stem.len() == 64 {
                self.forget_original(&DocumentId(stem.to_owned()), &path)?;
            }
        }
        Ok(())
    }
}

/// Makes names in a folder survive a power cut.
pub(super) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}
