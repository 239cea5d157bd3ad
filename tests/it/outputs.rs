//! Where an image goes: each output of buildx is read back, alone and beside others, and what is said of it in the file for
//! programs is buildx's.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::prebuilt;
use crate::support::process;
use crate::support::program::Output;
use crate::support::project::Project;
use crate::support::registry::{Options, Registry};

/// Two programs for two platforms, with a file beside them.
fn project() -> Project {
    let table = "[[file]]\nsource = \"etc/hello.conf\"\ndestination = \"/etc/hello.conf\"\nmode = \"0600\"\n";
    let project = prebuilt::project();
    let config = fs::read_to_string(project.path().join("anyarch.toml")).unwrap();
    project.file("anyarch.toml", config + table).file("etc/hello.conf", "port = 8080\n")
}

fn build(project: &Project, arguments: &[&str]) -> Output {
    project.anyarch().args(["build"]).args(arguments).run()
}

/// Every file below a folder with its mode, and its length or target, in the order of paths.
fn files(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(below) = pending.pop() {
        for entry in fs::read_dir(below).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
                continue;
            }
            let metadata = fs::metadata(&path).unwrap();
            assert_eq!(metadata.mtime(), 0, "{}", path.display());
            let mode = metadata.permissions().mode() & 0o7777;
            files.push(format!("{} {mode:o}", path.strip_prefix(folder).unwrap().display()));
        }
    }
    files.sort();
    files
}

fn members(tar: &Path) -> Vec<String> {
    let listed = process::text(Command::new("tar").arg("-tf").arg(tar));
    listed.lines().filter(|line| !line.ends_with('/')).map(str::to_owned).collect()
}

#[test]
fn what_was_added_to_the_base_is_there_as_files_and_as_a_tar() {
    let project = project();
    let path = |name: &str| project.path().join(name);
    build(&project, &["-o", "out", "-o", "type=tar,dest=out.tar"]).assert_success().assert_stdout("out\nout.tar\n");
    let both = [
        "linux_amd64/etc/hello.conf 600",
        "linux_amd64/usr/local/bin/hello 755",
        "linux_arm64/etc/hello.conf 600",
        "linux_arm64/usr/local/bin/hello 755",
    ];
    assert_eq!(files(&path("out")), both);
    for architecture in ["amd64", "arm64"] {
        let built = fs::read(path(&format!("out/linux_{architecture}/usr/local/bin/hello"))).unwrap();
        assert_eq!(built, fs::read(path(&format!("hello-{architecture}"))).unwrap());
    }
    let mut listed = members(&path("out.tar"));
    listed.sort();
    assert_eq!(listed, both.map(|line| line.split(' ').next().unwrap().to_owned()));

    // One platform has no folder of its own, unless it is asked for; what else is there stays.
    fs::create_dir_all(path("here/etc")).unwrap();
    fs::write(path("here/etc/hello.conf"), "old").unwrap();
    fs::write(path("here/etc/mine"), "mine").unwrap();
    build(&project, &["--platform", "linux/arm64", "-o", "type=local,dest=here"]).assert_success();
    assert_eq!(fs::read_to_string(path("here/etc/hello.conf")).unwrap(), "port = 8080\n");
    assert_eq!(fs::read_to_string(path("here/etc/mine")).unwrap(), "mine");
    fs::remove_file(path("here/etc/mine")).unwrap();
    assert_eq!(files(&path("here")), ["etc/hello.conf 600", "usr/local/bin/hello 755"]);
    let split = ["--platform", "linux/arm64", "-o", "type=local,dest=split,platform-split=true"];
    build(&project, &split).assert_success();
    assert_eq!(files(&path("split")), both[2..]);

    let stdout = build(&project, &["--platform", "linux/arm64", "-o", "-"]);
    stdout.assert_success();
    fs::write(path("stdout.tar"), &stdout.bytes).unwrap();
    assert_eq!(members(&path("stdout.tar")), ["etc/hello.conf", "usr/local/bin/hello"]);
}

#[test]
fn files_that_cannot_be_where_they_should_leave_everything_as_it_was() {
    let project = project().file("taken/etc", "a file").file("plain", "a file");
    let path = |name: &str| project.path().join(name);
    let one = ["--platform", "linux/arm64"];
    let refused = |arguments: &[&str], words: &str| {
        let output =
            project.anyarch().redact(project.path().to_string_lossy(), "DIR").args(["build"]).args(arguments).run();
        output.assert_code(1).assert_stdout("");
        let said = output.redacted_stderr();
        let said = said.split_once("error: ").map_or("", |(_, error)| error).replace("[CWD]", "DIR");
        assert_eq!(said, words);
    };
    refused(
        &[&one[..], &["-o", "type=local,dest=taken"]].concat(),
        "`DIR/taken` cannot be written\n  because: `DIR/taken/etc` is no folder and in the way\n",
    );
    assert_eq!(fs::read_dir(path("taken")).unwrap().count(), 1);
    refused(
        &["-o", "type=local,dest=merged,platform-split=false"],
        "`DIR/merged` cannot be written\n  because: `etc/hello.conf` is there for linux/amd64 and for linux/arm64, which \
         would need folders of their own\n",
    );
    assert!(!path("merged").exists());
    refused(
        &["-o", "type=tar,dest=-,platform-split=false"],
        "`stdout` cannot be written\n  because: `etc/hello.conf` is there for linux/amd64 and for linux/arm64, which would \
         need folders of their own\n",
    );
    refused(
        &["-o", "plain"],
        "`DIR/plain` is there already and is no folder\n\nhint: choose another folder: -o type=local,dest=DIR/plain-files\n",
    );
    refused(
        &["-o", "type=oci,dest=taken"],
        "`DIR/taken` is a folder, and an archive is a file\n\nhint: -o type=oci,dest=DIR/taken/image.tar\n\
         hint: as a folder: -o type=oci,dest=DIR/taken,tar=false\n",
    );
    let left: Vec<_> = fs::read_dir(project.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".anyarch-")), "{left:?}");
}

#[test]
fn one_build_goes_to_several_places_and_tells_programs_what_it_made() {
    let (project, registry) = (project(), Registry::start(&Options::default()));
    let name = format!("{}/team/hello:1", registry.host());
    let outputs =
        ["-o", "type=oci,dest=a.tar", "-o", "type=oci,dest=a,tar=false", "--push", "-o", "type=local,dest=files"];
    let arguments = [&["-t", &name, "--metadata-file", "meta.json", "--iidfile", "digest"][..], &outputs].concat();
    let output = build(&project, &arguments);
    let digest = fs::read_to_string(project.path().join("digest")).unwrap();
    let repository = name.trim_end_matches(":1");
    let lines = format!("oci-archive:a.tar:1\noci:a:1\nfiles\n{repository}@{digest}\n");
    assert_eq!(output.assert_success().stdout, lines);
    let meta: Value = serde_json::from_slice(&fs::read(project.path().join("meta.json")).unwrap()).unwrap();
    let index = fs::read(project.path().join("a/blobs/sha256").join(digest.trim_start_matches("sha256:"))).unwrap();
    assert_eq!(
        meta,
        json!({
            "containerimage.digest": digest,
            "containerimage.descriptor": {
                "mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest, "size": index.len(),
            },
            "image.name": name,
        })
    );
    let skopeo = |source: &str| {
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["inspect", "--raw", "--tls-verify=false", source]).current_dir(project.path());
        process::succeed(&mut skopeo)
    };
    for source in [format!("docker://{name}"), "oci:a:1".to_owned(), "oci-archive:a.tar:1".to_owned()] {
        assert_eq!(skopeo(&source), index, "{source}");
    }
    let layout: Value = serde_json::from_slice(&fs::read(project.path().join("a/index.json")).unwrap()).unwrap();
    let annotations = &layout["manifests"][0]["annotations"];
    assert_eq!(annotations, &json!({"org.opencontainers.image.ref.name": "1", "io.containerd.image.name": name}));
}

#[test]
fn a_push_by_digest_brings_everything_and_moves_no_tag() {
    let (project, registry) = (prebuilt::project(), Registry::start(&Options::default()));
    let repository = format!("{}/team/hello", registry.host());
    let output = format!("type=image,push=true,push-by-digest=true,name={repository},annotation-index.a=b");
    let built = build(&project, &["--metadata-file", "meta.json", "-o", &output]);
    let reference = built.assert_success().stdout.trim_end().to_owned();
    let digest = reference.strip_prefix(&format!("{repository}@")).unwrap();
    assert!(built.stderr.contains(&format!("pushed {reference}\n")), "{}", built.stderr);
    let meta: Value = serde_json::from_slice(&fs::read(project.path().join("meta.json")).unwrap()).unwrap();
    assert_eq!((&meta["containerimage.digest"], &meta["image.name"]), (&json!(digest), &json!(repository)));
    let skopeo = |arguments: &[&str]| {
        process::output(
            Command::new("skopeo").args(arguments).args(["--tls-verify=false", &format!("docker://{reference}")]),
        )
    };
    let raw: Value = serde_json::from_slice(&skopeo(&["inspect", "--raw"]).stdout).unwrap();
    assert_eq!((raw["manifests"].as_array().unwrap().len(), &raw["annotations"]["a"]), (2, &json!("b")));
    let folder = tempfile::tempdir().unwrap();
    let whole = format!("oci:{}:all", folder.path().display());
    let copy = ["copy", "--quiet", "--all", "--src-tls-verify=false", &format!("docker://{reference}"), &whole];
    process::succeed(Command::new("skopeo").args(copy));
    let tagged =
        |line: &&String| line.starts_with("PUT ") && line.contains("/manifests/") && !line.contains("/sha256:");
    assert_eq!(registry.requests().iter().find(tagged), None);
    // Again: everything is there, and nothing is sent.
    let puts = |registry: &Registry| registry.requests().iter().filter(|line| line.starts_with("PUT ")).count();
    let before = puts(&registry);
    assert_eq!(build(&project, &["-o", &output]).assert_success().stdout, format!("{reference}\n"));
    assert_eq!(puts(&registry), before);
}
