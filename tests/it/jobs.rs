//! How many compilers work at once is what was asked for: by `--jobs`, or by the make that started us.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::process;
use crate::support::program::{Home, Program};
use crate::support::project::Project;
use crate::support::shims::Shims;

const PLATFORMS: &str =
    "linux/amd64,linux/arm64,linux/arm/v7,linux/arm/v6,linux/386,linux/s390x,linux/ppc64le,linux/riscv64";
const COUNT: usize = 8;

/// Stand-ins that note in `log` when a compiler starts and ends, and let each take a moment: `go build` and rustc's
/// wrapper. A compiler for `killed` is killed once it has its place.
fn noting(log: &Path, killed: &str) -> Shims {
    let go = which::which("go").expect("go is installed").display().to_string();
    let log = log.display();
    let go = format!(
        "[ \"$1\" = build ] || exec '{go}' \"$@\"\necho + >> '{log}'\nsleep 0.3\n\
         if [ \"$GOARCH\" = '{killed}' ]; then echo - >> '{log}'; kill -9 $$; fi\n\
         '{go}' \"$@\"\ncode=$?\necho - >> '{log}'\nexit $code"
    );
    // What cargo asks of rustc before it compiles anything is no compilation.
    let rustc = format!(
        "case \"$*\" in *--print*|*-vV*) exec \"$@\" ;; esac\n\
         echo + >> '{log}'\nsleep 0.3\n\"$@\"\ncode=$?\necho - >> '{log}'\nexit $code"
    );
    Shims::new().script("go", &go).script("rustc-wrapper", &rustc)
}

/// The most compilers that worked at once, and how many there were.
fn most(log: &Path) -> (usize, usize) {
    let (mut now, mut most, mut all) = (0_usize, 0, 0);
    for line in fs::read_to_string(log).expect("a compiler ran").lines() {
        if line == "+" {
            (now, all) = (now + 1, all + 1);
            most = most.max(now);
        } else {
            now -= 1;
        }
    }
    (most, all)
}

/// A workspace of small packages that do not wait for each other, and a program in Go beside it.
fn mixed() -> Project {
    let manifest = |name: &str, rest: &str| {
        format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nedition = \"2021\"\n{rest}")
    };
    let names = ["one", "two", "three"];
    let needs = names.map(|name| format!("{name} = {{ path = \"{name}\" }}\n")).concat();
    let locked = ["one", "three", "two"].map(|name| format!("\n[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n"));
    let mixed = "\n[[package]]\nname = \"mixed\"\nversion = \"1.0.0\"\ndependencies = [\n \"one\",\n \"three\",\n \"two\",\n]\n";
    let lock = format!("version = 4\n{mixed}{}", locked.concat());
    let mut project = Project::hello_go()
        .file("rust/Cargo.toml", manifest("mixed", &format!("[dependencies]\n{needs}")))
        .file("rust/Cargo.lock", lock)
        .file("rust/src/main.rs", "fn main() {}\n")
        .file(
            "anyarch.toml",
            "[[program]]\npackage = \".\"\nlanguage = \"go\"\n[[program]]\npackage = \"rust\"\nlanguage = \"rust\"\n",
        );
    for name in names {
        project = project
            .file(&format!("rust/{name}/Cargo.toml"), manifest(name, ""))
            .file(&format!("rust/{name}/src/lib.rs"), "");
    }
    project
}

#[test]
fn with_one_job_never_two_compilers_work() {
    let home = Home::new();
    let counts = [("1", 1), ("3", 3)].map(|(jobs, allowed)| {
        let log = home.path().join(format!("log-{jobs}"));
        let (project, shims) = (mixed(), noting(&log, "none"));
        let program =
            project.anyarch_at(&home).args(["build", "--platform", "linux/amd64,linux/arm64", "--jobs", jobs]);
        program
            .env("PATH", shims.path())
            .env("RUSTC_WRAPPER", shims.folder().join("rustc-wrapper"))
            .run()
            .assert_success();
        let (most, all) = most(&log);
        assert_eq!(all, 2 + 2 * 4, "two calls of go and four crates for two targets");
        assert!(most <= allowed, "{most} compilers worked at once with --jobs {jobs}");
        most
    });
    // Else the first count would prove nothing.
    assert!(counts[1] > 1, "{counts:?}");
}

/// Runs the program by a make with `jobs` tokens; what make said, and its exit code.
fn by_make(jobs: usize, mark: &str, project: &Project, program: &Program<'_>) -> process::Ended {
    let command = program.command();
    let line = process::line(&command);
    let makefile = project.path().join("build.mk");
    fs::write(&makefile, format!("build:\n\t{mark}{line}\n")).expect("a file can be written");
    let mut make = Command::new("make");
    make.arg(format!("-j{jobs}")).arg("-f").arg(makefile).env_clear();
    make.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(project.path());
    process::within(&mut make, Duration::from_mins(10))
}

#[test]
fn the_jobserver_of_a_make_is_joined_and_gets_its_tokens_back() {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // Not as many as would work without a make.
    let tokens = if cores < COUNT - 1 { cores + 1 } else { 3 };
    let home = Home::new();
    for (killed, code) in [("none", 0), ("s390x", 2)] {
        let log = home.path().join(format!("log-{killed}"));
        let (project, shims) = (Project::hello_go(), noting(&log, killed));
        let program = project.anyarch_at(&home).args(["build", "--platform", PLATFORMS]).env("PATH", shims.path());
        let ended = by_make(tokens, "+", &project, &program);
        assert_eq!(ended.code, code, "{}", ended.stderr);
        // `INTERNAL: Exiting with 2 jobserver tokens available; should be 3!`
        assert!(!ended.stderr.contains("jobserver"), "{}", ended.stderr);
        assert_eq!(most(&log), (tokens, COUNT), "{}", ended.stderr);
        assert_eq!(ended.stderr.contains("signal 9"), killed != "none", "{}", ended.stderr);
    }
}

#[test]
fn a_jobserver_that_make_keeps_to_itself_is_said() {
    // Without the mark, make closes the pipe and names it all the same.
    let project = Project::hello_go();
    let program = project.anyarch().args(["build", "--platform", "linux/amd64"]);
    let ended = by_make(2, "", &project, &program);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let note = "note: the jobserver of the make that started this cannot be joined (";
    assert_eq!(ended.stderr.matches(note).count(), 1, "{}", ended.stderr);
}
