//! Source packages of Debian as their authors released them: fetched by apt once, with lists of its own, and kept in the
//! target folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::bases::{Release, fetch_source};
use super::process;
use super::project::Project;

/// Where the tests get a program from.
const RELEASE: Release = Release::Trixie;

/// The sources of `package` in a project, with the times that its authors gave the files: make goes by them.
///
/// # Panics
/// When the package cannot be had: the message holds what apt said.
pub fn unpack(package: &str) -> Project {
    let archive = archive(package);
    let project = Project::new();
    process::succeed(
        Command::new("tar").arg("-xf").arg(&archive).args(["--strip-components=1", "-C"]).arg(project.path()),
    );
    project
}

/// The archive of the authors.
fn archive(package: &str) -> PathBuf {
    let kept = super::target().join("test-sources");
    fs::create_dir_all(&kept).expect("a folder in the target folder can be made");
    let done = kept.join(package);
    let lock = File::create(kept.join(format!("{package}.lock"))).expect("a lock file can be made");
    lock.lock().expect("a lock file can be locked");
    if !done.exists() {
        let work = tempfile::tempdir_in(&kept).expect("a folder in the target folder can be made");
        let fetched = fetch_source(RELEASE, package, work.path());
        fs::rename(fetched, &done).expect("what was fetched can be moved to its place");
    }
    original(&done)
}

fn original(folder: &Path) -> PathBuf {
    let entries = fs::read_dir(folder).expect("the folder of a source package can be read");
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry can be read").path()).collect();
    found.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.contains(".orig.tar.") && !name.ends_with(".asc")
    });
    assert_eq!(found.len(), 1, "one archive of the authors in `{}`: {found:?}", folder.display());
    found.remove(0)
}
