//! What keeps pages of other sites from using the server through a visitor's browser, and headers that
//! keep browsers from making more of an answer than it is.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tracing::Instrument as _;

use super::reply::Refusal;
use super::watch::{Entry, request_id};
use crate::service::Service;
use crate::settings::Settings;

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
pub async fn guard(
    State(service): State<Arc<Service>>,
    mut request: Request,
    next: Next,
) -> Response {
    let settings = service.settings();
    if let Some(ConnectInfo(from)) = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .copied()
    {
        let ip = client(from.ip(), request.headers(), &settings.proxies);
        let from = SocketAddr::new(ip, from.port());
        request.extensions_mut().insert(ConnectInfo(from));
    }
    let dressed = dressed(request.uri().path());
    let patience = match is_form(request.headers()) {
        true => PATIENCE_WITH_FILES,
        false => PATIENCE,
    };
    let id = request_id(request.headers().get(REQUEST_ID));
    let entry = Entry::new(&request, &id);
    let span = tracing::error_span!("request", id = entry.id);
    let mut answer = match refused(request.headers(), &Names::of(&settings)) {
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

/// Whom a request comes from. Each proxy adds where it has it from at the end; what comes before the last
/// one of ours may be made up.
fn client(from: IpAddr, headers: &HeaderMap, proxies: &[IpAddr]) -> IpAddr {
    let from = from.to_canonical();
    if !proxies.contains(&from) {
        return from;
    }
    let lines = headers.get_all("x-forwarded-for");
    let texts: Vec<&str> = lines.iter().filter_map(|line| line.to_str().ok()).collect();
    let hops = texts.iter().flat_map(|line| line.split(','));
    let hops: Vec<Option<IpAddr>> = hops.map(|hop| hop.trim().parse().ok()).collect();
    let known = hops.iter().rev().map_while(|hop| *hop);
    let mut known = known.map(|hop| hop.to_canonical());
    known.find(|hop| !proxies.contains(hop)).unwrap_or(from)
}

/// The names a server answers to, beside those of this machine; all, where it is open and no name was given.
struct Names<'s> {
    any: bool,
    given: &'s [String],
}

impl<'s> Names<'s> {
    fn of(settings: &'s Settings) -> Self {
        Self {
            any: !settings.addr.ip().is_loopback() && settings.hosts.is_empty(),
            given: &settings.hosts,
        }
    }

    fn have(&self, host: &str) -> bool {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let is =
            |given: &String| given.eq_ignore_ascii_case(name) || given.eq_ignore_ascii_case(host);
        self.any || is_local(host) || self.given.iter().any(is)
    }
}

/// Why a request is not let through. A name of the outer world that leads to a server on a loopback address,
/// and that its user has not given, was pointed here by someone else (DNS rebinding).
fn refused(headers: &HeaderMap, names: &Names<'_>) -> Option<Refusal> {
    let text = |name: header::HeaderName| Some(headers.get(name)?.to_str().unwrap_or("?"));
    let host = text(header::HOST).unwrap_or("");
    if !names.have(host) {
        return Some(Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            "WRONG_HOST",
            "this server answers to localhost, 127.0.0.1, [::1] and the names given with --host only",
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
        let names = Names {
            any: !is_loopback,
            given: &["docs.example".to_owned()],
        };
        refused(&map, &names).map(|refusal| refusal.status)
    }

    #[test]
    fn only_proxies_of_ours_say_where_a_request_comes_from() {
        let [proxy, inner, far] = [1, 2, 9].map(|n| IpAddr::from([10, 0, 0, n]));
        let seen = |from: IpAddr, said: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in said {
                headers.append("x-forwarded-for", HeaderValue::from_static(line));
            }
            client(from, &headers, &[proxy, inner])
        };
        assert_eq!(seen(far, &["1.1.1.1"]), far);
        assert_eq!(seen(proxy, &["1.1.1.1, 10.0.0.9"]), far);
        assert_eq!(seen(proxy, &["1.1.1.1", "10.0.0.9, 10.0.0.2"]), far);
        for said in [&[][..], &["unknown"], &["1.1.1.1, unknown"], &["10.0.0.2"]] {
            assert_eq!(seen(proxy, said), proxy, "{said:?}");
        }
        let mapped = "::ffff:10.0.0.1".parse().unwrap();
        assert_eq!(
            seen(mapped, &["2001:db8::1"]),
            "2001:db8::1".parse::<IpAddr>().unwrap()
        );
    }

    #[test]
    fn local_names_are_answered_to() {
        for host in [
            "localhost",
            "LOCALHOST:8000",
            "127.0.0.1",
            "127.0.0.1:8000",
            "[::1]:8000",
            "docs.example",
            "Docs.Example:443",
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
