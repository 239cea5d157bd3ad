//! Servers that lie, drip, or never end: each is refused with a clear error, soon, and without filling memory or disk.

use std::io::{self, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyarch::blob::{Descriptor, Digest, MEDIA_TYPE_LAYER};
use anyarch::registry::Options;

use crate::registry::{Party, words};
use crate::registry_answers::{app, counting, open};
use crate::support::process;
use crate::support::program::Home;
use crate::support::project::Project;
use crate::support::server::{Answer, Request, Server};

const MANIFEST: &str = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;

pub fn layer() -> Descriptor {
    Descriptor::of(MEDIA_TYPE_LAYER, b"content")
}

/// Waits little, and tries once more.
fn impatient(options: &mut Options) {
    options.patience.silence = Duration::from_millis(300);
    options.patience.document = Duration::from_millis(900);
    options.retry.attempts = 2;
}

/// The error of reading a tag, and that it came soon.
pub async fn tag_refused(server: &Server) -> String {
    let begin = Instant::now();
    let party = Party::with(impatient);
    let error = party.client.resolve(&app(server).with_tag("v1").unwrap()).await.unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(10), "it took {:?}", begin.elapsed());
    words(&error).replace(&server.host(), "HOST")
}

pub async fn blob_refused(server: &Server) -> String {
    let begin = Instant::now();
    let party = Party::with(impatient);
    let error = party.client.fetch_blob(&app(server), &layer(), &|_| ()).await.unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(10), "it took {:?}", begin.elapsed());
    for folder in ["tmp", "partial"] {
        assert_eq!(std::fs::read_dir(party.store.root().join(folder)).unwrap().count(), 0, "nothing is left");
    }
    let digest = layer().digest.to_string();
    words(&error).replace(&server.host(), "HOST").replace(&digest, "DIGEST")
}

/// Answers `/v2/`, and writes what it likes to all else.
pub fn rude(answer: impl Fn(&Request, &TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Server {
    Server::raw(move |request, stream| {
        if request.target == "/v2/" {
            return Answer::status(200).write(request, stream);
        }
        answer(request, stream)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_drips_or_stops_is_given_up() {
    let slow = open(|request| match request.method.as_str() {
        "HEAD" => Answer::status(404),
        _ => Answer::ok(MANIFEST).drip(Duration::from_millis(100)),
    });
    assert_eq!(tag_refused(&slow).await, "reading the manifest `v1` of `HOST/app` failed: it was not there after 0 s");
    let stalled = open(|request| match request.method.as_str() {
        "HEAD" => Answer::status(404),
        _ => Answer::ok(MANIFEST).stall(7),
    });
    let said = tag_refused(&stalled).await;
    let begin = "reading the manifest `v1` of `HOST/app` failed: nothing moved for 0 s (tried 2 times in";
    assert!(said.starts_with(begin), "{said}");
    // And one that is cut once is read the second time.
    let cut = counting(|request, before| match (request.method.as_str(), before) {
        ("HEAD", _) => Answer::status(404),
        (_, 1) => Answer::ok(MANIFEST).cut(7),
        _ => Answer::ok(MANIFEST),
    });
    let fetched = Party::anonymous().client.resolve(&app(&cut).with_tag("v1").unwrap()).await.unwrap();
    assert_eq!(fetched.bytes, MANIFEST.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_of_another_digest_is_read_once_more() {
    let digest = Digest::of(MANIFEST.as_bytes());
    for (wrong, right) in [(1, true), (2, false)] {
        let server = counting(move |_, before| match before {
            before if before < wrong => Answer::ok(MANIFEST.replace('2', "3")),
            _ => Answer::ok(MANIFEST),
        });
        let read = Party::anonymous().client.manifest(&app(&server), &digest).await;
        assert_eq!(read.is_ok(), right);
        assert_eq!(server.requests().len(), 3);
    }
    // A digest of a kind that we do not compute says nothing against the bytes.
    let server = open(|_| Answer::ok(MANIFEST).with("Docker-Content-Digest", format!("sha512:{}", "0".repeat(128))));
    let party = Party::anonymous();
    let tag = app(&server).with_tag("v1").unwrap();
    assert_eq!(party.client.resolve(&tag).await.unwrap().digest, digest);
    assert_eq!(server.lines()[1..], ["HEAD /v2/app/manifests/v1", "GET /v2/app/manifests/v1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_tag_costs_one_head() {
    let digest = Digest::of(MANIFEST.as_bytes()).to_string();
    let server = open(move |_| Answer::ok(MANIFEST).with("Docker-Content-Digest", digest.clone()));
    let party = Party::anonymous();
    let tag = app(&server).with_tag("v1").unwrap();
    let first = party.client.resolve(&tag).await.unwrap();
    let digest = Digest::of(MANIFEST.as_bytes());
    let known =
        ["GET /v2/".to_owned(), "HEAD /v2/app/manifests/v1".to_owned(), format!("GET /v2/app/manifests/{digest}")];
    assert_eq!(server.lines(), known);
    assert_eq!(party.client.resolve(&tag).await.unwrap(), first);
    assert_eq!(server.lines()[3..], ["HEAD /v2/app/manifests/v1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_without_an_end_are_read_no_further_than_a_line() {
    let server = open(|request| match request.method.as_str() {
        "HEAD" => Answer::status(404),
        _ => Answer::status(403).without_end(),
    });
    let said = tag_refused(&server).await;
    let begin = "reading the manifest `v1` of `HOST/app` failed: the registry answered 403 Forbidden (xxx";
    assert!(said.starts_with(begin) && said.contains("xxx...)\nhint: "), "{said}");
    let said = blob_refused(&server).await;
    assert!(
        said.starts_with("reading the blob `DIGEST` of `HOST/app` failed: the registry answered 403 Forbidden (xxx"),
        "{said}"
    );

    // A body that drips is cut short, too.
    let server = open(|_| Answer::status(403).body(vec![b'x'; 100]).drip(Duration::from_millis(200)));
    assert!(blob_refused(&server).await.contains("the registry answered 403 Forbidden\nhint: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn oci_client_reads_no_refusal_either() {
    let one = Descriptor::of(MEDIA_TYPE_LAYER, b"one");
    let digest = one.digest.to_string();
    for lie in [
        Answer::status(500).without_end(),
        Answer::status(300).without_end(),
        Answer::endless(),
        Answer::ok("content").drip(Duration::from_millis(150)),
    ] {
        let (digest, answer) = (digest.clone(), lie.clone());
        let server = open(move |request| match request.header("user-agent") {
            _ if request.target.ends_with(&digest) => Answer::ok("one"),
            Some(agent) if agent.contains("oci-client") => answer.clone(),
            _ => Answer::ok("content"),
        });
        let party = Party::with(|options| {
            options.patience.window = Duration::from_millis(500);
            options.patience.least = 10;
        });
        let begin = Instant::now();
        for blob in [&one, &layer()] {
            let read = party.client.fetch_blob(&app(&server), blob, &|_| ()).await;
            // Too many bytes are no passing failure, whoever reads them.
            assert!(read.is_ok() || lie.bytes().is_empty(), "{lie:?}: {read:?}");
        }
        assert!(begin.elapsed() < Duration::from_secs(8), "{lie:?}: it took {:?}", begin.elapsed());
        let by_oci_client = server
            .requests()
            .iter()
            .filter(|request| request.header("user-agent").unwrap().contains("oci-client"))
            .count();
        assert_eq!(by_oci_client, 1, "{lie:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn token_servers_are_held_to_bounds() {
    for (answer, expected) in [
        (Answer::endless(), "the token server `http://REALM` of the registry `HOST` answered without a token"),
        (
            Answer::ok(vec![b' '; 2 << 20]),
            "the token server `http://REALM` of the registry `HOST` answered without a token",
        ),
        (
            Answer::ok(r#"{"token":"t"}"#).drip(Duration::from_millis(200)),
            "the token server of the registry `HOST` gave no token in 0 s",
        ),
        (Answer::ok(r#"{"token":"t"}"#).stall(3), "the token server of the registry `HOST` gave no token in 0 s"),
        (
            Answer::status(403).without_end(),
            "the token server `http://REALM` of the registry `HOST` answered 403 Forbidden (xxx",
        ),
    ] {
        let realm = Server::start(move |_| answer.clone());
        let host = realm.host();
        let challenge = format!(r#"Bearer realm="http://{host}/token""#);
        let server = Server::start(move |_| Answer::status(401).with("WWW-Authenticate", challenge.clone()));
        let said = tag_refused(&server).await.replace(&host, "REALM");
        assert!(said.starts_with(expected), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_without_an_end_are_given_up() {
    for (name, dripping, expected) in
        [("fast", Duration::ZERO, "the connection broke"), ("slow", Duration::from_millis(50), "nothing moved for 0 s")]
    {
        let server = rude(move |_, mut stream| {
            write!(stream, "HTTP/1.1 200 OK\r\n")?;
            loop {
                thread::sleep(dripping);
                write!(stream, "X-Some: {}\r\n", "x".repeat(2000))?;
            }
        });
        let said = tag_refused(&server).await;
        assert!(
            said.starts_with(&format!("reading the manifest `v1` of `HOST/app` failed: {expected}")),
            "{name}: {said}"
        );
    }
    // Neither do announcements of an answer count as one.
    let server = rude(|_, mut stream| {
        loop {
            thread::sleep(Duration::from_millis(20));
            write!(stream, "HTTP/1.1 103 Early Hints\r\n\r\n")?;
        }
    });
    assert!(tag_refused(&server).await.contains(" failed: nothing moved for 0 s (tried 2 times"));
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_that_take_their_time_do_not_add_it_up() {
    let server = rude(|request, stream| {
        thread::sleep(Duration::from_millis(250));
        Answer::status(302).with("Location", format!("{}x", request.target)).write(request, stream)
    });
    assert_eq!(
        tag_refused(&server).await,
        "reading the manifest `v1` of `HOST/app` failed: it was not there after 0 s"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_packed_on_the_way_is_never_unpacked() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&vec![0; 64 << 20]).unwrap();
    let bomb = packed.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let gzip = bomb.clone();
    let server = open(move |_| Answer::ok(gzip.clone()).with("Content-Encoding", "gzip"));
    assert_eq!(
        tag_refused(&server).await,
        "reading the manifest `v1` of `HOST/app` failed: the registry sent it packed as `gzip`, which was not asked for"
    );
    assert_eq!(
        blob_refused(&server).await,
        "reading the blob `DIGEST` of `HOST/app` failed: the registry sends more than 7 bytes"
    );
    let asked = server.requests();
    let mut documents = asked.iter().filter(|request| request.target != "/v2/");
    assert!(documents.all(|request| request.header("accept-encoding") == Some("identity")));
    // A store may say so of a layer that is packed: the bytes are what counts.
    let layer = Descriptor::of(MEDIA_TYPE_LAYER, &bomb);
    let party = Party::anonymous();
    party.client.fetch_blob(&app(&server), &layer, &|_| ()).await.unwrap();
    assert!(party.store.verify(&layer).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_are_not_believed() {
    for (name, length, body, expected) in [
        ("more than it sends", "Content-Length: 7", "cont", Some("the connection broke")),
        ("less than it sends", "Content-Length: 7", "content and more", None),
        ("less than the blob", "Content-Length: 4", "content", Some("the registry sent 4 of 7 bytes")),
        ("another blob", "Content-Length: 70", "content", Some("the registry sends more than 7 bytes")),
        ("two", "Content-Length: 7\r\nContent-Length: 8", "content", Some("the connection broke")),
        ("negative", "Content-Length: -7", "content", Some("the connection broke")),
        ("none", "Connection: close", "content", None),
        ("none and too many", "Connection: close", "content and more", Some("the registry sends more than 7 bytes")),
    ] {
        let server = rude(move |_, mut stream| write!(stream, "HTTP/1.1 200 OK\r\n{length}\r\n\r\n{body}"));
        if let Some(expected) = expected {
            let said = blob_refused(&server).await;
            let begin = format!("reading the blob `DIGEST` of `HOST/app` failed: {expected}");
            assert!(said.starts_with(&begin), "{name}: {said}");
        } else {
            let read = Party::with(impatient).client.fetch_blob(&app(&server), &layer(), &|_| ()).await;
            read.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

/// Runs `anyarch plan` on a base, and returns its exit code, what it said, and the most memory that it held, in bytes.
fn plan(base: &str) -> (Option<i32>, String, u64) {
    let (project, home) = (Project::hello_go(), Home::new());
    let peak = home.path().join("peak");
    let command = project.anyarch_at(&home).args(["plan", "--platform", "linux/amd64", "--base", base]).command();
    let mut timed = Command::new("/usr/bin/time");
    timed.args(["--quiet", "--format=%M", "--output"]).arg(&peak);
    timed.arg(command.get_program()).args(command.get_args()).env_clear();
    timed.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = process::output(timed.current_dir(command.get_current_dir().expect("the call has a folder")));
    let kilobytes: u64 = std::fs::read_to_string(peak).unwrap().trim().parse().expect("time writes a number");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned(), kilobytes * 1024)
}

#[test]
fn the_program_itself_stays_small_whatever_a_registry_sends() {
    let many = format!(r#"{{"schemaVersion":2,"manifests":[{}0]}}"#, "0,".repeat((4 << 20) / 2 - 50));
    for (name, answer, expected) in [
        ("endless", Answer::endless(), "the registry sends more than 4194304 bytes"),
        ("refusal", Answer::status(403).without_end(), "the registry answered 403 Forbidden (xxx"),
        ("many", Answer::ok(many), "cannot be read"),
    ] {
        let server = open(move |request| if request.method == "HEAD" { Answer::status(404) } else { answer.clone() });
        let begin = Instant::now();
        let (code, said, peak) = plan(&format!("{}/app:v1", server.host()));
        assert_eq!(code, Some(6), "{name}: {said}");
        assert!(said.contains(expected), "{name}: {said}");
        assert!(peak < 100_000_000, "{name}: {} MB", peak / 1_000_000);
        assert!(begin.elapsed() < Duration::from_secs(20), "{name}: {:?}", begin.elapsed());
    }
}
