//! The units of a build are started once they are packed, over the layers of their bases, which are fetched where they are
//! not here.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::base::Bases;
use crate::blob::Descriptor;
use crate::exec::Jobs;
use crate::image::Image;
use crate::platform::Platform;
use crate::verify::StartConfig;

use super::{FailedStart, LayerBytes, Outcome, Smoke, Subject};
use crate::run::error::Error;
use crate::run::event::Event;
use crate::run::prepare::Prepared;
use crate::run::renew;
use crate::run::session::Session;

/// What starts the units of a plan, where they are to be: that this machine lets it is known before anything is compiled.
///
/// # Errors
/// When the arguments are none, or this machine lets nobody make a sandbox.
pub fn asked(session: &Session, prepared: &Prepared) -> Result<Option<Arc<Smoke>>, Error> {
    let Some(asked) = &prepared.settings.flags.smoke else { return Ok(None) };
    let units = prepared.plan.images.iter().flat_map(|image| &image.units);
    Smoke::new(session, asked, units.map(|unit| unit.platform)).map(|smoke| Some(Arc::new(smoke)))
}

/// The starts of a run.
pub struct Starts {
    units: Option<Units>,
    going: usize,
    failed: Vec<FailedStart>,
}

impl Starts {
    /// None yet; never any without `units`.
    #[must_use]
    pub fn of(units: Option<Units>) -> Self {
        Self { units, going: 0, failed: Vec::new() }
    }

    /// Whether there are some that have not ended.
    #[must_use]
    pub fn are_going(&self) -> bool {
        self.going > 0
    }

    /// Begins to start a unit that became the image `made`, if that was asked for; `report` is told how it went.
    pub fn begin(
        &mut self,
        tasks: &mut JoinSet<()>,
        (image, unit): (usize, usize),
        made: &Image,
        report: impl FnOnce(Result<Outcome, Error>) + Send + 'static,
    ) {
        let Some(units) = self.units.clone() else { return };
        self.going += 1;
        let made = made.clone();
        tasks.spawn(async move { report(units.start(image, unit, made).await) });
    }

    /// Takes in how a start went, and tells it; what kept it from being one is returned, for others go on.
    ///
    /// # Errors
    /// When we were interrupted.
    pub fn ended(
        &mut self,
        session: &Session,
        (image, platform): (&str, Platform),
        result: Result<Outcome, Error>,
    ) -> Result<Option<Error>, Error> {
        self.going -= 1;
        let image = image.to_owned();
        match result {
            Ok(Outcome::NotRun) => {}
            Ok(Outcome::Passed { elapsed }) => session.watch.event(Event::Started { image, platform, elapsed }),
            Ok(Outcome::Failed(start)) => {
                let (command, ending, output) = (start.command.clone(), start.ending.clone(), start.output.clone());
                session.watch.event(Event::StartFailed { image, platform, command, ending, output });
                self.failed.push(*start);
            }
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => return Ok(Some(error)),
        }
        Ok(None)
    }

    /// The error of all that failed.
    pub fn refusal(&mut self) -> Option<Error> {
        let mut failed = std::mem::take(&mut self.failed);
        failed.sort_by_key(|start| start.platform);
        (!failed.is_empty()).then_some(Error::Smoke { failed })
    }
}

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
        let fetches = layers.map(|layer| self.prepared.listings.fetch(name, unit.platform, layer));
        futures_util::future::try_join_all(fetches).await.map(drop)
    }

    async fn once(&self, image: usize, unit: usize, made: &Arc<Image>) -> Result<Outcome, Error> {
        let (units, made) = (self.clone(), made.clone());
        self.jobs.announce(1);
        let work = move |_: &_| {
            let _place = units.jobs.place(&units.session.children).map_err(Error::from)?;
            let config = serde_json::from_slice(&made.config).unwrap_or_default();
            let subject = Subject { platform: made.platform, config: StartConfig::of(&config), layers: &made.layers };
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
