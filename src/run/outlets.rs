//! Where images go and what they are called there: each output with the names of each image of the plan.

use crate::config::template::Scope;
use crate::output_spec::Output;
use crate::reference::Reference;
use crate::registry;

use super::detect::Kind;
use super::error::Error;
use super::images::{self, Group};
use super::settings::{Name, OutputChoice, Settings};

/// An output of a run, and what each image of the plan is called there.
#[derive(Clone, Debug)]
pub struct Outlet {
    /// where the images go
    pub output: Output,
    /// the names of each image, in the order of the plan
    pub names: Vec<Vec<Reference>>,
}

/// What templates of an image know.
pub(super) fn scope_of(group: &Group) -> Scope {
    let first_rust = group.programs.iter().find_map(|program| match &program.kind {
        Kind::Rust(binary) => Some(binary.version.clone()),
        _ => None,
    });
    Scope { image: Some(group.name.clone()), cargo_version: first_rust, ..Scope::default() }
}

/// The outputs of a run, with the names of its images there.
///
/// # Errors
/// When a name is none, two images have one, or docker is to have an image that has none.
pub(super) fn of(
    settings: &Settings,
    client: &registry::Client,
    outputs: Vec<OutputChoice>,
    groups: &[Group],
) -> Result<Vec<Outlet>, Error> {
    let mut tags: Vec<(String, Vec<Name>)> = groups.iter().map(|group| (group.name.clone(), Vec::new())).collect();
    let mut outlets = Vec::with_capacity(outputs.len());
    for choice in outputs {
        let mut names = Vec::with_capacity(groups.len());
        for (group, (_, tags)) in groups.iter().zip(&mut tags) {
            let mut references = settings.references(&group.keys, group.below, &choice, &scope_of(group))?;
            if choice.spec.output.is_registry() {
                // What is pushed goes where the name leads: two names may lead to one place.
                for Name { reference, .. } in &mut references {
                    reference.repository = client.location_of(&reference.repository);
                }
            }
            if choice.spec.output.is_docker() && references.is_empty() {
                references.push(own_name(group, &choice)?);
            }
            names.push(references.iter().map(|name| name.reference.clone()).collect());
            // Any number of images may be in one repository by their digests.
            if choice.spec.output != (Output::Registry { by_digest: true }) {
                tags.append(&mut references);
            }
        }
        outlets.push(Outlet { output: choice.spec.output, names });
    }
    images::distinct(&tags)?;
    Ok(outlets)
}

/// What docker calls an image that nobody gave a name: as the project calls it, as its layout is called.
fn own_name(group: &Group, choice: &OutputChoice) -> Result<Name, Error> {
    let reference: Reference = group.name.parse().map_err(|_| Error::NoDockerName { image: group.name.clone() })?;
    Ok(Name { reference, origin: choice.origin.clone() })
}
