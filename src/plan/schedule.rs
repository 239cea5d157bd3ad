//! Groups what has to be compiled into as few compiler calls as share their settings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::c_program::{self, Site};
use crate::cargo::{CargoJob, Machine, Target};
use crate::command_program;
use crate::golang::{self, Cgo, Compiler, GoPackage, GoSettings};
use crate::invocation::{Joins, Step};
use crate::platform::Platform;
use crate::sysroot::Sysroot;
use crate::toolchain::{Language, Libc, Toolchain, Toolchains};

use super::{Context, Job, Plan, PlanError, RustProgram, Source};

/// A program that some job has to make.
pub(super) struct Pending {
    pub(super) image: usize,
    pub(super) unit: usize,
    pub(super) program: usize,
    pub(super) platform: Platform,
    pub(super) name: String,
    pub(super) source: Source,
    pub(super) toolchain: Toolchain,
    /// the toolchain of its C, where that is another
    pub(super) c: Option<Toolchain>,
    /// names of other toolchains that would do
    pub(super) alternatives: Vec<String>,
}

/// Groups pending programs into compiler calls and enters them into the plan.
pub(super) fn schedule(
    plan: &mut Plan,
    pending: &[Pending],
    build: &Path,
    context: &Context<'_>,
    toolchains: &Toolchains,
) -> Result<(), PlanError> {
    distinct_names(pending)?;
    distinct_outputs(pending)?;
    let mut by_platform: BTreeMap<Platform, Vec<&Pending>> = BTreeMap::new();
    let mut order = Vec::new();
    for program in pending.iter().filter(|program| matches!(program.source, Source::Go { .. })) {
        if !by_platform.contains_key(&program.platform) {
            order.push(program.platform);
        }
        by_platform.entry(program.platform).or_default().push(program);
    }
    for platform in order {
        schedule_go(plan, platform, &by_platform[&platform], build, context);
    }
    schedule_alone(plan, pending, build, context, toolchains);
    if let Some(machine) = &context.machine {
        schedule_rust(plan, pending, machine, context.environment);
    }
    Ok(())
}

/// How a program is linked on a platform: the libc, the row and the sysroot that were asked for.
type Way = (Platform, Option<Libc>, Option<String>, Option<Sysroot>);

/// Programs that share settings are built for all their targets by one call; what differs is left to [`CargoJob::split`].
fn schedule_rust(
    plan: &mut Plan,
    pending: &[Pending],
    machine: &Machine,
    environment: &dyn Fn(&str) -> Option<String>,
) {
    // A call makes all its programs for all its targets, so what is for other platforms, in another image, is another, and
    // so is what is linked otherwise on one of them.
    let ways = |wanted: &RustProgram| -> Vec<Way> {
        let mut ways = Vec::new();
        for program in pending {
            if let Source::Rust(rust) = &program.source
                && rust.binary == wanted.binary
            {
                let way = (program.platform, rust.libc, rust.row.clone(), rust.sysroot.clone());
                if !ways.contains(&way) {
                    ways.push(way);
                }
            }
        }
        ways.sort_by_key(|way| way.0);
        ways
    };
    let mut groups: Vec<Vec<(&Pending, &RustProgram)>> = Vec::new();
    for program in pending {
        let Source::Rust(rust) = &program.source else { continue };
        let shares = |first: &RustProgram| first.shares_call_with(rust) && ways(first) == ways(rust);
        match groups.iter_mut().find(|group| shares(group[0].1)) {
            Some(group) => group.push((program, rust)),
            None => groups.push(vec![(program, rust)]),
        }
    }
    let mut built: Vec<(PathBuf, Target)> = Vec::new();
    for group in groups {
        let mut whole = group[0].1.job();
        for (program, rust) in &group {
            if !whole.binaries.contains(&rust.binary) {
                whole.binaries.push(rust.binary.clone());
            }
            whole.sources.extend(
                rust.sources.iter().filter(|source| !whole.sources.contains(source)).cloned().collect::<Vec<_>>(),
            );
            let target = Target::new(program.platform, program.toolchain.clone(), rust.c.is_some(), rust.flags.clone());
            let target = target.map(|target| Target { sysroot: rust.sysroot.clone(), ..target });
            match (target, whole.targets.iter_mut().find(|target| target.platform == program.platform)) {
                (Some(target), None) => whole.targets.push(target),
                // One target compiles C as soon as one of its programs has some.
                (Some(target), Some(there)) if target.c && !there.c => *there = target,
                _ => {}
            }
        }
        let machine = machine.with(whole.build_std.as_deref());
        for mut job in whole.split(&machine) {
            // One target that is linked in two ways has a folder for each.
            let (folder, targets) = (job.build_directory(), job.targets.clone());
            let differs = |known: &(PathBuf, Target)| {
                let other = |target: &Target| target.triple == known.1.triple && !target.links_as(&known.1);
                known.0 == folder && targets.iter().any(other)
            };
            if built.iter().any(differs) {
                let own = group[0].0.name.clone();
                job.folder = Some(job.folder.map_or_else(|| own.clone(), |folder| format!("{folder}-{own}")));
            }
            built.extend(job.targets.iter().map(|target| (job.build_directory(), target.clone())));
            enter_rust(plan, &group, &job, &machine, environment);
        }
    }
}

fn enter_rust(
    plan: &mut Plan,
    group: &[(&Pending, &RustProgram)],
    job: &CargoJob,
    machine: &Machine,
    environment: &dyn Fn(&str) -> Option<String>,
) {
    let position = plan.jobs.len();
    let folder = job.build_directory();
    let mut invocation = job.invocation(machine, environment);
    let (mut outputs, mut tools, mut alternatives) = (Vec::new(), Vec::new(), Vec::new());
    for (program, rust) in group {
        let Some(target) = job.targets.iter().find(|target| target.platform == program.platform) else { continue };
        let binary = folder.join(&target.triple).join(rust.profile_folder()).join(&rust.binary.name);
        let planned = &mut plan.images[program.image].units[program.unit].programs[program.program];
        planned.binary.clone_from(&binary);
        planned.job = Some(position);
        outputs.push(binary);
        tools.extend(target.toolchain.tools.clone());
        alternatives.extend(program.alternatives.clone());
        invocation.env.extend(rust.env.clone());
    }
    outputs.sort();
    outputs.dedup();
    tools.sort();
    tools.dedup();
    alternatives.sort();
    alternatives.dedup();
    plan.jobs.push(Job {
        language: Language::Rust,
        platforms: job.targets.iter().map(|target| target.platform).collect(),
        setup: Vec::new(),
        steps: vec![Step::new(invocation, Joins::Jobserver)],
        outputs,
        tools,
        build_tools: Vec::new(),
        targets: job.targets.iter().map(|target| target.triple.clone()).collect(),
        needs_libraries: job.build_std.is_none(),
        alternatives,
        build_directory: Some(folder),
    });
}

/// C programs and those of commands are built one by one, each in a folder of its own.
fn schedule_alone(plan: &mut Plan, pending: &[Pending], build: &Path, context: &Context<'_>, toolchains: &Toolchains) {
    let mut known: BTreeMap<(Platform, &str), usize> = BTreeMap::new();
    for program in pending {
        let folder = build.join(program.platform.as_folder()).join(&program.name);
        let site = Site {
            platform: program.platform,
            toolchain: &program.toolchain,
            folder: &folder,
            found: context.found,
            environment: context.environment,
        };
        let recipe = match &program.source {
            Source::C(c) => c_program::recipe(c, &site),
            Source::Command(command) => command_program::recipe(command, &site),
            Source::Go { .. } | Source::Rust(_) | Source::Prebuilt { .. } => continue,
        };
        let planned = &mut plan.images[program.image].units[program.unit].programs[program.program];
        planned.binary.clone_from(&recipe.output);
        planned.installed.clone_from(&recipe.installed);
        let job = *known.entry((program.platform, &program.name)).or_insert(plan.jobs.len());
        planned.job = Some(job);
        if job < plan.jobs.len() {
            continue;
        }
        // A command that compiles no C needs no C compiler; one that does is told so by the script in its place.
        let needs_compiler = matches!(program.source, Source::C(_));
        let tools = if needs_compiler { program.toolchain.tools.clone() } else { Vec::new() };
        let build_tools = recipe.tools.iter().filter_map(|name| toolchains.tool(name, program.platform)).collect();
        plan.jobs.push(Job {
            language: program.source.language(),
            platforms: vec![program.platform],
            setup: recipe.setup,
            steps: recipe.steps,
            outputs: vec![recipe.output],
            tools,
            build_tools,
            targets: Vec::new(),
            needs_libraries: false,
            alternatives: program.alternatives.clone(),
            build_directory: None,
        });
    }
}

/// A Go program, as the go command needs to know it.
struct GoProgram<'plan> {
    name: &'plan str,
    package: &'plan GoPackage,
    settings: &'plan GoSettings,
    pending: &'plan Pending,
}

fn schedule_go(plan: &mut Plan, platform: Platform, programs: &[&Pending], build: &Path, context: &Context<'_>) {
    // The same program in two images is compiled once.
    let mut distinct: Vec<GoProgram<'_>> = Vec::new();
    for pending in programs {
        if let Source::Go { package, settings } = &pending.source
            && !distinct.iter().any(|other| other.name == pending.name)
        {
            distinct.push(GoProgram { name: &pending.name, package, settings, pending });
        }
    }
    let named: Vec<_> = distinct.iter().map(|program| (program.name, program.package, program.settings)).collect();
    let folder = build.join(platform.as_folder());
    for batch in golang::batches(&named) {
        let packages: Vec<&GoPackage> = batch.iter().map(|position| named[*position].1).collect();
        let output = match batch.as_slice() {
            [only] => folder.join(named[*only].0).display().to_string(),
            _ => format!("{}/", folder.display()),
        };
        let first = &distinct[batch[0]];
        let mut invocation = golang::build_invocation(&packages, first.settings, &first.pending.toolchain.env, &output);
        let mut tools = first.pending.toolchain.tools.clone();
        let mut setup = Vec::new();
        if let (Some(c), Some(cgo)) = (&first.pending.c, &first.settings.cgo) {
            let compiler = go_compiler(cgo, c, first, &folder, context);
            invocation.env.extend(compiler.env);
            setup = compiler.setup;
            tools.extend(c.tools.clone());
        }
        let files: Vec<&str> = batch.iter().map(|position| named[*position].0).collect();
        let job = plan.jobs.len();
        for program in programs.iter().filter(|program| files.contains(&program.name.as_str())) {
            plan.images[program.image].units[program.unit].programs[program.program].job = Some(job);
        }
        plan.jobs.push(Job {
            language: Language::Go,
            platforms: vec![platform],
            setup,
            steps: vec![Step::new(invocation, Joins::AtStart)],
            outputs: files.iter().map(|name| folder.join(name)).collect(),
            tools,
            build_tools: Vec::new(),
            targets: Vec::new(),
            needs_libraries: false,
            alternatives: first.pending.alternatives.clone(),
            build_directory: None,
        });
    }
}

/// What Go is told of the C compiler. Its scripts lie in a folder that its name tells apart from others.
fn go_compiler(cgo: &Cgo, c: &Toolchain, program: &GoProgram<'_>, folder: &Path, context: &Context<'_>) -> Compiler {
    let toolchain = golang::named(c, &cgo.settings);
    let prefix = toolchain.c.as_ref().map_or_else(String::new, |compiler| compiler.prefix.clone());
    let site = Site {
        platform: program.pending.platform,
        toolchain: &toolchain,
        folder: &folder.join(".cgo").join(prefix),
        found: context.found,
        environment: context.environment,
    };
    golang::compiler(cgo, &site)
}

/// Binaries are found by platform and name, so one name may not stand for two programs.
fn distinct_names(pending: &[Pending]) -> Result<(), PlanError> {
    let mut seen: BTreeMap<(Platform, &str), &Pending> = BTreeMap::new();
    for program in pending {
        let Some(first) = seen.insert((program.platform, &program.name), program) else { continue };
        let same = match (&first.source, &program.source) {
            (Source::Go { package, settings }, Source::Go { package: other, settings: theirs }) => {
                package == other && settings == theirs
            }
            (Source::Rust(one), Source::Rust(other)) => one == other,
            (Source::C(one), Source::C(other)) => one == other,
            (Source::Command(one), Source::Command(other)) => one == other,
            _ => false,
        };
        if !same {
            let (first, second) = (first.source.origin(), program.source.origin());
            if first == second {
                return Err(PlanError::TwoWays { name: program.name.clone() });
            }
            return Err(PlanError::SameName { name: program.name.clone(), first, second });
        }
    }
    Ok(())
}

/// What a command makes for one platform must not be taken for another's.
fn distinct_outputs(pending: &[Pending]) -> Result<(), PlanError> {
    let mut seen: BTreeMap<&Path, Platform> = BTreeMap::new();
    for program in pending {
        let Source::Command(command) = &program.source else { continue };
        let Some(output) = command.output.as_deref() else { continue };
        match seen.insert(output, program.platform) {
            Some(first) if first != program.platform => {
                return Err(PlanError::SameOutput {
                    name: program.name.clone(),
                    output: output.to_owned(),
                    first,
                    second: program.platform,
                });
            }
            _ => {}
        }
    }
    Ok(())
}
