//! The web page, which is in the executable.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use include_dir::{Dir, include_dir};

use super::watch::nowhere;
use crate::service::Service;

/// What the page may do: nothing but talk to this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/serve/page");

/// `/`, `/docs` and what they load.
pub fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/", get(|| file("index.html")))
        .route("/docs", get(|| file("docs.html")))
        .route(
            "/page/{name}",
            get(|Path(name): Path<String>| async move { file(&name).await }),
        )
}

async fn file(name: &str) -> Response {
    let Some(text) = FILES.get_file(name).and_then(|file| file.contents_utf8()) else {
        return nowhere().await.into_response();
    };
    let kind = match crate::text::extension(name).as_str() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}
