//! The small HTTP service over a real socket.

use serde_json::{Value, json};

use crate::support::service::Service;
use crate::support::storm::{Reply, Server};
use crate::support::{Home, fixture};

#[test]
fn upload_watch_ask_and_stop() {
    let home = Home::new();
    let service = Service::start(&home, &[]);
    assert_eq!(service.get("/health").1["status"], "ok");
    let minutes = std::fs::read(fixture("documents/harbour-committee-minutes.pdf")).unwrap();
    let (code, body) = service.upload("../../minutes.pdf", &minutes);
    assert_eq!((code, &body["state"]), (202, &json!("queued")), "{body}");
    let job = body["job_id"].as_str().unwrap().to_owned();
    let done = service.wait(&job, "completed");
    assert_eq!(
        (&done["pages"], &done["documents"]),
        (&json!(4), &json!(["minutes.pdf"]))
    );
    let question = json!({"query": "Who approved the 2025 maintenance budget?", "top_k": 3});
    let (code, answer) = service.post("/query", &question);
    assert_eq!(code, 200);
    assert_eq!(answer["citations"][0]["document"], "minutes.pdf");
    assert_eq!(answer["citations"][0]["page_number"], 3);
    assert_eq!(answer["retrieved_context"].as_array().unwrap().len(), 3);
    // The same bytes again are the same job, done.
    let (code, again) = service.upload("copy.pdf", &minutes);
    assert_eq!(
        (code, &again["job_id"], &again["state"]),
        (200, &json!(job), &json!("completed"))
    );
    // The original is kept once, by its hash.
    let kept = || std::fs::read_dir(home.data_dir().join("originals")).unwrap();
    let names: Vec<String> = kept()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        names,
        [format!("{}.pdf", done["document_id"].as_str().unwrap())]
    );
    // Another file of the same name replaces nothing.
    let manual = std::fs::read(fixture("documents/sensor-manual.pdf")).unwrap();
    let (_, other) = service.upload("minutes.pdf", &manual);
    let done = service.wait(other["job_id"].as_str().unwrap(), "completed");
    let name = done["documents"][0].as_str().unwrap();
    assert!(
        name.starts_with("minutes (") && name.ends_with(").pdf"),
        "{name}"
    );
    let status = home.json(&["status"], 0);
    assert_eq!(status[0]["collections"][0]["documents"], 2);
    // The command line reads the same store while the server runs.
    home.run(&["query", "Who approved the maintenance budget?"])
        .expect(0);
    assert_eq!(service.stop(), 0);
}

#[test]
fn bad_requests_are_refused_with_a_reason() {
    let home = Home::new();
    let service = Service::start(&home, &[]);
    let refused = |(code, body): (u16, Value), status: u16, words: &str| {
        assert_eq!(code, status, "{body}");
        assert!(body["error"].as_str().unwrap().contains(words), "{body}");
    };
    refused(service.post("/query", &json!({"query": ""})), 400, "empty");
    refused(
        service.post("/query", &json!({"query": "x", "top_k": 0})),
        400,
        "top_k is 0",
    );
    refused(
        service.post("/query", &json!({"question": "x"})),
        422,
        "unknown field",
    );
    let ask = |path: &str, kind: &str, body: &[u8]| {
        let answer = service.ask("POST", path, kind, body);
        (answer.status, answer.json())
    };
    refused(ask("/query", "application/json", b"{"), 400, "");
    refused(ask("/ingest", "text/plain", b"x"), 400, "");
    refused(service.upload("virus.exe", b"MZ"), 415, "pdf");
    refused(service.upload("..", b"x"), 415, "not of a kind");
    refused(service.get("/ingest/status/nope"), 404, "no job nope");
    refused(service.get("/etc/passwd"), 404, "no such route");
    let (code, body) = service.upload("broken.pdf", b"%PDF-1.4 cut off");
    assert_eq!(code, 202);
    let failed = service.wait(body["job_id"].as_str().unwrap(), "failed");
    assert!(
        failed["error"].as_str().unwrap().contains("damaged"),
        "{failed}"
    );
    let (code, answer) = service.post("/query", &json!({"query": "anything"}));
    assert_eq!((code, &answer["answered"]), (200, &json!(false)));
}

#[test]
fn a_port_in_use_is_a_usage_error() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = home.run(&["serve", "--addr", &address]).expect(2);
    assert!(
        ran.stderr.contains("choose another with --addr"),
        "{}",
        ran.stderr
    );
}

#[test]
fn an_upload_under_way_at_the_service_survives_a_restart() {
    let started =
        r#"{"result_type":"SUCCESS","error":null,"success":{"job_id":"j","state":"REQUESTED"}}"#;
    let server = Server::new(vec![Reply::json(started)], vec![]).then_always(Reply::json(started));
    let home = Home::with_storm(&server);
    let args = ["--poll-interval", "10ms"];
    let service = Service::start(&home, &args);
    let (code, body) = service.upload("plan.hwp", b"for the service");
    assert_eq!(code, 202, "{body}");
    let job = body["job_id"].as_str().unwrap().to_owned();
    service.wait(&job, "processing");
    assert_eq!(service.stop(), 0);
    server.script(vec![], vec![Reply::fixture("v1_completed.json")]);
    let service = Service::start(&home, &args);
    service.wait(&job, "completed");
    assert_eq!(server.uploads(), 1);
    assert_eq!(service.stop(), 0);
}

#[test]
fn pages_of_other_sites_cannot_use_the_server() {
    let home = Home::new();
    let service = Service::start(&home, &[]);
    let own = format!("host: {}\r\n", service.address);
    let answer = service.exchange("GET /health", &own, b"");
    assert_eq!(answer.status, 200, "{}", answer.head);
    for header in [
        "x-content-type-options: nosniff",
        "content-security-policy: default-src 'none'",
        "x-request-id: ",
    ] {
        assert!(answer.head.contains(header), "{}", answer.head);
    }
    // A name that was pointed here by someone else.
    let answer = service.exchange("GET /health", "host: evil.example\r\n", b"");
    assert_eq!(answer.status, 421);
    assert!(answer.text().contains("localhost"));
    let foreign = format!("{own}origin: http://evil.example\r\ncontent-type: text/plain\r\n");
    assert_eq!(service.exchange("POST /ingest", &foreign, b"x").status, 403);
    let answer = service.exchange("DELETE /api/documents/0", &foreign, b"");
    assert_eq!(answer.json()["error_code"], "CROSS_SITE");
    let (status, _) = service.post("/query", &json!({"query": "anyone there?"}));
    assert_ne!(status, 403);
}
