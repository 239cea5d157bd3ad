//! The one integration binary: it runs the real program, real compilers, registries and readers.
#![expect(clippy::disallowed_methods, reason = "tests start programs themselves")]

#[path = "../support/mod.rs"]
mod support;

mod annotations;
mod c_builds;
mod cgo;
mod command_line;
mod configuration;
mod configuration_switches;
mod debian;
mod debian_mirrors;
mod debian_packages;
mod elf;
mod examples;
mod folders;
mod images;
mod init;
mod install;
mod install_refused;
mod install_rust;
mod interrupt;
mod jobs;
mod licences;
mod memory;
mod push;
mod readme;
mod real_c_programs;
mod real_programs;
mod registry;
mod registry_answers;
mod registry_children;
mod rings;
mod rust_builds;
mod same_digest;
mod schema;
mod starts;
mod support_works;
mod sysroot;
mod toolchain_rows;
mod variants;
mod verify;
mod verify_truth;
mod words;
mod words_arguments;
mod words_configuration;
mod words_files;
mod words_images;
mod words_tools;
