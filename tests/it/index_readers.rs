//! Images that other programs made pass through `inspect` and `index create` without loss, and what comes out is read by
//! everything that reads images.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyarch::blob::MEDIA_TYPE_INDEX;
use serde_json::{Value, json};

use crate::support::buildkit::BuildKit;
use crate::support::docker::Docker;
use crate::support::process;
use crate::support::program::Home;
use crate::support::publish::assert_podman_reads;
use crate::support::raw_layout::{DOCKER, OCI, RawLayout, platform};
use crate::support::registry::{Options, Registry};
use crate::support::start::Source;

const SLSA: &str = "https://slsa.dev/provenance/v0.2";
const SPDX: &str = "https://spdx.dev/Document";

/// The digests of all blobs of an image, read by skopeo: configs, layers, statements and manifests.
fn blobs(source: &str) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["copy", "--quiet", "--all", "--preserve-digests", "--src-tls-verify=false", source]);
    process::succeed(skopeo.arg(format!("dir:{}", folder.path().display())));
    let files = fs::read_dir(folder.path()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap().replace(".manifest.json", ""));
    names.filter(|name| name.len() == 64).collect()
}

/// Holds dockerd to pulling both platforms.
fn assert_docker_reads(docker: &Docker, reference: &str) {
    for architecture in ["amd64", "arm64"] {
        let platform = format!("--platform=linux/{architecture}");
        process::succeed(&mut docker.command(&["pull", "--quiet", &platform, reference]));
        let format = "{{.Architecture}}";
        let found = process::text(&mut docker.command(&["image", "inspect", "--format", format, reference]));
        assert_eq!(found, architecture, "{reference}");
    }
}

/// Holds umoci to unpacking a platform of an image that is in a layout.
fn assert_umoci_reads(image: &Source, platform: &str, content: &str) {
    let unpacked = image.unpack(platform);
    assert_eq!(fs::read_to_string(unpacked.root().join("app")).unwrap(), content);
}

#[test]
#[ignore = "full: index"]
fn every_reader_takes_an_index_of_oci_and_docker_manifests_with_attestations() {
    let (registry, layout, home, docker) =
        (Registry::start(&Options::default()), RawLayout::new(), Home::new(), Docker::start());
    let index = |types| {
        let images = ["linux/amd64", "linux/arm64"].map(|text| layout.image(types, &platform(text), text));
        let mut entries = images.to_vec();
        entries.push(layout.attestation(&images[0], SLSA));
        layout.index(MEDIA_TYPE_INDEX, &entries, &Value::Null)
    };
    let [amd64, arm64] =
        [(OCI, "linux/amd64"), (DOCKER, "linux/arm64")].map(|(types, text)| layout.image(types, &platform(text), text));
    layout.tags(&[("oci", &index(OCI)), ("docker", &index(DOCKER)), ("amd64", &amd64), ("arm64", &arm64)]);
    for (name, sources) in [("mixed", &["amd64", "arm64"][..]), ("oci", &["oci"]), ("docker", &["docker"])] {
        let reference = format!("{}/{name}:1", registry.host());
        let out = layout.folder().join(name);
        let sources: Vec<String> = sources.iter().map(|tag| layout.name(tag)).collect();
        let places = ["-t", &reference, "-t", &format!("oci:{}:1", out.display())];
        let output = home.anyarch().args(["index", "create"]).args(places).args(sources).run();
        output.assert_success();
        assert_podman_reads(&Source::Registry(reference.clone()), "linux/amd64");
        assert_podman_reads(&Source::Registry(reference.clone()), "linux/arm64");
        assert_docker_reads(&docker, &reference);
        let kept = blobs(&format!("docker://{reference}"));
        assert_eq!(blobs(&format!("oci:{}:1", out.display())), kept);
        // umoci does not take docker's layers.
        if name != "docker" {
            assert_umoci_reads(&Source::Layout(out), "linux/amd64", "linux/amd64");
        }
    }
}

/// The image of a program that says something about any image: the protocol of `BuildKit`'s scanners.
fn scanner(registry: &Registry, buildkit: &BuildKit) -> String {
    let context = tempfile::tempdir().unwrap();
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v0.1", "predicateType": SPDX,
        "predicate": {"SPDXID": "SPDXRef-DOCUMENT", "spdxVersion": "SPDX-2.3", "name": "sbom"},
    });
    let program = format!(
        "package main\n\nimport \"os\"\n\nfunc main() {{\n\tfile := os.Getenv(\"BUILDKIT_SCAN_DESTINATION\") + \"/sbom.spdx.json\"\n\
         \tif err := os.WriteFile(file, []byte(`{statement}`), 0o644); err != nil {{\n\t\tpanic(err)\n\t}}\n}}\n"
    );
    let put = |name: &str, text: &str| fs::write(context.path().join(name), text).unwrap();
    put("main.go", &program);
    put("go.mod", "module scanner\n\ngo 1.21\n");
    put("Dockerfile", "FROM scratch\nCOPY scanner /scanner\nENTRYPOINT [\"/scanner\"]\n");
    process::succeed(
        Command::new("go").args(["build", "-o", "scanner", "."]).env("CGO_ENABLED", "0").current_dir(context.path()),
    );
    let reference = format!("{}/scanner:1", registry.host());
    let mut build = buildkit.command();
    build.args(["build", "--progress=plain", "--frontend=dockerfile.v0"]);
    for place in ["context", "dockerfile"] {
        build.arg("--local").arg(format!("{place}={}", context.path().display()));
    }
    process::succeed(build.arg("--output").arg(format!("type=image,name={reference},push=true")));
    reference
}

#[test]
#[ignore = "full: buildkit"]
fn what_buildkit_makes_passes_without_loss_with_provenance_and_sboms_in_both_forms() {
    let (registry, folder, home) = (Registry::start(&Options::default()), tempfile::tempdir().unwrap(), Home::new());
    let buildkit = BuildKit::start();
    let sbom = format!("attest:sbom=generator={}", scanner(&registry, &buildkit));
    let docker = Docker::start();
    for (form, attributes) in [("legacy", &[][..]), ("artifact", &["oci-artifact=true"])] {
        let archive = folder.path().join(form);
        buildkit.write(&archive, "1", attributes, &[&sbom]);
        let name = format!("oci-archive:{}", archive.display());
        let said = home.anyarch().args(["inspect", "--json", &name]).run().json();
        let of = |list: &str, key: &str| -> Vec<Value> {
            said[list].as_array().unwrap().iter().map(|held| held[key].clone()).collect()
        };
        let platforms = [json!("linux/amd64"), json!("linux/arm64")];
        assert_eq!(
            (of("images", "platform"), of("attestations", "platform")),
            (platforms.to_vec(), platforms.to_vec())
        );
        assert_eq!(of("attestations", "of"), of("images", "digest"));
        let predicates = json!([SPDX, SLSA]);
        assert_eq!(of("attestations", "predicates"), [predicates.clone(), predicates], "{form}");
        assert_eq!(said["artifacts"], json!([]));

        let create = |arguments: &[&str]| {
            let output = home.anyarch().args(["index", "create"]).args(arguments).run();
            output.assert_success();
            output
        };
        let app = format!("{}/{form}:1", registry.host());
        let output = create(&["-t", &app, &name]);
        assert!(output.stdout.trim_end().ends_with(said["digest"].as_str().unwrap()), "{}", output.stdout);
        let all = blobs(&name);
        assert_eq!(blobs(&format!("docker://{app}")), all);
        // Taken apart and put together, it is the same again.
        for architecture in ["amd64", "arm64"] {
            let tag = format!("{}/{form}-{architecture}:1", registry.host());
            create(&["-t", &tag, "--platform", &format!("linux/{architecture}"), &app]);
        }
        let together = format!("{}/{form}-together:1", registry.host());
        create(&[
            "-t",
            &together,
            "--template",
            &format!("{}/{form}-ARCH:1", registry.host()),
            "--platform",
            "linux/amd64,linux/arm64",
        ]);
        let entries = |reference: &str| {
            let raw = Source::Registry(reference.to_owned()).raw();
            let key = |entry: &Value| entry["digest"].to_string();
            let mut entries = raw["manifests"].as_array().unwrap().clone();
            entries.sort_by_key(key);
            entries
        };
        assert_eq!(entries(&together), entries(&app));
        for reference in [&app, &together] {
            assert_podman_reads(&Source::Registry(reference.clone()), "linux/arm64");
            assert_docker_reads(&docker, reference);
        }
    }
}

/// A call of buildah that keeps everything in `folder`.
fn buildah(folder: &Path, arguments: &[&str]) -> String {
    let mut buildah = Command::new("buildah");
    buildah.arg("--root").arg(folder.join("root")).arg("--runroot").arg(folder.join("run"));
    process::text(buildah.arg("--storage-driver=vfs").args(arguments))
}

#[test]
#[ignore = "full: buildkit"]
fn what_buildah_manifest_makes_passes_without_loss() {
    let (registry, folder, home) = (Registry::start(&Options::default()), tempfile::tempdir().unwrap(), Home::new());
    let (place, file) = (folder.path(), folder.path().join("app"));
    buildah(place, &["manifest", "create", "made"]);
    for (architecture, variant) in [("amd64", ""), ("arm", "v7")] {
        fs::write(&file, architecture).unwrap();
        let container = buildah(place, &["from", "scratch"]);
        buildah(place, &["copy", &container, &file.display().to_string(), "/app"]);
        buildah(
            place,
            &["config", "--arch", architecture, "--variant", variant, "--entrypoint", "[\"/app\"]", &container],
        );
        buildah(place, &["commit", "--manifest", "made", &container]);
    }
    for (format, kind) in [("oci", MEDIA_TYPE_INDEX), ("v2s2", anyarch::blob::MEDIA_TYPE_DOCKER_INDEX)] {
        let made = format!("{}/buildah:{format}", registry.host());
        let push = ["manifest", "push", "--all", "--tls-verify=false", "--format", format, "made"];
        buildah(place, &[push.as_slice(), &[&format!("docker://{made}")]].concat());
        let said = home.anyarch().args(["inspect", "--json", &made]).run().json();
        assert_eq!(said["mediaType"], kind);
        let platforms: Vec<&Value> =
            said["images"].as_array().unwrap().iter().map(|image| &image["platform"]).collect();
        assert_eq!(platforms, ["linux/amd64", "linux/arm/v7"]);
        let app = format!("{}/app:{format}", registry.host());
        home.anyarch().args(["index", "create", "-t", &app, &made]).run().assert_success();
        assert_eq!(blobs(&format!("docker://{app}")), blobs(&format!("docker://{made}")));
        assert_podman_reads(&Source::Registry(app), "linux/amd64");
    }
}
