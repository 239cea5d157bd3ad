//! A file of the network becomes a file on disk with the SHA-256 that it has to have: from the first mirror that has it,
//! going on where a broken connection or an earlier run stopped.

mod error;

use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use reqwest::header::{ACCEPT, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use reqwest::{Response, StatusCode, redirect};
use url::{Host, Url};

pub use error::DownloadError;

use crate::blob::{Digest, Hasher};
use crate::http::retry::RetryPolicy;
use crate::http::{self, READ_TIMEOUT};
use crate::mirror::{Mirror, shown};

/// How many redirects are followed.
const MOST_REDIRECTS: usize = 10;
/// The largest page that is read: the longest pages of package indexes are some megabytes long.
const LARGEST_PAGE: usize = 64 << 20;
/// Bytes that are hashed at a time.
const CHUNK: usize = 1 << 17;

/// What is fetched.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'wanted> {
    /// where it may come from, in this order
    pub mirrors: &'wanted [Mirror],
    /// what it has to be
    pub sha256: Digest,
    /// how many bytes it has, where that is known
    pub size: Option<u64>,
    /// where it goes; what is there of it is kept beside, with `.part` at the end of its name
    pub destination: &'wanted Path,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A mirror answered.
    Started {
        /// its host
        host: String,
        /// bytes that were there before
        at: u64,
        /// bytes in all, where that is known
        size: Option<u64>,
    },
    /// So many bytes are there.
    Bytes(u64),
}

/// A page as it came.
#[derive(Clone, Debug)]
pub struct Page {
    /// where it came from in the end
    pub url: Url,
    /// `Content-Type`
    pub content_type: String,
    /// its text
    pub body: String,
}

/// Fetches files and pages.
#[derive(Clone, Debug, Default)]
pub struct Downloader {
    /// how often passing failures are tried again
    pub retry: RetryPolicy,
}

impl Downloader {
    /// Fetches a file, unless it is there. What comes is held to the SHA-256 before it gets its name.
    ///
    /// # Errors
    /// When no mirror has it, all fail, it is another file, or it cannot be written.
    pub async fn file(
        &self,
        wanted: &Wanted<'_>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), DownloadError> {
        if wanted.destination.is_file() {
            return Ok(());
        }
        let mut last = None;
        for mirror in wanted.mirrors {
            match self.take_from(wanted, mirror, progress).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_missing() || (mirror.gives_way && !error.is_local()) => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or(DownloadError::NoMirror))
    }

    /// Fetches a page.
    ///
    /// # Errors
    /// When it cannot be had, or is no text.
    pub async fn page(&self, url: &Url, accept: &str) -> Result<Page, DownloadError> {
        let mut patience = Patience::new(&self.retry);
        loop {
            match page_once(url, accept).await {
                Ok(page) => return Ok(page),
                Err(error) => patience.wait_after(error, false).await?,
            }
        }
    }

    async fn take_from(
        &self,
        wanted: &Wanted<'_>,
        mirror: &Mirror,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), DownloadError> {
        let mut patience = Patience::new(&self.retry);
        let mut began_anew = false;
        let mut farthest = 0;
        loop {
            let mut part = Part::open(wanted)?;
            let before = part.size;
            farthest = before.max(farthest);
            match part.fetch(wanted, &mirror.url, progress).await {
                Ok(()) => {}
                Err(error @ (DownloadError::Full { .. } | DownloadError::TooLong { .. })) => {
                    part.remove();
                    return Err(error);
                }
                Err(error) => {
                    // The bytes that were there once are no progress: a mirror that breaks off and refuses the range
                    // brings them for ever.
                    patience.wait_after(error, part.size > farthest).await?;
                    continue;
                }
            }
            let (actual, _) = part.hasher.clone().finish();
            if actual == wanted.sha256 {
                return part.finish(wanted.destination);
            }
            part.remove();
            // What an earlier run left may be damaged; what came in one piece is what the mirror has.
            if before == 0 || began_anew {
                return Err(DownloadError::WrongHash { url: shown(&mirror.url), expected: wanted.sha256, actual });
            }
            began_anew = true;
        }
    }
}

/// Counts failures and waits between them.
struct Patience<'policy> {
    policy: &'policy RetryPolicy,
    failures: u32,
    waited: Duration,
}

impl<'policy> Patience<'policy> {
    fn new(policy: &'policy RetryPolicy) -> Self {
        Self { policy, failures: 0, waited: Duration::ZERO }
    }

    /// Waits when `error` may pass by itself, else hands it back. A connection that brought something new is
    /// worth another.
    async fn wait_after(&mut self, error: DownloadError, brought_something: bool) -> Result<(), DownloadError> {
        if !error.is_transient() {
            return Err(error);
        }
        if brought_something {
            (self.failures, self.waited) = (0, Duration::ZERO);
        }
        self.failures += 1;
        let Some(wait) = self.policy.next_wait(self.failures, self.waited, error.wait_asked()) else {
            return Err(error);
        };
        tokio::time::sleep(wait).await;
        self.waited += wait;
        Ok(())
    }
}

/// A file that is not whole yet.
struct Part {
    path: PathBuf,
    file: fs::File,
    hasher: Hasher,
    size: u64,
}

impl Part {
    /// Opens what an earlier run left, or a new file, and hashes what is in it.
    fn open(wanted: &Wanted<'_>) -> Result<Self, DownloadError> {
        let mut name = wanted.destination.as_os_str().to_owned();
        name.push(".part");
        let path = PathBuf::from(name);
        let failed = |source| DownloadError::file(&path, wanted.size.unwrap_or(0), source);
        let options = || fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = options().map_err(failed)?;
        let mut part = Self { path: path.clone(), file, hasher: Hasher::default(), size: 0 };
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = part.file.read(&mut buffer).map_err(failed)?;
            if read == 0 {
                break;
            }
            part.hasher.update(&buffer[..read]);
            part.size += read as u64;
        }
        if wanted.size.is_some_and(|size| part.size > size) {
            part.empty().map_err(failed)?;
        }
        Ok(part)
    }

    fn empty(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.hasher = Hasher::default();
        self.size = 0;
        Ok(())
    }

    /// Brings what is missing. What came stays, whatever happens.
    async fn fetch(
        &mut self,
        wanted: &Wanted<'_>,
        url: &Url,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), DownloadError> {
        if wanted.size == Some(self.size) {
            return Ok(());
        }
        let range = (self.size > 0).then(|| format!("bytes={}-", self.size));
        let mut response = send(url, range.as_deref().map(|range| (RANGE, range))).await?;
        let still = |part: &Self| wanted.size.map_or(0, |size| size.saturating_sub(part.size));
        if !self.goes_on(&response) {
            let path = self.path.clone();
            self.empty().map_err(|source| DownloadError::file(&path, 0, source))?;
            if response.status() != StatusCode::OK {
                // The mirror cannot go on from there: the next attempt begins anew.
                return Err(DownloadError::Range { url: shown(url) });
            }
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let size = wanted.size.or_else(|| Some(self.size + response.content_length()?));
        progress(Progress::Started { host, at: self.size, size });
        while let Some(bytes) = next(&mut response, url).await? {
            if wanted.size.is_some_and(|size| self.size + bytes.len() as u64 > size) {
                return Err(DownloadError::TooLong { url: shown(url), size: wanted.size.unwrap_or(0) });
            }
            let written = self.file.write_all(&bytes);
            written.map_err(|source| DownloadError::file(&self.path, still(self), source))?;
            self.hasher.update(&bytes);
            self.size += bytes.len() as u64;
            progress(Progress::Bytes(self.size));
        }
        match wanted.size {
            Some(size) if self.size < size => Err(DownloadError::Short { url: shown(url), size, actual: self.size }),
            _ => Ok(()),
        }
    }

    /// True when the answer begins where the file ends.
    fn goes_on(&self, response: &Response) -> bool {
        let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        response.status() == StatusCode::PARTIAL_CONTENT
            && range.is_some_and(|range| range.trim().starts_with(&format!("bytes {}-", self.size)))
    }

    fn finish(self, destination: &Path) -> Result<(), DownloadError> {
        drop(self.file);
        fs::rename(&self.path, destination).map_err(|source| DownloadError::file(destination, 0, source))
    }

    /// A part that nobody can use is taken away; where that fails the next run does it.
    fn remove(self) {
        let _ = fs::remove_file(self.path);
    }
}

/// A client for one URL. This machine is not reached through a proxy, whatever `NO_PROXY` says.
fn client(url: &Url) -> Result<reqwest::Client, DownloadError> {
    let follow = redirect::Policy::custom(|attempt| {
        let from = attempt.previous().last().map(Url::scheme);
        if from == Some("https") && attempt.url().scheme() != "https" {
            attempt.error("a redirect leads from https to something else")
        } else if attempt.previous().len() > MOST_REDIRECTS {
            attempt.error("there are too many redirects")
        } else {
            attempt.follow()
        }
    });
    let mut builder = http::builder().redirect(follow);
    let is_this_machine = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if is_this_machine {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|source| DownloadError::Setup { source })
}

/// Asks for a URL. An answer that is no success is an error; to a request for a range, one that has none is none.
async fn send(url: &Url, header: Option<(reqwest::header::HeaderName, &str)>) -> Result<Response, DownloadError> {
    let mut request = client(url)?.get(url.clone());
    let is_range = header.as_ref().is_some_and(|(name, _)| name == RANGE);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let sent = tokio::time::timeout(READ_TIMEOUT, request.send()).await;
    let response = sent
        .map_err(|_| DownloadError::Stalled { url: shown(url) })?
        .map_err(|source| DownloadError::sending(url, source))?;
    let status = response.status();
    if status.is_success() || (is_range && status == StatusCode::RANGE_NOT_SATISFIABLE) {
        return Ok(response);
    }
    Err(DownloadError::Status { url: shown(url), status, wait: http::retry::wait_asked(&response) })
}

async fn next(response: &mut Response, url: &Url) -> Result<Option<bytes::Bytes>, DownloadError> {
    let chunk = tokio::time::timeout(READ_TIMEOUT, response.chunk()).await;
    let chunk = chunk.map_err(|_| DownloadError::Stalled { url: shown(url) })?;
    chunk.map_err(|source| DownloadError::Broken { url: shown(url), source: source.without_url() })
}

async fn page_once(url: &Url, accept: &str) -> Result<Page, DownloadError> {
    let mut response = send(url, Some((ACCEPT, accept))).await?;
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let mut from = response.url().clone();
    if from.origin() == url.origin() {
        // What the user gave as a login stays with the host, though a redirect does not repeat it.
        let _ = from.set_username(url.username());
        let _ = from.set_password(url.password());
    }
    let mut body = Vec::new();
    while let Some(bytes) = next(&mut response, url).await? {
        if body.len() + bytes.len() > LARGEST_PAGE {
            return Err(DownloadError::TooLong { url: shown(url), size: LARGEST_PAGE as u64 });
        }
        body.extend_from_slice(&bytes);
    }
    let body = String::from_utf8(body).map_err(|_| DownloadError::NotText { url: shown(url) })?;
    Ok(Page { url: from, content_type, body })
}
