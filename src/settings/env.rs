//! The environment as a layer of settings, and the token.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::{Layer, Secret};
use crate::usage;

/// Environment names, ours first, aliases after.
const ENV_URL: [&str; 2] = ["STORM_API_URL", "STORMPARSE_API_URL"];
const ENV_TOKEN: [&str; 2] = ["STORM_API_TOKEN", "STORM_PARSE_API_KEY"];
const ENV_LANGUAGE: [&str; 2] = ["STORM_LANGUAGE", "STORM_PARSE_LANGUAGE"];

/// What the environment sets.
pub(super) fn environment(env: &HashMap<String, String>) -> anyhow::Result<Layer> {
    Ok(Layer {
        data_dir: first(env, &["SQUALL_DATA_DIR"]).map(PathBuf::from),
        collection: first(env, &["SQUALL_COLLECTION"]).map(str::to_owned),
        model: first(env, &["SQUALL_MODEL"]).map(str::to_owned),
        device: choice(env, "SQUALL_DEVICE")?,
        mode: choice(env, "SQUALL_MODE")?,
        parser: choice(env, "SQUALL_PARSER")?,
        language: first(env, &ENV_LANGUAGE).map(str::to_owned),
        ocr: choice(env, "SQUALL_OCR")?,
        storm_api: choice(env, "STORM_API")?,
        storm_url: first(env, &ENV_URL).map(str::to_owned),
        storm_token_file: first(env, &["STORM_API_TOKEN_FILE"]).map(PathBuf::from),
        ..Layer::default()
    })
}

/// The first of `names` that is set and not blank.
pub(super) fn first<'a>(env: &'a HashMap<String, String>, names: &[&str]) -> Option<&'a str> {
    names
        .iter()
        .filter_map(|name| env.get(*name))
        .map(|value| value.trim())
        .find(|value| !value.is_empty())
}

fn choice<T: ValueEnum>(env: &HashMap<String, String>, name: &str) -> anyhow::Result<Option<T>> {
    let Some(value) = first(env, &[name]) else {
        return Ok(None);
    };
    let parsed = T::from_str(value, true)
        .map_err(|_| usage!("{name}={value} is not one of {}", spellings::<T>()))?;
    Ok(Some(parsed))
}

fn spellings<T: ValueEnum>() -> String {
    let names: Vec<String> = T::value_variants()
        .iter()
        .filter_map(|variant| Some(variant.to_possible_value()?.get_name().to_owned()))
        .collect();
    names.join(", ")
}

/// The token, from the environment or the file that holds it.
pub(super) fn token(
    env: &HashMap<String, String>,
    file: Option<&Path>,
) -> anyhow::Result<Option<Secret>> {
    if let Some(token) = first(env, &ENV_TOKEN) {
        return secret(token, "STORM_API_TOKEN").map(Some);
    }
    let Some(path) = file else { return Ok(None) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| usage!("cannot read the token file {}: {error}", path.display()))?;
    match text.trim() {
        "" => Err(usage!("the token file {} is empty", path.display()).into()),
        token => secret(token, &path.display().to_string()).map(Some),
    }
}

/// A token that can be sent in a header.
fn secret(token: &str, from: &str) -> anyhow::Result<Secret> {
    if token.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(Secret(token.to_owned()));
    }
    Err(usage!("the token in {from} holds blanks, line breaks or characters beyond ASCII").into())
}
