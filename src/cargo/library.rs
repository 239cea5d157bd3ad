//! A crate that links a C library which nobody brings becomes an error before anything is compiled.
//! Which crates do is data: `toolchains/crates.toml`.

use cargo_metadata::{Package, PackageId};
use serde::Deserialize;

use super::{DependencyPath, Graph};
use crate::hint::Hint;

const BUILT_IN: &str = include_str!("../../toolchains/crates.toml");

/// A crate that links a C library.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct CrateRow {
    /// the crate
    pub name: String,
    /// what people call the library
    pub library: String,
    /// Debian's packages of the library
    #[serde(default)]
    pub packages: Vec<String>,
    /// features that make the crate compile the library itself, the one to advise first
    #[serde(default)]
    pub bundled: Vec<String>,
    /// variables by which the user says where the library is; `{TRIPLE}` is the target in capitals with `_` for `-`
    #[serde(default)]
    pub set_by: Vec<String>,
}

/// A C library that a program links and that is not there for the target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{crate_name}` links the C library {library}, which is not there for `{triple}` (needed by {path})")]
pub struct MissingLibrary {
    /// the crate that links it
    pub crate_name: String,
    /// the library
    pub library: String,
    /// the target
    pub triple: String,
    /// how the program comes to the crate
    pub path: DependencyPath,
    /// the line that makes the crate bring the library itself
    advice: Option<String>,
    /// Debian's packages of the library
    packages: Vec<String>,
}

impl Hint for MissingLibrary {
    fn hints(&self) -> Vec<String> {
        let packages: Vec<String> = self.packages.iter().map(|name| format!("\"{name}\"")).collect();
        let debian = format!("sysroot = {{ debian = \"bookworm\", packages = [{}] }}", packages.join(", "));
        let own = "sysroot = \"sysroots/{{platform.arch}}\"".to_owned();
        let sysroot = if packages.is_empty() { own } else { debian };
        self.advice.iter().cloned().chain([sysroot]).collect()
    }
}

/// The rows that anyarch brings.
///
/// # Errors
/// Never in a build whose tests passed.
pub fn crate_rows() -> Result<Vec<CrateRow>, toml::de::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(rename = "crate")]
        rows: Vec<CrateRow>,
    }
    toml::from_str::<File>(BUILT_IN).map(|file| file.rows)
}

impl Graph {
    /// The first C library that `program` (a package id) links for `triple` and that is not there.
    /// `is_set` tells whether a variable is in the environment.
    #[must_use]
    pub fn missing_library(
        &self,
        program: &str,
        triple: &str,
        rows: &[CrateRow],
        is_set: &dyn Fn(&str) -> bool,
    ) -> Option<MissingLibrary> {
        if pkg_config_variables(triple).iter().any(|name| is_set(name)) {
            return None;
        }
        let capitals = triple.replace(['-', '.'], "_").to_uppercase();
        self.walk(program, |path| {
            let id = path.last()?;
            let package = self.package(id)?;
            let row = rows.iter().find(|row| row.name == *package.name)?;
            let is_bundled =
                self.node(id)?.features.iter().any(|feature| row.bundled.iter().any(|name| *name == **feature));
            let is_told = row.set_by.iter().any(|name| is_set(&name.replace("{TRIPLE}", &capitals)));
            (!is_bundled && !is_told).then(|| MissingLibrary {
                crate_name: row.name.clone(),
                library: row.library.clone(),
                triple: triple.to_owned(),
                path: DependencyPath(self.names(path.iter())),
                advice: self.advice(path, row),
                packages: row.packages.clone(),
            })
        })
    }

    /// `cargo add` with the feature of the direct dependency that leads to the crate's, else with the crate itself.
    fn advice(&self, path: &[PackageId], row: &CrateRow) -> Option<String> {
        let packages: Vec<&Package> = path.iter().filter_map(|id| self.package(id)).collect();
        let program = packages.first()?;
        let feature = row.bundled.first()?.clone();
        let chain = packages[1..]
            .windows(2)
            .rev()
            .try_fold(feature.clone(), |feature, pair| feature_that_sets(pair[0], pair[1], &feature));
        let direct = packages.get(1).filter(|direct| !is_renamed(program, direct));
        let (name, feature) = match (direct, chain) {
            (Some(direct), Some(feature)) => (direct.name.to_string(), feature),
            _ => (packages.last()?.name.to_string(), feature),
        };
        Some(format!("cargo add --package {} {name} --features {feature}", program.name))
    }
}

/// A feature of `package` that turns on `feature` of its dependency.
fn feature_that_sets(package: &Package, dependency: &Package, feature: &str) -> Option<String> {
    let of_it = package.dependencies.iter().filter(|known| known.name == *dependency.name);
    let keys: Vec<&String> = of_it.map(|known| known.rename.as_ref().unwrap_or(&known.name)).collect();
    let sets = |value: &String| {
        let (key, name) = value.split_once('/').unwrap_or_default();
        name == feature && keys.iter().any(|known| *known == key.trim_end_matches('?'))
    };
    package.features.iter().find(|(_, values)| values.iter().any(sets)).map(|(name, _)| name.clone())
}

fn is_renamed(package: &Package, dependency: &Package) -> bool {
    package.dependencies.iter().any(|known| known.name == *dependency.name && known.rename.is_some())
}

/// The variables that let pkg-config answer for another machine, as the crate `pkg-config` reads them.
pub(super) fn pkg_config_variables(triple: &str) -> Vec<String> {
    let names = ["PKG_CONFIG_ALLOW_CROSS", "PKG_CONFIG", "PKG_CONFIG_SYSROOT_DIR"];
    let with_underscores = triple.replace(['-', '.'], "_");
    let forms = |name: &str| {
        [format!("{name}_{triple}"), format!("{name}_{with_underscores}"), format!("TARGET_{name}"), name.to_owned()]
    };
    names.into_iter().flat_map(forms).collect()
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::graph;
    use super::*;

    const TRIPLE: &str = "aarch64-unknown-linux-musl";

    fn missing(graph: &Graph, set: &[&str]) -> Option<MissingLibrary> {
        graph.missing_library("app", TRIPLE, &crate_rows().unwrap(), &|name| set.contains(&name))
    }

    fn by_reqwest(sys: &str) -> Graph {
        graph(
            &["app", "reqwest", "native-tls", "openssl", sys],
            &[
                ("app", ">", "reqwest"),
                ("reqwest", ">", "native-tls"),
                ("native-tls", ">", "openssl"),
                ("openssl", ">", "openssl-sys"),
            ],
        )
    }

    #[test]
    fn a_library_that_nobody_brings_is_an_error_with_the_feature_that_helps() {
        let error = missing(&by_reqwest("openssl-sys"), &[]).unwrap();
        assert_eq!(
            error.to_string(),
            "`openssl-sys` links the C library OpenSSL, which is not there for `aarch64-unknown-linux-musl` \
             (needed by app -> reqwest -> native-tls -> openssl -> openssl-sys)"
        );
        assert_eq!(
            error.hints(),
            [
                "cargo add --package app reqwest --features native-tls-vendored",
                "sysroot = { debian = \"bookworm\", packages = [\"libssl-dev\"] }"
            ]
        );
    }

    #[test]
    fn without_a_chain_of_features_the_crate_itself_is_named() {
        let graph = graph(&["app", "diesel", "pq-sys"], &[("app", ">", "diesel"), ("diesel", ">", "pq-sys")]);
        assert_eq!(missing(&graph, &[]).unwrap().hints()[0], "cargo add --package app pq-sys --features bundled");
        let direct = super::super::graph::tests::graph(&["app", "pq-sys"], &[("app", ">", "pq-sys")]);
        assert_eq!(missing(&direct, &[]).unwrap().hints()[0], "cargo add --package app pq-sys --features bundled");
    }

    #[test]
    fn a_library_that_is_brought_or_pointed_at_is_none() {
        assert_eq!(missing(&by_reqwest("openssl-sys+vendored"), &[]), None);
        for variable in [
            "OPENSSL_DIR",
            "AARCH64_UNKNOWN_LINUX_MUSL_OPENSSL_DIR",
            "PKG_CONFIG_ALLOW_CROSS",
            "PKG_CONFIG_SYSROOT_DIR_aarch64_unknown_linux_musl",
        ] {
            assert_eq!(missing(&by_reqwest("openssl-sys"), &[variable]), None, "{variable}");
        }
        assert!(missing(&by_reqwest("openssl-sys"), &["X86_64_UNKNOWN_LINUX_MUSL_OPENSSL_DIR"]).is_some());
        let for_the_host =
            graph(&["app", "derive!", "openssl-sys"], &[("app", ">", "derive"), ("derive", ">", "openssl-sys")]);
        assert_eq!(missing(&for_the_host, &[]), None);
    }
}
