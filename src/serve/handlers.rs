//! One function a route: read the request, call the pipeline, shape the answer.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::multipart::{Field, Multipart, MultipartError, MultipartRejection};
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::{Refusal, State, UPLOAD_ROOT};
use crate::ask::{Asker, check_question, collection_to_ask};
use crate::document::{Answer, DocumentId, Filter, SCHEMA, Source, Tags};
use crate::ledger::{Job, JobState, Target};
use crate::retrieve::Search;
use crate::settings::MAX_TOP_K;
use crate::store::JobRow;

type Reply<T> = Result<T, Refusal>;

pub async fn health() -> Json<Value> {
    Json(json!({"schema": SCHEMA, "status": "ok", "version": env!("CARGO_PKG_VERSION")}))
}

pub async fn nowhere() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "no such route; there are POST /ingest, GET /ingest/status/{job_id}, POST /query, GET /health",
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    query: String,
    top_k: Option<usize>,
}

#[derive(Serialize)]
pub struct Versioned<T> {
    schema: u32,
    #[serde(flatten)]
    inner: T,
}

pub async fn query(
    Shared(state): Shared<Arc<State>>,
    body: Result<Json<Question>, JsonRejection>,
) -> Reply<Json<Versioned<Answer>>> {
    let Json(question) = body.map_err(|error| Refusal::new(error.status(), error.body_text()))?;
    let top_k = question.top_k.unwrap_or(state.settings.top_k);
    if !(1..=MAX_TOP_K).contains(&top_k) {
        let message = format!("top_k is {top_k}, it must be 1 to {MAX_TOP_K}");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
    }
    let inner = blocking(move || ask(&state, &question.query, top_k)).await?;
    Ok(Json(Versioned {
        schema: SCHEMA,
        inner,
    }))
}

fn ask(state: &State, question: &str, top_k: usize) -> anyhow::Result<Answer> {
    check_question(question)?;
    let (store, name) = (&*state.store, &state.settings.collection);
    if store.collection(name)?.is_none() {
        // It is made with the first document.
        return Ok(Answer::none(question));
    }
    let (collection, embedder) = collection_to_ask(store, name, &state.models)?;
    let asker = Asker {
        search: Search {
            store,
            embedder: &*embedder,
            collection,
            filter: Filter::default(),
            index: state.settings.index,
            mode: state.settings.mode,
        },
        top_k,
        min_confidence: state.settings.min_confidence,
    };
    asker.ask(question)
}

/// Takes a file and answers at once; the work goes on behind.
pub async fn ingest(
    Shared(state): Shared<Arc<State>>,
    form: Result<Multipart, MultipartRejection>,
) -> Reply<(StatusCode, Json<Value>)> {
    let mut form = form.map_err(|error| Refusal::new(error.status(), error.body_text()))?;
    while let Some(field) = form.next_field().await.map_err(bad_form)? {
        if field.name() == Some("file") {
            let (source, document_id) = receive(&state, field).await?;
            let worker = Arc::clone(&state);
            let job = blocking(move || enqueue(&worker, source, document_id)).await?;
            state.bell.notify_one();
            let status = match job.state {
                JobState::Completed => StatusCode::OK,
                _ => StatusCode::ACCEPTED,
            };
            let body = json!({"schema": SCHEMA, "job_id": job.id, "state": job.state});
            return Ok((status, Json(body)));
        }
    }
    Err(Refusal::new(
        StatusCode::BAD_REQUEST,
        "the form has no part named 'file'",
    ))
}

/// Writes an upload to the spool folder under its content hash, never under the client's name.
async fn receive(state: &State, mut field: Field<'_>) -> Reply<(Source, DocumentId)> {
    let name = crate::text::nfc(field.file_name().unwrap_or_default());
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "the part 'file' needs a file name",
        ));
    }
    let extension = extension(name);
    if !state.parsers.extensions().contains(&extension.as_str()) {
        let kinds = state.parsers.extensions().join(", ");
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("'{name}' is not of a kind this parser takes: {kinds}"),
        ));
    }
    let name = name.to_owned();
    let spool = state.settings.data_dir.join("uploads");
    let (temporary, size, document_id) = spooled(&spool, &mut field).await?;
    let file = spool.join(format!("{document_id}.{extension}"));
    blocking({
        let file = file.clone();
        move || {
            temporary.as_file().sync_all()?;
            temporary.persist(&file)?;
            Ok(())
        }
    })
    .await?;
    let source = Source {
        path: name,
        file,
        root: UPLOAD_ROOT.to_owned(),
        size,
        modified: 0,
    };
    Ok((source, document_id))
}

async fn spooled(
    spool: &PathBuf,
    field: &mut Field<'_>,
) -> Reply<(tempfile::NamedTempFile, u64, DocumentId)> {
    let store = |error: std::io::Error| anyhow::Error::new(error).context("writing an upload");
    std::fs::create_dir_all(spool).map_err(store)?;
    let temporary = tempfile::NamedTempFile::new_in(spool).map_err(store)?;
    let mut file = tokio::fs::File::from_std(temporary.reopen().map_err(store)?);
    let (mut size, mut hasher) = (0, blake3::Hasher::new());
    while let Some(piece) = field.chunk().await.map_err(bad_form)? {
        size += piece.len() as u64;
        hasher.update(&piece);
        file.write_all(&piece).await.map_err(store)?;
    }
    file.flush().await.map_err(store)?;
    let document_id = DocumentId(hasher.finalize().to_hex().to_string());
    Ok((temporary, size, document_id))
}

/// Writes the job and where its pages go; the answer may be sent once this returns. A job the
/// worker may be at is only ever moved from a state it cannot be at work in.
fn enqueue(state: &State, mut source: Source, document_id: DocumentId) -> anyhow::Result<Job> {
    let (store, service) = (&state.store, state.parsers.first.service());
    let collection = state.settings.collection.clone();
    let new = Job::new(service, &document_id, source.size);
    source.path = free_name(state, &source.path, &document_id)?;
    let job = store.begin(&new)?;
    if store.contains(&collection, &document_id)? {
        store.attach(&collection, &document_id, &source, &Tags::new())?;
        // The document is in; its bytes need not be kept a second time.
        let _ = std::fs::remove_file(&source.file);
        store.transition(&job.id, job.state, JobState::Completed)?;
        return Ok(Job {
            state: JobState::Completed,
            ..job
        });
    }
    // What the service refused, forgot or may have billed is not sent again by a mere upload.
    let again = job.state == JobState::Completed
        || (job.state == JobState::Failed && !state.parsers.first.is_remote());
    if again {
        store.transition(&job.id, job.state, JobState::Queued)?;
    }
    let target = Target {
        collection,
        source,
        tags: Tags::new(),
    };
    store.add_target(&job.id, &target)?;
    Ok(store.job(&job.id)?.unwrap_or(job))
}

/// `name`, or `name (first digits of the hash)` where another document has that name: an upload
/// never replaces what somebody else sent.
fn free_name(state: &State, name: &str, document_id: &DocumentId) -> anyhow::Result<String> {
    let stored = state.store.source(&state.settings.collection, name)?;
    let taken = stored.is_some_and(|known| known.document_id != *document_id)
        || state.store.open_jobs()?.iter().any(|row| {
            row.job.document_id != *document_id && row.paths.iter().any(|path| path == name)
        });
    if !taken {
        return Ok(name.to_owned());
    }
    let digits: String = document_id.0.chars().take(8).collect();
    Ok(match name.rsplit_once('.') {
        Some((stem, extension)) => format!("{stem} ({digits}).{extension}"),
        None => format!("{name} ({digits})"),
    })
}

pub async fn job(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Reply<Json<Value>> {
    let wanted = id.clone();
    let row = blocking(move || state.store.job_row(&wanted)).await?;
    let Some(JobRow { job, paths, .. }) = row else {
        let message = format!("there is no job {id}");
        return Err(Refusal::new(StatusCode::NOT_FOUND, message));
    };
    Ok(Json(json!({
        "schema": SCHEMA,
        "job_id": job.id,
        "state": job.state,
        "document_id": job.document_id,
        "documents": paths,
        "pages": job.pages,
        "attempts": job.attempts,
        "error": job.error,
        "created_at": job.created_at,
        "updated_at": job.updated_at,
    })))
}

fn extension(name: &str) -> String {
    let (_, extension) = name.rsplit_once('.').unwrap_or_default();
    extension.to_lowercase()
}

fn bad_form(error: MultipartError) -> Refusal {
    Refusal::new(error.status(), error.body_text())
}

/// Runs store and model work off the threads that serve sockets.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> Reply<T> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| anyhow::Error::new(error).context("a request crashed"))?;
    Ok(done?)
}
