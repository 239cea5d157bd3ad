//! Flags, configuration, project, toolchains and bases become a [`Plan`]. Compilers are asked questions here, and
//! nothing is compiled.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;

use crate::base::{Bases, Listing};
use crate::base_name::BaseName;
use crate::c_program::Executable;
use crate::config::template::Scope;
use crate::config::values::PlatformWish;
use crate::config::{self, ConfigFile};
use crate::exec::Children;
use crate::host;
use crate::output_spec::Output;
use crate::plan::{self, BaseOffer, ImageInput, Options, Plan, UnitInput};
use crate::platform::{self, Platform};
use crate::reference::Reference;
use crate::registry;
use crate::sink::SinkError;
use crate::sink::daemon::Daemon;
use crate::toolchain::{Language, Tool, Toolchains};

use super::cgo::GoSaid;
use super::check;
use super::destination;
use super::detect::{Detector, Kind, Program};
use super::error::Error;
use super::files;
use super::flags::Flags;
use super::images::{self, Group};
use super::libcs::Libcs;
use super::listings::Listings;
use super::locate::{Location, locate};
use super::offline;
use super::outlets::{self, Outlet};
use super::provide;
use super::registries;
use super::row_choice::RowChoice;
use super::rows;
use super::rust::Workspaces;
use super::session::Session;
use super::settings::{Settings, Times, platform_scope};
use super::sysroot::DebianSysroots;

/// A plan with all that carrying it out needs.
pub struct Prepared {
    /// what is done
    pub plan: Plan,
    /// the project
    pub settings: Settings,
    /// where the images go, and what they are called there
    pub outlets: Vec<Outlet>,
    /// created and modification times of each image of the plan
    pub times: Vec<Times>,
    /// docker or podman, where images go there
    pub daemon: Option<Daemon>,
    /// reads bases
    pub bases: Bases,
    /// what is in the layers of bases
    pub listings: Listings,
    /// speaks to registries
    pub client: registry::Client,
    /// the platforms of each image of the plan that all machines together make
    pub platforms: Vec<Vec<Platform>>,
    /// the base of each image's units, by its printed name
    pub base_names: BTreeMap<String, BaseName>,
}

impl Prepared {
    /// What each image of the plan is called, by whatever output, each name once.
    #[must_use]
    pub fn references(&self) -> Vec<Vec<&Reference>> {
        let of_image = |image: usize| {
            let mut all: Vec<&Reference> = Vec::new();
            for reference in self.outlets.iter().flat_map(|outlet| &outlet.names[image]) {
                if !all.contains(&reference) {
                    all.push(reference);
                }
            }
            all
        };
        (0..self.plan.images.len()).map(of_image).collect()
    }

    /// The references of an image that are pushed, and whether each is pushed by its digest alone.
    pub fn pushed(&self, image: usize) -> impl Iterator<Item = (&Reference, bool)> {
        self.outlets.iter().flat_map(move |outlet| {
            let by_digest = match outlet.output {
                Output::Registry { by_digest } => Some(by_digest),
                _ => None,
            };
            by_digest
                .into_iter()
                .flat_map(move |by_digest| outlet.names[image].iter().map(move |name| (name, by_digest)))
        })
    }
}

/// Makes the plan; with `--install-missing`, gets what it needs and the machine lacks.
///
/// # Errors
/// Whatever stands in its way; nothing was compiled or written then.
pub async fn prepare(session: &Session, flags: Flags) -> Result<Prepared, Error> {
    // Kept off the stack: each is large, and one is waited for while the other is.
    let prepared = if flags.install_missing {
        Box::pin(provide::for_plan(session, &flags)).await?
    } else {
        Box::pin(draft(session, flags)).await?
    };
    check::choices(session, &prepared.plan);
    check::machine(session, &prepared.settings, &prepared.plan)?;
    Ok(prepared)
}

/// Makes the plan, whether or not the machine has all that it needs.
///
/// # Errors
/// Whatever else stands in its way.
pub async fn draft(session: &Session, flags: Flags) -> Result<Prepared, Error> {
    let location = locate(&session.directory, flags.paths.first().map_or(".", String::as_str))?;
    let file = read_config(&session.directory, &location)?;
    let toolchains = rows::toolchains(session, &flags.toolchain_files, Some((&file, flags.allow_project_toolchains)))?;
    let mut workspaces = Workspaces::new(session.children.clone(), session.store.root())?;
    let mut detector = Detector {
        children: &session.children,
        workspaces: &mut workspaces,
        directory: &session.directory,
        toolchains: &toolchains,
    };
    let mut programs = detector.programs(&location, &file, &flags)?;
    let settings =
        Settings::new(location.root.clone(), file, flags, session.children.clone(), session.epoch.as_deref())?;
    let outputs = settings.outputs(&Scope::default())?;
    offline::check_outputs(session, &settings, &outputs)?;
    let daemon = if settings.flags.carries_out && outputs.iter().any(|choice| choice.spec.output == Output::Daemon) {
        Some(Daemon::find(&session.daemon).await.map_err(SinkError::Daemon)?)
    } else {
        None
    };
    let client = registries::of_project(session, &settings)?;
    let bases = Bases::new(session.store.clone(), client.clone());
    let listings = Listings::new(session, &bases);
    let mut preparation = Preparation {
        settings: &settings,
        children: &session.children,
        toolchains: &toolchains,
        workspaces: &mut workspaces,
        bases: &bases,
        listings: BTreeMap::new(),
        offers: BTreeMap::new(),
        executables: BTreeMap::new(),
        layers: listings.clone(),
        libcs: Libcs::default(),
        sysroots: DebianSysroots::new(session.clone()),
        mtime: settings.mtime(),
        go: GoSaid::new(&session.children, &toolchains),
        rows: RowChoice::new(&settings, &toolchains),
    };
    for program in &mut programs.programs {
        preparation.find_executables(session, program).await?;
    }
    let groups = images::groups(session, &settings, programs)?;
    preparation
        .rows
        .check(groups.iter().flat_map(|group| &group.programs).flat_map(|program| preparation.languages(program)))?;
    preparation.check_cached(session, &groups).await?;
    let (groups, asked) = preparation.own_part(session, groups).await?;
    let times = |group: &Group| Ok(Times { created: settings.created(&group.keys)?, mtime: settings.mtime() });
    let times = groups.iter().map(times).collect::<Result<Vec<_>, Error>>()?;
    preparation.read_libcs(session, groups.iter().zip(asked.iter().map(|(_, own)| own.as_slice()))).await?;
    let mut inputs = Vec::with_capacity(groups.len());
    for (group, (_, own)) in groups.iter().zip(&asked) {
        inputs.push(preparation.image(session, group, own).await?);
    }
    let platforms = asked.into_iter().map(|(all, _)| all).collect();
    let outlets = outlets::of(&settings, &client, outputs, &groups)?;
    let base_names = preparation.listings.into_iter().map(|(name, listing)| (name, listing.name)).collect();
    let options = Options { strict_platform: settings.strict_platform(), skip_missing: settings.skip_missing() };
    let build = settings.own_folder().join("build");
    let environment = |name: &str| std::env::var(name).ok();
    let found = |tool: &Tool| host::find(tool).map(host::absolute);
    let context = workspaces.context(&environment, &found)?;
    let mut plan = plan::make(&toolchains, &build, &context, inputs, options)?;
    provide::call_downloaded(&mut plan);
    destination::check(&session.directory, &settings, &outlets, &plan)?;
    check::bases(&settings, &plan)?;
    offline::check_layers(session, &settings, &plan, &base_names)?;
    Ok(Prepared { plan, settings, outlets, times, daemon, bases, listings, client, platforms, base_names })
}

/// Reads the configuration of a project, empty when there is none.
///
/// # Errors
/// When it cannot be read.
pub(super) fn read_config(directory: &Path, location: &Location) -> Result<ConfigFile, Error> {
    let path = config::path_in(&location.root);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(ConfigFile::default()),
        Err(source) => return Err(Error::Read { path, source }),
    };
    let here = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let shown = path.strip_prefix(here).unwrap_or(&path);
    Ok(config::load(&text, shown)?)
}

/// Turns images into what a plan is made of.
pub(super) struct Preparation<'run> {
    pub(super) settings: &'run Settings,
    pub(super) children: &'run Children,
    pub(super) toolchains: &'run Toolchains,
    pub(super) workspaces: &'run mut Workspaces,
    pub(super) bases: &'run Bases,
    listings: BTreeMap<String, Listing>,
    offers: BTreeMap<(String, Vec<Platform>), Arc<BaseOffer>>,
    /// what the build systems of C programs say they make, by folder and table
    pub(super) executables: BTreeMap<(PathBuf, Option<usize>), Vec<Executable>>,
    /// what is in the layers of bases
    pub(super) layers: Listings,
    /// the libcs that bases decide
    pub(super) libcs: Libcs,
    pub(super) sysroots: DebianSysroots,
    mtime: u64,
    pub(super) go: GoSaid<'run>,
    pub(super) rows: RowChoice<'run>,
}

impl Preparation<'_> {
    async fn image(&mut self, session: &Session, group: &Group, platforms: &[Platform]) -> Result<ImageInput, Error> {
        let scope = outlets::scope_of(group);
        let mut settings = self.settings.image(&group.keys, &scope, |rendered| rendered.value)?;
        let mut shown = self.settings.image(&group.keys, &scope, |rendered| rendered.display)?;
        // One program is the entrypoint; with several, `entrypoint` says which, else the first.
        if let Some(first) = group.programs.first().filter(|_| settings.entrypoint.is_none()) {
            let entrypoint = vec![self.destination(first, &scope)?];
            settings.entrypoint = Some(entrypoint.clone());
            shown.entrypoint = Some(entrypoint);
        }
        let files = files::taken(session, self.settings, &group.keys.file, &scope)?;
        let mut bases = BTreeMap::new();
        let mut units = Vec::with_capacity(platforms.len());
        for platform in platforms {
            let scope = Scope { platform: Some(platform_scope(*platform, self.toolchains)), ..scope.clone() };
            let base = self.settings.base(&group.keys, Some(*platform), &Scope { platform: None, ..scope.clone() })?;
            bases.insert(*platform, base.clone());
            let base = self.offer(&base, platforms).await?;
            let mut programs = Vec::with_capacity(group.programs.len());
            for program in &group.programs {
                programs.push(self.program(program, *platform, &scope).await?);
            }
            files.distinct(self.settings, &group.programs, &programs)?;
            units.push(UnitInput { platform: *platform, programs, base });
        }
        images::note_special_bases(session, self.settings, group, &bases);
        Ok(ImageInput { name: group.name.clone(), settings, shown, files: files.entries(), units })
    }

    pub(super) fn destination(&self, program: &Program, scope: &Scope) -> Result<String, Error> {
        let table = program.table.map(|table| self.settings.file.program[table].get_ref());
        let scope = Scope { program: Some(program.name.clone()), ..scope.clone() };
        let installed = self.installed(program, &scope)?;
        let Some(value) = table.and_then(|table| table.destination.as_ref()) else {
            return Ok(installed.unwrap_or_else(|| config::check::default_destination(&program.name)));
        };
        let destination = self.settings.checked("destination", value, &scope, config::values::destination)?.value;
        match installed.filter(|installed| *installed != destination) {
            Some(installed) => {
                let (program, place) = (program.name.clone(), self.settings.file.source.place_of(value));
                Err(Error::InstalledElsewhere { program, installed, place, destination })
            }
            None => Ok(destination),
        }
    }

    /// The platforms of an image, `all` and `host` spelled out, each once unless it was named twice.
    pub(super) async fn platforms(&mut self, group: &Group, scope: &Scope) -> Result<Vec<Platform>, Error> {
        let mut platforms = Vec::new();
        for wish in self.settings.platforms(&group.keys)? {
            match wish {
                PlatformWish::One(platform) => platforms.push(platform),
                PlatformWish::Host => platforms.push(host::platform()?),
                PlatformWish::All => {
                    for platform in self.all(group, scope).await? {
                        if !platforms.contains(&platform) {
                            platforms.push(platform);
                        }
                    }
                }
            }
        }
        Ok(platforms)
    }

    /// Every platform of the base that has a default row for every program.
    async fn all(&mut self, group: &Group, scope: &Scope) -> Result<Vec<Platform>, Error> {
        let mut common: Option<Vec<Platform>> = None;
        for language in group.programs.iter().flat_map(|program| self.languages(program)) {
            let known = self.toolchains.default_platforms(language);
            common = Some(common.map_or(known.clone(), |common| {
                common.into_iter().filter(|platform| known.contains(platform)).collect()
            }));
        }
        let mut platforms = Vec::new();
        // Files alone suit whatever platform some program has a row for.
        let any = || self.toolchains.default_platforms(Language::Prebuilt);
        for platform in common.unwrap_or_else(any) {
            let base = self.settings.base(&group.keys, Some(platform), scope)?;
            let listing = self.listing(&base).await?;
            if listing.platforms.as_ref().is_none_or(|offered| offered.iter().any(|(there, _)| *there == platform)) {
                platforms.push(platform);
            }
        }
        Ok(platforms)
    }

    /// The languages that have to know a platform for a program to be built for it.
    fn languages(&self, program: &Program) -> Vec<Language> {
        let table = program.table.map(|table| self.settings.file.program[table].get_ref());
        match program.kind {
            Kind::Go(_) if table.is_some_and(config::ProgramFile::uses_cgo) => vec![Language::Go, Language::C],
            Kind::Go(_) => vec![Language::Go],
            Kind::Rust(_) => vec![Language::Rust],
            Kind::C(_) => vec![Language::C],
            Kind::Command(_) => vec![Language::Command],
            Kind::Prebuilt => vec![Language::Prebuilt],
        }
    }

    pub(super) async fn listing(&mut self, base: &BaseName) -> Result<Listing, Error> {
        let key = base.to_string();
        if let Some(listing) = self.listings.get(&key) {
            return Ok(listing.clone());
        }
        let listing = self.bases.list(base).await?;
        self.listings.insert(key, listing.clone());
        Ok(listing)
    }

    /// What a base offers, with the images that `wanted` platforms may take.
    pub(super) async fn offer(&mut self, base: &BaseName, wanted: &[Platform]) -> Result<Arc<BaseOffer>, Error> {
        let key = (base.to_string(), wanted.to_vec());
        if let Some(offer) = self.offers.get(&key) {
            return Ok(offer.clone());
        }
        let listing = self.listing(base).await?;
        let offered: Vec<Platform> = listing.platforms.iter().flatten().map(|(platform, _)| *platform).collect();
        let candidates: Vec<Platform> = wanted
            .iter()
            .flat_map(|wanted| {
                [true, false].map(|static_binary| platform::select(*wanted, &offered, static_binary, false))
            })
            .flatten()
            .collect();
        let offer = Arc::new(BaseOffer {
            name: base.to_string(),
            digest: listing.digest,
            images: self.bases.images(&listing, &candidates).await?,
            any: self.bases.built_in(base, self.mtime)?,
            platforms: offered,
        });
        self.offers.insert(key, offer.clone());
        Ok(offer)
    }
}
