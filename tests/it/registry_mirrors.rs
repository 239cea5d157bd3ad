//! Layers of a base that a push takes from a mirror: left when it fails, and only then.

use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyarch::blob::Descriptor;
use anyarch::reference::Repository;
use anyarch::registry::{Error, PushedHow, Supply};
use serde_json::json;

use crate::registry::Party;
use crate::registry_answers::{app, open};
use crate::registry_reads::{layer, ranges};
use crate::registry_settings::{login, with_mirror};
use crate::support::server::{Answer, Request, Server};

/// A registry to push to, which answers the first PUT of a blob in its own way.
fn destination(first: Answer) -> Server {
    let puts = AtomicUsize::new(0);
    open(move |request| match request.method.as_str() {
        "POST" => Answer::status(202).with("Location", "/v2/app/blobs/uploads/1"),
        "PUT" if puts.fetch_add(1, Ordering::SeqCst) == 0 => first.clone(),
        "PUT" => Answer::status(201),
        _ => Answer::status(404),
    })
}

/// The bodies of all PUTs that came whole.
fn put(server: &Server) -> Vec<Vec<u8>> {
    server.requests().into_iter().filter(|request| request.method == "PUT").map(|request| request.body).collect()
}

async fn push(party: &Party, base: &Repository, to: &Server, blob: &Descriptor) -> Result<PushedHow, Error> {
    party.push_of(&app(to), blob, Supply::Registry(base), None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_fails_is_passed_over_in_the_same_push() {
    type Fault = fn(&[u8]) -> Answer;
    type Trial<'trial> = (&'trial str, Fault, &'trial [Option<usize>], usize, &'trial str);
    // What the origin is asked for, and how many times the mirror.
    let trials: [Trial<'_>; 4] = [
        ("lacks it", |_| Answer::status(404), &[None], 1, "the registry answered 404 Not Found"),
        ("cuts", |bytes| Answer::ok(bytes).cut(1000), &[Some(1000)], 2, "tried 2 times in"),
        ("lies", |bytes| Answer::ok(flipped(bytes)), &[None], 1, "the registry sent other content"),
        ("lies and cuts", |bytes| Answer::ok(flipped(bytes)).cut(1000), &[Some(1000), None], 2, "tried 2 times in"),
    ];
    for (name, fault, expected, asked, reason) in trials {
        let (bytes, blob) = layer();
        let (own, whole) = (bytes.clone(), bytes.clone());
        let mirror = open(move |_| fault(&own));
        let origin = open(move |request| Answer::range(request, &whole));
        let to = destination(Answer::status(201));
        let (party, said) = with_mirror(&origin.host(), &mirror.host(), &json!({}));
        assert_eq!(push(&party, &app(&origin), &to, &blob).await.unwrap(), PushedHow::Uploaded, "{name}");
        assert!(put(&to) == [bytes], "{name}: only the right bytes came whole");
        assert_eq!(ranges(&origin), expected, "{name}");
        assert_eq!(ranges(&mirror).len(), asked, "{name}");
        let said = said.lock().unwrap().clone();
        let begin = format!("the mirror `{}` of `{}` is passed over: reading the blob", mirror.host(), origin.host());
        assert!(said.len() == 1 && said[0].starts_with(&begin) && said[0].contains(reason), "{name}: {said:?}");
    }
}

fn flipped(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte ^ 1).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_is_not_left_for_what_the_destination_does() {
    for first in [
        Answer::status(401).with("WWW-Authenticate", "Basic"),
        Answer::status(307).with("Location", "/moved"),
        Answer::status(503),
    ] {
        let (bytes, blob) = layer();
        let own = bytes.clone();
        let (mirror, to) = (open(move |request| Answer::range(request, &own)), destination(first.clone()));
        // Nobody is where the base is said to be.
        let (party, said) = with_mirror("127.0.0.1:1", &mirror.host(), &login(&to.host()));
        let base: Repository = "127.0.0.1:1/app".parse().unwrap();
        assert_eq!(push(&party, &base, &to, &blob).await.unwrap(), PushedHow::Uploaded, "{first:?}");
        assert!(put(&to) == [bytes.clone(), bytes], "{first:?}");
        assert_eq!(ranges(&mirror), [None, None], "{first:?}");
        assert_eq!(*said.lock().unwrap(), Vec::<String>::new(), "{first:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "full: faults"]
async fn a_mirror_that_says_nothing_is_not_waited_for_long() {
    let mute = |_: &Request, _: &TcpStream| {
        std::thread::sleep(Duration::from_mins(2));
        Ok(())
    };
    let after_hello = move |request: &Request, stream: &TcpStream| match request.target.as_str() {
        "/v2/" => Answer::status(200).write(request, stream),
        _ => mute(request, stream),
    };
    for mirror in [Server::raw(mute), Server::raw(after_hello)] {
        let (bytes, blob) = layer();
        let origin = open(move |_| Answer::ok(bytes.clone()));
        let (party, said) = with_mirror(&origin.host(), &mirror.host(), &json!({}));
        let begin = Instant::now();
        party.client.fetch_blob(&app(&origin), &blob, &|_| ()).await.unwrap();
        assert!(begin.elapsed() < Duration::from_secs(30), "it took {:?}", begin.elapsed());
        assert_eq!(said.lock().unwrap().len(), 1);
    }
}
