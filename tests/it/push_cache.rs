//! What a push leaves in the cache, and what becomes of it when something there is damaged under it.

use std::process::Stdio;
use std::time::Duration;

use crate::support::cache::{build, flip, listed, name, site};
use crate::support::process;
use crate::support::program::Home;
use crate::support::proxy::{Fault, Gate, On, Proxy};
use crate::support::read_back::Image;
use crate::support::registry::{Options, Registry};

/// Whether `anyarch cache ls` names an index so.
fn is_named(home: &Home, tag: &str) -> bool {
    let indexes = listed(home, "index");
    indexes.iter().flat_map(|index| index["names"].as_array().unwrap()).any(|name| *name == tag)
}

#[test]
fn only_what_was_published_has_its_name_in_the_cache() {
    let (project, home, registry) = (site(b"hello"), Home::new(), Registry::start(&Options::default()));
    let proxy = Proxy::before(&registry);
    let [first, second] = ["1", "2"].map(|tag| format!("{}/site:{tag}", proxy.host()));
    let push = ["build", "--push", "-t", &first, "-t", &second];
    // The second of the two tags is refused.
    proxy.fault(On::put_tag().nth(2), Fault::status(403));
    project.anyarch_at(&home).args(push).run().assert_code(6);
    assert!(is_named(&home, &first) && !is_named(&home, &second));
    proxy.heal();
    project.anyarch_at(&home).args(push).run().assert_success();
    assert!(is_named(&home, &first) && is_named(&home, &second));
    // A tag that has not to be moved names what it points to all the same.
    let other = Home::new();
    project.anyarch_at(&other).args(push).run().assert_success();
    assert!(is_named(&other, &first) && is_named(&other, &second));
}

#[test]
fn a_config_that_is_damaged_before_it_is_sent_is_made_anew() {
    let (project, home, registry) = (site(b"hello"), Home::new(), Registry::start(&Options::default()));
    let proxy = Proxy::before(&registry);
    let tag = format!("{}/site:1", proxy.host());
    let gate = Gate::default();
    proxy.fault(On::head_blob(), Fault::Hold(0, gate.clone()));
    let program = project.anyarch_at(&home).args(["build", "--push", "-t", &tag]);
    let child = program.command().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(gate.wait(Duration::from_mins(1)), "no blob was looked for");
    let blobs = home.cache().join("blobs/sha256");
    let configs: Vec<_> = std::fs::read_dir(&blobs)
        .unwrap()
        .map(|blob| blob.unwrap().path())
        .filter(|path| std::fs::read(path).unwrap().starts_with(b"{") && is_config(path))
        .collect();
    let [config] = configs.as_slice() else { panic!("one config: {configs:?}") };
    flip(config);
    gate.open();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(process::exit_code(output.status), 0, "{stderr}");
    let note = format!(
        "note: `{}` in the cache is damaged: its contents do not have the digest sha256:{}; it is made anew",
        config.display(),
        name(config)
    );
    assert_eq!(stderr.lines().filter(|line| *line == note).count(), 1, "{note}\n{stderr}");
    assert_eq!(Image::read(&format!("docker://{tag}"), "linux/amd64").layers.len(), 2);
    build(&project, &home, &["--push", "-t", &tag]);
}

fn is_config(path: &std::path::Path) -> bool {
    let document: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    document.get("rootfs").is_some()
}
