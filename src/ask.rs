//! One question to one answer: checked, retrieved, answered. What `query` and `serve` share.

use crate::answer::answer;
use crate::document::{Answer, Filter};
use crate::embed::Embedder;
use crate::error::Error;
use crate::ingest::identity;
use crate::retrieve::retrieve;
use crate::settings::IndexChoice;
use crate::store::{Collection, Store};
use crate::usage;

/// Longest question, in characters: far beyond any real one, far below what would stall a shell.
const MAX_QUESTION: usize = 10_000;

/// Everything a question needs.
pub struct Asker<'a> {
    pub store: &'a dyn Store,
    pub embedder: &'a dyn Embedder,
    pub collection: Collection,
    pub filter: Filter,
    pub top_k: usize,
    pub index: IndexChoice,
}

impl Asker<'_> {
    /// Answers `question`.
    ///
    /// # Errors
    /// A usage error for a question that is none.
    pub fn ask(&self, question: &str) -> anyhow::Result<Answer> {
        check_question(question)?;
        let retrieved = retrieve(
            self.store,
            self.embedder,
            &self.collection,
            question,
            &self.filter,
            self.top_k,
            self.index,
        )?;
        answer(
            self.store,
            self.embedder,
            &self.collection,
            question,
            retrieved,
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

/// The collection to ask, embedded with the model at hand.
///
/// # Errors
/// A usage error when there is none of that name, or it was made with another model.
pub fn collection_to_ask(
    store: &dyn Store,
    name: &str,
    embedder: &dyn Embedder,
) -> anyhow::Result<Collection> {
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
    found.check(&identity(embedder))?;
    Ok(found)
}
