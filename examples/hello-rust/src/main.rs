//! Says which platform it was built for, and lets zlib, which is C, prove that it was compiled for the same one.

use std::env::consts::{ARCH, OS};
use std::ffi::CStr;

/// The version of the zlib that was linked in.
fn zlib_version() -> String {
    // SAFETY: zlibVersion returns a static, NUL-terminated string.
    unsafe { CStr::from_ptr(libz_sys::zlibVersion()) }.to_string_lossy().into_owned()
}

/// zlib's CRC-32 of `bytes`.
fn crc32(bytes: &[u8]) -> u32 {
    let length = libz_sys::uInt::try_from(bytes.len()).expect("the text is short");
    // SAFETY: the pointer and the length describe `bytes`, which lives through the call.
    let checksum = unsafe { libz_sys::crc32(0, bytes.as_ptr(), length) };
    u32::try_from(checksum).expect("a CRC-32 has 32 bits")
}

fn main() {
    let libc = if cfg!(target_env = "musl") { "musl" } else { "gnu" };
    println!("hello-rust {}", env!("CARGO_PKG_VERSION"));
    println!("platform: {OS}/{ARCH}");
    println!("libc: {libc}");
    println!("pointer: {} bit", usize::BITS);
    println!("zlib: {}, crc32 of `123456789` is {:08x}", zlib_version(), crc32(b"123456789"));
}
