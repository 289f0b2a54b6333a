//! `/api/search`, `/api/query` and the collections they look in.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::Instrument as _;
use utoipa::ToSchema;

use super::access::collection;
use super::reply::{Done, Failure, Json, Refusal, Reply, blocking};
use crate::accounts::Who;
use crate::document::Answer;
use crate::service::{Found, Question, Service};

const MISSING: &str = "COLLECTION_NOT_FOUND";

/// A collection of documents.
#[derive(Debug, Serialize, ToSchema)]
pub struct CollectionView {
    collection: String,
    /// What its chunks are embedded with.
    model: String,
    documents: u64,
    pages: u64,
    chunks: u64,
    /// Text, vectors and index files.
    bytes: u64,
}

/// The collections there are.
#[utoipa::path(get, path = "/api/collections", tag = "questions",
    responses((status = 200, body = Done<Vec<CollectionView>>)))]
pub async fn collections(
    State(service): State<Arc<Service>>,
    who: Who,
) -> Reply<Json<Done<Vec<CollectionView>>>> {
    let shared = service.settings().collection.clone();
    let rows = blocking(move || service.store.collections()).await?;
    let own = rows
        .into_iter()
        .filter(|row| who.may_use(&row.collection, &shared));
    let views = own.map(|row| CollectionView {
        collection: row.collection,
        model: row.model,
        documents: row.documents,
        pages: row.pages,
        chunks: row.chunks,
        bytes: row.bytes,
    });
    Ok(Done::new("ok", views.collect()))
}

/// The best passages for a question.
#[utoipa::path(post, path = "/api/search", tag = "questions", request_body = Question,
    responses((status = 200, body = Done<Found>), (status = 400, body = Failure), (status = 404, body = Failure), (status = 413, body = Failure), (status = 415, body = Failure), (status = 422, body = Failure)))]
pub async fn search(
    State(service): State<Arc<Service>>,
    who: Who,
    Json(mut question): Json<Question>,
) -> Reply<Json<Done<Found>>> {
    question.collection = Some(collection(&service, &who, question.collection.as_deref())?);
    let found = blocking(move || service.search(&question)).await;
    Ok(Done::new(
        "ok",
        found.map_err(|refusal| refusal.or_missing(MISSING))?,
    ))
}

/// The answer to a question, quoted. With `stream`, server-sent events: `hits`, then `answer`.
#[utoipa::path(post, path = "/api/query", tag = "questions", request_body = Question,
    responses((status = 200, content((Done<Answer> = "application/json"), (String = "text/event-stream"))),
        (status = 400, body = Failure), (status = 404, body = Failure), (status = 413, body = Failure), (status = 415, body = Failure), (status = 422, body = Failure)))]
pub async fn query(
    State(service): State<Arc<Service>>,
    who: Who,
    Json(mut question): Json<Question>,
) -> Reply<Response> {
    question.collection = Some(collection(&service, &who, question.collection.as_deref())?);
    if question.stream {
        // What is wrong with it is told before the stream begins.
        question.check()?;
        return Ok(stream_answer(service, question));
    }
    let answer = blocking(move || service.answer(&question, &mut |_| ())).await;
    let answer = answer.map_err(|refusal| refusal.or_missing(MISSING))?;
    Ok(Done::new("ok", answer).into_response())
}

/// Events of an answer as it comes about; the last is `answer` or `error`, whatever happens.
fn stream_answer(service: Arc<Service>, question: Question) -> Response {
    let (send, receive) = mpsc::channel::<(&'static str, Value)>(4);
    let answering = async move {
        let early = send.clone();
        let work = move || {
            service.answer(&question, &mut |hits| {
                // Who has gone away needs no answer.
                let _ = early.blocking_send(("hits", json!(hits)));
            })
        };
        let last = match blocking(work).await {
            Ok(answer) => ("answer", json!(answer)),
            Err(Refusal { message, code, .. }) => {
                ("error", json!({"message": message, "error_code": code}))
            }
        };
        let _ = send.send(last).await;
    };
    tokio::spawn(answering.in_current_span());
    let events = stream::unfold(receive, |mut receive| async {
        let (kind, value) = receive.recv().await?;
        let event = Event::default().event(kind).data(value.to_string());
        Some((Ok::<_, Infallible>(event), receive))
    });
    Sse::new(events).into_response()
}
