//! Debian packages of any release and architecture, fetched and unpacked without root and without touching the machine's
//! own package lists.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::super::layout::Tree;
use super::super::process;
use super::Release;

/// Where Debian is when the machine's own package sources name no mirror of it.
const MIRROR: &str = "http://deb.debian.org/debian";
/// The keys of all supported releases, of the package `debian-archive-keyring`.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// What goes into a base.
const PACKAGES: &[&str] = &["libc6", "libgcc-s1", "libstdc++6", "zlib1g", "busybox-static"];
/// What goes into the base of one release alone: a library that programs are linked against in tests.
pub fn of_release(release: Release) -> &'static [&'static str] {
    match release {
        Release::Bookworm => &["libssl3"],
        Release::Bullseye | Release::Trixie => &[],
    }
}

/// The folders that a merged `/usr` replaces by links.
pub const MERGED: &[&str] = &["bin", "lib", "lib32", "lib64", "libx32", "sbin"];
/// How often a download is tried.
const ATTEMPTS: u32 = 4;

/// Fetches [`PACKAGES`], and those of the release alone, for every architecture of `release` into a folder inside `work`, and returns it.
pub fn download(release: Release, work: &Path) -> PathBuf {
    let names: Vec<&str> = release.architectures().map(|(debian, _)| debian).collect();
    let packages = || PACKAGES.iter().chain(of_release(release));
    let wanted: Vec<String> =
        names.iter().flat_map(|name| packages().map(move |package| format!("{package}:{name}"))).collect();
    // One call for all: each call reads all indexes again, which takes seconds.
    fetch(release, "deb", &names, work, &[&["download".into()], wanted.as_slice()].concat())
}

/// Fetches the files of a source package of `release` into a folder inside `work`, and returns it.
pub fn fetch_source(release: Release, package: &str, work: &Path) -> PathBuf {
    let arguments = ["source", "--download-only", package].map(str::to_owned);
    fetch(release, "deb-src", &["amd64"], work, &arguments)
}

/// Fetches `packages`, each as `NAME:ARCHITECTURE`, of `release` into a folder inside `work`, and returns it.
pub fn fetch_packages(release: Release, architectures: &[&str], packages: &[&str], work: &Path) -> PathBuf {
    let arguments: Vec<String> = ["download"].iter().chain(packages).map(|word| (*word).to_owned()).collect();
    fetch(release, "deb", architectures, work, &arguments)
}

/// Runs apt-get with `arguments` in a folder inside `work`, over a list of packages of the given kind that is its own.
fn fetch(release: Release, kind: &str, architectures: &[&str], work: &Path, arguments: &[String]) -> PathBuf {
    for folder in ["lists/partial", "cache/archives/partial", "packages"] {
        fs::create_dir_all(work.join(folder)).expect("a folder in the target folder can be made");
    }
    let signed_by = if Path::new(KEYRING).exists() { format!("[signed-by={KEYRING}] ") } else { String::new() };
    let source = format!("{kind} {signed_by}{} {} main\n", mirror(), release.codename());
    fs::write(work.join("sources.list"), &source).expect("a file in the target folder can be written");
    let settings = configuration(work, architectures);
    fs::write(work.join("apt.conf"), settings).expect("a file in the target folder can be written");

    let packages = work.join("packages");
    let apt = |arguments: &[String]| {
        let mut command = Command::new("apt-get");
        command.args(["-qq", "-o", "Dpkg::Use-Pty=0"]).args(arguments).current_dir(&packages);
        // Read before the machine's own settings, of which a proxy has to stay in force.
        command.env("APT_CONFIG", work.join("apt.conf")).env("LC_ALL", "C");
        command
    };
    patiently(&source, || apt(&["update".into()]));
    patiently(&source, || apt(arguments));
    packages
}

/// Settings that keep everything apt reads and writes inside `work`.
fn configuration(work: &Path, architectures: &[&str]) -> String {
    let work = work.display();
    let architectures = architectures.join("\"; \"");
    // An empty status file: apt would refuse versions that are older than what the machine has installed.
    format!(
        "Dir::Etc::SourceList \"{work}/sources.list\";\n\
         Dir::Etc::SourceParts \"/dev/null\";\n\
         Dir::Etc::Preferences \"/dev/null\";\n\
         Dir::Etc::PreferencesParts \"/dev/null\";\n\
         Dir::State \"{work}\";\n\
         Dir::State::lists \"{work}/lists\";\n\
         Dir::State::status \"/dev/null\";\n\
         Dir::Cache \"{work}/cache\";\n\
         APT::Architectures {{ \"{architectures}\"; }};\n\
         APT::Sandbox::User \"root\";\n\
         APT::Update::Error-Mode \"any\";\n\
         Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::Retries \"5\";\n"
    )
}

/// Runs a download until it succeeds, with growing pauses.
///
/// # Panics
/// When it has failed [`ATTEMPTS`] times: with the last attempt's whole output.
fn patiently(source: &str, make: impl Fn() -> Command) {
    for attempt in 1.. {
        let mut command = make();
        let output = process::output(&mut command);
        if output.status.success() {
            return;
        }
        assert!(
            attempt < ATTEMPTS,
            "`{}` failed {ATTEMPTS} times with the package source `{}`\n{}{}",
            process::line(&command),
            source.trim_end(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        thread::sleep(Duration::from_secs(u64::from(attempt * attempt * 3)));
    }
}

/// The mirror of Debian that this machine uses.
fn mirror() -> String {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(folder) = fs::read_dir("/etc/apt/sources.list.d") {
        let mut parts: Vec<PathBuf> = folder.filter_map(|entry| Some(entry.ok()?.path())).collect();
        parts.retain(|path| path.extension().is_some_and(|extension| extension == "list" || extension == "sources"));
        parts.sort();
        files.extend(parts);
    }
    let found = files.iter().find_map(|path| mirror_in(&fs::read_to_string(path).ok()?));
    found.unwrap_or_else(|| MIRROR.to_owned())
}

/// The first mirror of Debian that a list of package sources names, in either of apt's two formats.
///
/// Sources of updates, of security fixes and of other distributions do not count: they lack the packages.
pub fn mirror_in(sources: &str) -> Option<String> {
    sources.split("\n\n").find_map(|stanza| {
        let lines = || stanza.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let field = |name: &str| {
            let value = lines().find_map(|line| line.strip_prefix(name))?;
            Some(value.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        };
        if let (Some(places), Some(suites)) = (field("URIs:"), field("Suites:")) {
            let enabled = field("Enabled:").is_none_or(|value| value != ["no"]);
            return places.into_iter().next().filter(|_| enabled && suites.iter().any(|suite| is_release(suite)));
        }
        lines().find_map(|line| {
            let rest = line.strip_prefix("deb ")?.trim_start();
            let rest = rest.strip_prefix('[').and_then(|rest| Some(rest.split_once(']')?.1)).unwrap_or(rest);
            let mut words = rest.split_whitespace();
            let place = words.next()?;
            words.next().is_some_and(is_release).then(|| place.to_owned())
        })
    })
}

fn is_release(suite: &str) -> bool {
    ["bullseye", "bookworm", "trixie", "forky", "oldoldstable", "oldstable", "stable", "testing", "sid"]
        .contains(&suite)
}

/// Adds the files of `package` for the Debian architecture `architecture` to `tree`, on a merged `/usr`.
pub fn unpack(tree: &mut Tree, packages: &Path, package: &str, architecture: &str) {
    let (start, end) = (format!("{package}_"), format!("_{architecture}.deb"));
    let file = fs::read_dir(packages)
        .expect("the folder of packages can be read")
        .map(|entry| entry.expect("the folder of packages can be read").path())
        .find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&start) && name.ends_with(&end)
        })
        .unwrap_or_else(|| panic!("apt fetched no package {package}:{architecture}"));
    let tar = process::succeed(Command::new("dpkg-deb").arg("--fsys-tarfile").arg(&file));
    tree.tar(tar.as_slice(), place);
}

/// Where a package's file goes; `None` for the package's root and for what no program needs in order to start.
fn place(path: &str) -> Option<String> {
    let first = path.split('/').next().unwrap_or_default();
    let merged = if MERGED.contains(&first) { format!("usr/{path}") } else { path.to_owned() };
    let left_out = merged.is_empty() || merged.starts_with("usr/share") || merged.contains("/gconv");
    (!left_out).then_some(merged)
}
