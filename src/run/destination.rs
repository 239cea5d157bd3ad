//! Whether what a plan makes can go where it is to go: said before anything is compiled.

use std::path::Path;

use crate::output_spec::Output;
use crate::plan::Plan;
use crate::reference::Reference;

use super::error::Error;

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

/// Holds a plan to its output. `references` are the names of each image.
///
/// # Errors
/// When a push has no name, several images have one place, or several platforms one manifest.
pub fn check(output: &Output, single_manifest: bool, plan: &Plan, references: &[Vec<Reference>]) -> Result<(), Error> {
    let images = &plan.images;
    if *output == Output::Registry && references.iter().any(Vec::is_empty) {
        return Err(Error::NoTag);
    }
    if images.len() > 1 && matches!(output, Output::Archive(_) | Output::Folder(_) | Output::Stdout) {
        return Err(Error::OnePlace { images: images.iter().map(|image| image.name.clone()).collect() });
    }
    match images.iter().find(|image| image.units.len() != 1) {
        Some(image) if single_manifest => {
            Err(Error::SingleManifest { image: image.name.clone(), platforms: image.units.len() })
        }
        _ => Ok(()),
    }
}
