//! Who may do what: no login on a loopback address unless it is asked for, a login on every other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::reply::{Refusal, Reply, blocking};
use crate::accounts::{Role, Who};
use crate::service::Service;

/// What may be seen without a login: the page itself, signs of life, and the way in.
const OPEN: [&str; 9] = [
    "/",
    "/docs",
    "/openapi.json",
    "/health",
    "/ready",
    "/api/auth/login",
    "/api/auth/register",
    "/api/auth/refresh",
    "/api/auth/logout",
];

/// What is asked to see whether the server lives.
const ALIVE: [&str; 2] = ["/health", "/ready"];

/// What may be sent by who only reads.
const ASKING: [&str; 6] = [
    "/query",
    "/api/query",
    "/api/search",
    "/mcp",
    "/v1/embeddings",
    "/v1/chat/completions",
];

/// Lets through who may; handlers find out by [`Who`] who it is.
pub async fn access(
    State(service): State<Arc<Service>>,
    mut request: Request,
    next: Next,
) -> Response {
    let admitted = admit(&service, &request);
    if let Some(wait) = too_fast(&service, &request, admitted.as_ref().ok()) {
        return Refusal {
            after: Some(wait.as_secs() + 1),
            ..Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                "TOO_MANY_REQUESTS",
                "too many requests, wait a little",
            )
        }
        .into_response();
    }
    match admitted {
        Ok(who) => {
            request.extensions_mut().insert(who.clone());
            let mut answer = next.run(request).await;
            // For the access log.
            answer.extensions_mut().insert(who);
            answer
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// How long a request must wait because there were too many: of the user, or without one of the address.
/// Signs of life are never kept back.
fn too_fast(service: &Service, request: &Request, who: Option<&Who>) -> Option<Duration> {
    if ALIVE.contains(&request.uri().path()) {
        return None;
    }
    let named = who.filter(|who| !who.username.is_empty() && service.accounts.is_some());
    let name = named.map(|who| match &who.user_id {
        Some(id) => format!("user {id}"),
        None => format!("token {}", who.username),
    });
    let from = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let address = || from.map_or_else(String::new, |from| from.ip().to_string());
    service.limit().wait(name.unwrap_or_else(address))
}

fn admit(service: &Service, request: &Request) -> Reply<Who> {
    let path = request.uri().path();
    let Some(accounts) = &service.accounts else {
        return Ok(Who::anybody());
    };
    let bearer = request.headers().get(header::AUTHORIZATION);
    let bearer = bearer.and_then(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        let token = token.trim();
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    });
    // A browser cannot send headers with a WebSocket.
    let in_query = || {
        let pairs = request.uri().query().filter(|_| path == "/ws")?.split('&');
        pairs
            .filter_map(|pair| pair.strip_prefix("access_token="))
            .next()
    };
    let who = match bearer.or_else(in_query) {
        Some(token) => accounts.who(token)?,
        None => None,
    };
    match who {
        Some(who) if who.role >= needed(request.method(), path) => Ok(who),
        Some(_) => Err(may_not()),
        None if OPEN.contains(&path) || path.starts_with("/page/") => Ok(Who::nobody()),
        None => Err(log_in()),
    }
}

/// The same one as of now, after a body that took its time.
pub async fn again(service: &Service, who: &Who, least: Role) -> Reply<Who> {
    let Some(accounts) = service.accounts.clone() else {
        return Ok(who.clone());
    };
    let who = who.clone();
    match blocking(move || accounts.again(&who)).await? {
        Some(who) if who.role >= least => Ok(who),
        Some(_) => Err(may_not()),
        None => Err(log_in()),
    }
}

fn may_not() -> Refusal {
    let message = "your role does not allow that";
    Refusal::new(StatusCode::FORBIDDEN, "FORBIDDEN", message)
}

fn log_in() -> Refusal {
    let message = "log in, or send a token: Authorization: Bearer ...";
    Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
}

/// The least role for a request.
fn needed(method: &Method, path: &str) -> Role {
    let is_asking = method == Method::GET
        || method == Method::HEAD
        || ASKING.contains(&path)
        || path.starts_with("/api/auth/")
        || path.starts_with("/api/users/");
    if is_asking {
        Role::Reader
    } else {
        Role::Writer
    }
}

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        _state: &S,
    ) -> Result<Self, Refusal> {
        let who = parts.extensions.get::<Who>().cloned();
        // A route that is not behind `access` serves nobody.
        who.ok_or_else(|| anyhow::anyhow!("a route without access control").into())
    }
}

/// The collection a request names, by default the server's, if `who` may use it.
pub fn collection(service: &Service, who: &Who, name: Option<&str>) -> Reply<String> {
    let name = service.collection_name(name)?;
    match who.may_use(&name, &service.settings().collection) {
        true => Ok(name),
        // Whether there is one is not told.
        false => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "FORBIDDEN",
            format!("collection '{name}' is not yours"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_asking_is_for_readers() {
        for path in ["/api/search", "/query", "/api/users/profile"] {
            assert_eq!(needed(&Method::POST, path), Role::Reader, "{path}");
        }
        assert_eq!(needed(&Method::GET, "/api/documents"), Role::Reader);
        for path in [
            "/ingest",
            "/api/documents",
            "/api/v1/parsing/upload",
            "/unknown",
        ] {
            assert_eq!(needed(&Method::POST, path), Role::Writer, "{path}");
        }
        assert_eq!(needed(&Method::DELETE, "/api/documents/1"), Role::Writer);
    }
}
