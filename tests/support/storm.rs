//! A scripted Storm server on loopback: answers in the given order, remembers what it was asked,
//! and fails the test if its script was not consumed.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::fixture;

/// The only token the server takes.
pub const TOKEN: &str = "token-for-tests-7341";

/// One scripted reply.
#[derive(Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    delay: Duration,
    /// Close the connection instead of answering.
    cut: bool,
}

impl Reply {
    pub fn json(body: impl Into<String>) -> Self {
        Self::status(200, body)
    }

    pub fn status(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            delay: Duration::ZERO,
            cut: false,
        }
    }

    pub fn fixture(name: &str) -> Self {
        Self::json(std::fs::read_to_string(fixture(&format!("storm/{name}"))).unwrap())
    }

    pub fn cut() -> Self {
        Self {
            cut: true,
            ..Self::status(0, "")
        }
    }

    pub fn header(mut self, key: &str, value: &str) -> Self {
        self.headers.push((key.into(), value.into()));
        self
    }

    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub body: Vec<u8>,
}

#[derive(Default)]
struct Script {
    uploads: VecDeque<Reply>,
    polls: VecDeque<Reply>,
    /// Given again and again once `polls` is empty.
    polls_forever: Option<Reply>,
    /// The same for `uploads`.
    uploads_forever: Option<Reply>,
    /// Without a script: every upload becomes a job of its own, done at once.
    is_automatic: bool,
    /// The files taken, in order; number n is job `job-n`.
    taken: Vec<Vec<u8>>,
    seen: Vec<Request>,
    uploading: usize,
    most_uploading: usize,
    complaints: Vec<String>,
}

/// The server; dropping it checks the script.
pub struct Server {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    closing: Arc<AtomicBool>,
}

/// The job no service knows, which clients ask for to tell the generations apart.
const PROBE: &str = "00000000-0000-0000-0000-000000000000";

impl Server {
    pub fn new(uploads: Vec<Reply>, polls: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            script: Arc::new(Mutex::new(Script {
                uploads: uploads.into(),
                polls: polls.into(),
                ..Script::default()
            })),
            closing: Arc::default(),
        };
        let (script, closing) = (Arc::clone(&server.script), Arc::clone(&server.closing));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if closing.load(Ordering::SeqCst) {
                    return;
                }
                let script = Arc::clone(&script);
                std::thread::spawn(move || serve(stream.unwrap(), &script));
            }
        });
        server
    }

    /// A server that takes every file and gives it back as one page of text.
    pub fn automatic() -> Self {
        let server = Self::new(vec![], vec![]);
        server.script.lock().unwrap().is_automatic = true;
        server
    }

    /// How often each file was taken.
    pub fn taken(&self) -> HashMap<Vec<u8>, usize> {
        let mut counts = HashMap::new();
        for file in &self.script.lock().unwrap().taken {
            *counts.entry(file.clone()).or_default() += 1;
        }
        counts
    }

    /// Answers every upload beyond the script with `reply`.
    pub fn then_always_to_uploads(self, reply: Reply) -> Self {
        self.script.lock().unwrap().uploads_forever = Some(reply);
        self
    }

    /// Answers every poll beyond the script with `reply`.
    pub fn then_always(self, reply: Reply) -> Self {
        self.script.lock().unwrap().polls_forever = Some(reply);
        self
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds to the script of a running server.
    pub fn script(&self, uploads: Vec<Reply>, polls: Vec<Reply>) {
        let mut script = self.script.lock().unwrap();
        script.uploads.extend(uploads);
        script.polls.extend(polls);
        script.polls_forever = None;
        script.uploads_forever = None;
    }

    pub fn requests(&self) -> Vec<Request> {
        self.script.lock().unwrap().seen.clone()
    }

    pub fn uploads(&self) -> usize {
        let seen = self.requests();
        seen.iter()
            .filter(|request| request.method == "POST")
            .count()
    }

    /// Most uploads that waited for their answer at the same time.
    pub fn most_uploading(&self) -> usize {
        self.script.lock().unwrap().most_uploading
    }

    /// Polls of real jobs.
    pub fn polls(&self) -> usize {
        let seen = self.requests();
        seen.iter()
            .filter(|request| request.method == "GET" && !request.path.contains(PROBE))
            .count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if std::thread::panicking() {
            return;
        }
        let script = self.script.lock().unwrap();
        assert!(script.complaints.is_empty(), "{:?}", script.complaints);
        assert_eq!(
            (script.uploads.len(), script.polls.len()),
            (0, 0),
            "scripted uploads and polls that nobody asked for"
        );
    }
}

fn serve(stream: TcpStream, script: &Mutex<Script>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some((request, authorised)) = read_request(&mut reader) {
        let reply = {
            let mut script = script.lock().unwrap();
            let reply = choose(&mut script, &request, authorised);
            script.uploading += usize::from(request.method == "POST");
            script.most_uploading = script.most_uploading.max(script.uploading);
            script.seen.push(request.clone());
            reply
        };
        std::thread::sleep(reply.delay);
        script.lock().unwrap().uploading -= usize::from(request.method == "POST");
        if reply.cut || write_reply(&mut writer, &reply).is_err() {
            return;
        }
    }
}

fn choose(script: &mut Script, request: &Request, authorised: bool) -> Reply {
    if !authorised {
        return Reply::status(401, r#"{"message":"invalid token"}"#);
    }
    if request.path.contains(PROBE) {
        return match request.path.starts_with("/api/v1/") {
            true => Reply::fixture("v1_not_found.json"),
            false => Reply::status(404, r#"{"message":"Job not found"}"#),
        };
    }
    if script.is_automatic {
        return automatic(script, request);
    }
    let reply = match request.method.as_str() {
        "POST" => script
            .uploads
            .pop_front()
            .or_else(|| script.uploads_forever.clone()),
        _ => script
            .polls
            .pop_front()
            .or_else(|| script.polls_forever.clone()),
    };
    reply.unwrap_or_else(|| {
        let complaint = format!("not in the script: {} {}", request.method, request.path);
        script.complaints.push(complaint.clone());
        Reply::status(418, complaint)
    })
}

fn automatic(script: &mut Script, request: &Request) -> Reply {
    let job = |number: usize, rest: &str| {
        Reply::json(format!(
            r#"{{"result_type":"SUCCESS","success":{{"job_id":"job-{number}",{rest}}}}}"#
        ))
    };
    if request.method == "POST" {
        let file = uploaded_file(&request.body);
        script.taken.push(file);
        return job(script.taken.len() - 1, r#""state":"REQUESTED""#);
    }
    let number = request.path.rsplit('-').next().unwrap();
    let number: usize = number.parse().unwrap();
    let file: &Vec<u8> = &script.taken[number];
    let text = serde_json::to_string(&String::from_utf8_lossy(file)).unwrap();
    let pages = format!(r#""state":"COMPLETED","pages":[{{"pageNumber":1,"content":{text}}}]"#);
    job(number, &pages)
}

/// The file in a multipart body of one part.
fn uploaded_file(body: &[u8]) -> Vec<u8> {
    let find = |needle: &[u8], from: usize| {
        let found = body[from..].windows(needle.len()).position(|w| w == needle);
        from + found.unwrap()
    };
    let start = find(b"\r\n\r\n", 0) + 4;
    body[start..find(b"\r\n--", start)].to_vec()
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(Request, bool)> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut parts = line.split_whitespace();
    let (method, path) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let (mut length, mut chunked, mut authorised) = (0, false, false);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim_end();
        if header.is_empty() {
            break;
        }
        let (key, value) = header.split_once(": ")?;
        match key.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "transfer-encoding" => chunked = value == "chunked",
            "authorization" => authorised = value == format!("Bearer {TOKEN}"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    if chunked {
        body = read_chunks(reader)?;
    } else {
        reader.read_exact(&mut body).ok()?;
    }
    Some((Request { method, path, body }, authorised))
}

fn read_chunks(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let mut piece = vec![0; size + 2];
        reader.read_exact(&mut piece).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend(&piece[..size]);
    }
}

fn write_reply(writer: &mut TcpStream, reply: &Reply) -> std::io::Result<()> {
    let mut head = format!(
        "HTTP/1.1 {} Scripted\r\ncontent-length: {}\r\n",
        reply.status,
        reply.body.len()
    );
    for (key, value) in &reply.headers {
        head.push_str(&format!("{key}: {value}\r\n"));
    }
    writer.write_all(head.as_bytes())?;
    writer.write_all(b"\r\n")?;
    writer.write_all(reply.body.as_bytes())
}
