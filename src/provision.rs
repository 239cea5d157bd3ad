//! What plans and rows need becomes a list of tools and Rust targets, and of each how it can be had on this machine.

use std::collections::BTreeSet;

use crate::plan::Plan;
use crate::platform::Platform;
use crate::toolchain::{Language, Libc, Request, Tool, ToolchainError, Toolchains};

/// Something that has to be on the machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// a program
    Tool(Box<Tool>),
    /// the standard library of a Rust target
    RustTarget(String),
}

/// A subject, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// what is needed
    pub subject: Subject,
    /// the platforms that need it
    pub platforms: Vec<Platform>,
    /// other toolchains that would do
    pub alternatives: Vec<String>,
}

/// How something can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// by anyarch, which downloads so many bytes
    Download {
        /// the version
        version: String,
        /// bytes
        size: u64,
    },
    /// by anyarch, which calls rustup
    Rustup,
    /// by a line for a shell
    Line(String),
    /// in no way that we know
    Unknown,
}

impl Subject {
    /// Its name for people: a tool's command where that says more than the row's name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::RustTarget(target) => target.clone(),
            Self::Tool(tool) => match tool.commands.first().map(Vec::as_slice) {
                Some([only]) => only.clone(),
                _ => tool.name.clone(),
            },
        }
    }
}

/// Collects needs, each subject once.
#[derive(Debug, Default)]
struct Needs(Vec<Need>);

impl Needs {
    fn add(&mut self, subject: Subject, platforms: &[Platform], alternatives: &[String]) {
        let position = self.0.iter().position(|need| need.subject == subject);
        let position = position.unwrap_or_else(|| {
            self.0.push(Need { subject, platforms: Vec::new(), alternatives: Vec::new() });
            self.0.len() - 1
        });
        let need = &mut self.0[position];
        for platform in platforms {
            if !need.platforms.contains(platform) {
                need.platforms.push(*platform);
            }
        }
        for alternative in alternatives {
            if !need.alternatives.contains(alternative) {
                need.alternatives.push(alternative.clone());
            }
        }
    }
}

/// What the compiler calls of a plan need: tools first, in the order of the calls.
#[must_use]
pub fn needs_of_plan(plan: &Plan) -> Vec<Need> {
    let mut needs = Needs::default();
    let jobs = &plan.jobs;
    for job in jobs {
        for tool in &job.tools {
            needs.add(Subject::Tool(Box::new(tool.clone())), &job.platforms, &job.alternatives);
        }
    }
    for undecided in &plan.undecided {
        for tool in &undecided.tools {
            needs.add(Subject::Tool(Box::new(tool.clone())), &[undecided.platform], &undecided.alternatives);
        }
    }
    for job in jobs {
        for target in &job.targets {
            // A call names its targets in the order of its platforms.
            let pairs = job.targets.iter().zip(&job.platforms);
            let platforms: Vec<Platform> =
                pairs.filter(|(one, _)| *one == target).map(|(_, platform)| *platform).collect();
            needs.add(Subject::RustTarget(target.clone()), &platforms, &job.alternatives);
        }
    }
    needs.0
}

/// What the first rows of `languages` need for `platforms`, or for each language's default ones: for a static program,
/// with C in it and without.
///
/// # Errors
/// When platforms were named and no language has a row for one of them.
pub fn needs_of_rows(
    rows: &Toolchains,
    platforms: Option<&[Platform]>,
    languages: &[Language],
) -> Result<Vec<Need>, ToolchainError> {
    let (mut needs, mut targets) = (Needs::default(), Needs::default());
    let mut unknown: Vec<(Platform, ToolchainError)> = Vec::new();
    let mut known: BTreeSet<Platform> = BTreeSet::new();
    for language in languages.iter().filter(|language| **language != Language::Prebuilt) {
        let defaults = rows.default_platforms(*language);
        for platform in platforms.unwrap_or(&defaults) {
            for c in [false, true] {
                let request =
                    Request { language: *language, platform: *platform, libc: None, c, row: None, sysroot: false };
                let chosen = match rows.select(&request) {
                    Ok(chosen) => chosen,
                    Err(error) => {
                        unknown.push((*platform, error));
                        continue;
                    }
                };
                known.insert(*platform);
                let alternatives = rows.alternatives(&request, &chosen.name);
                for tool in chosen.tools {
                    needs.add(Subject::Tool(Box::new(tool)), &[*platform], &alternatives);
                }
                if let Some(target) = chosen.target.filter(|_| *language == Language::Rust) {
                    targets.add(Subject::RustTarget(target), &[*platform], &alternatives);
                }
            }
        }
    }
    match unknown.into_iter().find(|(platform, _)| platforms.is_some() && !known.contains(platform)) {
        Some((_, error)) => Err(error),
        None => Ok(needs.0.into_iter().chain(targets.0).collect()),
    }
}

/// How something can be had. `line` is what this machine's package manager is told for a tool.
#[must_use]
pub fn way(subject: &Subject, host: Option<Platform>, rustup: bool, line: Option<String>) -> Way {
    match subject {
        Subject::Tool(tool) => {
            let file = tool.download.as_ref().and_then(|download| Some((download, download.hosts.get(&host?)?)));
            match (file, line) {
                (Some((download, file)), _) => Way::Download { version: download.version.clone(), size: file.size },
                (None, Some(line)) => Way::Line(line),
                (None, None) => Way::Unknown,
            }
        }
        Subject::RustTarget(_) if rustup => Way::Rustup,
        Subject::RustTarget(_) => Way::Line(RUSTUP_LINE.to_owned()),
    }
}

/// How Rust comes to a machine with all the targets that it is offered for: <https://rustup.rs>.
pub const RUSTUP_LINE: &str = "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh";

/// What would do where a Rust target cannot be had: settings by which the platforms take another one.
#[must_use]
pub fn other_targets(rows: &Toolchains, target: &str, platforms: &[Platform]) -> Vec<String> {
    let names: BTreeSet<&str> =
        rows.rows().filter(|row| row.language == Language::Rust).map(|row| row.name.as_str()).collect();
    let mut settings: Vec<String> = Vec::new();
    for libc in [Libc::Musl, Libc::Gnu(None)] {
        for name in &names {
            let takes = |platform: &Platform| {
                let request = Request {
                    language: Language::Rust,
                    platform: *platform,
                    libc: Some(libc),
                    c: false,
                    row: Some((*name).to_owned()),
                    sysroot: false,
                };
                rows.select(&request).is_ok_and(|chosen| chosen.target.as_deref().is_some_and(|other| other != target))
            };
            if !platforms.is_empty() && platforms.iter().all(takes) {
                settings.push(format!("libc = \"{libc}\", toolchain = \"{name}\""));
            }
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Toolchains {
        Toolchains::built_in().unwrap()
    }

    fn platforms(names: &[&str]) -> Vec<Platform> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn shown(needs: &[Need]) -> Vec<String> {
        needs
            .iter()
            .map(|need| {
                let platforms: Vec<String> = need.platforms.iter().map(ToString::to_string).collect();
                format!("{}: {}", need.subject.name(), platforms.join(" "))
            })
            .collect()
    }

    #[test]
    fn rows_need_tools_and_targets_each_once() {
        let named = platforms(&["linux/amd64", "linux/s390x", "linux/arm/v6"]);
        let needs = needs_of_rows(&rows(), Some(&named), &[Language::Go, Language::Rust, Language::Prebuilt]).unwrap();
        assert_eq!(
            shown(&needs),
            [
                "go: linux/amd64 linux/s390x linux/arm/v6",
                "cargo: linux/amd64 linux/s390x linux/arm/v6",
                "zig: linux/amd64 linux/arm/v6",
                "s390x-linux-gnu-gcc: linux/s390x",
                "x86_64-unknown-linux-musl: linux/amd64",
                "s390x-unknown-linux-gnu: linux/s390x",
                "arm-unknown-linux-musleabihf: linux/arm/v6",
            ]
        );
        let all = needs_of_rows(&rows(), None, &[Language::Go]).unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].platforms, rows().default_platforms(Language::Go));
    }

    #[test]
    fn a_platform_without_any_row_is_an_error() {
        let error = needs_of_rows(&rows(), Some(&platforms(&["windows/amd64"])), &[Language::Go, Language::Rust]);
        assert_eq!(error.unwrap_err().to_string(), "go has no toolchain for windows/amd64");
    }

    #[test]
    fn what_can_be_had_depends_on_the_machine() {
        let tool = |name: &str| Subject::Tool(Box::new(rows().tool(name, "linux/arm64".parse().unwrap()).unwrap()));
        let host = |name: &str| Some(name.parse().unwrap());
        let zig = rows().tool("zig", "linux/arm64".parse().unwrap()).unwrap().download.unwrap();
        let line = || Some("brew install x".to_owned());
        let download =
            |host: &str| Way::Download { version: zig.version.clone(), size: zig.hosts[&host.parse().unwrap()].size };
        for (subject, host, rustup, line, expected) in [
            (tool("zig"), host("linux/amd64"), true, None, download("linux/amd64")),
            (tool("zig"), host("darwin/arm64"), false, line(), download("darwin/arm64")),
            (tool("zig"), host("linux/s390x"), true, line(), Way::Line("brew install x".into())),
            (tool("zig"), None, true, None, Way::Unknown),
            (tool("gcc"), host("linux/amd64"), true, line(), Way::Line("brew install x".into())),
            (Subject::RustTarget("t".into()), host("linux/amd64"), true, None, Way::Rustup),
            (Subject::RustTarget("t".into()), host("linux/amd64"), false, None, Way::Line(RUSTUP_LINE.into())),
        ] {
            assert_eq!(way(&subject, host, rustup, line), expected, "{subject:?}");
        }
    }

    #[test]
    fn another_target_is_named_where_there_is_one() {
        for (target, names, expected) in [
            (
                "armv7-unknown-linux-musleabihf",
                &["linux/arm/v7"][..],
                &["libc = \"gnu\", toolchain = \"gcc\"", "libc = \"gnu\", toolchain = \"zig\""][..],
            ),
            ("arm-unknown-linux-musleabihf", &["linux/arm/v6"], &["libc = \"gnu\", toolchain = \"zig\""]),
            ("s390x-unknown-linux-gnu", &["linux/s390x"], &[]),
            ("x", &[], &[]),
        ] {
            assert_eq!(other_targets(&rows(), target, &platforms(names)), expected, "{target}");
        }
    }
}
