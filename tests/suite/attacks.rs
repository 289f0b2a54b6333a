//! What people who mean no good try with a server.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::access::{become_, home, login, upload};
use crate::documents::{minutes, refused};
use crate::support::service::Service;
use crate::support::{Home, wait_for};

fn guess(service: &Service, name: &str, password: &str) -> u16 {
    let credentials = json!({"username": name, "password": password});
    service.post("/api/auth/login", &credentials).0
}

#[test]
fn many_guesses_at_once_are_no_way_around_the_lockout() {
    let home = home();
    let service = Service::start(&home, &["--login"]);
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let guesses: Vec<_> = (0..20)
            .map(|n| {
                scope.spawn({
                    let service = &service;
                    move || guess(service, "rita", &format!("guess number {n}"))
                })
            })
            .collect();
        guesses
            .into_iter()
            .map(|guess| guess.join().unwrap())
            .collect()
    });
    let tried = answers.iter().filter(|status| **status == 401).count();
    assert_eq!(tried, 5, "{answers:?}");
    assert_eq!(guess(&service, "rita", "rita has a password"), 429);
    assert_eq!(guess(&service, "bob", "bob has a password"), 200);
}

#[test]
fn guesses_of_who_hangs_up_count_and_are_written_down() {
    let home = home();
    let logs = home.path().join("logs");
    let service = Service::start(&home, &["--login", "--log-dir", logs.to_str().unwrap()]);
    let body = json!({"username": "rita", "password": "a wrong guess"}).to_string();
    let seen = || {
        let access = std::fs::read_to_string(logs.join("access.log")).unwrap();
        access.matches("/api/auth/login").count()
    };
    // One that is gone before the server has looked is no guess, so there are some more than five.
    wait_for("fifteen lines", || {
        let mut stream = TcpStream::connect(&service.address).unwrap();
        let head = format!(
            "POST /api/auth/login HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            service.address,
            body.len()
        );
        stream
            .write_all(format!("{head}{body}").as_bytes())
            .unwrap();
        std::thread::sleep(Duration::from_millis(5));
        (seen() >= 15).then_some(())
    });
    assert_eq!(guess(&service, "rita", "rita has a password"), 429);
}

#[test]
fn nobody_takes_a_name_that_is_a_tokens() {
    let home = Home::new();
    home.run(&["token", "create", "ci"]).expect(0);
    let ran = home
        .run_with(&["user", "add", "CI"], b"a password\n")
        .expect(2);
    assert!(
        ran.stderr.contains("a token 'CI' already"),
        "{}",
        ran.stderr
    );
    home.run_with(&["user", "add", "ann"], b"a password\n")
        .expect(0);
    home.run(&["token", "create", "Ann"]).expect(2);
    let service = Service::start(&home, &["--login", "--open-registration"]);
    let credentials = json!({"username": "ci", "password": "attacker-pass"});
    refused(
        service.post("/api/auth/register", &credentials),
        400,
        "BAD_REQUEST",
    );
}

#[test]
fn the_same_bytes_tell_nothing_of_other_people() {
    let home = home();
    let mut service = Service::start(&home, &["--login"]);
    // Another squall writes, so that both wait.
    std::fs::create_dir_all(home.data_dir()).unwrap();
    let lock = std::fs::File::create(home.data_dir().join("writer.lock")).unwrap();
    lock.lock().unwrap();
    let send = |service: &Service, name: &str, collection: &str| {
        let fields = [("collection", collection)];
        let answer = service.form("/api/documents", &[(name, &minutes())], &fields);
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()["data"][0]["job_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    login(&mut service, "bob");
    let job = send(&service, "list-of-the-fired.pdf", "~bob");
    login(&mut service, "eve");
    assert_eq!(send(&service, "mine.pdf", "~eve"), job);
    let (_, seen) = service.get(&format!("/api/jobs/{job}"));
    assert_eq!(seen["data"]["names"], json!(["mine.pdf"]), "{seen}");
    let (_, list) = service.get("/api/jobs?collection=~eve");
    let simple = service.get(&format!("/ingest/status/{job}")).1;
    assert!(!format!("{list}{simple}").contains("fired"), "{list}");
    let cancel = format!("/api/jobs/{job}/cancel");
    refused(service.post(&cancel, &json!({})), 409, "JOB_SHARED");
    drop(lock);
    login(&mut service, "bob");
    wait_for("bob's document", || {
        let (_, list) = service.get("/api/documents?collection=~bob&state=indexed");
        (list["total"] == 1).then_some(())
    });
}

#[test]
fn who_is_shut_out_hears_no_more() {
    let home = home();
    let token = home.run(&["token", "create", "ears"]).expect(0).stdout;
    let mut service = Service::start(&home, &["--login"]);
    become_(&mut service, token.trim());
    let listening = std::mem::take(&mut service.headers);
    std::thread::scope(|scope| {
        let (address, headers) = (service.address.clone(), listening);
        let heard = scope.spawn(move || {
            let mut stream = TcpStream::connect(&address).unwrap();
            let head = format!(
                "GET /api/events HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            let mut text = String::new();
            std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
            text
        });
        std::thread::sleep(Duration::from_millis(1200));
        home.run(&["token", "revoke", "ears"]).expect(0);
        login(&mut service, "bob");
        assert_eq!(upload(&service, "default").0, 202);
        let heard = heard.join().unwrap();
        assert!(
            heard.starts_with("HTTP/1.1 200") && !heard.contains("minutes.pdf"),
            "{heard}"
        );
    });
}

#[test]
fn no_name_is_taken_from_another_document() {
    let home = Home::new();
    let service = Service::start(&home, &[]);
    let send = |name: &str, text: &str| {
        let (_, body) = service.upload(name, text.as_bytes());
        let done = service.wait(body["job_id"].as_str().unwrap(), "completed");
        (
            done["documents"][0].as_str().unwrap().to_owned(),
            done["document_id"].as_str().unwrap().to_owned(),
        )
    };
    let late = "The plan of the harbour, again.";
    let digits = blake3_of(late)[..8].to_owned();
    send("plan.txt", "The plan of the harbour.");
    let (taken, victim) = send(&format!("plan ({digits}).txt"), "Somebody else's plan.");
    let (name, _) = send("plan.txt", late);
    assert!(
        name != taken && name.starts_with(&format!("plan ({digits}")),
        "{name}"
    );
    assert_eq!(service.get(&format!("/api/documents/{victim}")).0, 200);
}

/// As the server names documents by.
fn blake3_of(text: &str) -> String {
    squall::document::DocumentId::of(text.as_bytes()).unwrap().0
}

#[test]
fn a_proxy_is_believed_where_it_is_named_and_asks_for_a_login() {
    let home = home();
    let ask = |service: &Service, host: &str, more: &str| {
        let headers = format!("host: {host}\r\nx-forwarded-for: 1.1.1.1, 203.0.113.9\r\n{more}");
        service.exchange("GET /api/documents", &headers, b"").status
    };
    let logs = home.path().join("logs");
    let args = [
        "--host",
        "docs.example",
        "--proxy",
        "127.0.0.1",
        "--log-dir",
        logs.to_str().unwrap(),
    ];
    let service = Service::start(&home, &args);
    assert_eq!(
        ask(&service, "docs.example", "origin: https://docs.example\r\n"),
        401
    );
    assert_eq!(
        ask(&service, "docs.example", "origin: https://evil.example\r\n"),
        403
    );
    assert_eq!(ask(&service, "evil.example", ""), 421);
    assert_eq!(service.stop(), 0);
    let access = std::fs::read_to_string(logs.join("access.log")).unwrap();
    assert_eq!(
        access.matches("from=\"203.0.113.9\"").count(),
        3,
        "{access}"
    );
    let plain = Service::start(&home, &[]);
    assert_eq!(ask(&plain, "docs.example", ""), 421);
    let config = home.path().join("c.toml");
    std::fs::write(&config, "login = false\nhosts = [\"docs.example\"]").unwrap();
    let ran = home
        .run(&["serve", "--config", config.to_str().unwrap()])
        .expect(2);
    assert!(ran.stderr.contains("login = false"), "{}", ran.stderr);
}

#[test]
fn bodies_have_an_end_and_logs_no_forged_line() {
    let home = Home::new();
    let logs = home.path().join("logs");
    let service = Service::start(
        &home,
        &["--log-dir", logs.to_str().unwrap(), "--log-level", "debug"],
    );
    let send = |id: &str| {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": "no/such"}).to_string();
        let headers = format!(
            "host: {}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n",
            service.address
        );
        service
            .exchange("POST /mcp", &headers, message.as_bytes())
            .status
    };
    assert_eq!(send(&"x".repeat(2 << 20)), 413);
    assert_eq!(
        send("1\n2026-11-22T01:00:00Z ERROR squall: FORGED \u{1b}[31m"),
        200
    );
    service.upload(
        "a\nb 2026-11-22T01:00:00Z ERROR squall: FORGED.txt",
        b"text",
    );
    assert_eq!(service.stop(), 0);
    for name in ["app.log", "error.log", "access.log"] {
        let text = std::fs::read_to_string(logs.join(name)).unwrap();
        assert!(!text.contains('\u{1b}'), "{name}: {text}");
        let is_forged = |line: &str| line.starts_with("2026-11-22T01:00:00Z");
        assert!(!text.lines().any(is_forged), "{name}: {text}");
    }
}

#[test]
fn a_socket_that_is_handed_over_and_open_has_the_limits_of_an_open_address() {
    let home = Home::new();
    home.run(&["token", "create", "ci"]).expect(0);
    let socket = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let mut service = Service::start_on(&home, &socket, &[]);
    service.address = service.address.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(service.get("/api/documents").0, 401);
    let is_limited = (0..5000).any(|_| service.get("/api/documents").0 == 429);
    assert!(is_limited);
}
