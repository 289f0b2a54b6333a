//! The service over HTTP. One router factory, one error type; no logic in a handler.

mod access;
mod auth;
mod documents;
mod events;
mod form;
mod guard;
mod jobs;
mod listen;
mod openai;
mod page;
mod questions;
mod reply;
mod simple;
mod storm;
mod users;
mod watch;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tower::Layer as _;
use tower_http::limit::RequestBodyLimitLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use listen::listen;

use crate::mcp::Tools;
use crate::service::Service;

/// Bytes of a form beside its files.
const FORM: u64 = 1 << 20;
/// Bytes of any other body.
const BODY: usize = 1 << 20;

/// What the routes have in common.
#[derive(OpenApi)]
#[openapi(info(
    title = "Squall",
    description = "Documents in, cited answers out. Every answer is {\"success\":true,\"message\":...,\"data\":...}, \
    every error {\"success\":false,\"message\":...,\"error_code\":...,\"details\":...}."
))]
struct Api;

/// The routes that the OpenAPI document describes, and that document.
fn api(uploads: DefaultBodyLimit) -> (Router<Arc<Service>>, utoipa::openapi::OpenApi) {
    let uploads = OpenApiRouter::new()
        .routes(routes!(documents::list, documents::upload))
        .layer(uploads);
    OpenApiRouter::with_openapi(Api::openapi())
        .merge(uploads)
        .routes(routes!(documents::summary))
        .routes(routes!(documents::detail, documents::remove))
        .routes(routes!(documents::reprocess))
        .routes(routes!(documents::download))
        .routes(routes!(documents::page))
        .routes(routes!(documents::chunks))
        .routes(routes!(documents::extracted_data))
        .routes(routes!(documents::reports))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::detail))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::retry))
        .routes(routes!(questions::collections))
        .routes(routes!(questions::search))
        .routes(routes!(questions::query))
        .routes(routes!(events::stream))
        .routes(routes!(auth::login))
        .routes(routes!(auth::register))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(users::list))
        .routes(routes!(users::me))
        .routes(routes!(users::profile))
        .routes(routes!(users::user, users::change, users::remove))
        .split_for_parts()
}

/// The tools for language models over HTTP; each call stands for itself. Names and origins are checked by
/// [`guard`], for all routes alike.
fn mcp(service: &Arc<Service>) -> StreamableHttpService<Tools, LocalSessionManager> {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_cancellation_token(service.stop.child_token())
        .disable_allowed_hosts();
    let service = Arc::clone(service);
    StreamableHttpService::new(
        move || Ok(Tools::new(Arc::clone(&service))),
        Arc::new(LocalSessionManager::default()),
        config,
    )
}

/// The service as a router, ready for a listener or a test.
pub fn router(service: Arc<Service>) -> Router {
    let most = service.settings().max_upload.saturating_add(FORM);
    let uploads = DefaultBodyLimit::max(usize::try_from(most).unwrap_or(usize::MAX));
    let (api, openapi) = api(uploads);
    let openapi = Arc::new(openapi.to_json().unwrap_or_default());
    let tools = mcp(&service);
    api.merge(page::routes())
        .route_service("/mcp", RequestBodyLimitLayer::new(BODY).layer(tools))
        .merge(storm::routes().layer(uploads))
        .merge(openai::routes())
        .route("/health", get(watch::health))
        .route("/ready", get(watch::ready))
        .route("/metrics", get(watch::metrics))
        .route("/ws", get(events::socket))
        .route("/openapi.json", get(move || watch::openapi(openapi)))
        .route("/ingest", post(simple::ingest).layer(uploads))
        .route("/ingest/status/{job_id}", get(simple::job))
        .route("/query", post(simple::query))
        .fallback(watch::nowhere)
        .method_not_allowed_fallback(watch::not_so)
        .route_layer(from_fn_with_state(Arc::clone(&service), watch::measure))
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn_with_state(Arc::clone(&service), access::access))
        .layer(from_fn_with_state(Arc::clone(&service), guard::guard))
        .with_state(service)
}
