//! A project that is built beside its sources becomes a copy of it: what belongs to the project, and not what was built there.
//!
//! What is copied has one time, whatever it has in the project: git gives files the time of the checkout, in no order, and
//! make would then run autoconf again for one user and not for the other. A copy into which only changed sources come that
//! no other file includes is gone on with; any other change (a header, a part of a Makefile) begins a new one, for Makefiles
//! seldom say what depends on it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use fs_err as fs;

use crate::blob::Digest;
use crate::c_program::is_source;
use crate::config::git::UNSET;
use crate::exec::Children;
use crate::invocation::Invocation;

/// What a copy holds, and of which files of the project: beside the copy.
const LIST: &str = "copied";
/// 1980-01-01, the oldest time that every archive can hold, in seconds.
const TIME: u64 = 3652 * 24 * 60 * 60;
/// Folders that are no part of a project: git's, ours, and what compilers keep.
const NEVER: &[&str] = &[".git", ".anyarch", ".libs", ".deps", "autom4te.cache", "CMakeFiles"];
/// Files that a build leaves behind and that are no ELF.
const PRODUCTS: &[&str] = &["config.status", "config.cache", "config.log", "CMakeCache.txt"];
const PRODUCT_EXTENSIONS: &[&str] = &["o", "obj", "lo", "la", "gch", "pch", "gcno", "gcda"];

/// A copy to be made.
pub(super) struct Copy<'setup> {
    /// the project
    pub from: &'setup Path,
    /// where
    pub to: &'setup Path,
    /// a file that is not taken
    pub without: Option<&'setup Path>,
    /// true when what git ignores is taken too
    pub ignored: bool,
}

/// Files relative to the project, each with what tells whether it changed.
type Files = BTreeMap<PathBuf, String>;

impl Copy<'_> {
    /// Makes the copy, or brings it up to date.
    ///
    /// # Errors
    /// When something cannot be read or written.
    pub(super) fn make(&self, children: &Children) -> io::Result<()> {
        let list = self.to.with_file_name(LIST);
        let before = read_list(&list);
        let files = self.files(children)?;
        let is_empty = || fs::read_dir(self.to).map_or(true, |mut entries| entries.next().is_none());
        let changed = |before: &Files| -> Vec<PathBuf> {
            let names: BTreeSet<&PathBuf> = before.keys().chain(files.keys()).collect();
            names.into_iter().filter(|path| before.get(*path) != files.get(*path)).cloned().collect()
        };
        let only_sources = |changed: &Vec<PathBuf>| {
            changed.iter().all(|path| files.contains_key(path) && is_source(&path.to_string_lossy()))
        };
        let mut known = before.filter(|_| !is_empty()).map(|before| changed(&before)).filter(only_sources);
        if let Some(changed) = &known
            && self.is_included(changed, &files)?
        {
            known = None;
        }
        // Without its list a copy that is not finished does not count.
        remove(&list)?;
        if let Some(changed) = known {
            changed.iter().try_for_each(|path| self.copy_file(path, None))?;
        } else {
            super::setup::empty(self.to)?;
            let time = time(&files);
            files.keys().try_for_each(|path| self.copy_file(path, Some(time)))?;
        }
        fs::write(list, listed(&files))
    }

    /// True when a file names one of `changed` in a line of the preprocessor: `#include "impl.c"`, or a macro that stands
    /// for it. What that file is compiled to changes, too.
    fn is_included(&self, changed: &[PathBuf], files: &Files) -> io::Result<bool> {
        if changed.is_empty() {
            return Ok(false);
        }
        for path in files.keys() {
            let others: Vec<&OsStr> =
                changed.iter().filter(|changed| *changed != path).filter_map(|changed| changed.file_name()).collect();
            let from = self.from.join(path);
            // A link that leads nowhere, or to a folder, holds no line.
            if !others.is_empty() && from.is_file() && names_one(&fs::read(&from)?, &others) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What belongs to the project: with git what it tracks, and what it might; else all. Object files, libraries and
    /// programs only where git tracks them.
    fn files(&self, children: &Children) -> io::Result<Files> {
        let tracked = git(children, self.from, &["--cached", "--recurse-submodules"]);
        let untracked = match &tracked {
            Some(tracked) if !tracked.is_empty() && !self.ignored => {
                git(children, self.from, &["--others", "--exclude-standard"])
            }
            _ => None,
        };
        let others = if let Some(untracked) = untracked {
            untracked
        } else {
            let mut found = BTreeSet::new();
            walk(self.from, Path::new(""), &mut found)?;
            found
        };
        let mut files = Files::new();
        let tracked = tracked.unwrap_or_default();
        for path in tracked.union(&others) {
            let never = path.components().any(|part| NEVER.iter().any(|never| part.as_os_str() == *never));
            // What is tracked and was deleted, and a module of git's that was not fetched, is not there.
            let Ok(metadata) = fs::symlink_metadata(self.from.join(path)) else { continue };
            let is_file = metadata.is_file() || metadata.is_symlink();
            if self.without == Some(path.as_path()) || !is_file {
                continue;
            }
            if !tracked.contains(path) && (never || is_product(&self.from.join(path), &metadata)?) {
                continue;
            }
            files.insert(path.clone(), stamp(&metadata));
        }
        Ok(files)
    }

    /// Copies a file; links inside of the project stay links, others become what they lead to.
    fn copy_file(&self, path: &Path, time: Option<SystemTime>) -> io::Result<()> {
        let (from, to) = (self.from.join(path), self.to.join(path));
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        remove(&to)?;
        if fs::symlink_metadata(&from)?.is_symlink() {
            let target = fs::read_link(&from)?;
            let leads_to = fs::canonicalize(&from).ok();
            let inside = leads_to.as_deref().and_then(|path| path.strip_prefix(self.from).ok());
            match (inside, &leads_to) {
                (Some(inside), _) if target.is_absolute() => {
                    return fs_err::os::unix::fs::symlink(self.to.join(inside), to);
                }
                (None, Some(outside)) if outside.is_dir() => return fs_err::os::unix::fs::symlink(outside, to),
                (None, Some(outside)) if outside.is_file() => {}
                _ => return fs_err::os::unix::fs::symlink(target, to),
            }
        }
        fs::copy(&from, &to)?;
        // The build may write where the project is read only.
        let mode = fs::metadata(&from)?.permissions().mode() | 0o600;
        fs::set_permissions(&to, std::fs::Permissions::from_mode(mode))?;
        match time {
            Some(time) => fs::File::options().write(true).open(&to)?.set_modified(time),
            None => Ok(()),
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What tells whether a file changed.
fn stamp(metadata: &std::fs::Metadata) -> String {
    format!("{} {} {} {:o}", metadata.mtime(), metadata.mtime_nsec(), metadata.len(), metadata.mode())
}

/// The text of the list. Paths may hold any character but NUL, so that is what stands between.
fn listed(files: &Files) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (path, stamp) in files {
        bytes.extend_from_slice(stamp.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(path.as_os_str().as_bytes());
        bytes.push(0);
    }
    bytes
}

/// The time of everything in a copy of `files`. Its nanoseconds differ from copy to copy: a new file may get the inode of one
/// that went, and zig takes a file of the same inode, size and time for the one that it knows.
fn time(files: &Files) -> SystemTime {
    let hex = Digest::of(&listed(files)).hex();
    // Fifteen hexadecimal digits always are a number of 64 bits.
    let nanoseconds = u64::from_str_radix(&hex[..15], 16).unwrap_or_default() % 1_000_000_000;
    SystemTime::UNIX_EPOCH + Duration::from_secs(TIME) + Duration::from_nanos(nanoseconds)
}

/// Whether a line of the preprocessor in `text` ends a quoted path with one of `names`.
fn names_one(text: &[u8], names: &[&OsStr]) -> bool {
    let directives = text.split(|byte| *byte == b'\n').filter(|line| line.trim_ascii_start().starts_with(b"#"));
    directives
        .flat_map(|line| line.split(|byte| matches!(byte, b'"' | b'<' | b'>' | b'/')))
        .any(|part| names.iter().any(|name| part == name.as_bytes()))
}

fn read_list(list: &Path) -> Option<Files> {
    let bytes = fs::read(list).ok()?;
    let fields: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    let pairs = fields.chunks_exact(2);
    Some(pairs.map(|pair| (OsStr::from_bytes(pair[1]).into(), String::from_utf8_lossy(pair[0]).into_owned())).collect())
}

/// What `git ls-files` lists of a folder; `None` where there is no git, or no work tree of it.
fn git(children: &Children, folder: &Path, options: &[&str]) -> Option<BTreeSet<PathBuf>> {
    let mut call = Invocation::new("git", folder).args(["ls-files", "-z"]).args(options.iter().copied());
    call.env_remove.extend(UNSET.map(str::to_owned));
    let finished = children.ask(&call).ok().filter(|finished| finished.status.success())?;
    let names = finished.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Some(names.map(|name| OsStr::from_bytes(name).into()).collect())
}

/// All files and links below `root`.
fn walk(root: &Path, below: &Path, files: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if !entry.file_type()?.is_dir() {
            files.insert(path);
        } else if !NEVER.iter().any(|never| entry.file_name() == *never) {
            walk(root, &path, files)?;
        }
    }
    Ok(())
}

/// True for what a compiler made on this machine, which a Makefile would take for its own.
fn is_product(path: &Path, metadata: &std::fs::Metadata) -> io::Result<bool> {
    let name = path.components().next_back().map(Component::as_os_str).unwrap_or_default();
    let extension = path.extension().unwrap_or_default();
    if PRODUCTS.iter().any(|product| name == *product) || PRODUCT_EXTENSIONS.iter().any(|product| extension == *product)
    {
        return Ok(true);
    }
    if !metadata.is_file() {
        return Ok(false);
    }
    let mut start = Vec::new();
    fs::File::open(path)?.take(8).read_to_end(&mut start)?;
    Ok(start.starts_with(b"\x7fELF") || start == b"!<arch>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn copy(from: &Path, to: &Path) -> Vec<String> {
        let copy = Copy { from, to, without: Some(Path::new("bin/app")), ignored: false };
        copy.make(&Children::default()).unwrap();
        let mut found = BTreeSet::new();
        walk(to, Path::new(""), &mut found).unwrap();
        found.into_iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn what_was_built_in_the_project_stays_there() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        let (from, to) = (root.join("project"), root.join("own/copy"));
        put(
            &from,
            &[("main.c", "1"), ("main.o", "2"), ("app", "\u{7f}ELF..."), ("lib.a", "!<arch>\n..."), ("bin/app", "x")],
        );
        put(&from, &[(".libs/a.txt", "x"), ("config.status", "x"), ("sub/.anyarch/x", "x"), ("sub/ok.h", "x")]);
        put(&root, &[("outside.h", "outside")]);
        std::os::unix::fs::symlink("../outside.h", from.join("outside.h")).unwrap();
        std::os::unix::fs::symlink("sub/ok.h", from.join("inside.h")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(from.join("socket")).unwrap();
        assert_eq!(copy(&from, &to), ["inside.h", "main.c", "outside.h", "sub/ok.h"]);
        assert_eq!(fs::read_to_string(to.join("outside.h")).unwrap(), "outside");
        assert!(!fs::symlink_metadata(to.join("outside.h")).unwrap().is_symlink());
        assert_eq!(fs::read_link(to.join("inside.h")).unwrap(), Path::new("sub/ok.h"));
        let times = ["main.c", "sub/ok.h"].map(|path| {
            let metadata = fs::metadata(to.join(path)).unwrap();
            (metadata.mtime(), metadata.mtime_nsec())
        });
        assert_eq!((times[0].0, times[0]), (315_532_800, times[1]));
    }

    #[test]
    fn a_changed_source_joins_what_was_built_and_any_other_change_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("project"), folder.path().join("own/copy"));
        put(&from, &[("main.c", "1"), ("main.h", "1")]);
        copy(&from, &to);
        put(&to, &[("main.o", "built")]);
        for (change, kept) in [(None, true), (Some("main.c"), true), (Some("more.c"), true), (Some("main.h"), false)] {
            put(&to, &[("main.o", "built")]);
            if let Some(path) = change {
                put(&from, &[(path, "another text")]);
            }
            copy(&from, &to);
            assert_eq!(to.join("main.o").exists(), kept, "{change:?}");
            assert!(change.is_none_or(|path| fs::read_to_string(to.join(path)).unwrap() == "another text"));
        }
        let nanoseconds = || fs::metadata(to.join("main.h")).unwrap().mtime_nsec();
        let before = nanoseconds();
        put(&from, &[("main.h", "a third text")]);
        copy(&from, &to);
        assert_ne!(nanoseconds(), before, "another copy has another time");
        for include in ["#include \"more.c\"", "  #  include <../src/more.c>", "#define MORE \"more.c\""] {
            put(&from, &[("main.c", include)]);
            copy(&from, &to);
            put(&to, &[("main.o", "built")]);
            put(&from, &[("more.c", include)]);
            copy(&from, &to);
            assert!(!to.join("main.o").exists(), "{include}");
        }
        put(&from, &[("main.c", "// more.c\n#include \"more.cc\"\n#include \"evermore.c\"")]);
        copy(&from, &to);
        put(&to, &[("main.o", "built")]);
        put(&from, &[("more.c", "#include \"more.c\"")]);
        copy(&from, &to);
        assert!(to.join("main.o").exists(), "only itself includes it");
        fs::remove_file(from.join("more.c")).unwrap();
        assert_eq!(copy(&from, &to), ["main.c", "main.h"], "what is gone goes");
        put(&to, &[("main.o", "built")]);
        fs::remove_file(to.with_file_name(LIST)).unwrap();
        assert_eq!(copy(&from, &to), ["main.c", "main.h"], "a copy that was not finished does not count");
    }
}
