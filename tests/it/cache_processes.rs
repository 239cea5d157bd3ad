//! Several processes share one cache: builds, prunes, and what is killed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::cache::{assert_whole, build, index_of, listed, noise, site};
use crate::support::process;
use crate::support::program::Home;
use crate::support::project::Project;

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

/// What lies in the project's folder under a name that ends so.
fn unfinished(project: &Project) -> Vec<PathBuf> {
    let entries = fs::read_dir(project.path()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "unfinished")).collect()
}

/// Runs the build until it has begun to write its output, and kills it then; what is left there.
fn kill_while_it_writes(project: &Project, home: &Home, arguments: &[&str]) -> PathBuf {
    // It may be done before it is killed.
    for _ in 0..20 {
        let mut command = project.anyarch_at(home).args(["build"]).args(arguments).command();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while child.try_wait().unwrap().is_none() && unfinished(project).is_empty() {
            std::thread::sleep(Duration::from_micros(200));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if let [left] = unfinished(project).as_slice() {
            return left.clone();
        }
    }
    panic!("it was never killed in time");
}

#[test]
fn what_a_killed_build_left_beside_its_output_goes_a_day_later() {
    let (project, home) = (site(&noise(1, 8_000_000)), Home::new());
    for (arguments, output) in
        [(["-o", "type=oci,dest=out.tar"], "out.tar"), (["-o", "type=oci,dest=out,tar=false"], "out")]
    {
        let left = kill_while_it_writes(&project, &home, &arguments);
        build(&project, &home, &arguments);
        assert_eq!(unfinished(&project), std::slice::from_ref(&left), "it may be another run's");
        for place in ["blobs/sha256", "blobs", ""] {
            // The path of a file has no slash at its end.
            let place = if place.is_empty() { left.clone() } else { left.join(place) };
            let Ok(opened) = File::open(place) else { continue };
            opened.set_modified(opened.metadata().unwrap().modified().unwrap() - Duration::from_hours(25)).unwrap();
        }
        build(&project, &home, &arguments);
        assert_eq!(unfinished(&project), Vec::<PathBuf>::new());
        assert!(project.path().join(output).exists());
    }
}
