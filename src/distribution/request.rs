//! The method, path and query of a request become what it asks for, or a refusal. Whatever leaves here is made of letters
//! that the grammar of the specification knows: nothing that means anything to a file system.

use percent_encoding::percent_decode_str;
use serde_json::json;
use url::form_urlencoded;

use super::{Code, ContentDigest, Refusal};
use crate::reference::{is_repository_name, is_tag};

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// whether there is anybody: `/`
    Root,
    /// whether this is a registry: `/v2/`
    Check,
    /// the repositories: `/v2/_catalog`, which docker's registry has
    Catalog(Paging),
    /// `/v2/NAME/tags/list`
    Tags {
        /// the repository
        name: String,
        /// which of them
        paging: Paging,
    },
    /// `/v2/NAME/manifests/REFERENCE`
    Manifest {
        /// the repository
        name: String,
        /// which
        pointer: Pointer,
    },
    /// `/v2/NAME/blobs/DIGEST`
    Blob {
        /// the repository
        name: String,
        /// which
        digest: ContentDigest,
    },
    /// `/v2/NAME/referrers/DIGEST`
    Referrers {
        /// the repository
        name: String,
        /// the manifest that they are about
        subject: ContentDigest,
        /// those of this type alone
        artifact_type: Option<String>,
    },
}

/// What points to a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pointer {
    /// a tag
    Tag(String),
    /// its digest
    Digest(ContentDigest),
}

/// Which part of a list is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paging {
    /// the most names; all when not given
    pub most: Option<usize>,
    /// the name after which they begin
    pub last: Option<String>,
}

/// Reads a request. `path` and `query` are as they came, still encoded.
///
/// # Errors
/// When it names nothing that a registry has, is malformed, or would change something.
pub fn read(method: &str, path: &str, query: Option<&str>) -> Result<Request, Refusal> {
    let reads = method == "GET" || method == "HEAD";
    let nothing_there = || Refusal::new(404, Code::Unsupported, "there is nothing at this path");
    let path = percent_decode_str(path).decode_utf8().map_err(|_| nothing_there())?;
    let request = match &*path {
        "/" => Request::Root,
        // Docker's registry sends clients on from the first to the second.
        "/v2" | "/v2/" => Request::Check,
        "/v2/_catalog" => Request::Catalog(paging(query)?),
        path => {
            let rest = path.strip_prefix("/v2/").ok_or_else(nothing_there)?;
            of_repository(rest, query, reads).unwrap_or_else(|| Err(nothing_there()))?
        }
    };
    if reads { Ok(request) } else { Err(Refusal::read_only()) }
}

/// What stands behind `/v2/`, when it has the shape of a repository and something in it.
fn of_repository(rest: &str, query: Option<&str>, reads: bool) -> Option<Result<Request, Refusal>> {
    let uploads = |path: &str| path.strip_suffix("/blobs/uploads").map(str::to_owned);
    if let Some(name) = uploads(rest).or_else(|| uploads(rest.rsplit_once('/')?.0)) {
        let unknown = Refusal::new(404, Code::BlobUploadUnknown, "nothing is uploaded here");
        let refusal = if reads { unknown } else { Refusal::read_only() };
        return Some(Err(named(&name).err().unwrap_or(refusal)));
    }
    let (front, last) = rest.rsplit_once('/')?;
    let (name, kind) = front.rsplit_once('/')?;
    let known = matches!((kind, last), ("tags", "list") | ("manifests" | "blobs" | "referrers", _));
    known.then(|| in_repository(named(name)?, kind, last, query))
}

fn in_repository(name: String, kind: &str, last: &str, query: Option<&str>) -> Result<Request, Refusal> {
    match kind {
        "tags" => Ok(Request::Tags { name, paging: paging(query)? }),
        "blobs" => Ok(Request::Blob { name, digest: digest(last)? }),
        "referrers" => {
            let artifact_type = value(query, "artifactType").filter(|kind| !kind.is_empty());
            Ok(Request::Referrers { name, subject: digest(last)?, artifact_type })
        }
        _ if last.contains(':') => Ok(Request::Manifest { name, pointer: Pointer::Digest(digest(last)?) }),
        _ if is_tag(last) => Ok(Request::Manifest { name, pointer: Pointer::Tag(last.to_owned()) }),
        // What cannot be a tag is the name of no manifest: the specification's own tests expect a 404.
        _ => Err(Refusal::new(
            404,
            Code::ManifestUnknown,
            "a manifest is named by a tag or a digest, and this is neither",
        )
        .about(json!({"reference": last}))),
    }
}

fn named(name: &str) -> Result<String, Refusal> {
    if is_repository_name(name) {
        return Ok(name.to_owned());
    }
    Err(Refusal::new(400, Code::NameInvalid, "this is no name of a repository").about(json!({"name": name})))
}

fn digest(text: &str) -> Result<ContentDigest, Refusal> {
    ContentDigest::parse(text).ok_or_else(|| {
        let message = "a digest is `sha256:` or `sha512:` and lower-case hexadecimal digits";
        Refusal::new(400, Code::DigestInvalid, message).about(json!({"digest": text}))
    })
}

fn paging(query: Option<&str>) -> Result<Paging, Refusal> {
    let most = match value(query, "n").filter(|text| !text.is_empty()) {
        None => None,
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => Some(text.parse().unwrap_or(usize::MAX)),
        Some(text) => {
            let refusal = Refusal::new(400, Code::Unsupported, "`n` is the number of names, and this is none");
            return Err(refusal.about(json!({"n": text})));
        }
    };
    Ok(Paging { most, last: value(query, "last").filter(|last| !last.is_empty()) })
}

/// The value that a query gives to a key, the first time.
fn value(query: Option<&str>, key: &str) -> Option<String> {
    let pairs = form_urlencoded::parse(query?.as_bytes());
    let mut values = pairs.filter_map(|(name, value)| (name == key).then_some(value));
    values.next().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn request(path: &str) -> Result<Request, (u16, &'static str)> {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let path = path.replace("HEX", HEX);
        let (get, head) = (read("GET", &path, query), read("HEAD", &path, query));
        assert_eq!(get, head, "{path}");
        get.map_err(|refusal| (refusal.status, refusal.code.name()))
    }

    #[test]
    fn paths_are_what_the_specification_says() {
        let app = || "app".to_owned();
        let digest = || ContentDigest::of(b"");
        let tag = |tag: &str| Pointer::Tag(tag.to_owned());
        let paging = |most, last: Option<&str>| Paging { most, last: last.map(str::to_owned) };
        let referrers = |kind: Option<&str>| Request::Referrers {
            name: app(),
            subject: digest(),
            artifact_type: kind.map(str::to_owned),
        };
        for (path, expected) in [
            ("/", Request::Root),
            ("/v2/", Request::Check),
            ("/v2", Request::Check),
            ("/v2/_catalog", Request::Catalog(Paging::default())),
            ("/v2/_catalog?n=2&last=app", Request::Catalog(paging(Some(2), Some("app")))),
            ("/v2/app/tags/list", Request::Tags { name: app(), paging: Paging::default() }),
            ("/v2/app/tags/list?n=0", Request::Tags { name: app(), paging: paging(Some(0), None) }),
            ("/v2/app/tags/list?n=&last=", Request::Tags { name: app(), paging: Paging::default() }),
            (
                "/v2/app/tags/list?n=99999999999999999999999&last=1%2E0",
                Request::Tags { name: app(), paging: paging(Some(usize::MAX), Some("1.0")) },
            ),
            ("/v2/app/manifests/1.0", Request::Manifest { name: app(), pointer: tag("1.0") }),
            ("/v2/app/manifests/sha256:HEX", Request::Manifest { name: app(), pointer: Pointer::Digest(digest()) }),
            ("/v2/app/manifests/sha256%3AHEX", Request::Manifest { name: app(), pointer: Pointer::Digest(digest()) }),
            (
                "/v2/team/a.b_c__d-e/blobs/sha256:HEX",
                Request::Blob { name: "team/a.b_c__d-e".into(), digest: digest() },
            ),
            ("/v2/team%2Fapp/blobs/sha256:HEX", Request::Blob { name: "team/app".into(), digest: digest() }),
            ("/v2/a/manifests/b/manifests/c", Request::Manifest { name: "a/manifests/b".into(), pointer: tag("c") }),
            (
                "/v2/a/blobs/uploads/b/manifests/c",
                Request::Manifest { name: "a/blobs/uploads/b".into(), pointer: tag("c") },
            ),
            ("/v2/tags/list/tags/list", Request::Tags { name: "tags/list".into(), paging: Paging::default() }),
            ("/v2/app/referrers/sha256:HEX", referrers(None)),
            ("/v2/app/referrers/sha256:HEX?artifactType=", referrers(None)),
            ("/v2/app/referrers/sha256:HEX?artifactType=a%2Fb%2Bjson", referrers(Some("a/b+json"))),
        ] {
            assert_eq!(request(path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_code() {
        let long = format!("/v2/{}/tags/list", "a/".repeat(130));
        for (path, status, code) in [
            ("", 404, "UNSUPPORTED"),
            ("*", 404, "UNSUPPORTED"),
            ("/v1/", 404, "UNSUPPORTED"),
            ("/v2x", 404, "UNSUPPORTED"),
            ("/v2/app", 404, "UNSUPPORTED"),
            ("/v2/app/tags", 404, "UNSUPPORTED"),
            ("/v2/app/tags/", 404, "UNSUPPORTED"),
            ("/v2/app/other/list", 404, "UNSUPPORTED"),
            ("/v2/%ff/tags/list", 404, "UNSUPPORTED"),
            ("/v2/App/tags/list", 400, "NAME_INVALID"),
            ("/v2/../etc/tags/list", 400, "NAME_INVALID"),
            ("/v2/..%2f../manifests/passwd", 400, "NAME_INVALID"),
            ("/v2//tags/list", 400, "NAME_INVALID"),
            ("/v2/a//b/tags/list", 400, "NAME_INVALID"),
            ("/v2/a%00b/tags/list", 400, "NAME_INVALID"),
            (&long, 400, "NAME_INVALID"),
            ("/v2/app/tags/list?n=-1", 400, "UNSUPPORTED"),
            ("/v2/app/tags/list?n=x", 400, "UNSUPPORTED"),
            ("/v2/app/manifests/.INVALID", 404, "MANIFEST_UNKNOWN"),
            ("/v2/app/manifests/", 404, "MANIFEST_UNKNOWN"),
            ("/v2/app/manifests/..", 404, "MANIFEST_UNKNOWN"),
            ("/v2/app/manifests/sha256:wrong", 400, "DIGEST_INVALID"),
            ("/v2/app/manifests/md5:d41d8cd98f00b204e9800998ecf8427e", 400, "DIGEST_INVALID"),
            ("/v2/app/blobs/1.0", 400, "DIGEST_INVALID"),
            ("/v2/app/blobs/sha256:..%2f..%2f..%2fetc%2fpasswd", 404, "UNSUPPORTED"),
            ("/v2/app/blobs/..%2fsha256:HEX", 404, "UNSUPPORTED"),
            ("/v2/app/referrers/x", 400, "DIGEST_INVALID"),
            ("/v2/app/blobs/uploads/", 404, "BLOB_UPLOAD_UNKNOWN"),
            ("/v2/app/blobs/uploads/1", 404, "BLOB_UPLOAD_UNKNOWN"),
        ] {
            assert_eq!(request(path), Err((status, code)), "{path}");
        }
    }

    #[test]
    fn nothing_can_be_changed() {
        for (method, path, status, code) in [
            ("POST", "/v2/app/blobs/uploads/", 405, "UNSUPPORTED"),
            ("POST", "/v2/app/blobs/uploads", 405, "UNSUPPORTED"),
            ("PATCH", "/v2/app/blobs/uploads/7", 405, "UNSUPPORTED"),
            ("PUT", "/v2/app/blobs/uploads/7", 405, "UNSUPPORTED"),
            ("PUT", "/v2/app/manifests/1.0", 405, "UNSUPPORTED"),
            ("DELETE", "/v2/app/manifests/1.0", 405, "UNSUPPORTED"),
            ("DELETE", "/v2/app/blobs/sha256:HEX", 405, "UNSUPPORTED"),
            ("OPTIONS", "/v2/", 405, "UNSUPPORTED"),
            ("get", "/v2/", 405, "UNSUPPORTED"),
            ("POST", "/v2/App/blobs/uploads/", 400, "NAME_INVALID"),
            // The specification's own tests expect a 400 or a 404.
            ("PUT", "/v2/app/manifests/sha256:totallywrong", 400, "DIGEST_INVALID"),
            ("PUT", "/x", 404, "UNSUPPORTED"),
        ] {
            let refusal = read(method, &path.replace("HEX", HEX), None).unwrap_err();
            assert_eq!((refusal.status, refusal.code.name()), (status, code), "{method} {path}");
        }
    }
}
