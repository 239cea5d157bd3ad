//! The programs of a run become images: those of the configuration's `[[image]]` tables; else one that programs share,
//! or one a program.

use std::collections::BTreeMap;

use crate::base_name::BaseName;
use crate::config::error::nearest;
use crate::config::{ConfigError, ImageFile, ImageKeys, Origin};
use crate::platform::Platform;
use crate::toolchain::{Language, Toolchains};

use super::detect::{Program, Programs};
use super::error::Error;
use super::event::Event;
use super::session::Session;
use super::settings::{Below, Name, Settings};

/// An image that is to be made.
pub(super) struct Group {
    /// its name
    pub(super) name: String,
    /// what goes into it, in the order of the layers
    pub(super) programs: Vec<Program>,
    /// what is said of it
    pub(super) keys: ImageKeys,
    /// whether it is named below a reference that is said for several
    pub(super) below: Below,
    /// its table in the configuration file, if it has one
    pub(super) table: Option<usize>,
}

/// The images of a run: all of them, or those that `--image` chooses.
///
/// # Errors
/// When there is none of a name, an image names a program that there is not, or nothing goes into one.
pub(super) fn groups(session: &Session, settings: &Settings, programs: Programs) -> Result<Vec<Group>, Error> {
    let file = &settings.file;
    let mut groups = match file.image.first() {
        Some(first) if programs.whole_project => {
            if settings.flags.one_image {
                return Err(Error::OneImage { place: file.source.place_of(first) });
            }
            of_tables(settings, &programs.programs)?
        }
        first => {
            if let Some(first) = first {
                let place = file.source.place_of(first);
                session.watch.event(Event::Note(format!(
                    "the images of {place} and below are left aside: the command line names programs"
                )));
            }
            of_programs(settings, programs)
        }
    };
    choose(&settings.flags.images, &mut groups)?;
    // What the command line says once is said for all that it chose.
    let several = groups.len() > 1;
    for group in &mut groups {
        group.below.flags = several;
    }
    Ok(groups)
}

/// Programs of the configuration file make one image; several that were named on the command line one each.
fn of_programs(settings: &Settings, Programs { programs, configured, .. }: Programs) -> Vec<Group> {
    let keys = settings.file.image_keys();
    if programs.len() == 1 || settings.one_image(configured) {
        let name = programs.first().map(|program| program.name.clone()).unwrap_or_default();
        return vec![Group { name, programs, keys, below: Below::default(), table: None }];
    }
    let alone = |program: Program| Group {
        name: program.name.clone(),
        programs: vec![program],
        keys: keys.clone(),
        below: Below { file: true, ..Below::default() },
        table: None,
    };
    programs.into_iter().map(alone).collect()
}

fn of_tables(settings: &Settings, programs: &[Program]) -> Result<Vec<Group>, Error> {
    let file = &settings.file;
    let whole = file.image_keys();
    let several = file.image.len() > 1;
    let mut groups = Vec::with_capacity(file.image.len());
    for (position, entry) in file.image.iter().enumerate() {
        let table = entry.get_ref();
        let own_reference = table.tags.is_some() || table.repository.is_some();
        let group = Group {
            name: table.name.get_ref().0.clone(),
            programs: chosen_programs(settings, table, programs)?,
            keys: table.over(&whole),
            below: Below { file: several && !own_reference, ..Below::default() },
            table: Some(position),
        };
        if group.programs.is_empty() && group.keys.file.is_empty() {
            return Err(ConfigError::EmptyImage { name: group.name, place: file.source.place_of(entry) }.into());
        }
        groups.push(group);
    }
    Ok(groups)
}

/// The programs that a table names, in its order; all when it names none.
fn chosen_programs(settings: &Settings, table: &ImageFile, programs: &[Program]) -> Result<Vec<Program>, Error> {
    let Some(names) = &table.programs else { return Ok(programs.to_vec()) };
    let mut chosen = Vec::with_capacity(names.get_ref().len());
    for name in names.get_ref().iter() {
        let program = programs.iter().find(|program| program.name == name.get_ref().0);
        let program = program.ok_or_else(|| ConfigError::UnknownProgram {
            image: table.name.get_ref().0.clone(),
            program: name.get_ref().0.clone(),
            place: settings.file.source.place_of(name),
            known: programs.iter().map(|program| program.name.clone()).collect(),
        })?;
        chosen.push(program.clone());
    }
    Ok(chosen)
}

/// Leaves only the images that `wanted` names, if it names any.
fn choose(wanted: &[String], groups: &mut Vec<Group>) -> Result<(), Error> {
    if let Some(unknown) = wanted.iter().find(|name| !groups.iter().any(|group| group.name == **name)) {
        let known: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
        let nearest = nearest(unknown, &known).map(str::to_owned);
        return Err(Error::UnknownImage { name: unknown.clone(), known, nearest });
    }
    if !wanted.is_empty() {
        groups.retain(|group| wanted.contains(&group.name));
    }
    Ok(())
}

/// Holds images to have names of their own: in layouts each is a folder, in a registry one would replace the other.
///
/// # Errors
/// When two have one name, or one reference.
pub(super) fn distinct(groups: &[(String, Vec<Name>)]) -> Result<(), Error> {
    let mut references: BTreeMap<String, (&str, &Origin)> = BTreeMap::new();
    for (position, (name, names)) in groups.iter().enumerate() {
        if groups[..position].iter().any(|(other, _)| other == name) {
            return Err(Error::SameImage { name: name.clone() });
        }
        for Name { reference, origin } in names {
            let reference = format!("{}:{}", reference.repository, reference.tag_or_latest());
            if let Some((first, first_origin)) = references.get(&reference).filter(|(first, _)| first != name) {
                let (first, second) = (format!("`{first}` ({first_origin})"), format!("`{name}` ({origin})"));
                return Err(Error::SameReference { reference, first, second });
            }
            references.insert(reference, (name, origin));
        }
    }
    Ok(())
}

/// Says which platforms have another base than the one that was named last: a base for one platform is said on purpose
/// for that platform, so neither a flag nor an image's own base undoes it.
pub(super) fn note_special_bases(
    session: &Session,
    settings: &Settings,
    group: &Group,
    bases: &BTreeMap<Platform, BaseName>,
) {
    let table = group.table.map(|table| settings.file.image[table].get_ref());
    let named = match (&settings.flags.base, table.and_then(|table| table.base.as_ref())) {
        (Some(flag), _) => format!("`--base {flag}`"),
        (None, Some(base)) => format!("`base` in {}", settings.file.source.place_of(base)),
        (None, None) => return,
    };
    for (platform, base) in bases {
        let Some(special) = group.keys.bases.0.get(platform) else { continue };
        let of_image = table.is_some_and(|table| table.bases.0.contains_key(platform));
        if settings.flags.base.is_some() || !of_image {
            let place = settings.file.source.place_of(special);
            session.watch.event(Event::Note(format!(
                "{platform} of `{}` goes on `{base}`, as `bases` says in {place}, and not on what {named} says",
                group.name
            )));
        }
    }
}

/// Holds a program's `toolchain` to the rows of its language.
///
/// # Errors
/// When there is none of that name.
pub(super) fn known_row(
    settings: &Settings,
    toolchains: &Toolchains,
    language: Language,
    row: Option<&toml::Spanned<String>>,
) -> Result<(), Error> {
    let Some(row) = row else { return Ok(()) };
    toolchains
        .named(language, row.get_ref())
        .map_err(|source| Error::Row { place: settings.file.source.place_of(row), source })
}
