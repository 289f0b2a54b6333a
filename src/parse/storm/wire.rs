//! The service's JSON in both generations, read into one shape.

use serde::Deserialize;
use serde_json::Value;

/// Generation of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// snake_case in an envelope.
    V1,
    /// camelCase, no envelope.
    V2,
}

impl Api {
    /// Where uploads go, below the base URL.
    pub fn upload_path(self) -> &'static str {
        match self {
            Api::V1 => "api/v1/parsing/upload",
            Api::V2 => "api/v2/parse/by-file",
        }
    }

    /// Where a job is asked for, below the base URL.
    pub fn job_path(self) -> &'static str {
        match self {
            Api::V1 => "api/v1/parsing/job",
            Api::V2 => "api/v2/parse/job",
        }
    }
}

/// A page as both generations spell it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RemotePage {
    #[serde(rename = "pageNumber", alias = "page_number")]
    pub page_number: u32,
    pub content: Option<String>,
}

/// What an answer says of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Under way; unknown states count as this.
    Running { job: Option<String>, state: String },
    Done {
        job: Option<String>,
        pages: Vec<RemotePage>,
        title: Option<String>,
    },
    /// For good, with the service's reason.
    Failed(String),
    /// The service does not know the job.
    NotFound(String),
}

/// The job object of both generations.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RemoteJob {
    #[serde(rename = "jobId", alias = "job_id")]
    job_id: Option<Value>,
    state: Option<String>,
    pages: Option<Vec<RemotePage>>,
    title: Option<String>,
    error: Option<Value>,
    message: Option<Value>,
}

/// v1 wraps the object.
#[derive(Debug, Deserialize)]
struct Envelope {
    result_type: String,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    success: Option<RemoteJob>,
}

/// Whether `body` is an answer in the v1 envelope, to tell the generations apart.
pub fn is_envelope(body: &str) -> bool {
    body.trim_start().starts_with('{') && serde_json::from_str::<Envelope>(body).is_ok()
}

/// Reads an answer of either call.
///
/// # Errors
/// What is wrong with it, when it is not an answer of the service at all.
pub fn read(api: Api, body: &str) -> Result<Progress, String> {
    let unreadable = |error| format!("not an answer of the {api:?} API: {error}");
    // A list would pass for an object whose fields come in this order.
    if !body.trim_start().starts_with('{') {
        return Err(format!(
            "not an answer of the {api:?} API: not a JSON object"
        ));
    }
    match api {
        Api::V1 => {
            let envelope: Envelope = serde_json::from_str(body).map_err(unreadable)?;
            let error = envelope.error.as_ref().and_then(words);
            match envelope.success {
                Some(job) if envelope.result_type != "ERROR" => Ok(progress(job, error)),
                _ => Ok(refusal(error.unwrap_or_else(|| "no reason given".into()))),
            }
        }
        Api::V2 => {
            let job: RemoteJob = serde_json::from_str(body).map_err(unreadable)?;
            if job.state.is_none() && job.job_id.is_none() {
                let words = job.error.as_ref().and_then(words);
                return words
                    .or_else(|| job.message.as_ref().and_then(self::words))
                    .map(refusal)
                    .ok_or_else(|| "an answer without job id and state".into());
            }
            Ok(progress(job, None))
        }
    }
}

fn progress(job: RemoteJob, envelope_error: Option<String>) -> Progress {
    let id = job.job_id.as_ref().and_then(words);
    let state = job.state.unwrap_or_default();
    match state.to_ascii_uppercase().as_str() {
        "COMPLETED" => Progress::Done {
            job: id,
            pages: job.pages.unwrap_or_default(),
            title: job.title.filter(|title| !title.trim().is_empty()),
        },
        "FAILED" | "ERROR" => Progress::Failed(
            job.error
                .as_ref()
                .and_then(words)
                .or_else(|| job.message.as_ref().and_then(words))
                .or(envelope_error)
                .unwrap_or_else(|| "no reason given".into()),
        ),
        _ => Progress::Running { job: id, state },
    }
}

/// An error without a job is either "not found" or a refusal.
fn refusal(reason: String) -> Progress {
    if reason.to_lowercase().contains("not found") {
        Progress::NotFound(reason)
    } else {
        Progress::Failed(reason)
    }
}

/// A string, or other JSON as text; nothing for null and blanks.
fn words(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fixture(name: &str) -> String {
        let path = format!("{}/fixtures/storm/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn both_generations_read_alike() {
        for (api, version) in [(Api::V1, "v1"), (Api::V2, "v2")] {
            let uploaded = read(api, &fixture(&format!("{version}_uploaded.json"))).unwrap();
            assert!(
                matches!(uploaded, Progress::Running { job: Some(_), .. }),
                "{uploaded:?}"
            );
            let running = read(api, &fixture(&format!("{version}_processing.json"))).unwrap();
            assert!(matches!(running, Progress::Running { .. }), "{running:?}");
            let done = read(api, &fixture(&format!("{version}_completed.json"))).unwrap();
            assert!(matches!(done, Progress::Done { ref pages, .. } if !pages.is_empty()));
            let failed = read(api, &fixture(&format!("{version}_failed.json"))).unwrap();
            assert!(matches!(failed, Progress::Failed(ref reason) if !reason.is_empty()));
        }
    }

    #[test]
    fn an_unknown_job_is_not_found_whatever_the_status() {
        let answer = read(Api::V1, &fixture("v1_not_found.json")).unwrap();
        assert!(matches!(answer, Progress::NotFound(_)), "{answer:?}");
        let answer = read(Api::V2, r#"{"message":"Job not found"}"#).unwrap();
        assert!(matches!(answer, Progress::NotFound(_)));
    }

    #[test]
    fn processed_and_unknown_states_are_still_under_way() {
        for state in [
            "REQUESTED",
            "ACCEPTED",
            "PROCESSING",
            "PROCESSED",
            "DREAMING",
        ] {
            let body = format!(r#"{{"jobId":"7","state":"{state}"}}"#);
            assert!(matches!(read(Api::V2, &body), Ok(Progress::Running { .. })));
        }
    }

    #[test]
    fn a_gateway_page_is_not_an_answer() {
        assert!(read(Api::V1, &fixture("gateway.html")).is_err());
        assert!(read(Api::V2, "{}").is_err());
    }

    proptest! {
        #[test]
        fn nothing_the_service_sends_panics(body in ".{0,200}") {
            let _ = (read(Api::V1, &body), read(Api::V2, &body));
        }
    }
}
