//! What this program is when it was not called by a person: the child that runs cargo with zig as compiler and linker,
//! and the compiler, linker and archiver that this cargo calls. cargo-zigbuild does the work; it reads and changes the
//! environment of its process and writes scripts that call the current program again, so it stays in processes of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs::File, io};

use cargo_zigbuild::{Build, Zig};
use clap::Parser as _;
use fs_err as fs;

use crate::blob::Digest;
use crate::cargo::ZIGBUILD_COMMAND;
use crate::hint::Hint;

/// A call that is not for people.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Call {
    /// cargo, with these arguments of `cargo build`
    Build(Vec<OsString>),
    /// a tool of zig's, with these arguments
    Tool(Tool, Vec<OsString>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tool {
    Cc,
    Cxx,
    Ar,
    Ranlib,
    Lib,
    Dlltool,
}

/// Why zig could not be called. A compiler that failed has said so itself, and this process has ended with its code.
#[derive(Debug, thiserror::Error)]
pub enum ZigbuildError {
    /// The arguments are not those of `cargo build`.
    #[error("cargo-zigbuild does not understand the arguments")]
    Arguments {
        /// what it says
        #[source]
        source: Box<clap::Error>,
    },
    /// An argument is not text, which cargo-zigbuild needs.
    #[error("the argument `{}` is not UTF-8", .argument.to_string_lossy())]
    NotText {
        /// the argument
        argument: OsString,
    },
    /// cargo-zigbuild cannot prepare or call zig.
    #[error("cargo-zigbuild cannot call zig")]
    Zigbuild {
        /// what it says
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The folder of the wrapper scripts cannot be used.
    #[error("the wrapper scripts for zig cannot be written to `{}`", .path.display())]
    Cache {
        /// the folder
        path: PathBuf,
        /// what the file system said
        #[source]
        source: io::Error,
    },
    /// cargo cannot be started.
    #[error("cargo cannot be started")]
    Cargo {
        /// what the system said
        #[source]
        source: io::Error,
    },
}

impl Hint for ZigbuildError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Cache { .. } => vec!["ANYARCH_CACHE_DIR=/path anyarch build".to_owned()],
            Self::Cargo { .. } => vec!["see https://rustup.rs".to_owned()],
            Self::Arguments { .. } | Self::NotText { .. } | Self::Zigbuild { .. } => Vec::new(),
        }
    }
}

/// Where cargo-zigbuild writes the scripts by which cargo calls zig: below `cache`, one folder for each program and zig
/// that they name, because it changes them in place.
#[must_use]
pub fn wrapper_directory(cache: &Path, anyarch: &Path, zig: &[String], version: &str) -> PathBuf {
    let mut text = anyarch.display().to_string();
    for part in zig.iter().map(String::as_str).chain([version]) {
        text.push('\0');
        text.push_str(part);
    }
    cache.join("zigbuild").join(&Digest::of(text.as_bytes()).hex()[..16])
}

/// Runs the call if it is not for people, and returns its exit code. `main` asks before it reads any argument: the
/// archiver's arguments are its own, and it is known by the name it is called by.
#[must_use]
pub fn dispatch(args: impl IntoIterator<Item = OsString>) -> Option<Result<u8, ZigbuildError>> {
    let call = read(args.into_iter().collect())?;
    Some(match call {
        Call::Build(args) => build(args),
        Call::Tool(tool, args) => run_tool(tool, args),
    })
}

fn read(args: Vec<OsString>) -> Option<Call> {
    let mut args = args.into_iter();
    let program = PathBuf::from(args.next()?);
    let name = program.file_stem()?.to_str()?.to_owned();
    match name.as_str() {
        "ar" => return Some(Call::Tool(Tool::Ar, args.collect())),
        "lib" => return Some(Call::Tool(Tool::Lib, args.collect())),
        name if name.ends_with("dlltool") => return Some(Call::Tool(Tool::Dlltool, args.collect())),
        _ => {}
    }
    let first = args.next()?;
    if first == ZIGBUILD_COMMAND {
        return Some(Call::Build(args.collect()));
    }
    if first != "zig" {
        return None;
    }
    let tool = match args.next()?.to_str()? {
        "cc" => Tool::Cc,
        "c++" => Tool::Cxx,
        "ar" => Tool::Ar,
        "ranlib" => Tool::Ranlib,
        "lib" => Tool::Lib,
        "dlltool" => Tool::Dlltool,
        _ => return None,
    };
    // The wrapper scripts end their own arguments by `--`.
    let mut rest: Vec<OsString> = args.collect();
    if rest.first().is_some_and(|first| first == "--") {
        rest.remove(0);
    }
    Some(Call::Tool(tool, rest))
}

fn run_tool(tool: Tool, args: Vec<OsString>) -> Result<u8, ZigbuildError> {
    let text = |argument: OsString| argument.into_string().map_err(|argument| ZigbuildError::NotText { argument });
    let args = args.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
    let zig = match tool {
        Tool::Cc => Zig::Cc { args },
        Tool::Cxx => Zig::Cxx { args },
        Tool::Ar => Zig::Ar { args },
        Tool::Ranlib => Zig::Ranlib { args },
        Tool::Lib => Zig::Lib { args },
        Tool::Dlltool => Zig::Dlltool { args },
    };
    zig.execute().map_err(zigbuild)?;
    Ok(0)
}

/// Writes the wrapper scripts, which is guarded against other processes that do the same, then becomes cargo.
fn build(args: Vec<OsString>) -> Result<u8, ZigbuildError> {
    let args = [OsString::from("build")].into_iter().chain(args);
    let mut build =
        Build::try_parse_from(args).map_err(|source| ZigbuildError::Arguments { source: Box::new(source) })?;
    build.enable_zig_ar = true;
    let lock = lock()?;
    let command = build.build_command().map_err(zigbuild)?;
    drop(lock);
    become_command(command)
}

fn lock() -> Result<Option<File>, ZigbuildError> {
    let Some(path) = env::var_os("CARGO_ZIGBUILD_CACHE_DIR").map(PathBuf::from) else { return Ok(None) };
    let failed = |source| ZigbuildError::Cache { path: path.clone(), source };
    fs::create_dir_all(&path).map_err(failed)?;
    let file = fs::File::create(path.join("lock")).map_err(failed)?.into_parts().0;
    file.lock().map_err(failed)?;
    Ok(Some(file))
}

#[cfg(unix)]
fn become_command(mut command: std::process::Command) -> Result<u8, ZigbuildError> {
    use std::os::unix::process::CommandExt as _;
    // cargo takes our place, so whoever waits for us or ends us has cargo itself.
    Err(ZigbuildError::Cargo { source: command.exec() })
}

#[cfg(not(unix))]
fn become_command(mut command: std::process::Command) -> Result<u8, ZigbuildError> {
    let status = command.status().map_err(|source| ZigbuildError::Cargo { source })?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

fn zigbuild(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ZigbuildError {
    ZigbuildError::Zigbuild { source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn calls_of_compilers_are_told_from_calls_of_people() {
        let tool = |tool, args: &[&str]| Some(Call::Tool(tool, words(args)));
        for (args, expected) in [
            (vec!["anyarch"], None),
            (vec!["anyarch", "build"], None),
            (vec!["/usr/bin/anyarch", "plan", "zig"], None),
            (vec!["anyarch", "zig"], None),
            (vec!["anyarch", "zig", "build"], None),
            (vec!["anyarch", "zig", "cc", "--", "-g", "--", "x.c"], tool(Tool::Cc, &["-g", "--", "x.c"])),
            (vec!["anyarch", "zig", "c++", "--"], tool(Tool::Cxx, &[])),
            (vec!["anyarch", "zig", "ranlib", "--", "x.a"], tool(Tool::Ranlib, &["x.a"])),
            (vec!["/cache/wrappers/1a/ar", "cq", "x.a", "x.o"], tool(Tool::Ar, &["cq", "x.a", "x.o"])),
            (vec!["/cache/wrappers/1a/ar", "zig"], tool(Tool::Ar, &["zig"])),
            (vec!["anyarch", "__zigbuild", "--target", "t"], Some(Call::Build(words(&["--target", "t"])))),
            (vec![], None),
        ] {
            assert_eq!(read(words(&args)), expected, "{args:?}");
        }
    }

    #[test]
    fn each_program_and_zig_has_its_own_wrappers() {
        let of = |anyarch: &str, zig: &[&str], version: &str| {
            let zig: Vec<String> = zig.iter().map(ToString::to_string).collect();
            wrapper_directory(Path::new("/c"), Path::new(anyarch), &zig, version)
        };
        let one = of("/a", &["/zig"], "0.17.0");
        assert!(one.starts_with("/c/zigbuild") && one == of("/a", &["/zig"], "0.17.0"));
        for other in [of("/b", &["/zig"], "0.17.0"), of("/a", &["/z", "ig"], "0.17.0"), of("/a", &["/zig"], "0.16.0")] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn arguments_that_cargo_build_does_not_have_are_an_error() {
        let error = dispatch(words(&["anyarch", "__zigbuild", "--no-such-flag"])).unwrap().unwrap_err();
        assert_eq!(error.to_string(), "cargo-zigbuild does not understand the arguments");
    }
}
