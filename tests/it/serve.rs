//! `anyarch serve` answers as the distribution specification says, status by status:
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>.

use std::fs;
use std::path::Path;

use anyarch::blob::{
    Descriptor, Digest, MEDIA_TYPE_CONFIG, MEDIA_TYPE_DOCKER_INDEX, MEDIA_TYPE_DOCKER_MANIFEST, MEDIA_TYPE_INDEX,
    MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_MANIFEST, REF_NAME,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};
use tempfile::TempDir;

use crate::support;
use crate::support::serve::{Answer, Served};

const NOTHING: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// A layout, put together piece by piece.
struct Pieces {
    folder: TempDir,
    entries: Vec<Value>,
}

impl Pieces {
    fn new() -> Self {
        let pieces = Self { folder: tempfile::tempdir().unwrap(), entries: Vec::new() };
        for algorithm in ["sha256", "sha512"] {
            fs::create_dir_all(pieces.path().join("blobs").join(algorithm)).unwrap();
        }
        fs::write(pieces.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        pieces
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let descriptor = Descriptor::of(media_type, bytes);
        fs::write(self.path().join("blobs/sha256").join(descriptor.digest.hex()), bytes).unwrap();
        json!(descriptor)
    }

    /// The same under a digest of the other algorithm.
    fn other_blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let hex = Sha512::digest(bytes).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        fs::write(self.path().join("blobs/sha512").join(&hex), bytes).unwrap();
        json!({"mediaType": media_type, "digest": format!("sha512:{hex}"), "size": bytes.len()})
    }

    fn document(&self, media_type: &str, value: &Value) -> Value {
        self.blob(media_type, &serde_json::to_vec_pretty(value).unwrap())
    }

    /// A manifest of a config and a layer that say what it is.
    fn image(&self, text: &str) -> Value {
        let config = self.blob(MEDIA_TYPE_CONFIG, format!("{{\"text\":\"{text}\"}}").as_bytes());
        let layer = self.blob(MEDIA_TYPE_LAYER_GZIP, text.as_bytes());
        self.document(
            MEDIA_TYPE_MANIFEST,
            &json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_MANIFEST, "config": config, "layers": [layer]}),
        )
    }

    fn tag(&mut self, descriptor: &Value, tag: &str) {
        let mut entry = descriptor.clone();
        entry["annotations"] = json!({REF_NAME: tag});
        self.entries.push(entry);
    }

    fn finish(&self) {
        let index = json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": self.entries});
        fs::write(self.path().join("index.json"), index.to_string()).unwrap();
    }
}

fn on(mut descriptor: Value, architecture: &str) -> Value {
    descriptor["platform"] = json!({"os": "linux", "architecture": architecture});
    descriptor
}

fn digest(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().unwrap()
}

/// A layout with an image of two platforms, one image by itself, one of docker's, one of the other algorithm.
struct Scene {
    pieces: Pieces,
    served: Served<'static>,
    index: Value,
    manifest: Value,
    blob: Value,
    docker: Value,
    docker_manifest: Value,
    other: Value,
    other_blob: Value,
}

const TEXT: &str = "the layer of amd64, which is so long";

fn scene() -> Scene {
    let mut pieces = Pieces::new();
    let (manifest, arm64) = (pieces.image(TEXT), pieces.image("arm64"));
    let entries = json!([on(manifest.clone(), "amd64"), on(arm64, "arm64")]);
    let index = pieces
        .document(MEDIA_TYPE_INDEX, &json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": entries}));
    for tag in ["latest", "1.10", "1.9", "Beta", "alpha"] {
        pieces.tag(&index, tag);
    }
    pieces.tag(&manifest, "single");
    let config = pieces.blob("application/vnd.docker.container.image.v1+json", b"{}");
    let docker_manifest = pieces.document(
        MEDIA_TYPE_DOCKER_MANIFEST,
        &json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_DOCKER_MANIFEST, "config": config, "layers": []}),
    );
    let docker = pieces.document(
        MEDIA_TYPE_DOCKER_INDEX,
        &json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_DOCKER_INDEX, "manifests": [on(docker_manifest.clone(), "amd64")]}),
    );
    pieces.tag(&docker, "docker");
    let other_blob = pieces.other_blob(MEDIA_TYPE_LAYER_GZIP, b"of the other algorithm");
    let other = json!({"schemaVersion": 2, "config": config, "layers": [other_blob]}).to_string();
    let other = pieces.other_blob(MEDIA_TYPE_MANIFEST, other.as_bytes());
    pieces.tag(&other, "other");
    pieces.finish();
    let layout = format!("app=oci:{}", pieces.path().display());
    let served = Served::start(support::anyarch(), &[&layout]);
    let blob = json!(Descriptor::of(MEDIA_TYPE_LAYER_GZIP, TEXT.as_bytes()));
    Scene { pieces, served, index, manifest, blob, docker, docker_manifest, other, other_blob }
}

/// Holds the answer to HEAD to that of GET, without the body.
#[track_caller]
fn assert_head(served: &Served<'_>, path: &str, headers: &[&str], got: &Answer) {
    let mut head = served.ask("HEAD", path, headers);
    let mut got = got.clone();
    got.headers.remove("date");
    head.headers.remove("date");
    assert_eq!((head.status, &head.headers), (got.status, &got.headers), "HEAD {path}");
    assert_eq!(head.body, b"", "HEAD {path}");
}

#[test]
fn whether_this_is_a_registry_is_told() {
    let scene = scene();
    let served = &scene.served;
    for path in ["/v2/", "/v2", "/"] {
        let answer = served.get(path);
        assert_eq!((answer.status, answer.header("docker-distribution-api-version")), (200, "registry/2.0"), "{path}");
        assert_eq!((answer.header("content-type"), &*answer.body), ("application/json", &b"{}"[..]), "{path}");
        assert_head(served, path, &[], &answer);
    }
}

#[test]
fn manifests_are_pulled_by_tag_and_by_digest() {
    let scene = scene();
    let both = format!("Accept: {MEDIA_TYPE_INDEX}, {MEDIA_TYPE_MANIFEST}");
    for (name, descriptor) in [
        ("latest", &scene.index),
        ("Beta", &scene.index),
        (digest(&scene.index), &scene.index),
        ("single", &scene.manifest),
        (digest(&scene.manifest), &scene.manifest),
        ("docker", &scene.docker),
        (digest(&scene.docker_manifest), &scene.docker_manifest),
        ("other", &scene.other),
        (digest(&scene.other), &scene.other),
    ] {
        let path = format!("/v2/app/manifests/{name}");
        let everything = ["Accept: */*"];
        let headers: &[&str] =
            if name.starts_with("docker") || *descriptor == scene.docker_manifest { &everything } else { &[&both] };
        let answer = scene.served.ask("GET", &path, headers);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_eq!(answer.header("content-type"), descriptor["mediaType"], "{path}");
        assert_eq!(answer.header("docker-content-digest"), descriptor["digest"], "{path}");
        assert_eq!(answer.header("content-length"), descriptor["size"].to_string(), "{path}");
        let file = scene.pieces.path().join("blobs").join(digest(descriptor).replacen(':', "/", 1));
        assert_eq!(answer.body, fs::read(file).unwrap(), "{path}");
        assert_head(&scene.served, &path, headers, &answer);
        let known = format!("If-None-Match: {}", answer.header("etag"));
        for known in [&*known, "If-None-Match: \"x\", *"] {
            let answer = scene.served.ask("GET", &path, &[headers, &[known]].concat());
            assert_eq!((answer.status, &*answer.body), (304, &b""[..]), "{path} {known}");
        }
        assert_eq!(scene.served.ask("GET", &path, &[headers, &["If-None-Match: \"x\""]].concat()).status, 200);
    }
}

#[test]
fn clients_that_cannot_read_a_manifest_get_what_dockers_registry_gives_them() {
    let scene = scene();
    let accept = |types: &str| format!("Accept: {types}");
    let (index, manifest, docker, docker_manifest) =
        (MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST, MEDIA_TYPE_DOCKER_INDEX, MEDIA_TYPE_DOCKER_MANIFEST);
    for (tag, types, expected) in [
        ("latest", index, Ok(&scene.index)),
        ("latest", "*/*", Ok(&scene.index)),
        (
            "latest",
            docker_manifest,
            Err("this is an OCI index, and the `Accept` header of the request has no such type"),
        ),
        ("latest", manifest, Err("this is an OCI index, and the `Accept` header of the request has no such type")),
        ("single", manifest, Ok(&scene.manifest)),
        ("single", index, Err("this is an OCI manifest, and the `Accept` header of the request has no such type")),
        ("docker", docker, Ok(&scene.docker)),
        ("docker", docker_manifest, Ok(&scene.docker_manifest)),
        (digest(&scene.docker), docker_manifest, Ok(&scene.docker)),
    ] {
        let answer = scene.served.ask("GET", &format!("/v2/app/manifests/{tag}"), &[&accept(types)]);
        match expected {
            Ok(descriptor) => assert_eq!(answer.header("docker-content-digest"), digest(descriptor), "{tag} {types}"),
            Err(message) => {
                assert_eq!((answer.status, answer.code().as_str()), (404, "MANIFEST_UNKNOWN"), "{tag} {types}");
                assert_eq!(answer.json()["errors"][0]["message"], message, "{tag} {types}");
            }
        }
    }
}

#[test]
fn blobs_are_pulled_whole_and_in_parts() {
    let scene = scene();
    let path = format!("/v2/app/blobs/{}", digest(&scene.blob));
    let whole = scene.served.get(&path);
    assert_eq!((whole.status, &*whole.body), (200, TEXT.as_bytes()));
    let tag = format!("\"{}\"", digest(&scene.blob));
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("content-length", &*TEXT.len().to_string()),
        ("docker-content-digest", digest(&scene.blob)),
        ("accept-ranges", "bytes"),
        ("etag", &tag),
    ] {
        assert_eq!(whole.header(name), value, "{name}");
    }
    assert_head(&scene.served, &path, &[], &whole);
    // A range is of GET alone: RFC 9110, 14.2.
    assert_head(&scene.served, &path, &["Range: bytes=0-3"], &whole);
    let size = TEXT.len();
    let same = format!("If-Range: {tag}");
    for (headers, status, content, range) in [
        (&["Range: bytes=0-3"][..], 206, &TEXT[..4], format!("bytes 0-3/{size}")),
        (&["Range: bytes=4-"], 206, &TEXT[4..], format!("bytes 4-{}/{size}", size - 1)),
        (&["Range: bytes=-4"], 206, &TEXT[size - 4..], format!("bytes {}-{}/{size}", size - 4, size - 1)),
        (&["Range: bytes=4-9999999"], 206, &TEXT[4..], format!("bytes 4-{}/{size}", size - 1)),
        (&["Range: bytes=0-3", &same], 206, &TEXT[..4], format!("bytes 0-3/{size}")),
        (&["Range: bytes=0-3", "If-Range: \"x\""], 200, TEXT, String::new()),
        (&["Range: bytes=0-1,3-4"], 200, TEXT, String::new()),
        (&["Range: bytes=x"], 200, TEXT, String::new()),
        (&["Range: bytes=9999999-"], 416, "no such range\n", format!("bytes */{size}")),
        (&["If-None-Match: *"], 304, "", String::new()),
    ] {
        let answer = scene.served.ask("GET", &path, headers);
        assert_eq!((answer.status, &*answer.body), (status, content.as_bytes()), "{headers:?}");
        assert_eq!(answer.header("content-range"), range, "{headers:?}");
        if status != 304 {
            assert_eq!(answer.header("content-length"), content.len().to_string(), "{headers:?}");
        }
    }
    let other = scene.served.get(&format!("/v2/app/blobs/{}", digest(&scene.other_blob)));
    assert_eq!((other.status, &*other.body), (200, &b"of the other algorithm"[..]));
    // A manifest is content, too.
    let manifest = scene.served.get(&format!("/v2/app/blobs/{}", digest(&scene.manifest)));
    assert_eq!(Digest::of(&manifest.body).to_string(), digest(&scene.manifest));
}

#[test]
fn what_is_not_there_and_what_is_wrong_has_its_status_and_its_code() {
    let scene = scene();
    let blob = digest(&scene.blob);
    for (method, path, status, code) in [
        ("GET", format!("/v2/app/manifests/{NOTHING}"), 404, "MANIFEST_UNKNOWN"),
        ("GET", "/v2/app/manifests/none".into(), 404, "MANIFEST_UNKNOWN"),
        ("GET", "/v2/app/manifests/.INVALID_MANIFEST_NAME".into(), 404, "MANIFEST_UNKNOWN"),
        ("GET", format!("/v2/app/manifests/{blob}"), 404, "MANIFEST_UNKNOWN"),
        ("GET", "/v2/app/manifests/sha256:totallywrong".into(), 400, "DIGEST_INVALID"),
        ("GET", format!("/v2/app/blobs/{NOTHING}"), 404, "BLOB_UNKNOWN"),
        ("GET", "/v2/app/blobs/sha256:abc".into(), 400, "DIGEST_INVALID"),
        ("GET", "/v2/app/blobs/md5:d41d8cd98f00b204e9800998ecf8427e".into(), 400, "DIGEST_INVALID"),
        ("GET", "/v2/app/referrers/latest".into(), 400, "DIGEST_INVALID"),
        ("GET", "/v2/app/tags/list?n=few".into(), 400, "UNSUPPORTED"),
        ("GET", "/v2/app/blobs/uploads/1".into(), 404, "BLOB_UPLOAD_UNKNOWN"),
        ("GET", "/v2/none/manifests/latest".into(), 404, "NAME_UNKNOWN"),
        ("GET", format!("/v2/none/blobs/{blob}"), 404, "NAME_UNKNOWN"),
        ("GET", "/v2/none/tags/list".into(), 404, "NAME_UNKNOWN"),
        ("GET", format!("/v2/none/referrers/{NOTHING}"), 404, "NAME_UNKNOWN"),
        ("GET", "/v2/App/tags/list".into(), 400, "NAME_INVALID"),
        ("GET", "/v2/app/../app/tags/list".into(), 400, "NAME_INVALID"),
        ("GET", "/v2/app".into(), 404, "UNSUPPORTED"),
        ("GET", "/v1/search".into(), 404, "UNSUPPORTED"),
        ("POST", "/v2/app/blobs/uploads/".into(), 405, "UNSUPPORTED"),
        ("POST", format!("/v2/app/blobs/uploads/?digest={blob}"), 405, "UNSUPPORTED"),
        ("PATCH", "/v2/app/blobs/uploads/1".into(), 405, "UNSUPPORTED"),
        ("PUT", "/v2/app/blobs/uploads/1".into(), 405, "UNSUPPORTED"),
        ("PUT", "/v2/app/manifests/latest".into(), 405, "UNSUPPORTED"),
        ("PUT", "/v2/app/manifests/sha256:totallywrong".into(), 400, "DIGEST_INVALID"),
        ("DELETE", "/v2/app/manifests/latest".into(), 405, "UNSUPPORTED"),
        ("DELETE", format!("/v2/app/blobs/{blob}"), 405, "UNSUPPORTED"),
        ("OPTIONS", "/v2/".into(), 405, "UNSUPPORTED"),
    ] {
        let answer = scene.served.ask(method, &path, &[]);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {path}");
        assert_eq!(answer.header("content-type"), "application/json", "{method} {path}");
        assert!(answer.json()["errors"][0]["message"].as_str().is_some_and(|words| !words.is_empty()), "{path}");
        assert_eq!(answer.header("allow"), if status == 405 { "GET, HEAD" } else { "" }, "{method} {path}");
        if method == "GET" {
            assert_head(&scene.served, &path, &[], &answer);
        }
    }
}

#[test]
fn tags_are_listed_in_the_order_of_the_alphabet_and_in_pages() {
    let scene = scene();
    let served = &scene.served;
    let all = ["1.10", "1.9", "alpha", "Beta", "docker", "latest", "other", "single"];
    let list = served.get("/v2/app/tags/list");
    assert_eq!((list.status, list.header("content-type"), list.header("link")), (200, "application/json", ""));
    assert_eq!(list.json(), json!({"name": "app", "tags": all}));
    for (query, tags, link) in [
        ("n=0", &all[..0], ""),
        ("n=3", &all[..3], "</v2/app/tags/list?last=alpha&n=3>; rel=\"next\""),
        ("n=3&last=alpha", &all[3..6], "</v2/app/tags/list?last=latest&n=3>; rel=\"next\""),
        ("last=latest&n=3", &all[6..], ""),
        ("last=Alpha", &all[2..], ""),
        ("n=100", &all[..], ""),
    ] {
        let page = served.get(&format!("/v2/app/tags/list?{query}"));
        assert_eq!((page.json()["tags"].clone(), page.header("link")), (json!(tags), link), "{query}");
    }
    // What a link says leads on.
    let (mut path, mut found) = ("/v2/app/tags/list?n=1".to_owned(), Vec::new());
    loop {
        let page = served.get(&path);
        found.extend(page.json()["tags"].as_array().unwrap().clone());
        let Some(next) = page.header("link").strip_prefix('<').and_then(|link| link.split('>').next()) else { break };
        path = next.to_owned();
    }
    assert_eq!(Value::Array(found), json!(all));
    assert_eq!(served.get("/v2/_catalog").json(), json!({"repositories": ["app"]}));
    assert_eq!(served.get("/v2/_catalog?n=0").json(), json!({"repositories": []}));
    assert_eq!(served.get("/v2/_catalog?last=app").json(), json!({"repositories": []}));
}

#[test]
fn referrers_are_found_wherever_the_layout_has_them() {
    let mut pieces = Pieces::new();
    let (image, other) = (pieces.image("image"), pieces.image("other"));
    pieces.tag(&image, "latest");
    let config = pieces.blob("application/vnd.example.signature", b"{}");
    let about = |subject: &Value, more: Value| {
        let mut value = json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_MANIFEST, "config": config, "layers": [], "subject": subject});
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        pieces.document(value["mediaType"].as_str().unwrap(), &value)
    };
    let annotations = json!({"org.example.key": "value"});
    let sbom = about(&image, json!({"artifactType": "application/vnd.example.sbom", "annotations": annotations}));
    let signature = about(&image, json!({"n": 1}));
    let index = about(&image, json!({"mediaType": MEDIA_TYPE_INDEX, "config": null, "layers": null, "manifests": []}));
    let of_other = about(&other, json!({"artifactType": "application/vnd.example.sbom"}));
    // One that only the list has that clients keep where a registry has no such endpoint.
    let listed = about(&image, json!({"artifactType": "application/vnd.example.sbom", "n": 2}));
    let nobodys = about(&json!({"mediaType": MEDIA_TYPE_MANIFEST, "digest": NOTHING, "size": 7}), json!({"n": 3}));
    let list = pieces.document(MEDIA_TYPE_INDEX, &json!({"schemaVersion": 2, "manifests": [listed, signature]}));
    for entry in [&sbom, &signature, &index, &of_other, &nobodys] {
        pieces.entries.push(entry.clone());
    }
    let fallback = digest(&image).replacen(':', "-", 1);
    pieces.tag(&list, &fallback);
    pieces.finish();
    let served = Served::start(support::anyarch(), &[&format!("app=oci:{}", pieces.path().display())]);
    assert_eq!(served.stdout(), format!("{}/app:latest\n", served.host()), "what is about an image is none");
    let described = |descriptor: &Value, kind: Option<&str>, annotations: Option<&Value>| {
        let mut value = descriptor.clone();
        if let Some(kind) = kind {
            value["artifactType"] = json!(kind);
        }
        if let Some(annotations) = annotations {
            value["annotations"] = annotations.clone();
        }
        value
    };
    let sboms = "application/vnd.example.sbom";
    let sbom = described(&sbom, Some(sboms), Some(&annotations));
    let signature = described(&signature, Some("application/vnd.example.signature"), None);
    let (index, listed) = (described(&index, None, None), described(&listed, Some(sboms), None));
    let of_other = described(&of_other, Some(sboms), None);
    let nobodys = described(&nobodys, Some("application/vnd.example.signature"), None);
    for (subject, query, expected) in [
        (digest(&image), "", vec![&sbom, &signature, &index, &listed]),
        (digest(&image), "?artifactType=application%2Fvnd.example.sbom", vec![&sbom, &listed]),
        (digest(&image), "?artifactType=application/vnd.example.none", vec![]),
        (digest(&other), "", vec![&of_other]),
        (NOTHING, "", vec![&nobodys]),
        (digest(&list), "", vec![]),
    ] {
        let path = format!("/v2/app/referrers/{subject}{query}");
        let answer = served.get(&path);
        assert_eq!((answer.status, answer.header("content-type")), (200, MEDIA_TYPE_INDEX), "{path}");
        assert_eq!(answer.header("oci-filters-applied"), if query.is_empty() { "" } else { "artifactType" }, "{path}");
        let found = answer.json();
        assert_eq!((&found["schemaVersion"], &found["mediaType"]), (&json!(2), &json!(MEDIA_TYPE_INDEX)), "{path}");
        assert_eq!(found["manifests"], json!(expected), "{path}");
        assert_head(&served, &path, &[], &answer);
    }
    // The list is a manifest as any other, and so is what it lists.
    assert_eq!(served.get(&format!("/v2/app/manifests/{fallback}")).header("docker-content-digest"), digest(&list));
    assert_eq!(served.get(&format!("/v2/app/manifests/{}", digest(&listed))).status, 200);
    assert_eq!(served.get("/v2/app/tags/list").json()["tags"], json!(["latest", fallback]));
}

#[test]
fn a_connection_serves_one_request_after_another() {
    let scene = scene();
    let served = &scene.served;
    let request = |more: &str| format!("GET /v2/ HTTP/1.1\r\nHost: {}\r\n{more}\r\n", served.host());
    let answers = served.raw([request(""), request(""), request("Connection: close\r\n")].concat().as_bytes());
    assert_eq!(String::from_utf8_lossy(&answers).matches("HTTP/1.1 200 OK\r\n").count(), 3);
}
