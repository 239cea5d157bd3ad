//! Layers made by hand, and what a container sees of them.

use super::*;
use crate::listing::{Contents, Entry};

fn entry(path: &str, kind: Kind) -> Entry {
    Entry { path: path.to_owned(), mode: 0o755, uid: 0, gid: 0, kind }
}

/// `d PATH`, `f PATH SIZE`, `l PATH TARGET`, `h PATH TARGET`, `w PATH`, `q PATH`, one a line.
fn layer(lines: &str) -> Listing {
    let entries = lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let kind = match words[0] {
            "d" => Kind::Folder,
            "f" => Kind::File(File { size: words[2].parse().unwrap(), contents: Contents::Unread }),
            "l" => Kind::Symlink(words[2].to_owned()),
            "h" => Kind::HardLink(words[2].to_owned()),
            "w" => Kind::Whiteout,
            "q" => Kind::Opaque,
            other => panic!("{other}"),
        };
        entry(words[1], kind)
    });
    entries.collect()
}

/// The real path and the size of what is at `path`; `folder` for a folder, else why there is nothing.
fn seen(tree: &Tree<'_>, path: &str) -> String {
    match tree.find(path) {
        Ok(found) => match found.node.file() {
            Some(file) => format!("{} {}", found.path, file.size),
            None => format!("{} folder", found.path),
        },
        Err(miss) => format!("{miss:?}"),
    }
}

#[track_caller]
fn assert_seen(layers: &[&str], complete: bool, expected: &[(&str, &str)]) {
    let listings: Vec<Listing> = layers.iter().map(|lines| layer(lines)).collect();
    let tree = Tree::of(&listings.iter().collect::<Vec<_>>(), complete).unwrap();
    for (path, what) in expected {
        assert_eq!(seen(&tree, path), *what, "{path}");
    }
}

#[test]
fn links_are_followed_inside_the_root() {
    let lines = "
        d usr
        d usr/lib
        f usr/lib/libc.so.6 1
        l lib usr/lib
        l usr/lib64 ../lib
        l absolute /usr/lib64/../lib/libc.so.6
        l out ../../../../usr/lib/libc.so.6
        l a b
        l b a
        l self self/x
        l dangling nowhere
        l onto usr/lib/libc.so.6
    ";
    assert_seen(
        &[lines],
        true,
        &[
            ("/lib/libc.so.6", "/usr/lib/libc.so.6 1"),
            ("lib/libc.so.6", "/usr/lib/libc.so.6 1"),
            ("/usr/lib64/libc.so.6", "/usr/lib/libc.so.6 1"),
            ("/absolute", "/usr/lib/libc.so.6 1"),
            ("/out", "/usr/lib/libc.so.6 1"),
            ("/../lib/./libc.so.6", "/usr/lib/libc.so.6 1"),
            ("/lib/", "/usr/lib folder"),
            ("/", "/ folder"),
            ("/a", "Circle"),
            ("/self", "Circle"),
            ("/dangling", "Missing"),
            ("/onto/x", "NotAFolder"),
            ("/onto/", "NotAFolder"),
            ("/nothing", "Missing"),
        ],
    );
}

#[test]
fn upper_layers_hide_replace_and_add() {
    let base = "
        d usr
        d usr/lib
        l lib usr/lib
        l bin usr/bin
        d usr/bin
        f usr/lib/one 1
        f usr/lib/two 2
        d opt
        d opt/old
        f opt/old/file 3
        f was-file 4
        d was-folder
        f was-folder/inside 5
    ";
    let upper = "
        f lib/three 30
        w usr/lib/one
        q opt
        f opt/new 31
        d was-file
        f was-file/inside 40
        f was-folder 50
        h linked usr/lib/two
        h missing usr/lib/none
    ";
    assert_seen(
        &[base, upper],
        true,
        &[
            ("/usr/lib/three", "/usr/lib/three 30"),
            ("/lib/one", "Missing"),
            ("/lib/two", "/usr/lib/two 2"),
            ("/opt/old/file", "Missing"),
            ("/opt/new", "/opt/new 31"),
            ("/was-file/inside", "/was-file/inside 40"),
            ("/was-folder", "/was-folder 50"),
            ("/was-folder/inside", "NotAFolder"),
            ("/linked", "/linked 2"),
            ("/missing", "Missing"),
        ],
    );
    // A folder of a layer takes the place of a link of the base: what breaks a merged /usr.
    assert_seen(&[base, "d lib\nf lib/mine 9"], true, &[("/lib/two", "Missing"), ("/lib/mine", "/lib/mine 9")]);
    // What a layer removes and has itself is there, whatever comes first.
    assert_seen(
        &[base, "f was-folder/inside 6\nw was-folder"],
        true,
        &[("/was-folder/inside", "/was-folder/inside 6")],
    );
    assert_seen(&[base, "f usr/lib/one 7\nw usr/lib/one"], true, &[("/usr/lib/one", "/usr/lib/one 7")]);
}

#[test]
fn what_the_upper_layers_do_not_say_needs_the_ones_below() {
    let upper = "
        d app
        f app/program 1
        f usr/local/bin/tool 2
        w usr/bin/gone
        q etc
        f etc/passwd 3
        l up ../app/program
        l usr/local/up ../bin/x
        h hard usr/bin/lower
    ";
    assert_seen(
        &[upper],
        false,
        &[
            ("/app/program", "/app/program 1"),
            ("/usr/local/bin/tool", "/usr/local/bin/tool 2"),
            ("/usr/bin/gone", "Missing"),
            ("/usr/bin/other", "NeedsLower"),
            ("/etc/passwd", "/etc/passwd 3"),
            ("/etc/group", "Missing"),
            ("/app/other", "NeedsLower"),
            ("/up", "/app/program 1"),
            ("/usr/local/up", "NeedsLower"),
            ("/hard", "NeedsLower"),
            ("/lib", "NeedsLower"),
        ],
    );
    assert_seen(&[upper], true, &[("/usr/bin/other", "Missing"), ("/hard", "Missing"), ("/app/other", "Missing")]);
}

#[test]
fn folders_that_a_link_leads_to_are_made() {
    // The archive has the folder after what lies in it, or never.
    let late = "l lib usr/lib\nf lib/one 1\nd usr\nd usr/lib\nf usr/lib/two 2\nl a/b ../c/./d\nf a/b/three 3\nf file 4\nl to file\nf to/x 5";
    assert_seen(
        &[late],
        true,
        &[
            ("/usr/lib/one", "/usr/lib/one 1"),
            ("/lib/two", "/usr/lib/two 2"),
            ("/c/d/three", "/c/d/three 3"),
            // What is no folder stays where a link leads to it.
            ("/file", "/file 4"),
            ("/to/x", "NotAFolder"),
        ],
    );
    assert_seen(&["l lib usr/lib\nf lib/one 1"], false, &[("/lib/one", "/usr/lib/one 1"), ("/lib/two", "NeedsLower")]);
    // Where a folder that nobody has an entry for lies is not known, nor what is beside it.
    assert_seen(&["f a/x 1\nl a/b ../c\nf a/b/y 2"], false, &[("/a/x", "NeedsLower")]);
}

#[test]
fn hostile_layers_are_bounded() {
    let deep = format!("f {}x 1", "a/".repeat(2000));
    assert_seen(&[&deep], true, &[(&format!("{}x", "a/".repeat(2000)), &format!("/{}x 1", "a/".repeat(2000)))]);
    let links: Vec<String> = (0..60).map(|link| format!("l link{link} link{}", link + 1)).collect();
    let links = links.join("\n");
    assert_seen(&[&links, "f link60 1"], true, &[("/link25", "/link60 1"), ("/link19", "Circle")]);
    // A path may lead over as many links as in Linux, however many parts it has.
    let over = |links: usize| format!("l l .\nf {}x 1", "l/".repeat(links));
    assert_seen(&[&over(40)], true, &[("/x", "/x 1")]);
    assert_seen(&[&over(41)], true, &[("/x", "Missing")]);
    // Hard links to links to each other, links through links, and a whiteout of the root.
    assert_seen(&["l a b\nh b a\nl c c/c/c\nf c/d 1\nw x\nq y"], true, &[("/a", "Circle"), ("/c/d", "Circle")]);
}

#[test]
fn what_all_layers_together_take_is_bounded() {
    // Of memory that nobody wrote to, the system gives none.
    let half = || {
        let file = File { size: 1, contents: Contents::Kept(vec![0; WEIGHT / 2 + 1]) };
        [entry("etc/passwd", Kind::File(file))].into_iter().collect::<Listing>()
    };
    let (lower, upper) = (half(), half());
    assert!(Tree::of(&[&upper], false).is_ok());
    assert_eq!(Tree::of(&[&lower, &upper], true).unwrap_err(), TooMany);
}

#[test]
fn files_are_found_by_name() {
    let listing = layer("f usr/lib/libz.so.1 1\nl opt/libz.so.1 ../usr/lib/libz.so.1\nd libz.so.1");
    let tree = Tree::of(&[&listing], true).unwrap();
    assert_eq!(tree.named("libz.so.1", 8), ["/opt/libz.so.1", "/usr/lib/libz.so.1"]);
    assert_eq!(tree.named("libz.so.1", 1).len(), 1);
}
