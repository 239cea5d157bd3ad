//! Whether what a plan makes can go where it is to go: said before anything is compiled.

use std::io::{self, IsTerminal as _};
use std::path::Path;

use crate::host;
use crate::output_spec::Destination::{File, Stdout};
use crate::output_spec::Output;
use crate::plan::Plan;
use crate::sink;

use super::error::Error;
use super::locate;
use super::outlets::Outlet;
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

/// Holds a plan to its outputs. `directory` is the folder we are in.
///
/// # Errors
/// When a push has no name, several images have one place, several platforms one manifest, something else than a
/// layout is where one is to be, or stdout cannot be filled.
pub fn check(directory: &Path, settings: &Settings, outlets: &[Outlet], plan: &Plan) -> Result<(), Error> {
    outlets.iter().try_for_each(|outlet| check_outlet(directory, settings, outlet, plan))?;
    let by_digest = Output::Registry { by_digest: true };
    if settings.flags.results.is_some() && !outlets.iter().any(|outlet| outlet.output == by_digest) {
        return Err(Error::NoResult);
    }
    if !settings.single_manifest() {
        return Ok(());
    }
    for image in &plan.images {
        if image.units.len() != 1 {
            return Err(Error::SingleManifest { image: image.name.clone(), platforms: image.units.len() });
        }
        if let Some(annotation) = image.settings.annotations.only_in_index() {
            return Err(Error::NoIndex { annotation: annotation.to_owned() });
        }
    }
    Ok(())
}

fn check_outlet(directory: &Path, settings: &Settings, outlet: &Outlet, plan: &Plan) -> Result<(), Error> {
    let (Outlet { output, names }, images) = (outlet, &plan.images);
    if output.is_registry() && names.iter().any(Vec::is_empty) {
        return Err(Error::NoTag);
    }
    if let Some(shard) = settings.flags.shard
        && matches!(output, Output::Registry { by_digest: false })
    {
        return Err(Error::TagsOfPart { shard });
    }
    if images.len() > 1 && output.is_one_place() {
        let images = images.iter().map(|image| image.name.clone()).collect();
        return Err(Error::OnePlace { images, tables: !settings.file.image.is_empty() });
    }
    if output.is_docker()
        && let Some(image) = images.iter().find(|image| image.units.len() > 1)
    {
        let (image, platforms) = (image.name.clone(), image.units.len());
        return Err(Error::SeveralPlatforms { image, platforms, host: host::platform()?.to_string() });
    }
    if output.is_stdout() && settings.flags.carries_out {
        if settings.flags.json {
            return Err(Error::JsonOnStdout);
        }
        if io::stdout().is_terminal() {
            return Err(Error::Terminal);
        }
    }
    match output {
        Output::Folder(folder) => sink::layout::check(&directory.join(folder))?,
        Output::Default => {
            let out = locate::layouts_folder(&settings.root);
            images.iter().try_for_each(|image| sink::layout::check(&out.join(&image.name)))?;
        }
        Output::Files { folder, .. } => sink::files::check(&directory.join(folder))?,
        Output::Archive(File(file))
        | Output::DockerArchive(File(file))
        | Output::FilesArchive { destination: File(file), .. } => sink::archive::check(&directory.join(file))?,
        Output::Archive(Stdout)
        | Output::DockerArchive(Stdout)
        | Output::FilesArchive { destination: Stdout, .. }
        | Output::Daemon
        | Output::Registry { .. } => {}
    }
    Ok(())
}
