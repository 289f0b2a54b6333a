//! Text of pictures and scanned pages, by an installed tesseract. The cage makes the picture, the engine
//! reads it in a process of its own, under limits.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::picture::{Area, Picture};

/// Longest wait for one run over a page.
const PAGE_TIME: Duration = Duration::from_secs(60);
/// Bytes the engine may allocate for one page; 300 dpi of A4 take a tenth.
const PAGE_MEMORY: u64 = 2_000_000_000;
/// Words the engine is less sure of, in percent, are specks on the paper.
const SURE: f32 = 20.0;
/// Confidence below which a page is read in another way, and below which it may be the wrong way up.
const GOOD: f32 = 0.85;
const POOR: f32 = 0.75;
/// Share of the ink outside of words above which something was not seen.
const UNREAD: f32 = 0.05;
/// And above which the page may be the wrong way up.
const MOSTLY_UNREAD: f32 = 0.4;
/// The engine's numbers for blocks of text with the way up found out, blocks of text, and one column.
const TURNED: &str = "1";
const BLOCKS: &str = "3";
const COLUMN: &str = "4";
/// What it needs of the environment.
const NEEDED: [&str; 6] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TESSDATA_PREFIX",
    "LD_LIBRARY_PATH",
];
/// Columns of its table.
const COLUMNS: usize = 12;
/// How to get the engine.
pub const HOW: &str = "install tesseract to read them: apt install tesseract-ocr tesseract-ocr-kor, or brew \
     install tesseract tesseract-lang";

/// An installed tesseract. What it can do is asked when there is something to read.
#[derive(Debug)]
pub struct Engine {
    program: PathBuf,
    /// What the documents are in: `ko`, `en`, or names of the engine's own, such as `jpn+eng`.
    language: Option<String>,
    skills: OnceLock<Option<Skills>>,
}

/// What an engine can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skills {
    /// As its `-l` wants them, such as `kor+eng`.
    pub languages: String,
    /// The first line of `--version`.
    pub version: String,
    /// Whether it can tell which way up a page is.
    turns: bool,
}

/// What was read on one page.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub text: String,
    /// Mean over the words, weighted by their length, 0 to 1.
    pub confidence: f32,
    letters: f32,
    /// Letters the engine is hardly sure of, which are often no letters at all.
    doubtful: f32,
    /// Where the words stand.
    areas: Vec<Area>,
}

impl Reading {
    /// Letters that are read rightly, as far as the engine knows.
    fn right(&self) -> f32 {
        self.confidence * self.letters
    }
}

impl Engine {
    /// The engine on the search path, if there is one.
    pub fn find(language: Option<&str>) -> Option<Self> {
        Some(Self {
            program: on_path("tesseract")?,
            language: language.map(str::to_owned),
            skills: OnceLock::new(),
        })
    }

    /// What it can do; `None` where it does not run, or knows none of the languages.
    pub fn skills(&self) -> Option<&Skills> {
        self.skills.get_or_init(|| self.ask()).as_ref()
    }

    fn ask(&self) -> Option<Skills> {
        let run = |arg: &str| {
            let mut command = std::process::Command::new(&self.program);
            let output = command.arg(arg).stdin(Stdio::null()).output().ok()?;
            // Older ones write to stderr.
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text).into_owned();
            output.status.success().then_some(text)
        };
        let listed = run("--list-langs")?;
        let installed: Vec<String> = listed.lines().skip(1).map(str::to_owned).collect();
        Some(Skills {
            languages: choose(self.language.as_deref(), &installed)?,
            version: run("--version")?
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
            turns: installed.iter().any(|name| name == "osd"),
        })
    }

    /// Reads one picture. What is read badly, or leaves ink unread, is read again as one column, which
    /// Korean with its wide spaces needs, and then turned by each quarter.
    ///
    /// # Errors
    /// When the engine cannot be started, takes too long, or fails.
    pub async fn read(&self, picture: &Picture) -> anyhow::Result<Reading> {
        let skills = self
            .skills()
            .context("tesseract does not have the language; `tesseract --list-langs` says what it has, and `apt install tesseract-ocr-kor` adds Korean")?;
        let blocks = if skills.turns { TURNED } else { BLOCKS };
        let mut best = self.attempt(skills, picture, blocks).await?;
        let mut unread = picture.dark_outside(&best.areas);
        if best.confidence < GOOD || unread > UNREAD {
            let other = self.attempt(skills, picture, COLUMN).await?;
            if other.right() - other.doubtful > 1.03 * (best.right() - best.doubtful) {
                best = other;
                unread = picture.dark_outside(&best.areas);
            }
        }
        for quarters in [1, 3, 2] {
            if best.confidence >= POOR && unread < MOSTLY_UNREAD {
                break;
            }
            let turned = picture.turned(quarters);
            let other = self.attempt(skills, &turned, COLUMN).await?;
            if other.right() > 1.2 * best.right() {
                best = other;
                unread = turned.dark_outside(&best.areas);
            }
        }
        Ok(best)
    }

    /// Runs the engine once; `layout` is what it takes the page for.
    async fn attempt(
        &self,
        skills: &Skills,
        picture: &Picture,
        layout: &str,
    ) -> anyhow::Result<Reading> {
        let mut command = std::process::Command::new(&self.program);
        command
            .args([
                "stdin",
                "stdout",
                "-l",
                &skills.languages,
                "--dpi",
                &picture.dpi.to_string(),
            ])
            .args(["--psm", layout, "txt", "tsv"])
            // No token and nothing else of ours is its business.
            .env_clear()
            .envs(
                NEEDED
                    .iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            .env("OMP_THREAD_LIMIT", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C is for the parent, which then decides.
            .process_group(0);
        // SAFETY: `setrlimit` is one system call, which is allowed between fork and exec.
        unsafe {
            command.pre_exec(confine);
        }
        let mut child = Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start tesseract")?;
        let mut input = child.stdin.take().context("tesseract has no input")?;
        let bytes = picture.pgm();
        let feed = async move {
            // It may end before it has read all; its status says why.
            let _ = input.write_all(&bytes).await;
        };
        let work = async { tokio::join!(child.wait_with_output(), feed).0 };
        let output = tokio::time::timeout(PAGE_TIME, work).await.map_err(|_| {
            anyhow::anyhow!("tesseract took longer than {} s", PAGE_TIME.as_secs())
        })??;
        anyhow::ensure!(
            output.status.success(),
            "tesseract failed ({})",
            output.status
        );
        Ok(reading(&String::from_utf8_lossy(&output.stdout)))
    }
}

/// Limits on the engine's process. It writes to a pipe only.
fn confine() -> std::io::Result<()> {
    let limit = |resource, value| {
        let rlimit = Rlimit {
            current: Some(value),
            maximum: Some(value),
        };
        setrlimit(resource, rlimit)
    };
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Cpu, PAGE_TIME.as_secs())?;
    #[cfg(target_os = "linux")]
    {
        limit(Resource::Data, PAGE_MEMORY)?;
        // It ends with the thread that started it, however that ends.
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    }
    Ok(())
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The languages asked for, if all of them are installed: read as another language, a page is noise. Where
/// none was asked for, those of Korean and English that are.
fn choose(language: Option<&str>, installed: &[String]) -> Option<String> {
    let named = |name: &str| match name {
        "ko" | "kr" => "kor".to_owned(),
        "en" => "eng".to_owned(),
        "ja" => "jpn".to_owned(),
        "zh" => "chi_sim".to_owned(),
        "de" => "deu".to_owned(),
        "fr" => "fra".to_owned(),
        "es" => "spa".to_owned(),
        other => other.to_owned(),
    };
    let is_asked = language.is_some();
    let wanted = language.unwrap_or("ko+en").split(['+', ',']);
    // Forms and codes are in Latin letters in every language.
    let wanted = wanted
        .map(|name| named(name.split('-').next().unwrap_or_default().trim()))
        .chain(["eng".to_owned()]);
    let mut chosen: Vec<String> = Vec::new();
    for name in wanted {
        match installed.contains(&name) {
            true if !chosen.contains(&name) => chosen.push(name),
            false if is_asked && name != "eng" => return None,
            _ => {}
        }
    }
    (!chosen.is_empty()).then(|| chosen.join("+"))
}

/// The text, and how sure the engine is of it, from its two outputs one after the other: the text as people
/// read it, and a table of its words: level, page, block, paragraph, line, word, left, top, width, height,
/// confidence, word. The text has Korean words whole where the table has syllables.
fn reading(output: &str) -> Reading {
    let (table, text): (Vec<&str>, Vec<&str>) = output
        .lines()
        .partition(|line| line.matches('\t').count() == COLUMNS - 1);
    let (mut sure, mut letters, mut doubtful, mut areas) = (0.0, 0.0, 0.0, Vec::new());
    for row in table {
        let fields: Vec<&str> = row.split('\t').collect();
        let number = |at: usize| fields[at].parse::<f32>().ok();
        let word = fields[COLUMNS - 1].trim();
        let length = word.chars().count() as f32;
        let Some(confidence) = number(10) else {
            continue;
        };
        if confidence < SURE {
            doubtful += length;
        } else if !word.is_empty() {
            sure += confidence / 100.0 * length;
            letters += length;
            areas.push([6, 7, 8, 9].map(|at| number(at).unwrap_or(0.0) as u32));
        }
    }
    let text = text.join("\n").replace('\u{C}', "");
    Reading {
        text: text.trim().to_owned(),
        confidence: if letters > 0.0 { sure / letters } else { 0.0 },
        letters,
        doubtful,
        areas,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_those_asked_for_that_are_installed() {
        let installed = ["eng", "kor", "osd"].map(str::to_owned);
        assert_eq!(choose(None, &installed).as_deref(), Some("kor+eng"));
        assert_eq!(choose(Some("en"), &installed).as_deref(), Some("eng"));
        assert_eq!(
            choose(Some("ko-KR"), &installed).as_deref(),
            Some("kor+eng")
        );
        assert_eq!(choose(Some("jpn+ko"), &installed), None);
        assert_eq!(choose(None, &["osd".to_owned()]), None);
    }

    #[test]
    fn text_and_table_are_told_apart_and_specks_do_not_count() {
        let output = "The end\nof it\n\u{C}level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n\
            1\t1\t0\t0\t0\t0\t0\t0\t9\t9\t-1\t\n\
            5\t1\t1\t1\t1\t1\t1\t2\t30\t9\t90\tThe\n\
            5\t1\t1\t1\t1\t2\t35\t2\t30\t9\t80\tend\n\
            5\t1\t1\t1\t2\t1\t0\t0\t9\t9\t10\t~|\n";
        let reading = reading(output);
        assert_eq!(reading.text, "The end\nof it");
        assert!((reading.confidence - 0.85).abs() < 0.01);
        assert_eq!(reading.areas, [[1, 2, 30, 9], [35, 2, 30, 9]]);
    }
}
