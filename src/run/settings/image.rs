//! What is said of one image: flags over its own keys over those of the whole file, templates rendered.

use std::collections::BTreeSet;

use toml::Spanned;

use super::outputs::PUSH_BY_DIGEST;
use super::{OutputChoice, Settings};
use crate::annotation::{AnnotationError, AnnotationKey, Annotations};
use crate::base_name::BaseName;
use crate::config::check::not_empty;
use crate::config::collections::OneOrMany;
use crate::config::git::GitFact;
use crate::config::template::{Facts as _, Rendered, Scope};
use crate::config::value_error::ValueError;
use crate::config::values::{Created, PlatformWish, absolute};
use crate::config::{ConfigError, ImageKeys, Origin};
use crate::host;
use crate::image::ImageSettings;
use crate::output_spec::Output;
use crate::platform::{Architecture, Platform};
use crate::reference::Reference;
use crate::run::error::Error;

/// Whether an image is named below the references that are said for several: `registry.example.com/app/NAME:1.0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Below {
    /// below those of the command line
    pub flags: bool,
    /// below those of the configuration file
    pub file: bool,
}

/// A name that an image is published under.
#[derive(Clone, Debug)]
pub struct Name {
    /// the name
    pub reference: Reference,
    /// who gave it
    pub origin: Origin,
}

impl Settings {
    /// The platforms that were asked for; this machine's for docker and podman, amd64 and arm64 when nothing was said. `all` and `host` are still words.
    ///
    /// # Errors
    /// When a flag names no platform.
    pub fn platforms(&self, keys: &ImageKeys) -> Result<Vec<PlatformWish>, Error> {
        let wishes = if !self.flags.platforms.is_empty() {
            let parse = |text: &String| match text.trim() {
                "all" => Ok(PlatformWish::All),
                "host" => Ok(PlatformWish::Host),
                text => text.parse().map(PlatformWish::One),
            };
            self.flags.platforms.iter().map(parse).collect::<Result<Vec<_>, _>>()?
        } else if self.wants_host() {
            vec![PlatformWish::Host]
        } else if let Some(list) = &keys.platforms {
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
    pub fn base(&self, keys: &ImageKeys, platform: Option<Platform>, scope: &Scope) -> Result<BaseName, Error> {
        let own = platform.and_then(|platform| keys.bases.0.get(&platform));
        let (text, origin) = match (own, &self.flags.base, &keys.base) {
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
            (BaseName::Archive { file, tag }, Origin::File(_)) => BaseName::Archive { file: self.root.join(file), tag },
            (BaseName::DockerArchive { file, name }, Origin::File(_)) => {
                BaseName::DockerArchive { file: self.root.join(file), name }
            }
            (name, _) => name,
        })
    }

    /// Every base that an image may take, each once, as far as is known without looking at one: which platforms `all` are
    /// says the base.
    ///
    /// # Errors
    /// When one cannot be rendered or names no base.
    pub fn bases(&self, keys: &ImageKeys, scope: &Scope) -> Result<BTreeSet<BaseName>, Error> {
        let mut platforms = BTreeSet::new();
        for wish in self.platforms(keys)? {
            match wish {
                PlatformWish::One(platform) => drop(platforms.insert(Some(platform))),
                PlatformWish::Host => drop(platforms.insert(Some(host::platform()?))),
                PlatformWish::All => {
                    platforms.insert(None);
                    platforms.extend(keys.bases.0.keys().map(|platform| Some(*platform)));
                }
            }
        }
        platforms.into_iter().map(|platform| self.base(keys, platform, scope)).collect()
    }

    /// What the image's config says, before the entrypoint is settled. `pick` takes of each value what goes into the
    /// image, or what people are shown.
    ///
    /// # Errors
    /// When a template has no answer, a value is none that its key takes, or a flag is no KEY=VALUE.
    pub fn image(&self, keys: &ImageKeys, scope: &Scope, pick: fn(Rendered) -> String) -> Result<ImageSettings, Error> {
        let one = |key: &str, value: &Option<Spanned<String>>, rule: fn(&str) -> Result<(), ValueError>| {
            value.as_ref().map(|value| self.checked(key, value, scope, rule).map(pick)).transpose()
        };
        let list = |list: &Option<Spanned<Vec<Spanned<String>>>>| {
            let texts = list.as_ref().map(|list| list.get_ref().iter().map(|value| self.text(value, scope).map(pick)));
            texts.map(Iterator::collect::<Result<Vec<String>, Error>>).transpose()
        };
        let env = keys.env.0.iter().map(|(name, value)| Ok((name.clone(), pick(self.text(value, scope)?))));
        let volumes = keys.volumes.iter().flat_map(|volumes: &Spanned<OneOrMany<String>>| volumes.get_ref().iter());
        let volumes = volumes.map(|volume| self.checked("volumes", volume, scope, absolute).map(pick));
        let labels = keys.labels.0.iter().map(|(key, value)| Ok((key.clone(), pick(self.text(value, scope)?))));
        let mut labels = labels.collect::<Result<std::collections::BTreeMap<_, _>, Error>>()?;
        labels.extend(self.assignments(("--label", &self.flags.labels), scope, pick)?);
        let ports = keys.ports.iter().flat_map(Spanned::get_ref);
        Ok(ImageSettings {
            entrypoint: list(&keys.entrypoint)?,
            cmd: list(&keys.cmd)?,
            env: env.collect::<Result<_, Error>>()?,
            user: one("user", &keys.user, not_empty)?,
            workdir: one("workdir", &keys.workdir, absolute)?,
            labels,
            annotations: self.annotations(keys, scope, pick)?,
            ports: ports.map(|port| port.get_ref().to_string()).collect(),
            volumes: volumes.collect::<Result<_, Error>>()?,
            stop_signal: keys.stop_signal.as_ref().map(|signal| signal.get_ref().0.clone()),
            ignore_onbuild: self.ignore_onbuild(),
        })
    }

    fn annotations(&self, keys: &ImageKeys, scope: &Scope, pick: fn(Rendered) -> String) -> Result<Annotations, Error> {
        const FLAG: &str = "--annotation";
        let mut file = Vec::with_capacity(keys.annotations.0.len());
        for (key, value) in &keys.annotations.0 {
            let parsed: AnnotationKey = key.parse().map_err(|error| {
                ConfigError::bad_value(&self.file.source, "annotations", value, &ValueError::Annotation(error))
            })?;
            file.push((parsed, pick(self.text(value, scope)?)));
        }
        let flags = self.assignments((FLAG, &self.flags.annotations), scope, pick)?;
        let wrong = |source: AnnotationError| Error::Annotation { flag: FLAG, source: Box::new(source) };
        let flags = flags.into_iter().map(|(key, value)| Ok((key.parse().map_err(wrong)?, value)));
        let flags = flags.collect::<Result<Vec<_>, Error>>()?;
        let mut annotations = Annotations::default();
        annotations.lay_over(file);
        annotations.lay_over(self.annotations_of_outputs(scope, pick)?);
        annotations.lay_over(flags);
        Ok(annotations)
    }

    /// The KEY=VALUE texts of a flag, in their order.
    fn assignments(
        &self,
        (flag, texts): (&'static str, &[String]),
        scope: &Scope,
        pick: fn(Rendered) -> String,
    ) -> Result<Vec<(String, String)>, Error> {
        let assignment = |text: &String| {
            let (key, value) = text
                .split_once('=')
                .filter(|(key, _)| !key.is_empty())
                .ok_or_else(|| Error::KeyValue { flag, text: text.clone() })?;
            let value = self.templates.render(value, &Origin::Flag(flag), scope)?;
            Ok((key.to_owned(), pick(value)))
        };
        texts.iter().map(assignment).collect()
    }

    /// The names to publish under by an output: those of `-t`, else the output's own, else those of the file. `scope` is that
    /// of the image; below a reference that is said for several images it has its own name, unless that reference already
    /// names it as `image.name`.
    ///
    /// # Errors
    /// When one cannot be rendered, is no reference, or says more than the output takes.
    pub fn references(
        &self,
        keys: &ImageKeys,
        below: Below,
        output: &OutputChoice,
        scope: &Scope,
    ) -> Result<Vec<Name>, Error> {
        let mut references = Vec::new();
        for (text, origin, below) in self.names(keys, below, output) {
            let rendered = self.templates.render(&text, &origin, scope)?;
            let text = rendered.value;
            let wrong = |source| Error::Reference { origin: origin.to_string(), source };
            let mut reference: Reference = text.parse().map_err(wrong)?;
            let named = || text.split('@').next().unwrap_or_default().to_owned();
            if reference.digest.is_some() {
                return Err(Error::DigestTag { origin: origin.to_string(), named: named(), text });
            }
            // The file names what is published in the end, by whoever puts the parts together.
            if (Output::Registry { by_digest: true }) == output.spec.output
                && output.text != PUSH_BY_DIGEST
                && let Some(tag) = reference.tag.take()
                && let Origin::Flag(flag) = origin
            {
                let named = text.strip_suffix(&format!(":{tag}")).unwrap_or(&text).to_owned();
                return Err(Error::TagByDigest { flag, text, named });
            }
            if let Some(name) = scope.image.as_ref().filter(|_| below && !rendered.names_image) {
                reference.repository = reference.repository.join(name).map_err(wrong)?;
            }
            let name = Name { reference, origin };
            if !references.iter().any(|known: &Name| known.reference == name.reference) {
                references.push(name);
            }
        }
        Ok(references)
    }

    /// The names as they are written, who wrote them, and whether several images are named below them.
    fn names(&self, keys: &ImageKeys, below: Below, output: &OutputChoice) -> Vec<(String, Origin, bool)> {
        if !self.flags.tags.is_empty() {
            return self.flags.tags.iter().map(|tag| (tag.clone(), Origin::Flag("-t"), below.flags)).collect();
        }
        if !output.spec.names.is_empty() {
            let below = if matches!(output.origin, Origin::File(_)) { below.file } else { below.flags };
            return output.spec.names.iter().map(|name| (name.clone(), output.origin.clone(), below)).collect();
        }
        let tags = keys.tags.iter().flat_map(|tags| tags.get_ref().iter());
        // Where images go that have no tag of their own.
        let repository = keys.repository.iter().filter(|_| keys.tags.is_none());
        let of_file = tags.chain(repository);
        of_file.map(|tag| (tag.get_ref().clone(), self.file.source.origin_of(tag), below.file)).collect()
    }

    /// The time that an image says it was created at, as RFC 3339: `created`, else `SOURCE_DATE_EPOCH`, else 0.
    ///
    /// # Errors
    /// When the time of the commit is asked for and git does not tell.
    pub fn created(&self, keys: &ImageKeys) -> Result<String, Error> {
        let created = match &keys.created {
            None => self.epoch.unwrap_or(0),
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
        Ok(moment.format(&time::format_description::well_known::Rfc3339).unwrap_or_default())
    }
}
