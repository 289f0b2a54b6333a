//! A server as those who run it see it: logs, configuration read anew, restarts, limits.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::documents::minutes;
use crate::support::service::Service;
use crate::support::{Home, wait_for};

fn read(logs: &Path, name: &str) -> String {
    std::fs::read_to_string(logs.join(name)).unwrap()
}

/// Lines of a log in JSON.
fn lines(logs: &Path, name: &str) -> Vec<Value> {
    let text = read(logs, name);
    let parse = |line: &str| -> Value {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
    };
    text.lines().map(parse).collect()
}

#[test]
fn logs_tell_what_happened_and_no_secret() {
    let home = Home::new();
    let token = home.run(&["token", "create", "ci"]).expect(0).stdout;
    let token = token.trim().to_owned();
    home.run_with(&["user", "add", "ann"], b"correct horse 7\n")
        .expect(0);
    let logs = home.path().join("logs");
    let args = [
        "--login",
        "--log-dir",
        logs.to_str().unwrap(),
        "--log-format",
        "json",
        "--slow-query",
        "1ms",
    ];
    let mut service = Service::start(&home, &[&args[..], &["--log-level", "debug"]].concat());
    let credentials = json!({"username": "ann", "password": "correct horse 7"});
    let (_, session) = service.post("/api/auth/login", &credentials);
    service.headers = format!("authorization: Bearer {token}\r\nx-request-id: my-request\r\n");
    let (_, job) = service.upload("minutes.pdf", &minutes());
    service.wait(job["job_id"].as_str().unwrap(), "completed");
    let question = "Who approved the secret maintenance budget?";
    assert_eq!(service.post("/query", &json!({"query": question})).0, 200);
    service.ask(
        "GET",
        &format!("/ws?access_token={token}"),
        "text/plain",
        b"",
    );
    service.headers = "authorization: Bearer squall_guess\r\n".into();
    service.get("/api/jobs");
    assert_eq!(service.stop(), 0);

    let app = lines(&logs, "app.log");
    let find = |text: &str| {
        let mut found = app
            .iter()
            .filter(|line| line["message"].as_str().is_some_and(|m| m.contains(text)));
        found
            .next()
            .unwrap_or_else(|| panic!("no {text:?} in {app:#?}"))
    };
    find("listening on http://");
    find("indexed minutes.pdf (4 pages");
    find("stopped");
    let slow = find("slow question");
    assert_eq!(slow["span"]["id"], "my-request", "{slow}");
    assert_eq!(
        (&slow["level"], &slow["characters"]),
        (&json!("WARN"), &json!(question.len()))
    );
    assert!(slow["ms"].as_u64().unwrap() >= 1, "{slow}");
    let errors = lines(&logs, "error.log");
    assert!(
        errors
            .iter()
            .all(|line| line["level"] == "WARN" || line["level"] == "ERROR")
    );
    assert!(errors.iter().any(|line| line["message"] == "slow question"));

    let access = lines(&logs, "access.log");
    let asked = access.iter().find(|line| line["path"] == "/query").unwrap();
    assert_eq!(
        (
            &asked["status"],
            &asked["method"],
            &asked["user"],
            &asked["from"],
            &asked["id"]
        ),
        (
            &json!(200),
            &json!("POST"),
            &json!("ci"),
            &json!("127.0.0.1"),
            &json!("my-request")
        ),
        "{asked}"
    );
    assert!(
        asked["ms"].as_f64().unwrap() > 0.0 && asked["timestamp"].as_str().unwrap().ends_with('Z')
    );
    let refused = access
        .iter()
        .find(|line| line["path"] == "/api/jobs")
        .unwrap();
    assert_eq!(
        (&refused["status"], &refused["user"]),
        (&json!(401), &Value::Null)
    );

    let all = ["app.log", "error.log", "access.log"]
        .map(|name| read(&logs, name))
        .concat();
    let access_token = session["data"]["access_token"].as_str().unwrap();
    for secret in [
        &token,
        "squall_guess",
        "correct horse 7",
        access_token,
        question,
    ] {
        assert!(!all.contains(secret), "{secret} is in the logs");
    }
}

#[test]
fn logs_that_cannot_be_written_are_a_usage_error() {
    let home = Home::new();
    let file = home.write("a-file", "x");
    let ran = home.run(&[
        "serve",
        "--addr",
        "127.0.0.1:0",
        "--log-dir",
        file.to_str().unwrap(),
    ]);
    let ran = ran.expect(2);
    assert!(
        ran.stderr.contains("--log-dir names another"),
        "{}",
        ran.stderr
    );
    let ran = home.run(&["serve", "--slow-query", "soon"]).expect(2);
    assert!(ran.stderr.contains("slow_query: 'soon'"), "{}", ran.stderr);
}

#[test]
fn a_hangup_reads_the_configuration_anew_and_bad_ones_change_nothing() {
    let home = Home::new();
    let config = home.path().join("squall.toml");
    std::fs::write(&config, "top_k = 1").unwrap();
    let logs = home.path().join("logs");
    let args = [
        "--config",
        config.to_str().unwrap(),
        "--log-dir",
        logs.to_str().unwrap(),
    ];
    let service = Service::start(&home, &args);
    let (_, job) = service.upload("minutes.pdf", &minutes());
    service.wait(job["job_id"].as_str().unwrap(), "completed");
    let passages = || {
        let (_, answer) = service.post("/query", &json!({"query": "the maintenance budget"}));
        answer["retrieved_context"].as_array().unwrap().len()
    };
    let reload = |text: &str, told: &str| {
        std::fs::write(&config, text).unwrap();
        service.signal("HUP");
        wait_for(told, || read(&logs, "app.log").contains(told).then_some(()));
    };
    assert_eq!(passages(), 1);
    reload(
        "top_k = 2",
        "INFO squall::command::serve: read the configuration anew\n",
    );
    assert_eq!(passages(), 2);
    reload(
        "top_k = 3\nmax_upload = \"1kB\"\nlog_level = \"debug\"",
        "read the configuration anew; max_upload will change at the next start",
    );
    assert_eq!(passages(), 3);
    reload("top_k = 0", "the configuration stays as it was: top_k is 0");
    reload("top_q = 1", "unknown field `top_q`");
    reload("roots = [\"nowhere\"]", "--root nowhere is no folder");
    assert_eq!(passages(), 3);
    assert_eq!(
        service.upload("copy.pdf", &minutes()).0,
        200,
        "the old limit still holds"
    );
    assert_eq!(service.stop(), 0);
}

#[test]
fn nobody_is_turned_away_while_a_server_with_a_handed_socket_restarts() {
    let home = Home::new();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    // What it is told to listen on does not matter, as the socket is there.
    let args = ["--addr", "127.0.0.1:1"];
    let service = Service::start_on(&home, &socket, &args);
    assert_eq!(service.address, address.to_string());
    let ended = AtomicBool::new(false);
    let ask = || {
        let mut answers = 0;
        while !ended.load(Ordering::Relaxed) {
            let mut stream = TcpStream::connect(address).unwrap();
            let head = format!(
                "GET /api/documents HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
            answers += 1;
        }
        answers
    };
    std::thread::scope(|scope| {
        let clients = [(); 4].map(|()| scope.spawn(ask));
        let mut service = service;
        for _ in 0..3 {
            std::thread::sleep(std::time::Duration::from_millis(200));
            assert_eq!(service.stop(), 0);
            service = Service::start_on(&home, &socket, &args);
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
        ended.store(true, Ordering::Relaxed);
        let answers: i32 = clients.map(|client| client.join().unwrap()).iter().sum();
        assert!(answers > 100, "{answers}");
    });
}

#[test]
fn who_asks_too_much_waits_and_others_do_not() {
    let home = Home::new();
    let [ann, bob] =
        ["ann", "bob"].map(|name| home.run(&["token", "create", name]).expect(0).stdout);
    let mut service = Service::start(&home, &["--login", "--rate-limit", "2"]);
    let ask = |service: &Service, path: &str| service.ask("GET", path, "text/plain", b"");
    service.headers = format!("authorization: Bearer {}\r\n", ann.trim());
    let answers: Vec<_> = (0..20).map(|_| ask(&service, "/api/documents")).collect();
    assert!(answers[..4].iter().all(|answer| answer.status == 200));
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
    assert_eq!(refused.json()["error_code"], "TOO_MANY_REQUESTS");
    service.headers = format!("authorization: Bearer {}\r\n", bob.trim());
    assert_eq!(ask(&service, "/api/documents").status, 200);
    // Guesses count for the address they come from.
    service.headers = "authorization: Bearer squall_guess\r\n".into();
    let guesses: Vec<_> = (0..20)
        .map(|_| ask(&service, "/api/documents").status)
        .collect();
    assert!(guesses[0] == 401 && guesses.contains(&429), "{guesses:?}");
    assert!((0..20).all(|_| ask(&service, "/health").status == 200));
}

#[test]
fn two_servers_do_not_share_a_data_directory() {
    let home = Home::new();
    let service = Service::start(&home, &[]);
    let ran = home.run(&["serve", "--addr", "127.0.0.1:0", "--lock-timeout", "200ms"]);
    let ran = ran.expect(5);
    assert!(
        ran.stderr.contains("serves") && ran.stderr.contains("--data-dir"),
        "{}",
        ran.stderr
    );
    assert_eq!(service.stop(), 0);
    assert_eq!(Service::start(&home, &[]).stop(), 0);
}

#[test]
fn wrong_values_are_told_with_the_way_out() {
    let home = Home::new();
    let config = home.path().join("c.toml");
    std::fs::write(&config, "top_k = 3\nmode = \"psychic\"\n").unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["--addr", "8000"], "such as 127.0.0.1:8000"),
        (&["--host", "https://docs.example"], "write docs.example"),
        (&["--log-size", "1"], "at least 10kB"),
        (&["--proxy", "gateway"], "invalid IP address"),
        (
            &["--config", config.to_str().unwrap()],
            "c.toml, line 2: unknown variant `psychic`",
        ),
    ];
    for (args, words) in cases {
        let ran = home.run(&[&["serve"], args].concat()).expect(2);
        assert!(ran.stderr.contains(words), "{args:?}: {}", ran.stderr);
    }
}
