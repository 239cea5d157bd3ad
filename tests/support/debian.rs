//! A mirror of a small Debian: packages in the real format, indexes, and a release that is signed with a key of its own.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyarch::blob::Digest;
use anyarch::debian::Keyring;
use flate2::write::GzEncoder;
use lzma_rust2::{XzOptions, XzWriter};
use pgp::composed::{ArmorOptions, CleartextSignedMessage, Deserializable as _, SignedSecretKey};
use pgp::packet::{SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::types::{KeyDetails as _, Password, SigningKey as _, Timestamp};
use tar::{EntryType, Header};

use super::server::{Answer, Server};

/// Made for these tests on 2025-01-01; never trust it.
const SIGNING_KEY: &str = include_str!("debian/signing-key.asc");
/// Where libraries of arm64 are.
pub const TRIPLET: &str = "aarch64-linux-gnu";

/// One package.
#[derive(Clone)]
pub struct Deb {
    pub name: &'static str,
    pub version: &'static str,
    /// `Section` and the relations, as an index writes them
    pub fields: String,
    /// how its files are compressed: `xz` or `gz`
    pub compression: &'static str,
    pub entries: Vec<(Header, String, Vec<u8>)>,
}

impl Deb {
    pub fn new(name: &'static str, version: &'static str, fields: &str) -> Self {
        Self { name, version, fields: fields.to_owned(), compression: "xz", entries: Vec::new() }
    }

    fn entry(mut self, kind: EntryType, mode: u32, path: &str, contents: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(if kind == EntryType::Regular { contents.len() as u64 } else { 0 });
        self.entries.push((header, path.to_owned(), contents.to_owned()));
        self
    }

    pub fn file(self, path: &str, contents: &str) -> Self {
        self.entry(EntryType::Regular, 0o644, path, contents.as_bytes())
    }

    pub fn mode(self, mode: u32, path: &str, contents: &str) -> Self {
        self.entry(EntryType::Regular, mode, path, contents.as_bytes())
    }

    pub fn folder(self, path: &str) -> Self {
        self.entry(EntryType::Directory, 0o755, path, b"")
    }

    pub fn link(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, 0o777, path, target.as_bytes())
    }

    pub fn hard_link(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Link, 0o644, path, target.as_bytes())
    }

    pub fn device(self, path: &str) -> Self {
        self.entry(EntryType::Char, 0o666, path, b"")
    }

    /// The package as `deb(5)` has it. Paths are written as they are, also those that no packager would write.
    pub fn bytes(&self) -> Vec<u8> {
        let mut files = Vec::new();
        for (header, path, contents) in &self.entries {
            let mut header = header.clone();
            let linked = header.entry_type().is_symlink() || header.entry_type().is_hard_link();
            let field = &mut header.as_gnu_mut().expect("it was made as GNU's").name;
            field[..path.len()].copy_from_slice(path.as_bytes());
            if linked {
                header.set_link_name_literal(contents).expect("the targets of tests are short");
            }
            header.set_cksum();
            files.extend_from_slice(header.as_bytes());
            if header.entry_type().is_file() {
                files.extend_from_slice(contents);
                files.resize(files.len().next_multiple_of(512), 0);
            }
        }
        files.resize(files.len() + 1024, 0);
        let data = match self.compression {
            "xz" => xz(&files),
            "gz" => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&files).expect("memory takes everything");
                encoder.finish().expect("memory takes everything")
            }
            _ => files,
        };
        let mut archive = ar::Builder::new(Vec::new());
        let data_name = format!("data.tar.{}", self.compression);
        for (name, contents) in
            [("debian-binary", &b"2.0\n"[..]), ("control.tar.xz", &xz(b"")), (data_name.as_str(), &data)]
        {
            let header = ar::Header::new(name.as_bytes().to_vec(), contents.len() as u64);
            archive.append(&header, contents).expect("memory takes everything");
        }
        archive.into_inner().expect("memory takes everything")
    }
}

pub fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut writer = XzWriter::new(Vec::new(), XzOptions::with_preset(1)).expect("the preset is known");
    writer.write_all(bytes).expect("memory takes everything");
    writer.finish().expect("memory takes everything")
}

/// What every sysroot has, a library with its headers, a program that it names, and one package compressed with gzip.
pub fn packages() -> Vec<Deb> {
    let library = |name: &str| format!("./lib/{TRIPLET}/{name}");
    let development = |name: &str| format!("./usr/lib/{TRIPLET}/{name}");
    vec![
        Deb::new("libc6", "2.36-9+deb12u13", "Section: libs\nMulti-Arch: same\nDepends: libgcc-s1")
            .folder("./lib/")
            .mode(0o755, &library("libc.so.6"), "ELF of libc")
            .file(&library("libm.so.6"), "ELF of libm")
            .file("./usr/share/doc/libc6/copyright", "long"),
        Deb::new(
            "libc6-dev",
            "2.36-9+deb12u13",
            "Section: libdevel\nDepends: libc6 (= 2.36-9+deb12u13), linux-libc-dev",
        )
        .file(&development("libc.so"), "GROUP ( /lib/aarch64-linux-gnu/libc.so.6 )")
        .file(&development("crt1.o"), "ELF")
        .link(&development("libm.so"), &format!("/lib/{TRIPLET}/libm.so.6"))
        .file("./usr/include/stdio.h", "int puts();")
        .file(&format!("./usr/include/{TRIPLET}/bits/types.h"), "types"),
        Deb::new("libgcc-s1", "12.2.0-14", "Section: libs\nDepends: gcc-12-base | gcc-base")
            .file(&library("libgcc_s.so.1"), "ELF"),
        Deb::new("gcc-12-base", "12.2.0-14", "Section: libs"),
        Deb::new("linux-libc-dev", "6.1.148-1", "Section: devel\nMulti-Arch: same")
            .file("./usr/include/linux/version.h", "6")
            .link(&format!("./usr/include/{TRIPLET}/asm"), "../linux"),
        Deb {
            compression: "gz",
            ..Deb::new("libssl3", "3.0.17-1", "Section: libs\nDepends: libc6 (>= 2.34), debconf (>= 0.5) | debconf-2.0")
        }
        .file(&development("libssl.so.3"), "ELF of libssl"),
        Deb::new("libssl-dev", "3.0.17-1", "Section: libdevel\nDepends: libssl3 (= 3.0.17-1)")
            .link(&development("libssl.so"), "libssl.so.3")
            .file(&development("pkgconfig/libssl.pc"), "Name: OpenSSL")
            .hard_link(&development("pkgconfig/openssl.pc"), &development("pkgconfig/libssl.pc"))
            .file("./usr/include/openssl/ssl.h", "int SSL_new();"),
        Deb::new("debconf", "1.5.82", "Section: admin\nPre-Depends: perl-base")
            .file("./usr/bin/debconf", "#!/usr/bin/perl"),
    ]
}

/// A mirror whose files a test may change while it is asked.
pub struct Mirror {
    server: Server,
    files: Arc<Mutex<BTreeMap<String, Answer>>>,
}

/// How a release is described.
#[derive(Clone)]
pub struct Describe {
    pub codename: &'static str,
    pub date: &'static str,
    /// more fields, each a line
    pub more: &'static str,
}

impl Default for Describe {
    fn default() -> Self {
        Self { codename: "bookworm", date: "Sat, 11 Jul 2026 10:16:37 UTC", more: "Acquire-By-Hash: yes\n" }
    }
}

impl Mirror {
    /// One with [`packages`] for arm64 as `bookworm`.
    pub fn start() -> Self {
        let mirror = Self::empty();
        mirror.publish(&Describe::default(), &packages());
        mirror
    }

    pub fn empty() -> Self {
        let files = Arc::<Mutex<BTreeMap<String, Answer>>>::default();
        let held = Arc::clone(&files);
        let server = Server::start(move |request| {
            held.lock().unwrap().get(&request.target).cloned().unwrap_or_else(|| Answer::status(404))
        });
        Self { server, files }
    }

    /// Its address, as a user writes it.
    pub fn address(&self) -> String {
        format!("http://{}/debian", self.server.host())
    }

    /// The keys that its releases are signed with.
    pub fn keys() -> Keyring {
        let (secret, _) = SignedSecretKey::from_string(SIGNING_KEY).expect("the key is whole");
        let public = secret.to_public_key().to_armored_bytes(ArmorOptions::default()).expect("the key can be written");
        Keyring::read(&public).expect("the key is whole")
    }

    /// Answers to `/debian/PATH` so from now on.
    pub fn set(&self, path: &str, answer: Answer) {
        self.files.lock().unwrap().insert(format!("/debian/{path}"), answer);
    }

    pub fn remove(&self, path: &str) {
        assert!(self.files.lock().unwrap().remove(&format!("/debian/{path}")).is_some(), "{path} is there");
    }

    /// What it answers to `/debian/PATH`.
    pub fn answer(&self, path: &str) -> Answer {
        self.files.lock().unwrap()[&format!("/debian/{path}")].clone()
    }

    /// The paths of all files.
    pub fn paths(&self) -> Vec<String> {
        self.files.lock().unwrap().keys().map(|path| path.trim_start_matches("/debian/").to_owned()).collect()
    }

    /// What was asked for so far, without `/debian/`.
    pub fn asked(&self) -> Vec<String> {
        self.server.lines().iter().map(|line| line.trim_start_matches("GET /debian/").to_owned()).collect()
    }

    /// Publishes a release for arm64; what was there before and has another name stays.
    pub fn publish(&self, describe: &Describe, packages: &[Deb]) {
        let mut index = String::new();
        for package in packages {
            let bytes = package.bytes();
            let path = format!("pool/{}_{}_arm64.deb", package.name, package.version);
            let (size, digest) = (bytes.len(), Digest::of(&bytes).hex());
            for line in [
                &format!("Package: {}", package.name),
                &format!("Version: {}\nArchitecture: arm64", package.version),
                &package.fields,
                &format!("Filename: {path}\nSize: {size}\nSHA256: {digest}\n"),
            ] {
                index.push_str(line);
                index.push('\n');
            }
            self.set(&path, Answer::ok(bytes));
        }
        let packed = xz(index.as_bytes());
        let release = format!("dists/{}", describe.codename);
        let folder = "main/binary-arm64";
        if describe.more.contains("Acquire-By-Hash: yes") {
            let by_hash = format!("{release}/{folder}/by-hash/SHA256/{}", Digest::of(&packed).hex());
            self.set(&by_hash, Answer::ok(packed.clone()));
        }
        let line = |name: &str, bytes: &[u8]| format!(" {} {} {folder}/{name}\n", Digest::of(bytes).hex(), bytes.len());
        let text = format!(
            "Origin: Debian\nSuite: oldstable\nCodename: {}\nDate: {}\n{}Architectures: all arm64 armhf\nSHA256:\n{}{}",
            describe.codename,
            describe.date,
            describe.more,
            line("Packages", index.as_bytes()),
            line("Packages.xz", &packed)
        );
        self.set(&format!("{release}/{folder}/Packages.xz"), Answer::ok(packed));
        self.set(&format!("{release}/InRelease"), Answer::ok(sign(&text)));
    }
}

/// `text`, clear-signed.
pub fn sign(text: &str) -> String {
    let (secret, _) = SignedSecretKey::from_string(SIGNING_KEY).expect("the key is whole");
    let message = CleartextSignedMessage::new_many(text, |text| {
        let key = &secret.primary_key;
        let mut config = SignatureConfig::v4(SignatureType::Text, key.algorithm(), key.hash_alg());
        let created = Timestamp::from_secs(key.created_at().as_secs() + 24 * 60 * 60);
        config.hashed_subpackets = vec![
            Subpacket::regular(SubpacketData::SignatureCreationTime(created))?,
            Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
        ];
        Ok(vec![config.sign(key, &Password::empty(), text.as_bytes())?])
    });
    let message = message.expect("the key signs");
    message.to_armored_string(ArmorOptions::default()).expect("a signed text can be written")
}

/// Every path below `folder` but folders, sorted: `PATH`, `PATH*` if it can be executed, `PATH -> TARGET`.
pub fn tree(folder: &Path) -> Vec<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut found = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(next) = todo.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder can be read") {
            let path = entry.expect("a folder can be read").path();
            let kind = path.symlink_metadata().expect("it was just listed");
            let name = path.strip_prefix(folder).expect("it is below").display().to_string();
            if kind.is_dir() {
                todo.push(path);
            } else if kind.is_symlink() {
                let target = std::fs::read_link(&path).expect("it is a link");
                found.push(format!("{name} -> {}", target.display()));
            } else {
                let star = if kind.permissions().mode() & 0o111 == 0 { "" } else { "*" };
                found.push(format!("{name}{star}"));
            }
        }
    }
    found.sort();
    found
}
