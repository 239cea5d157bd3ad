//! A disk that is really full, and one that can only be read: an error that says so, nothing half-written, and the old
//! output as it was. The disks are small tmpfs in a namespace of the test's own.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::cache::{noise, site};
use crate::support::process::{self, Ended};
use crate::support::program::Home;
use crate::support::project::Project;

/// Makes what is mounted in a test belong to it alone, and go with it.
fn namespace() -> Command {
    let mut command = Command::new("unshare");
    command.arg(if process::is_root() { "--mount" } else { "-rm" });
    command
}

/// True where this machine lets the test mount; else says loudly that nothing was tested.
fn can_mount() -> bool {
    let tried = namespace().args(["mount", "-t", "tmpfs", "x", "/mnt"]).output();
    let can = tried.as_ref().is_ok_and(|tried| tried.status.success());
    if !can {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no full disk can be made here, unshare does not work: {tried:?}");
    }
    can
}

/// Runs `script` where `disk` is a disk of 2 MB. `$anyarch` is the program, at home in `home`.
fn on_small_disk(project: &Project, home: &Home, disk: &Path, script: &str) -> Ended {
    fs::create_dir_all(disk).unwrap();
    let program = project.anyarch_at(home).command();
    let mut command = namespace();
    command.args(["sh", "-c"]).arg(format!("set -e\nmount -t tmpfs -o size=2m tmpfs \"$disk\"\n{script}"));
    command.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("anyarch", program.get_program()).env("disk", disk).current_dir(project.path());
    process::within(&mut command, Duration::from_mins(2))
}

/// Fills what is left of a disk.
const FILL: &str = "dd if=/dev/zero of=\"$disk/filler\" bs=4k 2>/dev/null || true\n";

/// What stands in the words for temporary names.
fn without_temporary_names(text: &str) -> String {
    let cut = |line: &str| match line.find("at path \"") {
        Some(at) => format!("{}at path [TEMPORARY]", &line[..at]),
        None => line.to_owned(),
    };
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
}

/// Holds a run to having said that a disk is full, which file could not be written, and what to do.
#[track_caller]
fn assert_full(ended: &Ended, words: &str) {
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    let start = ended.stderr.find("error: ").unwrap_or_else(|| panic!("no error: {}", ended.stderr));
    let lines: Vec<&str> = ended.stderr[start..].lines().collect();
    let [error, because, hints @ ..] = lines.as_slice() else { panic!("{}", ended.stderr) };
    assert_eq!(*error, words);
    let reason = "No space left on device (os error 28)";
    assert!(because.starts_with("  because: ") && because.contains(reason), "{}", ended.stderr);
    let expected = [
        "",
        "hint: make space: anyarch cache prune --max-size 1GB",
        "hint: or keep the cache on another disk: ANYARCH_CACHE_DIR=/path anyarch build",
    ];
    assert_eq!(hints, expected, "{}", ended.stderr);
}

#[test]
fn a_cache_on_a_full_disk_is_an_error_and_works_again_once_there_is_space() {
    if !can_mount() {
        return;
    }
    let (project, home) = (site(&noise(1, 4_000_000)), Home::new());
    let cache = home.cache();
    let script = "\"$anyarch\" build && exit 99 || code=$?\nfind \"$disk/tmp\" \"$disk/blobs\" -type f -size +100k >&2\nexit $code";
    let ended = on_small_disk(&project, &home, &cache, script);
    assert_full(&ended, &format!("error: the disk of the cache `{}` is full", cache.display()));
    assert!(!project.path().join(".anyarch/out").exists(), "nothing is published");

    // Whatever filled the disk: prune makes space even then, and what is needed is made again.
    let project = site(&noise(1, 600_000));
    let build = "\"$anyarch\" build 2>/dev/null";
    let script = format!(
        "{build}\nhead -c 600000 /dev/urandom > page\n{FILL}{build} && exit 99\n\
         \"$anyarch\" cache prune --max-size 0 2>&1 >/dev/null\nrm \"$disk/filler\"\n{build}"
    );
    let ended = on_small_disk(&project, &home, &cache, &script);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    let [first, removed, last] = ended.stdout.lines().collect::<Vec<_>>().try_into().expect(&ended.stdout);
    assert!(removed.contains(" things removed, "), "{}", ended.stdout);
    assert_eq!([first, last], ["oci:.anyarch/out/site:latest"; 2]);
}

/// Builds with `arguments` on a small disk that holds what `before` put there, which has to stay as it was; `place` is
/// what does not fit there.
#[track_caller]
fn output_on_a_full_disk(before: &str, arguments: &str, place: &str) {
    let home = Home::new();
    let (disk, copy) = (home.path().join("disk"), home.path().join("copy"));
    let project = site(&noise(2, 4_000_000));
    let script = format!(
        "{before}\ncp -a \"$disk\" '{copy}'\n\"$anyarch\" build {arguments} && exit 99 || code=$?\n\
         diff -r \"$disk\" '{copy}' >&2\nexit $code",
        copy = copy.display()
    );
    let ended = on_small_disk(&project, &home, &disk, &script);
    assert_full(&ended, &format!("error: the disk of `{}` is full", disk.join(place).display()));
}

#[test]
fn a_layout_on_a_full_disk_is_an_error_and_the_old_one_stays() {
    if can_mount() {
        let build = "\"$anyarch\" build -o \"type=oci,dest=$disk/out,tar=false\" 2>/dev/null >&2";
        let before = format!("mv page large\necho small > page\n{build}\nmv large page");
        output_on_a_full_disk(&before, "-o \"type=oci,dest=$disk/out,tar=false\"", "out");
    }
}

#[test]
fn an_archive_on_a_full_disk_is_an_error_and_the_old_one_stays() {
    if can_mount() {
        output_on_a_full_disk("echo old > \"$disk/out.tar\"", "-o \"type=oci,dest=$disk/out.tar\"", "out.tar");
    }
}

#[test]
fn a_file_of_digests_on_a_full_disk_is_an_error_and_the_old_one_stays() {
    if can_mount() {
        let before = format!("echo sha256:old > \"$disk/digest\"\n{FILL}");
        output_on_a_full_disk(&before, "--iidfile \"$disk/digest\"", "digest");
    }
}

#[test]
fn a_cache_that_can_only_be_read_does_for_what_is_in_it_and_is_an_error_for_the_rest() {
    if !can_mount() {
        return;
    }
    let (project, home) = (site(b"hello"), Home::new());
    project.anyarch_at(&home).args(["build"]).run().assert_success();
    let cache = home.cache();
    let scratch = home.path().join("disk");
    let read_only = format!("mount --bind '{0}' '{0}'\nmount -o remount,bind,ro '{0}'\n", cache.display());
    let ended = on_small_disk(&project, &home, &scratch, &format!("{read_only}\"$anyarch\" build"));
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "oci:.anyarch/out/site:latest\n"), "{}", ended.stderr);
    let project = project.file("page", "other");
    let ended = on_small_disk(&project, &home, &scratch, &format!("{read_only}\"$anyarch\" build"));
    let said = without_temporary_names(&ended.stderr[ended.stderr.find("error: ").expect(&ended.stderr)..]);
    let cache = cache.display();
    assert_eq!(
        (ended.code, said.as_str()),
        (
            1,
            &*format!(
                "error: the cache at `{cache}` cannot be used\n  because: Read-only file system (os error 30) at path [TEMPORARY]\n\n\
                 hint: check the space and the permissions of `{cache}`, or name another folder: ANYARCH_CACHE_DIR=/path anyarch build"
            )
        )
    );
    let ended = on_small_disk(&project, &home, &scratch, &format!("{read_only}\"$anyarch\" cache prune --all"));
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("error: the cache at `{cache}` cannot be used\n")), "{}", ended.stderr);
}
