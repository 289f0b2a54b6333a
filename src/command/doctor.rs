//! `squall doctor`: what is wrong, and what to type.

use std::path::Path;

use super::block_on;
use crate::app;
use crate::embed::Role;
use crate::error::Exit;
use crate::parse::local::{Engine, HOW};
use crate::present::{Check, Printer, Report};
use crate::settings::{OcrChoice, Settings};
use crate::store::{EmbeddedStore, Store as _};
use crate::text::count;

pub fn run(settings: &Settings, printer: &Printer) -> anyhow::Result<Exit> {
    let checks = vec![
        data_directory(&settings.data_dir),
        store(settings),
        model(settings),
        ocr(settings),
        token(settings),
        service(settings),
    ];
    let healthy = checks.iter().all(|check| check.ok);
    // The directory and the store come first in the list of exit codes as they do here.
    let exit = match checks.iter().position(|check| !check.ok) {
        None => Exit::Done,
        Some(0 | 1) => Exit::Store,
        Some(5) => Exit::Service,
        Some(_) => Exit::Usage,
    };
    printer.print(&Report::Doctor { healthy, checks })?;
    Ok(exit)
}

fn data_directory(dir: &Path) -> Check {
    let probe = || {
        std::fs::create_dir_all(dir)?;
        tempfile::tempfile_in(dir).map(drop)
    };
    Check::of(
        "data directory",
        probe().map(|()| dir.display().to_string()),
        |error| {
            (
                format!("{} cannot be written: {error}", dir.display()),
                "choose another with --data-dir or SQUALL_DATA_DIR",
            )
        },
    )
}

fn store(settings: &Settings) -> Check {
    let open = || -> anyhow::Result<String> {
        if !EmbeddedStore::exists(&settings.data_dir)? {
            return Ok("empty: type `squall ingest FOLDER`".into());
        }
        let store = EmbeddedStore::open(&settings.data_dir)?;
        store.refuse_lost_writes()?;
        let rows = store.collections()?;
        store.check_derived()?;
        let (documents, chunks) = rows
            .iter()
            .fold((0, 0), |(d, c), row| (d + row.documents, c + row.chunks));
        Ok(format!(
            "{}, {}, {}",
            count(rows.len() as u64, "collection"),
            count(documents, "document"),
            count(chunks, "chunk")
        ))
    };
    Check::of("index", open(), |error| {
        (
            format!("{error:#}"),
            "type `squall verify` to see what is wrong, `squall repair` to mend it",
        )
    })
}

fn model(settings: &Settings) -> Check {
    let embed = || -> anyhow::Result<String> {
        let mut lines = Vec::new();
        for embedder in app::models(settings)?.all() {
            let start = std::time::Instant::now();
            embedder.embed(&["a short sentence to try the model"], Role::Query)?;
            lines.push(format!(
                "{} ({}), {} dimensions, {} tokens, first vector after {} ms",
                embedder.name(),
                embedder.fingerprint(),
                embedder.dimension(),
                embedder.max_tokens(),
                start.elapsed().as_millis()
            ));
        }
        Ok(lines.join("; "))
    };
    Check::of("model", embed(), |error| {
        (
            format!("{error:#}"),
            "leave out --model and --device to use the built-in one on this processor",
        )
    })
}

fn ocr(settings: &Settings) -> Check {
    let engine = Engine::find(settings.language.as_deref());
    let detail = match (settings.ocr, engine.as_ref().map(Engine::skills)) {
        (OcrChoice::Off, _) => "off: pictures and scanned pages are not read".to_owned(),
        (OcrChoice::Auto, Some(Some(skills))) => {
            format!("{}, languages {}", skills.version, skills.languages)
        }
        (OcrChoice::Auto, Some(None)) => {
            "tesseract does not run, or knows none of the languages asked for".to_owned()
        }
        (OcrChoice::Auto, None) => {
            format!("none: pictures and scanned pages have no text; {HOW}")
        }
    };
    Check::fine("ocr", detail)
}

fn token(settings: &Settings) -> Check {
    let text = match &settings.storm_token {
        Some(_) => "set (not shown)",
        None => "not set: documents are parsed on this machine; set STORM_API_TOKEN to use Storm",
    };
    Check::fine("storm token", text)
}

fn service(settings: &Settings) -> Check {
    if settings.storm_token.is_none() {
        return Check::fine("storm service", "not asked, as no token is set");
    }
    let reach = || -> anyhow::Result<String> {
        let client = app::storm_client(settings)?;
        let reach = block_on(async { Ok(client.reach().await?) })?;
        Ok(format!("{} answers, API {:?}", client.base(), reach.api))
    };
    Check::of("storm service", reach(), |error| {
        (
            format!("{error:#}"),
            "or parse on this machine with --parser local",
        )
    })
}
