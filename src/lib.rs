//! anyarch turns a Go, Rust or C project into a multi-arch container image: every platform's binary is compiled
//! natively on this machine, checked against its platform, layered on that platform's own base image, and
//! published as one OCI index.
//!
//! The modules form three rings, and imports run shell -> edges -> core, never back
//! (`tests/it/rings.rs` holds every `use` to it):
//!
//! * shell: [`cli`], [`commands`], [`ui`], [`exit`]
//! * edges: [`config`], [`host`], [`exec`], [`store`], [`registry`], [`base`], [`sink`], [`run`], [`debian_archive`], [`cargo_flags`], [`zigbuild`],
//!   [`http`], [`download`], [`install`], [`sandbox`], [`serve`]
//! * core: everything else, pure; files, clock, environment and processes reach it as arguments

pub mod annotation;
pub mod base;
pub mod base_name;
pub mod blob;
pub mod c_program;
pub mod cargo;
pub mod cargo_flags;
pub mod cli;
pub mod command_program;
pub mod commands;
pub mod config;
pub mod debian;
pub mod debian_archive;
pub mod distribution;
pub mod download;
pub mod elf;
pub mod emulator;
pub mod exec;
pub mod exit;
pub mod formatted;
pub mod full_disk;
pub mod golang;
pub mod hint;
pub mod host;
pub mod http;
pub mod image;
pub mod image_tag;
pub mod index;
pub mod install;
pub mod invocation;
pub mod layer;
pub mod layer_entry;
pub mod listing;
pub mod manifest;
pub mod manifest_tool;
pub mod mirror;
pub mod named_platform;
pub mod output_spec;
pub mod part;
pub mod plan;
pub mod platform;
pub mod proposal;
pub mod provision;
pub mod quantity;
pub mod reference;
pub mod registry;
pub mod registry_map;
pub mod run;
pub mod sandbox;
pub mod serve;
pub mod shard;
pub mod sink;
pub mod static_base;
pub mod store;
pub mod sysroot;
pub mod toolchain;
pub mod tree;
pub mod ui;
pub mod verify;
pub mod wanted;
pub mod zigbuild;
