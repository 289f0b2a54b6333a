//! What operators and programs ask of the server itself.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::body::HttpBody as _;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::reply::{Json, Refusal, Reply, blocking};
use crate::accounts::Who;
use crate::document::SCHEMA;
use crate::logs::ACCESS;
use crate::service::Service;

/// Alive.
pub async fn health() -> Json<Value> {
    Json(json!({"schema": SCHEMA, "status": "ok", "version": env!("CARGO_PKG_VERSION")}))
}

/// Able to work: the store can be read, the model loads, the disk has room.
pub async fn ready(State(service): State<Arc<Service>>) -> Reply<Json<Value>> {
    let why = blocking(move || service.unready()).await;
    match why.unwrap_or_else(|refusal| Some(refusal.message)) {
        None => Ok(Json(json!({"schema": SCHEMA, "status": "ready"}))),
        Some(why) => Err(Refusal::busy(&why, 10)),
    }
}

/// Counts and times for Prometheus.
pub async fn metrics(State(service): State<Arc<Service>>) -> Reply<Response> {
    let text = blocking(move || {
        let jobs = service.store.job_states()?;
        let jobs = jobs.iter().map(|(state, count)| (state.as_str(), *count));
        Ok(service.metrics.text(jobs))
    });
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text.await?).into_response())
}

pub async fn openapi(document: Arc<String>) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, document.as_str().to_owned()).into_response()
}

pub async fn nowhere() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "NOT_FOUND",
        "no such route; /docs lists those of /api, the README the others",
    )
}

pub async fn not_so() -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "METHOD_NOT_ALLOWED",
        "this route does not take that method",
    )
}

static KNOWN: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// Counts a request.
pub async fn measure(
    State(service): State<Arc<Service>>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    // What a client makes up is no label.
    let known = KNOWN.iter().find(|known| *known == request.method());
    let method = known.map_or("other", Method::as_str).to_owned();
    let route = route.map_or_else(|| "other".to_owned(), |route| route.as_str().to_owned());
    let answer = next.run(request).await;
    let (status, time) = (answer.status().as_u16(), start.elapsed());
    service.metrics.request(&route, &method, status, time);
    answer
}

/// A line of the access log, begun as a request comes. No query string is in it: it may hold a token.
pub struct Entry {
    pub id: String,
    from: Option<IpAddr>,
    method: Method,
    path: String,
    start: Instant,
    is_written: bool,
}

/// What is written where a client went away before there was an answer.
const GONE: u16 = 499;

impl Entry {
    pub fn new(request: &Request, id: &HeaderValue) -> Self {
        let from = request.extensions().get::<ConnectInfo<SocketAddr>>();
        Self {
            id: id.to_str().unwrap_or("-").to_owned(),
            from: from.map(|from| from.ip()),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            start: Instant::now(),
            is_written: false,
        }
    }

    /// Writes it, when the answer has begun.
    pub fn log(mut self, answer: &Response) {
        let who = answer.extensions().get::<Who>();
        let bytes = answer.body().size_hint().exact();
        self.write(answer.status().as_u16(), who, bytes);
    }

    fn write(&mut self, status: u16, who: Option<&Who>, bytes: Option<u64>) {
        self.is_written = true;
        tracing::info!(
            target: ACCESS,
            id = self.id,
            from = self.from.map(|ip| ip.to_string()),
            user = who.map(|who| who.username.as_str()),
            method = self.method.as_str(),
            path = self.path,
            status,
            ms = (self.start.elapsed().as_secs_f64() * 1e4).round() / 10.0,
            bytes,
        );
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.is_written {
            self.write(GONE, None, None);
        }
    }
}

/// An id for the request, in the answer and in the log: the client's, if it is a sensible one.
pub fn request_id(given: Option<&HeaderValue>) -> HeaderValue {
    let is_sensible = |text: &&str| {
        (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if let Some(given) = given
        && given.to_str().ok().filter(is_sensible).is_some()
    {
        return given.clone();
    }
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let text = format!("{:x}-{n:x}", std::process::id());
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("-"))
}
