//! The Storm Parse API in both generations, so that its clients work against this server unchanged.
//! Files are parsed here and their pages handed back.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::extract::multipart::{Multipart, MultipartRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::form;
use super::reply::{Json, Path, Refusal, Reply, blocking};
use crate::service::{Parse, ParseState, Service};

/// Upload and poll, of both generations.
pub fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/api/v1/parsing/upload", post(upload_v1))
        .route("/api/v1/parsing/job/{id}", get(job_v1))
        .route("/api/v2/parse/by-file", post(upload_v2))
        .route("/api/v2/parse/job/{id}", get(job_v2))
}

async fn upload_v1(
    State(service): State<Arc<Service>>,
    body: Result<Multipart, MultipartRejection>,
) -> Response {
    match upload(service, body).await {
        Ok(parse) => envelope(Ok(v1(&parse))),
        Err(refusal) => (refusal.status, envelope(Err(refusal.message))).into_response(),
    }
}

async fn job_v1(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Response {
    match blocking(move || service.parse(&id)).await {
        Ok(Some(parse)) if parse.state == ParseState::Failed => {
            let error = parse.error.clone().unwrap_or_default();
            Json(json!({"result_type": "ERROR", "error": error, "success": v1(&parse)}))
                .into_response()
        }
        Ok(Some(parse)) => envelope(Ok(v1(&parse))),
        Ok(None) => envelope(Err("Job not found".to_owned())),
        Err(refusal) => (refusal.status, envelope(Err(refusal.message))).into_response(),
    }
}

async fn upload_v2(
    State(service): State<Arc<Service>>,
    body: Result<Multipart, MultipartRejection>,
) -> Response {
    match upload(service, body).await {
        Ok(parse) => (StatusCode::CREATED, Json(v2(&parse))).into_response(),
        Err(refusal) => wrong(refusal),
    }
}

async fn job_v2(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Response {
    match blocking(move || service.parse(&id)).await {
        Ok(Some(parse)) => Json(v2(&parse)).into_response(),
        Ok(None) => wrong(Refusal::new(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            "Job not found",
        )),
        Err(refusal) => wrong(refusal),
    }
}

async fn upload(
    service: Arc<Service>,
    body: Result<Multipart, MultipartRejection>,
) -> Reply<Parse> {
    let asked = Arc::clone(&service);
    if blocking(move || Ok(asked.has_many_parses())).await? {
        return Err(Refusal::busy("too many files wait already", 60));
    }
    let kinds = service.parsers().counter.extensions();
    let form = form::read(&service, body, kinds).await?;
    let upload = form.uploads.into_iter().next();
    let upload = upload.ok_or_else(|| anyhow::anyhow!("a form without files was accepted"))?;
    blocking(move || service.request_parse(upload)).await
}

fn wrong(refusal: Refusal) -> Response {
    (refusal.status, Json(json!({"error": refusal.message}))).into_response()
}

/// As the first generation answers.
fn envelope(outcome: Result<Value, String>) -> Response {
    let body = match outcome {
        Ok(job) => json!({"result_type": "SUCCESS", "error": null, "success": job}),
        Err(error) => json!({"result_type": "ERROR", "error": error, "success": null}),
    };
    Json(body).into_response()
}

/// `YYYY-MM-DD HH:MM:SS`, as the first generation writes times.
fn plain(time: &str) -> String {
    time.replace('T', " ").trim_end_matches('Z').to_owned()
}

fn v1(parse: &Parse) -> Value {
    let mut job = json!({
        "job_id": parse.id,
        "state": parse.state,
        "requested_at": plain(&parse.requested_at),
    });
    if let Some(at) = &parse.completed_at {
        job["completed_at"] = json!(plain(at));
    }
    if parse.state == ParseState::Completed {
        job["pages"] = parse
            .pages
            .iter()
            .map(|page| json!({"pageNumber": page.number, "content": page.text}))
            .collect();
    }
    job
}

fn v2(parse: &Parse) -> Value {
    let mut job = json!({
        "jobId": parse.id,
        "state": parse.state,
        "requestedAt": parse.requested_at,
    });
    if let Some(at) = &parse.completed_at {
        job["completedAt"] = json!(at);
    }
    if let Some(error) = &parse.error {
        job["error"] = json!(error);
    }
    if parse.state == ParseState::Completed {
        job["title"] = json!(parse.title);
        job["pages"] = parse
            .pages
            .iter()
            .map(|page| {
                json!({"pageNumber": page.number, "content": page.text, "tables": [], "figures": []})
            })
            .collect();
    }
    job
}
