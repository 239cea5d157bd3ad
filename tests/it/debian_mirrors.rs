//! Sysroots from a mirror that is asked once, lies, breaks, is old, or is not there.

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use anyarch::debian_archive::{Archive, DebianError, Event, Options, Sysroot};
use anyarch::hint::Hint as _;
use anyarch::store::Store;
use tempfile::TempDir;

use crate::support::debian::{Describe, Mirror, packages, sign, tree};
use crate::support::server::Answer;

const INDEX: &str = "dists/bookworm/main/binary-arm64/Packages.xz";
const HOUR: u64 = 60 * 60;

/// Someone with a cache folder, that many hours after the first run.
pub struct Party {
    pub folder: TempDir,
    pub mirror: String,
    pub hours: u64,
    pub offline: bool,
    pub events: Mutex<Vec<Event>>,
}

impl Party {
    pub fn of(mirror: &Mirror) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, mirror: mirror.address(), hours: 0, offline: false, events: Mutex::default() }
    }

    pub fn cache(&self) -> &Path {
        self.folder.path()
    }

    pub async fn ask(&self, release: &str, architecture: &str, names: &[&str]) -> Result<Sysroot, DebianError> {
        self.run(release, architecture, names, Duration::from_millis(2)).await
    }

    pub async fn openssl(&self) -> Result<Sysroot, DebianError> {
        self.ask("bookworm", "arm64", &["libssl-dev"]).await
    }

    async fn patiently(&self, first_wait: Duration) -> Result<Sysroot, DebianError> {
        self.run("bookworm", "arm64", &["libssl-dev"], first_wait).await
    }

    async fn run(
        &self,
        release: &str,
        architecture: &str,
        names: &[&str],
        first_wait: Duration,
    ) -> Result<Sysroot, DebianError> {
        // 2026-07-12
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_783_814_400 + self.hours * HOUR);
        let mut options = Options::new(Store::open(self.cache()).unwrap(), now);
        options.mirror.clone_from(&self.mirror);
        options.keys = Mirror::keys();
        options.first_wait = first_wait;
        options.offline = self.offline;
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let events = |event| self.events.lock().unwrap().push(event);
        Archive::new(options)?.sysroot(release, architecture, &names, &events).await
    }

    /// What was told beside progress.
    fn told(&self) -> Vec<Event> {
        let events = self.events.lock().unwrap();
        let told = events.iter().filter(|event| !matches!(event, Event::Downloading { .. } | Event::Unpacking { .. }));
        told.cloned().collect()
    }
}

fn index_by_hash(mirror: &Mirror) -> String {
    mirror.paths().into_iter().find(|path| path.contains("by-hash")).unwrap()
}

/// The whole chain of an error.
pub fn chain(error: &DebianError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_the_mirror_is_not_asked() {
    let mirror = Mirror::start();
    let mut party = Party::of(&mirror);
    party.offline = true;
    let missing = party.openssl().await.unwrap_err();
    let url = format!("{}/dists/bookworm/InRelease", mirror.address());
    assert_eq!(missing.to_string(), format!("`{url}` is not in the cache, and `--offline` downloads nothing"));
    party.offline = false;
    let sysroot = party.openssl().await.unwrap();
    let asked = mirror.asked().len();
    (party.offline, party.hours) = (true, 25);
    assert_eq!(party.openssl().await.unwrap(), sysroot);
    assert!(party.ask("bookworm", "arm64", &["zlib1g-dev"]).await.is_err());
    assert_eq!(mirror.asked().len(), asked);
    let told = party.told();
    assert!(matches!(&told[0], Event::KeptIndex { reason, .. } if reason.contains("`--offline`")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_become_a_folder_once() {
    let mirror = Mirror::start();
    let mut party = Party::of(&mirror);
    let sysroot = party.openssl().await.unwrap();
    let listed: Vec<String> = sysroot.packages.iter().map(|(name, version)| format!("{name}={version}")).collect();
    assert_eq!(
        listed.join(" "),
        "gcc-12-base=12.2.0-14 libc6=2.36-9+deb12u13 libc6-dev=2.36-9+deb12u13 libgcc-s1=12.2.0-14 libssl-dev=3.0.17-1 \
         libssl3=3.0.17-1 linux-libc-dev=6.1.148-1"
    );
    assert_eq!((sysroot.glibc, &*sysroot.triplet), ((2, 36), "aarch64-linux-gnu"));
    assert_eq!(
        tree(&sysroot.folder),
        [
            "lib -> usr/lib",
            "usr/include/openssl/ssl.h",
            "usr/lib/aarch64-linux-gnu/crt1.o",
            "usr/lib/aarch64-linux-gnu/libc.so",
            "usr/lib/aarch64-linux-gnu/libc.so.6*",
            "usr/lib/aarch64-linux-gnu/libgcc_s.so.1",
            "usr/lib/aarch64-linux-gnu/libm.so -> libm.so.6",
            "usr/lib/aarch64-linux-gnu/libm.so.6",
            "usr/lib/aarch64-linux-gnu/libssl.so -> libssl.so.3",
            "usr/lib/aarch64-linux-gnu/libssl.so.3",
            "usr/lib/aarch64-linux-gnu/pkgconfig/libssl.pc",
            "usr/lib/aarch64-linux-gnu/pkgconfig/openssl.pc",
            "usr/libc/include/aarch64-linux-gnu/asm -> ../linux",
            "usr/libc/include/aarch64-linux-gnu/bits/types.h",
            "usr/libc/include/linux/version.h",
            "usr/libc/include/stdio.h",
        ]
    );
    assert_eq!(std::fs::read(sysroot.libraries().join("libm.so")).unwrap(), b"ELF of libm");
    let asked = mirror.asked();
    assert_eq!((asked.len(), &*asked[0]), (9, "dists/bookworm/InRelease"), "{asked:?}");
    assert_eq!(asked[1], index_by_hash(&mirror));

    // Nothing is asked on the same day, then whether there is a newer index.
    assert_eq!(party.openssl().await.unwrap(), sysroot);
    assert_eq!(mirror.asked().len(), 9);
    party.hours = 25;
    assert_eq!(party.openssl().await.unwrap(), sysroot);
    assert_eq!(mirror.asked()[9..], ["dists/bookworm/InRelease"]);
    // Other packages of the same index: only what is new is fetched.
    party.ask("oldstable", "arm64", &[]).await.unwrap_err();
    let smaller = party.ask("bookworm", "arm64", &[]).await.unwrap();
    assert!(smaller.folder != sysroot.folder && smaller.digest != sysroot.digest);
    assert_eq!(mirror.asked()[10..], ["dists/oldstable/InRelease"]);
    assert_eq!(party.told(), []);
    let events = party.events.lock().unwrap();
    let last = events.iter().rfind(|event| matches!(event, Event::Downloading { .. })).unwrap();
    assert!(matches!(last, Event::Downloading { done, total, .. } if done == total), "{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_network_the_kept_index_counts() {
    let mirror = Mirror::start();
    let mut party = Party::of(&mirror);
    let sysroot = party.openssl().await.unwrap();
    mirror.set("dists/bookworm/InRelease", Answer::hangup());
    party.hours = 100;
    assert_eq!(party.openssl().await.unwrap(), sysroot);
    let told = party.told();
    let [Event::KeptIndex { release, age, reason }] = &told[..] else { panic!("{told:?}") };
    assert_eq!((release.as_str(), *age), ("bookworm", Duration::from_secs(100 * HOUR)));
    assert_eq!(reason, &format!("`{}/dists/bookworm/InRelease` cannot be reached", party.mirror));
    // Three attempts, then the kept index.
    assert_eq!(mirror.asked()[9..], ["dists/bookworm/InRelease"; 3]);
}

const SIGNED: &str = "dists/bookworm/InRelease";
const PACKAGE: &str = "pool/libssl3_3.0.17-1_arm64.deb";
/// What is wrong with a mirror, how it comes about, and what is said and advised.
type Wrong = (&'static str, fn(&Mirror), &'static str, &'static str);

const WRONG_RELEASES: &[Wrong] = &[
    (
        "a text that was changed",
        |mirror| {
            let text = sign("Codename: bookworm\n").replace("bookworm", "bookw0rm");
            mirror.set(SIGNED, Answer::ok(text));
        },
        "the signature of `MIRROR/dists/bookworm/InRelease` cannot be trusted: the signature by the key",
        "a proxy or the mirror may have changed it",
    ),
    (
        "a text that is not signed",
        |mirror| mirror.set(SIGNED, Answer::ok("Codename: bookworm\n")),
        "the signature of `MIRROR/dists/bookworm/InRelease` cannot be trusted: it is not one clear-signed text",
        "a proxy or the mirror may have changed it",
    ),
    (
        "another release",
        |mirror| {
            mirror.publish(&Describe { codename: "trixie", ..Describe::default() }, &packages());
            mirror.set(SIGNED, mirror.answer("dists/trixie/InRelease"));
        },
        "`MIRROR/dists/bookworm/InRelease` is the index of another release than `bookworm`: `trixie`, `oldstable`",
        "name another mirror",
    ),
    (
        "an end that has come",
        |mirror| {
            let more = "Valid-Until: Sat, 11 Jul 2026 20:00:00 UTC\n";
            mirror.publish(&Describe { more, ..Describe::default() }, &packages());
        },
        "the index of `bookworm` at `MIRROR` was valid until 2026-07-11 20:00:00.0 +00:00:00",
        "check this machine's clock",
    ),
    (
        "no such release",
        |mirror| mirror.remove(SIGNED),
        "the mirror `MIRROR` has no release `bookworm`",
        "`MIRROR/dists/` lists the releases",
    ),
    (
        "a server in trouble",
        |mirror| mirror.set(SIGNED, Answer::status(503)),
        "the mirror answered 503 to `MIRROR/dists/bookworm/InRelease`",
        "check the connection",
    ),
    (
        "a server that refuses",
        |mirror| mirror.set(SIGNED, Answer::status(403)),
        "the mirror answered 403 to `MIRROR/dists/bookworm/InRelease`",
        "check the connection",
    ),
    (
        "a server that does not answer",
        |mirror| mirror.set(SIGNED, Answer::hangup()),
        "`MIRROR/dists/bookworm/InRelease` cannot be reached: error sending request",
        "ANYARCH_DEBIAN_MIRROR=https://MIRROR/debian anyarch build",
    ),
];

const WRONG_FILES: &[Wrong] = &[
    (
        "another index",
        |mirror| mirror.set(&index_by_hash(mirror), same_length(mirror, &index_by_hash(mirror))),
        "is not what the signed index promises: expected sha256:",
        "the mirror may just be renewed",
    ),
    (
        "no index",
        |mirror| {
            mirror.remove(&index_by_hash(mirror));
            mirror.remove(INDEX);
        },
        "the mirror has no `MIRROR/dists/bookworm/main/binary-arm64/Packages.xz`",
        "the mirror may just be renewed",
    ),
    (
        "another package",
        |mirror| mirror.set(PACKAGE, same_length(mirror, PACKAGE)),
        "`MIRROR/pool/libssl3_3.0.17-1_arm64.deb` is not what the signed index promises",
        "the mirror may just be renewed",
    ),
    (
        "a longer package",
        |mirror| mirror.set(PACKAGE, Answer::endless()),
        "bytes of `MIRROR/pool/libssl3_3.0.17-1_arm64.deb`",
        "the mirror may just be renewed",
    ),
    (
        "a shorter package",
        |mirror| mirror.set(PACKAGE, Answer::ok("short")),
        "the mirror sent 5 of",
        "the mirror may just be renewed",
    ),
    (
        "a package that breaks off",
        |mirror| mirror.set(PACKAGE, Answer::ok("half of it").cut(5)),
        "the connection broke while `MIRROR/pool/libssl3_3.0.17-1_arm64.deb` was read",
        "check the connection",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_a_mirror_must_not_do_is_an_error() {
    for (name, change, expected, hint) in WRONG_RELEASES.iter().chain(WRONG_FILES) {
        let mirror = Mirror::start();
        // Whoever reads what is said need not be who may read the mirror.
        let login = mirror.address().replace("://", "://me:secret@");
        let party = Party { mirror: login, ..Party::of(&mirror) };
        change(&mirror);
        let error = party.openssl().await.expect_err(name);
        let said = chain(&error).replace(&mirror.address(), "MIRROR");
        assert!(said.contains(expected) && !said.contains("secret"), "{name}: {said}");
        let hints = error.hints().join("\n").replace(&mirror.address(), "MIRROR");
        assert!(hints.contains(hint) && !hints.contains("secret"), "{name}: {hints}");
        let left = party.cache().join("sysroots");
        assert!(!left.exists() || tree(&left).is_empty(), "{name}");
        assert_eq!(std::fs::read_dir(party.cache().join("tmp")).unwrap().count(), 0, "{name}");
        // What may pass is tried three times, what was refused once.
        let asked = mirror.asked();
        let last = asked.iter().filter(|path| Some(*path) == asked.last()).count();
        let passing = name.contains("trouble") || name.contains("not answer") || name.contains("breaks off");
        assert!(!passing || last == 3, "{name}: {asked:?}");
        assert!(!name.contains("refuses") || last == 1, "{name}: {asked:?}");
        // With the mirror as it should be the same cache goes on.
        mirror.publish(&Describe::default(), &packages());
        party.openssl().await.unwrap_or_else(|error| panic!("{name}: {}", chain(&error)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_is_no_address_is_said_without_its_login() {
    let mirror = Mirror::start();
    for text in ["ftp://me:secret@debian.example/debian", "http://me:secret@debian.example:port/debian"] {
        let error = Party { mirror: text.to_owned(), ..Party::of(&mirror) }.openssl().await.unwrap_err();
        let shown = text.rsplit_once('@').unwrap().1;
        assert_eq!(error.to_string(), format!("the Debian mirror `{shown}` is not an http or https address"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_passes_is_not_told() {
    let mirror = Mirror::start();
    let (whole, failures) = (mirror.answer(PACKAGE), Answer::status(502));
    mirror.set(PACKAGE, failures);
    let party = Party::of(&mirror);
    let heal = async {
        while mirror.asked().iter().filter(|path| *path == PACKAGE).count() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        mirror.set(PACKAGE, whole);
    };
    let wait = Duration::from_millis(300);
    let (made, ()) = tokio::join!(party.patiently(wait), heal);
    made.unwrap();
    assert_eq!(mirror.asked().iter().filter(|path| *path == PACKAGE).count(), 3);
}

/// Other bytes, as many as the mirror has at `path`.
fn same_length(mirror: &Mirror, path: &str) -> Answer {
    let mut bytes = mirror.answer(path).bytes().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    Answer::ok(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_wrongly_is_said() {
    let mirror = Mirror::start();
    let party = Party::of(&mirror);
    for (release, architecture, names, expected, hint) in [
        (
            "bookworm",
            "riscv64",
            &["libssl-dev"][..],
            "the release `bookworm` has no architecture `riscv64`: it has `arm64`, `armhf`",
            "leave the platform out",
        ),
        (
            "bookworm",
            "armhf",
            &[],
            "the index of `bookworm` lists no `main/binary-armhf/Packages.xz`",
            "name another mirror",
        ),
        (
            "bookworm",
            "arm64",
            &["libsll-dev"],
            "no sysroot of `bookworm` for arm64: there is no package `libsll-dev`; `libssl-dev` is similar",
            "packages = [\"libssl-dev\"]",
        ),
        (
            "bookworm",
            "arm64",
            &["libssl-dev:arm64"],
            "`libssl-dev:arm64` is not the name of a Debian package",
            "give the plain names",
        ),
        ("../sid", "arm64", &[], "`../sid` is not the name of a Debian release", "sysroot = { debian = \"bookworm\""),
        (
            "bookworm",
            "arm64",
            &["debconf"],
            "no sysroot of `bookworm` for arm64: `debconf` depends on `perl-base`, which no package of the index is",
            "the mirror lacks `perl-base`",
        ),
    ] {
        let error = party.ask(release, architecture, names).await.unwrap_err();
        assert_eq!(chain(&error), expected);
        assert!(error.hints()[0].contains(hint), "{:?}", error.hints());
    }
    for (mirror, expected) in [
        ("deb.debian.org/debian", "the Debian mirror `deb.debian.org/debian` is not an http or https address"),
        ("file:///srv/debian", "the Debian mirror `file:///srv/debian` is not an http or https address"),
    ] {
        let party = Party { mirror: mirror.to_owned(), ..Party::of(&Mirror::empty()) };
        let error = party.openssl().await.unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.hints(), ["ANYARCH_DEBIAN_MIRROR=http://deb.debian.org/debian anyarch build"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_moves_on_takes_a_kept_index_along() {
    let mirror = Mirror::start();
    let party = Party::of(&mirror);
    party.ask("bookworm", "arm64", &[]).await.unwrap();
    // A point release an hour later: the old package is gone.
    let mut newer = packages();
    for deb in newer.iter_mut().filter(|deb| deb.name.starts_with("libssl")) {
        deb.version = "3.0.18-1";
        deb.fields = deb.fields.replace("3.0.17-1", "3.0.18-1");
    }
    for path in mirror.paths().iter().filter(|path| path.contains("libssl")) {
        mirror.remove(path);
    }
    mirror.publish(&Describe { date: "Sun, 12 Jul 2026 00:00:00 UTC", ..Describe::default() }, &newer);
    let sysroot = party.openssl().await.unwrap();
    assert!(sysroot.packages.contains(&("libssl3".to_owned(), "3.0.18-1".to_owned())), "{:?}", sysroot.packages);

    // A mirror that falls back, or is made to, is not followed.
    let older = Mirror::start();
    mirror.set("dists/bookworm/InRelease", older.answer("dists/bookworm/InRelease"));
    let party = Party { hours: 48, ..party };
    assert_eq!(party.openssl().await.unwrap(), sysroot);
    let told = party.told();
    assert_eq!(told, [Event::OlderIndex { release: "bookworm".to_owned(), mirror: mirror.address() }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_found_by_its_hash_and_by_its_name() {
    for (more, by_hash) in [("Acquire-By-Hash: yes\n", true), ("", false)] {
        let mirror = Mirror::empty();
        mirror.publish(&Describe { more, ..Describe::default() }, &packages());
        if by_hash {
            mirror.remove(&index_by_hash(&mirror));
        }
        Party::of(&mirror).openssl().await.unwrap();
        let asked = mirror.asked();
        assert_eq!(asked[1].contains("by-hash"), by_hash, "{asked:?}");
        assert!(asked.contains(&INDEX.to_owned()), "{asked:?}");
    }
}
