use std::path::Path;

use super::*;
use crate::hint::Hint as _;
use crate::toolchain::Toolchains;

fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

fn program(name: &str) -> ProgramInput {
    let package = GoPackage {
        import_path: format!("m/cmd/{name}"),
        directory: format!("/src/cmd/{name}").into(),
        module: "m".into(),
        module_directory: "/src".into(),
    };
    ProgramInput {
        name: name.into(),
        destination: format!("/usr/local/bin/{name}"),
        source: Source::Go { package, settings: Box::default() },
        libc: None,
    }
}

fn offer(platforms: &[&str]) -> Arc<BaseOffer> {
    let images = platforms.iter().map(|text| BaseImage::scratch(platform(text))).collect();
    let platforms = platforms.iter().map(|text| platform(text)).collect();
    Arc::new(BaseOffer { name: "debian:12".into(), digest: None, platforms, images, any: None })
}

fn image(name: &str, platforms: &[&str], base: &Arc<BaseOffer>, programs: &[&str]) -> ImageInput {
    let units = platforms.iter().map(|text| UnitInput {
        platform: platform(text),
        programs: programs.iter().map(|name| program(name)).collect(),
        base: base.clone(),
    });
    ImageInput {
        name: name.into(),
        settings: ImageSettings::default(),
        shown: ImageSettings::default(),
        files: Vec::new(),
        units: units.collect(),
    }
}

fn make(images: Vec<ImageInput>, options: Options) -> Result<Plan, PlanError> {
    let context = Context { machine: None, environment: &|_| None, found: &|_| None };
    super::make(&Toolchains::built_in().unwrap(), Path::new("/src/.anyarch/build"), &context, images, options)
}

#[test]
fn one_call_a_platform_makes_the_programs_of_all_images() {
    let base = offer(&["linux/amd64", "linux/arm64"]);
    let both = ["linux/amd64", "linux/arm64"];
    let plan =
        make(vec![image("app", &both, &base, &["app"]), image("tool", &both, &base, &["tool"])], Options::default())
            .unwrap();
    assert_eq!(plan.jobs.len(), 2);
    assert_eq!(
        plan.jobs[1].steps[0].line,
        "CGO_ENABLED=0 GOARCH=arm64 GOARM64=v8.0 GOOS=linux go build -trimpath -o /src/.anyarch/build/linux_arm64/ ./cmd/app ./cmd/tool"
    );
    let jobs: Vec<_> = plan.images.iter().flat_map(|image| &image.units).map(|unit| unit.programs[0].job).collect();
    assert_eq!(jobs, [Some(0), Some(1), Some(0), Some(1)]);
    assert_eq!(plan.images[1].units[1].programs[0].binary, Path::new("/src/.anyarch/build/linux_arm64/tool"));
}

#[test]
fn platforms_are_a_contract() {
    let base = offer(&["linux/amd64", "linux/arm64"]);
    let wanted = ["linux/amd64", "linux/riscv64", "windows/amd64"];
    let error = make(vec![image("app", &wanted, &base, &["app"])], Options::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot build for 2 platforms:\n  linux/riscv64: the base `debian:12` lacks it; it offers linux/amd64, linux/arm64\n  windows/amd64: go has no toolchain for windows/amd64"
    );
    assert_eq!(error.hints().last().unwrap(), "--skip-missing");
    assert!(error.hints().contains(&"--platform linux/amd64".to_owned()));
    let plan = make(vec![image("app", &wanted, &base, &["app"])], Options { skip_missing: true, ..Options::default() })
        .unwrap();
    assert_eq!(plan.images[0].units.len(), 1);
    assert_eq!(plan.skipped.len(), 2);
    let nothing = image("app", &["linux/riscv64"], &base, &["app"]);
    let error = make(vec![nothing], Options { skip_missing: true, ..Options::default() }).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no platform is left to build `app` for\n  linux/riscv64: the base `debian:12` lacks it; it offers linux/amd64, linux/arm64"
    );
    assert_eq!(error.hints(), ["--platform linux/amd64,linux/arm64"]);
}

#[test]
fn a_lower_variant_serves_and_is_said() {
    let base = offer(&["linux/arm/v6"]);
    let plan = make(vec![image("app", &["linux/arm/v7"], &base, &["app"])], Options::default()).unwrap();
    let choice = &plan.images[0].units[0].base;
    assert_eq!(
        choice.note.as_deref(),
        Some("the base `debian:12` has no linux/arm/v7; its linux/arm/v6 is the nearest lower variant")
    );
    let strict = Options { strict_platform: true, ..Options::default() };
    assert!(make(vec![image("app", &["linux/arm/v7"], &base, &["app"])], strict).is_err());
}

#[test]
fn names_do_not_collide_silently() {
    let base = offer(&["linux/amd64"]);
    let twice = image("app", &["linux/amd64", "linux/x86_64"], &base, &["app"]);
    assert_eq!(
        make(vec![twice], Options::default()).unwrap_err().to_string(),
        "the platform linux/amd64 is asked for twice"
    );
    let mut same = image("app", &["linux/amd64"], &base, &["app", "tool"]);
    same.units[0].programs[1].destination = "/usr/local/bin/app".into();
    assert_eq!(
        make(vec![same], Options::default()).unwrap_err().to_string(),
        "the image `app` has two things at `/usr/local/bin/app`"
    );
    let mut renamed = image("app", &["linux/amd64"], &base, &["app", "tool"]);
    renamed.units[0].programs[1].name = "app".into();
    assert_eq!(
        make(vec![renamed], Options::default()).unwrap_err().to_string(),
        "two programs are called `app`: m/cmd/app and m/cmd/tool"
    );
}

fn machine(host: &str) -> Machine {
    Machine {
        rustc: crate::cargo::Rustc {
            host: host.into(),
            release: "1.95.0".into(),
            commit: None,
            sysroot: "/rust".into(),
        },
        cargo_home: "/home/me/.cargo".into(),
        anyarch: "/usr/bin/anyarch".into(),
        nightlies: std::collections::BTreeMap::new(),
        zig: Some(crate::cargo::Zig {
            command: vec!["/usr/bin/zig".into()],
            version: "0.17.0".into(),
            library: None,
            cache: "/cache/zigbuild".into(),
        }),
    }
}

fn rust_program(c: bool) -> ProgramInput {
    let program = RustProgram {
        binary: crate::cargo::Binary {
            package_id: "path+file:///w#app@1.0.0".into(),
            package: "app".into(),
            version: "1.0.0".into(),
            manifest: "/w/Cargo.toml".into(),
            name: "app".into(),
        },
        workspace_root: "/w".into(),
        target_directory: "/w/target".into(),
        has_own_build_directory: false,
        sources: Vec::new(),
        features: crate::cargo::Features::default(),
        profile: "release".into(),
        build_std: None,
        strip: None,
        libc: None,
        row: None,
        c: c.then(|| "app -> libz-sys -> cc".to_owned()),
        flags: crate::cargo::UserFlags::default(),
        sysroot: None,
        env: std::collections::BTreeMap::new(),
    };
    ProgramInput {
        name: "app".into(),
        destination: "/usr/local/bin/app".into(),
        source: Source::Rust(Box::new(program)),
        libc: None,
    }
}

fn rust_plan(host: &str, platforms: &[&str], c: impl Fn(&str) -> bool) -> Plan {
    let base = offer(platforms);
    let units = platforms.iter().map(|text| UnitInput {
        platform: platform(text),
        programs: vec![rust_program(c(text))],
        base: base.clone(),
    });
    let settings = ImageSettings::default();
    let image =
        ImageInput { name: "app".into(), shown: settings.clone(), settings, files: Vec::new(), units: units.collect() };
    let context = Context { machine: Some(machine(host)), environment: &|_| None, found: &|_| None };
    let toolchains = Toolchains::built_in().unwrap();
    super::make(&toolchains, Path::new("/w/.anyarch/build"), &context, vec![image], Options::default()).unwrap()
}

#[test]
fn an_arm64_machine_plans_what_an_amd64_machine_does() {
    let platforms = ["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/386", "linux/s390x"];
    let only_64_bit_has_c = |platform: &str| platform.ends_with("64");
    let here = rust_plan("x86_64-unknown-linux-gnu", &platforms, only_64_bit_has_c);
    let there = rust_plan("aarch64-unknown-linux-gnu", &platforms, only_64_bit_has_c);
    let lines = |plan: &Plan| plan.jobs.iter().map(|job| job.steps[0].line.clone()).collect::<Vec<_>>();
    assert_eq!(lines(&here), lines(&there));
    let jobs: Vec<(Vec<String>, Vec<String>)> = there
        .jobs
        .iter()
        .map(|job| (job.targets.clone(), job.tools.iter().map(|tool| tool.name.clone()).collect()))
        .collect();
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        jobs,
        [
            (texts(&["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"]), texts(&["cargo", "zig"])),
            (
                texts(&["armv7-unknown-linux-musleabihf", "i686-unknown-linux-musl", "s390x-unknown-linux-gnu"]),
                texts(&["cargo", "gcc"])
            ),
        ]
    );
    let unit = &there.images[0].units[2];
    assert_eq!(unit.programs[0].toolchain.as_ref().unwrap().name, "rust-lld");
    assert_eq!(unit.programs[0].binary, Path::new("/w/target/anyarch/armv7-unknown-linux-musleabihf/release/app"));
}

#[test]
fn two_platforms_of_one_rust_target_build_in_folders_of_their_own() {
    let plan = rust_plan("x86_64-unknown-linux-gnu", &["linux/amd64", "linux/amd64/v3"], |_| false);
    let binaries: Vec<_> = plan.images[0].units.iter().map(|unit| unit.programs[0].binary.clone()).collect();
    assert_eq!(
        binaries,
        [
            Path::new("/w/target/anyarch/x86_64-unknown-linux-musl/release/app"),
            Path::new("/w/target/anyarch/linux_amd64_v3/x86_64-unknown-linux-musl/release/app"),
        ]
    );
    assert!(plan.jobs[1].steps[0].line.contains("-Ctarget-cpu=x86-64-v3"), "{}", plan.jobs[1].steps[0].line);
}

#[test]
fn programs_of_one_workspace_that_are_linked_otherwise_are_built_apart() {
    let first = rust_program(false);
    let mut other = rust_program(false);
    other.name = "tool".into();
    other.destination = "/usr/local/bin/tool".into();
    if let Source::Rust(program) = &mut other.source {
        program.binary.name = "tool".into();
        program.libc = Some("gnu.2.28".parse().unwrap());
    }
    let mut third = other.clone();
    third.name = "extra".into();
    third.destination = "/usr/local/bin/extra".into();
    if let Source::Rust(program) = &mut third.source {
        program.binary.name = "extra".into();
        program.libc = Some("gnu".parse().unwrap());
    }
    let unit = UnitInput {
        platform: platform("linux/arm64"),
        programs: vec![first, other, third],
        base: offer(&["linux/arm64"]),
    };
    let settings = ImageSettings::default();
    let image =
        ImageInput { name: "app".into(), shown: settings.clone(), settings, files: Vec::new(), units: vec![unit] };
    let context =
        Context { machine: Some(machine("x86_64-unknown-linux-gnu")), environment: &|_| None, found: &|_| None };
    let toolchains = Toolchains::built_in().unwrap();
    let plan =
        super::make(&toolchains, Path::new("/w/.anyarch/build"), &context, vec![image], Options::default()).unwrap();
    let binaries: Vec<_> = plan.images[0].units[0].programs.iter().map(|program| program.binary.clone()).collect();
    assert_eq!(
        binaries,
        [
            Path::new("/w/target/anyarch/aarch64-unknown-linux-musl/release/app"),
            Path::new("/w/target/anyarch/aarch64-unknown-linux-gnu/release/tool"),
            Path::new("/w/target/anyarch/extra/aarch64-unknown-linux-gnu/release/extra"),
        ]
    );
    assert_eq!(plan.jobs.len(), 3);
}

fn on(libc: AutoLibc, base: &Arc<BaseOffer>, platform_name: &str) -> ImageInput {
    let program = ProgramInput { libc: Some(libc), ..c_program() };
    let unit = UnitInput { platform: platform(platform_name), programs: vec![program], base: base.clone() };
    ImageInput { units: vec![unit], ..image("app", &[], base, &[]) }
}

fn c_program() -> ProgramInput {
    let c = crate::c_program::CProgram {
        name: "app".into(),
        directory: "/src".into(),
        build: crate::c_program::BuildSystem::Plain,
        sources: vec!["app.c".into()],
        target: None,
        args: Vec::new(),
        output: None,
        install: false,
        configure_options: Vec::new(),
        settings: crate::c_program::CSettings::default(),
    };
    ProgramInput { source: Source::C(Box::new(c)), ..program("app") }
}

#[test]
fn what_was_not_read_leaves_its_program_open_and_the_rest_whole() {
    let base = offer(&["linux/arm64"]);
    let unread = on(AutoLibc::Unread { base: "debian:12".into() }, &base, "linux/arm64");
    let other = image("tool", &["linux/arm64"], &base, &["tool"]);
    let plan = make(vec![unread, other], Options::default()).unwrap();
    assert_eq!(plan.jobs.len(), 1);
    let open = &plan.images[0].units[0].programs[0];
    assert_eq!((open.job, &open.toolchain, open.binary.as_os_str().is_empty()), (None, &None, true));
    let libc = open.libc.as_ref().unwrap();
    assert_eq!(libc.shown(), "libc = auto (base debian:12 not read yet)");
    assert_eq!(
        serde_json::to_string(libc).unwrap(),
        r#"{"asked":"auto","chosen":null,"static":null,"because":"base debian:12 not read yet"}"#
    );
    // zig in any case.
    let [undecided] = plan.undecided.as_slice() else { panic!("{:?}", plan.undecided) };
    let tools: Vec<&str> = undecided.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!((tools, undecided.whole), (vec!["zig"], true));
    assert_eq!(plan.images[1].units[0].programs[0].job, Some(0));
}

#[test]
fn an_open_program_may_stand_where_only_a_static_one_can() {
    let unread = |base| on(AutoLibc::Unread { base: "b".into() }, &base, "linux/arm/v7");
    let plan = make(vec![unread(offer(&["linux/arm/v5"]))], Options::default()).unwrap();
    assert_eq!(plan.images[0].units[0].base.platform, platform("linux/arm/v5"));
    assert!(make(vec![unread(offer(&["linux/amd64"]))], Options::default()).is_err());
}

#[test]
fn a_libc_that_cannot_be_is_a_missing_platform() {
    let unfit = UnfitLibc::NoVersion { base: "odd".into() };
    let base = offer(&["linux/arm64"]);
    let error = make(vec![on(AutoLibc::Unfit(unfit), &base, "linux/arm64")], Options::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot build for linux/arm64: the base `odd` has the loader of a glibc, and no `libc.so.6` that says its version"
    );
    assert_eq!(error.hints(), ["libc = \"static\"", "libc = \"gnu\""]);
}

#[test]
fn the_plan_says_what_auto_came_to() {
    let because = "base debian:11 has glibc 2.31".to_owned();
    let chosen = AutoLibc::Chosen { libc: Some("gnu.2.31".parse().unwrap()), because };
    let mut input = on(chosen, &offer(&["linux/arm64"]), "linux/arm64");
    if let Source::C(program) = &mut input.units[0].programs[0].source {
        program.settings.libc = Some("gnu.2.31".parse().unwrap());
    }
    let plan = make(vec![input], Options::default()).unwrap();
    let libc = plan.images[0].units[0].programs[0].libc.as_ref().unwrap();
    assert_eq!(libc.shown(), "libc = auto: gnu.2.31 (base debian:11 has glibc 2.31)");
    let fixed = AutoLibc::Chosen { libc: None, because: "base alpine:3 has musl 1.2.5".into() };
    let plan = make(vec![on(fixed, &offer(&["linux/arm64"]), "linux/arm64")], Options::default()).unwrap();
    let libc = plan.images[0].units[0].programs[0].libc.as_ref().unwrap();
    assert_eq!(libc.shown(), "libc = auto: musl, static (base alpine:3 has musl 1.2.5)");
}
