//! docker, podman, skopeo and anyarch itself pull from `anyarch serve`, all platforms at once.

use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::json;

use crate::support;
use crate::support::docker::Docker;
use crate::support::layout::{self, Image, Tree};
use crate::support::prebuilt::Noise;
use crate::support::process;
use crate::support::program::Home;
use crate::support::project::Project;
use crate::support::serve::Served;

const PLATFORMS: [&str; 6] =
    ["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/s390x", "linux/ppc64le", "linux/riscv64"];

/// An image of six platforms with layers of some megabytes.
fn write(folder: &Path) -> String {
    let image = |platform: &str| {
        let mut tree = Tree::default();
        tree.file("platform", 0o644, platform);
        tree.file("noise", 0o644, Noise::new(platform.len() as u64).bytes(3 << 20));
        Image { platform: platform.parse().unwrap(), layers: vec![tree], config: json!({"Cmd": ["/none"]}) }
    };
    layout::write(folder, "1.0", &PLATFORMS.map(image)).to_string()
}

fn podman(storage: &Path, arguments: &[&str]) -> Command {
    let mut podman = Command::new("podman");
    podman.arg("--root").arg(storage.join("root")).arg("--runroot").arg(storage.join("run"));
    podman.args(["--storage-driver=vfs", "--events-backend=none"]).args(arguments);
    podman
}

#[test]
#[ignore = "full: serve"]
fn readers_pull_every_platform_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    let digest = write(&layout);
    let served = Served::start(support::anyarch(), &[&format!("team/app={}", layout.display())]);
    let reference = format!("{}/team/app:1.0", served.host());
    let docker = Docker::start();
    thread::scope(|scope| {
        for number in 0..3 {
            let (reference, layout, digest, target) =
                (&reference, &layout, &digest, folder.path().join(format!("copy{number}")));
            scope.spawn(move || {
                let mut skopeo = Command::new("skopeo");
                skopeo.args(["copy", "--quiet", "--all", "--src-tls-verify=false", &format!("docker://{reference}")]);
                process::succeed(skopeo.arg(format!("oci:{}:1.0", target.display())));
                let index = std::fs::read_to_string(target.join("index.json")).unwrap();
                assert!(index.contains(digest.as_str()), "{index}");
                for blob in std::fs::read_dir(layout.join("blobs/sha256")).unwrap() {
                    let blob = blob.unwrap();
                    let copied = std::fs::read(target.join("blobs/sha256").join(blob.file_name())).unwrap();
                    assert!(copied == std::fs::read(blob.path()).unwrap(), "{:?}", blob.path());
                }
            });
        }
        for platform in PLATFORMS {
            let (reference, docker) = (&reference, &docker);
            scope.spawn(move || {
                process::succeed(&mut docker.command(&["pull", "--quiet", "--platform", platform, reference]));
            });
            scope.spawn(move || {
                let storage = tempfile::tempdir().unwrap();
                let platforms = format!("--platform={platform}");
                process::succeed(&mut podman(
                    storage.path(),
                    &["pull", "--quiet", "--tls-verify=false", &platforms, reference],
                ));
                let format = "--format={{.Os}}/{{.Architecture}}";
                let found = process::text(&mut podman(storage.path(), &["image", "inspect", format, reference]));
                assert!(platform.starts_with(&found), "{found}");
            });
        }
    });
    // docker keeps one platform of a name: the last one that was pulled.
    for platform in PLATFORMS {
        process::succeed(&mut docker.command(&["pull", "--quiet", "--platform", platform, &reference]));
        let format = "--format={{.Os}}/{{.Architecture}}";
        let found = process::text(&mut docker.command(&["image", "inspect", format, &reference]));
        assert!(platform.starts_with(&found), "{found}");
    }
}

#[test]
#[ignore = "full: serve"]
fn what_was_built_runs_without_having_been_pushed() {
    let (project, home) = (Project::hello_go(), Home::new());
    project
        .anyarch_at(&home)
        .args(["build", "--platform", "linux/s390x,linux/amd64,linux/arm64"])
        .run()
        .assert_success();
    let served = Served::start(project.anyarch_at(&home), &[]);
    let reference = served.stdout().trim_end().to_owned();
    let host = format!("hello from linux/{}", if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" });
    let docker = Docker::start();
    let run = process::text(&mut docker.command(&["run", "--rm", "--network=none", &reference]));
    assert_eq!(run, host);
    // The image is a base as one of any registry.
    let platforms = ["--platform", "linux/arm64,linux/s390x"];
    let arguments = ["build", "--base", &reference, "-o", "type=oci,dest=out,tar=false"];
    let other = Project::hello_go();
    let output = other.anyarch_at(&home).args(arguments).args(platforms).run();
    output.assert_success();
    let verify = other.anyarch_at(&home).args(["verify", &reference]).run();
    verify.assert_success();
}
