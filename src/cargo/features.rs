//! The features that were asked for become cargo's arguments, and the set that they turn on in a package.

use std::collections::BTreeSet;

use cargo_metadata::Package;

/// The features that a program is built with, as cargo's own flags say it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Features {
    /// `--features`
    pub names: Vec<String>,
    /// `--all-features`
    pub all: bool,
    /// `--no-default-features`
    pub no_default: bool,
}

impl Features {
    /// The arguments that tell cargo so.
    #[must_use]
    pub fn args(&self) -> Vec<String> {
        let mut args = Vec::new();
        if !self.names.is_empty() {
            args.extend(["--features".to_owned(), self.names.join(",")]);
        }
        if self.all {
            args.push("--all-features".to_owned());
        }
        if self.no_default {
            args.push("--no-default-features".to_owned());
        }
        args
    }

    /// Those of `required` that stay off in `package`. Features of dependencies (`name/feature`) are left to cargo.
    pub(super) fn missing(&self, package: &Package, required: &[String]) -> Vec<String> {
        let on = self.turned_on(package);
        required.iter().filter(|name| !name.contains('/') && !on.contains(*name)).cloned().collect()
    }

    fn turned_on(&self, package: &Package) -> BTreeSet<String> {
        let own_prefix = format!("{}/", package.name);
        let asked = self.names.iter().flat_map(|name| name.split([',', ' '])).filter(|name| !name.is_empty());
        let mut open: Vec<String> =
            asked.map(|name| name.strip_prefix(&own_prefix).unwrap_or(name).to_owned()).collect();
        if self.all {
            open.extend(package.features.keys().cloned());
        }
        if !self.no_default {
            open.push("default".to_owned());
        }
        let mut on = BTreeSet::new();
        while let Some(name) = open.pop() {
            open.extend(package.features.get(&name).into_iter().flatten().filter(|name| !on.contains(*name)).cloned());
            on.insert(name);
        }
        on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package() -> Package {
        let json = serde_json::json!({
            "name": "app", "version": "1.0.0", "id": "app", "dependencies": [], "targets": [],
            "manifest_path": "/w/Cargo.toml",
            "features": { "default": ["net"], "net": ["tls"], "tls": ["dep:rustls"], "gui": [], "a": ["b"], "b": ["a"] }
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn features_turn_each_other_on() {
        let features = |names: &[&str], all, no_default| Features {
            names: names.iter().map(ToString::to_string).collect(),
            all,
            no_default,
        };
        for (features, required, missing) in [
            (features(&[], false, false), vec!["tls"], vec![]),
            (features(&[], false, true), vec!["tls", "net"], vec!["tls", "net"]),
            (features(&["gui"], false, false), vec!["gui", "tls"], vec![]),
            (features(&["gui,b"], false, true), vec!["a", "gui", "net"], vec!["net"]),
            (features(&["app/gui"], false, false), vec!["gui"], vec![]),
            (features(&["other/gui"], false, false), vec!["gui"], vec!["gui"]),
            (features(&[], true, true), vec!["gui", "net"], vec![]),
            (features(&[], false, false), vec!["serde/derive"], vec![]),
        ] {
            let required: Vec<String> = required.into_iter().map(str::to_owned).collect();
            assert_eq!(features.missing(&package(), &required), missing, "{features:?} {required:?}");
        }
    }

    #[test]
    fn features_become_arguments() {
        let features = Features { names: vec!["a".into(), "b".into()], all: false, no_default: true };
        assert_eq!(features.args(), ["--features", "a,b", "--no-default-features"]);
        assert_eq!(Features { all: true, ..Features::default() }.args(), ["--all-features"]);
        assert!(Features::default().args().is_empty());
    }
}
