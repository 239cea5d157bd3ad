//! The one integration binary: it runs the real program, real compilers, registries and readers.
#![expect(clippy::disallowed_methods, reason = "tests start programs themselves")]

#[path = "../support/mod.rs"]
mod support;

mod cgo;
mod command_line;
mod configuration;
mod configuration_switches;
mod elf;
mod examples;
mod interrupt;
mod jobs;
mod licences;
mod memory;
mod push;
mod readme;
mod real_programs;
mod registry;
mod registry_answers;
mod registry_children;
mod rings;
mod rust_builds;
mod same_digest;
mod starts;
mod support_works;
mod variants;
mod words;
mod words_arguments;
mod words_configuration;
mod words_tools;
