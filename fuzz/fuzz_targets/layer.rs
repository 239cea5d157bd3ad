//! Any bytes as a layer, alone or in gzip or zstd: listing it, keeping the listing, laying it over itself and judging what
//! comes of it neither panics nor needs much memory.

#![no_main]

use std::io::{self, Cursor, Read};

use anyarch::hint::Hint as _;
use anyarch::listing::{Limits, Listing, ReadSeek};
use anyarch::tree::Tree;
use anyarch::verify::{StartConfig, judge};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fn spool(reader: &mut dyn Read) -> io::Result<Box<dyn ReadSeek>> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    Ok(Box::new(Cursor::new(bytes)))
}

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { stream: 1 << 24, ..Limits::of(bytes.len() as u64) };
    let listing = match Listing::read(bytes, &limits, &spool) {
        Ok(listing) => listing,
        Err(error) => {
            let _ = (error.to_string(), error.hints());
            return;
        }
    };
    let kept = serde_json::to_vec(&listing).expect("a listing can be kept");
    assert_eq!(serde_json::from_slice::<Listing>(&kept).ok().as_ref(), Some(&listing));
    let config =
        StartConfig::of(&json!({"config": {"Entrypoint": ["/a"], "User": "a:b", "Env": ["LD_LIBRARY_PATH=/b"]}}));
    for complete in [false, true] {
        let tree = Tree::of(&[&listing, &listing], complete).expect("a small layer has few files");
        for platform in ["linux/amd64", "linux/arm/v6", "linux/s390x"] {
            if let Ok(judgement) = judge(platform.parse().expect("a platform"), &config, &tree) {
                let _ = judgement.problems.iter().map(|problem| (problem.to_string(), problem.hints())).count();
            }
        }
    }
});
