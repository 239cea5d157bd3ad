//! anyarch turns a Go or Rust project into a multi-arch container image: every platform's binary is compiled
//! natively on this machine, checked against its platform, layered on that platform's own base image, and
//! published as one OCI index.
//!
//! The modules form three rings, and imports run shell -> edges -> core, never back
//! (`tests/it/rings.rs` holds every `use` to it):
//!
//! * shell: [`cli`], [`commands`], [`ui`], [`exit`]
//! * edges: [`config`], [`host`], [`exec`], [`store`], [`registry`], [`base`], [`sink`], [`run`]
//! * core: everything else, pure; files, clock, environment and processes reach it as arguments

pub mod blob;
pub mod elf;
pub mod hint;
pub mod layer_entry;
pub mod platform;
pub mod static_base;
pub mod store;
