//! The only writer to stdout and stderr. A person at a terminal sees bars and a line a unit; a pipeline plain lines.
//! stdout is data alone.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use comfy_table::{Table, TableStyle};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::hint::Hint;
use crate::platform::Platform;
use crate::run::event::{Event, InstallStep, Watch};
use crate::verify::Verdict;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();
const NOTE: Style = AnsiColor::Yellow.on_default();
const DONE: Style = AnsiColor::Green.on_default();

/// Shows what happens.
pub struct Ui {
    bars: Option<MultiProgress>,
    running: Mutex<BTreeMap<(&'static str, u64), ProgressBar>>,
    verbose: bool,
}

impl Ui {
    /// Bars where stderr is a terminal that can show them.
    #[must_use]
    pub fn new(verbose: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let bars = (io::stderr().is_terminal() && !dumb).then(MultiProgress::new);
        Self { bars, running: Mutex::default(), verbose }
    }

    /// Prints a line of data to stdout.
    pub fn data(&self, line: &str) {
        // Whoever reads may have gone away; there is nobody left to tell.
        let _ = writeln!(io::stdout().lock(), "{line}");
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

    /// Prints a line for people to stderr, above the bars.
    pub fn line(&self, line: &str) {
        let print = || drop(writeln!(anstream::stderr().lock(), "{line}"));
        match &self.bars {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }

    /// Prints an error with what caused it, then its hints after a blank line.
    pub fn error<E: std::error::Error + Hint>(&self, error: &E) {
        self.clear();
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

    /// Prints what was found out about a platform, and below it the ways out.
    pub fn finding(&self, platform: Platform, verdict: Verdict, text: &impl Display, hints: &[String]) {
        let (style, word) = match verdict {
            Verdict::Ok => (NOTE, "note"),
            Verdict::Unknown => (NOTE, "unknown"),
            Verdict::Fails => (ERROR, "fails"),
        };
        let platform = platform.to_string();
        self.line(&format!("{platform:<16} {style}{word:<8}{style:#} {text}"));
        for hint in hints {
            self.line(&format!("{:<16} {HINT}hint{HINT:#}: {hint}", ""));
        }
    }

    fn clear(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.values().for_each(ProgressBar::finish_and_clear);
        running.clear();
    }

    fn start(&self, kind: &'static str, id: u64, bar: impl FnOnce() -> ProgressBar) {
        if let Some(bars) = &self.bars {
            let bar = bars.add(bar());
            bar.enable_steady_tick(Duration::from_millis(120));
            self.running.lock().unwrap_or_else(PoisonError::into_inner).insert((kind, id), bar);
        }
    }

    fn end(&self, kind: &'static str, id: u64) {
        if let Some(bar) = self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&(kind, id)) {
            bar.finish_and_clear();
        }
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
        self.end("install", 0);
        let size = match step {
            InstallStep::Downloading { size, .. } | InstallStep::Unpacking { size } => Some(*size),
            InstallStep::Waiting | InstallStep::Rustup => None,
        };
        let words = match step {
            InstallStep::Waiting => "waiting for another anyarch that installs it".to_owned(),
            InstallStep::Downloading { host, at: 0, size } => format!("downloading {} from {host}", bytes(*size)),
            InstallStep::Downloading { host, at, size } => {
                format!("downloading {} from {host}, of which {} are here", bytes(*size), bytes(*at))
            }
            InstallStep::Unpacking { size } => format!("unpacking {}", bytes(*size)),
            InstallStep::Rustup => "adding by rustup".to_owned(),
        };
        let line = format!("{what:<37} {words}");
        if self.bars.is_none() {
            return self.line(&line);
        }
        self.start("install", 0, || match size {
            Some(size) => ProgressBar::new(size).with_style(transfer()).with_message(line),
            None => ProgressBar::new_spinner().with_style(spinner()).with_message(line),
        });
    }

    fn quoted(&self, platforms: &str, output: &str) {
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
                let message = format!("{:<16} {:<20} compiling", listed(&platforms), programs.join(", "));
                self.start("job", job as u64, || {
                    ProgressBar::new_spinner().with_style(spinner()).with_message(message)
                });
            }
            Event::CompileEnded { job } => self.end("job", job as u64),
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
            Event::Installing { what, step } => self.installing(&what, &step),
            Event::InstallMoved { bytes } => {
                let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(bar) = running.get(&("install", 0)) {
                    bar.set_position(bytes);
                }
            }
            Event::InstallEnded => self.end("install", 0),
            Event::Installed { what, place, elapsed } => {
                self.line(&format!("{what:<37} {DONE}installed{DONE:#} {} {place}", seconds(elapsed)));
            }
            Event::TransferStarted { id, what, size } => {
                self.start("transfer", id, || ProgressBar::new(size).with_style(transfer()).with_message(what));
            }
            Event::Transferred { id, bytes } => {
                let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(bar) = running.get(&("transfer", id)) {
                    bar.set_position(bytes);
                }
            }
            Event::TransferEnded { id } => self.end("transfer", id),
        }
    }
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg} {elapsed}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn transfer() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg} {bar:24} {bytes}/{total_bytes} {bytes_per_sec}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn listed(platforms: &[Platform]) -> String {
    platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A duration for people: `0.84 s`.
#[must_use]
pub fn seconds(elapsed: Duration) -> String {
    format!("{:.2} s", elapsed.as_secs_f64())
}

/// A size for people, in decimal units as registries and `docker images` show it: `12.3 MB`.
#[must_use]
pub fn bytes(size: u64) -> String {
    indicatif::DecimalBytes(size).to_string()
}
