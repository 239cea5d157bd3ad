//! Projects in temporary folders: written by a test, or copied from the repository's examples.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::process;
use super::program::{Home, Program};

/// A project that a test may change; it goes when the value does.
pub struct Project(TempDir);

impl Project {
    /// An empty folder.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    /// A copy of `folder` without what builds leave behind.
    pub fn copy_of(folder: &Path) -> Self {
        let project = Self::new();
        copy(folder, project.path());
        project
    }

    /// A Go module with one program, which prints `hello from GOOS/GOARCH`.
    pub fn hello_go() -> Self {
        let main = concat!(
            "package main\n\nimport (\n\t\"fmt\"\n\t\"runtime\"\n)\n\n",
            "func main() { fmt.Println(\"hello from \" + runtime.GOOS + \"/\" + runtime.GOARCH) }\n",
        );
        Self::new().file("go.mod", "module example.com/hello\n\ngo 1.21\n").file("main.go", main)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Adds or replaces a file; `path` is relative to the project.
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let full = self.path().join(path);
        fs::create_dir_all(full.parent().expect("a file lies in a folder")).expect("a folder can be made");
        fs::write(full, content).expect("a file can be written");
        self
    }

    /// Commits everything: always by the same author at the same time, so that the same content is the same commit.
    pub fn commit(self) -> Self {
        if !self.path().join(".git").exists() {
            self.git(&["init", "--quiet", "--initial-branch=main"]);
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=test"]);
        self
    }

    /// Runs git in the project and returns what it printed.
    pub fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(self.path());
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Test").env(format!("GIT_{who}_EMAIL"), "test@example.com");
            command.env(format!("GIT_{who}_DATE"), "2024-01-01T00:00:00Z");
        }
        process::text(command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1"))
    }

    /// The program under test, started in the project, in a home that nothing else uses.
    pub fn anyarch(&self) -> Program<'static> {
        super::anyarch().cwd(self.path())
    }

    /// The program under test, started in the project, at home in `home`.
    pub fn anyarch_at<'home>(&self, home: &'home Home) -> Program<'home> {
        home.anyarch().cwd(self.path())
    }
}

fn copy(from: &Path, to: &Path) {
    let entries = fs::read_dir(from).unwrap_or_else(|error| panic!("`{}` cannot be read: {error}", from.display()));
    for entry in entries {
        let entry = entry.expect("a folder can be read");
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if [".anyarch", ".git", "target"].iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if source.is_dir() {
            fs::create_dir_all(&target).expect("a folder can be made");
            copy(&source, &target);
        } else {
            fs::copy(&source, &target).expect("a file can be copied");
        }
    }
}

/// Builds, and holds the refusal to its code and its words, and to having left nothing.
#[track_caller]
pub fn refused(project: &Project, arguments: &[&str], code: i32, words: &str) {
    let output = project.anyarch().args(["build"]).args(arguments).run();
    output.assert_code(code).assert_stdout("").assert_stderr(words);
    assert!(!project.path().join(".anyarch").exists(), "a refused build leaves nothing");
}
