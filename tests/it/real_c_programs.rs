//! C programs of others, as their authors released them, and a Go program with a database in C: built by zig and by gcc,
//! static over `static` and dynamic over Debian, and started on each platform.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use crate::support::bases::{self, Release};
use crate::support::debian_sources;
use crate::support::process;
use crate::support::project::Project;
use crate::support::publish::{self, GO_PLATFORMS, push};
use crate::support::registry::{Options, Registry};
use crate::support::start::Unpacked;

/// The newest release whose glibc every compiler here can link for.
const GLIBC: &str = "gnu.2.36";
/// GNU cross compilers by platform. For arm/v6 there is none.
const GCC: &[(&str, &str)] = &[
    ("linux/amd64", "x86_64-linux-gnu"),
    ("linux/arm64", "aarch64-linux-gnu"),
    ("linux/arm/v7", "arm-linux-gnueabihf"),
    ("linux/386", "i686-linux-gnu"),
    ("linux/s390x", "s390x-linux-gnu"),
    ("linux/ppc64le", "powerpc64le-linux-gnu"),
    ("linux/riscv64", "riscv64-linux-gnu"),
];

/// A way to build: the keys of the program, the base, the platforms.
struct Way {
    name: &'static str,
    keys: String,
    on_debian: bool,
    platforms: Vec<&'static str>,
}

/// With `cxx`, only where gcc compiles C++, too, which is a package of its own.
fn ways(cxx: bool) -> Vec<Way> {
    let of_debian = Release::Trixie.platforms();
    let all = || GO_PLATFORMS.iter().copied();
    let has_cxx = |prefix: &str| !cxx || which::which(format!("{prefix}-g++")).is_ok();
    let usable = |(_, prefix): &&(&str, &str)| has_libc(prefix) && has_cxx(prefix);
    let gcc: Vec<&str> = GCC.iter().filter(usable).map(|(platform, _)| *platform).collect();
    assert!(gcc.contains(&"linux/arm64"), "{gcc:?}\nhint: scripts/install-test-tools gcc");
    vec![
        Way { name: "zig-static", keys: String::new(), on_debian: false, platforms: all().collect() },
        Way {
            name: "zig-debian",
            keys: format!("libc = \"{GLIBC}\"\n"),
            on_debian: true,
            platforms: all().filter(|platform| of_debian.contains(platform)).collect(),
        },
        Way { name: "gcc-static", keys: "toolchain = \"gcc\"\n".into(), on_debian: false, platforms: gcc.clone() },
        Way {
            name: "gcc-debian",
            keys: "toolchain = \"gcc\"\nlibc = \"gnu\"\n".into(),
            on_debian: true,
            platforms: gcc,
        },
    ]
}

/// Whether the compiler is there with a C library of its platform, which is a package of its own.
fn has_libc(prefix: &str) -> bool {
    let compiler = format!("{prefix}-gcc");
    // What it has not, it answers without a folder.
    let named = || process::text(Command::new(&compiler).arg("-print-file-name=libc.a"));
    which::which(&compiler).is_ok() && Path::new(&named()).is_absolute()
}

/// Builds the project in every way, and holds each image on each of its platforms to `check`.
fn in_every_way(project: Project, (name, cxx): (&str, bool), config: &str, check: impl Fn(&Unpacked, &str)) {
    let registry = Registry::start(&Options::default());
    let debian = bases::push(Release::Trixie, &registry.host(), "debian");
    let mut project = project;
    for way in ways(cxx) {
        let (head, files) = config.split_once("[[file]]").unwrap_or((config, ""));
        let files = if files.is_empty() { String::new() } else { format!("[[file]]{files}") };
        project = project.file("anyarch.toml", format!("{head}{}{files}", way.keys));
        let base = if way.on_debian { &*debian } else { "static" };
        let image = push(&project, &registry, &format!("{name}-{}", way.name), base, &[], &way.platforms);
        for platform in &way.platforms {
            let unpacked = image.unpack(platform);
            let program = unpacked.root().join("usr/local/bin").join(name);
            let dynamic = process::text(Command::new("readelf").arg("-lW").arg(&program)).contains("INTERP");
            assert_eq!(dynamic, way.on_debian, "{} {platform}", way.name);
            check(&unpacked, &format!("{} {platform}", way.name));
        }
        publish::assert_podman_reads(&image, "linux/s390x");
    }
}

#[test]
#[ignore = "full: c"]
fn a_cmake_program_of_others_starts() {
    let config = "[[program]]\nlanguage = \"c\"\nname = \"cmark\"\nbuild = \"cmake\"\ntarget = \"cmark_exe\"\n\
                  args = [\"-DCMARK_SHARED=OFF\", \"-DCMARK_TESTS=OFF\"]\n\
                  [[file]]\nsource = \"words.md\"\ndestination = \"/words.md\"\n";
    let project = debian_sources::unpack("cmark").file("words.md", "# Title\n\nsome *words*\n");
    // Its project names both languages.
    in_every_way(project, ("cmark", true), config, |image, shown| {
        let ended = image.start(&["/words.md"]);
        let page = "<h1>Title</h1>\n<p>some <em>words</em></p>\n";
        assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (0, page, ""), "{shown}");
    });
}

#[test]
#[ignore = "full: c"]
fn a_makefile_program_of_others_starts() {
    // Its default goal runs its tests, which a build for another platform cannot.
    let config = "[[program]]\nlanguage = \"c\"\nbuild = \"make\"\ntarget = \"bzip2\"\noutput = \"bzip2\"\n";
    in_every_way(debian_sources::unpack("bzip2"), ("bzip2", false), config, |image, shown| {
        let packed = image.start(&["-c", "/etc/passwd"]);
        assert!(packed.code == 0 && packed.bytes.starts_with(b"BZh9"), "{shown}: {}", packed.stderr);
        fs::write(image.root().join("packed.bz2"), &packed.bytes).unwrap();
        let unpacked = image.start(&["-dc", "/packed.bz2"]);
        let original = fs::read(image.root().join("etc/passwd")).unwrap();
        assert_eq!((unpacked.code, unpacked.bytes), (0, original), "{shown}: {}", unpacked.stderr);
    });
}

#[test]
#[ignore = "full: c"]
fn a_configure_program_of_others_starts() {
    let config = "[[program]]\nlanguage = \"c\"\nbuild = \"configure\"\noutput = \"gzip\"\n";
    in_every_way(debian_sources::unpack("gzip"), ("gzip", false), config, |image, shown| {
        let packed = image.start(&["-nc", "/etc/passwd"]);
        assert_eq!(packed.code, 0, "{shown}: {}", packed.stderr);
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&*packed.bytes).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, fs::read(image.root().join("etc/passwd")).unwrap(), "{shown}");
    });
}

/// A well-known driver of `SQLite` for Go: the database is one file of C in it.
const DRIVER: (&str, &str) = ("github.com/mattn/go-sqlite3", "v1.14.53");

#[test]
#[ignore = "full: cgo"]
fn a_go_program_with_a_database_in_c_starts() {
    let main = r#"package main

import (
	"database/sql"
	"fmt"
	"log"

	_ "github.com/mattn/go-sqlite3"
)

func main() {
	database, err := sql.Open("sqlite3", ":memory:")
	if err != nil {
		log.Fatal(err)
	}
	database.SetMaxOpenConns(1)
	if _, err := database.Exec("create table numbers as with recursive n(i) as (select 1 union all select i + 1 from n where i < 100) select i from n"); err != nil {
		log.Fatal(err)
	}
	var sum, mean float64
	if err := database.QueryRow("select sum(i), avg(i * 0.5) from numbers").Scan(&sum, &mean); err != nil {
		log.Fatal(err)
	}
	fmt.Println(sum, mean)
}
"#;
    let (module, version) = DRIVER;
    let project = Project::new()
        .file("go.mod", format!("module example.com/numbers\n\ngo 1.21\n\nrequire {module} {version}\n"))
        .file("main.go", main);
    process::succeed(Command::new("go").args(["mod", "tidy"]).current_dir(project.path()).env("GOFLAGS", "-mod=mod"));
    let config =
        "[[program]]\npackage = \".\"\nlanguage = \"go\"\ncgo = true\ntags = [\"sqlite_omit_load_extension\"]\n";
    in_every_way(project, ("numbers", false), config, |image, shown| {
        let ended = image.start(&[]);
        assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (0, "5050 25.25\n", ""), "{shown}");
    });
}
