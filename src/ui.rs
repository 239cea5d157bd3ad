//! The only writer to stdout and stderr. A person at a terminal sees bars and a line a unit; a pipeline plain lines.
//! stdout is data alone.

mod board;
mod moving;
mod row;
mod screen;
mod words;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use comfy_table::{Table, TableStyle};

use crate::hint::Hint;
use crate::platform::Platform;
use crate::run::event::{Event, InstallStep, TransferEnd, Watch};
use crate::verify::Verdict;

use board::{Ended, Key};
use moving::Moving;
use screen::Screen;

pub use words::{age, bytes, seconds, traffic};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();
const NOTE: Style = AnsiColor::Yellow.on_default();
const DONE: Style = AnsiColor::Green.on_default();

/// Shows what happens.
pub struct Ui {
    screen: Screen,
    verbose: bool,
}

impl Ui {
    /// Bars where stderr is a terminal that can show them, and lines elsewhere; `verbose` shows what compilers say that
    /// succeed.
    #[must_use]
    pub fn new(verbose: bool) -> Self {
        Self { screen: Screen::new(), verbose }
    }

    /// Prints a line of data to stdout.
    pub fn data(&self, line: &str) {
        // Whoever reads may have gone away; there is nobody left to tell.
        self.screen.above(|| drop(writeln!(io::stdout().lock(), "{line}")));
    }

    /// Writes bytes to stdout as they are.
    pub fn bytes(&self, bytes: &[u8]) {
        self.screen.above(|| drop(io::stdout().lock().write_all(bytes).and_then(|()| io::stdout().flush())));
    }

    /// Prints a table of data to stdout: columns that line up, a line a row however narrow the terminal is, nothing
    /// around them, so that grep and awk can read it.
    pub fn table<const N: usize>(&self, header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
        let mut table = Table::new();
        table.load_style(TableStyle::new()).set_header(header).add_rows(rows);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        table.to_string().lines().for_each(|line| self.data(line.trim_end()));
    }

    /// Prints a line for people to stderr.
    pub fn line(&self, line: &str) {
        self.screen.above(|| screen::say(line));
    }

    /// Asks a person for something: words to stderr, behind which the answer is typed.
    pub fn ask(&self, words: &str) {
        let mut stderr = io::stderr().lock();
        let _ = write!(stderr, "{words}").and_then(|()| stderr.flush());
    }

    /// Prints an error with what caused it, then its hints after a blank line.
    pub fn error<E: std::error::Error + Hint>(&self, error: &E) {
        self.screen.clear();
        self.line(&format!("{ERROR}error{ERROR:#}: {error}"));
        let mut shown = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // A transparent error and its cause say the same; so does one whose words quote their cause.
            if !shown.contains(&text) {
                self.line(&format!("  because: {text}"));
                shown.clone_from(&text);
            }
            source = cause.source();
        }
        let hints = error.hints();
        if !hints.is_empty() {
            self.line("");
        }
        for hint in hints {
            self.line(&format!("{HINT}hint{HINT:#}: {hint}"));
        }
    }

    /// Prints what was found out, mostly about a platform, and below it the ways out.
    pub fn finding(&self, whose: &str, verdict: Verdict, text: &impl Display, hints: &[String]) {
        let (style, word) = match verdict {
            Verdict::Ok => (NOTE, "note"),
            Verdict::Unknown => (NOTE, "unknown"),
            Verdict::Fails => (ERROR, "fails"),
        };
        self.line(&format!("{whose:<16} {style}{word:<8}{style:#} {text}"));
        for hint in hints {
            self.line(&format!("{:<16} {HINT}hint{HINT:#}: {hint}", ""));
        }
    }

    fn start(&self, key: Key, what: String, size: Option<(u64, u64)>) {
        self.screen.update(|board, now: Instant| {
            board.start(key, what, size.map(|(at, size)| Moving::new(at, size, now)), now);
        });
    }

    fn reach(&self, key: Key, at: u64) {
        self.screen.update(|board, now| board.reach(key, at, now));
    }

    fn end(&self, key: Key) -> Option<Ended> {
        self.screen.update(|board, now| board.end(key, now))
    }

    fn unit(&self, platform: &impl Display, program: &str, stage: &str, elapsed: Duration) {
        let platform = platform.to_string();
        self.line(&format!("{platform:<16} {program:<20} {DONE}{stage:<8}{DONE:#} {}", seconds(elapsed)));
    }

    fn compiler_failed(&self, platforms: &[Platform], programs: &[String], ending: &str, output: &str) {
        let platforms = listed(platforms);
        let programs = programs.join(", ");
        self.line(&format!("{platforms:<16} {programs:<20} {ERROR}failed{ERROR:#}   {ending}"));
        self.quoted(&platforms, output);
    }

    /// A bar at a terminal, a line in a pipeline.
    fn installing(&self, what: &str, step: &InstallStep) {
        let (words, at, size) = match step {
            InstallStep::Waiting => ("waiting for another anyarch that installs it".to_owned(), 0, None),
            InstallStep::Downloading { host, at: 0, size } => {
                (format!("downloading {} from {host}", bytes(*size)), 0, Some(*size))
            }
            InstallStep::Downloading { host, at, size } => {
                let there = bytes(*at);
                (format!("downloading {} from {host}, of which {there} are here", bytes(*size)), *at, Some(*size))
            }
            InstallStep::Unpacking { size } => (format!("unpacking {}", bytes(*size)), 0, Some(*size)),
            InstallStep::Rustup => ("adding by rustup".to_owned(), 0, None),
        };
        if !self.screen.is_drawn() {
            self.line(&format!("{what:<37} {words}"));
        }
        let bar = match step {
            InstallStep::Downloading { host, .. } => format!("{what} from {host}"),
            InstallStep::Unpacking { .. } => format!("{what} unpacking"),
            InstallStep::Waiting | InstallStep::Rustup => format!("{what:<37} {words}"),
        };
        self.start(Key::Install, bar, size.map(|size| (at, size)));
    }

    /// A line for a transfer that took its time; a terminal has shown it already.
    fn transferred(&self, ended: &Ended) {
        let Ended { what, moved, before, elapsed, speed } = ended;
        if !self.screen.is_drawn() {
            let before = if *before > 0 { format!(" ({} were here)", bytes(*before)) } else { String::new() };
            let numbers = format!("{} {} {}{before}", seconds(*elapsed), bytes(*moved), words::speed(*speed));
            self.line(&format!("{what:<37} {DONE}done{DONE:#}     {numbers}"));
        }
    }

    /// Prints what a program said, told apart from what we say.
    pub fn quoted(&self, platforms: &str, output: &str) {
        self.line(&format!("--- {platforms}"));
        self.line(output);
        self.line("---");
    }
}

impl Watch for Ui {
    fn event(&self, event: Event) {
        match event {
            Event::Note(note) => self.line(&format!("{NOTE}note{NOTE:#}: {note}")),
            Event::CompileStarted { job, platforms, programs } => {
                let what = format!("{:<16} {:<20} compiling", listed(&platforms), programs.join(", "));
                self.start(Key::Job(job), what, None);
            }
            Event::CompileEnded { job } => drop(self.end(Key::Job(job))),
            Event::Compiled { platform, program, elapsed } => self.unit(&platform, &program, "compiled", elapsed),
            Event::CompileFailed { platforms, programs, ending, output } => {
                self.compiler_failed(&platforms, &programs, &ending, &output);
            }
            Event::CompilerOutput { platforms, output } => {
                if self.verbose {
                    self.quoted(&listed(&platforms), &output);
                }
            }
            Event::Packed { image, platform, size, elapsed } => {
                let elapsed = format!("{} {}", seconds(elapsed), bytes(size));
                let platform = platform.to_string();
                self.line(&format!("{platform:<16} {image:<20} {DONE}packed{DONE:#}   {elapsed}"));
            }
            Event::Checked { image, platform, verdict, elapsed } => {
                let (style, stage) = match verdict {
                    Verdict::Ok => (DONE, "verified"),
                    Verdict::Unknown => (NOTE, "unknown"),
                    Verdict::Fails => (ERROR, "fails"),
                };
                let (platform, elapsed) = (platform.to_string(), seconds(elapsed));
                self.line(&format!("{platform:<16} {image:<20} {style}{stage:<8}{style:#} {elapsed}"));
            }
            Event::Finding { units, verdict, text, hints } => self.finding(&units, verdict, &text, &hints),
            Event::Started { image, platform, elapsed } => self.unit(&platform, &image, "started", elapsed),
            Event::StartFailed { image, platform, command, ending, output } => {
                let platform = platform.to_string();
                self.line(&format!("{platform:<16} {image:<20} {ERROR}failed{ERROR:#}   `{command}` {ending}"));
                if !output.is_empty() {
                    self.quoted(&platform, &output);
                }
            }
            Event::Installing { what, step } => self.installing(&what, &step),
            Event::InstallMoved { bytes } => self.reach(Key::Install, bytes),
            Event::InstallEnded => drop(self.end(Key::Install)),
            Event::Installed { what, place, elapsed } => {
                self.line(&format!("{what:<37} {DONE}installed{DONE:#} {} {place}", seconds(elapsed)));
            }
            Event::TransferStarted { id, what, size } => self.start(Key::Transfer(id), what, Some((0, size))),
            Event::TransferBegan { id, at } => {
                self.screen.update(|board, now| board.begin(Key::Transfer(id), at, now));
            }
            Event::Transferred { id, bytes } => self.reach(Key::Transfer(id), bytes),
            Event::TransferEnded { id, end } => {
                if let Some(ended) = self.end(Key::Transfer(id)).filter(|_| end == TransferEnd::Done) {
                    self.transferred(&ended);
                }
            }
        }
    }
}

fn listed(platforms: &[Platform]) -> String {
    platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
