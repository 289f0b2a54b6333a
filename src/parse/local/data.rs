//! Data in text files: CSV and JSON.

pub mod delimited;
pub mod json;
