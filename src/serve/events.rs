//! What happens to documents, live: server-sent events and a WebSocket with the same events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::broadcast;
use utoipa::IntoParams;

use super::reply::{Failure, Query, blocking};
use crate::accounts::Who;
use crate::service::{Service, Told};

/// How often a sign of life goes out.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often it is looked up whether a listener still may.
const AGAIN: Duration = Duration::from_secs(1);

/// From where to go on.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Since {
    /// The last event that was seen; the header `Last-Event-ID` says the same.
    last_event_id: Option<u64>,
    /// Only events of this collection.
    collection: Option<String>,
}

/// One who listens.
struct Listener {
    missed: VecDeque<Arc<Told>>,
    coming: broadcast::Receiver<Arc<Told>>,
    collection: Option<String>,
    who: Who,
    /// When it was last seen that `who` may listen.
    asked: Instant,
    service: Arc<Service>,
}

impl Listener {
    fn new(service: Arc<Service>, who: Who, since: Since, headers: &HeaderMap) -> Self {
        let header = headers.get("last-event-id");
        let header = header.and_then(|value| value.to_str().ok()?.parse().ok());
        let (missed, coming) = service.events.listen(header.or(since.last_event_id));
        Self {
            missed: missed.into(),
            coming,
            collection: since.collection.filter(|name| !name.is_empty()),
            who,
            asked: Instant::now(),
            service,
        }
    }

    /// The next event. `None` when the server stops, or the listener is too far behind: it may come back
    /// and go on from the last event it saw.
    async fn next(&mut self) -> Option<Arc<Told>> {
        loop {
            let told = match self.missed.pop_front() {
                Some(told) => told,
                None => tokio::select! {
                    told = self.coming.recv() => told.ok()?,
                    () = self.service.stop.cancelled() => return None,
                },
            };
            if !self.may_stay().await {
                return None;
            }
            let wanted = self.collection.as_ref();
            let shared = &self.service.settings().collection;
            if wanted.is_none_or(|collection| *collection == told.collection)
                && self.who.may_use(&told.collection, shared)
            {
                return Some(told);
            }
        }
    }
}

impl Listener {
    /// Whether the session or the token has not ended meanwhile, and with which role. Looked up once a second.
    async fn may_stay(&mut self) -> bool {
        let Some(accounts) = self.service.accounts.clone() else {
            return true;
        };
        if self.asked.elapsed() < AGAIN {
            return true;
        }
        let who = self.who.clone();
        match blocking(move || accounts.again(&who)).await {
            Ok(Some(who)) => {
                (self.who, self.asked) = (who, Instant::now());
                true
            }
            _ => false,
        }
    }
}

/// What happens to documents, as it happens.
#[utoipa::path(get, path = "/api/events", tag = "events", params(Since),
    responses((status = 200, content_type = "text/event-stream", body = Told), (status = 400, body = Failure)))]
pub async fn stream(
    State(service): State<Arc<Service>>,
    who: Who,
    Query(since): Query<Since>,
    headers: HeaderMap,
) -> Response {
    let listener = Listener::new(service, who, since, &headers);
    let events = stream::unfold(listener, |mut listener| async {
        let told = listener.next().await?;
        let event = Event::default()
            .id(told.id.to_string())
            .event(told.kind.as_str())
            .data(serde_json::to_string(&*told).unwrap_or_default());
        Some((Ok::<_, Infallible>(event), listener))
    });
    let alive = KeepAlive::new().interval(HEARTBEAT).text("alive");
    Sse::new(events).keep_alive(alive).into_response()
}

/// The same over a WebSocket, an event a message.
pub async fn socket(
    State(service): State<Arc<Service>>,
    who: Who,
    Query(since): Query<Since>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let listener = Listener::new(service, who, since, &headers);
    upgrade
        .max_message_size(4096)
        .on_upgrade(|socket| speak(socket, listener))
}

/// Longest wait for a listener to take an event.
const PATIENCE: Duration = Duration::from_secs(10);

async fn speak(mut socket: WebSocket, mut listener: Listener) {
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    loop {
        let message = tokio::select! {
            told = listener.next() => match told {
                Some(told) => Message::text(serde_json::to_string(&*told).unwrap_or_default()),
                None => break,
            },
            _ = heartbeat.tick() => Message::Ping(Vec::new().into()),
            heard = socket.recv() => match heard {
                // Nothing a listener says matters, but that it is there.
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
        };
        match tokio::time::timeout(PATIENCE, socket.send(message)).await {
            Ok(Ok(())) => {}
            _ => return,
        }
    }
    let _ = tokio::time::timeout(PATIENCE, socket.send(Message::Close(None))).await;
}
