//! A dynamic program becomes what its loader would load, and what it would stop at: libraries, symbol versions, symbols.
//!
//! Breadth first, as both loaders do it; each object once, by its names and by where it really is.

use std::collections::BTreeMap;

use crate::elf::{ElfFacts, Name, check_code};
use crate::platform::Platform;

use super::NeedsLower;
use super::problem::Problem;
use super::search::{Object, Outcome, Search, same_machine};
use crate::listing::Binary;

/// Programs load some hundred libraries at most.
const OBJECTS: usize = 2000;
/// How many places of a library that is not found are told.
const PLACES: usize = 4;
/// For how many missing libraries the whole image is looked through.
const SOUGHT: usize = 20;
/// Undefined in every MIPS file, and defined by the linker itself.
const NO_SYMBOLS: &[&str] = &["_gp_disp"];

/// A program with its loader.
pub(super) struct Linking<'image, 'listing> {
    pub(super) search: &'image Search<'image, 'listing>,
    pub(super) platform: Platform,
    /// the loader: opened as the program asks for it, and where it is
    pub(super) loader: Object<'listing>,
    /// what is loaded before all that the program asks for, and what says so
    pub(super) preloads: Vec<(String, &'static str)>,
    /// `LD_BIND_NOW` of the image's environment
    pub(super) binds_now: bool,
    /// what the image has, for a sentence: `musl 1.2.5`
    pub(super) libc: Option<String>,
}

impl<'listing> Linking<'_, 'listing> {
    /// What the loader loads for `program`, the program first, and what is wrong with it.
    pub(super) fn load(&self, program: Object<'listing>) -> Result<(Vec<Object<'listing>>, Vec<Problem>), NeedsLower> {
        let name = program.path.clone();
        let mut objects = vec![program];
        let ignored = self.preload(&mut objects)?;
        let mut problems = Vec::new();
        let mut at = 0;
        while at < objects.len() {
            for needed in &objects[at].binary.facts.needed {
                if self.is_loaded(needed, &objects) {
                    continue;
                }
                let outcome = self.search.find(needed, at, &objects)?;
                if objects.len() == OBJECTS || matches!(outcome, Outcome::TooLong) {
                    problems.push(Problem::TooManyLibraries { program: name });
                    return Ok((objects, problems));
                }
                match outcome {
                    Outcome::Found { opened, path, binary } => self.add(&mut objects, needed, opened, path, binary, at),
                    outcome => problems.extend(self.unfound(needed, &objects[at].path, outcome, &problems)),
                }
            }
            at += 1;
        }
        // A loader that is its own libc is there for all.
        if self.search.is_musl && !objects.iter().any(|object| object.path == self.loader.path) {
            objects.push(self.loader.clone());
        }
        let found_all = problems.is_empty();
        problems.extend(self.code(&objects));
        if !self.search.is_musl {
            problems.extend(versions(&objects, &self.loader));
        }
        // Without a library, nothing can be said of what it may have.
        if found_all && problems.is_empty() {
            problems.extend(self.symbols(&objects));
        }
        problems.extend(ignored);
        problems.extend(
            objects
                .iter()
                .filter(|object| opens_libraries(object))
                .map(|object| Problem::OpensLibraries { by: object.path.clone() }),
        );
        Ok((objects, problems))
    }

    /// Adds what is loaded before all that the program asks for; loaders go on without what they cannot load of it.
    fn preload(&self, objects: &mut Vec<Object<'listing>>) -> Result<Vec<Problem>, NeedsLower> {
        let mut ignored = Vec::new();
        for (name, from) in &self.preloads {
            if self.is_loaded(name, objects) {
                continue;
            }
            let why = match self.search.find_preloaded(name, objects)? {
                Outcome::Found { opened, path, binary } => {
                    self.add(objects, name, opened, path, binary, 0);
                    continue;
                }
                // What the program asks for has no turn then either, which is said.
                Outcome::TooLong => break,
                Outcome::Nowhere { .. } => "is not found".to_owned(),
                Outcome::Refused { why, .. } => why,
            };
            ignored.push(Problem::NotPreloaded { name: name.clone(), from, why });
        }
        Ok(ignored)
    }

    fn is_loaded(&self, name: &str, objects: &[Object<'listing>]) -> bool {
        // The loader is there from the beginning.
        self.search.is_itself(name)
            || objects.iter().chain([&self.loader]).any(|object| object.names.iter().any(|known| known == name))
    }

    fn add(
        &self,
        objects: &mut Vec<Object<'listing>>,
        name: &str,
        opened: String,
        path: String,
        binary: &'listing Binary,
        by: usize,
    ) {
        if let Some(there) = objects.iter_mut().find(|object| object.path == path) {
            there.names.push(name.to_owned());
            return;
        }
        // musl knows a library by what it was asked for alone (`shortname`).
        let own = binary.facts.soname.clone().filter(|_| !self.search.is_musl);
        let names = [Some(name.to_owned()), own].into_iter().flatten().collect();
        objects.push(Object { names, opened, path, binary, by: Some(by) });
    }

    fn unfound(&self, name: &str, by: &str, outcome: Outcome<'listing>, known: &[Problem]) -> Option<Problem> {
        let told = known.iter().any(|problem| {
            matches!(problem, Problem::NoLibrary { name: told, .. } | Problem::RefusedLibrary { name: told, .. } if told == name)
        });
        if told {
            return None;
        }
        let (name, by) = (name.to_owned(), by.to_owned());
        match outcome {
            Outcome::Found { .. } | Outcome::TooLong => None,
            Outcome::Refused { path, why } => Some(Problem::RefusedLibrary { name, by, path, why }),
            Outcome::Nowhere { passed } => {
                let foreign: Vec<&String> = passed.iter().map(|(path, _)| path).collect();
                // To look through all of a large image for each of a thousand libraries takes too long.
                let most = if known.len() < SOUGHT { PLACES } else { 0 };
                let elsewhere: Vec<String> =
                    self.search.places(&name, most).into_iter().filter(|path| !foreign.contains(&path)).collect();
                let configured = !self.search.is_musl && {
                    let folders = self.search.configured();
                    let folder = elsewhere.first().and_then(|path| Some(path.rsplit_once('/')?.0));
                    folder.is_some_and(|folder| folders.iter().any(|known| known.trim_end_matches('/') == folder))
                };
                let described = |(path, facts): &(String, &ElfFacts)| format!("`{path}` is {}", facts.described());
                let passed = passed.iter().map(described).collect();
                Some(Problem::NoLibrary { name, by, elsewhere, passed, configured, is_musl: self.search.is_musl })
            }
        }
    }

    /// Code that the platform's CPU may not run, and numbers that are passed in different ways.
    fn code(&self, objects: &[Object<'listing>]) -> Vec<Problem> {
        let Some((program, libraries)) = objects.split_first() else { return Vec::new() };
        let mut problems = Vec::new();
        for library in libraries {
            let path = library.path.clone();
            if let Err(source) = check_code(&library.binary.facts, self.platform) {
                problems.push(Problem::Unfit { path, source });
                continue;
            }
            let (found, needed) = (library.binary.facts.abi(), program.binary.facts.abi());
            if let (Some(found), Some(needed)) = (found, needed)
                && found != needed
            {
                problems.push(Problem::OtherAbi { path, found, program: program.path.clone(), needed });
            }
        }
        problems
    }

    /// Symbols that no version stands for, and that none of the objects has.
    fn symbols(&self, objects: &[Object<'listing>]) -> Vec<Problem> {
        let unread = objects.iter().find(|object| object.binary.symbols.is_none());
        if let Some(unread) = unread {
            return vec![Problem::SymbolsNotRead { path: unread.path.clone() }];
        }
        let mut problems = Vec::new();
        for object in objects {
            let Some(symbols) = &object.binary.symbols else { continue };
            let has = |name: &str| {
                let name = Name::of(name.as_bytes());
                objects.iter().any(|object| object.binary.symbols.as_ref().is_some_and(|symbols| symbols.defines(name)))
            };
            let missing = symbols.wanted.iter().filter(|wanted| !NO_SYMBOLS.contains(&wanted.name.as_str()));
            let missing = missing.filter(|wanted| !has(&wanted.name));
            let at_once = self.search.is_musl || self.binds_now || object.binary.facts.binds_now;
            let (now, later): (Vec<_>, Vec<_>) = missing.partition(|wanted| at_once || wanted.data);
            let by = object.path.clone();
            if let Some(first) = now.first() {
                let (symbol, others) = (first.name.clone(), now.len() - 1);
                problems.push(Problem::NoSymbol { by: by.clone(), symbol, others, libc: self.libc.clone() });
            }
            if let Some(first) = later.first() {
                problems.push(Problem::LateSymbol { by, symbol: first.name.clone(), others: later.len() - 1 });
            }
        }
        problems
    }
}

/// What opens libraries by itself, but for the loader's own family, which does so for names of hosts and for character sets.
fn opens_libraries(object: &Object<'_>) -> bool {
    let of_libc = object.binary.loader.is_some()
        || object.binary.facts.offers.iter().any(|version| version == "GLIBC_PRIVATE")
        // Part of gcc; it looks for unwinding in programs that are static.
        || object.names.iter().any(|name| name.starts_with("libgcc_s.so"));
    !of_libc && object.binary.symbols.as_ref().is_some_and(|symbols| symbols.opens_libraries)
}

/// Versions that an object requires of another that is loaded and does not offer them: of each library the highest is told.
fn versions(objects: &[Object<'_>], loader: &Object<'_>) -> Vec<Problem> {
    let glibc = objects.iter().find_map(|object| object.binary.glibc.clone());
    let mut problems = Vec::new();
    for object in objects {
        let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut holders: BTreeMap<&str, &Object<'_>> = BTreeMap::new();
        for required in object.binary.facts.versions.iter().filter(|required| !required.weak) {
            let is_named = |holder: &&Object<'_>| holder.names.contains(&required.library);
            // What is not there was told already.
            let Some(holder) = objects.iter().chain([loader]).find(is_named) else { continue };
            let offered = &holder.binary.facts.offers;
            // A library without versions is warned of, and used.
            if !offered.is_empty() && !offered.contains(&required.version) {
                missing.entry(&required.library).or_default().push(&required.version);
                holders.insert(&required.library, holder);
            }
        }
        for (library, mut versions) in missing {
            versions.sort_by_key(|version| numbers(version));
            let (Some(version), Some(holder)) = (versions.last(), holders.get(library)) else { continue };
            let symbols = object.binary.symbols.as_ref();
            problems.push(Problem::NoVersion {
                by: object.path.clone(),
                version: (*version).to_owned(),
                symbol: symbols.and_then(|symbols| symbols.example(version)).map(str::to_owned),
                library: library.to_owned(),
                path: holder.path.clone(),
                highest: highest_of_kind(version, &holder.binary.facts),
                glibc: glibc.clone().filter(|_| version.starts_with("GLIBC_")),
            });
        }
    }
    problems
}

/// What a version is called before its numbers, and these: `GLIBC_` and 2, 34.
fn numbers(version: &str) -> (&str, Vec<u32>) {
    let start = version.find(|letter: char| letter.is_ascii_digit()).unwrap_or(version.len());
    let (kind, numbers) = version.split_at(start);
    (kind, numbers.split('.').map(|number| number.parse().unwrap_or(0)).collect())
}

fn highest_of_kind(version: &str, facts: &ElfFacts) -> Option<String> {
    let (kind, _) = numbers(version);
    let alike = facts.offers.iter().filter(|offered| {
        let (offered, numbers) = numbers(offered);
        offered == kind && numbers != [0]
    });
    alike.max_by_key(|offered| numbers(offered).1).cloned()
}

/// Whether a loader is for the machine of a program.
pub(super) fn loader_fits(loader: &ElfFacts, program: &ElfFacts) -> bool {
    same_machine(loader, program)
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(numbers("GLIBC_2.34") > numbers("GLIBC_2.4"));
        assert!(numbers("GLIBCXX_3.4.30") > numbers("GLIBCXX_3.4.9"));
        assert_eq!(numbers("GLIBC_PRIVATE"), ("GLIBC_PRIVATE", vec![0]));
    }
}
