//! The cache: what is damaged there never gets into an image, what nobody used goes first, several processes share it, and
//! `anyarch cache` says what it holds and makes it smaller.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyarch::blob::Digest;
use serde_json::Value;

use crate::support::layout::{self, Tree};
use crate::support::process;
use crate::support::program::{Home, Output};
use crate::support::project::Project;
use crate::support::read_back::Image;
use crate::support::registry::{Options, Registry};

/// Bytes that no compressor makes smaller, others for each `seed`.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    // xorshift64: https://www.jstatsoft.org/article/view/v008i14
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ (seed + 1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8)).flat_map(|_| next()).take(length).collect()
}

/// A project of one image, of a file over a base in a layout: nothing is compiled.
pub(super) fn site(content: &[u8]) -> Project {
    let table =
        "[[image]]\nname = \"site\"\nprograms = []\n[[image.file]]\nsource = \"page\"\ndestination = \"/srv/page\"\n";
    let project = Project::new()
        .file("anyarch.toml", format!("platforms = [\"linux/amd64\"]\nbase = \"oci:base\"\n{table}"))
        .file("page", content);
    let mut tree = Tree::default();
    tree.file("etc/base", 0o644, noise(7, 3000));
    let platform = "linux/amd64".parse().unwrap();
    let image = layout::Image { platform, layers: vec![tree], config: serde_json::json!({}) };
    layout::write(&project.path().join("base"), "latest", &[image]);
    project
}

#[track_caller]
fn build(project: &Project, home: &Home, arguments: &[&str]) -> Output {
    let output = project.anyarch_at(home).args(["build"]).args(arguments).run();
    output.assert_success();
    output
}

fn index_of(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("index.json")).unwrap()
}

/// What `anyarch cache ls` knows of a kind.
#[track_caller]
fn listed(home: &Home, kind: &str) -> Vec<Value> {
    let list = home.anyarch().args(["cache", "ls", "--json"]).run().json();
    let entries = list["entries"].as_array().unwrap().clone();
    entries.into_iter().filter(|entry| entry["kind"] == kind).collect()
}

#[track_caller]
fn only(home: &Home, kind: &str) -> PathBuf {
    let [entry] = listed(home, kind).try_into().unwrap_or_else(|found| panic!("one {kind}: {found:?}"));
    entry["path"].as_str().unwrap().into()
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path, bytes).unwrap();
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Makes a file older.
fn age(path: &Path, days: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(file.metadata().unwrap().modified().unwrap() - Duration::from_hours(24 * days)).unwrap();
}

/// Puts a blob that nothing is known of into the cache.
fn old_blob(home: &Home, content: &[u8], days: u64) -> PathBuf {
    let folder = home.cache().join("blobs/sha256");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(Digest::of(content).hex());
    fs::write(&path, content).unwrap();
    age(&path, days);
    path
}

/// Every blob of the cache is what its name says.
#[track_caller]
fn assert_whole(blobs: &Path) {
    for blob in fs::read_dir(blobs).unwrap() {
        let path = blob.unwrap().path();
        assert_eq!(Digest::of(&fs::read(&path).unwrap()).hex(), name(&path));
    }
}

#[test]
fn the_folder_is_named_and_not_made() {
    let home = Home::new();
    home.anyarch()
        .args(["cache", "path"])
        .run()
        .assert_success()
        .assert_stdout("[HOME]/anyarch-cache\n")
        .assert_stderr("");
    assert!(!home.cache().exists());
    let output = home.anyarch().args(["cache", "path"]).env_remove("ANYARCH_CACHE_DIR").run();
    output.assert_success().assert_stdout("[HOME]/.cache/anyarch\n");
}

#[test]
fn what_is_in_the_cache_is_listed_with_whose_it_is() {
    let (project, home) = (site(b"<p>hello</p>"), Home::new());
    build(&project, &home, &[]);
    fs::create_dir_all(home.cache().join("toolchains/zig-0.1/lib")).unwrap();
    fs::write(home.cache().join("toolchains/zig-0.1/lib/std"), noise(1, 9000)).unwrap();
    let output = home.anyarch().args(["cache", "ls"]).run();
    output.assert_success();
    let rows: Vec<Vec<&str>> = output
        .stdout
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    let digest = |kind: &str| name(&only(&home, kind))[..12].to_owned();
    let base = format!("oci:{}", project.path().join("base").display());
    let sizes = ["base-layer", "own-layer"].map(|kind| fs::metadata(only(&home, kind)).unwrap().len());
    assert_eq!(rows[0], ["KIND", "WHAT", "DIGEST", "SIZE", "LAST USED"]);
    assert_eq!(rows[1], ["toolchain", "zig-0.1", "-", "9.00 kB", "-"]);
    assert_eq!(rows[2][..3], ["base-layer", &base, &digest("base-layer")]);
    assert_eq!(
        rows[3],
        ["own-layer", "files linux/amd64", &digest("own-layer"), &format!("{} B", sizes[1]), "just now"]
    );
    let records: Vec<&str> = rows[4..].iter().map(|row| row[1]).collect();
    assert_eq!(records, ["1 of name", "1 of own-layer"]);

    let list = home.anyarch().args(["cache", "ls", "--json"]).env("ANYARCH_CACHE_LIMIT", "1MB").run().json();
    let records: u64 = listed(&home, "record").iter().map(|record| record["size"].as_u64().unwrap()).sum();
    let limited = sizes[0] + sizes[1] + records;
    assert_eq!(list["folder"], home.cache().to_str().unwrap());
    assert_eq!((list["limit"].as_u64(), list["limited"].as_u64()), (Some(1_000_000), Some(limited)));
    assert_eq!(list["total"].as_u64(), Some(limited + 9000));
    let words = "9.00 kB in [HOME]/anyarch-cache; 0 B of it have no limit\n";
    home.anyarch().args(["cache", "prune", "--max-size", "0"]).run().assert_success();
    let output = home.anyarch().args(["cache", "ls"]).env("ANYARCH_CACHE_LIMIT", "none").run();
    output.assert_success();
    assert_eq!(output.stderr.replace(home.path().to_str().unwrap(), "[HOME]"), words);
}

#[test]
fn a_layer_that_was_damaged_in_the_cache_is_made_or_fetched_anew() {
    let (project, home) = (site(&noise(2, 100_000)), Home::new());
    let places: [&[&str]; 3] =
        [&["-o", "type=oci,dest=out,tar=false"], &["-o", "type=oci,dest=out.tar"], &["-o", "type=oci,dest=-"]];
    for arguments in places {
        let first = build(&project, &home, arguments);
        let written = |output: &Output| match arguments[1] {
            "type=oci,dest=out,tar=false" => index_of(&project.path().join("out")),
            "type=oci,dest=out.tar" => fs::read(project.path().join("out.tar")).unwrap(),
            _ => output.bytes.clone(),
        };
        let expected = written(&first);
        for (kind, how) in [("own-layer", "made"), ("base-layer", "fetched")] {
            let path = only(&home, kind);
            flip(&path);
            // Else the layout that is there would do.
            let _ = fs::remove_dir_all(project.path().join("out"));
            let output = build(&project, &home, arguments);
            let note = format!(
                "note: `{}` in the cache is damaged: its contents do not have the digest sha256:{}; it is {how} anew",
                path.display(),
                name(&path)
            );
            assert_eq!(output.stderr.lines().filter(|line| *line == note).count(), 1, "{note}\n{}", output.stderr);
            assert!(written(&output) == expected, "{arguments:?} {kind}");
            assert_whole(&home.cache().join("blobs/sha256"));
        }
    }
    let layout = project.path().join(".anyarch/out/site");
    build(&project, &home, &[]);
    assert_eq!(Image::read(&format!("oci:{}:latest", layout.display()), "linux/amd64").layers.len(), 2);
}

#[test]
fn a_push_sends_nothing_that_is_damaged() {
    let (project, home, registry) = (site(&noise(2, 300_000)), Home::new(), Registry::start(&Options::default()));
    build(&project, &home, &[]);
    let layers = ["own-layer", "base-layer"].map(|kind| only(&home, kind));
    layers.iter().for_each(|path| flip(path));
    let tag = format!("{}/site:1", registry.host());
    let output = build(&project, &home, &["--push", "-t", &tag]);
    for (path, how) in layers.iter().zip(["made", "fetched"]) {
        let note = format!(
            "note: `{}` in the cache is damaged: its contents do not have the digest sha256:{}; it is {how} anew",
            path.display(),
            name(path)
        );
        assert_eq!(output.stderr.lines().filter(|line| *line == note).count(), 1, "{note}\n{}", output.stderr);
    }
    assert_eq!(Image::read(&format!("docker://{tag}"), "linux/amd64").layers.len(), 2);
    assert_whole(&home.cache().join("blobs/sha256"));
}

#[test]
fn a_layer_that_is_damaged_everywhere_leaves_the_old_image_and_heals_once_it_can() {
    let (project, home) = (site(b"one"), Home::new());
    build(&project, &home, &["-o", "type=oci,dest=out,tar=false"]);
    let before = index_of(&project.path().join("out"));
    let layer = only(&home, "base-layer");
    let source = project.path().join("base/blobs/sha256").join(name(&layer));
    let whole = fs::read(&source).unwrap();
    let project = project.file("page", "two");
    for path in [&layer, &source, &project.path().join("out/blobs/sha256").join(name(&layer))] {
        flip(path);
    }
    let output = project.anyarch_at(&home).args(["build", "-o", "type=oci,dest=out,tar=false"]).run();
    output.assert_code(6).assert_stdout("");
    assert!(
        output.stderr.contains(&format!("is damaged: sha256:{} is not what its name says", name(&layer))),
        "{}",
        output.stderr
    );
    assert_eq!(index_of(&project.path().join("out")), before);
    assert_eq!(
        fs::read_dir(project.path())
            .unwrap()
            .flatten()
            .filter(|entry| name(&entry.path()).starts_with(".anyarch-"))
            .count(),
        0
    );

    fs::write(&source, whole).unwrap();
    build(&project, &home, &["-o", "type=oci,dest=out,tar=false"]);
    assert_ne!(index_of(&project.path().join("out")), before);
    assert_whole(&project.path().join("out/blobs/sha256"));
}

#[test]
fn what_was_damaged_in_the_layout_that_is_replaced_does_not_stay_damaged() {
    let (project, home) = (site(&noise(3, 50_000)), Home::new());
    build(&project, &home, &[]);
    let blobs = project.path().join(".anyarch/out/site/blobs/sha256");
    for blob in fs::read_dir(&blobs).unwrap() {
        flip(&blob.unwrap().path());
    }
    build(&project, &home, &[]);
    assert_whole(&blobs);
}

#[test]
fn a_damaged_record_is_none() {
    let (project, home) = (site(b"hello"), Home::new());
    build(&project, &home, &[]);
    let layout = project.path().join(".anyarch/out/site");
    let before = index_of(&layout);
    let record = listed(&home, "record").into_iter().find(|record| record["names"][0] == "own-layer").unwrap();
    let path = Path::new(record["path"].as_str().unwrap()).to_owned();
    let text = fs::read_to_string(&path).unwrap();
    let diff_id = text.find("diff_id").unwrap();
    let digit = diff_id + text[diff_id..].find("sha256:").unwrap() + 7;
    let other = if &text[digit..=digit] == "0" { "1" } else { "0" };
    let turned = format!("{}{other}{}", &text[..digit], &text[digit + 1..]);
    for damaged in [turned.as_str(), "{", "", "null"] {
        fs::write(&path, damaged).unwrap();
        build(&project, &home, &[]);
        assert_eq!(index_of(&layout), before, "{damaged}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_limit_that_is_none_is_an_error() {
    let project = site(b"hello");
    for arguments in [&["build"][..], &["cache", "ls"], &["cache", "prune"]] {
        let output = project.anyarch().args(arguments).env("ANYARCH_CACHE_LIMIT", "20G").run();
        output.assert_code(2).assert_stdout("");
        let words =
            "error: `ANYARCH_CACHE_LIMIT` cannot be used: `20G` is no size: it should read like 500MB, 20GB or 1.5GiB

hint: ANYARCH_CACHE_LIMIT=20GB anyarch build
hint: for no limit: ANYARCH_CACHE_LIMIT=none anyarch build
";
        assert_eq!(output.stderr, words);
    }
}

#[test]
fn a_build_keeps_the_cache_within_its_limit() {
    let (project, home) = (site(b"hello"), Home::new());
    let (older, newer) = (old_blob(&home, &noise(4, 40_000), 9), old_blob(&home, &noise(5, 40_000), 3));
    let output = project.anyarch_at(&home).args(["build"]).env("ANYARCH_CACHE_LIMIT", "60kB").run();
    output.assert_success();
    let note = "note: what was not used for longest was removed from `[HOME]/anyarch-cache`: 40.00 kB (a limit of 60.00 kB, ANYARCH_CACHE_LIMIT=SIZE)";
    let said = output.stderr.replace(home.path().to_str().unwrap(), "[HOME]");
    assert!(said.lines().any(|line| line == note), "{said}");
    assert!(!older.exists() && newer.exists());
    // It was looked just now.
    let output = project.anyarch_at(&home).args(["build"]).env("ANYARCH_CACHE_LIMIT", "1B").run();
    assert!(!output.assert_success().stderr.contains("note:"), "{}", output.stderr);
    assert!(newer.exists());
    // What a run uses stays, however small the limit is.
    fs::remove_file(home.cache().join("looked")).unwrap();
    let output = project.anyarch_at(&home).args(["build"]).env("ANYARCH_CACHE_LIMIT", "1B").run();
    output.assert_success();
    assert!(!newer.exists() && only(&home, "own-layer").exists() && only(&home, "base-layer").exists());
}

#[test]
fn prune_removes_what_it_was_told_to() {
    let (project, home) = (site(b"hello"), Home::new());
    build(&project, &home, &[]);
    let (old, new) = (old_blob(&home, &noise(6, 5000), 9), old_blob(&home, &noise(7, 6000), 3));
    let toolchain = home.cache().join("toolchains/zig-0.1");
    fs::create_dir_all(&toolchain).unwrap();
    fs::write(toolchain.join("zig"), noise(8, 1000)).unwrap();
    fs::write(home.cache().join("tmp/left"), noise(9, 500)).unwrap();
    let prune = |arguments: &[&str]| {
        let output = home.anyarch().args(["cache", "prune"]).args(arguments).run();
        output.assert_success();
        let kinds: Vec<String> =
            output.stdout.lines().skip(1).map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        (kinds, output.stderr.clone())
    };
    let words = |text: &str| format!("{text}\n");
    // What would go is still there.
    let (kinds, said) = prune(&["--older-than", "7d", "--dry-run"]);
    assert_eq!(
        (kinds, said),
        (vec!["blob".to_owned(), "unfinished".to_owned()], words("2 things would be removed, 5.50 kB"))
    );
    assert!(old.exists());
    let (kinds, said) = prune(&["--older-than", "7d"]);
    assert_eq!((kinds, said), (vec!["blob".to_owned(), "unfinished".to_owned()], words("2 things removed, 5.50 kB")));
    assert!(!old.exists() && new.exists() && toolchain.exists() && !home.cache().join("tmp/left").exists());
    // The limit is far away.
    assert_eq!(prune(&[]), (Vec::new(), words("0 things removed, 0 B")));
    // The one that was not used for longest goes first.
    let (kinds, said) = prune(&["--max-size", "8kB"]);
    assert_eq!((kinds, said), (vec!["blob".to_owned()], words("1 thing removed, 6.00 kB")));
    assert!(toolchain.exists());
    let (kinds, _) = prune(&["--kind", "own-layer,toolchain"]);
    assert_eq!(kinds, ["own-layer", "toolchain"]);
    assert!(!toolchain.exists());
    assert!(listed(&home, "record").iter().all(|record| record["names"][0] != "own-layer"), "it goes with its layer");
    let removed = home.anyarch().args(["cache", "prune", "--all", "--json"]).run().json();
    assert!(removed["removed"].as_array().unwrap().iter().any(|item| item["kind"] == "base-layer"), "{removed}");
    let output = home.anyarch().args(["cache", "ls"]).run();
    output.assert_success().assert_stdout("KIND  WHAT  DIGEST  SIZE  LAST USED\n");
    build(&project, &home, &[]);
}

#[test]
fn prune_takes_only_what_it_knows() {
    for (arguments, words) in [
        (
            &["--max-size", "7"][..],
            "invalid value '7' for '--max-size <SIZE>': `7` is no size: it should read like 500MB, 20GB or 1.5GiB",
        ),
        (
            &["--older-than", "7"],
            "invalid value '7' for '--older-than <AGE>': `7` is no time: it should read like 90s, 30min, 12h, 7d or 2w",
        ),
        (
            &["--kind", "zig"],
            "invalid value 'zig' for '--kind <KIND>': there is index, manifest, config, base-layer, own-layer, debian, blob, record, toolchain, sysroot, wrapper, download, unfinished",
        ),
        (&["--all", "--max-size", "1GB"], "the argument '--all' cannot be used with '--max-size <SIZE>'"),
    ] {
        let output = Home::new().anyarch().args(["cache", "prune"]).args(arguments).run();
        output.assert_code(2).assert_stdout("");
        assert_eq!(output.stderr.lines().next(), Some(format!("error: {words}").as_str()));
    }
}

/// Starts the program and waits until it wrote a line that holds `text` to stderr; the rest of its words are nobody's.
fn start_until(command: &mut std::process::Command, text: &str) -> Child {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let found = lines.by_ref().any(|line| line.unwrap().contains(text));
    assert!(found, "`{text}` was not said");
    std::thread::spawn(move || lines.for_each(drop));
    child
}

#[test]
fn prune_waits_for_a_build_and_a_build_for_prune() {
    let home = Home::new();
    let command = "touch started; while ! test -e go; do sleep 0.05; done; exit 7";
    let table = format!("[[program]]\nname = \"app\"\nlanguage = \"command\"\ncommand = {command:?}\n");
    let project = Project::new().file("anyarch.toml", format!("platforms = [\"linux/amd64\"]\n{table}"));
    let mut build = project.anyarch_at(&home).args(["build"]).command();
    let mut build = build.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !project.path().join("started").exists() {
        assert_eq!(build.try_wait().unwrap(), None, "the build goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
    // Who only looks does not wait.
    home.anyarch().args(["cache", "prune", "--all", "--dry-run"]).run().assert_success();
    let mut prune =
        start_until(&mut home.anyarch().args(["cache", "prune", "--all"]).command(), "waiting until they are done");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(prune.try_wait().unwrap(), None, "it waits");
    assert!(!listed(&home, "record").is_empty(), "nothing is removed before");
    fs::write(project.path().join("go"), "").unwrap();
    assert_eq!(build.wait().unwrap().code(), Some(4));
    assert!(prune.wait().unwrap().success());
    assert_eq!(listed(&home, "record"), [Value::Null; 0]);

    // The lock is what a prune holds.
    let lock = File::options().write(true).open(home.cache().join("lock")).unwrap();
    lock.lock().unwrap();
    let site = site(b"hello");
    let words = "is being removed from";
    let mut build = start_until(&mut site.anyarch_at(&home).args(["build"]).command(), words);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(build.try_wait().unwrap(), None, "it waits");
    drop(lock);
    assert!(build.wait().unwrap().success());
}

#[test]
fn builds_and_prunes_share_one_cache() {
    let home = Home::new();
    let projects: Vec<Project> = (0..2).map(|seed| site(&noise(seed, 2_000_000))).collect();
    let expected: Vec<Vec<u8>> = projects
        .iter()
        .map(|project| {
            build(project, &Home::new(), &["-o", "type=oci,dest=alone,tar=false"]);
            index_of(&project.path().join("alone"))
        })
        .collect();
    for _ in 0..4 {
        let spawn = |mut command: std::process::Command| {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let mut running: Vec<Child> = Vec::new();
        for project in &projects {
            running.push(spawn(project.anyarch_at(&home).args(["build"]).command()));
            running.push(spawn(home.anyarch().args(["cache", "prune", "--max-size", "0"]).command()));
        }
        for child in running {
            let ended = child.wait_with_output().unwrap();
            assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        }
        for (project, expected) in projects.iter().zip(&expected) {
            let layout = project.path().join(".anyarch/out/site");
            assert_eq!(index_of(&layout), *expected);
            assert_whole(&layout.join("blobs/sha256"));
        }
    }
    assert_whole(&home.cache().join("blobs/sha256"));
}

#[test]
fn a_build_that_is_killed_leaves_a_cache_that_works() {
    let (project, home) = (site(&noise(1, 8_000_000)), Home::new());
    build(&project, &Home::new(), &["-o", "type=oci,dest=alone,tar=false"]);
    let expected = index_of(&project.path().join("alone"));
    let mut seen = BTreeSet::new();
    for milliseconds in [10, 40, 80, 120, 180, 250] {
        let mut command = project.anyarch_at(&home).args(["build"]).command();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        seen.insert(process::exit_code(child.wait().unwrap()));
        if home.cache().join("blobs/sha256").exists() {
            assert_whole(&home.cache().join("blobs/sha256"));
        }
    }
    assert!(seen.contains(&(128 + 9)), "one was killed: {seen:?}");
    build(&project, &home, &[]);
    assert_eq!(index_of(&project.path().join(".anyarch/out/site")), expected);
    home.anyarch().args(["cache", "prune"]).run().assert_success();
    assert_eq!(fs::read_dir(home.cache().join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_file_in_the_place_of_the_cache_is_an_error_that_names_it() {
    let (project, home) = (site(b"hello"), Home::new());
    fs::create_dir_all(home.cache()).unwrap();
    fs::write(home.cache().join("blobs"), "").unwrap();
    let output = project.anyarch_at(&home).args(["build"]).run();
    output.assert_code(1).assert_stdout("");
    let words = "error: the cache at `[HOME]/anyarch-cache` cannot be used\n  because: failed to create directory `[HOME]/anyarch-cache/blobs/sha256`";
    assert!(output.redacted_stderr().starts_with(words), "{}", output.stderr);
}
