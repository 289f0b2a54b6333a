//! What can go wrong in a call, what heals, and how long to wait before another try.

use std::time::{Duration, Instant, SystemTime};

use reqwest::StatusCode;

/// Most characters of a foreign answer quoted in an error.
const QUOTED: usize = 500;

/// Why a call gave no answer of the service.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("the service refused the token ({0}): check STORM_API_TOKEN or storm_token_file")]
    Token(StatusCode),
    #[error("no token is set: put it in STORM_API_TOKEN or name a file with storm_token_file")]
    NoToken,
    #[error("{base} cannot be reached ({cause}): check STORM_API_URL and the network")]
    Unreachable { base: String, cause: String },
    /// The file was not sent whole, so the service cannot have taken it.
    #[error("the connection broke while the file was sent ({0})")]
    Broken(String),
    #[error("the connection broke before the answer came ({0})")]
    AnswerLost(String),
    #[error("the service answered {status}{}", quoted(.body))]
    Status {
        status: StatusCode,
        body: String,
        retry_after: Option<Duration>,
        upload: bool,
    },
    #[error("the service's answer cannot be read ({problem}){}", quoted(.body))]
    Unreadable {
        problem: String,
        body: String,
        upload: bool,
    },
    #[error("the file cannot be read: {0}")]
    File(std::io::Error),
    /// Noticed before the last piece was sent.
    #[error("the file changed while it was sent; nothing of it was taken")]
    Changed,
}

impl Fault {
    /// Whether the service may have taken the upload without our knowing the job id.
    pub fn answer_lost(&self) -> bool {
        match self {
            Fault::AnswerLost(_) => true,
            Fault::Unreadable { upload, .. } => *upload,
            // A gateway says such things also when the service has the file but was slow to answer.
            Fault::Status { status, upload, .. } => {
                *upload
                    && status.is_server_error()
                    && !matches!(
                        *status,
                        StatusCode::INTERNAL_SERVER_ERROR | StatusCode::SERVICE_UNAVAILABLE
                    )
            }
            _ => false,
        }
    }

    /// Whether only this document is concerned.
    pub fn is_about_document(&self) -> bool {
        match self {
            Fault::File(_) | Fault::Broken(_) | Fault::Changed => true,
            Fault::Status { status, .. } => {
                status.is_client_error()
                    && !matches!(
                        *status,
                        StatusCode::TOO_MANY_REQUESTS
                            | StatusCode::PAYMENT_REQUIRED
                            | StatusCode::REQUEST_TIMEOUT
                            | StatusCode::TOO_EARLY
                    )
            }
            Fault::Unreadable { .. } => true,
            _ => false,
        }
    }

    /// Whether another try may succeed, and cannot be a second upload.
    fn heals(&self) -> bool {
        match self {
            fault if fault.answer_lost() => false,
            Fault::Unreachable { .. } | Fault::Broken(_) => true,
            Fault::Status { status, .. } => {
                status.is_server_error()
                    || matches!(
                        *status,
                        StatusCode::TOO_MANY_REQUESTS
                            | StatusCode::REQUEST_TIMEOUT
                            | StatusCode::TOO_EARLY
                    )
            }
            Fault::Unreadable { upload, .. } => !upload,
            _ => false,
        }
    }
}

fn quoted(body: &str) -> String {
    let text = crate::text::one_line(body);
    if text.is_empty() {
        return String::new();
    }
    let mut short: String = text.chars().take(QUOTED).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!(": {short}")
}

/// When to try again, and when to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries of one call, the first included.
    pub tries: u32,
    /// Longest time spent on one call with all its pauses.
    pub total: Duration,
    /// The first pause is at most this long, each further one at most twice the one before.
    pub base: Duration,
    /// No pause is longer, unless the service asks for it.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            tries: 5,
            total: Duration::from_secs(600),
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
        }
    }
}

/// The pauses of one call: exponential back-off with full jitter
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>), or what the
/// service asks for.
#[derive(Debug)]
pub struct Backoff {
    policy: RetryPolicy,
    tries: u32,
    start: Instant,
}

impl Backoff {
    /// For a call that begins now.
    pub fn new(policy: RetryPolicy) -> Self {
        Self {
            policy,
            tries: 0,
            start: Instant::now(),
        }
    }

    /// When the call began.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// How long to wait before the next try, or `None` to give up.
    pub fn next(&mut self, fault: &Fault) -> Option<Duration> {
        self.tries += 1;
        if !fault.heals() || self.tries >= self.policy.tries {
            return None;
        }
        let doubled = self
            .policy
            .base
            .saturating_mul(1 << (self.tries - 1).min(20));
        let pause = match fault {
            Fault::Status {
                retry_after: Some(asked),
                ..
            } => *asked,
            _ => doubled.min(self.policy.cap).mul_f64(jitter()),
        };
        (self.start.elapsed().saturating_add(pause) <= self.policy.total).then_some(pause)
    }
}

/// A number in 0..1 from the clock's low digits; nothing here needs better randomness.
fn jitter() -> f64 {
    let nanos = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |now| now.subsec_nanos());
    f64::from(nanos % 100_003) / 100_003.0
}

/// `Retry-After` in seconds or as a date (RFC 9110, 10.2.3).
pub fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value.trim()).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff() -> Backoff {
        Backoff::new(RetryPolicy::default())
    }

    fn status(code: u16, retry_after: Option<Duration>) -> Fault {
        Fault::Status {
            status: StatusCode::from_u16(code).unwrap(),
            body: String::new(),
            retry_after,
            upload: false,
        }
    }

    #[test]
    fn server_trouble_heals_and_refusals_do_not() {
        for code in [408, 425, 429, 500, 502, 503, 504] {
            assert!(backoff().next(&status(code, None)).is_some(), "{code}");
        }
        for code in [400, 404, 409, 413, 415, 422] {
            assert!(backoff().next(&status(code, None)).is_none(), "{code}");
            assert!(status(code, None).is_about_document());
        }
        assert!(
            backoff()
                .next(&Fault::Token(StatusCode::UNAUTHORIZED))
                .is_none()
        );
    }

    #[test]
    fn the_pause_is_what_the_service_asks_and_tries_end() {
        let asked = Some(Duration::from_secs(7));
        assert_eq!(backoff().next(&status(429, asked)), asked);
        let mut pauses = backoff();
        let count = std::iter::from_fn(|| pauses.next(&status(503, None))).count();
        assert_eq!(count, 4);
    }

    #[test]
    fn the_total_time_is_capped_whatever_the_service_asks() {
        let asked = |seconds| status(503, Some(Duration::from_secs(seconds)));
        assert!(backoff().next(&asked(599)).is_some());
        assert!(backoff().next(&asked(601)).is_none());
        assert!(backoff().next(&asked(u64::MAX)).is_none());
        assert!(backoff().next(&status(402, None)).is_none());
        assert!(!status(402, None).is_about_document());
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("3"), Some(Duration::from_secs(3)));
        assert_eq!(
            retry_after("Thu, 01 Jan 1970 00:00:00 GMT"),
            Some(Duration::ZERO)
        );
        assert_eq!(retry_after("soon"), None);
    }

    #[test]
    fn foreign_answers_are_quoted_short() {
        assert_eq!(quoted("  "), "");
        assert_eq!(quoted(&"한 ".repeat(600)).chars().count(), 2 + QUOTED + 1);
    }
}
