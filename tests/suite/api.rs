//! The API of a server: refusals, live events, what it tells of itself, Storm's own clients.

use serde_json::{Value, json};

use crate::support::Home;
use crate::support::service::Service;

use crate::documents::{minutes, put, refused};

#[test]
fn bad_api_requests_are_refused_in_the_envelope() {
    let home = Home::new();
    let service = Service::start(&home, &["--max-upload", "100KB"]);
    let none = "0".repeat(64);
    refused(service.get("/api/nothing"), 404, "NOT_FOUND");
    refused(
        service.get("/api/documents/../../etc/passwd"),
        404,
        "NOT_FOUND",
    );
    refused(
        service.get("/api/documents/%2e%2e%2fx"),
        404,
        "DOCUMENT_NOT_FOUND",
    );
    refused(
        service.get(&format!("/api/documents/{none}")),
        404,
        "DOCUMENT_NOT_FOUND",
    );
    refused(
        service.get(&format!("/api/documents/{none}/pages/x")),
        400,
        "BAD_REQUEST",
    );
    refused(
        service.get("/api/documents?sort=colour"),
        400,
        "BAD_REQUEST",
    );
    refused(service.get("/api/documents?page=-1"), 400, "BAD_REQUEST");
    refused(service.get("/api/jobs?page=0"), 400, "BAD_REQUEST");
    refused(
        service.get("/api/documents?page_size=201"),
        400,
        "BAD_REQUEST",
    );
    refused(service.get("/api/documents?state=odd"), 400, "BAD_REQUEST");
    assert_eq!(
        service.get("/api/jobs?page=1000000000").1["data"],
        json!([])
    );
    refused(
        service.get(&format!("/api/jobs?page={}", u64::MAX)),
        400,
        "BAD_REQUEST",
    );
    let many = json!({"query": "x", "filter": {"path": vec!["x"; 101]}});
    refused(service.post("/api/search", &many), 400, "BAD_REQUEST");
    let long = json!({"query": "x".repeat(2_000_000)});
    refused(service.post("/api/search", &long), 413, "TOO_LARGE");
    refused(
        service.get("/api/documents?since=yesterday"),
        400,
        "BAD_REQUEST",
    );
    refused(
        service.get("/api/documents?collection=%0a"),
        400,
        "BAD_REQUEST",
    );
    refused(service.get("/api/jobs?state=odd"), 400, "BAD_REQUEST");
    refused(service.get("/api/jobs/nope"), 404, "JOB_NOT_FOUND");
    refused(
        service.post("/api/jobs/nope/retry", &json!({})),
        404,
        "JOB_NOT_FOUND",
    );
    refused(service.delete("/api/jobs"), 405, "METHOD_NOT_ALLOWED");
    refused(
        service.post("/api/query", &json!({"query": ""})),
        400,
        "BAD_REQUEST",
    );
    refused(
        service.post("/api/query", &json!({"query": "x", "top_k": 1001})),
        400,
        "BAD_REQUEST",
    );
    refused(
        service.post("/api/search", &json!({"query": "x", "mode": "magic"})),
        422,
        "VALIDATION_ERROR",
    );
    refused(
        service.post(
            "/api/search",
            &json!({"query": "x", "filter": {"pages": "0"}}),
        ),
        400,
        "BAD_REQUEST",
    );
    let form = |name: &str, bytes: &[u8], fields: &[(&str, &str)]| {
        let answer = service.form("/api/documents", &[(name, bytes)], fields);
        (answer.status, answer.json())
    };
    refused(form("virus.exe", b"MZ", &[]), 415, "UNSUPPORTED_TYPE");
    refused(
        form("x.txt", b"x", &[("tag", "untagged")]),
        400,
        "BAD_REQUEST",
    );
    refused(
        form("x.txt", b"x", &[("collection", " \u{7} ")]),
        400,
        "BAD_REQUEST",
    );
    refused(form("big.txt", &vec![b'x'; 100_001], &[]), 413, "TOO_LARGE");
    let answer = service.form("/api/documents", &[], &[("tag", "a=b")]);
    refused((answer.status, answer.json()), 400, "BAD_REQUEST");
    // Nothing of what was refused stays.
    let kept = std::fs::read_dir(home.data_dir().join("originals"));
    assert_eq!(kept.map_or(0, Iterator::count), 0);
    // Nor is a name a path.
    let id = put(
        &service,
        "..\\..\\..\\etc/passwd.txt",
        b"root is a user",
        &[],
    );
    let (_, document) = service.get(&format!("/api/documents/{id}"));
    assert_eq!(document["data"]["path"], "passwd.txt");
}

#[test]
fn events_tell_of_documents_live_and_to_who_comes_back() {
    let home = Home::new();
    let service = Service::start(&home, &[]);
    let ended = |events: &[(String, Value)]| events.last().unwrap().0 == "document.indexed";
    let seen = std::thread::scope(|scope| {
        let all = "GET /api/events?last_event_id=0";
        let listening = scope.spawn(|| service.events(all, b"", ended));
        put(&service, "minutes.pdf", &minutes(), &[]);
        listening.join().unwrap()
    });
    let kinds: Vec<&str> = seen.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds[..2], ["document.queued", "document.parsing"]);
    assert!(kinds.contains(&"document.embedding"), "{kinds:?}");
    let last = &seen.last().unwrap().1;
    assert_eq!(
        (&last["name"], &last["pages"]),
        (&json!("minutes.pdf"), &json!(4))
    );
    assert!(last["job_id"].is_string() && last["document_id"].is_string());
    let ids: Vec<u64> = seen
        .iter()
        .map(|(_, told)| told["id"].as_u64().unwrap())
        .collect();
    assert!(ids.is_sorted());
    let path = format!("GET /api/events?last_event_id={}", ids[0]);
    let again = service.events(&path, b"", ended);
    assert_eq!(again, seen[1..]);
    let path = format!("GET /api/events?last_event_id={}&collection=other", ids[0]);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| service.events(&path, b"", |events| events.len() == 1));
        put(
            &service,
            "n.txt",
            b"Notes of the harbour.",
            &[("collection", "other")],
        );
        assert_eq!(other.join().unwrap()[0].1["collection"], "other");
    });
}

#[test]
fn the_server_tells_of_itself() {
    let home = Home::new();
    let service = Service::start(&home, &[]);
    put(&service, "minutes.pdf", &minutes(), &[]);
    service.post("/query", &json!({"query": "Who approved the budget?"}));
    assert_eq!(service.get("/ready").1["status"], "ready");
    let text = service.ask("GET", "/metrics", "text/plain", b"").text();
    for line in [
        "inference_requests_total 1",
        "inference_success_total 1",
        "ingest_stage_duration_seconds_count{stage=\"parse\"} 1",
        "ingest_stage_duration_seconds_count{stage=\"store\"} 1",
        "inference_duration_seconds_count 1",
        "active_inference_tasks 0",
        "documents_indexed_total 1",
        "queue_depth 0",
        "jobs{state=\"completed\"} 1",
        "route=\"/query\",method=\"POST\",status=\"200\"",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let (_, openapi) = service.get("/openapi.json");
    assert!(openapi["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(openapi["paths"]["/api/documents/{id}/pages/{number}"]["get"].is_object());
    for page in ["/", "/docs", "/page/app.js", "/page/style.css"] {
        let answer = service.ask("GET", page, "text/plain", b"");
        assert_eq!(answer.status, 200, "{page}");
        assert!(answer.head.contains("script-src 'self'"), "{}", answer.head);
    }
    assert_eq!(service.get("/page/..%2fguard.rs").0, 404);
}

#[test]
fn storm_clients_work_against_it_in_both_generations() {
    let home = Home::new();
    let service = Service::start(&home, &[]);
    home.copy("documents/harbour-committee-minutes.pdf");
    for api in ["v1", "v2"] {
        let client = Home::new()
            .env("STORM_API_URL", &format!("http://{}", service.address))
            .env("STORM_API_TOKEN", "any")
            .env("STORM_API", api);
        client.copy("documents/harbour-committee-minutes.pdf");
        client.write("broken.pdf", "%PDF-1.4 cut off");
        let ran = client.run(&["ingest", "docs", "--poll-interval", "20ms", "--json"]);
        let summary = ran.expect(3).json();
        let summary = summary.last().unwrap();
        assert_eq!(
            (&summary["indexed"], &summary["pages"]),
            (&json!(1), &json!(4))
        );
        let reason = summary["failed"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("damaged"), "{reason}");
        client
            .run(&["query", "Who approved the 2025 maintenance budget?"])
            .expect(0);
    }
    // Nothing of it is in the server's collections.
    assert_eq!(service.get("/api/documents").1["total"], 0);
    let (status, body) = service.get("/api/v1/parsing/job/nope");
    assert_eq!((status, &body["result_type"]), (200, &json!("ERROR")));
    assert_eq!(service.get("/api/v2/parse/job/nope").0, 404);
    assert_eq!(service.get("/api/v2/parse/job/..%2f..%2fsquall").0, 404);
}
