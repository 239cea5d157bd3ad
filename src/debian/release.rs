//! The text of a `Release` file becomes what the archive promises: which architectures there are, and the size and
//! SHA-256 of every index: <https://wiki.debian.org/DebianRepository/Format#A.22Release.22_files>.

use std::collections::BTreeMap;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::stanza::Stanzas;
use crate::blob::Digest;

const FIELDS: &[&str] =
    &["Suite", "Codename", "Version", "Date", "Valid-Until", "Architectures", "Acquire-By-Hash", "SHA256"];

/// A file that the release lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// what its bytes hash to
    pub digest: Digest,
    /// in bytes
    pub size: u64,
}

/// What a release says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// `stable`
    pub suite: Option<String>,
    /// `bookworm`
    pub codename: Option<String>,
    /// `12.15`
    pub version: Option<String>,
    /// when it was made
    pub date: OffsetDateTime,
    /// when it stops to count; releases that are done have no such date
    pub valid_until: Option<OffsetDateTime>,
    /// without `all`
    pub architectures: Vec<String>,
    /// whether files are also found by their hash
    pub by_hash: bool,
    files: BTreeMap<String, Listed>,
}

/// A text that is no release file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReleaseError {
    /// It is not in the control format.
    #[error("{0}")]
    Syntax(String),
    /// A field is missing.
    #[error("it has no `{0}`")]
    Missing(&'static str),
    /// A field says what it cannot.
    #[error("its `{field}` reads `{value}`")]
    Field {
        /// the field's name
        field: &'static str,
        /// what it says
        value: String,
    },
}

impl Release {
    /// Reads the text of a `Release` file, or what an `InRelease` file's signature covers.
    ///
    /// # Errors
    /// When a field that we need is missing or unreadable.
    pub fn parse(text: &str) -> Result<Self, ReleaseError> {
        let mut stanzas = Stanzas::new(text.as_bytes(), FIELDS);
        let stanza = stanzas.next_stanza().map_err(|error| ReleaseError::Syntax(error.to_string()))?;
        let mut stanza = stanza.ok_or(ReleaseError::Missing("SHA256"))?;
        let mut need = |field: &'static str| stanza.remove(field).ok_or(ReleaseError::Missing(field));
        let date = date("Date", &need("Date")?)?;
        let architectures = need("Architectures")?;
        let files = files(&need("SHA256")?)?;
        let valid_until = stanza.get("Valid-Until").map(|text| self::date("Valid-Until", text)).transpose()?;
        Ok(Self {
            suite: stanza.remove("Suite"),
            codename: stanza.remove("Codename"),
            version: stanza.remove("Version"),
            date,
            valid_until,
            architectures: architectures.split_whitespace().filter(|name| *name != "all").map(str::to_owned).collect(),
            by_hash: stanza.get("Acquire-By-Hash").is_some_and(|value| value == "yes"),
            files,
        })
    }

    /// A file by its path below the folder of the release.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<Listed> {
        self.files.get(path).copied()
    }

    /// True when it is what was asked for, by its codename or by its suite.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.codename.as_deref() == Some(name) || self.suite.as_deref() == Some(name)
    }
}

/// `Sat, 11 Jul 2026 10:16:37 UTC`: RFC 2822, but for the name of the zone.
fn date(field: &'static str, text: &str) -> Result<OffsetDateTime, ReleaseError> {
    let numeric = text.replace(" UTC", " +0000").replace(" GMT", " +0000");
    // The day of the month may have one digit, padded by a space.
    let numeric = numeric.split_whitespace().collect::<Vec<_>>().join(" ");
    OffsetDateTime::parse(&numeric, &Rfc2822).map_err(|_| ReleaseError::Field { field, value: text.to_owned() })
}

fn files(field: &str) -> Result<BTreeMap<String, Listed>, ReleaseError> {
    let lines = field.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let error = || ReleaseError::Field { field: "SHA256", value: line.to_owned() };
            let mut words = line.split_whitespace();
            let (Some(hex), Some(size), Some(path), None) = (words.next(), words.next(), words.next(), words.next())
            else {
                return Err(error());
            };
            let digest = format!("sha256:{hex}").parse().map_err(|_| error())?;
            Ok((path.to_owned(), Listed { digest, size: size.parse().map_err(|_| error())? }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "2ddb1737692e8c45c53e8d57c0ce4cd21c78c5703b830c3226b1423566a06c00";

    /// From bookworm, shortened.
    fn text() -> String {
        format!(
            "Origin: Debian\nLabel: Debian\nSuite: oldstable\nVersion: 12.15\nCodename: bookworm\n\
             Date: Sat, 11 Jul 2026 10:16:37 UTC\nAcquire-By-Hash: yes\n\
             Architectures: all amd64 arm64 armhf\nComponents: main contrib\n\
             MD5Sum:\n e0f09148d8af4e8836adf64b3679d893  8689464 main/binary-arm64/Packages.xz\n\
             SHA256:\n {HEX}  8689464 main/binary-arm64/Packages.xz\n {HEX} 0 main/x\n"
        )
    }

    #[test]
    fn a_release_says_what_it_has() {
        let release = Release::parse(&text().replace('\n', "\r\n")).unwrap();
        assert_eq!(release.architectures, ["amd64", "arm64", "armhf"]);
        assert_eq!(release.file("main/binary-arm64/Packages.xz").unwrap().size, 8_689_464);
        assert_eq!(release.file("main/x").unwrap().digest.hex(), HEX);
        assert_eq!(release.file("main/y"), None);
        assert!(release.by_hash && release.valid_until.is_none());
        assert_eq!(release.date.unix_timestamp(), 1_783_764_997);
        for (name, expected) in [("bookworm", true), ("oldstable", true), ("stable", false), ("12.15", false)] {
            assert_eq!(release.is(name), expected, "{name}");
        }
    }

    #[test]
    fn what_is_no_release_is_refused() {
        for (from, to, expected) in [
            ("SHA256:", "SHA512:", "it has no `SHA256`"),
            ("Architectures:", "Components:", "it has no `Architectures`"),
            ("Sat, 11 Jul", "yesterday, Jul", "its `Date` reads `yesterday, Jul 2026 10:16:37 UTC`"),
            ("Acquire-By-Hash: yes", "Valid-Until: soon", "its `Valid-Until` reads `soon`"),
            ("  8689464", "  many", &format!("its `SHA256` reads `{HEX}  many main/binary-arm64/Packages.xz`")),
            ("Origin", "<html>\nOrigin", "`<html>` is neither a field nor the continuation of one"),
        ] {
            let text = text().replacen(
                "MD5Sum:\n e0f09148d8af4e8836adf64b3679d893  8689464 main/binary-arm64/Packages.xz\n",
                "",
                1,
            );
            let error = Release::parse(&text.replacen(from, to, 1)).unwrap_err();
            assert_eq!(error.to_string(), expected, "{from}");
        }
        assert_eq!(Release::parse("").unwrap_err(), ReleaseError::Missing("SHA256"));
    }

    #[test]
    fn dates_are_read_as_archives_write_them() {
        for text in
            ["Sat, 11 Jul 2026 10:16:37 UTC", "Sat, 11 Jul 2026 10:16:37 +0000", "Wed,  5 Aug 2026 10:16:37 GMT"]
        {
            date("Date", text).unwrap();
        }
    }
}
