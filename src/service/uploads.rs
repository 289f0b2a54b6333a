//! Uploads: bytes into the folder of originals under their hash, and a durable job for each.

use serde::Serialize;
use tokio::io::AsyncWriteExt as _;
use utoipa::ToSchema;

use super::{Kind, Service, Told, lock};
use crate::document::{DocumentId, Source, Tags};
use crate::error::Error;
use crate::ledger::{Job, JobState, Target};
use crate::usage;

/// What `sources.root` says of documents that came over HTTP.
pub const UPLOAD_ROOT: &str = "upload";
/// Longest file name, in bytes, as most file systems have it.
const MOST_NAME: usize = 255;
/// Most jobs that may wait before uploads are put off.
const MOST_WAITING: u64 = 10_000;

/// A file on its way in; it goes away with this unless it is accepted.
pub struct Upload {
    /// File name, without folders.
    pub name: String,
    temporary: tempfile::TempPath,
    /// `None` once all is written: a form may hold more files than may be open.
    file: Option<tokio::fs::File>,
    size: u64,
    hasher: blake3::Hasher,
}

/// An upload that has become a job; durable once this is handed out.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Accepted {
    /// The name it is cited by.
    pub name: String,
    pub document_id: String,
    pub job_id: String,
    /// `completed` where the same bytes are in already.
    pub state: String,
}

impl Service {
    /// The name an upload may have: what the client calls it, without folders.
    ///
    /// # Errors
    /// A usage error for a name that is none.
    pub fn upload_name(&self, given: &str) -> Result<String, Error> {
        let name = crate::text::nfc(given);
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
        let fine =
            !name.is_empty() && name.len() <= MOST_NAME && !name.chars().any(char::is_control);
        if !fine {
            return Err(usage!(
                "the part 'file' needs a file name of at most {MOST_NAME} bytes"
            ));
        }
        Ok(name.to_owned())
    }

    /// Whether so many jobs wait that no more should come.
    pub fn is_full(&self) -> anyhow::Result<bool> {
        let states = self.store.job_states()?;
        let waiting = states.get(JobState::Queued.as_str());
        Ok(waiting.is_some_and(|&waiting| waiting >= MOST_WAITING))
    }

    /// Begins an upload of that name.
    pub fn begin_upload(&self, name: &str) -> anyhow::Result<Upload> {
        let folder = self.originals_folder();
        std::fs::create_dir_all(&folder)?;
        let (file, temporary) = tempfile::NamedTempFile::new_in(&folder)?.into_parts();
        Ok(Upload {
            name: name.to_owned(),
            file: Some(tokio::fs::File::from_std(file)),
            temporary,
            size: 0,
            hasher: blake3::Hasher::new(),
        })
    }

    /// Puts an upload where the worker finds it, durably, and gives it a job. Blocks on the disk.
    pub fn accept(
        &self,
        upload: Upload,
        collection: &str,
        tags: &Tags,
    ) -> anyhow::Result<Accepted> {
        let document_id = DocumentId(upload.hash().to_hex().to_string());
        let source = Source {
            path: upload.name.clone(),
            file: self.original_path(&document_id, &upload.name),
            root: UPLOAD_ROOT.to_owned(),
            size: upload.size,
            modified: 0,
        };
        let target = Target {
            collection: collection.to_owned(),
            source,
            tags: tags.clone(),
            again: false,
        };
        let _turn = lock(&self.intake);
        upload.keep(&target.source.file)?;
        super::originals::sync_folder(&self.originals_folder())?;
        self.enqueue(target, &document_id)
    }

    /// Writes the job and where its pages go; the answer may be sent once this returns.
    fn enqueue(&self, mut target: Target, document_id: &DocumentId) -> anyhow::Result<Accepted> {
        let (store, first) = (&self.store, &self.parsers().first);
        let collection = target.collection.clone();
        target.source.path = self.free_name(&collection, &target.source.path, document_id)?;
        let path = target.source.path.clone();
        let new = Job::new(first.service(), document_id, target.source.size);
        let is_in = store.contains(&collection, document_id)?
            && store.attach(&collection, document_id, &target.source, &target.tags)?;
        let state = if is_in {
            store.begin(&new)?;
            store.settle_job(&new.id)?;
            if !self.settings().keep_originals {
                self.forget_original(document_id, &target.source.file)?;
            }
            JobState::Completed
        } else {
            // What the service refused, forgot or may have billed is not sent again by a mere upload.
            store.want(&new, &target, !first.is_remote())?.state
        };
        let kind = match is_in {
            true => Kind::Indexed,
            false => Kind::Queued,
        };
        self.events.tell(Told {
            document_id: Some(document_id.0.clone()),
            job_id: Some(new.id.clone()),
            ..Told::new(kind, &collection, &path)
        });
        self.ring();
        Ok(Accepted {
            name: path,
            document_id: document_id.0.clone(),
            job_id: new.id,
            state: state.as_str().to_owned(),
        })
    }

    /// `name`, or `name (first digits of the hash)` where another document has that name: an upload
    /// never replaces what somebody else sent.
    fn free_name(
        &self,
        collection: &str,
        name: &str,
        document_id: &DocumentId,
    ) -> anyhow::Result<String> {
        if !self.store.is_taken(collection, name, document_id)? {
            return Ok(name.to_owned());
        }
        let with = |digits: &str| match name.rsplit_once('.') {
            Some((stem, extension)) => format!("{stem} ({digits}).{extension}"),
            None => format!("{name} ({digits})"),
        };
        // Somebody may have called a document so on purpose.
        for digits in [8, 16, 32] {
            let name = with(&document_id.0[..digits]);
            if !self.store.is_taken(collection, &name, document_id)? {
                return Ok(name);
            }
        }
        Ok(with(&document_id.0))
    }
}

impl Upload {
    /// Adds bytes.
    pub async fn write(&mut self, piece: &[u8]) -> anyhow::Result<()> {
        self.size += piece.len() as u64;
        self.hasher.update(piece);
        match &mut self.file {
            Some(file) => Ok(file.write_all(piece).await?),
            None => anyhow::bail!("the upload has ended"),
        }
    }

    /// BLAKE3 of the bytes so far.
    pub fn hash(&self) -> blake3::Hash {
        self.hasher.finalize()
    }

    /// Puts the bytes, which have ended, at `path`.
    pub fn keep(self, path: &std::path::Path) -> anyhow::Result<()> {
        Ok(self.temporary.persist(path)?)
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Ends the bytes; they are on the disk when this returns.
    pub async fn finish(&mut self) -> anyhow::Result<()> {
        if let Some(mut file) = self.file.take() {
            file.flush().await?;
            file.sync_all().await?;
        }
        Ok(())
    }
}
