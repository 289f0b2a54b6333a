//! Settings: flag > environment > file > default, merged by one pure function and validated.

mod choices;
mod env;
mod flags;
#[cfg(test)]
mod tests;
mod values;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

pub use self::choices::{
    DeviceChoice, IndexChoice, LogFormat, LogLevel, Mode, OcrChoice, ParserChoice, StormApi,
};
use self::env::{environment, first, token};
use self::flags::flags;
use self::values::{base_url, duration, host, size, within};
pub use self::values::{between, named, parse_addr, parse_day, parse_pages, parse_tag};
use crate::cli::{Command, Global};
use crate::usage;

/// A secret: never printed, not even by `{:?}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// One layer of settings; what is `None` is left to the layer below. This is also the
/// configuration file, whose unknown keys are errors.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    pub data_dir: Option<PathBuf>,
    pub collection: Option<String>,
    pub model: Option<String>,
    pub device: Option<DeviceChoice>,
    pub parser: Option<ParserChoice>,
    pub escalate: Option<bool>,
    pub parser_memory: Option<String>,
    pub max_pages: Option<u64>,
    pub max_bytes: Option<String>,
    pub max_tries: Option<usize>,
    pub max_retry_time: Option<String>,
    pub concurrency: Option<usize>,
    pub poll_interval: Option<String>,
    pub timeout: Option<String>,
    pub lock_timeout: Option<String>,
    pub language: Option<String>,
    pub ocr: Option<OcrChoice>,
    pub json_template: Option<String>,
    pub storm_api: Option<StormApi>,
    pub storm_url: Option<String>,
    /// A file that holds the token; the token itself is never a setting in the file.
    pub storm_token_file: Option<PathBuf>,
    pub top_k: Option<usize>,
    pub index: Option<IndexChoice>,
    pub mode: Option<Mode>,
    pub min_confidence: Option<f32>,
    pub hnsw_min_chunks: Option<usize>,
    pub addr: Option<SocketAddr>,
    pub keep_originals: Option<bool>,
    pub max_upload: Option<String>,
    pub login: Option<bool>,
    pub hosts: Option<Vec<String>>,
    pub proxies: Option<Vec<IpAddr>>,
    pub open_registration: Option<bool>,
    pub roots: Option<Vec<PathBuf>>,
    pub rate_limit: Option<u32>,
    pub log_dir: Option<PathBuf>,
    pub log_format: Option<LogFormat>,
    pub log_level: Option<LogLevel>,
    pub log_size: Option<String>,
    pub slow_query: Option<String>,
}

impl Layer {
    /// `self` where it says something, else `below`.
    fn over(self, below: Layer) -> Layer {
        macro_rules! first { ($($field:ident),*) => { Layer { $($field: self.$field.or(below.$field)),* } } }
        first!(
            data_dir,
            collection,
            model,
            device,
            parser,
            escalate,
            parser_memory,
            max_pages,
            max_bytes,
            max_tries,
            max_retry_time,
            concurrency,
            poll_interval,
            timeout,
            lock_timeout,
            language,
            ocr,
            json_template,
            storm_api,
            storm_url,
            storm_token_file,
            top_k,
            index,
            mode,
            min_confidence,
            hnsw_min_chunks,
            addr,
            keep_originals,
            max_upload,
            login,
            hosts,
            proxies,
            open_registration,
            roots,
            rate_limit,
            log_dir,
            log_format,
            log_level,
            log_size,
            slow_query
        )
    }
}

/// The settings a command runs with: complete and valid.
#[derive(Debug, Clone)]
pub struct Settings {
    pub data_dir: PathBuf,
    pub collection: String,
    /// `auto`, `minilm`, `multilingual`, or a folder in Hugging Face layout.
    pub model: String,
    pub device: DeviceChoice,
    pub parser: ParserChoice,
    /// With [`ParserChoice::Auto`]: whether what is read badly here may go to Storm.
    pub escalate: bool,
    /// Bytes a local parser process may allocate.
    pub parser_memory: u64,
    /// What one run may send to Storm; `None` is no limit.
    pub max_pages: Option<u64>,
    pub max_bytes: Option<u64>,
    /// Tries of one call to Storm, and the time they may take together.
    pub max_tries: u32,
    pub max_retry_time: Duration,
    /// `None`: as suits the parser.
    pub concurrency: Option<usize>,
    pub poll_interval: Duration,
    /// `None`: as suits the parser.
    pub timeout: Option<Duration>,
    pub lock_timeout: Duration,
    /// What documents are in, such as `ko`: for Storm and for OCR.
    pub language: Option<String>,
    pub ocr: OcrChoice,
    /// What an object of a JSON file becomes, with its fields in braces.
    pub json_template: Option<String>,
    pub storm_api: StormApi,
    pub storm_url: Option<String>,
    pub storm_token: Option<Secret>,
    pub top_k: usize,
    pub index: IndexChoice,
    pub mode: Mode,
    /// Least confidence, 0 to 1, from which an answer is given; `None`: as calibrated.
    pub min_confidence: Option<f32>,
    /// Where what can be made anew is kept: the collections of `eval`.
    pub cache_dir: PathBuf,
    /// Collections with fewer chunks get no HNSW graph.
    pub hnsw_min_chunks: usize,
    pub addr: SocketAddr,
    /// Whether a server keeps the bytes of uploads.
    pub keep_originals: bool,
    /// Largest upload a server takes, in bytes.
    pub max_upload: u64,
    /// Whether a server asks who is there.
    pub login: bool,
    /// Names a server is known by, beside those of this machine.
    pub hosts: Vec<String>,
    /// Proxies before it, which say where requests come from.
    pub proxies: Vec<IpAddr>,
    /// Whether anybody may make an account.
    pub open_registration: bool,
    /// Folders from which MCP clients may take files in.
    pub roots: Vec<PathBuf>,
    /// Requests a second of one user or address, where the user says; see [`Settings::rate_limit`].
    pub asked_rate_limit: Option<u32>,
    /// Where a server keeps log files, if it does.
    pub log_dir: Option<PathBuf>,
    pub log_format: LogFormat,
    pub log_level: LogLevel,
    /// Bytes from which a log file is full.
    pub log_size: u64,
    /// Questions that take longer are logged.
    pub slow_query: Duration,
}

/// Most chunks one question may ask for.
pub const MAX_TOP_K: usize = 1000;
/// Below this many chunks an exact scan is fast enough: with 100,000 it takes 4.7 ms on two cores, the
/// graph 1.1 ms, and minutes to build (`cargo bench --bench million`).
const HNSW_MIN_CHUNKS: usize = 100_000;

/// Bytes.
const MAX_UPLOAD: u64 = 200_000_000;
const LOG_SIZE: u64 = 50_000_000;
const LEAST_LOG_SIZE: u64 = 10_000;
/// Requests a second of one user; people and scripts that wait for their answers stay far below.
const RATE_LIMIT: u32 = 100;
/// A quarter of a small laptop's memory; PDFs of thousands of pages take a tenth of it.
const PARSER_MEMORY: u64 = 2_000_000_000;
/// Less than this and the parser process cannot even start.
const LEAST_PARSER_MEMORY: u64 = 100_000_000;

impl Settings {
    /// Reads the environment and the configuration file once and merges them under the flags.
    ///
    /// # Errors
    /// A usage error naming the variable, key or file that is wrong.
    pub fn load(global: &Global, command: &Command) -> anyhow::Result<Self> {
        let env: HashMap<String, String> = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let dirs = directories::ProjectDirs::from("", "", "squall");
        let default_config = dirs
            .as_ref()
            .map(|dirs| dirs.config_dir().join("config.toml"));
        let file = match env.get("SQUALL_CONFIG").map(PathBuf::from) {
            _ if global.config.is_some() => read_config(global.config.as_deref(), true)?,
            Some(path) => read_config(Some(&path), true)?,
            None => read_config(default_config.as_deref(), false)?,
        };
        let default_dirs = DefaultDirs {
            data: dirs.as_ref().map(|dirs| dirs.data_dir().to_path_buf()),
            cache: dirs.as_ref().map(|dirs| dirs.cache_dir().to_path_buf()),
        };
        let settings = Self::merge(flags(global, command), &env, file, default_dirs)?;
        Ok(Self {
            // What is stored of its files must hold wherever the next squall is started.
            data_dir: std::path::absolute(&settings.data_dir)?,
            ..settings
        })
    }

    /// The pure part of [`Settings::load`]; the token file, if one is named, is the one thing read.
    pub fn merge(
        flags: Layer,
        env: &HashMap<String, String>,
        file: Layer,
        default_dirs: DefaultDirs,
    ) -> anyhow::Result<Self> {
        let asked_to_escalate = flags.escalate == Some(true);
        let layer = flags.over(environment(env)?).over(file);
        let storm_token = token(env, layer.storm_token_file.as_deref())?;
        let default_parser = match storm_token {
            Some(_) => ParserChoice::Storm,
            None => ParserChoice::Local,
        };
        let parser = layer.parser.unwrap_or(default_parser);
        if asked_to_escalate && parser != ParserChoice::Auto {
            return Err(usage!("--escalate is for --parser auto, which reads here first").into());
        }
        let data_dir = layer.data_dir.or(default_dirs.data).ok_or_else(|| {
            usage!("no home directory is known, set --data-dir or SQUALL_DATA_DIR")
        })?;
        let addr = layer
            .addr
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8000)));
        let cache_dir = first(env, &["SQUALL_CACHE_DIR"]).map(PathBuf::from);
        let hosts = layer.hosts.unwrap_or_default().into_iter().map(host);
        let hosts: Vec<String> = hosts.collect::<anyhow::Result<_>>()?;
        let proxies = layer.proxies.unwrap_or_default();
        let is_open = !addr.ip().is_loopback() || !hosts.is_empty() || !proxies.is_empty();
        let login = login(layer.login, is_open)?;
        Ok(Self {
            cache_dir: cache_dir
                .or(default_dirs.cache)
                .unwrap_or_else(|| data_dir.join("cache")),
            data_dir,
            collection: named(layer.collection.unwrap_or_else(|| "default".into()))?,
            model: layer.model.unwrap_or_else(|| "auto".into()),
            device: layer.device.unwrap_or_default(),
            parser,
            escalate: parser == ParserChoice::Auto && layer.escalate.unwrap_or(false),
            parser_memory: parser_memory(layer.parser_memory)?,
            max_pages: layer.max_pages,
            max_bytes: layer
                .max_bytes
                .map(|text| size("max_bytes", &text))
                .transpose()?,
            max_tries: within("max_tries", layer.max_tries, 1, 100)?.unwrap_or(5) as u32,
            max_retry_time: duration("max_retry_time", layer.max_retry_time)?
                .unwrap_or(Duration::from_secs(600)),
            concurrency: within("concurrency", layer.concurrency, 1, 256)?,
            poll_interval: duration("poll_interval", layer.poll_interval)?
                .unwrap_or(Duration::from_secs(2)),
            timeout: duration("timeout", layer.timeout)?,
            lock_timeout: duration("lock_timeout", layer.lock_timeout)?
                .unwrap_or(Duration::from_secs(60)),
            language: layer.language,
            ocr: layer.ocr.unwrap_or_default(),
            json_template: layer.json_template,
            storm_api: layer.storm_api.unwrap_or(StormApi::Auto),
            storm_url: layer.storm_url.map(base_url).transpose()?,
            storm_token,
            top_k: within("top_k", layer.top_k, 1, MAX_TOP_K)?.unwrap_or(3),
            index: layer.index.unwrap_or(IndexChoice::Auto),
            mode: layer.mode.unwrap_or_default(),
            min_confidence: confidence(layer.min_confidence)?,
            hnsw_min_chunks: layer.hnsw_min_chunks.unwrap_or(HNSW_MIN_CHUNKS),
            login,
            hosts,
            proxies,
            open_registration: layer.open_registration.unwrap_or(false),
            roots: layer.roots.unwrap_or_default(),
            addr,
            keep_originals: layer.keep_originals.unwrap_or(true),
            max_upload: match layer.max_upload {
                Some(text) => size("max_upload", &text)?,
                None => MAX_UPLOAD,
            },
            asked_rate_limit: layer.rate_limit,
            log_dir: layer.log_dir,
            log_format: layer.log_format.unwrap_or_default(),
            log_level: layer.log_level.unwrap_or_default(),
            log_size: log_size(layer.log_size)?,
            slow_query: duration("slow_query", layer.slow_query)?.unwrap_or(Duration::from_secs(1)),
        })
    }

    /// Requests a second of one user or address; 0 is no limit.
    pub fn rate_limit(&self) -> u32 {
        let default = if self.login { RATE_LIMIT } else { 0 };
        self.asked_rate_limit.unwrap_or(default)
    }

    /// The same for a server whose socket somebody else may have opened: where others can reach it, it asks
    /// for a login.
    pub fn listening_on(self, handed: Option<SocketAddr>) -> Self {
        let Some(addr) = handed else { return self };
        let login = self.login || !addr.ip().is_loopback();
        Self {
            addr,
            login,
            ..self
        }
    }
}

/// Where the user's directories are, if that is known.
#[derive(Debug, Clone, Default)]
pub struct DefaultDirs {
    pub data: Option<PathBuf>,
    pub cache: Option<PathBuf>,
}

/// Whether a server asks for a login: always, where others can reach it.
fn login(value: Option<bool>, is_open: bool) -> anyhow::Result<bool> {
    match value {
        Some(false) if is_open => Err(usage!(
            "others can reach this server, so there must be a login; leave out login = false"
        )
        .into()),
        asked => Ok(asked.unwrap_or(is_open)),
    }
}

fn log_size(value: Option<String>) -> anyhow::Result<u64> {
    match value.map(|text| size("log_size", &text)).transpose()? {
        Some(bytes) if bytes < LEAST_LOG_SIZE => {
            Err(usage!("log_size must be at least 10kB").into())
        }
        asked => Ok(asked.unwrap_or(LOG_SIZE)),
    }
}

fn confidence(value: Option<f32>) -> anyhow::Result<Option<f32>> {
    match value {
        Some(value) if !(0.0..=1.0).contains(&value) => {
            Err(usage!("min_confidence is {value}, it must be 0 to 1").into())
        }
        other => Ok(other),
    }
}

fn parser_memory(value: Option<String>) -> anyhow::Result<u64> {
    let bytes = match value {
        Some(text) => size("parser_memory", &text)?,
        None => PARSER_MEMORY,
    };
    if bytes < LEAST_PARSER_MEMORY {
        return Err(usage!("parser_memory must be at least 100MB").into());
    }
    Ok(bytes)
}

fn read_config(path: Option<&Path>, required: bool) -> anyhow::Result<Layer> {
    let Some(path) = path else {
        return Ok(Layer::default());
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => {
            return Ok(Layer::default());
        }
        Err(error) => return Err(usage!("cannot read {}: {error}", path.display()).into()),
    };
    toml::from_str(&text).map_err(|error| {
        let before = error.span().map_or("", |span| &text[..span.start]);
        let line = before.matches('\n').count() + 1;
        usage!("{}, line {line}: {}", path.display(), error.message()).into()
    })
}
