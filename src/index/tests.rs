use serde_json::{Value, json};

use super::*;
use crate::annotation::AnnotationKey;
use crate::blob::{MEDIA_TYPE_MANIFEST, REF_NAME};
use crate::hint::Hint as _;

/// An image for `platform`, or with what `fields` say of it.
fn image(name: &str, configured: Option<&str>, fields: Value) -> Part {
    let mut written = json!({"mediaType": MEDIA_TYPE_MANIFEST, "digest": Digest::of(name.as_bytes()), "size": 1});
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    written.as_object_mut().unwrap().extend(fields);
    let configured =
        configured.map(|platform| NamedPlatform::from(platform.parse::<crate::platform::Platform>().unwrap()));
    let entry = serde_json::from_value(written).unwrap();
    Part { source: format!("repo:{name}"), entry, role: Role::Image, configured, asked: None, stands: false }
}

fn attestation(name: &str, of: &str) -> Part {
    let of = Some(Digest::of(of.as_bytes()));
    let role = Role::Attestation { of, predicates: Vec::new() };
    Part { role, ..image(name, None, json!({"platform": {"os": "unknown", "architecture": "unknown"}})) }
}

fn standing(part: Part) -> Part {
    Part { stands: true, ..part }
}

fn annotated(texts: &[(&str, &str)]) -> Annotations {
    let mut annotations = Annotations::default();
    let keys = texts.iter().map(|(key, value)| (key.parse::<AnnotationKey>().unwrap(), (*value).to_owned()));
    annotations.lay_over(keys.collect());
    annotations
}

fn made(parts: &[Part]) -> Result<Index, IndexError> {
    assemble(None, parts, &Annotations::default())
}

fn read(index: &Index) -> Value {
    assert_eq!(index.descriptor, Descriptor::of(&index.descriptor.media_type, &index.bytes));
    serde_json::from_slice(&index.bytes).unwrap()
}

fn document(value: &Value) -> Document {
    let bytes = serde_json::to_vec_pretty(value).unwrap();
    let media_type = value["mediaType"].as_str().unwrap_or(MEDIA_TYPE_INDEX);
    Document::read(Descriptor::of(media_type, &bytes), bytes).unwrap()
}

#[test]
fn fields_stay_and_platforms_come_from_configs() {
    let amd64 = json!({"os": "linux", "architecture": "amd64", "os.features": ["x"], "new": 1});
    let parts = [
        image("a", Some("linux/amd64"), json!({"platform": amd64, "artifactType": "t", "annotations": {"k": "v"}})),
        attestation("about a", "a"),
        image("b", Some("linux/arm/v6"), json!({"urls": ["u"]})),
    ];
    let index = made(&parts).unwrap();
    let said = read(&index);
    assert_eq!(said["mediaType"], MEDIA_TYPE_INDEX);
    let entries = said["manifests"].as_array().unwrap();
    assert_eq!(entries[0], Value::Object(parts[0].entry.written.clone()));
    assert_eq!(entries[1], Value::Object(parts[1].entry.written.clone()));
    assert_eq!(entries[2]["platform"], json!({"os": "linux", "architecture": "arm", "variant": "v6"}));
    assert_eq!(entries[2]["urls"], json!(["u"]));
    assert_eq!((index.parts.as_slice(), index.remarks.len()), (&[0, 1, 2][..], 0));
    assert_eq!(index.platforms[1].0.to_string(), "linux/arm/v6");
}

#[test]
fn an_index_that_says_the_same_keeps_its_bytes() {
    let parts = [image("a", Some("linux/amd64"), json!({"platform": {"os": "linux", "architecture": "amd64"}}))];
    let entries = json!([parts[0].entry.written]);
    for whole in [
        json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": entries, "annotations": {"k": "v"}}),
        // As older programs wrote it.
        json!({"schemaVersion": 2, "manifests": entries}),
    ] {
        let whole = document(&whole);
        let index = assemble(Some(&whole), &parts, &Annotations::default()).unwrap();
        assert_eq!(
            (index.bytes.as_slice(), index.descriptor.digest),
            (whole.bytes.as_slice(), whole.descriptor.digest)
        );
        let again = assemble(Some(&whole), &parts, &annotated(&[("index:new", "1")])).unwrap();
        let mut annotations = whole.annotations.clone();
        annotations.insert("new".into(), "1".into());
        assert_eq!(read(&again)["annotations"], json!(annotations));
        let same = assemble(Some(&whole), &parts, &annotated(&[("index:k", "v")])).unwrap();
        assert_eq!(same.bytes == whole.bytes, whole.annotations.contains_key("k"));
    }
}

#[test]
fn what_is_added_takes_the_place_of_what_stands() {
    let platform = json!({"platform": {"os": "linux", "architecture": "arm64"}});
    let parts = [
        standing(image("old", Some("linux/arm64"), platform.clone())),
        standing(attestation("about old", "old")),
        standing(image("amd64", Some("linux/amd64"), json!({}))),
        image("new", Some("linux/arm64"), platform),
        attestation("about new", "new"),
    ];
    let index = made(&parts).unwrap();
    assert_eq!(index.parts, [3, 2, 4]);
    let digest = |name: &str| Digest::of(name.as_bytes());
    let platform = index.platforms[0].0.clone();
    let orphan = Remark::Orphan { attestation: digest("about old"), of: digest("old") };
    assert_eq!(index.remarks, [Remark::Replaced { platform, old: digest("old"), new: digest("new") }, orphan]);
    // The same one again is no second one.
    let again = made(&[standing(parts[3].clone()), parts[3].clone()]).unwrap();
    assert_eq!((again.parts.as_slice(), again.remarks.len()), (&[0][..], 0));
}

#[test]
fn what_makes_no_index_is_said() {
    let arm = |variant: &str| json!({"platform": {"os": "linux", "architecture": "arm", "variant": variant}});
    let spec = Some(NamedPlatform::from("linux/s390x".parse::<crate::platform::Platform>().unwrap()));
    let digest = |name: &str| Digest::of(name.as_bytes());
    for (parts, message, hint) in [
        (
            vec![attestation("x", "y")],
            "an index needs an image, and there is none".to_owned(),
            "anyarch index create -t REPOSITORY:TAG REPOSITORY:TAG-amd64 REPOSITORY:TAG-arm64",
        ),
        (
            vec![image("a", Some("linux/arm"), json!({})), image("b", Some("linux/arm/v7"), json!({}))],
            format!("two images are for linux/arm/v7: {} of `repo:a` and {} of `repo:b`", digest("a"), digest("b")),
            "leave `repo:b` out",
        ),
        (
            vec![image("a", Some("linux/arm/v7"), arm("v6"))],
            format!(
                "{} of `repo:a` is said to be for linux/arm/v6, and it is for linux/arm/v7 by what else is said of it",
                digest("a")
            ),
            "look at it: anyarch inspect repo:a",
        ),
        (
            vec![Part { asked: spec, ..image("a", Some("linux/arm/v6"), arm("v6")) }],
            format!(
                "{} of `repo:a` is said to be for linux/s390x, and it is for linux/arm/v6 by what else is said of it",
                digest("a")
            ),
            "look at it: anyarch inspect repo:a",
        ),
        (
            vec![image("a", None, json!({}))],
            format!("{} of `repo:a` is for no platform: neither an index nor its config names one", digest("a")),
            "--from-spec FILE, with `platform: {os: linux, architecture: arm64}` for it in FILE",
        ),
    ] {
        let error = made(&parts).unwrap_err();
        assert_eq!((error.to_string(), error.hints()), (message, vec![hint.to_owned()]));
    }
    let windows =
        |version: &str| json!({"platform": {"os": "windows", "architecture": "amd64", "os.version": version}});
    let two = [image("a", Some("windows/amd64"), windows("1")), image("b", Some("windows/amd64"), windows("2"))];
    assert_eq!(made(&two).unwrap().parts, [0, 1]);
}

#[test]
fn what_the_user_says_completes_what_an_image_says() {
    let asked =
        NamedPlatform::of_json(&json!({"os": "linux", "architecture": "arm", "variant": "v6", "features": ["vfp"]}));
    let config = NamedPlatform::of_json(&json!({"os": "linux", "architecture": "arm"}));
    let part = Part { asked, configured: config, ..image("a", None, json!({})) };
    let said = read(&made(&[part]).unwrap());
    let platform = json!({"os": "linux", "architecture": "arm", "variant": "v6", "features": ["vfp"]});
    assert_eq!(said["manifests"][0]["platform"], platform);
}

#[test]
fn annotations_go_to_the_index_and_to_descriptors() {
    let parts = [
        image("a", Some("linux/amd64"), json!({"annotations": {"k": "old", REF_NAME: "x"}})),
        image("b", Some("linux/arm64"), json!({})),
        attestation("about a", "a"),
    ];
    let texts =
        [("plain", "1"), ("index:i", "2"), ("manifest-descriptor:k", "3"), ("manifest-descriptor[linux/arm64]:k", "4")];
    let said = read(&assemble(None, &parts, &annotated(&texts)).unwrap());
    assert_eq!(said["annotations"], json!({"plain": "1", "i": "2"}));
    assert_eq!(said["manifests"][0]["annotations"], json!({"k": "3", REF_NAME: "x"}));
    assert_eq!(said["manifests"][1]["annotations"], json!({"k": "4"}));
    assert_eq!(said["manifests"][2], Value::Object(parts[2].entry.written.clone()));
    let error = assemble(None, &parts, &annotated(&[("manifest-descriptor[linux/386]:k", "1")])).unwrap_err();
    assert_eq!(error.to_string(), "there is no linux/386 in the index, whose descriptor is to be annotated");
    assert_eq!(error.hints()[0], "--annotation manifest-descriptor[linux/amd64]:KEY=VALUE");
}

#[test]
fn dockers_images_alone_make_dockers_list() {
    let docker =
        |name: &str, platform: &str| image(name, Some(platform), json!({"mediaType": MEDIA_TYPE_DOCKER_MANIFEST}));
    let oci = image("c", Some("linux/386"), json!({}));
    let (a, b) = (docker("a", "linux/amd64"), docker("b", "linux/arm64"));
    let whole = document(&json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": []}));
    let note: &[(&str, &str)] = &[("index:k", "v")];
    let described: &[(&str, &str)] = &[("manifest-descriptor:k", "v")];
    for (whole, parts, annotations, media_type) in [
        (None, vec![a.clone(), b.clone()], &[][..], MEDIA_TYPE_DOCKER_INDEX),
        (None, vec![a.clone(), oci], &[], MEDIA_TYPE_INDEX),
        (None, vec![a.clone(), b.clone()], note, MEDIA_TYPE_INDEX),
        (None, vec![a.clone(), b.clone()], described, MEDIA_TYPE_INDEX),
        (Some(&whole), vec![a, b], &[], MEDIA_TYPE_INDEX),
    ] {
        let index = assemble(whole, &parts, &annotated(annotations)).unwrap();
        assert_eq!(index.descriptor.media_type, media_type);
        assert_eq!(read(&index)["mediaType"], media_type);
    }
}
