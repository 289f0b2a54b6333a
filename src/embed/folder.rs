//! A sentence encoder from a folder in Hugging Face layout (BERT architecture, safetensors).

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::bert::{Facts, Model, Pooling, Source};
use super::tokenize::Tokenizer;
use crate::usage;

/// A model folder whose small files have been read and checked.
pub struct ModelFolder {
    folder: PathBuf,
    facts: Facts,
}

#[derive(Deserialize)]
struct Architecture {
    model_type: Option<String>,
    hidden_size: usize,
    max_position_embeddings: usize,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PoolingConfig {
    pooling_mode_cls_token: bool,
    pooling_mode_mean_tokens: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SentenceBert {
    max_seq_length: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SentenceTransformers {
    prompts: std::collections::BTreeMap<String, Option<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenizerConfig {
    do_lower_case: Option<bool>,
}

impl ModelFolder {
    /// Reads the configuration files and hashes the weights.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        if !folder.is_dir() {
            return Err(usage!(
                "--model {}: no such folder; give `auto`, `minilm`, `multilingual`, or a folder with \
                 config.json, tokenizer.json (or vocab.txt) and model.safetensors",
                folder.display()
            )
            .into());
        }
        let architecture: Architecture = required(folder, "config.json")?;
        if architecture
            .model_type
            .as_deref()
            .is_some_and(|t| t != "bert")
        {
            return Err(usage!(
                "--model {}: it is a {} model, only BERT encoders are supported",
                folder.display(),
                architecture.model_type.unwrap_or_default()
            )
            .into());
        }
        let facts = facts(folder, &architecture)?;
        Ok(Self {
            folder: folder.to_path_buf(),
            facts,
        })
    }
}

fn facts(folder: &Path, architecture: &Architecture) -> anyhow::Result<Facts> {
    let pooling = match optional::<PoolingConfig>(folder, "1_Pooling/config.json")? {
        Some(config) if config.pooling_mode_cls_token => Pooling::Cls,
        Some(config) if !config.pooling_mode_mean_tokens => {
            return Err(usage!(
                "--model {}: its pooling is neither mean nor CLS",
                folder.display()
            )
            .into());
        }
        _ => Pooling::Mean,
    };
    let sentence: SentenceBert = optional(folder, "sentence_bert_config.json")?.unwrap_or_default();
    let prompts = optional::<SentenceTransformers>(folder, "config_sentence_transformers.json")?
        .unwrap_or_default()
        .prompts;
    let prompt = |names: &[&str]| {
        let found = names.iter().find_map(|name| prompts.get(*name)?.clone());
        found.unwrap_or_default()
    };
    let (query_prefix, passage_prefix) = (prompt(&["query"]), prompt(&["passage", "document"]));
    let max_tokens = sentence
        .max_seq_length
        .unwrap_or(256)
        .min(architecture.max_position_embeddings);
    let hash = hash_files(
        folder,
        &["model.safetensors", "tokenizer.json", "vocab.txt"],
    )?;
    let name = folder
        .canonicalize()
        .unwrap_or_else(|_| folder.to_path_buf())
        .file_name()
        .map_or_else(
            || "model".into(),
            |name| name.to_string_lossy().into_owned(),
        );
    let fingerprint =
        format!("{name}/{hash}/{pooling:?}/{max_tokens}/{query_prefix:?}/{passage_prefix:?}");
    Ok(Facts {
        name,
        fingerprint,
        dimension: architecture.hidden_size,
        max_tokens,
        pooling,
        query_prefix,
        passage_prefix,
        english_only: false,
    })
}

impl Source for ModelFolder {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn tokenizer(&self) -> anyhow::Result<Tokenizer> {
        let json = self.folder.join("tokenizer.json");
        if json.exists() {
            return Tokenizer::from_json(&json).map_err(|error| usage!("{error:#}").into());
        }
        let path = self.folder.join("vocab.txt");
        let vocabulary = std::fs::read_to_string(&path)
            .map_err(|error| usage!("cannot read {}: {error}", path.display()))?;
        let config: TokenizerConfig =
            optional(&self.folder, "tokenizer_config.json")?.unwrap_or_default();
        Tokenizer::wordpiece(&vocabulary, config.do_lower_case.unwrap_or(true))
    }

    fn model(&self, device: &Device) -> anyhow::Result<Model> {
        let config: Config = required(&self.folder, "config.json")?;
        let path = self.folder.join("model.safetensors");
        let tensors = candle_core::safetensors::load(&path, device)
            .map_err(|error| usage!("cannot load {}: {error}", path.display()))?;
        let prefixed = tensors.contains_key("bert.embeddings.word_embeddings.weight");
        let weights = VarBuilder::from_tensors(tensors, DType::F32, device);
        let weights = match prefixed {
            true => weights.pp("bert"),
            false => weights,
        };
        let model = BertModel::load(weights, &config)
            .context("the weights do not fit the model's config.json")?;
        Ok(Model::Candle(Box::new(model)))
    }
}

/// The first 16 hex digits of BLAKE3 over those of `names` that exist; the first must.
fn hash_files(folder: &Path, names: &[&str]) -> anyhow::Result<String> {
    let mut hasher = blake3::Hasher::new();
    for (index, name) in names.iter().enumerate() {
        let path = folder.join(name);
        match std::fs::File::open(&path) {
            Ok(file) => {
                hasher.update_reader(file)?;
            }
            Err(error) if index == 0 => {
                return Err(usage!("cannot read {}: {error}", path.display()).into());
            }
            Err(_) => {}
        }
    }
    Ok(hasher.finalize().to_hex()[..16].to_owned())
}

fn required<T: DeserializeOwned>(folder: &Path, name: &str) -> anyhow::Result<T> {
    optional(folder, name)?.ok_or_else(|| usage!("{} has no {name}", folder.display()).into())
}

fn optional<T: DeserializeOwned>(folder: &Path, name: &str) -> anyhow::Result<Option<T>> {
    let path = folder.join(name);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(usage!("cannot read {}: {error}", path.display()).into()),
    };
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| usage!("{} is not as expected: {error}", path.display()).into())
}
