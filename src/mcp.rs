//! The service as tools for language models (Model Context Protocol), over stdio and HTTP.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResult, ContentBlock, Extensions, Implementation, ServerCapabilities};
use rmcp::{ErrorData, ServerHandler, schemars, tool, tool_handler, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::accounts::{Role, Who};
use crate::document::DocumentId;
use crate::error::Error;
use crate::service::{Question, Service};
use crate::store::{DocumentQuery, Slice};
use crate::usage;

/// What the model reads first.
const INSTRUCTIONS: &str = "Squall searches a collection of documents. Ask `answer` for quotes with document \
    and page, `search` for passages, and `get_page` for the page around them. Cite documents by name and page.";
/// Documents of a list.
const LISTED: u64 = 50;

/// The tools of one client.
#[derive(Clone)]
pub struct Tools {
    service: Arc<Service>,
}

#[derive(Deserialize, JsonSchema)]
struct Asked {
    /// The question, in the words of the documents where they are known
    query: String,
    /// Passages to bring back, 1 to 50; 5 by default
    top_k: Option<usize>,
    /// By default the server's
    collection: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct PageAsked {
    /// As search and answer give it
    document_id: String,
    /// From 1
    page_number: u32,
    /// By default the server's
    collection: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct ListAsked {
    /// A part of the path
    name: Option<String>,
    /// From 1, of 50 documents each
    page: Option<u64>,
    /// By default the server's
    collection: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct IngestAsked {
    /// A file or folder on the machine of the server, below one of the folders it allows
    path: PathBuf,
    /// By default the server's
    collection: Option<String>,
}

#[tool_router]
impl Tools {
    pub fn new(service: Arc<Service>) -> Self {
        Self { service }
    }

    #[tool(
        description = "Passages of the documents that fit a question, best first, each with document and page"
    )]
    async fn search(
        &self,
        extensions: Extensions,
        Parameters(asked): Parameters<Asked>,
    ) -> Result<CallToolResult, ErrorData> {
        self.read(
            extensions,
            asked.collection.clone(),
            move |service, place| service.search(&asked.question(place)),
        )
        .await
    }

    #[tool(
        description = "The answer to a question, quoted word for word with document and page; `answered` is \
        false where the documents do not say"
    )]
    async fn answer(
        &self,
        extensions: Extensions,
        Parameters(asked): Parameters<Asked>,
    ) -> Result<CallToolResult, ErrorData> {
        self.read(
            extensions,
            asked.collection.clone(),
            move |service, place| service.answer(&asked.question(place), &mut |_| ()),
        )
        .await
    }

    #[tool(description = "The whole text of one page of a document")]
    async fn get_page(
        &self,
        extensions: Extensions,
        Parameters(asked): Parameters<PageAsked>,
    ) -> Result<CallToolResult, ErrorData> {
        self.read(extensions, asked.collection, move |service, place| {
            service.page(&place, &DocumentId(asked.document_id), asked.page_number)
        })
        .await
    }

    #[tool(description = "The documents there are, with name, pages and state")]
    async fn list_documents(
        &self,
        extensions: Extensions,
        Parameters(asked): Parameters<ListAsked>,
    ) -> Result<CallToolResult, ErrorData> {
        self.read(extensions, asked.collection, move |service, place| {
            let query = DocumentQuery {
                collection: place,
                name: asked.name,
                ..DocumentQuery::default()
            };
            let slice = Slice {
                offset: asked
                    .page
                    .unwrap_or(1)
                    .saturating_sub(1)
                    .saturating_mul(LISTED),
                limit: LISTED,
            };
            let (total, documents) = service.documents(&query, slice)?;
            Ok(Documents { total, documents })
        })
        .await
    }

    #[tool(
        description = "Takes a file or folder into the documents; only below the folders the server allows"
    )]
    async fn ingest(
        &self,
        extensions: Extensions,
        Parameters(asked): Parameters<IngestAsked>,
    ) -> Result<CallToolResult, ErrorData> {
        let place = match self.place(&extensions, Role::Writer, asked.collection) {
            Ok(place) => place,
            Err(error) => return reply::<()>(Err(error)),
        };
        let path = match allowed(&self.service.settings().roots, &asked.path) {
            Ok(path) => path,
            Err(error) => return reply::<()>(Err(error.into())),
        };
        reply(self.service.ingest_path(path, place).await)
    }
}

/// A piece of a list.
#[derive(Serialize)]
struct Documents {
    total: u64,
    documents: Vec<crate::service::Document>,
}

impl Asked {
    fn question(&self, collection: String) -> Question {
        let top_k = self.top_k.unwrap_or(5).clamp(1, 50);
        Question::new(self.query.clone(), Some(top_k), collection)
    }
}

impl Tools {
    /// The collection a call is about, if who calls may use it.
    fn place(
        &self,
        extensions: &Extensions,
        least: Role,
        name: Option<String>,
    ) -> anyhow::Result<String> {
        let parts = extensions.get::<axum::http::request::Parts>();
        // Over stdio it is the user of this machine.
        let who = parts.map_or_else(
            || Some(Who::anybody()),
            |parts| parts.extensions.get().cloned(),
        );
        let name = self.service.collection_name(name.as_deref())?;
        let may = who.is_some_and(|who| {
            who.role >= least && who.may_use(&name, &self.service.settings().collection)
        });
        match may {
            true => Ok(name),
            false => Err(usage!("you may not do that in collection '{name}'").into()),
        }
    }

    /// What `work` finds in the collection a call names, for who may read there.
    async fn read<T: Serialize + Send + 'static>(
        &self,
        extensions: Extensions,
        name: Option<String>,
        work: impl FnOnce(&Service, String) -> anyhow::Result<T> + Send + 'static,
    ) -> Result<CallToolResult, ErrorData> {
        let place = match self.place(&extensions, Role::Reader, name) {
            Ok(place) => place,
            Err(error) => return reply::<T>(Err(error)),
        };
        let service = Arc::clone(&self.service);
        let done = tokio::task::spawn_blocking(move || work(&service, place)).await;
        reply(done.unwrap_or_else(|error| Err(error.into())))
    }
}

/// What a tool gave; what is wrong with a call is for the model to read, what went wrong inside for the log.
fn reply<T: Serialize>(done: anyhow::Result<T>) -> Result<CallToolResult, ErrorData> {
    let error = match done {
        Ok(value) => {
            let value = serde_json::to_value(value);
            let value = value.map_err(|_| ErrorData::internal_error("internal error", None))?;
            return Ok(CallToolResult::structured(value));
        }
        Err(error) => error,
    };
    match error.downcast_ref::<Error>() {
        Some(Error::Usage(message) | Error::NotFound(message)) => {
            Ok(CallToolResult::error(vec![ContentBlock::text(
                message.clone(),
            )]))
        }
        _ => {
            tracing::error!("{error:#}");
            Err(ErrorData::internal_error(
                "internal error, see the log",
                None,
            ))
        }
    }
}

/// `path` as the file system has it, if it is below one of `roots`.
fn allowed(roots: &[PathBuf], path: &Path) -> Result<PathBuf, Error> {
    let refused =
        || usage!("that path is not below a folder this server allows; --root DIR allows one");
    // Links and `..` are followed before it is compared.
    let path = path.canonicalize().map_err(|_| refused())?;
    let is_below = |root: &PathBuf| root.canonicalize().is_ok_and(|root| path.starts_with(root));
    match roots.iter().any(is_below) {
        true => Ok(path),
        false => Err(refused()),
    }
}

#[tool_handler]
impl ServerHandler for Tools {
    fn get_info(&self) -> rmcp::model::ServerConfig {
        rmcp::model::ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("squall", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_below_a_root_is_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("docs");
        std::fs::create_dir_all(inside.join("deep")).unwrap();
        std::fs::write(dir.path().join("secret.txt"), "x").unwrap();
        std::os::unix::fs::symlink(dir.path(), inside.join("link")).unwrap();
        let roots = [inside.clone()];
        assert!(allowed(&roots, &inside.join("deep")).is_ok());
        assert!(allowed(&roots, &inside).is_ok());
        for path in ["link/secret.txt", "../secret.txt", "nowhere"] {
            assert!(allowed(&roots, &inside.join(path)).is_err(), "{path}");
        }
        assert!(allowed(&[], &inside).is_err());
    }
}
