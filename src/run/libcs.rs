//! `libc = "auto"`: bases are read as far as it takes to know their libcs, and each program gets one that serves all the
//! bases that it goes on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fs_err as fs;

use crate::base::Bases;
use crate::base_name::BaseName;
use crate::config::ProgramSettings;
use crate::config::template::Scope;
use crate::exec::Children;
use crate::host;
use crate::image::BaseImage;
use crate::invocation::Invocation;
use crate::listing::Listing;
use crate::plan::{AutoLibc, BaseOffer, Ground, Offer, Told};
use crate::platform::{self, Platform};
use crate::sysroot::glibc_version;
use crate::toolchain::{Language, Libc, LibcWish, OverGlibc, Request, Toolchains};
use crate::tree::Tree;
use crate::verify::{ImageLibc, StartConfig, libc_of};

use super::detect::{Kind, Program};
use super::error::Error;
use super::images::Group;
use super::layers::answer;
use super::listings::Listings;
use super::offline::Missing;
use super::prepare::Preparation;
use super::session::Session;

/// The libcs of programs whose libc is `auto`, by platform and name.
#[derive(Debug, Default)]
pub(super) struct Libcs(BTreeMap<(Platform, String), AutoLibc>);

impl Libcs {
    /// How that of a program was found; `None` where it is not `auto`.
    pub(super) fn of(&self, platform: Platform, program: &str) -> Option<&AutoLibc> {
        self.0.get(&(platform, program.to_owned()))
    }
}

/// A program that waits for its bases to be read.
struct Waiting {
    request: Request,
    /// the bases, by positions in the list of those that are read
    grounds: Vec<usize>,
}

/// An image of a base that is to be read.
struct Read {
    name: BaseName,
    image: BaseImage,
}

impl Preparation<'_> {
    /// The libc that a toolchain is asked for; `None` for whichever gives a static binary.
    pub(super) fn libc(&self, settings: &ProgramSettings, platform: Platform, scope: &Scope) -> Option<Libc> {
        match settings.libc.as_ref().map(|libc| libc.get_ref().0) {
            Some(LibcWish::Named(libc)) => Some(libc),
            Some(LibcWish::Static) => None,
            Some(LibcWish::Auto) | None => self.libcs.of(platform, scope.program.as_ref()?)?.libc(),
        }
    }

    /// Finds the libc of every program that leaves it to its base. Layers that nobody has listed yet are fetched where
    /// `--resolve` says so; all bases at the same time.
    ///
    /// # Errors
    /// When a base cannot be read; with `--offline`, all of its layers that are missing.
    pub(super) async fn read_libcs<'group>(
        &mut self,
        session: &Session,
        groups: impl Iterator<Item = (&'group Group, &'group [Platform])>,
    ) -> Result<(), Error> {
        let (mut waiting, mut reads) = (BTreeMap::new(), Vec::new());
        for (group, platforms) in groups {
            self.libcs_of(group, platforms, &mut waiting, &mut reads).await?;
        }
        let reader = Reader { session, layers: &self.layers, resolve: self.settings.flags.resolve };
        let read = futures_util::future::try_join_all(reads.iter().map(|(_, read)| reader.libc(read.as_ref()))).await?;
        let mut missing = Missing::default();
        let mut grounds = Vec::with_capacity(reads.len());
        for ((ground, _), found) in reads.into_iter().zip(read) {
            let libc = match found {
                Found::Known => ground.libc,
                Found::Libc(libc) => Some(libc),
                Found::Unread => None,
                Found::Missing(line) => {
                    missing.add(&line);
                    None
                }
            };
            grounds.push(Ground { libc, ..ground });
        }
        missing.into_result(self.settings)?;
        let mut asked = Compilers { children: self.children, known: BTreeMap::new() };
        for ((platform, name), Waiting { request, grounds: own }) in waiting {
            let own: Vec<Ground> = own.into_iter().map(|ground| grounds[ground].clone()).collect();
            let mut offer = Offer {
                over: &|has| self.toolchains.over_glibc(&request, has),
                told: &mut |over| asked.told(over),
                other: &|has| other_row(self.toolchains, &request, has),
            };
            let auto = AutoLibc::on(platform, &own, &mut offer);
            self.libcs.0.insert((platform, name), auto);
        }
        Ok(())
    }

    /// Enters the programs of an image that wait for their base, and the bases.
    async fn libcs_of(
        &mut self,
        group: &Group,
        platforms: &[Platform],
        waiting: &mut BTreeMap<(Platform, String), Waiting>,
        reads: &mut Vec<(Ground, Option<Read>)>,
    ) -> Result<(), Error> {
        if !group.programs.iter().any(|program| linked(program).is_some()) {
            return Ok(());
        }
        let scope = Scope { image: Some(group.name.clone()), ..Scope::default() };
        for platform in platforms {
            for program in &group.programs {
                let Some(request) = self.request(program, *platform) else { continue };
                let name = self.settings.base(&group.keys, Some(*platform), &scope)?;
                let offer = self.offer(&name, platforms).await?;
                let ground = ground(&name, &offer, *platform, self.settings.strict_platform());
                let key = (*platform, program.name.clone());
                let entry = waiting.entry(key).or_insert_with(|| Waiting { request, grounds: Vec::new() });
                let Some((ground, read)) = ground else { continue };
                let place =
                    |read: &Option<Read>| read.as_ref().map(|read| (read.name.to_string(), read.image.platform));
                let known = reads.iter().position(|(known, kept)| *known == ground && place(kept) == place(&read));
                entry.grounds.push(known.unwrap_or(reads.len()));
                if known.is_none() {
                    reads.push((ground, read));
                }
            }
        }
        Ok(())
    }

    /// What a program asks of a toolchain whose libc depends on its base; a libc that depends on something else is entered.
    fn request(&mut self, program: &Program, platform: Platform) -> Option<Request> {
        let language = linked(program)?;
        let table = program.table.map(|table| self.settings.file.program[table].get_ref());
        let settings = table.map(|table| table.settings_for(platform)).unwrap_or_default();
        let says = |value: &Option<toml::Spanned<bool>>| value.as_ref().is_some_and(|value| *value.get_ref());
        let wish = settings.libc.as_ref().map(|libc| libc.get_ref().0);
        let is_auto = match program.kind {
            Kind::Go(_) => says(&settings.cgo) && wish.unwrap_or_default() == LibcWish::Auto,
            // What a command makes of what it is told is its own business.
            Kind::Command(_) => wish == Some(LibcWish::Auto),
            _ => wish.unwrap_or_default() == LibcWish::Auto,
        };
        if !is_auto {
            return None;
        }
        let row = self.rows.of(&settings, language);
        let request = Request { language, platform, libc: None, c: language == Language::C, row, sysroot: false };
        let because = if settings.sysroot.is_some() {
            "that of the sysroot"
        } else if says_static(&settings) {
            "`ldflags` say so"
        } else if self.toolchains.over_glibc(&request, (u32::MAX, 0)) == OverGlibc::Nowhere {
            "the toolchain links against no glibc"
        } else {
            return Some(request);
        };
        let auto = AutoLibc::Chosen { libc: None, because: because.to_owned() };
        self.libcs.0.insert((platform, program.name.clone()), auto);
        None
    }
}

/// Whether the linker is told to make a static program, in C's words or in those by which Go's linker is told.
fn says_static(settings: &ProgramSettings) -> bool {
    let between = |letter: char| letter.is_whitespace() || "'\"=,".contains(letter);
    let flags = settings.ldflags.iter().flat_map(|flags| flags.get_ref().iter());
    flags.flat_map(|flag| flag.get_ref().split(between)).any(|word| word == "-static" || word == "-static-pie")
}

/// The language whose compiler links a program against a libc.
fn linked(program: &Program) -> Option<Language> {
    match &program.kind {
        Kind::Rust(_) => Some(Language::Rust),
        Kind::Go(_) | Kind::C(_) | Kind::Command(_) => Some(Language::C),
        Kind::Prebuilt => None,
    }
}

/// What a program for `wanted` would stand on, and the image whose layers say more; `None` where the base lacks it.
fn ground(name: &BaseName, offer: &BaseOffer, wanted: Platform, strict: bool) -> Option<(Ground, Option<Read>)> {
    let ground = Ground { base: offer.name.clone(), libc: None, only_static: None };
    if offer.any.is_some() {
        return Some((Ground { libc: Some(ImageLibc::None), ..ground }, None));
    }
    if let Some(platform) = platform::select(wanted, &offer.platforms, false, strict) {
        let image = offer.images.iter().find(|image| image.platform == platform)?.clone();
        return Some((ground, Some(Read { name: name.clone(), image })));
    }
    let lower = platform::select(wanted, &offer.platforms, true, strict)?;
    Some((Ground { only_static: Some(lower), ..ground }, None))
}

/// Another row that links against a glibc of the base's version.
fn other_row(toolchains: &Toolchains, request: &Request, has: (u32, u32)) -> Option<String> {
    let names = toolchains.rows().filter(|row| row.language == request.language).map(|row| row.name.clone());
    let mut others = names.filter(|name| request.row.as_ref() != Some(name));
    others.find(|name| {
        let other = Request { row: Some(name.clone()), ..request.clone() };
        matches!(toolchains.over_glibc(&other, has), OverGlibc::Named { .. })
    })
}

/// What came of reading a base.
enum Found {
    /// nothing had to be read
    Known,
    Libc(ImageLibc),
    /// a layer that nobody has listed yet, where none is to be fetched
    Unread,
    /// `--offline` and a layer that is not there, in the words of the error
    Missing(String),
}

/// Reads bases.
struct Reader<'run> {
    session: &'run Session,
    layers: &'run Listings,
    resolve: bool,
}

impl Reader<'_> {
    /// The libc of a base, with as few of its layers as the answer needs: the uppermost first.
    async fn libc(&self, read: Option<&Read>) -> Result<Found, Error> {
        let Some(read) = read else { return Ok(Found::Known) };
        let image = &read.image;
        let (platform, config) = (image.platform, StartConfig::of(&image.config));
        let question = Arc::new(move |tree: &Tree<'_>| libc_of(platform, &config, tree));
        let name = read.name.to_string();
        // Lowest first.
        let mut listed: Vec<Arc<Listing>> = Vec::new();
        loop {
            let complete = listed.len() == image.layers.len();
            if let Ok(libc) = answer(&name, &question, &listed, complete).await? {
                return Ok(Found::Libc(libc));
            }
            match self.next(read, listed.len()).await? {
                Ok(listing) => listed.insert(0, listing),
                Err(found) => return Ok(found),
            }
        }
    }

    /// The listing of the layer that lies below the uppermost `above`.
    async fn next(&self, read: &Read, above: usize) -> Result<Result<Arc<Listing>, Found>, Error> {
        let Read { name, image } = read;
        let position = image.layers.len().checked_sub(above + 1);
        // With all layers there is nothing that could be needed.
        let layer = position.and_then(|position| image.layers.get(position)).ok_or(Error::Thread)?;
        if !self.resolve {
            return Ok(self.layers.kept(layer).map(Arc::new).ok_or(Found::Unread));
        }
        let is_there = || Bases::is_local(name) || self.session.store.has(&layer.digest, layer.size);
        if self.session.offline && !is_there() && self.layers.kept(layer).is_none() {
            return Ok(Err(Found::Missing(Missing::layer(name, image.platform, layer))));
        }
        self.layers.of(name, image.platform, layer).await.map(Ok)
    }
}

/// Asks compilers what they link against, each once.
struct Compilers<'run> {
    children: &'run Children,
    known: BTreeMap<Vec<String>, Told>,
}

impl Compilers<'_> {
    fn told(&mut self, over: &OverGlibc) -> (String, Told) {
        let OverGlibc::Own { row, compiler } = over else { return (String::new(), Told::Nothing) };
        let Some((tool, arguments)) = compiler.as_deref() else { return (row.clone(), Told::Nothing) };
        let Some(mut command) = host::find(tool) else { return (tool.name.clone(), Told::NotThere) };
        let called = command.join(" ");
        command.extend(arguments.iter().cloned());
        let children = self.children;
        let told = self.known.entry(command.clone()).or_insert_with(|| linked_glibc(children, &command));
        (called, *told)
    }
}

/// The glibc that a compiler, called so, would link: it says where the library is, and the library its version.
fn linked_glibc(children: &Children, command: &[String]) -> Told {
    let Some((program, arguments)) = command.split_first() else { return Told::Nothing };
    let call = Invocation::new(program, ".").args(arguments.iter().map(String::as_str));
    let Ok(finished) = children.ask(&call.args(["-print-file-name=libc.so.6"])) else { return Told::Nothing };
    let said = String::from_utf8_lossy(&finished.stdout);
    // A compiler that does not find the file says its name alone.
    let library = Some(Path::new(said.trim())).filter(|path| finished.status.success() && path.is_absolute());
    let bytes = library.and_then(|path| fs::read(path).ok());
    bytes.and_then(|bytes| glibc_version(&bytes)).map_or(Told::Nothing, Told::Version)
}
