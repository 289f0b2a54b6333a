//! What happens to documents, told to all who listen as it happens.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::sync::broadcast;
use utoipa::ToSchema;

use super::lock;
use crate::document::DocumentId;
use crate::ingest::{Event, GIVEN_UP, Observer};
use crate::ledger::timestamp;

/// Events kept for those who come back and ask what they have missed.
const KEPT: usize = 1024;
/// Events a listener may be behind before it is dropped.
const BEHIND: usize = 256;

/// What happened to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum Kind {
    #[serde(rename = "document.queued")]
    Queued,
    #[serde(rename = "document.parsing")]
    Parsing,
    #[serde(rename = "document.embedding")]
    Embedding,
    #[serde(rename = "document.indexed")]
    Indexed,
    #[serde(rename = "document.failed")]
    Failed,
    #[serde(rename = "document.removed")]
    Removed,
}

impl Kind {
    /// The spelling in an event.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Queued => "document.queued",
            Kind::Parsing => "document.parsing",
            Kind::Embedding => "document.embedding",
            Kind::Indexed => "document.indexed",
            Kind::Failed => "document.failed",
            Kind::Removed => "document.removed",
        }
    }
}

/// An event as listeners get it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Told {
    /// Ascending, across restarts too.
    pub id: u64,
    #[serde(rename = "type")]
    pub kind: Kind,
    /// RFC 3339, UTC.
    pub at: String,
    pub collection: String,
    /// File name.
    pub name: String,
    pub path: String,
    pub document_id: Option<String>,
    pub job_id: Option<String>,
    /// Chunks embedded so far, or stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunks: Option<usize>,
    /// Chunks to embed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Told {
    pub fn new(kind: Kind, collection: &str, path: &str) -> Self {
        Self {
            id: 0,
            kind,
            at: timestamp(),
            collection: collection.to_owned(),
            name: super::documents::file_name(path),
            path: path.to_owned(),
            document_id: None,
            job_id: None,
            chunks: None,
            of: None,
            pages: None,
            error: None,
        }
    }
}

/// Where events go out.
pub struct Events {
    sender: broadcast::Sender<Arc<Told>>,
    recent: Mutex<Recent>,
}

struct Recent {
    next: u64,
    kept: VecDeque<Arc<Told>>,
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl Events {
    pub fn new() -> Self {
        // Later starts have greater ids, so that nobody who comes back misses an event for a restart.
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let next = now.map_or(1, |now| now.as_millis() as u64);
        let kept = VecDeque::new();
        Self {
            sender: broadcast::Sender::new(BEHIND),
            recent: Mutex::new(Recent { next, kept }),
        }
    }

    /// Tells everybody.
    pub fn tell(&self, told: Told) {
        let mut recent = lock(&self.recent);
        let told = Arc::new(Told {
            id: recent.next,
            ..told
        });
        recent.next += 1;
        if recent.kept.len() == KEPT {
            recent.kept.pop_front();
        }
        recent.kept.push_back(Arc::clone(&told));
        // That nobody listens is no error. Sent under the lock, so that ids ascend.
        let _ = self.sender.send(told);
    }

    /// Events after `last`, as far as they are kept, and all that come.
    pub fn listen(&self, last: Option<u64>) -> (Vec<Arc<Told>>, broadcast::Receiver<Arc<Told>>) {
        let recent = lock(&self.recent);
        let missed = recent.kept.iter().filter(|told| Some(told.id) > last);
        let missed = match last {
            Some(_) => missed.cloned().collect(),
            None => Vec::new(),
        };
        (missed, self.sender.subscribe())
    }
}

/// Hears a batch of the worker: tells those who listen, and the log.
pub struct Batch {
    pub service: Arc<super::Service>,
    pub collection: String,
    /// Document and job of each path.
    pub jobs: HashMap<String, (DocumentId, String)>,
}

impl Batch {
    /// The event as listeners are to get it, if they are.
    fn told(&self, event: &Event) -> Option<Told> {
        let new = |kind, path: &String| Told::new(kind, &self.collection, path);
        let told = match event {
            Event::Parsing { path } | Event::Submitted { path, .. } => new(Kind::Parsing, path),
            Event::Embedding { path, chunks, of } => Told {
                chunks: Some(*chunks),
                of: Some(*of),
                ..new(Kind::Embedding, path)
            },
            Event::Indexed {
                path,
                pages,
                chunks,
                ..
            } => Told {
                chunks: Some(*chunks),
                pages: Some(*pages),
                ..new(Kind::Indexed, path)
            },
            Event::Parked { path, .. } => new(Kind::Queued, path),
            Event::Skipped { path, .. } => new(Kind::Indexed, path),
            Event::Failed { path, reason, .. } => Told {
                error: Some(reason.clone()),
                ..new(Kind::Failed, path)
            },
            _ => return None,
        };
        let known = self.jobs.get(&told.path);
        Some(Told {
            document_id: known.map(|(document, _)| document.0.clone()),
            job_id: known.map(|(_, job)| job.clone()),
            ..told
        })
    }
}

impl Observer for Batch {
    fn hear(&self, event: &Event) {
        let collection = self.collection.as_str();
        tracing::error_span!("ingest", collection).in_scope(|| self.service.observer.hear(event));
        if let Event::Took { stage, seconds, .. } = event {
            self.service.metrics.stage(stage, *seconds);
        }
        let place = |path: &String| (self.collection.clone(), path.clone());
        if let Event::Started { path, .. } = event {
            lock(&self.service.busy).insert(place(path));
        }
        if let Event::Parked { path, reason } = event
            && reason.as_deref() == Some(GIVEN_UP)
        {
            // Who removed it has told.
            lock(&self.service.busy).remove(&place(path));
            return;
        }
        if let Some(told) = self.told(event) {
            if !matches!(told.kind, Kind::Parsing | Kind::Embedding) {
                lock(&self.service.busy).remove(&place(&told.path));
            }
            self.service.events.tell(told);
        }
    }

    fn say(&self, line: &str) {
        self.service.observer.say(line);
    }

    fn finish(&self) {
        self.service.observer.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_back_gets_what_it_missed_once_and_in_order() {
        let events = Events::new();
        for n in 0..KEPT + 5 {
            events.tell(Told::new(Kind::Queued, "c", &format!("{n}.pdf")));
        }
        let (all, _) = events.listen(Some(0));
        assert_eq!(all.len(), KEPT);
        assert!(all.windows(2).all(|pair| pair[0].id + 1 == pair[1].id));
        let (missed, mut coming) = events.listen(Some(all[KEPT - 3].id));
        assert_eq!(missed.len(), 2);
        events.tell(Told::new(Kind::Failed, "c", "late.pdf"));
        let late = coming.try_recv().unwrap();
        assert_eq!((late.id, &*late.name), (all[KEPT - 1].id + 1, "late.pdf"));
        let (none, _) = events.listen(None);
        assert!(none.is_empty());
    }

    #[test]
    fn spellings_are_the_same_in_json_and_in_the_stream() {
        for kind in [Kind::Queued, Kind::Parsing, Kind::Embedding, Kind::Indexed] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
