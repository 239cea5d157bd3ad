//! A `buildkitd` of its own for a test, its data in a temporary folder: images as buildx makes them, with attestations.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::process;

/// Puts a file of each platform's own into an image of nothing.
const DOCKERFILE: &str = "FROM scratch\nARG TARGETARCH\nCOPY app-$TARGETARCH /app\nENTRYPOINT [\"/app\"]\n";

/// A daemon that runs as long as the value lives.
pub struct BuildKit {
    folder: TempDir,
    daemon: Child,
}

impl BuildKit {
    /// Starts a daemon, and waits until it answers.
    ///
    /// # Panics
    /// When it is not installed, we are not root, or it does not answer: the message holds its log.
    pub fn start() -> Self {
        assert!(process::is_root(), "buildkitd has to be started by root");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path();
        let log = File::create(path.join("log")).expect("a log can be made");
        let mut daemon = Command::new("buildkitd");
        daemon.arg("--addr").arg(format!("unix://{}", path.join("socket").display()));
        daemon.arg("--root").arg(path.join("data")).args(["--oci-worker=true", "--containerd-worker=false"]);
        daemon.args(["--oci-worker-snapshotter=native", "--oci-worker-net=host"]);
        daemon.stdin(Stdio::null()).stdout(log.try_clone().expect("a file can be opened twice")).stderr(log);
        let daemon = daemon.spawn().unwrap_or_else(|error| {
            panic!("`buildkitd` cannot be started: {error}\nhint: scripts/install-test-tools buildkit")
        });
        let mut buildkit = Self { folder, daemon };
        buildkit.wait();
        buildkit
    }

    fn wait(&mut self) {
        let end = Instant::now() + Duration::from_mins(1);
        while !process::output(self.command().args(["debug", "workers"])).status.success() {
            let ended = self.daemon.try_wait().expect("a child can be waited for").is_some();
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(!ended && Instant::now() < end, "buildkitd does not answer\n{}", log());
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// A call of `buildctl` that talks to this daemon.
    pub fn command(&self) -> Command {
        let mut buildctl = Command::new("buildctl");
        buildctl.arg("--addr").arg(format!("unix://{}", self.folder.path().join("socket").display()));
        buildctl
    }

    /// Builds an image of linux/amd64 and linux/arm64 with provenance, and writes it as the archive of a layout `file`
    /// under the tag `tag`. `attributes` are further ones of the output (`oci-artifact=true`), `options` further ones
    /// of the build (`attest:sbom=generator=...`).
    ///
    /// # Panics
    /// When it cannot be built.
    pub fn write(&self, file: &Path, tag: &str, attributes: &[&str], options: &[&str]) {
        let context = tempfile::tempdir().expect("a temporary folder can be made");
        let put = |name: &str, content: &str| fs::write(context.path().join(name), content).expect("a file is written");
        put("Dockerfile", DOCKERFILE);
        put("app-amd64", "amd64\n");
        put("app-arm64", "arm64\n");
        let mut output = format!("type=oci,dest={},name=registry.test/app:{tag}", file.display());
        for attribute in attributes {
            output = format!("{output},{attribute}");
        }
        let mut build = self.command();
        build.args(["build", "--progress=plain", "--frontend=dockerfile.v0", "--output", &output]);
        for place in ["context", "dockerfile"] {
            build.arg("--local").arg(format!("{place}={}", context.path().display()));
        }
        for option in ["platform=linux/amd64,linux/arm64", "attest:provenance=mode=max"].iter().chain(options) {
            build.args(["--opt", option]);
        }
        process::succeed(&mut build);
    }
}

impl Drop for BuildKit {
    fn drop(&mut self) {
        // A killed daemon would leave folders mounted.
        if let Ok(daemon) = i32::try_from(self.daemon.id()) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(daemon), nix::sys::signal::Signal::SIGTERM);
        }
        let _ = self.daemon.wait();
    }
}
