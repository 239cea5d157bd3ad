//! Archives of docker's: what is written loads wherever docker's do, and what others save is read.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::docker::Docker;
use crate::support::prebuilt;
use crate::support::process;
use crate::support::program::{Home, Program};
use crate::support::project::Project;

const ARGUMENTS: [&str; 5] = ["build", "--platform", "linux/arm64", "-o", "type=docker,dest=image.tar"];
const TABLE: &str = "
    PLATFORM     ENTRYPOINT            FORMAT  LIBC  VERDICT
    linux/arm64  /usr/local/bin/hello  static  -     ok
    ";

fn at(folder: &Path, command: &str, arguments: &[&str]) -> String {
    process::text(Command::new(command).args(arguments).current_dir(folder))
}

#[test]
fn an_archive_for_docker_is_a_layout_too_and_a_base() {
    let (project, home) = (prebuilt::project(), Home::new());
    let anyarch = || -> Program<'_> { project.anyarch_at(&home) };
    let names = ["-t", "app:1.0", "-t", "registry.example.com/app:2", "--metadata-file", "meta.json"];
    let built = anyarch().args(ARGUMENTS).args(names).run();
    built.assert_success().assert_stdout("docker-archive:image.tar\n");
    assert!(
        built.stderr.contains("run it:  docker load --input image.tar && docker run --rm app:1.0\n"),
        "{}",
        built.stderr
    );
    let folder = project.path();
    let saved: Value = serde_json::from_str(&at(folder, "tar", &["-xOf", "image.tar", "manifest.json"])).unwrap();
    let tags = json!(["docker.io/library/app:1.0", "registry.example.com/app:2"]);
    assert_eq!((saved.as_array().unwrap().len(), &saved[0]["RepoTags"]), (1, &tags));
    let config = saved[0]["Config"].as_str().unwrap().replace("blobs/sha256/", "sha256:");
    let meta: Value = serde_json::from_slice(&fs::read(folder.join("meta.json")).unwrap()).unwrap();
    assert_eq!(
        (&meta["containerimage.config.digest"], &meta["image.name"]),
        (&json!(config), &json!("docker.io/library/app:1.0,registry.example.com/app:2"))
    );
    // Each reader takes its own half of the archive.
    for source in ["docker-archive:image.tar", "docker-archive:image.tar:app:1.0", "oci-archive:image.tar:1.0"] {
        let arguments =
            ["--override-arch", "arm64", "inspect", "--format", "{{.Architecture}} {{len .Layers}}", source];
        assert_eq!(at(folder, "skopeo", &arguments), "arm64 2", "{source}");
    }
    for image in
        ["docker-archive:image.tar", "docker-archive:image.tar:app:1.0", "docker-archive:image.tar:2", "./image.tar"]
    {
        anyarch().args(["verify", image]).run().assert_success().assert_stdout(TABLE);
    }
    let base =
        ["build", "--platform", "linux/arm64", "--base", "docker-archive:image.tar", "-o", "type=oci,dest=top.tar"];
    anyarch().args(base).run().assert_success();
    let layers = ["--override-arch", "arm64", "inspect", "--format", "{{len .Layers}}", "oci-archive:top.tar"];
    assert_eq!(at(folder, "skopeo", &layers), "3");
    let none = anyarch().args(["verify", "docker-archive:image.tar:app:3"]).run();
    none.assert_code(6).assert_stderr(
        "
        error: the layout of the image `docker-archive:image.tar:app:3` has no image `app:3`; it has docker.io/library/app:1.0, registry.example.com/app:2

        hint: docker-archive:image.tar:docker.io/library/app:1.0
        hint: docker-archive:image.tar:registry.example.com/app:2
        ",
    );
}

#[test]
fn an_image_without_a_name_is_called_as_the_project_calls_it() {
    let project = prebuilt::project();
    project.anyarch().args(ARGUMENTS).run().assert_success();
    let saved: Value =
        serde_json::from_str(&at(project.path(), "tar", &["-xOf", "image.tar", "manifest.json"])).unwrap();
    assert_eq!(saved[0]["RepoTags"], json!(["docker.io/library/hello:latest"]));
    // What goes to docker alone is for this machine, whatever the file says.
    let config = fs::read_to_string(project.path().join("anyarch.toml")).unwrap();
    let project = project.file("anyarch.toml", format!("platforms = [\"linux/amd64\", \"linux/arm64\"]\n{config}"));
    let plan = project.anyarch().args(["plan", "--json", "-o", "type=docker,dest=host.tar"]).run().json();
    let units = plan["plan"]["images"][0]["units"].as_array().unwrap();
    let host = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };
    assert_eq!(units.iter().map(|unit| &unit["platform"]).collect::<Vec<_>>(), [&json!(host)]);
}

/// What skopeo and podman write has no layout in it: a `manifest.json` alone, layers that are not compressed.
#[test]
fn an_archive_of_skopeo_is_read_as_a_base_and_by_its_path() {
    let (project, home) = (prebuilt::project(), Home::new());
    project.anyarch_at(&home).args(ARGUMENTS).args(["-t", "app:1"]).run().assert_success();
    let folder = project.path();
    let copy =
        ["--override-arch", "arm64", "copy", "--quiet", "docker-archive:image.tar", "docker-archive:saved.tar:app:1"];
    at(folder, "skopeo", &copy);
    assert!(!at(folder, "tar", &["-tf", "saved.tar"]).lines().any(|member| member == "index.json"));
    for image in ["docker-archive:saved.tar", "docker-archive:saved.tar:app:1", "saved.tar", "./saved.tar"] {
        project.anyarch_at(&home).args(["verify", image]).run().assert_success().assert_stdout(TABLE);
    }
    let base = ["build", "--platform", "linux/arm64", "--base", "docker-archive:saved.tar", "--offline"];
    project.anyarch_at(&home).args(base).args(["-o", "type=oci,dest=top,tar=false"]).run().assert_success();
    at(folder, "umoci", &["unpack", "--rootless", "--image", "top:latest", "unpacked"]);
    let program = fs::read(folder.join("unpacked/rootfs/usr/local/bin/hello")).unwrap();
    assert_eq!(program, fs::read(folder.join("hello-arm64")).unwrap());
    project.anyarch_at(&home).args(["verify", "oci-archive:saved.tar"]).run().assert_code(6).assert_stderr(
        "
        error: the file `saved.tar` of the image `oci-archive:saved.tar` holds no image layout: it has no index.json

        hint: an archive of docker's: docker-archive:saved.tar
        ",
    );
    at(folder, "gzip", &["--keep", "saved.tar"]);
    project.anyarch_at(&home).args(["verify", "docker-archive:saved.tar.gz"]).run().assert_code(6).assert_stderr(
        "
        error: the file `saved.tar.gz` of the image `docker-archive:saved.tar.gz` is compressed by gzip, and is read where it lies

        hint: gunzip --keep saved.tar.gz
        ",
    );
}

/// A program that podman and docker can hold: the same names, the same IDs, and what they save again is read.
fn assert_saved(project: &Project, home: &Home, saved: &str) {
    let verified = project.anyarch_at(home).args(["verify", &format!("docker-archive:{saved}")]).run();
    let host = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };
    verified.assert_success().assert_stdout(&TABLE.replace("linux/arm64", host));
}

#[test]
#[ignore = "full: docker"]
fn dockerd_loads_what_is_written_and_what_it_saves_is_read() {
    let (project, home, docker) = (prebuilt::project(), Home::new(), Docker::start());
    let socket = docker.socket();
    let anyarch = || project.anyarch_at(&home).env("DOCKER_HOST", &socket);
    let id = |name: &str| process::text(&mut docker.command(&["image", "inspect", "--format={{.Id}}", name]));
    let build = ["build", "-o", "type=docker,dest=image.tar", "-t", "app:file", "--metadata-file", "meta.json"];
    anyarch().args(build).run().assert_success();
    process::succeed(docker.command(&["load", "--input", "image.tar"]).current_dir(project.path()));
    let meta: Value = serde_json::from_slice(&fs::read(project.path().join("meta.json")).unwrap()).unwrap();
    assert_eq!(id("app:file"), meta["containerimage.config.digest"]);
    anyarch()
        .args(["build", "--load", "-t", "app:1", "-t", "app:2"])
        .run()
        .assert_success()
        .assert_stdout("app:1\napp:2\n");
    assert_eq!((id("app:1"), id("app:2")), (id("app:file"), id("app:file")));
    // The layout of another build, an archive, and the registry's form are loaded by `load` in the same way.
    anyarch().args(["build"]).run().assert_success();
    for (image, name) in [("oci:.anyarch/out/hello", "hello:latest"), ("image.tar", "app:file")] {
        anyarch().args(["load", image]).run().assert_success().assert_stdout(&format!("{name}\n"));
        assert_eq!(id(name), id("app:1"));
    }
    anyarch().args(["load", "image.tar", "-t", "other:9"]).run().assert_success().assert_stdout("other:9\n");
    process::succeed(
        docker.command(&["save", "--output", "saved.tar", "app:1", "other:9"]).current_dir(project.path()),
    );
    assert_saved(&project, &home, "saved.tar:other:9");
    assert_eq!(at(project.path(), "tar", &["-tf", "saved.tar"]).matches("manifest.json").count(), 1);
}

#[test]
#[ignore = "full: docker"]
fn podman_loads_what_is_written_and_what_it_saves_is_read() {
    let (project, home) = (prebuilt::project(), Home::new());
    let storage = tempfile::tempdir().unwrap();
    let podman = |arguments: &[&str]| {
        let mut podman = Command::new("podman");
        podman.arg("--root").arg(storage.path().join("root")).arg("--runroot").arg(storage.path().join("run"));
        podman.args(["--storage-driver=vfs", "--events-backend=none"]).args(arguments).current_dir(project.path());
        podman
    };
    let build = ["build", "-o", "type=docker,dest=image.tar", "-t", "registry.example.com/app:file"];
    project.anyarch_at(&home).args(build).run().assert_success();
    let loaded = process::text(&mut podman(&["load", "--quiet", "--input", "image.tar"]));
    assert!(loaded.contains("registry.example.com/app:file"), "{loaded}");
    let socket = format!("unix://{}", storage.path().join("podman.sock").display());
    let mut service = podman(&["system", "service", "--time=0", &socket]);
    let mut service = service.spawn().expect("podman can be started");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !storage.path().join("podman.sock").exists() {
        assert!(std::time::Instant::now() < end, "podman does not answer");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let anyarch = || project.anyarch_at(&home).env("CONTAINER_HOST", &socket);
    let first = anyarch().args(["build", "--load", "-t", "app:1"]).run();
    let loaded = anyarch().args(["load", "image.tar", "-t", "registry.example.com/app:2"]).run();
    service.kill().and_then(|()| service.wait()).expect("podman can be ended");
    first.assert_success().assert_stdout("app:1\n");
    assert!(first.stderr.contains("loaded into podman as app:1\n"), "{}", first.stderr);
    loaded.assert_success().assert_stdout("registry.example.com/app:2\n");
    let id = |name: &str| process::text(&mut podman(&["image", "inspect", "--format={{.Id}}", name]));
    assert_eq!(id("docker.io/library/app:1"), id("registry.example.com/app:file"));
    assert_eq!(id("registry.example.com/app:2"), id("registry.example.com/app:file"));
    process::succeed(&mut podman(&["save", "--quiet", "--format=docker-archive", "--output=saved.tar", "app:1"]));
    assert_saved(&project, &home, "saved.tar");
}
