//! What people read when `anyarch.toml` is wrong: the exact words, with the line and column of what is.

use std::os::unix::fs::symlink;

use crate::support::project::Project;

#[track_caller]
fn refused(project: Project, config: &str, words: &str) -> Project {
    let project = project.file("anyarch.toml", config);
    let output = project.anyarch().args(["build", "--platform", "linux/amd64"]).run();
    output.assert_code(2).assert_stdout("").assert_stderr(words);
    assert!(!project.path().join(".anyarch").exists(), "a refused build leaves nothing");
    project
}

/// Each file is refused with its words, in a Go project.
#[track_caller]
fn all_refused(cases: &[(&str, &str)]) {
    let mut project = Project::hello_go();
    for (config, words) in cases {
        project = refused(project, config, words);
    }
}

#[test]
fn keys_that_are_not_known() {
    all_refused(&[
        (
            "base = \"static\"\nplaforms = [\"linux/amd64\"]\n",
            "
            error: unknown key `plaforms` in anyarch.toml:2:1

            hint: did you mean `platforms`?
            ",
        ),
        (
            "[[program]]\npackage = \".\"\nldflag = \"-s\"\n",
            "
            error: unknown key `ldflag` in anyarch.toml:3:1

            hint: did you mean `ldflags`?
            ",
        ),
        (
            "[[program]]\npackage = \".\"\n\nplatforms = [\"linux/amd64\"]\n",
            "
            error: unknown key `platforms` in anyarch.toml:4:1

            hint: `platforms` is a key of the whole file: write it above the first [table]
            ",
        ),
        (
            "[[program]]\npackage = \".\"\nfeatures = [\"tls\"]\n",
            "
            error: `features` in anyarch.toml:3:12 is a key of rust programs, and this one's language is go

            hint: language = \"rust\"
            ",
        ),
        ("base = \"debian\n", "error: anyarch.toml:1:15 is not TOML: invalid basic string, expected `\"`\n"),
    ]);
}

#[test]
fn values_that_are_none() {
    all_refused(&[
        (
            "platforms = [\"linux/amd64\", \"linux/s390\"]\n",
            "
            error: `platforms` in anyarch.toml:1:29: `linux/s390` is not a platform: the architecture `s390` is unknown

            hint: did you mean `linux/s390x`?
            ",
        ),
        (
            "platforms = \"linux/amd64,linux/arm64\"\n",
            "
            error: `platforms` in anyarch.toml:1:13: `linux/amd64,linux/arm64` is not a platform: it should read os/arch or os/arch/variant

            hint: platforms = [\"linux/amd64\", \"linux/arm64\", \"linux/arm/v7\"]
            ",
        ),
        ("jobs = \"two\"\n", "error: `jobs` in anyarch.toml:1:8 should be a whole number from 1 to 4294967295, not `\"two\"`\n"),
        (
            "[[file]]\nsource = \"main.go\"\ndestination = \"/etc/app.conf\"\nmode = 644\n",
            "
            error: `mode` in anyarch.toml:4:8 should be a string of octal digits, not `644`

            hint: mode = \"0644\"
            ",
        ),
        (
            "base = \"oci:\"\n",
            "
            error: the base `oci:` (anyarch.toml:1:8) cannot be used
              because: `oci:` names no folder

            hint: base = \"oci:path/to/layout\"
            ",
        ),
        (
            "output = \"type=cacheonly\"\n",
            "
            error: `cacheonly` in the output `type=cacheonly` is not a type that anyarch writes (anyarch.toml:1:10)

            hint: output = \"type=oci,dest=image.tar\"
            hint: output = \"type=oci,dest=folder,tar=false\"
            hint: output = \"type=docker,dest=image.tar\"
            hint: output = \"type=docker\"
            hint: output = \"type=local,dest=folder\"
            hint: output = \"type=tar,dest=files.tar\"
            hint: output = \"type=registry\"
            ",
        ),
        (
            "output = [\"type=oci,dest=a.tar\", \"type=docker,dest=a.tar\"]\n",
            "
            error: the outputs `type=oci,dest=a.tar` and `type=docker,dest=a.tar` have one place

            hint: give each a `dest` of its own
            ",
        ),
        (
            "push = true\noutput = \"type=oci,dest=a.tar\"\n",
            "error: `output` in anyarch.toml:2:10 and `push` in anyarch.toml:1:8 exclude each other\n",
        ),
        (
            "[[program]]\nbuild = \"bazel\"\n",
            "
            error: `build` in anyarch.toml:2:9: `bazel` is not a build system

            hint: known build systems: plain, cmake, make, configure, meson
            ",
        ),
    ]);
}

#[test]
fn rendered_values_are_held_to_the_same_rules() {
    all_refused(&[
        (
            "workdir = \"{{image.name}}\"\n",
            "
            error: `workdir` in anyarch.toml:1:11: `hello` is not a path in the image: it should start with `/`

            hint: did you mean `/hello`?
            ",
        ),
        ("user = \"{{ env.NOBODY_SETS_THIS | default('') }}\"\n", "error: `user` in anyarch.toml:1:8: it is empty\n"),
        (
            "volumes = [\"/data\", \"{{image.name}}\"]\n",
            "
            error: `volumes` in anyarch.toml:1:21: `hello` is not a path in the image: it should start with `/`

            hint: did you mean `/hello`?
            ",
        ),
        (
            "[[program]]\npackage = \".\"\ndestination = \"{{program.name}}\"\n",
            "
            error: `destination` in anyarch.toml:3:15: `hello` is not a path in the image: it should start with `/`

            hint: did you mean `/hello`?
            ",
        ),
    ]);
}

#[test]
fn templates_without_an_answer() {
    all_refused(&[
        (
            "tags = [\"registry.example.com/app:{{version}}\"]\n",
            "
            error: `{{version}}` in `registry.example.com/app:{{version}}` (anyarch.toml:1:9) has no answer: `[CWD]` is not in a git checkout and the image has no Rust program

            hint: git init
            hint: {{ version | default(\"...\") }}
            ",
        ),
        (
            "[env]\nTOKEN = \"{{env.NOBODY_SETS_THIS}}\"\n",
            "
            error: `{{env.NOBODY_SETS_THIS}}` in `{{env.NOBODY_SETS_THIS}}` (anyarch.toml:2:9) has no answer: the environment has no `NOBODY_SETS_THIS`

            hint: export NOBODY_SETS_THIS=...
            hint: {{ env.NOBODY_SETS_THIS | default(\"...\") }}
            ",
        ),
        (
            "user = \"{{git.describ}}\"\n",
            "
            error: `{{git.describ}}` in `{{git.describ}}` (anyarch.toml:1:8) is unknown

            hint: did you mean `{{git.describe}}`?
            ",
        ),
        (
            "user = \"{{platform.arch}}\"\n",
            "error: `{{platform.arch}}` in `{{platform.arch}}` (anyarch.toml:1:8) cannot be used here: the value is not one for each platform\n",
        ),
    ]);
}

#[test]
fn files_that_are_not_the_projects() {
    let file = |source: &str| format!("[[file]]\nsource = \"{source}\"\ndestination = \"/etc/app.conf\"\n");
    let project = Project::hello_go().file("etc/app.conf", "a = 1\n");
    symlink("/etc/passwd", project.path().join("etc/link")).unwrap();
    let project =
        refused(project, &file("etc/none.conf"), "error: `etc/none.conf` in anyarch.toml:2:10 does not exist\n");
    let project = refused(
        project,
        &file("etc/link"),
        "
        error: `etc/link` in anyarch.toml:2:10 leads out of the project, to `/etc/passwd`

        hint: copy it into the project, and name the copy
        ",
    );
    refused(
        project,
        &file("../../etc/passwd"),
        "
        error: `../../etc/passwd` in anyarch.toml:2:10 leads out of the project, to `/etc/passwd`

        hint: copy it into the project, and name the copy
        ",
    );
}

#[test]
fn a_prebuilt_binary_that_is_not_there_for_a_platform() {
    let project = refused(
        Project::new().file("dist/arm64/tool", "x"),
        "[[program]]\nname = \"tool\"\npath = \"dist/{{platform.arch}}/tool\"\n",
        "
        error: the binary of `tool` for linux/amd64 does not exist: `dist/amd64/tool` in anyarch.toml:3:8

        hint: platform.\"linux/amd64\".path = \"dist/linux_amd64/tool\"
        ",
    );
    let project = refused(
        project,
        "[[program]]\nname = \"tool\"\n[program.platform.\"linux/arm64\"]\npath = \"dist/arm64/tool\"\n",
        "
        error: `tool` in anyarch.toml:1:1 has no `path` for linux/amd64

        hint: platform.\"linux/amd64\".path = \"dist/linux_amd64/tool\"
        ",
    );
    let project = refused(
        project,
        "[[program]]\npath = \"dist/{{platform.arch}}\"\n",
        "
        error: `program` in anyarch.toml:1:1 has no `name`

        hint: name = \"app\"
        ",
    );
    refused(
        project,
        "platforms = [\"linux/amd64\"]\n",
        "
        error: `anyarch.toml` names no program, and there is no go.mod or Cargo.toml beside it

        hint: program = [{ name = \"app\", path = \"dist/{{platform.os}}_{{platform.arch}}/app\" }]
        ",
    );
}

#[test]
fn toolchain_rows_of_a_project_need_leave() {
    let rows = "[[toolchain]]\nname = \"go\"\nlanguage = \"go\"\ntools = [\"go\"]\nenv = { CGO_ENABLED = \"1\" }\n";
    let project = refused(
        Project::hello_go(),
        rows,
        "
        error: the rows of `anyarch.toml` change which programs run (`env` of `go`), and only you can allow that

        hint: --allow-project-toolchains
        ",
    );
    let output = project.anyarch().args(["plan", "--platform", "linux/amd64", "--allow-project-toolchains"]).run();
    output.assert_success();
    assert!(output.stdout.contains("go (anyarch.toml)"), "{}", output.stdout);
    assert!(output.stdout.contains("\nCGO_ENABLED=1 "), "{}", output.stdout);
}

#[test]
fn rows_that_choose_programs_are_told_from_rows_that_do_not() {
    let project = Project::hello_go();
    let platform = |rest: &str| {
        format!("[[platform]]\nplatform = \"linux/amd64\"\ndefault = [\"go\"]\ngo = {{ GOARCH = \"amd64\", {rest} }}\n")
    };
    for (config, change) in [
        (platform("GOFLAGS = \"-toolexec=x\""), "`GOFLAGS` of linux/amd64"),
        (platform("GOAMD64 = \"v1\"").replace("[\"go\"]\n", "[\"go\"]\ngcc = \"x\"\n"), "`gcc` of linux/amd64"),
        (
            "[[toolchain]]\nname = \"own\"\nlanguage = \"go\"\ntools = [\"go\", \"sh\"]\n".to_owned(),
            "the tool `sh` of `own`",
        ),
        (
            "[[toolchain]]\nname = \"rust-lld\"\nlanguage = \"rust\"\ntools = []\nrustflags = { musl = [] }\n"
                .to_owned(),
            "`rustflags` of `rust-lld`",
        ),
        (
            "[[toolchain]]\nname = \"own\"\nlanguage = \"c\"\ntools = []\ncommands = { cc = [\"./cc\"] }\n".to_owned(),
            "`commands` of `own`",
        ),
        (
            "[[toolchain]]\nname = \"zig\"\nlanguage = \"c\"\ntools = [\"zig\"]\nflags = [\"-fplugin=x.so\"]\n"
                .to_owned(),
            "`flags` of `zig`",
        ),
    ] {
        let project = Project::copy_of(project.path()).file("anyarch.toml", config);
        let output = project.anyarch().args(["plan"]).run();
        output.assert_code(2).assert_stderr(&format!(
            "error: the rows of `anyarch.toml` change which programs run ({change}), and only you can allow that\n\n\
             hint: --allow-project-toolchains\n"
        ));
    }
    let project = project.file("anyarch.toml", platform("GOAMD64 = \"v2\""));
    let output = project.anyarch().args(["plan", "--platform", "linux/amd64"]).run();
    output.assert_success();
    assert!(output.stdout.contains("\nCGO_ENABLED=0 GOAMD64=v2 "), "{}", output.stdout);
}

#[test]
fn a_table_whose_program_is_not_there_advises_keys() {
    let main = "package main\n\nfunc main() {}\n";
    let mut project = Project::new()
        .file("go.mod", "module example.com/pair\n\ngo 1.21\n")
        .file("cmd/one/main.go", main)
        .file("cmd/two/main.go", main)
        .file("tool/Cargo.toml", "[package]\nname = \"tool\"\nversion = \"0.1.0\"\nedition = \"2021\"\n")
        .file("tool/Cargo.lock", "version = 3\n\n[[package]]\nname = \"tool\"\nversion = \"0.1.0\"\n")
        .file("tool/src/main.rs", "fn main() {}\n");
    for (config, words) in [
        (
            "base = \"static\"\n\n[[program]]\nlanguage = \"go\"\n",
            "
            error: the program in anyarch.toml:3:1 cannot be found: `.` holds 2 main packages: ./cmd/one, ./cmd/two

            hint: package = \"./cmd/one\"
            hint: package = \"./cmd/two\"
            ",
        ),
        (
            "[[program]]\npackage = \"tool\"\nbin = \"hammer\"\n",
            "
            error: the program in anyarch.toml:1:1 cannot be found: in the package `tool` there is no program `hammer`

            hint: bin = \"tool\"
            ",
        ),
        (
            "[[program]]\npackage = \"./three\"\n",
            "
            error: the program in anyarch.toml:1:1 cannot be found: `./three` cannot be built: stat [CWD]/three: directory not found
            ",
        ),
    ] {
        project = refused(project, config, words);
    }
}
