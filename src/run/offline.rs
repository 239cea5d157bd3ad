//! A run that asks no registry: before anything is compiled, everything that it needs of its bases and that is not in the
//! store is found and told at once.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{BaseError, Bases, Listing};
use crate::base_name::BaseName;
use crate::blob::Descriptor;
use crate::config::ImageKeys;
use crate::config::template::Scope;
use crate::config::values::PlatformWish;
use crate::image::BaseImage;
use crate::plan::Plan;
use crate::platform::{self, Platform};
use crate::{host, registry};

use super::error::Error;
use super::images::Group;
use super::prepare::Preparation;
use super::session::Session;
use super::settings::{OutputChoice, Settings, platform_scope};

/// What is missing, in the words of the error, each once and in the order in which it was found.
#[derive(Default)]
pub(super) struct Missing {
    lines: Vec<String>,
    known: BTreeSet<String>,
}

impl Missing {
    pub(super) fn add(&mut self, line: &str) {
        if self.known.insert(line.to_owned()) {
            self.lines.push(format!("  {line}"));
        }
    }

    /// Looks for the layers of a base, which a folder or an archive on this disk has itself.
    fn layers(&mut self, session: &Session, base: &BaseName, platform: Platform, image: &BaseImage) {
        if Bases::is_local(base) {
            return;
        }
        for layer in image.layers.iter().filter(|layer| !session.store.has(&layer.digest, layer.size)) {
            self.add(&Self::layer(base, platform, layer));
        }
    }

    /// A layer, in the words of the error.
    pub(super) fn layer(base: &BaseName, platform: Platform, layer: &Descriptor) -> String {
        let (digest, size) = (layer.digest, layer.size);
        format!("the base `{base}` for {platform}: its layer {digest} of {size} bytes")
    }

    /// # Errors
    /// When something is missing.
    pub(super) fn into_result(self, settings: &Settings) -> Result<(), Error> {
        if self.lines.is_empty() {
            return Ok(());
        }
        Err(Error::NotCached { missing: self.lines, again: settings.flags.again.clone() })
    }
}

/// Holds outputs to what can be done without a registry.
///
/// # Errors
/// When one is a registry.
pub(super) fn check_outputs(session: &Session, settings: &Settings, outputs: &[OutputChoice]) -> Result<(), Error> {
    let pushes = settings.flags.carries_out && outputs.iter().any(|choice| choice.spec.output.is_registry());
    if session.offline && pushes { Err(Error::OfflinePush) } else { Ok(()) }
}

/// Holds a plan to the layers that are in the store, where it is to be carried out.
///
/// # Errors
/// When some are not.
pub(super) fn check_layers(
    session: &Session,
    settings: &Settings,
    plan: &Plan,
    base_names: &BTreeMap<String, BaseName>,
) -> Result<(), Error> {
    let mut missing = Missing::default();
    if session.offline && settings.flags.carries_out {
        for unit in plan.images.iter().flat_map(|image| &image.units) {
            let Some(base) = base_names.get(&unit.base.name) else { continue };
            missing.layers(session, base, unit.platform, &unit.base.image);
        }
    }
    missing.into_result(settings)
}

impl Preparation<'_> {
    /// Holds the bases of all images to what is in the store.
    ///
    /// # Errors
    /// When something of them is not, or cannot be read.
    pub(super) async fn check_cached(&mut self, session: &Session, groups: &[Group]) -> Result<(), Error> {
        if !session.offline {
            return Ok(());
        }
        let mut missing = Missing::default();
        for group in groups {
            let scope = Scope { image: Some(group.name.clone()), ..Scope::default() };
            let whole = self.listings_are_there(&group.keys, &scope, &mut missing).await?;
            if !whole && self.settings.platforms(&group.keys)?.contains(&PlatformWish::All) {
                // Which platforms are meant, the base alone knows.
                continue;
            }
            let platforms = self.platforms(group, &scope).await?;
            for platform in &platforms {
                let special = Scope { platform: Some(platform_scope(*platform, self.toolchains)), ..scope.clone() };
                let base = self.settings.base(&group.keys, Some(*platform), &Scope { platform: None, ..special })?;
                let Some(listing) = self.listed(&base).await? else { continue };
                self.images_are_there(session, &base, &listing, *platform, &mut missing).await?;
            }
        }
        missing.into_result(self.settings)
    }

    /// Looks for the indexes of all bases that an image may take; false when one is missing.
    async fn listings_are_there(
        &mut self,
        keys: &ImageKeys,
        scope: &Scope,
        missing: &mut Missing,
    ) -> Result<bool, Error> {
        let mut platforms = BTreeSet::new();
        for wish in self.settings.platforms(keys)? {
            match wish {
                PlatformWish::One(platform) => drop(platforms.insert(Some(platform))),
                PlatformWish::Host => drop(platforms.insert(Some(host::platform()?))),
                PlatformWish::All => {
                    platforms.insert(None);
                    platforms.extend(keys.bases.0.keys().map(|platform| Some(*platform)));
                }
            }
        }
        let mut whole = true;
        for platform in platforms {
            let base = self.settings.base(keys, platform, scope)?;
            if let Err(error) = self.listing(&base).await {
                let what = why_missing(error)?;
                missing.add(&format!("the base `{base}`: {what}"));
                whole = false;
            }
        }
        Ok(whole)
    }

    /// The listing of a base, if it is there.
    async fn listed(&mut self, base: &BaseName) -> Result<Option<Listing>, Error> {
        match self.listing(base).await {
            Ok(listing) => Ok(Some(listing)),
            Err(error) => why_missing(error).map(|_| None),
        }
    }

    /// Looks for what a platform may take of a base: the image of a static binary and that of a dynamic one.
    async fn images_are_there(
        &mut self,
        session: &Session,
        base: &BaseName,
        listing: &Listing,
        wanted: Platform,
        missing: &mut Missing,
    ) -> Result<(), Error> {
        let offered: Vec<Platform> = listing.platforms.iter().flatten().map(|(platform, _)| *platform).collect();
        let select = |is_static| platform::select(wanted, &offered, is_static, false);
        let candidates: BTreeSet<Platform> = [true, false].into_iter().filter_map(select).collect();
        let only = candidates.len() == 1;
        for candidate in candidates {
            match self.bases.images(listing, &[candidate]).await {
                // Of two that may be taken only the plan knows which is.
                Ok(images) if only && self.settings.flags.carries_out => {
                    for image in &images {
                        missing.layers(session, base, wanted, image);
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    why_missing(error.into())?;
                    missing.add(&format!("the base `{base}` for {wanted}: its manifest or its config"));
                }
            }
        }
        Ok(())
    }
}

/// What is missing of an index; the error itself when it is about something else.
fn why_missing(error: Error) -> Result<&'static str, Error> {
    match &error {
        Error::Base(BaseError::Registry { source, .. }) if source.is_offline() => {
            let registry::Error::NeverResolved { .. } = **source else { return Ok("its index or its manifest") };
            Ok("what the tag means")
        }
        _ => Err(error),
    }
}
