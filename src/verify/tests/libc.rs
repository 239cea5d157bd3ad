//! Images made by hand, against [`libc_of`].

use crate::listing::{Kind, Listing};
use crate::tree::Tree;

use super::super::*;
use super::image::{Image, MUSL, amd64};

/// The libc of an image whose layers are these, lowest first; some below may be missing.
fn found(layers: Vec<Image>, complete: bool) -> Result<String, NeedsLower> {
    let (platform, config) = (layers[0].platform, StartConfig::of(&layers[0].config));
    let listings: Vec<Listing> = layers.into_iter().map(|layer| layer.entries.into_iter().collect()).collect();
    let listings: Vec<&Listing> = listings.iter().collect();
    libc_of(platform, &config, &Tree::of(&listings, complete).unwrap()).map(|libc| libc.to_string())
}

fn of(layers: Vec<Image>) -> String {
    found(layers, true).unwrap()
}

#[test]
fn the_libc_is_that_of_the_loader_that_is_there() {
    assert_eq!(of(vec![amd64().glibc("GLIBC_2.31")]), "glibc 2.31");
    assert_eq!(of(vec![amd64().musl()]), "musl 1.2.5");
    assert_eq!(of(vec![amd64()]), "no libc");
    // A merged /usr.
    let merged = amd64().link("lib", "usr/lib").link("lib64", "/usr/lib").entry("usr/lib", 0o755, Kind::Folder);
    assert_eq!(of(vec![merged.glibc("GLIBC_2.36")]), "glibc 2.36");
    // A loader alone, and one of another machine.
    let alone = amd64().glibc("GLIBC_2.31");
    let whiteout = amd64().entry("/lib/libc.so.6", 0, Kind::Whiteout);
    assert_eq!(of(vec![alone, whiteout]), "a glibc that does not say its version");
    let arm = Image::new("linux/arm64").glibc("GLIBC_2.31");
    assert_eq!(of(vec![Image { platform: "linux/amd64".parse().unwrap(), ..arm }]), "no libc");
    // What is called a loader and is none of these two.
    assert_eq!(of(vec![amd64().elf("/lib64/ld-linux-x86-64.so.2", |_| ())]), "no libc");
}

#[test]
fn upper_layers_replace_and_remove_it() {
    assert_eq!(of(vec![amd64().glibc("GLIBC_2.31"), amd64().glibc("GLIBC_2.36")]), "glibc 2.36");
    let emptied = amd64().entry("/lib", 0, Kind::Whiteout).entry("/lib64", 0, Kind::Whiteout);
    assert_eq!(of(vec![amd64().glibc("GLIBC_2.31"), emptied.musl()]), "musl 1.2.5");
    // The library that the loader finds first, where it is told to look.
    let config = serde_json::json!({"config": {"Env": ["LD_LIBRARY_PATH=/opt/lib"]}});
    let older = Image { config, ..amd64() }.glibc("GLIBC_2.36").library("/opt/lib/libc.so.6", |made| {
        made.glibc = Some("2.28".into());
    });
    assert_eq!(of(vec![older]), "glibc 2.28");
}

#[test]
fn of_two_it_is_the_one_of_the_images_own_shell() {
    let both = || amd64().glibc("GLIBC_2.36").musl();
    let shell = |image: Image, interpreter: &str| {
        let interpreter = interpreter.to_owned();
        image.elf("/bin/sh", |made| made.facts.interpreter = Some(interpreter))
    };
    assert_eq!(of(vec![shell(both(), MUSL)]), "musl 1.2.5");
    assert_eq!(of(vec![shell(both(), "/lib64/ld-linux-x86-64.so.2")]), "glibc 2.36");
    assert_eq!(of(vec![both()]), "glibc 2.36");
}

#[test]
fn what_a_layer_below_may_have_is_asked_for() {
    assert_eq!(found(vec![amd64().kept("/etc/motd", "hello")], false), Err(NeedsLower));
    assert_eq!(found(vec![amd64().glibc("GLIBC_2.31")], false), Err(NeedsLower));
    let whole = amd64().entry("lib", 0o755, Kind::Opaque).entry("lib64", 0o755, Kind::Opaque);
    let whole = whole.entry("etc", 0o755, Kind::Opaque).glibc("GLIBC_2.31");
    assert_eq!(found(vec![whole], false).as_deref(), Ok("glibc 2.31"));
}
