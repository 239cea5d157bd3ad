//! However large a program or a layer is, anyarch itself stays small.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;

use anyarch::blob::Descriptor;
use serde_json::json;

use crate::support::layout::{self, Image, Tree};
use crate::support::prebuilt::{self, LargeBase};
use crate::support::process;
use crate::support::program::Home;
use crate::support::project::Project;
use crate::support::registry::{Options, Registry};
use crate::support::start::Source;

/// The length of the program, in bytes.
const SIZE: u64 = 500_000_000;
/// The most that anyarch may hold at once, in bytes.
const LIMIT: u64 = 100_000_000;

/// Appends bytes that no compressor makes smaller to `program`, which starts all the same: what lies behind the last
/// section is nobody's.
fn grow(program: &Path) {
    let length = fs::metadata(program).unwrap().len();
    let mut file = BufWriter::new(File::options().append(true).open(program).unwrap());
    // xorshift64: https://www.jstatsoft.org/article/view/v008i14
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..(SIZE - length).div_ceil(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_le_bytes()).unwrap();
    }
    file.flush().unwrap();
}

#[test]
fn a_program_of_500_mb_passes_through_100_mb() {
    let (project, home, registry) = (Project::hello_go(), Home::new(), Registry::start(&Options::default()));
    let program = project.path().join("large");
    let go = ["build", "-o"];
    let mut compile = Command::new("go");
    compile.args(go).arg(&program).current_dir(project.path()).env("CGO_ENABLED", "0").env("GOARCH", "amd64");
    process::succeed(compile.env("GOOS", "linux").env("GOFLAGS", "-buildvcs=false"));
    grow(&program);
    let table = "[[program]]\nname = \"large\"\nlanguage = \"prebuilt\"\npath = \"large\"\n";
    let project = project.file("anyarch.toml", format!("platforms = [\"linux/amd64\"]\n{table}"));

    let tag = format!("{}/large:1", registry.host());
    for arguments in
        [&["-o", "type=oci,dest=layout,tar=false"][..], &["-o", "type=oci,dest=layout.tar"], &["--push", "-t", &tag]]
    {
        let peak = peak_of(&project.anyarch_at(&home).args(["build"]).args(arguments).command(), home.path());
        assert!(peak < LIMIT, "{arguments:?}: {} MB", peak / 1_000_000);
    }
    let layout = Source::Layout(project.path().join("layout"));
    assert_eq!(layout.raw(), Source::Registry(tag).raw());
    let ended = layout.unpack("linux/amd64").start(&[]);
    assert_eq!((ended.code, &*ended.stdout), (0, "hello from linux/amd64\n"), "{}", ended.stderr);
    assert_eq!(layout.raw(), Source::Archive(project.path().join("layout.tar")).raw());
}

/// The length of a base's layer, in bytes.
const LAYER: u64 = 2_000_000_000;

/// Pushes an image on that base to a registry that has nothing of it, in a new home; returns the peak memory in bytes.
fn push_on(project: &Project, base: &str, layer: &Descriptor) -> u64 {
    let (home, target) = (Home::new(), Registry::start(&Options::default()));
    let tag = format!("{}/large:1", target.host());
    let arguments = ["build", "--push", "--platform", "linux/amd64", "--base", base, "-t", &tag];
    let peak = peak_of(&project.anyarch_at(&home).args(arguments).command(), home.path());
    let mut manifest = Source::Registry(tag).raw();
    if let Some(digest) = manifest["manifests"][0]["digest"].as_str() {
        manifest = Source::Registry(format!("{}/large@{digest}", target.host())).raw();
    }
    assert_eq!(manifest["layers"][0]["digest"], layer.digest.to_string());
    peak
}

#[test]
#[ignore = "full: memory"]
fn a_layer_of_2_gb_passes_through_100_mb() {
    let (project, base) = (prebuilt::project(), LargeBase::new(LAYER));
    let from_layout = push_on(&project, &format!("oci:{}", base.layout().display()), &base.layer);
    let source = Registry::start(&Options::default());
    let reference = format!("{}/base:1", source.host());
    prebuilt::copy_layout(base.layout(), &reference);
    let from_registry = push_on(&project, &reference, &base.layer);
    assert!(from_layout < LIMIT && from_registry < LIMIT, "{from_layout} and {from_registry} bytes");
}

/// How many files a base has.
const FILES: usize = 500_000;

#[test]
#[ignore = "full: memory"]
fn a_layer_of_500_000_files_is_judged_in_100_mb() {
    let mut tree = Tree::default();
    for number in 0..FILES {
        let (package, module) = (number / 1000, number % 1000);
        tree.file(&format!("usr/lib/node_modules/package-{package:04}/dist/module-{module:04}.js"), 0o644, "");
    }
    tree.file("app", 0o755, "#!/bin/none\n");
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"Entrypoint": ["/app"]});
    layout::write(
        folder.path(),
        "made",
        &[Image { platform: "linux/amd64".parse().unwrap(), layers: vec![tree], config }],
    );
    let home = Home::new();
    // Listed, and read of what was kept of that.
    for _ in 0..2 {
        let image = format!("oci:{}", folder.path().display());
        let said = home.path().join("said");
        let mut call = Command::new("sh");
        call.args(["-c", "\"$@\" >\"$0\" 2>&1; test $? = 3"]).arg(&said);
        let judged = home.anyarch().args(["verify", &image]).command();
        call.arg(judged.get_program()).args(judged.get_args()).current_dir(folder.path());
        call.env_clear().envs(judged.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let peak = peak_of(&call, home.path());
        let said = fs::read_to_string(said).unwrap();
        assert!(said.contains("asks for the interpreter `/bin/none`, which is not in the image"), "{said}");
        assert!(peak < LIMIT, "{} MB", peak / 1_000_000);
    }
}

/// Runs a call and returns the most memory that it held at once, in bytes, as the kernel has it.
fn peak_of(command: &Command, folder: &Path) -> u64 {
    let said = folder.join("peak");
    let mut timed = Command::new("/usr/bin/time");
    timed.args(["--format=%M", "--output"]).arg(&said).arg(command.get_program()).args(command.get_args()).env_clear();
    timed.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    process::succeed(timed.current_dir(command.get_current_dir().expect("the call has a folder")));
    let kilobytes: u64 = fs::read_to_string(said).unwrap().trim().parse().expect("time writes a number");
    kilobytes * 1024
}
