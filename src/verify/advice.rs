//! The ways out of a problem where it is known how the program was built and on what base it is: in words of that project.

use crate::hint::Hint as _;
use crate::platform::Architecture;
use crate::toolchain::Language;

use super::Problem;
use super::problem::{family, glibc_version, newer_base};

/// A program of the image, and how it was built.
#[derive(Debug, Clone, Copy)]
pub struct Built<'plan> {
    /// its path in the image
    pub path: &'plan str,
    /// its language
    pub language: Language,
    /// the toolchain row that linked it, by name
    pub row: Option<&'plan str>,
    /// the libc that it was built for: `gnu`, `gnu.2.31`
    pub libc: Option<&'plan str>,
}

impl Built<'_> {
    /// Whether anyarch compiled it, and would compile it otherwise.
    fn is_compiled(&self) -> bool {
        self.language != Language::Prebuilt && self.row.is_some()
    }

    /// What builds it for a glibc of that version; `None` where that was done already, or is nothing of ours.
    fn for_glibc(&self, version: &str) -> Option<String> {
        let numbers = |version: &str| glibc_version(&format!("GLIBC_{version}"));
        let done = self.libc.and_then(|libc| libc.strip_prefix("gnu.")).and_then(numbers);
        if !self.is_compiled() || done.is_some_and(|done| Some(done) <= numbers(version)) {
            return None;
        }
        let toolchain = if self.row == Some("zig") { "" } else { ", toolchain = \"zig\"" };
        Some(format!("libc = \"gnu.{version}\"{toolchain}"))
    }
}

/// The ways out of a problem, the best first. `programs` are those that were built, `base` is the name of what they are on.
#[must_use]
pub fn advice(problem: &Problem, programs: &[Built<'_>], base: &str) -> Vec<String> {
    let built = |path: &str| programs.iter().find(|program| program.path == path);
    match problem {
        Problem::NoVersion { by, version, library, glibc, .. } => match glibc_version(version).zip(glibc.as_deref()) {
            Some((needed, glibc)) => old_glibc(built(by), needed, glibc, base),
            None => vec![
                format!("take a base whose `{library}` offers {version}, not `{base}`"),
                format!("link `{library}` statically"),
            ],
        },
        Problem::NoLoader { program, interpreter, other, platform } => {
            let has_no_musl = platform.architecture() == Architecture::S390x;
            no_loader(built(program), interpreter, other.is_some(), has_no_musl)
        }
        Problem::NoLibrary { name, by, elsewhere, .. } if elsewhere.is_empty() => {
            let fixed = built(by).filter(|program| program.is_compiled()).map(|_| "build it static: libc = \"musl\"");
            let there = format!("take a base that has `{name}`, or put it there by a [[file]] of anyarch.toml");
            fixed.map(str::to_owned).into_iter().chain([there]).collect()
        }
        Problem::NoFile { .. } | Problem::NotOnPath { .. } | Problem::NoProgram { .. } => {
            programs.iter().map(|program| format!("entrypoint = [\"{}\"]", program.path)).collect()
        }
        Problem::NothingToStart => vec!["entrypoint = [\"/path/of/a/program\"]".to_owned()],
        Problem::NotExecutable { path, .. } => vec![format!("mode = \"0755\" in the [[file]] of `{path}`")],
        Problem::NoFolder { .. } => vec!["workdir = \"/\"".to_owned()],
        other => other.hints(),
    }
}

fn old_glibc(program: Option<&Built<'_>>, needed: (u32, u32), glibc: &str, base: &str) -> Vec<String> {
    let mut ways = Vec::new();
    if let Some(program) = program {
        if let Some(keys) = program.for_glibc(glibc) {
            ways.push(format!("build it for the glibc of `{base}`: {keys}"));
        }
        ways.push(if program.is_compiled() {
            "build it static: libc = \"musl\"".to_owned()
        } else {
            format!("build it where glibc is no newer than {glibc}, or static")
        });
    }
    let (major, minor) = needed;
    let newer = newer_base(needed).map_or_else(String::new, |base| format!(": --base {base}"));
    ways.push(format!("take a base with glibc {major}.{minor} or newer{newer}"));
    ways
}

fn no_loader(program: Option<&Built<'_>>, interpreter: &str, has_other: bool, has_no_musl: bool) -> Vec<String> {
    let (of_glibc, mut ways) = (family(interpreter) == " (glibc)", Vec::new());
    match program {
        Some(program) if program.is_compiled() => {
            if !of_glibc && has_other {
                ways.push("build it for glibc: libc = \"gnu\"".to_owned());
            }
            ways.push(match (has_no_musl, program.language) {
                (_, Language::Go) => "build it static: libc = \"musl\", or without C: cgo = false".to_owned(),
                (true, _) => "build it static: libc = \"static\"".to_owned(),
                (false, _) => "build it static: libc = \"musl\"".to_owned(),
            });
        }
        Some(_) => ways.push("build it static".to_owned()),
        None => {}
    }
    let base =
        if of_glibc { "take a base with glibc: --base debian:12" } else { "take a base with musl: --base alpine" };
    ways.push(base.to_owned());
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "/usr/local/bin/app";

    fn built<'plan>(language: Language, row: &'plan str, libc: &'plan str) -> Built<'plan> {
        let said = |text: &'plan str| Some(text).filter(|text| !text.is_empty());
        Built { path: APP, language, row: said(row), libc: said(libc) }
    }

    #[test]
    fn the_ways_out_of_an_old_glibc_are_those_of_the_project() {
        let problem = |by: &str, version: &str| Problem::NoVersion {
            by: by.into(),
            version: version.into(),
            symbol: None,
            library: "libc.so.6".into(),
            path: "/lib/libc.so.6".into(),
            highest: None,
            glibc: version.starts_with("GLIBC_").then(|| "2.31".into()),
        };
        let newer = "take a base with glibc 2.34 or newer: --base debian:12";
        let musl = "build it static: libc = \"musl\"";
        let zig = "build it for the glibc of `debian:11`: libc = \"gnu.2.31\"";
        let with_zig = "build it for the glibc of `debian:11`: libc = \"gnu.2.31\", toolchain = \"zig\"";
        for (program, expected) in [
            (built(Language::Rust, "zig", "gnu"), [zig, musl, newer].as_slice()),
            (built(Language::Rust, "gcc", "gnu"), &[with_zig, musl, newer]),
            (built(Language::C, "zig", "gnu.2.36"), &[zig, musl, newer]),
            // What needs more was linked into it.
            (built(Language::C, "zig", "gnu.2.31"), &[musl, newer]),
            (built(Language::Go, "gcc", "gnu"), &[with_zig, musl, newer]),
            (built(Language::Prebuilt, "", ""), &["build it where glibc is no newer than 2.31, or static", newer]),
        ] {
            assert_eq!(advice(&problem(APP, "GLIBC_2.34"), &[program], "debian:11"), expected, "{program:?}");
        }
        let program = [built(Language::Rust, "gcc", "gnu")];
        assert_eq!(advice(&problem("/lib/libz.so.1", "GLIBC_2.34"), &program, "debian:11"), [newer]);
        assert_eq!(
            advice(&problem(APP, "GLIBC_2.99"), &program, "debian:11"),
            [with_zig, musl, "take a base with glibc 2.99 or newer"]
        );
        assert_eq!(
            advice(&problem(APP, "CXXABI_1.3.13"), &program, "debian:11"),
            ["take a base whose `libc.so.6` offers CXXABI_1.3.13, not `debian:11`", "link `libc.so.6` statically"]
        );
    }

    #[test]
    fn the_ways_to_a_loader_are_those_of_the_project() {
        let (glibc, musl) = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1");
        let problem = |interpreter: &str, other: Option<&str>, platform: &str| Problem::NoLoader {
            program: APP.into(),
            interpreter: interpreter.into(),
            other: other.map(Into::into),
            platform: platform.parse().unwrap(),
        };
        let (debian, alpine) = ("take a base with glibc: --base debian:12", "take a base with musl: --base alpine");
        let fixed = "build it static: libc = \"musl\"";
        for (problem, program, expected) in [
            (problem(glibc, None, "linux/amd64"), built(Language::Rust, "gcc", "gnu"), [fixed, debian].as_slice()),
            (problem(glibc, Some("musl 1.2.5"), "linux/amd64"), built(Language::C, "zig", "gnu"), &[fixed, debian]),
            (
                problem(glibc, None, "linux/amd64"),
                built(Language::Go, "zig", "gnu"),
                &["build it static: libc = \"musl\", or without C: cgo = false", debian],
            ),
            (
                problem("/lib/ld64.so.1", None, "linux/s390x"),
                built(Language::Rust, "gcc", "gnu"),
                &["build it static: libc = \"static\"", debian],
            ),
            (
                problem(musl, Some("glibc"), "linux/amd64"),
                built(Language::Command, "zig", "musl"),
                &["build it for glibc: libc = \"gnu\"", fixed, alpine],
            ),
            (problem(glibc, None, "linux/amd64"), built(Language::Prebuilt, "", ""), &["build it static", debian]),
            (
                problem(glibc, None, "linux/amd64"),
                Built { path: "/other", ..built(Language::C, "gcc", "gnu") },
                &[debian],
            ),
        ] {
            assert_eq!(advice(&problem, &[program], "static"), expected, "{problem} {program:?}");
        }
    }

    #[test]
    fn what_the_configuration_says_wrongly_is_answered_with_a_key() {
        let program = [built(Language::Go, "go", "")];
        let library = |elsewhere: &[&str]| Problem::NoLibrary {
            name: "libz.so.1".into(),
            by: APP.into(),
            elsewhere: elsewhere.iter().map(ToString::to_string).collect(),
            passed: Vec::new(),
            configured: false,
            is_musl: false,
        };
        let in_file = "take a base that has `libz.so.1`, or put it there by a [[file]] of anyarch.toml";
        for (problem, expected) in [
            (library(&[]), ["build it static: libc = \"musl\"", in_file].as_slice()),
            (
                library(&["/opt/libz.so.1"]),
                &[
                    "LD_LIBRARY_PATH=/opt in the image's environment (or ldconfig, with the folder in /etc/ld.so.conf)",
                    "link with -Wl,-rpath,/opt",
                ],
            ),
            (Problem::NoFile { path: "/ap".into(), link: None }, &["entrypoint = [\"/usr/local/bin/app\"]"]),
            (Problem::NotOnPath { name: "ap".into(), path: "/bin".into() }, &["entrypoint = [\"/usr/local/bin/app\"]"]),
            (Problem::NothingToStart, &["entrypoint = [\"/path/of/a/program\"]"]),
            (
                Problem::NotExecutable { path: "/run.sh".into(), user: "root".into(), mode: 0o644 },
                &["mode = \"0755\" in the [[file]] of `/run.sh`"],
            ),
            (Problem::NoFolder { folder: "/app".into() }, &["workdir = \"/\""]),
            (
                Problem::NoUser { user: "app".into(), file_missing: true },
                &["name a number, which needs no entry: user = \"65532:65532\""],
            ),
        ] {
            assert_eq!(advice(&problem, &program, "static"), expected, "{problem}");
        }
    }
}
