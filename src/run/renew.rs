//! A layer or a config that the cache lost, or that was damaged there, is made or fetched anew by what the plan knows of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::blob::Digest;
use crate::registry;
use crate::sink::SinkError;
use crate::store::StoreError;
use crate::wanted::{Waiter, Wanted};

use super::error::Error;
use super::event::Event;
use super::pack;
use super::prepare::Prepared;
use super::session::Session;

/// Calls `write`, on a thread of its own, until it succeeds, or fails for something else than a layer that can be made or
/// fetched anew. Who drops the future no longer wants what is written.
///
/// # Errors
/// What `write` failed with, or what making or fetching failed with.
pub(super) async fn whole(
    session: &Session,
    prepared: &Prepared,
    write: impl Fn(&Wanted) -> Result<(), SinkError> + Send + Sync + 'static,
) -> Result<(), Error> {
    let write = Arc::new(write);
    let attempt = async || {
        let write = write.clone();
        Ok(once(move |wanted| write(wanted)).await??)
    };
    repeated(session, prepared, attempt).await
}

/// Makes attempts until one succeeds, or fails for something else than a layer that can be made or fetched anew.
///
/// # Errors
/// What the last attempt failed with, or what making or fetching failed with.
pub(super) async fn repeated(
    session: &Session,
    prepared: &Prepared,
    attempt: impl AsyncFn() -> Result<(), Error>,
) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    loop {
        let Err(error) = attempt().await else { return Ok(()) };
        // What is damaged again at once is not worth a third attempt.
        let first = lost(&error).is_some_and(|(digest, _)| seen.insert(digest));
        if !first || !renewed(session, prepared, &error).await? {
            return Err(error);
        }
    }
}

/// Does `work` on a thread of its own, where it may take its time. Who drops the future no longer wants what comes of it.
///
/// # Errors
/// When the thread failed.
pub(super) async fn once<T: Send + 'static>(work: impl FnOnce(&Wanted) -> T + Send + 'static) -> Result<T, Error> {
    let waiter = Waiter::default();
    let wanted = waiter.wanted();
    let done = tokio::task::spawn_blocking(move || work(&wanted)).await;
    drop(waiter);
    done.map_err(|_| Error::Thread)
}

/// Where `error` says that a layer, or the config of a push, is not whole: makes or fetches that anew, says so, and
/// returns true. False for any other
/// error, and when what is made by now is another layer.
///
/// # Errors
/// When it can be neither fetched nor made.
pub(super) async fn renewed(session: &Session, prepared: &Prepared, error: &Error) -> Result<bool, Error> {
    let Some((digest, reason)) = lost(error) else { return Ok(false) };
    for (plan, times) in prepared.plan.images.iter().zip(&prepared.times) {
        for unit in &plan.units {
            let base = prepared.base_names.get(&unit.base.name);
            let of_base = base.zip(unit.base.image.layers.iter().find(|layer| layer.digest == digest));
            let how = match of_base {
                // The layer of `static` is made, those of others are fetched.
                Some((name, _)) if prepared.bases.built_in(name, times.mtime)?.is_some() => "made",
                Some((name, layer)) => {
                    prepared.listings.fetch(name, unit.platform, layer).await?;
                    "fetched"
                }
                // Its other layers are there, and only named again.
                None => {
                    let (made, _) = tokio::task::block_in_place(|| pack::unit(&session.store, plan, unit, times))?;
                    let config = made.config_descriptor();
                    if config.digest == digest {
                        session.store.put(&config.media_type, &made.config)?;
                    }
                    "made"
                }
            };
            if session.store.blob_path(&digest).is_file() {
                session.watch.event(Event::Note(format!("{reason}; it is {how} anew")));
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The blob that `error` says is not whole and is no longer in the store, with its reason.
pub(super) fn lost(error: &Error) -> Option<(Digest, &StoreError)> {
    let reason = match error {
        Error::Store(source) | Error::Sink(SinkError::Blob { source, .. }) => source,
        Error::Push { source, .. } => match source.as_ref() {
            registry::Error::Store { source, .. } => source,
            _ => return None,
        },
        _ => return None,
    };
    match reason {
        StoreError::Damaged { digest, removed: true, .. } | StoreError::Missing { digest, .. } => {
            Some((*digest, reason))
        }
        _ => None,
    }
}
