//! Uploads in parts to Debian's `docker-registry`, where it, or what stands before it, takes no more at once.

use std::time::Duration;

use anyarch::blob::{Descriptor, MEDIA_TYPE_LAYER};
use anyarch::hint::Hint as _;
use anyarch::reference::Repository;
use anyarch::registry::PushedHow;

use crate::registry::Party;
use crate::support::proxy::{Cut, Fault, On, Proxy, Request};
use crate::support::registry::{Options, Registry};

const MEBIBYTE: u64 = 1 << 20;

struct Setting {
    _registry: Registry,
    proxy: Proxy,
    party: Party,
}

impl Setting {
    fn new() -> Self {
        let registry = Registry::start(&Options::default());
        let proxy = Proxy::before(&registry);
        Self { _registry: registry, proxy, party: Party::anonymous() }
    }

    fn repository(&self) -> Repository {
        format!("{}/app", self.proxy.host()).parse().unwrap()
    }

    /// A blob in the store whose bytes are all that.
    fn blob(&self, letter: u8, size: u64) -> Descriptor {
        self.party.store.put(MEDIA_TYPE_LAYER, &vec![letter; usize::try_from(size).unwrap()]).unwrap()
    }

    async fn push(&self, blob: &Descriptor) -> Vec<Request> {
        self.proxy.take();
        assert_eq!(self.party.push(&self.repository(), blob, None).await.unwrap(), PushedHow::Uploaded);
        let requests = self.proxy.take();
        // Read back by a party whose store is empty: its digest is checked on the way.
        Party::anonymous().client.fetch_blob(&self.repository(), blob, &|_| ()).await.unwrap();
        requests
    }
}

fn of<'list>(requests: &'list [Request], method: &str) -> Vec<&'list Request> {
    requests.iter().filter(|request| request.method == method).collect()
}

fn patch() -> On {
    On::new("PATCH", "/v2/*/blobs/uploads/*")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_goes_up_in_parts_and_so_does_all_that_follows() {
    let setting = Setting::new();
    setting.proxy.fault(On::new("*", "*"), Fault::TooLarge(MEBIBYTE));
    let requests = setting.push(&setting.blob(b'a', 5 * MEBIBYTE)).await;
    // 5 MiB are refused whole, then 2.5 MiB, then 1.25 MiB.
    let taken: Vec<u64> =
        of(&requests, "PATCH").iter().filter(|patch| patch.status == 202).map(|patch| patch.sent).collect();
    assert_eq!(taken, vec![5 * MEBIBYTE / 8; 8], "{requests:#?}");
    assert_eq!(of(&requests, "PATCH").len(), 8 + 2, "two sizes were refused: {requests:#?}");
    assert_eq!(of(&requests, "POST").len(), 2, "the refused PUT, and the parts");
    // What is known of the registry is not found out again.
    let requests = setting.push(&setting.blob(b'b', 2 * MEBIBYTE)).await;
    assert_eq!((of(&requests, "POST").len(), of(&requests, "PATCH").len()), (1, 4), "{requests:#?}");
    let requests = setting.push(&setting.blob(b'c', MEBIBYTE / 2)).await;
    assert_eq!((of(&requests, "PATCH").len(), of(&requests, "PUT").len()), (0, 1), "a small one goes up whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_as_large_as_the_registry_wants_them_if_there_are_parts() {
    let setting = Setting::new();
    let least = |bytes: &str| Fault::SetHeader("OCI-Chunk-Min-Length", bytes.to_owned());
    setting.proxy.fault(On::begin_upload(), least("3145728"));
    let sent = |requests: &[Request], method| of(requests, method).iter().map(|one| one.sent).collect::<Vec<_>>();
    let requests = setting.push(&setting.blob(b'a', 4 * MEBIBYTE)).await;
    assert_eq!((sent(&requests, "PATCH"), sent(&requests, "PUT")), (vec![], vec![4 * MEBIBYTE]), "{requests:#?}");
    setting.proxy.fault(On::put_blob(), Fault::TooLarge(3 * MEBIBYTE));
    let requests = setting.push(&setting.blob(b'b', 5 * MEBIBYTE)).await;
    assert_eq!(sent(&requests, "PATCH"), [3 * MEBIBYTE, 2 * MEBIBYTE], "{requests:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_broken_part_the_registry_is_asked_how_far_it_got() {
    // This registry does not go on with an upload of which it got half of a part: the names of its uploads hold their size.
    for (after, begun) in [(0, 1), (100_000, 2)] {
        let setting = Setting::new();
        setting.proxy.fault(On::put_blob(), Fault::TooLarge(MEBIBYTE));
        setting.proxy.fault(patch().nth(2), Fault::CutRequest(after, Cut::Reset));
        let requests = setting.push(&setting.blob(b'a', 8 * MEBIBYTE)).await;
        let asked = requests.iter().filter(|request| request.method == "GET" && request.path.contains("/uploads/"));
        assert_eq!(asked.count(), 1, "{requests:#?}");
        assert_eq!(of(&requests, "POST").len(), 1 + begun, "{after}: {requests:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_out_of_place_is_asked_about_and_what_is_there_is_not_sent_again() {
    let setting = Setting::new();
    setting.proxy.fault(On::put_blob().larger(0), Fault::TooLarge(MEBIBYTE));
    setting.proxy.fault(patch().nth(2), Fault::status(416));
    // A finished upload that is refused in passing, and one whose answer is lost, have all their parts.
    setting.proxy.fault(On::put_blob().nth(2), Fault::wait(503, "0"));
    let requests = setting.push(&setting.blob(b'a', 4 * MEBIBYTE)).await;
    let asked = requests.iter().filter(|request| request.method == "GET" && request.path.contains("/uploads/"));
    assert_eq!(asked.count(), 1, "{requests:#?}");
    let statuses = |method| of(&requests, method).iter().map(|request| request.status).collect::<Vec<_>>();
    assert_eq!((statuses("PATCH"), statuses("PUT")), (vec![202, 416, 202], vec![413, 503, 201]), "{requests:#?}");
    setting.proxy.heal();
    setting.proxy.fault(On::put_blob(), Fault::LoseAnswer(Cut::Close));
    let requests = setting.push(&setting.blob(b'b', 4 * MEBIBYTE)).await;
    assert_eq!((of(&requests, "PATCH").len(), of(&requests, "PUT").len()), (2, 1), "{requests:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_that_fails_is_an_upload() {
    let setting = Setting::new();
    let blob = setting.blob(b'a', MEBIBYTE);
    let elsewhere: Repository = format!("{}/elsewhere", setting.proxy.host()).parse().unwrap();
    assert_eq!(setting.party.push(&elsewhere, &blob, None).await.unwrap(), PushedHow::Uploaded);
    setting.proxy.fault(On::mount(), Fault::status(500));
    setting.proxy.take();
    let pushed = setting.party.push(&setting.repository(), &blob, Some(&elsewhere)).await.unwrap();
    let requests = setting.proxy.take();
    assert_eq!(pushed, PushedHow::Uploaded);
    let mounts = of(&requests, "POST").iter().filter(|request| request.path.contains("mount=")).count();
    assert_eq!(mounts, 2, "{requests:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_the_registry_forgot_begins_anew() {
    let setting = Setting::new();
    setting.proxy.fault(On::put_blob().nth(1), Fault::forget_upload());
    let requests = setting.push(&setting.blob(b'a', MEBIBYTE)).await;
    assert_eq!((of(&requests, "POST").len(), of(&requests, "PUT").len()), (2, 2), "{requests:#?}");
    // In the middle of its parts, too.
    setting.proxy.fault(On::put_blob(), Fault::TooLarge(MEBIBYTE / 2));
    setting.proxy.fault(patch().nth(2), Fault::forget_upload());
    let requests = setting.push(&setting.blob(b'b', MEBIBYTE)).await;
    assert_eq!(of(&requests, "POST").len(), 3, "{requests:#?}");

    setting.proxy.heal();
    setting.proxy.fault(On::put_blob(), Fault::forget_upload());
    let blob = setting.blob(b'c', 1000);
    let error = setting.party.push(&setting.repository(), &blob, None).await.unwrap_err();
    let start = format!("uploading the blob `{}` to `{}` failed: ", blob.digest, setting.repository());
    assert_eq!(
        error.to_string(),
        format!(
            "{start}the registry lost the upload and answered 404 Not Found (BLOB_UPLOAD_UNKNOWN: blob upload unknown to registry) (tried 5 times in 0 s)"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_not_uploaded_for_again() {
    let setting = Setting::new();
    setting.proxy.fault(On::put_blob(), Fault::LoseAnswer(Cut::Close));
    let requests = setting.push(&setting.blob(b'a', MEBIBYTE)).await;
    assert_eq!(of(&requests, "PUT").len(), 1, "{requests:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_in_trouble_is_waited_for_in_the_middle() {
    let setting = Setting::new();
    setting.proxy.fault(On::put_blob().nth(1), Fault::wait(429, "0"));
    setting.proxy.fault(On::begin_upload().nth(1), Fault::wait(503, "0"));
    let begin = std::time::Instant::now();
    setting.push(&setting.blob(b'a', MEBIBYTE)).await;
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_not_even_small_parts_are_taken_that_is_said() {
    let setting = Setting::new();
    setting.proxy.fault(On::new("*", "*"), Fault::TooLarge(1000));
    let blob = setting.blob(b'a', MEBIBYTE);
    let error = setting.party.push(&setting.repository(), &blob, None).await.unwrap_err();
    let start = format!("uploading the blob `{}` to `{}` failed: ", blob.digest, setting.repository());
    assert_eq!(error.to_string(), format!("{start}the registry refused a part of 65536 bytes as too large"));
    assert_eq!(
        error.hints(),
        ["a proxy before the registry may limit the size of requests: raise its limit to 1 MB or more"]
    );
    let small = setting.blob(b'b', 2000);
    let error = setting.party.push(&setting.repository(), &small, None).await.unwrap_err();
    assert_eq!(error.status(), Some(413));
}
