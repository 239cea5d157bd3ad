//! A `docker-registry` of its own for a test: plain http on a free loopback port, its data in a temporary folder.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A registry that runs as long as the value lives.
pub struct Registry {
    folder: TempDir,
    host: String,
    server: Child,
}

impl Registry {
    /// Starts an empty registry that asks for no credentials, and waits until it answers.
    ///
    /// # Panics
    /// When it is not installed, or does not answer within some seconds: the message holds its log.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        // The port is free when we ask; should another process take it first, the registry says so and the test fails.
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port is free").port();
        let configuration = folder.path().join("config.yml");
        let data = folder.path().join("data");
        let text = format!(
            "version: 0.1\nlog: {{level: warn, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: \"{}\"}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n",
            data.display()
        );
        fs::write(&configuration, text).expect("a file can be written");
        let log = fs::File::create(folder.path().join("log")).expect("a file can be made");
        let server = Command::new("docker-registry")
            .arg("serve")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be opened twice"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("`docker-registry` cannot be started: {error}\nhint: scripts/install-test-tools")
            });
        let registry = Self { folder, host: format!("localhost:{port}"), server };
        registry.wait(port);
        registry
    }

    /// `localhost:PORT`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The folder of its blobs and tags.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn wait(&self, port: u16) {
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "docker-registry does not answer on port {port}\n{}", log());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing left to do then.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
