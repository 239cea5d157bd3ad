//! A `dockerd` of its own for a test, its data in a temporary folder.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::process;

/// A daemon that runs as long as the value lives.
pub struct Docker {
    folder: TempDir,
    daemon: Child,
}

impl Docker {
    /// Starts a daemon without networks, and waits until it answers.
    ///
    /// # Panics
    /// When it is not installed, we are not root, or it does not answer: the message holds its log.
    pub fn start() -> Self {
        assert!(process::is_root(), "dockerd has to be started by root");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path();
        let log = File::create(path.join("log")).expect("a log can be made");
        let mut daemon = Command::new("dockerd");
        daemon.arg("--data-root").arg(path.join("data")).arg("--exec-root").arg(path.join("exec"));
        daemon.arg("--pidfile").arg(path.join("pid")).arg(format!("--host=unix://{}", path.join("socket").display()));
        daemon.args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=vfs"]);
        daemon.stdin(Stdio::null()).stdout(log.try_clone().expect("a file can be opened twice")).stderr(log);
        let daemon = daemon.spawn().unwrap_or_else(|error| {
            panic!("`dockerd` cannot be started: {error}\nhint: sudo apt-get install -y docker.io")
        });
        let mut docker = Self { folder, daemon };
        docker.wait();
        docker
    }

    fn wait(&mut self) {
        let end = Instant::now() + Duration::from_mins(1);
        while !process::output(&mut self.command(&["version"])).status.success() {
            let ended = self.daemon.try_wait().expect("a child can be waited for").is_some();
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(!ended && Instant::now() < end, "dockerd does not answer\n{}", log());
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Where it listens, as `DOCKER_HOST` has it.
    pub fn socket(&self) -> String {
        format!("unix://{}", self.folder.path().join("socket").display())
    }

    /// A call of `docker` that talks to this daemon.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut docker = Command::new("docker");
        docker.arg(format!("--host={}", self.socket())).args(arguments);
        docker
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // A killed daemon would leave its containerd behind and its folders mounted.
        if let Ok(daemon) = i32::try_from(self.daemon.id()) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(daemon), nix::sys::signal::Signal::SIGTERM);
        }
        let _ = self.daemon.wait();
    }
}
