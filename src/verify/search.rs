//! Where a loader looks for a library: the rules of glibc (`_dl_map_object` in `elf/dl-load.c`) and of musl
//! (`load_library` in `ldso/dynlink.c`), over the image's own tree.

use std::cell::Cell;

use crate::elf::ElfFacts;
use crate::listing::{Binary, Contents, Loader};
use crate::platform::{Architecture, Platform};
use crate::tree::{Miss, Tree};

use super::NeedsLower;
use super::cache::{self, Cached};

/// What musl looks through when nothing says otherwise, upstream.
const MUSL_FOLDERS: &[&str] = &["/lib", "/usr/local/lib", "/usr/lib"];
/// What glibc looks through as it comes from its authors, for a loader whose own list was not found.
const GLIBC_FOLDERS: &[&str] = &["/lib64", "/usr/lib64", "/lib", "/usr/lib"];
/// Names that musl's loader takes for itself: `lib` and one of these.
const MUSL_ITSELF: &[&str] = &["c.", "pthread.", "rt.", "m.", "dl.", "util.", "xnet."];

/// How many paths are looked at; programs with hundreds of libraries look at some ten thousand.
const LOOKS: usize = 200_000;

/// A program or library that is loaded.
#[derive(Debug, Clone)]
pub(super) struct Object<'listing> {
    /// what it was asked for by, and what it calls itself
    pub(super) names: Vec<String>,
    /// the path by which it was opened
    pub(super) opened: String,
    /// where it really is
    pub(super) path: String,
    /// its facts
    pub(super) binary: &'listing Binary,
    /// who asked for it first
    pub(super) by: Option<usize>,
}

/// What a search came to.
#[derive(Debug)]
pub(super) enum Outcome<'listing> {
    /// it is there
    Found { opened: String, path: String, binary: &'listing Binary },
    /// nothing, but for files of other machines that were passed over
    Nowhere { passed: Vec<(String, &'listing ElfFacts)> },
    /// the search goes on for longer than any does
    TooLong,
    /// the loader stops at a file that it cannot load: its path, and why, as a predicate
    Refused { path: String, why: String },
}

/// A file at a path where a library may be.
enum Candidate<'listing> {
    Nothing,
    Fits { path: String, binary: &'listing Binary },
    Other { path: String, facts: &'listing ElfFacts },
    Wrong { path: String, why: String },
}

/// A loader in its image.
pub(super) struct Search<'image, 'listing> {
    tree: &'image Tree<'listing>,
    platform: Platform,
    /// the program's own facts: what fits it is of the same machine
    program: &'listing ElfFacts,
    /// true for musl
    pub(super) is_musl: bool,
    library_path: Vec<String>,
    cached: Vec<Cached>,
    folders: Vec<String>,
    /// `glibc-hwcaps/x86-64-v2` and the like, which a CPU of the platform has for sure, best first
    subfolders: Vec<String>,
    /// what `$LIB` stands for
    lib: String,
    /// how many more paths are looked at
    looks: Cell<usize>,
}

impl<'image, 'listing> Search<'image, 'listing> {
    /// A loader, which was asked for as `interpreter`, in its image.
    pub(super) fn new(
        tree: &'image Tree<'listing>,
        platform: Platform,
        (interpreter, loader): (&str, &Loader),
        program: &'listing ElfFacts,
        library_path: Option<&str>,
    ) -> Result<Self, NeedsLower> {
        let or = |found: &[String], usual: &[&str]| {
            if found.is_empty() { usual.iter().map(|folder| (*folder).to_owned()).collect() } else { found.to_vec() }
        };
        let separators: &[char] = if matches!(loader, Loader::Musl { .. }) { &[':', '\n'] } else { &[':', ';'] };
        let library_path = library_path.filter(|path| !path.is_empty());
        let library_path = library_path.into_iter().flat_map(|path| path.split(separators)).map(str::to_owned);
        let mut search = Self {
            tree,
            platform,
            program,
            is_musl: matches!(loader, Loader::Musl { .. }),
            library_path: library_path.collect(),
            cached: Vec::new(),
            folders: Vec::new(),
            subfolders: Vec::new(),
            lib: String::new(),
            looks: Cell::new(LOOKS),
        };
        match loader {
            Loader::Glibc { folders, .. } => {
                search.folders = or(folders, GLIBC_FOLDERS);
                search.lib = search.folders.first().map_or("lib", |first| first.trim_start_matches('/')).to_owned();
                search.subfolders = subfolders(platform);
                if let Some(bytes) = kept(tree, "/etc/ld.so.cache")? {
                    search.cached = cache::parse(bytes, program.byte_order, platform).unwrap_or_default();
                }
            }
            Loader::Musl { folders, .. } => {
                search.folders = match kept(tree, &musl_path_file(interpreter))? {
                    Some(bytes) => musl_folders(&String::from_utf8_lossy(bytes)),
                    None => or(folders, MUSL_FOLDERS),
                };
            }
        }
        Ok(search)
    }

    /// Looks for `name`, which `by` of `objects` asks for; the first of them is the program.
    pub(super) fn find(
        &self,
        name: &str,
        by: usize,
        objects: &[Object<'listing>],
    ) -> Result<Outcome<'listing>, NeedsLower> {
        self.find_along(name, by, self.folders_for(by, objects), objects)
    }

    /// Looks for `name`, which is loaded before what the program asks for: as if the program did for glibc, and where
    /// everyone's libraries are for musl.
    pub(super) fn find_preloaded(
        &self,
        name: &str,
        objects: &[Object<'listing>],
    ) -> Result<Outcome<'listing>, NeedsLower> {
        let folders = if self.is_musl { self.library_path() } else { self.folders_for(0, objects) };
        self.find_along(name, 0, folders, objects)
    }

    fn find_along(
        &self,
        name: &str,
        by: usize,
        folders: Vec<String>,
        objects: &[Object<'listing>],
    ) -> Result<Outcome<'listing>, NeedsLower> {
        let mut passed = Vec::new();
        if name.contains('/') {
            let path = if self.is_musl { Some(name.to_owned()) } else { self.expanded(name, &objects[by]) };
            if let Some(path) = path
                && let Some(outcome) = self.take(&path, &mut passed)?
            {
                return Ok(outcome);
            }
            return Ok(Outcome::Nowhere { passed });
        }
        for folder in folders {
            for subfolder in self.subfolders.iter().map(String::as_str).chain([""]) {
                let path = [folder.trim_end_matches('/'), subfolder, name];
                let path = path.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("/");
                let path = if path.starts_with('/') { path } else { format!("/{path}") };
                if let Some(outcome) = self.take(&path, &mut passed)? {
                    return Ok(outcome);
                }
            }
        }
        let in_default = |path: &str| self.folders.iter().any(|folder| path.starts_with(&format!("{folder}/")));
        let without_default = objects[by].binary.facts.without_default_folders && !self.is_musl;
        for cached in self.cached.iter().filter(|cached| cached.name == name && self.may_use(&cached.path)) {
            if without_default && in_default(&cached.path) {
                continue;
            }
            if let Some(outcome) = self.take(&cached.path, &mut passed)? {
                return Ok(outcome);
            }
        }
        if without_default {
            return Ok(Outcome::Nowhere { passed });
        }
        for folder in &self.folders {
            for subfolder in self.subfolders.iter().map(|name| format!("/{name}")).chain([String::new()]) {
                if let Some(outcome) = self.take(&format!("{folder}{subfolder}/{name}"), &mut passed)? {
                    return Ok(outcome);
                }
            }
        }
        Ok(Outcome::Nowhere { passed })
    }

    /// The folders that programs and the environment name, before the loader's own ways.
    fn folders_for(&self, by: usize, objects: &[Object<'listing>]) -> Vec<String> {
        let chain = std::iter::successors(Some(by), |object| objects[*object].by);
        if self.is_musl {
            let mut folders = self.library_path();
            for object in chain.map(|object| &objects[object]) {
                let facts = &object.binary.facts;
                let path = facts.runpath.as_deref().or(facts.rpath.as_deref()).unwrap_or_default();
                folders.extend(musl_rpath(path, object));
            }
            return folders;
        }
        let mut folders = Vec::new();
        let own = &objects[by].binary.facts;
        if own.runpath.is_none() {
            // Up to the program, which is looked at in any case.
            for object in chain.chain([0]).map(|object| &objects[object]) {
                let facts = &object.binary.facts;
                if facts.runpath.is_none() {
                    folders.extend(self.listed(facts.rpath.as_deref(), object));
                }
            }
        }
        folders.extend(self.library_path().iter().filter_map(|folder| self.expanded(folder, &objects[0])));
        folders.extend(self.listed(own.runpath.as_deref(), &objects[by]));
        folders
    }

    /// The folders of `LD_LIBRARY_PATH`, as they are written there.
    fn library_path(&self) -> Vec<String> {
        // Where the engine starts a program is the folder that an empty name means; nothing says that it stays there.
        self.library_path.iter().filter(|folder| !folder.is_empty()).cloned().collect()
    }

    fn listed(&self, path: Option<&str>, object: &Object<'listing>) -> Vec<String> {
        path.into_iter().flat_map(|path| path.split(':')).filter_map(|folder| self.expanded(folder, object)).collect()
    }

    /// A path of glibc's with its variables replaced; `None` where one is not known, which drops it.
    fn expanded(&self, path: &str, object: &Object<'listing>) -> Option<String> {
        let mut path = path.to_owned();
        for (name, value) in
            [("ORIGIN", origin(object)), ("LIB", self.lib.clone()), ("PLATFORM", cpu(self.platform).to_owned())]
        {
            path = path.replace(&format!("${{{name}}}"), &value).replace(&format!("${name}"), &value);
        }
        (!path.is_empty() && !path.contains('$')).then_some(path)
    }

    /// Whether a CPU of the platform has what the subfolder of `glibc-hwcaps` in `path`, if any, is for.
    fn may_use(&self, path: &str) -> bool {
        let subfolder = path.split_once("/glibc-hwcaps/").and_then(|(_, rest)| rest.split('/').next());
        subfolder.is_none_or(|name| self.subfolders.iter().any(|known| known.ends_with(&format!("/{name}"))))
    }

    /// Opens what is at `path` as the loader would; `None` when the search goes on.
    fn take(
        &self,
        path: &str,
        passed: &mut Vec<(String, &'listing ElfFacts)>,
    ) -> Result<Option<Outcome<'listing>>, NeedsLower> {
        let Some(looks) = self.looks.get().checked_sub(1) else { return Ok(Some(Outcome::TooLong)) };
        self.looks.set(looks);
        Ok(match self.candidate(path)? {
            Candidate::Nothing => None,
            Candidate::Fits { path: real, binary } => {
                Some(Outcome::Found { opened: path.to_owned(), path: real, binary })
            }
            // glibc passes over what is for another machine, so that the libraries of two can lie beside each other.
            Candidate::Other { path, facts } if !self.is_musl => {
                passed.push((path, facts));
                None
            }
            Candidate::Other { path, facts } => {
                Some(Outcome::Refused { path, why: format!("is {}", facts.described()) })
            }
            Candidate::Wrong { path, why } => Some(Outcome::Refused { path, why }),
        })
    }

    fn candidate(&self, path: &str) -> Result<Candidate<'listing>, NeedsLower> {
        let found = match self.tree.find(path) {
            Ok(found) => found,
            Err(Miss::NeedsLower) => return Err(NeedsLower),
            Err(_) => return Ok(Candidate::Nothing),
        };
        let Some(file) = found.node.file() else { return Ok(Candidate::Nothing) };
        let path = found.path;
        let binary = match &file.contents {
            Contents::Elf(binary) => binary,
            Contents::Unreadable(why) | Contents::NotRead(why) => {
                return Ok(Candidate::Wrong { path, why: why.clone() });
            }
            Contents::Script(_) | Contents::Kept(_) | Contents::NotStartable(_) | Contents::Unread => {
                return Ok(Candidate::Wrong { path, why: "is no ELF file".to_owned() });
            }
        };
        let facts = &binary.facts;
        if !same_machine(facts, self.program) {
            return Ok(Candidate::Other { path, facts });
        }
        // ET_EXEC and ET_DYN.
        if !matches!(facts.file_type, 2 | 3) {
            return Ok(Candidate::Wrong { path, why: "is no library".to_owned() });
        }
        Ok(Candidate::Fits { path, binary })
    }

    /// Whether the loader takes a name for itself.
    pub(super) fn is_itself(&self, name: &str) -> bool {
        let rest = name.strip_prefix("lib").filter(|_| self.is_musl);
        rest.is_some_and(|rest| MUSL_ITSELF.iter().any(|own| rest.starts_with(own)))
    }

    /// The folders that `ld.so.conf` names, which only `ldconfig` reads.
    pub(super) fn configured(&self) -> Vec<String> {
        let mut folders = Vec::new();
        let mut files = vec!["/etc/ld.so.conf".to_owned()];
        if let Ok(found) = self.tree.find("/etc/ld.so.conf.d") {
            files.extend(found.node.names().map(|name| format!("/etc/ld.so.conf.d/{name}")));
        }
        for file in files {
            let text = kept(self.tree, &file).ok().flatten().map(String::from_utf8_lossy).unwrap_or_default();
            let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim().to_owned());
            folders.extend(lines.filter(|line| line.starts_with('/')));
        }
        folders
    }

    /// Where else in the image a library is that the loader does not find, at most `most` places.
    pub(super) fn places(&self, name: &str, most: usize) -> Vec<String> {
        self.tree.named(name, most)
    }
}

/// The bytes of a file that the listing keeps.
pub(super) fn kept<'listing>(tree: &Tree<'listing>, path: &str) -> Result<Option<&'listing [u8]>, NeedsLower> {
    match tree.find(path) {
        Ok(found) => Ok(match found.node.file().map(|file| &file.contents) {
            Some(Contents::Kept(bytes)) => Some(bytes.as_slice()),
            // An empty file is one that says nothing.
            Some(_) => Some(&[]),
            None => None,
        }),
        Err(Miss::NeedsLower) => Err(NeedsLower),
        Err(_) => Ok(None),
    }
}

/// Whether a loader takes two files to be of one machine: RISC-V and `LoongArch` have several calling conventions, each with
/// libraries of its own.
pub(super) fn same_machine(one: &ElfFacts, other: &ElfFacts) -> bool {
    const RISCV: u16 = 243;
    const LOONGARCH: u16 = 258;
    let header = |facts: &ElfFacts| (facts.class, facts.byte_order, facts.machine);
    header(one) == header(other) && (!matches!(one.machine, RISCV | LOONGARCH) || one.abi() == other.abi())
}

/// musl knows `$ORIGIN` alone; any other variable makes it leave the whole path aside.
fn musl_rpath(path: &str, object: &Object<'_>) -> Vec<String> {
    let origin = origin(object);
    let path = path.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin);
    if path.contains('$') { Vec::new() } else { musl_folders(&path) }
}

/// The folder that an object was opened in.
fn origin(object: &Object<'_>) -> String {
    // A program's own is where the kernel found it in the end.
    let path = if object.by.is_none() { &object.path } else { &object.opened };
    path.rsplit_once('/').map_or("/", |(folder, _)| if folder.is_empty() { "/" } else { folder }).to_owned()
}

fn subfolders(platform: Platform) -> Vec<String> {
    let level =
        platform.level().filter(|_| platform.architecture() == Architecture::Amd64).map_or(1, |level| level.major);
    (2..=level).rev().map(|level| format!("glibc-hwcaps/x86-64-v{level}")).collect()
}

/// What the kernel calls a CPU of the platform (`AT_PLATFORM`).
fn cpu(platform: Platform) -> &'static str {
    match platform.architecture() {
        Architecture::Amd64 => "x86_64",
        Architecture::I386 => "i686",
        Architecture::Arm64 => "aarch64",
        Architecture::Arm => match platform.level().map_or(7, |level| level.major) {
            ..=5 => "v5l",
            6 => "v6l",
            7 => "v7l",
            _ => "v8l",
        },
        Architecture::Ppc64 | Architecture::Ppc64le => "power8",
        Architecture::S390x => "z900",
        Architecture::Riscv64 => "riscv64",
        Architecture::Loong64 => "loongarch",
        Architecture::Mips | Architecture::Mipsle | Architecture::Mips64 | Architecture::Mips64le => "mips",
    }
}

/// `/etc/ld-musl-x86_64.path`, below the folder in which the loader's own `lib` is.
fn musl_path_file(interpreter: &str) -> String {
    let (folder, name) = interpreter.rsplit_once('/').unwrap_or(("", interpreter));
    let prefix = folder.rsplit_once('/').map_or("", |(prefix, _)| prefix);
    let architecture = name.strip_prefix("ld-musl-").and_then(|rest| rest.split('.').next()).unwrap_or_default();
    format!("{prefix}/etc/ld-musl-{architecture}.path")
}

fn musl_folders(path: &str) -> Vec<String> {
    path.split([':', '\n']).filter(|folder| !folder.is_empty()).map(str::to_owned).collect()
}
