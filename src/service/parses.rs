//! Files that clients of the Storm API hand over to be parsed and get back as pages. Nothing of them goes
//! into a collection; a folder beside the store keeps them until they have been fetched for a while.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::{Service, Upload};
use crate::document::{Page, Parsed, Source};
use crate::ledger::timestamp;
use crate::parse::{Outcome, Work};
use crate::text::extension;

/// How long pages are kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Most files that may wait.
const MOST_WAITING: usize = 1000;
/// How long to wait after pages could not be written.
const PAUSE: Duration = Duration::from_secs(30);
/// How often what is too old is looked for.
const SWEEP: Duration = Duration::from_secs(3600);

/// Where a parse stands, as the service spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ParseState {
    Requested,
    Completed,
    Failed,
}

/// A file to be parsed, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parse {
    pub id: String,
    /// File name.
    pub name: String,
    pub state: ParseState,
    /// RFC 3339, UTC.
    pub requested_at: String,
    pub completed_at: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    pub title: Option<String>,
    pub pages: Vec<Page>,
}

impl Service {
    fn parses_folder(&self) -> PathBuf {
        self.settings().data_dir.join("parses")
    }

    fn record_path(&self, id: &str) -> PathBuf {
        self.parses_folder().join(format!("{id}.json"))
    }

    fn bytes_path(&self, parse: &Parse) -> PathBuf {
        let extension = extension(&parse.name);
        self.parses_folder()
            .join(format!("{}.{extension}", parse.id))
    }

    /// Takes a file to be parsed; durable when this returns.
    pub fn request_parse(&self, upload: Upload) -> anyhow::Result<Parse> {
        std::fs::create_dir_all(self.parses_folder())?;
        let parse = Parse {
            id: new_id(&upload),
            name: upload.name.clone(),
            state: ParseState::Requested,
            requested_at: timestamp(),
            completed_at: None,
            error: None,
            title: None,
            pages: Vec::new(),
        };
        // The bytes come last: where they are, there is a record.
        self.save_parse(&parse)?;
        upload.keep(&self.bytes_path(&parse))?;
        super::originals::sync_folder(&self.parses_folder())?;
        self.parse_bell.notify_one();
        Ok(parse)
    }

    /// A parse as it stands; `None` for an id that is none, or too old.
    pub fn parse(&self, id: &str) -> anyhow::Result<Option<Parse>> {
        // An id is never a path.
        if id.len() != 32 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(None);
        }
        match std::fs::read(self.record_path(id)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn save_parse(&self, parse: &Parse) -> anyhow::Result<()> {
        let folder = self.parses_folder();
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        serde_json::to_writer(&mut file, parse)?;
        file.as_file().sync_all()?;
        file.persist(self.record_path(&parse.id))?;
        Ok(super::originals::sync_folder(&folder)?)
    }

    /// Ids of parses that have not ended, whose bytes are still there, the oldest first.
    fn open_parses(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.parses_folder());
        let mut open: Vec<(SystemTime, String)> = entries
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let (id, extension) = name.split_once('.')?;
                let is_bytes = !id.is_empty() && extension != "json";
                let modified = entry.metadata().and_then(|metadata| metadata.modified());
                is_bytes.then_some((modified.ok()?, id.to_owned()))
            })
            .collect();
        open.sort();
        open.into_iter().map(|(_, id)| id).collect()
    }

    /// Whether so many files wait that no more should come.
    pub fn has_many_parses(&self) -> bool {
        self.open_parses().len() >= MOST_WAITING
    }

    /// Removes what nobody has fetched for long; what has not been parsed yet stays.
    fn sweep_parses(&self) {
        let open = self.open_parses();
        let now = SystemTime::now();
        for entry in std::fs::read_dir(self.parses_folder())
            .into_iter()
            .flatten()
        {
            let Ok(entry) = entry else { continue };
            let name = entry.file_name().to_string_lossy().into_owned();
            let id = name.split('.').next().unwrap_or_default();
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let age = modified.ok().and_then(|then| now.duration_since(then).ok());
            if age.is_some_and(|age| age > KEPT) && !open.iter().any(|known| known == id) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Waits before something is tried again.
    async fn pause(&self) {
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = self.stop.cancelled() => {}
        }
    }

    async fn run_parse(self: Arc<Self>, mut parse: Parse) {
        let file = self.bytes_path(&parse);
        // Another server on the same data may be at it.
        let turn = std::fs::File::open(&file).and_then(|bytes| {
            bytes.try_lock()?;
            Ok(bytes)
        });
        let Ok(_turn) = turn else {
            self.pause().await;
            return;
        };
        let ended = self.pages_of_file(&parse, file.clone()).await;
        if self.stop.is_cancelled() {
            return;
        }
        match ended {
            Ok(parsed) => {
                parse.state = ParseState::Completed;
                parse.title = parsed.title;
                parse.pages = parsed.pages;
            }
            Err(error) => {
                parse.state = ParseState::Failed;
                parse.error = Some(error);
            }
        }
        parse.completed_at = Some(timestamp());
        if let Err(error) = self.save_parse(&parse) {
            tracing::error!("a parse was not stored: {error:#}");
            self.pause().await;
            return;
        }
        let _ = std::fs::remove_file(file);
    }

    async fn pages_of_file(&self, parse: &Parse, file: PathBuf) -> Result<Parsed, String> {
        let size = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
        let read = file.clone();
        let id = tokio::task::spawn_blocking(move || {
            std::fs::File::open(read).and_then(crate::document::DocumentId::of)
        });
        let id = match id.await {
            Ok(Ok(id)) => id,
            Ok(Err(error)) => return Err(error.kind().to_string()),
            Err(_) => return Err("reading the file crashed".into()),
        };
        let source = Source {
            path: parse.name.clone(),
            file,
            root: String::new(),
            size,
            modified: 0,
        };
        let work = Work {
            source: &source,
            document_id: &id,
            ledger: &*self.store,
            stop: &self.stop,
            report: &|_| (),
        };
        match self.parsers().counter.parse(work).await {
            Ok(Outcome::Pages(parsed)) => Ok(*parsed),
            Ok(Outcome::Pending { .. }) => Err("the local parser left a job behind".into()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// 32 hex digits nobody can guess the next of.
fn new_id(upload: &Upload) -> String {
    let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&random.to_le_bytes());
    hasher.update(&now.map_or(0, |now| now.as_nanos()).to_le_bytes());
    hasher.update(upload.hash().as_bytes());
    hasher.finalize().to_hex()[..32].to_owned()
}

/// Parses what clients hand over, as many at once as there are cores, until the server stops.
pub async fn parse(service: Arc<Service>) {
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let mut running: JoinSet<String> = JoinSet::new();
    let mut under_way = std::collections::HashSet::new();
    let mut swept: Option<std::time::Instant> = None;
    loop {
        if swept.is_none_or(|swept| swept.elapsed() > SWEEP) {
            service.sweep_parses();
            swept = Some(std::time::Instant::now());
        }
        if running.len() < at_once {
            let lister = Arc::clone(&service);
            let open = tokio::task::spawn_blocking(move || lister.open_parses());
            for id in open.await.unwrap_or_default() {
                if running.len() < at_once && under_way.insert(id.clone()) {
                    let service = Arc::clone(&service);
                    running.spawn(async move {
                        match service.parse(&id) {
                            Ok(Some(parse)) => service.run_parse(parse).await,
                            // Bytes without a record were never answered for.
                            _ => service.pause().await,
                        }
                        id
                    });
                }
            }
        }
        tokio::select! {
            () = service.stop.cancelled() => break,
            () = service.parse_bell.notified() => {}
            () = tokio::time::sleep(SWEEP) => {}
            Some(ended) = running.join_next(), if !running.is_empty() => {
                if let Ok(id) = ended {
                    under_way.remove(&id);
                }
            }
        }
    }
    while running.join_next().await.is_some() {}
}
