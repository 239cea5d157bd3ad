//! Any documents of an image: an index, manifests and configs, of which images for platforms are read and put together
//! anew.
//!
//! The input is the documents, with a line of `---` between them. The first is `index.json`; the others are blobs, which
//! those before them name as `@1`, `@2`, ...: their digests cannot be guessed.

#![no_main]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use anyarch::base::Bases;
use anyarch::base_name::BaseName;
use anyarch::blob::{Descriptor, Digest};
use anyarch::hint::Hint as _;
use anyarch::image::{self, BaseImage, ImageSettings, OwnLayer};
use anyarch::registry::{Client, CredentialEnvironment, Options, Proxies};
use anyarch::store::Store;
use anyarch::verify::StartConfig;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tempfile::TempDir;

/// Indexes hold indexes no deeper.
const DOCUMENTS: usize = 9;

/// A layout on disk, and what reads it.
struct World {
    folder: TempDir,
    bases: Bases,
    /// the blobs of the last input
    blobs: Vec<PathBuf>,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let layout = folder.path().join("layout/blobs/sha256");
        fs::create_dir_all(layout).expect("folders can be made");
        let store = Store::open(folder.path().join("store")).expect("a store can be opened");
        let options = Options {
            offline: true,
            proxies: Proxies::default(),
            ..Options::new(store.clone(), CredentialEnvironment::default())
        };
        let client = Client::new(options).expect("a client can be made");
        Self { bases: Bases::of_images(store, client), folder, blobs: Vec::new() }
    }

    /// Writes the documents of an input.
    fn lay(&mut self, text: &str) {
        for blob in self.blobs.drain(..) {
            fs::remove_file(blob).expect("a blob can be removed");
        }
        let layout = self.folder.path().join("layout");
        let mut documents: Vec<String> = text.split("\n---\n").take(DOCUMENTS).map(str::to_owned).collect();
        for number in (1..documents.len()).rev() {
            let digest = Digest::of(documents[number].as_bytes()).hex();
            let path = layout.join("blobs/sha256").join(&digest);
            fs::write(&path, &documents[number]).expect("a blob can be written");
            if !self.blobs.contains(&path) {
                self.blobs.push(path);
            }
            for before in &mut documents[..number] {
                *before = before.replace(&format!("@{number}"), &digest);
            }
        }
        fs::write(layout.join("index.json"), &documents[0]).expect("an index can be written");
    }
}

/// What comes of a future that waits for nothing, as all of them do that read a layout.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a layout is read without waiting"),
    }
}

/// Puts an image on a base, and reads what it came to.
fn check(base: &BaseImage) {
    let _ = (StartConfig::of(&base.config).words(), base.triggers(), base.has_zstd_layers());
    let own = OwnLayer {
        descriptor: Descriptor::of("application/vnd.oci.image.layer.v1.tar+gzip", b"layer"),
        diff_id: Digest::of(b"layer"),
        created_by: "anyarch".to_owned(),
    };
    let settings = ImageSettings {
        env: BTreeMap::from([("PATH".to_owned(), "/bin".to_owned())]),
        labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        ports: vec!["80/tcp".to_owned()],
        ignore_onbuild: true,
        ..ImageSettings::default()
    };
    let image = match image::assemble(base, base.platform, &settings, &[own], "1970-01-01T00:00:00Z", &BTreeMap::new())
    {
        Ok(image) => image,
        Err(error) => return drop((error.to_string(), error.hints())),
    };
    let config: Value = serde_json::from_slice(&image.config).expect("a config is JSON");
    let manifest: Value = serde_json::from_slice(&image.manifest).expect("a manifest is JSON");
    assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(base.layers.len() + 1));
    assert_eq!(config["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(base.layers.len() + 1), "{config}");
    assert_eq!(config["architecture"], base.platform.architecture().to_string());
    assert!(config["config"]["Env"].as_array().is_some_and(|env| env.iter().any(|variable| variable == "PATH=/bin")));
    assert!(config["history"].is_array(), "{config}");
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

fuzz_target!(|text: &str| {
    WORLD.with_borrow_mut(|world| {
        world.lay(text);
        let name = BaseName::Layout { folder: world.folder.path().join("layout"), tag: None };
        let listing = match now(world.bases.list(&name)) {
            Ok(listing) => listing,
            Err(error) => return drop((error.to_string(), error.hints())),
        };
        let platforms: Vec<_> = listing.platforms.iter().flatten().map(|(platform, _)| *platform).collect();
        match now(world.bases.images(&listing, &platforms)) {
            Ok(images) => images.iter().for_each(check),
            Err(error) => drop((error.to_string(), error.hints())),
        }
    });
});
