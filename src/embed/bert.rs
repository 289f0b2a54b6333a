//! A BERT sentence encoder: tokens, the model, pooling, L2 norm.
//!
//! The built-in models run packed: texts of about the same length side by side, a batch a core. Models
//! from a folder run on candle, one text at a time on every core, as there larger batches only add
//! padding.

use std::sync::OnceLock;

use candle_core::{DType, Device, Tensor};
use candle_transformers::models::bert::BertModel;
use rayon::prelude::*;

use super::encoder::Encoder;
use super::tokenize::Tokenizer;
use super::{Embedder, Role};

/// Tokens computed together: enough rows for the matrix kernels, few enough to stay in cache and to
/// give every core a batch.
const BATCH_TOKENS: usize = 256;
/// Share of CJK letters from which a text is not English.
const MOSTLY: f32 = 0.5;

/// How token vectors become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    Mean,
    /// The vector of the first token.
    Cls,
}

/// What is known of a model before its weights are read.
#[derive(Debug, Clone)]
pub struct Facts {
    pub name: String,
    pub fingerprint: String,
    pub dimension: usize,
    pub max_tokens: usize,
    pub pooling: Pooling,
    pub query_prefix: String,
    pub passage_prefix: String,
    /// Trained on English only.
    pub english_only: bool,
}

/// Where a model comes from. The weights and the tokenizer are asked for once, when needed.
pub trait Source: Send + Sync {
    fn facts(&self) -> &Facts;
    fn tokenizer(&self) -> anyhow::Result<Tokenizer>;
    fn model(&self) -> anyhow::Result<Model>;
}

/// What runs a model.
pub enum Model {
    /// int8, packed; mean pooling.
    Packed(Encoder),
    /// f32 on candle.
    Candle(Box<BertModel>),
}

/// A BERT sentence encoder on the CPU.
pub struct BertEmbedder {
    source: Box<dyn Source>,
    tokenizer: OnceLock<Result<Tokenizer, String>>,
    model: OnceLock<Result<Model, String>>,
}

impl BertEmbedder {
    /// An encoder that reads `source` when it is first used.
    pub fn new(source: Box<dyn Source>) -> Self {
        Self {
            source,
            tokenizer: OnceLock::new(),
            model: OnceLock::new(),
        }
    }

    /// Token ids as the model reads them: special tokens in place, cut at the token limit.
    pub fn token_ids(&self, text: &str) -> anyhow::Result<Vec<u32>> {
        self.tokenizer()?.ids(text, self.source.facts().max_tokens)
    }

    fn tokenizer(&self) -> anyhow::Result<&Tokenizer> {
        self.tokenizer
            .get_or_init(|| self.source.tokenizer().map_err(|e| format!("{e:#}")))
            .as_ref()
            .map_err(|error| anyhow::anyhow!("{error}"))
    }

    fn model(&self) -> anyhow::Result<&Model> {
        self.model
            .get_or_init(|| self.source.model().map_err(|e| format!("{e:#}")))
            .as_ref()
            .map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// Texts of about the same length side by side, a batch a core.
    fn packed(&self, encoder: &Encoder, ids: &[Vec<u32>]) -> anyhow::Result<Vec<Vec<f32>>> {
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|&index| ids[index].len());
        let batches: Vec<Vec<Vec<f32>>> = batches(&order, ids)
            .par_iter()
            .map(|batch| {
                let sequences: Vec<&[u32]> = batch.iter().map(|&i| ids[i].as_slice()).collect();
                encoder.means(&sequences)
            })
            .collect::<Result<_, _>>()?;
        let mut vectors = vec![Vec::new(); ids.len()];
        for (index, vector) in order.into_iter().zip(batches.into_iter().flatten()) {
            vectors[index] = vector;
        }
        Ok(vectors)
    }

    fn candle(&self, model: &BertModel, ids: &[u32]) -> anyhow::Result<Vec<f32>> {
        let input = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?;
        let states = model.forward(&input, &input.zeros_like()?, None)?;
        let tokens = states.squeeze(0)?.to_dtype(DType::F32)?;
        let pooled = match self.source.facts().pooling {
            Pooling::Mean => tokens.mean(0)?,
            Pooling::Cls => tokens.get(0)?,
        };
        Ok(pooled.to_vec1::<f32>()?)
    }
}

/// Indexes cut into batches of about [`BATCH_TOKENS`], at least one each.
fn batches<'o>(order: &'o [usize], ids: &[Vec<u32>]) -> Vec<&'o [usize]> {
    let mut batches = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (at, &index) in order.iter().enumerate() {
        if at > start && tokens + ids[index].len() > BATCH_TOKENS {
            batches.push(&order[start..at]);
            (start, tokens) = (at, 0);
        }
        tokens += ids[index].len();
    }
    if start < order.len() {
        batches.push(&order[start..]);
    }
    batches
}

/// Makes a vector one of length 1.
fn normalised(mut vector: Vec<f32>, text: &str) -> anyhow::Result<Vec<f32>> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    anyhow::ensure!(
        norm.is_finite() && norm > 0.0,
        "the model gave no usable vector for '{}'",
        text.chars().take(40).collect::<String>()
    );
    vector.iter_mut().for_each(|x| *x /= norm);
    Ok(vector)
}

impl Embedder for BertEmbedder {
    fn name(&self) -> &str {
        &self.source.facts().name
    }

    fn fingerprint(&self) -> &str {
        &self.source.facts().fingerprint
    }

    fn dimension(&self) -> usize {
        self.source.facts().dimension
    }

    fn max_tokens(&self) -> usize {
        self.source.facts().max_tokens
    }

    fn understands(&self, text: &str) -> bool {
        !self.source.facts().english_only || crate::text::cjk_share(text) < MOSTLY
    }

    fn count_tokens(&self, text: &str) -> usize {
        // A tokenizer that cannot be read fails loudly in `embed`, before anything is stored.
        self.tokenizer()
            .map_or(text.len() / 4 + 1, |tokenizer| tokenizer.count(text))
    }

    fn embed(&self, texts: &[&str], role: Role) -> anyhow::Result<Vec<Vec<f32>>> {
        let model = self.model()?;
        let facts = self.source.facts();
        let prefix = match role {
            Role::Query => &facts.query_prefix,
            Role::Passage => &facts.passage_prefix,
        };
        let ids: Vec<Vec<u32>> = texts
            .par_iter()
            .map(|text| match prefix.is_empty() {
                true => self.token_ids(text),
                false => self.token_ids(&format!("{prefix}{text}")),
            })
            .collect::<anyhow::Result<_>>()?;
        let vectors = match model {
            Model::Packed(encoder) => self.packed(encoder, &ids)?,
            Model::Candle(model) => ids
                .par_iter()
                .map(|ids| self.candle(model, ids))
                .collect::<anyhow::Result<_>>()?,
        };
        let pairs = vectors.into_iter().zip(texts);
        pairs
            .map(|(vector, text)| normalised(vector, text))
            .collect()
    }
}
