//! Whatever is said to `anyarch serve`, it says nothing but what its layouts hold, and goes on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyarch::blob::{Digest, MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_MANIFEST, REF_NAME};
use serde_json::json;
use tempfile::TempDir;

use crate::support;
use crate::support::prebuilt::Noise;
use crate::support::serve::Served;

/// What no answer may hold.
const SECRET: &str = "nobody-may-read-this-5b1f6c";

/// A layout beside a file with a secret, with links in it that lead there: one that its manifest names as a layer, one as a
/// manifest, one that nothing names, and folders that are links. Returns the digests of what is linked.
fn trapped(folder: &Path) -> Vec<String> {
    fs::write(folder.join("secret"), SECRET).unwrap();
    fs::create_dir(folder.join("private")).unwrap();
    let layout = folder.join("layout");
    fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    let put = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        fs::write(layout.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        digest.to_string()
    };
    let secret = Digest::of(SECRET.as_bytes());
    let linked: Vec<Digest> = vec![secret, Digest::of(b"one"), Digest::of(b"two")];
    for digest in &linked {
        symlink("../../../secret", layout.join("blobs/sha256").join(digest.hex())).unwrap();
    }
    fs::write(folder.join("private").join(Digest::of(b"three").hex()), SECRET).unwrap();
    // What the digests of the other algorithm are looked for in leads out as a whole.
    symlink("../../private", layout.join("blobs/sha512")).unwrap();
    let long = "0".repeat(128);
    fs::write(folder.join("private").join(&long), SECRET).unwrap();
    let layer = |digest: String| json!({"mediaType": MEDIA_TYPE_LAYER_GZIP, "digest": digest, "size": SECRET.len()});
    let layers = [
        layer(put(b"a layer")),
        layer(secret.to_string()),
        layer("sha256:../../../secret".to_owned()),
        layer("../../../secret".to_owned()),
        layer(format!("sha512:{long}")),
    ];
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MEDIA_TYPE_MANIFEST, "layers": layers,
        "config": {"mediaType": "application/json", "digest": put(b"{}"), "size": 2},
    });
    let manifest = manifest.to_string().into_bytes();
    let entry = |digest: String, tag: &str| json!({"mediaType": MEDIA_TYPE_MANIFEST, "digest": digest, "size": manifest.len(), "annotations": {REF_NAME: tag}});
    let entries = [entry(put(&manifest), "latest"), entry(linked[1].to_string(), "linked")];
    fs::write(layout.join("index.json"), json!({"manifests": entries}).to_string()).unwrap();
    linked.iter().map(ToString::to_string).chain([format!("sha512:{long}")]).collect()
}

fn serve() -> (TempDir, Served<'static>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let linked = trapped(folder.path());
    let served = Served::start(support::anyarch(), &[&format!("app={}", folder.path().join("layout").display())]);
    (folder, served, linked)
}

#[track_caller]
fn assert_no_secret(answer: &[u8], request: &[u8]) {
    let has = answer.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
    assert!(!has, "{}", String::from_utf8_lossy(request));
}

#[test]
fn links_and_paths_lead_nowhere() {
    let (_folder, served, linked) = serve();
    assert_eq!(served.stdout(), format!("{0}/app:latest\n", served.host()));
    assert!(served.stderr().contains(" is not whole: "), "{}", served.stderr());
    for digest in &linked {
        for path in [format!("/v2/app/blobs/{digest}"), format!("/v2/app/manifests/{digest}")] {
            let answer = served.get(&path);
            assert_eq!(answer.status, 404, "{path}");
            assert_no_secret(&answer.body, path.as_bytes());
        }
    }
    assert_eq!(served.get("/v2/app/manifests/linked").status, 404);
    for path in [
        "/v2/app/blobs/../../../secret",
        "/v2/app/blobs/sha256:../../../secret",
        "/v2/app/blobs/..%2f..%2f..%2fsecret",
        "/v2/app/blobs/sha256%3a..%2f..%2f..%2fsecret",
        "/v2/app/manifests/%2e%2e%2f%2e%2e%2fsecret",
        "/v2/../secret",
        "/v2/%2e%2e/manifests/secret",
        "/v2/app%00/tags/list",
        "//secret",
        "/secret",
    ] {
        let answer = served.get(path);
        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
        assert_no_secret(&answer.body, path.as_bytes());
    }
    assert_eq!(served.get(&format!("/v2/app/blobs/{}", Digest::of(b"a layer"))).body, b"a layer");
}

/// Parts that paths are made of.
const PARTS: &[&str] = &[
    "/",
    "/",
    "..",
    ".",
    "%2e%2e",
    "%2f",
    "%00",
    "%",
    "%ff",
    "//",
    "v2",
    "app",
    "layout",
    "blobs",
    "sha256",
    "sha512",
    "sha256:",
    "manifests",
    "tags",
    "list",
    "referrers",
    "_catalog",
    "uploads",
    "secret",
    "private",
    "index.json",
    "latest",
    "linked",
    "?n=",
    "?last=",
    "&",
    "=",
    "-1",
    "18446744073709551616",
    "?artifactType=",
    ":",
    "@",
    "~",
    "*",
    "etc/passwd",
    "oci-layout",
    ";",
    "%5c",
];
/// Those that no address may hold.
const WRONG_PARTS: &[&str] = &[" ", "\t", "\\", "\u{e9}", "\u{202e}", "#", "\0", "\r", "<>"];
const METHODS: &[&str] =
    &["HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "get", "G E T", "", "PRI"];
const HEADERS: &[&str] = &[
    "Range: bytes=0-",
    "Range: bytes=-1",
    "Range: bytes=99999999999999999999-",
    "Range: bytes=0-0,0-0,0-0",
    "Range: x",
    "Accept: */*",
    "Accept: application/vnd.oci.image.index.v1+json;q=0",
    "Accept: ,,,;;;",
    "If-None-Match: *",
    "If-None-Match: \"",
    "If-Range: \"x\"",
    "Content-Length: 5",
    "Expect: 100-continue",
    "Connection: upgrade",
    "Upgrade: h2c",
    "Connection: keep-alive",
    "Accept-Encoding: gzip",
    "X-Forwarded-Host: ../secret",
];
/// Those that no request may hold.
const WRONG_HEADERS: &[&str] = &[
    "Content-Length: -1",
    "Content-Length: 99999999999",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: x",
    "Host: ",
    "Host: a\r\nHost: b",
    "X: \0",
    ": ",
    "X",
];

fn choice<'a>(noise: &mut Noise, from: &[&'a str]) -> &'a str {
    from[usize::try_from(noise.below(from.len() as u64)).unwrap()]
}

/// Mostly one of those that are right.
fn mostly<'a>(noise: &mut Noise, right: &[&'a str], wrong: &[&'a str]) -> &'a str {
    let from = if noise.below(12) == 0 { wrong } else { right };
    choice(noise, from)
}

fn path(noise: &mut Noise, known: &[String]) -> String {
    if noise.below(3) == 0 {
        // One that is right, perhaps but for a letter.
        let known = &known[usize::try_from(noise.below(known.len() as u64)).unwrap()];
        if noise.below(2) == 0 {
            return known.clone();
        }
        let at = usize::try_from(noise.below(known.len() as u64)).unwrap();
        let part = mostly(noise, PARTS, WRONG_PARTS);
        return format!("{}{part}{}", &known[..at], &known[at + usize::from(noise.below(2) == 0)..]);
    }
    let (count, start) = (noise.below(8) + 1, if noise.below(4) > 0 { "/v2/app/" } else { "" });
    (0..count).fold(start.to_owned(), |path, _| path + mostly(noise, PARTS, WRONG_PARTS))
}

/// A request that may be anything between one that is right and noise.
fn request(noise: &mut Noise, known: &[String]) -> Vec<u8> {
    if noise.below(8) == 0 {
        let length = usize::try_from(noise.below(2000)).unwrap();
        return noise.bytes(length);
    }
    let method = if noise.below(3) == 0 { choice(noise, METHODS) } else { "GET" };
    let mut request = format!("{method} {} HTTP/1.1\r\nHost: localhost\r\n", path(noise, known));
    for _ in 0..noise.below(3) {
        request += mostly(noise, HEADERS, WRONG_HEADERS);
        request += "\r\n";
    }
    if noise.below(20) == 0 {
        request += "X: ";
        request += &"x".repeat(usize::try_from(noise.below(100_000)).unwrap());
        request += "\r\n";
    }
    let mut bytes = (request + "\r\nhello").into_bytes();
    if noise.below(6) == 0 {
        for _ in 0..=noise.below(5) {
            let at = usize::try_from(noise.below(bytes.len() as u64)).unwrap();
            bytes[at] = u8::try_from(noise.below(256)).unwrap();
        }
    }
    if noise.below(10) == 0 {
        bytes.truncate(usize::try_from(noise.below(bytes.len() as u64)).unwrap());
    }
    bytes
}

#[test]
#[ignore = "full: serve"]
fn a_thousand_random_requests_read_nothing_outside_and_end_nothing() {
    let (_folder, served, linked) = serve();
    let good = format!("/v2/app/blobs/{}", Digest::of(b"a layer"));
    let mut known: Vec<String> = linked.iter().map(|digest| format!("/v2/app/blobs/{digest}")).collect();
    known.extend(linked.iter().map(|digest| format!("/v2/app/manifests/{digest}")));
    known.extend(["/v2/app/manifests/latest", "/v2/app/tags/list", "/v2/_catalog", &good].map(str::to_owned));
    let mut noise = Noise::new(7);
    let mut statuses = std::collections::BTreeMap::new();
    for _ in 0..1000 {
        let request = request(&mut noise, &known);
        let answer = served.raw(&request);
        assert_no_secret(&answer, &request);
        let status = String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap_or_default().to_owned();
        *statuses.entry(status).or_insert(0) += 1;
    }
    assert_eq!(served.get(&good).body, b"a layer");
    for status in ["200", "400", "404", "405"] {
        assert!(statuses.get(status).is_some_and(|count| *count > 10), "{statuses:?}");
    }
    assert!(!statuses.contains_key("500"), "{statuses:?}");
    assert!(!served.stderr().contains("panicked"), "{}", served.stderr());
}

#[test]
#[ignore = "full: serve"]
fn clients_that_say_nothing_leave_room_for_others_and_memory_stays_small() {
    use std::io::Write as _;
    let (_folder, served, _) = serve();
    // Some say nothing, some only the beginning of a request; there is room for some more of them.
    let mut silent: Vec<std::net::TcpStream> = (0..200).map(|_| served.connect()).collect();
    for stream in silent.iter_mut().step_by(2) {
        write!(stream, "GET /v2/ HTTP/1.1\r\nX: ").unwrap();
    }
    assert_eq!(served.get("/v2/").status, 200);
    // Those that came while there was no room are answered when others are given up: within half a minute.
    silent.extend((0..100).map(|_| served.connect()));
    let start = std::time::Instant::now();
    let answer = served.raw(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&answer));
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    let status = fs::read_to_string(format!("/proc/{}/status", served.process())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 100_000, "{kilobytes} kB");
}
