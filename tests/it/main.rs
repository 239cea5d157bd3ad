//! The one integration test program: it runs the real `anyarch`, real toolchains and real registries.

#![expect(clippy::disallowed_methods, reason = "tests start programs themselves; the rule is for the library")]

#[path = "../support/mod.rs"]
mod support;

mod readme;
mod real_programs;
mod rings;
mod support_works;
