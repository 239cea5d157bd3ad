//! The units of a build are started once they are packed, over the layers of their bases, which are fetched where they are
//! not here.

use std::sync::Arc;

use crate::base::Bases;
use crate::blob::Descriptor;
use crate::exec::Jobs;
use crate::image::Image;
use crate::verify::StartConfig;

use super::{LayerBytes, Outcome, Smoke, Subject};
use crate::run::error::Error;
use crate::run::prepare::Prepared;
use crate::run::publish::fetch;
use crate::run::renew;
use crate::run::session::Session;

/// Starts the units of a build, as many at once as there are job tokens.
#[derive(Clone)]
pub struct Units {
    session: Session,
    prepared: Arc<Prepared>,
    smoke: Arc<Smoke>,
    jobs: Jobs,
}

impl Units {
    /// Units of `prepared`, which wait for tokens of `jobs` like compilers.
    #[must_use]
    pub fn new(session: &Session, prepared: &Arc<Prepared>, smoke: Arc<Smoke>, jobs: &Jobs) -> Self {
        Self { session: session.clone(), prepared: prepared.clone(), smoke, jobs: jobs.clone() }
    }

    /// Starts the program of a unit that became the image `made`.
    ///
    /// # Errors
    /// When a layer cannot be had, or the sandbox cannot be used. A program that fails is not an error here.
    pub async fn start(self, image: usize, unit: usize, made: Image) -> Result<Outcome, Error> {
        if !self.smoke.can_run(made.platform) {
            return Ok(Outcome::NotRun);
        }
        self.fetch(image, unit).await?;
        let made = Arc::new(made);
        match self.once(image, unit, &made).await {
            // What was damaged in the store is read once more when it is whole again.
            Err(error) if renew::renewed(&self.session, &self.prepared, &error).await? => {
                self.once(image, unit, &made).await
            }
            done => done,
        }
    }

    async fn fetch(&self, image: usize, unit: usize) -> Result<(), Error> {
        let unit = &self.prepared.plan.images[image].units[unit];
        let Some(name) = self.prepared.base_names.get(&unit.base.name) else { return Ok(()) };
        if Bases::is_local(name) {
            return Ok(());
        }
        let layers = unit.base.image.layers.iter();
        let fetches = layers.map(|layer| fetch(&self.session, &self.prepared, name, unit.platform, layer));
        futures_util::future::try_join_all(fetches).await.map(drop)
    }

    async fn once(&self, image: usize, unit: usize, made: &Arc<Image>) -> Result<Outcome, Error> {
        let (units, made) = (self.clone(), made.clone());
        self.jobs.announce(1);
        let work = move |_: &_| {
            let _place = units.jobs.place(&units.session.children).map_err(Error::from)?;
            let config = serde_json::from_slice(&made.config).unwrap_or_default();
            let subject =
                Subject { platform: made.platform, config: StartConfig::of(&config), layers: &made.layers };
            units.smoke.start(&units.session, &subject, &|layer| units.open(image, unit, layer))
        };
        renew::once(work).await?
    }

    /// Opens a layer: in the store, or in the layout that has the base.
    fn open(&self, image: usize, unit: usize, layer: &Descriptor) -> Result<LayerBytes, Error> {
        let base = &self.prepared.plan.images[image].units[unit].base;
        let is_of_base = base.image.layers.iter().any(|of_base| of_base.digest == layer.digest);
        let name = self.prepared.base_names.get(&base.name).filter(|name| is_of_base && Bases::is_local(name));
        match name {
            Some(name) if !self.session.store.has(&layer.digest, layer.size) => {
                Ok(LayerBytes::Elsewhere(self.prepared.bases.open_layer(name, layer)?))
            }
            _ => Ok(LayerBytes::Stored(self.session.store.open_blob(layer)?)),
        }
    }
}
