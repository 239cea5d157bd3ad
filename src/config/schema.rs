//! The tables of the configuration become a JSON schema, by which editors complete and check an `anyarch.toml`. It says
//! of each key what the reader says: both are made of one list. What templates stand for is for the reader to judge.

use std::borrow::Cow;
use std::num::NonZeroU32;

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
use toml::Spanned;

use super::collections::{ByPlatform, Labels, OneOrMany, Variables};
use super::file::ConfigFile;
use super::sysroot::{DebianWish, SysrootWish};
use super::values::{
    BuildStd, BuildSystemName, Created, ImageName, LanguageName, LibcName, Mode, Owner, PlatformWish, PolicyName, Port,
    ProgramName, Signal,
};
use crate::c_program::BuildSystem;
use crate::toolchain::Language;
use crate::verify::Policy;

/// What a value looks like in the file.
pub(super) trait Shape {
    /// whether its key must be there
    const REQUIRED: bool = false;

    /// What the schema says of it.
    fn shape(generator: &mut SchemaGenerator) -> Schema;
}

/// Describes a table: its name, what it is, and of each key the type and what it means.
macro_rules! describe {
    ($table:ident, $doc:expr, { $($key:ident: $key_type:ty = $key_doc:expr,)* }) => {
        impl schemars::JsonSchema for $table {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($table).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let keys = vec![$((
                    stringify!($key),
                    $key_doc,
                    <$key_type as $crate::config::schema::Shape>::REQUIRED,
                    <$key_type as $crate::config::schema::Shape>::shape(generator),
                ),)*];
                $crate::config::schema::describe_table($doc, keys)
            }
        }

        impl $crate::config::schema::Shape for $table {
            fn shape(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                generator.subschema_for::<Self>()
            }
        }
    };
}
pub(super) use describe;

/// Makes a table whose keys are all in it, for the reader and for the schema.
macro_rules! table {
    (
        $(#[doc = $doc:literal])* $table:ident
        { $($(#[doc = $key_doc:literal])* $key:ident: $key_type:ty,)* }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $table { $($(#[doc = $key_doc])* pub $key: $key_type,)* }

        $crate::config::schema::describe! { $table, concat!($($doc),*), { $($key: $key_type = concat!($($key_doc),*),)* } }
    };
}
pub(super) use table;

/// What the schema says of a table of these keys and no other: name, meaning, whether it must be there, value.
pub(super) fn describe_table(doc: &str, keys: Vec<(&'static str, &str, bool, Schema)>) -> Schema {
    let required: Vec<&str> = keys.iter().filter(|(_, _, required, _)| *required).map(|(key, ..)| *key).collect();
    let mut properties = Map::new();
    for (key, doc, _, schema) in keys {
        let mut schema = schema.to_value();
        // Beside a reference draft 7 reads nothing else.
        if schema.get("$ref").is_some() {
            schema = json!({ "allOf": [schema] });
        }
        schema["description"] = Value::from(doc.trim());
        properties.insert(key.to_owned(), schema);
    }
    let mut table = json_schema!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !doc.is_empty() {
        table.insert("description".to_owned(), Value::from(doc.trim()));
    }
    if !required.is_empty() {
        table.insert("required".to_owned(), json!(required));
    }
    table
}

/// The schema of `anyarch.toml` (JSON Schema, draft 7, which Taplo reads), as it is committed in
/// `schema/anyarch.schema.json`.
#[must_use]
pub fn json() -> String {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<ConfigFile>();
    schema.insert("title".to_owned(), Value::from(super::FILE_NAME));
    // A value made of maps and strings has no way to fail.
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

impl<T: Shape> Shape for Spanned<T> {
    const REQUIRED: bool = true;

    fn shape(generator: &mut SchemaGenerator) -> Schema {
        T::shape(generator)
    }
}

impl<T: Shape> Shape for Option<T> {
    fn shape(generator: &mut SchemaGenerator) -> Schema {
        T::shape(generator)
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn shape(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": T::shape(generator) })
    }
}

impl<T: Shape> Shape for OneOrMany<T> {
    fn shape(generator: &mut SchemaGenerator) -> Schema {
        let one = T::shape(generator);
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

impl<T: Shape> Shape for ByPlatform<T> {
    fn shape(generator: &mut SchemaGenerator) -> Schema {
        let value = T::shape(generator);
        json_schema!({ "type": "object", "propertyNames": { "pattern": PLATFORM }, "additionalProperties": value })
    }
}

/// What reads as a platform; which there are, the reader knows.
const PLATFORM: &str = "^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+){0,2}$";

macro_rules! shapes {
    ($($type:ty => $schema:tt),* $(,)?) => {$(
        impl Shape for $type {
            fn shape(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

shapes! {
    String => { "type": "string" },
    bool => { "type": "boolean" },
    NonZeroU32 => { "type": "integer", "minimum": 1, "maximum": u32::MAX },
    toml::Table => { "type": "object" },
    PlatformWish => { "type": "string", "pattern": format!("^(all|host)$|{PLATFORM}") },
    ImageName => { "type": "string", "pattern": r"^[^/\\]+$" },
    ProgramName => { "type": "string", "pattern": r"^[^/\\]+$" },
    Mode => { "type": "string", "pattern": "^(0o)?[0-7]{1,5}$" },
    Owner => { "type": "string", "pattern": "^[0-9]+:[0-9]+$" },
    LanguageName => { "enum": Language::names() },
    BuildSystemName => { "enum": BuildSystem::names() },
    PolicyName => { "enum": Policy::ALL.map(Policy::name) },
    BuildStd => { "anyOf": [{ "type": "boolean" }, { "type": "string", "pattern": "^nightly" }] },
    LibcName => { "type": "string", "pattern": r"^(auto|static|musl|gnu(\.[0-9]+\.[0-9]+)?)$" },
    Signal => { "type": "string", "pattern": "^(SIG[A-Z0-9+-]+|[1-9][0-9]?)$" },
    Created => { "type": ["string", "integer"] },
    Port => { "anyOf": [
        { "type": "integer", "minimum": 1, "maximum": 65535 },
        { "type": "string", "pattern": "^[0-9]+(/(tcp|udp|sctp))?$" },
    ] },
    Variables => { "anyOf": [
        { "type": "object", "additionalProperties": { "type": "string" } },
        { "type": "array", "items": { "type": "string", "pattern": "^[^=]+=" } },
    ] },
}

impl Shape for SysrootWish {
    fn shape(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, DebianWish::shape(generator)] })
    }
}

/// A name of labels whose dots are not quoted is a table in a table.
impl Shape for Labels {
    fn shape(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<Self>()
    }
}

impl schemars::JsonSchema for Labels {
    fn schema_name() -> Cow<'static, str> {
        "Labels".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let inner = generator.subschema_for::<Self>();
        json_schema!({ "type": "object", "additionalProperties": { "anyOf": [{ "type": "string" }, inner] } })
    }
}
