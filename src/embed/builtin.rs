//! all-MiniLM-L6-v2 inside the binary: int8 weights with a scale for each row (models/README.md).

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

static WEIGHTS: &[u8] = include_bytes!("../../models/all-minilm-l6-v2.int8.safetensors");
static VOCABULARY: &str = include_str!("../../models/all-minilm-l6-v2.vocab.txt");

/// The architecture of all-MiniLM-L6-v2 (its config.json).
const CONFIG: &str = r#"{"vocab_size":30522,"hidden_size":384,"num_hidden_layers":6,
"num_attention_heads":12,"intermediate_size":1536,"hidden_act":"gelu","hidden_dropout_prob":0.1,
"max_position_embeddings":512,"type_vocab_size":2,"initializer_range":0.02,"layer_norm_eps":1e-12,
"pad_token_id":0,"position_embedding_type":"absolute","use_cache":true,"model_type":"bert"}"#;

static FACTS: LazyLock<Facts> = LazyLock::new(|| Facts {
    name: "minilm".into(),
    // Stands for the bytes of the weights: a test holds the two together.
    fingerprint: "all-minilm-l6-v2/int8-1/mean/256".into(),
    dimension: 384,
    max_tokens: 256,
    pooling: Pooling::Mean,
    query_prefix: String::new(),
    passage_prefix: String::new(),
    english_only: true,
});

/// The built-in model.
pub struct MiniLm;

impl Source for MiniLm {
    fn facts(&self) -> &Facts {
        &FACTS
    }

    fn config(&self) -> anyhow::Result<Config> {
        Ok(serde_json::from_str(CONFIG)?)
    }

    fn tokenizer(&self) -> anyhow::Result<Tokenizer> {
        Tokenizer::wordpiece(VOCABULARY, true)
    }

    fn weights(&self) -> anyhow::Result<VarBuilder<'static>> {
        let file = SafeTensors::deserialize(WEIGHTS).context("the built-in weights are damaged")?;
        let mut tensors = HashMap::new();
        for (name, view) in file.tensors() {
            if name.ends_with(".scale") {
                continue;
            }
            let values = match view.dtype() {
                Dtype::I8 => dequantise(&view, &file.tensor(&format!("{name}.scale"))?),
                _ => floats(&view),
            };
            let tensor = Tensor::from_vec(values, view.shape(), &Device::Cpu)?;
            tensors.insert(name, tensor);
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
    fn the_fingerprint_stands_for_these_bytes() {
        let hash = |bytes: &[u8]| blake3::hash(bytes).to_hex()[..16].to_owned();
        assert_eq!(
            (
                FACTS.fingerprint.as_str(),
                hash(WEIGHTS).as_str(),
                hash(VOCABULARY.as_bytes()).as_str()
            ),
            (
                "all-minilm-l6-v2/int8-1/mean/256",
                "7ca7d11604792de8",
                "29a772c92cf4b7bc"
            )
        );
    }
}
