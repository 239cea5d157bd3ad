use super::*;
use crate::hint::Hint;

/// `path` is the package's folder below `/w`; a program may have required features: `name:feature`.
struct Member {
    name: &'static str,
    path: &'static str,
    programs: &'static [&'static str],
    default_run: Option<&'static str>,
    is_default: bool,
}

const fn member(name: &'static str, path: &'static str, programs: &'static [&'static str]) -> Member {
    Member { name, path, programs, default_run: None, is_default: true }
}

fn workspace(members: &[Member]) -> Workspace {
    let id = |member: &Member| format!("path+file:///w/{}#{}@1.0.0", member.path, member.name);
    let package = |member: &Member| {
        let mut targets = vec![serde_json::json!({
            "name": member.name, "kind": ["lib"], "crate_types": ["lib"], "src_path": "/w/lib.rs"
        })];
        targets.extend(member.programs.iter().map(|program| {
            let (name, feature) = program.split_once(':').unwrap_or((program, ""));
            let required: Vec<&str> = feature.split(':').filter(|feature| !feature.is_empty()).collect();
            serde_json::json!({
                "name": name, "kind": ["bin"], "crate_types": ["bin"], "src_path": "/w/main.rs",
                "required-features": required
            })
        }));
        serde_json::json!({
            "name": member.name, "version": "1.0.0", "id": id(member), "dependencies": [], "targets": targets,
            "features": { "gui": [] }, "default_run": member.default_run,
            "manifest_path": Path::new("/w").join(member.path).join("Cargo.toml")
        })
    };
    let default = members.iter().filter(|member| member.is_default).map(id);
    let json = serde_json::json!({
        "packages": members.iter().map(package).collect::<Vec<_>>(),
        "workspace_members": members.iter().map(id).collect::<Vec<_>>(),
        "workspace_default_members": default.collect::<Vec<_>>(),
        "workspace_root": "/w", "target_directory": "/t", "build_directory": "/t", "version": 1
    });
    Workspace::read(&json.to_string()).unwrap()
}

fn choice(package: Option<&str>, bins: &[&str], all_bins: bool, features: &[&str]) -> Choice {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Choice {
        package: package.map(str::to_owned),
        bins: names(bins),
        all_bins,
        features: Features { names: names(features), ..Features::default() },
    }
}

fn found(workspace: &Workspace, directory: &str, choice: &Choice) -> Result<Vec<String>, CargoError> {
    let binaries = workspace.binaries(Path::new(directory), choice)?;
    Ok(binaries.iter().map(|binary| format!("{}/{}", binary.package, binary.name)).collect())
}

#[test]
fn programs_are_chosen_as_cargo_run_chooses() {
    let single = [member("app", "", &["app"])];
    let tools = [Member { default_run: Some("two"), ..member("tools", "", &["one", "two", "three:gui"]) }];
    let several = [
        member("server", "crates/server", &["server"]),
        Member { is_default: false, ..member("client", "crates/client", &["client"]) },
        Member { is_default: false, ..member("core", "crates/core", &[]) },
        Member { is_default: false, ..member("inner", "crates/client/inner", &["inner"]) },
    ];
    let with_root =
        [member("root", "", &["root"]), Member { is_default: false, ..member("xtask", "xtask", &["xtask"]) }];
    let none = choice(None, &[], false, &[]);
    let cases: [(&[Member], &str, Choice, &[&str]); 16] = [
        (&single, "/w", none.clone(), &["app/app"]),
        (&single, "/w/src/deeper", none.clone(), &["app/app"]),
        (&tools, "/w", none.clone(), &["tools/two"]),
        (&tools, "/w", choice(None, &["one"], false, &[]), &["tools/one"]),
        (&tools, "/w", choice(None, &["three", "one"], false, &["gui"]), &["tools/three", "tools/one"]),
        (&tools, "/w", choice(None, &[], true, &[]), &["tools/one", "tools/two"]),
        (&tools, "/w", choice(None, &[], true, &["gui"]), &["tools/one", "tools/two", "tools/three"]),
        (&several, "/w", none.clone(), &["server/server"]),
        (&several, "/w/docs", none.clone(), &["server/server"]),
        (&several, "/w/crates/client", none.clone(), &["client/client"]),
        (&several, "/w/crates/client/inner/src", none.clone(), &["inner/inner"]),
        (&several, "/w", choice(Some("client"), &[], false, &[]), &["client/client"]),
        (&several, "/w", choice(Some("client@1.0.0"), &["client"], false, &[]), &["client/client"]),
        (&with_root, "/w", none.clone(), &["root/root"]),
        (&with_root, "/w/src", none.clone(), &["root/root"]),
        (&with_root, "/w/xtask", none, &["xtask/xtask"]),
    ];
    for (members, directory, choice, expected) in cases {
        assert_eq!(found(&workspace(members), directory, &choice).unwrap(), expected, "{directory} {choice:?}");
    }
}

/// Members, a folder, what is asked for there, the error's words and its hints.
type Refused<'a> = (&'a [Member], &'a str, Choice, &'a str, &'a [&'a str]);

#[test]
fn what_cannot_be_chosen_says_so_and_lists_the_choices() {
    let tools = [member("tools", "", &["one", "two", "three:gui"])];
    let needs_gui = [member("tools", "", &["one:gui"])];
    let several = [member("server", "server", &["run", "migrate"]), member("client", "client", &["run"])];
    let library = [member("core", "core", &[]), Member { is_default: false, ..member("app", "app", &["app"]) }];
    let none = choice(None, &[], false, &[]);
    let cases: [Refused; 10] = [
        (
            &tools,
            "/w",
            none.clone(),
            "in the package `tools` there are 3 programs: one, two, three",
            &["--bin one", "--bin two", "--bin three", "--bins"],
        ),
        (
            &several,
            "/w",
            none.clone(),
            "in the packages `server`, `client` there are 3 programs: run, migrate, run",
            &["--package server --bin run", "--package server --bin migrate", "--package client --bin run"],
        ),
        (
            &several,
            "/w",
            choice(None, &["run"], false, &[]),
            "in the packages `server`, `client` there are 2 programs: run, run",
            &["--package server --bin run", "--package client --bin run"],
        ),
        (
            &several,
            "/w/client",
            choice(None, &["migrate"], false, &[]),
            "in the package `client` there is no program `migrate`",
            &["--package server --bin migrate"],
        ),
        (
            &tools,
            "/w",
            choice(None, &["thre"], false, &[]),
            "in the package `tools` there is no program `thre`, did you mean `three`?",
            &["--bin one", "--bin two", "--bin three"],
        ),
        (
            &library,
            "/w",
            none.clone(),
            "in the package `core` there is no program to build, only libraries",
            &["--package app --bin app"],
        ),
        (
            &library,
            "/w",
            choice(Some("ap"), &[], false, &[]),
            "the workspace `/w` has no package `ap`, did you mean `app`?",
            &["--package app"],
        ),
        (
            &tools,
            "/w",
            choice(None, &["three"], false, &[]),
            "the program `three` of the package `tools` needs features that are off: gui",
            &["features = [\"gui\"]"],
        ),
        (
            &needs_gui,
            "/w",
            none,
            "the program `one` of the package `tools` needs features that are off: gui",
            &["features = [\"gui\"]"],
        ),
        (
            &needs_gui,
            "/w",
            choice(None, &[], true, &[]),
            "the program `one` of the package `tools` needs features that are off: gui",
            &["features = [\"gui\"]"],
        ),
    ];
    for (members, directory, choice, words, hints) in cases {
        let error = found(&workspace(members), directory, &choice).unwrap_err();
        assert_eq!(error.to_string(), words);
        assert_eq!(error.hints(), hints, "{words}");
    }
}

#[test]
fn a_workspace_knows_its_folders() {
    let workspace = workspace(&[member("app", "", &["app"])]);
    assert_eq!(workspace.root(), Path::new("/w"));
    assert_eq!(workspace.target_directory(), Path::new("/t"));
    assert!(!workspace.has_own_build_directory());
    assert_eq!(
        Workspace::read("nothing").unwrap_err().to_string(),
        "what `cargo metadata --no-deps` printed cannot be read"
    );
}
