//! The bases that a project's configuration names get to a registry of one's own, and the lines of configuration that have
//! builds read them there.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::Bases;
use crate::base_name::BaseName;
use crate::config::template::Scope;
use crate::reference::{Reference, Repository};
use crate::registry_map::{Mirror, Prefix, RegistryMap, RegistrySettings};
use crate::run::error::Error;
use crate::run::event::Event;
use crate::run::flags::Flags;
use crate::run::locate::locate;
use crate::run::prepare::read_config;
use crate::run::push::PUSH_JOBS;
use crate::run::registries;
use crate::run::session::Session;
use crate::run::settings::Settings;

use super::{Copied, Destination, Goal, Run, choice};

/// What is to be mirrored where.
#[derive(Debug, Clone, Default)]
pub struct Mirroring {
    /// a registry, or a path of one, below which the bases go
    pub prefix: String,
    /// registries that may speak http
    pub insecure_registries: Vec<String>,
    /// how many requests may be open at once there
    pub push_jobs: Option<usize>,
}

/// Bases that are where they should be.
#[derive(Debug, Clone)]
pub struct Mirrored {
    /// each base, in the order of their names
    pub copies: Vec<Copied>,
    /// what has to be said of registries, by their keys in the configuration, so that builds read those copies
    pub tables: BTreeMap<Prefix, RegistrySettings>,
}

/// Copies every base in a registry that the project of the folder we are in names, whole: the digests stay.
///
/// # Errors
/// When there is no project, its configuration cannot be read, or a base cannot be read or is not taken.
pub async fn mirror(session: &Session, mirroring: &Mirroring) -> Result<Mirrored, Error> {
    let prefix: Prefix = mirroring.prefix.parse().map_err(|source| {
        let text = mirroring.prefix.clone();
        Error::MirrorName { text, source }
    })?;
    if session.offline {
        return Err(Error::OfflineCopy);
    }
    let location = locate(&session.directory, ".")?;
    let file = read_config(&session.directory, &location)?;
    let flags = Flags { insecure_registries: mirroring.insecure_registries.clone(), ..Flags::default() };
    let settings = Settings::new(location.root, file, flags, session.children.clone(), session.epoch.as_deref())?;
    let map = registries::map_of_project(session, &settings)?;
    let client = registries::of_project(session, &settings)?;
    let bases = Bases::new(session.store.clone(), client.clone());
    let jobs = mirroring.push_jobs.unwrap_or(PUSH_JOBS);
    let run = Run { session, client: &client, bases: &bases, jobs };
    let mut mirrored = Mirrored { copies: Vec::new(), tables: BTreeMap::new() };
    for reference in in_registries(session, &settings)? {
        let (key, place) = place_of(&map, &prefix, &reference.repository)?;
        if reference.repository == place {
            // A configuration that names the copies themselves.
            continue;
        }
        let source = BaseName::Registry(reference.clone());
        let choice = choice::choose(session, &bases, &source, &[], false).await?;
        let destination = Goal::Open(Destination::Registry(Reference { repository: place, ..reference }));
        let destination = run.bring(&choice, destination).await?;
        let settings = table(&map, &prefix, &key);
        mirrored.tables.insert(key, settings);
        mirrored.copies.push(Copied { source, destination, of: choice.of(), top: choice.top.descriptor });
    }
    if mirroring.insecure_registries.contains(&prefix.registry) && !mirrored.copies.is_empty() {
        let key = Prefix::of_registry(&prefix.registry);
        mirrored.tables.entry(key).or_default().insecure = Some(true);
    }
    Ok(mirrored)
}

/// The bases of all images that are in registries, each once. Those with a digest come first: where another base has the
/// same tag without one, the tag is that one's in the end.
fn in_registries(session: &Session, settings: &Settings) -> Result<Vec<Reference>, Error> {
    let (mut references, mut others) = (BTreeSet::new(), BTreeSet::new());
    let whole = settings.file.image_keys();
    let tables = settings.file.image.iter().map(|entry| {
        let table = entry.get_ref();
        let scope = Scope { image: Some(table.name.get_ref().0.clone()), ..Scope::default() };
        (table.over(&whole), scope)
    });
    let mut images: Vec<_> = tables.collect();
    if images.is_empty() {
        images.push((whole.clone(), Scope::default()));
    }
    for (keys, scope) in &images {
        for base in settings.bases(keys, scope)? {
            match base {
                BaseName::Registry(reference) => drop(references.insert(reference)),
                other => drop(others.insert(other)),
            }
        }
    }
    for other in others {
        let note = format!("the base `{other}` is in no registry, and is not copied");
        session.watch.event(Event::Note(note));
    }
    let (pinned, open): (Vec<_>, Vec<_>) = references.into_iter().partition(|base: &Reference| base.digest.is_some());
    Ok(pinned.into_iter().chain(open).collect())
}

/// The key that a repository's mirrors are said under, and where its copy goes so that they lead there.
fn place_of(map: &RegistryMap, prefix: &Prefix, repository: &Repository) -> Result<(Prefix, Repository), Error> {
    let key = map.key_of(repository).cloned().unwrap_or_else(|| Prefix::of_registry(&repository.registry));
    let place = below(prefix, &repository.registry).join(&repository.path);
    let text = || format!("{}/{}", below(prefix, &repository.registry), repository.path);
    // Checked as a name that is typed: together they may be too long.
    let place = place.ok_or_else(text).and_then(|place| place.to_string().parse().map_err(|_| text()));
    place.map(|place| (key, place)).map_err(|text| Error::MirrorPlace { text })
}

/// The place for copies of a registry's images: each registry has its own, for two may have images of one name.
fn below(prefix: &Prefix, registry: &str) -> Prefix {
    // Ports and addresses of IPv6 are written with what no path has.
    let words = registry.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.' && letter != '-');
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let own = words.join("-");
    let path = if prefix.path.is_empty() { own } else { format!("{}/{own}", prefix.path) };
    Prefix { registry: prefix.registry.clone(), path }
}

/// What is said of a key from now on: our copies come before other mirrors.
fn table(map: &RegistryMap, prefix: &Prefix, key: &Prefix) -> RegistrySettings {
    let mut place = below(prefix, &key.registry);
    if !key.path.is_empty() {
        place.path = format!("{}/{}", place.path, key.path);
    }
    let ours = Mirror { place, plain_http: None };
    let before = map.of(key).and_then(|settings| settings.mirrors.clone()).unwrap_or_default();
    let others = before.into_iter().filter(|mirror| mirror.place != ours.place);
    RegistrySettings {
        mirrors: Some(std::iter::once(ours.clone()).chain(others).collect()),
        ..RegistrySettings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_lead_to_where_copies_are() {
        let mut map = RegistryMap::default();
        let one = |mirrors: &[&str]| RegistrySettings {
            mirrors: Some(mirrors.iter().map(|mirror| mirror.parse().unwrap()).collect()),
            ..RegistrySettings::default()
        };
        let before = [("quay.io", one(&["http://other.lan"])), ("ghcr.io/org", one(&[]))];
        map.overlay(before.map(|(key, settings)| (key.parse().unwrap(), settings)).into());
        for (prefix, name, place, key, mirrors) in [
            ("m.lan:5000", "debian", "m.lan:5000/docker.io/library/debian", "docker.io", &["m.lan:5000/docker.io"][..]),
            (
                "m.lan/hub",
                "quay.io/a/b",
                "m.lan/hub/quay.io/a/b",
                "quay.io",
                &["m.lan/hub/quay.io", "http://other.lan"],
            ),
            ("m.lan", "ghcr.io/org/a", "m.lan/ghcr.io/org/a", "ghcr.io/org", &["m.lan/ghcr.io/org"]),
            ("m.lan", "[::1]:5000/a", "m.lan/1-5000/a", "[::1]:5000", &["m.lan/1-5000"]),
            ("m.lan", "localhost:5000/a", "m.lan/localhost-5000/a", "localhost:5000", &["m.lan/localhost-5000"]),
        ] {
            let (prefix, repository) = (prefix.parse().unwrap(), name.parse().unwrap());
            let (found, there) = place_of(&map, &prefix, &repository).unwrap();
            assert_eq!((found.to_string(), there.to_string()), (key.to_owned(), place.to_owned()));
            let settings = table(&map, &prefix, &found);
            let written: Vec<String> = settings.mirrors.iter().flatten().map(ToString::to_string).collect();
            assert_eq!(written, mirrors, "{name}");
            let mut after = map.clone();
            after.overlay([(found, settings)].into());
            assert_eq!(after.mirrors_of(&repository).first().map(ToString::to_string).as_deref(), Some(place));
        }
        let long: Repository = format!("a.lan/{}", "x".repeat(250)).parse().unwrap();
        assert!(place_of(&map, &"m.lan/hub".parse().unwrap(), &long).is_err());
    }
}
