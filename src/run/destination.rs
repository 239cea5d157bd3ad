//! Whether what a plan makes can go where it is to go: said before anything is compiled.

use std::path::Path;

use crate::output_spec::Output;
use crate::plan::Plan;
use crate::reference::Reference;
use crate::sink;

use super::error::Error;
use super::settings::Settings;

/// Holds the place of a file to a folder that is there: it is made whole beside its place, then moved.
///
/// # Errors
/// When the folder does not exist.
pub fn parent(directory: &Path, file: &Path) -> Result<(), Error> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if directory.join(folder).is_dir() {
        return Ok(());
    }
    Err(Error::NoFolder { path: file.to_owned(), folder: folder.to_owned() })
}

/// Holds a plan to its output. `references` are the names of each image, `directory` is the folder we are in.
///
/// # Errors
/// When a push has no name, several images have one place, several platforms one manifest, or something else than a
/// layout is where one is to be.
pub fn check(
    directory: &Path,
    settings: &Settings,
    output: &Output,
    plan: &Plan,
    references: &[Vec<Reference>],
) -> Result<(), Error> {
    let images = &plan.images;
    if *output == Output::Registry && references.iter().any(Vec::is_empty) {
        return Err(Error::NoTag);
    }
    if images.len() > 1 && matches!(output, Output::Archive(_) | Output::Folder(_) | Output::Stdout) {
        let images = images.iter().map(|image| image.name.clone()).collect();
        return Err(Error::OnePlace { images, tables: !settings.file.image.is_empty() });
    }
    match output {
        Output::Folder(folder) => sink::layout::check(&directory.join(folder))?,
        Output::Default => {
            let out = settings.own_folder().join("out");
            images.iter().try_for_each(|image| sink::layout::check(&out.join(&image.name)))?;
        }
        Output::Archive(_) | Output::Stdout | Output::Registry => {}
    }
    if !settings.single_manifest() {
        return Ok(());
    }
    for image in images {
        if image.units.len() != 1 {
            return Err(Error::SingleManifest { image: image.name.clone(), platforms: image.units.len() });
        }
        if let Some(annotation) = image.settings.annotations.only_in_index() {
            return Err(Error::NoIndex { annotation: annotation.to_owned() });
        }
    }
    Ok(())
}
