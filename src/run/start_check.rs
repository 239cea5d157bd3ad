//! What a unit became is judged before anything of it is published, as `anyarch verify` judges what others published; the
//! layers of bases that this needs are listed while compilers run.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use fs_err as fs;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::blob::{Digest, canonical_json};
use crate::elf;
use crate::image::{self, Image};
use crate::layer_entry::{Contents, Entry, EntryKind};
use crate::listing::{self, Listing, ListingError};
use crate::plan::{ImagePlan, Plan, PlannedProgram, Unit};
use crate::platform::Os;
use crate::toolchain::Language;
use crate::verify::{Built, Judgement, Policy, Problem, StartConfig, Verdict, advice, judge_each};

use super::error::Error;
use super::layers::Layers;
use super::prepare::Prepared;
use super::renew;
use super::session::Session;
use super::verdicts::Verdicts;

/// The kind of the records that hold what was found out about images.
const RECORD: &str = "start-check";

/// What was found out about one platform of an image before it was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// whether it starts
    pub verdict: Verdict,
    /// where the program is that it starts
    pub program: Option<String>,
    /// what that is: `static`, `dynamic`, ...
    pub format: Option<String>,
    /// the libc that its loader brings: `glibc 2.36`
    pub libc: Option<String>,
    /// what a person should know
    pub findings: Vec<Finding>,
}

/// Something that a person should know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// what it means for the start
    pub verdict: Verdict,
    /// what it is
    pub text: String,
    /// ways out, the best first
    pub hints: Vec<String>,
}

/// Judges what a unit became, unless the same was judged before.
///
/// # Errors
/// When a layer that the answer depends on cannot be read.
pub(super) async fn check(
    session: &Session,
    prepared: &Prepared,
    plan: &ImagePlan,
    unit: &Unit,
    made: &Image,
) -> Result<Checked, Error> {
    let key = key(unit, made);
    if let Some(known) = session.store.record(RECORD, &key) {
        return Ok(known);
    }
    let mut renewed = false;
    let judgement = loop {
        match judged(prepared, plan, unit, made).await {
            Err(Error::Listing { of, layer, source }) if !matches!(*source, ListingError::Read(_)) => {
                let text = format!("the layer {layer} of the {of} {source}, so whether it starts is not known");
                break Err(Finding { verdict: Verdict::Unknown, text, hints: Vec::new() });
            }
            // What was damaged in the cache is whole again.
            Err(error) if !renewed && renew::renewed(session, prepared, &error).await? => renewed = true,
            judged => break Ok(judged?),
        }
    };
    let checked = match judgement {
        Ok(judgement) => Checked::of(&judgement, unit),
        Err(finding) => Checked::unknown(finding),
    };
    // What fails is looked at again: nobody waits for that, and its ways out are those of the project as it is then.
    if checked.verdict != Verdict::Fails {
        session.store.set_record(RECORD, &key, &checked)?;
    }
    Ok(checked)
}

/// What the answer depends on: the image, which of its files are programs of ours, and how they are judged.
fn key(unit: &Unit, made: &Image) -> Digest {
    let programs: Vec<&str> = unit.programs.iter().map(|program| program.destination.as_str()).collect();
    let how = (env!("CARGO_PKG_VERSION"), listing::FORMAT);
    Digest::of(&canonical_json(&(how, made.descriptor().digest, programs)))
}

async fn judged(prepared: &Prepared, plan: &ImagePlan, unit: &Unit, made: &Image) -> Result<Judgement, Error> {
    let config: Value = serde_json::from_slice(&made.config).unwrap_or_default();
    let mut own = Vec::new();
    for layer in made.layers.iter().skip(unit.base.image.layers.len()) {
        own.push(prepared.listings.of_own(layer).await?);
    }
    ask(prepared, plan, unit, &config, own).await
}

async fn ask(
    prepared: &Prepared,
    plan: &ImagePlan,
    unit: &Unit,
    config: &Value,
    own: Vec<Arc<Listing>>,
) -> Result<Judgement, Error> {
    let (platform, config) = (unit.platform, StartConfig::of(config));
    let programs: Vec<String> = unit.programs.iter().map(|program| program.destination.clone()).collect();
    let layers = Layers {
        image: plan.name.clone(),
        platform,
        base: prepared.base_names.get(&unit.base.name),
        of_base: unit.base.image.layers.clone(),
        own,
    };
    let question = move |tree: &crate::tree::Tree<'_>| judge_each(platform, &config, &programs, tree);
    Ok(layers.ask(&prepared.listings, question).await?.0)
}

impl Checked {
    fn of(judgement: &Judgement, unit: &Unit) -> Self {
        let programs: Vec<Built<'_>> = unit.programs.iter().map(built).collect();
        let finding = |problem: &Problem| Finding {
            verdict: problem.verdict(),
            text: problem.to_string(),
            hints: advice(problem, &programs, &unit.base.name),
        };
        Self {
            verdict: judgement.verdict(),
            program: judgement.program.clone(),
            format: judgement.format.map(|format| format.to_string()),
            libc: judgement.libc.clone(),
            findings: judgement.problems.iter().map(finding).collect(),
        }
    }

    fn unknown(finding: Finding) -> Self {
        Self { verdict: finding.verdict, program: None, format: None, libc: None, findings: vec![finding] }
    }
}

fn built(program: &PlannedProgram) -> Built<'_> {
    // Of two toolchains that for C links.
    let chosen = program.toolchain.as_ref().map(|chosen| chosen.compiler.as_deref().unwrap_or(chosen));
    Built {
        path: &program.destination,
        language: program.language,
        row: chosen.map(|chosen| chosen.name.as_str()),
        libc: chosen.and_then(|chosen| chosen.libc.as_deref()),
    }
}

/// What the plan alone says would not start, so that nobody waits for it: what is linked dynamically, by Rust, where there
/// is neither a loader nor a file that could be one. Of other languages their build files have a say in how they link.
pub(super) fn foreseen(plan: &Plan) -> Verdicts {
    let mut verdicts = Verdicts::default();
    for (image, of_image) in plan.images.iter().enumerate() {
        for (position, unit) in of_image.units.iter().enumerate() {
            let is_bare = unit.base.digest.is_none() && of_image.files.is_empty();
            let problems = unit.programs.iter().filter(|_| is_bare).filter_map(|program| {
                let dynamic = program.toolchain.as_ref().is_some_and(|toolchain| !toolchain.static_binary);
                let job = program.job.and_then(|job| plan.jobs.get(job))?;
                // The user's own flags may link statically all the same.
                let mut flags = job.steps.iter().flat_map(|step| step.invocation.env.values());
                let is_certain = !flags.any(|value| value.value().contains("crt-static"));
                let is_foreseen = program.language == Language::Rust && dynamic && is_certain;
                let interpreter = elf::loaders(unit.platform).filter(|_| is_foreseen)?.glibc.to_owned();
                let (program, platform) = (program.destination.clone(), unit.platform);
                Some(Problem::NoLoader { program, interpreter, other: None, platform })
            });
            let judgement = Judgement { problems: problems.collect(), ..Judgement::default() };
            verdicts.add(image, position, Checked::of(&judgement, unit));
        }
    }
    verdicts
}

/// Lists layers of bases while compilers run, where what they make will probably have to be held to them. What goes wrong
/// here comes to light where the answer is needed.
pub(super) fn ahead(prepared: &Arc<Prepared>) -> JoinSet<()> {
    let mut set = JoinSet::new();
    if prepared.settings.verify() == Policy::Off {
        return set;
    }
    for (image, plan) in prepared.plan.images.iter().enumerate() {
        for (position, unit) in plan.units.iter().enumerate() {
            let listed = unit.base.image.layers.iter().all(|layer| prepared.listings.has(&layer.digest));
            // What is there already is packed and judged at once.
            let compiled = unit.programs.iter().any(|program| program.job.is_some());
            if listed || !compiled || unit.platform.os() != Os::Linux {
                continue;
            }
            let prepared = prepared.clone();
            set.spawn(async move {
                let plan = &prepared.plan.images[image];
                let _ = look_ahead(&prepared, plan, &plan.units[position], &prepared.times[image].created).await;
            });
        }
    }
    set
}

async fn look_ahead(prepared: &Prepared, plan: &ImagePlan, unit: &Unit, created: &str) -> Result<(), Error> {
    let made = image::assemble(&unit.base.image, unit.platform, &plan.settings, &[], created, &BTreeMap::new())?;
    let config: Value = serde_json::from_slice(&made.config).unwrap_or_default();
    let is_dynamic =
        |program: &PlannedProgram| program.toolchain.as_ref().is_some_and(|toolchain| !toolchain.static_binary);
    if unit.programs.iter().any(is_dynamic) || starts_script(plan, &config) {
        // Libraries may be in any layer, and what hides them in any above.
        let Some(base) = prepared.base_names.get(&unit.base.name) else { return Ok(()) };
        for layer in unit.base.image.layers.iter().rev() {
            prepared.listings.of(base, unit.platform, layer).await?;
        }
        return Ok(());
    }
    // All else but what the programs are can be asked already.
    let program = |program: &PlannedProgram| Entry {
        path: program.destination.trim_start_matches('/').to_owned(),
        mode: 0o755,
        uid: 0,
        gid: 0,
        kind: EntryKind::File(Contents::Bytes(Vec::new().into())),
    };
    let entries: Vec<Entry> = plan.files.iter().cloned().chain(unit.programs.iter().map(program)).collect();
    ask(prepared, plan, unit, &config, vec![Arc::new(Listing::outline(&entries))]).await.map(drop)
}

/// Whether the image starts one of its files that is a script.
fn starts_script(plan: &ImagePlan, config: &Value) -> bool {
    let words = StartConfig::of(config).words();
    let named = words.first().map(|name| name.trim_start_matches('/'));
    let file = plan.files.iter().find(|entry| Some(entry.path.as_str()) == named);
    match file.map(|entry| &entry.kind) {
        Some(EntryKind::File(Contents::Bytes(bytes))) => bytes.starts_with(b"#!"),
        Some(EntryKind::File(Contents::Path { path, .. })) => {
            let mut start = [0; 2];
            fs::File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *b"#!"
        }
        _ => false,
    }
}
