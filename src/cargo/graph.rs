//! The resolved dependencies of a program, for one target: whether C is compiled for that target, and along which path.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;

use cargo_metadata::{DependencyKind, Metadata, Node, Package, PackageId};

use super::CargoError;

/// Crates that a build script calls to compile C, C++ or assembly for the target.
const C_BUILDERS: [&str; 5] = ["cc", "cmake", "autotools", "nasm-rs", "bindgen"];

/// Names of packages, each depending on the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependencyPath(pub Vec<String>);

impl fmt::Display for DependencyPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join(" -> "))
    }
}

/// What `cargo metadata --filter-platform TRIPLE` says.
#[derive(Clone, Debug)]
pub struct Graph {
    metadata: Metadata,
    packages: BTreeMap<PackageId, usize>,
    nodes: BTreeMap<PackageId, Node>,
}

impl Graph {
    /// Reads the output of [`graph_invocation`](super::graph_invocation).
    ///
    /// # Errors
    /// When it is not what cargo prints.
    pub fn read(json: &str) -> Result<Self, CargoError> {
        let mut metadata: Metadata = serde_json::from_str(json)
            .map_err(|source| CargoError::Output { command: "cargo metadata".to_owned(), source: Box::new(source) })?;
        let packages =
            metadata.packages.iter().enumerate().map(|(index, package)| (package.id.clone(), index)).collect();
        let nodes = metadata.resolve.take().into_iter().flat_map(|resolve| resolve.nodes);
        let nodes = nodes.map(|node| (node.id.clone(), node)).collect();
        Ok(Self { metadata, packages, nodes })
    }

    /// The path to the crate that makes the program compile C for the target; `None` when it compiles none.
    ///
    /// Followed are the packages that are compiled for the target: normal dependencies, but not those of proc macros
    /// and build scripts, which run on the host. Of each, what its build script calls.
    #[must_use]
    pub fn c_dependency(&self, program: &str) -> Option<DependencyPath> {
        let mut clean = BTreeSet::new();
        self.walk(program, |path| {
            let node = self.nodes.get(path.last()?)?;
            let tools = dependencies(node, DependencyKind::Build);
            let builder = tools.into_iter().find_map(|tool| self.builder_behind(tool, &mut clean))?;
            Some(DependencyPath(self.names(path.iter().chain(&builder))))
        })
    }

    /// Folders of sources that lie neither in the workspace nor all in one place, and what stands for them in a binary:
    /// the folders that packages of registries are unpacked in, and packages outside of the workspace.
    #[must_use]
    pub fn source_folders(&self) -> Vec<(PathBuf, String)> {
        let mut folders = Vec::new();
        for package in &self.metadata.packages {
            let Some(folder) = package.manifest_path.parent() else { continue };
            let from_registry = package.source.as_ref().is_some_and(|source| !source.repr.starts_with("git+"));
            if from_registry {
                folders.extend(folder.parent().map(|parent| (parent.into(), "/cargo/registry".to_owned())));
            } else if package.source.is_none() && !folder.starts_with(&self.metadata.workspace_root) {
                folders.push((folder.into(), format!("/path/{}", package.name)));
            }
        }
        folders.sort();
        folders.dedup();
        folders
    }

    pub(super) fn package(&self, id: &PackageId) -> Option<&Package> {
        self.packages.get(id).map(|index| &self.metadata.packages[*index])
    }

    pub(super) fn node(&self, id: &PackageId) -> Option<&Node> {
        self.nodes.get(id)
    }

    pub(super) fn names<'a>(&self, ids: impl Iterator<Item = &'a PackageId>) -> Vec<String> {
        ids.map(|id| self.package(id).map_or_else(|| id.repr.clone(), |package| package.name.to_string())).collect()
    }

    /// Visits what is compiled for the target, nearest first, with the path to it, until `found` has an answer.
    pub(super) fn walk<T>(&self, program: &str, mut found: impl FnMut(&[PackageId]) -> Option<T>) -> Option<T> {
        let start = PackageId { repr: program.to_owned() };
        let mut seen = BTreeSet::from([start.clone()]);
        let mut open = VecDeque::from([vec![start]]);
        while let Some(path) = open.pop_front() {
            if let Some(answer) = found(&path) {
                return Some(answer);
            }
            let Some(node) = path.last().and_then(|id| self.nodes.get(id)) else { continue };
            for next in dependencies(node, DependencyKind::Normal) {
                if !self.is_proc_macro(next) && seen.insert(next.clone()) {
                    open.push_back(path.iter().chain([next]).cloned().collect());
                }
            }
        }
        None
    }

    /// The path from a build script's tool to a crate that compiles C, through libraries like `openssl-src`.
    fn builder_behind(&self, tool: &PackageId, clean: &mut BTreeSet<PackageId>) -> Option<Vec<PackageId>> {
        if !clean.insert(tool.clone()) {
            return None;
        }
        if self.package(tool).is_some_and(|package| C_BUILDERS.contains(&package.name.as_str())) {
            return Some(vec![tool.clone()]);
        }
        let next = dependencies(self.nodes.get(tool)?, DependencyKind::Normal);
        let behind = next.into_iter().find_map(|next| self.builder_behind(next, clean))?;
        Some([vec![tool.clone()], behind].concat())
    }

    fn is_proc_macro(&self, id: &PackageId) -> bool {
        self.package(id).is_some_and(|package| package.targets.iter().any(cargo_metadata::Target::is_proc_macro))
    }
}

fn dependencies(node: &Node, kind: DependencyKind) -> Vec<&PackageId> {
    let of_kind = node.deps.iter().filter(|dependency| dependency.dep_kinds.iter().any(|info| info.kind == kind));
    of_kind.map(|dependency| &dependency.pkg).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A package is `name`, `name!` for a proc macro, or `name+feature`; an edge is `from > to` or `from >build to`.
    pub(crate) fn graph(packages: &[&str], edges: &[(&str, &str, &str)]) -> Graph {
        let parts = |text: &str| {
            let (name, features) = text.split_once('+').unwrap_or((text, ""));
            (name.trim_end_matches('!').to_owned(), features.to_owned())
        };
        let package = |text: &&str| {
            let (name, _) = parts(text);
            let kind = if text.contains('!') { "proc-macro" } else { "lib" };
            let dependencies: Vec<_> = edges
                .iter()
                .filter(|(from, ..)| *from == name)
                .map(|(_, kind, to)| {
                    let kind = kind.trim_start_matches('>');
                    serde_json::json!({
                        "name": to, "source": null, "req": "*", "optional": false, "uses_default_features": true,
                        "features": [], "kind": if kind.is_empty() { None } else { Some(kind) }
                    })
                })
                .collect();
            serde_json::json!({
                "name": name, "version": "1.0.0", "id": name, "dependencies": dependencies,
                "targets": [{ "name": name, "kind": [kind], "src_path": "/w/lib.rs" }],
                "features": features_of(&name), "manifest_path": format!("/w/{name}/Cargo.toml")
            })
        };
        let node = |text: &&str| {
            let (name, features) = parts(text);
            let deps: Vec<_> = edges
                .iter()
                .filter(|(from, ..)| *from == name)
                .map(|(_, kind, to)| {
                    let kind = kind.trim_start_matches('>');
                    let kind = if kind.is_empty() { None } else { Some(kind) };
                    serde_json::json!({ "name": to, "pkg": to, "dep_kinds": [{ "kind": kind, "target": null }] })
                })
                .collect();
            let features: Vec<&str> = features.split('+').filter(|name| !name.is_empty()).collect();
            serde_json::json!({ "id": name, "deps": deps, "dependencies": [], "features": features })
        };
        let json = serde_json::json!({
            "packages": packages.iter().map(package).collect::<Vec<_>>(),
            "workspace_members": ["app"], "workspace_root": "/w", "target_directory": "/w/target", "version": 1,
            "resolve": { "root": "app", "nodes": packages.iter().map(node).collect::<Vec<_>>() }
        });
        Graph::read(&json.to_string()).unwrap()
    }

    /// A name, packages, edges, and the path that is expected.
    type Case<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a str, &'a str)], Option<&'a str>);

    /// The features of a few crates as crates.io has them.
    fn features_of(name: &str) -> serde_json::Value {
        match name {
            "openssl" => serde_json::json!({ "vendored": ["openssl-sys/vendored"] }),
            "native-tls" => serde_json::json!({ "alpn": [], "vendored": ["openssl/vendored"] }),
            "reqwest" => serde_json::json!({ "native-tls-vendored": ["native-tls", "native-tls?/vendored"] }),
            _ => serde_json::json!({}),
        }
    }

    #[test]
    fn c_is_what_build_scripts_of_the_target_compile() {
        let cases: [Case; 8] = [
            ("pure", &["app", "serde"], &[("app", ">", "serde")], None),
            ("own build script", &["app", "cc"], &[("app", ">build", "cc")], Some("app -> cc")),
            (
                "a dependency's",
                &["app", "flate2", "libz-sys", "cc"],
                &[("app", ">", "flate2"), ("flate2", ">", "libz-sys"), ("libz-sys", ">build", "cc")],
                Some("app -> flate2 -> libz-sys -> cc"),
            ),
            (
                "through a library of the build script",
                &["app", "cxx-build", "cc"],
                &[("app", ">build", "cxx-build"), ("cxx-build", ">", "cc")],
                Some("app -> cxx-build -> cc"),
            ),
            ("of a proc macro", &["app", "derive!", "cc"], &[("app", ">", "derive"), ("derive", ">build", "cc")], None),
            (
                "of a build script's dependency",
                &["app", "git2", "libgit2-sys", "cc"],
                &[("app", ">build", "git2"), ("git2", ">", "libgit2-sys"), ("libgit2-sys", ">build", "cc")],
                None,
            ),
            (
                "of tests",
                &["app", "criterion", "cc"],
                &[("app", ">dev", "criterion"), ("criterion", ">build", "cc")],
                None,
            ),
            (
                "in a circle",
                &["app", "a", "b", "bindgen"],
                &[("app", ">", "a"), ("a", ">", "b"), ("b", ">dev", "a"), ("b", ">build", "bindgen")],
                Some("app -> a -> b -> bindgen"),
            ),
        ];
        for (name, packages, edges, path) in cases {
            let found = graph(packages, edges).c_dependency("app");
            assert_eq!(found.map(|path| path.to_string()).as_deref(), path, "{name}");
        }
    }

    #[test]
    fn sources_outside_of_the_workspace_are_found() {
        let package = |name: &str, source: Option<&str>, manifest: &str| {
            serde_json::json!({
                "name": name, "version": "1.0.0", "id": name, "source": source, "dependencies": [], "targets": [],
                "features": {}, "manifest_path": manifest
            })
        };
        let registry = Some("registry+https://github.com/rust-lang/crates.io-index");
        let json = serde_json::json!({
            "packages": [
                package("app", None, "/w/app/Cargo.toml"),
                package("shared", None, "/shared/Cargo.toml"),
                package("a", registry, "/c/registry/src/i/a-1.0.0/Cargo.toml"),
                package("b", registry, "/c/registry/src/i/b-1.0.0/Cargo.toml"),
                package("g", Some("git+https://example.com/g#123"), "/c/git/checkouts/g-1/2/Cargo.toml"),
            ],
            "workspace_members": ["app"], "workspace_root": "/w", "target_directory": "/w/target", "version": 1
        });
        let graph = Graph::read(&json.to_string()).unwrap();
        assert_eq!(
            graph.source_folders(),
            [("/c/registry/src/i".into(), "/cargo/registry".to_owned()), ("/shared".into(), "/path/shared".to_owned())]
        );
    }

    #[test]
    fn what_is_not_metadata_is_an_error() {
        assert_eq!(Graph::read("{}").unwrap_err().to_string(), "what `cargo metadata` printed cannot be read");
    }
}
