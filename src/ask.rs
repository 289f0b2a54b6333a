//! One question to one answer: checked, retrieved, answered. What `query` and `serve` share.

use std::sync::Arc;

use crate::answer::answer;
use crate::document::{Answer, Hit};
use crate::embed::{Embedder, Models};
use crate::error::Error;
use crate::ingest::model_of;
use crate::retrieve::Search;
use crate::store::{Collection, Store};
use crate::usage;

/// Longest question, in characters: far beyond any real one, far below what would stall a shell.
const MAX_QUESTION: usize = 10_000;

/// Chunks an answer is composed of, however many are shown.
const LOOKED_AT: usize = 10;

/// Everything a question needs.
pub struct Asker<'a> {
    pub search: Search<'a>,
    /// Chunks shown with the answer.
    pub top_k: usize,
    /// Least confidence from which to answer; `None`: as calibrated.
    pub min_confidence: Option<f32>,
}

impl Asker<'_> {
    /// Answers `question`.
    ///
    /// # Errors
    /// A usage error for a question that is none.
    pub fn ask(&self, question: &str) -> anyhow::Result<Answer> {
        self.ask_aloud(question, &mut |_| ())
    }

    /// The same; `hits` hears of the passages to be shown before the answer is composed.
    pub fn ask_aloud(
        &self,
        question: &str,
        hits: &mut dyn FnMut(&[Hit]),
    ) -> anyhow::Result<Answer> {
        check_question(question)?;
        let retrieved = self.search.run(question, self.top_k.max(LOOKED_AT))?;
        hits(&retrieved.hits[..retrieved.hits.len().min(self.top_k)]);
        answer(
            &self.search,
            question,
            retrieved,
            self.top_k,
            self.min_confidence,
        )
    }
}

/// Refuses questions that are none.
pub fn check_question(question: &str) -> Result<(), Error> {
    let length = question.chars().count();
    if question.trim().is_empty() {
        return Err(usage!("the question is empty"));
    }
    if length > MAX_QUESTION {
        return Err(usage!(
            "the question has {length} characters, the limit is {MAX_QUESTION}"
        ));
    }
    Ok(())
}

/// The collection to ask, and the model it was embedded with.
///
/// # Errors
/// A usage error when there is none of that name, or it was made with a model that is not the one
/// asked for, or not at hand.
pub fn collection_to_ask(
    store: &dyn Store,
    name: &str,
    models: &Models,
) -> anyhow::Result<(Collection, Arc<dyn Embedder>)> {
    let Some(found) = store.collection(name)? else {
        let names: Vec<String> = store
            .collections()?
            .into_iter()
            .map(|row| row.collection)
            .collect();
        return Err(match names.is_empty() {
            true => {
                Error::NotFound("nothing has been ingested yet: type `squall ingest FOLDER`".into())
            }
            false => usage!(
                "there is no collection '{name}'; there is {}",
                names.join(", ")
            ),
        }
        .into());
    };
    let embedder = model_of(models, &found)?;
    Ok((found, embedder))
}
