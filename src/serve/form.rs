//! Forms with files, read piece by piece: nothing is held in memory, no client's name becomes a path.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::multipart::{Field, Multipart, MultipartRejection};
use axum::http::StatusCode;

use super::access::{again, collection};
use super::reply::{Refusal, Reply, blocking};
use crate::accounts::{Role, Who};
use crate::document::Tags;
use crate::service::{Service, Upload};

/// Longest wait for a piece of a body.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most files in one form.
const MOST_FILES: usize = 1000;
/// Most tags of a form.
const MOST_TAGS: usize = 100;
/// Longest text field, in bytes.
const MOST_TEXT: usize = 4096;

/// What came in a form.
pub struct Form {
    pub uploads: Vec<Upload>,
    pub collection: Option<String>,
    pub tags: Tags,
}

/// Reads a form with files of these kinds; they lie in the folder of originals, and go away unless they are accepted.
pub async fn read(
    service: &Arc<Service>,
    form: Result<Multipart, MultipartRejection>,
    kinds: &[&str],
) -> Reply<Form> {
    let mut form = form?;
    let asked = Arc::clone(service);
    if blocking(move || asked.is_full()).await? {
        return Err(Refusal::busy("too many documents wait already", 60));
    }
    let mut read = Form {
        uploads: Vec::new(),
        collection: None,
        tags: Tags::new(),
    };
    while let Some(field) = soon(form.next_field()).await?? {
        match field.name() {
            Some("file" | "files") if read.uploads.len() < MOST_FILES => {
                read.uploads.push(upload(service, field, kinds).await?);
            }
            Some("file" | "files") => {
                return Err(bad(format!("a form may hold {MOST_FILES} files")));
            }
            Some("collection") => read.collection = Some(text(field).await?),
            Some("tag") => {
                if read.tags.len() == MOST_TAGS {
                    return Err(bad(format!("a form may hold {MOST_TAGS} tags")));
                }
                let tag = text(field).await?;
                let tag = crate::settings::parse_tag(&tag);
                read.tags.extend([tag.map_err(bad)?]);
            }
            // What other clients of such services send along.
            _ => {
                text(field).await?;
            }
        }
    }
    match read.uploads.is_empty() {
        true => Err(bad("the form has no part named 'file'")),
        false => Ok(read),
    }
}

async fn upload(service: &Service, mut field: Field<'_>, kinds: &[&str]) -> Reply<Upload> {
    let name = service.upload_name(field.file_name().unwrap_or_default())?;
    if !kinds.contains(&crate::text::extension(&name).as_str()) {
        let kinds = kinds.join(", ");
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_TYPE",
            format!("'{name}' is not of a kind this parser takes: {kinds}"),
        ));
    }
    let mut upload = service.begin_upload(&name)?;
    while let Some(piece) = soon(field.chunk()).await?? {
        upload.write(&piece).await?;
        if upload.size() > service.settings().max_upload {
            let message = format!(
                "'{name}' is larger than the {} bytes this server takes",
                service.settings().max_upload
            );
            return Err(Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "TOO_LARGE",
                message,
            ));
        }
    }
    upload.finish().await?;
    Ok(upload)
}

async fn text(mut field: Field<'_>) -> Reply<String> {
    let mut bytes = Vec::new();
    while let Some(piece) = soon(field.chunk()).await?? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MOST_TEXT {
            return Err(bad("a field of the form is too long"));
        }
    }
    String::from_utf8(bytes).map_err(|_| bad("a field of the form is not UTF-8"))
}

/// What comes before patience ends.
async fn soon<T>(coming: impl Future<Output = T>) -> Reply<T> {
    tokio::time::timeout(PATIENCE, coming).await.map_err(|_| {
        Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "TIMEOUT",
            "the body of the request stopped coming",
        )
    })
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
}

/// Accepts every upload of a form, durably.
pub async fn accept(
    service: &Arc<Service>,
    who: &Who,
    form: Form,
) -> Reply<Vec<crate::service::Accepted>> {
    // A form may take an hour to come.
    let who = again(service, who, Role::Writer).await?;
    let collection = collection(service, &who, form.collection.as_deref())?;
    let service = Arc::clone(service);
    blocking(move || {
        let uploads = form.uploads.into_iter();
        uploads
            .map(|upload| service.accept(upload, &collection, &form.tags))
            .collect()
    })
    .await
}
