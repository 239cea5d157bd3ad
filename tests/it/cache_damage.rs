//! What a disk damaged in the cache, or in a layout, never gets into an image.

use std::fs;
use std::path::Path;

use crate::support::cache::{assert_whole, build, flip, index_of, listed, name, noise, only, site};
use crate::support::program::{Home, Output};
use crate::support::read_back::Image;
use crate::support::registry::{Options, Registry};

#[test]
fn a_layer_that_was_damaged_in_the_cache_is_made_or_fetched_anew() {
    let (project, home) = (site(&noise(2, 100_000)), Home::new());
    let places: [&[&str]; 3] =
        [&["-o", "type=oci,dest=out,tar=false"], &["-o", "type=oci,dest=out.tar"], &["-o", "type=oci,dest=-"]];
    for arguments in places {
        let first = build(&project, &home, arguments);
        let written = |output: &Output| match arguments[1] {
            "type=oci,dest=out,tar=false" => index_of(&project.path().join("out")),
            "type=oci,dest=out.tar" => fs::read(project.path().join("out.tar")).unwrap(),
            _ => output.bytes.clone(),
        };
        let expected = written(&first);
        for (kind, how) in [("own-layer", "made"), ("base-layer", "fetched")] {
            let path = only(&home, kind);
            flip(&path);
            // Else the layout that is there would do.
            let _ = fs::remove_dir_all(project.path().join("out"));
            let output = build(&project, &home, arguments);
            let note = format!(
                "note: `{}` in the cache is damaged: its contents do not have the digest sha256:{}; it is {how} anew",
                path.display(),
                name(&path)
            );
            assert_eq!(output.stderr.lines().filter(|line| *line == note).count(), 1, "{note}\n{}", output.stderr);
            assert!(written(&output) == expected, "{arguments:?} {kind}");
            assert_whole(&home.cache().join("blobs/sha256"));
        }
    }
    let layout = project.path().join(".anyarch/out/site");
    build(&project, &home, &[]);
    assert_eq!(Image::read(&format!("oci:{}:latest", layout.display()), "linux/amd64").layers.len(), 2);
}

#[test]
fn a_push_sends_nothing_that_is_damaged() {
    let (project, home, registry) = (site(&noise(2, 300_000)), Home::new(), Registry::start(&Options::default()));
    build(&project, &home, &[]);
    let layers = ["own-layer", "base-layer"].map(|kind| only(&home, kind));
    for path in &layers {
        flip(path);
    }
    let tag = format!("{}/site:1", registry.host());
    let output = build(&project, &home, &["--push", "-t", &tag]);
    for (path, how) in layers.iter().zip(["made", "fetched"]) {
        let note = format!(
            "note: `{}` in the cache is damaged: its contents do not have the digest sha256:{}; it is {how} anew",
            path.display(),
            name(path)
        );
        assert_eq!(output.stderr.lines().filter(|line| *line == note).count(), 1, "{note}\n{}", output.stderr);
    }
    assert_eq!(Image::read(&format!("docker://{tag}"), "linux/amd64").layers.len(), 2);
    assert_whole(&home.cache().join("blobs/sha256"));
}

#[test]
fn a_layer_that_is_damaged_everywhere_leaves_the_old_image_and_heals_once_it_can() {
    let (project, home) = (site(b"one"), Home::new());
    build(&project, &home, &["-o", "type=oci,dest=out,tar=false"]);
    let before = index_of(&project.path().join("out"));
    let layer = only(&home, "base-layer");
    let source = project.path().join("base/blobs/sha256").join(name(&layer));
    let whole = fs::read(&source).unwrap();
    let project = project.file("page", "two");
    for path in [&layer, &source, &project.path().join("out/blobs/sha256").join(name(&layer))] {
        flip(path);
    }
    let output = project.anyarch_at(&home).args(["build", "-o", "type=oci,dest=out,tar=false"]).run();
    output.assert_code(6).assert_stdout("");
    assert!(
        output.stderr.contains(&format!("is damaged: sha256:{} is not what its name says", name(&layer))),
        "{}",
        output.stderr
    );
    assert_eq!(index_of(&project.path().join("out")), before);
    assert_eq!(
        fs::read_dir(project.path())
            .unwrap()
            .flatten()
            .filter(|entry| name(&entry.path()).starts_with(".anyarch-"))
            .count(),
        0
    );

    fs::write(&source, whole).unwrap();
    build(&project, &home, &["-o", "type=oci,dest=out,tar=false"]);
    assert_ne!(index_of(&project.path().join("out")), before);
    assert_whole(&project.path().join("out/blobs/sha256"));
}

#[test]
fn what_was_damaged_in_the_layout_that_is_replaced_does_not_stay_damaged() {
    let (project, home) = (site(&noise(3, 50_000)), Home::new());
    build(&project, &home, &[]);
    let blobs = project.path().join(".anyarch/out/site/blobs/sha256");
    for blob in fs::read_dir(&blobs).unwrap() {
        flip(&blob.unwrap().path());
    }
    build(&project, &home, &[]);
    assert_whole(&blobs);
}

#[test]
fn a_damaged_record_is_none() {
    let (project, home) = (site(b"hello"), Home::new());
    build(&project, &home, &[]);
    let layout = project.path().join(".anyarch/out/site");
    let before = index_of(&layout);
    let record = listed(&home, "record").into_iter().find(|record| record["names"][0] == "own-layer").unwrap();
    let path = Path::new(record["path"].as_str().unwrap()).to_owned();
    let text = fs::read_to_string(&path).unwrap();
    let diff_id = text.find("diff_id").unwrap();
    let digit = diff_id + text[diff_id..].find("sha256:").unwrap() + 7;
    let other = if &text[digit..=digit] == "0" { "1" } else { "0" };
    let turned = format!("{}{other}{}", &text[..digit], &text[digit + 1..]);
    for damaged in [turned.as_str(), "{", "", "null"] {
        fs::write(&path, damaged).unwrap();
        build(&project, &home, &[]);
        assert_eq!(index_of(&layout), before, "{damaged}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_file_in_the_place_of_the_cache_is_an_error_that_names_it() {
    let (project, home) = (site(b"hello"), Home::new());
    fs::create_dir_all(home.cache()).unwrap();
    fs::write(home.cache().join("blobs"), "").unwrap();
    let output = project.anyarch_at(&home).args(["build"]).run();
    output.assert_code(1).assert_stdout("");
    let words = "error: the cache at `[HOME]/anyarch-cache` cannot be used\n  because: failed to create directory `[HOME]/anyarch-cache/blobs/sha256`";
    assert!(output.redacted_stderr().starts_with(words), "{}", output.stderr);
}
