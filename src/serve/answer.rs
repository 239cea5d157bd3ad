//! A request becomes an answer.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use hyper::header::{
    self, ACCEPT, ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderName, HeaderValue, IF_NONE_MATCH, IF_RANGE, LINK, RANGE,
};
use hyper::{Method, Request as HttpRequest, Response, StatusCode};
use serde_json::json;
use tokio::task::spawn_blocking;

use super::Say;
use super::body::{Body, Told};
use super::shelf::Shelf;
use super::version::Found;
use super::view::View;
use crate::base::LONGEST_DOCUMENT;
use crate::blob::{MEDIA_TYPE_DOCKER_INDEX, MEDIA_TYPE_INDEX};
use crate::distribution::{
    Accept, Code, ContentDigest, Paging, Pointer, ReferrerList, Refusal, Request, Selection, page, read, select,
};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
const JSON: &str = "application/json";
/// What has a digest never changes: as docker's registry says it of blobs.
const FOR_EVER: &str = "max-age=31536000";

/// An answer but for what all answers have.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
}

impl Reply {
    fn new(status: StatusCode, media_type: &str, body: Body) -> Self {
        let reply = Self { status, headers: HeaderMap::new(), body };
        reply.with(CONTENT_TYPE, media_type)
    }

    fn json(body: impl Into<bytes::Bytes>) -> Self {
        Self::new(StatusCode::OK, JSON, Body::bytes(body))
    }

    /// The same with a header, unless its value could not be sent: what layouts say comes from anywhere.
    fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::NOT_FOUND);
        let reply = Self::new(status, JSON, Body::bytes(refusal.body()));
        if status == StatusCode::METHOD_NOT_ALLOWED { reply.with(ALLOW, "GET, HEAD") } else { reply }
    }
}

/// Answers a request; its body is not read. `told` is told when the answer was sent.
pub(super) async fn answer<B>(shelf: &Arc<Shelf>, told: Option<Say>, request: &HttpRequest<B>) -> Response<Body> {
    let begun = Instant::now();
    let (method, uri) = (request.method(), request.uri());
    let reply = match read(method.as_str(), uri.path(), uri.query()) {
        Ok(asked) => reply(shelf, asked, method, request.headers()).await,
        Err(refusal) => Err(refusal),
    };
    let Reply { status, mut headers, body } = reply.unwrap_or_else(Reply::from);
    headers
        .insert(HeaderName::from_static("docker-distribution-api-version"), HeaderValue::from_static("registry/2.0"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if status != StatusCode::NOT_MODIFIED {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.length()));
    }
    let body = if method == Method::HEAD { Body::bytes(bytes::Bytes::new()) } else { body };
    let told = told.map(|say| Told {
        say,
        method: method.to_string(),
        path: uri.path_and_query().map_or_else(|| uri.to_string(), ToString::to_string),
        status: status.as_u16(),
        begun,
        sent: 0,
    });
    let mut response = Response::new(body.telling(told));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

async fn reply(shelf: &Arc<Shelf>, asked: Request, method: &Method, headers: &HeaderMap) -> Result<Reply, Refusal> {
    match asked {
        Request::Root | Request::Check => Ok(Reply::json("{}")),
        Request::Catalog(paging) => {
            let view = refreshed(shelf).await?;
            Ok(listed("/v2/_catalog", view.names(), &paging, |names| json!({"repositories": names})))
        }
        Request::Tags { name, paging } => {
            let view = refreshed(shelf).await?;
            let tags =
                view.repository(&name).filter(|repository| repository.is_there()).ok_or_else(|| unknown(&name))?;
            let path = format!("/v2/{name}/tags/list");
            Ok(listed(&path, tags.tags(), &paging, |tags| json!({"name": name, "tags": tags})))
        }
        Request::Referrers { name, subject, artifact_type } => {
            let view = refreshed(shelf).await?;
            let repository =
                view.repository(&name).filter(|repository| repository.is_there()).ok_or_else(|| unknown(&name))?;
            let referrers = repository.referrers(&subject);
            let list = ReferrerList::of(referrers.iter(), artifact_type.as_deref());
            let reply = Reply::new(StatusCode::OK, MEDIA_TYPE_INDEX, Body::bytes(list.body()));
            Ok(if artifact_type.is_some() { reply.with(FILTERS_APPLIED, "artifactType") } else { reply })
        }
        Request::Manifest { name, pointer } => manifest(shelf, &name, &pointer, headers).await,
        Request::Blob { name, digest } => blob(shelf, &name, digest, method, headers).await,
    }
}

fn unknown(name: &str) -> Refusal {
    Refusal::new(404, Code::NameUnknown, "there is no such repository").about(json!({"name": name}))
}

fn listed(path: &str, all: Vec<&str>, paging: &Paging, body: impl Fn(&[&str]) -> serde_json::Value) -> Reply {
    let page = page(path, all, paging);
    let reply = Reply::json(body(&page.names).to_string());
    match page.link {
        Some(link) => reply.with(LINK, &link),
        None => reply,
    }
}

/// What is served now. Looking may wait for the disk.
async fn refreshed(shelf: &Arc<Shelf>) -> Result<Arc<View>, Refusal> {
    let shelf = shelf.clone();
    on_disk(move || shelf.refresh()).await
}

async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    spawn_blocking(work).await.map_err(|_| Refusal::new(503, Code::Unsupported, "the registry is ending"))
}

async fn manifest(shelf: &Arc<Shelf>, name: &str, pointer: &Pointer, headers: &HeaderMap) -> Result<Reply, Refusal> {
    let find = |view: &View| view.repository(name).and_then(|repository| repository.manifest(pointer));
    // What has a digest is what it is; what a tag points to may have changed.
    let known = if matches!(pointer, Pointer::Digest(_)) {
        Some(shelf.view()).filter(|view| find(view).is_some())
    } else {
        None
    };
    let view = if let Some(view) = known { view } else { refreshed(shelf).await? };
    let Some(repository) = view.repository(name) else { return Err(unknown(name)) };
    let missing = || Refusal::new(404, Code::ManifestUnknown, "there is no such manifest");
    let about = |refusal: Refusal| match pointer {
        Pointer::Tag(tag) => refusal.about(json!({"name": name, "tag": tag})),
        Pointer::Digest(digest) => refusal.about(json!({"name": name, "digest": digest.to_string()})),
    };
    let (mut digest, mut manifest) = find(&view).ok_or_else(|| about(missing()))?;
    let accept = Accept::of(headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()));
    if let Some(kind) = accept.refuses(&manifest.media_type) {
        let message = format!("this is {kind}, and the `Accept` header of the request has no such type");
        return Err(about(Refusal::new(404, Code::ManifestUnknown, message)));
    }
    // As docker's registry: clients that are older than docker's lists get the image that they would have had then.
    let is_list = manifest.media_type == MEDIA_TYPE_DOCKER_INDEX && !accept.names(MEDIA_TYPE_DOCKER_INDEX);
    if is_list && matches!(pointer, Pointer::Tag(_)) {
        let usual = manifest.usual.ok_or_else(|| about(missing()))?;
        (digest, manifest) = repository.manifest(&Pointer::Digest(usual)).ok_or_else(|| about(missing()))?;
    }
    if is_known(headers, &digest) {
        return Ok(unchanged(&digest));
    }
    let (view, name, wanted) = (view.clone(), name.to_owned(), digest.clone());
    let bytes = on_disk(move || read_whole(&view, &name, &wanted)).await?.ok_or_else(|| about(missing()))?;
    let reply = Reply::new(StatusCode::OK, &manifest.media_type, Body::bytes(bytes));
    Ok(reply.with(CONTENT_DIGEST, &digest.to_string()).with(ETAG, &tag_of(&digest)))
}

fn read_whole(view: &View, name: &str, digest: &ContentDigest) -> Option<bytes::Bytes> {
    let bytes = match view.repository(name)?.find(digest)?.ok()? {
        Found::Bytes(bytes) => bytes,
        Found::File(opened) => opened.read(LONGEST_DOCUMENT).ok()?.into(),
    };
    // It was so when the layout was read; a tar that is written anew in its place is other content since.
    digest.is_of(&bytes).then_some(bytes)
}

async fn blob(
    shelf: &Arc<Shelf>,
    name: &str,
    digest: ContentDigest,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Reply, Refusal> {
    let missing = || {
        let detail = json!({"name": name, "digest": digest.to_string()});
        Refusal::new(404, Code::BlobUnknown, "there is no such blob").about(detail)
    };
    let find = |view: Arc<View>| {
        let (name, digest) = (name.to_owned(), digest.clone());
        on_disk(move || view.repository(&name).map(|repository| repository.find(&digest)))
    };
    let mut found = find(shelf.view()).await?;
    if !matches!(found, Some(Some(Ok(_)))) {
        found = find(refreshed(shelf).await?).await?;
    }
    let found: Found = match found {
        None => return Err(unknown(name)),
        Some(None) => return Err(missing()),
        Some(Some(found)) => found.map_err(|error| unreadable(&missing(), &error))?,
    };
    if is_known(headers, &digest) {
        return Ok(unchanged(&digest).with(CACHE_CONTROL, FOR_EVER));
    }
    let size = found.size();
    let selection = if method == Method::GET { selected(headers, &digest, size) } else { Selection::Whole };
    let reply = match selection {
        Selection::Outside => {
            Reply::new(StatusCode::RANGE_NOT_SATISFIABLE, "text/plain", Body::bytes("no such range\n"))
                .with(CONTENT_RANGE, &format!("bytes */{size}"))
        }
        Selection::Whole => Reply::new(StatusCode::OK, "application/octet-stream", part(found, 0, size)),
        Selection::Part { first, last } => {
            Reply::new(StatusCode::PARTIAL_CONTENT, "application/octet-stream", part(found, first, last + 1))
                .with(CONTENT_RANGE, &format!("bytes {first}-{last}/{size}"))
        }
    };
    let reply = reply.with(ACCEPT_RANGES, "bytes").with(CACHE_CONTROL, FOR_EVER);
    Ok(reply.with(CONTENT_DIGEST, &digest.to_string()).with(ETAG, &tag_of(&digest)))
}

/// A layout that names what it does not have, or has as a link, is no reason to say more than that it is not there.
fn unreadable(missing: &Refusal, error: &io::Error) -> Refusal {
    let refusal = missing.clone();
    match error.kind() {
        io::ErrorKind::NotFound => refusal,
        _ => Refusal { message: "this blob of the layout cannot be read".to_owned(), ..refusal },
    }
}

fn part(found: Found, first: u64, end: u64) -> Body {
    match found {
        Found::File(opened) => Body::file(opened, first, end),
        Found::Bytes(bytes) => {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
            Body::bytes(bytes.slice(place(first)..place(end)))
        }
    }
}

/// The part that is asked for, unless it is to be of other content (`If-Range`).
fn selected(headers: &HeaderMap, digest: &ContentDigest, size: u64) -> Selection {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let same = headers.get(IF_RANGE).is_none() || text(IF_RANGE) == Some(&tag_of(digest));
    select(text(RANGE).filter(|_| same), size)
}

fn tag_of(digest: &ContentDigest) -> String {
    format!("\"{digest}\"")
}

/// Whether the client says that it has this.
fn is_known(headers: &HeaderMap, digest: &ContentDigest) -> bool {
    let named = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = named.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == tag_of(digest))
}

fn unchanged(digest: &ContentDigest) -> Reply {
    let reply =
        Reply { status: StatusCode::NOT_MODIFIED, headers: HeaderMap::new(), body: Body::bytes(bytes::Bytes::new()) };
    reply.with(CONTENT_DIGEST, &digest.to_string()).with(ETAG, &tag_of(digest))
}
