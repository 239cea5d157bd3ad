//! A compile job becomes binaries, each told as soon as it is there, and failures, each under its platform's name with
//! all that the compiler said about it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::cargo::{Message, MessageReader};
use crate::exec::{Finished, Jobs, Place};
use crate::plan::Job;
use crate::platform::Platform;
use crate::toolchain::Language;

use super::error::Error;
use super::event::Event;
use super::session::Session;
use super::setup;

/// What a compiler did not make.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// for which platforms
    pub platforms: Vec<Platform>,
    /// the binaries
    pub outputs: BTreeSet<PathBuf>,
    /// how it ended: `exit code 1`
    pub ending: String,
    /// all that it said
    pub output: String,
}

/// What became of a job.
#[derive(Debug, Default)]
pub struct Compiled {
    /// what compilers that succeeded said
    pub said: String,
    /// what was not made
    pub failures: Vec<Failure>,
}

/// The programs whose binaries are at `paths`.
pub fn programs<'path>(paths: impl IntoIterator<Item = &'path PathBuf>) -> Vec<String> {
    let names = paths.into_iter().filter_map(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

/// One job on its way; blocks the thread that it is on.
pub struct Compilation<'run> {
    /// what it stands on
    pub session: &'run Session,
    /// the pool of tokens
    pub jobs: &'run Jobs,
    /// position in the plan
    pub position: usize,
    /// is told of each binary that is there, with the time since the compiler started
    pub made: &'run dyn Fn(PathBuf, Duration),
}

impl Compilation<'_> {
    /// Runs the call of `job` in its `place`. A call for several targets goes on for the others when
    /// one fails; those that it did not finish are then built again alone, for only so does an error have a platform.
    ///
    /// # Errors
    /// When a compiler cannot be started, or we were interrupted.
    pub fn run(&self, job: &Job, place: Place) -> Result<Compiled, Error> {
        let (platforms, programs) = (job.platforms.clone(), programs(&job.outputs));
        self.session.watch.event(Event::CompileStarted { job: self.position, platforms, programs });
        let mut told = BTreeSet::new();
        setup::prepare(&job.setup, &self.session.children)?;
        let (finished, output) = self.call(job, &mut told, place)?;
        if finished.status.success() {
            return Ok(Compiled { said: output, failures: Vec::new() });
        }
        let unfinished = |job: &Job| job.outputs.iter().any(|path| !told.contains(path));
        let again: Vec<Job> = job.alone().into_iter().filter(unfinished).collect();
        if again.is_empty() {
            return Ok(Compiled { said: String::new(), failures: vec![failure(job, &told, &finished, output)] });
        }
        let mut compiled = Compiled::default();
        for job in again {
            self.jobs.announce(1);
            let place = self.jobs.place(&self.session.children)?;
            let (finished, output) = self.call(&job, &mut told, place)?;
            if !finished.status.success() {
                add(&mut compiled.failures, failure(&job, &told, &finished, output));
            }
        }
        Ok(compiled)
    }

    /// Runs the calls of a job, and returns what they said. `told` gains each binary that is there.
    fn call(&self, job: &Job, told: &mut BTreeSet<PathBuf>, place: Place) -> Result<(Finished, String), Error> {
        let start = Instant::now();
        let reader = job.build_directory.as_deref().map(MessageReader::new);
        let mut tell = |path: &PathBuf| {
            if job.outputs.contains(path) && told.insert(path.clone()) {
                (self.made)(path.clone(), start.elapsed());
            }
        };
        // Build tools say on stdout what their compilers found wrong.
        let mut printed = String::new();
        let mut line = |line: &str| {
            if reader.is_none() {
                printed.push_str(line);
                printed.push('\n');
            } else if let Some(Message::Artifact(artifact)) = reader.as_ref().map(|reader| reader.read(line)) {
                tell(&artifact.path);
            }
        };
        let finished = self.jobs.run(place, &self.session.children, &job.steps, &mut line)?;
        let success = finished.status.success();
        if success {
            let missing = job.outputs.iter().find(|path| !path.is_file());
            if let Some(path) = missing {
                let line = job.steps.last().map(|step| step.line.clone()).unwrap_or_default();
                let (platforms, is_command) = (job.platforms.clone(), job.language == Language::Command);
                return Err(Error::NotMade { platforms, path: path.clone(), line, is_command });
            }
            job.outputs.iter().for_each(tell);
            printed.clear();
        }
        let said = format!("{printed}{}", text(&finished));
        Ok((finished, said.trim_end().to_owned()))
    }
}

fn text(finished: &Finished) -> String {
    String::from_utf8_lossy(&finished.stderr).trim_end().to_owned()
}

/// What of `job` is missing; all of it when nothing is, for a compiler that fails is not believed.
fn failure(job: &Job, told: &BTreeSet<PathBuf>, finished: &Finished, output: String) -> Failure {
    let missing: BTreeSet<PathBuf> = job.outputs.iter().filter(|path| !told.contains(*path)).cloned().collect();
    let outputs = if missing.is_empty() { job.outputs.iter().cloned().collect() } else { missing };
    Failure { platforms: job.platforms.clone(), outputs, ending: finished.ending(), output }
}

/// What a compiler says of several platforms in the same words is shown once.
fn add(failures: &mut Vec<Failure>, failure: Failure) {
    let same = failures.iter_mut().find(|known| known.output == failure.output && known.ending == failure.ending);
    match same {
        Some(known) => {
            known.platforms.extend(failure.platforms);
            known.outputs.extend(failure.outputs);
        }
        None => failures.push(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_are_shown_once_under_all_their_platforms() {
        let failure = |platform: &str, output: &str| Failure {
            platforms: vec![platform.parse().unwrap()],
            outputs: [PathBuf::from(platform)].into(),
            ending: "exit code 101".to_owned(),
            output: output.to_owned(),
        };
        let mut failures = Vec::new();
        for (platform, output) in [("linux/amd64", "a typo"), ("linux/386", "too wide"), ("linux/arm64", "a typo")] {
            add(&mut failures, failure(platform, output));
        }
        let found: Vec<_> = failures.iter().map(|failure| (failure.platforms.len(), &*failure.output)).collect();
        assert_eq!(found, [(2, "a typo"), (1, "too wide")]);
        assert_eq!(failures[0].outputs.len(), 2);
    }
}
