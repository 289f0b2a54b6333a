//! The remote parser against a scripted service of both generations.

use std::time::Duration;

use crate::support::Home;
use crate::support::storm::{Reply, Server, TOKEN};

pub const FAST: [&str; 4] = ["ingest", "docs", "--poll-interval", "10ms"];

pub fn v1_job(state: &str) -> Reply {
    Reply::json(format!(
        r#"{{"result_type":"SUCCESS","error":null,"success":{{"job_id":"j-1","state":"{state}"}}}}"#
    ))
}

pub fn v1_done(text: &str) -> Reply {
    let text = serde_json::to_string(text).unwrap();
    Reply::json(format!(
        r#"{{"result_type":"SUCCESS","error":null,"success":{{"job_id":"j-1","state":"COMPLETED",
        "requested_at":"2025-01-01 10:00:00","pages":[{{"pageNumber":1,"content":{text}}}]}}}}"#
    ))
}

#[test]
fn the_first_generation_from_upload_to_answer() {
    let polls = vec![
        v1_job("REQUESTED"),
        v1_job("PROCESSED"),
        v1_job("SOMETHING_NEW"),
        Reply::fixture("v1_completed.json"),
    ];
    let server = Server::new(vec![Reply::fixture("v1_uploaded.json")], polls);
    let home = Home::with_storm(&server);
    home.write("시설 안내.hwp", "bytes only the service can read");
    let lines = home.json(&FAST, 0);
    let summary = lines.last().unwrap();
    assert_eq!(
        (&summary["indexed"], &summary["pages"]),
        (&1.into(), &4.into())
    );
    assert_eq!(
        (&summary["uploaded"], &summary["uploaded_bytes"]),
        (&1.into(), &31.into())
    );
    assert_eq!(
        summary["empty_pages"], 1,
        "the page that holds only its number"
    );
    assert_eq!(summary["parser"], server.url());
    let upload = server
        .requests()
        .into_iter()
        .find(|r| r.method == "POST")
        .unwrap();
    assert_eq!(upload.path, "/api/v1/parsing/upload");
    let body = String::from_utf8(upload.body).unwrap();
    assert!(
        body.contains("name=\"file\"") && body.contains("시설 안내.hwp"),
        "{body}"
    );
    assert!(body.contains("bytes only the service can read"));
    // A second run asks the service nothing.
    let before = server.requests().len();
    home.run(&FAST).expect(0);
    assert_eq!(server.requests().len(), before);
    let status = home.json(&["status", "-d"], 0);
    assert_eq!(status[0]["documents"][0]["parser"], "storm-1");
}

#[test]
fn the_second_generation_sends_the_language_and_orders_pages() {
    let server = Server::new(
        vec![Reply::fixture("v2_uploaded.json").clone()],
        vec![
            Reply::fixture("v2_processing.json"),
            Reply::fixture("v2_completed.json"),
        ],
    );
    let home = Home::with_storm(&server);
    home.write("report.pdf", "%PDF-1.7 for the service");
    let args = [&FAST[..], &["--storm-api", "v2", "--language", "ko"]].concat();
    home.run(&args).expect(0);
    let upload = server
        .requests()
        .into_iter()
        .find(|r| r.method == "POST")
        .unwrap();
    assert_eq!(upload.path, "/api/v2/parse/by-file");
    let body = String::from_utf8(upload.body).unwrap();
    assert!(body.contains("name=\"language\"\r\n\r\nko"), "{body}");
    let answer = home.json(&["query", "제2창고 증축 계획은 누가 승인하였습니까?"], 0);
    assert_eq!(answer[0]["citations"][0]["page_number"], 1);
    let quote = answer[0]["generated_answer"].as_str().unwrap();
    assert!(quote.contains("맹주원 본부장"), "{quote}");
}

#[test]
fn the_probe_finds_the_generation() {
    let server = Server::new(vec![v1_job("REQUESTED")], vec![v1_done("text one")]);
    let home = Home::with_storm(&server);
    home.write("a.pdf", "x");
    home.run(&FAST).expect(0);
    let first = &server.requests()[0];
    assert_eq!(first.method, "GET");
    assert!(
        first.path.starts_with("/api/v1/parsing/job/0000"),
        "{}",
        first.path
    );
}

#[test]
fn a_refused_token_stops_the_run_before_anything_is_sent() {
    let server = Server::new(vec![], vec![]);
    let home = Home::new()
        .env("STORM_API_URL", &server.url())
        .env("STORM_API_TOKEN", "wrong-secret-9");
    for i in 0..8 {
        home.write(&format!("{i}.pdf"), format!("{i}"));
    }
    let ran = home.run(&FAST).expect(4);
    assert!(
        ran.stderr.contains("check STORM_API_TOKEN"),
        "{}",
        ran.stderr
    );
    assert!(!(ran.stderr + &ran.stdout).contains("wrong-secret"));
    assert_eq!(server.uploads(), 0);
    let ran = home.run(&["doctor"]).expect(4);
    assert!(ran.stdout.contains("refused the token"), "{}", ran.stdout);
}

#[test]
fn an_unreachable_service_is_exit_code_4() {
    let home = Home::new()
        .env("STORM_API_URL", "http://127.0.0.1:9")
        .env("STORM_PARSE_API_KEY", TOKEN);
    home.write("a.pdf", "x");
    let ran = home.run(&FAST).expect(4);
    assert!(ran.stderr.contains("cannot be reached"), "{}", ran.stderr);
}

#[test]
fn trouble_that_heals_is_tried_again() {
    let server = Server::new(
        vec![
            Reply::status(429, "slow down").header("retry-after", "0"),
            Reply::status(503, "later"),
            v1_job("REQUESTED"),
        ],
        vec![
            Reply::cut(),
            Reply::status(500, "oops"),
            Reply::fixture("gateway.html"),
            v1_done("healed text"),
        ],
    );
    let home = Home::with_storm(&server);
    home.write("a.pdf", "x");
    let lines = home.json(&FAST, 0);
    let retries = lines
        .iter()
        .filter(|line| line["event"] == "retrying")
        .count();
    assert_eq!(retries, 5);
    assert_eq!(lines.last().unwrap()["uploaded"], 1);
}

#[test]
fn refusals_and_forgotten_jobs_end_as_failures_of_that_document() {
    let server = Server::new(
        vec![
            v1_job("FAILED"),
            v1_job("REQUESTED"),
            Reply::status(415, "<html>unsupported thing</html>"),
        ],
        vec![Reply::fixture("v1_not_found.json")],
    );
    let home = Home::with_storm(&server);
    for name in ["a.pdf", "b.pdf", "c.pdf"] {
        home.write(name, name);
    }
    let args = [&FAST[..], &["-j", "1"]].concat();
    let summary = home.json(&args, 3).pop().unwrap();
    let reasons: Vec<&str> = summary["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["reason"].as_str().unwrap())
        .collect();
    assert!(reasons[0].contains("could not parse"), "{reasons:?}");
    assert!(reasons[1].contains("no longer knows"), "{reasons:?}");
    assert!(
        reasons[2].contains("415") && reasons[2].contains("unsupported thing"),
        "{reasons:?}"
    );
    // None is sent again by itself; the second, which has a job id, is asked for once more.
    server.script(vec![], vec![Reply::fixture("v1_not_found.json")]);
    home.run(&args).expect(3);
    assert_eq!(server.uploads(), 3);
    server.script(
        vec![v1_job("REQUESTED"); 3],
        vec![v1_done("first"), v1_done("second"), v1_done("third")],
    );
    home.run(&[&args[..], &["--retry", "failed"]].concat())
        .expect(0);
    assert_eq!(server.uploads(), 6);
}

#[test]
fn a_gateway_in_between_cannot_lose_or_repeat_a_job() {
    let server = Server::new(
        vec![v1_job("REQUESTED"), Reply::status(504, "gateway time-out")],
        vec![Reply::status(404, "<html>default backend</html>")],
    );
    let home = Home::with_storm(&server);
    home.write("a.pdf", "a");
    home.write("b.pdf", "b");
    let args = [&FAST[..], &["-j", "1"]].concat();
    home.run(&args).expect(3);
    let status = home.json(&["status"], 0);
    let states = &status[0]["jobs_by_state"];
    assert_eq!(
        (&states["submitted"], &states["lost"]),
        (&1.into(), &1.into()),
        "{states}"
    );
    server.script(vec![], vec![v1_done("still there")]);
    home.run(&args).expect(3);
    assert_eq!(server.uploads(), 2);
    home.run(&["query", "still there"]).expect(0);
}

#[test]
fn empty_files_and_answers_without_pages_fail() {
    let done = r#"{"result_type":"SUCCESS","success":{"job_id":"j-1","state":"COMPLETED"}}"#;
    let server = Server::new(vec![v1_job("REQUESTED")], vec![Reply::json(done)]);
    let home = Home::with_storm(&server);
    home.write("empty.pdf", "");
    home.write("full.pdf", "x");
    let summary = home.json(&FAST, 3).pop().unwrap();
    let failed = summary["failed"].to_string();
    assert!(
        failed.contains("the file is empty") && failed.contains("without any page"),
        "{failed}"
    );
}

#[test]
fn another_collection_reuses_the_pages() {
    let server = Server::new(
        vec![v1_job("REQUESTED")],
        vec![v1_done("The pilot boat is green.")],
    );
    let home = Home::with_storm(&server);
    home.write("a.pdf", "x");
    home.run(&FAST).expect(0);
    let args = [&FAST[..], &["-c", "second"]].concat();
    home.run(&args).expect(0);
    home.run(&["query", "what colour is the pilot boat?", "-c", "second"])
        .expect(0);
    assert_eq!(server.uploads(), 1);
}

#[test]
fn a_dry_run_says_what_would_leave_the_machine_and_sends_nothing() {
    let server = Server::new(vec![], vec![]);
    let home = Home::with_storm(&server);
    home.write("a.pdf", "12345");
    let summary = home
        .json(&["ingest", "docs", "--dry-run"], 0)
        .pop()
        .unwrap();
    assert_eq!(
        (&summary["uploaded"], &summary["uploaded_bytes"]),
        (&1.into(), &5.into())
    );
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn many_documents_are_under_way_at_once() {
    let slow = v1_job("REQUESTED").after(Duration::from_millis(400));
    let server = Server::new(vec![slow; 8], vec![]).then_always(v1_done("same text for all"));
    let home = Home::with_storm(&server);
    for i in 0..8 {
        home.write(&format!("{i}.pdf"), format!("{i}"));
    }
    let args = [&FAST[..], &["-j", "8"]].concat();
    let summary = home.json(&args, 0).pop().unwrap();
    assert_eq!(summary["indexed"], 8);
    assert!(
        (2..=8).contains(&server.most_uploading()),
        "{}",
        server.most_uploading()
    );
}
