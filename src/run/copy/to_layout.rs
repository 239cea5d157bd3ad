//! An image gets into a layout beside others: blobs as they come from where they are, straight into their places, then the
//! manifests, then the name.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::base_name::BaseName;
use crate::blob::{Descriptor, Digest};
use crate::manifest::Document;
use crate::platform::Platform;
use crate::reference::Repository;
use crate::registry;
use crate::run::error::Error;
use crate::run::event::TransferEnd;
use crate::run::renew;
use crate::run::transfer::{self, Transfer};
use crate::sink::collection::Collection;

use super::Run;

/// How often a blob is read from registries that turn out to send something else.
const READINGS: usize = 2;

/// What a layout is to have.
#[derive(Default)]
pub(in crate::run) struct Freight<'run> {
    /// each with the image that has it, and the platform that it is for
    blobs: BTreeMap<Digest, (&'run BaseName, &'run Descriptor, Option<Platform>)>,
    /// those that others name after these
    documents: Vec<(&'run Descriptor, &'run [u8])>,
}

impl<'run> Freight<'run> {
    /// Adds a manifest of the image `origin` and its blobs, or an index and what it names beside manifests.
    pub(in crate::run) fn add(&mut self, origin: &'run BaseName, document: &'run Document, platform: Option<Platform>) {
        for blob in document.blobs_here() {
            self.add_blob(origin, blob, platform);
        }
        self.add_bytes(&document.descriptor, &document.bytes);
    }

    /// Adds a blob of the image `origin`.
    pub(in crate::run) fn add_blob(
        &mut self,
        origin: &'run BaseName,
        blob: &'run Descriptor,
        platform: Option<Platform>,
    ) {
        self.blobs.entry(blob.digest).or_insert((origin, blob, platform));
    }

    /// Adds the bytes of a manifest or an index alone.
    pub(in crate::run) fn add_bytes(&mut self, descriptor: &'run Descriptor, bytes: &'run [u8]) {
        self.documents.push((descriptor, bytes));
    }
}

/// Writes it into the layout `folder`, where `tag` becomes the name of `top`.
///
/// # Errors
/// When something cannot be read or written; the name then still means what it meant before.
pub(in crate::run) async fn write(
    run: Run<'_>,
    freight: Freight<'_>,
    top: &Descriptor,
    folder: &Path,
    tag: &str,
) -> Result<(), Error> {
    let layout = Arc::new(Collection::open(&run.session.directory.join(folder))?);
    let shown = format!("oci:{}:{tag}", folder.display());
    let (of, name) = (&layout, shown.as_str());
    let bring = |(source, blob, platform)| Way { run, layout: of, source, shown: name }.bring(blob, platform);
    stream::iter(freight.blobs.into_values()).map(bring).buffer_unordered(run.jobs).try_collect::<()>().await?;
    let copied = |(descriptor, bytes): (&Descriptor, &[u8])| (descriptor.clone(), bytes.to_owned());
    let documents: Vec<(Descriptor, Vec<u8>)> = freight.documents.into_iter().map(copied).collect();
    let (layout, top, tag) = (layout.clone(), top.clone(), tag.to_owned());
    let written = renew::once(move |_| {
        documents.iter().try_for_each(|(descriptor, bytes)| layout.put(descriptor, bytes))?;
        layout.name(&top, &tag)
    });
    Ok(written.await??)
}

/// The way of blobs into a layout.
#[derive(Clone, Copy)]
struct Way<'run> {
    run: Run<'run>,
    layout: &'run Arc<Collection>,
    source: &'run BaseName,
    shown: &'run str,
}

impl Way<'_> {
    /// Sees to it that the layout has a blob.
    async fn bring(self, blob: &Descriptor, platform: Option<Platform>) -> Result<(), Error> {
        let (layout, wanted_blob) = (self.layout.clone(), blob.clone());
        if renew::once(move |wanted| layout.has(&wanted_blob, wanted)).await?? {
            return Ok(());
        }
        let transfer = Transfer::start(self.run.session, transfer::of_copy(self.shown, platform), blob.size);
        match self.source {
            _ if self.run.session.store.has(&blob.digest, blob.size) && self.copy_stored(blob).await? => {}
            BaseName::Registry(reference) => self.receive(&reference.repository, blob, &transfer).await?,
            _ => self.copy_file(blob).await?,
        }
        transfer.end(TransferEnd::Done);
        Ok(())
    }

    /// Copies a blob that the cache has; false when it turned out to be damaged there.
    async fn copy_stored(self, blob: &Descriptor) -> Result<bool, Error> {
        let (layout, store, blob) = (self.layout.clone(), self.run.session.store.clone(), blob.clone());
        let copied = renew::once(move |wanted| {
            let mut incoming = layout.incoming()?;
            let copy = |incoming: &mut _| {
                let stored = store.open_blob(&blob).map_err(io::Error::other)?;
                stored.copy_to(&mut wanted.only(incoming))
            };
            copy(&mut incoming).map_err(|error| layout.failed(error))?;
            incoming.finish_as(&blob)
        });
        match copied.await?.map_err(Error::from) {
            Err(error) if renew::lost(&error).is_some() => Ok(false),
            copied => copied.map(|()| true),
        }
    }

    /// Copies a blob of another layout.
    async fn copy_file(self, blob: &Descriptor) -> Result<(), Error> {
        let (layout, bases, name, blob) =
            (self.layout.clone(), self.run.bases.clone(), self.source.clone(), blob.clone());
        let copied = renew::once(move |wanted| -> Result<(), Error> {
            let file = bases.open_layer(&name, &blob)?;
            let mut incoming = layout.incoming()?;
            io::copy(&mut wanted.only(file), &mut incoming).map_err(|error| layout.failed(error))?;
            if !incoming.is(&blob) {
                return Err(bases.damaged(&name, &blob).into());
            }
            Ok(incoming.finish_as(&blob)?)
        });
        copied.await?
    }

    /// Writes a blob of a registry as it comes.
    async fn receive(self, from: &Repository, blob: &Descriptor, transfer: &Transfer) -> Result<(), Error> {
        let source = self.run.client.source(from, blob);
        let mut left = READINGS;
        loop {
            left -= 1;
            match self.read(&source, blob, transfer).await? {
                Ok(()) => break,
                Err(registry::Error::WrongContent { .. }) if left > 0 => {}
                Err(error) => return Err(self.run.bases.unread(self.source, error).into()),
            }
        }
        self.run.session.moved.fetched(from, blob);
        Ok(())
    }

    async fn read(
        self,
        source: &registry::Source,
        blob: &Descriptor,
        transfer: &Transfer,
    ) -> Result<Result<(), registry::Error>, Error> {
        let mut reading = match source.open().await {
            Ok(reading) => reading,
            Err(error) => return Ok(Err(error)),
        };
        let mut incoming = self.layout.incoming()?;
        transfer.moved(0);
        loop {
            match reading.next().await {
                Ok(Some(piece)) => incoming.write_all(&piece).map_err(|error| self.layout.failed(error))?,
                Ok(None) => break,
                Err(error) => return Ok(Err(error)),
            }
            transfer.moved(reading.position());
        }
        Ok(Ok(incoming.finish_as(blob)?))
    }
}
