//! The whole service over a real socket: documents, jobs, questions, live events, Storm's own clients.

use serde_json::{Value, json};

use crate::support::service::Service;
use crate::support::{Home, fixture, wait_for};

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

fn minutes() -> Vec<u8> {
    bytes("documents/harbour-committee-minutes.pdf")
}

/// Uploads and waits; the document's id.
fn put(service: &Service, name: &str, bytes: &[u8], fields: &[(&str, &str)]) -> String {
    let answer = service.form("/api/documents", &[(name, bytes)], fields);
    let body = answer.json();
    assert_eq!(answer.status, 202, "{body}");
    service.wait(body["data"][0]["job_id"].as_str().unwrap(), "completed");
    body["data"][0]["document_id"].as_str().unwrap().to_owned()
}

#[track_caller]
fn refused((status, body): (u16, Value), expected: u16, code: &str) {
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
    assert_eq!(
        hits(json!({"query": budget, "collection": "nowhere"})),
        [""; 0]
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
fn jobs_are_listed_retried_and_not_cancelled_once_ended() {
    let home = Home::new();
    let service = Service::start(&home, &[]);
    put(&service, "minutes.pdf", &minutes(), &[]);
    let answer = service.form("/api/documents", &[("bad.pdf", b"<html>no</html>")], &[]);
    let job = answer.json()["data"][0]["job_id"]
        .as_str()
        .unwrap()
        .to_owned();
    service.wait(&job, "failed");
    let (_, failed) = service.get("/api/jobs?state=failed");
    assert_eq!(
        (&failed["total"], &failed["data"][0]["name"]),
        (&json!(1), &json!("bad.pdf"))
    );
    assert!(
        failed["data"][0]["error"]
            .as_str()
            .unwrap()
            .contains("HTML")
    );
    let (_, list) = service.get("/api/documents?state=failed");
    assert_eq!(list["data"][0]["job_id"], json!(job));
    let path = format!("/api/jobs/{job}/cancel");
    refused(service.post(&path, &json!({})), 409, "JOB_ENDED");
    let (status, body) = service.post(&format!("/api/jobs/{job}/retry"), &json!({}));
    assert_eq!(
        (status, &body["data"]["state"]),
        (200, &json!("queued")),
        "{body}"
    );
    service.wait(&job, "failed");
    assert_eq!(
        service.get(&format!("/api/jobs/{job}")).1["data"]["collection"],
        "default"
    );
    // A failed upload is removed as a document is.
    let id = list["data"][0]["document_id"].as_str().unwrap();
    assert_eq!(service.delete(&format!("/api/documents/{id}")).0, 200);
    assert_eq!(service.get("/api/jobs?state=failed").1["total"], 0);
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
        client.write("broken.pdf", "<html>not found</html>");
        let ran = client.run(&["ingest", "docs", "--poll-interval", "20ms", "--json"]);
        let summary = ran.expect(3).json();
        let summary = summary.last().unwrap();
        assert_eq!(
            (&summary["indexed"], &summary["pages"]),
            (&json!(1), &json!(4))
        );
        let reason = summary["failed"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("HTML page"), "{reason}");
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

#[test]
fn what_was_accepted_survives_a_kill_in_every_collection() {
    let home = Home::new();
    let service = Service::start(&home, &[]);
    let texts: Vec<(String, String)> = (0..20)
        .map(|n| {
            let name = format!("note-{n}.txt");
            (name, format!("Note {n} tells of harbour {n}."))
        })
        .collect();
    let files: Vec<(&str, &[u8])> = texts
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_bytes()))
        .collect();
    let upload = service.form("/api/v2/parse/by-file", &files[..1], &[]);
    let parse = upload.json()["jobId"].as_str().unwrap().to_owned();
    for fields in [&[][..], &[("collection", "b")], &[("collection", "a")]] {
        let answer = service.form("/api/documents", &files, fields);
        assert_eq!(answer.json()["data"].as_array().unwrap().len(), 20);
    }
    service.kill();
    let service = Service::start(&home, &[]);
    for name in ["default", "a", "b"] {
        let path = format!("/api/documents?state=indexed&collection={name}");
        wait_for("all documents", || {
            (service.get(&path).1["total"] == 20).then_some(())
        });
    }
    let path = format!("/api/v2/parse/job/{parse}");
    let pages = wait_for("the parse", || {
        let (_, job) = service.get(&path);
        (job["state"] == "COMPLETED").then_some(job)
    });
    assert_eq!(pages["pages"][0]["content"], texts[0].1.as_str());
}

#[test]
fn the_same_bytes_under_many_names_arrive_everywhere() {
    let home = Home::new();
    let service = Service::start(&home, &[]);
    let pdf = minutes();
    let sent: Vec<(String, String)> = (0..6)
        .map(|n| (format!("minutes-{n}.pdf"), format!("c{}", n % 3)))
        .collect();
    std::thread::scope(|scope| {
        for (name, collection) in &sent {
            let (service, pdf) = (&service, &pdf);
            scope.spawn(move || {
                let fields = [("collection", collection.as_str())];
                let answer = service.form("/api/documents", &[(name, pdf)], &fields);
                assert_eq!(answer.status, 202, "{}", answer.text());
            });
        }
    });
    for (name, collection) in &sent {
        let path = format!("/api/documents?state=indexed&collection={collection}");
        wait_for("every name", || {
            let (_, list) = service.get(&path);
            let paths = list["data"][0]["paths"].as_array()?.clone();
            paths.contains(&json!(name)).then_some(())
        });
    }
    // Other bytes of the same name take nobody's place.
    std::thread::scope(|scope| {
        for n in 0..8 {
            let service = &service;
            scope.spawn(move || {
                let text = format!("Text number {n}.");
                let answer = service.form("/api/documents", &[("n.txt", text.as_bytes())], &[]);
                assert_eq!(answer.status, 202);
            });
        }
    });
    wait_for("eight texts", || {
        let (_, list) = service.get("/api/documents?state=indexed&type=txt");
        (list["total"] == 8).then_some(())
    });
    wait_for("the end of all jobs", || {
        (service.get("/api/jobs?state=queued").1["total"] == 0).then_some(())
    });
}

#[test]
fn waiting_documents_are_cancelled_and_removed_for_good() {
    let home = Home::new();
    let service = Service::start(&home, &["--keep-originals", "false"]);
    // Another squall writes, so that what comes waits.
    home.copy("documents/sensor-manual.pdf");
    let lock = std::fs::File::create(home.data_dir().join("writer.lock")).unwrap();
    lock.lock().unwrap();
    let files: Vec<(String, String)> = (0..12)
        .map(|n| (format!("n{n}.txt"), format!("Note number {n}.")))
        .collect();
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_bytes()))
        .collect();
    let accepted = service.form("/api/documents", &files, &[]).json();
    let of = |n: usize, key: &str| accepted["data"][n][key].as_str().unwrap().to_owned();
    for n in 0..3 {
        let path = format!("/api/jobs/{}/cancel", of(n, "job_id"));
        assert_eq!(service.post(&path, &json!({})).0, 200);
        let path = format!("/api/documents/{}", of(n + 3, "document_id"));
        assert_eq!(service.delete(&path).0, 200);
    }
    drop(lock);
    wait_for("the others", || {
        (service.get("/api/documents?state=indexed").1["total"] == 6).then_some(())
    });
    let (_, failed) = service.get("/api/jobs?state=failed");
    assert_eq!(
        (&failed["total"], &failed["data"][0]["error"]),
        (&json!(3), &json!("cancelled"))
    );
    assert_eq!(service.get("/api/documents").1["total"], 9);
    let path = format!("/api/jobs/{}/cancel", of(0, "job_id"));
    refused(service.post(&path, &json!({})), 409, "JOB_ENDED");
}
