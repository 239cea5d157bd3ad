//! Whether what a plan makes can go where it is to go: said before anything is compiled.

use crate::output_spec::Output;
use crate::plan::Plan;
use crate::reference::Reference;

use super::error::Error;

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
