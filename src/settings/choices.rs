//! Settings that are one of a few words.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Who turns files into pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ParserChoice {
    /// The remote Storm Parse service
    Storm,
    /// Built in, nothing leaves the machine
    Local,
    /// Built in; what it cannot read well goes to Storm, but only with --escalate
    Auto,
}

/// Generation of the Storm API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum StormApi {
    V1,
    V2,
    /// Ask the service
    Auto,
}

/// Whether an OCR engine reads pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OcrChoice {
    /// If tesseract is installed
    #[default]
    Auto,
    /// Never
    Off,
}

/// How semantic search looks for neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum IndexChoice {
    /// Exact for one question; the graph in `serve` when the collection is large
    Auto,
    /// Scan every vector
    Exact,
    /// Search the HNSW graph
    Hnsw,
}

/// Where the encoder runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// A graphics processor if squall was built for one and finds it, but for single questions
    #[default]
    Auto,
    /// This machine's processor
    Cpu,
    /// NVIDIA
    Cuda,
    /// Apple
    Metal,
}

/// Which arms of retrieval look.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, ValueEnum, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By words alone; no model is loaded
    Lexical,
    /// By meaning alone
    Semantic,
    /// Both, fused
    #[default]
    Hybrid,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// An object a line
    Json,
}

/// From what on things are logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}
