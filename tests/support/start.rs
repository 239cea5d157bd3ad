//! Proves that what was built starts: one platform of an image is unpacked by umoci, and its program started in a chroot
//! with nothing but the image's own files, environment, user and working folder.
//!
//! A foreign program runs under a static qemu that is copied in, on the oldest CPU of its platform. Never through
//! `qemu -L`, nor by the kernel's `binfmt_misc`: both let the machine's files show through, and a program that lacks its
//! loader would start all the same.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyarch::platform::{Architecture, Platform};
use serde_json::Value;
use tempfile::TempDir;

use super::process::{self, Ended};

/// How long a program may run: emulated, on a machine that does other things at the same time.
const LIMIT: Duration = Duration::from_mins(2);
/// The emulator's name inside the image.
const EMULATOR: &str = "/.emulator";

/// Where an image is.
#[derive(Debug, Clone)]
pub enum Source {
    /// a folder that holds an OCI image layout with one image or index
    Layout(PathBuf),
    /// a tar of such a folder
    Archive(PathBuf),
    /// `HOST/REPOSITORY:TAG` or `HOST/REPOSITORY@DIGEST`, read without credentials and without regard to certificates
    Registry(String),
}

/// One platform's image on disk.
pub struct Unpacked {
    folder: TempDir,
    platform: Platform,
    config: Value,
}

impl Source {
    /// The image's index, or its only manifest, as another program reads it.
    pub fn raw(&self) -> Value {
        let work = tempfile::tempdir().expect("a temporary folder can be made");
        let bytes = match self.layout(work.path()) {
            Some(layout) => top(&layout).1,
            None => process::succeed(&mut skopeo("inspect", &["--raw", &self.reference()])),
        };
        serde_json::from_slice(&bytes).expect("a manifest is JSON")
    }

    /// The platforms of the image's index, in its order.
    ///
    /// # Panics
    /// When an entry has none, or one that is not known.
    pub fn platforms(&self) -> Vec<String> {
        let raw = self.raw();
        let manifests = raw["manifests"].as_array().expect("the image is an index");
        manifests.iter().map(|entry| platform_of(&entry["platform"]).to_string()).collect()
    }

    /// Unpacks the image of exactly `platform`.
    ///
    /// # Panics
    /// When the image has no such platform, when its config is of another one, or when umoci cannot read it.
    pub fn unpack(&self, platform: &str) -> Unpacked {
        let platform: Platform = platform.parse().expect("a test names a known platform");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let single = folder.path().join("image");
        match self.layout(folder.path()) {
            Some(layout) => narrow(&layout, platform, &single),
            None => self.pull(platform, &single),
        }
        let config = config_of(&single);
        assert_eq!(platform_of(&config), platform, "the image's config is of another platform than its index says");
        let mut umoci = Command::new("umoci");
        umoci.args(["raw", "unpack", "--image"]).arg(format!("{}:image", single.display()));
        if !process::is_root() {
            umoci.arg("--rootless");
        }
        let root = folder.path().join("root");
        process::succeed(umoci.arg(&root));
        if let Some((emulator, _)) = emulator(platform) {
            let emulator = which::which(emulator).unwrap_or_else(|_| {
                panic!("`{emulator}` is not installed, and {platform} cannot be started without it\nhint: scripts/install-test-tools")
            });
            fs::copy(emulator, root.join(&EMULATOR[1..])).expect("the emulator can be copied");
        }
        Unpacked { folder, platform, config: config["config"].clone() }
    }

    fn layout(&self, work: &Path) -> Option<PathBuf> {
        match self {
            Self::Layout(folder) => Some(folder.clone()),
            Self::Archive(file) => {
                let folder = work.join("archive");
                fs::create_dir_all(&folder).expect("a folder can be made");
                process::succeed(Command::new("tar").arg("-xf").arg(file).arg("-C").arg(&folder));
                Some(folder)
            }
            Self::Registry(_) => None,
        }
    }

    fn reference(&self) -> String {
        match self {
            Self::Registry(reference) => format!("docker://{reference}"),
            Self::Layout(path) | Self::Archive(path) => panic!("`{}` is not in a registry", path.display()),
        }
    }

    /// Pulls one platform by its digest.
    fn pull(&self, platform: Platform, single: &Path) {
        let raw = self.raw();
        let reference = self.reference();
        let reference = match entry_of(&raw, platform) {
            Some(digest) => {
                let repository = reference.split_once('@').map_or_else(
                    || {
                        reference
                            .rsplit_once(':')
                            .filter(|(_, tag)| !tag.contains('/'))
                            .map_or(&*reference, |(name, _)| name)
                    },
                    |(name, _)| name,
                );
                format!("{repository}@{digest}")
            }
            None => reference,
        };
        process::succeed(&mut skopeo("copy", &["--quiet", &reference, &format!("oci:{}:image", single.display())]));
    }
}

fn skopeo(command: &str, arguments: &[&str]) -> Command {
    let tls = if command == "copy" { "--src-tls-verify=false" } else { "--tls-verify=false" };
    let mut program = Command::new("skopeo");
    program.args([command, tls]).args(arguments);
    program
}

/// The media type and bytes of what a layout's index.json names: an image index or a manifest.
fn top(layout: &Path) -> (String, Vec<u8>) {
    let index = read_json(&layout.join("index.json"));
    let manifests = index["manifests"].as_array().expect("a layout's index.json has manifests");
    let [only] = manifests.as_slice() else {
        return (
            index["mediaType"].as_str().unwrap_or_default().to_owned(),
            fs::read(layout.join("index.json")).expect("read"),
        );
    };
    let bytes = fs::read(blob(layout, only)).expect("the layout holds what it names");
    (only["mediaType"].as_str().unwrap_or_default().to_owned(), bytes)
}

fn blob(layout: &Path, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().expect("a descriptor has a digest");
    layout.join("blobs").join(digest.replacen(':', "/", 1))
}

fn read_json(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("`{}` cannot be read: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("`{}` is not JSON: {error}", path.display()))
}

/// The digest of `platform`'s manifest; `None` when `raw` is no index but a manifest itself.
///
/// # Panics
/// When an index lacks the platform.
fn entry_of(raw: &Value, platform: Platform) -> Option<String> {
    let entries = raw["manifests"].as_array()?;
    let entry = entries.iter().find(|entry| platform_of(&entry["platform"]) == platform);
    let entry = entry.unwrap_or_else(|| panic!("the index has no {platform}: {raw:#}"));
    Some(entry["digest"].as_str().expect("a descriptor has a digest").to_owned())
}

/// Reads `os`, `architecture` and `variant`, the same fields in a descriptor's platform and in a config.
fn platform_of(value: &Value) -> Platform {
    let field = |name: &str| value[name].as_str().unwrap_or_default();
    Platform::from_parts(field("os"), field("architecture"), value["variant"].as_str())
        .unwrap_or_else(|error| panic!("{error} in {value:#}"))
}

/// Makes a layout that holds just one platform of `layout`, as `image`, by links to its blobs.
fn narrow(layout: &Path, platform: Platform, single: &Path) {
    fs::create_dir_all(single).expect("a folder can be made");
    let blobs = fs::canonicalize(layout.join("blobs")).expect("a layout has blobs");
    std::os::unix::fs::symlink(blobs, single.join("blobs")).expect("a link can be made");
    fs::copy(layout.join("oci-layout"), single.join("oci-layout")).expect("a layout has its oci-layout file");
    let (_, bytes) = top(layout);
    let raw: Value = serde_json::from_slice(&bytes).expect("a manifest is JSON");
    let mut descriptor = match entry_of(&raw, platform) {
        Some(digest) => {
            let entries = raw["manifests"].as_array().expect("it is an index");
            entries.iter().find(|entry| entry["digest"] == *digest).expect("it was just found").clone()
        }
        None => read_json(&layout.join("index.json"))["manifests"][0].clone(),
    };
    descriptor["annotations"] = serde_json::json!({"org.opencontainers.image.ref.name": "image"});
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [descriptor]});
    fs::write(single.join("index.json"), index.to_string()).expect("index.json can be written");
}

fn config_of(single: &Path) -> Value {
    let index = read_json(&single.join("index.json"));
    let manifest = read_json(&blob(single, &index["manifests"][0]));
    read_json(&blob(single, &manifest["config"]))
}

/// The emulator that starts `platform` here, and the CPU it plays: the oldest that the platform promises.
/// `None` where this machine's own CPU runs it.
fn emulator(platform: Platform) -> Option<(&'static str, Option<&'static str>)> {
    let host = std::env::consts::ARCH;
    let variant = platform.level().map_or(0, |variant| variant.major);
    match platform.architecture() {
        // qemu-i386 7.2 crashes on Go programs; an amd64 kernel starts them itself.
        Architecture::Amd64 | Architecture::I386 if host == "x86_64" => None,
        Architecture::Arm64 if host == "aarch64" => None,
        Architecture::Amd64 => Some(("qemu-x86_64-static", None)),
        Architecture::I386 => Some(("qemu-i386-static", None)),
        Architecture::Arm64 => Some(("qemu-aarch64-static", None)),
        Architecture::Arm => Some((
            "qemu-arm-static",
            Some(match variant {
                5 => "arm926",
                6 => "arm1176",
                _ => "cortex-a8",
            }),
        )),
        Architecture::Ppc64le => Some(("qemu-ppc64le-static", None)),
        Architecture::Ppc64 => Some(("qemu-ppc64-static", None)),
        Architecture::S390x => Some(("qemu-s390x-static", None)),
        Architecture::Riscv64 => Some(("qemu-riscv64-static", None)),
        Architecture::Loong64 => Some(("qemu-loongarch64-static", None)),
        Architecture::Mips => Some(("qemu-mips-static", None)),
        Architecture::Mipsle => Some(("qemu-mipsel-static", None)),
        Architecture::Mips64 => Some(("qemu-mips64-static", None)),
        Architecture::Mips64le => Some(("qemu-mips64el-static", None)),
    }
}

impl Unpacked {
    /// The image's root folder.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// The image config's `config` object: `Env`, `User`, `Entrypoint` and the like.
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// Starts the image as a container would be: its entrypoint, then `arguments`, or its own Cmd when there are none.
    ///
    /// # Panics
    /// When the image has nothing to start, or what starts does not end in time.
    pub fn start(&self, arguments: &[&str]) -> Ended {
        let mut words = self.list("Entrypoint");
        if arguments.is_empty() {
            words.extend(self.list("Cmd"));
        } else {
            words.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.run(&words)
    }

    /// Starts any program of the image, in the image's environment.
    ///
    /// # Panics
    /// When `words` is empty, or what starts does not end in time.
    pub fn run(&self, words: &[&str]) -> Ended {
        let [name, arguments @ ..] = words else { panic!("the image has neither an entrypoint nor a command") };
        let folder = self.config["WorkingDir"].as_str().filter(|folder| !folder.is_empty()).unwrap_or("/");
        // As container engines do.
        fs::create_dir_all(
            inside(&self.root(), folder).unwrap_or_else(|| self.root().join(folder.trim_start_matches('/'))),
        )
        .expect("the working folder can be made");
        let unshare = which::which("unshare").expect("util-linux has unshare");
        let mut command = Command::new(unshare);
        // With a process namespace of its own, whatever the program leaves behind ends with it.
        command.args(["--fork", "--pid", "--kill-child"]);
        if process::is_root() {
            let (user, group) = self.user();
            command.arg(format!("--setuid={user}")).arg(format!("--setgid={group}"));
            // Every engine mounts it; by it a loader finds out where its program is.
            fs::create_dir_all(self.root().join("proc")).expect("a folder can be made");
            command.arg("--mount-proc");
        } else {
            // Only one user exists in there: the image's own is not tried.
            command.arg("--map-root-user");
        }
        command.arg(format!("--root={}", self.root().display())).arg(format!("--wd={folder}")).arg("--");
        let program = self.find(name);
        match emulator(self.platform) {
            None => command.arg(program),
            Some((_, cpu)) => {
                command.arg(EMULATOR);
                if let Some(cpu) = cpu {
                    command.args(["-cpu", cpu]);
                }
                command.args(["-0", name]).arg(program)
            }
        };
        command.args(arguments).env_clear();
        for variable in self.list("Env") {
            let (name, value) = variable.split_once('=').expect("an image's Env holds NAME=VALUE");
            command.env(name, value);
        }
        process::within(&mut command, LIMIT)
    }

    fn list(&self, name: &str) -> Vec<String> {
        let words = self.config[name].as_array().map(Vec::as_slice).unwrap_or_default();
        words.iter().map(|word| word.as_str().expect("the config holds texts").to_owned()).collect()
    }

    /// The program's path inside the image: searched on the image's PATH when it is a bare name.
    fn find(&self, name: &str) -> String {
        if name.contains('/') {
            return name.to_owned();
        }
        let environment = self.list("Env");
        let path = environment.iter().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or_default();
        let found = path.split(':').map(|folder| format!("{folder}/{name}")).find(|candidate| {
            inside(&self.root(), candidate)
                .and_then(|path| fs::metadata(path).ok())
                .is_some_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
        });
        found.unwrap_or_else(|| panic!("the image has no `{name}` on its PATH `{path}`"))
    }

    /// The numbers of the image's user and group, as its own /etc/passwd and /etc/group have them.
    fn user(&self) -> (u32, u32) {
        let text = self.config["User"].as_str().unwrap_or_default();
        let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        let user = if user.is_empty() { "0" } else { user };
        let entry = self.entry("etc/passwd", user);
        let number = |text: &str| text.parse::<u32>().ok();
        let uid = number(user).or_else(|| number(entry.as_ref()?.get(2)?));
        let uid = uid.unwrap_or_else(|| panic!("the image has no user `{user}` in /etc/passwd"));
        let gid = match group {
            None => entry.and_then(|entry| number(entry.get(3)?)).unwrap_or(0),
            Some(group) => number(group)
                .or_else(|| number(self.entry("etc/group", group)?.get(2)?))
                .unwrap_or_else(|| panic!("the image has no group `{group}` in /etc/group")),
        };
        (uid, gid)
    }

    /// The line of /etc/passwd or /etc/group whose name or number is `wanted`, split into its fields.
    fn entry(&self, file: &str, wanted: &str) -> Option<Vec<String>> {
        let text = fs::read_to_string(inside(&self.root(), file)?).ok()?;
        let entries = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
        entries.into_iter().find(|entry| {
            entry.first().is_some_and(|name| name == wanted) || entry.get(2).is_some_and(|number| number == wanted)
        })
    }
}

/// Where `path` leads inside `root`, links followed as after a chroot; `None` when it leads nowhere.
fn inside(root: &Path, path: &str) -> Option<PathBuf> {
    let mut rest: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut found = PathBuf::new();
    let mut links = 0;
    while let Some(part) = rest.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                found.pop();
                continue;
            }
            _ => found.push(&part),
        }
        let metadata = fs::symlink_metadata(root.join(&found)).ok()?;
        if metadata.is_symlink() {
            links += 1;
            if links > 40 {
                return None;
            }
            let target = fs::read_link(root.join(&found)).ok()?.to_string_lossy().into_owned();
            found.pop();
            if target.starts_with('/') {
                found = PathBuf::new();
            }
            rest.extend(target.split('/').rev().map(str::to_owned));
        }
    }
    Some(root.join(found))
}
