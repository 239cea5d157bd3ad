//! The project's own words: `anyarch.toml` and the templates in its values become typed values that know the
//! line they were written on. Reads no file and starts no process: text, environment and git's answers are given.

pub mod check;
pub mod collections;
pub mod error;
pub mod file;
pub mod git;
pub mod place;
pub mod program;
pub mod registry;
pub mod schema;
pub mod sysroot;
pub mod template;
pub mod value_error;
pub mod values;

use std::path::{Path, PathBuf};

pub use error::ConfigError;
pub use file::{ConfigFile, FileEntry, ImageFile, ImageKeys, load};
pub use place::{Origin, Place, Source};
pub use program::{ProgramFile, ProgramSettings};

/// The name of the configuration file; it lies in the project's root, beside `go.mod` or the workspace's `Cargo.toml`.
pub const FILE_NAME: &str = "anyarch.toml";

/// Where the configuration of the project at `root` is, if it has one: there and nowhere above.
#[must_use]
pub fn path_in(root: &Path) -> PathBuf {
    root.join(FILE_NAME)
}
