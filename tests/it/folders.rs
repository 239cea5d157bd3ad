//! `[[file]]` for folders: what of a folder is in the image, with which modes, and that it is the same everywhere.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::support::layout::{self, Tree};
use crate::support::project::Project;
use crate::support::read_back::Image;
use crate::support::start::Source;

/// A configuration with one image of files over a base that has a link for a folder; `keys` are the keys of `[[file]]`.
fn configuration(keys: &str) -> String {
    format!("base = \"oci:base\"\n[[image]]\nname = \"files\"\nprograms = []\n[[image.file]]\n{keys}\n")
}

/// A folder of a web site with what editors, builds and secrets leave in it, and two good links.
fn site(keys: &str) -> Project {
    let project = Project::new()
        .file("web/index.html", "<p>hello</p>\n")
        .file("web/bin/run", "#!/bin/sh\n")
        .file("web/css/a b.css", "p {}\n")
        .file("web/css/\u{e9}.css", "p {}\n")
        .file("web/.env", "TOKEN=1\n")
        .file("web/cache/page", "cached\n")
        .file(".gitignore", "/base\ncache\n.env\n")
        .file("anyarch.toml", configuration(keys));
    let web = project.path().join("web");
    fs::set_permissions(web.join("bin/run"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(web.join("index.html"), fs::Permissions::from_mode(0o604)).unwrap();
    symlink("../index.html", web.join("css/home")).unwrap();
    symlink("css", web.join("styles")).unwrap();
    base(&project);
    project
}

/// A merged-/usr base: an entry for the folder `bin` would replace its link.
fn base(project: &Project) {
    let mut tree = Tree::default();
    for folder in ["usr", "usr/bin"] {
        tree.directory(folder, 0o755);
    }
    tree.link("bin", "usr/bin");
    let image =
        layout::Image { platform: "linux/amd64".parse().unwrap(), layers: vec![tree], config: serde_json::json!({}) };
    layout::write(&project.path().join("base"), "latest", &[image]);
}

/// The layer of files, as tar lists it.
#[track_caller]
fn layer(project: &Project) -> Vec<String> {
    let output = project.anyarch().args(["build", "--platform", "linux/amd64"]).run();
    output.assert_success().assert_stdout("oci:.anyarch/out/files:latest\n");
    let image = Image::read(&format!("oci:{}:latest", out(project).display()), "linux/amd64");
    assert_eq!(image.layers.len(), 2);
    image.layers[1].clone()
}

fn out(project: &Project) -> std::path::PathBuf {
    project.path().join(".anyarch/out/files")
}

const TRACKED: [&str; 6] = [
    "-rwxr-xr-x 0/0 srv/www/bin/run",
    "-rw-r--r-- 0/0 srv/www/css/a b.css",
    "lrwxrwxrwx 0/0 srv/www/css/home -> ../index.html",
    "-rw-r--r-- 0/0 srv/www/css/\\303\\251.css",
    "-rw-r--r-- 0/0 srv/www/index.html",
    "lrwxrwxrwx 0/0 srv/www/styles -> css",
];

const KEYS: &str = "source = \"web\"\ndestination = \"/srv/www\"\n";

#[test]
fn a_hook_of_another_repository_changes_nothing() {
    let (project, other) = (site(KEYS).commit(), site(KEYS).file("web/other.html", "other\n").commit());
    let git = other.path().join(".git");
    let program = project.anyarch().args(["build", "--platform", "linux/amd64"]).env("GIT_DIR", &git);
    let program = program.env("GIT_INDEX_FILE", git.join("index")).env("GIT_WORK_TREE", other.path());
    program.env("GIT_PREFIX", "web/").run().assert_success();
    let image = Image::read(&format!("oci:{}:latest", out(&project).display()), "linux/amd64");
    assert_eq!(image.layers[1], TRACKED);
}

#[test]
fn what_git_tracks_is_taken_and_nothing_else() {
    let project = site(KEYS).commit();
    assert_eq!(layer(&project), TRACKED);
    let commit = fs::read(out(&project).join("index.json")).unwrap();
    // What is not staged is not taken; what is staged, is.
    let project = project.file("web/new.html", "new\n");
    assert_eq!(layer(&project), TRACKED);
    assert_eq!(fs::read(out(&project).join("index.json")).unwrap(), commit);
    project.git(&["add", "web/new.html"]);
    let new = "-rw-r--r-- 0/0 srv/www/new.html";
    assert!(layer(&project).iter().any(|line| line == new));
    // A link to the folder is as good as the folder.
    symlink("web", project.path().join("site")).unwrap();
    let project = project.file("anyarch.toml", configuration("source = \"site\"\ndestination = \"/srv/www\"\n"));
    assert!(layer(&project).iter().any(|line| line == new));
}

#[test]
fn without_git_the_ignore_file_says_what_is_left() {
    let project = site(KEYS);
    let with_cache = [&TRACKED[..2], &["-rw-r--r-- 0/0 srv/www/cache/page"]].concat();
    let lines = layer(&project);
    assert!(lines.contains(&with_cache[2].to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains(".env")), "{lines:?}");
    let without_git = fs::read(out(&project).join("index.json")).unwrap();
    let project = project.file(".anyarchignore", "cache/\n");
    assert_eq!(layer(&project), TRACKED);
    assert_ne!(fs::read(out(&project).join("index.json")).unwrap(), without_git);
    // With git, `ignored` takes the same.
    let project = project.file("anyarch.toml", configuration(&format!("{KEYS}ignored = true\n"))).commit();
    assert_eq!(layer(&project), TRACKED);
    let project = project.file(".anyarchignore", "!.env\n");
    let lines = layer(&project);
    assert_eq!(lines[0], "-rw-r--r-- 0/0 srv/www/.env");
    assert!(lines.contains(&with_cache[2].to_owned()), "{lines:?}");
}

#[test]
fn modes_and_owners_are_given_to_all_and_links_stay_links() {
    let project = site(&format!("{KEYS}mode = \"0640\"\nowner = \"10:20\"\n")).commit();
    let expected: Vec<String> = TRACKED
        .iter()
        .map(|line| {
            let line = line.replace("0/0", "10/20");
            line.replace("-rwxr-xr-x", "-rw-r-----").replace("-rw-r--r--", "-rw-r-----")
        })
        .collect();
    assert_eq!(layer(&project), expected);
}

#[test]
fn a_folder_over_the_root_of_the_image_replaces_no_folder_of_the_base() {
    let project = site("source = \"web\"\ndestination = \"/\"\n").commit();
    let lines = layer(&project);
    assert!(lines.contains(&"-rwxr-xr-x 0/0 bin/run".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with('d')), "{lines:?}");
    let unpacked = Source::Layout(out(&project)).unpack("linux/amd64");
    assert_eq!(fs::read_link(unpacked.root().join("bin")).unwrap(), Path::new("usr/bin"));
    assert!(unpacked.root().join("usr/bin/run").is_file());
}

#[test]
fn the_same_folder_is_the_same_layer_anywhere() {
    let digest = |umask: u32| {
        let project = site(KEYS).commit();
        let output = project.anyarch().umask(umask).args(["build", "--platform", "linux/amd64", "--json"]).run();
        output.json()["images"][0]["digest"].as_str().unwrap().to_owned()
    };
    assert_eq!(digest(0o022), digest(0o077));
}

#[test]
fn submodules_are_taken_with_what_they_track() {
    let module = Project::new().file("lib.js", "1\n").file("deep/more.js", "2\n").commit();
    let project = site(KEYS).commit();
    let from = module.path().to_str().unwrap();
    project.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", from, "web/vendor"]);
    let project = project.commit().file("web/vendor/untracked.js", "3\n");
    let lines = layer(&project);
    let vendor: Vec<&String> = lines.iter().filter(|line| line.contains("vendor")).collect();
    assert_eq!(vendor, ["-rw-r--r-- 0/0 srv/www/vendor/deep/more.js", "-rw-r--r-- 0/0 srv/www/vendor/lib.js"]);
    // The folder itself may be one.
    let keys = "source = \"web/vendor\"\ndestination = \"/srv\"\n";
    let project = project.file("anyarch.toml", configuration(keys));
    assert_eq!(layer(&project), ["-rw-r--r-- 0/0 srv/deep/more.js", "-rw-r--r-- 0/0 srv/lib.js"]);
    project.git(&["submodule", "--quiet", "deinit", "--force", "web/vendor"]);
    let project = project.file("anyarch.toml", configuration(KEYS));
    let output = project.anyarch().args(["build", "--platform", "linux/amd64"]).run();
    output.assert_code(2).assert_stderr(
        "
        error: the submodule `web/vendor` (anyarch.toml:6:10) is not checked out

        hint: git submodule update --init web/vendor
        ",
    );
}
