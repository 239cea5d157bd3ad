//! Toolchains that are downloaded: installed once, resumed, and found by the next run. The mirror is on this machine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyarch::blob::Digest;
use anyarch::download::{Downloader, Wanted};
use anyarch::http::retry::RetryPolicy;

use crate::support::machine::{Machine, SAYS_ITS_VERSION};
use crate::support::mirror::{self, Manners, Mirror};
use crate::support::project::Project;

/// The lines of a table, with one separator between columns, however wide they are.
fn cells(table: &str) -> Vec<String> {
    let cells =
        |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" | ");
    table.lines().map(cells).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display())).permissions().mode() & 0o7777
}

#[test]
fn a_tool_is_looked_for_installed_once_and_found() {
    for html in [false, true] {
        let machine =
            Machine::without_zig(mirror::wheel(SAYS_ITS_VERSION, 1000), Manners { html, ..Manners::default() });
        let output = machine.toolchain("check").run();
        output.assert_code(5).assert_stderr("error: zig is missing\n\nhint: anyarch toolchain install --platform linux/amd64 --language rust --toolchain [HOME]/rows.toml\n");
        assert!(output.stdout.contains("anyarch toolchain install (1.0, "), "{}", output.stdout);
        assert_eq!(machine.mirror.requests(), [""; 0], "who only looks asks nobody");
        let output = machine.toolchain("install").umask(0o077).run();
        output.assert_success().assert_stderr(
            "
            zig 1.0                               downloading [SIZE] from 127.0.0.1
            zig 1.0                               unpacking [SIZE]
            zig 1.0                               installed [TIME] [ZIG]/fakezig/zig
            ",
        );
        assert_eq!(
            cells(&output.redacted_stdout()),
            [
                "NEEDED | FOR | FOUND | INSTALLED BY",
                "cargo | linux/amd64 | cargo ([CARGO]) | -",
                "zig | linux/amd64 | [ZIG]/fakezig/zig (1.0-fake) | -",
                "x86_64-unknown-linux-musl | linux/amd64 | [SYSROOT]/lib/rustlib/x86_64-unknown-linux-musl | -",
            ]
        );
        let folder = machine.mirror.folder(&machine.home.cache(), "zig");
        assert_eq!((mode(&folder.join("fakezig/zig")), mode(&folder.join("fakezig/lib/std.zig"))), (0o755, 0o644));
        assert_eq!(machine.left(), [format!("toolchains/{}", folder.file_name().unwrap().display())]);
        let asked = ["/simple/fakezig/".to_owned(), format!("/files/{}", mirror::WHEEL)];
        assert_eq!(machine.mirror.requests(), asked);
        machine.toolchain("install").run().assert_success().assert_stderr("");
        machine.toolchain("check").run().assert_success().assert_stderr("");
        assert_eq!(machine.mirror.requests(), asked, "the second run installs nothing");
    }
}

#[test]
fn a_tool_that_lost_its_program_is_installed_anew() {
    let machine = Machine::without_zig(mirror::wheel(SAYS_ITS_VERSION, 1000), Manners::default());
    machine.toolchain("install").run().assert_success();
    let folder = machine.mirror.folder(&machine.home.cache(), "zig");
    fs::remove_file(folder.join("fakezig/zig")).unwrap();
    fs::write(folder.join("fakezig/lib/left"), "").unwrap();
    machine.toolchain("check").run().assert_code(5);
    machine.toolchain("install").run().assert_success();
    machine.toolchain("check").run().assert_success().assert_stderr("");
    assert!(!folder.join("fakezig/lib/left").exists(), "nothing of the damaged folder stays");
    assert_eq!(machine.left(), [format!("toolchains/{}", folder.file_name().unwrap().display())]);
}

#[test]
fn what_is_in_path_comes_first() {
    let machine = Machine::without_zig(mirror::wheel(SAYS_ITS_VERSION, 10), Manners::default());
    machine.toolchain("install").run().assert_success();
    fs::write(machine.shims.folder().join("zig"), "#!/bin/sh\necho 0.1-own\n").unwrap();
    fs::set_permissions(machine.shims.folder().join("zig"), fs::Permissions::from_mode(0o755)).unwrap();
    let output = machine.toolchain("check").run();
    assert!(output.assert_success().stdout.contains("zig (0.1-own)"), "{}", output.stdout);
}

#[test]
fn a_build_gets_the_go_that_is_missing_and_the_next_finds_it() {
    let go = which::which("go").unwrap();
    let zip = mirror::module_zip(&format!("test -z \"$GOROOT\" || exit 9\nexec '{}' \"$@\"", go.display()));
    let machine = Machine::new(Mirror::start(zip, Manners::default()), Mirror::go_row);
    let project = Project::hello_go();
    let run = |verb: &str, flags: &[&str]| {
        let place = machine.mirror.folder(&machine.home.cache(), "go");
        let program = machine.anyarch().cwd(project.path()).redact(place.to_string_lossy(), "[GO]");
        let arguments = ["--platform", "linux/amd64", "--toolchain"];
        program.env("GOROOT", "/nowhere").args([verb]).args(arguments).args([&machine.rows]).args(flags).run()
    };
    run("build", &[]).assert_code(5).assert_stderr(
        "
        error: `go` is not in PATH, and only it can read the project in `[CWD]`

        hint: --install-missing
        hint: a line for go
        ",
    );
    assert_eq!(machine.mirror.requests(), [""; 0], "nothing is downloaded that was not asked for");
    let output = run("build", &["--install-missing"]);
    output.assert_success().assert_stdout("oci:.anyarch/out/hello:latest\n");
    let start = "go 1.0                                downloading [SIZE] from 127.0.0.1\n\
                 go 1.0                                unpacking [SIZE]\n\
                 go 1.0                                installed [TIME] [GO]/bin/go\n\
                 linux/amd64      hello                compiled [TIME]\n";
    assert!(output.redacted_stderr().starts_with(start), "{}", output.stderr);
    let folder = machine.mirror.folder(&machine.home.cache(), "go");
    let modes = ["bin/go", "pkg/tool/host/compile", "VERSION"].map(|path| mode(&folder.join(path)));
    assert_eq!(modes, [0o755, 0o755, 0o644]);
    let asked = [format!("/proxy/example.com/toolchain/@v/{}", mirror::ZIP)];
    assert_eq!(machine.mirror.requests(), asked);
    let output = run("build", &["--install-missing"]);
    assert!(output.assert_success().stderr.starts_with("linux/amd64 "), "{}", output.stderr);
    assert_eq!(machine.mirror.requests(), asked, "the second run installs nothing");
    let output = run("plan", &[]);
    let line = "env -u GOROOT CGO_ENABLED=0 GOAMD64=v1 GOARCH=amd64 GOOS=linux [GO]/bin/go build -trimpath -o \
                [CWD]/.anyarch/build/linux_amd64/hello .\n";
    assert!(output.assert_success().redacted_stdout().ends_with(line), "{}", output.redacted_stdout());
    // What else is asked of Go, the same Go answers: what `init` proposes, and the settings for C.
    let folder = machine.home.path().join("configuration");
    fs::create_dir_all(folder.join("toolchains")).unwrap();
    fs::copy(&machine.rows, folder.join("toolchains/go.toml")).unwrap();
    let init = machine.anyarch().cwd(project.path()).env("ANYARCH_CONFIG_DIR", folder).args(["init"]).run();
    init.assert_success();
    let proposed = fs::read_to_string(project.path().join("anyarch.toml")).unwrap();
    assert!(proposed.contains("\nlanguage = \"go\"\n"), "{proposed}");
    fs::write(project.path().join("anyarch.toml"), "[[program]]\nlanguage = \"go\"\ncgo = true\n").unwrap();
    // It can have a zig.
    let _ = fs::remove_file(machine.shims.folder().join("python3"));
    let output = run("plan", &[]);
    let next = "error: `zig` is not in PATH and is needed for linux/amd64; ";
    assert!(output.assert_code(5).stderr.starts_with(next), "{}", output.stderr);
}

/// A zig that calls the machine's own C compiler.
const CALLS_CC: &str = r#"case "$1" in
  version) echo 1.0-fake ;;
  cc)
    shift
    for word; do
      shift
      case "$word" in -target | *-linux-musl | -mcpu=* | -fno-sanitize=*) ;; *) set -- "$@" "$word" ;; esac
    done
    exec cc "$@"
    ;;
  *) exec "$@" ;;
esac"#;

#[test]
fn a_project_of_cmake_gets_the_compiler_that_configures_it() {
    let machine = Machine::without_zig(mirror::wheel(CALLS_CC, 10), Manners::default());
    let project = Project::new()
        .file("CMakeLists.txt", "cmake_minimum_required(VERSION 3.13)\nproject(p C)\nadd_executable(greet main.c)\n")
        .file("main.c", "int main(void) { return 0; }\n");
    let run = |words: &[&str]| {
        let program = machine.anyarch().cwd(project.path()).args(words);
        program.args(["--platform", "host", "--toolchain"]).args([&machine.rows]).run()
    };
    run(&["build"]).assert_code(5).assert_stderr(
        "
        error: `zig` is not in PATH, and only it can read the project in `[CWD]`

        hint: --install-missing
        hint: a line for zig
        hint: or set toolchain = \"gcc\" for the program in anyarch.toml
        ",
    );
    let output = run(&["toolchain", "check"]);
    assert!(output.assert_code(5).stderr.starts_with("error: zig is missing\n"), "{}", output.stderr);
    let output = run(&["build", "--install-missing"]);
    output.assert_success().assert_stdout("oci:.anyarch/out/greet:latest\n");
    let last = "zig 1.0                               installed [TIME] [ZIG]/fakezig/zig\n";
    assert!(output.redacted_stderr().contains(last), "{}", output.stderr);
    let output = run(&["toolchain", "check"]);
    assert!(output.assert_success().redacted_stdout().contains("[ZIG]/fakezig/zig (1.0-fake)"), "{}", output.stdout);
}

#[test]
fn a_connection_that_breaks_is_resumed_where_it_broke() {
    for whole_only in [false, true] {
        let manners = Manners { cut: Some(30_000), whole_only, ..Manners::default() };
        let machine = Machine::without_zig(mirror::wheel(SAYS_ITS_VERSION, 100_000), manners);
        machine.toolchain("install").run().assert_success();
        let file = format!("/files/{}", mirror::WHEEL);
        // A mirror that knows no ranges sends everything again.
        assert_eq!(
            machine.mirror.requests(),
            ["/simple/fakezig/".to_owned(), file.clone(), format!("{file} bytes=30000-")]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_breaks_at_the_same_place_is_given_up() {
    let manners = Manners { cut: Some(30_000), never_whole: true, ..Manners::default() };
    let content = mirror::wheel(SAYS_ITS_VERSION, 100_000);
    let (sha256, size) = (Digest::of(&content), Some(content.len() as u64));
    let mirror = Mirror::start(content, manners);
    let folder = tempfile::tempdir().unwrap();
    let destination = folder.path().join("file.zip");
    let mirrors = [anyarch::mirror::Mirror { url: mirror.file().parse().unwrap(), gives_way: false }];
    let wanted = Wanted { mirrors: &mirrors, sha256, size, destination: &destination };
    let retry = RetryPolicy { first_wait: Duration::from_millis(1), ..RetryPolicy::default() };
    let downloader = Downloader { retry };
    let done = tokio::time::timeout(Duration::from_secs(20), downloader.file(&wanted, &|_| ())).await;
    assert!(done.expect("it does not go on for ever").is_err());
    assert_eq!(mirror.requests().len(), 5, "bytes that come again are no progress");
}

#[test]
fn a_run_goes_on_where_another_stopped() {
    let manners = Manners { cut: Some(30_000), refuses_after_cut: true, ..Manners::default() };
    let machine = Machine::without_zig(mirror::wheel(SAYS_ITS_VERSION, 100_000), manners);
    let output = machine.toolchain("install").run();
    assert!(output.assert_code(5).stderr.contains("the server answered 403 Forbidden\n"), "{}", output.stderr);
    let left = machine.left();
    assert!(matches!(&left[..], [part] if part.ends_with(".zip.part")), "{left:?}");
    let output = machine.toolchain("install").run();
    let first = "zig 1.0                               downloading [SIZE] from 127.0.0.1, of which [SIZE] are here\n";
    assert!(output.assert_success().redacted_stderr().starts_with(first), "{}", output.stderr);
    let last = machine.mirror.requests().pop().unwrap();
    assert!(last.ends_with(" bytes=30000-"), "{last}");
    // What is left of a run may be damaged; then everything comes again.
    let folder = machine.mirror.folder(&machine.home.cache(), "zig");
    fs::remove_dir_all(folder).unwrap();
    fs::write(machine.home.cache().join(left[0].as_str()), vec![0; 500]).unwrap();
    machine.toolchain("install").run().assert_success();
    let requests = machine.mirror.requests();
    let last: Vec<&str> = requests[requests.len() - 2..].iter().map(String::as_str).collect();
    let file = format!("/files/{}", mirror::WHEEL);
    assert_eq!(last, [&*format!("{file} bytes=500-"), &*file]);
}

#[test]
fn two_installations_at_once_are_one() {
    // On a machine that does much else, the second starts late.
    let manners = Manners { slow: Duration::from_secs(5), ..Manners::default() };
    let machine = Machine::without_zig(mirror::wheel(SAYS_ITS_VERSION, 1000), manners);
    let outputs = std::thread::scope(|scope| {
        let runs = [(); 2].map(|()| scope.spawn(|| machine.toolchain("install").run()));
        runs.map(|run| run.join().unwrap())
    });
    let said: Vec<String> = outputs.iter().map(|output| output.assert_success().redacted_stderr()).collect();
    let waited = "zig 1.0                               waiting for another anyarch that installs it\n";
    assert_eq!(said.iter().filter(|said| *said == waited).count(), 1, "{said:?}");
    let files = machine.mirror.requests().into_iter().filter(|request| request.starts_with("/files/")).count();
    assert_eq!(files, 1, "one download serves both");
}

#[test]
fn in_a_project_what_its_plan_needs_is_looked_for() {
    let project = Project::hello_go();
    let output = project.anyarch().args(["toolchain", "check", "--platform", "linux/arm64", "--json"]).run();
    let needs = output.json();
    let needs = needs["needs"].as_array().unwrap();
    assert_eq!(needs.len(), 1, "{needs:?}");
    assert_eq!(
        (&needs[0]["name"], &needs[0]["kind"], &needs[0]["platforms"][0]),
        (&"go".into(), &"tool".into(), &"linux/arm64".into())
    );
    assert!(needs[0]["found"].as_str().unwrap().starts_with("go (go version go1."), "{needs:?}");
}
