//! Pushes a blob in parts, for registries that want no more at once: each part is a PATCH that says where it belongs, and
//! after one that failed the registry is asked how far it got.
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks>

use std::ops::Range;
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use reqwest::header::{CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Method, StatusCode};
use tokio::sync::watch;
use url::Url;

use super::action::Verb;
use super::body::{BlobBody, Body, Stock, file_chunks, stored_chunks, unreadable};
use super::error::Error;
use super::request::{Answer, Call};
use super::retry::{self, Failures};
use super::upload::{OCTETS, STANDSTILL, Upload};

impl Upload<'_> {
    /// Sends the blob in parts to an upload that was just begun. They come from a file, from another
    /// registry's by way of the store: a part may have to be sent again.
    pub(super) async fn in_parts(
        &self,
        mut location: Url,
        stock: &Stock<'_>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        let path = self.bring(stock, progress).await?;
        let (inner, registry) = (&self.client.inner, &self.host.registry);
        let size = self.descriptor.size;
        let mut failures = Failures::new();
        let mut position = 0;
        let mut misplaced = false;
        while position < size {
            let length = inner.part_sizes.of(registry).unwrap_or(size).min(size - position);
            match self.patch(&path, &location, position..position + length, progress).await {
                Ok((next, reached)) if reached > position => {
                    failures.gained();
                    misplaced = false;
                    (location, position) = (next, reached);
                    continue;
                }
                // Whatever it counts, it is not our bytes.
                Ok(_) => return Err(self.lost(StatusCode::ACCEPTED)),
                Err(error @ Error::Forgotten { .. }) => return Err(error),
                // What it has is not what it said; once it is asked what that is.
                Err(error) if error.status() == Some(StatusCode::RANGE_NOT_SATISFIABLE.as_u16()) => {
                    if std::mem::replace(&mut misplaced, true) {
                        return Err(self.lost(StatusCode::RANGE_NOT_SATISFIABLE));
                    }
                }
                Err(error) if error.status() == Some(StatusCode::PAYLOAD_TOO_LARGE.as_u16()) => {
                    if !inner.part_sizes.refused(registry, length) {
                        return Err(Error::PartRefused { action: Box::new(self.action.clone()), length });
                    }
                }
                Err(error) => failures.wait(&inner.policy, error).await?,
            }
            (location, position) = self.how_far(location).await?;
        }
        self.finish(location).await
    }

    /// Has the whole blob in a file, verified.
    async fn bring(&self, stock: &Stock<'_>, progress: &(dyn Fn(u64) + Sync)) -> Result<PathBuf, Error> {
        let store = &self.client.inner.store;
        if let Stock::Elsewhere(source) = stock {
            let fetched = self.client.fetch_blob(source.repository(), self.descriptor, progress).await;
            let action = || Box::new(self.action.clone());
            fetched.map_err(|source| Error::Source { action: action(), source: Box::new(source) })?;
        }
        let (path, mut chunks) = match stock {
            Stock::File(path) => ((*path).to_owned(), file_chunks(&self.action, path, self.descriptor)?),
            Stock::Store | Stock::Elsewhere(_) => {
                (store.blob_path(&self.descriptor.digest), stored_chunks(&self.action, store, self.descriptor)?)
            }
        };
        while let Some(chunk) = chunks.next().await {
            chunk.map_err(|error| unreadable(&self.action, path.clone(), error))?;
        }
        Ok(path)
    }

    /// Sends those bytes of the file: where the next go, and how many are there by then.
    async fn patch(
        &self,
        path: &Path,
        location: &Url,
        bytes: Range<u64>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(Url, u64), Error> {
        let (sent, seen) = watch::channel(0_u64);
        let body = BlobBody::part(path.to_owned(), self.descriptor, bytes.start, bytes.end - bytes.start, sent);
        let failure = body.failure();
        let mut call = Call::new(&self.action, Method::PATCH, location.clone(), &self.scopes)
            .body(OCTETS, Body::Blob(Box::new(body)));
        if let Ok(range) = HeaderValue::try_from(format!("{}-{}", bytes.start, bytes.end - 1)) {
            call.headers.insert(CONTENT_RANGE, range);
        }
        let moved = |count| progress(bytes.start + count);
        moved(0);
        let answer = self.watched(&call, &failure, seen, STANDSTILL, &moved).await?;
        let taken = [StatusCode::ACCEPTED, StatusCode::NO_CONTENT, StatusCode::CREATED, StatusCode::OK];
        let answer = answer.expect(&self.action, &taken).await.map_err(Error::of_an_upload)?;
        let next = self.location(&answer)?.unwrap_or_else(|| location.clone());
        let reached = reached(&answer).unwrap_or(bytes.end);
        if reached > bytes.end {
            return Err(self.lost(answer.response.status()));
        }
        Ok((next, reached))
    }

    /// Asks how far an upload got.
    async fn how_far(&self, location: Url) -> Result<(Url, u64), Error> {
        let inner = &self.client.inner;
        let ask = || async {
            let call = Call::new(&self.action, Method::GET, location.clone(), &self.scopes);
            let answer = inner.send(self.host, &call).await?;
            let known = [StatusCode::NO_CONTENT, StatusCode::OK, StatusCode::ACCEPTED];
            answer.expect(&self.action, &known).await
        };
        let answer = match retry::run(&inner.policy, ask).await {
            // Some registries cannot be asked, or not once a part was cut.
            Err(Error::Status { status, .. }) if status.is_client_error() => return Err(self.lost(status)),
            asked => asked?,
        };
        let next = self.location(&answer)?.unwrap_or_else(|| location.clone());
        match reached(&answer) {
            Some(position) if position <= self.descriptor.size => Ok((next, position)),
            _ => Err(self.lost(answer.response.status())),
        }
    }

    /// Says that the blob is complete, again after a failure that passes: all parts are there.
    async fn finish(&self, location: Url) -> Result<(), Error> {
        let inner = &self.client.inner;
        let mut failures = Failures::new();
        loop {
            match self.finish_once(location.clone()).await {
                Err(error) if error.status() == Some(StatusCode::RANGE_NOT_SATISFIABLE.as_u16()) => {
                    return Err(self.lost(StatusCode::RANGE_NOT_SATISFIABLE));
                }
                Err(error) if !matches!(error, Error::Forgotten { .. }) => failures.wait(&inner.policy, error).await?,
                finished => return finished,
            }
            // The answer may have been lost on its way, and the blob not.
            if inner.has_blob(&self.action.but(Verb::CheckBlob), &self.scopes, self.descriptor).await? {
                return Ok(());
            }
        }
    }

    async fn finish_once(&self, location: Url) -> Result<(), Error> {
        let call = Call::new(&self.action, Method::PUT, self.finishing(location), &self.scopes).unhurried();
        let sending = self.client.inner.send(self.host, &call);
        let after = Self::digestion(self.descriptor.size);
        let stalled = |_| Error::Stalled { action: Box::new(self.action.clone()), after };
        let answer = tokio::time::timeout(after, sending).await.map_err(stalled)??;
        self.finished(answer).await
    }

    fn lost(&self, status: StatusCode) -> Error {
        Error::Forgotten { action: Box::new(self.action.clone()), status, said: None }
    }
}

/// How many bytes of an upload are there, as `Range: 0-LAST` says.
fn reached(answer: &Answer) -> Option<u64> {
    bytes_of(answer.header(RANGE.as_str())?)
}

fn bytes_of(range: &str) -> Option<u64> {
    let range = range.trim();
    let (first, last) = range.strip_prefix("bytes=").unwrap_or(range).split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    // Of nothing, too, registries say `0-0`.
    (first == 0).then(|| if last == 0 { Some(0) } else { last.checked_add(1) })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_an_upload_got_is_read_from_its_range() {
        for (range, expected) in [
            ("0-99", Some(100)),
            ("bytes=0-99", Some(100)),
            ("0-0", Some(0)),
            ("0--1", None),
            ("5-99", None),
            ("0-18446744073709551615", None),
            ("", None),
        ] {
            assert_eq!(bytes_of(range), expected, "{range}");
        }
    }
}
