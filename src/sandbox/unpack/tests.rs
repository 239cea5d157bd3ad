use std::collections::BTreeMap;

use super::*;

enum Put<'text> {
    Folder,
    File(&'text str),
    Link(&'text str),
    Hard(&'text str),
    Device,
}

/// A tar with these members, by their names as they are.
fn layer(members: &[(&str, Put<'_>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, put) in members {
        let mut header = tar::Header::new_gnu();
        let (kind, link, data) = match put {
            Put::Folder => (EntryType::Directory, "", ""),
            Put::File(text) => (EntryType::Regular, "", *text),
            Put::Link(target) => (EntryType::Symlink, *target, ""),
            Put::Hard(target) => (EntryType::Link, *target, ""),
            Put::Device => (EntryType::Char, "", ""),
        };
        header.set_entry_type(kind);
        header.set_mode(if matches!(put, Put::Folder) { 0o755 } else { 0o6755 });
        header.set_size(data.len() as u64);
        header.set_uid(0);
        header.set_gid(0);
        // As they are, for the tar crate refuses some.
        let old = header.as_old_mut();
        old.name[..path.len()].copy_from_slice(path.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        tar.append(&header, data.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

/// Every path below a folder: `/` for a folder, `-> TARGET` for a link, or the text of a file.
fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(folder) = pending.pop() {
        for name in names(&folder) {
            let path = folder.join(name);
            let shown = path.strip_prefix(root).unwrap().display().to_string();
            let there = fs::symlink_metadata(&path).unwrap();
            let what = if there.is_dir() {
                pending.push(path);
                "/".to_owned()
            } else if there.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else {
                assert_eq!(there.permissions().mode() & 0o7777, 0o755, "{shown}");
                fs::read_to_string(&path).unwrap()
            };
            found.insert(shown, what);
        }
    }
    found
}

fn unpack(layers: &[&[(&str, Put<'_>)]]) -> Result<BTreeMap<String, String>, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let mut unpacker = Unpacker::new(folder.path());
    for members in layers {
        let bytes = layer(members);
        unpacker.layer(bytes.as_slice(), bytes.len() as u64)?;
    }
    Ok(tree(folder.path()))
}

#[track_caller]
fn assert_tree(layers: &[&[(&str, Put<'_>)]], expected: &[(&str, &str)]) {
    let expected = expected.iter().map(|(path, what)| ((*path).to_owned(), (*what).to_owned())).collect();
    assert_eq!(unpack(layers).unwrap(), expected);
}

#[test]
fn layers_lie_over_each_other() {
    use Put::{Device, File, Folder, Hard, Link};
    let base: &[(&str, Put<'_>)] = &[
        ("./", Folder),
        ("./usr/", Folder),
        ("./usr/lib", Folder),
        ("./lib", Link("usr/lib")),
        ("./usr/lib/a", File("a")),
        ("./usr/lib/b", Hard("usr/lib/a")),
        ("./dev/null", File("never seen")),
        ("./console", Device),
    ];
    // Through a link into its folder; a file that another name keeps; a folder that nobody made.
    let above: &[(&str, Put<'_>)] = &[("lib/c", File("c")), ("usr/lib/a", File("new")), ("new/d", File("d"))];
    assert_tree(
        &[base, above],
        &[
            ("lib", "-> usr/lib"),
            ("new", "/"),
            ("new/d", "d"),
            ("usr", "/"),
            ("usr/lib", "/"),
            ("usr/lib/a", "new"),
            ("usr/lib/b", "a"),
            ("usr/lib/c", "c"),
        ],
    );
    // A file takes the place of a folder, a folder that of a file and of a link.
    let changed: &[(&str, Put<'_>)] = &[("usr", File("file")), ("lib", Folder), ("new/d/e", File("e"))];
    assert_tree(
        &[base, above, changed],
        &[("lib", "/"), ("new", "/"), ("new/d", "/"), ("new/d/e", "e"), ("usr", "file")],
    );
}

#[test]
fn whiteouts_are_for_the_layers_below() {
    use Put::{File, Folder};
    let base: &[(&str, Put<'_>)] =
        &[("a/one", File("1")), ("a/two", File("2")), ("b/one", File("1")), ("c/one", File("1"))];
    let above: &[(&str, Put<'_>)] = &[
        ("a/new", File("new")),
        // Wherever they stand.
        ("a/.wh..wh..opq", File("")),
        ("b/.wh.one", File("")),
        ("c/new", File("new")),
        (".wh.c", File("")),
        ("b/.wh..wh.plnk", File("")),
        ("b/.wh...", File("")),
        (".wh.nothing", File("")),
    ];
    let expected = [("a", "/"), ("a/new", "new"), ("b", "/"), ("c", "/"), ("c/new", "new")];
    assert_tree(&[base, above], &expected);
    assert_tree(&[base, &[(".wh..wh..opq", File("")), ("d", Folder)]], &[("d", "/")]);
}

#[test]
fn what_leads_nowhere_is_left_out_and_what_leads_out_is_refused() {
    use Put::{File, Hard, Link};
    let odd: &[(&str, Put<'_>)] = &[
        ("circle", Link("circle")),
        ("circle/a", File("a")),
        ("gone", Link("not/there")),
        ("gone/a", File("a")),
        ("hard", Hard("not/there")),
        ("null", Hard("dev/null")),
    ];
    assert_tree(&[odd], &[("circle", "-> circle"), ("gone", "-> not/there")]);
    for members in [&[("a/../../b", File("b"))][..], &[("hard", Hard("../../etc/passwd"))]] {
        let failure = unpack(&[&[], members]).unwrap_err();
        let Failure::Layer { position: 1, text } = &failure else { panic!("{failure:?}") };
        assert!(text.contains("which leads out of the image"), "{text}");
    }
    let cut = &layer(&[("a", File("text"))])[..514];
    let folder = tempfile::tempdir().unwrap();
    let failure = Unpacker::new(folder.path()).layer(cut, 514).unwrap_err();
    assert_eq!(failure, Failure::Layer { position: 0, text: "is damaged: it ends within a file".to_owned() });
}
