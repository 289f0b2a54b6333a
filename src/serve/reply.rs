//! What a request is answered with: the envelope of `/api`, and errors.

use axum::extract::multipart::{MultipartError, MultipartRejection};
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::document::SCHEMA;
use crate::error::Error;
use crate::service::MAX_PAGE_SIZE;
use crate::store::Slice;

pub type Reply<T> = Result<T, Refusal>;

/// A JSON body, a query string and parts of a path, whose errors are [`Refusal`]s.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Refusal))]
pub struct Json<T>(pub T);

#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Refusal))]
pub struct Query<T>(pub T);

#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Refusal))]
pub struct Path<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// What was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Done<T> {
    /// Always true.
    pub success: bool,
    pub message: String,
    pub data: T,
}

impl<T> Done<T> {
    pub fn new(message: impl Into<String>, data: T) -> Json<Self> {
        Json(Self {
            success: true,
            message: message.into(),
            data,
        })
    }
}

/// A piece of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// Always true.
    pub success: bool,
    pub message: String,
    pub data: Vec<T>,
    /// Items in all.
    pub total: u64,
    /// From 1.
    pub page: u64,
    pub page_size: u64,
    pub total_pages: u64,
}

impl<T> List<T> {
    pub fn new(paging: &Paging, total: u64, data: Vec<T>) -> Json<Self> {
        let (page, page_size) = (paging.page(), paging.page_size());
        Json(Self {
            success: true,
            message: "ok".to_owned(),
            data,
            total,
            page,
            page_size,
            total_pages: total.div_ceil(page_size),
        })
    }
}

/// The last page of a list anybody may ask for.
const MAX_PAGE: u64 = 1_000_000_000;

/// Which piece of a list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// From 1.
    #[param(minimum = 1, maximum = 1_000_000_000)]
    pub page: Option<u64>,
    /// 1 to 200, by default 20.
    #[param(minimum = 1, maximum = 200)]
    pub page_size: Option<u64>,
}

impl Paging {
    fn page(&self) -> u64 {
        self.page.unwrap_or(1)
    }

    fn page_size(&self) -> u64 {
        self.page_size.unwrap_or(20)
    }

    pub fn slice(&self) -> Reply<Slice> {
        let (page, limit) = (self.page(), self.page_size());
        if !(1..=MAX_PAGE).contains(&page) || !(1..=MAX_PAGE_SIZE).contains(&limit) {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "BAD_REQUEST",
                format!("page is 1 to {MAX_PAGE}, page_size 1 to {MAX_PAGE_SIZE}"),
            ));
        }
        Ok(Slice {
            offset: (page - 1).saturating_mul(limit),
            limit,
        })
    }
}

/// An error of `/api`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Failure {
    /// Always false.
    success: bool,
    /// What is wrong, and the way out.
    message: String,
    /// Such as `DOCUMENT_NOT_FOUND`.
    #[schema(example = "DOCUMENT_NOT_FOUND")]
    error_code: String,
    details: Option<serde_json::Value>,
}

/// An error as the client sees it. What went wrong inside is logged, not sent.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: String,
    /// Seconds after which it may be tried again.
    pub after: Option<u64>,
}

impl Refusal {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            after: None,
        }
    }

    /// Too much is going on.
    pub fn busy(message: &str, after: u64) -> Self {
        Self {
            after: Some(after),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "BUSY", message)
        }
    }

    /// Gives what was not found its own code.
    pub fn or_missing(self, code: &'static str) -> Self {
        match self.status {
            StatusCode::NOT_FOUND => Self { code, ..self },
            _ => self,
        }
    }

    /// As `/api` answers.
    pub fn into_envelope(self) -> Response {
        let body = Failure {
            success: false,
            message: self.message.clone(),
            error_code: self.code.to_owned(),
            details: None,
        };
        self.with(axum::Json(body))
    }

    /// As the OpenAI API answers.
    pub fn into_openai(self) -> Response {
        let body = json!({"error": {
            "message": self.message,
            "type": match self.status.is_server_error() {
                true => "server_error",
                false => "invalid_request_error",
            },
            "param": null,
            "code": self.code.to_lowercase(),
        }});
        self.with(axum::Json(body))
    }

    fn with(self, body: impl IntoResponse) -> Response {
        let mut answer = (self.status, body).into_response();
        let headers = answer.headers_mut();
        if let Some(after) = self.after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer.extensions_mut().insert(self);
        answer
    }
}

/// As the simple routes answer: `{"schema":1,"error":...}`.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"schema": SCHEMA, "error": self.message});
        self.with(axum::Json(body))
    }
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast_ref::<Error>() {
            Some(Error::Usage(message)) => {
                Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
            }
            Some(Error::NotFound(message)) => {
                Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
            }
            _ => {
                tracing::error!("{error:#}");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "INTERNAL_ERROR",
                    "internal error, see the log",
                )
            }
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        anyhow::Error::new(error).into()
    }
}

/// The code of a request that cannot be read.
fn unreadable(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => "TOO_LARGE",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "UNSUPPORTED_MEDIA_TYPE",
        StatusCode::UNPROCESSABLE_ENTITY => "VALIDATION_ERROR",
        _ => "BAD_REQUEST",
    }
}

const TOO_LARGE: &str = "the request is larger than this server takes: 1 MiB, and forms with files what --max-upload says";

macro_rules! refuse {
    ($($rejection:ty),*) => {$(
        impl From<$rejection> for Refusal {
            fn from(error: $rejection) -> Self {
                let message = match error.status() {
                    StatusCode::PAYLOAD_TOO_LARGE => TOO_LARGE.to_owned(),
                    _ => error.body_text(),
                };
                Self::new(error.status(), unreadable(error.status()), message)
            }
        }
    )*};
}

refuse!(
    JsonRejection,
    QueryRejection,
    PathRejection,
    MultipartRejection,
    MultipartError
);

/// Runs store and model work off the threads that serve sockets.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> Reply<T> {
    let span = tracing::Span::current();
    let done = tokio::task::spawn_blocking(move || span.in_scope(work)).await;
    let done = done.map_err(|error| anyhow::Error::new(error).context("a request crashed"))?;
    Ok(done?)
}
