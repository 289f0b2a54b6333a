//! `/api/users`: oneself, and for admins everybody.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{accounts, right};
use super::reply::{Done, Failure, Json, Path, Refusal, Reply, blocking};
use crate::accounts::{Accounts, Role, Try, User, Who};
use crate::service::Service;

/// What is changed of a profile; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// For people.
    name: Option<String>,
    old_password: Option<String>,
    new_password: Option<String>,
}

/// Who is logged in.
#[derive(Serialize, ToSchema)]
pub struct Me {
    /// `local` where there is no login, `token` for a token.
    id: String,
    username: String,
    name: String,
    role: Role,
}

/// What an admin changes of a user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    role: Role,
}

/// Who is logged in.
#[utoipa::path(get, path = "/api/users/me", tag = "users",
    responses((status = 200, body = Done<Me>), (status = 401, body = Failure)))]
pub async fn me(State(service): State<Arc<Service>>, who: Who) -> Reply<Json<Done<Me>>> {
    let user = match (&who.user_id, &service.accounts) {
        (Some(id), Some(accounts)) => accounts.user(id)?,
        _ => None,
    };
    let kind = match service.accounts {
        Some(_) => "token",
        None => "local",
    };
    let me = match user {
        Some(user) => Me {
            id: user.id,
            username: user.username,
            name: user.name,
            role: user.role,
        },
        None => Me {
            id: kind.to_owned(),
            name: who.username.clone(),
            username: who.username,
            role: who.role,
        },
    };
    Ok(Done::new("ok", me))
}

/// Changes the own profile. A new password ends every session.
#[utoipa::path(put, path = "/api/users/profile", tag = "users", request_body = Profile,
    responses((status = 200, body = Done<User>), (status = 401, body = Failure),
        (status = 404, body = Failure), (status = 400, body = Failure), (status = 413, body = Failure), (status = 415, body = Failure), (status = 422, body = Failure), (status = 429, body = Failure)))]
pub async fn profile(
    State(service): State<Arc<Service>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    who: Who,
    Json(profile): Json<Profile>,
) -> Reply<Json<Done<User>>> {
    let accounts = accounts(&service)?;
    let Some(id) = who.user_id else {
        return Err(crate::usage!("a token has no profile").into());
    };
    let passwords = match (profile.old_password, profile.new_password) {
        (Some(old), Some(new)) => Some((old, new)),
        (None, None) => None,
        _ => return Err(crate::usage!("send the old and the new password").into()),
    };
    let tried = Try::Password {
        name: who.username,
        from: from.ip(),
    };
    let work = move |accounts: &Accounts| {
        let passwords = passwords
            .as_ref()
            .map(|(old, new)| (old.as_str(), new.as_str()));
        match accounts.change_profile(&id, profile.name.as_deref(), passwords)? {
            true => accounts.user(&id),
            false => Ok(None),
        }
    };
    let user = service.with_password(accounts, Some(tried), work).await?;
    let wrong = || crate::usage!("the old password is not right").into();
    Ok(Done::new("changed", right(user, wrong)?))
}

/// A user: oneself, or anybody for an admin.
#[utoipa::path(get, path = "/api/users/{id}", tag = "users", params(("id" = String, Path)),
    responses((status = 200, body = Done<User>), (status = 401, body = Failure), (status = 404, body = Failure)))]
pub async fn user(
    State(service): State<Arc<Service>>,
    who: Who,
    Path(id): Path<String>,
) -> Reply<Json<Done<User>>> {
    let accounts = accounts(&service)?;
    let may = who.role == Role::Admin || who.user_id.as_ref() == Some(&id);
    let found = match may {
        true => blocking(move || accounts.user(&id)).await?,
        false => None,
    };
    Ok(Done::new("ok", found.ok_or_else(missing)?))
}

fn missing() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "USER_NOT_FOUND",
        "there is no such user",
    )
}

/// The accounts, for an admin.
fn administered(service: &Service, who: &Who) -> Reply<Arc<Accounts>> {
    match who.role {
        Role::Admin => accounts(service),
        _ => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "FORBIDDEN",
            "that is for admins",
        )),
    }
}

/// All users, for admins.
#[utoipa::path(get, path = "/api/users", tag = "users",
    responses((status = 200, body = Done<Vec<User>>), (status = 401, body = Failure), (status = 403, body = Failure), (status = 404, body = Failure)))]
pub async fn list(State(service): State<Arc<Service>>, who: Who) -> Reply<Json<Done<Vec<User>>>> {
    let accounts = administered(&service, &who)?;
    Ok(Done::new("ok", blocking(move || accounts.users()).await?))
}

/// Changes what another user may do, from the next request on. For admins.
#[utoipa::path(put, path = "/api/users/{id}", tag = "users", params(("id" = String, Path)), request_body = Change,
    responses((status = 200, body = Done<User>), (status = 401, body = Failure), (status = 403, body = Failure),
        (status = 404, body = Failure), (status = 400, body = Failure), (status = 413, body = Failure), (status = 415, body = Failure), (status = 422, body = Failure)))]
pub async fn change(
    State(service): State<Arc<Service>>,
    who: Who,
    Path(id): Path<String>,
    Json(change): Json<Change>,
) -> Reply<Json<Done<User>>> {
    let accounts = administered(&service, &who)?;
    let changed = blocking(move || accounts.administer(&who, &id, Some(change.role)));
    Ok(Done::new("changed", changed.await?.ok_or_else(missing)?))
}

/// Removes another user and ends the sessions; the documents stay. For admins.
#[utoipa::path(delete, path = "/api/users/{id}", tag = "users", params(("id" = String, Path)),
    responses((status = 200, body = Done<User>), (status = 401, body = Failure), (status = 403, body = Failure),
        (status = 404, body = Failure), (status = 400, body = Failure)))]
pub async fn remove(
    State(service): State<Arc<Service>>,
    who: Who,
    Path(id): Path<String>,
) -> Reply<Json<Done<User>>> {
    let accounts = administered(&service, &who)?;
    let removed = blocking(move || accounts.administer(&who, &id, None));
    Ok(Done::new("removed", removed.await?.ok_or_else(missing)?))
}
