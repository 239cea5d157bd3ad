//! Annotations of the index, of manifests and of single platforms, from the configuration and the command line.

use serde_json::{Value, json};

use crate::support::project::{Project, refused};
use crate::support::read_back::Image;
use crate::support::start::Source;

const FILES: &str =
    "[[image]]\nname = \"files\"\nprograms = []\n[[image.file]]\nsource = \"motd\"\ndestination = \"/etc/motd\"\n";

fn project(annotations: &str) -> Project {
    Project::new().file("motd", "hello\n").file("anyarch.toml", format!("base = \"scratch\"\n{annotations}\n{FILES}"))
}

/// The annotations of the index, of the manifests of amd64 and arm64, and of their entries in the index.
fn built(project: &Project, arguments: &[&str]) -> [Value; 5] {
    project.anyarch().args(["build"]).args(arguments).run().assert_success();
    let layout = project.path().join(".anyarch/out/files");
    let index = Source::Layout(layout.clone()).raw();
    let manifest = |platform| Image::read(&format!("oci:{}:latest", layout.display()), platform).manifest;
    let [amd64, arm64] = ["linux/amd64", "linux/arm64"].map(|platform| manifest(platform)["annotations"].clone());
    let entry = |position: usize| index["manifests"][position]["annotations"].clone();
    [index["annotations"].clone(), amd64, arm64, entry(0), entry(1)]
}

#[test]
fn a_prefix_says_what_is_annotated() {
    let project = project(
        "[annotations]\nplain = \"{{image.name}}\"\n\"index:i\" = \"1\"\n\"manifest:m\" = \"2\"\n\
         \"manifest[linux/arm64]:m\" = \"3\"\n\"manifest-descriptor:d\" = \"4\"\n\"index,manifest:a:b\" = \"5\"\n",
    );
    let null = Value::Null;
    assert_eq!(
        built(&project, &[]),
        [
            json!({"plain": "files", "i": "1", "a:b": "5"}),
            json!({"plain": "files", "m": "2", "a:b": "5"}),
            json!({"plain": "files", "m": "3", "a:b": "5"}),
            json!({"d": "4"}),
            json!({"d": "4"}),
        ]
    );
    // A flag wins over the file, wherever it goes.
    let flags = ["--annotation", "index:plain=flag", "--annotation", "m=x", "--annotation"];
    let more = ["manifest-descriptor[linux/arm64]:d=5"];
    assert_eq!(
        built(&project, &[&flags[..], &more].concat()),
        [
            json!({"plain": "flag", "i": "1", "a:b": "5", "m": "x"}),
            json!({"plain": "files", "m": "x", "a:b": "5"}),
            json!({"plain": "files", "m": "x", "a:b": "5"}),
            json!({"d": "4"}),
            json!({"d": "5"}),
        ]
    );
    let plain = self::project("");
    let both = json!({"a": "b=c"});
    assert_eq!(built(&plain, &["--annotation", "a=b=c"]), [both.clone(), both.clone(), both, null.clone(), null]);
}

#[test]
fn an_annotation_that_has_no_place_is_said() {
    let project = project("");
    for (annotation, words) in [
        (
            "index-descriptor:a=b",
            "
            error: `--annotation`: `index-descriptor` in the annotation `index-descriptor:a` is nothing that anyarch annotates

            hint: known prefixes: index, manifest, manifest-descriptor, manifest[linux/arm64]
            hint: a key that holds a colon: index,manifest:index-descriptor:a
            ",
        ),
        (
            "index[linux/arm64]:a=b",
            "
            error: `--annotation`: `index[linux/arm64]` in the annotation `index[linux/arm64]:a` names a platform, and there is one index for all

            hint: --annotation index:a=VALUE
            ",
        ),
        (
            "manifest[linux/arm46]:a=b",
            "
            error: `--annotation`: `manifest[linux/arm46]` in the annotation `manifest[linux/arm46]:a`: `linux/arm46` is not a platform: the architecture `arm46` is unknown

            hint: linux/arm64
            ",
        ),
        (
            "manifest:=b",
            "
            error: `--annotation`: the annotation `manifest:` has no key

            hint: --annotation index:org.opencontainers.image.title=VALUE
            ",
        ),
    ] {
        refused(&project, &["--annotation", annotation], 2, words);
    }
    let single = ["--single-manifest", "--platform", "linux/amd64", "--annotation"];
    refused(
        &project,
        &[&single[..], &["index:a=b"]].concat(),
        2,
        "
        error: the annotation `index:a` is for the index, and a single manifest has none

        hint: manifest:KEY=VALUE
        ",
    );
    project.anyarch().args(["plan"]).args(single).args(["a=b"]).run().assert_success();
}
