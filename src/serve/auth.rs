//! `/api/auth`: sessions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::reply::{Done, Failure, Json, Refusal, Reply, blocking};
use crate::accounts::{Accounts, Role, Session, Try, Who};
use crate::service::{Service, Tried};

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
    let Credentials { username, password } = credentials;
    let tried = Try::Password {
        name: username.clone(),
        from: from.ip(),
    };
    let work = move |accounts: &Accounts| accounts.login(&username, &password);
    let session = service.with_password(accounts(&service)?, Some(tried), work);
    let session = right(session.await?, || unknown("wrong name or password"))?;
    Ok(Done::new("logged in", session))
}

/// What a right password gives.
pub fn right<T>(tried: Tried<T>, wrong: impl FnOnce() -> Refusal) -> Reply<T> {
    match tried {
        Tried::Right(found) => Ok(found),
        Tried::Wrong => Err(wrong()),
        Tried::Later(wait) => Err(too_often(wait)),
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
    let Credentials { username, password } = credentials;
    // Accounts made by the hundred are as unwelcome as guesses, but for those an admin makes.
    let tried = (who.role != Role::Admin).then(|| Try::Account { from: from.ip() });
    let work = move |accounts: &Accounts| {
        let user = accounts.create_user(&username, &password, Role::Reader)?;
        accounts.login(&user.username, &password)
    };
    let session = service.with_password(accounts, tried, work).await?;
    let session = right(session, || unknown("the user is gone"))?;
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
