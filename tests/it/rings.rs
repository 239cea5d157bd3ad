//! Holds the source to the table of rings: shell -> edges -> core, never back, and no core module touches the world.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support;
use crate::support::source::{self, Token};

/// The modules that wire the others together and talk to the user.
const SHELL: &[&str] = &["cli", "commands", "exit", "main", "ui"];
/// The modules that touch the world: files, processes, the network.
const EDGES: &[&str] = &[
    "base",
    "cargo_flags",
    "config",
    "debian_archive",
    "download",
    "exec",
    "host",
    "http",
    "install",
    "registry",
    "run",
    "sandbox",
    "serve",
    "sink",
    "store",
    "zigbuild",
];
/// Which edge may know which other; every edge may know `store`. What this machine has is found by running its tools,
/// and only `exec` runs anything: so `host` knows it. `http` is what all HTTP clients have in common; what is installed is
/// downloaded, or added by rustup. Logins are kept by programs, which `registry` has run. A sandbox is this program, started
/// again, and a program of an image in it. What is served is read as bases are.
const EDGE_TO_EDGE: &[(&str, &str)] = &[
    ("run", "*"),
    ("base", "registry"),
    ("debian_archive", "http"),
    ("download", "http"),
    ("host", "exec"),
    ("install", "download"),
    ("install", "exec"),
    ("registry", "exec"),
    ("registry", "http"),
    ("sandbox", "exec"),
    ("serve", "base"),
    // Docker and podman are spoken to by HTTP.
    ("sink", "http"),
    ("sink", "registry"),
];
/// What no core module may name: crates, and what std has of the world.
const WORLD: &[&[&str]] = &[
    &["clap"],
    &["fs_err"],
    &["oci_client"],
    &["rayon"],
    &["reqwest"],
    &["std", "env"],
    &["std", "fs"],
    &["std", "net", "TcpListener"],
    &["std", "net", "TcpStream"],
    &["std", "net", "ToSocketAddrs"],
    &["std", "net", "UdpSocket"],
    &["std", "os"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
    &["tempfile"],
    &["tokio"],
];
/// Methods of `Path` that ask the file system.
const ASKING: &[&str] = &["canonicalize", "exists", "read_dir", "symlink_metadata", "try_exists"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ring {
    Shell,
    Edge,
    Core,
}

fn ring(module: &str) -> Ring {
    if SHELL.contains(&module) {
        Ring::Shell
    } else if EDGES.contains(&module) {
        Ring::Edge
    } else {
        Ring::Core
    }
}

fn may_know(from: &str, to: &str) -> bool {
    let named = |pair: &(&str, &str)| pair.0 == from && (pair.1 == to || pair.1 == "*");
    match (ring(from), ring(to)) {
        _ if from == to => true,
        (Ring::Shell, _) | (Ring::Edge | Ring::Core, Ring::Core) => true,
        (Ring::Edge, Ring::Edge) => to == "store" || EDGE_TO_EDGE.iter().any(named),
        (Ring::Edge | Ring::Core, Ring::Shell) | (Ring::Core, Ring::Edge) => false,
    }
}

/// What `text`, the source of `module` (`["sink", "oci"]`), does that its ring may not; `modules` are the crate's own.
fn violations(module: &[&str], text: &str, modules: &[String]) -> Vec<String> {
    let from = module[0];
    let path: Vec<String> = module.iter().map(|part| (*part).to_owned()).collect();
    let tokens = source::tokens(text);
    let mut found = Vec::new();
    for named in source::paths(&path, &tokens) {
        let parts: Vec<&str> = named.path.iter().map(String::as_str).collect();
        if let ["crate" | "anyarch", to, ..] = parts[..]
            && modules.iter().any(|known| known == to)
            && !may_know(from, to)
        {
            found.push(format!("{}: {from} ({:?}) names {to} ({:?})", named.line, ring(from), ring(to)));
        }
        if ring(from) == Ring::Core && WORLD.iter().any(|outside| parts.starts_with(outside)) {
            found.push(format!("{}: {from} (Core) names {}", named.line, parts.join("::")));
        }
        // clap's own Command is a description, not a process.
        let starts = parts.ends_with(&["Command", "new"]) && parts.first() != Some(&"clap");
        if starts && from != "exec" {
            found.push(format!("{}: {from} starts a process: only exec may", named.line));
        }
    }
    if ring(from) == Ring::Core {
        found.extend(
            asked(&tokens).map(|token| format!("{}: {from} (Core) asks the file system: {}", token.line, token.text)),
        );
    }
    found.dedup();
    found
}

/// Calls of methods in [`ASKING`].
fn asked(tokens: &[Token]) -> impl Iterator<Item = &Token> {
    tokens.windows(3).filter_map(|window| {
        let [dot, name, open] = window else { return None };
        (dot.text == "." && open.text == "(" && ASKING.contains(&name.text.as_str())).then_some(name)
    })
}

/// The module that the file `path`, relative to `src`, is.
fn module_of(path: &Path) -> Vec<String> {
    let mut parts: Vec<String> =
        path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

#[test]
fn every_import_runs_from_the_shell_to_the_edges_to_the_core() {
    let src = support::repository().join("src");
    let files: Vec<(PathBuf, Vec<String>)> = source::rust_files(&src)
        .into_iter()
        .map(|file| (file.clone(), module_of(file.strip_prefix(&src).unwrap())))
        .filter(|(_, module)| module != &["lib"])
        .collect();
    let modules: Vec<String> = files.iter().map(|(_, module)| module[0].clone()).collect();
    assert!(modules.iter().any(|module| module == "platform"), "{modules:?}");
    let mut found = Vec::new();
    for (file, module) in &files {
        let module: Vec<&str> = module.iter().map(String::as_str).collect();
        let text = fs::read_to_string(file).unwrap();
        let name = file.strip_prefix(support::repository()).unwrap().display();
        found.extend(violations(&module, &text, &modules).into_iter().map(|violation| format!("{name}:{violation}")));
    }
    assert!(found.is_empty(), "the rings are broken:\n{}", found.join("\n"));
}

#[test]
fn what_breaks_a_ring_is_found() {
    let modules: Vec<String> =
        ["base", "config", "exec", "plan", "registry", "run", "sink", "store", "ui"].map(str::to_owned).into();
    for (module, text, expected) in [
        (&["plan"][..], "use crate::store::Store;", "1: plan (Core) names store (Edge)"),
        (&["plan"], "use crate::{\n    hint::Hint,\n    ui::{self, Line},\n};", "3: plan (Core) names ui (Shell)"),
        (&["plan"], "fn f(s: &'a crate::run::Run) {}", "1: plan (Core) names run (Edge)"),
        (&["plan", "table"], "use super::super::exec::Child as C;", "1: plan (Core) names exec (Edge)"),
        (&["plan"], "mod inner { use super::super::ui; }", "1: plan (Core) names ui (Shell)"),
        (&["plan"], "use std::{io, fs};", "1: plan (Core) names std::fs"),
        (&["plan"], "use std::time::{Duration, Instant};", "1: plan (Core) names std::time::Instant"),
        (&["plan"], "#[derive(clap::Args)] struct A;", "1: plan (Core) names clap::Args"),
        (&["plan"], "use reqwest;", "1: plan (Core) names reqwest"),
        (&["plan"], "fn f(p: &Path) -> bool { p.exists() }", "1: plan (Core) asks the file system: exists"),
        (&["registry"], "use crate::base::Base;", "1: registry (Edge) names base (Edge)"),
        (&["config"], "use crate::registry::Client;", "1: config (Edge) names registry (Edge)"),
        (&["sink", "oci"], "use crate::ui::say;", "1: sink (Edge) names ui (Shell)"),
        (&["run"], "fn f() { Command::new(\"go\"); }", "1: run starts a process: only exec may"),
        (&["main"], "fn f() { std::process::Command::new(\"go\"); }", "1: main starts a process: only exec may"),
        (&["plan"], "const A: &str = r#\"\"\"#; use crate::exec;", "1: plan (Core) names exec (Edge)"),
        (&["plan"], "const A: char = '\"'; use crate::exec;", "1: plan (Core) names exec (Edge)"),
        (&["plan"], "#[cfg(test)] use crate::ui;\nuse crate::exec;", "2: plan (Core) names exec (Edge)"),
    ] {
        assert_eq!(violations(module, text, &modules), [expected], "{text}");
    }
}

#[test]
fn what_keeps_the_rings_is_left_alone() {
    let modules: Vec<String> = ["base", "exec", "layer", "plan", "platform", "registry", "run", "sink", "store", "ui"]
        .map(str::to_owned)
        .into();
    for (module, text) in [
        (&["plan"][..], "use crate::platform::Platform; pub(crate) fn f() {}"),
        (&["plan"], "//! not crate::ui\n/* crate::run /* std::fs */ */ const A: &str = \"crate::ui\";"),
        (&["plan"], "#[cfg(test)]\nmod tests { use std::fs; fn f() { Command::new(\"x\"); } }"),
        (&["plan"], "#[cfg(test)]\nuse crate::store::Store;"),
        (&["plan", "table"], "use super::Row; use self::inner::X; use super::super::platform::Os;"),
        (&["plan"], "use std::path::Path; use std::time::Duration;"),
        (&["plan"], "fn f() -> crate::hint::Hint { ui::draw() }"),
        (&["run"], "use crate::{exec::Child, registry, sink, store};"),
        (&["base"], "use crate::registry::Client; use crate::store::Store; use tokio::io;"),
        (&["sink", "registry"], "use crate::registry::Client; use super::Sink; std::fs::read(p);"),
        (&["exec"], "fn f() { Command::new(\"go\"); }"),
        (&["commands", "build"], "use crate::run::Run; use crate::ui; use clap::Args;"),
        (&["main"], "use anyarch::cli; fn main() { anyarch::ui::say() }"),
        (&["cli"], "fn f() { clap::Command::new(\"anyarch\"); }"),
    ] {
        assert_eq!(violations(module, text, &modules), [""; 0], "{text}");
    }
}
