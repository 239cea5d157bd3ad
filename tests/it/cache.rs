//! `anyarch cache` says what the cache holds and makes it smaller, and builds keep it within its limit.

use std::fs;

use crate::support::cache::{build, listed, name, noise, old_blob, only, site};
use crate::support::program::Home;

#[test]
fn the_folder_is_named_and_not_made() {
    let home = Home::new();
    home.anyarch()
        .args(["cache", "path"])
        .run()
        .assert_success()
        .assert_stdout("[HOME]/anyarch-cache\n")
        .assert_stderr("");
    assert!(!home.cache().exists());
    let output = home.anyarch().args(["cache", "path"]).env_remove("ANYARCH_CACHE_DIR").run();
    output.assert_success().assert_stdout("[HOME]/.cache/anyarch\n");
}

#[test]
fn what_is_in_the_cache_is_listed_with_whose_it_is() {
    let (project, home) = (site(b"<p>hello</p>"), Home::new());
    build(&project, &home, &[]);
    fs::create_dir_all(home.cache().join("toolchains/zig-0.1/lib")).unwrap();
    fs::write(home.cache().join("toolchains/zig-0.1/lib/std"), noise(1, 9000)).unwrap();
    let output = home.anyarch().args(["cache", "ls"]).run();
    output.assert_success();
    let rows: Vec<Vec<&str>> = output
        .stdout
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    let digest = |kind: &str| name(&only(&home, kind))[..12].to_owned();
    let base = format!("oci:{}", project.path().join("base").display());
    let sizes = ["base-layer", "own-layer"].map(|kind| fs::metadata(only(&home, kind)).unwrap().len());
    assert_eq!(rows[0], ["KIND", "WHAT", "DIGEST", "SIZE", "LAST USED"]);
    assert_eq!(rows[1], ["toolchain", "zig-0.1", "-", "9.00 kB", "-"]);
    assert_eq!(rows[2][..3], ["base-layer", &base, &digest("base-layer")]);
    assert_eq!(
        rows[3],
        ["own-layer", "files linux/amd64", &digest("own-layer"), &format!("{} B", sizes[1]), "just now"]
    );
    let records: Vec<&str> = rows[4..].iter().map(|row| row[1]).collect();
    assert_eq!(records, ["1 of listing", "1 of name", "1 of own-layer", "1 of start-check"]);

    let list = home.anyarch().args(["cache", "ls", "--json"]).env("ANYARCH_CACHE_LIMIT", "1MB").run().json();
    let records: u64 = listed(&home, "record").iter().map(|record| record["size"].as_u64().unwrap()).sum();
    let limited = sizes[0] + sizes[1] + records;
    assert_eq!(list["folder"], home.cache().to_str().unwrap());
    assert_eq!((list["limit"].as_u64(), list["limited"].as_u64()), (Some(1_000_000), Some(limited)));
    assert_eq!(list["total"].as_u64(), Some(limited + 9000));
    let words = "9.00 kB in [HOME]/anyarch-cache; 0 B of it have no limit\n";
    home.anyarch().args(["cache", "prune", "--max-size", "0"]).run().assert_success();
    let output = home.anyarch().args(["cache", "ls"]).env("ANYARCH_CACHE_LIMIT", "none").run();
    output.assert_success();
    assert_eq!(output.stderr.replace(home.path().to_str().unwrap(), "[HOME]"), words);
}

#[test]
fn a_limit_that_is_none_is_an_error() {
    let project = site(b"hello");
    for arguments in [&["build"][..], &["cache", "ls"], &["cache", "prune"]] {
        let output = project.anyarch().args(arguments).env("ANYARCH_CACHE_LIMIT", "20G").run();
        output.assert_code(2).assert_stdout("");
        let words =
            "error: `ANYARCH_CACHE_LIMIT` cannot be used: `20G` is no size: it should read like 500MB, 20GB or 1.5GiB

hint: ANYARCH_CACHE_LIMIT=20GB anyarch build
hint: for no limit: ANYARCH_CACHE_LIMIT=none anyarch build
";
        assert_eq!(output.stderr, words);
    }
}

#[test]
fn a_build_keeps_the_cache_within_its_limit() {
    let (project, home) = (site(b"hello"), Home::new());
    let (older, newer) = (old_blob(&home, &noise(4, 40_000), 9), old_blob(&home, &noise(5, 40_000), 3));
    let output = project.anyarch_at(&home).args(["build"]).env("ANYARCH_CACHE_LIMIT", "60kB").run();
    output.assert_success();
    let note = "note: what was not used for longest was removed from `[HOME]/anyarch-cache`: 40.00 kB (a limit of 60.00 kB, ANYARCH_CACHE_LIMIT=SIZE)";
    let said = output.stderr.replace(home.path().to_str().unwrap(), "[HOME]");
    assert!(said.lines().any(|line| line == note), "{said}");
    assert!(!older.exists() && newer.exists());
    // It was looked just now.
    let output = project.anyarch_at(&home).args(["build"]).env("ANYARCH_CACHE_LIMIT", "1B").run();
    assert!(!output.assert_success().stderr.contains("note:"), "{}", output.stderr);
    assert!(newer.exists());
    // What a run uses stays, however small the limit is.
    fs::remove_file(home.cache().join("looked")).unwrap();
    let output = project.anyarch_at(&home).args(["build"]).env("ANYARCH_CACHE_LIMIT", "1B").run();
    output.assert_success();
    assert!(!newer.exists() && only(&home, "own-layer").exists() && only(&home, "base-layer").exists());
}

#[test]
fn prune_removes_what_it_was_told_to() {
    let (project, home) = (site(b"hello"), Home::new());
    build(&project, &home, &[]);
    let (old, new) = (old_blob(&home, &noise(6, 5000), 9), old_blob(&home, &noise(7, 6000), 3));
    let toolchain = home.cache().join("toolchains/zig-0.1");
    fs::create_dir_all(&toolchain).unwrap();
    fs::write(toolchain.join("zig"), noise(8, 1000)).unwrap();
    fs::write(home.cache().join("tmp/left"), noise(9, 500)).unwrap();
    let prune = |arguments: &[&str]| {
        let output = home.anyarch().args(["cache", "prune"]).args(arguments).run();
        output.assert_success();
        let kinds: Vec<String> =
            output.stdout.lines().skip(1).map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        (kinds, output.stderr.clone())
    };
    let words = |text: &str| format!("{text}\n");
    // What would go is still there.
    let (kinds, said) = prune(&["--older-than", "7d", "--dry-run"]);
    assert_eq!(
        (kinds, said),
        (vec!["blob".to_owned(), "unfinished".to_owned()], words("2 things would be removed, 5.50 kB"))
    );
    assert!(old.exists());
    let (kinds, said) = prune(&["--older-than", "7d"]);
    assert_eq!((kinds, said), (vec!["blob".to_owned(), "unfinished".to_owned()], words("2 things removed, 5.50 kB")));
    assert!(!old.exists() && new.exists() && toolchain.exists() && !home.cache().join("tmp/left").exists());
    // The limit is far away.
    assert_eq!(prune(&[]), (Vec::new(), words("0 things removed, 0 B")));
    // The one that was not used for longest goes first.
    let (kinds, said) = prune(&["--max-size", "8kB"]);
    assert_eq!((kinds, said), (vec!["blob".to_owned()], words("1 thing removed, 6.00 kB")));
    assert!(toolchain.exists());
    let (kinds, _) = prune(&["--kind", "own-layer,toolchain"]);
    assert_eq!(kinds, ["own-layer", "toolchain"]);
    assert!(!toolchain.exists());
    assert!(listed(&home, "record").iter().all(|record| record["names"][0] != "own-layer"), "it goes with its layer");
    let removed = home.anyarch().args(["cache", "prune", "--all", "--json"]).run().json();
    assert!(removed["removed"].as_array().unwrap().iter().any(|item| item["kind"] == "base-layer"), "{removed}");
    let output = home.anyarch().args(["cache", "ls"]).run();
    output.assert_success().assert_stdout("KIND  WHAT  DIGEST  SIZE  LAST USED\n");
    build(&project, &home, &[]);
}

#[test]
fn prune_takes_only_what_it_knows() {
    for (arguments, words) in [
        (
            &["--max-size", "7"][..],
            "invalid value '7' for '--max-size <SIZE>': `7` is no size: it should read like 500MB, 20GB or 1.5GiB",
        ),
        (
            &["--older-than", "7"],
            "invalid value '7' for '--older-than <AGE>': `7` is no time: it should read like 90s, 30min, 12h, 7d or 2w",
        ),
        (
            &["--kind", "zig"],
            "invalid value 'zig' for '--kind <KIND>': there is index, manifest, config, base-layer, own-layer, debian, blob, record, toolchain, sysroot, wrapper, download, unfinished",
        ),
        (&["--all", "--max-size", "1GB"], "the argument '--all' cannot be used with '--max-size <SIZE>'"),
    ] {
        let output = Home::new().anyarch().args(["cache", "prune"]).args(arguments).run();
        output.assert_code(2).assert_stdout("");
        assert_eq!(output.stderr.lines().next(), Some(format!("error: {words}").as_str()));
    }
}
