//! candle's `BertModel` as a sentence encoder: pooling, L2 norm, one sequence at a time on every
//! core, as on CPUs larger batches only add padding (`cargo bench --bench embed`).

use std::sync::OnceLock;

use anyhow::Context as _;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use rayon::prelude::*;

use super::tokenize::Tokenizer;
use super::{Embedder, Role};

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
    fn config(&self) -> anyhow::Result<Config>;
    fn tokenizer(&self) -> anyhow::Result<Tokenizer>;
    fn weights(&self) -> anyhow::Result<VarBuilder<'static>>;
}

/// A BERT sentence encoder on the CPU.
pub struct BertEmbedder {
    source: Box<dyn Source>,
    tokenizer: OnceLock<Result<Tokenizer, String>>,
    model: OnceLock<Result<BertModel, String>>,
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

    fn model(&self) -> anyhow::Result<&BertModel> {
        let load = || {
            BertModel::load(self.source.weights()?, &self.source.config()?)
                .context("the weights do not fit the model's config.json")
        };
        self.model
            .get_or_init(|| load().map_err(|e| format!("{e:#}")))
            .as_ref()
            .map_err(|error| anyhow::anyhow!("{error}"))
    }

    fn embed_one(&self, model: &BertModel, text: &str) -> anyhow::Result<Vec<f32>> {
        let ids = self.token_ids(text)?;
        let input = Tensor::new(ids.as_slice(), &Device::Cpu)?.unsqueeze(0)?;
        let states = model.forward(&input, &input.zeros_like()?, None)?;
        let tokens = states.squeeze(0)?.to_dtype(DType::F32)?;
        let pooled = match self.source.facts().pooling {
            Pooling::Mean => tokens.mean(0)?,
            Pooling::Cls => tokens.get(0)?,
        };
        let mut vector = pooled.to_vec1::<f32>()?;
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        anyhow::ensure!(
            norm.is_finite() && norm > 0.0,
            "the model gave no usable vector for '{}'",
            text.chars().take(40).collect::<String>()
        );
        vector.iter_mut().for_each(|x| *x /= norm);
        Ok(vector)
    }
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
        texts
            .par_iter()
            .map(|text| {
                if prefix.is_empty() {
                    self.embed_one(model, text)
                } else {
                    self.embed_one(model, &format!("{prefix}{text}"))
                }
            })
            .collect()
    }
}
