//! `--smoke`: what was built, or what somebody published, is started once, in its own files and in sight of nothing else.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::bases::Release;
use crate::support::layout::{self, Image, Tree};
use crate::support::made::{Compiled, Made, base};
use crate::support::prebuilt;
use crate::support::process::{self, Ended};
use crate::support::program::Home;
use crate::support::project::Project;
use crate::support::publish::GO_PLATFORMS;
use crate::support::registry::{Options, Registry};
use crate::support::start::Source;

/// Does what its first argument says, and tells what it sees.
const PROBE: &str = r#"
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
extern char **environ;
static void list(const char *folder) {
    struct dirent **names;
    int count = scandir(folder, &names, NULL, alphasort), processes = 0;
    printf("%s:", folder);
    for (int i = 0; i < count; i++) {
        int number = names[i]->d_name[0] >= '0' && names[i]->d_name[0] <= '9';
        processes += number;
        if (names[i]->d_name[0] != '.' && (!strcmp(folder, "/") || !strcmp(folder, "/dev"))) printf(" %s", names[i]->d_name);
    }
    if (!strcmp(folder, "/proc")) printf(" %d processes", processes);
    printf("\n");
}
int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "nothing";
    setvbuf(stdout, NULL, _IONBF, 0);
    if (!strcmp(what, "fail")) { printf("oops: %s\n", argv[2]); return 1; }
    if (!strcmp(what, "crash")) abort();
    if (!strcmp(what, "stay")) {
        printf("staying\n");
        if (fork() == 0) setsid();
        for (;;) pause();
    }
    if (!strcmp(what, "talk")) {
        for (int i = 0; i < 100000; i++) printf("line %d\n", i);
        return 1;
    }
    if (!strcmp(what, "look")) {
        char text[1024];
        printf("user %d, group %d, in %s\n", getuid(), getgid(), getcwd(text, sizeof text));
        gethostname(text, sizeof text);
        printf("host %s\n", text);
        list("/"); list("/dev"); list("/proc");
        for (char **variable = environ; *variable; variable++) printf("%s\n", *variable);
        FILE *interfaces = fopen("/proc/net/dev", "r");
        while (interfaces && fgets(text, sizeof text, interfaces)) if (strchr(text, ':')) printf("interface %.*s\n", (int)(strchr(text, ':') - text), text);
        for (int i = 2; i < argc; i++) {
            FILE *file = fopen(argv[i], "r");
            printf("opened %s\n", file ? argv[i] : strerror(errno));
        }
        FILE *own = fopen("/made", "w");
        printf("wrote %s\n", own ? "/made" : strerror(errno));
        FILE *out = fopen("/dev/stdout", "w");
        if (out) fprintf(out, "to /dev/stdout\n"), fclose(out);
        return 7;
    }
    return 0;
}
"#;

/// The probe for this machine, static.
fn probe(compiled: &Compiled) -> Vec<u8> {
    fs::write(compiled.folder.path().join("probe.c"), PROBE).unwrap();
    compiled.made("gcc", "probe", &["-static"])
}

/// A project whose program is the probe.
fn project(more: &str) -> Project {
    let table =
        "platforms = [\"linux/amd64\"]\n[[program]]\nname = \"probe\"\nlanguage = \"prebuilt\"\npath = \"probe\"\n";
    Project::new().file("anyarch.toml", format!("{more}{table}")).file("probe", probe(&Compiled::new()))
}

/// What is half done in a cache.
fn left_over(home: &Home) -> usize {
    fs::read_dir(home.cache().join("tmp")).map_or(0, Iterator::count)
}

#[test]
fn a_program_that_fails_is_not_published() {
    let (project, registry, home) = (project(""), Registry::start(&Options::default()), Home::new());
    let reference = format!("{}/probe:1", registry.host());
    let build = |smoke: &str| {
        project
            .anyarch_at(&home)
            .args(["build", "--push", "-t", &reference, "--smoke", smoke, "--smoke-timeout", "1s"])
            .run()
    };
    let refused = |smoke: &str, line: &str, ending: &str, output: &str| {
        let output = if output.is_empty() { String::new() } else { format!("--- linux/amd64\n{output}\n---\n") };
        build(smoke).assert_code(3).assert_stdout("").assert_stderr(&format!(
            "linux/amd64      probe                packed   [TIME] [SIZE]\n\
             linux/amd64      probe                verified [TIME]\n\
             linux/amd64      probe                failed   `/usr/local/bin/probe {line}` {ending}\n{output}\
             error: `/usr/local/bin/probe {line}` {ending} on linux/amd64, so nothing was published\n"
        ));
        let tag =
            Command::new("skopeo").args(["inspect", "--tls-verify=false", &format!("docker://{reference}")]).output();
        assert!(!tag.unwrap().status.success(), "{reference} is there");
        assert_eq!(left_over(&home), 0);
    };
    refused("fail 'a b'", "fail 'a b'", "ended with exit code 1", "oops: a b");
    refused("crash", "crash", "was ended by signal 6 (SIGABRT)", "");
    refused("stay marked-73914", "stay marked-73914", "did not end within [TIME]", "staying");
    let is_marked = |entry: &fs::DirEntry| {
        fs::read(entry.path().join("cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains("stay\0marked-73914"))
    };
    let running = fs::read_dir("/proc").unwrap().flatten().filter(is_marked).count();
    assert_eq!(running, 0, "what it started has outlived it");

    let said = build("talk").assert_code(3).stderr.clone();
    assert!(said.contains("line 0\n") && said.contains(" bytes ...]\n") && said.contains("line 99999\n"), "{said}");
    assert!(said.len() < 20_000, "{}", said.len());

    let said = build("").assert_success().redacted_stderr();
    let expected = "linux/amd64      probe                packed   [TIME] [SIZE]\n\
                    linux/amd64      probe                verified [TIME]\n\
                    linux/amd64      probe                started  [TIME]\n\n\
                    probe [DIGEST]\n";
    assert!(said.starts_with(expected), "{said}");
    assert_eq!(Source::Registry(reference).platforms(), ["linux/amd64"]);
}

/// The image's user, working folder and environment; a root of its own, and nothing of this machine.
#[test]
fn nothing_of_this_machine_is_in_sight() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let project = project("user = \"1234:5678\"\nworkdir = \"/work/here\"\nenv = { COLOUR = \"red\" }\n");
    let open = fs::File::open(folder.path()).unwrap();
    let look = format!("look {} /etc/passwd", secret.display());
    let run = |base: &str| project.anyarch().args(["build", "--base", base, "--smoke", &look]).env("SECRET", "x").run();
    let output = run("static");
    drop(open);
    let shown = output.assert_code(3).stderr.split("---").nth(1).unwrap().to_owned();
    let expected = " linux/amd64
user 1234, group 5678, in /work/here
host anyarch
/: dev etc home proc root tmp usr work
/dev: fd full null random shm stderr stdin stdout urandom zero
/proc: 2 processes
COLOUR=red
HOME=/
HOSTNAME=anyarch
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
interface     lo
opened No such file or directory
opened /etc/passwd
wrote /made
to /dev/stdout
";
    assert_eq!(shown, expected);
    let shown = run("scratch").assert_code(3).stderr.clone();
    assert!(shown.contains("\n/: dev proc usr work\n"), "{shown}");
}

#[test]
fn platforms_that_nothing_here_runs_are_named() {
    let project = prebuilt::project();
    let empty = tempfile::tempdir().unwrap();
    let args = ["build", "--platform", "linux/amd64,linux/arm64", "--smoke", ""];
    let said = project.anyarch().args(args).env("PATH", empty.path()).run();
    said.assert_success();
    let said = said.redacted_stderr();
    let note = "note: linux/arm64 was not started: no qemu-aarch64-static or qemu-aarch64 in PATH (apt-get install qemu-user-static)";
    assert_eq!(said.lines().next(), Some(note), "{said}");
    assert!(said.contains("linux/amd64      hello                started  [TIME]\n"), "{said}");
    assert!(!said.contains("linux/arm64      hello                started"), "{said}");

    project.anyarch().args(["build", "--smoke", "a 'b"]).run().assert_code(2).assert_stderr(
        "
        error: `--smoke \"a 'b\"` cannot be read as a shell would: a quote is not closed

        hint: --smoke \"--version\"
        ",
    );
    let said = project.anyarch().args(["build", "--smoke-timeout", "1s"]).run();
    assert!(said.assert_code(2).stderr.contains("--smoke <ARGS>"), "{}", said.stderr);
}

#[test]
fn an_image_that_somebody_published_is_started() {
    let compiled = Compiled::new();
    let folder = tempfile::tempdir().unwrap();
    let made = Made::bare("linux/amd64").app(probe(&compiled)).with("Cmd", json!(["crash"]));
    made.write(folder.path());
    let image = format!("oci:{}", folder.path().display());
    let home = Home::new();
    let verify = |args: &[&str]| {
        home.anyarch().redact(folder.path().to_string_lossy(), "DIR").args(["verify", &image]).args(args).run()
    };
    verify(&["--smoke", ""]).assert_success().assert_stderr(
        "
        linux/amd64      note     it was started, and ended well after [TIME]
        ",
    );
    let table = |verdict: &str| {
        format!("PLATFORM     ENTRYPOINT  FORMAT  LIBC  VERDICT\nlinux/amd64  /app crash  static  -     {verdict}\n")
    };
    verify(&[]).assert_success().assert_stdout(&table("ok")).assert_stderr("");
    verify(&["--smoke", "fail 1"]).assert_code(3).assert_stdout(&table("fails")).assert_stderr(
        "
        linux/amd64      fails    `/app fail 1` ended with exit code 1
        --- linux/amd64
        oops: 1
        ---
        error: `oci:DIR` does not start on linux/amd64
        ",
    );
    let said: Value = serde_json::from_str(&verify(&["--json", "--smoke", "fail 1"]).stdout).unwrap();
    let smoke =
        json!({"verdict": "fails", "command": "/app fail 1", "text": "ended with exit code 1", "output": "oops: 1"});
    assert_eq!((&said["verdict"], &said["platforms"][0]["smoke"]), (&json!("fails"), &smoke));

    // What the judge already knows keeps the start from going well, too.
    let cases = [
        (
            Made::bare("linux/amd64").file("app", 0o755, "#!/bin/none\n"),
            "does not start: `/app` cannot be started: No such file",
        ),
        (
            Made::bare("linux/amd64").app(probe(&compiled)).with("User", json!("nobody")),
            "does not start: the image's user `nobody` is not in its /etc/passwd",
        ),
        (
            Made::bare("linux/amd64").with("Entrypoint", json!(["app"])),
            "does not start: `app` is in no folder of the image's PATH",
        ),
    ];
    for (made, expected) in cases {
        made.write(folder.path());
        let output = verify(&["--smoke", ""]);
        assert!(output.assert_code(3).stderr.contains(expected), "{expected}\n{}", output.stderr);
    }
    assert_eq!(left_over(&home), 0);
}

/// Layers that would write to this machine by their links, and close their folders: nothing gets out, and nothing stays.
#[test]
fn layers_do_not_lead_out() {
    let compiled = Compiled::new();
    let outside = tempfile::tempdir().unwrap();
    let path = outside.path().display().to_string();
    let mut links = Tree::default();
    links.file("app", 0o755, probe(&compiled));
    links.link("absolute", &path);
    links.link("relative", &format!("../../../../../../../../../..{path}"));
    links.link("process", &format!("proc/1/root{path}"));
    links.link("etc", "/proc/self");
    links.directory("closed", 0o000);
    links.file("closed/file", 0o000, "closed");
    let mut files = Tree::default();
    for link in ["absolute", "relative", "process"] {
        files.file(&format!("{link}/evil"), 0o755, "evil");
        files.file(&format!("{link}/.wh.there"), 0o644, "");
    }
    files.file("closed/more", 0o644, "more");
    fs::write(outside.path().join("there"), "there").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let platform = "linux/amd64".parse().unwrap();
    let image = Image { platform, layers: vec![links, files], config: json!({"Entrypoint": ["/app"]}) };
    layout::write(folder.path(), "1", &[image]);
    let home = Home::new();
    let name = format!("oci:{}", folder.path().display());
    home.anyarch().args(["verify", &name, "--smoke", ""]).run().assert_success();
    let names: Vec<_> = fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["there"]);
    assert_eq!(left_over(&home), 0);
}

/// Runs a script with `$anyarch` in a user namespace of the test's own; `None`, and said loudly, where there is none.
fn in_namespace(home: &Home, script: &str) -> Option<Ended> {
    let tried = Command::new("unshare").args(["-rm", "true"]).output();
    if !tried.as_ref().is_ok_and(|tried| tried.status.success()) {
        let _ = writeln!(std::io::stderr(), "SKIPPED: unshare does not work here: {tried:?}");
        return None;
    }
    let program = home.anyarch().command();
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-ec", script]).env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Some(process::within(command.env("anyarch", program.get_program()), Duration::from_mins(1)))
}

#[test]
fn a_machine_that_lets_nobody_make_namespaces_says_so() {
    let compiled = Compiled::new();
    let folder = tempfile::tempdir().unwrap();
    Made::bare("linux/amd64").app(probe(&compiled)).write(folder.path());
    let home = Home::new();
    let verify = format!("\"$anyarch\" verify oci:{} --smoke ''", folder.path().display());
    let closed = format!("echo 0 > /proc/sys/user/max_user_namespaces; {verify}");
    let Some(ended) = in_namespace(&home, &closed) else { return };
    assert_eq!((ended.code, &*ended.stdout), (1, ""), "{}", ended.stderr);
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert!(
        lines[0].starts_with("error: `--smoke` can start nothing here: a user namespace was refused ("),
        "{lines:?}"
    );
    assert_eq!(lines[2], "hint: let users make namespaces: sudo sysctl -w user.max_user_namespaces=10000");
    assert_eq!(lines.last(), Some(&"hint: leave `--smoke` away: anyarch verify judges an image without starting it"));

    // As in a container whose engine hides parts of /proc: the kernel allows no other then.
    let hidden = format!("mount -t tmpfs none /proc/sys; {verify}");
    let ended = in_namespace(&home, &hidden).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let note = "note: linux/amd64 was started, and there was no /proc: this machine allows none in a user namespace\n";
    assert!(ended.stderr.starts_with(note), "{}", ended.stderr);

    let noexec = format!("mount -t tmpfs -o noexec none \"$ANYARCH_CACHE_DIR\"; {verify}");
    let ended = in_namespace(&home, &noexec).unwrap();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("mounted noexec") && ended.stderr.contains("hint: keep the cache elsewhere"),
        "{}",
        ended.stderr
    );
}

/// Root becomes nobody for it; who is nobody already needs no more than that, and no home.
#[test]
fn nobody_can_start_programs() {
    if !process::is_root() {
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: only root can be another; all other tests ran as an ordinary user");
        return;
    }
    let (project, home) = (project(""), Home::new());
    for folder in [project.path(), home.path()] {
        process::succeed(Command::new("chown").args(["-R", "65534:65534"]).arg(folder));
    }
    let program = project.anyarch_at(&home).args(["build", "--smoke", "look"]).command();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(program.get_program());
    command.args(program.get_args()).env_clear().current_dir(project.path());
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = process::within(command.env("HOME", "/nonexistent"), Duration::from_mins(1));
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    assert!(ended.stderr.contains("user 65532, group 65532, in /\n"), "{}", ended.stderr);
    assert!(ended.stderr.contains("wrote /made\nto /dev/stdout\n"), "{}", ended.stderr);
    assert_eq!(left_over(&home), 0);
}

#[test]
fn an_interrupted_start_leaves_nothing_running() {
    let (project, home) = (project(""), Home::new());
    let program = project.anyarch_at(&home).args(["build", "--smoke", "stay marked-50267"]).command();
    let mut command = Command::new("timeout");
    command.args(["--signal=TERM", "2"]).arg(program.get_program()).args(program.get_args()).env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(project.path());
    let ended = process::within(&mut command, Duration::from_mins(1));
    assert!(ended.stderr.ends_with("error: interrupted\n"), "{}", ended.stderr);
    let is_marked = |entry: &fs::DirEntry| {
        fs::read(entry.path().join("cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains("stay\0marked-50267"))
    };
    assert_eq!(fs::read_dir("/proc").unwrap().flatten().filter(is_marked).count(), 0);
    assert_eq!(left_over(&home), 0);
}

/// Compilers of dynamic programs, by their platform.
const CROSS: &[(&str, &str)] = &[
    ("linux/amd64", "gcc"),
    ("linux/arm64", "aarch64-linux-gnu-gcc"),
    ("linux/arm/v7", "arm-linux-gnueabihf-gcc"),
    ("linux/arm/v5", "arm-linux-gnueabi-gcc"),
    ("linux/s390x", "s390x-linux-gnu-gcc"),
    ("linux/386", "zig cc -target x86-linux-gnu.2.28"),
    ("linux/ppc64le", "zig cc -target powerpc64le-linux-gnu.2.32"),
];

/// Starts an image of one platform, and holds the start to having gone well, or to words.
#[track_caller]
fn assert_started(home: &Home, made: &Made, args: &str, expected: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    made.write(folder.path());
    let name = format!("oci:{}", folder.path().display());
    let output = home.anyarch().args(["verify", &name, "--json", "--smoke", args]).run();
    let said: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}", output.stderr));
    let smoke = &said["platforms"][0]["smoke"];
    let text = smoke["text"].as_str();
    let as_expected =
        expected.map_or(smoke["verdict"] == "ok", |expected| text.is_some_and(|text| text.contains(expected)));
    assert!(as_expected, "{}: {smoke}\n{}", made.platform, output.stderr);
}

#[test]
#[ignore = "full: smoke"]
fn dynamic_programs_and_scripts_start_on_debian_on_each_platform() {
    let (compiled, home) = (Compiled::new(), Home::new());
    fs::write(compiled.folder.path().join("probe.c"), PROBE).unwrap();
    for (platform, compiler) in CROSS {
        let debian = base(Release::Bookworm, platform);
        let probe = compiled.made(compiler, "probe", &[]);
        let made = || Made::on(platform, &debian).app(&*probe);
        assert_started(&home, &made(), "", None);
        assert_started(&home, &made(), "look", Some("ended with exit code 7"));
        assert_started(&home, &made(), "crash", Some("was ended by signal 6"));
        // There an emulator says what is missing, and not the kernel.
        let is_own = matches!(*platform, "linux/amd64" | "linux/386");
        let without = if is_own { "does not start: `/app` cannot be started" } else { "ended with exit code 255" };
        assert_started(&home, &Made::bare(platform).app(&*probe), "", Some(without));
        let closed = Made::bare(platform).file("app", 0o644, &*probe);
        assert_started(&home, &closed, "", Some("does not start: `/app` cannot be started"));
        // Its interpreter is a program of that platform; what it starts is one that it has in itself.
        for script in ["#!/bin/sh\nexit 5\n", "#!/usr/bin/env sh\nexit 5\n", "#! /bin/busybox sh\nexit $1\n"] {
            let made = Made::on(platform, &debian).file("app", 0o755, script);
            assert_started(&home, &made, "5", Some("ended with exit code 5"));
        }
    }
    assert_eq!(left_over(&home), 0);
}

#[test]
#[ignore = "full: smoke"]
fn a_go_program_is_started_on_every_platform() {
    let project = Project::hello_go();
    let said = project.anyarch().args(["build", "--platform", "all", "--smoke", ""]).run();
    let said = said.assert_success().stderr.clone();
    for platform in GO_PLATFORMS {
        assert!(said.contains(&format!("{platform:<16} hello                started ")), "{platform}\n{said}");
    }
}

/// The layers of a base in a registry are fetched for it, and what was damaged in the cache is fetched anew.
#[test]
#[ignore = "full: smoke"]
fn a_push_over_a_base_in_a_registry_is_started_first() {
    let (registry, home) = (Registry::start(&Options::default()), Home::new());
    let base = crate::support::bases::push(Release::Bookworm, &registry.host(), "debian");
    let project = project("entrypoint = [\"/bin/sh\", \"-c\"]\n");
    let tag = format!("{}/app:1", registry.host());
    let build = |smoke: &str| {
        project.anyarch_at(&home).args(["build", "--push", "--base", &base, "-t", &tag, "--smoke", smoke]).run()
    };
    build("'/usr/local/bin/probe && test -e /etc/debian_version'").assert_success();
    damage_largest(&home.cache().join("blobs/sha256"));
    let said = build("'cat /etc/debian_version && exit 9'");
    let said = said.assert_code(3).redacted_stderr();
    assert!(said.contains("it is fetched anew") && said.contains("--- linux/amd64\n12\n---\n"), "{said}");
}

/// Changes the last byte of the largest file.
fn damage_largest(folder: &Path) {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let largest = entries.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(largest, bytes).unwrap();
}
