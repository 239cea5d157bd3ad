//! `--smoke`: an image's program is started once, with arguments of the user's, in the image's own files, as nobody of this
//! machine, and within a time; on each platform that this machine or an emulator runs.

mod conversation;
mod error;
mod image;
mod unit;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::blob::Descriptor;
use crate::emulator::{self, Way};
use crate::exec::Attended;
use crate::host::{self, Emulation};
use crate::invocation::quote;
use crate::platform::Platform;
use crate::sandbox::{EmulatorFile, Failure, Spec, Start, write_frame};
use crate::verify::StartConfig;

use super::error::Error;
use super::event::Event;
use super::session::Session;
use conversation::{Heard, NotFed, feed, pump, run};

pub use conversation::LayerBytes;
pub use error::SandboxError;
pub use image::start_all;
pub use unit::{Starts, Units, asked};

/// How long a program may take where nobody says: emulated, on a machine that does other things at the same time.
pub const DEFAULT_LIMIT: Duration = Duration::from_secs(30);

/// What the user asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// the arguments, as a shell would read them
    pub arguments: String,
    /// how long the program may take
    pub limit: Duration,
}

/// How the programs of each platform are started.
#[derive(Debug)]
pub struct Smoke {
    words: Vec<String>,
    limit: Duration,
    ways: BTreeMap<Platform, Runner>,
}

/// What runs the programs of a platform.
#[derive(Debug, Clone)]
enum Runner {
    /// the kernel does
    Kernel,
    /// an emulator that is brought along does
    Emulator {
        path: PathBuf,
        cpu: Option<&'static str>,
        /// the kernel does for what the program starts
        known_to_kernel: bool,
    },
}

/// An image that is started.
pub struct Subject<'image> {
    /// what it is for
    pub platform: Platform,
    /// how it starts
    pub config: StartConfig,
    /// its layers, lowest first
    pub layers: &'image [Descriptor],
}

/// How a start went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// this machine does not run the platform
    NotRun,
    /// the program ended well
    Passed {
        /// how long it took
        elapsed: Duration,
    },
    /// it did not
    Failed(Box<FailedStart>),
}

/// A start that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedStart {
    /// the image's platform
    pub platform: Platform,
    /// what was started, as a line for a shell
    pub command: String,
    /// what happened to it, as a predicate: `ended with exit code 1`
    pub ending: String,
    /// what it said, printable
    pub output: String,
    /// lines that may help
    pub ways_out: Vec<String>,
}

impl FailedStart {
    /// The lines that may help with any of several, each once.
    #[must_use]
    pub fn ways_out_of(failed: &[Self]) -> Vec<String> {
        let mut ways: Vec<String> = failed.iter().flat_map(|start| start.ways_out.clone()).collect();
        ways.dedup();
        ways
    }
}

impl Smoke {
    /// Finds out how programs of `platforms` can be started here, and says of which they cannot.
    ///
    /// # Errors
    /// When the arguments are none, or this machine lets nobody make a sandbox.
    pub fn new(session: &Session, asked: &Asked, platforms: impl IntoIterator<Item = Platform>) -> Result<Self, Error> {
        let words = shlex::split(&asked.arguments);
        let words = words.ok_or_else(|| Error::SmokeArguments { text: asked.arguments.clone() })?;
        let machine = host::processor()?;
        let mut smoke = Self { words, limit: asked.limit, ways: BTreeMap::new() };
        let mut seen = Vec::new();
        for platform in platforms {
            if seen.contains(&platform) {
                continue;
            }
            seen.push(platform);
            match runner(machine, platform) {
                Ok(runner) => drop(smoke.ways.insert(platform, runner)),
                Err(why) => session.watch.event(Event::Note(format!("{platform} was not started: {why}"))),
            }
        }
        if !smoke.ways.is_empty() {
            smoke.try_sandbox(session)?;
        }
        Ok(smoke)
    }

    /// Whether programs of a platform can be started here.
    #[must_use]
    pub fn can_run(&self, platform: Platform) -> bool {
        self.ways.contains_key(&platform)
    }

    /// Makes a sandbox with nothing in it.
    fn try_sandbox(&self, session: &Session) -> Result<(), Error> {
        let spec = Spec { start: None, layers: Vec::new(), emulator: None };
        let mut heard = Heard::default();
        run(session, self.limit, &mut heard, |stdin| write_frame(&spec, stdin))?;
        match heard {
            Heard { failure: Some(failure), .. } => Err(SandboxError::of(failure, &[]).into()),
            Heard { ready: true, .. } => Ok(()),
            Heard { .. } => Err(SandboxError::silent().into()),
        }
    }

    /// Starts an image's program; `open` opens a layer. Takes as long as that takes.
    ///
    /// # Errors
    /// When a layer or the sandbox cannot be used, or we were interrupted. A program that fails is not an error here.
    pub fn start(
        &self,
        session: &Session,
        subject: &Subject<'_>,
        open: &(dyn Fn(&Descriptor) -> Result<LayerBytes, Error> + Sync),
    ) -> Result<Outcome, Error> {
        let Some(runner) = self.ways.get(&subject.platform) else { return Ok(Outcome::NotRun) };
        let config = subject.config.clone().with_command(self.words.clone());
        let emulator = match runner {
            Runner::Kernel => None,
            Runner::Emulator { path, cpu, .. } => {
                let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
                let (size, file) = opened.map_err(|source| Error::Read { path: path.clone(), source })?;
                Some((EmulatorFile { size, cpu: cpu.map(str::to_owned) }, file, path))
            }
        };
        let start = Start {
            words: config.words(),
            env: config.env().to_vec(),
            user: config.user.clone(),
            folder: config.folder(),
        };
        let spec = Spec {
            start: Some(start),
            layers: subject.layers.iter().map(|layer| layer.size).collect(),
            emulator: emulator.as_ref().map(|(described, ..)| described.clone()),
        };
        let mut heard = Heard::default();
        let attended = run(session, self.limit, &mut heard, |stdin| {
            write_frame(&spec, stdin).map_err(|_| NotFed::Deaf)?;
            if let Some((_, file, path)) = emulator {
                let read = |source| NotFed::layer(Error::Read { path: path.clone(), source });
                pump(&mut io::BufReader::new(file), stdin, read)?;
            }
            subject.layers.iter().try_for_each(|layer| feed(layer, open(layer).map_err(NotFed::layer)?, stdin))
        })?;
        for note in &heard.notes {
            session.watch.event(Event::Note(format!("{} was started, and {note}", subject.platform)));
        }
        let words = config.words();
        self.outcome(subject, runner, &words, heard, attended)
    }

    fn outcome(
        &self,
        subject: &Subject<'_>,
        runner: &Runner,
        words: &[String],
        heard: Heard,
        attended: Attended<Result<(), NotFed>>,
    ) -> Result<Outcome, Error> {
        if let Err(NotFed::Layer(error)) = attended.fed {
            return Err(*error);
        }
        let ending = match heard {
            Heard { failure: Some(Failure::Start { text }), .. } => format!("does not start: {text}"),
            Heard { failure: Some(failure), .. } => return Err(SandboxError::of(failure, subject.layers).into()),
            Heard { started: Some(_), .. } if attended.was_late => format!("did not end within {}", shown(self.limit)),
            Heard { started: Some(_), ended: Some((Some(0), _)), elapsed, .. } => {
                return Ok(Outcome::Passed { elapsed });
            }
            Heard { started: Some(_), ended: Some((Some(code), _)), .. } => format!("ended with exit code {code}"),
            Heard { started: Some(_), ended: Some((None, Some(signal))), .. } => {
                let name = Signal::try_from(signal).map_or_else(|_| String::new(), |signal| format!(" ({signal})"));
                format!("was ended by signal {signal}{name}")
            }
            _ => return Err(SandboxError::silent().into()),
        };
        let command: Vec<String> = words.iter().map(|word| quote(word)).collect();
        let needs_kernel = matches!(runner, Runner::Emulator { known_to_kernel: false, .. }) && heard.script;
        let ways_out = needs_kernel.then(|| {
            let architecture = subject.platform.architecture();
            format!("what a script starts runs only where the kernel knows qemu: docker run --privileged --rm tonistiigi/binfmt --install {architecture}")
        });
        Ok(Outcome::Failed(Box::new(FailedStart {
            platform: subject.platform,
            command: command.join(" "),
            ending,
            output: printable(&attended.said),
            ways_out: ways_out.into_iter().collect(),
        })))
    }
}

/// What runs the programs of a platform, or why nothing does.
fn runner(machine: Platform, platform: Platform) -> Result<Runner, String> {
    if !cfg!(target_os = "linux") {
        return Err("only Linux starts programs of images".to_owned());
    }
    match emulator::way(machine, platform) {
        Way::Itself => Ok(Runner::Kernel),
        Way::Never(why) => Err(why.to_string()),
        Way::Emulated(emulator) => match host::emulation(&emulator) {
            Ok(Emulation::Kernel) => Ok(Runner::Kernel),
            Ok(Emulation::Program { path, known_to_kernel }) => {
                Ok(Runner::Emulator { path, cpu: emulator.cpu, known_to_kernel })
            }
            Err((why, line)) => Err(format!("{why} ({line})")),
        },
    }
}

/// A time as it is typed.
fn shown(limit: Duration) -> String {
    format!("{} s", limit.as_secs_f64())
}

/// What a program said, without what would have a terminal do something.
fn printable(text: &str) -> String {
    let kept = |letter: char| !letter.is_control() || matches!(letter, '\n' | '\t');
    let text = text.replace("\r\n", "\n");
    let text: String =
        text.chars().map(|letter| if kept(letter) { letter } else { char::REPLACEMENT_CHARACTER }).collect();
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_says_does_nothing_to_a_terminal() {
        assert_eq!(printable("\x1b[31mred\r\nplain\tnext\x07\n\n"), "\u{fffd}[31mred\nplain\tnext\u{fffd}");
    }
}
