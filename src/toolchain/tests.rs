use super::*;
use crate::hint::Hint as _;

fn request(language: Language, platform: &str) -> Request {
    Request { language, platform: platform.parse().unwrap(), libc: None, c: false, row: None, sysroot: false }
}

#[test]
fn the_first_row_that_fits_is_the_row() {
    let rows = Toolchains::built_in().unwrap();
    for (platform, libc, c, row, name, target, static_binary) in [
        ("linux/amd64", None, false, None, "rust-lld", "x86_64-unknown-linux-musl", true),
        ("linux/amd64", None, true, None, "zig", "x86_64-unknown-linux-musl", true),
        ("linux/arm64", Some("gnu"), false, None, "zig", "aarch64-unknown-linux-gnu", false),
        ("linux/arm64", Some("gnu.2.28"), true, None, "zig", "aarch64-unknown-linux-gnu", false),
        ("linux/arm64", Some("gnu"), true, Some("gcc"), "gcc", "aarch64-unknown-linux-gnu", false),
        ("linux/s390x", None, false, None, "gcc", "s390x-unknown-linux-gnu", true),
        ("linux/arm/v6", None, true, None, "zig", "arm-unknown-linux-musleabihf", true),
    ] {
        let request = Request {
            libc: libc.map(|libc| libc.parse().unwrap()),
            c,
            row: row.map(str::to_owned),
            ..request(Language::Rust, platform)
        };
        let chosen = rows.select(&request).unwrap();
        assert_eq!((chosen.name.as_str(), chosen.target.as_deref()), (name, Some(target)), "{request:?}");
        assert_eq!(chosen.static_binary, static_binary, "{request:?}");
    }
}

#[test]
fn go_rows_carry_their_environment() {
    let rows = Toolchains::built_in().unwrap();
    let chosen = rows.select(&request(Language::Go, "linux/arm/v6")).unwrap();
    let env: Vec<String> = chosen.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["CGO_ENABLED=0", "GOARCH=arm", "GOARM=6"]);
}

#[test]
fn what_no_row_does_is_said_with_those_that_would() {
    let rows = Toolchains::built_in().unwrap();
    let on_v6 = Request { row: Some("gcc".into()), ..request(Language::Rust, "linux/arm/v6") };
    let error = rows.select(&on_v6).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no rust toolchain for linux/arm/v6 is called `gcc`: the start files and libraries of arm-linux-gnueabihf are ARMv7, whatever -march says"
    );
    assert_eq!(error.hints()[0], "toolchain = \"rust-lld\"");
    let musl_by_gcc =
        Request { libc: Some(Libc::Musl), row: Some("gcc".into()), ..request(Language::Rust, "linux/amd64") };
    let error = rows.select(&musl_by_gcc).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no rust toolchain for linux/amd64 is called `gcc` and links against musl: `gcc` links against gnu alone"
    );
    for (language, platform, row, libc, why) in [
        (
            Language::C,
            "linux/arm/v6",
            "gcc",
            None,
            "the start files and libraries of arm-linux-gnueabihf are ARMv7, whatever -march says",
        ),
        (Language::C, "linux/loong64", "gcc", None, "there is no GNU cross compiler for it"),
        (
            Language::C,
            "linux/arm64",
            "gcc",
            Some("gnu.2.28"),
            "`gcc` links against the glibc of this machine, whichever version that is",
        ),
        (Language::C, "linux/riscv64", "zig", Some("gnu.2.17"), "the oldest glibc that `zig` has there is 2.27"),
        (Language::Rust, "linux/s390x", "zig", None, "`zig` makes no static binary there"),
        (Language::Rust, "linux/s390x", "zig", Some("musl"), "it has no Rust target for musl"),
    ] {
        let libc: Option<Libc> = libc.map(|libc: &str| libc.parse().unwrap());
        let request = Request { row: Some(row.into()), libc, ..request(language, platform) };
        let said = rows.select(&request).unwrap_err().to_string();
        assert_eq!(said.split_once(": ").map(|(_, why)| why), Some(why), "{request:?}");
    }
    let unknown = Request { row: Some("tcc".into()), ..request(Language::Rust, "linux/amd64") };
    assert_eq!(rows.select(&unknown).unwrap_err().to_string(), "rust has no toolchain called `tcc`");
    let windows = request(Language::Go, "windows/amd64");
    assert_eq!(rows.select(&windows).unwrap_err().to_string(), "go has no toolchain for windows/amd64");
}

#[test]
fn a_users_rows_replace_ours_one_by_one() {
    let text = r#"
        [[platform]]
        platform = "linux/mipsle"
        default = []
        go = { GOARCH = "mipsle", GOMIPS = "softfloat" }
        [[toolchain]]
        name = "go"
        language = "go"
        tools = ["go"]
        env = { CGO_ENABLED = "0", GOEXPERIMENT = "x" }
    "#;
    let rows = Toolchains::built_in().unwrap().overlay("mine.toml", text).unwrap();
    let chosen = rows.select(&request(Language::Go, "linux/mipsle")).unwrap();
    assert_eq!(chosen.origin, "mine.toml");
    assert_eq!(chosen.env["GOMIPS"], "softfloat");
    assert_eq!(chosen.env["GOEXPERIMENT"], "x");
    assert!(!rows.default_platforms(Language::Go).contains(&"linux/mipsle".parse().unwrap()));
}

#[test]
fn rows_that_contradict_themselves_are_refused() {
    let wrong = "[[platform]]\nplatform = \"linux/arm64\"\ndefault = []\nrust = { musl = \"x86_64-unknown-linux-musl\", static = \"musl\" }";
    let error = Toolchains::built_in().unwrap().overlay("mine.toml", wrong).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the row of linux/arm64 in `mine.toml` names the Rust target `x86_64-unknown-linux-musl`, which is for x86_64"
    );
    let unknown = "[[toolchain]]\nname = \"tcc\"\nlanguage = \"rust\"\ntools = [\"tcc\"]";
    let error = Toolchains::built_in().unwrap().overlay("mine.toml", unknown).unwrap_err();
    assert_eq!(error.to_string(), "the toolchain `tcc` of `mine.toml` needs the tool `tcc`, which no row describes");
}

#[test]
fn debians_names_are_those_of_the_architecture() {
    let named: Vec<String> = Toolchains::built_in()
        .unwrap()
        .platforms()
        .iter()
        .filter_map(|row| Some(format!("{} {}", row.platform, row.debian.as_ref()?)))
        .collect();
    assert_eq!(
        named,
        [
            "linux/amd64 amd64",
            "linux/amd64/v2 amd64",
            "linux/amd64/v3 amd64",
            "linux/amd64/v4 amd64",
            "linux/arm64 arm64",
            "linux/arm64/v8.1 arm64",
            "linux/arm64/v8.2 arm64",
            "linux/arm64/v9 arm64",
            "linux/arm/v7 armhf",
            "linux/arm/v5 armel",
            "linux/386 i386",
            "linux/s390x s390x",
            "linux/ppc64le ppc64el",
            "linux/riscv64 riscv64",
            "linux/mips64le mips64el",
            "linux/mipsle mipsel",
        ]
    );
}

#[test]
fn a_row_of_the_users_needs_no_prefix_of_gccs() {
    let text = r#"
        [[toolchain]]
        name = "acme"
        language = "c"
        tools = ["acme-cc"]
        libc = ["musl"]
        static = ["musl"]
        commands = { cc = ["acme-cc"] }
        [[tool]]
        name = "acme-cc"
        commands = [["acme-cc"]]
        version = ["--version"]
        install = { any = "see acme" }
    "#;
    let rows = Toolchains::built_in().unwrap().overlay("mine.toml", text).unwrap();
    let chosen = rows.select(&request(Language::C, "linux/arm/v6")).unwrap();
    assert_eq!((chosen.name.as_str(), chosen.target.as_deref()), ("acme", Some("arm-linux-musleabihf")));
}
