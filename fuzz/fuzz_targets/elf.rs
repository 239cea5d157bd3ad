//! Any bytes as a binary: reading its facts and symbols and checking these against platforms neither panics nor needs much
//! memory.

#![no_main]

use std::io::Cursor;

use anyarch::elf::{ElfFacts, FileKind, Symbols, check, check_code, unpromised};
use anyarch::hint::Hint as _;
use libfuzzer_sys::fuzz_target;

const PLATFORMS: &[&str] = &[
    "linux/amd64",
    "linux/386",
    "linux/arm64",
    "linux/arm/v5",
    "linux/arm/v6",
    "linux/arm/v7",
    "linux/mips64le",
    "linux/ppc64le",
    "linux/riscv64",
    "linux/s390x",
];

fuzz_target!(|bytes: &[u8]| {
    match ElfFacts::read(Cursor::new(bytes)) {
        Ok(facts) => {
            let _ = (facts.described(), facts.highest_version("GLIBC_"));
            for platform in PLATFORMS {
                let platform = platform.parse().expect("a platform");
                for mismatch in
                    [check(&facts, platform), check_code(&facts, platform)].into_iter().filter_map(Result::err)
                {
                    let _ = (mismatch.to_string(), mismatch.hints());
                }
                let _ = unpromised(&facts, platform);
            }
        }
        Err(error) => {
            let _ = (error.to_string(), error.hints());
        }
    }
    if let Ok(symbols) = Symbols::read(Cursor::new(bytes)) {
        assert!(symbols.defined.is_sorted() && symbols.defined.iter().all(|name| symbols.defines(*name)));
        let kept = serde_json::to_vec(&symbols).expect("symbols can be kept");
        assert_eq!(serde_json::from_slice::<Symbols>(&kept).ok(), Some(symbols));
    }
    let _ = FileKind::of(bytes).to_string();
});
