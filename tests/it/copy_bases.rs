//! `anyarch copy --all-bases`: what it copies, and that what it prints has builds do without the registries of the bases.

use crate::support::program::Home;
use crate::support::project::Project;
use crate::support::read_back::Image;
use crate::support::registry::{Options, Registry};
use crate::support::small_base;

#[test]
fn builds_need_only_the_copies() {
    let (one, two, ours) = (
        Registry::start(&Options::default()),
        Registry::start(&Options::default()),
        Registry::start(&Options::default()),
    );
    let bases = [format!("{}/team/base:1", one.host()), format!("{}/team/base:1", two.host())];
    small_base::push(&bases[0], "one", None);
    small_base::push(&bases[1], "two", None);
    let (host, home) = (ours.host(), Home::new());
    let configuration = format!(
        "platforms = [\"linux/amd64\", \"linux/arm64\"]\nbase = \"{}\"\n[bases]\n\"linux/arm64\" = \"{}\"\n",
        bases[0], bases[1]
    );
    let project = Project::hello_go().file("anyarch.toml", &configuration);
    let online = project.anyarch_at(&home).args(["build", "--json"]).run().json();

    let output = project.anyarch_at(&home).args(["copy", "--all-bases", &format!("{host}/hub")]).run();
    output.assert_success();
    let table = |registry: &Registry| {
        let name = registry.host().replace(':', "-");
        format!("[registry.\"{}\"]\nmirrors = [\"{host}/hub/{name}\"]\n", registry.host())
    };
    let mut tables = [table(&one), table(&two)];
    tables.sort();
    assert_eq!(output.stdout, tables.concat());
    let json = project.anyarch_at(&home).args(["copy", "--all-bases", &format!("{host}/hub"), "--json"]).run().json();
    assert_eq!(json["images"].as_array().unwrap().len(), 2);
    assert_eq!(json["mirrors"].as_object().unwrap().len(), 2);
    assert_eq!(ours.count("PUT /v2/hub/"), ours.count("PUT /v2/hub/"), "nothing new is sent");

    // The registries of the bases are gone, and nothing of them is in the cache.
    drop((one, two));
    let (project, fresh) = (project.file("anyarch.toml", configuration + &output.stdout), Home::new());
    let again = project.anyarch_at(&fresh).args(["build", "--json"]).run();
    assert_eq!(again.json()["images"][0]["digest"], online["images"][0]["digest"]);
    assert!(!again.stderr.contains("passed over"), "{}", again.stderr);
    let layout = project.path().join(".anyarch/out/hello");
    assert_eq!(Image::read(&format!("oci:{}:latest", layout.display()), "linux/arm64").layers.len(), 2);
}

#[test]
fn other_mirrors_stay_and_what_is_in_no_registry_is_told() {
    let (theirs, ours) = (Registry::start(&Options::default()), Registry::start(&Options::default()));
    let base = format!("{}/base:1", theirs.host());
    small_base::push(&base, "base", None);
    let (home, host) = (Home::new(), ours.host());
    let configuration = format!(
        "[[image]]\nname = \"a\"\nbase = \"{base}\"\n[[image]]\nname = \"b\"\nbase = \"static\"\n[[image]]\nname = \"c\"\n\
         base = \"oci:there\"\n[registry.\"{}\"]\nmirrors = \"http://127.0.0.1:1/other\"\n",
        theirs.host()
    );
    let project = Project::hello_go().file("anyarch.toml", configuration);
    let output = project.anyarch_at(&home).args(["copy", "--all-bases", &host]).run();
    output.assert_success();
    let name = theirs.host().replace(':', "-");
    let expected =
        format!("[registry.\"{}\"]\nmirrors = [\"{host}/{name}\", \"http://127.0.0.1:1/other\"]\n", theirs.host());
    assert_eq!(output.stdout, expected);
    for other in ["static", "oci:"] {
        assert!(output.stderr.contains(&format!("note: the base `{other}")), "{}", output.stderr);
    }

    // What needs nothing is told so.
    let none = Project::hello_go().anyarch_at(&home).args(["copy", "--all-bases", &host]).run();
    none.assert_success().assert_stdout("");
    assert!(none.stderr.contains("the project takes no base from a registry\n"), "{}", none.stderr);
    let wrong = Project::hello_go().anyarch_at(&home).args(["copy", "--all-bases", "https://mirror.lan"]).run();
    wrong.assert_code(2).assert_stdout("").assert_stderr(
        "
        error: `https://mirror.lan` is no place for copies of bases: `https://mirror.lan` has the scheme `https://`, which does not belong there

        hint: name a registry, or a path of one: --all-bases mirror.lan:5000/bases
        ",
    );
}
