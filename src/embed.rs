//! Text to vectors. The [`Embedder`] trait and its BERT implementations: the two built-in models in
//! int8, and on candle any sentence encoder of that family from a folder.

mod bert;
mod builtin;
mod device;
mod encoder;
mod folder;
mod kernel;
mod linear;
mod models;
mod tensors;
mod tokenize;
mod unigram;
mod wordpiece;

use std::path::Path;

use crate::text::Script;

pub use bert::BertEmbedder;
pub use models::Models;

/// Whether a text is a question or a passage; some models want to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Query,
    Passage,
}

/// Turns text into unit vectors.
pub trait Embedder: Send + Sync {
    /// Short name for people, such as `minilm`.
    fn name(&self) -> &str;
    /// Everything that decides a vector: weights, pooling, prefixes, token limit. Vectors with
    /// different fingerprints are never compared.
    fn fingerprint(&self) -> &str;
    /// Length of the vectors.
    fn dimension(&self) -> usize;
    /// Tokens the model reads of one text, special tokens included.
    fn max_tokens(&self) -> usize;
    /// Whether the model was trained on text in this script.
    fn reads(&self, script: Script) -> bool;
    /// Whether the model was trained on text in the script of `text`.
    fn understands(&self, text: &str) -> bool {
        self.reads(Script::of(text))
    }
    /// Texts to embed at once.
    fn at_once(&self) -> usize;
    /// Tokens of `text`, special tokens not counted.
    fn count_tokens(&self, text: &str) -> usize;
    /// One L2-normalised vector of [`Embedder::dimension`] numbers for each text.
    fn embed(&self, texts: &[&str], role: Role) -> anyhow::Result<Vec<Vec<f32>>>;
}

/// The built-in English model: nothing to download, nothing is read until the first text.
pub fn minilm() -> BertEmbedder {
    BertEmbedder::new(Box::new(&*builtin::MINILM))
}

/// The built-in model for Korean and English.
pub fn multilingual() -> BertEmbedder {
    BertEmbedder::new(Box::new(&*builtin::MULTILINGUAL))
}

/// A built-in model as candle runs it in f32: what the faster path is measured against.
pub fn reference(name: &str) -> BertEmbedder {
    let model = match name {
        "minilm" => &*builtin::MINILM,
        _ => &*builtin::MULTILINGUAL,
    };
    BertEmbedder::new(Box::new(builtin::Reference(model)))
}

/// A model folder in Hugging Face layout.
///
/// # Errors
/// What is missing or not supported, with the file's name.
pub fn from_folder(folder: &Path) -> anyhow::Result<BertEmbedder> {
    Ok(BertEmbedder::new(Box::new(folder::ModelFolder::open(
        folder,
    )?)))
}
