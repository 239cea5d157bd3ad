//! `anyarch build` publishes what starts, and nothing else: each kind of image that would not start under each of
//! `--verify=strict|warn|off`, what is said of it, and how little of a base is read for that.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::bases::Release;
use crate::support::layout::{self, Image, Tree};
use crate::support::made::{Compiled, base};
use crate::support::prebuilt::{self, copy_layout};
use crate::support::program::{Home, Output};
use crate::support::project::Project;
use crate::support::proxy::{Proxy, Request};
use crate::support::registry::{Options, Registry};

const APP: &str = "[[program]]\nname = \"app\"\nlanguage = \"prebuilt\"\npath = \"app\"\n";

/// Writes a base for linux/amd64 under the tag `1`.
fn write_base(folder: &Path, layers: &[&Tree], config: Value) {
    let layers = layers.iter().map(|tree| (*tree).clone()).collect();
    layout::write(folder, "1", &[Image { platform: "linux/amd64".parse().unwrap(), layers, config }]);
}

/// A project whose program is there already.
fn project(config: &str, app: &[u8]) -> Project {
    Project::new().file("anyarch.toml", format!("{config}\n{APP}")).file("app", app)
}

fn build(project: &Project, home: &Home, arguments: &[&str]) -> Output {
    let program = project.anyarch_at(home).redact(home.path().to_string_lossy(), "HOME");
    program.args(["build", "--platform", "linux/amd64"]).args(arguments).run()
}

/// What is said of the start and of the run, without what moves and where it went.
fn words(output: &Output) -> Vec<String> {
    let said = output.redacted_stderr();
    let lines = said.lines().filter(|line| !line.trim().is_empty());
    lines.skip_while(|line| line.contains(" packed ")).map(str::to_owned).collect()
}

struct Case {
    name: &'static str,
    config: &'static str,
    base: &'static str,
    app: Vec<u8>,
    /// files beside the program
    files: &'static [(&'static str, &'static str)],
    words: &'static str,
}

impl Case {
    fn new(name: &'static str, app: &[u8], words: &'static str) -> Self {
        Self { name, config: "", base: "static", app: app.to_vec(), files: &[], words }
    }

    fn on(self, base: &'static str) -> Self {
        Self { base, ..self }
    }

    fn config(self, config: &'static str) -> Self {
        Self { config, ..self }
    }

    fn project(&self) -> Project {
        let project = project(self.config, &self.app);
        self.files.iter().fold(project, |project, (path, text)| project.file(path, text))
    }
}

fn cases(compiled: &Compiled) -> Vec<Case> {
    let (dynamic, fixed) = (compiled.hello("gcc", &[]), compiled.hello("gcc", &["-static"]));
    let greet = compiled.library("gcc", "greet", "libgreet.so.1", &[]);
    assert!(!greet.is_empty());
    let here = compiled.here();
    let greeter = compiled.made("gcc", "greeter", &[&here, "-lgreet"]);
    vec![
        Case::new(
            "a glibc that is too old",
            &dynamic,
            "
            linux/amd64      fails    `/usr/local/bin/app` needs GLIBC_2.34 (`__libc_start_main`) of `libc.so.6`, and `/usr/lib/x86_64-linux-gnu/libc-2.31.so` is of glibc 2.31
                             hint: build it where glibc is no newer than 2.31, or static
                             hint: take a base with glibc 2.34 or newer: --base debian:12
            ",
        )
        .on("bullseye"),
        Case::new(
            "no loader at all",
            &dynamic,
            "
            linux/amd64      fails    `/usr/local/bin/app` asks for the loader `/lib64/ld-linux-x86-64.so.2` (glibc), which is not in the image
                             hint: build it static
                             hint: take a base with glibc: --base debian:12
            ",
        ),
        Case::new(
            "no library",
            &greeter,
            "
            linux/amd64      fails    `/usr/local/bin/app` needs the library `libgreet.so.1`, which the loader does not find
                             hint: take a base that has `libgreet.so.1`, or put it there by a [[file]] of anyarch.toml
            ",
        )
        .on("bookworm"),
        Case::new(
            "an entrypoint that is not there",
            &fixed,
            "
            linux/amd64      fails    `/usr/local/bin/ap` is not in the image
                             hint: entrypoint = [\"/usr/local/bin/app\"]
            ",
        )
        .config("entrypoint = [\"/usr/local/bin/ap\"]"),
        Case::new(
            "a user that nobody knows",
            &fixed,
            "
            linux/amd64      fails    the image's user `app` is not in its /etc/passwd
                             hint: name a number, which needs no entry: user = \"65532:65532\"
            ",
        )
        .config("user = \"app\""),
        Case::new(
            "a working folder that is a file",
            &fixed,
            "
            linux/amd64      fails    the image's working folder `/etc/passwd` is not a folder
                             hint: workdir = \"/\"
            ",
        )
        .config("workdir = \"/etc/passwd\""),
        Case {
            files: &[("run", "#!/bin/bash\nexec app\n")],
            ..Case::new(
                "a script without its interpreter",
                &fixed,
                "
                linux/amd64      fails    the script `/run` asks for the interpreter `/bin/bash`, which is not in the image
                                 hint: take a base that has `/bin/bash`
                ",
            )
            .config("entrypoint = [\"/run\"]\nfile = [{ source = \"run\", destination = \"/run\", mode = \"0755\" }]")
        },
        Case {
            files: &[("run", "#!/usr/local/bin/app\n")],
            ..Case::new(
                "a script that nobody may execute",
                &fixed,
                "
                linux/amd64      fails    `/run` cannot be executed by the image's user `0`: its mode is 0644
                                 hint: mode = \"0755\" in the [[file]] of `/run`
                ",
            )
            .config("entrypoint = [\"/run\"]\nuser = \"0\"\nfile = [{ source = \"run\", destination = \"/run\" }]")
        },
    ]
}

#[test]
fn what_would_not_start_is_not_published_unless_someone_insists() {
    let compiled = Compiled::new();
    let bases = tempfile::tempdir().unwrap();
    for (name, release) in [("bullseye", Release::Bullseye), ("bookworm", Release::Bookworm)] {
        write_base(&bases.path().join(name), &[&base(release, "linux/amd64")], json!({"Env": ["PATH=/usr/bin"]}));
    }
    let home = Home::new();
    for case in cases(&compiled) {
        let base = if case.base == "static" {
            "static".to_owned()
        } else {
            format!("oci:{}", bases.path().join(case.base).display())
        };
        let project = case.project();
        let out = project.path().join(".anyarch/out");
        let finding: Vec<&str> = case.words.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let said = |mode: &[&str]| build(&project, &home, &[&["--base", &base], mode].concat());

        let strict = said(&[]);
        strict.assert_code(3).assert_stdout("");
        let mut lines = words(&strict);
        assert!(lines.remove(0).ends_with("app                  fails    [TIME]"), "{}: {}", case.name, strict.stderr);
        let error = [
            "error: `app` would not start on linux/amd64, so nothing was published",
            "hint: publish it all the same: --verify=warn",
        ];
        let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
        assert_eq!(lines, [finding.as_slice(), &error].concat(), "{}", case.name);
        assert!(!out.exists(), "{}: it was published", case.name);

        let warned = said(&["--verify=warn"]);
        warned.assert_success();
        let lines = words(&warned);
        let lines: Vec<&str> = lines.iter().skip(1).map(|line| line.trim()).collect();
        assert_eq!(lines[..finding.len()], finding, "{}", case.name);
        assert!(out.join("app/index.json").exists(), "{}", case.name);

        let before = fs::read(out.join("app/index.json")).unwrap();
        said(&["--verify", "strict"]).assert_code(3);
        assert_eq!(fs::read(out.join("app/index.json")).unwrap(), before, "{}", case.name);

        let unseen = said(&["--verify=off"]);
        unseen.assert_success();
        assert!(!unseen.stderr.contains("fails"), "{}: {}", case.name, unseen.stderr);
    }
}

/// Also what the file says, and that of a flag counts more.
#[test]
fn the_file_says_it_for_good_and_a_flag_for_once() {
    let home = Home::new();
    let compiled = Compiled::new();
    let project = project("verify = \"warn\"", &compiled.hello("gcc", &[]));
    build(&project, &home, &[]).assert_success();
    build(&project, &home, &["--verify=strict"]).assert_code(3);
    let refused = project.file("anyarch.toml", format!("verify = \"maybe\"\n{APP}"));
    build(&refused, &home, &[]).assert_code(2).assert_stderr(
        "
        error: `verify` in anyarch.toml:1:10: `maybe` is not a way to verify: it should read strict, warn or off

        hint: verify = \"warn\"
        ",
    );
}

/// Every platform is looked at before anything is refused, and what is common to several is said once.
#[test]
fn all_that_is_wrong_is_said_at_once() {
    let compiled = Compiled::new();
    let table = |name: &str, path: &str| {
        format!("[[program]]\nname = \"{name}\"\nlanguage = \"prebuilt\"\npath = \"{path}-{{{{platform.arch}}}}\"\n")
    };
    let mut file = table("app", "hello") + &table("tool", "tool");
    file += "[[image]]\nname = \"one\"\nprograms = [\"app\"]\nuser = \"app\"\n";
    file += "[[image]]\nname = \"two\"\nprograms = [\"app\", \"tool\"]\n";
    file += "[[image]]\nname = \"three\"\nprograms = [\"app\"]\n";
    let project = prebuilt::project().file("anyarch.toml", file);
    let hello = fs::read(project.path().join("hello-arm64")).unwrap();
    let project = project.file("tool-amd64", compiled.hello("gcc", &[])).file("tool-arm64", hello);
    let output = project.anyarch().args(["build", "--platform", "linux/amd64,linux/arm64"]).run();
    output.assert_code(3).assert_stdout("");
    let lines = words(&output);
    let lines: Vec<&str> = lines
        .iter()
        .map(|line| line.trim())
        .filter(|line| !line.ends_with("[SIZE]") && !line.ends_with("[TIME]"))
        .collect();
    assert_eq!(
        lines,
        [
            "one linux/amd64, one linux/arm64 fails    the image's user `app` is not in its /etc/passwd",
            "hint: name a number, which needs no entry: user = \"65532:65532\"",
            // It is not what the image starts, and it is in it to be started.
            "two linux/amd64  fails    `/usr/local/bin/tool` asks for the loader `/lib64/ld-linux-x86-64.so.2` (glibc), which is not in the image",
            "hint: build it static",
            "hint: take a base with glibc: --base debian:12",
            "error: `one` would not start on linux/amd64, linux/arm64, and `two` would not start on linux/amd64, so nothing was published",
            "hint: publish it all the same: --verify=warn",
        ]
    );
    assert!(!project.path().join(".anyarch/out").exists());
}

/// What cannot be known is said and keeps nothing from being published.
#[test]
fn what_is_not_known_is_said_to_be_unknown() {
    let table = "[[program]]\nname = \"app\"\nlanguage = \"prebuilt\"\npath = \"hello-amd64\"\n";
    let files = concat!(
        "base = \"scratch\"\n[[image]]\nname = \"files\"\nprograms = []\n",
        "[[image.file]]\nsource = \"hello-amd64\"\ndestination = \"/data\"\n"
    );
    let home = Home::new();
    let alone = prebuilt::project().file("anyarch.toml", files);
    for _ in 0..2 {
        let output = build(&alone, &home, &[]);
        output.assert_success();
        let finding =
            "linux/amd64      unknown  the image names nothing to start: it has neither an entrypoint nor a command";
        assert!(output.stderr.contains(finding), "{}", output.stderr);
        assert!(output.stderr.contains("hint: entrypoint = [\"/path/of/a/program\"]"), "{}", output.stderr);
    }
    // A layer of the base that is no tar, below what would have to be known.
    let folder = tempfile::tempdir().unwrap();
    let mut broken = Tree::default();
    broken.file("etc/passwd", 0o644, "app:x:7:7::/:\n");
    write_base(folder.path(), &[&broken], json!({}));
    let base = prebuilt_base_with_garbage(folder.path());
    let project = prebuilt::project().file("anyarch.toml", format!("user = \"app\"\n{table}"));
    let output = build(&project, &home, &["--base", &base]);
    output.assert_success();
    let lines = words(&output);
    let finding = lines.iter().find(|line| line.contains("so whether it starts is not known")).expect("it is said");
    assert!(finding.starts_with("linux/amd64      unknown  the layer [DIGEST] of the base `oci:"), "{finding}");
}

/// Replaces the only layer of a layout by text in gzip; the base's name.
fn prebuilt_base_with_garbage(folder: &Path) -> String {
    use anyarch::blob::{Descriptor, MEDIA_TYPE_LAYER_GZIP, canonical_json};
    use std::io::Write as _;
    let blobs = folder.join("blobs/sha256");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&[b'x'; 2048]).unwrap();
    let layer = Descriptor::of(MEDIA_TYPE_LAYER_GZIP, &gzip.finish().map(|bytes| put(&blobs, bytes)).unwrap());
    let mut index: Value = serde_json::from_slice(&fs::read(folder.join("index.json")).unwrap()).unwrap();
    let name = |value: &Value| value["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let mut top: Value = serde_json::from_slice(&fs::read(blobs.join(name(&index["manifests"][0]))).unwrap()).unwrap();
    let is_index = top.get("manifests").is_some();
    let entry = if is_index { top["manifests"][0].clone() } else { index["manifests"][0].clone() };
    let mut manifest: Value = serde_json::from_slice(&fs::read(blobs.join(name(&entry))).unwrap()).unwrap();
    manifest["layers"] = json!([layer]);
    let manifest = put(&blobs, canonical_json(&manifest));
    let changed = |entry: &Value, bytes: &[u8]| {
        let described = Descriptor::of("", bytes);
        let mut entry = entry.clone();
        (entry["digest"], entry["size"]) = (json!(described.digest), json!(described.size));
        entry
    };
    if is_index {
        top["manifests"][0] = changed(&entry, &manifest);
        let top = put(&blobs, canonical_json(&top));
        index["manifests"][0] = changed(&index["manifests"][0].clone(), &top);
    } else {
        index["manifests"][0] = changed(&entry, &manifest);
    }
    fs::write(folder.join("index.json"), canonical_json(&index)).unwrap();
    format!("oci:{}", folder.display())
}

fn put(blobs: &Path, bytes: Vec<u8>) -> Vec<u8> {
    fs::write(blobs.join(anyarch::blob::Digest::of(&bytes).hex()), &bytes).unwrap();
    bytes
}

/// Blobs that were read, by their digests.
fn read(requests: &[Request]) -> Vec<&str> {
    let blobs = requests.iter().filter(|request| request.method == "GET" && request.path.contains("/blobs/sha256:"));
    blobs.filter_map(|request| request.path.rsplit(':').next()).collect()
}

/// The names of the layers of a base that has one platform.
fn layers(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder.join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
    let layers = files.filter(|file| serde_json::from_slice::<Value>(&fs::read(file).unwrap()).is_err());
    layers.map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

struct Pushed {
    proxy: Proxy,
    _registry: Registry,
    folder: PathBuf,
    _bases: tempfile::TempDir,
}

impl Pushed {
    /// A base in a registry behind a proxy.
    fn new(layers: &[&Tree], config: Value) -> Self {
        let (registry, bases) = (Registry::start(&Options::default()), tempfile::tempdir().unwrap());
        let folder = bases.path().join("base");
        write_base(&folder, layers, config);
        copy_layout(&folder, &format!("{}/base:1", registry.host()));
        let proxy = Proxy::before(&registry);
        Self { proxy, _registry: registry, folder, _bases: bases }
    }

    fn push(&self, project: &Project, home: &Home, arguments: &[&str]) -> Output {
        let (base, tag) = (format!("{}/base:1", self.proxy.host()), format!("{}/app:1", self.proxy.host()));
        build(project, home, &[&["--push", "--base", &base, "-t", &tag], arguments].concat())
    }
}

#[test]
fn what_is_static_and_for_a_user_by_number_costs_no_layer_of_the_base() {
    let compiled = Compiled::new();
    let mut tree = Tree::default();
    tree.directory("etc", 0o755);
    tree.file("etc/passwd", 0o644, "app:x:7:7::/:\n");
    let scene = Pushed::new(&[&tree], json!({"User": "7:7", "WorkingDir": "/"}));
    let layers = layers(&scene.folder);
    assert_eq!(layers.len(), 1);
    let home = Home::new();
    let fixed = compiled.hello("gcc", &["-static"]);
    let project = project("", &fixed);
    for _ in 0..2 {
        let output = scene.push(&project, &home, &["--json"]);
        output.assert_success();
        let start = &output.json()["images"][0]["platforms"][0]["start"];
        assert_eq!(
            *start,
            json!({
                "verdict": "ok", "program": "/usr/local/bin/app", "format": "static", "libc": null, "findings": [],
            })
        );
        let requests = scene.proxy.take();
        assert!(read(&requests).iter().all(|digest| !layers.contains(&(*digest).to_owned())), "{requests:#?}");
    }
    let unseen = scene.push(&project, &home, &["--json", "--verify=off"]);
    assert_eq!(unseen.json()["images"][0]["platforms"][0]["start"], Value::Null);
    // A name is in one of its layers: that is read, once ever.
    let named = project.file("anyarch.toml", format!("user = \"app\"\n{APP}"));
    scene.proxy.take();
    for expected in [1, 0] {
        scene.push(&named, &home, &[]).assert_success();
        let requests = scene.proxy.take();
        let count = read(&requests).iter().filter(|digest| layers.contains(&(**digest).to_owned())).count();
        assert_eq!(count, expected, "{requests:#?}");
    }
}

#[test]
fn what_would_not_start_is_not_pushed_and_a_base_is_read_once() {
    let compiled = Compiled::new();
    let mut above = Tree::default();
    above.file("etc/motd", 0o644, "hello\n");
    let scene = Pushed::new(&[&base(Release::Bullseye, "linux/amd64"), &above], json!({"Env": ["PATH=/usr/bin"]}));
    let layers = layers(&scene.folder);
    assert_eq!(layers.len(), 2);
    let home = Home::new();
    let wrong = project("", &compiled.hello("gcc", &[]));
    let refused = scene.push(&wrong, &home, &[]);
    refused.assert_code(3).assert_stdout("");
    let requests = scene.proxy.take();
    let pushed: Vec<&Request> = requests.iter().filter(|request| request.pushed().is_some()).collect();
    assert!(pushed.is_empty(), "{pushed:#?}");
    assert!(!requests.iter().any(Request::uploads), "{requests:#?}");
    let mut wanted: Vec<&str> =
        read(&requests).into_iter().filter(|digest| layers.contains(&(*digest).to_owned())).collect();
    wanted.sort_unstable();
    wanted.dedup();
    assert_eq!(wanted.len(), 2, "the libc and what could hide it: {requests:#?}");

    // Another program for the same base: what is known of that is enough, and what it has is mounted.
    let right = project("", &compiled.hello("gcc", &["-static-pie"]));
    let warned = scene.push(&wrong, &home, &["--verify=warn"]);
    warned.assert_success();
    scene.push(&right, &home, &[]).assert_success();
    let requests = scene.proxy.take();
    assert!(read(&requests).iter().all(|digest| !layers.contains(&(*digest).to_owned())), "{requests:#?}");
}

#[test]
fn a_dynamic_program_is_held_to_the_libraries_of_its_base() {
    let compiled = Compiled::new();
    let bookworm = base(Release::Bookworm, "linux/amd64");
    let (registry, folder) = (Registry::start(&Options::default()), tempfile::tempdir().unwrap());
    write_base(folder.path(), &[&bookworm], json!({"Env": ["PATH=/usr/bin"]}));
    let home = Home::new();
    let project = project("", &compiled.hello("gcc", &[]));
    let (base, tag) = (format!("oci:{}", folder.path().display()), format!("{}/app:1", registry.host()));
    let listings = || fs::read_dir(home.cache().join("records/listing")).map_or(0, Iterator::count);
    let output = build(&project, &home, &["--json", "--push", "--base", &base, "-t", &tag]);
    output.assert_success();
    let start = &output.json()["images"][0]["platforms"][0]["start"];
    assert_eq!((&start["verdict"], &start["format"]), (&json!("ok"), &json!("dynamic")), "{start}");
    assert_eq!(start["libc"], "glibc 2.36");
    assert_eq!(listings(), 2, "the base's layer and ours");
    // A layout's layer is listed where it lies, and goes from there.
    assert!(output.stderr.contains("verified"), "{}", output.stderr);
    // What was judged once is not judged again: nothing is left to judge it by.
    fs::remove_dir_all(home.cache().join("records/listing")).unwrap();
    build(&project, &home, &["--base", &base]).assert_success();
    assert_eq!(listings(), 0);
    // Without its record the layer of ours is listed from what lies in the cache.
    fs::remove_dir_all(home.cache().join("records/start-check")).unwrap();
    build(&project, &home, &["--base", &base]).assert_success();
    assert_eq!(listings(), 2);
}

/// What the plan alone says is said before anyone waits for a compiler.
#[test]
fn a_dynamic_program_on_a_base_without_a_loader_is_refused_before_it_is_compiled() {
    let project = Project::new()
        .file("Cargo.toml", "[package]\nname = \"app\"\nversion = \"1.0.0\"\nedition = \"2021\"\n")
        .file("Cargo.lock", "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"1.0.0\"\n")
        .file("src/main.rs", "compile_error!(\"nobody should see this\");\n")
        .file("anyarch.toml", "[[program]]\nlanguage = \"rust\"\nlibc = \"gnu\"\n");
    let home = Home::new();
    for base in ["static", "scratch"] {
        let output = build(&project, &home, &["--base", base]);
        output.assert_code(3).assert_stdout("").assert_stderr(
            "
            linux/amd64      fails    `/usr/local/bin/app` asks for the loader `/lib64/ld-linux-x86-64.so.2` (glibc), which is not in the image
                             hint: build it static: libc = \"musl\"
                             hint: take a base with glibc: --base debian:12
            error: `app` would not start on linux/amd64, so nothing was published

            hint: publish it all the same: --verify=warn
            ",
        );
        assert!(!project.path().join(".anyarch").exists(), "a refused build leaves nothing");
    }
    build(&project, &home, &["--verify=warn"]).assert_code(4);
    // Flags of the user's own, and files that may be a loader, leave it to what comes of them.
    let flags = [("RUSTFLAGS", "-Ctarget-feature=+crt-static")];
    for (name, value) in flags {
        let program = project.anyarch_at(&home).env(name, value);
        program.args(["build", "--platform", "linux/amd64"]).run().assert_code(4);
    }
    let file =
        "[[program]]\nlanguage = \"rust\"\nlibc = \"gnu\"\n[[file]]\nsource = \"Cargo.toml\"\ndestination = \"/f\"\n";
    build(&project.file("anyarch.toml", file), &home, &[]).assert_code(4);
}

/// Binaries of other machines are no image at all: one is an error of its own, several are said together.
#[test]
fn several_binaries_that_do_not_fit_are_said_together() {
    let project = prebuilt::project();
    let (amd64, arm64) = (project.path().join("hello-amd64"), project.path().join("hello-arm64"));
    let (first, second) = (fs::read(&amd64).unwrap(), fs::read(&arm64).unwrap());
    fs::write(&amd64, second).unwrap();
    let build = || project.anyarch().args(["build", "--verify=warn", "--platform", "linux/amd64,linux/arm64"]).run();
    let lines = |output: &Output| -> Vec<String> {
        let said = output.redacted_stderr();
        let lines = said.lines().filter(|line| !line.trim().is_empty() && !line.ends_with("[TIME]"));
        lines.filter(|line| !line.ends_with("[SIZE]")).map(|line| line.trim().to_owned()).collect()
    };
    let one = build();
    one.assert_code(3);
    assert_eq!(
        lines(&one),
        [
            "error: `hello` does not fit linux/amd64: is an AArch64 binary, linux/amd64 needs x86-64",
            "hint: GOOS=linux GOARCH=amd64 go build",
            "hint: publish it as what it is: --platform linux/arm64"
        ]
    );
    fs::write(&arm64, first).unwrap();
    let both = build();
    both.assert_code(3);
    assert_eq!(
        lines(&both),
        [
            "linux/amd64      fails    `hello` does not fit linux/amd64: is an AArch64 binary, linux/amd64 needs x86-64",
            "hint: GOOS=linux GOARCH=amd64 go build",
            "hint: publish it as what it is: --platform linux/arm64",
            "linux/arm64      fails    `hello` does not fit linux/arm64: is an x86-64 binary, linux/arm64 needs AArch64",
            "hint: GOOS=linux GOARCH=arm64 go build",
            "hint: publish it as what it is: --platform linux/amd64",
            "error: `hello` would not start on linux/amd64, linux/arm64, so nothing was published",
        ]
    );
    assert!(!project.path().join(".anyarch/out").exists());
}
