use serde_json::json;

use super::*;
use crate::blob::{MEDIA_TYPE_MANIFEST, canonical_json};
use crate::image;

const PLATFORMS: [&str; 3] = ["linux/arm64", "linux/amd64", "linux/arm/v7"];

fn manifest(platform: &str) -> Descriptor {
    let mut descriptor = Descriptor::of(MEDIA_TYPE_MANIFEST, platform.as_bytes());
    descriptor.platform = Some(platform.parse::<Platform>().unwrap().into());
    descriptor
}

fn annotations() -> BTreeMap<String, String> {
    [("org.example.key".to_owned(), "value".to_owned())].into()
}

fn index(platforms: &[&str]) -> Vec<u8> {
    let manifests: Vec<Descriptor> = platforms.iter().map(|platform| manifest(platform)).collect();
    image::index(&manifests, &annotations())
}

fn part(shard: Option<&str>, platforms: &[&str]) -> (String, Part) {
    let image = ImagePart {
        name: "app".to_owned(),
        references: vec!["example.com/app:1".parse().unwrap()],
        platforms: PLATFORMS.iter().map(|platform| platform.parse().unwrap()).collect(),
        left_out: Vec::new(),
        index: PartIndex::read(&index(platforms)).unwrap(),
    };
    let part = Part::new(shard.map(|shard| shard.parse().unwrap()), vec![image]);
    (part.file_name(), part)
}

/// Both parts of two machines.
fn both() -> [(String, Part); 2] {
    [part(Some("2/2"), &[PLATFORMS[1]]), part(Some("1/2"), &[PLATFORMS[0], PLATFORMS[2]])]
}

#[test]
fn a_part_reads_as_it_was_written() {
    for (name, part) in [both().to_vec(), vec![part(None, &["linux/arm/v7", "linux/386"])]].concat() {
        assert_eq!(Part::read(&name, &part.to_bytes()).unwrap(), part);
    }
    let names: Vec<String> = both().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["shard-2-of-2.json", "shard-1-of-2.json"]);
    assert_eq!(part(None, &["linux/arm/v7", "linux/386"]).0, "linux-386_linux-arm-v7.json");
}

#[test]
fn the_parts_make_the_index_that_one_machine_makes() {
    let joined = join(&both()).unwrap();
    let [whole] = joined.as_slice() else { panic!("one image") };
    assert_eq!(whole.index, index(&PLATFORMS));
    assert_eq!(whole.references, ["example.com/app:1".parse().unwrap()]);
    assert_eq!(whole.manifests, PLATFORMS.map(manifest));
}

#[test]
fn parts_without_a_split_come_in_the_order_of_platforms() {
    let parts = [part(None, &["linux/arm64"]), part(None, &["linux/amd64"])];
    assert_eq!(join(&parts).unwrap()[0].index, index(&["linux/amd64", "linux/arm64"]));
}

#[test]
fn what_was_left_out_is_not_missed() {
    let [(first, mut left), right] = both();
    left.images[0].index = PartIndex::read(&index(&[])).unwrap();
    let without = [(first, left.clone()), right.clone()];
    assert_eq!(join(&without).unwrap_err().to_string(), "no machine made linux/amd64 of `app`");
    left.images[0].left_out = vec!["linux/amd64".parse().unwrap()];
    let left_out = [("a.json".to_owned(), left), right];
    assert_eq!(join(&left_out).unwrap()[0].manifests, [manifest(PLATFORMS[0]), manifest(PLATFORMS[2])]);
}

#[test]
fn an_image_of_which_a_machine_makes_nothing_is_whole_all_the_same() {
    let [(name, mut without), (_, mut with)] = both();
    without.images.clear();
    with.images[0].platforms.remove(1);
    let joined = join(&[(name, without), ("b.json".to_owned(), with)]).unwrap();
    assert_eq!(joined[0].index, index(&[PLATFORMS[0], PLATFORMS[2]]));
}

#[test]
fn parts_of_no_whole_are_refused() {
    let [second, first] = both();
    let changed = |change: fn(&mut ImagePart)| {
        let (name, mut part) = second.clone();
        change(&mut part.images[0]);
        vec![first.clone(), (name, part)]
    };
    for (parts, message) in [
        (vec![], "there is no result of any machine"),
        (vec![first.clone()], "there is no result of the shard 2/2"),
        (
            vec![first.clone(), ("b.json".to_owned(), first.1.clone())],
            "the shard 1/2 is in `shard-1-of-2.json` and in `b.json`",
        ),
        (
            vec![first.clone(), part(Some("2/3"), &[PLATFORMS[1]])],
            "`shard-1-of-2.json` is the shard 1/2 and `shard-2-of-3.json` is the shard 2/3: they are parts of two builds",
        ),
        (
            vec![first.clone(), part(None, &[PLATFORMS[1]])],
            "`shard-1-of-2.json` is the shard 1/2 and `linux-amd64.json` is no shard: they are parts of two builds",
        ),
        (
            vec![first.clone(), part(Some("2/2"), &PLATFORMS)],
            "linux/arm64 of `app` is in `shard-1-of-2.json` and in `shard-2-of-2.json`",
        ),
        (
            changed(|image| image.references.clear()),
            "`shard-1-of-2.json` and `shard-2-of-2.json` do not agree about the references of `app`",
        ),
        (
            changed(|image| image.platforms.truncate(2)),
            "`shard-1-of-2.json` and `shard-2-of-2.json` do not agree about the platforms of `app`",
        ),
        (
            changed(|image| drop(image.index.rest.remove("annotations"))),
            "`shard-1-of-2.json` and `shard-2-of-2.json` do not agree about the annotations of `app`",
        ),
    ] {
        assert_eq!(join(&parts).unwrap_err().to_string(), message);
    }
}

#[test]
fn files_of_something_else_are_said() {
    for (value, message) in [
        (json!({}), "`a.json` is no result of `anyarch build`"),
        (json!({"format": 1}), "`a.json` is no result of `anyarch build`"),
        (json!({"format": 9}), "`a.json` has the format 9, and this version reads 1"),
    ] {
        assert_eq!(Part::read("a.json", &canonical_json(&value)).unwrap_err().to_string(), message);
    }
}
