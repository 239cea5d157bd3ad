use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::*;
use crate::base::Role;
use crate::hint::Hint as _;
use crate::wanted::Waiter;

enum Kind<'bytes> {
    File(&'bytes [u8]),
    Symlink(&'bytes str),
}

fn archive(file: &Path, members: &[(&str, Kind<'_>)]) {
    let mut tar = Builder::new(std::fs::File::create(file).unwrap());
    for (path, kind) in members {
        let mut header = Header::new_ustar();
        match kind {
            Kind::File(bytes) => {
                header.set_size(bytes.len() as u64);
                tar.append_data(&mut header, path, *bytes).unwrap();
            }
            Kind::Symlink(target) => {
                header.set_size(0);
                header.set_entry_type(EntryType::Symlink);
                tar.append_link(&mut header, path, target).unwrap();
            }
        }
    }
    tar.finish().unwrap();
}

fn config(diff_ids: &[Digest]) -> Vec<u8> {
    json!({"os": "linux", "architecture": "arm64", "rootfs": {"type": "layers", "diff_ids": diff_ids}})
        .to_string()
        .into_bytes()
}

fn opened(file: &Path, name: Option<&str>) -> Result<Archived, BaseError> {
    let base = Subject { role: Role::Image, name: format!("docker-archive:{}", file.display()).into() };
    let waiter = Waiter::default();
    open(&base, file, name, &waiter.wanted())
}

fn image(file: &Path, name: Option<&str>) -> DockerFiles {
    match opened(file, name) {
        Ok(Archived::Docker(files)) => files,
        Ok(Archived::Layout) => panic!("it has an index.json"),
        Err(error) => panic!("{error}"),
    }
}

fn read(files: &DockerFiles, path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    files.open(path).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// What `docker save` wrote before version 25: a folder a layer, and a link where another image has the same one.
#[test]
fn a_saved_image_is_a_layout_whose_blobs_lie_in_the_archive() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("image.tar");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(b"second").unwrap();
    let second = gzip.finish().unwrap();
    let config = config(&[Digest::of(b"first"), Digest::of(b"second"), Digest::of(b"first")]);
    let manifest =
        r#"[{"Config":"c.json","RepoTags":["app:1"],"Layers":["a/layer.tar","b/layer.tar","d/e/layer.tar"]}]"#;
    archive(
        &file,
        &[
            ("a/layer.tar", Kind::File(b"first")),
            ("b/layer.tar", Kind::File(&second)),
            ("d/e/layer.tar", Kind::Symlink("../../a/layer.tar")),
            ("./c.json", Kind::File(&config)),
            ("manifest.json", Kind::File(manifest.as_bytes())),
        ],
    );
    for name in [None, Some("app:1"), Some("1"), Some("docker.io/library/app:1"), Some("@0")] {
        let files = image(&file, name);
        let index: Value = serde_json::from_slice(&read(&files, "index.json")).unwrap();
        let top: Descriptor = serde_json::from_value(index["manifests"][0].clone()).unwrap();
        let manifest: Value = serde_json::from_slice(&read(&files, &blob(&top.digest))).unwrap();
        let layers: Vec<Descriptor> = serde_json::from_value(manifest["layers"].clone()).unwrap();
        let types: Vec<&str> = layers.iter().map(|layer| layer.media_type.as_str()).collect();
        assert_eq!(types, [MEDIA_TYPE_LAYER, MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_LAYER]);
        for (layer, bytes) in layers.iter().zip([b"first".as_slice(), &second, b"first"]) {
            assert_eq!((layer.digest, layer.size), (Digest::of(bytes), bytes.len() as u64));
            assert_eq!(read(&files, &blob(&layer.digest)), bytes);
        }
        assert_eq!(read(&files, &blob(&Digest::of(&config))), config);
        assert!(files.open("blobs/sha256/0").is_err());
    }
}

#[test]
fn of_several_images_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("image.tar");
    let configs = [config(&[]), config(&[Digest::of(b"1")])];
    let manifest = r#"[{"Config":"a","RepoTags":["app:1","app:2"],"Layers":[]},
        {"Config":"b","RepoTags":null,"Layers":["l"]},{"Config":"b","RepoTags":["tool:2"],"Layers":["l"]}]"#;
    let members = [
        ("a", Kind::File(&configs[0])),
        ("b", Kind::File(&configs[1])),
        ("l", Kind::File(b"1")),
        ("manifest.json", Kind::File(manifest.as_bytes())),
    ];
    archive(&file, &members);
    for (name, layers) in [("app:1", 0), ("app:2", 0), ("1", 0), ("@1", 1), ("tool:2", 1)] {
        assert_eq!(image(&file, Some(name)).layers.len(), layers, "{name}");
    }
    let place = format!("docker-archive:{}", file.display());
    let all = "holds 4 images: app:1, app:2, @1, tool:2";
    for (name, words) in [
        (None, format!("the layout of the image `{place}` {all}")),
        (Some("2"), format!("the layout of the image `{place}` {all}")),
        (Some("app"), format!("the layout of the image `{place}` has no image `app`; it has app:1, app:2, @1, tool:2")),
        (Some("@3"), format!("the layout of the image `{place}` has no image `@3`; it has app:1, app:2, @1, tool:2")),
    ] {
        let error = opened(&file, name).err().unwrap();
        assert_eq!(error.to_string(), words);
        assert_eq!(error.hints()[0], format!("{place}:app:1"));
    }
}

#[test]
fn what_does_not_fit_together_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("image.tar");
    let place = file.display().to_string();
    let one = config(&[Digest::of(b"1")]);
    let manifest = |layers: &str| format!(r#"[{{"Config":"c","Layers":{layers}}}]"#);
    for (layers, words) in [
        ("[]", "has 0 layers, and its config lists 1 of them".to_owned()),
        ("[\"gone\"]", format!("cannot be read|`{place}` has no file `gone`")),
        ("[\"out\"]", format!("cannot be read|`{place}` has no file `etc/passwd`")),
        ("[\"round\"]", format!("cannot be read|`{place}` has no file `round`")),
    ] {
        let manifest = manifest(layers);
        let links = [("out", Kind::Symlink("../../../etc/passwd")), ("round", Kind::Symlink("round"))];
        let members = [("c", Kind::File(one.as_slice())), ("manifest.json", Kind::File(manifest.as_bytes()))];
        archive(&file, &members.into_iter().chain(links).collect::<Vec<_>>());
        let error = opened(&file, None).err().unwrap();
        let cause = std::error::Error::source(&error).map(|cause| format!("|{cause}")).unwrap_or_default();
        let said = format!("{error}{cause}");
        assert!(said.ends_with(&words), "{said}");
    }
    archive(&file, &[("letter.txt", Kind::File(b"dear"))]);
    assert!(!is_older(&file));
    let words = "holds no image: it has neither a manifest.json nor an index.json";
    assert!(opened(&file, None).err().unwrap().to_string().ends_with(words));
    archive(&file, &[("index.json", Kind::File(b"{}")), ("manifest.json", Kind::File(b"[]"))]);
    assert!(matches!(opened(&file, None), Ok(Archived::Layout)));
    assert!(!is_older(&file));
}
