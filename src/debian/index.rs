//! A `Packages` file becomes what a closure is looked up in: every package by name, and who provides what.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use super::stanza::{Stanza, Stanzas};
use super::version::Version;
use crate::blob::Digest;

const FIELDS: &[&str] = &[
    "Package",
    "Version",
    "Section",
    "Multi-Arch",
    "Depends",
    "Pre-Depends",
    "Conflicts",
    "Breaks",
    "Provides",
    "Filename",
    "Size",
    "SHA256",
];

/// The sections of libraries and of what is needed to compile against them.
const SECTIONS: &[&str] = &["libs", "libdevel", "oldlibs"];

/// A text that is no index of packages.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It cannot be read, or is not in the control format.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    /// A package without a field that every package has.
    #[error("its package `{package}` has no `{field}`")]
    Missing {
        /// the package
        package: String,
        /// the field
        field: &'static str,
    },
    /// A field that is not what it should be.
    #[error("the `{field}` of its package `{package}` reads `{value}`")]
    Field {
        /// the package
        package: String,
        /// the field
        field: &'static str,
        /// what it says
        value: String,
    },
}

/// A package that may become part of a sysroot. Its relations stay as they are written: few packages' are ever read.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) filename: Box<str>,
    pub(super) size: u64,
    pub(super) digest: Digest,
    /// `Pre-Depends` and `Depends`
    pub(super) depends: Box<str>,
    /// `Conflicts` and `Breaks`
    pub(super) conflicts: Box<str>,
}

/// A package of the index.
#[derive(Debug, Clone)]
pub(super) struct Package {
    pub(super) version: Version,
    pub(super) provides: Box<str>,
    /// `None` for a program, which a dependency is not followed into
    pub(super) parts: Option<Box<Parts>>,
}

/// The packages of one architecture.
#[derive(Debug, Default)]
pub struct Index {
    pub(super) packages: BTreeMap<Box<str>, Package>,
}

impl Index {
    /// Reads an index. What is neither a library, nor needed to compile against one, nor in `named` is kept by name,
    /// version and what it provides only: of 63,000 packages a fifth counts.
    ///
    /// Where the index has several versions of a package, the latest counts.
    ///
    /// # Errors
    /// When the text cannot be read or a package that counts lacks a field.
    pub fn read(reader: impl BufRead, named: &[String]) -> Result<Self, IndexError> {
        let mut stanzas = Stanzas::new(reader, FIELDS);
        let mut index = Self::default();
        while let Some(mut stanza) = stanzas.next_stanza().map_err(IndexError::Read)? {
            let name = stanza.remove("Package").ok_or_else(|| missing("?", "Package"))?;
            let package = package(&name, &stanza, named)?;
            let earlier = index.packages.get(name.as_str());
            if earlier.is_none_or(|earlier| earlier.version < package.version) {
                index.packages.insert(name.into(), package);
            }
        }
        Ok(index)
    }

    /// How many packages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packages.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }
}

/// Whether dependencies are followed into a package: libraries, headers, and whatever may be installed for several
/// architectures at once, which is what Debian makes cross-building possible with. The rest are programs and their data
/// (`perl`, `debconf`, fonts): those of a foreign platform cannot run, and no compiler reads them. The section alone would
/// miss `linux-libc-dev` and `x11proto-dev`, whose headers libraries include.
fn counts(name: &str, stanza: &Stanza) -> bool {
    let section = stanza.get("Section").map_or("", |section| section.rsplit('/').next().unwrap_or_default());
    SECTIONS.contains(&section)
        || name.ends_with("-dev")
        || stanza.get("Multi-Arch").is_some_and(|value| value == "same")
}

fn package(name: &str, stanza: &Stanza, named: &[String]) -> Result<Package, IndexError> {
    let need = |field: &'static str| stanza.get(field).ok_or_else(|| missing(name, field));
    let joined = |fields: [&'static str; 2]| {
        let texts: Vec<&str> = fields.iter().filter_map(|field| stanza.get(field)).map(String::as_str).collect();
        texts.join(", ").into_boxed_str()
    };
    let unreadable = |field: &'static str, value: &str| IndexError::Field {
        package: name.to_owned(),
        field,
        value: value.to_owned(),
    };
    let version = Version::new(need("Version")?);
    let provides = stanza.get("Provides").map(String::as_str).unwrap_or_default().into();
    if !counts(name, stanza) && !named.iter().any(|one| one == name) {
        return Ok(Package { version, provides, parts: None });
    }
    let (size, hex) = (need("Size")?, need("SHA256")?);
    let parts = Parts {
        filename: need("Filename")?.as_str().into(),
        size: size.parse().map_err(|_| unreadable("Size", size))?,
        digest: format!("sha256:{hex}").parse().map_err(|_| unreadable("SHA256", hex))?,
        depends: joined(["Pre-Depends", "Depends"]),
        conflicts: joined(["Conflicts", "Breaks"]),
    };
    Ok(Package { version, provides, parts: Some(Box::new(parts)) })
}

fn missing(package: &str, field: &'static str) -> IndexError {
    IndexError::Missing { package: package.to_owned(), field }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stanza(fields: &str) -> String {
        format!(
            "Package: libfoo1\nVersion: 1.0-1\nSection: libs\nFilename: pool/f.deb\nSize: 3\nSHA256: {}\n{fields}\n\n",
            "0".repeat(64)
        )
    }

    #[test]
    fn the_latest_version_counts_wherever_it_stands() {
        for versions in [["1.0-1", "1.0-2"], ["1.0-2", "1.0-1"]] {
            let text: String = versions.iter().map(|version| stanza("").replace("1.0-1", version)).collect();
            let index = Index::read(text.as_bytes(), &[]).unwrap();
            assert_eq!((index.len(), index.packages["libfoo1"].version.as_str()), (1, "1.0-2"));
        }
    }

    #[test]
    fn dependencies_are_followed_into_what_a_compiler_reads() {
        for (name, fields, expected) in [
            ("libssl3", "Section: libs", true),
            ("libssl-dev", "Section: libdevel", true),
            ("libnvidia", "Section: non-free/libs", true),
            ("linux-libc-dev", "Section: devel", true),
            ("x11proto-dev", "Section: x11\nMulti-Arch: foreign", true),
            ("libsysprof-4", "Section: devel\nMulti-Arch: same", true),
            ("perl", "Section: perl\nMulti-Arch: allowed", false),
            ("debconf", "Section: admin\nMulti-Arch: foreign", false),
            ("python3", "Section: python", false),
            ("named", "Section: python", true),
        ] {
            let text = stanza("").replace("Section: libs", fields).replace("libfoo1", name);
            let index = Index::read(text.as_bytes(), &["named".to_owned()]).unwrap();
            assert_eq!(index.packages[name].parts.is_some(), expected, "{name}");
        }
    }

    #[test]
    fn an_index_that_is_none_says_where() {
        for (from, to, expected) in [
            ("Package", "Package: x\nPackag", None),
            ("Version: 1.0-1\n", "", Some("its package `libfoo1` has no `Version`")),
            ("Size: 3", "Size: three", Some("the `Size` of its package `libfoo1` reads `three`")),
            (
                "SHA256: 0",
                "SHA256: g",
                Some(&*format!("the `SHA256` of its package `libfoo1` reads `g{}`", "0".repeat(63))),
            ),
            ("Package: libfoo1", "<html>", Some("it cannot be read")),
            ("Package: libfoo1", "Name: x", Some("its package `?` has no `Package`")),
        ] {
            let read = Index::read(stanza("").replacen(from, to, 1).as_bytes(), &[]);
            assert_eq!(read.err().map(|error| error.to_string()).as_deref(), expected, "{from}");
        }
    }
}
