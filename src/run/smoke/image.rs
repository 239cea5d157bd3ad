//! The platforms of an image that somebody published are started, as far as they are to be.

use std::sync::Arc;

use crate::base::Bases;
use crate::base_name::BaseName;
use crate::blob::Descriptor;
use crate::exec::Jobs;
use crate::image::BaseImage;
use crate::verify::StartConfig;

use super::{LayerBytes, Outcome, Smoke, Subject};
use crate::run::error::Error;
use crate::run::listings::Listings;
use crate::run::renew;
use crate::run::session::Session;

/// Starts the platforms of the image `name`, as many at once as this machine has cores; the outcomes in the order of `images`.
///
/// # Errors
/// When a layer cannot be had, or the sandbox cannot be used. A program that fails is not an error here.
pub async fn start_all(
    session: &Session,
    bases: &Bases,
    listings: &Listings,
    name: &BaseName,
    images: Vec<BaseImage>,
    smoke: Smoke,
) -> Result<Vec<Outcome>, Error> {
    let (smoke, jobs) = (Arc::new(smoke), Jobs::new(None)?);
    let starts = images.into_iter().map(|image| {
        let started = Started { session: session.clone(), bases: bases.clone(), name: name.clone() };
        started.start(listings, image, smoke.clone(), jobs.clone())
    });
    futures_util::future::try_join_all(starts).await
}

/// Where the layers are.
struct Started {
    session: Session,
    bases: Bases,
    name: BaseName,
}

impl Started {
    async fn start(
        self,
        listings: &Listings,
        image: BaseImage,
        smoke: Arc<Smoke>,
        jobs: Jobs,
    ) -> Result<Outcome, Error> {
        if !smoke.can_run(image.platform) {
            return Ok(Outcome::NotRun);
        }
        if !Bases::is_local(&self.name) {
            let fetches = image.layers.iter().map(|layer| listings.fetch(&self.name, image.platform, layer));
            futures_util::future::try_join_all(fetches).await?;
        }
        jobs.announce(1);
        let work = move |_: &_| {
            let _place = jobs.place(&self.session.children).map_err(Error::from)?;
            let config = StartConfig::of(&image.config);
            let subject = Subject { platform: image.platform, config, layers: &image.layers };
            smoke.start(&self.session, &subject, &|layer| self.open(layer))
        };
        renew::once(work).await?
    }

    fn open(&self, layer: &Descriptor) -> Result<LayerBytes, Error> {
        if Bases::is_local(&self.name) {
            return Ok(LayerBytes::Elsewhere(self.bases.open_layer(&self.name, layer)?));
        }
        Ok(LayerBytes::Stored(self.session.store.open_blob(layer)?))
    }
}
