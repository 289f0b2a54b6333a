//! The built-in models against vectors that others made: sentence-transformers in f32 for MiniLM,
//! the package its weights come from for multilingual-e5-small.

use serde_json::Value;
use squall::embed::{BertEmbedder, Embedder as _, Role, minilm, multilingual};

use crate::support::fixture;

type Item = (String, Vec<u32>, Vec<f32>);

fn items(path: impl AsRef<std::path::Path>) -> Vec<Item> {
    let text = std::fs::read_to_string(path).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    golden["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let ids = item["ids"].as_array().unwrap();
            let vector = item["vector"].as_array().unwrap();
            (
                item["text"].as_str().unwrap().to_owned(),
                ids.iter().map(|id| id.as_u64().unwrap() as u32).collect(),
                vector.iter().map(|x| x.as_f64().unwrap() as f32).collect(),
            )
        })
        .collect()
}

#[test]
fn token_ids_are_those_of_the_reference() {
    same_ids(&minilm(), &items(fixture("golden/minilm.json")));
    same_ids(&multilingual(), &items(fixture("golden/e5.json")));
}

fn same_ids(model: &BertEmbedder, items: &[Item]) {
    for (text, ids, _) in items {
        assert_eq!(model.token_ids(text).unwrap(), *ids, "{text:?}");
    }
}

#[test]
fn vectors_agree_with_the_reference() {
    let (mean, least) = cosines(&minilm(), &items(fixture("golden/minilm.json")));
    assert!(mean >= 0.995, "mean cosine {mean}");
    assert!(least >= 0.97, "least cosine {least}");
    let (mean, least) = cosines(&multilingual(), &items(fixture("golden/e5.json")));
    assert!(mean >= 0.99, "mean cosine {mean}");
    assert!(least >= 0.9, "least cosine {least}");
}

/// Nothing of a text's vector may depend on what it was computed beside.
#[test]
fn a_vector_is_the_same_in_any_company() {
    for model in [minilm(), multilingual()] {
        let items = items(fixture("golden/e5.json"));
        let texts: Vec<&str> = items.iter().map(|(text, ..)| text.as_str()).collect();
        let together = model.embed(&texts, Role::Passage).unwrap();
        for (text, vector) in texts.iter().zip(together) {
            let alone = &model.embed(&[text], Role::Passage).unwrap()[0];
            let most = alone
                .iter()
                .zip(&vector)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(most < 1e-3, "{text:?}: {most}");
        }
    }
}

fn cosines(model: &BertEmbedder, items: &[Item]) -> (f32, f32) {
    let texts: Vec<&str> = items.iter().map(|(text, ..)| text.as_str()).collect();
    let vectors = model.embed(&texts, Role::Passage).unwrap();
    let mut cosines: Vec<(f32, &str)> = vectors
        .iter()
        .zip(items)
        .map(|(ours, (text, _, theirs))| {
            let cosine = ours.iter().zip(theirs).map(|(a, b)| a * b).sum();
            (cosine, text.as_str())
        })
        .collect();
    cosines.sort_by(|a, b| a.0.total_cmp(&b.0));
    println!("worst: {:?}", &cosines[..cosines.len().min(5)]);
    let mean = cosines.iter().map(|c| c.0).sum::<f32>() / cosines.len() as f32;
    (mean, cosines[0].0)
}

#[test]
#[ignore = "needs a file of models/golden_e5.py, in SQUALL_GOLDEN"]
fn golden_texts_of_your_own() {
    let path = std::env::var_os("SQUALL_GOLDEN").expect("SQUALL_GOLDEN");
    let items = items(std::path::PathBuf::from(path));
    same_ids(&multilingual(), &items);
    let (mean, least) = cosines(&multilingual(), &items);
    println!("{} texts: mean cosine {mean}, least {least}", items.len());
    assert!(mean >= 0.998, "mean cosine {mean}");
}

/// A folder in Hugging Face layout gives the same model: the built-in weights, unpacked.
#[test]
fn a_model_folder_is_as_good_as_the_built_in_one() {
    let folder = tempfile::tempdir().unwrap();
    unpack(folder.path());
    let (ours, theirs) = (minilm(), squall::embed::from_folder(folder.path()).unwrap());
    let text = ["The treasurer approved the budget.", "예산을 승인했다."];
    let (a, b) = (
        ours.embed(&text, Role::Query).unwrap(),
        theirs.embed(&text, Role::Query).unwrap(),
    );
    for (a, b) in a.iter().zip(&b) {
        let cosine: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
        assert!(cosine > 0.99, "{cosine}");
    }
    assert_ne!(ours.fingerprint(), theirs.fingerprint());
    assert_eq!((theirs.dimension(), theirs.max_tokens()), (384, 128));
    std::fs::write(
        folder.path().join("config.json"),
        r#"{"model_type":"gpt2","hidden_size":1,"max_position_embeddings":1}"#,
    )
    .unwrap();
    let error = squall::embed::from_folder(folder.path()).err().unwrap();
    assert!(error.to_string().contains("gpt2"), "{error}");
}

fn unpack(folder: &std::path::Path) {
    use candle_core::{Device, Tensor};
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let bytes = std::fs::read(models.join("all-minilm-l6-v2.int8.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let floats = |data: &[u8]| -> Vec<f32> {
        data.chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    };
    let mut tensors = std::collections::HashMap::new();
    for (name, view) in file
        .tensors()
        .into_iter()
        .filter(|(name, _)| !name.ends_with(".scale"))
    {
        let values = match view.dtype() {
            safetensors::Dtype::I8 => {
                let scales = floats(file.tensor(&format!("{name}.scale")).unwrap().data());
                let columns = view.shape()[1];
                view.data()
                    .iter()
                    .enumerate()
                    .map(|(at, &q)| f32::from(q as i8) * scales[at / columns])
                    .collect()
            }
            _ => floats(view.data()),
        };
        tensors.insert(
            format!("bert.{name}"),
            Tensor::from_vec(values, view.shape(), &Device::Cpu).unwrap(),
        );
    }
    candle_core::safetensors::save(&tensors, folder.join("model.safetensors")).unwrap();
    std::fs::copy(
        models.join("all-minilm-l6-v2.vocab.txt"),
        folder.join("vocab.txt"),
    )
    .unwrap();
    let config = r#"{"vocab_size":30522,"hidden_size":384,"num_hidden_layers":6,
        "num_attention_heads":12,"intermediate_size":1536,"hidden_act":"gelu",
        "hidden_dropout_prob":0.1,"max_position_embeddings":512,"type_vocab_size":2,
        "initializer_range":0.02,"layer_norm_eps":1e-12,"pad_token_id":0,"model_type":"bert"}"#;
    std::fs::write(folder.join("config.json"), config).unwrap();
    std::fs::write(
        folder.join("sentence_bert_config.json"),
        r#"{"max_seq_length": 128}"#,
    )
    .unwrap();
}
