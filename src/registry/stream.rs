//! Turns a blob at one place into a stream of its bytes that goes on where it was cut, for [`super::source`].
//!
//! A connection that breaks, stalls, drips or ends early is followed by a ranged GET for the rest. A registry that knows
//! no ranges sends all of it again: what was handed on already is skipped, and hashed once more, so that the two halves
//! are known to be of one blob. The digest is checked before the last piece is handed on, so that whoever gets all bytes
//! got the right ones, and whoever uploads them never finishes with wrong ones.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use oci_client::client::SizedStream;
use reqwest::header::{CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode};
use tokio::time::Instant;

use super::Inner;
use super::action::{Action, Verb};
use super::error::Error;
use super::host::Host;
use super::patience::Pace;
use super::range::content_range;
use super::request::{Answer, Call};
use super::retry::Failures;
use super::token::Scopes;
use crate::blob::{Descriptor, Hasher};
use crate::reference::Repository;
use crate::store::StoreError;

/// How much has to arrive between two failures for the second to count as the first: a registry that cuts every
/// connection after a few bytes is given up like one that cuts it at once.
const GAIN: u64 = 1 << 20;

/// Where bytes come from at the moment.
enum Feed {
    Closed,
    Ours(Response),
    OciClient(SizedStream),
}

/// The part of a second reading that was handed on already.
struct Skip {
    left: u64,
    hasher: Hasher,
}

/// The bytes of a blob, one piece after another.
pub(super) struct BlobStream {
    inner: Arc<Inner>,
    host: Arc<Host>,
    action: Action,
    scopes: Scopes,
    descriptor: Descriptor,
    /// Of all bytes up to `position`.
    hasher: Hasher,
    position: u64,
    feed: Feed,
    skip: Option<Skip>,
    /// False once the registry turned out not to keep to ranges.
    ranges: bool,
    /// Whether oci-client may still be asked, which begins blobs and never goes on with them.
    by_oci_client: bool,
    /// Whether the registry itself sends the bytes.
    own: bool,
    failures: Failures,
    gained_at: u64,
    pace: Pace,
}

impl BlobStream {
    /// Opens what follows the bytes that `hasher` took in.
    pub(super) async fn open(
        inner: Arc<Inner>,
        repository: &Repository,
        descriptor: &Descriptor,
        hasher: Hasher,
    ) -> Result<Self, Error> {
        let position = hasher.size();
        let mut stream = Self {
            host: inner.host(repository),
            inner,
            action: Action::new(Verb::ReadBlob, repository, &descriptor.digest),
            scopes: Scopes::pull(repository),
            descriptor: descriptor.clone(),
            hasher,
            position,
            feed: Feed::Closed,
            skip: None,
            ranges: true,
            by_oci_client: position == 0,
            own: false,
            failures: Failures::new(),
            gained_at: position,
            pace: Pace::default(),
        };
        if position < stream.descriptor.size {
            stream.connect().await?;
        }
        Ok(stream)
    }

    /// How many bytes of the blob were handed on, those before an opening in the middle included.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// What all bytes up to [`Self::position`] went through.
    pub(super) fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// The same, when nothing more is read.
    pub(super) fn into_hasher(self) -> Hasher {
        self.hasher
    }

    /// The next piece, never an empty one; `None` at the end, when the digest was right.
    ///
    /// # Errors
    /// When the bytes are other ones than announced, or when the registry stops sending them and trying again does not
    /// help. The stream has ended then.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if self.position == self.descriptor.size {
                return self.finish().map(|()| None);
            }
            if matches!(self.feed, Feed::Closed) {
                self.connect().await?;
            }
            match self.piece().await {
                Ok(Some(piece)) => {
                    if let Some(piece) = self.take(piece)? {
                        return Ok(Some(piece));
                    }
                }
                Ok(None) if matches!(self.feed, Feed::Closed) => {}
                Ok(None) => {
                    let (expected, actual) = (self.descriptor.size, self.position);
                    self.cut(Error::Truncated { action: Box::new(self.action.clone()), expected, actual }).await?;
                }
                Err(error) => self.cut(error).await?,
            }
        }
    }

    /// Waits for what comes next from the connection that is open; `None` at its end, or when oci-client failed.
    async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        let patience = &self.inner.patience;
        let begin = Instant::now();
        let next = match &mut self.feed {
            Feed::Closed => return Ok(None),
            Feed::Ours(response) => {
                let chunk = tokio::time::timeout(patience.silence, response.chunk()).await;
                chunk.map_err(|_| self.stalled(patience.silence))?.map_err(|error| Error::Interrupted {
                    action: Box::new(self.action.clone()),
                    source: error.without_url(),
                })?
            }
            Feed::OciClient(stream) => {
                let Ok(Some(Ok(chunk))) = tokio::time::timeout(patience.silence, stream.next()).await else {
                    self.leave_oci_client();
                    return Ok(None);
                };
                Some(chunk)
            }
        };
        let received = next.as_ref().map_or(0, |piece| piece.len() as u64);
        if next.is_some() && !self.pace.keep(patience, begin.elapsed(), received) {
            let (least, window) = (patience.least, patience.window);
            return Err(Error::TooSlow { action: Box::new(self.action.clone()), least, window });
        }
        Ok(next)
    }

    fn stalled(&self, after: Duration) -> Error {
        Error::Stalled { action: Box::new(self.action.clone()), after }
    }

    /// Counts and hashes a piece; what is left of it after what was handed on before.
    fn take(&mut self, mut piece: Bytes) -> Result<Option<Bytes>, Error> {
        if let Some(skip) = &mut self.skip {
            let length = usize::try_from(skip.left).unwrap_or(usize::MAX).min(piece.len());
            let again = piece.split_to(length);
            skip.hasher.update(&again);
            skip.left -= again.len() as u64;
            if skip.left == 0 {
                self.check_skipped()?;
            }
        }
        if piece.is_empty() {
            return Ok(None);
        }
        let left = self.descriptor.size - self.position;
        if piece.len() as u64 > left {
            return Err(self.too_large());
        }
        self.hasher.update(&piece);
        self.position += piece.len() as u64;
        if self.position - self.gained_at >= GAIN {
            self.gained_at = self.position;
            self.failures.gained();
        }
        if self.position == self.descriptor.size {
            self.verify()?;
        }
        Ok(Some(piece))
    }

    /// Holds the second reading of what was handed on to the first one.
    fn check_skipped(&mut self) -> Result<(), Error> {
        let Some(skip) = self.skip.take() else { return Ok(()) };
        let ((again, size), (before, _)) = (skip.hasher.finish(), self.hasher.clone().finish());
        if again == before {
            return Ok(());
        }
        self.feed = Feed::Closed;
        let source =
            StoreError::WrongDigest { expected: before, expected_size: size, actual: again, actual_size: size };
        Err(Error::WrongContent { action: Box::new(self.action.clone()), source })
    }

    fn verify(&mut self) -> Result<(), Error> {
        let (actual, actual_size) = self.hasher.clone().finish();
        let (expected, expected_size) = (self.descriptor.digest, self.descriptor.size);
        if actual == expected {
            return Ok(());
        }
        if matches!(std::mem::replace(&mut self.feed, Feed::Closed), Feed::OciClient(_)) {
            self.host.forget_direct();
        }
        let source = StoreError::WrongDigest { expected, expected_size, actual, actual_size };
        Err(Error::WrongContent { action: Box::new(self.action.clone()), source })
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.verify()?;
        if matches!(self.feed, Feed::Ours(_)) && self.own {
            self.host.remember_direct();
        }
        self.feed = Feed::Closed;
        Ok(())
    }

    fn too_large(&mut self) -> Error {
        self.feed = Feed::Closed;
        Error::TooLarge { action: Box::new(self.action.clone()), limit: self.descriptor.size }
    }

    /// What oci-client began goes on by our own client: it alone can tell a person what the registry says.
    fn leave_oci_client(&mut self) {
        self.feed = Feed::Closed;
        self.host.forget_direct();
    }

    /// The connection is of no more use: waits, by the policy, until it is time for the next.
    async fn cut(&mut self, error: Error) -> Result<(), Error> {
        self.feed = Feed::Closed;
        self.skip = None;
        self.pace = Pace::default();
        self.failures.wait(&self.inner.policy, error).await
    }

    /// Has a connection that sends what comes next, or, with `skip`, what came already.
    async fn connect(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.by_oci_client)
            && let Some(stream) = self.inner.open_by_oci_client(&self.host, &self.action, &self.descriptor).await
        {
            if stream.content_length.is_none_or(|length| length == self.descriptor.size) {
                self.feed = Feed::OciClient(stream);
                return Ok(());
            }
            self.leave_oci_client();
        }
        loop {
            let error = match self.ask().await {
                Ok(true) => return Ok(()),
                Ok(false) => continue,
                Err(error) => error,
            };
            self.cut(error).await?;
        }
    }

    /// One request; false when the registry does not keep to ranges, which is known from then on.
    async fn ask(&mut self) -> Result<bool, Error> {
        let inner = Arc::clone(&self.inner);
        let path = format!("blobs/{}", self.descriptor.digest);
        let url = inner.url(&self.host, &self.action.repository, &path).await?;
        let mut call = Call::new(&self.action, Method::GET, url, &self.scopes).identity();
        let ranged = self.position > 0 && self.ranges;
        if ranged && let Ok(range) = HeaderValue::try_from(format!("bytes={}-", self.position)) {
            call.headers.insert(RANGE, range);
        }
        let answer = inner.send(&self.host, &call).await?;
        let whole = match answer.response.status() {
            StatusCode::PARTIAL_CONTENT if ranged && self.continues(&answer) => false,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if ranged => {
                self.ranges = false;
                return Ok(false);
            }
            _ => true,
        };
        let answer = if whole { answer.expect(&self.action, &[StatusCode::OK]).await? } else { answer };
        let expected = if whole { self.descriptor.size } else { self.descriptor.size - self.position };
        if answer.response.content_length().is_some_and(|length| length > expected) {
            return Err(self.too_large());
        }
        self.skip = (whole && self.position > 0).then(|| Skip { left: self.position, hasher: Hasher::default() });
        self.own = answer.own;
        self.feed = Feed::Ours(answer.response);
        Ok(true)
    }

    /// True when the part that comes is the one that was asked for.
    fn continues(&self, answer: &Answer) -> bool {
        let text = answer.header(CONTENT_RANGE.as_str()).unwrap_or_default();
        content_range(text).is_some_and(|range| {
            range.first == self.position
                && range.last < self.descriptor.size
                && range.whole.is_none_or(|whole| whole == self.descriptor.size)
        })
    }
}
