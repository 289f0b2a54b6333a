//! The server as clients of the OpenAI API see it.

use serde_json::{Value, json};

use crate::documents::{minutes, put};
use crate::support::Home;
use crate::support::service::Service;

fn user(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

#[test]
fn vectors_and_answers_come_as_its_clients_expect() {
    let home = Home::new();
    let service = Service::start(&home, &[]);
    put(&service, "minutes.pdf", &minutes(), &[]);
    let (_, models) = service.get("/v1/models");
    let ids: Vec<&str> = models["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["squall", "squall/default", "minilm", "multilingual"]);
    let texts = json!({"model": "minilm", "input": ["a budget", "a heron"]});
    let (status, body) = service.post("/v1/embeddings", &texts);
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["data"][1]["index"], 1);
    assert_eq!(body["data"][1]["embedding"].as_array().unwrap().len(), 384);
    let ask =
        json!({"model": "squall", "messages": user("Who approved the 2025 maintenance budget?")});
    let (status, body) = service.post("/v1/chat/completions", &ask);
    let told = body["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(status, 200, "{body}");
    assert!(
        told.contains("Halvorsen") && told.ends_with("— minutes.pdf, page 3"),
        "{told}"
    );
    assert_eq!(body["citations"][0]["page_number"], 3);
    let ask = json!({"model": "squall", "stream": true, "messages": user("화성에서 감자를 키운 사람은?")});
    let stream = service.ask(
        "POST",
        "/v1/chat/completions",
        "application/json",
        ask.to_string().as_bytes(),
    );
    let text = stream.text();
    assert!(
        text.contains("문서에서 답을 찾지 못했습니다.") && text.contains("data: [DONE]"),
        "{text}"
    );
}

#[test]
fn what_it_cannot_do_is_told_in_its_own_way() {
    let home = Home::new();
    let token = home
        .run(&["token", "create", "ci", "--role", "reader"])
        .expect(0)
        .stdout;
    let mut service = Service::start(&home, &["--login"]);
    let (status, body) = service.get("/v1/models");
    assert_eq!(
        (status, &body["error"]["code"]),
        (401, &json!("unauthorized"))
    );
    service.headers = format!("authorization: Bearer {}\r\n", token.trim());
    let refused = |path: &str, body: Value, status: u16, words: &str| {
        let (code, body) = service.post(path, &body);
        assert_eq!(code, status, "{body}");
        let error = &body["error"];
        assert!(error["message"].as_str().unwrap().contains(words), "{body}");
        assert_eq!(error["type"], "invalid_request_error");
    };
    let vectors = "/v1/embeddings";
    refused(
        vectors,
        json!({"model": "gpt", "input": "x"}),
        404,
        "there is minilm, multilingual",
    );
    refused(
        vectors,
        json!({"model": "minilm", "input": [[1, 2]]}),
        400,
        "a list of texts",
    );
    refused(
        vectors,
        json!({"model": "minilm", "input": []}),
        400,
        "1 to 2048",
    );
    refused(
        vectors,
        json!({"model": "minilm", "input": "x", "dimensions": 7}),
        400,
        "384",
    );
    let chat = "/v1/chat/completions";
    refused(
        chat,
        json!({"model": "minilm", "messages": user("x")}),
        404,
        "squall/COLLECTION",
    );
    refused(
        chat,
        json!({"model": "squall/~ann", "messages": user("x")}),
        403,
        "not yours",
    );
    refused(
        chat,
        json!({"model": "squall", "messages": []}),
        400,
        "no text",
    );
    refused(
        chat,
        json!({"model": "squall", "messages": user(" ")}),
        400,
        "empty",
    );
    refused(chat, json!({"model": "squall"}), 422, "messages");
}
