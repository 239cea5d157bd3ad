//! What people read when a tool is missing, a compiler fails, or a binary does not fit: the exact words, and that other
//! platforms finish while nothing is published.

use std::fs;
use std::process::Command;

use anyarch::toolchain::Toolchains;

use crate::support::process;
use crate::support::program::Home;
use crate::support::project::Project;
use crate::support::shims::Shims;

/// A Rust package with the programs of `src/bin`, and its lock file.
fn rust(programs: &[&str], manifest: &str) -> Project {
    let mut project = Project::new()
        .file("Cargo.toml", format!("[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{manifest}"));
    for name in programs {
        project = project.file(&format!("src/bin/{name}.rs"), "fn main() {}\n");
    }
    process::succeed(Command::new("cargo").args(["generate-lockfile", "--quiet"]).current_dir(project.path()));
    project
}

#[test]
fn a_missing_go_or_cargo() {
    let project = Project::hello_go();
    let shims = Shims::new().without(&["go", "apt-get", "dnf", "apk", "brew"]);
    let output = project.anyarch().args(["build"]).env("PATH", shims.folder()).run();
    output.assert_code(5).assert_stdout("").assert_stderr(
        "
        error: `go` is not in PATH, and only it can read the project in `[CWD]`

        hint: --install-missing
        hint: see https://go.dev/dl/
        ",
    );
    let project = rust(&["one"], "");
    let shims = Shims::new().without(&["cargo"]);
    let output = project.anyarch().args(["build"]).env("PATH", shims.folder()).run();
    output.assert_code(5).assert_stdout("").assert_stderr(
        "
        error: `cargo` is not in PATH, and only it can read the project in `[CWD]`

        hint: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh
        ",
    );
}

#[test]
fn a_missing_package_manager_line_is_this_machines() {
    let project = Project::hello_go();
    let shims = Shims::new().script("apk", "exit 1").without(&["go", "apt-get", "dnf", "brew"]);
    let output = project.anyarch().args(["plan"]).env("PATH", shims.folder()).run();
    output.assert_code(5).assert_stderr(
        "
        error: `go` is not in PATH, and only it can read the project in `[CWD]`

        hint: --install-missing
        hint: sudo apk add go
        ",
    );
}

#[test]
fn a_missing_linker_names_its_line_and_the_rows_that_would_do() {
    let config = "[[program]]\nbin = \"one\"\ntoolchain = \"zig\"\nlibc = \"gnu\"\n";
    let project = rust(&["one"], "").file("anyarch.toml", config);
    let shims =
        Shims::new().script("python3", "exit 1").without(&["zig", "python-zig", "apt-get", "dnf", "apk", "brew"]);
    let home = Home::new();
    let rows = Toolchains::built_in().unwrap().with_downloads(
        &home.cache().join("toolchains"),
        anyarch::host::machine().expect("there is a zig for this machine"),
    );
    let zig = rows.tool("zig", "linux/amd64".parse().unwrap()).unwrap().downloaded.unwrap();
    let output = project.anyarch_at(&home).args(["build"]).env("PATH", shims.folder());
    let output = output.redact(zig.to_string_lossy(), "[ZIG]").run();
    output.assert_code(5).assert_stdout("").assert_stderr(
        "
        error: `zig` is not in PATH and is needed for linux/amd64, linux/arm64; looked for `zig`, `python-zig`, `python3 -m ziglang`, `[ZIG]`

        hint: --install-missing
        hint: pipx install ziglang
        hint: or set toolchain = \"gcc\" for the program in anyarch.toml
        ",
    );
    let config = "[[program]]\nbin = \"one\"\ntoolchain = \"gcc\"\nlibc = \"gnu\"\n";
    let project = project.file("anyarch.toml", config);
    let shims = Shims::new().script("apt-get", "exit 1").without(&["aarch64-linux-gnu-gcc"]);
    let output = project.anyarch().args(["build", "--platform", "linux/arm64"]).env("PATH", shims.folder()).run();
    output.assert_code(5).assert_stdout("").assert_stderr(
        "
        error: `gcc` is not in PATH and is needed for linux/arm64; looked for `aarch64-linux-gnu-gcc`

        hint: sudo apt-get install -y gcc-aarch64-linux-gnu libc6-dev
        hint: or set toolchain = \"zig\" for the program in anyarch.toml
        ",
    );
}

#[test]
fn a_missing_rust_target_is_found_before_anything_is_compiled() {
    let project = rust(&["one"], "");
    // A sysroot that has no target at all.
    let sysroot = project.path().join("sysroot");
    let real = which::which("rustc").unwrap();
    let script = format!(
        "if [ \"$*\" = '--print sysroot' ]; then echo '{}'; exit; fi\nexec '{}' \"$@\"",
        sysroot.display(),
        real.display()
    );
    let shims = Shims::new().script("rustc", &script);
    let output = project.anyarch().args(["build", "--platform", "linux/amd64,linux/arm/v7"]).env("PATH", shims.path());
    output.run().assert_code(5).assert_stdout("").assert_stderr(
        "
        error: the Rust standard library for armv7-unknown-linux-musleabihf, x86_64-unknown-linux-musl is not installed; looked in `[CWD]/sysroot/lib/rustlib`

        hint: --install-missing
        hint: rustup target add armv7-unknown-linux-musleabihf
        hint: rustup target add x86_64-unknown-linux-musl
        ",
    );
    assert!(!project.path().join("target").exists(), "nothing is compiled");
}

#[test]
fn a_c_library_that_nobody_brings_is_found_before_anything_is_compiled() {
    let project = rust(&["one"], "[dependencies]\nopenssl-sys = \"0.9\"\n");
    let output = project.anyarch().args(["build", "--platform", "linux/arm64"]).run();
    output.assert_code(5).assert_stdout("").assert_stderr(
        "
        error: `openssl-sys` links the C library OpenSSL, which is not there for `aarch64-unknown-linux-musl` (needed by app -> openssl-sys)

        hint: cargo add --package app openssl-sys --features vendored
        hint: sysroot = { debian = \"bookworm\", packages = [\"libssl-dev\"] }
        ",
    );
    assert!(!project.path().join("target").exists(), "nothing is compiled");
}

#[test]
fn several_rust_programs_and_no_choice() {
    let project = rust(&["one", "two"], "");
    for (arguments, words) in [
        (
            &[][..],
            "
            error: in the package `app` there are 2 programs: one, two

            hint: --bin one
            hint: --bin two
            hint: --bins
            ",
        ),
        (
            &["--bin", "twos"],
            "
            error: in the package `app` there is no program `twos`, did you mean `two`?

            hint: --bin one
            hint: --bin two
            ",
        ),
        (
            &["--package", "lib"],
            "
            error: the workspace `[CWD]` has no package `lib`

            hint: --package app
            ",
        ),
    ] {
        let output = project.anyarch().args(["build"]).args(arguments).run();
        output.assert_code(2).assert_stdout("").assert_stderr(words);
    }
}

#[test]
fn a_rust_project_without_a_lock_file() {
    let project = rust(&["one"], "");
    fs::remove_file(project.path().join("Cargo.lock")).unwrap();
    let output = project.anyarch().args(["build"]).run();
    output.assert_code(2).assert_stdout("").assert_stderr(
        "
        error: `[CWD]/Cargo.lock` does not exist: without it two builds can take different dependencies

        hint: cargo generate-lockfile --manifest-path [CWD]/Cargo.toml
        ",
    );
    assert!(!project.path().join("Cargo.lock").exists(), "the source folder is read only");
}

#[test]
fn a_compiler_that_fails_is_heard_once_and_nothing_is_published() {
    let project = Project::hello_go();
    let build = || project.anyarch().args(["build", "--jobs", "1"]).run();
    build().assert_success();
    let published = fs::read(project.path().join(".anyarch/out/hello/index.json")).unwrap();
    let project = project.file("broken_arm64.go", "package main\n\nvar broken int = \"text\"\n\nfunc lost( {}\n");
    let output = project.anyarch().args(["build", "--jobs", "1"]).run();
    output.assert_code(4).assert_stdout("");
    let quoted = "linux/arm64      hello                failed   exit code 1\n\
                  --- linux/arm64\n\
                  # example.com/hello\n\
                  ./broken_arm64.go:5:12: syntax error: unexpected {, expected )\n\
                  ---\n";
    let stderr = output.redacted_stderr();
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(stderr.matches(quoted).count(), 1, "{stderr}");
    assert_eq!(stderr.matches("broken_arm64.go").count(), 1, "a compiler is heard once: {stderr}");
    assert!(lines.contains(&"linux/amd64      hello                packed   [TIME] [SIZE]"), "others finish: {stderr}");
    assert_eq!(lines.last(), Some(&"error: hello for linux/arm64 was not built, so nothing was published"));
    let still = fs::read(project.path().join(".anyarch/out/hello/index.json")).unwrap();
    assert_eq!(still, published, "what was published before is still there");
}

#[test]
fn a_compiler_that_is_killed_says_by_what_and_nothing_is_published() {
    let project = Project::hello_go();
    let real = which::which("go").unwrap();
    let script = format!(
        "if [ \"$1\" = build ] && [ \"$GOARCH\" = arm64 ]; then kill -KILL $$; fi\nexec '{}' \"$@\"",
        real.display()
    );
    let shims = Shims::new().script("go", &script);
    let output = project.anyarch().args(["build"]).env("PATH", shims.path()).run();
    output.assert_code(4).assert_stdout("");
    let stderr = output.redacted_stderr();
    let lines: Vec<&str> = stderr.lines().collect();
    assert!(lines.contains(&"linux/arm64      hello                failed   signal 9"), "{stderr}");
    assert!(lines.contains(&"linux/amd64      hello                packed   [TIME] [SIZE]"), "others finish: {stderr}");
    assert_eq!(lines.last(), Some(&"error: hello for linux/arm64 was not built, so nothing was published"));
    assert!(!project.path().join(".anyarch/out").exists(), "nothing is published");
}

/// The machine's zig, except that a call that compiles for arm64 is killed.
fn zig_killed_for_arm64() -> Shims {
    let real = which::which("zig").expect("scripts/install-test-tools installs it");
    let script = format!(
        "if [ \"$1\" = cc ]; then case \" $* \" in *' aarch64-linux-musl '*) kill -KILL $$ ;; esac; fi\nexec '{}' \"$@\"",
        real.display()
    );
    Shims::new().script("zig", &script)
}

#[test]
fn a_c_compiler_that_is_killed_says_by_what_and_nothing_is_published() {
    let shims = zig_killed_for_arm64();
    for (example, program, ending, quoted) in [
        ("hello-c", "hello", "signal 9", ""),
        // Go asks the compiler by a tool of its own, and that tool's end is all that it says.
        ("hello-cgo", "hello-cgo", "exit code 1", "--- linux/arm64\nruntime/cgo: "),
    ] {
        let project = Project::copy_of(&crate::support::repository().join("examples").join(example));
        let output = project.anyarch().args(["build"]).env("PATH", shims.path()).run();
        output.assert_code(4).assert_stdout("");
        let stderr = output.redacted_stderr();
        let lines: Vec<&str> = stderr.lines().collect();
        assert!(lines.contains(&&*format!("linux/arm64      {program:<20} failed   {ending}")), "{stderr}");
        assert!(stderr.contains(quoted), "{stderr}");
        let packed = format!("linux/amd64      {program:<20} packed   [TIME] [SIZE]");
        assert!(lines.contains(&&*packed), "others finish: {stderr}");
        let last = format!("error: {program} for linux/arm64 was not built, so nothing was published");
        assert_eq!(lines.last(), Some(&&*last));
        assert!(!project.path().join(".anyarch/out").exists(), "nothing is published");
    }
}

#[test]
fn a_full_disk_below_the_project_is_said_and_leaves_nothing_half_there() {
    let project = Project::copy_of(&crate::support::repository().join("examples/hello-c"));
    let own = project.path().join(".anyarch");
    fs::create_dir(&own).unwrap();
    let call = project.anyarch().args(["build", "--platform", "linux/amd64"]).command();
    // The program fits, the image does not.
    let script = "mount -t tmpfs -o size=200k none \"$1\"; shift; \"$@\"; code=$?; \
                  find .anyarch -path .anyarch/build -prune -o -type f -print | sort; exit $code";
    let mut namespace = Command::new("unshare");
    namespace.arg(if process::is_root() { "--mount" } else { "-rm" });
    namespace.args(["/bin/sh", "-c", script, "sh"]).arg(&own).arg(call.get_program()).args(call.get_args());
    namespace
        .current_dir(project.path())
        .env_clear()
        .envs(call.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = process::within(&mut namespace, std::time::Duration::from_mins(5));
    assert_eq!((ended.code, &*ended.stdout), (1, ".anyarch/.gitignore\n.anyarch/build.lock\n"), "{}", ended.stderr);
    let (_, error) = ended.stderr.split_once("error: ").expect("it says why");
    assert!(error.contains(".anyarch/out") && error.contains("No space left on device"), "{error}");
}

#[test]
fn a_rust_compiler_that_fails_for_one_platform_names_it() {
    let main = "#[cfg(target_arch = \"aarch64\")]\ncompile_error!(\"not on this machine\");\n\nfn main() {}\n";
    let project = rust(&["one"], "").file("src/bin/one.rs", main);
    let output = project.anyarch().args(["build", "--platform", "linux/amd64,linux/arm64"]).run();
    output.assert_code(4).assert_stdout("");
    let stderr = output.redacted_stderr();
    let quoted = "linux/arm64      one                  failed   exit code 101\n--- linux/arm64\n";
    assert_eq!(stderr.matches(quoted).count(), 1, "{stderr}");
    assert_eq!(stderr.matches("error: not on this machine").count(), 1, "a compiler is heard once: {stderr}");
    let lines: Vec<&str> = stderr.lines().collect();
    assert!(lines.contains(&"linux/amd64      one                  packed   [TIME] [SIZE]"), "others finish: {stderr}");
    assert_eq!(lines.last(), Some(&"error: one for linux/arm64 was not built, so nothing was published"));
    assert!(!project.path().join(".anyarch/out").exists(), "nothing is published");
}

#[test]
fn a_binary_of_another_architecture_never_leaves_the_machine() {
    let project = Project::hello_go();
    let folder = project.path();
    for (architecture, built) in [("amd64", "amd64"), ("arm64", "amd64")] {
        let mut go = Command::new("go");
        go.args(["build", "-o", &format!("dist/{architecture}/tool"), "."]).current_dir(folder);
        process::succeed(go.envs([
            ("GOARCH", built),
            ("GOOS", "linux"),
            ("CGO_ENABLED", "0"),
            ("GOFLAGS", "-buildvcs=false"),
        ]));
    }
    let project =
        project.file("anyarch.toml", "[[program]]\nname = \"tool\"\npath = \"dist/{{platform.arch}}/tool\"\n");
    let output = project.anyarch().args(["build"]).run();
    output.assert_code(3).assert_stdout("");
    let (_, error) = output.stderr.split_once("error: ").unwrap();
    assert_eq!(
        error,
        "`tool` does not fit linux/arm64: is an x86-64 binary, linux/arm64 needs AArch64\n\n\
         hint: GOOS=linux GOARCH=arm64 go build\n\
         hint: publish it as what it is: --platform linux/amd64\n"
    );
    assert!(!project.path().join(".anyarch/out").exists(), "nothing is written");
    fs::write(project.path().join("dist/arm64/tool"), "#!/bin/sh\n").unwrap();
    let output = project.anyarch().args(["build", "--platform", "linux/arm64"]).run();
    output.assert_code(3).assert_stdout("").assert_stderr(
        "
        error: `tool` for linux/arm64 is no program
          because: is a script for `/bin/sh`, not an ELF binary

        hint: a script goes into an image as a [[file]] with mode = \"0755\"; its interpreter has to be in the base
        ",
    );
}
