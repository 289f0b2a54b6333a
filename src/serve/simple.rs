//! The simple routes: a file in, how its job stands, a question.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::multipart::{Multipart, MultipartRejection};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::access::collection;
use super::form;
use super::jobs;
use super::reply::{Json, Path, Reply, blocking};
use crate::accounts::Who;
use crate::document::{Answer, SCHEMA};
use crate::ledger::JobState;
use crate::service::{Question, Service};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
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
    State(service): State<Arc<Service>>,
    who: Who,
    Json(asked): Json<Asked>,
) -> Reply<Json<Versioned<Answer>>> {
    let collection = collection(&service, &who, None)?;
    let question = Question::new(asked.query, asked.top_k, collection);
    let inner = blocking(move || service.answer(&question, &mut |_| ())).await?;
    Ok(Json(Versioned {
        schema: SCHEMA,
        inner,
    }))
}

/// Takes a file and answers at once; the work goes on behind.
pub async fn ingest(
    State(service): State<Arc<Service>>,
    who: Who,
    body: Result<Multipart, MultipartRejection>,
) -> Reply<(StatusCode, Json<Value>)> {
    let form = form::read(&service, body, &service.parsers().extensions()).await?;
    let accepted = form::accept(&service, &who, form).await?;
    // A form has at least one file; those behind the first are jobs too, which the list of jobs shows.
    let first = accepted.into_iter().next();
    let job = first.ok_or_else(|| anyhow::anyhow!("a form without files was accepted"))?;
    let status = match job.state == JobState::Completed.as_str() {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    let body = json!({"schema": SCHEMA, "job_id": job.job_id, "state": job.state});
    Ok((status, Json(body)))
}

pub async fn job(
    State(service): State<Arc<Service>>,
    who: Who,
    Path(id): Path<String>,
) -> Reply<Json<Value>> {
    let job = jobs::visible(service, who, id).await?;
    Ok(Json(json!({
        "schema": SCHEMA,
        "job_id": job.job_id,
        "state": job.state,
        "document_id": job.document_id,
        "documents": job.names,
        "pages": job.pages,
        "attempts": job.attempts,
        "error": job.error,
        "created_at": job.created_at,
        "updated_at": job.updated_at,
    })))
}
