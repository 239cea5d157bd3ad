//! The words of a start become the call that the kernel gets: the program found as container engines find it, and under an
//! emulator what the kernel would do with a script.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::mounts::EMULATOR;
use super::protocol::{EmulatorFile, Failure, Start};
use crate::verify::{DEFAULT_PATH, Problem, SCRIPTS, asked_of_env, interpreter_of};

/// How many bytes of a file's beginning the kernel looks at (`BINPRM_BUF_SIZE`).
const BEGINNING: u64 = 256;

/// A call of a program.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// what is started
    pub(super) program: PathBuf,
    /// its name and its arguments
    pub(super) args: Vec<OsString>,
    /// the words of the start name a script
    pub(super) script: bool,
}

/// Finds what the words name. A relative path is one from the current folder.
pub(super) fn find(start: &Start, emulator: Option<&EmulatorFile>) -> Result<Call, Failure> {
    let nothing = || refused(&Problem::NothingToStart);
    let name = start.words.first().filter(|name| !name.is_empty()).ok_or_else(nothing)?;
    let path = start.env.iter().rev().find(|(name, _)| name == "PATH").map_or(DEFAULT_PATH, |(_, path)| path);
    let program = if name.contains('/') {
        PathBuf::from(name)
    } else {
        let missing = || refused(&Problem::NotOnPath { name: name.clone(), path: path.to_owned() });
        on_path(name, path).ok_or_else(missing)?
    };
    let mut call = Call { program, args: start.words.iter().map(OsString::from).collect(), script: false };
    call.script = shebang(&call.program).is_some();
    let Some(emulator) = emulator else { return Ok(call) };
    // The kernel starts a script's interpreter by itself, and knows nothing of its platform.
    for _ in 0..SCRIPTS {
        let Some(line) = shebang(&call.program) else { break };
        call.follow(&line, path);
    }
    // Nor does an emulator look at what the kernel would.
    may_start(&call.program).map_err(|why| Failure::Start { text: format!("`{name}` cannot be started: {why}") })?;
    let mut args: Vec<OsString> = vec![EMULATOR.into()];
    args.extend(emulator.cpu.iter().flat_map(|cpu| ["-cpu".into(), cpu.into()]));
    args.push("-0".into());
    args.extend(call.args.first().cloned());
    args.push(call.program.into());
    args.extend(call.args.into_iter().skip(1));
    Ok(Call { program: EMULATOR.into(), args, script: call.script })
}

impl Call {
    /// Becomes the call of the interpreter that a script's first line names; where that is `env`, of what it looks for.
    fn follow(&mut self, line: &str, path: &str) {
        let (interpreter, argument) = interpreter_of(line);
        let asked = asked_of_env(argument).filter(|_| !argument.starts_with('-'));
        let asked = asked.filter(|_| interpreter.rsplit('/').next() == Some("env"));
        let found = asked.and_then(|name| Some((on_path(name, path)?, name)));
        let script = std::mem::take(&mut self.program).into_os_string();
        let (program, name, argument) = match found {
            Some((program, name)) => (program, name, ""),
            None => (PathBuf::from(interpreter), interpreter, argument),
        };
        let rest = std::mem::take(&mut self.args).into_iter().skip(1);
        let argument = (!argument.is_empty()).then(|| OsString::from(argument));
        self.args = [OsString::from(name)].into_iter().chain(argument).chain([script]).chain(rest).collect();
        self.program = program;
    }
}

/// Whether a file is there and executable, else why not.
fn may_start(program: &Path) -> Result<(), String> {
    let shown = program.display();
    match std::fs::metadata(program) {
        Err(error) => Err(format!("`{shown}`: {error}")),
        Ok(there) if !there.is_file() => Err(format!("`{shown}` is no file")),
        Ok(there) if there.permissions().mode() & 0o111 == 0 => Err(format!("`{shown}` is not executable")),
        Ok(_) => Ok(()),
    }
}

/// The first executable file of the name on a PATH.
fn on_path(name: &str, path: &str) -> Option<PathBuf> {
    let folders = path.split(':').filter(|folder| folder.starts_with('/'));
    folders
        .map(|folder| Path::new(folder).join(name))
        .find(|file| fs::metadata(file).is_ok_and(|there| there.is_file() && there.permissions().mode() & 0o111 != 0))
}

/// The first line of a script behind `#!`; `None` for what is none, or has no interpreter.
fn shebang(program: &Path) -> Option<String> {
    let bytes = beginning(program, BEGINNING)?;
    let line = bytes.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line).into_owned();
    (!interpreter_of(&line).0.is_empty()).then_some(line)
}

/// The beginning of a regular file: anything else might never be read to its end.
pub(super) fn beginning(path: &Path, most: u64) -> Option<Vec<u8>> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// A start that has no chance, in the words of who judges it without starting.
pub(super) fn refused(problem: &Problem) -> Failure {
    Failure::Start { text: problem.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(words: &[&str], path: &Path) -> Start {
        Start {
            words: words.iter().map(ToString::to_string).collect(),
            env: vec![("PATH".to_owned(), format!("relative:/nowhere:{}", path.display()))],
            user: String::new(),
            folder: "/".to_owned(),
        }
    }

    fn put(path: &Path, text: &str, mode: u32) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn scripts_are_followed_where_the_kernel_cannot() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        put(&folder.path().join("shell"), "\x7fELF", 0o755);
        put(&folder.path().join("script"), &format!("#!{} -e\nrun\n", at("shell")), 0o755);
        put(&folder.path().join("second"), &format!("#! {}\n", at("script")), 0o755);
        put(&folder.path().join("asking"), "#!/usr/bin/env shell\n", 0o755);
        put(&folder.path().join("circle"), &format!("#!{}\n", at("circle")), 0o755);
        put(&folder.path().join("data"), "text", 0o644);
        let emulator = EmulatorFile { size: 1, cpu: Some("old".to_owned()) };
        let call = |words: &[&str], emulator: Option<&EmulatorFile>| {
            let call = find(&start(words, folder.path()), emulator).unwrap();
            let args: Vec<String> = call.args.into_iter().map(|arg| arg.into_string().unwrap()).collect();
            (call.program.display().to_string(), args, call.script)
        };
        let under = |args: &[&str], script| {
            let args = ["/dev/.emulator", "-cpu", "old", "-0"].iter().chain(args);
            ("/dev/.emulator".to_owned(), args.map(ToString::to_string).collect::<Vec<_>>(), script)
        };
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(call(&["shell", "x"], None), (at("shell"), words(&["shell", "x"]), false));
        assert_eq!(call(&["script", "x"], None), (at("script"), words(&["script", "x"]), true));
        let (shell, script, second, asking) = (at("shell"), at("script"), at("second"), at("asking"));
        for (name, args, is_script) in [
            ("shell", vec!["shell", &shell, "x"], false),
            (&shell, vec![&shell, &shell, "x"], false),
            ("script", vec![&shell, &shell, "-e", &script, "x"], true),
            ("second", vec![&shell, &shell, "-e", &script, &second, "x"], true),
            ("asking", vec!["shell", &shell, &asking, "x"], true),
        ] {
            assert_eq!(call(&[name, "x"], Some(&emulator)), under(&args, is_script), "{name}");
        }
        assert!(call(&["circle"], Some(&emulator)).2);
        let refused = |word: &str| {
            let Err(Failure::Start { text }) = find(&start(&[word], folder.path()), Some(&emulator)) else {
                panic!("{word}")
            };
            text
        };
        put(&folder.path().join("lost"), "#!/no/such/shell\n", 0o755);
        assert!(refused("lost").starts_with("`lost` cannot be started: `/no/such/shell`: No such file"));
        let data = at("data");
        assert_eq!(refused(&data), format!("`{data}` cannot be started: `{data}` is not executable"));
        for (words, expected) in [(&["data"][..], "`data`"), (&["missing"], "`missing`"), (&[], ""), (&[""], "")] {
            let Err(Failure::Start { text }) = find(&start(words, folder.path()), None) else { panic!("{words:?}") };
            assert!(text.contains(expected), "{text}");
        }
    }
}
