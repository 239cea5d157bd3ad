//! Any bytes: reading their facts and checking these against platforms neither panics nor needs much memory.
//!
//! Run by `cargo +nightly fuzz run elf -- -rss_limit_mb=512`; binaries of real compilers are good seeds.

#![no_main]

use std::io::Cursor;

use anyarch::elf::{ElfFacts, check};
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
                if let Err(mismatch) = check(&facts, platform.parse().expect("a platform")) {
                    let _ = (mismatch.to_string(), mismatch.hints());
                }
            }
        }
        Err(error) => {
            let _ = (error.to_string(), error.hints());
        }
    }
});
