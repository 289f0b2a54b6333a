//! The circuit breaker: a service that keeps failing is sent nothing more in this run. What it has
//! already is still asked for, unless it does not answer at all.

use std::sync::Mutex;
use std::time::Instant;

use crate::parse::ParseError;

/// Uploads in a row whose answer was lost: each of them may have been billed.
const MOST_LOST: u32 = 3;
/// Uploads in a row the service refused: it is not the documents then.
const MOST_REFUSED: u32 = 10;

/// Shared by everything one run asks of one service.
#[derive(Debug, Default)]
pub struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lost: u32,
    refused: u32,
    no_uploads: Option<String>,
    no_answers: Option<String>,
    last_answer: Option<Instant>,
}

impl Breaker {
    /// Whether a document may be sent.
    ///
    /// # Errors
    /// [`ParseError::Unavailable`] once the service takes none.
    pub fn before_upload(&self) -> Result<(), ParseError> {
        self.before_call()?;
        refusal(&self.state().no_uploads)
    }

    /// Whether the service may be asked anything.
    ///
    /// # Errors
    /// [`ParseError::Unavailable`] once it has not answered in spite of all tries.
    pub fn before_call(&self) -> Result<(), ParseError> {
        refusal(&self.state().no_answers)
    }

    /// Forgets everything, for a new run.
    pub fn reset(&self) {
        *self.state() = State::default();
    }

    /// The service took a document.
    pub fn accepted(&self) {
        let mut state = self.state();
        (state.lost, state.refused) = (0, 0);
        state.last_answer = Some(Instant::now());
    }

    /// The service answered a question about a job.
    pub fn answered(&self) {
        self.state().last_answer = Some(Instant::now());
    }

    /// Whether the service has answered anything since `start`.
    pub fn has_answered_since(&self, start: Instant) -> bool {
        self.state().last_answer.is_some_and(|last| last >= start)
    }

    /// The service may or may not have taken a document.
    pub fn lost(&self, why: &str) {
        let mut state = self.state();
        state.lost += 1;
        if state.lost >= MOST_LOST {
            let reason = format!("the answers to {MOST_LOST} uploads in a row were lost ({why})");
            state.no_uploads.get_or_insert(reason);
        }
    }

    /// The service refused a document.
    pub fn refused(&self, why: &str) {
        let mut state = self.state();
        state.refused += 1;
        state.last_answer = Some(Instant::now());
        if state.refused >= MOST_REFUSED {
            let reason = format!("the service refused {MOST_REFUSED} documents in a row ({why})");
            state.no_uploads.get_or_insert(reason);
        }
    }

    /// The service takes no documents, for a reason that concerns all of them.
    pub fn close_uploads(&self, why: String) -> ParseError {
        ParseError::Unavailable(self.state().no_uploads.get_or_insert(why).clone())
    }

    /// The service does not answer.
    pub fn close(&self, why: String) -> ParseError {
        ParseError::Unavailable(self.state().no_answers.get_or_insert(why).clone())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn refusal(why: &Option<String>) -> Result<(), ParseError> {
    match why {
        Some(why) => Err(ParseError::Unavailable(why.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_in_a_row_count() {
        let breaker = Breaker::default();
        for _ in 0..5 {
            breaker.lost("504");
            breaker.lost("504");
            breaker.accepted();
        }
        breaker.before_upload().unwrap();
        for _ in 0..MOST_LOST {
            breaker.lost("504");
        }
        assert!(
            breaker
                .before_upload()
                .unwrap_err()
                .to_string()
                .contains("3 uploads in a row")
        );
        breaker.before_call().unwrap();
        breaker.close("silence".into());
        assert!(breaker.before_call().is_err());
    }
}
