//! What one of several machines makes of a project, and the file that says what it made.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::blob::Descriptor;
use crate::config::template::Scope;
use crate::image::{self, Image};
use crate::output_spec::Output;
use crate::part::{ImagePart, Part, PartIndex};
use crate::platform::Platform;
use crate::sink::Bundle;
use crate::store;

use super::error::Error;
use super::event::Event;
use super::images::Group;
use super::outlets::Outlet;
use super::prepare::{Preparation, Prepared};
use super::session::Session;

/// How deep results lie in the folder that they were gathered in: pipelines unpack what each machine handed over into a
/// folder of its own.
const DEEPEST: usize = 3;
/// The longest result that is read, in bytes.
const LONGEST: u64 = 4 << 20;

/// The platforms that all machines together make, and those of this one.
pub(super) type Asked = (Vec<Platform>, Vec<Platform>);

impl Preparation<'_> {
    /// The images of which this machine makes a platform, with the platforms.
    ///
    /// # Errors
    /// When the platforms of an image cannot be found out.
    pub(super) async fn own_part(
        &mut self,
        session: &Session,
        groups: Vec<Group>,
    ) -> Result<(Vec<Group>, Vec<Asked>), Error> {
        let (mut own_groups, mut asked) = (Vec::with_capacity(groups.len()), Vec::with_capacity(groups.len()));
        for group in groups {
            let scope = Scope { image: Some(group.name.clone()), ..Scope::default() };
            let all = self.platforms(&group, &scope).await?;
            let own = self.settings.flags.shard.map_or_else(|| all.clone(), |shard| shard.of(&all));
            match self.settings.flags.shard {
                Some(shard) if own.is_empty() => {
                    let note =
                        format!("the shard {shard} has no platform of `{}`, which has {}", group.name, all.len());
                    session.watch.event(Event::Note(note));
                }
                _ => {
                    own_groups.push(group);
                    asked.push((all, own));
                }
            }
        }
        Ok((own_groups, asked))
    }
}

/// What was made, where it was pushed by digest alone: for whoever puts the parts of all machines together.
///
/// # Errors
/// Never: what is published is an index.
pub(super) fn of(prepared: &Prepared, bundles: &[Bundle]) -> Result<Option<Part>, Error> {
    let by_digest = Output::Registry { by_digest: true };
    let outlets: Vec<&Outlet> = prepared.outlets.iter().filter(|outlet| outlet.output == by_digest).collect();
    if outlets.is_empty() {
        return Ok(None);
    }
    let mut images = Vec::with_capacity(bundles.len());
    for (position, (bundle, plan)) in bundles.iter().zip(&prepared.plan.images).enumerate() {
        let alone: Vec<Descriptor> = bundle.images.iter().map(Image::descriptor).collect();
        let index = bundle.index.clone().unwrap_or_else(|| image::index(&alone, plan.settings.annotations.of_index()));
        let skipped = prepared.plan.skipped.iter().filter(|missing| missing.image == plan.name);
        images.push(ImagePart {
            name: plan.name.clone(),
            references: outlets.iter().flat_map(|outlet| outlet.names[position].clone()).collect(),
            platforms: prepared.platforms[position].clone(),
            left_out: skipped.map(|missing| missing.platform).collect(),
            index: PartIndex::read(&index).map_err(|_| Error::Thread)?,
        });
    }
    Ok(Some(Part::new(prepared.settings.flags.shard, images)))
}

/// Where results go.
pub(super) fn folder(session: &Session, prepared: &Prepared) -> PathBuf {
    let given = prepared.settings.flags.results.as_ref().map(|folder| session.directory.join(folder));
    given.unwrap_or_else(|| prepared.settings.own_folder().join("results"))
}

/// Writes what was made into `folder`, beside the results of others; the file.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(folder: &Path, part: &Part) -> Result<PathBuf, Error> {
    let path = folder.join(part.file_name());
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut fresh = store::beside(&path)?;
        fresh.write_all(&part.to_bytes())?;
        fresh.persist(&path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|source| Error::Write { path: path.clone(), source })?;
    Ok(path)
}

/// Reads the results that are in `folder` and in folders in there, in the order of their names.
///
/// # Errors
/// When one cannot be read, or is something else.
pub fn read(folder: &Path) -> Result<Vec<(String, Part)>, Error> {
    let mut files = Vec::new();
    find(folder, DEEPEST, &mut files)?;
    files.sort();
    let mut parts = Vec::with_capacity(files.len());
    for path in files {
        let unread = |source| Error::Read { path: path.clone(), source };
        let mut bytes = Vec::new();
        let file = fs::File::open(&path).map_err(unread)?;
        std::io::Read::read_to_end(&mut std::io::Read::take(file, LONGEST), &mut bytes).map_err(unread)?;
        let shown = path.display().to_string();
        let part = Part::read(&shown, &bytes)?;
        parts.push((shown, part));
    }
    Ok(parts)
}

/// The JSON files of a folder.
fn find(folder: &Path, deep: usize, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let unread = |source| Error::Read { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(unread)? {
        let entry = entry.map_err(unread)?;
        let path = entry.path();
        if entry.file_type().map_err(unread)?.is_dir() {
            if deep > 1 {
                find(&path, deep - 1, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    Ok(())
}
