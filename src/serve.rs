//! The pipelines over HTTP. One router factory, one state, one error type; no logic in a handler.

mod guard;
mod handlers;
mod worker;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use worker::work;

use crate::document::SCHEMA;
use crate::embed::Models;
use crate::error::Error;
use crate::ingest::{Budget, Observer, Parsers};
use crate::settings::Settings;
use crate::store::Store;

/// Largest upload, in bytes.
const MAX_UPLOAD: usize = 200 << 20;
/// What `sources.root` says of documents that came over HTTP.
const UPLOAD_ROOT: &str = "upload";

/// What every request shares.
pub struct State {
    settings: Settings,
    parsers: Parsers,
    models: Models,
    store: Arc<dyn Store>,
    observer: Arc<dyn Observer>,
    /// What may still be sent away while this server runs.
    budget: Mutex<Budget>,
    /// Cancelled when the server is to shut down.
    stop: CancellationToken,
    /// Rung when there is a new job.
    bell: Notify,
}

impl State {
    pub fn new(
        settings: Settings,
        parsers: Parsers,
        models: Models,
        store: Arc<dyn Store>,
        observer: Arc<dyn Observer>,
        stop: CancellationToken,
    ) -> Self {
        let budget = Mutex::new(Budget {
            pages: settings.max_pages,
            bytes: settings.max_bytes,
        });
        Self {
            budget,
            settings,
            parsers,
            models,
            store,
            observer,
            stop,
            bell: Notify::new(),
        }
    }
}

/// The service as a router, ready for a listener or a test.
pub fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/health", get(handlers::health))
        .route("/ingest", post(handlers::ingest))
        .route("/ingest/status/{job_id}", get(handlers::job))
        .route("/query", post(handlers::query))
        .fallback(handlers::nowhere)
        .layer(DefaultBodyLimit::max(MAX_UPLOAD))
        .layer(from_fn_with_state(Arc::clone(&state), guard::guard))
        .with_state(state)
}

/// An error as the client sees it: a status and `{"schema":1,"error":...}`. What went wrong inside
/// is logged, not sent.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"schema": SCHEMA, "error": self.message});
        (self.status, axum::Json(body)).into_response()
    }
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast_ref::<Error>() {
            Some(Error::Usage(message)) => Self::new(StatusCode::BAD_REQUEST, message),
            Some(Error::NotFound(message)) => Self::new(StatusCode::NOT_FOUND, message),
            _ => {
                tracing::error!("{error:#}");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal error, see the log",
                )
            }
        }
    }
}
