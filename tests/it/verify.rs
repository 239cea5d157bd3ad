//! What people and programs read of `anyarch verify`, and how little of an image it reads.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::bases::Release;
use crate::support::layout::{self, Image, Tree};
use crate::support::made::{Compiled, Made, base};
use crate::support::process;
use crate::support::program::Home;
use crate::support::registry::{Options, Registry};
use crate::support::start::Source;

#[test]
fn a_table_for_people_findings_below_and_an_exit_code_for_pipelines() {
    let compiled = Compiled::new();
    let debian = base(Release::Bullseye, "linux/amd64");
    let folder = tempfile::tempdir().unwrap();
    let images = [
        ("linux/amd64", compiled.hello("gcc", &[]), vec![debian]),
        ("linux/arm64", compiled.hello("gcc", &["-static"]), Vec::new()),
        ("linux/386", Vec::new(), Vec::new()),
    ];
    let images: Vec<Image> = images
        .into_iter()
        .map(|(platform, app, mut layers)| {
            let mut top = Tree::default();
            let script = "#!/bin/sh -e\n".as_bytes().to_vec();
            top.file("app", 0o755, if app.is_empty() { script } else { app });
            layers.push(top);
            Image {
                platform: platform.parse().unwrap(),
                layers,
                config: json!({"Entrypoint": ["/app", "--port", "80"]}),
            }
        })
        .collect();
    layout::write(folder.path(), "1.0", &images);
    let image = format!("oci:{}", folder.path().display());
    let home = Home::new();
    let verify = |arguments: &[&str]| {
        home.anyarch().redact(folder.path().to_string_lossy(), "DIR").args(["verify"]).args(arguments).run()
    };
    let table = "
        PLATFORM     ENTRYPOINT      FORMAT   LIBC        VERDICT
        linux/amd64  /app --port 80  dynamic  glibc 2.31  fails
        linux/arm64  /app --port 80  static   -           fails
        linux/386    /app --port 80  script   -           fails
        ";
    let words = "
        linux/amd64      fails    `/app` needs GLIBC_2.34 (`__libc_start_main`) of `libc.so.6`, and `/usr/lib/x86_64-linux-gnu/libc-2.31.so` is of glibc 2.31
                         hint: build it for the glibc that the image has: libc = \"gnu.2.31\" (zig)
                         hint: build it static: libc = \"musl\"
                         hint: take a base with glibc 2.34 or newer, as debian:12
        linux/arm64      fails    `/app` is an x86-64 binary, linux/arm64 needs AArch64
                         hint: publish it as what it is: --platform linux/amd64
        linux/386        fails    the script `/app` asks for the interpreter `/bin/sh`, which is not in the image
                         hint: take a base that has `/bin/sh`
        error: `oci:DIR` does not start on linux/amd64, linux/arm64, linux/386
        ";
    for _ in 0..2 {
        verify(&[&image]).assert_code(3).assert_stdout(table).assert_stderr(words);
    }
    let said: Value = serde_json::from_str(&verify(&["--json", "--platform", "linux/arm64", &image]).stdout).unwrap();
    assert_eq!(said["platforms"].as_array().unwrap().len(), 1);
    let platform = &said["platforms"][0];
    assert_eq!(
        (&platform["verdict"], &platform["format"], &platform["program"]),
        (&json!("fails"), &json!("static"), &json!("/app"))
    );
    assert_eq!(platform["findings"][0]["hints"], json!(["publish it as what it is: --platform linux/amd64"]));
    let none = verify(&["--platform", "linux/s390x", &image]);
    none.assert_code(2).assert_stdout("").assert_stderr(
        "
        error: the image `oci:DIR` has no linux/s390x

        hint: --platform linux/amd64
        hint: --platform linux/arm64
        hint: --platform linux/386
        ",
    );
}

/// The fewest layers: what is static and for a user by number needs the layer of the program alone.
#[test]
fn only_the_layers_that_matter_are_fetched_and_a_layer_is_listed_once() {
    let compiled = Compiled::new();
    let mut below = Tree::default();
    below.directory("etc", 0o755);
    below.file("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\napp:x:7:7::/:\n");
    let mut app = Tree::default();
    app.file("usr/local/bin/app", 0o755, compiled.hello("gcc", &["-static"]));
    let mut above = Tree::default();
    above.file("etc/motd", 0o644, "hello\n");
    let registry = Registry::start(&Options::default());
    let home = Home::new();
    let push = |name: &str, user: &str| {
        let folder = tempfile::tempdir().unwrap();
        let config = json!({"Entrypoint": ["/usr/local/bin/app"], "User": user});
        let layers = vec![below.clone(), app.clone(), above.clone()];
        layout::write(folder.path(), "made", &[Image { platform: "linux/amd64".parse().unwrap(), layers, config }]);
        let reference = format!("{}/{name}:1", registry.host());
        process::succeed(
            Command::new("skopeo")
                .args(["copy", "--quiet", "--all", "--dest-tls-verify=false"])
                .arg(format!("oci:{}", folder.path().display()))
                .arg(format!("docker://{reference}")),
        );
        reference
    };
    let layers = |reference: &str| {
        let said = home.anyarch().args(["verify", "--json", reference]).run().json();
        assert_eq!(said["verdict"], "ok", "{said}");
        said["platforms"][0]["layers_read"].clone()
    };
    let (numbered, named) = (push("numbered", "65532:65532"), push("named", "app"));
    assert_eq!(layers(&numbered), 2);
    // One that is written anew is another file; when it was used last changes.
    let records = || -> BTreeMap<PathBuf, u64> {
        let entries = fs::read_dir(home.cache().join("records/listing")).unwrap().map(|entry| entry.unwrap());
        entries.map(|entry| (entry.path(), entry.metadata().unwrap().ino())).collect()
    };
    let first = records();
    assert_eq!(first.len(), 2);
    assert_eq!(layers(&named), 3);
    let second = records();
    assert_eq!(second.len(), 3);
    assert!(first.iter().all(|(path, file)| second[path] == *file), "a layer was listed again");
}

/// What is known of a layer outlives it: the second time there is nothing left to open.
#[test]
fn a_layer_that_was_listed_is_not_opened_again() {
    let compiled = Compiled::new();
    let mut users = Tree::default();
    users.file("etc/passwd", 0o644, "app:x:7:7::/:\n");
    let folder = tempfile::tempdir().unwrap();
    let made = Made::on("linux/amd64", &users).app(compiled.hello("gcc", &["-static"])).with("User", json!("app"));
    made.write(folder.path());
    let home = Home::new();
    let image = format!("oci:{}", folder.path().display());
    let verify = || home.anyarch().args(["verify", "--json", &image]).run();
    let first = verify();
    assert_eq!(first.assert_success().json()["platforms"][0]["layers_read"], 2);
    // Manifests and configs are JSON, layers are not.
    let blobs = fs::read_dir(folder.path().join("blobs/sha256")).unwrap().map(|blob| blob.unwrap().path());
    let layers: Vec<PathBuf> = blobs.filter(|path| fs::read(path).unwrap().first() != Some(&b'{')).collect();
    assert_eq!(layers.len(), 2);
    for layer in &layers {
        fs::remove_file(layer).unwrap();
    }
    assert_eq!(verify().assert_success().stdout, first.stdout);
    let other = Home::new();
    other.anyarch().args(["verify", &image]).run().assert_code(6);
}

#[test]
fn images_in_archives_and_what_is_no_image() {
    let compiled = Compiled::new();
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    Made::bare("linux/amd64").app(compiled.hello("gcc", &["-static"])).write(&layout);
    let archive = folder.path().join("image.tar");
    process::succeed(Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&layout).arg("."));
    let home = Home::new();
    let verify = |image: &str| {
        home.anyarch().cwd(folder.path()).redact(folder.path().to_string_lossy(), "DIR").args(["verify", image]).run()
    };
    for image in [
        "image.tar",
        "./image.tar",
        "oci-archive:image.tar",
        "oci-archive:image.tar:made",
        "./layout",
        "oci:layout:made",
    ] {
        verify(image).assert_success().assert_stdout(
            "
            PLATFORM     ENTRYPOINT  FORMAT  LIBC  VERDICT
            linux/amd64  /app        static  -     ok
            ",
        );
    }
    process::succeed(Command::new("tar").args(["-cf", "other.tar", "image.tar"]).current_dir(folder.path()));
    verify("other.tar").assert_code(6).assert_stderr(
        "
        error: the file `other.tar` of the image `oci-archive:other.tar` holds no image layout: it has no index.json
        ",
    );
    verify("oci:none").assert_code(6).assert_stderr(
        "
        error: there is no image layout for the image `oci:none`: `none/index.json` does not exist

        hint: skopeo copy --all docker://IMAGE oci:none:latest
        ",
    );
    verify("oci:layout:other").assert_code(6).assert_stderr(
        "
        error: the layout of the image `oci:layout:other` has no image `other`; it has made

        hint: oci:layout:made
        ",
    );
    // A layer that is not what its name says, of a layout and of one in an archive.
    let manifest = Source::Layout(layout.clone()).raw();
    let entry = manifest["manifests"][0]["digest"].as_str().unwrap().replacen(':', "/", 1);
    let manifest: Value = serde_json::from_slice(&fs::read(layout.join("blobs").join(entry)).unwrap()).unwrap();
    let layer = layout.join("blobs").join(manifest["layers"][0]["digest"].as_str().unwrap().replacen(':', "/", 1));
    let mut bytes = fs::read(&layer).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&layer, bytes).unwrap();
    let fresh = Home::new();
    let output = fresh.anyarch().cwd(folder.path()).args(["verify", "oci:layout"]).run();
    output.assert_code(6).assert_stderr(
        "
        error: the layout of the image `oci:layout` is damaged: [DIGEST] is not what its name says

        hint: copy `oci:layout` again
        ",
    );
}
