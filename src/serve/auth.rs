//! `/api/auth`: sessions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::reply::{Done, Failure, Json, Refusal, Reply, blocking};
use crate::accounts::{Accounts, Role, Session, Who};
use crate::service::Service;

/// Name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    #[schema(max_length = 64)]
    username: String,
    /// 8 to 1,024 bytes.
    password: String,
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    refresh_token: String,
}

/// The accounts of a server with a login.
pub fn accounts(service: &Service) -> Reply<Arc<Accounts>> {
    service.accounts.clone().ok_or_else(|| {
        Refusal::new(
            StatusCode::NOT_FOUND,
            "LOGIN_OFF",
            "this server has no login",
        )
    })
}

fn too_often(wait: Duration) -> Refusal {
    Refusal {
        after: Some(wait.as_secs() + 1),
        ..Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            "TOO_MANY_ATTEMPTS",
            "too many failed logins, wait a little",
        )
    }
}

/// A session for a name and a password.
#[utoipa::path(post, path = "/api/auth/login", tag = "users", request_body = Credentials,
    responses((status = 200, body = Done<Session>), (status = 401, body = Failure), (status = 404, body = Failure),
        (status = 400, body = Failure), (status = 413, body = Failure), (status = 415, body = Failure), (status = 422, body = Failure), (status = 429, body = Failure)))]
pub async fn login(
    State(service): State<Arc<Service>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Json(credentials): Json<Credentials>,
) -> Reply<Json<Done<Session>>> {
    let accounts = accounts(&service)?;
    if let Some(wait) = service.lockout.wait(&credentials.username, from.ip()) {
        return Err(too_often(wait));
    }
    let _turn = service.passwords.acquire().await;
    let Credentials { username, password } = credentials;
    let name = username.clone();
    match blocking(move || accounts.login(&username, &password)).await? {
        Some(session) => {
            service.lockout.succeeded(&name);
            Ok(Done::new("logged in", session))
        }
        None => {
            service.lockout.failed(&name, from.ip());
            Err(unknown("wrong name or password"))
        }
    }
}

pub fn unknown(message: &str) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
}

/// Makes a user and a session. Open to all only with `--open-registration`; else for admins.
#[utoipa::path(post, path = "/api/auth/register", tag = "users", request_body = Credentials,
    responses((status = 201, body = Done<Session>), (status = 403, body = Failure),
        (status = 404, body = Failure), (status = 400, body = Failure), (status = 413, body = Failure), (status = 415, body = Failure), (status = 422, body = Failure), (status = 429, body = Failure)))]
pub async fn register(
    State(service): State<Arc<Service>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    who: Who,
    Json(credentials): Json<Credentials>,
) -> Reply<(StatusCode, Json<Done<Session>>)> {
    let accounts = accounts(&service)?;
    if !service.settings().open_registration && who.role != Role::Admin {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "REGISTRATION_CLOSED",
            "ask whoever runs this server for an account",
        ));
    }
    if let Some(wait) = service.lockout.wait("", from.ip()) {
        return Err(too_often(wait));
    }
    // Accounts made by the hundred are as unwelcome as guesses.
    service.lockout.failed("", from.ip());
    let _turn = service.passwords.acquire().await;
    let session = blocking(move || {
        let Credentials { username, password } = credentials;
        let user = accounts.create_user(&username, &password, Role::Reader)?;
        accounts.login(&user.username, &password)
    });
    service.lockout.succeeded("");
    let session = session.await?.ok_or_else(|| unknown("the user is gone"))?;
    Ok((StatusCode::CREATED, Done::new("registered", session)))
}

/// The next session for a refresh token, which is good once.
#[utoipa::path(post, path = "/api/auth/refresh", tag = "users", request_body = Refresh,
    responses((status = 200, body = Done<Session>), (status = 401, body = Failure), (status = 404, body = Failure),
        (status = 400, body = Failure), (status = 413, body = Failure), (status = 415, body = Failure), (status = 422, body = Failure)))]
pub async fn refresh(
    State(service): State<Arc<Service>>,
    Json(body): Json<Refresh>,
) -> Reply<Json<Done<Session>>> {
    let accounts = accounts(&service)?;
    let session = blocking(move || accounts.refresh(&body.refresh_token)).await?;
    let session = session.ok_or_else(|| unknown("the session has ended, log in again"))?;
    Ok(Done::new("refreshed", session))
}

/// Ends a session.
#[utoipa::path(post, path = "/api/auth/logout", tag = "users", request_body = Refresh,
    responses((status = 200, body = Done<Option<Session>>), (status = 404, body = Failure), (status = 400, body = Failure), (status = 413, body = Failure), (status = 415, body = Failure), (status = 422, body = Failure)))]
pub async fn logout(
    State(service): State<Arc<Service>>,
    Json(body): Json<Refresh>,
) -> Reply<Json<Done<Option<Session>>>> {
    let accounts = accounts(&service)?;
    blocking(move || accounts.logout(&body.refresh_token)).await?;
    Ok(Done::new("logged out", None))
}
