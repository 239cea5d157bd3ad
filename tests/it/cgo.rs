//! C in Go packages, commands that build whatever they like, and the toolchain row that a run asks for.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde_json::Value;

use crate::support::program::Home;
use crate::support::project::Project;
use crate::support::start::Source;

const MAIN: &str = r#"package main

/*
#cgo LDFLAGS: -lm
#include <math.h>
#include <stdio.h>
static double root(double x) { return sqrt(x); }
static const char *place(void) { return __FILE__; }
*/
import "C"

import (
	"fmt"
	"runtime"
)

func main() {
	fmt.Printf("%s/%s %.3f %s\n", runtime.GOOS, runtime.GOARCH, float64(C.root(2)), C.GoString(C.place()))
}
"#;

/// A Go program whose only file imports C.
fn with_c(config: &str) -> Project {
    let project = Project::new().file("go.mod", "module example.com/rooted\n\ngo 1.21\n").file("main.go", MAIN);
    if config.is_empty() { project } else { project.file("anyarch.toml", config) }
}

const CGO: &str = "[[program]]\nlanguage = \"go\"\ncgo = true\n";

#[track_caller]
fn assert_starts(source: &Source, platform: &str) {
    let architecture = platform.split('/').nth(1).unwrap();
    let ended = source.unpack(platform).start(&[]);
    let said = format!("linux/{architecture} 1.414 /_/example.com/rooted/main.go\n");
    assert_eq!((ended.code, &*ended.stdout), (0, &*said), "{platform}: {}", ended.stderr);
}

fn build(project: &Project, platforms: &str, more: &[&str]) -> Source {
    let arguments = ["build", "--platform", platforms, "-o", "type=oci,dest=out,tar=false"];
    project.anyarch().args(arguments).args(more).run().assert_success();
    Source::Layout(project.path().join("out"))
}

#[test]
fn a_go_program_with_c_starts_without_a_base() {
    let project = with_c(CGO);
    let source = build(&project, "linux/amd64,linux/arm64", &[]);
    for platform in ["linux/amd64", "linux/arm64"] {
        assert_starts(&source, platform);
    }
    let plan = project.anyarch().args(["plan", "--platform", "linux/arm64", "--json"]).run();
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    let toolchain = &plan["plan"]["images"][0]["units"][0]["programs"][0]["toolchain"];
    assert_eq!((&toolchain["name"], &toolchain["static"]), (&"go".into(), &true.into()));
    assert_eq!(
        (&toolchain["compiler"]["name"], &toolchain["compiler"]["target"]),
        (&"zig".into(), &"aarch64-linux-musl".into())
    );
}

#[test]
fn c_that_was_not_asked_for_is_named() {
    with_c("").anyarch().args(["build"]).run().assert_code(2).assert_stdout("").assert_stderr(
        "
        error: `example.com/rooted` is a main package whose files all import C, and cgo is off

        hint: cgo = true for its [[program]] in anyarch.toml
        ",
    );
    let library = MAIN.replace("package main", "package rooted").replace("func main() {", "func Say() {");
    let project = Project::new()
        .file("go.mod", "module example.com/app\n\ngo 1.21\n")
        .file("rooted/rooted.go", library)
        .file("main.go", "package main\n\nimport \"example.com/app/rooted\"\n\nfunc main() { rooted.Say() }\n");
    let output = project.anyarch().args(["build", "--platform", "linux/arm64"]).run();
    output.assert_code(4).assert_stdout("");
    let stderr = output.redacted_stderr();
    let (_, error) = stderr.split_once("error: ").unwrap();
    assert_eq!(
        error,
        "app for linux/arm64 was not built, so nothing was published\n\n\
         hint: cgo = true for the [[program]] in anyarch.toml: C is imported by example.com/app/rooted\n"
    );
}

#[test]
fn settings_for_c_without_c_and_rows_that_nobody_has() {
    let project =
        with_c("[[program]]\nlanguage = \"go\"\nlibc = \"musl\"\n").file("main.go", "package main\n\nfunc main() {}\n");
    project.anyarch().args(["plan"]).run().assert_code(2).assert_stdout("").assert_stderr(
        "
        error: `libc` in anyarch.toml:3:8 is for C, and `cgo = true` is not set

        hint: cgo = true
        ",
    );
    let project = with_c(CGO);
    let plan = |arguments: &[&str]| project.anyarch().args(["plan"]).args(arguments).run();
    plan(&["--toolchain-row", "tcc"]).assert_code(2).assert_stdout("").assert_stderr(
        "
        error: no program here has a toolchain called `tcc` (--toolchain-row)

        hint: --toolchain-row gcc
        hint: --toolchain-row go
        hint: --toolchain-row zig
        ",
    );
    let output = plan(&["--toolchain-row", "gcc", "--platform", "linux/arm/v6"]);
    output.assert_stdout("").assert_stderr(
        "
        error: cannot build for linux/arm/v6: no c toolchain for linux/arm/v6 is called `gcc`: the start files and libraries of arm-linux-gnueabihf are ARMv7, whatever -march says

        hint: toolchain = \"zig\"
        hint: libc = \"musl\", toolchain = \"zig\"
        hint: libc = \"gnu.2.17\", toolchain = \"zig\"
        hint: libc = \"gnu\", toolchain = \"zig\"
        ",
    );
}

/// The row that compiles C for linux/arm64, by the plan.
fn row_of(project: &Project, arguments: &[&str]) -> String {
    let plan = project.anyarch().args(["plan", "--platform", "linux/arm64", "--json"]).args(arguments).run();
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap_or_else(|error| panic!("{error}: {}", plan.stderr));
    let toolchain = &plan["plan"]["images"][0]["units"][0]["programs"][0]["toolchain"];
    toolchain["compiler"]["name"].as_str().unwrap().to_owned()
}

#[test]
fn the_run_wins_over_the_program_and_the_program_over_the_project() {
    for (project_row, program_row, flag, row) in [
        (None, None, None, "zig"),
        (Some("gcc"), None, None, "gcc"),
        (Some("gcc"), Some("zig"), None, "zig"),
        (Some("zig"), None, Some("gcc"), "gcc"),
        (None, Some("zig"), Some("gcc"), "gcc"),
    ] {
        let project_row = project_row.map_or_else(String::new, |row| format!("toolchain_row = \"{row}\"\n"));
        let program_row = program_row.map_or_else(String::new, |row| format!("toolchain = \"{row}\"\n"));
        let project = with_c(&format!("{project_row}{CGO}{program_row}"));
        let flags: Vec<&str> = flag.iter().flat_map(|row| ["--toolchain-row", row]).collect();
        assert_eq!(row_of(&project, &flags), row, "{project_row}{program_row}{flag:?}");
    }
}

#[test]
#[ignore = "full: platforms"]
fn go_with_c_starts_on_every_platform_by_each_row() {
    let by_zig = "linux/amd64,linux/arm64,linux/arm/v7,linux/arm/v6,linux/arm/v5,linux/386,linux/s390x,linux/ppc64le,\
                  linux/riscv64,linux/mips64le,linux/mipsle,linux/amd64/v3,linux/arm64/v9";
    let by_gcc = "linux/amd64,linux/arm64,linux/arm/v7,linux/s390x";
    for (row, platforms) in [("zig", by_zig), ("gcc", by_gcc)] {
        let project = with_c(CGO);
        let source = build(&project, platforms, &["--toolchain-row", row]);
        for platform in platforms.split(',') {
            assert_starts(&source, platform);
        }
    }
}

#[test]
#[ignore = "full: platforms"]
fn gos_cache_keeps_processors_of_one_target_apart() {
    // The newer one first: what was compiled for it does not start on the older, and is refused there.
    let (project, home) = (with_c(CGO), Home::new());
    let arguments =
        ["build", "--jobs", "1", "--platform", "linux/arm/v7,linux/arm/v6", "-o", "type=oci,dest=out,tar=false"];
    let program = project.anyarch_at(&home).args(arguments).env("GOCACHE", home.path().join("go-cache"));
    program.run().assert_success();
    for platform in ["linux/arm/v7", "linux/arm/v6"] {
        assert_starts(&Source::Layout(project.path().join("out")), platform);
    }
}

#[test]
#[ignore = "full: digests"]
fn go_with_c_gives_the_same_index_in_any_folder_with_any_caches() {
    let holds = |content: &[u8], folder: &Path| {
        let name = folder.as_os_str().as_bytes();
        content.windows(name.len()).any(|window| window == name)
    };
    let mut digests = Vec::new();
    for umask in [0o022, 0o077] {
        let (project, home) = (with_c(CGO).file(".gitignore", "/out\n").commit(), Home::new());
        let caches = ["GOCACHE", "ZIG_GLOBAL_CACHE_DIR"].map(|name| (name, home.path().join(name)));
        let arguments = ["build", "--platform", "linux/arm64", "-o", "type=oci,dest=out,tar=false"];
        let program = project.anyarch_at(&home).args(arguments).umask(umask).env_remove(OsStr::new("LC_ALL"));
        caches.iter().fold(program, |program, (name, folder)| program.env(name, folder)).run().assert_success();
        assert_eq!(project.git(&["status", "--porcelain"]), "", "a build shows in git");
        let image = Source::Layout(project.path().join("out")).unpack("linux/arm64");
        let program = fs::read(image.root().join("usr/local/bin/rooted")).unwrap();
        for folder in [project.path(), home.path()] {
            assert!(!holds(&program, folder), "the program holds `{}`", folder.display());
        }
        let index: Value = serde_json::from_slice(&fs::read(project.path().join("out/index.json")).unwrap()).unwrap();
        digests.push(index["manifests"][0]["digest"].as_str().unwrap().to_owned());
    }
    assert_eq!(digests[0], digests[1]);
}

/// A project whose command is `command`, as the configuration writes it.
fn with_command(command: &str, more: &str) -> Project {
    let config = format!("[[program]]\nname = \"app\"\nlanguage = \"command\"\ncommand = {command}\n{more}");
    Project::new()
        .file("anyarch.toml", config)
        .file("app.c", "#include <stdio.h>\n\nint main(void) {\n    puts(\"made by a command\");\n    return 0;\n}\n")
}

#[test]
fn a_command_builds_by_the_compiler_that_it_is_told_of() {
    let line = r#"'test "$TARGETPLATFORM/$GOARCH" = "linux/$TARGETARCH/$TARGETARCH" && $CC -O2 -g0 app.c -o "$ANYARCH_OUTPUT"'"#;
    let project = with_command(line, "");
    let source = build(&project, "linux/amd64,linux/arm64", &[]);
    for platform in ["linux/amd64", "linux/arm64"] {
        let ended = source.unpack(platform).start(&[]);
        assert_eq!((ended.code, &*ended.stdout), (0, "made by a command\n"), "{platform}: {}", ended.stderr);
    }
}

#[test]
fn commands_run_one_after_the_other_in_one_folder() {
    let line = "'mkdir taken && sleep 0.3 && $CC -O2 -g0 app.c -o \"$ANYARCH_OUTPUT\" && rmdir taken'";
    let project = with_command(line, "");
    let source = build(&project, "linux/amd64,linux/arm64", &["--jobs", "2"]);
    for platform in ["linux/amd64", "linux/arm64"] {
        assert_eq!(source.unpack(platform).start(&[]).stdout, "made by a command\n", "{platform}");
    }
}

#[test]
fn a_changed_command_does_not_find_what_the_one_before_made() {
    let project = with_command("'$CC -O2 -g0 app.c -o \"$ANYARCH_OUTPUT\"'", "");
    build(&project, "linux/amd64", &[]);
    let config = "[[program]]\nname = \"app\"\nlanguage = \"command\"\ncommand = \"true\"\n";
    let output = project.file("anyarch.toml", config).anyarch().args(["build", "--platform", "linux/amd64"]).run();
    output.assert_code(4).assert_stdout("");
    assert!(output.redacted_stderr().contains("hint: let the command write"), "{}", output.redacted_stderr());
}

#[test]
fn commands_that_go_wrong() {
    let project = with_command("\"make\"", "output = \"dist/app\"\n");
    project.anyarch().args(["plan"]).run().assert_code(2).assert_stdout("").assert_stderr(
        "
        error: the command of `app` makes `[CWD]/dist/app` for linux/amd64 and for linux/arm64

        hint: output = \"dist/{{platform.os}}_{{platform.arch}}/app\"
        ",
    );
    let project = with_command("\"make\"", "output = \"../../bin/true\"\n");
    project.anyarch().args(["plan"]).run().assert_code(2).assert_stdout("").assert_stderr(
        "
        error: `output = \"../../bin/true\"` should be a path below the project, without `.` and `..`

        hint: output = \"bin/true\"
        ",
    );
    let project = with_command("[]", "");
    project.anyarch().args(["plan"]).run().assert_code(2).assert_stdout("");
    let project = Project::new().file(
        "anyarch.toml",
        "[[program]]\nname = \"app\"\nlanguage = \"command\"\n[program.platform.\"linux/arm64\"]\ncommand = \"true\"\n",
    );
    project.anyarch().args(["plan", "--platform", "linux/amd64"]).run().assert_code(2).assert_stdout("").assert_stderr(
        "
        error: `app` in anyarch.toml:1:1 has no `command` for linux/amd64

        hint: platform.\"linux/amd64\".command = \"make\"
        ",
    );
    let output = project.anyarch().args(["build", "--platform", "linux/arm64"]).run();
    output.assert_code(4).assert_stdout("");
    let stderr = output.redacted_stderr();
    assert!(
        stderr.contains(" ended well\n\nhint: let the command write the binary to \"$ANYARCH_OUTPUT\"\n"),
        "{stderr}"
    );
    // A line is a shell's; a list of one word is the name of a program.
    for (command, said) in [
        ("\"echo no luck >&2; exit 3\"", "failed   exit code 3\n--- linux/arm64\nno luck\n"),
        ("[\"exit 3\"]", "`exit 3`"),
    ] {
        let project = with_command(command, "");
        let output = project.anyarch().args(["build", "--platform", "linux/arm64"]).run();
        output.assert_stdout("");
        let stderr = output.redacted_stderr();
        assert!(stderr.contains(said), "{command}: {stderr}");
    }
    let project = with_command("\"cp /bin/sh \\\"$ANYARCH_OUTPUT\\\"\"", "");
    let foreign = if cfg!(target_arch = "x86_64") { "linux/arm64" } else { "linux/amd64" };
    project.anyarch().args(["build", "--platform", foreign]).run().assert_code(3).assert_stdout("");
}
