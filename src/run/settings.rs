//! Flags over the configuration file over what holds by default: each setting as one value, templates rendered.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use toml::Spanned;

use crate::base_name::BaseName;
use crate::config::check::not_empty;
use crate::config::collections::{Labels, OneOrMany};
use crate::config::git::{self, GitError, GitFact, GitOutput};
use crate::config::template::{Facts, PlatformScope, Rendered, Scope, Templates};
use crate::config::value_error::ValueError;
use crate::config::values::absolute;
use crate::config::values::{Created, PlatformWish};
use crate::config::{ConfigError, ConfigFile, Origin};
use crate::exec::Children;
use crate::image::ImageSettings;
use crate::invocation::{Invocation, Word};
use crate::output_spec::{self, Output};
use crate::platform::{Architecture, Platform};
use crate::reference::{Reference, Repository};
use crate::toolchain::Toolchains;

use super::error::Error;
use super::flags::Flags;

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

    /// The platforms that were asked for; amd64 and arm64 when nothing was said. `all` and `host` are still words.
    ///
    /// # Errors
    /// When a flag names no platform.
    pub fn platforms(&self) -> Result<Vec<PlatformWish>, Error> {
        let wishes = if !self.flags.platforms.is_empty() {
            let parse = |text: &String| match text.trim() {
                "all" => Ok(PlatformWish::All),
                "host" => Ok(PlatformWish::Host),
                text => text.parse().map(PlatformWish::One),
            };
            self.flags.platforms.iter().map(parse).collect::<Result<Vec<_>, _>>()?
        } else if let Some(list) = &self.file.platforms {
            list.get_ref().iter().map(|wish| *wish.get_ref()).collect()
        } else {
            [Architecture::Amd64, Architecture::Arm64]
                .map(|architecture| PlatformWish::One(Platform::linux(architecture)))
                .to_vec()
        };
        if wishes.is_empty() { Err(Error::NoPlatforms) } else { Ok(wishes) }
    }

    /// The base for every platform, or the one for `platform` where the configuration names one.
    ///
    /// # Errors
    /// When it cannot be rendered or names no base.
    pub fn base(&self, platform: Option<Platform>, scope: &Scope) -> Result<BaseName, Error> {
        let own = platform.and_then(|platform| self.file.bases.0.get(&platform));
        let (text, origin) = match (own, &self.flags.base, &self.file.base) {
            // A base for one platform is said on purpose for that platform, so a flag for all does not undo it.
            (Some(own), _, _) => (own.get_ref().clone(), self.file.source.origin_of(own)),
            (None, Some(flag), _) => (flag.clone(), Origin::Flag("--base")),
            (None, None, Some(value)) => (value.get_ref().clone(), self.file.source.origin_of(value)),
            (None, None, None) => return Ok(BaseName::Static),
        };
        let text = self.templates.render(&text, &origin, scope)?.value;
        let parsed = text.parse();
        let name = parsed.map_err(|source| Error::BaseName { origin: origin.clone(), text, source })?;
        Ok(match (name, origin) {
            // What the file says is relative to the file, what a flag says to the folder we are in.
            (BaseName::Layout { folder, tag }, Origin::File(_)) => {
                BaseName::Layout { folder: self.root.join(folder), tag }
            }
            (name, _) => name,
        })
    }

    /// What the image's config says, before the entrypoint is settled. `pick` takes of each value what goes into the
    /// image, or what people are shown.
    ///
    /// # Errors
    /// When a template has no answer, a value is none that its key takes, or a flag is no KEY=VALUE.
    pub fn image(&self, scope: &Scope, pick: fn(Rendered) -> String) -> Result<ImageSettings, Error> {
        let file = &self.file;
        let one = |key: &str, value: &Option<Spanned<String>>, rule: fn(&str) -> Result<(), ValueError>| {
            value.as_ref().map(|value| self.checked(key, value, scope, rule).map(pick)).transpose()
        };
        let list = |list: &Option<Spanned<Vec<Spanned<String>>>>| {
            let texts = list.as_ref().map(|list| list.get_ref().iter().map(|value| self.text(value, scope).map(pick)));
            texts.map(Iterator::collect::<Result<Vec<String>, Error>>).transpose()
        };
        let env = file.env.0.iter().map(|(name, value)| Ok((name.clone(), pick(self.text(value, scope)?))));
        let volumes = file.volumes.iter().flat_map(|volumes: &Spanned<OneOrMany<String>>| volumes.get_ref().iter());
        let volumes = volumes.map(|volume| self.checked("volumes", volume, scope, absolute).map(pick));
        Ok(ImageSettings {
            entrypoint: list(&file.entrypoint)?,
            cmd: list(&file.cmd)?,
            env: env.collect::<Result<_, Error>>()?,
            user: one("user", &file.user, not_empty)?,
            workdir: one("workdir", &file.workdir, absolute)?,
            labels: self.with_flags(&file.labels, ("--label", &self.flags.labels), scope, pick)?,
            annotations: self.with_flags(&file.annotations, ("--annotation", &self.flags.annotations), scope, pick)?,
            ports: file.ports.iter().map(|port| port.get_ref().to_string()).collect(),
            volumes: volumes.collect::<Result<_, Error>>()?,
            stop_signal: file.stop_signal.as_ref().map(|signal| signal.get_ref().0.clone()),
            ignore_onbuild: self.ignore_onbuild(),
        })
    }

    fn with_flags(
        &self,
        map: &Labels,
        (flag, texts): (&'static str, &[String]),
        scope: &Scope,
        pick: fn(Rendered) -> String,
    ) -> Result<BTreeMap<String, String>, Error> {
        let written = map.0.iter().map(|(key, value)| Ok((key.clone(), pick(self.text(value, scope)?))));
        let mut merged = written.collect::<Result<BTreeMap<_, _>, Error>>()?;
        for text in texts {
            let (key, value) = text
                .split_once('=')
                .filter(|(key, _)| !key.is_empty())
                .ok_or_else(|| Error::KeyValue { flag, text: text.clone() })?;
            let value = self.templates.render(value, &Origin::Flag(flag), scope)?;
            merged.insert(key.to_owned(), pick(value));
        }
        Ok(merged)
    }

    /// The references to publish under. `program` is the name below the repository, where there are several images.
    ///
    /// # Errors
    /// When one cannot be rendered or is no reference.
    pub fn references(&self, program: Option<&str>, scope: &Scope) -> Result<Vec<Reference>, Error> {
        let from_file = || {
            let tags = self.file.tags.iter().flat_map(|tags| tags.get_ref().iter());
            tags.chain(&self.file.repository)
                .map(|tag| (tag.get_ref().clone(), self.file.source.origin_of(tag)))
                .collect()
        };
        let texts: Vec<(String, Origin)> = if self.flags.tags.is_empty() {
            let mut texts: Vec<_> = from_file();
            if self.file.tags.is_some() && self.file.repository.is_some() {
                texts.pop();
            }
            texts
        } else {
            self.flags.tags.iter().map(|tag| (tag.clone(), Origin::Flag("-t"))).collect()
        };
        let mut references = Vec::with_capacity(texts.len());
        for (text, origin) in texts {
            let text = self.templates.render(&text, &origin, scope)?.value;
            let wrong = |source| Error::Reference { origin: origin.to_string(), source };
            let mut reference: Reference = text.parse().map_err(wrong)?;
            if reference.digest.is_some() {
                let named = text.split('@').next().unwrap_or_default().to_owned();
                return Err(Error::DigestTag { origin: origin.to_string(), text, named });
            }
            if let Some(program) = program {
                let repository: Repository = reference.repository.join(program).map_err(wrong)?;
                reference.repository = repository;
            }
            references.push(reference);
        }
        Ok(references)
    }

    /// Where the image goes.
    ///
    /// # Errors
    /// When the output is none that we write.
    pub fn output(&self, scope: &Scope) -> Result<Output, Error> {
        if self.flags.push {
            return Ok(Output::Registry);
        }
        let parse =
            |text: &str, origin: Origin| output_spec::parse(text).map_err(|source| Error::Output { origin, source });
        if let Some(text) = &self.flags.output {
            return parse(text, Origin::Flag("-o"));
        }
        match (&self.file.output, self.file.output.as_ref().map(|output| output.get_ref().0.as_slice())) {
            (_, Some([value])) => {
                let output = parse(&self.text(value, scope)?.value, self.file.source.origin_of(value))?;
                // What the file says is relative to the file.
                Ok(match output {
                    Output::Folder(path) => Output::Folder(self.root.join(path)),
                    Output::Archive(path) => Output::Archive(self.root.join(path)),
                    other => other,
                })
            }
            (Some(output), Some(several @ [_, _, ..])) => {
                let place = self.file.source.place_of(output).to_string();
                Err(Error::SeveralOutputs { place, number: several.len() })
            }
            _ => Ok(if said(self.file.push.as_ref()) { Output::Registry } else { Output::Default }),
        }
    }

    /// The times of an image: `created`, else `SOURCE_DATE_EPOCH`, else 0.
    ///
    /// # Errors
    /// When the time of the commit is asked for and git does not tell.
    pub fn times(&self) -> Result<Times, Error> {
        let base = self.epoch.unwrap_or(0);
        let created = match &self.file.created {
            None => base,
            Some(value) => match value.get_ref() {
                Created::At(seconds) => *seconds,
                Created::Commit => {
                    let place = self.file.source.place_of(value).to_string();
                    let text =
                        self.facts.git(GitFact::CommitTime).map_err(|source| Error::CommitTime { place, source })?;
                    text.parse().map_err(|_| Error::Epoch { text })?
                }
            },
        };
        let moment = time::OffsetDateTime::from_unix_timestamp(created).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        let created = moment.format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
        Ok(Times { created, mtime: u64::try_from(base).unwrap_or_default() })
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
        self.root.join(".anyarch")
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
