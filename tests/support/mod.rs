//! What the tests stand on: the program under test with a clean environment, base images made of Debian packages,
//! proof that what was built starts, projects in temporary folders, and programs that fail on demand.

pub mod bases;
pub mod buildkit;
pub mod cache;
pub mod crane;
pub mod debian;
pub mod debian_sources;
pub mod docker;
pub mod layout;
pub mod machine;
pub mod made;
pub mod mirror;
pub mod prebuilt;
pub mod process;
pub mod program;
pub mod project;
pub mod proxy;
pub mod publish;
pub mod raw_layout;
pub mod read_back;
pub mod registry;
pub mod scene;
pub mod serve;
pub mod server;
pub mod shims;
pub mod slow;
pub mod small_base;
pub mod source;
pub mod start;
pub mod terminal;
pub mod trials;
pub mod tunnel;

pub use program::anyarch;

use std::path::{Path, PathBuf};

/// The package's own folder.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The target folder in which this test program was built: `CARGO_TARGET_DIR` is honoured.
pub fn target() -> PathBuf {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().expect("cargo's folder for test files lies inside the target folder").to_owned()
}
