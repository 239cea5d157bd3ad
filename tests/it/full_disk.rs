//! A disk that is really full, and one that can only be read: an error that says so, nothing half-written, and the old
//! output as it was. The disks are small tmpfs in a namespace of the test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::cache::{noise, site};
use crate::support::process::{self, Ended};
use crate::support::program::Home;
use crate::support::project::Project;

/// Makes what is mounted in a test belong to it alone, and go with it.
const NAMESPACE: [&str; 4] = ["unshare", "--user", "--map-root-user", "--mount"];

/// True where this machine lets a user mount; else says loudly that nothing was tested.
fn can_mount() -> bool {
    let tried = Command::new(NAMESPACE[0]).args(&NAMESPACE[1..]).args(["mount", "-t", "tmpfs", "x", "/mnt"]).output();
    let can = tried.as_ref().is_ok_and(|tried| tried.status.success());
    if !can {
        eprintln!("SKIPPED: no full disk can be made here, for `{}` does not work: {tried:?}", NAMESPACE.join(" "));
    }
    can
}

/// Runs `script` where `disk` is a disk of 2 MB. `$anyarch` is the program, at home in `home`.
fn on_small_disk(project: &Project, home: &Home, disk: &Path, script: &str) -> Ended {
    fs::create_dir_all(disk).unwrap();
    let program = project.anyarch_at(home).command();
    let mut command = Command::new(NAMESPACE[0]);
    command.args(&NAMESPACE[1..]).args(["sh", "-c"]);
    command.arg(format!("set -e\nmount -t tmpfs -o size=2m tmpfs \"$disk\"\n{script}"));
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

#[track_caller]
fn assert_full(ended: &Ended, words: &str) {
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    let start = ended.stderr.find("error: ").unwrap_or_else(|| panic!("no error: {}", ended.stderr));
    let said = without_temporary_names(&ended.stderr[start..]);
    let hints = "hint: make space: anyarch cache prune --max-size 1GB\nhint: or keep the cache on another disk: ANYARCH_CACHE_DIR=/path anyarch build";
    assert_eq!(said, format!("{words}\n\n{hints}"), "{}", ended.stderr);
}

fn place() -> (Home, PathBuf) {
    let home = Home::new();
    let disk = home.path().join("disk");
    (home, disk)
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
    let because = "  because: No space left on device (os error 28) at path [TEMPORARY]";
    assert_full(&ended, &format!("error: the disk of the cache `{}` is full\n{because}", cache.display()));
    assert!(!project.path().join(".anyarch/out").exists(), "nothing is published");

    // Whatever filled the disk: prune makes space even then, and what is needed is made again.
    let project = site(&noise(1, 600_000));
    let script = format!(
        "\"$anyarch\" build 2>/dev/null\ncp page page.old\nhead -c 600000 /dev/urandom > page\n{FILL}\
         \"$anyarch\" build 2>/dev/null && exit 99\n\"$anyarch\" cache prune --max-size 0 2>&1 >/dev/null\n\
         \"$anyarch\" build 2>/dev/null"
    );
    let ended = on_small_disk(&project, &home, &cache, &script.replace("&& exit 99\n", "&& exit 99 || true\n"));
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("things removed, "), "{}", ended.stdout);
    assert!(ended.stdout.ends_with("oci:.anyarch/out/site:latest\n"), "{}", ended.stdout);
}

/// Builds to `specification` on a small disk that holds what `before` put there, which has to stay as it was.
#[track_caller]
fn output_on_a_full_disk(before: &str, arguments: &str, full: &str, because: &str) {
    let (home, disk) = place();
    let project = site(&noise(2, 4_000_000));
    let copy = home.path().join("copy");
    let script = format!(
        "{before}\ncp -a \"$disk\" '{copy}'\n\"$anyarch\" build {arguments} && exit 99 || code=$?\n\
         diff -r \"$disk\" '{copy}' >&2\nexit $code",
        copy = copy.display()
    );
    let ended = on_small_disk(&project, &home, &disk, &script);
    assert_full(
        &ended,
        &format!(
            "error: the disk of `{}` is full\n  because: {because}",
            full.replace("DISK", &disk.display().to_string())
        ),
    );
}

#[test]
fn a_layout_on_a_full_disk_is_an_error_and_the_old_one_stays() {
    if !can_mount() {
        return;
    }
    let old = "echo small > page.new; mv page page.large; mv page.new page\n\
               \"$anyarch\" build -o \"type=oci,dest=$disk/out,tar=false\" 2>/dev/null >&2; mv page.large page";
    output_on_a_full_disk(
        old,
        "-o \"type=oci,dest=$disk/out,tar=false\"",
        "DISK/out",
        "No space left on device (os error 28)",
    );
}

#[test]
fn an_archive_on_a_full_disk_is_an_error_and_the_old_one_stays() {
    if !can_mount() {
        return;
    }
    let because = "No space left on device (os error 28)";
    output_on_a_full_disk(
        "echo old > \"$disk/out.tar\"",
        "-o \"type=oci,dest=$disk/out.tar\"",
        "DISK/out.tar",
        because,
    );
}

#[test]
fn a_file_of_digests_on_a_full_disk_is_an_error_and_the_old_one_stays() {
    if !can_mount() {
        return;
    }
    let because = "No space left on device (os error 28) at path [TEMPORARY]";
    let before = format!("echo sha256:old > \"$disk/digest\"\n{FILL}");
    output_on_a_full_disk(&before, "--iidfile \"$disk/digest\"", "DISK/digest", because);
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
