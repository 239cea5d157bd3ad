//! A second implementation of the server side: go-containerregistry's, as `crane registry serve` starts it.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running registry without logins; it ends with the value.
pub struct CraneRegistry {
    child: Child,
    _folder: TempDir,
    port: u16,
}

impl CraneRegistry {
    /// Starts a registry without any images.
    ///
    /// # Panics
    /// When it is not installed or does not come up.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (blobs, log) = (folder.path().join("blobs"), folder.path().join("log"));
        fs::create_dir(&blobs).expect("a folder can be made");
        let child = Command::new("crane")
            .args(["registry", "serve", "--address", "127.0.0.1:0", "--disk"])
            .arg(&blobs)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log is made"))
            .spawn()
            .unwrap_or_else(|error| {
                panic!("`crane` cannot be started: {error}\nhint: scripts/install-test-tools crane")
            });
        let mut registry = Self { child, _folder: folder, port: 0 };
        registry.port = wait_for_port(&log);
        registry
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for CraneRegistry {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = (self.child.kill(), self.child.wait());
    }
}

/// The registry chooses its port itself, and its log says which.
fn wait_for_port(log: &Path) -> u16 {
    let end = Instant::now() + Duration::from_secs(30);
    while Instant::now() < end {
        let said = fs::read_to_string(log).expect("the log is readable");
        // The number is whole when the line's end is there.
        let port = said.split_once("serving on port ").and_then(|(_, rest)| rest.split_once('\n')?.0.parse().ok());
        if let Some(port) = port {
            return port;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("`crane registry serve` did not come up:\n{}", fs::read_to_string(log).unwrap_or_default())
}
