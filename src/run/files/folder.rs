//! A folder of the project becomes the list of what of it goes into an image: what git tracks, or what
//! `.anyarchignore` leaves. Nothing is followed: a link is one entry, whatever it leads to.

use std::io;
use std::path::{Component, Path, PathBuf};

use fs_err as fs;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::error::FileError;
use crate::config::Place;
use crate::config::git::{self, GitError, GitOutput};
use crate::exec::{Children, ExecError};
use crate::invocation::Invocation;
use crate::run::error::Error;

/// The name of the file that says what is left out of folders, in the syntax of `.gitignore`.
const IGNORE_FILE: &str = ".anyarchignore";
/// What is left out unless an [`IGNORE_FILE`] takes it again: the repository, what is ours, secrets.
const LEFT_OUT: [&str; 3] = [".git", ".anyarch", ".env*"];

/// A folder that a `[[file]]` names.
pub(super) struct Folder<'run> {
    /// starts git
    pub(super) children: &'run Children,
    /// the project's root, all links resolved
    pub(super) root: &'run Path,
    /// the folder itself, all links resolved
    pub(super) path: &'run Path,
    /// as it is to be shown
    pub(super) shown: &'run Path,
    /// where it was named
    pub(super) place: &'run Place,
}

impl Folder<'_> {
    /// Paths below the folder, `/`-separated and in order, of all that is taken; `ignored` takes what git ignores, too.
    ///
    /// # Errors
    /// When nothing is taken, or it cannot be known what is.
    pub(super) fn taken(&self, ignored: bool) -> Result<Vec<String>, Error> {
        let (place, path) = (self.place.clone(), self.shown.to_owned());
        let (taken, nothing) = match if ignored { None } else { self.tracked()? } {
            Some(tracked) => (tracked, FileError::NothingTracked { place, path }),
            None => (self.left()?, FileError::NothingLeft { place, path }),
        };
        if taken.is_empty() { Err(nothing.into()) } else { Ok(taken) }
    }

    /// What git tracks; `None` where there is no checkout.
    fn tracked(&self) -> Result<Option<Vec<String>>, Error> {
        let mut call = Invocation::new("git", self.path).args(git::TRACKED.iter().copied());
        for (name, value) in git::ENVIRONMENT {
            call = call.env(name, value);
        }
        call.env_remove.extend(git::UNSET.map(str::to_owned));
        let list = match self.children.ask(&call) {
            Ok(finished) => {
                let success = finished.status.success();
                let output = GitOutput { success, stdout: &finished.stdout, stderr: &finished.stderr };
                git::read_tracked(output, self.shown)
            }
            Err(ExecError::Start { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Err(GitError::NotInstalled)
            }
            Err(error) => return Err(error.into()),
        };
        // A checkout that git cannot read is none that may be passed over: the image would have other files.
        let in_checkout = || self.path.ancestors().any(|folder| folder.join(".git").exists());
        match list {
            Ok(list) => Ok(Some(list)),
            Err(GitError::NotACheckout { .. } | GitError::NotInstalled) if !in_checkout() => Ok(None),
            Err(source) => {
                let (place, path) = (self.place.clone(), self.shown.to_owned());
                Err(FileError::Tracking { place, path, source }.into())
            }
        }
    }

    /// What the patterns leave, those of the folders above included.
    fn left(&self) -> Result<Vec<String>, FileError> {
        let mut patterns = vec![defaults(self.root)?];
        let mut folder = self.root.to_owned();
        for part in self.path.strip_prefix(self.root).unwrap_or(Path::new("")).components() {
            patterns.extend(patterns_in(&folder)?);
            folder.push(part);
            if left_out(&patterns, &folder, true) {
                return Ok(Vec::new());
            }
        }
        let mut left = Vec::new();
        self.walk(&folder, &mut patterns, &mut left)?;
        Ok(left)
    }

    fn walk(&self, folder: &Path, patterns: &mut Vec<Gitignore>, left: &mut Vec<String>) -> Result<(), FileError> {
        let read = |source| FileError::Read { path: folder.to_owned(), source };
        let own = patterns_in(folder)?;
        let depth = patterns.len();
        patterns.extend(own);
        let entries = fs::read_dir(folder).map_err(read)?;
        let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(read)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let is_folder = entry.file_type().map_err(read)?.is_dir();
            if left_out(patterns, &path, is_folder) {
                continue;
            }
            if is_folder {
                self.walk(&path, patterns, left)?;
            } else {
                left.push(self.relative(&path)?);
            }
        }
        patterns.truncate(depth);
        Ok(())
    }

    fn relative(&self, path: &Path) -> Result<String, FileError> {
        let relative = path.strip_prefix(self.path).unwrap_or(path);
        relative
            .to_str()
            .map(str::to_owned)
            .ok_or_else(|| FileError::NotUtf8 { place: self.place.clone(), path: self.shown.join(relative) })
    }

    /// The target of a link in the folder, which has to lead to somewhere in it: in the image, where the folder has
    /// another place and another name, it would lead elsewhere otherwise.
    ///
    /// # Errors
    /// When it leads out, or its target is no UTF-8.
    pub(super) fn target(&self, relative: &str) -> Result<String, FileError> {
        let link = self.path.join(relative);
        let target = fs::read_link(&link).map_err(|source| FileError::Read { path: link.clone(), source })?;
        let parent = Path::new(relative).parent().unwrap_or(Path::new(""));
        let inside = stays_below(parent, &target)
            // By way of other links, it may lead out all the same; one that leads nowhere leads nowhere.
            && fs::canonicalize(&link).map_or(true, |resolved| resolved.starts_with(self.path));
        let (place, path) = (self.place.clone(), self.shown.join(relative));
        if !inside {
            return Err(FileError::Escape { place, path, target });
        }
        target.to_str().map(str::to_owned).ok_or(FileError::NotUtf8 { place, path })
    }
}

/// Whether a path that starts in the folder `from` of a tree never leaves the tree.
fn stays_below(from: &Path, target: &Path) -> bool {
    let mut depth = from.components().count();
    for component in target.components() {
        match component {
            Component::Prefix(_) | Component::RootDir => return false,
            Component::CurDir => {}
            Component::ParentDir if depth == 0 => return false,
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
        }
    }
    true
}

fn defaults(root: &Path) -> Result<Gitignore, FileError> {
    let mut builder = GitignoreBuilder::new(root);
    let wrong = |source| FileError::Patterns { path: root.join(IGNORE_FILE), source: Box::new(source) };
    for pattern in LEFT_OUT {
        builder.add_line(None, pattern).map_err(wrong)?;
    }
    builder.build().map_err(wrong)
}

/// The patterns that are written in a folder, if any are.
fn patterns_in(folder: &Path) -> Result<Option<Gitignore>, FileError> {
    let path: PathBuf = folder.join(IGNORE_FILE);
    if !path.is_file() {
        return Ok(None);
    }
    let wrong = |source| FileError::Patterns { path: path.clone(), source: Box::new(source) };
    let mut builder = GitignoreBuilder::new(folder);
    if let Some(error) = builder.add(&path) {
        return Err(wrong(error));
    }
    builder.build().map(Some).map_err(wrong)
}

/// As in git, the patterns of the nearest folder say more than those above it, and ours of all say least.
fn left_out(patterns: &[Gitignore], path: &Path, is_folder: bool) -> bool {
    let answers = patterns.iter().rev().map(|patterns| patterns.matched(path, is_folder));
    answers.into_iter().find(|answer| !answer.is_none()).is_some_and(|answer| answer.is_ignore())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_in_its_tree_or_leaves_it() {
        for (from, target, stays) in [
            ("", "a", true),
            ("", "../a", false),
            ("css", "../a", true),
            ("css", "../../a", false),
            // It comes back on this machine, but not where the folder has another name.
            ("css", "../../web/a", false),
            ("css/x", "../..", true),
            ("", "/etc/passwd", false),
            ("", "./a/../b", true),
        ] {
            assert_eq!(stays_below(Path::new(from), Path::new(target)), stays, "{target} in `{from}`");
        }
    }

    fn left(files: &[(&str, &str)], source: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        for (path, content) in files {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), content).unwrap();
        }
        let place = crate::config::Source::default().place(0);
        let (path, shown) = (root.join(source), Path::new(source));
        let folder = Folder { children: &Children::default(), root: &root, path: &path, shown, place: &place };
        folder.left().unwrap()
    }

    #[test]
    fn patterns_say_what_is_left() {
        let tree = [
            ("web/a.css", ""),
            ("web/b/.env.local", ""),
            ("web/b/.git/config", ""),
            ("web/b/c.map", ""),
            ("web/b/keep.map", ""),
            ("web/.env", ""),
        ];
        let with = |extra: &[(&'static str, &'static str)], source| left(&[&tree[..], extra].concat(), source);
        assert_eq!(with(&[], "web"), ["a.css", "b/c.map", "b/keep.map"]);
        let above = (".anyarchignore", "# maps\n*.map\n!/web/b/keep.map\n");
        assert_eq!(with(&[above], "web"), ["a.css", "b/keep.map"]);
        assert_eq!(with(&[above], "web/b"), ["keep.map"]);
        // The nearer file wins, and it may take what we leave out by ourselves.
        let near = ("web/b/.anyarchignore", "!*.map\n!.env.local\n.anyarchignore\n");
        assert_eq!(with(&[above, near], "web"), ["a.css", "b/.env.local", "b/c.map", "b/keep.map"]);
        assert_eq!(with(&[(".anyarchignore", "/web/b/\n")], "web/b"), [""; 0]);
    }
}
