//! The built-in base `static` becomes the entries of its one layer and its config: what a static binary finds beside
//! itself. The same bytes for every platform, so all images on it share one layer.
//!
//! Certificates and time zones are data files of ours (`data/static/SOURCES.toml`), never this machine's.

use std::borrow::Cow;
use std::io::Read as _;

use flate2::read::GzDecoder;

use crate::layer_entry::{Contents, Entry, EntryKind};

/// Mozilla's certificate authorities, as certifi ships them.
const CA_BUNDLE: &[u8] = include_bytes!("../data/static/ca-certificates.crt");
/// IANA's time zones, as tzdata ships them; aliases are symbolic links.
const ZONES: &[u8] = include_bytes!("../data/static/zoneinfo.tar.gz");

/// The user and group that programs run as: distroless' number, which clusters' policies know.
pub const NONROOT: u64 = 65532;
const CA_BUNDLE_PATH: &str = "etc/ssl/certs/ca-certificates.crt";
const ZONES_PATH: &str = "usr/share/zoneinfo";

const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\n\
                      nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";
/// Files first, so that what an orchestrator writes into /etc/hosts counts; glibc and Go read it.
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n";
/// No version: it would give every release of ours another layer without another byte that matters.
const OS_RELEASE: &str = "PRETTY_NAME=\"anyarch static\"\nNAME=\"anyarch static\"\nID=anyarch-static\n";

/// The entries of the base's one layer: sorted by path, each directory before what is in it.
///
/// # Panics
/// Never: the archive of time zones is part of the program, and a test holds it to its SHA-256.
#[must_use]
pub fn entries() -> Vec<Entry> {
    let mut entries: Vec<Entry> = [
        ("etc", 0o755),
        ("etc/ssl", 0o755),
        ("etc/ssl/certs", 0o755),
        ("home", 0o755),
        ("root", 0o700),
        ("tmp", 0o1777),
        ("usr", 0o755),
        ("usr/share", 0o755),
        (ZONES_PATH, 0o755),
    ]
    .map(|(path, mode)| entry(path, mode, EntryKind::Directory))
    .into();
    entries.push(Entry { uid: NONROOT, gid: NONROOT, ..entry("home/nonroot", 0o700, EntryKind::Directory) });
    for (path, contents) in [
        (CA_BUNDLE_PATH, CA_BUNDLE),
        ("etc/group", GROUP.as_bytes()),
        ("etc/nsswitch.conf", NSSWITCH.as_bytes()),
        ("etc/os-release", OS_RELEASE.as_bytes()),
        ("etc/passwd", PASSWD.as_bytes()),
    ] {
        entries.push(entry(path, 0o644, EntryKind::File(Contents::Bytes(Cow::Borrowed(contents)))));
    }
    entries.extend(zones().expect("the embedded archive of time zones is whole"));
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    entries
}

/// The `config` object of the image's config
/// (<https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md>).
#[must_use]
pub fn config() -> serde_json::Value {
    serde_json::json!({
        "User": format!("{NONROOT}:{NONROOT}"),
        "Env": [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            format!("SSL_CERT_FILE=/{CA_BUNDLE_PATH}"),
        ],
        "WorkingDir": "/",
    })
}

fn entry(path: impl Into<String>, mode: u32, kind: EntryKind) -> Entry {
    Entry { path: path.into(), mode, uid: 0, gid: 0, kind }
}

/// The files and links of the embedded archive, and the directories that they are in.
fn zones() -> std::io::Result<Vec<Entry>> {
    let mut archive = tar::Archive::new(GzDecoder::new(ZONES));
    let mut entries: Vec<Entry> = Vec::new();
    let mut folders = std::collections::BTreeSet::new();
    for file in archive.entries()? {
        let mut file = file?;
        let name = String::from_utf8_lossy(&file.path_bytes()).into_owned();
        let separators = name.match_indices('/').map(|(position, _)| name[..position].to_owned());
        folders.extend(separators);
        let path = format!("{ZONES_PATH}/{name}");
        if let Some(target) = file.link_name_bytes() {
            let target = String::from_utf8_lossy(&target).into_owned();
            entries.push(entry(path, 0o777, EntryKind::Symlink(target)));
        } else {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            entries.push(entry(path, 0o644, EntryKind::File(Contents::Bytes(Cow::Owned(bytes)))));
        }
    }
    entries.extend(folders.iter().map(|name| entry(format!("{ZONES_PATH}/{name}"), 0o755, EntryKind::Directory)));
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::blob::Digest;

    fn by_path() -> BTreeMap<String, Entry> {
        entries().into_iter().map(|entry| (entry.path.clone(), entry)).collect()
    }

    fn bytes(entry: &Entry) -> &[u8] {
        match &entry.kind {
            EntryKind::File(Contents::Bytes(bytes)) => bytes,
            other => panic!("{} is no file in memory: {other:?}", entry.path),
        }
    }

    #[test]
    fn the_data_files_are_what_their_sources_say() {
        let sources: toml::Table = include_str!("../data/static/SOURCES.toml").parse().unwrap();
        let files = sources["file"].as_array().unwrap();
        let mut held = BTreeSet::new();
        for (name, contents) in [
            ("ca-certificates.crt", CA_BUNDLE),
            ("zoneinfo.tar.gz", ZONES),
            ("LICENSE.certifi", include_bytes!("../data/static/LICENSE.certifi")),
            ("LICENSE.tzdata", include_bytes!("../data/static/LICENSE.tzdata")),
        ] {
            let file = files.iter().find(|file| file["name"].as_str() == Some(name)).unwrap();
            assert_eq!(file["sha256"].as_str(), Some(Digest::of(contents).hex().as_str()), "{name}");
            assert_eq!(file["size"].as_integer(), i64::try_from(contents.len()).ok(), "{name}");
            for key in ["version", "licence", "source", "download", "download_sha256"] {
                assert!(!file[key].as_str().unwrap().is_empty(), "{name}: {key}");
            }
            held.insert(name);
        }
        assert_eq!(files.len(), held.len(), "SOURCES.toml names a file that nothing reads");
    }

    #[test]
    fn entries_are_sorted_unique_and_have_their_directories() {
        let entries = entries();
        assert!(entries.is_sorted_by(|one, other| one.path < other.path));
        let directories: BTreeSet<&str> = entries
            .iter()
            .filter(|entry| entry.kind == EntryKind::Directory)
            .map(|entry| entry.path.as_str())
            .collect();
        for entry in &entries {
            assert!(!entry.path.starts_with('/') && !entry.path.ends_with('/'), "{}", entry.path);
            if let Some((parent, _)) = entry.path.rsplit_once('/') {
                assert!(directories.contains(parent), "{parent} of {} is no entry", entry.path);
            }
        }
    }

    #[test]
    fn owners_and_modes_are_those_that_programs_expect() {
        let entries = by_path();
        for (path, mode, owner) in [
            ("tmp", 0o1777, 0),
            ("root", 0o700, 0),
            ("home/nonroot", 0o700, NONROOT),
            ("etc/passwd", 0o644, 0),
            ("etc/ssl/certs/ca-certificates.crt", 0o644, 0),
            ("usr/share/zoneinfo/Europe", 0o755, 0),
        ] {
            let entry = &entries[path];
            assert_eq!((entry.mode, entry.uid, entry.gid), (mode, owner, owner), "{path}");
        }
        assert_eq!(entries.values().filter(|entry| entry.uid != 0).count(), 1);
    }

    #[test]
    fn the_user_of_the_config_is_one_of_passwd_with_its_home() {
        let entries = by_path();
        let passwd = String::from_utf8(bytes(&entries["etc/passwd"]).to_vec()).unwrap();
        let config = config();
        let user: Vec<&str> = config["User"].as_str().unwrap().split(':').collect();
        let line = passwd.lines().find(|line| line.split(':').nth(2) == Some(user[0])).unwrap();
        let fields: Vec<&str> = line.split(':').collect();
        assert_eq!(fields.len(), 7, "{line}");
        assert_eq!(fields[3], user[1]);
        for line in passwd.lines() {
            let home = line.split(':').nth(5).unwrap().trim_start_matches('/');
            assert!(entries.contains_key(home), "{home}");
        }
        for line in GROUP.lines() {
            assert_eq!(line.split(':').count(), 4, "{line}");
        }
    }

    #[test]
    fn the_config_points_at_the_certificates() {
        let entries = by_path();
        let config = config();
        let variables: Vec<&str> =
            config["Env"].as_array().unwrap().iter().map(|variable| variable.as_str().unwrap()).collect();
        let file = variables.iter().find_map(|variable| variable.strip_prefix("SSL_CERT_FILE=/")).unwrap();
        let bundle = std::str::from_utf8(bytes(&entries[file])).unwrap();
        assert!(bundle.matches("-----BEGIN CERTIFICATE-----").count() > 100);
        assert!(variables.iter().any(|variable| variable.starts_with("PATH=/")));
    }

    #[test]
    fn every_zone_is_a_zone_and_every_alias_leads_to_one() {
        let entries = by_path();
        let zone = |name: &str| &entries[&format!("usr/share/zoneinfo/{name}")];
        for name in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Tokyo", "EST"] {
            // An alias is followed as the kernel would follow it, one step.
            let entry = match &zone(name).kind {
                EntryKind::Symlink(target) => zone(&resolve(name, target)),
                _ => zone(name),
            };
            assert!(bytes(entry).starts_with(b"TZif2") || bytes(entry).starts_with(b"TZif3"), "{name}");
        }
        let mut aliases = 0;
        for entry in entries.values() {
            let EntryKind::Symlink(target) = &entry.kind else { continue };
            aliases += 1;
            let name = entry.path.strip_prefix("usr/share/zoneinfo/").unwrap();
            assert!(bytes(zone(&resolve(name, target))).starts_with(b"TZif"), "{name} -> {target}");
        }
        assert!(aliases > 200, "{aliases}");
    }

    /// Where a relative link leads from the folder of `name`.
    fn resolve(name: &str, target: &str) -> String {
        let mut parts: Vec<&str> = name.split('/').collect();
        parts.pop();
        for part in target.split('/') {
            if part == ".." {
                parts.pop().expect("no alias leads out of the folder");
            } else {
                parts.push(part);
            }
        }
        parts.join("/")
    }
}
