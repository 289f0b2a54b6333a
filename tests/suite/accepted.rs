//! What a server has accepted: it arrives, or is given up for good.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;

use crate::corruption::Dice;
use crate::support::service::{FORM, Service, form};
use crate::support::{Home, wait_for};

use crate::documents::{minutes, put, refused};

#[test]
fn jobs_are_listed_retried_and_not_cancelled_once_ended() {
    let home = Home::new();
    let service = Service::start(&home, &[]);
    put(&service, "minutes.pdf", &minutes(), &[]);
    let answer = service.form("/api/documents", &[("bad.pdf", b"%PDF-1.4 no")], &[]);
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
            .contains("damaged")
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
    // Its bytes are there for another try after the next start, too.
    assert_eq!(service.stop(), 0);
    let service = Service::start(&home, &[]);
    let retry = format!("/api/jobs/{job}/retry");
    assert_eq!(service.post(&retry, &json!({})).0, 200);
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

fn note(name: &str) -> String {
    format!("Note {name} tells of the harbour of {name}.")
}

/// What a server has said, over all its lives.
#[derive(Default)]
struct Said {
    /// Names of documents that were accepted, and their ids.
    accepted: BTreeMap<String, String>,
    /// Names of those it says are removed.
    removed: BTreeSet<String>,
    questions: usize,
}

/// Uploads, removes and asks until the server goes away.
fn press(service: &Service, said: &Mutex<Said>, prefix: &str) {
    for n in 0.. {
        let name = format!("{prefix}-{n}.txt");
        let body = form(&[(&name, note(&name).as_bytes())], &[]);
        let Some((status, answer)) = service.try_ask("POST", "/api/documents", FORM, &body) else {
            return;
        };
        assert_eq!(status, 202, "{answer}");
        let id = answer["data"][0]["document_id"]
            .as_str()
            .unwrap()
            .to_owned();
        said.lock()
            .unwrap()
            .accepted
            .insert(name.clone(), id.clone());
        let question =
            json!({"query": format!("the harbour of {name}"), "mode": "lexical"}).to_string();
        let asked = service.try_ask(
            "POST",
            "/api/search",
            "application/json",
            question.as_bytes(),
        );
        let Some((200, _)) = asked else { return };
        said.lock().unwrap().questions += 1;
        if n % 5 == 4 {
            let path = format!("/api/documents/{id}");
            // From here on either is right, unless it answers.
            said.lock().unwrap().accepted.remove(&name);
            match service.try_ask("DELETE", &path, "text/plain", b"") {
                Some((200, _)) => said.lock().unwrap().removed.insert(name),
                _ => return,
            };
        }
    }
}

fn killed_under_load(rounds: usize, seed: u64) {
    let home = Home::new();
    let mut dice = Dice(seed);
    let said = Mutex::new(Said::default());
    for round in 0..rounds {
        let service = Service::start(&home, &[]);
        std::thread::scope(|scope| {
            for client in 0..4 {
                let (service, said) = (&service, &said);
                scope.spawn(move || press(service, said, &format!("r{round}c{client}")));
            }
            std::thread::sleep(Duration::from_millis(100 + dice.below(700) as u64));
            service.signal("KILL");
        });
    }
    let said = said.into_inner().unwrap();
    println!(
        "{rounds} kills: {} documents accepted, {} removed, {} questions answered",
        said.accepted.len(),
        said.removed.len(),
        said.questions
    );
    assert!(said.accepted.len() > 10 * rounds && said.questions > 10 * rounds);
    let service = Service::start(&home, &[]);
    wait_for("the end of all jobs", || {
        (service.get("/api/jobs?state=queued").1["total"] == 0).then_some(())
    });
    for (name, id) in &said.accepted {
        let (status, document) = service.get(&format!("/api/documents/{id}"));
        assert_eq!(
            (status, &document["data"]["state"]),
            (200, &json!("indexed")),
            "{name}: {document}"
        );
        let bytes = service.ask("GET", &format!("/api/documents/{id}/download"), "", b"");
        assert_eq!(bytes.text(), note(name));
    }
    for name in &said.removed {
        let (_, list) = service.get(&format!("/api/documents?name={name}"));
        assert_eq!(list["total"], 0, "{name} came back");
    }
    assert_eq!(service.stop(), 0);
    home.run(&["verify"]).expect(0);
}

#[test]
fn kills_under_load_lose_nothing_that_was_accepted() {
    killed_under_load(4, 11);
}

#[test]
#[ignore = "takes minutes"]
fn forty_kills_under_load_lose_nothing_that_was_accepted() {
    killed_under_load(40, 12);
}
