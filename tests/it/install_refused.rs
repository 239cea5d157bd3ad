//! What is not installed leaves nothing half there, and says what would help: another file than the row's, a full disk, no
//! network, an archive that is none.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::machine::{Machine, SAYS_ITS_VERSION};
use crate::support::mirror::{self, Manners, Mirror};
use crate::support::process;
use crate::support::program::Home;

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
        let ended = process::within(&mut namespace, Duration::from_mins(1));
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
        let left: Vec<Option<&OsStr>> = ended.stdout.lines().map(|path| Path::new(path).extension()).collect();
        assert!(
            left.iter().all(|extension| *extension == Some(OsStr::new("zip"))),
            "only a whole download is kept: {left:?}"
        );
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

#[test]
fn a_language_or_a_platform_that_is_none() {
    let home = Home::new();
    let output = home.anyarch().args(["toolchain", "check", "--platform", "windows/amd64"]).run();
    output.assert_code(5).assert_stdout("");
    let words = "error: go has no toolchain for windows/amd64\n\nhint: --platform linux/amd64,";
    assert!(output.stderr.starts_with(words), "{}", output.stderr);
    let output = home.anyarch().args(["toolchain", "check", "--language", "cobol"]).run();
    output.assert_code(2).assert_stdout("");
    assert!(
        output.stderr.starts_with("error: `--language cobol` is no language\n\nhint: --language go\n"),
        "{}",
        output.stderr
    );
}

#[test]
fn an_interrupt_ends_an_installation_at_once() {
    let manners = Manners { slow: Duration::from_mins(5), ..Manners::default() };
    let machine = Machine::without_zig(mirror::wheel(SAYS_ITS_VERSION, 10), manners);
    let mut command = machine.toolchain("install").command();
    let start = Instant::now();
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    while !machine.mirror.requests().iter().any(|request| request.starts_with("/files/")) {
        assert!(start.elapsed() < Duration::from_mins(1), "the file is asked for");
        std::thread::sleep(Duration::from_millis(20));
    }
    process::succeed(Command::new("kill").args(["-INT", &child.id().to_string()]));
    let ended = child.wait_with_output().unwrap();
    assert_eq!(process::exit_code(ended.status), 130);
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "error: interrupted\n");
    assert!(start.elapsed() < Duration::from_mins(1), "nobody waits for the mirror");
}
