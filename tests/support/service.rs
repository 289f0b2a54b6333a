//! A running `squall serve`, asked over a real socket.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::{Home, wait_for};
use crate::shell::signal;

pub struct Service {
    child: Child,
    pub address: String,
    /// Sent with every request, line by line.
    pub headers: String,
}

/// An answer: status, head in lower case, body.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    fn read(stream: TcpStream) -> Self {
        Self::try_read(stream).expect("an answer with a head")
    }

    /// `None` where the server goes away before it has answered.
    fn try_read(mut stream: TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok()?;
        let at = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..at].to_vec()).unwrap();
        let status = head[9..12].parse().unwrap();
        let head = head.to_lowercase();
        let body = bytes[at + 4..].to_vec();
        let is_chunked = head.contains("transfer-encoding: chunked");
        Some(Self {
            status,
            head,
            body: if is_chunked { whole(&body) } else { body },
        })
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// A body that came in chunks.
fn whole(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        body.extend(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
    body
}

/// The kind of [`form`]s.
pub const FORM: &str = "multipart/form-data; boundary=edge";

/// A form of files and text fields.
pub fn form(files: &[(&str, &[u8])], fields: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        let part =
            format!("--edge\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend(part.as_bytes());
    }
    for (name, bytes) in files {
        let head = format!(
            "--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             content-type: application/octet-stream\r\n\r\n"
        );
        body.extend(head.as_bytes());
        body.extend(*bytes);
        body.extend(b"\r\n");
    }
    body.extend(b"--edge--\r\n");
    body
}

impl Service {
    pub fn start(home: &Home, args: &[&str]) -> Self {
        let all = [&["serve", "--addr", "127.0.0.1:0"], args].concat();
        Self::started(home.spawn(home.command(&all).stdin(Stdio::null())))
    }

    /// A server that listens on a socket which is open already, as a service manager starts it.
    pub fn start_on(home: &Home, socket: &TcpListener, args: &[&str]) -> Self {
        let script = r#"exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@""#;
        let plain = home.command(&[]);
        let mut shell = Command::new("sh");
        let known = plain
            .get_envs()
            .filter_map(|(key, value)| Some((key, value?)));
        shell.env_clear().envs(known).current_dir(home.path());
        shell
            .args(["-c", script])
            .arg(plain.get_program())
            .arg("serve")
            .args(args);
        shell.stdin(OwnedFd::from(socket.try_clone().unwrap()));
        Self::started(home.spawn(&mut shell))
    }

    fn started(mut child: Child) -> Self {
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let address = line.rsplit("http://").next().unwrap();
        let address = address.split('"').next().unwrap().to_owned();
        // Keep reading, so that the program never waits for its stderr.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            address,
            headers: String::new(),
        }
    }

    /// The answer to a request with these headers and no others.
    pub fn exchange(&self, request: &str, headers: &str, body: &[u8]) -> Answer {
        Answer::read(self.open(request, headers, body))
    }

    /// The answer of a server that may be killed meanwhile: its status and JSON, if it got that far.
    pub fn try_ask(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> Option<(u16, Value)> {
        let headers = format!("host: {}\r\ncontent-type: {kind}\r\n", self.address);
        let stream = self.try_open(&format!("{method} {path}"), &headers, body)?;
        let answer = Answer::try_read(stream)?;
        Some((answer.status, serde_json::from_slice(&answer.body).ok()?))
    }

    /// Sends a request and hands out the connection.
    fn open(&self, request: &str, headers: &str, body: &[u8]) -> TcpStream {
        let stream = self.try_open(request, headers, body);
        stream.expect("a server that takes a request")
    }

    fn try_open(&self, request: &str, headers: &str, body: &[u8]) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        let head = format!(
            "{request} HTTP/1.1\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        // A server that has refused already may have closed its end.
        let _ = stream.write_all(body);
        Some(stream)
    }

    pub fn ask(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
        let headers = format!(
            "host: {}\r\ncontent-type: {kind}\r\n{}",
            self.address, self.headers
        );
        self.exchange(&format!("{method} {path}"), &headers, body)
    }

    /// Status and JSON of the answer.
    pub fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.ask("GET", path, "text/plain", b"");
        (answer.status, answer.json())
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let answer = self.ask("POST", path, "application/json", body.as_bytes());
        (answer.status, answer.json())
    }

    pub fn delete(&self, path: &str) -> (u16, Value) {
        let answer = self.ask("DELETE", path, "text/plain", b"");
        (answer.status, answer.json())
    }

    /// Sends a form of files and text fields.
    pub fn form(&self, path: &str, files: &[(&str, &[u8])], fields: &[(&str, &str)]) -> Answer {
        self.ask("POST", path, FORM, &form(files, fields))
    }

    /// Uploads one file by the simple route.
    pub fn upload(&self, name: &str, bytes: &[u8]) -> (u16, Value) {
        let answer = self.form("/ingest", &[(name, bytes)], &[]);
        (answer.status, answer.json())
    }

    pub fn wait(&self, job: &str, state: &str) -> Value {
        wait_for(state, || {
            let (code, body) = self.get(&format!("/ingest/status/{job}"));
            assert_eq!(code, 200);
            (body["state"] == state).then_some(body)
        })
    }

    /// Server-sent events from `path` until `enough`, each as its type and data.
    pub fn events(
        &self,
        request: &str,
        body: &[u8],
        enough: impl Fn(&[(String, Value)]) -> bool,
    ) -> Vec<(String, Value)> {
        let headers = format!(
            "host: {}\r\ncontent-type: application/json\r\n{}",
            self.address, self.headers
        );
        let stream = self.open(request, &headers, body);
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let (mut events, mut kind) = (Vec::new(), String::new());
        for line in BufReader::new(stream).lines() {
            let line = line.unwrap();
            if let Some(name) = line.strip_prefix("event: ") {
                kind = name.to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                let data = serde_json::from_str(data).unwrap();
                events.push((std::mem::take(&mut kind), data));
                if enough(&events) {
                    break;
                }
            }
        }
        events
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    pub fn stop(mut self) -> i32 {
        signal(self.child.id(), "TERM");
        self.child.wait().unwrap().code().unwrap()
    }

    /// Ends it where it stands.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}
