use super::*;
use crate::config::check::language_keys;
use crate::hint::Hint as _;
use crate::toolchain::Language;

fn read(text: &str) -> Result<ConfigFile, ConfigError> {
    load(text, Path::new("anyarch.toml"))
}

/// Each text is refused with exactly these words and hints.
fn refused(cases: &[(&str, &str, &[&str])]) {
    for (text, message, hints) in cases {
        let error = read(text).expect_err(text);
        assert_eq!(
            (error.to_string().as_str(), error.hints()),
            (*message, hints.iter().map(ToString::to_string).collect()),
            "{text}"
        );
    }
}

fn texts(list: &[Spanned<String>]) -> Vec<&str> {
    list.iter().map(|text| text.get_ref().as_str()).collect()
}

const EVERYTHING: &str = r#"
platforms = ["linux/amd64", "linux/aarch64", "host"]
base = "debian:12-slim"
tags = ["registry.example.com/app:{{version}}", "registry.example.com/app:latest"]
repository = "registry.example.com/app"
output = "type=oci,dest=app.tar"
entrypoint = ["/usr/local/bin/app", "--serve"]
cmd = ["--help"]
env = ["A=1", "B=x=y"]
user = "65532:65532"
workdir = "/srv"
ports = [8080, "53/udp"]
volumes = ["/data"]
stop_signal = "SIGINT"
created = 2026-01-31T12:00:00Z
jobs = 4
push = false
push_jobs = 8
insecure_registries = ["registry.local:5000"]
strict_platform = true
skip_missing = true
single_manifest = false
ignore_onbuild = false

[labels]
org.opencontainers.image.title = "App"
"plain" = "x"

[annotations]
"org.opencontainers.image.source" = "https://example.com"

[bases]
"linux/arm/v5" = "debian:12"

[[program]]
package = "./cmd/app"
name = "app"
language = "go"
destination = "/app"
ldflags = ["-s", "-w", "-X main.version={{git.describe}}"]
gcflags = "all=-N"
tags = "netgo"
buildvcs = false
env = { GOAMD64 = "v2", X = "1" }
[program.platform."linux/arm/v7"]
env = { X = "2" }
ldflags = "-s"

[[program]]
package = "tool"
language = "rust"
bin = "tool"
features = ["a", "b"]
all_features = false
no_default_features = true
profile = "dist"
libc = "gnu.2.28"
toolchain = "zig"
c = true
strip = true

[[program]]
name = "helper"
language = "prebuilt"
path = "dist/helper_{{platform.os}}_{{platform.arch}}/helper"
platform."linux/arm/v7".path = "dist/helper_linux_arm_7/helper"

[[file]]
source = "etc/app.conf"
destination = "/etc/app.conf"
mode = "0640"
owner = "0:65532"

[[image]]
name = "app"
programs = ["app", "helper"]
repository = "registry.example.com/own"
env = { B = "own" }
ports = []
[[image.file]]
source = "web"
destination = "/srv/web"
ignored = true
[image.annotations]
"index:a" = "b"
[image.bases]
"linux/arm/v6" = "static"

[[image]]
name = "tool"
programs = "tool"

[[toolchain]]
name = "mine"

[[platform]]
platform = "linux/mips64le"
"#;

#[test]
fn every_key_is_read() {
    let file = read(EVERYTHING).unwrap();
    let platforms = file.platforms.as_ref().unwrap().get_ref();
    let arm64 = "linux/arm64".parse().unwrap();
    assert_eq!(*platforms[1].get_ref(), PlatformWish::One(arm64));
    assert_eq!(*platforms[2].get_ref(), PlatformWish::Host);
    assert_eq!(texts(file.tags.as_ref().unwrap().get_ref()).len(), 2);
    assert_eq!(texts(file.output.as_ref().unwrap().get_ref()), ["type=oci,dest=app.tar"]);
    assert_eq!(texts(file.entrypoint.as_ref().unwrap().get_ref()), ["/usr/local/bin/app", "--serve"]);
    assert_eq!(file.env.0["B"].get_ref(), "x=y");
    assert_eq!(file.labels.0["org.opencontainers.image.title"].get_ref(), "App");
    assert_eq!(file.labels.0["plain"].get_ref(), "x");
    assert_eq!(file.annotations.0["org.opencontainers.image.source"].get_ref(), "https://example.com");
    assert_eq!(
        file.ports.as_ref().unwrap().get_ref().iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["8080/tcp", "53/udp"]
    );
    assert_eq!(*file.created.as_ref().unwrap().get_ref(), Created::At(1_769_860_800));
    assert_eq!(file.jobs.as_ref().unwrap().get_ref().get(), 4);
    assert_eq!(file.push_jobs.as_ref().unwrap().get_ref().get(), 8);
    assert_eq!(file.bases.0[&"linux/arm/v5".parse().unwrap()].get_ref(), "debian:12");
    let entry = file.file[0].get_ref();
    assert_eq!(*entry.mode.as_ref().unwrap().get_ref(), Mode(0o640));
    assert_eq!(*entry.owner.as_ref().unwrap().get_ref(), Owner { uid: 0, gid: 65532 });
    assert_eq!(file.toolchain[0].get_ref()["name"].as_str(), Some("mine"));
    assert_eq!(file.platform.len(), 1);
    assert_eq!(file.image.len(), 2);
    assert!(*file.image[0].get_ref().file[0].get_ref().ignored.as_ref().unwrap().get_ref());
    assert_eq!(
        read("").unwrap(),
        ConfigFile { source: Source::new(Path::new("anyarch.toml"), ""), ..Default::default() }
    );
}

#[test]
fn an_image_lies_over_what_the_file_says_of_every_image() {
    let file = read(EVERYTHING).unwrap();
    let (image, whole) = (file.image[0].get_ref(), file.image_keys());
    assert_eq!(image.name.get_ref().0, "app");
    let keys = image.over(&whole);
    let env: Vec<String> = keys.env.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["A=1", "B=own"]);
    assert_eq!(keys.annotations.0.len(), 2);
    assert_eq!(keys.bases.0.len(), 2);
    assert_eq!(keys.ports.unwrap().get_ref().len(), 0);
    assert_eq!(keys.base, whole.base);
    let files: Vec<&str> = keys.file.iter().map(|file| file.get_ref().source.get_ref().as_str()).collect();
    assert_eq!(files, ["etc/app.conf", "web"]);
    // Tags that are said of every image do not outdo the repository that is said of this one.
    assert_eq!((keys.tags, keys.repository.unwrap().get_ref().as_str()), (None, "registry.example.com/own"));
    let keys = file.image[1].get_ref().over(&whole);
    assert_eq!((keys.tags, keys.repository), (whole.tags, whole.repository));
}

#[test]
fn values_remember_their_place() {
    let file = read(EVERYTHING).unwrap();
    let app = file.program[0].get_ref();
    for (place, expected) in [
        (file.source.place_of(file.base.as_ref().unwrap()), "anyarch.toml:3:8"),
        (file.source.place_of(&file.tags.as_ref().unwrap().get_ref()[1]), "anyarch.toml:4:49"),
        (file.source.place_of(&file.env.0["B"]), "anyarch.toml:9:15"),
        (file.source.place_of(&file.output.as_ref().unwrap().get_ref()[0]), "anyarch.toml:6:10"),
        (file.source.place_of(&file.program[0]), "anyarch.toml:35:1"),
        (file.source.place_of(&app.ldflags.as_ref().unwrap().get_ref()[2]), "anyarch.toml:40:24"),
    ] {
        assert_eq!(place.to_string(), expected);
    }
}

#[test]
fn settings_for_one_platform_lie_over_those_for_all() {
    let file = read(EVERYTHING).unwrap();
    let app = file.program[0].get_ref();
    let arm = app.settings_for("linux/arm/v7".parse().unwrap());
    assert_eq!(texts(arm.ldflags.as_ref().unwrap().get_ref()), ["-s"]);
    assert_eq!(texts(arm.gcflags.as_ref().unwrap().get_ref()), ["all=-N"]);
    let env = arm.env.unwrap().into_inner().0;
    assert_eq!(env.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(), ["GOAMD64=v2", "X=2"]);
    assert_eq!(app.settings_for("linux/amd64".parse().unwrap()), app.settings());
    let helper = file.program[2].get_ref();
    let path = |platform: &str| helper.settings_for(platform.parse().unwrap()).path.unwrap().into_inner();
    assert_eq!(path("linux/arm/v7"), "dist/helper_linux_arm_7/helper");
    assert_eq!(path("linux/arm/v6"), "dist/helper_{{platform.os}}_{{platform.arch}}/helper");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_taken() {
    let file = read("\u{feff}base = \"a\"\r\nuser = \"0\"\r\n").unwrap();
    assert_eq!(file.source.place_of(&file.user.unwrap()).to_string(), "anyarch.toml:2:8");
    refused(&[("\u{feff}bsae = \"a\"\r\n", "unknown key `bsae` in anyarch.toml:1:1", &["did you mean `base`?"])]);
}

#[test]
fn what_is_not_toml_says_where() {
    refused(&[
        ("base = \n", "anyarch.toml:1:8 is not TOML: string values must be quoted, expected literal string", &[]),
        ("base = debian\n", "anyarch.toml:1:8 is not TOML: string values must be quoted, expected literal string", &[]),
        ("base = \"x\"\n\n[[program\n", "anyarch.toml:3:10 is not TOML: unclosed array table, expected `]]`", &[]),
        ("base = \"x\"\nbase = \"y\"\n", "anyarch.toml:2:1 is not TOML: duplicate key", &[]),
    ]);
}

#[test]
fn an_unknown_key_names_the_nearest_that_is_known() {
    refused(&[
        ("platfroms = \"all\"\n", "unknown key `platfroms` in anyarch.toml:1:1", &["did you mean `platforms`?"]),
        ("[[program]]\nldflag = \"-s\"\n", "unknown key `ldflag` in anyarch.toml:2:1", &["did you mean `ldflags`?"]),
        (
            "[[program]]\n[program.platform.\"linux/386\"]\nlddflags = \"\"\n",
            "unknown key `lddflags` in anyarch.toml:3:1",
            &["did you mean `ldflags`?"],
        ),
        (
            "[[program]]\n[program.platform.\"linux/386\"]\nlanguage = \"go\"\n",
            "unknown key `language` in anyarch.toml:3:1",
            &[
                "known keys here: ldflags, gcflags, tags, buildvcs, cgo, env, features, all_features, no_default_features, \
              profile, build_std, libc, toolchain, sysroot, build, target, args, command, output, install, cflags, libs, \
              c, strip, path",
            ],
        ),
        (
            "[[program]]\nname = \"x\"\nentrypoint = [\"/x\"]\n",
            "unknown key `entrypoint` in anyarch.toml:3:1",
            &["`entrypoint` is a key of the whole file: write it above the first [table]"],
        ),
        (
            "[[file]]\nsource = \"a\"\ndestination = \"/a\"\nuid = 3\n",
            "unknown key `uid` in anyarch.toml:4:1",
            &["known keys here: source, destination, mode, owner, ignored"],
        ),
        (
            "[[file]]\n\"od`d, expected `\" = 3\n",
            "unknown key `od`d, expected `` in anyarch.toml:2:1",
            &["known keys here: source, destination, mode, owner, ignored"],
        ),
    ]);
}

#[test]
fn a_value_of_another_type_says_what_it_should_be() {
    refused(&[
        ("base = 3\n", "`base` in anyarch.toml:1:8 should be a string, not `3`", &["base = \"3\""]),
        (
            "base = 2026-01-31\n",
            "`base` in anyarch.toml:1:8 should be a string, not `2026-01-31`",
            &["base = \"2026-01-31\""],
        ),
        ("base = [\"a\"]\n", "`base` in anyarch.toml:1:8 should be a string, not a list", &[]),
        ("tags = [\n  \"a\",\n  5,\n]\n", "`tags` in anyarch.toml:3:3 should be a string, not `5`", &["tags = \"5\""]),
        (
            "tags = true\n",
            "`tags` in anyarch.toml:1:8 should be a string or a list of strings, not `true`",
            &["tags = \"true\""],
        ),
        (
            "entrypoint = \"/app --serve\"\n",
            "`entrypoint` in anyarch.toml:1:14 should be a list, not `\"/app --serve\"`",
            &["entrypoint = [\"/app --serve\"]"],
        ),
        ("push = \"true\"\n", "`push` in anyarch.toml:1:8 should be true or false, not `\"true\"`", &["push = true"]),
        ("jobs = 0\n", "`jobs` in anyarch.toml:1:8 should be a whole number from 1 to 4294967295, not `0`", &[]),
        (
            "push_jobs = 0\n",
            "`push_jobs` in anyarch.toml:1:13 should be a whole number from 1 to 4294967295, not `0`",
            &[],
        ),
        ("jobs = 1.5\n", "`jobs` in anyarch.toml:1:8 should be a whole number from 1 to 4294967295, not `1.5`", &[]),
        ("[env]\nPORT = 8080\n", "`PORT` in anyarch.toml:2:8 should be a string, not `8080`", &["PORT = \"8080\""]),
        ("env = \"A=1\"\n", "`env` in anyarch.toml:1:7 should be a table or a list of NAME=value, not `\"A=1\"`", &[]),
        ("[program]\nname = \"x\"\n", "`program` in anyarch.toml:1:1 should be a list, not a table", &["[[program]]"]),
        (
            "platform = \"linux/amd64\"\n",
            "`platform` in anyarch.toml:1:12 should be a list, not `\"linux/amd64\"`",
            &["platforms = [\"linux/amd64\"]"],
        ),
        (
            "[[file]]\nsource = \"a\"\ndestination = \"/a\"\nmode = 644\n",
            "`mode` in anyarch.toml:4:8 should be a string of octal digits, not `644`",
            &["mode = \"0644\""],
        ),
        (
            "[[file]]\nsource = \"a\"\ndestination = \"/a\"\nmode = 0o755\n",
            "`mode` in anyarch.toml:4:8 should be a string of octal digits, not `0o755`",
            &["mode = \"0755\""],
        ),
        (
            "bases = \"x\"\n",
            "`bases` in anyarch.toml:1:9 should be a table with platforms as its keys, not `\"x\"`",
            &[],
        ),
        ("[labels]\na.b = 1\n", "`b` in anyarch.toml:2:7 should be a string, not `1`", &["b = \"1\""]),
        (
            "ports = [true]\n",
            "`ports` in anyarch.toml:1:10 should be a port such as 8080 or \"53/udp\", not `true`",
            &[],
        ),
    ]);
}

#[test]
fn a_value_that_its_key_cannot_take_says_why() {
    refused(&[
        (
            "platforms = [\"linux/amd64\", \"linux/amd46\"]\n",
            "`platforms` in anyarch.toml:1:29: `linux/amd46` is not a platform: the architecture `amd46` is unknown",
            &["did you mean `linux/amd64`?"],
        ),
        ("platforms = []\n", "`platforms` in anyarch.toml:1:13: it is empty", &[]),
        (
            "[bases]\n\"linux/arm64\" = \"a\"\n\"linux/aarch64\" = \"b\"\n",
            "`linux/arm64` in anyarch.toml:2:1: the platform `linux/arm64` is there twice",
            &[],
        ),
        (
            "[bases]\nlinux = \"a\"\n",
            "`linux` in anyarch.toml:2:1: `linux` names an operating system but no architecture",
            &["did you mean `linux/amd64`?"],
        ),
        (
            "[[program]]\n[program.platform.\"linux/arm/v9\"]\nldflags = \"\"\n",
            "`linux/arm/v9` in anyarch.toml:2:19: `linux/arm/v9` is not a platform: arm has no variant `v9`",
            &["arm has v5, v6, v7, v8"],
        ),
        ("base = \"\"\n", "`base` in anyarch.toml:1:8: it is empty", &[]),
        ("tags = [\"a\", \"\"]\n", "`tags` in anyarch.toml:1:14: it is empty", &[]),
        (
            "env = [\"A=1\", \"B\"]\n",
            "`env` in anyarch.toml:1:15: `B` is not an assignment: it should read NAME=value",
            &[],
        ),
        ("env = [\"A=1\", \"A=2\"]\n", "`env` in anyarch.toml:1:7: `A` is there twice", &[]),
        ("[env]\n\"A=B\" = \"1\"\n", "`env` in anyarch.toml:1:1: `A=B` is not a variable's name", &[]),
        ("[labels]\na.b = \"1\"\n\"a.b\" = \"2\"\n", "`labels` in anyarch.toml:1:1: `a.b` is there twice", &[]),
        (
            "ports = [\"80\", 70000]\n",
            "`ports` in anyarch.toml:1:16: `70000` is not a port: it should read 1 to 65535, or that with /tcp, /udp or /sctp",
            &["ports = [\"8080/tcp\"]"],
        ),
        (
            "workdir = \"srv\"\n",
            "`workdir` in anyarch.toml:1:11: `srv` is not a path in the image: it should start with `/`",
            &["did you mean `/srv`?"],
        ),
        (
            "volumes = \"data\"\n",
            "`volumes` in anyarch.toml:1:11: `data` is not a path in the image: it should start with `/`",
            &["did you mean `/data`?"],
        ),
        (
            "stop_signal = \"TERM\"\n",
            "`stop_signal` in anyarch.toml:1:15: `TERM` is not a signal: it should read as SIGTERM does, or be a number",
            &["stop_signal = \"SIGTERM\""],
        ),
        (
            "created = 2026-01-31\n",
            "`created` in anyarch.toml:1:11: `2026-01-31` is not a time: it should read commit, or a date and time with \
             an offset (RFC 3339)",
            &["created = \"2026-01-31T12:00:00Z\""],
        ),
        (
            "[[program]]\nlibc = \"glibc\"\n",
            "`libc` in anyarch.toml:2:8: `glibc` is not a libc: it should read auto, static, musl, gnu, or gnu with a version such as \
             gnu.2.28",
            &["libc = \"gnu.2.28\""],
        ),
        (
            "[[program]]\nlanguage = \"rsut\"\n",
            "`language` in anyarch.toml:2:12: `rsut` is not a language",
            &["did you mean `rust`?"],
        ),
        (
            "[[program]]\nbuild = \"bazel\"\n",
            "`build` in anyarch.toml:2:9: `bazel` is not a build system",
            &["known build systems: plain, cmake, make, configure, meson"],
        ),
        (
            "[[program]]\nname = \"a\\nb/c\"\n",
            "`name` in anyarch.toml:2:8: `a\\nb/c` is not a program's name: it should be a single part of a path",
            &[],
        ),
        (
            "[[program]]\ndestination = \"bin/app\"\n",
            "`destination` in anyarch.toml:2:15: `bin/app` is not a path in the image: it should start with `/`",
            &["did you mean `/bin/app`?"],
        ),
        (
            "[[file]]\nsource = \"a\"\ndestination = \"/etc/\"\n",
            "`destination` in anyarch.toml:3:15: `/etc/` is not a file's path in the image: it should have no `.`, `..` \
             or empty part",
            &[],
        ),
        (
            "[[file]]\nsource = \"a\"\ndestination = \"/a\"\nowner = \"root\"\n",
            "`owner` in anyarch.toml:4:9: `root` is not an owner: it should read uid:gid, two numbers",
            &["owner = \"65532:65532\""],
        ),
    ]);
}

#[test]
fn images_must_fit_each_other() {
    refused(&[
        (
            "[[image]]\nname = \"a\"\n[[image]]\nname = \"a\"\n",
            "two images are called `a`: anyarch.toml:2:8 and anyarch.toml:4:8",
            &["name = \"a-2\""],
        ),
        ("[[image]]\nprograms = [\"a\"]\n", "`image` in anyarch.toml:1:1 has no `name`", &["name = \"app\""]),
        (
            "[[image]]\nname = \"a/b\"\n",
            "`name` in anyarch.toml:2:8: `a/b` is not an image's name: it should be a single part of a path",
            &[],
        ),
        (
            "[[image]]\nname = \"a\"\nprograms = []\n",
            "the image `a` in anyarch.toml:1:1 has neither a program nor a file",
            &["leave `programs` out: the image takes every program then"],
        ),
        (
            "[[image]]\nname = \"a\"\nprograms = [\"x\", \"y\", \"x\"]\n",
            "`programs` in anyarch.toml:3:23: `x` is there twice",
            &[],
        ),
        (
            "one_image = true\n[[image]]\nname = \"a\"\n",
            "`one_image` in anyarch.toml:1:13 and `image` in anyarch.toml:2:1 exclude each other",
            &[],
        ),
        (
            "[[image]]\nname = \"a\"\nprogram = \"x\"\n",
            "unknown key `program` in anyarch.toml:3:1",
            &["did you mean `programs`?"],
        ),
        (
            "[[image]]\nname = \"a\"\njobs = 2\n",
            "unknown key `jobs` in anyarch.toml:3:1",
            &["`jobs` is a key of the whole file: write it above the first [table]"],
        ),
        (
            "[[image]]\nname = \"a\"\nworkdir = \"srv\"\n",
            "`workdir` in anyarch.toml:3:11: `srv` is not a path in the image: it should start with `/`",
            &["did you mean `/srv`?"],
        ),
        (
            "[[file]]\nsource = \"a\"\ndestination = \"/x\"\n[[image]]\nname = \"a\"\n[[image.file]]\nsource = \
             \"b\"\ndestination = \"/x\"\n",
            "two sources for `/x`: anyarch.toml:3:15 and anyarch.toml:8:15",
            &["give one of them another `destination`"],
        ),
        (
            "[annotations]\n\"indx:a\" = \"b\"\n",
            "`annotations` in anyarch.toml:2:12: `indx` in the annotation `indx:a` is nothing that anyarch annotates",
            &[
                "known prefixes: index, manifest, manifest-descriptor, manifest[linux/arm64]",
                "a key that holds a colon: index,manifest:indx:a",
            ],
        ),
    ]);
    // The programs of two images may go to one path.
    let text = "[[image]]\nname = \"a\"\n[[program]]\ndestination = \"/x\"\n[[program]]\ndestination = \"/x\"\n";
    assert_eq!(read(text).unwrap().program.len(), 2);
}

#[test]
fn keys_must_fit_each_other() {
    refused(&[
        (
            "[[file]]\nsource = \"a\"\n",
            "`file` in anyarch.toml:1:1 has no `destination`",
            &["destination = \"/etc/app.conf\""],
        ),
        (
            "file = [{ destination = \"/a\" }]\n",
            "`file` in anyarch.toml:1:9 has no `source`",
            &["source = \"etc/app.conf\""],
        ),
        (
            "[[program]]\nlanguage = \"prebuilt\"\n",
            "`program` in anyarch.toml:1:1 has no `path`",
            &["path = \"dist/{{platform.os}}_{{platform.arch}}/NAME\""],
        ),
        (
            "[[program]]\nlanguage = \"rust\"\nldflags = \"-s\"\n",
            "`ldflags` in anyarch.toml:3:11 is a key of go and c programs, and this one's language is rust",
            &["language = \"go\"", "language = \"c\""],
        ),
        (
            "[[program]]\nlanguage = \"go\"\n[program.platform.\"linux/386\"]\nprofile = \"x\"\n",
            "`profile` in anyarch.toml:4:11 is a key of rust programs, and this one's language is go",
            &["language = \"rust\""],
        ),
        (
            "[[program]]\nlanguage = \"prebuilt\"\npath = \"a\"\nenv = { A = \"1\" }\n",
            "`env` in anyarch.toml:4:7 is a key of go, rust, c and command programs, and this one's language is prebuilt",
            &["leave `env` out: a prebuilt program is taken as it is"],
        ),
        (
            "[[program]]\nbins = true\nbin = \"a\"\n",
            "`bin` in anyarch.toml:3:7 and `bins` in anyarch.toml:2:8 exclude each other",
            &[],
        ),
        (
            "[[file]]\nsource = \"a\"\ndestination = \"/x\"\n[[file]]\nsource = \"b\"\ndestination = \"/x\"\n",
            "two sources for `/x`: anyarch.toml:3:15 and anyarch.toml:6:15",
            &["give one of them another `destination`"],
        ),
        (
            "[[program]]\nname = \"x\"\n[[file]]\nsource = \"b\"\ndestination = \"/usr/local/bin/x\"\n",
            "two sources for `/usr/local/bin/x`: anyarch.toml:2:8 and anyarch.toml:5:15",
            &["give one of them another `destination`"],
        ),
        (
            "[[program]]\nname = \"x\"\n[[program]]\nname = \"x\"\n",
            "two sources for `/usr/local/bin/x`: anyarch.toml:2:8 and anyarch.toml:4:8",
            &["give one of them another `destination`"],
        ),
    ]);
}

#[test]
fn programs_of_different_images_may_go_to_one_path() {
    let text = "one_image = false\n[[program]]\ndestination = \"/app\"\n[[program]]\ndestination = \"/app\"\n";
    assert_eq!(read(text).unwrap().program.len(), 2);
}

#[test]
fn the_keys_of_a_language_that_was_found_elsewhere_are_checked_too() {
    let file = read("[[program]]\nname = \"x\"\nldflags = \"-s\"\n").unwrap();
    assert_eq!(language_keys(&file.source, &file.program[0], Language::Go), Ok(()));
    assert_eq!(
        language_keys(&file.source, &file.program[0], Language::Rust).unwrap_err().to_string(),
        "`ldflags` in anyarch.toml:3:11 is a key of go and c programs, and this one's language is rust"
    );
}

#[test]
fn templates_are_held_to_nothing_before_they_are_rendered() {
    let text = "workdir = \"{{env.X}}\"\n[[program]]\ndestination = \"{{env.X}}/app\"\nlanguage = \"go\"\n";
    assert_eq!(read(text).unwrap().workdir.unwrap().get_ref(), "{{env.X}}");
}

#[test]
fn whatever_is_broken_off_or_changed_is_read_or_refused_at_a_place() {
    let lines = EVERYTHING.lines().count();
    let held = |text: &str| {
        if let Err(error) = read(text) {
            let (message, hints) = (error.to_string(), error.hints());
            let place = message.split("anyarch.toml:").nth(1).expect(&message);
            let line: usize = place.split(':').next().unwrap().parse().expect(&message);
            assert!((1..=lines + 1).contains(&line), "{message}");
            assert!(hints.iter().all(|hint| !hint.contains('\n')), "{hints:?}");
        }
    };
    for at in 0..EVERYTHING.len() {
        held(&EVERYTHING[..at]);
        for with in ["", "\"", "=", "[", "]", "{", "\n", "3", "é", "\u{0}"] {
            held(&format!("{}{with}{}", &EVERYTHING[..at], &EVERYTHING[at + 1..]));
        }
    }
}
