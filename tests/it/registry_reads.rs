//! Blobs whose reading is cut: they are gone on with, in the same run and in the next one.

use std::io::Write as _;
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use anyarch::blob::{Descriptor, MEDIA_TYPE_LAYER};
use anyarch::registry::{Error, Notes, Options};
use anyarch::store::{Claim, Store};
use tokio::sync::watch;

use crate::registry::Party;
use crate::registry_answers::{app, counting, open};
use crate::support::server::{Answer, Request, Server};

pub const MIB: usize = 1 << 20;

/// A layer of 3 MiB.
pub fn layer() -> (Vec<u8>, Descriptor) {
    sized(3 * MIB)
}

fn sized(size: usize) -> (Vec<u8>, Descriptor) {
    let bytes: Vec<u8> = (0..=250).cycle().take(size).collect();
    let blob = Descriptor::of(MEDIA_TYPE_LAYER, &bytes);
    (bytes, blob)
}

/// The first byte that each request for a blob names in its `Range`.
pub fn ranges(server: &Server) -> Vec<Option<usize>> {
    let requests = server.requests();
    let blobs = requests.iter().filter(|request| request.target.contains("/blobs/"));
    let first = |range: &str| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok();
    blobs.map(|request| request.header("range").map(|range| first(range).expect("a range to the end"))).collect()
}

/// What is kept of unfinished blobs.
fn partials(store: &Store) -> Vec<u64> {
    let folder = std::fs::read_dir(store.root().join("partial")).unwrap();
    folder.map(|entry| entry.unwrap().metadata().unwrap().len()).collect()
}

fn impatient(options: &mut Options) {
    options.patience.silence = Duration::from_millis(300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_early_is_gone_on_with_where_it_stopped() {
    type Trouble = fn(&[u8]) -> Answer;
    let troubles: [(&str, Trouble); 3] = [
        ("cut", |bytes| Answer::ok(bytes).cut(2 * MIB)),
        ("stalled", |bytes| Answer::ok(bytes).stall(2 * MIB)),
        ("short", |bytes| Answer::ok(&bytes[..2 * MIB])),
    ];
    for (name, trouble) in troubles {
        let (bytes, blob) = layer();
        let server = counting(move |request, before| match before {
            0 => trouble(&bytes),
            1 => Answer::status(503),
            _ => Answer::range(request, &bytes),
        });
        let party = Party::with(impatient);
        let seen = Mutex::new(Vec::new());
        let fetched = party.client.fetch_blob(&app(&server), &blob, &|bytes| seen.lock().unwrap().push(bytes)).await;
        fetched.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(party.store.verify(&blob).unwrap(), "{name}");
        assert_eq!(ranges(&server), [None, Some(2 * MIB), Some(2 * MIB)], "{name}");
        assert!(seen.lock().unwrap().is_sorted(), "{name}: nothing begins anew");
        assert_eq!(seen.lock().unwrap().last(), Some(&blob.size), "{name}");
        assert!(partials(&party.store).is_empty(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_is_given_up_for_another_connection() {
    let (bytes, blob) = layer();
    let server = counting(move |request, before| match before {
        0 => Answer::ok(&bytes[..]).drip(Duration::from_millis(20)),
        _ => Answer::range(request, &bytes),
    });
    let party = Party::with(|options| {
        options.patience.window = Duration::from_millis(400);
        options.patience.least = 1000;
    });
    party.client.fetch_blob(&app(&server), &blob, &|_| ()).await.unwrap();
    assert!(party.store.verify(&blob).unwrap());
    let asked = ranges(&server);
    assert_eq!((asked.len(), &asked[0]), (2, &None));

    let (bytes, blob) = layer();
    let slow = open(move |request| Answer::range(request, &bytes).drip(Duration::from_millis(20)));
    let party = Party::with(|options| {
        options.patience.window = Duration::from_millis(400);
        options.patience.least = 1000;
        options.retry.attempts = 2;
    });
    let error = party.client.fetch_blob(&app(&slow), &blob, &|_| ()).await.unwrap_err();
    let begin = format!("reading the blob `{}` of `{}` failed: ", blob.digest, app(&slow));
    let said = error.to_string();
    assert!(said.starts_with(&format!("{begin}fewer than 1000 bytes came in 0 s (tried 2 times in ")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_without_ranges_sends_all_again_and_nothing_is_taken_twice() {
    type Second = fn(&Request, &[u8]) -> Answer;
    let seconds: [(&str, Second, usize); 4] = [
        ("200", |_, bytes| Answer::ok(bytes), 2),
        (
            "416",
            |request, bytes| if request.header("range").is_some() { Answer::status(416) } else { Answer::ok(bytes) },
            3,
        ),
        (
            "another part",
            |request, bytes| match request.header("range") {
                Some(_) => Answer::part(bytes, 0, MIB),
                None => Answer::ok(bytes),
            },
            3,
        ),
        (
            "a part of something larger",
            |request, bytes| match request.header("range") {
                Some(_) => Answer::part(&[bytes, b"more"].concat(), 2 * MIB, bytes.len()),
                None => Answer::ok(bytes),
            },
            3,
        ),
    ];
    for (name, second, requests) in seconds {
        let (bytes, blob) = layer();
        let server = counting(move |request, before| match before {
            0 => Answer::ok(&bytes[..]).cut(2 * MIB),
            _ => second(request, &bytes),
        });
        let party = Party::anonymous();
        let fetched = party.client.fetch_blob(&app(&server), &blob, &|_| ()).await;
        fetched.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(party.store.verify(&blob).unwrap(), "{name}");
        assert_eq!(ranges(&server).len(), requests, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_two_halves_have_to_be_of_one_blob() {
    let (bytes, blob) = layer();
    let mut other = bytes.clone();
    other[5] ^= 1;
    // The first half is wrong, the second reading is right: the first is thrown away.
    let (right, wrong) = (bytes.clone(), other.clone());
    let server = counting(move |_, before| match before {
        0 => Answer::ok(&wrong[..]).cut(2 * MIB),
        _ => Answer::ok(&right[..]),
    });
    let party = Party::anonymous();
    party.client.fetch_blob(&app(&server), &blob, &|_| ()).await.unwrap();
    assert!(party.store.verify(&blob).unwrap());
    assert_eq!(ranges(&server), [None, Some(2 * MIB), None]);

    let liar = open(move |_| Answer::ok(&other[..]));
    let party = Party::anonymous();
    let error = party.client.fetch_blob(&app(&liar), &blob, &|_| ()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("reading the blob `{}` of `{}` failed: the registry sent other content", blob.digest, app(&liar))
    );
    assert_eq!(ranges(&liar).len(), 2, "once more, and no more");
    assert!(partials(&party.store).is_empty() && !party.store.has(&blob.digest, blob.size));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gets_on_is_not_given_up_and_what_hardly_does_is() {
    for (piece, attempts) in [(3 * MIB / 2, None), (MIB / 10, Some(5))] {
        let (bytes, blob) = sized(9 * MIB);
        let server = open(move |request| {
            let answer = Answer::range(request, &bytes);
            let length = answer.bytes().len();
            if length > piece { answer.cut(piece) } else { answer }
        });
        let party = Party::anonymous();
        let fetched = party.client.fetch_blob(&app(&server), &blob, &|_| ()).await;
        match (fetched, attempts) {
            (Ok(()), None) => {
                assert_eq!(ranges(&server).len(), 6);
                assert!(party.store.verify(&blob).unwrap());
            }
            (Err(error), Some(attempts)) => {
                let begin = format!("reading the blob `{}` of `{}` failed: ", blob.digest, app(&server));
                let end = format!("the connection broke (tried {attempts} times in 0 s)");
                assert_eq!(error.to_string(), format!("{begin}{end}"));
            }
            (fetched, _) => panic!("{piece}: {fetched:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_run_goes_on_with_what_the_last_one_got() {
    let (bytes, blob) = layer();
    let server = counting(move |request, before| match before {
        0 => Answer::ok(&bytes[..]).cut(2 * MIB),
        _ => Answer::range(request, &bytes),
    });
    let party = Party::with(|options| options.retry.attempts = 1);
    let error = party.client.fetch_blob(&app(&server), &blob, &|_| ()).await.unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error}");
    assert_eq!(partials(&party.store), [2 * MIB as u64]);

    let seen = Mutex::new(Vec::new());
    let next = party.beside(|_| ());
    next.fetch_blob(&app(&server), &blob, &|bytes| seen.lock().unwrap().push(bytes)).await.unwrap();
    assert_eq!(ranges(&server), [None, Some(2 * MIB)]);
    assert_eq!(seen.lock().unwrap().first(), Some(&(2 * MIB as u64)));
    assert!(party.store.verify(&blob).unwrap());
    assert!(partials(&party.store).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leftover_that_is_wrong_is_thrown_away_and_all_is_read_anew() {
    let (bytes, blob) = layer();
    let larger = [&bytes[..], b"more"].concat();
    let damaged = [&bytes[..MIB], &[0], &bytes[MIB + 1..2 * MIB]].concat();
    for (name, leftover, asked) in [
        ("whole", bytes.clone(), vec![]),
        ("longer", larger, vec![None]),
        ("damaged", damaged, vec![Some(2 * MIB), None]),
        ("whole and damaged", vec![0; bytes.len()], vec![None]),
    ] {
        let answer = bytes.clone();
        let server = open(move |request| Answer::range(request, &answer));
        let party = Party::anonymous();
        std::fs::create_dir_all(party.store.root().join("partial")).unwrap();
        std::fs::write(party.store.root().join("partial").join(blob.digest.hex()), leftover).unwrap();
        let fetched = party.client.fetch_blob(&app(&server), &blob, &|_| ()).await;
        fetched.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(party.store.verify(&blob).unwrap(), "{name}");
        assert_eq!(ranges(&server), asked, "{name}");
    }
}

/// A server that sends a body but for its last byte, and that one when it is let.
fn gated(bytes: Vec<u8>) -> (Server, Arc<(Mutex<bool>, Condvar)>) {
    let gate = Arc::<(Mutex<bool>, Condvar)>::default();
    let own = gate.clone();
    let server = Server::raw(move |request, mut stream| {
        if request.target == "/v2/" {
            return Answer::status(200).write(request, stream);
        }
        let (last, most) = bytes.split_last().expect("it has bytes");
        write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", bytes.len())?;
        stream.write_all(most)?;
        let open = own.0.lock().unwrap();
        drop(own.1.wait_timeout_while(open, Duration::from_secs(20), |open| !*open).unwrap());
        stream.write_all(&[*last])?;
        stream.shutdown(Shutdown::Write)
    });
    (server, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_that_want_the_same_one_reads_it_and_the_other_waits() {
    let (bytes, blob) = layer();
    let (server, gate) = gated(bytes);
    let party = Party::anonymous();
    let notes = Arc::<Mutex<Vec<String>>>::default();
    let told = notes.clone();
    let second = party.beside(|options| options.notes = Notes::new(move |note| told.lock().unwrap().push(note)));
    let (seen, mut moved) = watch::channel(0);
    let first = {
        let (client, blob, repository) = (party.client.clone(), blob.clone(), app(&server));
        tokio::spawn(async move {
            client
                .fetch_blob(&repository, &blob, &|bytes| {
                    seen.send_replace(bytes);
                })
                .await
        })
    };
    moved.wait_for(|bytes| *bytes > 0).await.unwrap();
    let waiting = {
        let (blob, repository) = (blob.clone(), app(&server));
        tokio::spawn(async move { second.fetch_blob(&repository, &blob, &|_| ()).await })
    };
    let expected = format!(
        "another anyarch is reading the blob `{}` of `{}`: waiting until it is done",
        blob.digest,
        app(&server)
    );
    let end = Instant::now() + Duration::from_secs(15);
    while notes.lock().unwrap().is_empty() && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(*notes.lock().unwrap(), [expected]);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    first.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(ranges(&server).len(), 1, "it was read once");
    assert!(party.store.verify(&blob).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_does_not_get_on_is_not_waited_for() {
    let (bytes, blob) = layer();
    let server = open(move |request| Answer::range(request, &bytes));
    let party = Party::with(impatient);
    let Claim::Ours(_held) = party.store.claim(&blob.digest).unwrap() else { panic!("nobody else is there") };
    party.client.fetch_blob(&app(&server), &blob, &|_| ()).await.unwrap();
    assert!(party.store.verify(&blob).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_in_the_middle_is_renewed() {
    let (bytes, blob) = layer();
    let tokens = AtomicUsize::new(0);
    let realm = Server::start(move |_| {
        let number = tokens.fetch_add(1, Ordering::SeqCst);
        Answer::ok(format!(r#"{{"token":"t{number}"}}"#))
    });
    let challenge = format!(r#"Bearer realm="http://{}/token",service="s""#, realm.host());
    let server = Server::start(move |request| match (request.header("authorization"), request.header("range")) {
        (Some("Bearer t0"), None) if request.target.contains("/blobs/") => Answer::ok(&bytes[..]).cut(2 * MIB),
        (Some("Bearer t1"), Some(_)) => Answer::range(request, &bytes),
        _ => Answer::status(401).with("WWW-Authenticate", challenge.clone()),
    });
    let party = Party::anonymous();
    party.client.fetch_blob(&app(&server), &blob, &|_| ()).await.unwrap();
    assert!(party.store.verify(&blob).unwrap());
    assert_eq!(ranges(&server), [None, Some(2 * MIB), Some(2 * MIB)]);
    assert_eq!(realm.requests().len(), 2);
}
