//! Every crate that is linked into the program has a licence that `deny.toml` allows.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::support::{self, process};

/// Reads an SPDX expression (<https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/>): true when what is
/// allowed satisfies it. The `/` of old manifests means OR.
fn satisfied(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let answer = alternatives(&words, &mut at, allowed);
    assert_eq!(at, words.len(), "`{expression}` is no licence expression");
    answer
}

fn alternatives(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut answer = together(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        answer |= together(words, at, allowed);
    }
    answer
}

fn together(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut answer = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        answer &= one(words, at, allowed);
    }
    answer
}

fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let word = words.get(*at).expect("a licence stands here");
    *at += 1;
    if *word == "(" {
        let answer = alternatives(words, at, allowed);
        *at += 1;
        return answer;
    }
    let mut name = (*word).to_owned();
    if words.get(*at) == Some(&"WITH") {
        name = format!("{name} WITH {}", words.get(*at + 1).expect("an exception stands here"));
        *at += 2;
    }
    allowed.contains(&name)
}

#[test]
fn licence_expressions_are_read_as_spdx_has_them() {
    let allowed = BTreeSet::from(["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned));
    for (expression, answer) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("GPL-3.0-only/MIT", true),
        ("MIT AND GPL-3.0-only", false),
        ("(GPL-3.0-only OR MIT) AND ISC", true),
        ("GPL-3.0-only OR MIT AND BSD-2-Clause", false),
        ("Apache-2.0", false),
        ("Apache-2.0 WITH LLVM-exception", true),
    ] {
        assert_eq!(satisfied(expression, &allowed), answer, "{expression}");
    }
}

#[test]
fn every_dependency_has_a_licence_that_we_may_pass_on() {
    let settings = fs::read_to_string(support::repository().join("deny.toml")).unwrap();
    let settings: toml::Table = settings.parse().unwrap();
    let allowed = settings["licenses"]["allow"].as_array().unwrap();
    let allowed: BTreeSet<String> = allowed.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--locked", "--format-version=1", "--filter-platform=x86_64-unknown-linux-gnu"]);
    let metadata = process::succeed(cargo.current_dir(support::repository()));
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(|licence| satisfied(licence, &allowed)))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(packages.len() > 1 && refused.is_empty(), "not allowed by deny.toml:\n{}", refused.join("\n"));
}
