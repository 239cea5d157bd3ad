//! `sysroot`: a folder of the project, or Debian packages that become one.

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use toml::Spanned;

use super::collections::OneOrMany;
use super::schema::table;

/// Where the headers and libraries of a platform are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SysrootWish {
    /// a folder, relative to the project; a template
    Folder(String),
    /// packages of a Debian release
    Debian(DebianWish),
}

table! {
    /// Packages of a Debian release
    DebianWish {
        /// the release: `bookworm`
        debian: Spanned<String>,
        /// the packages, what they depend on comes with them
        packages: Spanned<OneOrMany<String>>,
        /// where they come from, Debian's own servers when not given
        mirror: Option<Spanned<String>>,
    }
}

impl<'de> Deserialize<'de> for SysrootWish {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SysrootVisitor;
        impl<'de> Visitor<'de> for SysrootVisitor {
            type Value = SysrootWish;
            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a folder or { debian = \"bookworm\", packages = [\"libssl-dev\"] }")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SysrootWish, E> {
                Ok(SysrootWish::Folder(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<SysrootWish, A::Error> {
                DebianWish::deserialize(MapAccessDeserializer::new(table)).map(SysrootWish::Debian)
            }
        }
        deserializer.deserialize_any(SysrootVisitor)
    }
}
