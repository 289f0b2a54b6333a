//! The command line as clap sees it: types and help texts, no behaviour.

mod serve;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub use self::serve::{Logging, Mcp, Serve, TokenCommand, UserCommand};
use crate::ledger::Retry;
use crate::settings::{DeviceChoice, IndexChoice, Mode, OcrChoice, ParserChoice, StormApi};

/// Turn a folder of documents into cited answers.
#[derive(Debug, Parser)]
#[command(name = "squall", version, long_version = crate::build_facts(), propagate_version = true, max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 nothing found, 2 usage, 3 some documents failed, \
4 service refused, 5 store damaged or busy, 130 interrupted")]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// Where Squall keeps its index [default: the user data directory]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub data_dir: Option<PathBuf>,
    /// Read this configuration file instead of the default one
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub config: Option<PathBuf>,
    /// Sentence encoder: `minilm` (English), `multilingual` (Korean and English), or a model folder
    /// in Hugging Face layout [default: auto, by the script of the first documents]
    #[arg(
        long,
        global = true,
        value_name = "MODEL",
        help_heading = "Global options"
    )]
    pub model: Option<String>,
    /// Where the encoder runs [default: auto]
    #[arg(
        long,
        global = true,
        value_name = "DEVICE",
        help_heading = "Global options"
    )]
    pub device: Option<DeviceChoice>,
    /// Print JSON: one object, or one a line where there are several
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// No progress on stderr, only warnings and errors
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub quiet: bool,
    /// More on stderr (-v info, -vv debug)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Parse, chunk, embed and index files and folders
    Ingest(Ingest),
    /// Answer questions from the documents, with quotes and pages
    #[command(visible_alias = "ask")]
    Query(Query),
    /// Show what is in a document: its tables, dates, amounts, key phrases, a summary
    Inspect(Inspect),
    /// Show what is in, what is under way, what failed and why
    Status(Status),
    /// Drop documents or a whole collection from the index
    Remove(Remove),
    /// Serve documents and answers over HTTP, with a web page
    Serve(Serve),
    /// Be a tool of a language model: the Model Context Protocol on stdin and stdout
    Mcp(Mcp),
    /// Make, list and remove users of a server
    #[command(subcommand)]
    User(UserCommand),
    /// Make, list and revoke tokens for scripts that use a server
    #[command(subcommand)]
    Token(TokenCommand),
    /// Make the index files and the HNSW graph anew now
    Optimize(Optimize),
    /// Make a collection anew with another model (--model), from the pages it holds
    Reembed(Reembed),
    /// Measure retrieval and answers on questions with known answers
    Eval(Eval),
    /// Check that everything stored is as it was written
    Verify(Locking),
    /// Mend what `verify` finds: make derived data anew, set aside what cannot be read
    Repair(Repair),
    /// Write a collection to one file
    Export(Export),
    /// Take in a collection from such a file
    Import(Import),
    /// Check the set-up and say what to type where it is wrong
    Doctor,
    /// Print a shell completion script
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page (roff); `squall man | man -l -`
    Man,
    /// Read files for another squall, under limits
    #[command(hide = true)]
    ParseWorker {
        /// Bytes this process may allocate
        #[arg(long)]
        memory: u64,
    },
}

#[derive(Debug, Args)]
pub struct Ingest {
    /// Files and folders to take in
    #[arg(value_name = "PATH", required_unless_present = "files_from")]
    pub paths: Vec<PathBuf>,
    /// Also take the paths listed in FILE, one a line (`-` is stdin)
    #[arg(long, value_name = "FILE")]
    pub files_from: Option<PathBuf>,
    /// Paths in --files-from end with NUL, not newline
    #[arg(short = '0', long = "null", requires = "files_from")]
    pub null: bool,
    /// Collection to put the documents in [default: default]
    #[arg(short, long, value_name = "NAME")]
    pub collection: Option<String>,
    /// Tag every document of this run; may be repeated
    #[arg(short, long = "tag", value_name = "KEY=VALUE", value_parser = crate::settings::parse_tag)]
    pub tags: Vec<(String, String)>,
    /// Only files whose path below the folder matches GLOB; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// Skip files and folders matching GLOB; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Respect .gitignore and .ignore files
    #[arg(long)]
    pub gitignore: bool,
    /// Walk into folders that are symbolic links
    #[arg(short = 'L', long)]
    pub follow: bool,
    /// Drop documents whose file below the given folders is gone
    #[arg(long, requires = "paths")]
    pub prune: bool,
    /// Say what would be done and sent, and do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Hash every file, even when its size and time are unchanged
    #[arg(long)]
    pub checksum: bool,
    /// Send again what the service refused, or whose upload got no answer
    #[arg(long, value_name = "WHICH", default_value = "none")]
    pub retry: Retry,
    /// Storm: upload, print the job ids and leave; `status --wait` collects them
    #[arg(long)]
    pub detach: bool,
    #[command(flatten)]
    pub parsing: Parsing,
}

/// How documents become pages.
#[derive(Debug, Args)]
pub struct Parsing {
    /// Who parses [default: storm when a token is set, else local]
    #[arg(long, value_name = "WHICH")]
    pub parser: Option<ParserChoice>,
    /// With --parser auto: send documents with pages the local parser cannot read well to Storm
    #[arg(long)]
    pub escalate: bool,
    /// Storm: send at most N pages in this run, as counted here; what is over waits
    #[arg(long, value_name = "N")]
    pub max_pages: Option<u64>,
    /// Storm: send at most SIZE in this run, such as 100MB; what is over waits
    #[arg(long, value_name = "SIZE")]
    pub max_bytes: Option<String>,
    /// Documents parsed at once [default: 4 with storm, one a core with local]
    #[arg(short = 'j', long, value_name = "N")]
    pub concurrency: Option<usize>,
    /// Storm: first pause between two looks at a job [default: 2s]
    #[arg(long, value_name = "TIME")]
    pub poll_interval: Option<String>,
    /// Storm: which generation of the API the service speaks [default: auto]
    #[arg(long, value_name = "API")]
    pub storm_api: Option<StormApi>,
    #[command(flatten)]
    pub reading: Reading,
    /// How long to wait for another squall that is writing [default: 60s]
    #[arg(long, value_name = "TIME")]
    pub lock_timeout: Option<String>,
}

/// How one document is read.
#[derive(Debug, Args)]
pub struct Reading {
    /// Longest wait for one document [default: 10m with storm, 2m with local]
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<String>,
    /// What the documents are in, such as ko or en: a hint for Storm and for OCR
    #[arg(long, value_name = "LANG")]
    pub language: Option<String>,
    /// Local: whether pictures and scanned pages are read by OCR [default: auto]
    #[arg(long, value_name = "WHICH")]
    pub ocr: Option<OcrChoice>,
    /// Local: the text of an object in a JSON file, such as '{title}: {body}' [default: all fields]
    #[arg(long, value_name = "TEXT")]
    pub json_template: Option<String>,
    /// Local: memory one parser process may take [default: 2GB]
    #[arg(long, value_name = "SIZE")]
    pub parser_memory: Option<String>,
}

#[derive(Debug, Args)]
pub struct Inspect {
    /// Files, which need not be ingested, or paths or ids of documents that are
    #[arg(value_name = "FILE|ID", required = true)]
    pub documents: Vec<String>,
    /// Collection of the document [default: default]
    #[arg(short, long, value_name = "NAME")]
    pub collection: Option<String>,
    /// Print the text of the pages; with --json, add it
    #[arg(long)]
    pub pages: bool,
    /// Print table number N as CSV
    #[arg(long, value_name = "N", conflicts_with = "pages")]
    pub table: Option<std::num::NonZeroUsize>,
    #[command(flatten)]
    pub reading: Reading,
}

#[derive(Debug, Args)]
pub struct Query {
    /// The question; `-` answers one question a line from stdin, as NDJSON
    pub question: String,
    /// Chunks to bring back
    #[arg(short = 'k', long, value_name = "N")]
    pub top_k: Option<usize>,
    /// Say on stderr how long each stage took
    #[arg(long)]
    pub timings: bool,
    #[command(flatten)]
    pub scope: Scope,
    #[command(flatten)]
    pub retrieval: Retrieval,
}

/// How answers are looked for.
#[derive(Debug, Args)]
pub struct Retrieval {
    /// Look by words, by meaning, or both [default: hybrid]
    #[arg(short, long, value_name = "MODE")]
    pub mode: Option<Mode>,
    /// Least confidence from which to answer, 0 to 1 [default: as calibrated]
    #[arg(long, value_name = "SHARE")]
    pub min_confidence: Option<f32>,
    /// How semantic search looks: exact scan or HNSW graph [default: auto]
    #[arg(long, value_name = "INDEX")]
    pub index: Option<IndexChoice>,
}

#[derive(Debug, Args)]
pub struct Eval {
    /// A folder in BEIR layout (queries.jsonl, qrels/, and corpus.jsonl unless the questions are
    /// about a collection), or a .tsv or .jsonl file of question, document, page, answer
    #[arg(value_name = "FILE|DIR")]
    pub path: PathBuf,
    /// Collection to ask [default: default]
    #[arg(short, long, value_name = "NAME")]
    pub collection: Option<String>,
    /// Which qrels of a BEIR folder
    #[arg(long, value_name = "NAME", default_value = "test")]
    pub split: String,
    /// Only the first N questions
    #[arg(long, value_name = "N")]
    pub limit: Option<std::num::NonZeroUsize>,
    /// Measure the ranking only, do not compose answers
    #[arg(long)]
    pub retrieval_only: bool,
    /// Write a line of JSON for each question to FILE
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub retrieval: Retrieval,
}

/// Which part of the store a command looks at.
#[derive(Debug, Args)]
pub struct Scope {
    /// Collection to look in [default: default]
    #[arg(short, long, value_name = "NAME")]
    pub collection: Option<String>,
    /// Only documents whose path starts with this
    #[arg(long, value_name = "PATH")]
    pub path_prefix: Option<String>,
    /// Only documents with this tag; may be repeated
    #[arg(short, long = "tag", value_name = "KEY=VALUE", value_parser = crate::settings::parse_tag)]
    pub tags: Vec<(String, String)>,
    /// Only documents whose file was last changed on this day (UTC) or later
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = crate::settings::parse_day)]
    pub since: Option<i64>,
    /// Only documents whose file was last changed on this day (UTC) or before
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = crate::settings::parse_day)]
    pub until: Option<i64>,
    /// Only this page, or pages FROM-TO
    #[arg(long, value_name = "PAGES", value_parser = crate::settings::parse_pages)]
    pub page: Option<(u32, u32)>,
}

#[derive(Debug, Args)]
pub struct Status {
    /// A job id, or a path whose documents to show
    #[arg(value_name = "JOB|PATH")]
    pub subject: Option<String>,
    /// List the documents
    #[arg(short, long)]
    pub documents: bool,
    /// Only this collection
    #[arg(short, long, value_name = "NAME")]
    pub collection: Option<String>,
    /// Wait for open jobs at the service and take in their pages
    #[arg(short, long)]
    pub wait: bool,
    #[command(flatten)]
    pub parsing: Parsing,
}

#[derive(Debug, Args)]
pub struct Remove {
    /// Documents to drop: files, folders (everything below), or document ids
    #[arg(value_name = "PATH|ID", required_unless_present = "all")]
    pub subjects: Vec<String>,
    /// Collection to remove from [default: default]
    #[arg(short, long, value_name = "NAME")]
    pub collection: Option<String>,
    /// Drop the whole collection
    #[arg(long, conflicts_with = "subjects")]
    pub all: bool,
    /// Say what would be dropped, and drop nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// For commands that wait for their turn and parse nothing.
#[derive(Debug, Args)]
pub struct Locking {
    /// How long to wait for another squall that is writing [default: 60s]
    #[arg(long, value_name = "TIME")]
    pub lock_timeout: Option<String>,
}

#[derive(Debug, Args)]
pub struct Reembed {
    /// Collection to make anew [default: default]
    #[arg(short, long, value_name = "NAME")]
    pub collection: Option<String>,
    #[command(flatten)]
    pub locking: Locking,
}

#[derive(Debug, Args)]
pub struct Repair {
    /// Also take out what is damaged beyond repair; a copy of it is kept in `quarantine`
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub locking: Locking,
}

#[derive(Debug, Args)]
pub struct Export {
    /// The file to write
    pub file: PathBuf,
    /// Collection to write [default: default]
    #[arg(short, long, value_name = "NAME")]
    pub collection: Option<String>,
    /// Replace the file if it is there
    #[arg(short, long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct Import {
    /// A file written by `squall export`
    pub file: PathBuf,
    /// Name for the collection [default: the one it had]
    #[arg(short, long, value_name = "NAME")]
    pub collection: Option<String>,
    #[command(flatten)]
    pub locking: Locking,
}

#[derive(Debug, Args)]
pub struct Optimize {
    /// Only this collection
    #[arg(short, long, value_name = "NAME")]
    pub collection: Option<String>,
}
