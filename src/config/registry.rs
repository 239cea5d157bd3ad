//! `[registry."docker.io"]`: mirrors, location and trust of a registry, in the project's file and in the user's own
//! (`registries.toml`), become [`RegistrySettings`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::collections::OneOrMany;
use super::error::{ConfigError, from_toml};
use super::place::Source;
use super::schema::{Shape, table};
use super::value_error::{ValueError, pack};
use super::values::from_text;
use crate::registry_map::{Mirror, Prefix, RegistrySettings};

/// The name of the user's own file, in the folder of the user's configuration.
pub const FILE_NAME: &str = "registries.toml";

/// A mirror as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorName(pub Mirror);

/// A registry, or a part of one, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixName(pub Prefix);

macro_rules! registry_names {
    ($($name:ident => $expected:literal),*) => {$(
        impl FromStr for $name {
            type Err = ValueError;

            fn from_str(text: &str) -> Result<Self, ValueError> {
                text.parse().map(Self).map_err(ValueError::Registry)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                from_text(deserializer, $expected)
            }
        }

        impl Shape for $name {
            fn shape(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "minLength": 1 })
            }
        }
    )*};
}
registry_names!(MirrorName => "a string", PrefixName => "a string");

table! {
    /// what is said of a registry, or of the repositories below a path of one
    RegistryFile {
        /// where its images are read from, in this order, before itself; what is pushed goes to none of them
        mirrors: Option<Spanned<OneOrMany<MirrorName>>>,
        /// where it really is: what stands below the key is read from and pushed to below this
        location: Option<Spanned<PrefixName>>,
        /// true: https with any certificate will do, else plain http: `--insecure-registry`
        insecure: Option<Spanned<bool>>,
        /// true: it speaks plain http alone
        plain_http: Option<Spanned<bool>>,
        /// files of certificates in PEM to trust beside the system's, relative to this file
        ca: Option<Spanned<OneOrMany<String>>>,
        /// the file of our own certificate in PEM, relative to this file
        client_certificate: Option<Spanned<String>>,
        /// the file of its key in PEM, where it is not in the same file
        client_key: Option<Spanned<String>>,
    }
}

/// The `[registry]` tables by what they are of. Two spellings of one registry are an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registries(pub BTreeMap<Prefix, Spanned<RegistryFile>>);

impl<'de> Deserialize<'de> for Registries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RegistriesVisitor;
        impl<'de> Visitor<'de> for RegistriesVisitor {
            type Value = Registries;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a table with registries as its keys")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Registries, A::Error> {
                let mut registries = BTreeMap::new();
                while let Some(key) = table.next_key_seed(NewKey(&registries))? {
                    registries.insert(key, table.next_value()?);
                }
                Ok(Registries(registries))
            }
        }
        deserializer.deserialize_map(RegistriesVisitor)
    }
}

/// Reads a key that is not there yet: fails as the key, so that the error is at the key's place.
struct NewKey<'a>(&'a BTreeMap<Prefix, Spanned<RegistryFile>>);

impl<'de> DeserializeSeed<'de> for NewKey<'_> {
    type Value = Prefix;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Prefix, D::Error> {
        let PrefixName(prefix) = PrefixName::deserialize(deserializer)?;
        if self.0.contains_key(&prefix) {
            return Err(D::Error::custom(pack(&ValueError::NameTwice { name: prefix.to_string() })));
        }
        Ok(prefix)
    }
}

impl Shape for Registries {
    fn shape(generator: &mut SchemaGenerator) -> Schema {
        let table = RegistryFile::shape(generator);
        json_schema!({
            "type": "object",
            "propertyNames": { "pattern": r"^([^/]*[.:][^/]*|localhost)(/.*)?$" },
            "additionalProperties": table,
        })
    }
}

impl Registries {
    /// What the tables say; relative paths are below `folder`, that of the file.
    #[must_use]
    pub fn settings(&self, folder: &Path) -> BTreeMap<Prefix, RegistrySettings> {
        let settings = |file: &RegistryFile| {
            let path = |text: &Spanned<String>| folder.join(text.get_ref());
            let mirrors = file.mirrors.as_ref().map(|mirrors| mirrors.get_ref().iter());
            RegistrySettings {
                mirrors: mirrors.map(|mirrors| mirrors.map(|mirror| mirror.get_ref().0.clone()).collect()),
                location: file.location.as_ref().map(|location| location.get_ref().0.clone()),
                insecure: file.insecure.as_ref().map(|insecure| *insecure.get_ref()),
                plain_http: file.plain_http.as_ref().map(|plain_http| *plain_http.get_ref()),
                ca: file.ca.as_ref().map(|ca| ca.get_ref().iter().map(path).collect()),
                client_certificate: file.client_certificate.as_ref().map(path),
                client_key: file.client_key.as_ref().map(path),
            }
        };
        self.0.iter().map(|(prefix, file)| (prefix.clone(), settings(file.get_ref()))).collect()
    }

    /// Holds the tables to the rules between their keys.
    ///
    /// # Errors
    /// The first rule that is broken, with its place.
    pub(super) fn check(&self, source: &Source) -> Result<(), ConfigError> {
        self.0.iter().try_for_each(|(prefix, file)| file.get_ref().check(prefix, source))
    }
}

impl RegistryFile {
    fn check(&self, prefix: &Prefix, source: &Source) -> Result<(), ConfigError> {
        let of_connections = [
            ("insecure", self.insecure.as_ref().map(Spanned::span)),
            ("plain_http", self.plain_http.as_ref().map(Spanned::span)),
            ("ca", self.ca.as_ref().map(Spanned::span)),
            ("client_certificate", self.client_certificate.as_ref().map(Spanned::span)),
            ("client_key", self.client_key.as_ref().map(Spanned::span)),
        ];
        let written = of_connections.into_iter().filter_map(|(key, span)| Some((key, span?.start)));
        if let Some((key, offset)) = written.min_by_key(|(_, offset)| *offset).filter(|_| !prefix.path.is_empty()) {
            return Err(ConfigError::OfWholeRegistry {
                key,
                place: source.place(offset),
                prefix: prefix.to_string(),
                registry: prefix.registry.clone(),
            });
        }
        let yes = |value: &Option<Spanned<bool>>| value.clone().filter(|value| *value.get_ref());
        if let (Some(insecure), Some(plain_http)) = (yes(&self.insecure), yes(&self.plain_http)) {
            return Err(ConfigError::Together {
                key: "plain_http",
                place: source.place_of(&plain_http),
                other: "insecure",
                other_place: source.place_of(&insecure),
            });
        }
        let ca = self.ca.iter().flat_map(|files| files.get_ref().iter()).map(|file| ("ca", file));
        let certificate = self.client_certificate.iter().map(|file| ("client_certificate", file));
        let key = self.client_key.iter().map(|file| ("client_key", file));
        match ca.chain(certificate).chain(key).find(|(_, file)| file.get_ref().is_empty()) {
            Some((key, file)) => Err(ConfigError::bad_value(source, key, file, &ValueError::Empty)),
            None => Ok(()),
        }
    }
}

/// The user's own file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RegistriesFile {
    registry: Registries,
}

/// Reads the text of the user's own file of registries. `path` is what errors show; nothing is read from it.
///
/// # Errors
/// As [`super::load`].
pub fn load(text: &str, path: &Path) -> Result<Registries, ConfigError> {
    let source = Source::new(path, text);
    let document = toml::Deserializer::parse(text).map_err(|error| ConfigError::Syntax {
        place: source.place(error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    })?;
    let file = RegistriesFile::deserialize(document).map_err(|error| match from_toml(&error, text, &source) {
        // This file is another than the one whose keys are meant.
        ConfigError::UnknownKey { key, place, known, .. } => {
            ConfigError::UnknownKey { key, place, known, of_whole_file: false }
        }
        other => other,
    })?;
    file.registry.check(&source)?;
    Ok(file.registry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint::Hint as _;

    #[test]
    fn tables_become_settings() {
        let text = "[registry.\"docker.io\"]\nmirrors = [\"https://mirror.example\", \"mirror.lan:5000/hub\"]\n\
             [registry.\"registry.lan\"]\nca = \"ca.pem\"\nclient_certificate = \"/etc/me.pem\"\ninsecure = false\n\
             [registry.\"ghcr.io/org\"]\nlocation = \"registry.lan/other\"\n";
        let settings = load(text, Path::new(FILE_NAME)).unwrap().settings(Path::new("/home/me"));
        let of = |key: &str| settings[&key.parse::<Prefix>().unwrap()].clone();
        let mirrors = ["https://mirror.example", "mirror.lan:5000/hub"].map(|mirror| mirror.parse().unwrap());
        assert_eq!(of("docker.io"), RegistrySettings { mirrors: Some(mirrors.into()), ..Default::default() });
        let expected = RegistrySettings {
            insecure: Some(false),
            ca: Some(vec!["/home/me/ca.pem".into()]),
            client_certificate: Some("/etc/me.pem".into()),
            ..Default::default()
        };
        assert_eq!(of("registry.lan"), expected);
        let location = Some("registry.lan/other".parse().unwrap());
        assert_eq!(of("ghcr.io/org"), RegistrySettings { location, ..Default::default() });
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, message, hint) in [
            (
                "[registry.\"docker.io\"]\nmirror = \"a.lan\"\n",
                "unknown key `mirror` in registries.toml:2:1",
                "did you mean `mirrors`?",
            ),
            ("jobs = 2\n", "unknown key `jobs` in registries.toml:1:1", "known keys here: registry"),
            (
                "[registry.docker.io]\nmirrors = []\n",
                "`docker` in registries.toml:1:11: `docker` is not a registry: it should be a host name or an address, and perhaps a port",
                "[registry.\"docker.io\"]",
            ),
            (
                "[registry.\"docker.io\"]\nmirrors = [\"a.lan\", \"ftp://b.lan\"]\n",
                "`mirrors` in registries.toml:2:21: `ftp://b.lan` has the scheme `ftp://`, which does not belong there",
                "write it without the scheme: `b.lan`",
            ),
            (
                "[registry.\"docker.io\"]\nlocation = \"https://b.lan\"\n",
                "`location` in registries.toml:2:12: `https://b.lan` has the scheme `https://`, which does not belong there",
                "write it without the scheme: `b.lan`",
            ),
            (
                "[registry.\"ghcr.io/org\"]\nlocation = \"b.lan\"\ninsecure = true\n",
                "`insecure` in registries.toml:3:12 is of a whole registry, and `ghcr.io/org` is a part of one",
                "[registry.\"ghcr.io\"]",
            ),
            (
                "[registry.\"a.lan\"]\ninsecure = true\nplain_http = true\n",
                "`plain_http` in registries.toml:3:14 and `insecure` in registries.toml:2:12 exclude each other",
                "",
            ),
            ("[registry.\"a.lan\"]\nca = [\"\"]\n", "`ca` in registries.toml:2:7: it is empty", ""),
            (
                "[registry.\"docker.io\"]\n[registry.\"index.docker.io\"]\n",
                "`index.docker.io` in registries.toml:2:11: `docker.io` is there twice",
                "",
            ),
            (
                "registry = \"docker.io\"\n",
                "`registry` in registries.toml:1:12 should be a table with registries as its keys, not `\"docker.io\"`",
                "",
            ),
        ] {
            let error = load(text, Path::new(FILE_NAME)).unwrap_err();
            assert_eq!(error.to_string(), message, "{text}");
            assert_eq!(error.hints().first().map_or("", String::as_str), hint, "{text}");
        }
    }
}
