//! What a build that is killed leaves of its base is what the next one begins with.

use std::io::Write as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyarch::blob::{Descriptor, Digest, MEDIA_TYPE_CONFIG, MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_MANIFEST};
use serde_json::json;

use crate::registry_answers::open;
use crate::registry_reads::{MIB, ranges};
use crate::support::program::Home;
use crate::support::project::Project;
use crate::support::server::Answer;

/// A layer that holds one file of 4 MiB that no compressor makes smaller.
fn real_layer() -> (Vec<u8>, Digest) {
    // xorshift64: https://www.jstatsoft.org/article/view/v008i14
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let noise: Vec<u8> = (0..4 * MIB / 8)
        .flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .collect();
    let mut header = tar::Header::new_gnu();
    header.set_size(noise.len() as u64);
    header.set_mode(0o644);
    let mut layer = tar::Builder::new(Vec::new());
    layer.append_data(&mut header, "usr/share/noise", &noise[..]).unwrap();
    let layer = layer.into_inner().unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&layer).unwrap();
    (packed.finish().unwrap(), Digest::of(&layer))
}

#[test]
fn a_build_that_is_killed_has_its_base_in_part() {
    let (layer, diff_id) = real_layer();
    let config = json!({
        "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id.to_string()]},
    });
    let config = config.to_string();
    let described = |media_type: &str, bytes: &[u8]| Descriptor::of(media_type, bytes);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MEDIA_TYPE_MANIFEST,
        "config": described(MEDIA_TYPE_CONFIG, config.as_bytes()),
        "layers": [described(MEDIA_TYPE_LAYER_GZIP, &layer)],
    });
    let (manifest, blob) = (manifest.to_string(), described(MEDIA_TYPE_LAYER_GZIP, &layer));
    let layers = AtomicUsize::new(0);
    let server = open(move |request| {
        let asked = request.target.rsplit('/').next().unwrap();
        if request.target.contains("/manifests/") {
            Answer::ok(manifest.as_str())
        } else if asked == Digest::of(config.as_bytes()).to_string() {
            Answer::ok(config.as_str())
        } else if layers.fetch_add(1, Ordering::SeqCst) == 0 {
            Answer::ok(&layer[..]).stall(3 * MIB)
        } else {
            Answer::range(request, &layer)
        }
    });
    let (project, home) = (Project::hello_go(), Home::new());
    let base = format!("{}/base:v1", server.host());
    let build = || {
        let arguments = ["build", "--platform", "linux/amd64", "--base", &base, "-o", "type=oci,dest=out,tar=false"];
        project.anyarch_at(&home).args(arguments)
    };
    let mut child = build().command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let partial = home.cache().join("partial").join(blob.digest.hex());
    let end = Instant::now() + Duration::from_mins(1);
    while std::fs::metadata(&partial).map_or(0, |there| there.len()) < 3 * MIB as u64 {
        assert!(Instant::now() < end, "the layer does not come");
        assert!(child.try_wait().unwrap().is_none(), "the build ended");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    build().run().assert_success();
    let asked: Vec<usize> = ranges(&server).into_iter().flatten().collect();
    assert_eq!(asked, [3 * MIB]);
    assert!(!partial.exists());
    assert!(project.path().join("out/blobs/sha256").join(blob.digest.hex()).is_file());
}
