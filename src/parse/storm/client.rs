//! HTTP to the service: streaming upload, poll, and what each fault means.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::header::RETRY_AFTER;
use reqwest::multipart::Form;
use reqwest::{Response, StatusCode};
use tokio::sync::{OnceCell, watch};

use super::body::Body;
use super::fault::{Fault, retry_after};
use super::wire::{self, Api, Progress};
use crate::document::DocumentId;
use crate::settings::{Secret, StormApi};

/// Most bytes of an answer read: real ones are megabytes at most.
const MAX_ANSWER: usize = 256 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest call that sends no file.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest silence during an upload, while the file goes out or the answer is awaited.
const STALL_TIMEOUT: Duration = Duration::from_secs(120);
/// Where the two generations live when no URL is set.
const DEFAULT_V1: &str = "https://live-storm-apis-parse-router.sionic.im";
const DEFAULT_V2: &str = "https://storm-apis.sionic.im/parse-router";
/// No job has this id; asking for it tells the generations apart and tests the token.
const PROBE_JOB: &str = "00000000-0000-0000-0000-000000000000";

/// A connection pool to one service.
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<Secret>,
    language: Option<String>,
    choice: StormApi,
    has_default_url: bool,
    api: OnceCell<Api>,
}

/// What `doctor` learns of a service.
#[derive(Debug)]
pub struct Reach {
    pub api: Api,
}

impl Client {
    /// A client for `url`, or for the published address of the chosen generation.
    pub fn new(
        url: Option<String>,
        token: Option<Secret>,
        choice: StormApi,
        language: Option<String>,
    ) -> anyhow::Result<Self> {
        // Ring, so that a C compiler is all the build needs. Installing twice is harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("squall/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            // A redirect would send the token and the document elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let default = match choice {
            StormApi::V1 => DEFAULT_V1,
            StormApi::V2 | StormApi::Auto => DEFAULT_V2,
        };
        Ok(Self {
            http,
            has_default_url: url.is_none(),
            base: url.unwrap_or_else(|| default.to_owned()),
            token,
            language,
            choice,
            api: OnceCell::new(),
        })
    }

    /// The service's base URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Which generation the service speaks: as chosen, as known of the published address, or as
    /// the service answers.
    pub async fn api(&self) -> Result<Api, Fault> {
        let chosen = match self.choice {
            StormApi::V1 => Some(Api::V1),
            StormApi::V2 => Some(Api::V2),
            StormApi::Auto if self.has_default_url => Some(Api::V2),
            StormApi::Auto => None,
        };
        match chosen {
            Some(api) => Ok(api),
            None => self.api.get_or_try_init(|| self.probe()).await.copied(),
        }
    }

    /// Asks for a job that does not exist: v1 says so in its envelope.
    async fn probe(&self) -> Result<Api, Fault> {
        let url = format!("{}/{}/{PROBE_JOB}", self.base, Api::V1.job_path());
        let response = self.get(url).await?;
        let status = response.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(refused(response).await);
        }
        let body = text(response)
            .await
            .map_err(|cause| self.unreachable(cause))?;
        Ok(if wire::is_envelope(&body) {
            Api::V1
        } else {
            Api::V2
        })
    }

    /// Whether the service can be reached and takes the token.
    pub async fn reach(&self) -> Result<Reach, Fault> {
        let api = self.api().await?;
        let url = format!("{}/{}/{PROBE_JOB}", self.base, api.job_path());
        let response = self.get(url).await?;
        if response.status().is_server_error() {
            return Err(refused(response).await);
        }
        Ok(Reach { api })
    }

    /// Streams a file to the service under `name`; `progress` hears how many bytes have gone,
    /// and `gone` counts them. The file is not sent whole unless it is `document`.
    pub async fn upload(
        &self,
        api: Api,
        file: &Path,
        name: &str,
        document: &DocumentId,
        gone: &Arc<AtomicU64>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Progress, Fault> {
        let body = Body::open(file, name, document, Arc::clone(gone)).await?;
        let mut form = Form::new().part("file", body.part);
        if api == Api::V2 {
            form = form.text("deleteOriginFile", "true");
            if let Some(language) = &self.language {
                form = form.text("language", language.clone());
            }
        }
        let url = format!("{}/{}", self.base, api.upload_path());
        let request = self.send(self.http.post(url).multipart(form));
        let response = relay(request, body.sent.clone(), progress).await;
        if body.changed.load(SeqCst) {
            return Err(Fault::Changed);
        }
        match response {
            Err(Fault::AnswerLost(cause)) if *body.sent.borrow() < body.length => {
                Err(Fault::Broken(cause))
            }
            response => self.answer(api, response?, true).await,
        }
    }

    /// Looks at a job.
    pub async fn poll(&self, api: Api, remote_id: &str) -> Result<Progress, Fault> {
        let mut url = reqwest::Url::parse(&format!("{}/{}", self.base, api.job_path()))
            .map_err(|error| self.unreachable(error.to_string()))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.push(remote_id);
        }
        let response = self.get(url).await?;
        if response.status() == StatusCode::NOT_FOUND {
            let fault = refused(response).await;
            // Only the service itself can say that a job is gone; a gateway in between cannot.
            return match &fault {
                Fault::Status { body, .. } => match wire::read(api, body) {
                    Ok(answer @ Progress::NotFound(_)) => Ok(answer),
                    _ => Err(fault),
                },
                _ => Err(fault),
            };
        }
        self.answer(api, response, false).await
    }

    /// A call that changes nothing: asking again costs nothing, so a broken connection is only
    /// that.
    async fn get(&self, url: impl reqwest::IntoUrl) -> Result<Response, Fault> {
        let request = self.http.get(url).timeout(CALL_TIMEOUT);
        self.send(request).await.map_err(|fault| match fault {
            Fault::AnswerLost(cause) => self.unreachable(cause),
            other => other,
        })
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response, Fault> {
        let token = self.token.as_ref().ok_or(Fault::NoToken)?;
        let response = request.bearer_auth(token.expose()).send().await;
        let response = response.map_err(|error| {
            // A connection that never came to be cannot have carried an upload.
            if error.is_connect() {
                self.unreachable(root_cause(&error))
            } else {
                Fault::AnswerLost(root_cause(&error))
            }
        })?;
        match response.status() {
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Err(Fault::Token(status))
            }
            _ => Ok(response),
        }
    }

    async fn answer(&self, api: Api, response: Response, upload: bool) -> Result<Progress, Fault> {
        if !response.status().is_success() {
            let mut fault = refused(response).await;
            if let Fault::Status { upload: sent, .. } = &mut fault {
                *sent = upload;
            }
            return Err(fault);
        }
        let body = text(response).await.map_err(|cause| match upload {
            true => Fault::AnswerLost(cause),
            false => self.unreachable(cause),
        })?;
        wire::read(api, &body).map_err(|problem| Fault::Unreadable {
            problem,
            body,
            upload,
        })
    }

    fn unreachable(&self, cause: String) -> Fault {
        Fault::Unreachable {
            base: self.base.clone(),
            cause,
        }
    }
}

/// Drives `request` while it passes on how many bytes have gone.
async fn relay(
    request: impl Future<Output = Result<Response, Fault>>,
    mut sent: watch::Receiver<u64>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Response, Fault> {
    let mut request = std::pin::pin!(request);
    loop {
        tokio::select! {
            response = &mut request => return response,
            Ok(()) = sent.changed() => progress(*sent.borrow_and_update()),
            () = tokio::time::sleep(STALL_TIMEOUT) => {
                let seconds = STALL_TIMEOUT.as_secs();
                return Err(Fault::AnswerLost(format!("no sign of life for {seconds} s")));
            }
        }
    }
}

async fn refused(response: Response) -> Fault {
    let status = response.status();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(retry_after);
    Fault::Status {
        status,
        body: text(response).await.unwrap_or_default(),
        retry_after,
        upload: false,
    }
}

/// The answer's text, up to [`MAX_ANSWER`].
async fn text(response: Response) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut stream = response.bytes_stream();
    loop {
        let silence = |_| format!("no sign of life for {} s", STALL_TIMEOUT.as_secs());
        let next = tokio::time::timeout(STALL_TIMEOUT, stream.next());
        let Some(piece) = next.await.map_err(silence)? else {
            break;
        };
        bytes.extend_from_slice(&piece.map_err(|error| root_cause(&error))?);
        if bytes.len() > MAX_ANSWER {
            return Err(format!("the answer is larger than {} MB", MAX_ANSWER >> 20));
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The innermost message, which says what happened; reqwest's own repeats the URL.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
