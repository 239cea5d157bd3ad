//! The tests' own tools are held to what they promise: a proof that cannot fail proves nothing.

use std::fs;
use std::process::Command;

use crate::support;
use crate::support::bases::{self, Release};
use crate::support::layout::{self, Image, Tree};
use crate::support::process;
use crate::support::program::redact;
use crate::support::project::Project;
use crate::support::shims::Shims;
use crate::support::source;
use crate::support::start::Source;

#[test]
fn skopeo_reads_every_platform_of_the_debian_base() {
    let base = format!("oci:{}:{}", bases::debian(Release::Bookworm).display(), bases::TAG);
    let raw = process::text(Command::new("skopeo").args(["inspect", "--raw", &base]));
    let raw: serde_json::Value = serde_json::from_str(&raw).unwrap();
    assert_eq!(raw["manifests"].as_array().unwrap().len(), 7);
    for (arguments, architecture) in [
        (&["--override-arch=amd64"][..], "amd64"),
        (&["--override-arch=arm64"], "arm64"),
        (&["--override-arch=arm", "--override-variant=v7"], "arm"),
        (&["--override-arch=386"], "386"),
        (&["--override-arch=s390x"], "s390x"),
    ] {
        let read = process::text(Command::new("skopeo").args(arguments).args(["inspect", &base]));
        let read: serde_json::Value = serde_json::from_str(&read).unwrap();
        assert_eq!(read["Architecture"], architecture);
    }
}

#[test]
fn the_shell_of_the_debian_base_starts_on_native_and_foreign_platforms() {
    let base = Source::Layout(bases::debian(Release::Bookworm));
    assert_eq!(base.platforms(), Release::Bookworm.platforms());
    // What the kernel calls the machine is qemu's answer: the proof that the right CPU is played.
    for (platform, machine) in [
        ("linux/amd64", "x86_64"),
        ("linux/arm64", "aarch64"),
        ("linux/arm/v7", "armv7l"),
        ("linux/arm/v5", "armv5tel"),
    ] {
        let image = base.unpack(platform);
        let ended = image.run(&["sh", "-c", "echo $LANG $PATH; test -L /bin && test -k /tmp && test ! -e /etc/shadow"]);
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        assert_eq!((ended.code, ended.stdout, &*ended.stderr), (0, format!("C.UTF-8 {path}\n"), ""), "{platform}");
        assert_eq!(image.run(&["/bin/uname", "-m"]).stdout, format!("{machine}\n"));
        assert_eq!(image.run(&["sh", "-c", "exit 7"]).code, 7);
    }
}

#[test]
fn a_dynamic_program_starts_only_with_the_loader_of_the_image_itself() {
    let base = Source::Layout(bases::debian(Release::Bookworm));
    for (platform, folder, loader) in [
        ("linux/amd64", "x86_64-linux-gnu", "ld-linux-x86-64.so.2"),
        ("linux/arm64", "aarch64-linux-gnu", "ld-linux-aarch64.so.1"),
        ("linux/s390x", "s390x-linux-gnu", "ld64.so.1"),
    ] {
        let image = base.unpack(platform);
        // glibc's library is a dynamic program too: it prints its version.
        let library = format!("/lib/{folder}/libc.so.6");
        let ended = image.run(&[&library]);
        assert!(ended.stdout.contains("stable release version 2.36"), "{platform}: {ended:?}");
        fs::remove_file(image.root().join("usr/lib").join(folder).join(loader)).unwrap();
        let ended = image.run(&[&library]);
        assert_ne!(ended.code, 0, "{platform}: {ended:?}");
    }
}

#[test]
fn a_program_for_another_cpu_does_not_start() {
    let base = Source::Layout(bases::debian(Release::Bookworm));
    let (wanted, other) = (base.unpack("linux/arm64"), base.unpack("linux/s390x"));
    fs::copy(other.root().join("usr/bin/busybox"), wanted.root().join("usr/bin/busybox")).unwrap();
    let ended = wanted.run(&["sh", "-c", "true"]);
    assert_ne!(ended.code, 0, "{ended:?}");
}

#[test]
fn an_image_starts_as_its_config_says_and_with_nothing_of_the_machine() {
    let busybox = {
        let base = Source::Layout(bases::debian(Release::Bookworm)).unpack("linux/arm64");
        fs::read(base.root().join("usr/bin/busybox")).unwrap()
    };
    let mut tree = Tree::default();
    tree.file("bin/busybox", 0o755, busybox);
    tree.link("sh", "/bin/busybox");
    tree.file("etc/passwd", 0o644, "root:x:0:0::/:\napp:x:1234:5678::/:\n");
    tree.directory("work", 0o755);
    let folder = tempfile::tempdir().unwrap();
    let config = serde_json::json!({
        "User": "app",
        "WorkingDir": "/work",
        "Env": ["PATH=/nowhere:/", "GREETING=hello world"],
        "Entrypoint": ["sh", "-c"],
        "Cmd": ["pwd; echo $GREETING; test -e /home || echo alone"],
    });
    let images = [Image { platform: "linux/arm64".parse().unwrap(), layers: vec![tree], config }];
    layout::write(folder.path(), "test", &images);
    let image = Source::Layout(folder.path().into()).unpack("linux/arm64");
    assert_eq!(image.config()["User"], "app");
    let ended = image.start(&[]);
    assert_eq!((ended.code, &*ended.stdout), (0, "/work\nhello world\nalone\n"), "{}", ended.stderr);
    assert_eq!(image.start(&["exit 5"]).code, 5);
    if process::is_root() {
        assert_eq!(image.run(&["/bin/busybox", "id"]).stdout, "uid=1234(app) gid=5678\n");
    }
}

#[test]
fn a_layout_is_the_same_bytes_each_time() {
    let write = || {
        let folder = tempfile::tempdir().unwrap();
        let mut tree = Tree::default();
        tree.file("etc/motd", 0o644, "hello");
        tree.directory("tmp", 0o1777);
        let image =
            Image { platform: "linux/amd64".parse().unwrap(), layers: vec![tree], config: serde_json::json!({}) };
        layout::write(folder.path(), "test", &[image])
    };
    assert_eq!(write(), write());
}

#[test]
fn an_archive_is_read_like_the_folder_it_holds() {
    let base = bases::debian(Release::Bookworm);
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("base.tar");
    process::succeed(Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&base).arg("."));
    assert_eq!(Source::Archive(archive).raw(), Source::Layout(base).raw());
}

#[test]
fn a_mirror_is_found_in_both_formats_of_package_sources() {
    for (sources, mirror) in [
        ("deb http://mirror.example/debian bookworm main\n", Some("http://mirror.example/debian")),
        ("# deb http://old.example/debian bookworm main\n", None),
        ("deb [arch=amd64 signed-by=/k.gpg] https://m.example/d stable main contrib\n", Some("https://m.example/d")),
        ("deb http://s.example/debian-security bookworm-security main\n", None),
        ("deb http://archive.ubuntu.example/ubuntu noble main\n", None),
        ("Types: deb\nURIs: http://a.example/debian\nSuites: trixie trixie-updates\n", Some("http://a.example/debian")),
        ("Types: deb\nEnabled: no\nURIs: http://a.example/debian\nSuites: trixie\n", None),
        (
            "Types: deb\nURIs: http://s.example/debian-security\nSuites: bookworm-security\n\n\
             Types: deb\n# http://snapshot.example\nURIs: http://b.example/debian\nSuites: bookworm\n",
            Some("http://b.example/debian"),
        ),
    ] {
        assert_eq!(bases::mirror_in(sources).as_deref(), mirror, "{sources}");
    }
}

#[test]
fn what_differs_from_run_to_run_is_redacted() {
    let digest = format!("sha256:{}", "0".repeat(64));
    for (text, redacted) in [
        ("done in 1.25s".to_owned(), "done in [TIME]"),
        ("12 ms, 3.4 MB, 3 s".to_owned(), "[TIME], [SIZE], [TIME]"),
        (format!("at {digest}."), "at [DIGEST]."),
        ("127.0.0.1:43521/app".to_owned(), "127.0.0.1:[PORT]/app"),
        ("2 programs for linux/386 and v1.2.3".to_owned(), "2 programs for linux/386 and v1.2.3"),
        ("/tmp/x/home/file".to_owned(), "[HOME]/file"),
    ] {
        assert_eq!(redact(&text, &[("/tmp/x/home".into(), "[HOME]".into())]), redacted);
    }
}

#[test]
fn a_shim_fails_only_where_it_should() {
    let shims = Shims::new().failing("git", "version", ("WHERE", "here"), "it broke\n", 3);
    let run = |place: &str| {
        let mut command = Command::new(shims.folder().join("git"));
        process::output(command.arg("version").env("WHERE", place).env("PATH", shims.path()))
    };
    let (here, there) = (run("here"), run("there"));
    assert_eq!((process::exit_code(here.status), here.stderr.as_slice()), (3, &b"it broke\n"[..]));
    assert!(there.status.success() && there.stdout.starts_with(b"git version"));
}

#[test]
fn a_program_can_be_taken_off_the_path() {
    let shims = Shims::new().script("tool", "echo ours").without(&["git"]);
    let has = |name: &str| which::which_in(name, Some(shims.folder()), "/").is_ok();
    assert!(has("sh") && has("tool") && !has("git"));
    let mut command = Command::new(shims.folder().join("tool"));
    assert_eq!(process::text(&mut command), "ours");
}

#[test]
fn the_program_runs_with_nothing_of_its_users() {
    let project = Project::hello_go().commit();
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    let command = project.anyarch().command();
    let variables: Vec<_> = command.get_envs().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    for name in ["ANYARCH_CACHE_DIR", "CARGO_HOME", "GOENV", "HOME", "PATH", "RUSTUP_HOME", "XDG_CACHE_HOME"] {
        assert!(variables.iter().any(|variable| variable == name), "{name} is missing");
    }
    assert!(!variables.iter().any(|name| name.starts_with("CARGO_PKG_")), "{variables:?}");
}

#[test]
#[ignore = "full: bases"]
fn every_release_starts_on_each_of_its_platforms() {
    for release in [Release::Bullseye, Release::Bookworm, Release::Trixie] {
        let base = Source::Layout(bases::debian(release));
        assert_eq!(base.platforms(), release.platforms());
        for platform in release.platforms() {
            let image = base.unpack(platform);
            let ended = image.run(&["sh", "-c", "echo started"]);
            assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (0, "started\n", ""), "{release:?} {platform}");
        }
    }
}

#[test]
fn every_test_that_make_test_leaves_out_belongs_to_a_part() {
    let mut marks = 0;
    for folder in ["src", "tests"] {
        for file in source::rust_files(&support::repository().join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            // A test that another one runs as a child of its own belongs to that one.
            let is_child = |line: &&str| line.starts_with("#[ignore = \"run by ");
            let marked = text.lines().map(str::trim).filter(|line| line.starts_with("#[ignore"));
            for line in marked.filter(|line| !is_child(line)) {
                let part = line.strip_prefix("#[ignore = \"full: ").and_then(|rest| rest.strip_suffix("\"]"));
                let plain = |part: &str| part.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
                assert!(part.is_some_and(plain), "{}: `{line}` names no part for scripts/test-full", file.display());
                marks += 1;
            }
        }
    }
    assert!(marks > 0);
}

#[test]
fn a_run_is_held_to_its_words() {
    let output = support::anyarch().args(["--version"]).run();
    let version = env!("CARGO_PKG_VERSION");
    output.assert_success().assert_stdout(&format!("anyarch {version}\n")).assert_stderr("");
    let wrong = std::panic::catch_unwind(|| output.assert_stdout("\n        other\n          words\n        ").status);
    let message = wrong.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("--- expected\nother\n  words\n--- actual\nanyarch "), "{message}");
}
