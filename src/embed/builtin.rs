//! The models inside the binary: all-MiniLM-L6-v2 and multilingual-e5-small, their weights as int8
//! with a scale for each row, the second one's word embeddings in 4 bits (models/README.md).

use std::collections::HashMap;
use std::sync::LazyLock;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};

use super::bert::{Facts, Model, Pooling, Source};
use super::encoder::Encoder;
use super::tensors::Tensors;
use super::tokenize::Tokenizer;

/// Attention heads of both models.
const HEADS: usize = 12;

/// A model inside the binary.
pub struct Builtin {
    facts: Facts,
    weights: &'static [u8],
    layers: usize,
    /// Rows of the word embeddings.
    words: usize,
    tokenizer: fn() -> anyhow::Result<Tokenizer>,
}

/// Bytes that begin where a cache line does.
#[repr(align(64))]
struct Aligned<T: ?Sized>(T);

static MINILM_WEIGHTS: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(
    env!("OUT_DIR"),
    "/minilm.safetensors"
)));
static E5_WEIGHTS: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(
    env!("OUT_DIR"),
    "/multilingual.safetensors"
)));
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
    weights: &MINILM_WEIGHTS.0,
    layers: 6,
    words: 30_522,
    tokenizer: || Tokenizer::uncased(MINILM_VOCABULARY),
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
    weights: &E5_WEIGHTS.0,
    layers: 12,
    words: 60_220,
    tokenizer: || Tokenizer::unigram(E5_VOCABULARY),
});

impl Source for &'static Builtin {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn tokenizer(&self) -> anyhow::Result<Tokenizer> {
        (self.tokenizer)()
    }

    fn model(&self, device: &Device) -> anyhow::Result<Model> {
        if !device.is_cpu() {
            return on_gpu(self, device);
        }
        let file = Tensors::new(self.weights)?;
        let layers = (0..self.layers).map(|layer| file.layer(layer));
        Ok(Model::Packed(Encoder {
            width: self.facts.dimension,
            heads: HEADS,
            words: file.rows("embeddings.word_embeddings.weight")?,
            positions: file.rows("embeddings.position_embeddings.weight")?,
            // Two segments; texts are in the first.
            segment: file.floats("embeddings.token_type_embeddings.weight")?
                [..self.facts.dimension]
                .to_vec(),
            norm: file.norm("embeddings.LayerNorm")?,
            layers: layers.collect::<anyhow::Result<_>>()?,
        }))
    }
}

/// Graphics processors run what the reference runs. The files it reads are in no other executable.
#[cfg(any(feature = "cuda", feature = "metal"))]
fn on_gpu(model: &'static Builtin, device: &Device) -> anyhow::Result<Model> {
    Reference(model).model(device)
}

#[cfg(not(any(feature = "cuda", feature = "metal")))]
fn on_gpu(_: &'static Builtin, device: &Device) -> anyhow::Result<Model> {
    anyhow::bail!("this squall was not built for {device:?}")
}

/// A built-in model as candle runs it in f32, to compare with.
pub struct Reference(pub &'static Builtin);

/// The files `build.rs` starts from, which are not in the executable.
static ORIGINALS: [&[u8]; 2] = [
    include_bytes!("../../models/all-minilm-l6-v2.int8.safetensors"),
    include_bytes!("../../models/multilingual-e5-small.q4.safetensors"),
];

impl Reference {
    fn original(&self) -> &'static [u8] {
        ORIGINALS[usize::from(self.0.layers == 12)]
    }
}

impl Source for Reference {
    fn facts(&self) -> &Facts {
        &self.0.facts
    }

    fn tokenizer(&self) -> anyhow::Result<Tokenizer> {
        (self.0.tokenizer)()
    }

    /// Both are BERT models of 384 dimensions, as their config.json says.
    fn model(&self, device: &Device) -> anyhow::Result<Model> {
        let config: Config = serde_json::from_value(serde_json::json!({
            "vocab_size": self.0.words, "hidden_size": 384, "num_hidden_layers": self.0.layers,
            "num_attention_heads": HEADS, "intermediate_size": 1536, "hidden_act": "gelu",
            "hidden_dropout_prob": 0.1, "max_position_embeddings": 512, "type_vocab_size": 2,
            "initializer_range": 0.02, "layer_norm_eps": 1e-12, "pad_token_id": 0,
            "position_embedding_type": "absolute", "use_cache": true, "model_type": "bert",
        }))?;
        let file = Tensors::new(self.original())?;
        let mut tensors = HashMap::new();
        for (name, view) in file.0.tensors() {
            if !name.ends_with(".scale") {
                let values = file.floats(&name)?;
                let rows = view.shape()[0];
                let shape: Vec<usize> = match view.shape().len() {
                    1 => vec![rows],
                    _ => vec![rows, values.len() / rows],
                };
                tensors.insert(name, Tensor::from_vec(values, shape, device)?);
            }
        }
        let weights = VarBuilder::from_tensors(tensors, DType::F32, device);
        Ok(Model::Candle(Box::new(BertModel::load(weights, &config)?)))
    }
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
                (
                    facts,
                    hash(Reference(model).original()),
                    hash(vocabulary.as_bytes()),
                )
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
