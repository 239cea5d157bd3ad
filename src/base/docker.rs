//! An archive of `docker save`, `podman save` or skopeo becomes the files of an image layout: one that has an `index.json`
//! is a layout already; of an older one, what its `manifest.json` says of config and layers becomes a manifest, and its
//! members become blobs where they lie.
//! <https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md#combined-image-json--filesystem-changeset-format>

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::Deserialize;
use serde_json::{Value, json};

use super::documents::parse;
use super::error::{BaseError, Subject};
use super::files::{Member, all_members, blob, section};
use super::{LONGEST_DOCUMENT, MOST_LAYERS};
use crate::blob::{
    CONTAINERD_NAME, Descriptor, Digest, Hasher, MEDIA_TYPE_CONFIG, MEDIA_TYPE_LAYER, MEDIA_TYPE_LAYER_GZIP,
    MEDIA_TYPE_LAYER_ZSTD, MEDIA_TYPE_MANIFEST, canonical_json,
};
use crate::image_tag::TagChoice;
use crate::reference::Reference;
use crate::wanted::Wanted;

/// How many links may lead from one to the next: docker wrote one, to a layer that another image has, too.
const LINKS: usize = 8;
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// An image of an older archive as a layout.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DockerFiles {
    archive: PathBuf,
    /// index, manifest and config, by their paths in the layout
    documents: BTreeMap<String, Vec<u8>>,
    /// where in the archive a layer begins, and its length, by its path in the layout
    layers: BTreeMap<String, (u64, u64)>,
}

/// What an archive is.
pub(super) enum Archived {
    /// a layout in a tar
    Layout,
    /// an archive that docker made before it knew of layouts
    Docker(DockerFiles),
}

/// An image, as `manifest.json` describes it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl DockerFiles {
    /// Opens the file at `path`, which is relative to the layout.
    ///
    /// # Errors
    /// When there is none, or it cannot be opened.
    pub(super) fn open(&self, path: &str) -> io::Result<Box<dyn Read + Send>> {
        if let Some(bytes) = self.documents.get(path) {
            return Ok(Box::new(Cursor::new(bytes.clone())));
        }
        let missing =
            || io::Error::new(io::ErrorKind::NotFound, format!("`{}` has no file `{path}`", self.archive.display()));
        let &(start, size) = self.layers.get(path).ok_or_else(missing)?;
        Ok(Box::new(section(&self.archive, start, size)?))
    }
}

/// Looks into the archive `file`, and takes the image `name` out of an older one. Layers that are compressed are read
/// once, for only then it is known what they are called; as long as that is `wanted`.
///
/// # Errors
/// When it is no archive of docker's, cannot be read, or does not say which image is meant.
pub(super) fn open(base: &Subject, file: &Path, name: Option<&str>, wanted: &Wanted) -> Result<Archived, BaseError> {
    let read = |source| BaseError::Read { base: base.clone(), source };
    let members = all_members(file).map_err(|error| compressed(base, file).unwrap_or_else(|| read(error)))?;
    let reader = Reader { base, file, members, wanted };
    if reader.members.contains_key("index.json") {
        return Ok(Archived::Layout);
    }
    if !reader.members.contains_key("manifest.json") {
        return Err(reader.not_docker());
    }
    let bytes = reader.document("manifest.json")?;
    let saved: Vec<Saved> = parse(base, "manifest.json", &Digest::of(&bytes), &bytes)?;
    let chosen = choose(base, &saved, name)?;
    reader.image(chosen, name).map(Archived::Docker)
}

/// Whether a file is an archive of docker's that is no layout.
pub(super) fn is_older(file: &Path) -> bool {
    all_members(file).is_ok_and(|members| !members.contains_key("index.json") && members.contains_key("manifest.json"))
}

/// The image that `name` names, which may be left out where there is one.
fn choose<'saved>(base: &Subject, saved: &'saved [Saved], name: Option<&str>) -> Result<&'saved Saved, BaseError> {
    let names = |saved: &'saved Saved| saved.repo_tags.as_deref().unwrap_or_default();
    let all = || {
        let mut all: Vec<String> = Vec::new();
        for (position, image) in saved.iter().enumerate() {
            match names(image) {
                [] => all.push(format!("@{position}")),
                several => all.extend(several.iter().cloned()),
            }
        }
        all
    };
    let Some(name) = name else {
        return match saved {
            [only] => Ok(only),
            [] => Err(BaseError::NoPlatform { base: base.clone() }),
            _ => Err(BaseError::SeveralImages { base: base.clone(), tags: all() }),
        };
    };
    let choice = TagChoice::of(name);
    let at = name.strip_prefix('@').and_then(|position| position.parse::<usize>().ok());
    let exactly = saved.iter().find(|image| names(image).iter().any(|tag| choice.is_exactly(tag)));
    let mut by_tag = saved.iter().filter(|image| names(image).iter().any(|tag| choice.has_tag(tag)));
    match (at.and_then(|at| saved.get(at)).or(exactly), by_tag.next(), by_tag.next()) {
        (Some(image), ..) | (None, Some(image), None) => Ok(image),
        (None, None, _) => Err(BaseError::NoImage { base: base.clone(), tag: name.to_owned(), tags: all() }),
        (None, Some(_), Some(_)) => Err(BaseError::SeveralImages { base: base.clone(), tags: all() }),
    }
}

/// Reads an archive whose members are known.
struct Reader<'read> {
    base: &'read Subject,
    file: &'read Path,
    members: BTreeMap<String, Member>,
    wanted: &'read Wanted,
}

impl Reader<'_> {
    fn not_docker(&self) -> BaseError {
        BaseError::NoImageInArchive { base: self.base.clone(), file: self.file.to_owned() }
    }

    fn read_error(&self, source: io::Error) -> BaseError {
        BaseError::Read { base: self.base.clone(), source }
    }

    /// Where a member begins, and its length; links lead to it.
    fn place(&self, path: &str) -> Result<(u64, u64), BaseError> {
        let mut path = path.to_owned();
        for _ in 0..LINKS {
            match self.members.get(&path) {
                Some(Member::File { start, size }) => return Ok((*start, *size)),
                Some(Member::HardLink(target)) => path = joined("", target),
                Some(Member::Symlink(target)) => path = joined(&path, target),
                None => break,
            }
        }
        let words = format!("`{}` has no file `{path}`", self.file.display());
        Err(self.read_error(io::Error::new(io::ErrorKind::NotFound, words)))
    }

    fn document(&self, path: &str) -> Result<Vec<u8>, BaseError> {
        let (start, size) = self.place(path)?;
        let mut bytes = Vec::new();
        if size > LONGEST_DOCUMENT {
            let words = format!("`{path}` in `{}` has {size} bytes", self.file.display());
            return Err(self.read_error(io::Error::new(io::ErrorKind::InvalidData, words)));
        }
        let mut file = section(self.file, start, size).map_err(|error| self.read_error(error))?;
        file.read_to_end(&mut bytes).map_err(|error| self.read_error(error))?;
        Ok(bytes)
    }

    /// The image as a layout, called as it was chosen.
    fn image(&self, saved: &Saved, chosen: Option<&str>) -> Result<DockerFiles, BaseError> {
        if saved.layers.len() > MOST_LAYERS {
            return Err(BaseError::TooMany { base: self.base.clone(), what: "layers", most: MOST_LAYERS });
        }
        let config = self.document(&saved.config)?;
        let value: Value = parse(self.base, "config", &Digest::of(&config), &config)?;
        let diff_ids = value.pointer("/rootfs/diff_ids").and_then(Value::as_array);
        let diff_ids: Vec<Option<Digest>> =
            diff_ids.into_iter().flatten().map(|id| id.as_str().and_then(|id| id.parse().ok())).collect();
        if diff_ids.len() != saved.layers.len() {
            let (diff_ids, layers) = (diff_ids.len(), saved.layers.len());
            return Err(BaseError::DockerLayers { base: self.base.clone(), diff_ids, layers });
        }
        let (mut layers, mut places) = (Vec::with_capacity(diff_ids.len()), BTreeMap::new());
        for (path, diff_id) in saved.layers.iter().zip(diff_ids) {
            let place = self.place(path)?;
            let layer = self.layer(place, path, diff_id).map_err(|error| self.read_error(error))?;
            places.insert(blob(&layer.digest), place);
            layers.push(layer);
        }
        let described = Descriptor::of(MEDIA_TYPE_CONFIG, &config);
        let manifest = canonical_json(&json!({
            "schemaVersion": 2, "mediaType": MEDIA_TYPE_MANIFEST, "config": described, "layers": layers,
        }));
        let top = Descriptor::of(MEDIA_TYPE_MANIFEST, &manifest);
        let mut entry = top.clone();
        let names = saved.repo_tags.iter().flatten();
        let full = names.filter_map(|name| name.parse::<Reference>().ok()).find(|name| {
            chosen.is_none_or(|chosen| {
                let (choice, name) = (TagChoice::of(chosen), name.to_string());
                choice.is_exactly(&name) || choice.has_tag(&name)
            })
        });
        entry.annotations.extend(full.map(|full| (CONTAINERD_NAME.to_owned(), full.to_string())));
        let index = canonical_json(&json!({"schemaVersion": 2, "manifests": [entry]}));
        let documents = BTreeMap::from([
            ("index.json".to_owned(), index),
            (blob(&described.digest), config),
            (blob(&top.digest), manifest),
        ]);
        Ok(DockerFiles { archive: self.file.to_owned(), documents, layers: places })
    }

    /// What a layer is called: one that is not compressed by its diff ID, which whoever reads it holds it to.
    fn layer(&self, (start, size): (u64, u64), path: &str, diff_id: Option<Digest>) -> io::Result<Descriptor> {
        let mut reader = section(self.file, start, size)?;
        let mut beginning = Vec::with_capacity(4);
        reader.by_ref().take(4).read_to_end(&mut beginning)?;
        let media_type = if beginning.starts_with(GZIP) {
            MEDIA_TYPE_LAYER_GZIP
        } else if beginning.starts_with(ZSTD) {
            MEDIA_TYPE_LAYER_ZSTD
        } else {
            MEDIA_TYPE_LAYER
        };
        let said = match media_type {
            MEDIA_TYPE_LAYER => diff_id,
            // Newer ones call them so.
            _ => path.strip_prefix("blobs/sha256/").and_then(|hex| format!("sha256:{hex}").parse().ok()),
        };
        let digest = if let Some(digest) = said {
            digest
        } else {
            let mut hasher = Hasher::default();
            let mut whole = self.wanted.only(Cursor::new(beginning).chain(reader));
            io::copy(&mut whole, &mut hasher)?;
            hasher.finish().0
        };
        Ok(Descriptor::new(media_type, digest, size))
    }
}

/// Where a link at `path` leads that names `target`: never out of the archive.
fn joined(path: &str, target: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The error for an archive that is compressed as a whole, which cannot be read from the middle.
pub(super) fn compressed(base: &Subject, file: &Path) -> Option<BaseError> {
    let mut beginning = Vec::with_capacity(4);
    fs::File::open(file).and_then(|file| file.take(4).read_to_end(&mut beginning)).ok()?;
    let by = [(GZIP, "gzip"), (ZSTD, "zstd")].into_iter().find(|(magic, _)| beginning.starts_with(magic))?.1;
    Some(BaseError::Compressed { base: base.clone(), file: file.to_owned(), by })
}

#[cfg(test)]
mod tests;
