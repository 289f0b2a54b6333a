//! `/api/jobs`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::access::collection;
use super::reply::{Done, Failure, Json, List, Paging, Path, Query, Refusal, Reply, blocking};
use crate::accounts::{Role, Who};
use crate::ledger::JobState;
use crate::service::{JobView, Service, Wish};
use crate::store::JobQuery;

const MISSING: &str = "JOB_NOT_FOUND";

/// Which jobs to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Listing {
    /// Such as `queued`, `processing`, `completed` or `failed`.
    state: Option<String>,
    /// Only jobs of this collection.
    collection: Option<String>,
}

/// Jobs, the last changed first.
#[utoipa::path(get, path = "/api/jobs", tag = "jobs", params(Listing, Paging),
    responses((status = 200, body = List<JobView>), (status = 400, body = Failure)))]
pub async fn list(
    State(service): State<Arc<Service>>,
    who: Who,
    Query(listing): Query<Listing>,
    Query(paging): Query<Paging>,
) -> Reply<Json<List<JobView>>> {
    let state = listing.state.filter(|state| !state.is_empty());
    let state = state.map(|text| {
        JobState::parse(&text).ok_or_else(|| {
            let all: Vec<&str> = JobState::ALL.iter().map(|state| state.as_str()).collect();
            let message = format!("'{text}' is no state of a job: {}", all.join(", "));
            Refusal::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
        })
    });
    let query = JobQuery {
        state: state.transpose()?,
        collection: match (listing.collection.filter(|name| !name.is_empty()), who.role) {
            (None, Role::Admin) => None,
            (name, _) => Some(collection(&service, &who, name.as_deref())?),
        },
    };
    let slice = paging.slice()?;
    let (total, jobs) = blocking(move || service.jobs(&who, &query, slice)).await?;
    Ok(List::new(&paging, total, jobs))
}

/// One job.
#[utoipa::path(get, path = "/api/jobs/{id}", tag = "jobs", params(("id" = String, Path)),
    responses((status = 400, body = Failure), (status = 200, body = Done<JobView>), (status = 404, body = Failure)))]
pub async fn detail(
    State(service): State<Arc<Service>>,
    who: Who,
    Path(id): Path<String>,
) -> Reply<Json<Done<JobView>>> {
    Ok(Done::new("ok", visible(service, who, id).await?))
}

/// A job, as far as `who` may see it.
pub async fn visible(service: Arc<Service>, who: Who, id: String) -> Reply<JobView> {
    let job = blocking(move || service.job(&who, &id)).await;
    job.map_err(|refusal| refusal.or_missing(MISSING))
}

/// Gives up a job that has not begun and nobody else waits for.
#[utoipa::path(post, path = "/api/jobs/{id}/cancel", tag = "jobs", params(("id" = String, Path)),
    responses((status = 400, body = Failure), (status = 200, body = Done<JobView>), (status = 404, body = Failure), (status = 409, body = Failure)))]
pub async fn cancel(
    State(service): State<Arc<Service>>,
    who: Who,
    Path(id): Path<String>,
) -> Reply<Json<Done<JobView>>> {
    wish(service, who, id, "cancelled", Service::cancel).await
}

/// Tries a failed job again.
#[utoipa::path(post, path = "/api/jobs/{id}/retry", tag = "jobs", params(("id" = String, Path)),
    responses((status = 400, body = Failure), (status = 200, body = Done<JobView>), (status = 404, body = Failure), (status = 409, body = Failure)))]
pub async fn retry(
    State(service): State<Arc<Service>>,
    who: Who,
    Path(id): Path<String>,
) -> Reply<Json<Done<JobView>>> {
    wish(service, who, id, "queued", Service::retry).await
}

async fn wish(
    service: Arc<Service>,
    who: Who,
    id: String,
    message: &str,
    wish: fn(&Service, &Who, &str) -> anyhow::Result<Wish>,
) -> Reply<Json<Done<JobView>>> {
    let done = blocking(move || Ok((wish(&service, &who, &id)?, service.job(&who, &id)?))).await;
    match done.map_err(|refusal| refusal.or_missing(MISSING))? {
        (Wish::Granted, job) => Ok(Done::new(message, job)),
        (Wish::Shared, _) => Err(Refusal::new(
            StatusCode::CONFLICT,
            "JOB_SHARED",
            "others wait for the same bytes; delete your document instead",
        )),
        (Wish::Refused(state), _) => {
            let (code, message) = match state {
                JobState::Queued | JobState::Processing | JobState::Uploading => {
                    ("JOB_UNDER_WAY", "the job is under way")
                }
                JobState::Submitted => ("JOB_UNDER_WAY", "the job is at the service"),
                JobState::Completed => ("JOB_ENDED", "the job is completed"),
                _ => ("JOB_ENDED", "the job has failed; it may be tried again"),
            };
            Err(Refusal::new(StatusCode::CONFLICT, code, message))
        }
    }
}
