//! Documents and questions over the API of a server.

use serde_json::{Value, json};

use crate::support::service::Service;
use crate::support::{Home, fixture};

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

pub fn minutes() -> Vec<u8> {
    bytes("documents/harbour-committee-minutes.pdf")
}

/// Uploads and waits; the document's id.
pub fn put(service: &Service, name: &str, bytes: &[u8], fields: &[(&str, &str)]) -> String {
    let answer = service.form("/api/documents", &[(name, bytes)], fields);
    let body = answer.json();
    assert_eq!(answer.status, 202, "{body}");
    service.wait(body["data"][0]["job_id"].as_str().unwrap(), "completed");
    body["data"][0]["document_id"].as_str().unwrap().to_owned()
}

#[track_caller]
pub fn refused((status, body): (u16, Value), expected: u16, code: &str) {
    assert_eq!(status, expected, "{body}");
    assert_eq!(
        (&body["success"], &body["error_code"]),
        (&json!(false), &json!(code)),
        "{body}"
    );
    assert!(body["message"].is_string() && body.get("details").is_some());
}

#[test]
fn a_document_is_listed_looked_into_downloaded_and_removed() {
    let home = Home::new();
    let service = Service::start(&home, &[]);
    let pdf = minutes();
    let id = put(&service, "minutes.pdf", &pdf, &[("tag", "year=2025")]);
    let text = bytes("documents/회의-안내.txt");
    put(&service, "회의 안내.txt", &text, &[]);
    let (_, list) = service.get("/api/documents?sort=-size&page_size=1");
    assert_eq!(
        (&list["total"], &list["total_pages"], &list["page_size"]),
        (&json!(2), &json!(2), &json!(1))
    );
    let first = &list["data"][0];
    assert_eq!(
        (&first["name"], &first["state"], &first["type"]),
        (&json!("minutes.pdf"), &json!("indexed"), &json!("pdf"))
    );
    assert_eq!(first["verdicts"]["ok"], 4);
    for (query, total) in [
        ("type=txt", 1),
        ("tag=year=2025", 1),
        ("tag=year=2024", 0),
        ("name=MINUTES", 1),
        ("name=%ED%9A%8C%EC%9D%98", 1),
        ("state=failed", 0),
        ("until=2001-01-01", 0),
        ("collection=other", 0),
        ("page=9", 2),
    ] {
        let (status, list) = service.get(&format!("/api/documents?{query}"));
        assert_eq!((status, &list["total"]), (200, &json!(total)), "{query}");
    }
    let path = |rest: &str| format!("/api/documents/{id}{rest}");
    assert_eq!(service.get(&path("")).1["data"]["tags"]["year"], "2025");
    let (_, page) = service.get(&path("/pages/3"));
    let approved = page["data"]["text"].as_str().unwrap();
    assert!(approved.contains("Halvorsen"), "{page}");
    let (_, chunks) = service.get(&path("/chunks?page_size=2"));
    assert_eq!(chunks["data"].as_array().unwrap().len(), 2);
    assert_eq!(
        service.get(&path("/reports")).1["data"]["pages"][2]["verdict"],
        "ok"
    );
    let (_, facts) = service.get(&path("/extracted-data"));
    assert!(facts["data"]["words"].as_u64().unwrap() > 100, "{facts}");
    // The very bytes, whole and in part.
    let answer = service.ask("GET", &path("/download"), "text/plain", b"");
    assert_eq!((answer.status, &answer.body), (200, &pdf));
    assert!(
        answer.head.contains("content-type: application/pdf"),
        "{}",
        answer.head
    );
    assert!(
        answer
            .head
            .contains("attachment; filename*=utf-8''minutes.pdf")
    );
    let range = format!("host: {}\r\nrange: bytes=10-19\r\n", service.address);
    let answer = service.exchange(&format!("GET {}", path("/download")), &range, b"");
    assert_eq!((answer.status, &*answer.body), (206, &pdf[10..20]));
    let (_, summary) = service.get("/api/documents/stats/summary");
    assert_eq!(summary["data"]["documents"], 2);
    assert_eq!(summary["data"]["types"], json!({"pdf": 1, "txt": 1}));
    assert_eq!(summary["data"]["by_day"][0]["documents"], 2);
    assert_eq!(service.get("/api/collections").1["data"][0]["documents"], 2);
    // Gone is gone: from the lists, from answers, from the disk.
    assert_eq!(service.delete(&path("")).0, 200);
    refused(service.delete(&path("")), 404, "DOCUMENT_NOT_FOUND");
    refused(service.get(&path("/pages/1")), 404, "DOCUMENT_NOT_FOUND");
    let question = json!({"query": "maintenance budget", "mode": "lexical"});
    let (_, found) = service.post("/api/search", &question);
    assert_eq!(found["data"]["hits"], json!([]));
    let kept = home.data_dir().join("originals").join(format!("{id}.pdf"));
    assert!(!kept.exists());
    assert_eq!(service.stop(), 0);
}

#[test]
fn a_document_is_parsed_anew_and_stays_while_it_is() {
    let home = Home::new();
    let service = Service::start(&home, &[]);
    let id = put(&service, "minutes.pdf", &minutes(), &[]);
    let before = service.get(&format!("/api/documents/{id}")).1;
    let anew = format!("/api/documents/{id}/reprocess");
    let (status, body) = service.post(&anew, &json!({}));
    assert_eq!(status, 202, "{body}");
    assert_eq!(service.get("/api/documents?state=indexed").1["total"], 1);
    let parsed = |events: &[(String, Value)]| {
        let parsing = events.iter().filter(|(kind, _)| kind == "document.parsing");
        parsing.count() == 2 && events.last().unwrap().0 == "document.indexed"
    };
    service.events("GET /api/events?last_event_id=0", b"", parsed);
    service.wait(body["data"]["job_id"].as_str().unwrap(), "completed");
    let after = service.get(&format!("/api/documents/{id}")).1;
    assert_eq!(before["data"]["chunks"], after["data"]["chunks"]);
    // Once asked for is once done, also by the server's next start.
    assert_eq!(service.stop(), 0);
    let service = Service::start(&home, &[]);
    assert_eq!(service.get("/api/jobs?state=queued").1["total"], 0);
    // Without its bytes it cannot be.
    let kept = home.data_dir().join("originals").join(format!("{id}.pdf"));
    std::fs::write(kept, "other bytes").unwrap();
    refused(service.post(&anew, &json!({})), 409, "ORIGINAL_MISSING");
    let path = format!("/api/documents/{id}/download");
    refused(service.get(&path), 404, "ORIGINAL_MISSING");
}

#[test]
fn collections_are_apart_and_filters_hold() {
    let home = Home::new();
    let service = Service::start(&home, &[]);
    put(
        &service,
        "minutes.pdf",
        &minutes(),
        &[("collection", "port")],
    );
    let manual = bytes("documents/sensor-manual.pdf");
    let id = put(&service, "manual.pdf", &manual, &[("tag", "kind=manual")]);
    let hits = |question: Value| {
        let (status, body) = service.post("/api/search", &question);
        assert_eq!(status, 200, "{body}");
        let hits = body["data"]["hits"].as_array().unwrap().clone();
        let names = hits.iter().map(|hit| hit["document"].as_str().unwrap());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let budget = "Who approved the maintenance budget?";
    assert!(hits(json!({"query": budget, "collection": "port"})).contains(&"minutes.pdf".into()));
    assert!(!hits(json!({"query": budget})).contains(&"minutes.pdf".into()));
    let nowhere = json!({"query": budget, "collection": "nowhere"});
    refused(
        service.post("/api/search", &nowhere),
        404,
        "COLLECTION_NOT_FOUND",
    );
    refused(
        service.post("/api/query", &nowhere),
        404,
        "COLLECTION_NOT_FOUND",
    );
    let tagged = json!({"query": "sensor", "filter": {"tag": {"kind": "manual"}, "pages": "1-2"}});
    assert!(!hits(tagged).is_empty());
    let tagged = json!({"query": "sensor", "filter": {"tag": {"kind": "minutes"}}});
    assert!(hits(tagged).is_empty());
    // A document of one collection is none of another.
    let path = format!("/api/documents/{id}?collection=port");
    refused(service.get(&path), 404, "DOCUMENT_NOT_FOUND");
    refused(service.delete(&path), 404, "DOCUMENT_NOT_FOUND");
    let (_, answer) = service.post(
        "/api/query",
        &json!({"query": budget, "collection": "port"}),
    );
    assert_eq!(answer["data"]["citations"][0]["page_number"], 3);
    // The same bytes in both are parsed once and found in both.
    put(&service, "manual.pdf", &manual, &[("collection", "port")]);
    assert_eq!(service.delete(&format!("/api/documents/{id}")).0, 200);
    let path = format!("/api/documents/{id}/download?collection=port");
    assert_eq!(service.ask("GET", &path, "text/plain", b"").body, manual);
}

#[test]
fn an_answer_comes_in_pieces() {
    let home = Home::new();
    let service = Service::start(&home, &[]);
    put(&service, "minutes.pdf", &minutes(), &[]);
    let question = json!({"query": "Who approved the 2025 maintenance budget?", "stream": true});
    let body = question.to_string();
    let events = service.events("POST /api/query", body.as_bytes(), |events| {
        events.len() == 2
    });
    assert_eq!(
        (events[0].0.as_str(), events[1].0.as_str()),
        ("hits", "answer")
    );
    assert_eq!(events[0].1[0]["document"], "minutes.pdf");
    assert_eq!(events[1].1["citations"][0]["page_number"], 3);
    // What is wrong with a question is told before the stream begins.
    let question = json!({"query": " ", "stream": true});
    refused(service.post("/api/query", &question), 400, "BAD_REQUEST");
}
