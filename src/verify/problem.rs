//! What keeps an image from starting, or may: in words, with the ways out in the order in which they should be tried.

use crate::elf::{Mismatch, Unpromised};
use crate::hint::Hint;
use crate::platform::Platform;

use super::Verdict;

/// Something about an image that a person should know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the words of each variant are its documentation")]
pub enum Problem {
    #[error("only images for linux are judged")]
    OtherSystem,
    #[error("the image names nothing to start: it has neither an entrypoint nor a command")]
    NothingToStart,
    #[error("`{name}` is in no folder of the image's PATH ({path})")]
    NotOnPath { name: String, path: String },
    #[error("`{path}` is not in the image{}", because(.link.as_deref()))]
    NoFile { path: String, link: Option<String> },
    #[error("`{path}` is {what}, not a program")]
    NoProgram { path: String, what: &'static str },
    #[error("`{path}` cannot be executed by {user}: its mode is {mode:04o}")]
    NotExecutable { path: String, user: String, mode: u32 },
    #[error("`{path}` cannot be reached by {user}: the mode of a folder on the way is {mode:04o}")]
    Closed { path: String, user: String, mode: u32 },
    #[error("`{path}` is {what}, which a kernel does not start (exec format error)")]
    NotStartable { path: String, what: String },
    #[error("`{path}` {why}")]
    Damaged { path: String, why: String },
    #[error("`{path}` {why}, so whether it starts is not known")]
    NotRead { path: String, why: String },
    #[error("the script `{script}` asks for the interpreter `{}`, which is not in the image", interpreter.escape_debug())]
    NoInterpreter { script: String, interpreter: String },
    #[error("the script `{script}` names no interpreter after `#!`")]
    EmptyInterpreter { script: String },
    #[error("scripts that are interpreters of scripts go on for too long at `{script}`")]
    TooManyScripts { script: String },
    #[error("the script `{script}` asks `env` for `{name}`, which is in no folder of the image's PATH ({path})")]
    NotFoundByEnv { script: String, name: String, path: String },
    #[error("what `{shell} -c` starts is not known: the command is not looked into")]
    ShellCommand { shell: String },
    #[error("`{path}` {source}")]
    Unfit { path: String, source: Mismatch },
    #[error("`{path}` was built with {}={}, {platform} promises {}", .setting.name, .setting.value, .setting.promised)]
    Unpromised { path: String, setting: Unpromised, platform: Platform },
    #[error("the image's user `{user}` is not in its /etc/passwd{}", missing(*.file_missing))]
    NoUser { user: String, file_missing: bool },
    #[error("the image's group `{group}` is not in its /etc/group{}", missing(*.file_missing))]
    NoGroup { group: String, file_missing: bool },
    #[error("the image's user `{user}` is no number that Linux has: they go from 0 to 2147483647")]
    UserNumber { user: String },
    #[error("the image's working folder `{folder}` is not a folder")]
    NoFolder { folder: String },
    #[error("the image's working folder `{folder}` is not in the image; container engines make it, for root")]
    FolderToMake { folder: String },
    #[error("`{program}` asks for the loader `{interpreter}`{}, which is not in the image{}", family(interpreter), beside(.other.as_deref()))]
    NoLoader { program: String, interpreter: String, other: Option<String>, platform: Platform },
    #[error("`{program}` asks for the loader `{interpreter}`, which {why}")]
    WrongLoader { program: String, interpreter: String, why: String },
    #[error("`{program}` asks for the loader `{interpreter}`, whose ways to find libraries are not known here")]
    UnknownLoader { program: String, interpreter: String },
    #[error("`{by}` needs the library `{name}`, which the loader does not find{}", at(elsewhere, passed))]
    NoLibrary { name: String, by: String, elsewhere: Vec<String>, passed: Vec<String>, configured: bool, is_musl: bool },
    #[error("`{by}` needs the library `{name}`, and the loader stops at `{path}`, which {why}")]
    RefusedLibrary { name: String, by: String, path: String, why: String },
    #[error("{from} names `{name}`, which {why}: loaders go on without it")]
    NotPreloaded { name: String, from: &'static str, why: String },
    #[error("`{by}` needs {version}{} of `{library}`, and `{path}` {}", example(.symbol.as_deref()), offers(.highest.as_deref(), .glibc.as_deref()))]
    NoVersion {
        by: String,
        version: String,
        symbol: Option<String>,
        library: String,
        path: String,
        /// the highest of the same kind that is offered
        highest: Option<String>,
        /// the version of the image's glibc, for one of glibc's own
        glibc: Option<String>,
    },
    #[error("`{by}` needs the symbol `{symbol}`, which none of its libraries has{}", and_others(*.others))]
    NoSymbol { by: String, symbol: String, others: usize, libc: Option<String> },
    #[error("`{by}` calls `{symbol}`, which none of its libraries has{}: it fails when it comes to that", and_others(*.others))]
    LateSymbol { by: String, symbol: String, others: usize },
    #[error("`{path}` {}, and `{program}` {}", uses(.found), uses(.needed))]
    OtherAbi { path: String, found: &'static str, program: String, needed: &'static str },
    #[error("`{by}` loads libraries while it runs (dlopen): which ones is not known")]
    OpensLibraries { by: String },
    #[error("the symbols of `{path}` were not read, so whether it finds all that it needs is not known")]
    SymbolsNotRead { path: String },
    #[error("`{program}` needs more libraries, with those that they need, than anyarch looks for")]
    TooManyLibraries { program: String },
}

fn because(target: Option<&str>) -> String {
    target.map_or_else(String::new, |why| format!(": {why}"))
}

fn missing(file: bool) -> &'static str {
    if file { ", which does not exist" } else { "" }
}

fn beside(other: Option<&str>) -> String {
    other.map_or_else(String::new, |other| format!("; it has {other}"))
}

fn uses(abi: &str) -> String {
    format!("uses {abi}")
}

fn and_others(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => ", nor one other".to_owned(),
        count => format!(", nor {count} others"),
    }
}

fn example(symbol: Option<&str>) -> String {
    symbol.map_or_else(String::new, |symbol| format!(" (`{symbol}`)"))
}

fn offers(highest: Option<&str>, glibc: Option<&str>) -> String {
    match (highest, glibc) {
        (_, Some(glibc)) => format!("is of glibc {glibc}"),
        (Some(highest), None) => format!("offers {highest} at most"),
        (None, None) => "offers none of that kind".to_owned(),
    }
}

fn at(elsewhere: &[String], passed: &[String]) -> String {
    if let Some(first) = elsewhere.first() {
        return format!("; it is at `{first}`, where the loader does not look");
    }
    passed.first().map_or_else(String::new, |passed| format!("; {passed}"))
}

/// Whose loader it is, by its name.
pub(super) fn family(interpreter: &str) -> &'static str {
    let name = interpreter.rsplit('/').next().unwrap_or_default();
    if name.starts_with("ld-musl-") {
        " (musl)"
    } else if ["ld-linux", "ld64.so", "ld.so.", "ld-2."].iter().any(|glibc| name.starts_with(glibc)) {
        " (glibc)"
    } else {
        ""
    }
}

/// Bases by their glibc, oldest first.
const BASES: &[((u32, u32), &str)] = &[((2, 31), "debian:11"), ((2, 36), "debian:12"), ((2, 41), "debian:13")];

/// A base whose glibc is of that version or newer.
pub(super) fn newer_base(needed: (u32, u32)) -> Option<&'static str> {
    BASES.iter().find(|(has, _)| *has >= needed).map(|(_, base)| *base)
}

/// The numbers of `GLIBC_2.34`.
pub(super) fn glibc_version(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.strip_prefix("GLIBC_")?.split('.');
    let (major, minor) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    Some((major, minor))
}

impl Problem {
    /// What it means for the verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::NothingToStart
            | Self::OtherSystem
            | Self::NotRead { .. }
            | Self::Unpromised { .. }
            | Self::UnknownLoader { .. }
            | Self::LateSymbol { .. }
            | Self::SymbolsNotRead { .. }
            | Self::TooManyLibraries { .. }
            | Self::OtherAbi { .. } => Verdict::Unknown,
            Self::ShellCommand { .. }
            | Self::OpensLibraries { .. }
            | Self::NotPreloaded { .. }
            | Self::FolderToMake { .. } => Verdict::Ok,
            _ => Verdict::Fails,
        }
    }
}

impl Hint for Problem {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unfit { source, .. } => source.hints(),
            Self::NoLoader { interpreter, other, platform, .. } => {
                without_loader(interpreter, other.is_some(), *platform)
            }
            Self::NoVersion { version, library, glibc, .. } => old_library(version, glibc.as_deref(), library),
            Self::NoLibrary { name, elsewhere, configured, is_musl, .. } => {
                without_library(name, elsewhere.first(), *configured, *is_musl)
            }
            Self::NoInterpreter { interpreter, .. } if interpreter.contains('\r') => {
                vec!["its lines end as on Windows: sed -i 's/\\r$//' on the script".to_owned()]
            }
            Self::NoInterpreter { interpreter, .. } => vec![format!("take a base that has `{interpreter}`")],
            Self::NotFoundByEnv { name, .. } if name.contains([' ', '\t']) => {
                vec![format!("env takes all of it for a name: #!/usr/bin/env -S {name}")]
            }
            Self::NotFoundByEnv { name, .. } => vec![format!("take a base that has `{name}`")],
            Self::NotExecutable { path, .. } => vec![format!("COPY --chmod=0755, or mode = \"0755\" for `{path}`")],
            Self::NotStartable { what, .. } if what.starts_with("text") => {
                vec!["begin the script with a line as #!/bin/sh".to_owned()]
            }
            Self::NoUser { .. } | Self::NoGroup { .. } => {
                vec!["name a number, which needs no entry: user = \"65532:65532\"".to_owned()]
            }
            Self::NothingToStart => vec!["docker run IMAGE PROGRAM starts one of the image's programs".to_owned()],
            Self::NoSymbol { libc: Some(libc), .. } => vec![format!("build it for {libc}, which the image has")],
            _ => Vec::new(),
        }
    }
}

fn without_loader(interpreter: &str, has_other: bool, platform: Platform) -> Vec<String> {
    let glibc = family(interpreter) == " (glibc)";
    let base = if glibc { "take a base with glibc, as debian:12" } else { "take a base with musl, as alpine" };
    let own = match (glibc, has_other) {
        (true, true) => Some("build it for musl: libc = \"musl\""),
        (false, true) => Some("build it for glibc: libc = \"gnu\""),
        _ => None,
    };
    let fixed = if platform.architecture() == crate::platform::Architecture::S390x {
        "build it static: for Rust -Ctarget-feature=+crt-static, for Go CGO_ENABLED=0"
    } else {
        "build it static: libc = \"musl\", for Go CGO_ENABLED=0"
    };
    own.into_iter().map(str::to_owned).chain([fixed.to_owned(), base.to_owned()]).collect()
}

fn old_library(version: &str, glibc: Option<&str>, library: &str) -> Vec<String> {
    let Some(needed) = glibc_version(version) else {
        return vec![format!("take a base whose `{library}` offers {version}"), format!("link `{library}` statically")];
    };
    let mut hints = Vec::new();
    if let Some(glibc) = glibc {
        hints.push(format!("build it for the glibc that the image has: libc = \"gnu.{glibc}\" (zig)"));
    }
    hints.push("build it static: libc = \"musl\"".to_owned());
    let newer = newer_base(needed).map_or_else(String::new, |base| format!(", as {base}"));
    hints.push(format!("take a base with glibc {}.{} or newer{newer}", needed.0, needed.1));
    hints
}

fn without_library(name: &str, elsewhere: Option<&String>, configured: bool, is_musl: bool) -> Vec<String> {
    let Some(path) = elsewhere else {
        return vec![
            format!("take a base that has `{name}`, or put it into the image"),
            format!("link `{name}` statically"),
        ];
    };
    let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
    if configured {
        return vec!["/etc/ld.so.conf names its folder, and only ldconfig reads that: RUN ldconfig".to_owned()];
    }
    let ask = if is_musl { "" } else { " (or ldconfig, with the folder in /etc/ld.so.conf)" };
    vec![format!("LD_LIBRARY_PATH={folder} in the image's environment{ask}"), format!("link with -Wl,-rpath,{folder}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_out_of_a_glibc_that_is_too_old_are_in_order() {
        let problem = Problem::NoVersion {
            by: "/app".into(),
            version: "GLIBC_2.34".into(),
            symbol: Some("__libc_start_main".into()),
            library: "libc.so.6".into(),
            path: "/lib/libc.so.6".into(),
            highest: Some("GLIBC_2.30".into()),
            glibc: Some("2.31".into()),
        };
        assert_eq!(
            problem.to_string(),
            "`/app` needs GLIBC_2.34 (`__libc_start_main`) of `libc.so.6`, and `/lib/libc.so.6` is of glibc 2.31"
        );
        assert_eq!(
            problem.hints(),
            [
                "build it for the glibc that the image has: libc = \"gnu.2.31\" (zig)",
                "build it static: libc = \"musl\"",
                "take a base with glibc 2.34 or newer, as debian:12",
            ]
        );
    }

    #[test]
    fn families_are_told_by_the_name_of_the_loader() {
        for (interpreter, name) in [
            ("/lib64/ld-linux-x86-64.so.2", " (glibc)"),
            ("/lib/ld64.so.1", " (glibc)"),
            ("/lib/ld.so.1", " (glibc)"),
            ("/lib/ld-musl-x86_64.so.1", " (musl)"),
            ("/system/bin/linker64", ""),
        ] {
            assert_eq!(family(interpreter), name);
        }
    }
}
