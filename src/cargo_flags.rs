//! The Rust flags that cargo would use for a target, in its own precedence: environment and configuration files as
//! they hold in the project's folder.
//!
//! cargo-config2 reads them. Where a file has `[target.'cfg(..)']` it runs `rustc --print cfg` to see whether that fits.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use cargo_config2::{Config, ResolveOptions};

use crate::cargo::{UserFlags, is_cargo_package_variable, rust_flags_variable};
use crate::hint::Hint;

/// Stands for the flags of `CARGO_TARGET_<TRIPLE>_RUSTFLAGS`, to see where cargo puts them.
const MARK: &str = "--cfg=anyarch_mark";

/// Variables that silence what the configuration says about a target, the one that wins first.
const SILENCING: [&str; 2] = ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"];

/// cargo adds its flags to those of `build.rustflags` (seen with 1.95), cargo-config2 puts them in their place; so
/// cargo-config2 never sees it.
const BUILD: &str = "CARGO_BUILD_RUSTFLAGS";

/// The environment and the configuration files of a folder.
#[derive(Debug)]
pub struct CargoConfig {
    directory: PathBuf,
    environment: Vec<(String, OsString)>,
    cargo_home: PathBuf,
    config: Config,
}

/// Why the flags cannot be known.
#[derive(Debug, thiserror::Error)]
pub enum CargoConfigError {
    /// A file or a variable is malformed.
    #[error("cargo's configuration in `{}` cannot be read", .directory.display())]
    Config {
        /// the folder
        directory: PathBuf,
        /// what is wrong
        #[source]
        source: Box<cargo_config2::Error>,
    },
    /// Nobody says where cargo's folder is.
    #[error("cargo's folder is not known: neither CARGO_HOME nor HOME is set")]
    NoCargoHome,
}

impl Hint for CargoConfigError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Config { .. } => Vec::new(),
            Self::NoCargoHome => vec!["CARGO_HOME=/path/to/.cargo anyarch build".to_owned()],
        }
    }
}

impl CargoConfig {
    /// Reads the configuration that holds in `directory`, an absolute path, for a cargo with this `environment`.
    ///
    /// # Errors
    /// When a file or a variable is malformed, or cargo's folder is unknown.
    pub fn load(
        directory: &Path,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, CargoConfigError> {
        // cargo itself ignores names that are no text.
        let environment = environment.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let environment: Vec<_> = environment.filter(|(name, _)| !is_cargo_package_variable(name)).collect();
        let value = |name: &str| {
            let found = environment.iter().find(|(known, _)| known == name).map(|(_, value)| PathBuf::from(value));
            found.filter(|value| !value.as_os_str().is_empty())
        };
        let cargo_home = value("CARGO_HOME").map(|home| directory.join(home));
        let cargo_home = cargo_home.or_else(|| value("HOME").map(|home| home.join(".cargo")));
        let cargo_home = cargo_home.ok_or(CargoConfigError::NoCargoHome)?;
        let config = config(directory, &cargo_home, environment.clone())?;
        Ok(Self { directory: directory.to_owned(), environment, cargo_home, config })
    }

    /// cargo's folder: `CARGO_HOME`, else `.cargo` in the home folder.
    #[must_use]
    pub fn cargo_home(&self) -> &Path {
        &self.cargo_home
    }

    /// The command that runs rustc, with the wrapper that the configuration names.
    #[must_use]
    pub fn rustc(&self) -> Vec<String> {
        let rustc = self.config.rustc();
        let args = rustc.args.iter().map(|arg| arg.to_string_lossy().into_owned());
        [rustc.path.to_string_lossy().into_owned()].into_iter().chain(args).collect()
    }

    /// The Rust flags for `triple`.
    ///
    /// # Errors
    /// When the flags are malformed, or a `cfg(..)` cannot be judged because rustc fails.
    pub fn user_flags(&self, triple: &str) -> Result<UserFlags, CargoConfigError> {
        let own = rust_flags_variable(triple);
        let kept = self.environment.iter().filter(|(name, _)| !SILENCING.contains(&name.as_str()) && *name != own);
        let marked = kept.cloned().chain([(own.clone(), OsString::from(MARK))]);
        let marked = config(&self.directory, &self.cargo_home, marked)?;
        let marked = self.flags(&marked, triple)?;
        let mut parts = marked.split(|flag| flag == MARK);
        let mut part = || parts.next().unwrap_or_default().to_vec();
        let (before, after) = (part(), part());
        let mut effective = self.flags(&self.config, triple)?;
        let mut variable = SILENCING.into_iter().chain([own.as_str()]).find(|name| self.value(name).is_some());
        // A build-wide variable counts only where nothing is said about the target.
        if let Some(value) = self.value(BUILD).filter(|_| variable.is_none() && before.is_empty() && after.is_empty()) {
            effective.extend(value.to_string_lossy().split_whitespace().map(str::to_owned));
            variable = Some(BUILD);
        }
        Ok(UserFlags { effective, before, after, variable: variable.map(str::to_owned) })
    }

    fn value(&self, name: &str) -> Option<&OsString> {
        self.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn flags(&self, config: &Config, triple: &str) -> Result<Vec<String>, CargoConfigError> {
        let flags = config.rustflags(triple).map_err(|source| error(&self.directory, source))?;
        Ok(flags.map(|flags| flags.flags).unwrap_or_default())
    }
}

fn config(
    directory: &Path,
    cargo_home: &Path,
    environment: impl IntoIterator<Item = (String, OsString)>,
) -> Result<Config, CargoConfigError> {
    let environment = environment.into_iter().filter(|(name, _)| name != BUILD);
    let options = ResolveOptions::default().env(environment).cargo_home(Some(cargo_home.to_owned()));
    Config::load_with_options(directory, options).map_err(|source| error(directory, source))
}

fn error(directory: &Path, source: cargo_config2::Error) -> CargoConfigError {
    CargoConfigError::Config { directory: directory.to_owned(), source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIPLE: &str = "aarch64-unknown-linux-musl";
    /// A configuration file, the environment, the effective flags, what is passed, and the variable it comes from.
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str], Option<&'a str>, Option<&'a str>);
    const OWN: &str = "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUSTFLAGS";

    fn folder(configuration: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(folder.path().join("project/.cargo")).unwrap();
        fs_err::create_dir_all(folder.path().join("home")).unwrap();
        fs_err::write(folder.path().join("project/.cargo/config.toml"), configuration).unwrap();
        folder
    }

    fn load(folder: &Path, variables: &[(&str, &str)]) -> Result<CargoConfig, CargoConfigError> {
        let home = folder.join("home").into_os_string();
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        CargoConfig::load(&folder.join("project"), variables.chain([("CARGO_HOME".into(), home)]))
    }

    #[test]
    fn flags_come_in_cargos_precedence() {
        // Each expected order was seen with cargo 1.95.
        let file = "[build]\nrustflags = [\"-Cbuild\"]\n[target.aarch64-unknown-linux-musl]\nrustflags = \"-Cfile\"\n\
                    [target.'cfg(unix)']\nrustflags = [\"-Ccfg\"]\n";
        let build = "[build]\nrustflags = [\"-Cbuild\"]\n";
        let cases: [Case; 11] = [
            ("", &[], &[], Some("-Cours"), None),
            (file, &[("RUSTFLAGS", "")], &[], None, Some("RUSTFLAGS")),
            (build, &[("CARGO_ENCODED_RUSTFLAGS", "")], &[], Some("-Cours"), Some("CARGO_ENCODED_RUSTFLAGS")),
            (build, &[], &["-Cbuild"], Some("-Cbuild -Cours"), None),
            (build, &[(OWN, "-Cown")], &["-Cown"], Some("-Cown -Cours"), Some(OWN)),
            (
                build,
                &[("CARGO_BUILD_RUSTFLAGS", "-Cenv")],
                &["-Cbuild", "-Cenv"],
                Some("-Cbuild -Cenv -Cours"),
                Some("CARGO_BUILD_RUSTFLAGS"),
            ),
            (file, &[], &["-Cfile", "-Ccfg"], Some("-Cours"), None),
            (file, &[("CARGO_BUILD_RUSTFLAGS", "-Cenv")], &["-Cfile", "-Ccfg"], Some("-Cours"), None),
            (file, &[(OWN, "-Cown")], &["-Cfile", "-Cown", "-Ccfg"], Some("-Cown -Cours"), Some(OWN)),
            (file, &[("RUSTFLAGS", "-Ca  -Cb"), (OWN, "-Cown")], &["-Ca", "-Cb"], None, Some("RUSTFLAGS")),
            (
                "",
                &[("RUSTFLAGS", "-Ca"), ("CARGO_ENCODED_RUSTFLAGS", "-Cx\u{1f}-Cy z")],
                &["-Cx", "-Cy z"],
                None,
                Some("CARGO_ENCODED_RUSTFLAGS"),
            ),
        ];
        for (configuration, variables, effective, passed, variable) in cases {
            let folder = folder(configuration);
            let flags = load(folder.path(), variables).unwrap().user_flags(TRIPLE).unwrap();
            assert_eq!(flags.effective, effective, "{configuration} {variables:?}");
            assert_eq!(flags.variable.as_deref(), variable, "{configuration} {variables:?}");
            let word = flags.as_target_variable(&["-Cours".to_owned()]);
            assert_eq!(word.as_ref().map(crate::invocation::Word::value), passed, "{configuration} {variables:?}");
        }
    }

    #[test]
    fn variables_of_an_outer_cargo_play_no_part() {
        let folder = folder("");
        let config = load(folder.path(), &[("CARGO", "/outer/bin/cargo"), ("RUSTC_WRAPPER", "sccache")]).unwrap();
        assert_eq!(config.rustc(), ["sccache", "rustc"]);
        assert_eq!(config.cargo_home(), folder.path().join("home"));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let folder = folder("[build\n");
        let error = load(folder.path(), &[]).unwrap_err();
        let project = folder.path().join("project");
        assert_eq!(error.to_string(), format!("cargo's configuration in `{}` cannot be read", project.display()));
        let error = CargoConfig::load(Path::new("/"), []).unwrap_err();
        assert_eq!(error.to_string(), "cargo's folder is not known: neither CARGO_HOME nor HOME is set");
    }
}
