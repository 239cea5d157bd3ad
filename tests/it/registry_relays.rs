//! Blobs on their way from one registry to another, without a byte on disk.

use anyarch::blob::{Descriptor, Hasher};
use anyarch::registry::Error;
use tokio::sync::watch;

use crate::registry::Party;
use crate::registry_answers::{app, counting, open};
use crate::registry_reads::{MIB, layer, ranges};
use crate::support::server::{Answer, Server};

/// Sends the body of a blob at `source` to `destination`, as an upload does.
async fn relay(
    party: &Party,
    source: &Server,
    destination: &Server,
    blob: &Descriptor,
    before: &[u8],
) -> (bool, Option<Error>, u64) {
    let source = party.client.source(&app(source), blob);
    let mut hasher = Hasher::default();
    hasher.update(before);
    let reading = source.open_after(hasher).await.unwrap();
    let (sent, seen) = watch::channel(0);
    let (body, failure) = reading.into_body(sent);
    let put = reqwest::Client::builder().no_proxy().build().unwrap().put(format!("http://{}/put", destination.host()));
    let answer = put.header("content-length", blob.size - before.len() as u64).body(body).send().await;
    let sent = *seen.borrow();
    (answer.is_ok(), failure.take(), sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_goes_from_registry_to_registry_however_often_it_is_cut() {
    let (bytes, blob) = layer();
    let own = bytes.clone();
    let source = counting(move |request, before| {
        let answer = Answer::range(request, &own);
        if before < 2 { answer.cut(MIB) } else { answer }
    });
    let destination = Server::start(|_| Answer::status(201));
    let party = Party::anonymous();
    let (taken, failure, sent) = relay(&party, &source, &destination, &blob, &[]).await;
    assert!(taken && failure.is_none(), "{failure:?}");
    assert_eq!(sent, blob.size);
    assert_eq!(ranges(&source), [None, Some(MIB), Some(2 * MIB)]);
    assert!(destination.requests()[0].body == bytes);
    for folder in ["tmp", "blobs/sha256", "partial"] {
        let entries = std::fs::read_dir(party.store.root().join(folder)).map_or(0, Iterator::count);
        assert_eq!(entries, 0, "no byte is on disk");
    }

    let own = bytes.clone();
    let source = open(move |request| Answer::range(request, &own));
    let (taken, failure, _) = relay(&party, &source, &destination, &blob, &bytes[..MIB]).await;
    assert!(taken && failure.is_none(), "{failure:?}");
    assert!(destination.requests()[1].body == bytes[MIB..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_for_good_is_named_and_its_bytes_never_make_a_whole() {
    type Fault = (fn(&[u8]) -> Answer, &'static str);
    let faults: [Fault; 2] = [
        (|bytes| Answer::ok(bytes).cut(2 * MIB), "the registry answered 404 Not Found"),
        (|bytes| Answer::ok(bytes.iter().map(|byte| byte ^ 1).collect::<Vec<u8>>()), "the registry sent other content"),
    ];
    for (fault, expected) in faults {
        let (bytes, blob) = layer();
        let source = counting(move |_, before| if before == 0 { fault(&bytes) } else { Answer::status(404) });
        let destination = Server::start(|_| Answer::status(201));
        let (taken, failure, sent) = relay(&Party::anonymous(), &source, &destination, &blob, &[]).await;
        assert!(!taken, "{expected}");
        assert!(sent < blob.size, "{expected}");
        let begin = format!("reading the blob `{}` of `{}` failed: ", blob.digest, app(&source));
        assert_eq!(failure.unwrap().to_string(), format!("{begin}{expected}"));
        assert!(destination.requests().is_empty(), "no whole request came");
    }
}
