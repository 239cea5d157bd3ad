//! Toolchains that are downloaded: installed once, resumed, refused when they are not what the row says, and never there
//! by halves. The mirrors are on this machine; one test, which takes minutes, asks the real ones.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::mirror::{self, Manners, Mirror};
use crate::support::process;
use crate::support::program::{Home, Program};
use crate::support::project::Project;
use crate::support::shims::Shims;

/// A program of a tool that says its version.
const SAYS_ITS_VERSION: &str = "echo 1.0-fake";

/// A machine that lacks some tools, with a mirror that has one.
struct Machine {
    home: Home,
    shims: Shims,
    mirror: Mirror,
    rows: PathBuf,
}

impl Machine {
    /// Without zig, with a wheel of it.
    fn without_zig(file: Vec<u8>, manners: Manners) -> Self {
        Self::new(Mirror::start(file, manners), |mirror| mirror.zig_row(None))
    }

    fn new(mirror: Mirror, row: impl Fn(&Mirror) -> String) -> Self {
        let home = Home::new();
        let rows = home.path().join("rows.toml");
        fs::write(&rows, row(&mirror)).unwrap();
        Self {
            home,
            shims: Shims::new().without(&["go", "zig", "python-zig", "apt-get", "dnf", "apk", "brew"]),
            mirror,
            rows,
        }
    }

    /// The program, which asks the mirror.
    fn anyarch(&self) -> Program<'_> {
        let sysroot = process::text(Command::new("rustc").args(["--print", "sysroot"]));
        let place = self.mirror.folder(&self.home.cache(), "zig");
        self.home
            .anyarch()
            .env("PATH", self.shims.folder())
            .env("PIP_INDEX_URL", self.mirror.index())
            .env("GOPROXY", self.mirror.proxy())
            .redact(sysroot, "[SYSROOT]")
            .redact(place.to_string_lossy(), "[ZIG]")
            .redact(process::text(Command::new("cargo").arg("--version")), "[CARGO]")
    }

    /// `anyarch toolchain check` or `install` for Rust on one platform, which needs cargo, zig and a target that is there.
    fn toolchain(&self, verb: &str) -> Program<'_> {
        self.anyarch()
            .args(["toolchain", verb, "--language", "rust", "--platform", "linux/amd64", "--toolchain"])
            .args([&self.rows])
    }

    /// What is left in the cache of downloads and toolchains, locks aside.
    fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        for folder in ["downloads", "toolchains"] {
            for entry in fs::read_dir(self.home.cache().join(folder)).into_iter().flatten() {
                let name = entry.unwrap().file_name().to_string_lossy().into_owned();
                if !Path::new(&name).extension().is_some_and(|extension| extension == "lock") {
                    left.push(format!("{folder}/{name}"));
                }
            }
        }
        left.sort();
        left
    }
}

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
        output.assert_code(5).assert_stderr("error: zig is missing\n\nhint: anyarch toolchain install\n");
        assert!(output.stdout.contains("anyarch toolchain install (1.0, "), "{}", output.stdout);
        assert_eq!(machine.mirror.requests(), [""; 0], "who only looks asks nobody");
        let output = machine.toolchain("install").umask(0o077).run();
        output.assert_success().assert_stderr(&format!(
            "
            zig 1.0                               downloading [SIZE] from 127.0.0.1
            zig 1.0                               unpacking [SIZE]
            zig 1.0                               installed [TIME] [ZIG]/fakezig/zig
            "
        ));
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
}

#[test]
fn a_wheel_that_is_not_what_the_row_says_is_refused_and_leaves_nothing() {
    let expected = "ab".repeat(32);
    let mirror = Mirror::start(mirror::wheel(SAYS_ITS_VERSION, 10), Manners::default());
    let machine = Machine::new(mirror, |mirror| mirror.zig_row(Some(&"ab".repeat(32))));
    let actual = machine.mirror.zig_row(None);
    let actual = actual.split("sha256 = \"").nth(1).unwrap().split('"').next().unwrap();
    let url = format!("http://{}/files/{}", machine.mirror.host(), mirror::WHEEL);
    let output = machine.toolchain("install").redact(url, "[URL]").run();
    output.assert_code(5).assert_stdout("");
    let (_, error) = output.stderr.split_once("error: ").unwrap();
    let url = format!("http://{}/files/{}", machine.mirror.host(), mirror::WHEEL);
    assert_eq!(
        error,
        format!(
            "zig 1.0 cannot be downloaded\n  because: `{url}` is another file than expected: its SHA-256 is {actual}, \
             and it should be {expected}\n\n\
             hint: take a mirror of PyPI: export PIP_INDEX_URL=https://mirror.example.com/simple\n"
        )
    );
    assert_eq!(machine.left(), [""; 0]);
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
    let manners = Manners { slow: Duration::from_secs(1), ..Manners::default() };
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
fn a_full_disk_is_said_and_what_is_half_there_is_removed() {
    // The one does not fit as it comes, the other when it is unpacked.
    let zeros = vec![0; 8_000_000];
    let small = mirror::archive(&[("fakezig/zig", Some(0o755), b"#!/bin/sh\n"), ("fakezig/lib", Some(0o644), &zeros)]);
    for (file, error) in [
        (
            mirror::wheel(SAYS_ITS_VERSION, 8_000_000),
            "error: zig 1.0 cannot be downloaded\n  because: no space is left in `[HOME]/anyarch-cache/downloads`: ",
        ),
        (small, "error: no space is left in `[HOME]/anyarch-cache/toolchains/.zig-1.0-"),
    ] {
        let machine = Machine::without_zig(file, Manners::default());
        let cache = machine.home.cache();
        fs::create_dir(&cache).unwrap();
        let call = machine.toolchain("install").command();
        let mut namespace = Command::new("unshare");
        namespace.arg(if process::is_root() { "--mount" } else { "-rm" });
        let script = "mount -t tmpfs -o size=4m none \"$1\"; shift; \"$@\"; code=$?; \
                      find \"$ANYARCH_CACHE_DIR/downloads\" \"$ANYARCH_CACHE_DIR/toolchains\" -type f ! -name '*.lock'; exit $code";
        namespace.args(["/bin/sh", "-c", script, "sh"]).arg(&cache).arg(call.get_program()).args(call.get_args());
        namespace.env_clear().envs(call.get_envs().filter_map(|(name, value)| Some((name, value?))));
        // Its own tools are not those that the machine lacks.
        let ended = process::within(&mut namespace, Duration::from_secs(60));
        let stderr = ended.stderr.replace(&*machine.home.path().to_string_lossy(), "[HOME]");
        assert_eq!(ended.code, 1, "{stderr}");
        assert!(
            stderr.contains(error) && stderr.contains(" MB more are needed") || stderr.contains(" more are needed"),
            "{stderr}"
        );
        assert!(stderr.contains("  because: "), "{stderr}");
        assert!(
            stderr.ends_with("\nhint: take another folder: export ANYARCH_CACHE_DIR=/path/with/space\n"),
            "{stderr}"
        );
        let left: Vec<&str> = ended.stdout.lines().collect();
        assert!(left.iter().all(|path| path.ends_with(".zip")), "only a whole download is kept: {left:?}");
    }
}

#[test]
fn no_network_and_no_mirror_are_said() {
    let machine = Machine::without_zig(mirror::wheel(SAYS_ITS_VERSION, 10), Manners::default());
    let output = machine.toolchain("install").env("PIP_INDEX_URL", "http://127.0.0.1:1/simple").run();
    output.assert_code(5).assert_stdout("");
    let stderr = output.redacted_stderr();
    assert!(
        stderr.starts_with("error: zig 1.0 cannot be downloaded\n  because: `127.0.0.1:[PORT]` cannot be reached\n"),
        "{stderr}"
    );
    assert!(
        stderr.ends_with(
            "\n\nhint: take a mirror of PyPI: export PIP_INDEX_URL=https://mirror.example.com/simple\n\
             hint: behind a proxy: export HTTPS_PROXY=http://proxy.example.com:8080\n"
        ),
        "{stderr}"
    );
    for (index, words) in [
        (
            "not-a-url".to_owned(),
            "
            error: `PIP_INDEX_URL` is `not-a-url`, which is no http or https URL

            hint: export PIP_INDEX_URL=https://pypi.org/simple
            ",
        ),
        (
            format!("http://{}/nothing", machine.mirror.host()),
            "
            error: zig 1.0 cannot be downloaded
              because: `http://127.0.0.1:[PORT]/nothing/fakezig/` cannot be downloaded: the server answered 404 Not Found

            hint: take a mirror of PyPI: export PIP_INDEX_URL=https://mirror.example.com/simple
            ",
        ),
    ] {
        machine.toolchain("install").env("PIP_INDEX_URL", index).run().assert_code(5).assert_stdout("").assert_stderr(words);
    }
    let machine = Machine::new(Mirror::start(mirror::module_zip("exit"), Manners::default()), Mirror::go_row);
    let arguments = ["toolchain", "install", "--language", "go", "--platform", "linux/amd64", "--toolchain"];
    let install = |proxy: &str| machine.anyarch().args(arguments).args([&machine.rows]).env("GOPROXY", proxy).run();
    install("off").assert_code(5).assert_stdout("").assert_stderr(
        "
        error: `GOPROXY` is `off`, which names no module proxy to download from

        hint: export GOPROXY=https://proxy.golang.org
        ",
    );
    // A comma goes on where the file is not there, a bar after any failure.
    let absent = format!("http://{}/absent,{}", machine.mirror.host(), machine.mirror.proxy());
    let output = install(&absent);
    assert!(
        output.assert_code(5).stderr.contains("was downloaded and does not run here (exit code 0)"),
        "{}",
        output.stderr
    );
    fs::remove_dir_all(machine.home.cache()).unwrap();
    let output = install(&format!("http://127.0.0.1:1,{}", machine.mirror.proxy()));
    assert!(output.assert_code(5).stderr.contains("`127.0.0.1:1` cannot be reached"), "{}", output.stderr);
    let output = install(&format!("http://127.0.0.1:1|{}", machine.mirror.proxy()));
    assert!(output.stderr.contains("was downloaded and does not run here (exit code 0)"), "{}", output.stderr);
}

#[test]
fn an_archive_that_is_none_or_leads_out_of_its_folder_is_refused() {
    let good = ("fakezig/zig", Some(0o755), &b"#!/bin/sh\n"[..]);
    for (file, words) in [
        (b"no archive".to_vec(), "error: `fakezig-1.0-py3-none-any.whl` cannot be unpacked\n  because: "),
        (
            mirror::archive(&[good, ("../../evil", Some(0o644), b"")]),
            "error: `fakezig-1.0-py3-none-any.whl` cannot be unpacked: `../../evil` has no place in its folder\n",
        ),
        (
            mirror::archive(&[good, ("/evil", Some(0o644), b"")]),
            "error: `fakezig-1.0-py3-none-any.whl` cannot be unpacked: `/evil` has no place in its folder\n",
        ),
        (
            mirror::archive(&[("fakezig/zig", Some(0o644), b"")]),
            "error: `fakezig-1.0-py3-none-any.whl` does not hold the program `fakezig/zig` that its row names\n",
        ),
    ] {
        let machine = Machine::without_zig(file, Manners::default());
        let output = machine.toolchain("install").run();
        output.assert_code(5).assert_stdout("");
        assert!(output.stderr.contains(words), "{}", output.stderr);
        assert_eq!(machine.left(), [""; 0]);
    }
}

/// A rustc whose sysroot is `sysroot`, and a rustup that adds targets to it, but for arm's, and keeps a list of its calls.
fn rustup(sysroot: &Path) -> Shims {
    let real = which::which("rustc").unwrap();
    let (folder, real) = (sysroot.display(), real.display());
    let rustc = format!("if [ \"$*\" = '--print sysroot' ]; then echo '{folder}'; exit; fi\nexec '{real}' \"$@\"");
    let rustup = format!(
        "echo \"$*\" >>'{folder}/calls'\n\
         case \"$3\" in arm*) echo 'info: downloading' >&2; echo \"error: no std for $3\" >&2; exit 1;; esac\n\
         mkdir -p '{folder}/lib/rustlib/'\"$3\"/lib && touch '{folder}/lib/rustlib/'\"$3\"/lib/libstd-1.rlib"
    );
    fs::create_dir_all(sysroot.join("lib/rustlib")).unwrap();
    Shims::new().script("rustc", &rustc).script("rustup", &rustup)
}

#[test]
fn targets_are_added_by_rustup_one_a_call_and_only_once() {
    let home = Home::new();
    let sysroot = home.path().join("sysroot");
    let shims = rustup(&sysroot).script("zig", SAYS_ITS_VERSION);
    let run = |verb: &str, platforms: &str| {
        let arguments = ["toolchain", verb, "--language", "rust", "--platform", platforms];
        home.anyarch().args(arguments).env("PATH", shims.path()).run()
    };
    let calls = || fs::read_to_string(sysroot.join("calls")).unwrap_or_default();
    run("check", "linux/amd64").assert_code(5);
    assert_eq!(calls(), "");
    run("install", "linux/amd64,linux/arm64").assert_success().assert_stderr(
        "
        x86_64-unknown-linux-musl             adding by rustup
        x86_64-unknown-linux-musl             installed [TIME] by rustup
        aarch64-unknown-linux-musl            adding by rustup
        aarch64-unknown-linux-musl            installed [TIME] by rustup
        ",
    );
    run("install", "linux/amd64,linux/arm64").assert_success().assert_stderr("");
    assert_eq!(calls(), "target add x86_64-unknown-linux-musl\ntarget add aarch64-unknown-linux-musl\n");
    run("install", "linux/arm/v7,linux/386").assert_code(5).assert_stderr(
        "
        armv7-unknown-linux-musleabihf        adding by rustup
        i686-unknown-linux-musl               adding by rustup
        i686-unknown-linux-musl               installed [TIME] by rustup
        error: armv7-unknown-linux-musleabihf is missing

        hint: rustup does not have armv7-unknown-linux-musleabihf: error: no std for armv7-unknown-linux-musleabihf
        hint: for armv7-unknown-linux-musleabihf: libc = \"gnu\", toolchain = \"gcc\"
        hint: for armv7-unknown-linux-musleabihf: libc = \"gnu\", toolchain = \"zig\"
        ",
    );
}

#[test]
fn a_target_that_rustup_does_not_have_ends_a_build() {
    let home = Home::new();
    let shims = rustup(&home.path().join("sysroot"));
    let lock = "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\n";
    let project = Project::new()
        .file("Cargo.toml", "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n")
        .file("Cargo.lock", lock)
        .file("src/main.rs", "fn main() {}\n");
    let arguments = ["build", "--install-missing", "--platform", "linux/arm/v7"];
    let output = project.anyarch_at(&home).args(arguments).env("PATH", shims.path()).run();
    output.assert_code(5).assert_stdout("").assert_stderr(
        "
        armv7-unknown-linux-musleabihf        adding by rustup
        error: `rustup target add armv7-unknown-linux-musleabihf` failed:
        info: downloading
        error: no std for armv7-unknown-linux-musleabihf

        hint: libc = \"gnu\", toolchain = \"gcc\"
        hint: libc = \"gnu\", toolchain = \"zig\"
        ",
    );
    assert!(!project.path().join("target").exists(), "nothing is compiled");
}

#[test]
fn a_language_or_a_platform_that_is_none() {
    let home = Home::new();
    let refused = |flag: &str, value: &str, code: i32, words: &str| {
        let output = home.anyarch().args(["toolchain", "check", flag, value]).run();
        output.assert_code(code).assert_stdout("").assert_stderr(words);
    };
    refused(
        "--platform",
        "windows/amd64",
        5,
        "
        error: go has no toolchain for windows/amd64

        hint: --platform linux/amd64,linux/amd64/v2,linux/amd64/v3,linux/amd64/v4,linux/arm64,linux/arm/v7,linux/arm/v6,linux/386,linux/s390x,linux/ppc64le,linux/riscv64
        ",
    );
    let output = home.anyarch().args(["toolchain", "check", "--language", "cobol"]).run();
    output.assert_code(2).assert_stdout("");
    assert!(
        output.stderr.starts_with("error: `--language cobol` is no language\n\nhint: --language go\n"),
        "{}",
        output.stderr
    );
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

/// A home of rustup that shares its files with the machine's, except for `target`, which it does not have.
fn rustup_home_without(target: &str) -> tempfile::TempDir {
    let sysroot = PathBuf::from(process::text(Command::new("rustc").args(["--print", "sysroot"])));
    let toolchains = sysroot.parent().unwrap();
    let home = tempfile::tempdir_in(crate::support::target()).unwrap();
    let copy = home.path().join("toolchains").join(sysroot.file_name().unwrap());
    fs::create_dir_all(copy.parent().unwrap()).unwrap();
    fs::copy(toolchains.parent().unwrap().join("settings.toml"), home.path().join("settings.toml")).unwrap();
    // By hard links where that can be: rustc looks for its libraries beside the file that it is in the end.
    let script = "cp -al \"$1\" \"$2\" 2>/dev/null || { rm -rf \"$2\"; cp -a \"$1\" \"$2\"; }";
    process::succeed(Command::new("sh").args(["-c", script, "sh"]).arg(&sysroot).arg(&copy));
    // What rustup keeps about the toolchain it changes in place, so that is copied and not linked.
    let library = copy.join("lib/rustlib");
    for entry in fs::read_dir(&library).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let content = fs::read(&path).unwrap();
            fs::remove_file(&path).unwrap();
            fs::write(&path, content).unwrap();
        }
    }
    let mut remove = Command::new("rustup");
    process::succeed(remove.args(["target", "remove", target]).env("RUSTUP_HOME", home.path()));
    home
}

#[test]
#[ignore = "full: install"]
fn a_machine_without_compilers_gets_them_from_the_real_mirrors() {
    let rustup = rustup_home_without("aarch64-unknown-linux-musl");
    let home = Home::new();
    let shims = Shims::new().script("python3", "exit 1").without(&["go", "gofmt", "zig", "python-zig"]);
    let project = Project::copy_of(&crate::support::repository().join("examples"));
    let configuration = "one_image = true\n\
        [[program]]\npackage = \"./hello-go\"\nlanguage = \"go\"\n\
        [[program]]\npackage = \"hello-rust\"\nlanguage = \"rust\"\n";
    let project = project.file("anyarch.toml", configuration);
    let run = || {
        let arguments = [
            "build",
            "--install-missing",
            "--platform",
            "linux/amd64,linux/arm64",
            "-o",
            "type=oci,dest=out,tar=false",
        ];
        let program = project.anyarch_at(&home).env("PATH", shims.folder()).env("RUSTUP_HOME", rustup.path());
        program.env_remove("GOPROXY").env("GOFLAGS", "-buildvcs=false").args(arguments).run()
    };
    let output = run();
    let said = output.assert_success().redacted_stderr();
    for what in ["go 1.", "zig 0.", "aarch64-unknown-linux-musl "] {
        let installed = |line: &&str| line.starts_with(what) && line.contains(" installed ");
        assert_eq!(said.lines().filter(installed).count(), 1, "{what}: {said}");
    }
    let image = crate::support::start::Source::Layout(project.path().join("out"));
    for platform in ["linux/amd64", "linux/arm64"] {
        let unpacked = image.unpack(platform);
        let ended = unpacked.start(&[]);
        assert!(ended.code == 0 && ended.stdout.contains(platform), "{platform}: {ended:?}");
        let ended = unpacked.run(&["/usr/local/bin/hello-rust"]);
        assert_eq!(ended.code, 0, "{platform}: {ended:?}");
    }
    let said = run().assert_success().redacted_stderr();
    assert!(!said.contains("install") && !said.contains("downloading"), "the second run installs nothing: {said}");
}
