//! A unit whose binaries are there becomes an image: each binary is checked against its platform, put into a layer
//! of its own (made and listed once, then found again), and laid on the base.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use fs_err as fs;
use rayon::prelude::*;

use crate::base_name::is_on_disk;
use crate::blob::{Descriptor, MEDIA_TYPE_LAYER_GZIP};
use crate::elf::{self, ElfFacts, Linkage};
use crate::image::{self, Image, OwnLayer};
use crate::layer::{LayerError, Recipe, Uncompressed};
use crate::layer_entry::{Contents, Entry, EntryKind};
use crate::listing::{Limits, Listing, ReadSeek};
use crate::plan::{ImagePlan, PlannedProgram, Unit};
use crate::platform::Platform;
use crate::store::{OWN_LAYER, Store};
use crate::toolchain::Language;

use super::error::Error;
use super::installed;
use super::listings;
use super::settings::Times;
use super::unchanged::{BUFFER, Unchanged};

/// Turns a unit into an image. CPU work only: called on a thread of rayon's.
///
/// # Errors
/// When a binary does not fit its platform, or a layer cannot be made.
pub fn unit(store: &Store, plan: &ImagePlan, unit: &Unit, times: &Times) -> Result<(Image, u64), Error> {
    let mut files = Unchanged::default();
    unit.programs.iter().try_for_each(|program| check(program, unit, &mut files))?;
    let mut contents: Vec<(Vec<Entry>, String)> = Vec::new();
    if !plan.files.is_empty() {
        contents.push((plan.files.clone(), "anyarch files".to_owned()));
    }
    for program in &unit.programs {
        let entries = match &program.installed {
            Some(root) => installed::entries(program, root, unit.platform, &mut files)?,
            None => vec![program_entry(program)?],
        };
        contents.push((entries, format!("anyarch {}", program.name)));
    }
    distinct(plan, &contents)?;
    if unit.base.digest.is_none() {
        add_parents(&mut contents);
    }
    let layers: Vec<OwnLayer> = contents
        .into_par_iter()
        .map(|(entries, created_by)| {
            let whose = format!("{} {}", created_by.trim_start_matches("anyarch "), unit.platform);
            let recipe = Recipe::of(&entries, times.mtime, &|path: &Path| files.digest(path))?;
            own_layer(store, &entries, &recipe, created_by, &whose)
        })
        .collect::<Result<_, _>>()?;
    let mut annotations = BTreeMap::new();
    if let Some(digest) = unit.base.index.or(unit.base.digest) {
        annotations.insert("org.opencontainers.image.base.digest".to_owned(), digest.to_string());
        // A folder's path is nobody else's business, and would make the digest depend on it.
        if !is_on_disk(&unit.base.name) {
            annotations.insert("org.opencontainers.image.base.name".to_owned(), unit.base.name.clone());
        }
    }
    let size = layers.iter().map(|layer| layer.descriptor.size).sum();
    let image =
        image::assemble(&unit.base.image, unit.platform, &plan.settings, &layers, &times.created, &annotations)?;
    Ok((image, size))
}

/// What projects install is known only now: nothing may be at the place of something else.
fn distinct(plan: &ImagePlan, contents: &[(Vec<Entry>, String)]) -> Result<(), Error> {
    let mut seen: BTreeMap<&str, (&EntryKind, &str)> = BTreeMap::new();
    for (entries, by) in contents {
        for entry in entries {
            let Some((kind, other)) = seen.insert(&entry.path, (&entry.kind, by)) else { continue };
            if *kind != EntryKind::Directory || entry.kind != EntryKind::Directory {
                let (first, second) = (other.to_owned(), by.clone());
                return Err(Error::InstalledTwice {
                    image: plan.name.clone(),
                    path: entry.path.clone(),
                    first,
                    second,
                });
            }
        }
    }
    Ok(())
}

fn check(program: &PlannedProgram, unit: &Unit, files: &mut Unchanged) -> Result<(), Error> {
    let path = &program.binary;
    let file = files.open(path).map_err(|source| Error::Read { path: path.clone(), source })?;
    let (name, platform) = (program.name.clone(), unit.platform);
    let facts = ElfFacts::read(file).map_err(|source| Error::NoProgram {
        program: name.clone(),
        platform,
        source: Box::new(source),
    })?;
    fits(program, name, path, &facts, platform)
}

/// Holds the binary at `path`, which people know as `name`, to the platform and to the plan of its program.
pub(super) fn fits(
    program: &PlannedProgram,
    name: String,
    path: &Path,
    facts: &ElfFacts,
    platform: Platform,
) -> Result<(), Error> {
    elf::check(facts, platform).map_err(|source| Error::Unfit {
        program: name.clone(),
        platform,
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    let was_to_be_static = program.toolchain.as_ref().is_some_and(|toolchain| toolchain.static_binary);
    // Makefiles have flags of their own, and Go links as its C asks for.
    let may_differ = matches!(program.language, Language::C | Language::Go);
    if may_differ && was_to_be_static && facts.linkage == Linkage::Dynamic {
        return Err(Error::NotStatic { program: name, platform });
    }
    Ok(())
}

fn program_entry(program: &PlannedProgram) -> Result<Entry, Error> {
    let path = program.binary.clone();
    let size = fs::metadata(&path).map_err(|source| Error::Read { path: path.clone(), source })?.len();
    Ok(Entry {
        path: program.destination.trim_start_matches('/').to_owned(),
        mode: 0o755,
        uid: 0,
        gid: 0,
        kind: EntryKind::File(Contents::Path { path, size }),
    })
}

/// On a base that has no folders of its own, or only a few, the parents of what we add are written once, in the first
/// layer that needs them. On any other base they must not be: `bin/` would replace a link of a merged /usr.
fn add_parents(contents: &mut [(Vec<Entry>, String)]) {
    let mut written: BTreeSet<String> = BTreeSet::new();
    for (entries, _) in contents {
        let mut parents = BTreeSet::new();
        for entry in entries.iter() {
            let ancestors = Path::new(&entry.path).ancestors().skip(1).map(|ancestor| ancestor.display().to_string());
            parents.extend(ancestors.filter(|ancestor| !ancestor.is_empty()));
        }
        for parent in parents {
            if written.insert(parent.clone()) {
                let mode = if parent == "tmp" { 0o1777 } else { 0o755 };
                entries.push(Entry { path: parent, mode, uid: 0, gid: 0, kind: EntryKind::Directory });
            }
        }
    }
}

/// Makes a layer, or finds it again; the record of one that is made says `whose` it is.
fn own_layer(
    store: &Store,
    entries: &[Entry],
    recipe: &Recipe<'_>,
    created_by: String,
    whose: &str,
) -> Result<OwnLayer, Error> {
    let known: Option<(Descriptor, Uncompressed, String)> = store.record(OWN_LAYER, recipe.key());
    if let Some((descriptor, inside, _)) =
        known.filter(|(descriptor, ..)| store.has(&descriptor.digest, descriptor.size))
    {
        return Ok(OwnLayer { descriptor, diff_id: inside.diff_id, created_by });
    }
    let (listed, listing) = listing(entries);
    let mut blob = store.writer()?;
    let open = |path: &Path| -> io::Result<Box<dyn Read>> {
        Ok(Box::new(BufReader::with_capacity(BUFFER, fs::File::open(path)?)))
    };
    let inside = recipe.write(&open, &mut blob).map_err(|error| match error {
        LayerError::Write(error) => Error::Store(store.failed(error)),
        other => Error::Layer(other),
    })?;
    let (digest, size) = blob.finish()?;
    let descriptor = Descriptor::new(MEDIA_TYPE_LAYER_GZIP, digest, size);
    store.set_record(OWN_LAYER, recipe.key(), &(&descriptor, inside, whose))?;
    // One that cannot be made of the files, or of other ones by now, is made of the layer by who wants it.
    if let Some(listing) = listing.filter(|_| listed.holds()) {
        listings::keep(store, &descriptor.digest, &listing)?;
    }
    Ok(OwnLayer { descriptor, diff_id: inside.diff_id, created_by })
}

/// What a layer of `entries` holds, and the files that this was read of.
fn listing(entries: &[Entry]) -> (Unchanged, Option<Listing>) {
    let files = RefCell::new(Unchanged::default());
    let open = |path: &Path| -> io::Result<Box<dyn ReadSeek>> {
        Ok(Box::new(BufReader::with_capacity(BUFFER, files.borrow_mut().open(path)?)))
    };
    let size = entries.iter().map(|entry| match &entry.kind {
        EntryKind::File(contents) => contents.size(),
        EntryKind::Directory | EntryKind::Symlink(_) => 0,
    });
    let listing = Listing::of_entries(entries, &Limits::of(size.sum()), &open).ok();
    (files.into_inner(), listing)
}

/// The binaries of a unit that compilers have yet to make.
#[must_use]
pub fn awaited(unit: &Unit) -> BTreeSet<PathBuf> {
    unit.programs.iter().filter(|program| program.job.is_some()).map(|program| program.binary.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_of_a_file_that_was_replaced_meanwhile_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("store")).unwrap();
        let path = folder.path().join("app");
        std::fs::write(&path, "old").unwrap();
        let kind = EntryKind::File(Contents::Path { path: path.clone(), size: 3 });
        let entries = [Entry { path: "app".to_owned(), mode: 0o755, uid: 0, gid: 0, kind }];
        let recipe = || Recipe::of(&entries, 0, &|path: &Path| Unchanged::default().digest(path)).unwrap();
        let layer = |recipe: &Recipe<'_>| own_layer(&store, &entries, recipe, "test".to_owned(), "app");
        let files = |below: &str| std::fs::read_dir(store.root().join(below)).unwrap().count();

        let of_old = recipe();
        std::fs::write(&path, "new").unwrap();
        let error = layer(&of_old).unwrap_err();
        assert!(matches!(error, Error::Layer(LayerError::Changed { path: changed }) if changed == path));
        assert_eq!((files("blobs/sha256"), files("records"), files("tmp")), (0, 0, 0));

        let new = layer(&recipe()).unwrap().descriptor;
        std::fs::write(&path, "old").unwrap();
        let old = layer(&of_old).unwrap().descriptor;
        assert_ne!(old.digest, new.digest);
        assert_eq!(files("blobs/sha256"), 2);
    }
}
