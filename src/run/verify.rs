//! Judges each platform of an image, with as few of its layers as the answer needs: the uppermost first, and the next one
//! below when the answer depends on it.

use std::sync::Arc;

use crate::base::Bases;
use crate::base_name::BaseName;
use crate::blob::Digest;
use crate::image::BaseImage;
use crate::listing::Listing;
use crate::platform::Platform;
use crate::tree::Tree;
use crate::verify::{Judgement, NeedsLower, StartConfig, judge};

use super::error::Error;
use super::image_name;
use super::listings::{Listings, computed};
use super::registries;
use super::session::Session;

/// What is to be judged.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// a reference, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, or the path of an archive or a layout
    pub image: String,
    /// those that are looked at, `host` for this machine's; all for `all` or when empty
    pub platforms: Vec<String>,
    /// registries that may speak http
    pub insecure_registries: Vec<String>,
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
    let listings = Listings::new(session, &bases);
    let verified = images.into_iter().map(|image| judged(&listings, &name, image));
    Ok((name.clone(), futures_util::future::try_join_all(verified).await?))
}

/// Judges one platform of the image `name`.
async fn judged(listings: &Listings, name: &BaseName, image: BaseImage) -> Result<Verified, Error> {
    let config = StartConfig::of(&image.config);
    let (platform, count) = (image.platform, image.layers.len());
    // Lowest first.
    let mut listed: Vec<Arc<Listing>> = Vec::new();
    loop {
        let complete = listed.len() == count;
        let work = (listed.clone(), config.clone());
        let judged = computed(move || {
            let listings: Vec<&Listing> = work.0.iter().map(Arc::as_ref).collect();
            let tree = Tree::of(&listings, complete)?;
            Ok(judge(platform, &work.1, &tree))
        });
        match judged.await?.map_err(|source| Error::TooManyFiles { image: name.to_string(), source })? {
            Ok(judgement) => {
                let layers = (listed.len(), count);
                return Ok(Verified { platform, manifest: image.manifest, judgement, layers });
            }
            Err(NeedsLower) => match image.layers.get((count - listed.len()).wrapping_sub(1)) {
                Some(next) => listed.insert(0, listings.of(name, platform, next).await?),
                // With all layers there is nothing that could be needed.
                None => return Err(Error::Thread),
            },
        }
    }
}
