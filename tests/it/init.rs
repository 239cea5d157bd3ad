//! `anyarch init` writes a configuration that says what the project holds, and runs nothing that the project names.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyarch::c_program::BuildSystem;
use anyarch::config;
use anyarch::proposal::{self, Candidate, Kind, Value};

use crate::support::process;
use crate::support::project::Project;
use crate::support::repository;
use crate::support::shims::Shims;

/// The lines of the project's configuration that hold for it: neither empty nor behind a `#`, without their remarks.
fn written(project: &Project) -> String {
    let text = fs::read_to_string(project.path().join("anyarch.toml")).expect("init writes a configuration");
    config::load(&text, "anyarch.toml".as_ref()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let holding = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    holding.map(|line| line.split("  # ").next().unwrap_or_default().trim_end().to_owned() + "\n").collect()
}

const PLATFORMS: &str = "platforms = [\"linux/amd64\", \"linux/arm64\"]\n";

/// Runs init in the project, and holds it to what it says and to the lines that it writes.
#[track_caller]
fn assert_writes(project: &Project, words: &str, lines: &str) {
    let output = project.anyarch().args(["init"]).run();
    output.assert_success().assert_stdout("anyarch.toml\n").assert_stderr(words);
    assert_eq!(written(project), format!("{PLATFORMS}{lines}"));
}

#[test]
fn every_example_has_a_configuration_that_can_be_planned() {
    for (example, words) in [
        ("hello-go", "program: hello-go (go)\n"),
        ("hello-rust", "program: hello-rust (rust)\n"),
        ("hello-c", "program: hello (c)\n"),
        ("hello-cgo", "program: hello-cgo (go)\n"),
        ("both", "programs: server (go), checksum (rust)\n"),
        ("mixed", "programs: front (go), checksum (rust)\n"),
    ] {
        let project = Project::copy_of(&repository().join("examples").join(example));
        let _ = fs::remove_file(project.path().join("anyarch.toml"));
        let output = project.anyarch().args(["init"]).run();
        let next = "see what it does: anyarch plan\nbuild it:         anyarch build\n";
        output.assert_success().assert_stderr(&format!("{words}{next}"));
        let plan = project.anyarch().args(["plan", "--json"]).run().json();
        let programs = &plan["plan"]["images"][0]["units"][0]["programs"];
        let names: Vec<&str> = programs.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        for name in &names {
            assert!(words.contains(name), "{example}: {names:?}");
        }
    }
}

#[test]
fn the_whole_text_for_a_go_program() {
    let project = Project::hello_go();
    project.anyarch().args(["init"]).run().assert_success();
    let text = fs::read_to_string(project.path().join("anyarch.toml")).unwrap();
    let expected = r#"# What anyarch makes of this project. Every key has a default; behind a `#` stands another choice.
#
#   anyarch plan     what would be done, before any compiler runs
#   anyarch build    one index with an image for each platform

platforms = ["linux/amd64", "linux/arm64"]  # "all": every platform of the base
# base = "debian:12-slim"                 # "static" when not given; "scratch", "oci:DIR"
# tags = ["registry.example.com/hello:{{version}}"]  # as -t
# cmd = ["--help"]                        # arguments when the container gets none
# env = { LANG = "C.UTF-8" }
# user = "65532:65532"                    # that of the base, when not given
# ports = ["8080/tcp"]

[[program]]
package = "."                             # its folder
language = "go"
# cgo = true                              # compiles the C of Go packages; none was found
# ldflags = ["-s", "-w", "-X main.version={{git.describe}}"]

# [[file]]                                # a file of the project, besides the programs
# source = "etc/app.conf"
# destination = "/etc/app.conf"
"#;
    assert_eq!(text, expected);
}

/// A key or a table behind a `#`.
fn is_other_choice(line: &str) -> bool {
    let Some(rest) = line.strip_prefix("# ") else { return false };
    let key = rest.split_once(" = ").map(|(key, _)| key);
    rest.starts_with("[[") || key.is_some_and(|key| key.chars().all(|one| one.is_ascii_lowercase() || one == '_'))
}

#[test]
fn the_text_is_a_configuration_and_so_is_each_other_choice_in_it() {
    let value = |text: &str| Some(Value { text: text.into(), guessed: Some("because".into()) });
    let go = |cgo: Option<&str>| Kind::Go { cgo: cgo.map(str::to_owned) };
    let c = |build| Kind::C { build, target: value("all"), output: value("app") };
    let kinds = [
        (true, go(None)),
        (true, go(Some("example.com/m/clock"))),
        (true, Kind::Rust { bin: Some("tool".into()), features: vec!["cli".into()] }),
        (true, Kind::Rust { bin: None, features: Vec::new() }),
        (true, c(BuildSystem::Plain)),
        (true, c(BuildSystem::Cmake)),
        (true, c(BuildSystem::Make)),
        (true, c(BuildSystem::Configure)),
        (true, c(BuildSystem::Meson)),
        (false, go(None)),
    ];
    let candidate = |(wanted, kind)| Candidate { name: "app".into(), package: "./cmd/app".into(), wanted, kind };
    let candidates = proposal::settled(kinds.into_iter().map(candidate).collect());
    let candidates: Vec<_> = candidates.into_iter().map(|candidate| (candidate, "app".to_owned())).collect();
    let text = proposal::text(&candidates, &["a\nremark".to_owned()]);
    let load = |text: &str| config::load(text, Path::new("anyarch.toml"));
    let file = load(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!((file.program.len(), file.file.len()), (9, 0));

    let lines: Vec<&str> = text.lines().collect();
    let choices: Vec<usize> = (0..lines.len()).filter(|line| is_other_choice(lines[*line])).collect();
    assert!(choices.len() > 30, "{choices:?}\n{text}");
    for choice in &choices {
        // A table comes with the keys below it; a key alone stands in the table that is written above it.
        let takes = |line: usize| {
            line == *choice
                || (lines[*choice].starts_with("# [[")
                    && line > *choice
                    && choices.contains(&line)
                    && lines[*choice..line].iter().all(|line| !line.is_empty()))
        };
        if !lines[*choice].starts_with("# [[")
            && lines[..*choice]
                .iter()
                .rev()
                .find(|line| line.contains("[["))
                .is_some_and(|table| table.starts_with('#'))
        {
            continue;
        }
        let changed: Vec<&str> =
            (0..lines.len()).map(|line| if takes(line) { &lines[line][2..] } else { lines[line] }).collect();
        load(&changed.join("\n")).unwrap_or_else(|error| panic!("`{}`: {error}", lines[*choice]));
    }
}

const NEXT: &str = "see what it does: anyarch plan\nbuild it:         anyarch build\n";
const CHECK: &str = "check the values that are marked `check`: they were read from the text of build files\n";

#[test]
fn go_programs_that_are_meant_for_people_come_before_others() {
    let main = "package main\n\nfunc main() {}\n";
    let project = Project::new()
        .file("go.mod", "module example.com/m\n\ngo 1.21\n")
        .file("cmd/server/main.go", main)
        .file("cmd/clock/main.go", "package main\n\nimport _ \"example.com/m/ticks\"\n\nfunc main() {}\n")
        .file(
            "ticks/ticks.go",
            "package ticks\n\n// int one(void);\nimport \"C\"\n\nfunc One() int { return int(C.one()) }\n",
        )
        .file("ticks/one.c", "int one(void) { return 1; }\n")
        .file("tools/server/main.go", main);
    assert_writes(
        &project,
        &format!("programs: clock (go), server (go)\n{NEXT}"),
        "one_image = true\n[[program]]\npackage = \"./cmd/clock\"\nlanguage = \"go\"\ncgo = true\n\
         [[program]]\npackage = \"./cmd/server\"\nlanguage = \"go\"\n",
    );
    let text = fs::read_to_string(project.path().join("anyarch.toml")).unwrap();
    assert!(text.contains("# `example.com/m/ticks` holds C\n"), "{text}");
    assert!(text.contains("# package = \"./tools/server\"") && text.contains("# name = \"tools-server\"\n"), "{text}");
}

#[test]
fn a_workspace_with_several_binaries() {
    let manifest = |name: &str, rest: &str| {
        format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nedition = \"2021\"\n{rest}")
    };
    let main = "fn main() {}\n";
    let feature =
        "[features]\ncli = []\n[[bin]]\nname = \"tool\"\nrequired-features = [\"cli\"]\n[[bin]]\nname = \"daemon\"\n";
    let project = Project::new()
        .file(
            "Cargo.toml",
            "[workspace]\nmembers = [\"app\", \"library\", \"xtask\"]\ndefault-members = [\"app\"]\nresolver = \"2\"\n",
        )
        .file("app/Cargo.toml", manifest("app", feature))
        .file("app/src/bin/tool.rs", main)
        .file("app/src/bin/daemon.rs", main)
        .file("library/Cargo.toml", manifest("library", ""))
        .file("library/src/lib.rs", "")
        .file("xtask/Cargo.toml", manifest("xtask", ""))
        .file("xtask/src/main.rs", main);
    assert_writes(
        &project,
        &format!("programs: daemon (rust), tool (rust)\n{NEXT}"),
        "one_image = true\n[[program]]\npackage = \"app\"\nlanguage = \"rust\"\nbin = \"daemon\"\n\
         [[program]]\npackage = \"app\"\nlanguage = \"rust\"\nbin = \"tool\"\nfeatures = [\"cli\"]\n",
    );
    let text = fs::read_to_string(project.path().join("anyarch.toml")).unwrap();
    assert!(text.contains("# package = \"xtask\"\n"), "{text}");
    // cargo's own lock file is not ours to write.
    assert!(!project.path().join("Cargo.lock").exists());
}

#[test]
fn each_build_system_of_c() {
    let main = "int main(void) { return 0; }\n";
    for (name, files, words, lines) in [
        (
            "several mains",
            &[("one.c", main), ("two.c", main), ("shared.c", "int shared;\n")][..],
            "programs: one (c), two (c)\n",
            "one_image = true\n[[program]]\npackage = \".\"\nlanguage = \"c\"\nbuild = \"plain\"\ntarget = \"one\"\n\
             [[program]]\npackage = \".\"\nlanguage = \"c\"\nbuild = \"plain\"\ntarget = \"two\"\n",
        ),
        (
            "cmake",
            &[
                ("CMakeLists.txt", "project(app C)\nadd_subdirectory(src)\nadd_subdirectory(test)\n"),
                ("src/CMakeLists.txt", "add_executable(${PROJECT_NAME} main.c)\nadd_executable(helper main.c)\n"),
                ("src/main.c", main),
                ("test/CMakeLists.txt", "add_executable(api_test main.c)\n"),
            ],
            "program: app (c)\n",
            "[[program]]\npackage = \".\"\nlanguage = \"c\"\nbuild = \"cmake\"\ntarget = \"app\"\n",
        ),
        (
            "make",
            &[("Makefile", "all: bin/app\nbin/app: app.c\n\tcc -o $@ app.c\n"), ("app.c", main)],
            "program: app (c)\n",
            "[[program]]\npackage = \".\"\nlanguage = \"c\"\nname = \"app\"\nbuild = \"make\"\ntarget = \"bin/app\"\n\
             output = \"bin/app\"\n",
        ),
        (
            "automake",
            &[
                ("configure", "#!/bin/sh\nPACKAGE_TARNAME='sed'\n"),
                ("Makefile.in", ""),
                ("src/Makefile.am", "bin_PROGRAMS = sed\nnoinst_PROGRAMS = generate\n"),
                ("src/sed.c", main),
            ],
            "program: sed (c)\n",
            "[[program]]\npackage = \".\"\nlanguage = \"c\"\nname = \"sed\"\nbuild = \"configure\"\noutput = \"src/sed\"\n",
        ),
        (
            "automake in one file for all folders",
            &[
                ("configure", "#!/bin/sh\nPACKAGE_TARNAME='sed'\n"),
                ("Makefile.am", "bin_PROGRAMS =\ninclude $(top_srcdir)/sed/local.mk\n"),
                ("sed/local.mk", "bin_PROGRAMS += sed/sed\n"),
            ],
            "program: sed (c)\n",
            "[[program]]\npackage = \".\"\nlanguage = \"c\"\nname = \"sed\"\nbuild = \"configure\"\noutput = \"sed/sed\"\n",
        ),
        (
            "a target of CMake whose file has another name",
            &[(
                "CMakeLists.txt",
                "add_executable(app_exe a.c)\nset_target_properties(app_exe PROPERTIES OUTPUT_NAME app)\n",
            )],
            "program: app (c)\n",
            "[[program]]\npackage = \".\"\nlanguage = \"c\"\nname = \"app\"\nbuild = \"cmake\"\ntarget = \"app_exe\"\n",
        ),
        (
            "a configure script that says nothing",
            &[("configure", "PACKAGE_TARNAME='tool'\n")],
            "program: tool (c)\n",
            "[[program]]\npackage = \".\"\nlanguage = \"c\"\nname = \"tool\"\nbuild = \"configure\"\noutput = \"tool\"\n",
        ),
        (
            "meson",
            &[
                ("meson.build", "project('app', 'c')\nsubdir('src')\n"),
                ("src/meson.build", "executable('app', 'a.c')\n"),
            ],
            "program: app (c)\n",
            "[[program]]\npackage = \".\"\nlanguage = \"c\"\nname = \"app\"\nbuild = \"meson\"\noutput = \"src/app\"\n",
        ),
    ] {
        let project = files.iter().fold(Project::new(), |project, (path, text)| project.file(path, text));
        let check = if name == "several mains" { "" } else { CHECK };
        assert_writes(&project, &format!("{words}{check}{NEXT}"), lines);
    }
}

#[test]
fn projects_side_by_side_in_one_folder() {
    let both = repository().join("examples/both");
    let project = Project::new()
        .file("Makefile", "all:\n\t$(MAKE) -C server\n")
        .file("server/go.mod", "module example.com/server\n\ngo 1.21\n")
        .file("server/main.go", "package main\n\nfunc main() {}\n")
        .file("clock/clock.c", "int main(void) { return 0; }\n")
        .file("clock/tests/test.c", "int main(void) { return 0; }\n")
        .file("broken/Cargo.toml", "[package]\n")
        .file("node_modules/x/x.c", "int main(void) { return 0; }\n")
        .file("worker/Cargo.toml", fs::read_to_string(both.join("checksum/Cargo.toml")).unwrap())
        .file("worker/src/main.rs", "fn main() {}\n");
    assert_writes(
        &project,
        &format!("programs: clock (c), server (go), checksum (rust)\n{NEXT}"),
        "one_image = true\n[[program]]\npackage = \"./clock\"\nlanguage = \"c\"\nname = \"clock\"\nbuild = \"plain\"\n\
         [[program]]\npackage = \"./server\"\nlanguage = \"go\"\n\
         [[program]]\npackage = \"./worker\"\nlanguage = \"rust\"\n",
    );
    let text = fs::read_to_string(project.path().join("anyarch.toml")).unwrap();
    assert!(text.contains("# Left out: ./broken: cargo cannot read the project in "), "{text}");
    // A Makefile beside projects of other languages is no C program, unless somebody says so.
    assert!(text.contains("# build = \"make\"\n"), "{text}");
    project.anyarch().args(["plan"]).run().assert_code(2).assert_stdout("");
    let locked = project.path().join("worker");
    process::succeed(Command::new("cargo").args(["generate-lockfile", "--offline"]).current_dir(locked));
    project.anyarch().args(["plan"]).run().assert_success();
}

#[test]
fn what_is_there_already_stays() {
    let project = Project::hello_go().file("anyarch.toml", "base = \"scratch\"\n");
    let words = "
        error: `anyarch.toml` is there already, and anyarch init never changes one

        hint: to start anew: mv anyarch.toml anyarch.toml.old
        ";
    project.anyarch().args(["init"]).run().assert_code(2).assert_stdout("").assert_stderr(words);
    assert_eq!(fs::read_to_string(project.path().join("anyarch.toml")).unwrap(), "base = \"scratch\"\n");
}

#[test]
fn a_folder_that_holds_no_program() {
    let project = Project::new()
        .file("notes.txt", "")
        .file("lib/go.mod", "module m\n\ngo 1.21\n")
        .file("lib/l.go", "package l\n");
    project.anyarch().args(["init"]).run().assert_code(2).assert_stdout("").assert_stderr(
        "
        error: `.` holds no program: no main package of Go, no binary of a Cargo package, no C with a `main`

        hint: name the folder of a project: anyarch init path/to/project
        ",
    );
    project
        .anyarch()
        .args(["init", "nowhere"])
        .run()
        .assert_code(2)
        .assert_stdout("")
        .assert_stderr("error: `nowhere` does not exist\n");
    assert!(!project.path().join("anyarch.toml").exists());
}

#[test]
fn another_folder_is_named_in_what_to_run_next() {
    let project = Project::new()
        .file("my app/go.mod", "module m\n\ngo 1.21\n")
        .file("my app/main.go", "package main\n\nfunc main() {}\n");
    let output = project.anyarch().args(["init", "my app"]).run();
    output.assert_success().assert_stdout("my app/anyarch.toml\n").assert_stderr(
        "program: m (go)\nsee what it does: anyarch plan 'my app'\nbuild it:         anyarch build 'my app'\n",
    );
}

/// Whatever a project can name that others would run says so by making the file `ran`.
#[test]
fn nothing_that_the_project_names_is_run() {
    let ran = "#!/bin/sh\ntouch \"${PROJECT:?}/ran\"\nexit 1\n";
    let project = Project::new()
        .file("go.mod", "module m\n\ngo 1.21\n\ntoolchain go1.99.9\n")
        .file("main.go", "package main\n\n//go:generate ./evil\n\nfunc main() {}\n")
        .file("Cargo.toml", "[package]\nname = \"m2\"\nversion = \"1.0.0\"\nedition = \"2021\"\nbuild = \"build.rs\"\n")
        .file("build.rs", "fn main() { std::fs::write(\"ran\", \"\").unwrap(); }\n")
        .file("src/main.rs", "fn main() {}\n")
        .file("evil/bin/cargo", ran)
        .file("evil/bin/rustc", ran)
        .file(".cargo/config.toml", "[build]\nrustc = \"evil/bin/rustc\"\n[alias]\nmetadata = \"run\"\n")
        .file("clock/Makefile", "X := $(shell touch $(PROJECT)/ran)\nall: clock\nclock: clock.c\n")
        .file("clock/clock.c", "int main(void) { return 0; }\n")
        .file("screen/CMakeLists.txt", "execute_process(COMMAND touch $ENV{PROJECT}/ran)\nadd_executable(screen a.c)\n")
        .file("screen/configure", ran);
    let toolchain = format!("[toolchain]\npath = \"{}\"\n", project.path().join("evil").display());
    let project = project.file("rust-toolchain.toml", toolchain).commit();
    for script in ["evil/bin/cargo", "evil/bin/rustc", "screen/configure"] {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(project.path().join(script), fs::Permissions::from_mode(0o755)).unwrap();
    }
    project.git(&["commit", "--all", "--quiet", "--message=modes"]);
    project.git(&["config", "core.fsmonitor", "touch \"$PROJECT/ran\"; false"]);
    let shims = ["make", "cmake", "meson", "sh", "git", "cc", "gcc"]
        .iter()
        .fold(Shims::new(), |shims, name| shims.script(name, "touch \"$PROJECT/ran\"\nexit 1"));
    let output = project.anyarch().args(["init"]).env("PROJECT", project.path()).env("PATH", shims.path()).run();
    output.assert_success().assert_stderr(&format!("programs: m (go), m2 (rust)\n{NEXT}"));
    assert!(!project.path().join("ran").exists(), "something of the project was run");
    project.git(&["config", "--unset", "core.fsmonitor"]);
    assert_eq!(project.git(&["status", "--porcelain"]), "?? anyarch.toml");
    // The trap is one: who asks cargo in the project's folder runs what the project names.
    let mut cargo = Command::new("cargo");
    cargo.arg("--version").current_dir(project.path()).env("PROJECT", project.path()).env_remove("RUSTUP_TOOLCHAIN");
    process::output(&mut cargo);
    assert!(project.path().join("ran").exists(), "cargo does not take the project's own toolchain here");
}
