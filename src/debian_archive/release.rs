//! The signed index of a release: fetched at most once a day, kept, and kept to when the mirror does not answer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use url::Url;

use super::{DebianError, Event, Events, Inner};
use crate::blob::{Descriptor, Digest};
use crate::debian::Release;
use crate::mirror::shown;

/// How long a kept index is used without asking. A release changes some times a year.
const FRESH: Duration = Duration::from_hours(24);
/// More than an `InRelease` file has; Debian's have 150 KB.
const LONGEST: u64 = 8 * 1024 * 1024;
const KIND: &str = "debian-release";

/// Which `InRelease` was read last.
#[derive(Serialize, Deserialize)]
struct Kept {
    digest: Digest,
    /// seconds since 1970
    fetched: u64,
}

impl Inner {
    /// The release as its signed index describes it, and whether that is one that was kept. `anew` asks the mirror
    /// however fresh the kept one is.
    pub(super) async fn release(
        &self,
        name: &str,
        anew: bool,
        events: Events<'_>,
    ) -> Result<(Release, bool), DebianError> {
        let url = self.url(&format!("dists/{name}/InRelease"))?;
        let kept = self.kept(name, &url);
        if let Some((release, age)) = &kept
            && !anew
            && *age < FRESH
            && self.check_time(name, release).is_ok()
        {
            return Ok((release.clone(), true));
        }
        let bytes = match (self.fetcher.small(&url, LONGEST).await, kept.as_ref()) {
            (Ok(bytes), _) => bytes,
            (Err(DebianError::NotFound { .. }), _) => {
                return Err(DebianError::UnknownRelease { release: name.to_owned(), mirror: self.shown_mirror() });
            }
            (Err(error), Some((release, age)))
                if error.is_transient() || matches!(error, DebianError::Offline { .. }) =>
            {
                self.check_time(name, release)?;
                let reason = error.to_string();
                events(Event::KeptIndex { release: name.to_owned(), age: *age, reason });
                return Ok((release.clone(), true));
            }
            (Err(error), _) => return Err(error),
        };
        let release = self.read(name, &url, &bytes)?;
        self.check_time(name, &release)?;
        // An old index is still signed: whoever can play it back must not take fixes away again.
        if let Some((newer, _)) = kept.filter(|(kept, _)| kept.date > release.date) {
            events(Event::OlderIndex { release: name.to_owned(), mirror: self.shown_mirror() });
            return Ok((newer, true));
        }
        let Descriptor { digest, .. } = self.options.store.put("text/plain", &bytes)?;
        let fetched = self.options.now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.options.store.set_record(KIND, &key(url.as_str()), &Kept { digest, fetched })?;
        Ok((release, false))
    }

    /// The index that was read before, and how long ago; whatever is wrong with it, it is fetched again.
    fn kept(&self, name: &str, url: &Url) -> Option<(Release, Duration)> {
        let kept: Kept = self.options.store.record(KIND, &key(url.as_str()))?;
        let bytes = self.options.store.read(&kept.digest).ok()??;
        let release = self.read(name, url, &bytes).ok()?;
        let fetched = UNIX_EPOCH + Duration::from_secs(kept.fetched);
        // A clock that was set back makes it as old as can be.
        Some((release, self.options.now.duration_since(fetched).unwrap_or(Duration::MAX)))
    }

    fn read(&self, name: &str, url: &Url, bytes: &[u8]) -> Result<Release, DebianError> {
        let message = String::from_utf8_lossy(bytes);
        let text = self.options.keys.signed_text(&message);
        let text = text.map_err(|source| DebianError::Signature { url: shown(url), source })?;
        let release = Release::parse(&text).map_err(|source| DebianError::Release { url: shown(url), source })?;
        if release.is(name) {
            return Ok(release);
        }
        let called = [release.codename, release.suite].into_iter().flatten().collect();
        Err(DebianError::OtherRelease { url: shown(url), asked: name.to_owned(), called })
    }

    fn check_time(&self, name: &str, release: &Release) -> Result<(), DebianError> {
        match release.valid_until {
            Some(until) if SystemTime::from(until) < self.options.now => {
                Err(DebianError::Expired { release: name.to_owned(), until, mirror: self.shown_mirror() })
            }
            _ => Ok(()),
        }
    }
}

fn key(url: &str) -> Digest {
    Digest::of(url.as_bytes())
}
