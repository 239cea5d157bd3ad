//! The one integration test program: it runs the real `anyarch`, real toolchains and real registries.

#[path = "../support/mod.rs"]
mod support;

mod rings;
mod support_works;
