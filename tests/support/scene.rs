//! A push to a registry behind a proxy, of an image whose base lies in the same registry or in another one behind a proxy
//! of its own: what comes of it when something goes wrong, held to what came of it when nothing did.

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyarch::blob::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tempfile::TempDir;

use super::crane::CraneRegistry;
use super::layout::{self, Image, Tree};
use super::prebuilt::{self, Base, PLATFORMS};
use super::process::{self, Ended};
use super::program::{Home, Program};
use super::project::Project;
use super::proxy::{Proxy, Request, Upstream};
use super::registry::{Options, Registry, TokenServer};

const USER: &str = "robot";
const PASSWORD: &str = "s3cret-word";
/// How long one run may take: one that is refused for good waits about 5 s.
const LIMIT: Duration = Duration::from_secs(90);
/// Bytes of each layer of the base.
const LAYER: usize = 300_000;

/// An implementation of the server side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implementation {
    /// Debian's `docker-registry`
    Distribution,
    /// `crane registry serve`
    Crane,
}

/// Where the base lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// in the registry that is pushed to, which can mount from it
    Same,
    /// in another one
    Other,
}

enum Running {
    Distribution(Registry),
    Crane(CraneRegistry),
}

impl Running {
    fn start(implementation: Implementation, options: &Options<'_>) -> Self {
        match implementation {
            Implementation::Distribution => Self::Distribution(Registry::start(options)),
            Implementation::Crane => Self::Crane(CraneRegistry::start()),
        }
    }
}

impl Upstream for Running {
    fn address(&self) -> String {
        match self {
            Self::Distribution(registry) => registry.host(),
            Self::Crane(registry) => registry.host(),
        }
    }
}

/// All that a push needs.
pub struct Scene {
    /// before the registry that is pushed to
    pub target: Proxy,
    /// before the registry of the base; the same as `target` is asked when the base lies there
    pub source: Proxy,
    /// before the token server, where there is one
    pub tokens: Option<Proxy>,
    /// the base
    pub base: Base,
    /// what a push that nothing disturbs leads to
    pub digest: String,
    /// what the registry that is pushed to is asked then
    pub requests: Vec<Request>,
    /// what the other registry is asked then
    pub reads: Vec<Request>,
    /// what the token server is asked then
    pub token_requests: Vec<Request>,
    project: Project,
    /// where the base lies
    pub lies: Where,
    /// who serves
    pub implementation: Implementation,
    old: TempDir,
    registry: RefCell<Running>,
    runs: Cell<usize>,
    _others: (Running, Option<TokenServer>),
}

impl Scene {
    /// Starts all of it.
    pub fn new(implementation: Implementation, lies: Where) -> Self {
        Self::with(implementation, lies, false)
    }

    /// Starts a registry that wants tokens; the base lies in one that does not.
    pub fn with_tokens() -> Self {
        Self::with(Implementation::Distribution, Where::Other, true)
    }

    fn with(implementation: Implementation, lies: Where, tokens: bool) -> Self {
        let server = tokens.then(|| TokenServer::start(USER, PASSWORD));
        let tokens = server.as_ref().map(|server| Proxy::before(&server.server));
        let options =
            Options { tokens: server.as_ref(), realm: tokens.as_ref().map(Proxy::host), ..Options::default() };
        let registry = Running::start(implementation, &options);
        let other = Running::start(implementation, &Options::default());
        let (target, source) = (Proxy::before(&registry), Proxy::before(&other));
        let (base, old) = (Base::new(LAYER), old_image());
        base.push(&format!("{}/base:1", if lies == Where::Same { registry.address() } else { other.address() }));
        let mut scene = Self {
            target,
            source,
            tokens,
            base,
            digest: String::new(),
            requests: Vec::new(),
            reads: Vec::new(),
            token_requests: Vec::new(),
            project: prebuilt::project(),
            lies,
            implementation,
            old,
            registry: RefCell::new(registry),
            runs: Cell::new(0),
            _others: (other, server),
        };
        let attempt = scene.attempt();
        let ended = attempt.run();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let asked = (scene.target.take(), scene.source.take(), scene.tokens.as_ref().map(Proxy::take));
        let digest = attempt.tag("new").expect("the tag was pushed");
        attempt.assert_whole(&digest);
        drop(attempt);
        (scene.requests, scene.reads, scene.token_requests) = (asked.0, asked.1, asked.2.unwrap_or_default());
        scene.digest = digest;
        scene
    }

    /// The proxy that reads of the base pass.
    pub fn base_proxy(&self) -> &Proxy {
        if self.lies == Where::Same { &self.target } else { &self.source }
    }

    /// The base as it is named.
    pub fn base_name(&self) -> String {
        format!("{}/base:1", self.base_proxy().host())
    }

    /// A user who never pushed, and a repository where nothing is; nothing goes wrong any more.
    pub fn attempt(&self) -> Attempt<'_> {
        for proxy in [Some(&self.target), Some(&self.source), self.tokens.as_ref()].into_iter().flatten() {
            proxy.heal();
            proxy.take();
        }
        self.runs.set(self.runs.get() + 1);
        if self.implementation == Implementation::Crane && self.runs.get() > 1 {
            // It keeps one set of blobs for all repositories: only a new one lacks them.
            let fresh = Running::start(self.implementation, &Options::default());
            if self.lies == Where::Same {
                self.base.push(&format!("{}/base:1", fresh.address()));
            }
            self.target.stand_before(&fresh);
            *self.registry.borrow_mut() = fresh;
        }
        let home = Home::new();
        if self.tokens.is_some() {
            let login = STANDARD.encode(format!("{USER}:{PASSWORD}"));
            let text = json!({"auths": {self.target.host(): {"auth": login}}}).to_string();
            fs::create_dir(home.path().join(".docker")).expect("a folder can be made");
            fs::write(home.path().join(".docker/config.json"), text).expect("a file can be written");
        }
        Attempt { scene: self, home, repository: format!("team/app-{}", self.runs.get()) }
    }
}

/// An image of one layer that no other image shares.
fn old_image() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut tree = Tree::default();
    tree.file("old", 0o644, "old");
    let image = |platform: &&str| Image {
        platform: platform.parse().expect("the table holds platforms"),
        layers: vec![tree.clone()],
        config: json!({"Cmd": ["/old"]}),
    };
    layout::write(folder.path(), "1", &PLATFORMS.iter().map(image).collect::<Vec<_>>());
    folder
}

/// One user's pushes to one repository.
pub struct Attempt<'scene> {
    scene: &'scene Scene,
    /// the user's home, with the store
    pub home: Home,
    /// the repository's path
    pub repository: String,
}

impl Attempt<'_> {
    /// The call that pushes the image as the tag `new`.
    pub fn program(&self) -> Program<'_> {
        let scene = self.scene;
        let tag = format!("{}/{}:new", scene.target.host(), self.repository);
        let program = scene.project.anyarch_at(&self.home).args(["build", "--push", "--base", &scene.base_name()]);
        program.args(["--platform", &PLATFORMS.join(","), "-t", &tag])
    }

    /// Pushes the image, in bounded time whatever goes wrong.
    #[track_caller]
    pub fn run(&self) -> Ended {
        process::within(&mut self.program().command(), LIMIT)
    }

    /// Holds a run to having led to the image that an undisturbed one leads to, whole.
    #[track_caller]
    pub fn assert_right(&self, ended: &Ended) {
        let (scene, stderr) = (self.scene, &ended.stderr);
        let expected = format!("{}/{}@{}\n", scene.target.host(), self.repository, scene.digest);
        assert_eq!((ended.code, &*ended.stdout), (0, &*expected), "{stderr}");
        assert_eq!(self.tag("new").as_ref(), Some(&scene.digest), "{stderr}");
        assert_eq!(self.half_done(), [""; 0], "something is left half done");
        self.assert_whole(&scene.digest);
    }

    /// Has the tag `new` be an image of old, past the proxy; its digest.
    pub fn put_old(&self) -> String {
        let reference = format!("{}/{}:new", self.scene.registry.borrow().address(), self.repository);
        let source = format!("oci:{}:1", self.scene.old.path().display());
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["copy", "--quiet", "--all", "--dest-tls-verify=false"]).args(self.login("--dest-creds"));
        process::succeed(skopeo.arg(source).arg(format!("docker://{reference}")));
        self.tag("new").expect("the tag was pushed")
    }

    fn login(&self, option: &str) -> Option<String> {
        self.scene.tokens.as_ref().map(|_| format!("{option}={USER}:{PASSWORD}"))
    }

    /// What a tag means now, asked past the proxy; `None` when there is none.
    pub fn tag(&self, tag: &str) -> Option<String> {
        let reference = format!("docker://{}/{}:{tag}", self.scene.registry.borrow().address(), self.repository);
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["inspect", "--raw", "--tls-verify=false"]).args(self.login("--creds"));
        let output = process::output(skopeo.arg(reference));
        output.status.success().then(|| Digest::of(&output.stdout).to_string())
    }

    /// Holds the repository to having that image whole, each of its blobs with the right bytes, past the proxy.
    #[track_caller]
    pub fn assert_whole(&self, digest: &str) {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let reference = format!("docker://{}/{}@{digest}", self.scene.registry.borrow().address(), self.repository);
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["copy", "--quiet", "--all", "--src-tls-verify=false"]).args(self.login("--src-creds"));
        process::succeed(skopeo.arg(reference).arg(format!("dir:{}", folder.path().display())));
    }

    /// What is half done in the user's store: files on their way in.
    pub fn half_done(&self) -> Vec<String> {
        files(&self.home.cache().join("tmp"))
    }
}

fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let entries = entries.map(|entry| entry.expect("the folder can be read").path());
    entries.map(|path| path.display().to_string()).collect()
}
