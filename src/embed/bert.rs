//! A BERT sentence encoder: tokens, the model, pooling, L2 norm.
//!
//! The built-in models run packed: texts of about the same length side by side, a batch a core. Models
//! from a folder run on candle: on CPUs one text at a time on every core, as there larger batches only
//! add padding; on graphics processors, as the built-in ones there, in large padded batches.

use std::sync::{Mutex, OnceLock, PoisonError};

use candle_core::{DType, Device, Tensor};
use candle_transformers::models::bert::BertModel;
use rayon::prelude::*;

use super::device;
use super::encoder::Encoder;
use super::tokenize::Tokenizer;
use super::{Embedder, Role};
use crate::settings::DeviceChoice;
use crate::text::Script;

/// Tokens computed together: enough rows for the matrix kernels, few enough to stay in cache and to
/// give every core a batch.
const BATCH_TOKENS: usize = 256;
/// The same with padding on a graphics processor, where only large products pay.
const GPU_TOKENS: usize = 16_384;
/// Texts to ask for at once: enough for every core, few enough to report and to stop; on a graphics
/// processor, enough to fill it.
const AT_ONCE: usize = 16;
const AT_ONCE_ON_GPU: usize = 512;
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
    fn model(&self, device: &Device) -> anyhow::Result<Model>;
}

/// What runs a model.
pub enum Model {
    /// int8, packed; mean pooling.
    Packed(Encoder),
    /// f32 on candle.
    Candle(Box<BertModel>),
}

/// A BERT sentence encoder.
pub struct BertEmbedder {
    source: Box<dyn Source>,
    device: DeviceChoice,
    turn: Mutex<()>,
    tokenizer: OnceLock<Result<Tokenizer, String>>,
    model: OnceLock<Result<Model, String>>,
}

impl BertEmbedder {
    /// An encoder that reads `source` when it is first used, on the CPU.
    pub fn new(source: Box<dyn Source>) -> Self {
        Self {
            source,
            device: DeviceChoice::Cpu,
            turn: Mutex::default(),
            tokenizer: OnceLock::new(),
            model: OnceLock::new(),
        }
    }

    /// The same on another device.
    #[must_use]
    pub fn on(self, device: DeviceChoice) -> Self {
        Self { device, ..self }
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
            .get_or_init(|| {
                let device = device::open(self.device);
                let model = device.and_then(|device| self.source.model(&device));
                model.map_err(|e| format!("{e:#}"))
            })
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

    /// One text after the other on every core, or on a graphics processor many at once.
    fn candle(&self, model: &BertModel, ids: &[Vec<u32>]) -> anyhow::Result<Vec<Vec<f32>>> {
        if model.device.is_cpu() {
            let one = |ids: &Vec<u32>| Ok(self.padded(model, &[ids])?.remove(0));
            return ids.par_iter().map(one).collect();
        }
        // There is one processor, and its memory is for one batch.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|&index| ids[index].len());
        let mut vectors = vec![Vec::new(); ids.len()];
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            let fits = |&count: &usize| count * ids[rest[count - 1]].len() <= GPU_TOKENS;
            let count = (1..=rest.len()).take_while(fits).last().unwrap_or(1);
            let (batch, others) = rest.split_at(count);
            rest = others;
            let texts: Vec<&Vec<u32>> = batch.iter().map(|&index| &ids[index]).collect();
            for (&index, vector) in batch.iter().zip(self.padded(model, &texts)?) {
                vectors[index] = vector;
            }
        }
        Ok(vectors)
    }

    /// The pooled vectors of texts that are filled up to the length of the longest.
    fn padded(&self, model: &BertModel, ids: &[&Vec<u32>]) -> anyhow::Result<Vec<Vec<f32>>> {
        let longest = ids.iter().map(|ids| ids.len()).max().unwrap_or(0);
        let shape = (ids.len(), longest);
        let (mut tokens, mut mask) = (Vec::new(), Vec::new());
        for ids in ids {
            let padding = std::iter::repeat_n(0_u32, longest - ids.len());
            tokens.extend(ids.iter().copied().chain(padding.clone()));
            mask.extend(ids.iter().map(|_| 1_u32).chain(padding));
        }
        let input = Tensor::from_vec(tokens, shape, &model.device)?;
        let mask = Tensor::from_vec(mask, shape, &model.device)?;
        // Without padding there is nothing to mask, which is quicker.
        let is_padded = ids.iter().any(|ids| ids.len() < longest);
        let states = model.forward(&input, &input.zeros_like()?, is_padded.then_some(&mask))?;
        let states = states.to_dtype(DType::F32)?;
        let pooled = match self.source.facts().pooling {
            Pooling::Cls => states.narrow(1, 0, 1)?.squeeze(1)?,
            Pooling::Mean => {
                let mask = mask.to_dtype(DType::F32)?;
                let sums = states.broadcast_mul(&mask.unsqueeze(2)?)?.sum(1)?;
                sums.broadcast_div(&mask.sum_keepdim(1)?)?
            }
        };
        Ok(pooled.to_vec2::<f32>()?)
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

    fn reads(&self, script: Script) -> bool {
        !self.source.facts().english_only || script.cjk_share() < MOSTLY
    }

    fn at_once(&self) -> usize {
        match self.model() {
            Ok(Model::Candle(model)) if !model.device.is_cpu() => AT_ONCE_ON_GPU,
            _ => AT_ONCE,
        }
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
            Model::Candle(model) => self.candle(model, &ids)?,
        };
        let pairs = vectors.into_iter().zip(texts);
        pairs
            .map(|(vector, text)| normalised(vector, text))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a graphics processor is given, here on the CPU.
    #[test]
    fn padding_changes_no_vector() {
        let embedder = crate::embed::reference("minilm");
        let texts = [
            "The harbour.",
            "A longer text on the harbour and its ferries.",
            "",
        ];
        let ids: Vec<Vec<u32>> = texts
            .iter()
            .map(|text| embedder.token_ids(text).unwrap())
            .collect();
        let Model::Candle(model) = embedder.model().unwrap() else {
            panic!("the reference runs on candle");
        };
        let together = embedder
            .padded(model, &ids.iter().collect::<Vec<_>>())
            .unwrap();
        for (ids, vector) in ids.iter().zip(together) {
            let alone = embedder.padded(model, &[ids]).unwrap().remove(0);
            for (a, b) in alone.iter().zip(&vector) {
                assert!((a - b).abs() < 1e-4, "{a} {b}");
            }
        }
    }
}
