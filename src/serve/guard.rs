//! What keeps pages of other sites from using the server through a visitor's browser, and headers that
//! keep browsers from making more of an answer than it is.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tracing::Instrument as _;

use super::reply::Refusal;
use super::watch::{Entry, request_id};
use crate::service::Service;

/// Sent with every answer.
const HEADERS: [(header::HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
];

/// Longest time for a request to come and its answer to begin, and the same with files, pieces of which
/// have a limit of their own.
const PATIENCE: Duration = Duration::from_secs(120);
const PATIENCE_WITH_FILES: Duration = Duration::from_secs(3600);

const REQUEST_ID: &str = "x-request-id";

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/"))
}

/// How a route tells of errors; those that stand in for Storm and the simple ones have told already.
fn dressed(path: &str) -> Option<fn(Refusal) -> Response> {
    if path.starts_with("/v1/") {
        return Some(Refusal::into_openai);
    }
    let is_storm = path.starts_with("/api/v1/") || path.starts_with("/api/v2/");
    (path.starts_with("/api/") && !is_storm).then_some(Refusal::into_envelope)
}

/// Lets a request through if nothing speaks against it.
pub async fn guard(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let is_loopback = service.settings().addr.ip().is_loopback();
    let dressed = dressed(request.uri().path());
    let patience = match is_form(request.headers()) {
        true => PATIENCE_WITH_FILES,
        false => PATIENCE,
    };
    let id = request_id(request.headers().get(REQUEST_ID));
    let entry = Entry::new(&request, &id);
    let span = tracing::error_span!("request", id = entry.id);
    let mut answer = match refused(request.headers(), is_loopback) {
        Some(refusal) => refusal.into_response(),
        None => match tokio::time::timeout(patience, next.run(request).instrument(span)).await {
            Ok(answer) => answer,
            Err(_) => Refusal::new(
                StatusCode::REQUEST_TIMEOUT,
                "TIMEOUT",
                "the request took too long to arrive or to answer",
            )
            .into_response(),
        },
    };
    entry.log(&answer);
    if let Some(dressed) = dressed
        && let Some(refusal) = answer.extensions_mut().remove::<Refusal>()
    {
        answer = dressed(refusal);
    }
    answer.headers_mut().insert(REQUEST_ID, id);
    for (name, value) in HEADERS {
        answer
            .headers_mut()
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    answer
}

/// Why a request is not let through. A server on a loopback address answers to local names only: a
/// name of the outer world that leads here was pointed here by someone else (DNS rebinding).
fn refused(headers: &HeaderMap, is_loopback: bool) -> Option<Refusal> {
    let text = |name: header::HeaderName| Some(headers.get(name)?.to_str().unwrap_or("?"));
    let host = text(header::HOST).unwrap_or("");
    if is_loopback && !is_local(host) {
        return Some(Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            "WRONG_HOST",
            "this server answers to localhost, 127.0.0.1 and [::1] only",
        ));
    }
    let is_own = |origin: &str| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    };
    let is_foreign = text(header::ORIGIN).is_some_and(|origin| !is_own(origin));
    let is_cross_site = headers
        .get("sec-fetch-site")
        .is_some_and(|site| site == "cross-site");
    (is_foreign || is_cross_site).then(|| {
        Refusal::new(
            StatusCode::FORBIDDEN,
            "CROSS_SITE",
            "a page of another site may not use this server",
        )
    })
}

/// Whether a Host header names this machine to itself.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(headers: &[(&'static str, &str)], is_loopback: bool) -> Option<StatusCode> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        refused(&map, is_loopback).map(|refusal| refusal.status)
    }

    #[test]
    fn local_names_are_answered_to() {
        for host in [
            "localhost",
            "LOCALHOST:8000",
            "127.0.0.1",
            "127.0.0.1:8000",
            "[::1]:8000",
        ] {
            assert_eq!(status(&[("host", host)], true), None, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8000",
            "localhost.evil.example",
            "[::1",
            "",
            "10.0.0.1",
        ] {
            let misdirected = Some(StatusCode::MISDIRECTED_REQUEST);
            assert_eq!(status(&[("host", host)], true), misdirected, "{host}");
            assert_eq!(status(&[("host", host)], false), None, "{host}");
        }
    }

    #[test]
    fn pages_of_other_sites_are_refused_and_own_ones_are_not() {
        let host = ("host", "localhost:8000");
        let own = [host, ("origin", "http://localhost:8000")];
        assert_eq!(status(&own, true), None);
        for origin in [
            "http://localhost:8001",
            "http://evil.example",
            "null",
            "http://localhost:8000.evil.example",
        ] {
            let foreign = [host, ("origin", origin)];
            assert_eq!(
                status(&foreign, true),
                Some(StatusCode::FORBIDDEN),
                "{origin}"
            );
            assert_eq!(
                status(&foreign, false),
                Some(StatusCode::FORBIDDEN),
                "{origin}"
            );
        }
        let fetched = [host, ("sec-fetch-site", "cross-site")];
        assert_eq!(status(&fetched, true), Some(StatusCode::FORBIDDEN));
        let fetched = [host, ("sec-fetch-site", "same-origin")];
        assert_eq!(status(&fetched, true), None);
    }
}
