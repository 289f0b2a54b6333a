//! The models inside the binary: all-MiniLM-L6-v2 and multilingual-e5-small, their weights as int8
//! with a scale for each row, the second one's word embeddings in 4 bits (models/README.md).

use std::collections::HashMap;
use std::sync::LazyLock;

use anyhow::Context as _;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::Config;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::bert::{Facts, Pooling, Source};
use super::tokenize::Tokenizer;

/// A model inside the binary.
pub struct Builtin {
    facts: Facts,
    weights: &'static [u8],
    layers: usize,
    /// Rows of the word embeddings.
    words: usize,
    tokenizer: fn() -> anyhow::Result<Tokenizer>,
}

static MINILM_VOCABULARY: &str = include_str!("../../models/all-minilm-l6-v2.vocab.txt");
static E5_VOCABULARY: &str = include_str!("../../models/multilingual-e5-small.vocab.tsv");

/// all-MiniLM-L6-v2: English, small and quick.
pub static MINILM: LazyLock<Builtin> = LazyLock::new(|| Builtin {
    facts: Facts {
        name: "minilm".into(),
        // Stands for the bytes of the weights: a test holds the two together.
        fingerprint: "all-minilm-l6-v2/int8-1/mean/256".into(),
        dimension: 384,
        max_tokens: 256,
        pooling: Pooling::Mean,
        query_prefix: String::new(),
        passage_prefix: String::new(),
        english_only: true,
    },
    weights: include_bytes!("../../models/all-minilm-l6-v2.int8.safetensors"),
    layers: 6,
    words: 30_522,
    tokenizer: || Tokenizer::wordpiece(MINILM_VOCABULARY, true),
});

/// multilingual-e5-small: Korean, English and what is written with their letters.
pub static MULTILINGUAL: LazyLock<Builtin> = LazyLock::new(|| Builtin {
    facts: Facts {
        name: "multilingual".into(),
        fingerprint: "multilingual-e5-small/q4-1/mean/512".into(),
        dimension: 384,
        max_tokens: 512,
        pooling: Pooling::Mean,
        query_prefix: "query: ".into(),
        passage_prefix: "passage: ".into(),
        english_only: false,
    },
    weights: include_bytes!("../../models/multilingual-e5-small.q4.safetensors"),
    layers: 12,
    words: 60_220,
    tokenizer: || Tokenizer::unigram(E5_VOCABULARY),
});

impl Source for &'static Builtin {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Both are BERT models of 384 dimensions, as their config.json says.
    fn config(&self) -> anyhow::Result<Config> {
        Ok(serde_json::from_value(serde_json::json!({
            "vocab_size": self.words, "hidden_size": 384, "num_hidden_layers": self.layers,
            "num_attention_heads": 12, "intermediate_size": 1536, "hidden_act": "gelu",
            "hidden_dropout_prob": 0.1, "max_position_embeddings": 512, "type_vocab_size": 2,
            "initializer_range": 0.02, "layer_norm_eps": 1e-12, "pad_token_id": 0,
            "position_embedding_type": "absolute", "use_cache": true, "model_type": "bert",
        }))?)
    }

    fn tokenizer(&self) -> anyhow::Result<Tokenizer> {
        (self.tokenizer)()
    }

    fn weights(&self) -> anyhow::Result<VarBuilder<'static>> {
        let file =
            SafeTensors::deserialize(self.weights).context("the built-in weights are damaged")?;
        let mut tensors = HashMap::new();
        for (name, view) in file.tensors() {
            if name.ends_with(".scale") {
                continue;
            }
            let rows = view.shape()[0];
            let values = match view.dtype() {
                Dtype::I8 => dequantise(&view, &file.tensor(&format!("{name}.scale"))?),
                Dtype::U8 => blocks(&view),
                _ => floats(&view),
            };
            let shape: Vec<usize> = match view.shape().len() {
                1 => vec![rows],
                _ => vec![rows, values.len() / rows],
            };
            tensors.insert(name, Tensor::from_vec(values, shape, &Device::Cpu)?);
        }
        Ok(VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu))
    }
}

/// int8 `[rows, columns]` times f32 `[rows]`.
fn dequantise(view: &TensorView<'_>, scales: &TensorView<'_>) -> Vec<f32> {
    let columns = view.shape()[1];
    let rows = view.data().chunks_exact(columns);
    rows.zip(floats(scales))
        .flat_map(|(row, scale)| row.iter().map(move |&q| f32::from(q as i8) * scale))
        .collect()
}

/// Rows of 4-bit blocks of 32 weights (ggml's Q4_0): an f16 scale, then 16 bytes, of which byte j
/// holds weight j in its low half and weight j + 16 in its high half, each plus 8.
fn blocks(view: &TensorView<'_>) -> Vec<f32> {
    let mut values = Vec::with_capacity(view.data().len() / 18 * 32);
    for block in view.data().chunks_exact(18) {
        let scale = half::f16::from_le_bytes([block[0], block[1]]).to_f32();
        let weight = |half: u8| (f32::from(half) - 8.0) * scale;
        values.extend(block[2..].iter().map(|byte| weight(byte & 15)));
        values.extend(block[2..].iter().map(|byte| weight(byte >> 4)));
    }
    values
}

fn floats(view: &TensorView<'_>) -> Vec<f32> {
    view.data()
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever changes the weights or the vocabulary must change the fingerprint too, or stores
    /// would mix vectors of two models.
    #[test]
    fn the_fingerprints_stand_for_these_bytes() {
        let hash = |bytes: &[u8]| blake3::hash(bytes).to_hex()[..16].to_owned();
        let found = [(&MINILM, MINILM_VOCABULARY), (&MULTILINGUAL, E5_VOCABULARY)].map(
            |(model, vocabulary)| {
                let facts = model.facts.fingerprint.as_str();
                (facts, hash(model.weights), hash(vocabulary.as_bytes()))
            },
        );
        let known = |facts, weights: &str, vocabulary: &str| {
            (facts, weights.to_owned(), vocabulary.to_owned())
        };
        assert_eq!(
            found,
            [
                known(
                    "all-minilm-l6-v2/int8-1/mean/256",
                    "7ca7d11604792de8",
                    "29a772c92cf4b7bc"
                ),
                known(
                    "multilingual-e5-small/q4-1/mean/512",
                    "ce880a2d70b844f9",
                    "30923aade95fa40a"
                ),
            ]
        );
        assert_eq!(E5_VOCABULARY.lines().count(), MULTILINGUAL.words);
    }
}
