//! Who may do what on a server with a login.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::documents::{minutes, refused};
use crate::support::Home;
use crate::support::service::Service;

/// A home with users `ann` (admin), `bob` and `eve` (writers) and `rita` (reader).
pub fn home() -> Home {
    let home = Home::new();
    for (name, role) in [
        ("ann", "admin"),
        ("bob", "writer"),
        ("eve", "writer"),
        ("rita", "reader"),
    ] {
        let password = format!("{name} has a password\n");
        let args = ["user", "add", name, "--role", role];
        home.run_with(&args, password.as_bytes());
    }
    home
}

pub fn login(service: &mut Service, name: &str) -> Value {
    service.headers.clear();
    let password = format!("{name} has a password");
    let (status, body) = service.post(
        "/api/auth/login",
        &json!({"username": name, "password": password}),
    );
    assert_eq!(status, 200, "{body}");
    become_(service, body["data"]["access_token"].as_str().unwrap());
    body["data"].clone()
}

pub fn become_(service: &mut Service, token: &str) {
    service.headers = format!("authorization: Bearer {token}\r\n");
}

pub fn upload(service: &Service, collection: &str) -> (u16, Value) {
    let fields = [("collection", collection)];
    let answer = service.form("/api/documents", &[("minutes.pdf", &minutes())], &fields);
    (answer.status, answer.json())
}

#[test]
fn an_open_address_wants_a_login() {
    let home = Home::new();
    let ran = home.run(&["serve", "--addr", "0.0.0.0:0"]).expect(2);
    assert!(ran.stderr.contains("squall user add"), "{}", ran.stderr);
    let config = home.path().join("c.toml");
    std::fs::write(&config, "login = false").unwrap();
    let config = config.to_str().unwrap();
    let ran = home.run(&["serve", "--addr", "0.0.0.0:0", "--config", config]);
    assert!(ran.expect(2).stderr.contains("login = false"));
}

#[test]
fn nothing_but_the_page_is_open_without_a_token() {
    let home = home();
    let service = Service::start(&home, &["--login"]);
    for path in ["/", "/docs", "/openapi.json", "/health", "/page/app.js"] {
        assert_eq!(
            service.ask("GET", path, "text/plain", b"").status,
            200,
            "{path}"
        );
    }
    for path in [
        "/api/documents",
        "/api/jobs",
        "/api/events",
        "/api/users/me",
        "/metrics",
        "/ingest/status/x",
        "/api/v1/parsing/job/x",
        "/nowhere",
    ] {
        let answer = service.ask("GET", path, "text/plain", b"");
        assert_eq!(answer.status, 401, "{path}");
        assert!(
            answer.head.contains("www-authenticate: bearer"),
            "{}",
            answer.head
        );
    }
    refused(upload(&service, "default"), 401, "UNAUTHORIZED");
    assert_eq!(service.post("/query", &json!({"query": "x"})).0, 401);
    let upgrade = format!(
        "host: {}\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        service.address
    );
    assert_eq!(service.exchange("GET /ws", &upgrade, b"").status, 401);
    let wrong = "/ws?access_token=guess";
    assert_eq!(
        service
            .exchange(&format!("GET {wrong}"), &upgrade, b"")
            .status,
        401
    );
}

#[test]
fn roles_and_collections_bind() {
    let home = home();
    let mut service = Service::start(&home, &["--login"]);
    login(&mut service, "rita");
    refused(upload(&service, "default"), 403, "FORBIDDEN");
    assert_eq!(service.get("/api/documents").0, 200);
    refused(
        service.get("/api/documents?collection=~bob"),
        403,
        "FORBIDDEN",
    );
    login(&mut service, "bob");
    let (status, body) = upload(&service, "~bob");
    assert_eq!(status, 202, "{body}");
    let (job, id) = (&body["data"][0]["job_id"], &body["data"][0]["document_id"]);
    let (job, id) = (job.as_str().unwrap(), id.as_str().unwrap());
    service.wait(job, "completed");
    refused(upload(&service, "other"), 403, "FORBIDDEN");
    // What is bob's is not eve's: not the document, the job, the answer, nor the events.
    login(&mut service, "eve");
    for path in [
        format!("/api/documents/{id}?collection=~bob"),
        format!("/api/documents/{id}/download?collection=~bob"),
        "/api/jobs?collection=~bob".to_owned(),
    ] {
        refused(service.get(&path), 403, "FORBIDDEN");
    }
    refused(
        service.get(&format!("/api/documents/{id}")),
        404,
        "DOCUMENT_NOT_FOUND",
    );
    refused(
        service.get(&format!("/api/jobs/{job}")),
        404,
        "JOB_NOT_FOUND",
    );
    refused(
        service.post(&format!("/api/jobs/{job}/retry"), &json!({})),
        404,
        "JOB_NOT_FOUND",
    );
    let question = json!({"query": "budget", "collection": "~bob"});
    refused(service.post("/api/query", &question), 403, "FORBIDDEN");
    refused(service.post("/api/search", &question), 403, "FORBIDDEN");
    assert_eq!(service.get("/api/collections").1["data"], json!([]));
    assert_eq!(service.get("/api/jobs").1["total"], 0);
    let fields = [("collection", "default")];
    let answer = service.form("/api/documents", &[("n.txt", b"Of the harbour.")], &fields);
    assert_eq!(answer.status, 202);
    let all = "GET /api/events?last_event_id=0";
    let events = service.events(all, b"", |events| events.len() == 1);
    assert_eq!(events[0].1["name"], "n.txt");
    login(&mut service, "ann");
    assert_eq!(
        service
            .get(&format!("/api/documents/{id}?collection=~bob"))
            .0,
        200
    );
    let events = service.events(all, b"", |events| events.len() == 1);
    assert_eq!(events[0].1["name"], "minutes.pdf");
}

#[test]
fn sessions_are_renewed_ended_and_guessing_is_slowed() {
    let home = home();
    let mut service = Service::start(&home, &["--login"]);
    let session = login(&mut service, "bob");
    assert_eq!(service.get("/api/users/me").1["data"]["role"], "writer");
    let id = session["user"]["id"].as_str().unwrap().to_owned();
    assert_eq!(service.get(&format!("/api/users/{id}")).0, 200);
    let refresh = json!({"refresh_token": session["refresh_token"]});
    let (status, next) = service.post("/api/auth/refresh", &refresh);
    assert_eq!(status, 200);
    // A stolen one that comes second ends both.
    refused(
        service.post("/api/auth/refresh", &refresh),
        401,
        "UNAUTHORIZED",
    );
    become_(&mut service, next["data"]["access_token"].as_str().unwrap());
    refused(service.get("/api/users/me"), 401, "UNAUTHORIZED");
    let session = login(&mut service, "bob");
    let change =
        |old: &str, new: &str| json!({"old_password": old, "new_password": new, "name": "Bob"});
    let put = |service: &Service, body: Value| {
        let body = body.to_string();
        let answer = service.ask(
            "PUT",
            "/api/users/profile",
            "application/json",
            body.as_bytes(),
        );
        (answer.status, answer.json())
    };
    refused(
        put(&service, change("wrong", "a new password")),
        400,
        "BAD_REQUEST",
    );
    refused(
        put(&service, change("bob has a password", "short")),
        400,
        "BAD_REQUEST",
    );
    let (status, body) = put(&service, change("bob has a password", "a new password"));
    assert_eq!((status, &body["data"]["name"]), (200, &json!("Bob")));
    refused(service.get("/api/users/me"), 401, "UNAUTHORIZED");
    let refresh = json!({"refresh_token": session["refresh_token"]});
    refused(
        service.post("/api/auth/refresh", &refresh),
        401,
        "UNAUTHORIZED",
    );
    service.headers.clear();
    let register = json!({"username": "new", "password": "a password"});
    refused(
        service.post("/api/auth/register", &register),
        403,
        "REGISTRATION_CLOSED",
    );
    let guess = json!({"username": "ann", "password": "a guess"});
    for _ in 0..5 {
        refused(service.post("/api/auth/login", &guess), 401, "UNAUTHORIZED");
    }
    let body = guess.to_string();
    let answer = service.ask(
        "POST",
        "/api/auth/login",
        "application/json",
        body.as_bytes(),
    );
    assert_eq!(answer.status, 429);
    assert!(answer.head.contains("retry-after: "), "{}", answer.head);
    // Others are not kept out by it.
    login(&mut service, "rita");
}

#[test]
fn tokens_are_for_scripts_and_storm_clients_until_they_are_revoked() {
    let home = home();
    let ran = home.run(&["token", "create", "ci"]).expect(0);
    let token = ran.stdout.trim().to_owned();
    home.run(&["token", "create", "ci"]).expect(2);
    let listed = home.json(&["token", "list"], 0);
    assert_eq!(listed[0]["tokens"][0]["name"], "ci");
    let mut service = Service::start(&home, &["--login"]);
    become_(&mut service, &token);
    assert_eq!(service.get("/api/users/me").1["data"]["username"], "ci");
    let run = |token: &str| {
        let client = Home::new()
            .env("STORM_API_URL", &format!("http://{}", service.address))
            .env("STORM_API_TOKEN", token);
        client.copy("documents/harbour-committee-minutes.pdf");
        client.run(&["ingest", "docs", "--poll-interval", "20ms"])
    };
    run(&token).expect(0);
    let ran = run("wrong").expect(4);
    assert!(ran.stderr.contains("STORM_API_TOKEN"), "{}", ran.stderr);
    home.run(&["token", "revoke", "ci"]).expect(0);
    home.run(&["token", "revoke", "ci"]).expect(1);
    refused(service.get("/api/users/me"), 401, "UNAUTHORIZED");
    let dump = std::fs::read(home.data_dir().join("accounts.db")).unwrap();
    assert!(
        !dump
            .windows(token.len())
            .any(|window| window == token.as_bytes())
    );
}

#[test]
fn registration_may_be_open_for_readers() {
    let home = Home::new();
    let mut service = Service::start(&home, &["--login", "--open-registration"]);
    let register = json!({"username": "new", "password": "a password"});
    let (status, body) = service.post("/api/auth/register", &register);
    assert_eq!(
        (status, &body["data"]["user"]["role"]),
        (201, &json!("reader")),
        "{body}"
    );
    refused(
        service.post("/api/auth/register", &register),
        400,
        "BAD_REQUEST",
    );
    become_(&mut service, body["data"]["access_token"].as_str().unwrap());
    refused(upload(&service, "default"), 403, "FORBIDDEN");
    let mut child = home.command(&["user", "list"]);
    let ran = child.stdin(Stdio::null()).output().unwrap();
    assert!(String::from_utf8(ran.stdout).unwrap().contains("new"));
}

#[test]
fn admins_see_to_the_others() {
    let home = home();
    let mut service = Service::start(&home, &["--login"]);
    let rita = login(&mut service, "rita");
    let id = rita["user"]["id"].as_str().unwrap().to_owned();
    let of_rita = format!("/api/users/{id}");
    let change = |service: &Service, path: &str, role: &str| {
        let body = json!({"role": role}).to_string();
        let answer = service.ask("PUT", path, "application/json", body.as_bytes());
        (answer.status, answer.json())
    };
    refused(change(&service, &of_rita, "admin"), 403, "FORBIDDEN");
    refused(service.get("/api/users"), 403, "FORBIDDEN");
    refused(service.delete(&of_rita), 403, "FORBIDDEN");
    let ann = login(&mut service, "ann");
    let (_, users) = service.get("/api/users");
    let names: Vec<&str> = users["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["username"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["ann", "bob", "eve", "rita"]);
    let (status, body) = change(&service, &of_rita, "writer");
    assert_eq!((status, &body["data"]["role"]), (200, &json!("writer")));
    let of_ann = format!("/api/users/{}", ann["user"]["id"].as_str().unwrap());
    refused(change(&service, &of_ann, "reader"), 400, "BAD_REQUEST");
    refused(service.delete(&of_ann), 400, "BAD_REQUEST");
    refused(
        change(&service, "/api/users/nobody", "reader"),
        404,
        "USER_NOT_FOUND",
    );
    refused(service.delete("/api/users/nobody"), 404, "USER_NOT_FOUND");
    // The session of before may do what the new role allows, and ends with the user.
    let ann_headers = std::mem::take(&mut service.headers);
    become_(&mut service, rita["access_token"].as_str().unwrap());
    assert_eq!(upload(&service, "~rita").0, 202);
    home.run(&["user", "role", "rita", "reader"]).expect(0);
    refused(upload(&service, "~rita"), 403, "FORBIDDEN");
    // A new password ends the session.
    home.run_with(&["user", "password", "eve"], b"another password\n")
        .expect(0);
    let credentials = json!({"username": "eve", "password": "another password"});
    assert_eq!(service.post("/api/auth/login", &credentials).0, 200);
    home.run_with(&["user", "password", "nobody"], b"another password\n")
        .expect(1);
    let ran = home.run(&["user", "role", "nobody", "reader"]).expect(1);
    assert!(ran.stderr.contains("no user 'nobody'"), "{}", ran.stderr);
    service.headers = ann_headers;
    assert_eq!(service.delete(&of_rita).0, 200);
    become_(&mut service, rita["access_token"].as_str().unwrap());
    assert_eq!(service.get("/api/documents").0, 401);
}
