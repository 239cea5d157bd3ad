//! One file a command: it turns arguments into a run and what comes out of it into lines.

pub mod build;
pub mod cache;
pub mod copy;
pub mod index;
pub mod init;
pub mod inspect;
pub mod load;
pub mod login;
pub mod logout;
pub mod plan;
pub mod platforms;
pub mod serve;
pub mod toolchain;
pub mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use etcetera::BaseStrategy;

use crate::base::BaseError;
use crate::cli::{Destination, Request, Smoke};
use crate::exec::Children;
use crate::exit::Exit;
use crate::hint::Hint;
use crate::image::ImageError;
use crate::install::InstallError;
use crate::invocation::quote;
use crate::plan::PlanError;
use crate::quantity;
use crate::registry::{CredentialEnvironment, LoginError, Notes, Proxies};
use crate::run::error::Error;
use crate::run::event::{Event, Watch};
use crate::run::files::FileError;
use crate::run::flags::Flags;
use crate::run::interrupt;
use crate::run::moved::Moved;
use crate::run::session::Session;
use crate::run::smoke::{Asked, SandboxError};
use crate::sink::daemon::DaemonEnvironment;
use crate::store::Store;
use crate::ui::Ui;

/// The environment variable that names the cache folder.
pub const CACHE_DIR: &str = "ANYARCH_CACHE_DIR";
/// The environment variable that says how large what builds store in the cache may grow.
pub const CACHE_LIMIT: &str = "ANYARCH_CACHE_LIMIT";
/// How large that may grow when nobody says, in bytes.
const DEFAULT_CACHE_LIMIT: u64 = 20_000_000_000;
/// How long the last words of a program that hangs may take.
const SAID: Duration = Duration::from_millis(200);
/// The environment variable that names the folder of the user's own toolchain rows.
pub const CONFIG_DIR: &str = "ANYARCH_CONFIG_DIR";

/// The edges that every command stands on.
///
/// # Errors
/// When there is no folder to work in, or the cache cannot be used.
fn session(ui: &Arc<Ui>, offline: bool) -> Result<Session, Error> {
    let directory = directory()?;
    let strategy = etcetera::choose_base_strategy().ok();
    let cache = cache_folder(&directory);
    let waiting = || {
        let note = format!("something is being removed from `{}`: waiting until it is done", cache.display());
        ui.event(Event::Note(note));
    };
    let watch: Arc<dyn Watch> = ui.clone();
    let told = Arc::clone(&watch);
    Ok(Session {
        store: Store::open_waiting(&cache, waiting)?,
        children: if offline { Children::offline() } else { Children::default() },
        watch,
        moved: Moved::default(),
        epoch: std::env::var("SOURCE_DATE_EPOCH").ok(),
        configuration_folder: folder(&directory, CONFIG_DIR, strategy.as_ref().map(BaseStrategy::config_dir)),
        credentials: credentials(),
        proxies: Proxies::of_environment(),
        daemon: daemon(),
        certificate_folders: certificate_folders(),
        notes: Notes::new(move |note| told.event(Event::Note(note))),
        offline,
        directory,
    })
}

/// Where podman and docker keep the certificates of registries, in podman's order; docker's rootless folder comes last.
fn certificate_folders() -> Vec<PathBuf> {
    let home = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let configuration = home("XDG_CONFIG_HOME").or_else(|| home("HOME").map(|home| home.join(".config")));
    let below = |path: &str| configuration.as_ref().map(|folder| folder.join(path));
    let folders = [
        below("containers/certs.d"),
        Some("/etc/containers/certs.d".into()),
        Some("/etc/docker/certs.d".into()),
        below("docker/certs.d"),
    ];
    folders.into_iter().flatten().collect()
}

/// The line that was typed, without `--offline`.
fn line_with_a_network() -> String {
    let words = std::env::args().skip(1).filter(|word| word != "--offline");
    let words: Vec<String> = words.map(|word| quote(&word)).collect();
    format!("anyarch {}", words.join(" "))
}

fn directory() -> Result<PathBuf, Error> {
    std::env::current_dir().map_err(|source| Error::Read { path: ".".into(), source })
}

/// The folder that an environment variable names, else ours in a folder of the platform.
fn folder(directory: &Path, variable: &str, default: Option<PathBuf>) -> Option<PathBuf> {
    let given = std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    given.map(|given| directory.join(given)).or_else(|| default.map(|default| default.join("anyarch")))
}

/// The cache folder, whether or not it is there.
fn cache_folder(directory: &Path) -> PathBuf {
    let default = etcetera::choose_base_strategy().ok().map(|strategy| strategy.cache_dir());
    folder(directory, CACHE_DIR, default).unwrap_or_else(|| std::env::temp_dir().join("anyarch"))
}

/// How large what builds store in the cache may grow, in bytes; `None` for no limit.
fn cache_limit() -> Result<Option<u64>, Error> {
    let Some(text) = std::env::var_os(CACHE_LIMIT).filter(|text| !text.is_empty()) else {
        return Ok(Some(DEFAULT_CACHE_LIMIT));
    };
    quantity::limit(&text.to_string_lossy()).map_err(|source| Error::CacheLimit { variable: CACHE_LIMIT, source })
}

fn credentials() -> CredentialEnvironment {
    let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    CredentialEnvironment {
        home: path("HOME"),
        docker_config: path("DOCKER_CONFIG"),
        registry_auth_file: path("REGISTRY_AUTH_FILE"),
        xdg_runtime_dir: path("XDG_RUNTIME_DIR"),
        ..CredentialEnvironment::default()
    }
}

/// Where docker or podman may be. Variables that are set to nothing say nothing, as for docker.
fn daemon() -> DaemonEnvironment {
    let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    DaemonEnvironment {
        docker_host: text("DOCKER_HOST"),
        docker_context: text("DOCKER_CONTEXT"),
        docker_tls: text("DOCKER_TLS_VERIFY").or_else(|| text("DOCKER_TLS")).is_some(),
        docker_configuration: text("DOCKER_CONFIG")
            .map(PathBuf::from)
            .or_else(|| text("HOME").map(|home| Path::new(&home).join(".docker"))),
        container_host: text("CONTAINER_HOST"),
        runtime_folder: text("XDG_RUNTIME_DIR").map(PathBuf::from),
    }
}

fn flags(request: Request, destination: Destination) -> Flags {
    Flags {
        paths: request.paths,
        platforms: request.platform,
        base: request.base,
        bins: request.bin,
        all_bins: request.bins,
        package: request.package,
        shard: request.shard,
        images: request.image,
        one_image: request.one_image,
        labels: request.label,
        annotations: request.annotation,
        jobs: request.jobs.map(std::num::NonZeroUsize::get),
        skip_missing: request.skip_missing,
        strict_platform: request.strict_platform,
        ignore_onbuild: request.ignore_onbuild,
        toolchain_files: request.toolchain,
        toolchain_row: request.toolchain_row,
        allow_project_toolchains: request.allow_project_toolchains,
        carries_out: false,
        resolve: false,
        again: line_with_a_network(),
        insecure_registries: request.insecure_registry,
        tags: destination.tag,
        push: destination.push,
        push_jobs: destination.push_jobs.map(std::num::NonZeroUsize::get),
        push_by_digest: destination.push_by_digest,
        results: None,
        load: destination.load,
        outputs: destination.output,
        json: request.json,
        install_missing: request.install_missing,
        verify: None,
        single_manifest: destination.single_manifest,
        smoke: None,
    }
}

/// What `--smoke` asks for.
fn smoke(smoke: Smoke) -> Option<Asked> {
    smoke.smoke.map(|arguments| Asked { arguments, limit: smoke.smoke_timeout })
}

/// Runs `work` to its end, or until a signal asks us to stop.
///
/// # Errors
/// Those of `work`, and [`Error::Interrupted`].
fn carry_out<T>(ui: &Arc<Ui>, session: &Session, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let ui = Arc::clone(ui);
    let result = interrupt::carry_out(session.children.clone(), move || end_interrupted(ui), work);
    if result.is_err() {
        // Threads that nobody waits for may still be packing.
        session.store.abandon();
    }
    result
}

/// Ends a program that was interrupted and does not come to its end by itself.
#[expect(clippy::exit, reason = "whoever would return to `main` hangs")]
fn end_interrupted(ui: Arc<Ui>) {
    let (said, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        failed(&ui, &Error::Interrupted);
        // Nobody listens when that took too long.
        let _ = said.send(());
    });
    // Nobody may read what we say.
    let _ = heard.recv_timeout(SAID);
    std::process::exit(i32::from(Exit::Interrupted as u8))
}

/// Writes a file whole, or not at all.
fn write(file: &Path, bytes: &[u8]) -> Result<(), Error> {
    let write = || -> std::io::Result<()> {
        let mut fresh = crate::store::beside(file)?;
        std::io::Write::write_all(&mut fresh, bytes)?;
        fresh.persist(file).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|source| Error::Write { path: file.to_owned(), source })
}

/// How a run that failed ends.
fn exit_of(error: &Error) -> Exit {
    match error {
        Error::Interrupted | Error::Install(InstallError::Interrupted) => Exit::Interrupted,
        Error::NoProgram { .. }
        | Error::Unfit { .. }
        | Error::NotStatic { .. }
        | Error::DoesNotStart { .. }
        | Error::Smoke { .. }
        | Error::WouldNotStart { .. } => Exit::Check,
        Error::Compile { .. } | Error::NotMade { .. } => Exit::Compile,
        Error::Install(error) if error.is_of_this_machine() => Exit::Failure,
        Error::Serve(error) if error.is_of_this_machine() => Exit::Failure,
        Error::Install(_)
        | Error::StillMissing { .. }
        | Error::OfflineInstall { .. }
        | Error::Toolchain(_)
        | Error::Row { .. }
        | Error::Host(_)
        | Error::MissingLibrary(_)
        | Error::Plan(PlanError::Toolchain(_)) => Exit::Toolchain,
        Error::BaseImage { source: ImageError::OnBuild { .. }, .. } => Exit::Usage,
        Error::Base(BaseError::Static(_) | BaseError::Store { .. })
        | Error::Read { .. }
        | Error::File(FileError::Read { .. })
        | Error::Write { .. }
        | Error::Thread
        | Error::Exec(_)
        | Error::Store(_)
        | Error::Layer(_)
        | Error::Sink(_)
        | Error::Image(_)
        | Error::Login(
            LoginError::Input(_) | LoginError::NoHome | LoginError::Credentials(_) | LoginError::Write { .. },
        )
        | Error::Sandbox(SandboxError::Forbidden { .. } | SandboxError::Write { .. } | SandboxError::Broken { .. })
        | Error::CrateRows(_) => Exit::Failure,
        Error::Base(_)
        | Error::BaseImage { .. }
        | Error::Listing { .. }
        | Error::SmokeRead { .. }
        | Error::Sandbox(_)
        | Error::TooManyFiles { .. }
        | Error::Push { .. }
        | Error::Client(_)
        | Error::NotCached { .. }
        | Error::Login(LoginError::Registry(_)) => Exit::Registry,
        _ => Exit::Usage,
    }
}

/// Says why a run failed, and how it ends.
fn failed(ui: &Ui, error: &Error) -> Exit {
    ui.error(error);
    debug_assert!(error.hints().iter().all(|hint| !hint.contains('\n')), "a hint is one line");
    exit_of(error)
}

/// Says why a call of ours that was none of the user's failed: its output is shown as a compiler's.
#[must_use]
pub fn child_failed(error: &crate::zigbuild::ZigbuildError) -> Exit {
    Ui::new(false).error(error);
    Exit::Failure
}
