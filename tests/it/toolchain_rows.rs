//! Rows of a user's own file choose the compiler: what toolchains/README.md says of them holds.

use std::fs;

use crate::support::process;
use crate::support::project::Project;
use crate::support::repository;
use crate::support::shims::Shims;
use crate::support::start::Source;

/// The fenced `toml` blocks of toolchains/README.md.
fn examples() -> Vec<String> {
    let text = fs::read_to_string(repository().join("toolchains/README.md")).unwrap();
    text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

fn hello_c() -> Project {
    Project::copy_of(&repository().join("examples/hello-c"))
}

#[test]
fn each_example_of_the_documentation_is_a_file_of_rows() {
    let examples = examples();
    assert_eq!(examples.len(), 3);
    for example in examples {
        let project = Project::new().file("rows.toml", &example);
        let output = project.anyarch().args(["platforms", "--json", "--toolchain", "rows.toml"]).run();
        output.assert_success();
    }
}

#[test]
fn a_compiler_of_a_row_in_a_file_of_the_user_builds_a_c_program() {
    // A GNU compiler of another name, and one that says how it was called.
    let real = which::which("aarch64-linux-gnu-gcc").expect("scripts/install-test-tools installs it");
    let shims = Shims::new();
    let log = shims.folder().join("log");
    let shims = shims
        .script("aarch64-acme-cc", &format!("echo \"$@\" >> '{}'\nexec '{}' \"$@\"", log.display(), real.display()));
    let project = hello_c()
        .file("rows.toml", &examples()[0])
        .file("anyarch.toml", "[[program]]\nlanguage = \"c\"\ntoolchain = \"acme\"\ncflags = [\"-DACME\"]\n");
    let arguments = ["--platform", "linux/arm64", "--toolchain", "rows.toml"];
    let plan = project.anyarch().args(["plan"]).args(arguments).env("PATH", shims.path()).run();
    plan.assert_success();
    let shown = plan.redacted_stdout();
    assert!(shown.contains("  acme aarch64-linux-gnu ([CWD]/rows.toml)"), "{shown}");
    let build = project.anyarch().args(["build", "-o", "type=oci,dest=out,tar=false"]).args(arguments);
    build.env("PATH", shims.path()).run().assert_success();
    let ended = Source::Layout(project.path().join("out")).unpack("linux/arm64").start(&[]);
    assert_eq!((ended.code, &*ended.stdout), (0, "hello from C on aarch64\n"), "{}", ended.stderr);
    let called = fs::read_to_string(log).unwrap();
    assert!(
        called.contains("-mtune=cortex-a72") && called.contains("-DACME") && called.contains("-static"),
        "{called}"
    );
}

#[test]
fn a_row_whose_compiler_is_missing_says_how_it_comes() {
    let project = hello_c()
        .file("rows.toml", &examples()[0])
        .file("anyarch.toml", "[[program]]\nlanguage = \"c\"\ntoolchain = \"acme\"\n");
    let output = project.anyarch().args(["plan", "--platform", "linux/arm64", "--toolchain", "rows.toml"]).run();
    output.assert_code(5).assert_stdout("");
    assert!(
        output.stderr.contains("`acme-cc` is not in PATH and is needed for linux/arm64; looked for `aarch64-acme-cc`"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("hint: see https://toolchains.example.com/acme\n"), "{}", output.stderr);
}

#[test]
fn a_platform_of_a_row_in_a_file_of_the_user_is_one() {
    let project = hello_c().file("rows.toml", &examples()[1]);
    let arguments = ["--platform", "linux/arm64/v8.4", "--toolchain", "rows.toml"];
    let plan = project.anyarch().args(["plan", "--json"]).args(arguments).run().json();
    let script = "-mcpu=neoverse_v1";
    assert!(plan.to_string().contains(script), "{plan}");
    let build = project.anyarch().args(["build", "-o", "type=oci,dest=out,tar=false"]).args(arguments).run();
    build.assert_success();
    let index = process::text(
        std::process::Command::new("skopeo").args(["inspect", "--raw", "oci:out"]).current_dir(project.path()),
    );
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    assert_eq!(index["manifests"][0]["platform"]["variant"], "v8.4", "{index}");
    // The built-in rows do not have it.
    let output = project.anyarch().args(["plan", "--platform", "linux/arm64/v8.4"]).run();
    output.assert_code(2).assert_stdout("");
}
