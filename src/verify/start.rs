//! A config's words become the program that a kernel would start: found as container engines find it, through scripts and
//! their interpreters, to the binary at the end.

use crate::elf::{FileKind, check_start, unpromised};
use crate::listing::{Binary, Contents};
use crate::platform::Platform;
use crate::tree::{Found, Miss, Tree};

use super::config::StartConfig;
use super::problem::Problem;
use super::user::{EXECUTE, User};
use super::{Format, NeedsLower};

/// How many scripts may be each other's interpreters, as in Linux (`exec_binprm`).
pub const SCRIPTS: usize = 5;
/// Folders that every system has open to all. An image whose layer of ours lies in them says nothing of them, and to fetch
/// the base for their modes alone would be to fetch every base.
const OPEN_FOLDERS: &[&str] = &[
    "/",
    "/app",
    "/bin",
    "/lib",
    "/opt",
    "/sbin",
    "/srv",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/lib",
    "/usr/local/sbin",
    "/usr/sbin",
];

/// What is started in the end.
#[derive(Debug, Clone, Default)]
pub(super) struct Started<'listing> {
    /// the binary and where it is; `None` where that cannot be said
    pub(super) binary: Option<(String, &'listing Binary)>,
    /// where what the config names is
    pub(super) path: Option<String>,
    /// what that is
    pub(super) format: Option<Format>,
    pub(super) problems: Vec<Problem>,
}

/// Who starts what, and where.
pub(super) struct Starter<'image, 'listing> {
    pub(super) tree: &'image Tree<'listing>,
    pub(super) platform: Platform,
    pub(super) config: &'image StartConfig,
    pub(super) user: &'image User,
}

impl<'listing> Starter<'_, 'listing> {
    /// Finds and follows the program that the config names.
    pub(super) fn start(&self) -> Result<Started<'listing>, NeedsLower> {
        let mut started = Started::default();
        let words = self.config.words();
        let Some(name) = words.first().filter(|name| !name.is_empty()) else {
            started.problems.push(Problem::NothingToStart);
            return Ok(started);
        };
        if matches!(words.get(1).map(String::as_str), Some("-c")) && is_shell(name) {
            started.problems.push(Problem::ShellCommand { shell: name.clone() });
        }
        match self.locate(name)? {
            Ok(found) => self.follow(&found, 0, &mut started)?,
            Err(problem) => started.problems.push(problem),
        }
        Ok(started)
    }

    /// Finds a program as engines do: by its path from the working folder, or on the image's PATH.
    fn locate(&self, name: &str) -> Result<Result<Found<'_, 'listing>, Problem>, NeedsLower> {
        if name.contains('/') {
            return self.open(&self.absolute(name));
        }
        Ok(self
            .on_path(name)?
            .ok_or_else(|| Problem::NotOnPath { name: name.to_owned(), path: self.path().to_owned() }))
    }

    fn path(&self) -> &str {
        self.config.variable("PATH").unwrap_or(super::config::DEFAULT_PATH)
    }

    /// The first file of the name on PATH that the user may execute.
    fn on_path(&self, name: &str) -> Result<Option<Found<'_, 'listing>>, NeedsLower> {
        for folder in self.path().split(':').filter(|folder| folder.starts_with('/')) {
            match self.tree.find(&format!("{folder}/{name}")) {
                Ok(found) if found.node.file().is_some() && self.user.may(EXECUTE, found.node, self.tree)? => {
                    return Ok(Some(found));
                }
                Err(Miss::NeedsLower) => return Err(NeedsLower),
                _ => {}
            }
        }
        Ok(None)
    }

    fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", self.config.folder()) }
    }

    /// The file at an absolute path, with a reason when there is none that can be executed.
    fn open(&self, path: &str) -> Result<Result<Found<'_, 'listing>, Problem>, NeedsLower> {
        let none = |link: Option<&str>| Problem::NoFile { path: path.to_owned(), link: link.map(str::to_owned) };
        let found = match self.tree.find(path) {
            Ok(found) => found,
            Err(Miss::NeedsLower) => return Err(NeedsLower),
            Err(Miss::Missing) => {
                return Ok(Err(none(self.tree.is_link(path).then_some("it is a link to what is not there"))));
            }
            Err(Miss::Circle) => return Ok(Err(none(Some("its links lead in a circle")))),
            Err(Miss::NotAFolder) => return Ok(Err(none(Some("something on the way is no folder")))),
        };
        if found.node.file().is_none() {
            let what = if found.node.is_folder() { "a folder" } else { "a device or a pipe" };
            return Ok(Err(Problem::NoProgram { path: path.to_owned(), what }));
        }
        if let Some(mode) = self.closed(&found)? {
            return Ok(Err(Problem::Closed { path: path.to_owned(), user: self.user.name.clone(), mode }));
        }
        if !self.user.may(EXECUTE, found.node, self.tree)? {
            let (path, user, mode) = (path.to_owned(), self.user.name.clone(), found.node.mode);
            return Ok(Err(Problem::NotExecutable { path, user, mode }));
        }
        Ok(Ok(found))
    }

    /// The mode of a folder on the way that keeps the user out.
    fn closed(&self, found: &Found<'_, 'listing>) -> Result<Option<u32>, NeedsLower> {
        if self.user.is_root() {
            return Ok(None);
        }
        let mut path = String::new();
        let names = found.path.split('/').skip(1);
        for (node, name) in found.through.iter().zip(std::iter::once("").chain(names)) {
            path = if name.is_empty() { "/".to_owned() } else { format!("{}/{name}", path.trim_end_matches('/')) };
            if !node.said && node.may_be_lower() && !OPEN_FOLDERS.contains(&path.as_str()) {
                return Err(NeedsLower);
            }
            if node.said && !self.user.may(EXECUTE, node, self.tree)? {
                return Ok(Some(node.mode));
            }
        }
        Ok(None)
    }

    /// What the kernel does with a file: starts a binary, or a script's interpreter instead.
    fn follow(
        &self,
        found: &Found<'_, 'listing>,
        depth: usize,
        started: &mut Started<'listing>,
    ) -> Result<(), NeedsLower> {
        let path = found.path.clone();
        if started.path.is_none() {
            started.path = Some(path.clone());
        }
        let Some(file) = found.node.file() else { return Ok(()) };
        let mut format = None;
        match &file.contents {
            Contents::Elf(binary) => {
                format = Some(Format::of(binary));
                if let Err(source) = check_start(&binary.facts, self.platform) {
                    started.problems.push(Problem::Unfit { path, source });
                } else {
                    if let Some(setting) = unpromised(&binary.facts, self.platform) {
                        let (path, platform) = (path.clone(), self.platform);
                        started.problems.push(Problem::Unpromised { path, setting, platform });
                    }
                    started.binary = Some((path, binary));
                }
            }
            Contents::Script(line) => {
                started.format.get_or_insert(Format::Script);
                if depth == SCRIPTS {
                    started.problems.push(Problem::TooManyScripts { script: path });
                } else {
                    self.interpreter(&path, line, depth, started)?;
                }
            }
            Contents::NotRead(why) => started.problems.push(Problem::NotRead { path, why: why.clone() }),
            Contents::Unreadable(why) => started.problems.push(Problem::Damaged { path, why: why.clone() }),
            Contents::NotStartable(what) => {
                started.problems.push(Problem::NotStartable { path, what: what.clone() });
            }
            Contents::Kept(bytes) => {
                started.problems.push(Problem::NotStartable { path, what: FileKind::of(bytes).to_string() });
            }
            // Executable by a name that came later, of a file that was not when it was listed.
            Contents::Unread => {
                started.problems.push(Problem::NotRead { path, why: "was not looked into".to_owned() });
            }
        }
        if let Some(format) = format {
            started.format.get_or_insert(format);
        }
        Ok(())
    }

    /// A script's first line: the interpreter, and the rest as one argument.
    fn interpreter(
        &self,
        script: &str,
        line: &str,
        depth: usize,
        started: &mut Started<'listing>,
    ) -> Result<(), NeedsLower> {
        let (interpreter, argument) = interpreter_of(line);
        let script = script.to_owned();
        if interpreter.is_empty() {
            started.problems.push(Problem::EmptyInterpreter { script });
            return Ok(());
        }
        let found = match self.open(&self.absolute(interpreter))? {
            Ok(found) => found,
            Err(Problem::NoFile { .. }) => {
                started.problems.push(Problem::NoInterpreter { script, interpreter: interpreter.to_owned() });
                return Ok(());
            }
            Err(problem) => {
                started.problems.push(problem);
                return Ok(());
            }
        };
        self.follow(&found, depth + 1, started)?;
        if started.problems.iter().all(|problem| problem.verdict() != super::Verdict::Fails)
            && interpreter.rsplit('/').next() == Some("env")
            && let Some(name) = asked_of_env(argument)
        {
            match self.on_path(name)? {
                // Through env, another program is the one that runs in the end.
                Some(found) if depth < SCRIPTS => {
                    started.binary = None;
                    self.follow(&found, depth + 1, started)?;
                }
                Some(_) => started.problems.push(Problem::TooManyScripts { script }),
                None => {
                    let (name, path) = (name.to_owned(), self.path().to_owned());
                    started.problems.push(Problem::NotFoundByEnv { script, name, path });
                }
            }
        }
        Ok(())
    }
}

/// The interpreter that a script's first line names, and the rest as one argument: `line` is what follows `#!`. The
/// interpreter is empty where the line names none.
#[must_use]
pub fn interpreter_of(line: &str) -> (&str, &str) {
    let line = line.trim_matches([' ', '\t']);
    line.split_once([' ', '\t']).unwrap_or((line, ""))
}

/// The program that `env` looks for, where that is certain: without `-S` all of the argument is one name.
#[must_use]
pub fn asked_of_env(argument: &str) -> Option<&str> {
    let argument = argument.trim_matches([' ', '\t']);
    let name = match argument.strip_prefix("-S").or_else(|| argument.strip_prefix("--split-string=")) {
        Some(rest) => rest.split_whitespace().find(|word| !word.contains('='))?,
        None => argument,
    };
    // Options and quotes have rules of their own.
    let certain = !name.is_empty() && !name.starts_with('-') && !name.contains(['=', '\'', '"', '$', '\\', '/']);
    certain.then_some(name)
}

fn is_shell(name: &str) -> bool {
    matches!(name.rsplit('/').next(), Some("sh" | "bash" | "ash" | "dash" | "zsh"))
}

#[cfg(test)]
mod tests {
    use super::{asked_of_env, interpreter_of};

    #[test]
    fn a_line_names_an_interpreter_and_one_argument() {
        for (line, expected) in [
            ("/bin/sh", ("/bin/sh", "")),
            (" /bin/sh -e -u ", ("/bin/sh", "-e -u")),
            ("\t/usr/bin/env\tpython3", ("/usr/bin/env", "python3")),
            ("", ("", "")),
        ] {
            assert_eq!(interpreter_of(line), expected, "{line}");
        }
    }

    #[test]
    fn env_is_asked_for_a_program() {
        for (argument, name) in [
            ("python3", Some("python3")),
            ("python3 -u", Some("python3 -u")),
            ("-S python3 -u", Some("python3")),
            ("-S A=1 node", Some("node")),
            ("-i sh", None),
            ("", None),
            ("A=1", None),
        ] {
            assert_eq!(asked_of_env(argument), name, "{argument}");
        }
    }
}
