//! Packages that are unpacked by two at once, that want out of the folder, or that a disk has damaged.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyarch::debian_archive::Event;
use anyarch::hint::Hint as _;

use crate::debian_mirrors::{Party, chain};
use crate::support::debian::{Deb, Describe, Mirror, packages, tree};

/// A mirror with one more package, `libodd`.
fn with(odd: Deb) -> Mirror {
    let mirror = Mirror::empty();
    let mut all = packages();
    all.push(odd);
    mirror.publish(&Describe::default(), &all);
    mirror
}

fn odd() -> Deb {
    Deb::new("libodd", "1.0", "Section: libs")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_make_one_folder() {
    let mirror = Mirror::start();
    let party = Party::of(&mirror);
    let asks: Vec<_> = (0..4).map(|_| party.openssl()).collect();
    let made = futures_util::future::join_all(asks).await;
    let first = made[0].as_ref().unwrap();
    for other in &made {
        assert_eq!(other.as_ref().unwrap(), first);
    }
    let sysroots = party.cache().join("sysroots");
    let mut names: Vec<String> =
        fs::read_dir(&sysroots).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let own = first.folder.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(names, [own.clone(), format!("{own}.lock")]);
    assert_eq!(fs::metadata(&first.folder).unwrap().permissions().mode() & 0o777, 0o755);

    // What a run that was killed left goes with the next one.
    fs::remove_dir_all(&first.folder).unwrap();
    let left = sysroots.join(format!(".{own}-killed"));
    fs::create_dir_all(left.join("usr/lib")).unwrap();
    party.openssl().await.unwrap();
    assert!(first.folder.exists() && !left.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_another_process_can_stop_waiting() {
    let mirror = Mirror::start();
    let party = Party::of(&mirror);
    let folder = party.openssl().await.unwrap().folder;
    fs::remove_dir_all(&folder).unwrap();
    let lock = fs::File::open(folder.with_added_extension("lock")).unwrap();
    lock.lock().unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(2), party.openssl()).await.is_err(), "it waits");
    let is_unpacking = |event: &&Event| matches!(event, Event::Unpacking { .. });
    assert_eq!(party.events.lock().unwrap().iter().filter(is_unpacking).count(), 2, "it came to the lock");
    // Nothing is left that would take the lock now.
    drop(lock);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!folder.exists());
    party.openssl().await.unwrap();
    assert!(folder.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leads_out_of_the_folder() {
    let party_folder = tempfile::tempdir().unwrap();
    let secret = party_folder.path().join("secret");
    fs::write(&secret, "mine").unwrap();
    let outside = secret.to_str().unwrap();
    let mirror = with(
        odd()
            .link("./usr/lib/absolute", outside)
            .link("./usr/lib/up", "../../../../../../../../etc/passwd")
            .link("./usr/lib/here", ".")
            .link("./usr/lib/top", "/")
            // Through a folder that is a link: as deep as it says, it would lead out.
            .link("./usr/a/b/c/flat", "../../..")
            .folder("./usr/a/etc/")
            .link("./usr/a/b/c/flat/out", "../../../etc")
            .file("./usr/a/b/c/flat/out/written", "inside")
            // Over a link: the link goes, its target stays.
            .file("./usr/lib/absolute", "instead")
            .mode(0o4755, "./usr/bin/su", "#!")
            .device("./usr/null"),
    );
    let party = Party::of(&mirror);
    let sysroot = party.ask("bookworm", "arm64", &["libodd"]).await.unwrap();
    assert_eq!(fs::read_to_string(&secret).unwrap(), "mine");
    assert_eq!(fs::read_to_string(sysroot.folder.join("usr/lib/absolute")).unwrap(), "instead");
    let tree = tree(&sysroot.folder);
    for line in [
        "usr/lib/up -> ../../etc/passwd",
        "usr/lib/here -> .",
        "usr/lib/top -> ../..",
        "usr/a/b/c/flat -> ../../..",
        "usr/out -> a/etc",
        "usr/a/etc/written",
        "bin -> usr/bin",
        "usr/bin/su*",
    ] {
        assert!(tree.contains(&line.to_owned()), "{line} of {tree:#?}");
    }
    assert!(!tree.iter().any(|line| line.contains("null")), "{tree:#?}");
    assert_eq!(fs::metadata(sysroot.folder.join("usr/bin/su")).unwrap().permissions().mode() & 0o7777, 0o755);
    // Every folder that a link leads to is below.
    let root = fs::canonicalize(&sysroot.folder).unwrap();
    for line in tree.iter().filter_map(|line| line.split_once(" -> ")) {
        if let Ok(real) = fs::canonicalize(root.join(line.0)) {
            assert!(real.starts_with(&root), "{line:?} leads to {}", real.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_that_cannot_be_unpacked_leaves_nothing() {
    for (deb, expected) in [
        (
            odd().file("./usr/../../escaped", ""),
            "the package `libodd` holds `./usr/../../escaped`, which leads out of the sysroot",
        ),
        (
            odd().hard_link("./usr/x", "../../etc/passwd"),
            "the package `libodd` holds `../../etc/passwd`, which leads out of the sysroot",
        ),
        (
            odd().file("./usr/lib/aarch64-linux-gnu", ""),
            "`usr/lib/aarch64-linux-gnu` of the package `libodd` is a folder in one package and a file in another",
        ),
        (
            odd().file("./usr/include/openssl/ssl.h/x", ""),
            "`usr/include/openssl/ssl.h` of the package `libssl-dev` is a folder in one package and a file in another",
        ),
        (
            Deb { compression: "zst", ..odd() },
            "the package `libodd` holds its files as `data.tar.zst`, which is none of data.tar.xz, .gz or data.tar",
        ),
    ] {
        let mirror = with(deb);
        let party = Party::of(&mirror);
        let error = party.ask("bookworm", "arm64", &["libodd", "libssl-dev"]).await.unwrap_err();
        assert_eq!(chain(&error), expected);
        let sysroots = party.cache().join("sysroots");
        let names: Vec<_> = fs::read_dir(&sysroots).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 1, "only the lock is left: {names:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_disk_does_is_said() {
    let mirror = Mirror::start();
    let party = Party::of(&mirror);
    let sysroot = party.openssl().await.unwrap();
    fs::remove_dir_all(&sysroot.folder).unwrap();
    let blobs = party.cache().join("blobs/sha256");
    for entry in fs::read_dir(&blobs).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        if bytes.starts_with(b"!<arch>") {
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    // What is damaged is fetched again, and nothing else.
    let before = mirror.asked().len();
    assert_eq!(party.openssl().await.unwrap(), sysroot);
    assert_eq!(mirror.asked().len() - before, sysroot.packages.len());

    let party = Party::of(&mirror);
    fs::write(party.cache().join("sysroots"), "a file where a folder should be").unwrap();
    let error = party.openssl().await.unwrap_err();
    assert!(error.to_string().ends_with("cannot be written"), "{error}");
    assert!(error.hints()[0].starts_with("check the space and the permissions of `"), "{:?}", error.hints());
}
