//! The sources of an index become its parts: what they hold, of the platforms that are wanted.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::base::{BaseError, Bases, Role as Subjects, Subject, Whole};
use crate::base_name::BaseName;
use crate::index::Part;
use crate::manifest::Role;
use crate::manifest_tool::Source;
use crate::named_platform::NamedPlatform;
use crate::platform::Platform;
use crate::run::copy::Destination;
use crate::run::error::Error;
use crate::run::event::Event;
use crate::run::held::{self, Held};
use crate::run::image_name;
use crate::run::session::Session;

use super::Read;

/// How many sources are read at once.
const READS: usize = 4;

/// Reads every source, in their order.
///
/// # Errors
/// When one cannot be read, or holds no image of a wanted platform.
pub(super) async fn read(
    session: &Session,
    bases: &Bases,
    sources: &[Source],
    platforms: &[Platform],
) -> Result<Vec<Read>, Error> {
    let reads = stream::iter(sources).map(|source| one(session, bases, source, platforms)).buffered(READS);
    let read: Vec<Read> = reads.try_collect().await?;
    // Of several sources each may have some of the platforms.
    let offered: Vec<Platform> = read.iter().flat_map(|read| &read.held).filter_map(Held::known_platform).collect();
    if let Some(missing) = platforms.iter().find(|wanted| !offered.contains(wanted)) {
        let image = sources.iter().map(|source| source.image.as_str()).collect::<Vec<_>>().join("`, `");
        return Err(Error::NotInImage { image, platform: *missing, offered });
    }
    Ok(read.into_iter().map(|Read { whole, held }| Read { held: held::those_for(held, platforms), whole }).collect())
}

async fn one(session: &Session, bases: &Bases, source: &Source, platforms: &[Platform]) -> Result<Read, Error> {
    let name = image_name::of(&session.directory, &source.image)?;
    // All of it: which platforms it has is part of what goes wrong.
    let (whole, held) = held::read(bases, &name, platforms).await?;
    let subject = || Subject { role: Subjects::Image, name: name.to_string().into() };
    if !held.iter().any(|held| held.role == Role::Image) {
        return Err(BaseError::NoPlatform { base: subject() }.into());
    }
    let held = match &source.platform {
        Some(asked) => of_asked(held, asked),
        None => held,
    };
    Ok(Read { whole, held })
}

/// The image that is meant by a platform that the user names, with what is said about it. Where several may be meant, the
/// one that says just that; where none may, all, so that the contradiction is said.
fn of_asked(held: Vec<Held>, asked: &NamedPlatform) -> Vec<Held> {
    let images = || held.iter().filter(|held| held.role == Role::Image);
    let may_be = |image: &&Held| image.platform().is_none_or(|platform| !platform.contradicts(asked));
    let fits: Vec<_> = images().filter(may_be).collect();
    let exact = fits.iter().find(|image| image.platform().is_some_and(|platform| platform.is_same(asked)));
    let chosen: Vec<_> = match (exact, fits.as_slice()) {
        (Some(exact), _) => vec![exact.digest()],
        (None, []) => images().map(Held::digest).collect(),
        (None, fits) => fits.iter().map(|image| image.digest()).collect(),
    };
    held::about(held, &chosen)
}

/// What is there already, for others to be added to; none where there is nothing of the name.
///
/// # Errors
/// When it cannot be found out.
pub(super) async fn standing(
    session: &Session,
    bases: &Bases,
    destination: &Destination,
) -> Result<Option<Read>, Error> {
    let name = match destination {
        Destination::Registry(reference) => BaseName::Registry(reference.clone()),
        Destination::Layout { folder, tag } => BaseName::Layout { folder: folder.clone(), tag: Some(tag.clone()) },
    };
    match held::read(bases, &name, &[]).await {
        Ok((whole, held)) => Ok(Some(Read { whole, held })),
        Err(Error::Base(error)) if is_absent(&error) => {
            session
                .watch
                .event(Event::Note(format!("there is no `{destination}` yet: it is made of the sources alone")));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// True where it is certain that there is no such image.
fn is_absent(error: &BaseError) -> bool {
    match error {
        BaseError::NoLayout { .. } | BaseError::NoImage { .. } => true,
        BaseError::Registry { source, .. } => source.status() == Some(404),
        _ => false,
    }
}

/// Something that a source holds, as it goes into an index.
pub(super) fn part(whole: &Whole, held: &Held, asked: Option<&NamedPlatform>, stands: bool) -> Part {
    Part {
        source: whole.name.to_string(),
        // What a layout calls it is for that layout alone.
        entry: if whole.top.contains(&held.entry) { held.entry.without_name() } else { held.entry.clone() },
        role: held.role.clone(),
        configured: held.configured.clone(),
        asked: asked.filter(|_| held.role == Role::Image).cloned(),
        stands,
    }
}
