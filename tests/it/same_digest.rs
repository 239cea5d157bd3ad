//! The same commit gives the same index, wherever, by whomever and with however many jobs it is built.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::program::Home;
use crate::support::project::Project;
use crate::support::start::Source;

/// The digest of what the layout holds, as its index.json names it.
fn digest(layout: &Path) -> String {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    index["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

fn holds(content: &[u8], folder: &Path) -> bool {
    let name = folder.as_os_str().as_bytes();
    content.windows(name.len()).any(|window| window == name)
}

#[test]
fn a_go_module_gives_the_same_index_in_any_folder_for_any_user() {
    let builds = [("1", 0o022, "UTC"), ("8", 0o077, "Pacific/Auckland")];
    let mut digests = Vec::new();
    for (jobs, umask, zone) in builds {
        let (project, home) = (Project::hello_go().file(".gitignore", "/out\n").commit(), Home::new());
        let go_cache: PathBuf = home.path().join("go-cache");
        let arguments = ["--platform", "linux/amd64,linux/arm64", "--jobs", jobs, "-o", "type=oci,dest=out,tar=false"];
        let program = project.anyarch_at(&home).args(["build"]).args(arguments).umask(umask).env("TZ", zone);
        program.env("GOCACHE", &go_cache).env_remove(OsStr::new("LC_ALL")).run().assert_success();
        assert_eq!(project.git(&["status", "--porcelain"]), "", "a build shows in git");
        let source = Source::Layout(project.path().join("out"));
        for platform in ["linux/amd64", "linux/arm64"] {
            let program = fs::read(source.unpack(platform).root().join("usr/local/bin/hello")).unwrap();
            for folder in [project.path(), home.path(), &go_cache] {
                assert!(!holds(&program, folder), "the program for {platform} holds `{}`", folder.display());
            }
        }
        digests.push(digest(&project.path().join("out")));
    }
    assert_eq!(digests[0], digests[1]);
}
