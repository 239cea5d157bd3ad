//! A plan is carried out: compilers run under one pool of tokens, a unit goes on as soon as its binaries are there,
//! and what is published comes last.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fs_err as fs;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::exec::{self, ExecError, Jobs};
use crate::golang;
use crate::image::{self, Image};
use crate::plan::Job;
use crate::platform::Platform;
use crate::sink::Bundle;
use crate::toolchain::Language;
use crate::verify::{Policy, Verdict};

use super::compile::{self, Compilation, Compiled, Failure};
use super::error::Error;
use super::event::Event;
use super::interrupt;
use super::pack;
use super::part;
use super::prepare::Prepared;
use super::project_lock;
use super::publish::{self, Published};
use super::push::Push;
use super::session::Session;
use super::setup;
use super::smoke::{self, Outcome, Starts, Units};
use super::start_check::{self, Checked};
use super::verdicts::Verdicts;

/// What a thread that does one thing reports.
enum Report {
    /// a binary is there
    Made { path: PathBuf, elapsed: Duration },
    /// a job is over
    Ended { job: usize, result: Result<Compiled, Error> },
    /// a unit is an image
    Packed { image: usize, unit: usize, result: Box<Result<(Image, u64), Error>>, elapsed: Duration },
    /// an image was judged
    Checked { image: usize, unit: usize, made: Image, result: Box<Result<Checked, Error>>, elapsed: Duration },
    /// a unit's program was started, if it can be
    Started { image: usize, unit: usize, result: Result<Outcome, Error> },
}

/// Carries the plan out: what was published, and the file for whoever puts the parts of several machines together, where
/// this is one of them.
///
/// # Errors
/// When anything fails; nothing was published then.
pub async fn execute(session: &Session, prepared: Prepared) -> Result<(Vec<Published>, Option<PathBuf>), Error> {
    let mut foreseen = start_check::foreseen(&prepared.plan);
    if let Some(refusal) = foreseen.refusal(&prepared.plan, prepared.settings.verify()) {
        foreseen.say(session, &prepared.plan, true);
        return Err(refusal);
    }
    make_own_folder(&prepared)?;
    // Held until all is packed, for what is packed lies in the same folder.
    let lock = if prepared.plan.jobs.iter().any(|job| !job.setup.is_empty()) {
        Some(project_lock::lock(&prepared.settings.own_folder(), &*session.watch).await?)
    } else {
        None
    };
    let prepared = Arc::new(prepared);
    let smoke = smoke::asked(session, &prepared)?;
    let pushes = prepared.outlets.iter().any(|outlet| outlet.output.is_registry());
    let push = pushes.then(|| Push::new(session, &prepared));
    let fetches = publish::prefetch(&prepared, smoke.as_deref());
    let ahead = start_check::ahead(&prepared);
    let (sender, receiver) = unbounded_channel();
    let size = prepared.settings.jobs();
    if let Some(reason) = exec::lost_jobserver().filter(|_| size.is_none()) {
        let remedy = "put a + before the line of the recipe, or say --jobs";
        let note = format!("the jobserver of the make that started this cannot be joined ({reason}): {remedy}");
        session.watch.event(Event::Note(note));
    }
    let jobs = Jobs::new(size)?;
    start_jobs(session, &prepared, jobs.clone(), sender.clone());
    let starts = Starts::of(smoke.map(|smoke| Units::new(session, &prepared, smoke, &jobs)));
    let mut run = Run::new(session, prepared.clone(), sender, push, starts);
    run.start_ready_units();
    run.follow(receiver).await?;
    drop((lock, ahead));
    fetches.finish().await?;
    let bundles = run.bundles();
    let push = run.push.take();
    let part = part::of(&prepared, &bundles)?;
    let mut published = publish::publish(session, &prepared, bundles, push).await?;
    for (position, (image, plan)) in published.iter_mut().zip(&prepared.plan.images).enumerate() {
        image.checked = run.verdicts.of_image(position, plan.units.len());
    }
    let result = part.map(|part| part::write(&part::folder(session, &prepared), &part)).transpose()?;
    Ok((published, result))
}

fn make_own_folder(prepared: &Prepared) -> Result<(), Error> {
    let folder = prepared.settings.own_folder();
    let written = |source| Error::Write { path: folder.clone(), source };
    setup::own_folder(&folder)?;
    for output in prepared.plan.jobs.iter().filter(|job| job.language == Language::Go).flat_map(|job| &job.outputs) {
        if let Some(parent) = output.parent() {
            fs::create_dir_all(parent).map_err(written)?;
        }
    }
    Ok(())
}

/// Positions of jobs in the plan, together where one has to end before the next starts: commands of the project's own run
/// in its folder, where they would write over each other's files.
fn sequences(jobs: &[Job]) -> Vec<Vec<usize>> {
    let mut sequences: Vec<Vec<usize>> = Vec::new();
    let mut commands: BTreeMap<&Path, usize> = BTreeMap::new();
    for (position, job) in jobs.iter().enumerate() {
        let step = job.steps.first().filter(|_| job.language == Language::Command);
        let next = sequences.len();
        match step.map(|step| *commands.entry(&step.invocation.cwd).or_insert(next)) {
            Some(known) if known < next => sequences[known].push(position),
            _ => sequences.push(vec![position]),
        }
    }
    sequences
}

/// Compiler calls start in the order of the plan, each on a thread of its own, as soon as there is a token for it.
fn start_jobs(session: &Session, prepared: &Arc<Prepared>, jobs: Jobs, sender: UnboundedSender<Report>) {
    let (session, prepared) = (session.clone(), prepared.clone());
    jobs.announce(prepared.plan.jobs.len());
    std::thread::spawn(move || {
        for sequence in sequences(&prepared.plan.jobs) {
            let mut first = Some(jobs.place(&session.children));
            let (session, prepared, jobs, sender) = (session.clone(), prepared.clone(), jobs.clone(), sender.clone());
            std::thread::spawn(move || {
                // The receiver is gone only when the run has ended already.
                let made = |path, elapsed| drop(sender.send(Report::Made { path, elapsed }));
                for position in sequence {
                    let compilation = Compilation { session: &session, jobs: &jobs, position, made: &made };
                    let place = first.take().unwrap_or_else(|| jobs.place(&session.children)).map_err(Error::from);
                    let result = place.and_then(|place| compilation.run(&prepared.plan.jobs[position], place));
                    let _ = sender.send(Report::Ended { job: position, result });
                }
            });
        }
    });
}

struct Run<'session> {
    session: &'session Session,
    prepared: Arc<Prepared>,
    sender: UnboundedSender<Report>,
    push: Option<Push>,
    starts: Starts,
    /// binaries that are still missing, by image and unit
    awaited: BTreeMap<(usize, usize), BTreeSet<PathBuf>>,
    packing: usize,
    running: usize,
    judging: usize,
    /// they end with the run
    checks: JoinSet<()>,
    verdicts: Verdicts,
    images: BTreeMap<(usize, usize), Image>,
    failed: Vec<String>,
    failed_jobs: BTreeSet<usize>,
    error: Option<Error>,
}

impl<'session> Run<'session> {
    fn new(
        session: &'session Session,
        prepared: Arc<Prepared>,
        sender: UnboundedSender<Report>,
        push: Option<Push>,
        starts: Starts,
    ) -> Self {
        let mut awaited = BTreeMap::new();
        for (image, plan) in prepared.plan.images.iter().enumerate() {
            for (position, unit) in plan.units.iter().enumerate() {
                awaited.insert((image, position), pack::awaited(unit));
            }
        }
        let running = prepared.plan.jobs.len();
        Self {
            session,
            prepared,
            sender,
            push,
            starts,
            awaited,
            packing: 0,
            running,
            judging: 0,
            checks: JoinSet::new(),
            verdicts: Verdicts::default(),
            images: BTreeMap::new(),
            failed: Vec::new(),
            failed_jobs: BTreeSet::new(),
            error: None,
        }
    }

    fn start_ready_units(&mut self) {
        let ready: Vec<(usize, usize)> =
            self.awaited.iter().filter(|(_, missing)| missing.is_empty()).map(|(key, _)| *key).collect();
        for key in ready {
            self.awaited.remove(&key);
            self.packing += 1;
            let (prepared, store, sender) = (self.prepared.clone(), self.session.store.clone(), self.sender.clone());
            rayon::spawn(move || {
                let (image, unit) = key;
                let plan = &prepared.plan.images[image];
                let start = Instant::now();
                let result = Box::new(pack::unit(&store, plan, &plan.units[unit], &prepared.times[image]));
                // The receiver is gone only when the run has ended already.
                let _ = sender.send(Report::Packed { image, unit, result, elapsed: start.elapsed() });
            });
        }
    }

    /// Takes reports until nothing runs any more, or nothing can be pushed. Other platforms finish when one fails.
    async fn follow(&mut self, mut receiver: UnboundedReceiver<Report>) -> Result<(), Error> {
        let refused = self.push.as_ref().map(Push::failure);
        let mut refused = std::pin::pin!(async move {
            match refused {
                Some(failure) => failure.await,
                None => std::future::pending().await,
            }
        });
        while self.running > 0 || self.packing > 0 || self.judging > 0 || self.starts.are_going() {
            let report = tokio::select! {
                report = receiver.recv() => report.ok_or(Error::Thread)?,
                error = &mut refused => {
                    // What compilers make now could not be published, and the error should not wait for them.
                    interrupt::end(&self.session.children, std::future::pending()).await;
                    return Err(error);
                }
            };
            match report {
                Report::Made { path, elapsed } => self.made(&path, elapsed),
                Report::Ended { job, result } => self.ended(job, result)?,
                Report::Packed { image, unit, result, elapsed } => self.packed(image, unit, *result, elapsed),
                Report::Checked { image, unit, made, result, elapsed } => {
                    self.checked((image, unit), made, *result, elapsed);
                }
                Report::Started { image, unit, result } => {
                    let plan = &self.prepared.plan.images[image];
                    let ended = self.starts.ended(self.session, (&plan.name, plan.units[unit].platform), result)?;
                    self.error = self.error.take().or(ended);
                }
            }
            self.start_ready_units();
        }
        let alone = self.failed.is_empty() && self.error.is_none();
        self.verdicts.say(self.session, &self.prepared.plan, alone);
        if !self.failed.is_empty() {
            let ways_out = self.ways_out();
            return Err(Error::Compile { failed: std::mem::take(&mut self.failed), ways_out });
        }
        let refusal = || self.verdicts.refusal(&self.prepared.plan, self.prepared.settings.verify());
        let error = self.error.take().or_else(refusal);
        error.or_else(|| self.starts.refusal()).map_or(Ok(()), Err)
    }

    fn made(&mut self, path: &PathBuf, elapsed: Duration) {
        let mut named: BTreeSet<(Platform, String)> = BTreeSet::new();
        for ((image, unit), missing) in &mut self.awaited {
            if missing.remove(path) {
                let unit = &self.prepared.plan.images[*image].units[*unit];
                let program = unit.programs.iter().find(|program| program.binary == *path);
                named.extend(program.map(|program| (unit.platform, program.name.clone())));
            }
        }
        for (platform, program) in named {
            self.session.watch.event(Event::Compiled { platform, program, elapsed });
        }
    }

    fn ended(&mut self, position: usize, result: Result<Compiled, Error>) -> Result<(), Error> {
        self.running -= 1;
        self.session.watch.event(Event::CompileEnded { job: position });
        let prepared = self.prepared.clone();
        let job = &prepared.plan.jobs[position];
        match result {
            Ok(compiled) => {
                if !compiled.said.is_empty() {
                    let (platforms, output) = (job.platforms.clone(), compiled.said);
                    self.session.watch.event(Event::CompilerOutput { platforms, output });
                }
                if !compiled.failures.is_empty() {
                    self.failed_jobs.insert(position);
                }
                compiled.failures.into_iter().for_each(|failure| self.compiler_failed(failure));
            }
            Err(Error::Interrupted | Error::Exec(ExecError::Interrupted)) => return Err(Error::Interrupted),
            // Others finish: what they make is found again by the next run.
            Err(error) => {
                self.give_up(&job.outputs.iter().cloned().collect());
                self.error = self.error.take().or(Some(error));
            }
        }
        Ok(())
    }

    fn compiler_failed(&mut self, failure: Failure) {
        self.give_up(&failure.outputs);
        let Failure { platforms, outputs, ending, output } = failure;
        let programs = compile::programs(&outputs);
        let shown: Vec<String> = platforms.iter().map(ToString::to_string).collect();
        self.failed.push(format!("{} for {}", programs.join(", "), shown.join(", ")));
        self.session.watch.event(Event::CompileFailed { platforms, programs, ending, output });
    }

    /// What Go says of packages that import C while cgo is off names neither: so they are looked for.
    fn ways_out(&self) -> Vec<String> {
        let jobs = self.failed_jobs.iter().map(|job| &self.prepared.plan.jobs[*job]);
        let without_c = |job: &&Job| {
            let step = job.steps.first().filter(|_| job.language == Language::Go);
            step.and_then(|step| step.invocation.env.get("CGO_ENABLED")).is_some_and(|cgo| cgo.value() == "0")
        };
        // The packages of one platform tell it: those of others differ in little.
        let Some(step) = jobs.filter(without_c).find_map(|job| job.steps.first()) else { return Vec::new() };
        let listed = self.session.children.ask(&golang::list_c_invocation(&step.invocation)).ok();
        let packages = listed.map(|listed| golang::read_c_packages(&listed.stdout)).unwrap_or_default();
        if packages.is_empty() {
            return Vec::new();
        }
        vec![format!("cgo = true for the [[program]] in anyarch.toml: C is imported by {}", packages.join(", "))]
    }

    /// Units that wait for what is never made are not waited for.
    fn give_up(&mut self, outputs: &BTreeSet<PathBuf>) {
        self.awaited.retain(|_, missing| missing.is_disjoint(outputs));
    }

    fn packed(&mut self, image: usize, unit: usize, result: Result<(Image, u64), Error>, elapsed: Duration) {
        self.packing -= 1;
        match result {
            Ok((made, size)) => {
                let plan = &self.prepared.plan.images[image];
                let platform = plan.units[unit].platform;
                self.session.watch.event(Event::Packed { image: plan.name.clone(), platform, size, elapsed });
                match self.prepared.settings.verify() {
                    Policy::Off => self.take(image, unit, made),
                    Policy::Strict | Policy::Warn => self.check(image, unit, made),
                }
            }
            Err(error) => self.error = self.verdicts.refuse((image, unit), error, self.error.take()),
        }
    }

    fn check(&mut self, image: usize, unit: usize, made: Image) {
        self.judging += 1;
        let (session, prepared, sender) = (self.session.clone(), self.prepared.clone(), self.sender.clone());
        self.checks.spawn(async move {
            let plan = &prepared.plan.images[image];
            let start = Instant::now();
            let result = Box::new(start_check::check(&session, &prepared, plan, &plan.units[unit], &made).await);
            // The receiver is gone only when the run has ended already.
            let _ = sender.send(Report::Checked { image, unit, made, result, elapsed: start.elapsed() });
        });
    }

    fn checked(
        &mut self,
        (image, unit): (usize, usize),
        made: Image,
        result: Result<Checked, Error>,
        elapsed: Duration,
    ) {
        self.judging -= 1;
        match result {
            Ok(checked) => {
                let plan = &self.prepared.plan.images[image];
                let (name, platform, verdict) = (plan.name.clone(), plan.units[unit].platform, checked.verdict);
                self.session.watch.event(Event::Checked { image: name, platform, verdict, elapsed });
                self.verdicts.add(image, unit, checked);
                // What is not published needs not go anywhere.
                if verdict != Verdict::Fails || self.prepared.settings.verify() == Policy::Warn {
                    self.take(image, unit, made);
                }
            }
            Err(error) => self.error = self.error.take().or(Some(error)),
        }
    }

    /// An image goes on its way.
    fn take(&mut self, image: usize, unit: usize, made: Image) {
        if let Some(push) = &mut self.push {
            push.start(image, unit, &made);
        }
        let sender = self.sender.clone();
        // The receiver is gone only when the run has ended already.
        let report = move |result| drop(sender.send(Report::Started { image, unit, result }));
        self.starts.begin(&mut self.checks, (image, unit), &made, report);
        self.images.insert((image, unit), made);
    }

    fn bundles(&mut self) -> Vec<Bundle> {
        let mut bundles = Vec::new();
        for (position, plan) in self.prepared.plan.images.iter().enumerate() {
            let images: Vec<Image> =
                (0..plan.units.len()).filter_map(|unit| self.images.remove(&(position, unit))).collect();
            let annotations = &plan.settings.annotations;
            let described = |image: &Image| {
                let mut descriptor = image.descriptor();
                descriptor.annotations = annotations.of_descriptor(image.platform);
                descriptor
            };
            let descriptors: Vec<_> = images.iter().map(described).collect();
            let with_index = !self.prepared.settings.single_manifest();
            let index = with_index.then(|| image::index(&descriptors, annotations.of_index()));
            bundles.push(Bundle { images, index });
        }
        bundles
    }
}
