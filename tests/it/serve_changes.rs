//! What people and pipelines read of `anyarch serve`, how layouts are called, and what happens when they change.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyarch::blob::{Descriptor, MEDIA_TYPE_INDEX, REF_NAME};
use nix::sys::signal::Signal;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support;
use crate::support::layout::{self, Image, Tree};
use crate::support::prebuilt::{self, Noise};
use crate::support::program::Home;
use crate::support::project::Project;
use crate::support::serve::{Answer, Served};

/// Writes a layout of two platforms with that text in it; each layer has that many bytes that cannot be packed.
fn write(folder: &Path, tag: &str, text: &str, bytes: usize) -> String {
    let image = |platform: &str| {
        let mut tree = Tree::default();
        tree.file("text", 0o644, format!("{text} on {platform}"));
        tree.file("noise", 0o644, Noise::new(bytes as u64 + text.len() as u64).bytes(bytes));
        Image { platform: platform.parse().unwrap(), layers: vec![tree], config: json!({}) }
    };
    layout::write(folder, tag, &["linux/amd64", "linux/arm64"].map(image)).to_string()
}

/// Replaces a layout as a build does: both are whole at every moment, and the old one goes at once.
fn replace(folder: &Path, tag: &str, text: &str, bytes: usize) -> String {
    let fresh = tempfile::tempdir_in(folder.parent().unwrap()).unwrap();
    let digest = write(fresh.path(), tag, text, bytes);
    renameat_with(CWD, fresh.path(), CWD, folder, RenameFlags::EXCHANGE).unwrap();
    digest
}

/// Pulls all that a manifest or an index leads to, and holds it to its digests: how many blobs there are.
#[track_caller]
fn pull(served: &Served<'_>, repository: &str, digest: &str) -> usize {
    let answer = served.get(&format!("/v2/{repository}/manifests/{digest}"));
    assert_eq!(answer.status, 200, "{digest}");
    assert_eq!(Descriptor::of("", &answer.body).digest.to_string(), digest);
    let (manifest, mut blobs) = (answer.json(), 0);
    let list = |key: &str| manifest[key].as_array().cloned().unwrap_or_default();
    for entry in list("manifests") {
        blobs += pull(served, repository, entry["digest"].as_str().unwrap());
    }
    for entry in list("layers").into_iter().chain(manifest.get("config").cloned()) {
        let digest = entry["digest"].as_str().unwrap();
        let answer = served.get(&format!("/v2/{repository}/blobs/{digest}"));
        assert_eq!((answer.status, Descriptor::of("", &answer.body).digest.to_string().as_str()), (200, digest));
        blobs += 1;
    }
    blobs
}

fn digest_of(served: &Served<'_>, name: &str) -> String {
    let (repository, tag) = name.split_once(':').unwrap();
    let answer = served.ask("HEAD", &format!("/v2/{repository}/manifests/{tag}"), &[]);
    answer.header("docker-content-digest").to_owned()
}

fn layouts(names: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, tag) in names {
        write(&folder.path().join(name), tag, name, 0);
    }
    folder
}

#[test]
fn what_was_built_here_is_served_and_said() {
    let (project, home) = (prebuilt::project(), Home::new());
    let build = |tag: &str| {
        let tag = format!("registry.example.com/team/hello:{tag}");
        project.anyarch_at(&home).args(["build", "-t", &tag, "--json"]).run().json()["images"][0]["digest"].clone()
    };
    let digest = build("1.0");
    fs::create_dir(project.path().join("sub")).unwrap();
    let program = project.anyarch_at(&home).cwd(project.path().join("sub"));
    let mut served = Served::start(program, &["--verbose"]);
    let host = served.host();
    assert_eq!(served.stdout(), format!("{host}/hello:1.0\n"));
    assert_eq!(digest_of(&served, "hello:1.0"), digest.as_str().unwrap());
    assert_eq!(pull(&served, "hello", digest.as_str().unwrap()), 6);
    // A build that runs meanwhile: the tag goes, another comes, and what was pulled before still can be.
    let other = build("2.0");
    served.wait_for_line(|line| line == format!("{host}/hello:2.0 is {} now", other.as_str().unwrap()));
    served.wait_for_line(|line| line == format!("{host}/hello:1.0 is gone"));
    assert_eq!(served.get("/v2/hello/tags/list").json()["tags"], json!(["2.0"]));
    let port = host.trim_start_matches("localhost:").to_owned();
    let (code, _, said) = served.end(Signal::SIGINT);
    assert_eq!(code, 0, "{said}");
    let begin = format!(
        "serving 1 image on http://127.0.0.1:{port}, read only; Ctrl-C ends it\n\
         run it:  docker run --rm {host}/hello:1.0\n\
         \x20        podman run --rm --tls-verify=false {host}/hello:1.0\n\
         copy it: skopeo copy --all --src-tls-verify=false docker://{host}/hello:1.0 DESTINATION\n"
    );
    assert!(said.starts_with(&begin) && said.ends_with("\nended\n"), "{said}");
    assert!(said.contains("\nHEAD    200 /v2/hello/manifests/1.0 0 B "), "{said}");
    assert!(said.contains("\nGET     200 /v2/hello/tags/list 31 B "), "{said}");
}

#[test]
fn a_pipeline_reads_json() {
    let folder = layouts(&[("hello", "1.0")]);
    let layout = format!("team/app=oci:{}", folder.path().join("hello").display());
    let served = Served::start(support::anyarch(), &["--json", &layout]);
    let (host, digest) = (served.host(), digest_of(&served, "team/app:1.0"));
    let (code, stdout, _) = served.end(Signal::SIGTERM);
    assert_eq!(code, 0);
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    assert_eq!(
        serde_json::from_str::<Value>(&stdout).unwrap(),
        json!({
            "address": host.replace("localhost", "127.0.0.1"),
            "images": [{
                "reference": format!("{host}/team/app:1.0"), "repository": "team/app", "tag": "1.0", "digest": digest,
                "mediaType": MEDIA_TYPE_INDEX, "layout": layout.trim_start_matches("team/app="),
            }],
        })
    );
}

#[test]
fn layouts_are_named_in_every_way() {
    let folder =
        layouts(&[("hello", "1.0"), ("out/one", "latest"), ("out/two", "example.com/team/app:2"), ("out/.x", "no")]);
    let archive = folder.path().join("image_1.tar");
    let mut tar = tar::Builder::new(fs::File::create(&archive).unwrap());
    tar.append_dir_all(".", folder.path().join("hello")).unwrap();
    tar.finish().unwrap();
    // Two images, of which each has its own whole name, as containerd and docker write them.
    let several = folder.path().join("several");
    write(&several, "x", "several", 0);
    let index: Value = serde_json::from_slice(&fs::read(several.join("index.json")).unwrap()).unwrap();
    let named = |name: &str| {
        let mut entry = index["manifests"][0].clone();
        entry["annotations"] = json!({REF_NAME: "latest", "io.containerd.image.name": name});
        entry
    };
    let entries = ["docker.io/library/a:latest", "ghcr.io/team/b:latest"].map(named);
    fs::write(several.join("index.json"), json!({"manifests": entries}).to_string()).unwrap();
    // One that has no names: each platform by itself, as an image index.
    let bare = folder.path().join("bare");
    write(&bare, "x", "bare", 0);
    let of_bare: Value = serde_json::from_slice(&fs::read(bare.join("index.json")).unwrap()).unwrap();
    let inner = bare.join("blobs").join(of_bare["manifests"][0]["digest"].as_str().unwrap().replacen(':', "/", 1));
    fs::copy(inner, bare.join("index.json")).unwrap();
    let program = || support::anyarch().cwd(folder.path());
    for (arguments, names) in [
        (&["hello"][..], &["hello:1.0"][..]),
        (&["./hello", "two=oci:hello:1.0"], &["hello:1.0", "two:1.0"]),
        (&["oci-archive:image_1.tar"], &["image_1:1.0"]),
        (&["team/app=image_1.tar"], &["team/app:1.0"]),
        (&["out"], &["one:latest", "two:2"]),
        (&["out/two"], &["team/app:2"]),
        (&["mine=out/two"], &["mine:2"]),
        (&["several"], &["a:latest", "team/b:latest"]),
        (&["bare"], &["bare:latest"]),
    ] {
        let served = Served::start(program(), arguments);
        let expected = names.iter().fold(String::new(), |text, name| text + &served.host() + "/" + name + "\n");
        assert_eq!(served.stdout(), expected, "{arguments:?}");
        for name in names {
            let digest = digest_of(&served, name);
            assert_eq!(pull(&served, name.split(':').next().unwrap(), &digest), 4, "{arguments:?} {name}");
        }
    }
}

#[test]
fn a_pull_ends_well_while_its_layout_is_replaced() {
    let folder = layouts(&[("out/hello", "1.0")]);
    let layout = folder.path().join("out/hello");
    let first = replace(&layout, "1.0", "first", 4 << 20);
    let mut served = Served::start(support::anyarch(), &[folder.path().join("out").to_str().unwrap()]);
    assert_eq!(digest_of(&served, "hello:1.0"), first);
    let manifest = served.get(&format!("/v2/hello/manifests/{first}")).json();
    let manifest = served.get(&format!("/v2/hello/manifests/{}", manifest["manifests"][0]["digest"].as_str().unwrap()));
    let layer = manifest.json()["layers"][0].clone();
    // A client that has read only the beginning of a layer.
    let mut stream = served.connect();
    let path = format!("/v2/hello/blobs/{}", layer["digest"].as_str().unwrap());
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut begin = vec![0; 1000];
    stream.read_exact(&mut begin).unwrap();
    let second = replace(&layout, "1.0", "second", 1000);
    assert_eq!(digest_of(&served, "hello:1.0"), second, "a tag is what it is now");
    stream.read_to_end(&mut begin).unwrap();
    let answer = Answer::read(&begin).unwrap();
    assert_eq!(Descriptor::of("", &answer.body).digest.to_string(), layer["digest"].as_str().unwrap());
    assert_eq!((pull(&served, "hello", &first), pull(&served, "hello", &second)), (4, 4));
    // What breaks a layout leaves what was there before.
    fs::write(layout.join("index.json"), "{").unwrap();
    served.wait_for_line(|line| line.contains("is not that of an image layout"));
    assert_eq!(digest_of(&served, "hello:1.0"), second);
    assert_eq!(pull(&served, "hello", &second), 4);
    // A layout that comes later, and one that goes.
    write(&folder.path().join("out/later"), "latest", "later", 0);
    assert_eq!(served.get("/v2/_catalog").json()["repositories"], json!(["hello", "later"]));
    fs::remove_dir_all(&layout).unwrap();
    assert_eq!(served.get("/v2/_catalog").json()["repositories"], json!(["later"]));
    assert_eq!(served.get("/v2/hello/tags/list").code(), "NAME_UNKNOWN");
    assert_eq!(pull(&served, "hello", &second), 4, "who has begun can end");
}

#[test]
fn running_answers_have_a_moment_at_the_end() {
    let folder = layouts(&[]);
    let layout = folder.path().join("hello");
    write(&layout, "1.0", "large", 8 << 20);
    let served = Served::start(support::anyarch(), &[layout.to_str().unwrap()]);
    let blobs = fs::read_dir(layout.join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
    let largest: PathBuf = blobs.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let name = largest.file_name().unwrap().to_str().unwrap().to_owned();
    let ask = |stream: &mut std::net::TcpStream| {
        write!(stream, "GET /v2/hello/blobs/sha256:{name} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut begin = vec![0; 1000];
        stream.read_exact(&mut begin).unwrap();
        begin
    };
    let (mut reading, mut idle) = (served.connect(), served.connect());
    let (mut begin, _) = (ask(&mut reading), ask(&mut idle));
    let ended = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(300));
            reading.read_to_end(&mut begin).unwrap();
            Answer::read(&begin).unwrap().body
        });
        let start = std::time::Instant::now();
        let (code, _, said) = served.end(Signal::SIGTERM);
        assert_eq!(code, 0, "{said}");
        assert!(start.elapsed().as_secs() < 8, "who takes nothing is not waited for");
        reader.join().unwrap()
    });
    assert!(ended == fs::read(&largest).unwrap(), "who takes it gets the whole answer");
    drop(idle);
}

#[test]
fn what_cannot_be_served_is_said() {
    let folder = layouts(&[("hello", "1.0"), ("other", "1.0"), ("My App", "1.0")]);
    fs::create_dir(folder.path().join("empty")).unwrap();
    fs::create_dir(folder.path().join("broken")).unwrap();
    fs::write(folder.path().join("broken/index.json"), r#"{"manifests": 7}"#).unwrap();
    for (arguments, code, words) in [
        (
            &["none"][..],
            2,
            "
            error: there is no layout `none`

            hint: anyarch serve oci:path/to/layout
            hint: anyarch serve oci-archive:image.tar
            ",
        ),
        (
            &["oci:none"],
            2,
            "
            error: `oci:none` is no image layout: there is no `index.json` in it

            hint: anyarch serve oci:path/to/layout
            hint: anyarch serve oci-archive:image.tar
            ",
        ),
        (
            &["oci:"],
            2,
            "
            error: `oci:` names no folder

            hint: anyarch serve oci:path/to/layout
            ",
        ),
        (
            &["App=hello"],
            2,
            "
            error: there is no layout `App=hello`

            hint: repositories are lower case: anyarch serve app=hello
            ",
        ),
        (
            &["empty"],
            2,
            "
            error: `empty` is no image layout: there is no `index.json` in it

            hint: anyarch serve oci:path/to/layout
            hint: anyarch serve oci-archive:image.tar
            ",
        ),
        (
            &["My App"],
            2,
            "
            error: no repository can be called as `My App` is

            hint: give it a name: anyarch serve app='My App'
            ",
        ),
        (
            &["oci:hello:2.0"],
            2,
            "
            error: there is no image `2.0` in `oci:hello`

            hint: anyarch serve oci:hello:1.0
            ",
        ),
        (
            &["app=hello", "app=other"],
            2,
            "
            error: two images are called `app:1.0`: one in `hello`, one in `other`

            hint: give one of them a name of its own: anyarch serve other=other
            ",
        ),
        (
            &["broken"],
            2,
            "
            error: the `index.json` of `broken` is not that of an image layout
              because: invalid type: integer `7`, expected a sequence at line 1 column 15
            ",
        ),
    ] {
        let output =
            support::anyarch().cwd(folder.path()).args(["serve", "--addr", "127.0.0.1:0"]).args(arguments).run();
        output.assert_code(code).assert_stdout("").assert_stderr(words);
    }
}

#[test]
fn where_nothing_can_be_served_is_said() {
    let folder = layouts(&[("hello", "1.0")]);
    fs::write(folder.path().join("text.txt"), "no tar").unwrap();
    let output = support::anyarch().cwd(folder.path()).args(["serve", "--addr", "127.0.0.1:0", "text=text.txt"]).run();
    output.assert_stdout("");
    assert!(output.status != 0 && output.stderr.contains("`text.txt`"), "{}", output.stderr);
    for project in [Project::hello_go(), Project::new()] {
        project.anyarch().args(["serve"]).run().assert_code(2).assert_stdout("").assert_stderr(
            "
            error: nothing was built here: there is no layout in `[CWD]/.anyarch/out`

            hint: build it first: anyarch build
            hint: or name a layout: anyarch serve oci:path/to/layout
            ",
        );
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = support::anyarch().cwd(folder.path()).args(["serve", "--addr", &address, "hello"]).run();
    output.assert_code(1).assert_stdout("").assert_stderr(
        "
        error: `127.0.0.1:[PORT]` cannot be listened on
          because: Address already in use (os error 98)

        hint: take a free port, which is printed: anyarch serve --addr 127.0.0.1:[PORT]
        ",
    );
    assert!(output.stderr.ends_with(" --addr 127.0.0.1:0\n"), "{}", output.stderr);
}

#[test]
fn a_layout_that_is_not_whole_is_served_as_far_as_it_is_and_said() {
    let folder = layouts(&[("hello", "1.0")]);
    let blobs = folder.path().join("hello/blobs/sha256");
    let mut sizes: Vec<(u64, PathBuf)> = fs::read_dir(&blobs)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.metadata().unwrap().len(), entry.path()))
        .collect();
    sizes.sort();
    // The smallest is a layer: it is gone. The largest is the index, with other bytes of the same length.
    let layer = format!("sha256:{}", sizes[0].1.file_name().unwrap().to_str().unwrap());
    fs::remove_file(&sizes[0].1).unwrap();
    let served = Served::start(support::anyarch(), &[folder.path().join("hello").to_str().unwrap()]);
    let shown = folder.path().join("hello").display().to_string();
    let note = format!("note: `{shown}` is not whole: {layer} cannot be read, for it is not in it\n");
    assert!(served.stderr().contains(&note), "{}", served.stderr());
    let answer = served.get(&format!("/v2/hello/blobs/{layer}"));
    assert_eq!((answer.status, answer.code().as_str()), (404, "BLOB_UNKNOWN"));
    drop(served);
    let manifest = &sizes.last().unwrap().1;
    let damaged = fs::read_to_string(manifest).unwrap().replacen("arm64", "arm65", 1);
    fs::write(manifest, damaged).unwrap();
    let served = Served::start(support::anyarch(), &[folder.path().join("hello").to_str().unwrap()]);
    assert!(served.stderr().contains(" is other content than its name says\n"), "{}", served.stderr());
    let answer = served.get("/v2/hello/manifests/1.0");
    assert_eq!((answer.status, answer.code().as_str()), (404, "MANIFEST_UNKNOWN"));
}
