//! What the tests stand on.

pub mod registry;
pub mod server;
