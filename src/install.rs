//! What a row says can be had without root gets its fixed place in the cache: a tool by its file, a Rust target by
//! rustup. Nothing is there half: it is unpacked beside its place and renamed, under a lock.

mod archive;
mod error;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fs_err as fs;

pub use error::InstallError;

use crate::download::{self, Downloader, Wanted};
use crate::exec::{Children, ExecError, Finished};
use crate::invocation::Invocation;
use crate::mirror::{self, Mirror};
use crate::platform::Platform;
use crate::store::{self, Store};
use crate::toolchain::{Download, DownloadKind, HostFile, Tool};

/// How far an installation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Another process has the lock.
    Waiting,
    /// Bytes of the file start to come.
    Downloading {
        /// from this host
        host: String,
        /// bytes that were there before
        at: u64,
        /// bytes in all
        size: u64,
    },
    /// The file is unpacked.
    Unpacking {
        /// bytes in all
        size: u64,
    },
    /// rustup was called.
    Calling,
    /// So many bytes of the step are done.
    Bytes(u64),
}

/// Is told how far an installation is.
pub type Told = Arc<dyn Fn(Progress) + Send + Sync>;

/// The folder of the tools that we unpacked, below the cache.
#[must_use]
pub fn folder(store: &Store) -> PathBuf {
    store.root().join("toolchains")
}

/// Installs tools and targets.
#[derive(Clone)]
pub struct Installer {
    /// the cache
    pub store: Store,
    /// every process that runs
    pub children: Children,
    /// this machine
    pub host: Platform,
    /// fetches files
    pub downloader: Downloader,
}

impl Installer {
    /// Installs a tool where it is not, and returns its program. False beside it when it was there.
    ///
    /// # Errors
    /// When it cannot be had, is broken, or cannot be written.
    pub async fn tool(&self, tool: &Tool, told: &Told) -> Result<(PathBuf, bool), InstallError> {
        let unknown = || InstallError::NoFile { tool: tool.name.clone(), host: self.host };
        let download = tool.download.as_ref().ok_or_else(unknown)?;
        let file = download.hosts.get(&self.host).ok_or_else(unknown)?;
        let name = download.folder(&tool.name, file);
        let place = folder(&self.store).join(&name);
        let program = place.join(&download.program);
        if program.is_file() {
            return Ok((program, false));
        }
        let _lock = self.lock(&name, told).await?;
        if program.is_file() {
            return Ok((program, false));
        }
        let archive = self.archive(tool, download, file, told).await?;
        let fresh = folder(&self.store).join(format!(".{name}.unpacking"));
        self.unpack(&archive, &fresh, download, file, told).await?;
        if let Err(error) = self.try_out(&fresh.join(&download.program), tool, download).await {
            let _ = fs::remove_dir_all(&fresh);
            return Err(error);
        }
        if let Err(source) = renew(&fresh, &place) {
            let _ = fs::remove_dir_all(&fresh);
            return Err(InstallError::written(&place, 0, source));
        }
        // Nobody needs it any more; where it cannot be removed it is only in the way.
        let _ = fs::remove_file(&archive);
        Ok((program, true))
    }

    /// Waits for the lock of `name`, which goes with the value.
    async fn lock(&self, name: &str, told: &Told) -> Result<File, InstallError> {
        let path = folder(&self.store).join(format!(".{name}.lock"));
        let failed = |source| InstallError::written(&path, 0, source);
        fs::create_dir_all(folder(&self.store)).map_err(failed)?;
        store::lock(&path, || told(Progress::Waiting)).await.map_err(failed)
    }

    async fn archive(
        &self,
        tool: &Tool,
        download: &Download,
        file: &HostFile,
        told: &Told,
    ) -> Result<PathBuf, InstallError> {
        let downloads = self.store.root().join("downloads");
        fs::create_dir_all(&downloads).map_err(|source| InstallError::written(&downloads, 0, source))?;
        let archive = downloads.join(format!("{}.zip", file.sha256.hex()));
        if archive.is_file() {
            return Ok(archive);
        }
        let failed = |source| InstallError::Download {
            tool: format!("{} {}", tool.name, download.version),
            kind: download.kind,
            source: Box::new(source),
        };
        let mirrors = self.mirrors(download, file, &failed).await?;
        let (sha256, size) = (file.sha256, Some(file.size));
        let wanted = Wanted { mirrors: &mirrors, sha256, size, destination: &archive };
        let whole = file.size;
        let progress = |progress| match progress {
            download::Progress::Started { host, at, .. } => told(Progress::Downloading { host, at, size: whole }),
            download::Progress::Bytes(bytes) => told(Progress::Bytes(bytes)),
        };
        self.downloader.file(&wanted, &progress).await.map_err(failed)?;
        Ok(archive)
    }

    async fn mirrors(
        &self,
        download: &Download,
        file: &HostFile,
        failed: &(dyn Fn(download::DownloadError) -> InstallError + Sync),
    ) -> Result<Vec<Mirror>, InstallError> {
        match download.kind {
            DownloadKind::GoProxy => {
                mirror::go_mirrors(go_proxy().as_deref(), &download.package, &file.file).map_err(InstallError::Mirror)
            }
            DownloadKind::Pypi => {
                let environment = |name: &str| std::env::var(name).ok();
                let page = mirror::index_page(&download.package, &environment).map_err(InstallError::Mirror)?;
                let page = self.downloader.page(&page, mirror::ACCEPT_INDEX).await.map_err(failed)?;
                let url = mirror::file_on_page(&page.url, &page.content_type, &page.body, &file.file);
                Ok(vec![Mirror { url: url.map_err(InstallError::Mirror)?, gives_way: false }])
            }
        }
    }

    async fn unpack(
        &self,
        archive: &Path,
        fresh: &Path,
        download: &Download,
        file: &HostFile,
        told: &Told,
    ) -> Result<(), InstallError> {
        let stopped = Stopped::default();
        let job = archive::Job {
            archive: archive.to_owned(),
            folder: fresh.to_owned(),
            download: download.clone(),
            file: file.clone(),
            stopped: stopped.0.clone(),
            told: told.clone(),
        };
        let (fresh, done) = (fresh.to_owned(), tokio::task::spawn_blocking(move || job.run()).await);
        match done {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                // Whatever is in the way is removed by the next run, if not by this one.
                let _ = fs::remove_dir_all(&fresh);
                if error.is_broken_archive() {
                    let _ = fs::remove_file(archive);
                }
                Err(error)
            }
            Err(_) => Err(InstallError::Thread),
        }
    }

    /// Asks a program that was unpacked for its version: what does not run here gets no place.
    async fn try_out(&self, program: &Path, tool: &Tool, download: &Download) -> Result<(), InstallError> {
        let mut call = Invocation::new(&program.display().to_string(), folder(&self.store));
        call = call.args(tool.version.iter().map(String::as_str));
        call.env_remove.extend(download.unset.clone());
        let failed = |ending: String, said: &[u8]| {
            let said = String::from_utf8_lossy(said).trim().to_owned();
            InstallError::Silent { tool: format!("{} {}", tool.name, download.version), ending, said }
        };
        match self.ask(call.clone()).await {
            Ok(finished) if finished.status.success() && !finished.stdout.trim_ascii().is_empty() => Ok(()),
            Ok(finished) => Err(failed(finished.ending(), &finished.stderr)),
            Err(InstallError::Exec(ExecError::Start { source, .. })) => Err(failed(source.to_string(), &[])),
            Err(error) => Err(error),
        }
    }

    async fn ask(&self, call: Invocation) -> Result<Finished, InstallError> {
        let children = self.children.clone();
        let asked = tokio::task::spawn_blocking(move || children.ask(&call)).await;
        asked.map_err(|_| InstallError::Thread)?.map_err(InstallError::Exec)
    }

    /// Adds a target to the Rust toolchain of the project in `directory`, by rustup. One at a time: rustup does not say
    /// that it takes more.
    ///
    /// # Errors
    /// When rustup cannot be called, or fails.
    pub async fn target(&self, directory: &Path, target: &str, told: &Told) -> Result<(), InstallError> {
        let _lock = self.lock("rustup", told).await?;
        told(Progress::Calling);
        let call = Invocation::new("rustup", directory).args(["target", "add", target]);
        let line = call.to_line();
        let finished = self.ask(call).await?;
        if finished.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&finished.stderr);
        // What follows is for who develops rustup.
        let said = said.split("Stack backtrace:").next().unwrap_or_default().trim().to_owned();
        Err(InstallError::Target { target: target.to_owned(), line, said, others: Vec::new() })
    }
}

/// Gives `fresh` its `place`. What stands there lacks its program, or nothing would be installed: it was damaged.
fn renew(fresh: &Path, place: &Path) -> std::io::Result<()> {
    match fs::symlink_metadata(place) {
        Ok(there) if there.is_dir() => fs::remove_dir_all(place)?,
        Ok(_) => fs::remove_file(place)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fs::rename(fresh, place)
}

/// Tells a thread that nobody waits for it any more.
#[derive(Default)]
struct Stopped(Arc<AtomicBool>);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// `GOPROXY` of the environment, else of the file that `go env -w` writes: there is no go to ask.
fn go_proxy() -> Option<String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(value) = variable(mirror::PROXY_VARIABLE) {
        return Some(value);
    }
    let file = match variable("GOENV") {
        Some(off) if off == "off" => return None,
        Some(file) => PathBuf::from(file),
        None => {
            let home = variable("HOME").map(PathBuf::from)?;
            let folder = if cfg!(target_os = "macos") {
                home.join("Library").join("Application Support")
            } else {
                variable("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from)
            };
            folder.join("go").join("env")
        }
    };
    mirror::go_env_value(&fs::read_to_string(file).ok()?, mirror::PROXY_VARIABLE)
}
