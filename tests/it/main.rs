//! The one integration test program: it runs the real `anyarch`, real toolchains and real registries.

#[path = "../support/mod.rs"]
mod support;

mod registry;
mod registry_answers;
mod registry_children;
