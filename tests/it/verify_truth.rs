//! `anyarch verify` against the truth: each image of a table, right or wrong, is judged, and then unpacked and started.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::bases::{self, Release};
use crate::support::layout::{Node, Tree};
use crate::support::made::{Compiled, Made, base};
use crate::support::process;
use crate::support::program::Home;
use crate::support::start::Source;

/// Judges an image and starts it: its verdict and what was found, and whether it said hello.
fn judged(home: &Home, made: &Made) -> (Value, bool) {
    let folder = tempfile::tempdir().unwrap();
    made.write(folder.path());
    let output = home.anyarch().args(["verify", "--json", &format!("oci:{}", folder.path().display())]).run();
    let said: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}", output.stderr));
    let verdict = said["verdict"].as_str().unwrap().to_owned();
    output.assert_code(if verdict == "fails" { 3 } else { 0 });
    let start = || {
        let ended = Source::Layout(folder.path().to_owned()).unpack(made.platform).start(&[]);
        (ended.code, ended.stdout)
    };
    // What no engine can start, such as a user that is not there, the tests cannot start either.
    let ended = panic::catch_unwind(AssertUnwindSafe(start));
    (said["platforms"][0].clone(), ended.is_ok_and(|ended| ended == (0, "hello\n".to_owned())))
}

/// Holds each image's verdict to `expected` (`ok`, or words of what is found), and that to the truth.
fn assert_true(cases: &[(&str, Made, &str)]) {
    let home = Home::new();
    let mut wrong = Vec::new();
    for (name, made, expected) in cases {
        let (said, starts) = judged(&home, made);
        let findings = said["findings"].as_array().unwrap();
        let texts: Vec<&str> = findings.iter().map(|finding| finding["text"].as_str().unwrap()).collect();
        let as_expected = if *expected == "ok" {
            said["verdict"] == "ok" && starts
        } else {
            said["verdict"] == "fails" && !starts && texts.iter().any(|text| text.contains(expected))
        };
        if !as_expected {
            wrong.push(format!("{name}: expected {expected}, judged {} {texts:?}, starts: {starts}", said["verdict"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {} images are judged wrongly:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Compilers for platforms other than this machine's: of dynamic and of static programs.
const CROSS: &[(&str, &str, &str)] = &[
    ("linux/arm64", "aarch64-linux-gnu-gcc", "aarch64-linux-gnu-gcc"),
    ("linux/arm/v7", "arm-linux-gnueabihf-gcc", "arm-linux-gnueabihf-gcc"),
    ("linux/arm/v5", "arm-linux-gnueabi-gcc", "arm-linux-gnueabi-gcc"),
    ("linux/s390x", "s390x-linux-gnu-gcc", "s390x-linux-gnu-gcc"),
    ("linux/386", "zig cc -target x86-linux-gnu.2.28", "zig cc -target x86-linux-musl"),
    ("linux/ppc64le", "zig cc -target powerpc64le-linux-gnu.2.32", "zig cc -target powerpc64le-linux-musl"),
];

#[test]
#[ignore = "full: verify"]
fn programs_of_each_architecture_start_where_they_fit_and_nowhere_else() {
    let compiled = Compiled::new();
    let mut cases = Vec::new();
    for (platform, compiler, of_static) in CROSS {
        let base = base(Release::Bookworm, platform);
        let dynamic = compiled.hello(compiler, &[]);
        let fixed = compiled.hello(of_static, &["-static"]);
        cases.push(("dynamic", Made::on(platform, &base).app(&*dynamic), "ok"));
        cases.push(("static", Made::bare(platform).app(&*fixed), "ok"));
        // The other libraries of Debian have no start files for it.
        if *platform == "linux/arm64" {
            cases.push(("static-pie", Made::bare(platform).app(compiled.hello(compiler, &["-static-pie"])), "ok"));
        }
        cases.push(("no loader", Made::bare(platform).app(&*dynamic), "asks for the loader"));
        for (other, ..) in CROSS.iter().filter(|(other, ..)| other != platform) {
            let runs_older = (*platform, *other) == ("linux/arm/v5", "linux/arm/v7");
            let expected = match (*platform, *other) {
                _ if runs_older => "ok",
                ("linux/arm/v7", "linux/arm/v5") => "linux/arm/v5",
                _ => "binary, linux/",
            };
            cases.push((other, Made::bare(other).app(&*fixed), expected));
        }
    }
    let v7 = compiled.hello("arm-linux-gnueabihf-gcc", &["-static"]);
    cases.push(("v7 in v6", Made::bare("linux/arm/v6").app(v7), "is made for ARMv7"));
    // A binary of Go has no attributes; what it says of its build is all there is.
    for (name, goarch, goarm, platform, expected) in [
        ("GOARM=7 in v6", "arm", "7", "linux/arm/v6", "GOARM=7"),
        ("GOARM=6 in v6", "arm", "6", "linux/arm/v6", "ok"),
        ("Go for amd64", "amd64", "", "linux/amd64", "ok"),
        ("Go for arm in amd64", "arm", "7", "linux/amd64", "is a 32-bit ARM binary, linux/amd64 needs x86-64"),
    ] {
        cases.push((name, Made::bare(platform).app(compiled.hello_go(goarch, goarm)), expected));
    }
    for (name, compiler) in [("arm64 in amd64", "aarch64-linux-gnu-gcc"), ("s390x in amd64", "s390x-linux-gnu-gcc")] {
        cases.push((
            name,
            Made::bare("linux/amd64").app(compiled.hello(compiler, &["-static"])),
            "linux/amd64 needs x86-64",
        ));
    }
    let native = compiled.hello("gcc", &["-static"]);
    cases.push((
        "amd64 in arm64",
        Made::bare("linux/arm64").app(native),
        "is an x86-64 binary, linux/arm64 needs AArch64",
    ));
    let soft = compiled.hello("arm-linux-gnueabi-gcc", &[]);
    let hard_base = base(Release::Bookworm, "linux/arm/v7");
    cases.push(("soft float in hard", Made::on("linux/arm/v7", &hard_base).app(soft), "/lib/ld-linux.so.3"));
    assert_true(&cases);
}

#[test]
#[ignore = "full: verify"]
fn a_glibc_is_held_to_what_the_program_was_built_for() {
    let compiled = Compiled::new();
    let mut cases = Vec::new();
    let compilers = [
        ("linux/amd64", "gcc", "zig cc -target x86_64-linux-gnu.2.28"),
        ("linux/arm64", "aarch64-linux-gnu-gcc", "zig cc -target aarch64-linux-gnu.2.28"),
        ("linux/arm/v7", "arm-linux-gnueabihf-gcc", "zig cc -target arm-linux-gnueabihf.2.28"),
    ];
    for (platform, gcc, zig) in compilers {
        let (old, new) = (base(Release::Bullseye, platform), base(Release::Bookworm, platform));
        cases.push(("gcc on old", Made::on(platform, &old).app(compiled.hello(gcc, &[])), "needs GLIBC_2.34"));
        cases.push(("gcc on new", Made::on(platform, &new).app(compiled.hello(gcc, &[])), "ok"));
        cases.push(("zig on old", Made::on(platform, &old).app(compiled.hello(zig, &[])), "ok"));
        cases.push(("zig on new", Made::on(platform, &new).app(compiled.hello(zig, &[])), "ok"));
    }
    let (old, new) = (base(Release::Bullseye, "linux/386"), base(Release::Bookworm, "linux/386"));
    let for_glibc = |version: &str| compiled.hello(&format!("zig cc -target x86-linux-gnu.{version}"), &[]);
    cases.push(("386, zig on old", Made::on("linux/386", &old).app(for_glibc("2.28")), "ok"));
    cases.push(("386, zig for new on old", Made::on("linux/386", &old).app(for_glibc("2.36")), "needs GLIBC_2.34"));
    cases.push(("386, zig for new on new", Made::on("linux/386", &new).app(for_glibc("2.36")), "ok"));
    assert_true(&cases);
}

#[test]
#[ignore = "full: verify"]
fn musl_and_glibc_do_not_start_each_others_programs() {
    let compiled = Compiled::new();
    let work = tempfile::tempdir().unwrap();
    let packages =
        bases::fetch_packages(Release::Bookworm, &["amd64", "arm64"], &["musl:amd64", "musl:arm64"], work.path());
    let mut cases = Vec::new();
    for (platform, debian, triple, gcc) in [
        ("linux/amd64", "amd64", "x86_64-linux-musl", "gcc"),
        ("linux/arm64", "arm64", "aarch64-linux-musl", "aarch64-linux-gnu-gcc"),
    ] {
        let mut musl = Tree::default();
        musl.link("lib", "usr/lib");
        bases::unpack(&mut musl, &packages, "musl", debian);
        let zig = format!("zig cc -target {triple} -dynamic");
        let (of_musl, of_glibc) = (compiled.hello(&zig, &[]), compiled.hello(gcc, &[]));
        cases.push(("musl on musl", Made::on(platform, &musl).app(&*of_musl), "ok"));
        cases.push(("glibc on musl", Made::on(platform, &musl).app(of_glibc), "it has musl"));
        let debian = base(Release::Bookworm, platform);
        cases.push(("musl on glibc", Made::on(platform, &debian).app(&*of_musl), "it has glibc"));
        // Symbols have no versions there: one that glibc has and musl lacks is missed at the start.
        let library = compiled.library(&zig, "greet", "libgreet.so.1", &[]);
        let greeter = compiled.made(&zig, "greeter", &[&compiled.here(), "-lgreet"]);
        // Debian's musl looks through other folders than that of its authors.
        let own = format!("usr/lib/{triple}/libgreet.so.1");
        let with = |place: &str| Made::on(platform, &musl).app(&*greeter).file(place, 0o755, &*library);
        cases.push(("musl library", with(&own), "ok"));
        cases.push(("musl library elsewhere", with("opt/libgreet.so.1"), "needs the library `libgreet.so.1`"));
        let name = format!("etc/ld-musl-{}.path", triple.split('-').next().unwrap());
        cases.push(("musl path file", with("opt/libgreet.so.1").file(&name, 0o644, "/usr/lib\n/opt\n"), "ok"));
        let empty = compiled.library(&zig, "deep", "libgreet.so.1", &[]);
        let lacks = || Made::on(platform, &musl).app(&*greeter).file(&own, 0o755, &*empty);
        cases.push(("musl symbol", lacks(), "needs the symbol `greet`"));
        let preloads = |path: &str| {
            lacks().file("opt/libhas.so", 0o755, &*library).with("Env", json!([format!("LD_PRELOAD={path}")]))
        };
        cases.push(("musl symbol that is preloaded", preloads("/none.so:/opt/libhas.so"), "ok"));
        cases.push(("musl looks for what is preloaded", preloads("libhas.so"), "needs the symbol `greet`"));
        let by_name = with("opt/libgreet.so.1").with("Env", json!(["LD_PRELOAD=/opt/libgreet.so.1"]));
        cases.push(("musl library that is preloaded by its path", by_name, "needs the library `libgreet.so.1`"));
    }
    assert_true(&cases);
}

/// The greeter on amd64 with its library linked in some way.
fn greeter(compiled: &Compiled, arguments: &[&str]) -> Vec<u8> {
    compiled.made("gcc", "greeter", &[&[compiled.here().as_str(), "-lgreet"], arguments].concat())
}

#[test]
#[ignore = "full: verify"]
fn libraries_are_found_as_the_loader_finds_them() {
    let compiled = Compiled::new();
    let deep = compiled.library("gcc", "deep", "libdeep.so.1", &[]);
    let on_deep = compiled.library("gcc", "passes-on", "libgreet.so.1", &[&compiled.here(), "-ldeep"]);
    let passes_on = greeter(&compiled, &["-Wl,--allow-shlib-undefined", "-Wl,-rpath,/opt/lib", "-DA"]);
    let old_tags =
        greeter(&compiled, &["-Wl,--allow-shlib-undefined", "-Wl,-rpath,/opt/lib", "-Wl,--disable-new-dtags"]);
    let library = compiled.library("gcc", "greet", "libgreet.so.1", &[]);
    let debian = base(Release::Bookworm, "linux/amd64");
    let on = || Made::on("linux/amd64", &debian);
    let plain = greeter(&compiled, &[]);
    let foreign = compiled.library("aarch64-linux-gnu-gcc", "greet", "libgreet.so.1", &["-DB"]);
    let own = "usr/lib/x86_64-linux-gnu/libgreet.so.1";
    let lost = "needs the library `libgreet.so.1`";
    let empty = compiled.library("gcc", "deep", "libgreet.so.1", &["-DC"]);
    // So that the linker finds the right one again.
    compiled.library("gcc", "greet", "libgreet.so.1", &[]);
    let now = greeter(&compiled, &["-Wl,-z,now"]);
    let origin = greeter(&compiled, &["-Wl,-rpath,$ORIGIN/opt/lib"]);
    let other = compiled.library("gcc", "greet", "libother.so.1", &["-DD"]);
    // The program's own library lacks the symbol that it looks up at its start; another one has it.
    let preloads = |value: &str| {
        on().app(&*now)
            .file(own, 0o644, &*empty)
            .file("opt/lib/libother.so.1", 0o644, &*other)
            .file("opt/deep/libpasses.so.1", 0o644, &*on_deep)
            .with("Env", json!([format!("LD_PRELOAD={value}")]))
    };
    let both = |app: &[u8]| {
        on().app(app).file("opt/lib/libgreet.so.1", 0o644, &*on_deep).file("opt/lib/libdeep.so.1", 0o644, &*deep)
    };
    let in_opt = |app: &[u8]| on().app(app).file("opt/lib/libgreet.so.1", 0o644, &*library);
    let here = |app: &[u8], library: &[u8]| on().app(app).file(own, 0o644, library);
    let whiteout = |path: &str| here(&plain, &library).change(|tree| tree.file(path, 0o644, ""));
    let cases = vec![
        ("default folder", here(&plain, &library), "ok"),
        (
            "through the link of a merged /usr",
            on().app(&*plain).file("lib/x86_64-linux-gnu/libgreet.so.1", 0o644, &*library),
            "ok",
        ),
        ("missing", on().app(&*plain), lost),
        ("elsewhere", in_opt(&plain), lost),
        ("LD_LIBRARY_PATH", in_opt(&plain).with("Env", json!(["LD_LIBRARY_PATH=/none:/opt/lib"])), "ok"),
        ("$ORIGIN", in_opt(&origin), "ok"),
        ("$ORIGIN through a link", in_opt(&origin).link("start", "app").with("Entrypoint", json!(["/start"])), "ok"),
        ("DT_RUNPATH is not inherited", both(&passes_on), "needs the library `libdeep.so.1`"),
        ("DT_RPATH is inherited", both(&old_tags), "ok"),
        ("another machine's alone", here(&plain, &foreign), lost),
        (
            "another machine's passed over",
            here(&plain, &library)
                .file("opt/lib/libgreet.so.1", 0o644, &*foreign)
                .with("Env", json!(["LD_LIBRARY_PATH=/opt/lib"])),
            "ok",
        ),
        ("no library at all", here(&plain, b"INPUT(libgreet.so.2)\n"), "is no ELF file"),
        ("symbol, bound at once", here(&now, &empty), "needs the symbol `greet`"),
        ("symbol that is preloaded", preloads("/opt/lib/libother.so.1"), "ok"),
        ("what is preloaded is not there", preloads("/none.so /opt/lib/libother.so.1:libnone.so"), "ok"),
        ("what is preloaded is no library", preloads("/etc/passwd:/opt/lib/libother.so.1"), "ok"),
        ("what is preloaded lacks a library", preloads("/opt/deep/libpasses.so.1"), "needs the library `libdeep.so.1`"),
        ("what is preloaded lacks the symbol too", preloads("/none.so"), "needs the symbol `greet`"),
        (
            "symbol of /etc/ld.so.preload",
            preloads("").file("etc/ld.so.preload", 0o644, "# why\n/none.so /opt/lib/libother.so.1 # that\n"),
            "ok",
        ),
        ("only in ld.so.conf", in_opt(&plain).file("etc/ld.so.conf", 0o644, "/opt/lib\n"), lost),
        (
            "whiteout over the library",
            {
                let mut made = here(&plain, &library);
                made.layers.push(Tree::default());
                made.change(|tree| tree.file("usr/lib/x86_64-linux-gnu/.wh.libgreet.so.1", 0o644, ""))
            },
            lost,
        ),
        ("whiteout over libc", whiteout("usr/lib/x86_64-linux-gnu/.wh.libc.so.6"), "needs the library `libc.so.6`"),
        ("whiteout over the loader's link", whiteout("usr/lib64/.wh.ld-linux-x86-64.so.2"), "asks for the loader"),
        ("opaque folder", whiteout("usr/lib/x86_64-linux-gnu/.wh..wh..opq"), "asks for the loader"),
        (
            "a folder in the place of the link",
            on().app(compiled.hello("gcc", &[])).change(|tree| tree.directory("lib64", 0o755)),
            "asks for the loader",
        ),
    ];
    assert_true(&cases);
    cached(&compiled, &debian, &plain, &library);
}

/// A cache of `ldconfig`'s own makes found what only it names.
fn cached(compiled: &Compiled, debian: &Tree, app: &[u8], library: &[u8]) {
    let Some(ldconfig) = ["/sbin/ldconfig", "/usr/sbin/ldconfig"].into_iter().find(|path| Path::new(path).exists())
    else {
        return;
    };
    let made = Made::on("linux/amd64", debian).app(app).file("opt/lib/libgreet.so.1", 0o644, library).file(
        "etc/ld.so.conf",
        0o644,
        "/opt/lib\n",
    );
    let folder = tempfile::tempdir_in(compiled.folder.path()).unwrap();
    made.write(folder.path());
    let image = Source::Layout(folder.path().to_owned()).unpack("linux/amd64");
    process::succeed(Command::new(ldconfig).arg("-r").arg(image.root()));
    let cache = fs::read(image.root().join("etc/ld.so.cache")).unwrap();
    assert_true(&[("ld.so.cache", made.file("etc/ld.so.cache", 0o644, cache), "ok")]);
}

#[test]
#[ignore = "full: verify"]
fn what_the_config_names_is_looked_up_as_engines_do() {
    let compiled = Compiled::new();
    let fixed = compiled.hello("gcc", &["-static"]);
    let debian = base(Release::Bookworm, "linux/amd64");
    let (on, bare) = (|| Made::on("linux/amd64", &debian), || Made::bare("linux/amd64"));
    let script = |line: &str| on().app(format!("#!{line}\necho hello\n"));
    let mut cut = fixed.clone();
    cut.truncate(cut.len() / 2);
    let library = compiled.library("gcc", "greet", "libgreet.so.1", &[]);
    let cases = vec![
        ("script", script("/bin/sh"), "ok"),
        ("script with an argument", script(" /bin/sh -e"), "ok"),
        ("script through env", script("/usr/bin/env sh"), "ok"),
        ("script without its interpreter", script("/usr/bin/python3"), "asks for the interpreter `/usr/bin/python3`"),
        ("script that env does not find", script("/usr/bin/env python3"), "asks `env` for `python3`"),
        ("script through env with an argument", script("/usr/bin/env sh -e"), "asks `env` for `sh -e`"),
        ("script as on Windows", script("/bin/sh\r"), "asks for the interpreter `/bin/sh\\r`"),
        // Without a shell: what starts the tests' programs hands it to one, as shells do, and engines do not.
        ("text without a first line", bare().app("echo hello\n"), "exec format error"),
        ("empty", on().app(""), "is an empty file"),
        ("cut off", bare().app(cut), "is a damaged ELF file"),
        ("a library", bare().app(library), "is a shared library"),
        ("not executable", bare().file("app", 0o644, &*fixed), "cannot be executed"),
        ("not there", bare().file("other", 0o755, &*fixed), "`/app` is not in the image"),
        ("a link to nothing", bare().file("other", 0o755, &*fixed).link("app", "/none"), "a link to what is not there"),
        ("a link in a circle", bare().file("other", 0o755, &*fixed).link("app", "app"), "links lead in a circle"),
        ("a link to it", bare().file("other", 0o755, &*fixed).link("app", "./other"), "ok"),
        ("a folder", bare().change(|tree| tree.directory("app", 0o755)), "is a folder"),
        (
            "another name of it",
            bare()
                .file("app0", 0o755, &*fixed)
                .change(|tree| {
                    tree.0.insert("app1".into(), Node::HardLink("app0".into()));
                })
                .with("Entrypoint", json!(["/app1"])),
            "ok",
        ),
        (
            "on PATH",
            bare()
                .file("opt/app", 0o755, &*fixed)
                .with("Entrypoint", json!(["app"]))
                .with("Env", json!(["PATH=/none:/opt"])),
            "ok",
        ),
        (
            "not on PATH",
            bare().file("opt/app", 0o755, &*fixed).with("Entrypoint", json!(["app"])),
            "is in no folder of the image's PATH",
        ),
        (
            "from the working folder",
            bare()
                .file("opt/app", 0o755, &*fixed)
                .with("Entrypoint", json!(["./app"]))
                .with("WorkingDir", json!("/opt")),
            "ok",
        ),
        (
            "command without an entrypoint",
            bare().app(&*fixed).with("Entrypoint", json!(null)).with("Cmd", json!(["/app"])),
            "ok",
        ),
        ("a working folder that is a file", bare().app(&*fixed).with("WorkingDir", json!("/app")), "is not a folder"),
        ("a number for a user", bare().app(&*fixed).with("User", json!("65532:65532")), "ok"),
        ("a user of the base", on().app(&*fixed).with("User", json!("nobody:nogroup")), "ok"),
        (
            "a user that is not there",
            on().app(&*fixed).with("User", json!("app")),
            "user `app` is not in its /etc/passwd",
        ),
        (
            "a group that is not there",
            on().app(&*fixed).with("User", json!("nobody:app")),
            "group `app` is not in its /etc/group",
        ),
        ("a user without a file", bare().app(&*fixed).with("User", json!("app")), "which does not exist"),
        ("for root alone", bare().file("app", 0o700, &*fixed).with("User", json!("7")), "cannot be executed"),
        (
            "in a folder for root alone",
            bare()
                .change(|tree| tree.directory("root", 0o700))
                .file("root/app", 0o755, &*fixed)
                .with("Entrypoint", json!(["/root/app"]))
                .with("User", json!("7")),
            "cannot be reached",
        ),
    ];
    assert_true(&cases);
}
