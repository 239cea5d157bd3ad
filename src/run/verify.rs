//! Judges each platform of an image that exists, whoever made it.

use crate::base::Bases;
use crate::base_name::BaseName;
use crate::blob::Digest;
use crate::image::BaseImage;
use crate::platform::Platform;
use crate::verify::{Judgement, StartConfig, judge};

use super::error::Error;
use super::image_name;
use super::layers::Layers;
use super::listings::Listings;
use super::registries;
use super::session::Session;
use super::smoke::{self, Asked, Outcome, Smoke};

/// What is to be judged.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// a reference, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME]`, or the path of
    /// one
    pub image: String,
    /// those that are looked at, `host` for this machine's; all for `all` or when empty
    pub platforms: Vec<String>,
    /// registries that may speak http
    pub insecure_registries: Vec<String>,
    /// what the programs are started with, if they are to be
    pub smoke: Option<Asked>,
}

/// What was found out about one platform.
#[derive(Debug, Clone)]
pub struct Verified {
    /// the platform
    pub platform: Platform,
    /// its manifest
    pub manifest: Option<Digest>,
    /// what was found out
    pub judgement: Judgement,
    /// how many layers the answer needed, and how many there are
    pub layers: (usize, usize),
    /// how its start went, if it was to be started
    pub smoke: Option<Outcome>,
}

/// Judges an image; its name as it was understood, and each platform in the image's own order.
///
/// # Errors
/// When the image or one of its layers cannot be read, or it lacks a platform that was asked for.
pub async fn verify(session: &Session, request: &Request) -> Result<(BaseName, Vec<Verified>), Error> {
    let name = image_name::of(&session.directory, &request.image)?;
    let chosen = image_name::platforms(&request.platforms)?;
    let client = registries::without_project(session, request.insecure_registries.clone())?;
    let bases = Bases::of_images(session.store.clone(), client);
    let listed = bases.list(&name).await?;
    let offered: Vec<Platform> = listed.platforms.iter().flatten().map(|(platform, _)| *platform).collect();
    if let Some(missing) = chosen.iter().find(|wanted| !offered.contains(wanted)) {
        return Err(Error::NotInImage { image: name.to_string(), platform: *missing, offered });
    }
    let wanted = if chosen.is_empty() { offered } else { chosen };
    let images = bases.images(&listed, &wanted).await?;
    let asked = request.smoke.as_ref();
    let smoke = asked.map(|asked| Smoke::new(session, asked, wanted.iter().copied())).transpose()?;
    let listings = Listings::new(session, &bases);
    let verified = images.iter().cloned().map(|image| judged(&listings, &name, image));
    let mut verified = futures_util::future::try_join_all(verified).await?;
    if let Some(smoke) = smoke {
        let outcomes = smoke::start_all(session, &bases, &listings, &name, images, smoke).await?;
        for (verified, outcome) in verified.iter_mut().zip(outcomes) {
            verified.smoke = Some(outcome);
        }
    }
    Ok((name.clone(), verified))
}

/// Judges one platform of the image `name`.
async fn judged(listings: &Listings, name: &BaseName, image: BaseImage) -> Result<Verified, Error> {
    let (config, platform, count) = (StartConfig::of(&image.config), image.platform, image.layers.len());
    let layers = Layers { image: name.to_string(), platform, base: Some(name), of_base: image.layers, own: Vec::new() };
    let (judgement, read) = layers.ask(listings, move |tree| judge(platform, &config, tree)).await?;
    Ok(Verified { platform, manifest: image.manifest, judgement, layers: (read, count), smoke: None })
}
