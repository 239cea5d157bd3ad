use std::path::Path;

use super::*;
use crate::cargo::Rustc;
use crate::toolchain::{Language, Request, Toolchains};

fn machine() -> Machine {
    Machine {
        rustc: Rustc {
            host: "x86_64-unknown-linux-gnu".into(),
            release: "1.95.0".into(),
            commit: Some("abc".into()),
            sysroot: "/r".into(),
        },
        cargo_home: "/home/me/.cargo".into(),
        anyarch: "/usr/bin/anyarch".into(),
        nightlies: std::collections::BTreeMap::new(),
        zig: Some(Zig {
            command: vec!["/usr/bin/python3".into(), "-m".into(), "ziglang".into()],
            version: "0.17.0".into(),
            library: Some("/usr/lib/zig/lib".into()),
            cache: "/cache/zigbuild".into(),
        }),
    }
}

fn target(platform: &str, libc: Option<&str>, c: bool) -> Target {
    let platform: Platform = platform.parse().unwrap();
    let libc = libc.map(|libc| libc.parse().unwrap());
    let request = Request { language: Language::Rust, platform, libc, c, row: None, sysroot: false };
    let toolchain = Toolchains::built_in().unwrap().select(&request).unwrap();
    Target::new(platform, toolchain, c, UserFlags::default()).unwrap()
}

fn job(targets: Vec<Target>) -> CargoJob {
    CargoJob {
        directory: "/w/app".into(),
        workspace_root: "/w".into(),
        target_directory: "/w/target".into(),
        has_own_build_directory: false,
        sources: vec![("/home/me/.cargo/registry/src/index".into(), "/cargo/registry".into())],
        binaries: vec![Binary {
            package_id: "path+file:///w/app#1.2.3".into(),
            package: "app".into(),
            version: "1.2.3".into(),
            manifest: "/w/app/Cargo.toml".into(),
            name: "serve".into(),
        }],
        features: Features::default(),
        profile: "release".into(),
        build_std: None,
        strip: None,
        folder: None,
        targets,
    }
}

fn platforms(jobs: &[CargoJob]) -> Vec<Vec<String>> {
    jobs.iter().map(|job| job.targets.iter().map(|target| target.platform.to_string()).collect()).collect()
}

fn nothing(_: &str) -> Option<String> {
    None
}

const REMAPS: &str = "--remap-path-prefix=/w=/src --remap-path-prefix=/home/me/.cargo=/cargo \
    --remap-path-prefix=/w/target/anyarch=/target --remap-path-prefix=/home/me/.cargo/registry/src/index=/cargo/registry \
    --remap-path-prefix=/r/lib/rustlib/src/rust=/rustc/abc";

const STATIC: &str = "-Ctarget-feature=+crt-static";

#[test]
fn one_call_serves_all_triples_that_share_settings() {
    let jobs = job(vec![target("linux/amd64", None, false), target("linux/arm64", None, false)]).split(&machine());
    assert_eq!(platforms(&jobs), [["linux/amd64", "linux/arm64"]]);
    let call = jobs[0].invocation(&machine(), &nothing);
    assert_eq!(
        call.to_line(),
        format!(
            "env -u CARGO_BUILD_RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u RUSTFLAGS CARGO_INCREMENTAL=0 \
             CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld \
             CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUSTFLAGS='{STATIC} {REMAPS}' \
             CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld \
             CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS='{STATIC} {REMAPS}' \
             cargo build --locked --keep-going '--message-format=json-render-diagnostics' --profile release \
             --package app@1.2.3 --bin serve --target aarch64-unknown-linux-musl \
             --target x86_64-unknown-linux-musl --target-dir /w/target/anyarch"
        )
    );
    assert_eq!(call.cwd, PathBuf::from("/w/app"));
}

/// A name, the targets, and the platforms of each call.
type Split<'a> = (&'a str, Vec<Target>, &'a [&'a [&'a str]]);

#[test]
fn calls_are_apart_where_they_cannot_be_shared() {
    let flagged = |platform: &str, effective: &[&str], before: &[&str]| {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        let flags = UserFlags { effective: words(effective), before: words(before), ..UserFlags::default() };
        Target { flags, ..target(platform, None, false) }
    };
    let cases: [Split; 6] = [
        (
            "two platforms with one triple",
            vec![
                target("linux/amd64", None, false),
                target("linux/amd64/v3", None, false),
                target("linux/arm64", None, false),
            ],
            &[&["linux/amd64", "linux/arm64"], &["linux/amd64/v3"]],
        ),
        (
            "cargo and cargo-zigbuild",
            vec![target("linux/amd64", None, false), target("linux/arm64", None, true)],
            &[&["linux/amd64"], &["linux/arm64"]],
        ),
        (
            "zig for two libcs",
            vec![target("linux/amd64", None, true), target("linux/arm64", Some("gnu.2.28"), true)],
            &[&["linux/amd64", "linux/arm64"]],
        ),
        (
            "flags that are told apart by target",
            vec![flagged("linux/amd64", &["-Ca"], &[]), flagged("linux/arm64", &["-Cb"], &[])],
            &[&["linux/amd64", "linux/arm64"]],
        ),
        (
            "RUSTFLAGS that silence the configuration of a target",
            vec![flagged("linux/amd64", &["-Ca"], &["-Cfile"]), flagged("linux/arm64", &["-Ca"], &[])],
            &[&["linux/amd64"], &["linux/arm64"]],
        ),
        (
            "the same for both",
            vec![flagged("linux/amd64", &["-Ca"], &["-Cfile"]), flagged("linux/arm64", &["-Ca"], &["-Cfile"])],
            &[&["linux/amd64", "linux/arm64"]],
        ),
    ];
    for (name, targets, expected) in cases {
        assert_eq!(platforms(&job(targets).split(&machine())), expected, "{name}");
    }
}

#[test]
fn a_platform_of_another_processor_builds_in_its_own_folder() {
    let jobs = job(vec![target("linux/amd64", None, false), target("linux/amd64/v3", None, false)]).split(&machine());
    let folders: Vec<PathBuf> = jobs.iter().map(CargoJob::build_directory).collect();
    let own = Path::new("/w/target/anyarch").join(jobs[1].targets[0].platform.as_folder());
    assert_eq!(folders, [PathBuf::from("/w/target/anyarch"), own.clone()]);
    let flags =
        jobs[1].invocation(&machine(), &nothing).env["CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS"].clone();
    assert!(flags.value().contains(" -Ctarget-cpu=x86-64-v3 "), "{}", flags.value());
    assert!(flags.value().contains(&format!("={}=/target ", own.display())), "{}", flags.value());
    // Alone it builds there too, so that adding a platform does not build everything again.
    let alone = job(vec![target("linux/amd64/v3", None, false)]).split(&machine());
    assert_eq!(alone[0].build_directory(), own);
}

#[test]
fn flags_that_need_it_replace_every_other_source() {
    let flags = UserFlags {
        effective: vec!["-Clink-arg=a b".into()],
        variable: Some("CARGO_ENCODED_RUSTFLAGS".into()),
        ..UserFlags::default()
    };
    let jobs = job(vec![Target { flags, ..target("linux/amd64", None, false) }]).split(&machine());
    let call = jobs[0].invocation(&machine(), &nothing);
    let word = &call.env["CARGO_ENCODED_RUSTFLAGS"];
    assert!(
        word.value()
            .starts_with("-Clink-arg=a b\u{1f}-Ctarget-feature=+crt-static\u{1f}--remap-path-prefix=/w=/src\u{1f}"),
        "{}",
        word.value()
    );
    assert!(word.shown().starts_with("$CARGO_ENCODED_RUSTFLAGS\u{1f}-Ctarget"), "{}", word.shown());
    assert!(!call.env_remove.contains("CARGO_ENCODED_RUSTFLAGS"));
    assert!(!call.env.contains_key("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS"));
}

#[test]
fn zig_is_called_through_ourselves() {
    let mut job = job(vec![target("linux/arm64", Some("gnu.2.28"), true), target("linux/arm/v7", None, true)]);
    job.profile = "small-one".into();
    job.strip = Some(true);
    job.has_own_build_directory = true;
    let jobs = job.split(&machine());
    assert_eq!(jobs.len(), 1);
    let environment = |name: &str| match name {
        "CFLAGS" => Some("-DKEY=hunter2".to_owned()),
        "CXXFLAGS_aarch64-unknown-linux-gnu" => Some("-g1".to_owned()),
        _ => None,
    };
    let call = jobs[0].invocation(&machine(), &environment);
    assert_eq!(call.program, "/usr/bin/anyarch");
    let line = call.to_line();
    assert!(
        line.ends_with(
            "/usr/bin/anyarch __zigbuild --locked --keep-going '--message-format=json-render-diagnostics' \
             --profile small-one --package app@1.2.3 --bin serve --target aarch64-unknown-linux-gnu.2.28 \
             --target armv7-unknown-linux-musleabihf --target-dir /w/target/anyarch"
        ),
        "{line}"
    );
    let c = "-ffile-prefix-map=/w=/src -ffile-prefix-map=/home/me/.cargo=/cargo \
        -ffile-prefix-map=/usr/lib/zig/lib=/zig -ffile-prefix-map=/w/target/anyarch=/target \
        -ffile-prefix-map=/home/me/.cargo/registry/src/index=/cargo/registry";
    for (name, value) in [
        ("CARGO_ZIGBUILD_CACHE_DIR", "/cache/zigbuild".to_owned()),
        ("CARGO_ZIGBUILD_ZIG_COMMAND", "/usr/bin/python3".to_owned()),
        ("CARGO_ZIGBUILD_ZIG_COMMAND_ARGS", "-m ziglang".to_owned()),
        ("CARGO_ZIGBUILD_ZIG_VERSION", "0.17.0".to_owned()),
        ("CARGO_ZIGBUILD_RUSTC_VERSION", "1.95.0".to_owned()),
        ("CARGO_PROFILE_SMALL_ONE_STRIP", "true".to_owned()),
        ("CARGO_BUILD_BUILD_DIR", "/w/target/anyarch".to_owned()),
        (
            "CARGO_TARGET_ARMV7_UNKNOWN_LINUX_MUSLEABIHF_RUSTFLAGS",
            format!("-Clink-self-contained=no {STATIC} {REMAPS}"),
        ),
        ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS", REMAPS.to_owned()),
        ("CFLAGS_aarch64_unknown_linux_gnu", format!("-DKEY=hunter2 {c} -g0")),
        ("CXXFLAGS_aarch64_unknown_linux_gnu", format!("-g1 {c}")),
        ("CXXFLAGS_armv7_unknown_linux_musleabihf", format!("{c} -g0")),
    ] {
        assert_eq!(call.env[name].value(), value, "{name}");
    }
    assert!(!line.contains("hunter2") && line.contains("\"$CFLAGS "), "{line}");
    for name in [
        "CC_aarch64_unknown_linux_gnu",
        "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER",
        "CXXFLAGS_aarch64-unknown-linux-gnu",
    ] {
        assert!(call.env_remove.contains(name), "{name}");
    }
}

#[test]
fn gcc_links_and_compiles_by_its_prefix() {
    let static_gnu = job(vec![target("linux/s390x", None, false)]).invocation(&machine(), &nothing);
    assert_eq!(static_gnu.program, "cargo");
    for (name, value) in [
        ("CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_LINKER", "s390x-linux-gnu-gcc".to_owned()),
        ("CC_s390x_unknown_linux_gnu", "s390x-linux-gnu-gcc".to_owned()),
        ("CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_RUSTFLAGS", format!("-Ctarget-feature=+crt-static {REMAPS}")),
    ] {
        assert_eq!(static_gnu.env[name].value(), value, "{name}");
    }
    assert!(!static_gnu.env.contains_key("CFLAGS_s390x_unknown_linux_gnu"));
}

#[test]
fn the_hosts_own_libraries_are_not_looked_for() {
    let host = |environment: &dyn Fn(&str) -> Option<String>| {
        let call = job(vec![target("linux/amd64", Some("gnu"), true)]).invocation(&machine(), environment);
        call.env.get("PKG_CONFIG_x86_64_unknown_linux_gnu").map(|word| word.value().to_owned())
    };
    assert_eq!(host(&nothing).as_deref(), Some("false"));
    assert_eq!(host(&|name: &str| (name == "PKG_CONFIG_ALLOW_CROSS").then(|| "1".to_owned())), None);
}

#[test]
fn on_a_musl_host_build_scripts_keep_their_own_linker() {
    let mut machine = machine();
    machine.rustc.host = "x86_64-unknown-linux-musl".into();
    let call = job(vec![target("linux/amd64", None, false), target("linux/arm64", None, false)])
        .invocation(&machine, &nothing);
    assert_eq!(call.env["CARGO_TARGET_APPLIES_TO_HOST"].value(), "false");
    let elsewhere = job(vec![target("linux/arm64", None, false)]).invocation(&machine, &nothing);
    assert!(!elsewhere.env.contains_key("CARGO_TARGET_APPLIES_TO_HOST"));
}

#[test]
fn paths_with_spaces_reach_the_compilers_whole() {
    let mut job = job(vec![target("linux/arm64", None, true)]);
    job.workspace_root = "/my work".into();
    let environment = |name: &str| (name == "CFLAGS").then(|| "-DA -DB='x'".to_owned());
    let call = job.invocation(&machine(), &environment);
    assert!(call.env["CARGO_ENCODED_RUSTFLAGS"].value().contains("\u{1f}--remap-path-prefix=/my work=/src\u{1f}"));
    assert_eq!(call.env["CC_SHELL_ESCAPED_FLAGS"].value(), "1");
    let flags = call.env["CFLAGS_aarch64_unknown_linux_musl"].value();
    let words = shlex::split(flags).unwrap();
    assert_eq!(words[..2], ["-DA", "-DB='x'"]);
    assert!(words.contains(&"-ffile-prefix-map=/my work=/src".to_owned()), "{flags}");
}
