use super::*;
use crate::hint::Hint as _;

fn file(path: &str) -> Destination {
    Destination::File(path.into())
}

#[test]
fn outputs_read_as_buildx_has_them() {
    for (text, output) in [
        ("type=oci,dest=a.tar", Output::Archive(file("a.tar"))),
        ("dest=a.tar,type=oci,tar=true", Output::Archive(file("a.tar"))),
        ("type=oci,dest=a,tar=false", Output::Folder("a".into())),
        ("type=oci,dest=-", Output::Archive(Destination::Stdout)),
        ("type=oci", Output::Archive(Destination::Stdout)),
        ("type=oci,compression=gzip,oci-mediatypes=true,dest=a", Output::Archive(file("a"))),
        ("type=oci,\"dest=a,b\"\"c.tar\"", Output::Archive(file("a,b\"c.tar"))),
        ("type=docker", Output::Daemon),
        ("type=docker,dest=a.tar", Output::DockerArchive(file("a.tar"))),
        ("type=docker,dest=-", Output::DockerArchive(Destination::Stdout)),
        ("type=local,dest=out", Output::Files { folder: "out".into(), split: None }),
        ("out/bin", Output::Files { folder: "out/bin".into(), split: None }),
        ("type=local,dest=out,platform-split=false", Output::Files { folder: "out".into(), split: Some(false) }),
        ("-", Output::FilesArchive { destination: Destination::Stdout, split: None }),
        ("type=tar", Output::FilesArchive { destination: Destination::Stdout, split: None }),
        ("type=tar,dest=a,platform-split=1", Output::FilesArchive { destination: file("a"), split: Some(true) }),
        ("type=registry", Output::Registry { by_digest: false }),
        ("type=image,push=true", Output::Registry { by_digest: false }),
        ("type=image,push=true,push-by-digest=true", Output::Registry { by_digest: true }),
        ("type=registry,push-by-digest=t", Output::Registry { by_digest: true }),
    ] {
        assert_eq!(parse(text), Ok(output.into()), "{text}");
    }
}

#[test]
fn names_and_annotations_are_the_image_s() {
    let text = r#"type=image,push=true,"name=ghcr.io/me/app:1,ghcr.io/me/app:2",annotation.a.b=1,annotation-index.c=2,"annotation-manifest-descriptor[linux/arm64/v8.1].d=3,4""#;
    let spec = parse(text).unwrap();
    assert_eq!(spec.names, ["ghcr.io/me/app:1", "ghcr.io/me/app:2"]);
    let annotations: Vec<String> = spec.annotations.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(annotations, ["manifest:a.b=1", "index:c=2", "manifest-descriptor[linux/arm64/v8.1]:d=3,4"]);
}

#[test]
fn what_is_no_output_is_said() {
    for (text, message) in [
        ("dest=a", "the output `dest=a` names no type"),
        ("", "`` in the output `` should read KEY=VALUE"),
        ("type=oci,a", "`a` in the output `type=oci,a` should read KEY=VALUE"),
        ("type=oci,tar=false", "the output `type=oci,tar=false` names no dest"),
        ("type=local,dest=", "the output `type=local,dest=` names no dest"),
        ("type=cacheonly", "`cacheonly` in the output `type=cacheonly` is not a type that anyarch writes"),
        ("type=oci,dst=a", "`dst` in the output `type=oci,dst=a` is not a key of its type"),
        (
            "type=local,dest=a,annotation.a=b",
            "`annotation.a` in the output `type=local,dest=a,annotation.a=b` is not a key of its type",
        ),
        ("type=oci,dest=a,dest=b", "`dest` is twice in the output `type=oci,dest=a,dest=b`"),
        (
            "type=oci,dest=a,tar=maybe",
            "`tar` in the output `type=oci,dest=a,tar=maybe` should be true or false, not `maybe`",
        ),
        ("type=oci,dest=-,tar=false", "the output `type=oci,dest=-,tar=false` is a folder, and stdout takes a tar"),
        ("type=registry,dest=a", "`dest` in the output `type=registry,dest=a` is not a key of its type"),
        ("type=image", "the output `type=image` pushes nothing, and anyarch keeps no images of its own"),
        (
            "type=registry,push=false",
            "the output `type=registry,push=false` pushes nothing, and anyarch keeps no images of its own",
        ),
        (
            "type=oci,compression=zstd",
            "`compression` in the output `type=oci,compression=zstd` should be gzip, not `zstd`",
        ),
        (
            "type=oci,oci-mediatypes=false",
            "`oci-mediatypes` in the output `type=oci,oci-mediatypes=false` should be true, not `false`",
        ),
        ("type=registry,\"name=a,,b\"", "a `name` in the output `type=registry,\"name=a,,b\"` is empty"),
        (
            "type=oci,\"dest=a",
            "the output `type=oci,\"dest=a` has a quotation mark too few, or one in the midst of a field",
        ),
        (
            "type=oci,dest=a\"b",
            "the output `type=oci,dest=a\"b` has a quotation mark too few, or one in the midst of a field",
        ),
        (
            "type=oci,annotation-layer.a=b",
            "`annotation-layer.a` in the output `type=oci,annotation-layer.a=b` is no annotation: `layer` in the annotation \
             `layer:a` is nothing that anyarch annotates",
        ),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(!error.hints().is_empty(), "{text}");
    }
    let hints = parse("type=local,name=a").unwrap_err().hints();
    assert_eq!(hints, ["keys of type=local: dest, platform-split"]);
}
