//! Layers of a base on their way from one registry to another: past the disk, whatever breaks on either side.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyarch::blob::Digest;
use serde_json::json;

use crate::support::layout::{self, Image, Tree};
use crate::support::process;
use crate::support::program::{Home, Output};
use crate::support::project::Project;
use crate::support::proxy::{Cut, Fault, Gate, On, Proxy, Request};
use crate::support::registry::{Options, Registry};
use crate::support::start::Source;

/// Of the base's layer, in bytes, before gzip does not make it smaller.
const SIZE: u32 = 6 << 20;

/// Two registries behind proxies; a base of one large layer is in the second.
struct Pair {
    _registries: [Registry; 2],
    target: Proxy,
    source: Proxy,
    base: String,
    /// the base's layer
    layer: Digest,
    project: Project,
}

impl Pair {
    fn start() -> Self {
        let registries = [Registry::start(&Options::default()), Registry::start(&Options::default())];
        let [target, source] = [Proxy::before(&registries[0]), Proxy::before(&registries[1])];
        let folder = tempfile::tempdir().unwrap();
        let mut tree = Tree::default();
        let numbers = (0..SIZE / 4).scan(7_u32, |state, _| {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Some((*state >> 8).rotate_left(*state & 31))
        });
        tree.file("data", 0o644, numbers.flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
        let image = Image { platform: "linux/amd64".parse().unwrap(), layers: vec![tree], config: json!({}) };
        layout::write(folder.path(), "base", &[image]);
        let base = format!("{}/base:1", source.host());
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["copy", "--quiet", "--all", "--dest-tls-verify=false"]);
        skopeo.arg(format!("oci:{}:base", folder.path().display())).arg(format!("docker://{base}"));
        process::succeed(&mut skopeo);
        let layer = largest(&folder.path().join("blobs/sha256"));
        source.take();
        let project = Project::new()
            .file("go.mod", "module example.com/hello\n\ngo 1.21\n")
            .file("main.go", "package main\n\nfunc main() { println(\"hello\") }\n");
        Self { _registries: registries, target, source, base, layer, project }
    }

    fn tag(&self) -> String {
        format!("{}/app:1", self.target.host())
    }

    fn push(&self, home: &Home, tags: &[&str]) -> Output {
        let program = self.project.anyarch_at(home).args(["build", "--push", "--platform=linux/amd64", "--base"]);
        program.args([&self.base]).args(tags.iter().flat_map(|tag| ["-t", tag])).run()
    }

    /// The requests that read the layer, and those that send it.
    fn moves(&self) -> (Vec<Request>, Vec<Request>) {
        let digest = self.layer.to_string();
        let read = |request: &Request| request.method == "GET" && request.path.contains(&digest);
        let written = |request: &Request| request.uploads() && request.path.contains(&digest);
        let taken = |proxy: &Proxy, fits: &dyn Fn(&Request) -> bool| {
            proxy.take().into_iter().filter(|request| fits(request)).collect::<Vec<_>>()
        };
        (taken(&self.source, &read), taken(&self.target, &written))
    }

    /// Holds the target to having the image whole, and the cache to not having the layer.
    fn assert_passed_on(&self, home: &Home) {
        let unpacked = Source::Registry(self.tag()).unpack("linux/amd64");
        assert_eq!(unpacked.root().join("data").metadata().unwrap().len(), u64::from(SIZE));
        assert!(!kept(home, &self.layer), "the layer was kept on disk");
    }
}

fn largest(folder: &Path) -> Digest {
    let files = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let largest = files.max_by_key(|file| file.metadata().unwrap().len()).unwrap();
    format!("sha256:{}", largest.file_name().to_string_lossy()).parse().unwrap()
}

fn kept(home: &Home, layer: &Digest) -> bool {
    home.cache().join("blobs/sha256").join(layer.hex()).exists()
}

#[test]
fn a_layer_of_a_base_passes_by_the_disk_and_a_cut_source_goes_on_in_the_same_upload() {
    let (pair, home) = (Pair::start(), Home::new());
    pair.source.fault(On::get_blob().without("manifests").nth(2), Fault::CutAnswer(1 << 20, Cut::Reset));
    pair.push(&home, &[&pair.tag()]).assert_success();
    let (read, written) = pair.moves();
    assert_eq!(written.len(), 1, "{written:#?}");
    assert_eq!(read.iter().map(|request| request.status).collect::<Vec<_>>(), [200, 206], "{read:#?}");
    let passed: u64 = read.iter().map(|request| request.received).sum();
    assert!(passed < written[0].sent + (1 << 20), "what came was not asked for again: {read:#?}");
    pair.assert_passed_on(&home);
}

#[test]
fn an_upload_that_breaks_begins_anew_with_its_source() {
    let (pair, home) = (Pair::start(), Home::new());
    let large = |times: u64| On::new("PUT", format!("*{}*", pair.layer)).first(times);
    pair.target.fault(large(1), Fault::CutRequest(1 << 20, Cut::Reset));
    pair.push(&home, &[&pair.tag()]).assert_success();
    let (read, written) = pair.moves();
    assert_eq!((read.len(), written.len()), (2, 2), "{read:#?}{written:#?}");
    pair.assert_passed_on(&home);
}

#[test]
fn a_source_that_sends_something_else_is_never_uploaded_to_its_end() {
    let (pair, home) = (Pair::start(), Home::new());
    let of_layer = On::new("GET", format!("*{}", pair.layer));
    pair.source.fault(of_layer, Fault::Corrupt(5000));
    let output = pair.push(&home, &[&pair.tag()]);
    output.assert_code(6).assert_stdout("");
    let (digest, target, source) = (pair.layer, pair.target.host(), pair.source.host());
    for words in [
        format!("uploading the blob `{digest}` to `{target}/app` failed: its bytes cannot be had"),
        format!("reading the blob `{digest}` of `{source}/base` failed: the registry sent other content"),
    ] {
        assert!(output.stderr.contains(&words), "{}", output.stderr);
    }
    let (_, written) = pair.moves();
    assert!(written.iter().all(|request| request.sent < request.length && request.status != 201), "{written:#?}");
    assert!(!kept(&home, &digest));
}

#[test]
fn two_registries_are_given_what_one_reading_brought() {
    let (pair, home) = (Pair::start(), Home::new());
    let other = Registry::start(&Options::default());
    let (first_tag, second_tag) = (pair.tag(), format!("{}/app:1", other.host()));
    // One of them stands still; the other does not wait for it.
    let gate = Gate::default();
    pair.target.fault(On::put_blob(), Fault::Hold(0, gate.clone()));
    let mut program =
        pair.project.anyarch_at(&home).args(["build", "--push", "--platform=linux/amd64", "--push-jobs=8"]);
    program = program.args(["--base", &pair.base, "-t", &first_tag, "-t", &second_tag]);
    let mut child = program.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert!(gate.wait(Duration::from_mins(2)), "nothing was uploaded");
    let end = Instant::now() + Duration::from_mins(1);
    while other.count("PUT /v2/app/blobs/") < 3 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    let uploads = other.count("PUT /v2/app/blobs/");
    gate.open();
    assert!(child.wait().unwrap().success());
    assert_eq!(uploads, 3, "the registry that does not stand still got its blobs meanwhile");
    assert_eq!(pair.moves().0.len(), 1, "the layer was read once");
    for tag in [first_tag, second_tag] {
        assert!(Source::Registry(tag).unpack("linux/amd64").root().join("data").exists());
    }
}

#[test]
fn what_fails_for_good_stops_the_others_and_is_named() {
    let (pair, home) = (Pair::start(), Home::new());
    pair.target.fault(On::begin_upload(), Fault::status(403));
    let output = pair.push(&home, &[&pair.tag()]);
    output.assert_code(6).assert_stdout("");
    let words = format!("to `{}/app` failed: the registry answered 403 Forbidden", pair.target.host());
    assert_eq!(output.stderr.matches(&words).count(), 1, "{}", output.stderr);
    let (read, written) = pair.moves();
    assert_eq!((read.len(), written.len()), (0, 0));
}

#[test]
fn a_layer_of_a_layout_goes_up_from_its_file_which_stays_whatever_is_in_it() {
    let (registry, home, project) = (Registry::start(&Options::default()), Home::new(), Project::new());
    let mut tree = Tree::default();
    tree.file("data", 0o644, vec![b'z'; 1 << 20]);
    let image = Image { platform: "linux/amd64".parse().unwrap(), layers: vec![tree], config: json!({}) };
    layout::write(&project.path().join("base"), "base", &[image]);
    let file = largest(&project.path().join("base/blobs/sha256"));
    let path = project.path().join("base/blobs/sha256").join(file.hex());
    let project = project
        .file("go.mod", "module example.com/hello\n\ngo 1.21\n")
        .file("main.go", "package main\n\nfunc main() { println(\"hello\") }\n");
    let push = |name: &str| {
        let tag = format!("{}/{name}:1", registry.host());
        let program = project.anyarch_at(&home).args(["build", "--push", "--platform=linux/amd64", "--base=oci:base"]);
        (program.args(["-t", &tag]).run(), tag)
    };
    let whole = std::fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    damaged[100] ^= 1;
    std::fs::write(&path, &damaged).unwrap();
    let (output, _) = push("app");
    output.assert_code(6).assert_stdout("");
    for words in [format!("`base/blobs/sha256/{}` cannot be read", file.hex()), format!("it is not the blob {file}")] {
        assert!(output.stderr.contains(&words), "{}", output.stderr);
    }
    assert_eq!(std::fs::read(&path).unwrap(), damaged);
    std::fs::write(&path, &whole).unwrap();
    let (output, tag) = push("app");
    output.assert_success();
    assert!(Source::Registry(tag).unpack("linux/amd64").root().join("data").exists());
    assert!(!kept(&home, &file), "the layer was copied into the cache");
}
