//! An image gets into an archive of its own: what only a registry has comes into the cache first, then all of it is written
//! as one file.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::base::Bases;
use crate::base_name::BaseName;
use crate::blob::{Descriptor, Hasher};
use crate::manifest::Contents;
use crate::platform::Platform;
use crate::reference::Reference;
use crate::run::error::Error;
use crate::run::event::TransferEnd;
use crate::run::renew;
use crate::run::transfer::{self, Transfer};
use crate::sink::SinkError;
use crate::sink::archive::{self, Contained};
use crate::sink::docker_archive::{self, DockerImage};
use crate::store::{Store, StoreError};
use crate::wanted::Wanted;

use super::Run;
use super::choice::Choice;

/// How often an archive is written when the cache turns out to have lost a blob.
const WRITINGS: usize = 2;

/// Writes what was chosen as the archive `file`, in which it is called `tag`.
///
/// # Errors
/// When something cannot be read or written; what was there before is then still there.
pub(super) async fn write(run: Run<'_>, choice: &Choice, file: &Path, tag: &str) -> Result<(), Error> {
    let image = Contained {
        top: choice.top.descriptor.clone(),
        tag: tag.to_owned(),
        documents: documents(choice),
        blobs: choice.blobs().into_iter().map(|(blob, _)| blob.clone()).collect(),
    };
    let path = run.session.directory.join(file);
    let image = Arc::new(image);
    let shown = format!("oci-archive:{}:{tag}", file.display());
    let write = move |open: &archive::Open<'_>, wanted: &Wanted| archive::write_contained(&image, open, &path, wanted);
    written(run, choice, &shown, write).await
}

/// Writes the only manifest that was chosen as an archive for `docker load`, in which it is called `name`.
///
/// # Errors
/// When something cannot be read or written; what was there before is then still there.
pub(super) async fn write_for_docker(
    run: Run<'_>,
    choice: &Choice,
    file: &Path,
    name: Option<&Reference>,
) -> Result<(), Error> {
    let Contents::Manifest { config, layers } = &choice.top.contents else { return Err(Error::Thread) };
    let shown = format!("docker-archive:{}", file.display());
    bring(run, choice, &shown).await?;
    let mut documents = documents(choice);
    documents.push((config.clone(), run.bases.config(&choice.whole.name, config).await?));
    let image = DockerImage {
        top: choice.top.descriptor.clone(),
        documents,
        config: config.digest,
        layers: layers.clone(),
        names: name.cloned().into_iter().collect(),
    };
    let (image, path) = (Arc::new(image), run.session.directory.join(file));
    let write =
        move |open: &archive::Open<'_>, wanted: &Wanted| docker_archive::write_image(&image, open, &path, wanted);
    written(run, choice, &shown, write).await
}

fn documents(choice: &Choice) -> Vec<(Descriptor, Vec<u8>)> {
    let documents = choice.documents().into_iter();
    documents.map(|(document, _)| (document.descriptor.clone(), document.bytes.clone())).collect()
}

async fn written(
    run: Run<'_>,
    choice: &Choice,
    shown: &str,
    write: impl Fn(&archive::Open<'_>, &Wanted) -> Result<(), SinkError> + Send + Sync + 'static,
) -> Result<(), Error> {
    let write = Arc::new(write);
    for writing in 1.. {
        bring(run, choice, shown).await?;
        let open = opener(&run.session.store, run.bases, &choice.whole.name);
        let write = write.clone();
        let ended = renew::once(move |wanted| write(&open, wanted)).await?.map_err(Error::from);
        match ended {
            Err(error) if writing < WRITINGS && renew::lost(&error).is_some() => {}
            ended => return ended,
        }
    }
    Ok(())
}

/// Brings what only a registry has into the cache.
async fn bring(run: Run<'_>, choice: &Choice, shown: &str) -> Result<(), Error> {
    let name = &choice.whole.name;
    let BaseName::Registry(reference) = name else { return Ok(()) };
    let fetch = |(blob, platform): (&Descriptor, Option<Platform>)| {
        let blob = blob.clone();
        async move {
            if run.session.store.has(&blob.digest, blob.size) {
                return Ok(());
            }
            let transfer = Transfer::start(run.session, transfer::of_copy(shown, platform), blob.size);
            run.bases.fetch_layer(name, &blob, &|bytes| transfer.moved(bytes)).await?;
            transfer.end(TransferEnd::Done);
            run.session.moved.fetched(&reference.repository, &blob);
            Ok(())
        }
    };
    stream::iter(choice.blobs()).map(fetch).buffer_unordered(run.jobs).try_collect::<()>().await
}

/// Opens blobs where they are.
fn opener(store: &Store, bases: &Bases, name: &BaseName) -> impl Fn(&Descriptor) -> io::Result<Box<dyn Read>> + use<> {
    let (store, bases, name) = (store.clone(), bases.clone(), name.clone());
    move |blob| {
        if !Bases::is_local(&name) || store.has(&blob.digest, blob.size) {
            return Ok(Box::new(io::BufReader::new(store.open_blob(blob).map_err(io::Error::other)?)));
        }
        let inner = bases.open_layer(&name, blob).map_err(io::Error::other)?;
        Ok(Box::new(Checked { inner, expected: blob.clone(), hasher: Hasher::default() }))
    }
}

/// Hands on a blob, and fails instead of its last bytes when it is another one.
struct Checked<R> {
    inner: R,
    expected: Descriptor,
    hasher: Hasher,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.expected.size - self.hasher.size();
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 && !(left == 0 && self.hasher.size() == 0) {
            return Ok(0);
        }
        let read = self.inner.read(&mut buffer[..most])?;
        self.hasher.update(&buffer[..read]);
        let (actual, actual_size) = self.hasher.clone().finish();
        let (expected, expected_size) = (self.expected.digest, self.expected.size);
        let over = read == 0 || actual_size == expected_size;
        if over && (actual, actual_size) != (expected, expected_size) {
            return Err(io::Error::other(StoreError::WrongDigest { expected, expected_size, actual, actual_size }));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_blob_is_never_handed_on_whole() {
        for (announced, there, is_right) in [
            ("hello", "hello", true),
            ("", "", true),
            ("hello", "jello", false),
            ("hello", "hell", false),
            ("hell", "hello", true),
        ] {
            let expected = Descriptor::of("text/plain", announced.as_bytes());
            let mut read = Vec::new();
            let mut checked = Checked { inner: there.as_bytes(), expected, hasher: Hasher::default() };
            let result = checked.read_to_end(&mut read);
            assert_eq!(result.is_ok(), is_right, "{announced} {there}");
            assert_eq!(read == announced.as_bytes(), is_right, "{announced} {there}");
        }
    }
}
