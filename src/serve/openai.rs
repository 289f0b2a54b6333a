//! What clients of the OpenAI API ask for: embeddings by the models at hand, and answers from a collection as
//! the words of an assistant. Models for chat are `squall` and `squall/COLLECTION`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::collection;
use super::reply::{Json, Refusal, Reply, blocking};
use crate::accounts::Who;
use crate::document::Answer;
use crate::embed::{Embedder, Role};
use crate::service::{Question, Service};
use crate::text::is_cjk_text;

/// The model for chat.
const CHAT: &str = "squall";
/// Most texts of one request, as there.
const MOST_TEXTS: usize = 2048;
/// Passages an answer is looked for in.
const TOP_K: usize = 10;

pub fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/embeddings", post(embeddings))
        .route("/v1/chat/completions", post(chat))
}

async fn models(State(service): State<Arc<Service>>, who: Who) -> Reply<Json<Value>> {
    let names = blocking(move || {
        let shared = service.settings().collection.clone();
        let mut names = vec![CHAT.to_owned()];
        let collections = service.store.collection_names()?.into_iter();
        let own = collections.filter(|name| who.may_use(name, &shared));
        names.extend(own.map(|name| format!("{CHAT}/{name}")));
        let encoders = service.models.all();
        names.extend(encoders.iter().map(|model| model.name().to_owned()));
        Ok(names)
    });
    let models: Vec<Value> = names
        .await?
        .iter()
        .map(|name| json!({"id": name, "object": "model", "created": 0, "owned_by": CHAT}))
        .collect();
    Ok(Json(json!({"object": "list", "data": models})))
}

#[derive(Deserialize)]
struct ToEmbed {
    model: String,
    input: Input,
    #[serde(default)]
    encoding_format: Encoding,
    dimensions: Option<usize>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    One(String),
    Many(Vec<String>),
    /// Token ids, or anything else.
    Other(serde::de::IgnoredAny),
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Float,
    Base64,
}

impl Encoding {
    /// A list of numbers, or their bytes, little end first, in base 64.
    fn of(self, vector: &[f32]) -> Value {
        let bytes = || vector.iter().flat_map(|x| x.to_le_bytes());
        match self {
            Encoding::Float => json!(vector),
            Encoding::Base64 => json!(BASE64_STANDARD.encode(bytes().collect::<Vec<u8>>())),
        }
    }
}

async fn embeddings(
    State(service): State<Arc<Service>>,
    Json(asked): Json<ToEmbed>,
) -> Reply<Json<Value>> {
    let model = encoder(&service, &asked.model)?;
    let texts = match asked.input {
        Input::One(text) => vec![text],
        Input::Many(texts) => texts,
        Input::Other(_) => {
            return Err(bad(
                "input is a text or a list of texts; these models have tokens of their own",
            ));
        }
    };
    if !(1..=MOST_TEXTS).contains(&texts.len()) || texts.iter().any(String::is_empty) {
        return Err(bad(&format!(
            "input has 1 to {MOST_TEXTS} texts, none of them empty"
        )));
    }
    let dimension = model.dimension();
    if asked.dimensions.is_some_and(|wanted| wanted != dimension) {
        return Err(bad(&format!(
            "vectors of {} have {dimension} dimensions",
            asked.model
        )));
    }
    let (vectors, tokens) = blocking(move || {
        let tokens: usize = texts.iter().map(|text| model.count_tokens(text)).sum();
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(model.at_once()) {
            let batch: Vec<&str> = batch.iter().map(String::as_str).collect();
            vectors.extend(model.embed(&batch, Role::Passage)?);
        }
        Ok((vectors, tokens))
    })
    .await?;
    let item = |(index, vector): (usize, &Vec<f32>)| json!({"object": "embedding", "index": index, "embedding": asked.encoding_format.of(vector)});
    let data: Vec<Value> = vectors.iter().enumerate().map(item).collect();
    Ok(Json(json!({
        "object": "list",
        "data": data,
        "model": asked.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })))
}

fn encoder(service: &Service, name: &str) -> Reply<Arc<dyn Embedder>> {
    let all = service.models.all();
    let found = all.iter().find(|model| model.name() == name);
    found.cloned().ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|model| model.name()).collect();
        no_model(name, &names.join(", "))
    })
}

fn no_model(name: &str, others: &str) -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "model_not_found",
        format!("there is no model '{name}' for that; there is {others}"),
    )
}

fn bad(message: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "invalid_value", message)
}

#[derive(Deserialize)]
struct Chat {
    model: String,
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
}

impl Chat {
    /// The last words of the user: answers do not go by what was said before.
    fn question(&self) -> Reply<String> {
        let mut messages = self.messages.iter().rev();
        let last = messages.find(|message| message.role == "user");
        match last.and_then(|message| message.content.as_ref()) {
            Some(Content::Text(text)) => Ok(text.clone()),
            Some(Content::Parts(parts)) => {
                let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
                Ok(texts.join("\n"))
            }
            None => Err(bad("messages has no text of a user")),
        }
    }
}

async fn chat(
    State(service): State<Arc<Service>>,
    who: Who,
    Json(chat): Json<Chat>,
) -> Reply<Response> {
    let name = match chat.model.split_once('/') {
        None if chat.model == CHAT => None,
        Some((CHAT, name)) => Some(name),
        _ => return Err(no_model(&chat.model, "squall, and squall/COLLECTION")),
    };
    let place = collection(&service, &who, name)?;
    let question = Question::new(chat.question()?, Some(TOP_K), place);
    let answer = blocking(move || service.answer(&question, &mut |_| ())).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let created = now.map_or(0, |now| now.as_secs());
    let id = format!("chatcmpl-{created:x}");
    let text = words(&answer);
    if !chat.stream {
        let message = json!({"role": "assistant", "content": text, "refusal": null});
        return Ok(Json(json!({
            "id": id,
            "object": "chat.completion",
            "created": created,
            "model": chat.model,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": null}],
            "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
            "citations": answer.citations,
        }))
        .into_response());
    }
    let piece = |delta: Value, reason: Option<&str>| {
        json!({
            "id": id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": chat.model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        })
        .to_string()
    };
    let pieces = [
        piece(json!({"role": "assistant", "content": text}), None),
        piece(json!({}), Some("stop")),
        "[DONE]".to_owned(),
    ];
    let events = pieces.map(|piece| Ok::<_, Infallible>(Event::default().data(piece)));
    Ok(Sse::new(stream::iter(events)).into_response())
}

/// An answer as an assistant says it, with its sources; without one the nearest passages.
fn words(answer: &Answer) -> String {
    let is_korean = is_cjk_text(&answer.query);
    let page = |number: u32| match is_korean {
        true => format!("{number}쪽"),
        false => format!("page {number}"),
    };
    let mut text = match (answer.answered, is_korean) {
        (true, _) => answer.generated_answer.clone(),
        (false, true) => "문서에서 답을 찾지 못했습니다.".to_owned(),
        (false, false) => "The documents do not say.".to_owned(),
    };
    let mut sources: Vec<String> = Vec::new();
    for citation in &answer.citations {
        let source = format!("{}, {}", citation.document, page(citation.page_number));
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    for source in sources {
        text.push_str(&format!("\n— {source}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_come_as_numbers_or_bytes() {
        assert_eq!(Encoding::Float.of(&[0.5, -1.0]), json!([0.5, -1.0]));
        assert_eq!(Encoding::Base64.of(&[0.5, -1.0]), json!("AAAAPwAAgL8="));
    }

    #[test]
    fn the_last_words_of_the_user_are_the_question() {
        let question = |messages: Value| {
            let chat = json!({"model": "squall", "messages": messages});
            serde_json::from_value::<Chat>(chat)
                .unwrap()
                .question()
                .ok()
        };
        let user = |content: Value| json!({"role": "user", "content": content});
        let said = json!({"role": "assistant", "content": "yes"});
        let asked = question(json!([user(json!("first")), said, user(json!("second"))]));
        assert_eq!(asked.as_deref(), Some("second"));
        let parts = json!([{"type": "text", "text": "in"}, {"type": "text", "text": "parts"}]);
        assert_eq!(question(json!([user(parts)])).as_deref(), Some("in\nparts"));
        assert_eq!(question(json!([said])), None);
        assert_eq!(question(json!([{"role": "user"}])), None);
    }
}
