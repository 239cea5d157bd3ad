//! Platforms beside the usual ones: newer processors in one index with the plain ones, and Rust targets whose standard
//! library nobody brings.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::process;
use crate::support::project::Project;
use crate::support::start::Source;

const CONFIG: &str = "
[[program]]
name = \"in-go\"
language = \"go\"
package = \"./go\"

[[program]]
name = \"in-c\"
language = \"c\"
package = \"./c\"
";

#[test]
#[ignore = "full: platforms"]
fn newer_processors_stand_beside_the_plain_ones_in_one_index() {
    let go =
        "package main\n\nimport \"math/bits\"\n\nfunc main() { println(bits.OnesCount64(uint64(len(\"abc\")))) }\n";
    let c = "#include <stdio.h>\n#include <stdatomic.h>\n\nstatic atomic_int count;\n\nint main(int argc, char **argv) {\n    \
             (void)argv;\n    atomic_fetch_add(&count, argc);\n    printf(\"%d %d\\n\", count, __builtin_popcountll((unsigned long long)argc));\n    return 0;\n}\n";
    let project = Project::new()
        .file("anyarch.toml", CONFIG)
        .file("go/go.mod", "module example.com/go\n\ngo 1.21\n")
        .file("go/main.go", go)
        .file("c/in-c.c", c);
    let platforms =
        ["linux/amd64", "linux/amd64/v2", "linux/amd64/v3", "linux/arm64", "linux/arm64/v8.1", "linux/arm64/v9"];
    let arguments = ["build", "--platform", &platforms.join(","), "-o", "type=oci,dest=out,tar=false"];
    project.anyarch().args(arguments).run().assert_success();
    let source = Source::Layout(project.path().join("out"));
    assert_eq!(source.platforms(), platforms);
    for name in ["in-go", "in-c"] {
        let programs: BTreeSet<Vec<u8>> = platforms
            .iter()
            .map(|platform| fs::read(source.unpack(platform).root().join("usr/local/bin").join(name)).unwrap())
            .collect();
        // Instructions differ, or at least what the build says of itself.
        assert!(programs.len() >= 4, "{name} is the same for {} of {} platforms", programs.len(), platforms.len());
    }
}

/// The smallest Rust package, locked.
fn rust(config: &str) -> Project {
    let project = Project::new()
        .file("Cargo.toml", "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n")
        .file("src/main.rs", "fn main() {\n    let caught = std::panic::catch_unwind(|| panic!(\"as it should\"));\n    println!(\"{} {}\", std::env::consts::ARCH, caught.is_err());\n}\n")
        .file("anyarch.toml", config);
    process::succeed(Command::new("cargo").args(["generate-lockfile", "--quiet"]).current_dir(project.path()));
    project
}

#[test]
fn a_nightly_that_is_not_there() {
    let project = rust("[[program]]\nlanguage = \"rust\"\nbuild_std = \"nightly-2001-02-03\"\n");
    let output = project.anyarch().args(["plan", "--platform", "linux/arm/v6"]).run();
    output.assert_code(5).assert_stdout("");
    let stderr = output.redacted_stderr();
    assert!(
        stderr.starts_with("error: `build_std` needs the Rust toolchain `nightly-2001-02-03`, which does not answer: "),
        "{stderr}"
    );
    assert!(
        stderr.ends_with("hint: rustup toolchain install nightly-2001-02-03 --profile minimal --component rust-src\n"),
        "{stderr}"
    );
}

#[test]
fn the_standard_library_is_compiled_by_the_nightly() {
    let project = rust("[[program]]\nlanguage = \"rust\"\nbuild_std = true\n");
    let sysroot =
        Command::new("rustc").env("RUSTUP_TOOLCHAIN", "nightly").args(["--print", "sysroot"]).output().unwrap();
    let sysroot = String::from_utf8(sysroot.stdout).unwrap();
    let output = project.anyarch().args(["plan", "--platform", "linux/arm/v6"]).run();
    if !Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/std").is_dir() {
        // Which of the two is missing is for this machine to say.
        output.assert_code(5);
        return;
    }
    output.assert_success();
    let line = output.stdout.lines().last().unwrap();
    for part in
        [" RUSTUP_TOOLCHAIN=nightly ", " '-Zbuild-std=std,panic_unwind' ", "/target/anyarch/nightly", "=/rustc/"]
    {
        assert!(line.contains(part), "`{part}` is not in {line}");
    }
}

#[test]
#[ignore = "full: platforms"]
fn rust_starts_where_only_a_nightly_has_a_standard_library() {
    let platforms = ["linux/arm/v6", "linux/riscv64"];
    let project = rust("[[program]]\nlanguage = \"rust\"\nbuild_std = true\n");
    let arguments = ["build", "--platform", &platforms.join(","), "-o", "type=oci,dest=out,tar=false"];
    project.anyarch().args(arguments).run().assert_success();
    for (platform, architecture) in platforms.iter().zip(["arm", "riscv64"]) {
        let ended = Source::Layout(project.path().join("out")).unpack(platform).start(&[]);
        assert_eq!((ended.code, ended.stdout), (0, format!("{architecture} true\n")), "{platform}: {}", ended.stderr);
    }
}
