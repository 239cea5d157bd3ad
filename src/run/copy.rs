//! An image that exists, wherever it is, gets to another place as it is: every platform, every attestation, byte for byte.

mod bases;
mod choice;
mod destination;
mod goal;
mod to_archive;
pub(super) mod to_layout;

use crate::base::Bases;
use crate::base_name::BaseName;
use crate::blob::{Descriptor, Digest, MEDIA_TYPE_DOCKER_INDEX, MEDIA_TYPE_DOCKER_MANIFEST};
use crate::reference::Reference;
use crate::registry;

use super::error::Error;
use super::event::Event;
use super::image_name;
use super::push::{Carrier, PUSH_JOBS, Paper, Part, Shipment, Target};
use super::registries;
use super::session::Session;
use choice::Choice;
use to_layout::Freight;

pub use bases::{Mirrored, Mirroring, mirror};
pub use destination::Destination;
pub use goal::Goal;

/// What is to be copied where.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// a reference, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, or the path of an archive or a layout
    pub source: String,
    /// a reference, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]` or `docker-archive:FILE[:NAME]`
    pub destination: String,
    /// those that are copied, `host` for this machine's; all for `all` or when empty
    pub platforms: Vec<String>,
    /// whether what arrives has to have the digests of the source
    pub preserve_digests: bool,
    /// registries that may speak http
    pub insecure_registries: Vec<String>,
    /// how many requests may be open at once at the destination
    pub push_jobs: Option<usize>,
}

/// An image that is where it should be.
#[derive(Debug, Clone)]
pub struct Copied {
    /// what was read, as it was understood
    pub source: BaseName,
    /// where it is now
    pub destination: Goal,
    /// the index or the manifest that is there
    pub top: Descriptor,
    /// the digest of what the source's name stands for, where that is one thing
    pub of: Option<Digest>,
}

/// Copies an image.
///
/// # Errors
/// When it cannot be read, lacks a platform that was asked for, cannot be had as it was asked for, or the destination does
/// not take it.
pub async fn copy(session: &Session, request: &Request) -> Result<Copied, Error> {
    let source = image_name::of(&session.directory, &request.source)?;
    let destination = Goal::parse(&request.destination)?;
    destination.check(session)?;
    let platforms = image_name::platforms(&request.platforms)?;
    let client = registries::without_project(session, request.insecure_registries.clone())?;
    let bases = Bases::of_images(session.store.clone(), client.clone());
    let run = Run { session, client: &client, bases: &bases, jobs: request.push_jobs.unwrap_or(PUSH_JOBS) };
    let choice = if matches!(destination, Goal::DockerArchive { .. }) {
        choice::choose_one(session, &bases, &source, &platforms).await?
    } else {
        let whole = !matches!(destination, Goal::Open(Destination::Registry(_)));
        choice::choose(session, &bases, &source, &platforms, whole).await?
    };
    if request.preserve_digests
        && let Some(entries) = choice.made_of
    {
        return Err(Error::OtherIndex { image: source.to_string(), entries });
    }
    if !matches!(destination, Goal::Open(Destination::Registry(_)) | Goal::DockerArchive { .. }) {
        note_docker(session, &choice.top.descriptor);
    }
    let destination = run.bring(&choice, destination).await?;
    Ok(Copied { source, destination, of: choice.of(), top: choice.top.descriptor })
}

/// Says who does not read what is copied into a layout as it is.
fn note_docker(session: &Session, top: &Descriptor) {
    if [MEDIA_TYPE_DOCKER_INDEX, MEDIA_TYPE_DOCKER_MANIFEST].contains(&top.media_type.as_str()) {
        let words =
            "has docker's own media types, which skopeo and umoci do not read in a layout; in a registry they do";
        session.watch.event(Event::Note(format!("{} {words}", top.digest)));
    }
}

/// What a copy stands on.
#[derive(Clone, Copy)]
pub(super) struct Run<'run> {
    pub session: &'run Session,
    /// speaks to registries
    pub client: &'run registry::Client,
    /// reads what is copied
    pub bases: &'run Bases,
    /// how many blobs are on their way at once
    pub jobs: usize,
}

impl Run<'_> {
    /// Brings what was chosen to its destination, whose name in full is returned.
    async fn bring(self, choice: &Choice, goal: Goal) -> Result<Goal, Error> {
        match goal {
            Goal::Open(Destination::Registry(mut reference)) => {
                // What is pushed goes where the name leads.
                reference.repository = self.client.location_of(&reference.repository);
                self.to_registry(choice, &reference).await?;
                Ok(Goal::Open(Destination::Registry(reference)))
            }
            Goal::Open(Destination::Layout { folder, tag }) => {
                let mut freight = Freight::default();
                for (document, platform) in choice.documents() {
                    freight.add(&choice.whole.name, document, platform);
                }
                to_layout::write(self, freight, &choice.top.descriptor, &folder, &tag).await?;
                Ok(Goal::Open(Destination::Layout { folder, tag }))
            }
            Goal::Archive { file, tag } => {
                to_archive::write(self, choice, &file, &tag).await?;
                Ok(Goal::Archive { file, tag })
            }
            Goal::DockerArchive { file, name } => {
                to_archive::write_for_docker(self, choice, &file, name.as_ref()).await?;
                Ok(Goal::DockerArchive { file, name })
            }
        }
    }

    async fn to_registry(self, choice: &Choice, reference: &Reference) -> Result<(), Error> {
        let top = &choice.top;
        if let Some(expected) = reference.digest.filter(|expected| *expected != top.descriptor.digest) {
            return Err(Error::OtherDigest { expected, actual: top.descriptor.digest });
        }
        let repositories = std::iter::once(&reference.repository);
        let carrier = Carrier::of_images(self.session, self.client, self.bases, self.jobs, repositories);
        let shipment = Shipment {
            bases: self.bases,
            top: Paper { descriptor: &top.descriptor, bytes: &top.bytes },
            parts: Part::of(&choice.whole, top),
        };
        carrier.deliver(&shipment, &Target::of(reference)).await
    }
}
