//! Questions to a server's collections.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Service;
use crate::ask::{Asker, check_question, collection_to_ask};
use crate::document::{Answer, Filter, Hit, Tags};
use crate::error::Error;
use crate::retrieve::Search;
use crate::settings::{MAX_TOP_K, Mode};
use crate::text::nfc;
use crate::usage;

/// Most paths and tags of a filter.
const MOST_WANTED: usize = 100;

/// A question, and where to look.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    #[schema(max_length = 10_000)]
    pub query: String,
    /// Passages to bring back.
    #[schema(minimum = 1, maximum = 1000)]
    pub top_k: Option<usize>,
    /// By default the server's.
    pub collection: Option<String>,
    pub mode: Option<Mode>,
    #[serde(default)]
    pub filter: Wanted,
    /// Answer by server-sent events: `hits`, then `answer`.
    #[serde(default)]
    pub stream: bool,
}

/// Which documents and pages to look at.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    /// Only documents whose path begins with one of these.
    pub path: Vec<String>,
    /// Only documents with all of these tags.
    pub tag: Tags,
    /// Only these pages, such as `3` or `1-9`.
    pub pages: Option<String>,
    /// Only files last changed from this day on, as `YYYY-MM-DD`; uploads have no such day.
    pub since: Option<String>,
    /// Only files last changed up to and with this day.
    pub until: Option<String>,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Found {
    pub hits: Vec<Hit>,
    /// Milliseconds by stage.
    pub timings_ms: BTreeMap<&'static str, f64>,
}

impl Question {
    /// A question to a collection, in the server's mode.
    pub fn new(query: String, top_k: Option<usize>, collection: String) -> Self {
        Self {
            query,
            top_k,
            collection: Some(collection),
            mode: None,
            filter: Wanted::default(),
            stream: false,
        }
    }
}

impl Question {
    /// Refuses what cannot be asked.
    pub fn check(&self) -> anyhow::Result<()> {
        check_question(&self.query)?;
        if let Some(top_k) = self.top_k.filter(|top_k| !(1..=MAX_TOP_K).contains(top_k)) {
            return Err(usage!("top_k is {top_k}, it must be 1 to {MAX_TOP_K}").into());
        }
        self.filter.filter().map(drop)
    }
}

impl Service {
    /// The best passages for a question; none where the collection is not there yet.
    pub fn search(&self, question: &Question) -> anyhow::Result<Found> {
        let look = || {
            let found = self.with(question, |asker, text| {
                let retrieved = asker.search.run(text, asker.top_k)?;
                Ok(Found {
                    hits: retrieved.hits,
                    timings_ms: retrieved.timings_ms,
                })
            })?;
            Ok(found.unwrap_or_else(|| Found {
                hits: Vec::new(),
                timings_ms: BTreeMap::new(),
            }))
        };
        self.measured(question, look, |found| &found.timings_ms)
    }

    /// The answer to a question; `hits` hears of the passages it is looked for in before it is there.
    pub fn answer(
        &self,
        question: &Question,
        hits: &mut dyn FnMut(&[Hit]),
    ) -> anyhow::Result<Answer> {
        let look = || {
            let answer = self.with(question, |asker, text| asker.ask_aloud(text, hits))?;
            Ok(answer.unwrap_or_else(|| Answer::none(&question.query)))
        };
        self.measured(question, look, |answer| &answer.timings_ms)
    }

    /// Counts a question and how long it took, stage by stage. One that was slow is logged, but for its
    /// words, which are the asker's own.
    fn measured<T>(
        &self,
        question: &Question,
        look: impl FnOnce() -> anyhow::Result<T>,
        stages: fn(&T) -> &BTreeMap<&'static str, f64>,
    ) -> anyhow::Result<T> {
        let _active = self.metrics.begin();
        let start = Instant::now();
        let found = look()?;
        let (stages, time) = (stages(&found), start.elapsed());
        let each = stages.iter().map(|(stage, ms)| (*stage, *ms));
        self.metrics.answered(time, each);
        if time > self.settings().slow_query {
            tracing::warn!(
                ms = time.as_millis() as u64,
                collection = question.collection,
                mode = ?question.mode.unwrap_or(self.settings().mode),
                top_k = question.top_k.unwrap_or(self.settings().top_k),
                characters = question.query.chars().count(),
                stages = stages.iter().map(|(stage, ms)| format!("{stage} {ms:.1}")).collect::<Vec<_>>().join(", "),
                "slow question"
            );
        }
        Ok(found)
    }

    /// `None` where the collection is not there: it is made with the first document.
    fn with<T>(
        &self,
        question: &Question,
        work: impl FnOnce(&Asker<'_>, &str) -> anyhow::Result<T>,
    ) -> anyhow::Result<Option<T>> {
        question.check()?;
        let top_k = question.top_k.unwrap_or(self.settings().top_k);
        let filter = question.filter.filter()?;
        let name = self.collection_name(question.collection.as_deref())?;
        let store = &*self.store;
        if store.collection(&name)?.is_none() {
            // One that documents may still be on their way to is empty, not missing.
            return match name == self.settings().collection || name.starts_with('~') {
                true => Ok(None),
                false => Err(Error::NotFound(format!("there is no collection '{name}'")).into()),
            };
        }
        let (collection, embedder) = collection_to_ask(store, &name, &self.models)?;
        let asker = Asker {
            search: Search {
                store,
                embedder: &*embedder,
                collection,
                filter,
                index: self.settings().index,
                mode: question.mode.unwrap_or(self.settings().mode),
            },
            top_k,
            min_confidence: self.settings().min_confidence,
        };
        work(&asker, &question.query).map(Some)
    }
}

impl Wanted {
    fn filter(&self) -> anyhow::Result<Filter> {
        if self.path.len() + self.tag.len() > MOST_WANTED {
            return Err(usage!("a filter has at most {MOST_WANTED} paths and tags").into());
        }
        let day = |text: &Option<String>| {
            let day = text.as_deref().filter(|text| !text.is_empty());
            let day = day.map(crate::settings::parse_day).transpose();
            day.map_err(|error| usage!("filter.since and filter.until: {error}"))
        };
        let modified = crate::settings::between(day(&self.since)?, day(&self.until)?)?;
        let pages = self.pages.as_deref().filter(|text| !text.is_empty());
        let pages = pages.map(crate::settings::parse_pages).transpose();
        Ok(Filter {
            path_prefixes: self.path.iter().map(|path| nfc(path)).collect(),
            tags: self
                .tag
                .iter()
                .map(|(key, value)| (nfc(key), nfc(value)))
                .collect(),
            modified,
            pages: pages.map_err(|error| usage!("filter.pages: {error}"))?,
        })
    }
}
