//! Flags over the configuration file over what holds by default: each setting as one value, templates rendered.

mod image;
mod outputs;

use std::path::PathBuf;
use std::sync::Arc;

use toml::Spanned;

use crate::config::git::{self, GitError, GitFact, GitOutput};
use crate::config::template::{Facts, PlatformScope, Rendered, Scope, Templates};
use crate::config::value_error::ValueError;
use crate::config::{ConfigError, ConfigFile};
use crate::exec::Children;
use crate::invocation::{Invocation, Word};
use crate::platform::Platform;
use crate::toolchain::Toolchains;
use crate::verify::Policy;

use super::error::Error;
use super::flags::Flags;
use super::locate;
use super::push::PUSH_JOBS;

pub use image::{Below, Name};
pub use outputs::OutputChoice;

/// A project with all that was said about it.
pub struct Settings {
    /// the folder that holds `.anyarch`
    pub root: PathBuf,
    /// the configuration file, empty when there is none
    pub file: ConfigFile,
    /// the command line
    pub flags: Flags,
    templates: Templates,
    facts: Arc<GitFacts>,
    epoch: Option<i64>,
}

/// Answers of git and of the environment.
struct GitFacts {
    children: Children,
    root: PathBuf,
}

impl Facts for GitFacts {
    fn git(&self, fact: GitFact) -> Result<String, GitError> {
        let mut call = Invocation::new("git", &self.root).args(fact.arguments().iter().copied());
        for (name, value) in git::ENVIRONMENT {
            call = call.env(name, value);
        }
        call.env_remove.extend(git::UNSET.map(str::to_owned));
        match self.children.ask(&call) {
            Ok(finished) => {
                let output = GitOutput {
                    success: finished.status.success(),
                    stdout: &finished.stdout,
                    stderr: &finished.stderr,
                };
                git::read(fact, output, &self.root)
            }
            Err(_) => Err(GitError::NotInstalled),
        }
    }

    fn environment(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// When an image says it was created, and which times its files have.
#[derive(Clone, Debug)]
pub struct Times {
    /// RFC 3339
    pub created: String,
    /// seconds since 1970
    pub mtime: u64,
}

impl Settings {
    /// Puts the three together. `epoch` is the text of `SOURCE_DATE_EPOCH`.
    ///
    /// # Errors
    /// When `epoch` is no number.
    pub fn new(
        root: PathBuf,
        file: ConfigFile,
        flags: Flags,
        children: Children,
        epoch: Option<&str>,
    ) -> Result<Self, Error> {
        let facts = Arc::new(GitFacts { children, root: root.clone() });
        let templates = Templates::new(Arc::clone(&facts) as Arc<dyn Facts>);
        let epoch = epoch
            .filter(|text| !text.is_empty())
            .map(|text| text.parse::<u32>().map(i64::from).map_err(|_| Error::Epoch { text: text.to_owned() }))
            .transpose()?;
        Ok(Self { root, file, flags, templates, facts, epoch })
    }

    /// Renders a value of the configuration file.
    ///
    /// # Errors
    /// When its template has no answer.
    pub fn text(&self, value: &Spanned<String>, scope: &Scope) -> Result<Rendered, Error> {
        Ok(self.templates.render(value.get_ref(), &self.file.source.origin_of(value), scope)?)
    }

    /// Renders a value of the configuration file into a word of a command line.
    ///
    /// # Errors
    /// When its template has no answer.
    pub fn word(&self, value: &Spanned<String>, scope: &Scope) -> Result<Word, Error> {
        let rendered = self.text(value, scope)?;
        Ok(Word::hiding(rendered.value, rendered.display))
    }

    /// Renders a value of the configuration file and holds it to the rule of its key.
    ///
    /// # Errors
    /// When its template has no answer, or the rule is broken.
    pub fn checked(
        &self,
        key: &str,
        value: &Spanned<String>,
        scope: &Scope,
        rule: fn(&str) -> Result<(), ValueError>,
    ) -> Result<Rendered, Error> {
        let rendered = self.text(value, scope)?;
        match rule(&rendered.value) {
            Ok(()) => Ok(rendered),
            Err(error) => Err(ConfigError::bad_value(&self.file.source, key, value, &error).into()),
        }
    }

    /// The time that files in a layer have, in seconds since 1970: `SOURCE_DATE_EPOCH`, else 0.
    #[must_use]
    pub fn mtime(&self) -> u64 {
        self.epoch.and_then(|epoch| u64::try_from(epoch).ok()).unwrap_or_default()
    }

    /// Registries that may be spoken to by http or unverified https.
    #[must_use]
    pub fn insecure_registries(&self) -> Vec<String> {
        let file = self.file.insecure_registries.iter().flat_map(|hosts| hosts.get_ref().iter());
        file.map(|host| host.get_ref().clone()).chain(self.flags.insecure_registries.clone()).collect()
    }

    /// How many job tokens there are, where that was said.
    #[must_use]
    pub fn jobs(&self) -> Option<usize> {
        let file = self.file.jobs.as_ref().map(|jobs| jobs.get_ref().get() as usize);
        self.flags.jobs.or(file)
    }

    /// How many requests to registries that a push goes to may be open at once.
    #[must_use]
    pub fn push_jobs(&self) -> usize {
        let file = self.file.push_jobs.as_ref().map(|jobs| jobs.get_ref().get() as usize);
        self.flags.push_jobs.or(file).unwrap_or(PUSH_JOBS)
    }

    /// Whether all programs go into one image: as the flag or the file says, else as `default`.
    #[must_use]
    pub fn one_image(&self, default: bool) -> bool {
        self.flags.one_image || self.file.one_image.as_ref().map_or(default, |one_image| *one_image.get_ref())
    }

    /// Whether build triggers of a base are left out.
    #[must_use]
    pub fn ignore_onbuild(&self) -> bool {
        self.flags.ignore_onbuild || said(self.file.ignore_onbuild.as_ref())
    }

    /// Whether a single manifest is published without an index.
    #[must_use]
    pub fn single_manifest(&self) -> bool {
        self.flags.single_manifest || said(self.file.single_manifest.as_ref())
    }

    /// What is done with an image that would not start.
    #[must_use]
    pub fn verify(&self) -> Policy {
        let file = self.file.verify.as_ref().map(|policy| policy.get_ref().0);
        self.flags.verify.or(file).unwrap_or_default()
    }

    /// Whether missing platforms are left out.
    #[must_use]
    pub fn skip_missing(&self) -> bool {
        self.flags.skip_missing || said(self.file.skip_missing.as_ref())
    }

    /// Whether only the exact platform of a base will do.
    #[must_use]
    pub fn strict_platform(&self) -> bool {
        self.flags.strict_platform || said(self.file.strict_platform.as_ref())
    }

    /// The folder of ours in the project.
    #[must_use]
    pub fn own_folder(&self) -> PathBuf {
        locate::own_folder(&self.root)
    }
}

fn said(value: Option<&Spanned<bool>>) -> bool {
    value.is_some_and(|value| *value.get_ref())
}

/// What `platform.*` stands for in templates.
#[must_use]
pub fn platform_scope(platform: Platform, toolchains: &Toolchains) -> PlatformScope {
    let row = toolchains.platform(platform);
    let go = row.and_then(|row| row.go.as_ref());
    // A row for Go answers for every variable: the one that an architecture does not have is empty.
    let variable = |name: &str| go.map(|go| go.get(name).cloned().unwrap_or_default());
    PlatformScope {
        platform,
        rust: row.and_then(|row| row.rust.as_ref()).and_then(|rust| match rust.static_libc.as_str() {
            "musl" => rust.musl.clone(),
            _ => rust.gnu.clone(),
        }),
        goarch: variable("GOARCH"),
        goarm: variable("GOARM"),
        goamd64: variable("GOAMD64"),
    }
}
