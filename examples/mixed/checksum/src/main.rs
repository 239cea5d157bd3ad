//! Prints the CRC-32 of each file that is named.

use std::env::consts::{ARCH, OS};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for path in std::env::args_os().skip(1) {
        let shown = path.to_string_lossy();
        match std::fs::read(&path) {
            Ok(content) => println!("checksum: Rust on {OS}/{ARCH}, {:08x} {shown}", crc32fast::hash(&content)),
            Err(error) => {
                eprintln!("checksum: {shown}: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
