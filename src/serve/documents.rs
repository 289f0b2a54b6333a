//! `/api/documents`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::multipart::{Multipart, MultipartRejection};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use tower_http::services::ServeFile;
use utoipa::{IntoParams, ToSchema};

use super::access::collection;
use super::form;
use super::reply::{Done, Failure, Json, List, Paging, Path, Query, Refusal, Reply, blocking};
use crate::accounts::Who;
use crate::document::{DocumentId, Tags};
use crate::inspect;
use crate::ledger::JobState;
use crate::service::{Accepted, Document, Pages, Piece, Service, Text, TextFacts, Totals};
use crate::store::{DocumentQuery, SortBy};

const MISSING: &str = "DOCUMENT_NOT_FOUND";

/// Which collection.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct In {
    /// By default the server's.
    collection: Option<String>,
}

/// Which documents to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Listing {
    /// By default the server's.
    collection: Option<String>,
    /// A part of the path.
    name: Option<String>,
    /// The file name's extension, such as `pdf`.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// `key=value`.
    tag: Option<String>,
    /// `indexed`, or the state of a job.
    state: Option<String>,
    /// The first day, as `YYYY-MM-DD`.
    since: Option<String>,
    /// The last day.
    until: Option<String>,
    /// `name`, `size`, `pages` or `created_at`; with a `-` before it the other way round.
    sort: Option<String>,
}

/// A form with files.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Uploads {
    /// May be repeated.
    #[schema(format = Binary, content_media_type = "application/octet-stream")]
    file: String,
    /// By default the server's.
    collection: Option<String>,
    /// `key=value`; may be repeated.
    tag: Option<String>,
}

/// What was removed.
#[derive(Serialize, ToSchema)]
pub struct Removed {
    document_id: String,
}

/// The documents of a collection, those on their way too.
#[utoipa::path(get, path = "/api/documents", tag = "documents", params(Listing, Paging),
    responses((status = 200, body = List<Document>), (status = 400, body = Failure)))]
pub async fn list(
    State(service): State<Arc<Service>>,
    who: Who,
    Query(listing): Query<Listing>,
    Query(paging): Query<Paging>,
) -> Reply<Json<List<Document>>> {
    let query = listing.query(&service, &who)?;
    let slice = paging.slice()?;
    let (total, documents) = blocking(move || service.documents(&query, slice)).await?;
    Ok(List::new(&paging, total, documents))
}

impl Listing {
    fn query(self, service: &Service, who: &Who) -> Reply<DocumentQuery> {
        let day = |day: Option<String>| {
            let day = day.map(|day| day.trim().to_owned());
            let day = day.filter(|day| !day.is_empty());
            if let Some(text) = &day {
                crate::settings::parse_day(text).map_err(bad)?;
            }
            Ok::<_, Refusal>(day)
        };
        let state = self.state.filter(|state| !state.is_empty());
        if let Some(text) = &state
            && text != "indexed"
            && JobState::parse(text).is_none_or(|state| state == JobState::Completed)
        {
            return Err(bad(format!("'{text}' is no state of a document")));
        }
        let tag = self.tag.filter(|tag| !tag.is_empty());
        let tag = tag.map(|tag| crate::settings::parse_tag(&tag)).transpose();
        let sort = self.sort.unwrap_or_else(|| "name".to_owned());
        let by = sort.strip_prefix('-').unwrap_or(&sort);
        let full = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(DocumentQuery {
            collection: collection(service, who, self.collection.as_deref())?,
            name: full(self.name),
            kind: full(self.kind).map(|kind| kind.to_lowercase()),
            tags: tag.map_err(bad)?.into_iter().collect::<Tags>(),
            state,
            since: day(self.since)?,
            until: day(self.until)?,
            sort: match by {
                "name" => SortBy::Name,
                "size" => SortBy::Size,
                "pages" => SortBy::Pages,
                "created_at" => SortBy::Created,
                _ => return Err(bad("sort by name, size, pages or created_at")),
            },
            descending: sort.starts_with('-'),
        })
    }
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
}

/// Takes files in. The answer comes at once, the work goes on behind.
#[utoipa::path(post, path = "/api/documents", tag = "documents",
    request_body(content = Uploads, content_type = "multipart/form-data"),
    responses((status = 202, body = Done<Vec<Accepted>>), (status = 400, body = Failure),
        (status = 413, body = Failure), (status = 415, body = Failure), (status = 503, body = Failure)))]
pub async fn upload(
    State(service): State<Arc<Service>>,
    who: Who,
    body: Result<Multipart, MultipartRejection>,
) -> Reply<(StatusCode, Json<Done<Vec<Accepted>>>)> {
    let form = form::read(&service, body, &service.parsers().extensions()).await?;
    let accepted = form::accept(&service, &who, form).await?;
    let message = match accepted.len() {
        1 => "1 document accepted".to_owned(),
        n => format!("{n} documents accepted"),
    };
    Ok((StatusCode::ACCEPTED, Done::new(message, accepted)))
}

/// The document a path names.
fn id(text: String) -> Reply<DocumentId> {
    let is_id = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    match is_id {
        true => Ok(DocumentId(text.to_lowercase())),
        false => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            MISSING,
            "a document's id is 64 hexadecimal digits",
        )),
    }
}

/// Runs `work` with the service, the collection and the document that a request names.
async fn with<T: Send + 'static>(
    service: Arc<Service>,
    who: Who,
    place: In,
    text: String,
    work: impl FnOnce(&Service, &str, &DocumentId) -> anyhow::Result<T> + Send + 'static,
) -> Reply<T> {
    let id = id(text)?;
    let collection = collection(&service, &who, place.collection.as_deref())?;
    let done = blocking(move || work(&service, &collection, &id)).await;
    done.map_err(|refusal| refusal.or_missing(MISSING))
}

/// Totals of a collection, how it grew, how fast it answers.
#[utoipa::path(get, path = "/api/documents/stats/summary", tag = "documents", params(In),
    responses((status = 200, body = Done<Totals>), (status = 400, body = Failure)))]
pub async fn summary(
    State(service): State<Arc<Service>>,
    who: Who,
    Query(place): Query<In>,
) -> Reply<Json<Done<Totals>>> {
    let collection = collection(&service, &who, place.collection.as_deref())?;
    let totals = blocking(move || service.totals(&collection)).await?;
    Ok(Done::new("ok", totals))
}

/// One document.
#[utoipa::path(get, path = "/api/documents/{id}", tag = "documents",
    params(("id" = String, Path), In),
    responses((status = 400, body = Failure), (status = 200, body = Done<Document>), (status = 404, body = Failure)))]
pub async fn detail(
    State(service): State<Arc<Service>>,
    who: Who,
    Path(text): Path<String>,
    Query(place): Query<In>,
) -> Reply<Json<Done<Document>>> {
    let document = with(service, who, place, text, Service::document).await?;
    Ok(Done::new("ok", document))
}

/// Removes a document, its pages and its original.
#[utoipa::path(delete, path = "/api/documents/{id}", tag = "documents",
    params(("id" = String, Path), In),
    responses((status = 400, body = Failure), (status = 200, body = Done<Removed>), (status = 404, body = Failure), (status = 409, body = Failure)))]
pub async fn remove(
    State(service): State<Arc<Service>>,
    who: Who,
    Path(text): Path<String>,
    Query(place): Query<In>,
) -> Reply<Json<Done<Removed>>> {
    let document_id = text.clone();
    match with(service, who, place, text, Service::remove).await? {
        true => Ok(Done::new("removed", Removed { document_id })),
        false => Err(Refusal::new(
            StatusCode::CONFLICT,
            "DOCUMENT_BUSY",
            "the document is being parsed, try again when it is done",
        )),
    }
}

/// Parses a document anew, from its original.
#[utoipa::path(post, path = "/api/documents/{id}/reprocess", tag = "documents",
    params(("id" = String, Path), In),
    responses((status = 400, body = Failure), (status = 202, body = Done<Accepted>), (status = 404, body = Failure),
        (status = 409, body = Failure)))]
pub async fn reprocess(
    State(service): State<Arc<Service>>,
    who: Who,
    Path(text): Path<String>,
    Query(place): Query<In>,
) -> Reply<(StatusCode, Json<Done<Accepted>>)> {
    let accepted = with(service, who, place, text, Service::reprocess).await?;
    match accepted {
        Some(accepted) => Ok((StatusCode::ACCEPTED, Done::new("queued", accepted))),
        None => Err(Refusal::new(
            StatusCode::CONFLICT,
            "ORIGINAL_MISSING",
            "the document is being parsed, or its original is gone",
        )),
    }
}

/// The original bytes; ranges may be asked for.
#[utoipa::path(get, path = "/api/documents/{id}/download", tag = "documents",
    params(("id" = String, Path), In),
    responses((status = 200, content_type = "*/*", body = Vec<u8>), (status = 206, content_type = "*/*", body = Vec<u8>),
        (status = 304, description = "Not changed"), (status = 400, body = Failure), (status = 404, body = Failure),
        (status = 412, description = "Changed"), (status = 416, description = "No such range")))]
pub async fn download(
    State(service): State<Arc<Service>>,
    who: Who,
    Path(text): Path<String>,
    Query(place): Query<In>,
    request: Request,
) -> Reply<Response> {
    let found = with(service, who, place, text, |service, collection, id| {
        let document = service.document(collection, id)?;
        Ok((document.name, service.original(collection, id)?))
    });
    let (name, Some(file)) = found.await? else {
        return Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "ORIGINAL_MISSING",
            "the original of this document is not kept",
        ));
    };
    let sent = ServeFile::new(file).try_call(request).await;
    let sent = sent.map_err(|error| anyhow::Error::new(error).context("sending an original"))?;
    let mut answer = sent.map(Body::new).into_response();
    let headers = answer.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&disposition(&name)) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(answer)
}

/// A file name for a browser to save (RFC 6266), never to show.
fn disposition(name: &str) -> String {
    let mut encoded = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("attachment; filename*=UTF-8''{encoded}")
}

/// The text of a page.
#[utoipa::path(get, path = "/api/documents/{id}/pages/{number}", tag = "documents",
    params(("id" = String, Path), ("number" = u32, Path, description = "From 1"), In),
    responses((status = 200, body = Done<Text>), (status = 400, body = Failure), (status = 404, body = Failure)))]
pub async fn page(
    State(service): State<Arc<Service>>,
    who: Who,
    Path((text, number)): Path<(String, u32)>,
    Query(place): Query<In>,
) -> Reply<Json<Done<Text>>> {
    let page = with(service, who, place, text, move |service, collection, id| {
        service.page(collection, id, number)
    });
    Ok(Done::new("ok", page.await?))
}

/// The chunks of a document, as they are embedded.
#[utoipa::path(get, path = "/api/documents/{id}/chunks", tag = "documents",
    params(("id" = String, Path), In, Paging),
    responses((status = 400, body = Failure), (status = 200, body = List<Piece>), (status = 404, body = Failure)))]
pub async fn chunks(
    State(service): State<Arc<Service>>,
    who: Who,
    Path(text): Path<String>,
    Query(place): Query<In>,
    Query(paging): Query<Paging>,
) -> Reply<Json<List<Piece>>> {
    let slice = paging.slice()?;
    let found = with(service, who, place, text, move |service, collection, id| {
        service.chunks(collection, id, slice)
    });
    let (total, chunks) = found.await?;
    Ok(List::new(&paging, total, chunks))
}

/// What is known of a document's text.
#[utoipa::path(get, path = "/api/documents/{id}/extracted-data", tag = "documents",
    params(("id" = String, Path), In),
    responses((status = 400, body = Failure), (status = 200, body = Done<TextFacts>), (status = 404, body = Failure)))]
pub async fn extracted_data(
    State(service): State<Arc<Service>>,
    who: Who,
    Path(text): Path<String>,
    Query(place): Query<In>,
) -> Reply<Json<Done<TextFacts>>> {
    let facts = with(service, who, place, text, Service::text_facts).await?;
    Ok(Done::new("ok", facts))
}

/// How a report is to look.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Look {
    /// By default the server's.
    collection: Option<String>,
    /// `json` (the verdicts on the pages) or `markdown` (the whole report, to read).
    format: Option<String>,
}

/// What the parser made of each page; as Markdown, all that is known of the document.
#[utoipa::path(get, path = "/api/documents/{id}/reports", tag = "documents",
    params(("id" = String, Path), Look),
    responses((status = 400, body = Failure),
        (status = 200, content((Done<Pages> = "application/json"), (String = "text/markdown"))),
        (status = 404, body = Failure)))]
pub async fn reports(
    State(service): State<Arc<Service>>,
    who: Who,
    Path(text): Path<String>,
    Query(look): Query<Look>,
) -> Reply<Response> {
    let place = In {
        collection: look.collection,
    };
    match look.format.as_deref() {
        None | Some("json") => {
            let reports = with(service, who, place, text, Service::reports).await?;
            Ok(Done::new("ok", reports).into_response())
        }
        Some("markdown") => {
            let found = with(service, who, place, text, Service::inspection).await?;
            let markdown = HeaderValue::from_static("text/markdown; charset=utf-8");
            Ok((
                [(header::CONTENT_TYPE, markdown)],
                inspect::markdown(&found),
            )
                .into_response())
        }
        Some(other) => {
            let message = format!("format is '{other}', it must be json or markdown");
            Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "BAD_REQUEST",
                message,
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_breaks_out_of_the_header() {
        let header = disposition("예산 \"2025\"\r\nx: y.pdf");
        assert!(HeaderValue::from_str(&header).is_ok());
        assert_eq!(
            header,
            "attachment; filename*=UTF-8''%EC%98%88%EC%82%B0%20%222025%22%0D%0Ax%3A%20y.pdf"
        );
    }
}
