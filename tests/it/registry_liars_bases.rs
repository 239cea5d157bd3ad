//! Bases whose indexes and manifests name what there cannot be: a clear error, and nothing is read or made for it.

use anyarch::base::{Bases, Listing};
use anyarch::base_name::BaseName;
use anyarch::blob::{Digest, MEDIA_TYPE_CONFIG, MEDIA_TYPE_INDEX, MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_MANIFEST};
use serde_json::{Value, json};

use crate::registry::Party;
use crate::registry_answers::open;
use crate::support::server::{Answer, Server};

const CONFIG: &str = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;

/// A registry of these manifests; the last one is the tag.
fn registry(manifests: Vec<String>) -> Server {
    open(move |request| {
        let asked = request.target.rsplit_once('/').unwrap().1;
        let documents = manifests.iter().map(String::as_str).chain([CONFIG]);
        let found = documents.into_iter().find(|text| Digest::of(text.as_bytes()).to_string() == asked);
        match (asked, found) {
            ("v1", _) => {
                let last = manifests.last().unwrap();
                Answer::ok(last.as_str()).with("Docker-Content-Digest", Digest::of(last.as_bytes()).to_string())
            }
            (_, Some(text)) => Answer::ok(text),
            _ => Answer::status(404),
        }
    })
}

fn described(media_type: &str, text: &str) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(text.as_bytes()).to_string(), "size": text.len()})
}

fn index(entries: &[Value]) -> String {
    json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": entries}).to_string()
}

fn manifest(config: &Value, layers: &[Value]) -> String {
    json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_MANIFEST, "config": config, "layers": layers}).to_string()
}

fn layer(size: &Value) -> Value {
    json!({"mediaType": MEDIA_TYPE_LAYER_GZIP, "digest": Digest::of(b"layer").to_string(), "size": size})
}

/// What becomes of the base at `server`: its platforms, or all that is wrong with it.
async fn read(server: &Server) -> Result<usize, String> {
    let party = Party::anonymous();
    let bases = Bases::new(party.store.clone(), party.client.clone());
    let name = BaseName::Registry(format!("{}/app:v1", server.host()).parse().unwrap());
    let words = |error: anyarch::base::BaseError| {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        text.replace(&server.host(), "HOST")
    };
    let listing: Listing = bases.list(&name).await.map_err(words)?;
    let platforms: Vec<_> = listing.platforms.iter().flatten().map(|(platform, _)| *platform).collect();
    let images = bases.images(&listing, &platforms).await.map_err(words)?;
    Ok(images.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_and_numbers_that_cannot_be_are_refused() {
    let config = described(MEDIA_TYPE_CONFIG, CONFIG);
    let of = |size: Value| manifest(&config, &[layer(&size)]);
    let large_config =
        json!({"mediaType": MEDIA_TYPE_CONFIG, "digest": Digest::of(b"c").to_string(), "size": u64::MAX});
    let digest = |text: &str| Digest::of(text.as_bytes());
    let layer_digest = Digest::of(b"layer");
    let (negative, fraction, missing) = (of(json!(-1)), of(json!(1.5)), of(json!("7")));
    let documents = [
        (of(json!(7)), Ok(1)),
        (of(json!(1_u64 << 40)), Ok(1)),
        (
            of(json!(u64::MAX)),
            Err(format!("the layer {layer_digest} of the base `HOST/app:v1` is said to have {} bytes", u64::MAX)),
        ),
        (
            negative.clone(),
            Err(format!(
                "the manifest {} of the base `HOST/app:v1` cannot be read: invalid value: integer `-1`, expected u64",
                digest(&negative)
            )),
        ),
        (
            fraction.clone(),
            Err(format!(
                "the manifest {} of the base `HOST/app:v1` cannot be read: invalid type: floating point `1.5`, expected u64",
                digest(&fraction)
            )),
        ),
        (
            missing.clone(),
            Err(format!(
                "the manifest {} of the base `HOST/app:v1` cannot be read: invalid type: string \"7\", expected u64",
                digest(&missing)
            )),
        ),
        (
            manifest(&large_config, &[]),
            Err(format!(
                "the config {} of the base `HOST/app:v1` has {} bytes, more than 4194304",
                Digest::of(b"c"),
                u64::MAX
            )),
        ),
        (
            manifest(&config, &vec![layer(&json!(7)); 20_000]),
            Err("the base `HOST/app:v1` names more than 500 layers".to_owned()),
        ),
    ];
    for (document, expected) in documents {
        let server = registry(vec![document]);
        match (read(&server).await, expected) {
            (Ok(images), Ok(expected)) => assert_eq!(images, expected),
            // Where in the document it is follows.
            (Err(said), Err(expected)) => assert!(said.starts_with(&expected), "{said}\n{expected}"),
            (read, expected) => panic!("{read:?} is not {expected:?}"),
        }
        assert!(server.lines().iter().all(|line| !line.contains(&layer_digest.to_string())), "no layer is read");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_of_indexes_end_somewhere() {
    let image = manifest(&described(MEDIA_TYPE_CONFIG, CONFIG), &[]);
    let mut nested = vec![image.clone()];
    for _ in 0..3 {
        let inner = nested.last().unwrap();
        let kind = if nested.len() == 1 { MEDIA_TYPE_MANIFEST } else { MEDIA_TYPE_INDEX };
        nested.push(index(&[described(kind, inner)]));
    }
    assert_eq!(read(&registry(nested.clone())).await, Ok(1), "three are read");
    let third = nested[1].clone();
    nested.push(index(&[described(MEDIA_TYPE_INDEX, nested.last().unwrap())]));
    assert_eq!(
        read(&registry(nested)).await,
        Err(format!(
            "the index {} of the base `HOST/app:v1` lies too deep in other indexes",
            Digest::of(third.as_bytes())
        ))
    );

    // 900 times the same index of 900 times the same image: each is read once.
    let platform = json!({"architecture": "amd64", "os": "linux"});
    let mut entry = described(MEDIA_TYPE_MANIFEST, &image);
    entry["platform"] = platform;
    let inner = index(&vec![entry.clone(); 90]);
    let outer = index(&vec![described(MEDIA_TYPE_INDEX, &inner); 900]);
    let server = registry(vec![image.clone(), inner.clone(), outer]);
    assert_eq!(read(&server).await, Ok(1));
    assert!(server.lines().len() < 8, "{:?}", server.lines());

    let server = registry(vec![image, index(&vec![entry; 1001])]);
    assert_eq!(read(&server).await, Err("the base `HOST/app:v1` names more than 1000 images".to_owned()));
}
