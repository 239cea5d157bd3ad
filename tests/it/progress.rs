//! What is shown of a build while it runs: bars at a terminal, lines in a pipeline, and at its end what moved.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::program::{Home, Output, Program, redact};
use crate::support::project::Project;
use crate::support::registry::{Options, Registry};
use crate::support::slow::Slow;
use crate::support::start::Source;
use crate::support::terminal;

/// The file that makes an image large, in bytes.
const SIZE: usize = 8_000_000;
/// How fast the slow way to a registry is, in bytes a second.
const SPEED: u32 = 2_000_000;

/// A program and `size` bytes that no compressor makes smaller.
fn project(size: usize) -> Project {
    // xorshift64: https://www.jstatsoft.org/article/view/v008i14
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let bytes: Vec<u8> = std::iter::repeat_with(&mut next).take(size.div_ceil(8)).flatten().collect();
    let config =
        "base = \"scratch\"\nplatforms = [\"linux/amd64\"]\n\n[[file]]\nsource = \"data\"\ndestination = \"/data\"\n";
    Project::hello_go().file("data", bytes).file("anyarch.toml", config)
}

fn push<'home>(project: &Project, home: &'home Home, repository: &str) -> Program<'home> {
    project.anyarch_at(home).args(["build", "--push", "-t", &format!("{repository}:1")])
}

/// The lines that tell of a transfer, redacted and with single blanks; none tells of one that took less than a second.
fn told(output: &Output) -> Vec<String> {
    let ended = output.stderr.lines().filter_map(|line| Some((line, line.split_once(" done ")?.1)));
    let transfers = ended.filter(|(line, _)| line.starts_with("push ") || line.starts_with("base "));
    let told = transfers.map(|(line, numbers)| {
        let seconds: f64 = numbers.trim_start().split(' ').next().unwrap().parse().expect("the time is first");
        assert!(seconds >= 1.0, "{line}");
        redact(line, &[]).split_whitespace().collect::<Vec<_>>().join(" ")
    });
    told.collect()
}

/// The largest file of a folder.
fn largest(folder: &Path) -> PathBuf {
    let paths = fs::read_dir(folder).expect("a folder can be read").map(|entry| entry.expect("it can be read").path());
    paths.max_by_key(|path| path.metadata().map_or(0, |metadata| metadata.len())).expect("it holds something")
}

#[test]
fn a_terminal_shows_bytes_and_speed_of_what_takes_its_time() {
    let registry = Registry::start(&Options::default());
    let slow = Slow::before(&registry.host(), SPEED, Some(SIZE / 3));
    let (project, home) = (project(SIZE), Home::new());
    let repository = format!("{}/app", slow.host());
    let program = push(&project, &home, &repository).env("TERM", "xterm-256color");
    let shown = terminal::run(&mut program.command(), 100, 24);
    assert_eq!(shown.code, 0, "{}", shown.terminal);
    let digest = shown.stdout.trim_end().strip_prefix(&format!("{repository}@"));
    assert!(digest.is_some_and(|digest| digest.len() == 71), "stdout is not the reference alone: {}", shown.stdout);

    let lines = shown.lines();
    let bars: Vec<&String> = lines.iter().filter(|line| line.contains(&format!(" push {repository}"))).collect();
    let all = bars.iter().map(|line| line.as_str()).collect::<Vec<_>>().join("\n");
    assert!(bars.iter().all(|bar| bar.chars().count() < 100), "a line is wider than the terminal:\n{all}");
    let has = |words: &[&str]| bars.iter().any(|bar| words.iter().all(|word| bar.contains(word)));
    assert!(has(&["  [=", "=> ", " of 8.00 MB  ", " MB/s  ", " s left"]), "{all}");
    assert!(has(&[&format!("{repository} linux/amd64  ["), " of 8.00 MB  "]), "{all}");
    // The first connection broke.
    assert!(has(&[&format!("{repository} linux/amd64 again  ["), " of 8.00 MB  "]), "{all}");
    let end = lines.iter().rposition(|line| line == &format!("pushed {repository}:1")).expect("a summary is shown");
    assert!(!lines[end..].iter().any(|line| line.contains('[')), "a bar stands below the summary: {lines:#?}");
    let moved = format!("{}: pushed 3 blobs (", slow.host());
    assert!(lines[end..].iter().any(|line| line.starts_with(&moved)), "{:#?}", &lines[end..]);
}

#[test]
fn a_pipeline_is_told_of_a_transfer_when_it_took_its_time() {
    let registry = Registry::start(&Options::default());
    let slow = Slow::before(&registry.host(), SPEED, None);
    let (project, home) = (project(SIZE), Home::new());
    let output = push(&project, &home, &format!("{}/app", slow.host())).run();
    output.assert_success();
    let line = "push localhost:[PORT]/app linux/amd64 done [TIME] [SIZE] [SIZE]/s";
    assert!(told(&output).iter().any(|told| told == line), "{}", output.stderr);
    let stderr = output.redacted_stderr();
    assert!(stderr.contains("\nlocalhost:[PORT]: pushed 3 blobs ([SIZE])\ndone in [TIME]\n"), "{stderr}");

    // For whoever does not have it, the base comes the slow way.
    let config = format!("base = \"{}/app:1\"\nplatforms = [\"linux/amd64\"]\n", slow.host());
    let (project, home) = (Project::hello_go().file("anyarch.toml", config), Home::new());
    let output = project.anyarch_at(&home).args(["build"]).run();
    output.assert_success();
    let line = "base localhost:[PORT]/app:1 linux/amd64 done [TIME] [SIZE] [SIZE]/s";
    assert!(told(&output).iter().any(|told| told == line), "{}", output.stderr);
    let stderr = output.redacted_stderr();
    assert!(stderr.contains("\nlocalhost:[PORT]: fetched 2 blobs ([SIZE])\ndone in [TIME]\n"), "{stderr}");

    // A run that was killed left the first half of it.
    let layer = largest(&home.cache().join("blobs/sha256"));
    let home = Home::new();
    let partial = home.cache().join("partial");
    fs::create_dir_all(&partial).unwrap();
    let bytes = fs::read(&layer).unwrap();
    fs::write(partial.join(layer.file_name().unwrap()), &bytes[..SIZE / 2]).unwrap();
    let output = project.anyarch_at(&home).args(["build"]).run();
    output.assert_success();
    let base = output.stderr.lines().find(|line| line.starts_with("base ") && line.ends_with(" were here)"));
    let numbers = base.and_then(|line| line.split_once(" done ")).expect("a line tells what was here").1.trim_start();
    let rest = anyarch::ui::bytes((bytes.len() - SIZE / 2) as u64);
    let (_, moved) = numbers.split_once(" s ").expect("the time is first");
    assert!(moved.starts_with(&format!("{rest} ")) && moved.ends_with("/s (4.00 MB were here)"), "{numbers}");
    let speed: f64 = moved[rest.len()..].trim_start().split(' ').next().unwrap().parse().expect("then the speed");
    // What was there did not move, and the way is no faster than it is.
    assert!(speed < f64::from(SPEED) / 1e6 * 1.5, "{numbers}");
}

#[test]
fn what_moved_is_counted_by_registry() {
    let registry = Registry::start(&Options::default());
    let (project, home) = (project(1_000), Home::new());
    let host = registry.host();
    let moved = |repositories: &[&str]| {
        let mut program = project.anyarch_at(&home).args(["build", "--push", "--json"]);
        for repository in repositories {
            program = program.args(["-t", &format!("{host}/{repository}:1")]);
        }
        let output = program.run();
        let value = output.json()["moved"].clone();
        let line = output.stderr.lines().find_map(|line| line.strip_prefix(&format!("{host}: ")).map(str::to_owned));
        (value, line.unwrap_or_default())
    };
    let none = json!({"blobs": 0, "bytes": 0});

    let (value, line) = moved(&["one"]);
    let of = &value[&host];
    let bytes = of["pushed"]["bytes"].as_u64().expect("a number of bytes");
    let all = json!({"blobs": 3, "bytes": bytes});
    assert_eq!(value, json!({&host: {"fetched": none, "pushed": all, "mounted": none, "present": none}}));
    assert_eq!(line, format!("pushed 3 blobs ({})", anyarch::ui::bytes(bytes)));
    let manifest = Source::Registry(format!("{host}/one:1")).raw();
    let size = |blob: &Value| blob["size"].as_u64().expect("a descriptor has a size");
    let child = manifest["manifests"][0]["digest"].as_str().expect("an entry has a digest");
    let child = Source::Registry(format!("{host}/one@{child}")).raw();
    let layers = child["layers"].as_array().expect("a manifest has layers").iter().map(size).sum::<u64>();
    assert_eq!(bytes, layers + size(&child["config"]));

    let (value, line) = moved(&["one"]);
    assert_eq!(value, json!({&host: {"fetched": none, "pushed": none, "mounted": none, "present": all}}));
    assert_eq!(line, "3 blobs were there");

    let (value, line) = moved(&["one", "two"]);
    assert_eq!(value, json!({&host: {"fetched": none, "pushed": none, "mounted": all, "present": all}}));
    assert_eq!(line, "mounted 3 blobs, 3 were there");

    let layout = project.anyarch_at(&home).args(["build", "--json"]).run();
    assert_eq!(layout.json()["moved"], json!({}));
}

#[test]
fn who_looks_decides_how_it_is_shown() {
    let table = "[[program]]\nname = \"app\"\nlanguage = \"command\"\ncommand = \"sleep 0.5; false\"\n";
    let project = Project::new().file("anyarch.toml", format!("platforms = [\"linux/amd64\"]\n{table}"));
    let program = || {
        let program = project.anyarch().args(["build"]);
        program.env_remove("NO_COLOR").env_remove("CI").env("TERM", "xterm-256color")
    };
    for (variable, value, drawn, coloured) in [
        ("TERM", "xterm", true, true),
        ("TERM", "dumb", false, false),
        ("CI", "true", false, true),
        ("CI", "false", true, true),
        ("NO_COLOR", "1", true, false),
    ] {
        let shown = terminal::run(&mut program().env(variable, value).command(), 80, 24);
        assert_eq!(shown.code, 4, "{}", shown.terminal);
        let is_drawn = shown.terminal.contains(" compiling 0 s");
        assert_eq!(
            (is_drawn, shown.terminal.contains("\u{1b}[31m")),
            (drawn, coloured),
            "{variable}={value}\n{}",
            shown.terminal
        );
    }
    for (variable, value, coloured) in [("CI", "true", false), ("CLICOLOR_FORCE", "1", true)] {
        let output = program().env(variable, value).run();
        let stderr = &output.assert_code(4).stderr;
        let is_drawn = stderr.contains(" compiling 0 s");
        assert_eq!((is_drawn, stderr.contains("\u{1b}[31m")), (false, coloured), "{variable}={value}\n{stderr}");
    }
}
