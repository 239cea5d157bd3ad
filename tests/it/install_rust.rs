//! Rust targets that are added by rustup; and a machine without any compiler, which asks the real mirrors.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::machine::SAYS_ITS_VERSION;
use crate::support::process;
use crate::support::program::Home;
use crate::support::project::Project;
use crate::support::shims::Shims;
use crate::support::start::Source;

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
        [[program]]\npackage = \"hello-rust\"\nlanguage = \"rust\"\n\
        [[program]]\npackage = \"./hello-c\"\nlanguage = \"c\"\nname = \"hello-c\"\n";
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
    let image = Source::Layout(project.path().join("out"));
    for platform in ["linux/amd64", "linux/arm64"] {
        let unpacked = image.unpack(platform);
        let ended = unpacked.start(&[]);
        assert!(ended.code == 0 && ended.stdout.contains(platform), "{platform}: {ended:?}");
        for program in ["hello-rust", "hello-c"] {
            let ended = unpacked.run(&[&format!("/usr/local/bin/{program}")]);
            assert_eq!(ended.code, 0, "{program} {platform}: {ended:?}");
        }
    }
    let said = run().assert_success().redacted_stderr();
    assert!(!said.contains("install") && !said.contains("downloading"), "the second run installs nothing: {said}");
}
