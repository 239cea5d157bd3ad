//! The calls of `cargo metadata`: one that reads the workspace, one a target that resolves its dependencies.

use std::path::Path;

use super::{Binary, Features};
use crate::invocation::Invocation;

/// Lists the packages of the workspace around `directory`, which has to be canonical: cargo reports real paths.
/// It resolves nothing, so it needs neither a lock file nor the network.
#[must_use]
pub fn workspace_invocation(directory: &Path) -> Invocation {
    Invocation::new("cargo", directory).args(["metadata", "--format-version", "1", "--no-deps"])
}

/// The same of a project that is only looked at. It runs in `elsewhere`, so that no file of the project chooses the cargo
/// that runs (rustup would take the one that its `rust-toolchain.toml` names) or what that does (`.cargo/config.toml`).
#[must_use]
pub fn survey_invocation(manifest: &Path, elsewhere: &Path) -> Invocation {
    workspace_invocation(elsewhere).args(["--offline", "--manifest-path"]).args([manifest.display().to_string()])
}

/// Resolves what `binary` depends on when it is built for `triple`. It runs in `directory`, where the build will run,
/// so that the same configuration files hold.
#[must_use]
pub fn graph_invocation(directory: &Path, binary: &Binary, triple: &str, features: &Features) -> Invocation {
    Invocation::new("cargo", directory)
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", triple, "--manifest-path"])
        .args([binary.manifest.display().to_string()])
        .args(features.args())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_asked_for_one_target_at_a_time() {
        assert_eq!(workspace_invocation(Path::new("/w")).to_line(), "cargo metadata --format-version 1 --no-deps");
        assert_eq!(
            survey_invocation(Path::new("/w/Cargo.toml"), Path::new("/")).to_line(),
            "cargo metadata --format-version 1 --no-deps --offline --manifest-path /w/Cargo.toml"
        );
        let binary = Binary {
            package_id: "path+file:///w/app#1.0.0".into(),
            package: "app".into(),
            version: "1.0.0".into(),
            manifest: "/w/app/Cargo.toml".into(),
            name: "app".into(),
        };
        let features = Features { names: vec!["tls".into()], ..Features::default() };
        assert_eq!(
            graph_invocation(Path::new("/w/app"), &binary, "aarch64-unknown-linux-musl", &features).to_line(),
            "cargo metadata --format-version 1 --locked --filter-platform aarch64-unknown-linux-musl \
             --manifest-path /w/app/Cargo.toml --features tls"
        );
    }
}
