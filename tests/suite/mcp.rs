//! The tools for language models, over stdio and over HTTP.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::support::service::Service;
use crate::support::{Home, fixture};

const HELLO: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18",
    "capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#;

struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    id: u64,
}

impl Client {
    fn start(home: &Home, args: &[&str]) -> Self {
        let mut command = home.command(&[&["mcp"], args].concat());
        let mut child = home.spawn(command.stdin(Stdio::piped()));
        let mut client = Self {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            id: 0,
        };
        let hello = client.exchange(&HELLO.replace('\n', ""));
        assert_eq!(hello["result"]["serverInfo"]["name"], "squall", "{hello}");
        let ready = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        writeln!(client.input, "{ready}").unwrap();
        client
    }

    fn exchange(&mut self, message: &str) -> Value {
        writeln!(self.input, "{message}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        self.id += 1;
        self.exchange(&call(self.id, tool, arguments))["result"].clone()
    }
}

fn call(id: u64, tool: &str, arguments: &Value) -> String {
    let params = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string()
}

#[test]
fn a_model_takes_in_asks_and_reads_over_stdio() {
    let home = Home::new();
    home.copy("documents/harbour-committee-minutes.pdf");
    let secret = home.path().join("secret.txt");
    std::fs::write(&secret, "The secret is out.").unwrap();
    let mut client = Client::start(&home, &["--root", "docs"]);
    let tools = client.exchange(r#"{"jsonrpc":"2.0","id":9,"method":"tools/list"}"#);
    let tools = tools["result"]["tools"].as_array().unwrap();
    let names: Vec<&str> = tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    for name in ["search", "answer", "get_page", "list_documents", "ingest"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let refused = client.call("ingest", &json!({"path": secret}));
    assert_eq!(refused["isError"], true, "{refused}");
    assert!(
        refused["content"][0]["text"]
            .as_str()
            .unwrap()
            .contains("--root")
    );
    let summary = client.call("ingest", &json!({"path": home.path().join("docs")}));
    assert_eq!(summary["structuredContent"]["indexed"], 1, "{summary}");
    let question = json!({"query": "Who approved the 2025 maintenance budget?"});
    let answer = client.call("answer", &question);
    let citation = &answer["structuredContent"]["citations"][0];
    assert_eq!(citation["page_number"], 3, "{answer}");
    let page = json!({"document_id": citation["document_id"], "page_number": 3});
    let page = client.call("get_page", &page);
    let text = page["structuredContent"]["text"].as_str().unwrap();
    assert!(text.contains(citation["quote"].as_str().unwrap()));
    let hits = client.call("search", &question);
    assert!(
        !hits["structuredContent"]["hits"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let list = client.call("list_documents", &json!({"name": "minutes"}));
    assert_eq!(list["structuredContent"]["total"], 1);
    let missing = client.call("get_page", &json!({"document_id": "0", "page_number": 1}));
    assert_eq!(missing["isError"], true);
    drop(client.input);
    assert_eq!(client.child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_is_no_client_or_no_folder_is_told() {
    let home = Home::new();
    let ran = home.run_with(&["mcp"], b"hello?\n").expect(2);
    assert!(ran.stderr.contains("README"), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
    let ran = home.run(&["mcp", "--root", "nowhere"]).expect(2);
    assert!(ran.stderr.contains("--root nowhere"), "{}", ran.stderr);
}

#[test]
fn over_http_it_is_bound_as_the_rest() {
    let home = Home::new();
    home.run_with(&["user", "add", "ann"], b"ann has a password\n")
        .expect(0);
    let reader = home.run(&["token", "create", "r", "--role", "reader"]);
    let reader = reader.expect(0).stdout.trim().to_owned();
    home.copy("documents/onboarding.md");
    let mut service = Service::start(&home, &["--login", "--root", "docs"]);
    let ask = |service: &Service, body: &str| {
        let headers = format!(
            "host: {}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n\
             mcp-protocol-version: 2025-06-18\r\n{}",
            service.address, service.headers
        );
        service.exchange("POST /mcp", &headers, body.as_bytes())
    };
    assert_eq!(ask(&service, HELLO).status, 401);
    let login = json!({"username": "ann", "password": "ann has a password"});
    let (_, session) = service.post("/api/auth/login", &login);
    let token = session["data"]["access_token"].as_str().unwrap();
    service.headers = format!("authorization: Bearer {token}\r\n");
    let hello = ask(&service, HELLO);
    assert_eq!(hello.status, 200, "{}", hello.text());
    assert_eq!(hello.json()["result"]["serverInfo"]["name"], "squall");
    let minutes = std::fs::read(fixture("documents/harbour-committee-minutes.pdf")).unwrap();
    let fields = [("collection", "~ann")];
    let form = service.form("/api/documents", &[("minutes.pdf", &minutes)], &fields);
    let job = form.json()["data"][0]["job_id"]
        .as_str()
        .unwrap()
        .to_owned();
    service.wait(&job, "completed");
    let question =
        json!({"query": "Who approved the 2025 maintenance budget?", "collection": "~ann"});
    let answer = ask(&service, &call(1, "answer", &question)).json();
    let page = &answer["result"]["structuredContent"]["citations"][0]["page_number"];
    assert_eq!(page, 3, "{answer}");
    // What is ann's is not for others, and a reader takes nothing in.
    service.headers = format!("authorization: Bearer {reader}\r\n");
    let answer = ask(&service, &call(2, "answer", &question)).json();
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    home.copy("documents/sensor-manual.pdf");
    let path = json!({"path": home.path().join("docs")});
    let answer = ask(&service, &call(3, "ingest", &path)).json();
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(service.get("/api/documents").1["total"], 0);
}
