//! Other programs read what `anyarch copy` wrote, and what they wrote passes through it; and a copy that is killed leaves
//! no half of an image.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use anyarch::blob::Digest;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::buildkit::BuildKit;
use crate::support::docker::Docker;
use crate::support::odd::{self, Odd};
use crate::support::prebuilt::Noise;
use crate::support::process;
use crate::support::program::Home;
use crate::support::proxy::{Fault, Gate, On, Proxy};
use crate::support::publish;
use crate::support::registry::{Options, Registry};
use crate::support::start::Source;
use crate::support::trials::Trials;

const LAYER: usize = 50_000;
/// Which points are tried: another number tries others.
const SEED: u64 = 20_261_122;
/// How many requests at most are not made where another image is there already: for what both have, and for how the registry
/// is spoken to.
const SHARED: u64 = 8;
/// How long a program may take to come to a point, and to end.
const LIMIT: Duration = Duration::from_mins(1);

fn copy(home: &Home, arguments: &[&str]) -> String {
    let output = home.anyarch().args(["copy"]).args(arguments).run();
    output.assert_success().stdout.trim_end().to_owned()
}

fn raw(source: &str) -> String {
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["inspect", "--raw", "--tls-verify=false", source]);
    Digest::of(&process::succeed(&mut skopeo)).to_string()
}

#[test]
#[ignore = "full: copy"]
fn skopeo_umoci_podman_and_docker_read_copies() {
    let (odd, home, registry) = (Odd::new(11, LAYER), Home::new(), Registry::start(&Options::default()));
    let folder = tempfile::tempdir().unwrap();
    let (layout, archive, for_docker) =
        (folder.path().join("layout"), folder.path().join("image.tar"), folder.path().join("docker.tar"));
    let docker = Docker::start();
    for tag in ["v1", "docker"] {
        let digest = odd::named(odd.path(), tag);
        let name = format!("{}/odd:{tag}", registry.host());
        copy(&home, &[&odd.name(tag), &name]);
        let (in_layout, in_archive) =
            (format!("oci:{}:{tag}", layout.display()), format!("oci-archive:{}:{tag}", archive.display()));
        copy(&home, &[&name, &in_layout]);
        copy(&home, &[&name, &in_archive]);
        let mut sources = vec![format!("docker://{name}")];
        // In layouts skopeo knows OCI's own kinds alone.
        sources.extend([in_layout, in_archive].into_iter().filter(|_| tag != "docker"));
        for source in sources {
            assert_eq!(raw(&source), digest, "{source}");
            // All of it, as far as skopeo knows what there is.
            let there = folder.path().join("skopeo");
            let mut skopeo = Command::new("skopeo");
            skopeo.args(["copy", "--quiet", "--all", "--preserve-digests", "--src-tls-verify=false", &source]);
            process::succeed(skopeo.arg(format!("dir:{}", there.display())));
            fs::remove_dir_all(&there).unwrap();
        }
        let image = Source::Registry(format!("{}/odd@{digest}", registry.host()));
        publish::assert_podman_reads(&image, "linux/arm64");
        process::succeed(&mut docker.command(&["pull", "--quiet", "--platform=linux/amd64", &name]));
    }
    // umoci and `docker load` take one platform.
    copy(&home, &["--platform=linux/arm64", &odd.name("v1"), &format!("oci:{}:alone", layout.display())]);
    let mut umoci = Command::new("umoci");
    umoci.args(["raw", "unpack", "--image", &format!("{}:alone", layout.display())]);
    if !process::is_root() {
        umoci.arg("--rootless");
    }
    process::succeed(umoci.arg(folder.path().join("root")));
    assert_eq!(fs::read(folder.path().join("root/data")).unwrap().len(), LAYER);
    let source = format!("{}/odd:v1", registry.host());
    copy(&home, &["--platform=linux/amd64", &source, &format!("docker-archive:{}:odd:loaded", for_docker.display())]);
    process::succeed(docker.command(&["load", "--quiet", "--input"]).arg(&for_docker));
    let found = process::text(&mut docker.command(&["image", "inspect", "--format={{.Architecture}}", "odd:loaded"]));
    assert_eq!(found.trim(), "amd64");
    process::succeed(Command::new("skopeo").arg("inspect").arg(format!("docker-archive:{}", for_docker.display())));
}

/// Copies an image of an archive to a registry, and from there into a layout; it arrives as it was.
fn round_trip(home: &Home, registry: &Registry, source: &str, unpacked: &Path, digest: &str) {
    let folder = tempfile::tempdir().unwrap();
    let repository = format!("{}/trip", registry.host());
    assert_eq!(copy(home, &[source, &format!("{repository}:1")]), format!("{repository}@{digest}"));
    let layout = folder.path().join("layout");
    copy(&Home::new(), &[&format!("{repository}:1"), &format!("oci:{}:1", layout.display())]);
    assert_eq!(odd::named(&layout, "1"), digest);
    odd::assert_same(unpacked, &layout, digest);
}

#[test]
#[ignore = "full: copy"]
fn what_buildkit_and_buildah_make_passes_without_loss() {
    let (home, registry, folder) = (Home::new(), Registry::start(&Options::default()), tempfile::tempdir().unwrap());
    let buildkit = BuildKit::start();
    for (name, attributes) in [("legacy", &[][..]), ("artifact", &["oci-artifact=true"])] {
        let (archive, unpacked) = (folder.path().join(format!("{name}.tar")), folder.path().join(name));
        buildkit.write(&archive, "1", attributes, &[]);
        fs::create_dir(&unpacked).unwrap();
        process::succeed(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&unpacked));
        let digest = odd::named(&unpacked, "1");
        assert!(odd::reachable(&unpacked, &digest).len() > 10, "there are no attestations");
        round_trip(&home, &registry, &format!("oci-archive:{}", archive.display()), &unpacked, &digest);
    }
    let (storage, layout) = (folder.path().join("storage"), folder.path().join("buildah"));
    let buildah = |arguments: &[&str]| {
        let mut buildah = Command::new("buildah");
        buildah.arg("--root").arg(storage.join("root")).arg("--runroot").arg(storage.join("run"));
        process::succeed(buildah.args(["--storage-driver=vfs"]).args(arguments));
    };
    let odd = Odd::new(12, LAYER);
    let source = format!("{}/odd:docker", registry.host());
    copy(&home, &[&odd.name("docker"), &source]);
    buildah(&["manifest", "create", "list"]);
    buildah(&["manifest", "add", "--all", "--tls-verify=false", "list", &format!("docker://{source}")]);
    buildah(&[
        "manifest",
        "push",
        "--all",
        "--tls-verify=false",
        "--format=oci",
        "list",
        &format!("oci:{}:1", layout.display()),
    ]);
    let digest = odd::named(&layout, "1");
    round_trip(&home, &registry, &format!("oci:{}", layout.display()), &layout, &digest);
}

/// Starts a copy from a registry behind a proxy, kills it while a request is held, and lets that go.
fn kill_copy(proxy: &Proxy, home: &Home, arguments: &[&str], on: On, after: u64) {
    let gate = Gate::default();
    proxy.fault(on, Fault::Hold(after, gate.clone()));
    let mut command = home.anyarch().args(["copy"]).args(arguments).command();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert!(gate.wait(LIMIT), "no request came to that point");
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    gate.refuse();
    proxy.settle();
    proxy.heal();
}

#[test]
#[ignore = "full: kill"]
fn a_copy_killed_at_any_point_leaves_no_half_of_an_image_in_a_layout() {
    let (old, new, theirs) = (Odd::new(13, LAYER), Odd::new(14, LAYER), Registry::start(&Options::default()));
    let proxy = Proxy::before(&theirs);
    let source = format!("{}/odd:v1", proxy.host());
    copy(&Home::new(), &[&new.name("v1"), &source]);
    proxy.take();
    let folder = tempfile::tempdir().unwrap();
    copy(&Home::new(), &[&source, &format!("oci:{}:v1", folder.path().join("whole").display())]);
    let requests = proxy.take().len() as u64 - SHARED;
    let (before, after) = (odd::named(old.path(), "v1"), odd::named(new.path(), "v1"));
    let (mut noise, mut trials) = (Noise::new(SEED), Trials::default());
    for number in 0..20 {
        let layout = folder.path().join(number.to_string());
        let to = format!("oci:{}:v1", layout.display());
        let had = number % 2 == 0;
        let point = 1 + noise.below(requests);
        trials.run(&format!("{number}: request {point}"), || {
            let home = Home::new();
            if had {
                copy(&home, &[&old.name("v1"), &to]);
            }
            kill_copy(&proxy, &home, &[&source, &to], On::new("*", "*").nth(point), 0);
            if had {
                assert_eq!(odd::named(&layout, "v1"), before);
                odd::assert_same(old.path(), &layout, &before);
            } else {
                assert!(!layout.join("index.json").exists());
            }
            // A day later nobody else can be at work on what is left.
            for entry in fs::read_dir(&layout).into_iter().flatten().map(Result::unwrap) {
                if entry.file_name().to_string_lossy().ends_with(".unfinished") {
                    let file = fs::File::options().write(true).open(entry.path()).unwrap();
                    file.set_modified(SystemTime::now() - Duration::from_hours(25)).unwrap();
                }
            }
            copy(&home, &[&source, &to]);
            assert_eq!(odd::named(&layout, "v1"), after);
            odd::assert_same(new.path(), &layout, &after);
            let names = fs::read_dir(&layout).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let expected = ["blobs", "index.json", "oci-layout"].map(str::to_owned);
            assert_eq!(names.collect::<BTreeSet<_>>(), expected.into());
        });
    }
}

#[test]
#[ignore = "full: kill"]
fn a_copy_killed_at_any_point_leaves_the_old_tag_in_a_registry() {
    let (old, new, ours) = (Odd::new(15, LAYER), Odd::new(16, LAYER), Registry::start(&Options::default()));
    let proxy = Proxy::before(&ours);
    let repository = |name: &str| format!("{}/{name}", proxy.host());
    copy(&Home::new(), &[&new.name("v1"), &format!("{}:v1", repository("whole"))]);
    let requests = proxy.take().len() as u64 - SHARED;
    let (before, after) = (odd::named(old.path(), "v1"), odd::named(new.path(), "v1"));
    let (mut noise, mut trials) = (Noise::new(SEED), Trials::default());
    for number in 0..20 {
        let point = 1 + noise.below(requests);
        trials.run(&format!("{number}: request {point}"), || {
            let (home, name) = (Home::new(), format!("{}:v1", repository(&format!("try{number}"))));
            copy(&home, &[&old.name("v1"), &name]);
            kill_copy(&proxy, &home, &[&new.name("v1"), &name], On::new("*", "*").nth(point), 0);
            // The registry may have taken what it was asked last.
            thread::sleep(Duration::from_millis(50));
            assert_eq!(raw(&format!("docker://{name}")), before);
            let layout = tempfile::tempdir().unwrap();
            let there = layout.path().join("before");
            copy(&Home::new(), &[&name, &format!("oci:{}:1", there.display())]);
            odd::assert_same(old.path(), &there, &before);
            copy(&home, &[&new.name("v1"), &name]);
            let there = layout.path().join("after");
            copy(&Home::new(), &[&name, &format!("oci:{}:1", there.display())]);
            assert_eq!(odd::named(&there, "1"), after);
            odd::assert_same(new.path(), &there, &after);
        });
    }
}
