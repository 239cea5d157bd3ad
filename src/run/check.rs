//! What stands in the way of a plan is said before anything is compiled, and so is what the plan chose by itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::host;
use crate::plan::Plan;
use crate::platform::Platform;

use super::error::Error;
use super::event::Event;
use super::session::Session;
use super::settings::Settings;

/// A base that cannot be built on is said before anything is compiled.
pub(super) fn bases(settings: &Settings, plan: &Plan) -> Result<(), Error> {
    for unit in plan.images.iter().flat_map(|image| &image.units) {
        unit.base.image.check(settings.ignore_onbuild()).map_err(|source| Error::BaseImage {
            base: unit.base.name.clone(),
            platform: unit.platform,
            source,
        })?;
    }
    Ok(())
}

/// Tells of what was chosen and of what was left out.
pub(super) fn choices(session: &Session, plan: &Plan) {
    let mut notes = BTreeSet::new();
    for unit in plan.images.iter().flat_map(|image| &image.units) {
        notes.extend(unit.base.note.clone());
        let triggers = unit.base.image.triggers();
        if !triggers.is_empty() {
            let (base, triggers) = (&unit.base.name, triggers.join("; "));
            notes.insert(format!("the build triggers of the base `{base}` are left out: {triggers}"));
        }
        if unit.base.image.has_zstd_layers() {
            notes.insert(format!(
                "the base `{}` has zstd layers, which older Docker and umoci cannot read",
                unit.base.name
            ));
        }
    }
    notes.extend(
        plan.skipped
            .iter()
            .map(|missing| format!("left out {} of `{}`: {}", missing.platform, missing.image, missing.reason)),
    );
    if !plan.undecided.is_empty() {
        let left = "how programs with the libc of their base are built is left open where that was not read yet";
        notes.insert(format!("{left}: --resolve reads it"));
    }
    for note in notes {
        session.watch.event(Event::Note(note));
    }
}

/// Looks for the tools and the Rust targets of a plan.
pub(super) fn machine(session: &Session, settings: &Settings, plan: &Plan) -> Result<(), Error> {
    let mut wanted: BTreeMap<&crate::toolchain::Tool, (BTreeSet<Platform>, BTreeSet<String>)> = BTreeMap::new();
    for job in &plan.jobs {
        for tool in &job.tools {
            let entry = wanted.entry(tool).or_default();
            entry.0.extend(&job.platforms);
            entry.1.extend(job.alternatives.clone());
        }
        // Another toolchain would need these too.
        for tool in &job.build_tools {
            wanted.entry(tool).or_default().0.extend(&job.platforms);
        }
    }
    for undecided in &plan.undecided {
        for tool in &undecided.tools {
            let entry = wanted.entry(tool).or_default();
            entry.0.insert(undecided.platform);
            entry.1.extend(undecided.alternatives.clone());
        }
    }
    for (tool, (platforms, alternatives)) in wanted {
        let platforms: Vec<Platform> = platforms.into_iter().collect();
        let alternatives: Vec<String> = alternatives.into_iter().collect();
        host::require(tool, &platforms, &alternatives)?;
    }
    let precompiled = plan.jobs.iter().filter(|job| job.needs_libraries);
    let targets = precompiled.flat_map(|job| job.targets.clone()).collect();
    host::require_targets(&session.children, &settings.root, &targets)?;
    Ok(())
}
