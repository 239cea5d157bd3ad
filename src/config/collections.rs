//! Shapes that TOML writes in more than one way: one or many, variables as a table or a list, labels with dots,
//! tables by platform.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::value_error::{ValueError, pack};
use super::values::{Assignment, PlatformKey, variable_name};
use crate::platform::Platform;

/// A list that may be written as its only element: `tags = "app:1"`. Every element knows its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOrMany<T>(pub Vec<Spanned<T>>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for OneOrMany<T> {
    type Target = [Spanned<T>];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

enum Inner<T> {
    One(T),
    Many(Vec<Spanned<T>>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let inner = Spanned::<Inner<T>>::deserialize(deserializer)?;
        let span = inner.span();
        Ok(Self(match inner.into_inner() {
            Inner::One(value) => vec![Spanned::new(span, value)],
            Inner::Many(list) => list,
        }))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Inner<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InnerVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for InnerVisitor<T> {
            type Value = Inner<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string or a list of strings")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Inner<T>, E> {
                T::deserialize(StrDeserializer::new(text)).map(Inner::One)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Inner<T>, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = list.next_element()? {
                    elements.push(element);
                }
                Ok(Inner::Many(elements))
            }
        }
        deserializer.deserialize_any(InnerVisitor(PhantomData))
    }
}

/// Environment variables by name: a table, or a list of `NAME=value`. The place of one is that of its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables(pub BTreeMap<String, Spanned<String>>);

impl<'de> Deserialize<'de> for Variables {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct VariablesVisitor;
        impl<'de> Visitor<'de> for VariablesVisitor {
            type Value = Variables;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a table or a list of NAME=value")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Variables, A::Error> {
                let mut variables = BTreeMap::new();
                while let Some(name) = table.next_key::<String>()? {
                    variable_name(&name).map_err(|error| A::Error::custom(pack(&error)))?;
                    variables.insert(name, table.next_value()?);
                }
                Ok(Variables(variables))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Variables, A::Error> {
                let mut variables = BTreeMap::new();
                while let Some(assignment) = list.next_element::<Spanned<Assignment>>()? {
                    let span = assignment.span();
                    let Assignment { name, value } = assignment.into_inner();
                    if variables.contains_key(&name) {
                        return Err(A::Error::custom(pack(&ValueError::NameTwice { name })));
                    }
                    variables.insert(name, Spanned::new(span, value));
                }
                Ok(Variables(variables))
            }
        }
        deserializer.deserialize_any(VariablesVisitor)
    }
}

/// Labels or annotations by name. A name with dots need not be quoted: the tables that TOML makes of it are joined again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(pub BTreeMap<String, Spanned<String>>);

enum LabelNode {
    Text(String),
    Table(Vec<(String, Spanned<LabelNode>)>),
}

impl<'de> Deserialize<'de> for LabelNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NodeVisitor;
        impl<'de> Visitor<'de> for NodeVisitor {
            type Value = LabelNode;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<LabelNode, E> {
                Ok(LabelNode::Text(text.into()))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<LabelNode, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = table.next_entry()? {
                    entries.push(entry);
                }
                Ok(LabelNode::Table(entries))
            }
        }
        deserializer.deserialize_any(NodeVisitor)
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = BTreeMap::<String, Spanned<LabelNode>>::deserialize(deserializer)?;
        let mut labels = BTreeMap::new();
        let mut open: Vec<(String, Spanned<LabelNode>)> = entries.into_iter().collect();
        while let Some((name, node)) = open.pop() {
            let span = node.span();
            match node.into_inner() {
                LabelNode::Text(_) if labels.contains_key(&name) => {
                    return Err(D::Error::custom(pack(&ValueError::NameTwice { name })));
                }
                LabelNode::Text(text) => {
                    labels.insert(name, Spanned::new(span, text));
                }
                LabelNode::Table(entries) => {
                    open.extend(entries.into_iter().map(|(part, node)| (format!("{name}.{part}"), node)));
                }
            }
        }
        Ok(Self(labels))
    }
}

/// A value for each of some platforms. Two spellings of one platform are an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByPlatform<T>(pub BTreeMap<Platform, Spanned<T>>);

impl<T> Default for ByPlatform<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ByPlatform<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ByPlatformVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ByPlatformVisitor<T> {
            type Value = ByPlatform<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a table with platforms as its keys")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<ByPlatform<T>, A::Error> {
                let mut values = BTreeMap::new();
                while let Some(platform) = table.next_key_seed(NewPlatform(&values))? {
                    values.insert(platform, table.next_value()?);
                }
                Ok(ByPlatform(values))
            }
        }
        deserializer.deserialize_map(ByPlatformVisitor(PhantomData))
    }
}

/// Reads a key that is a platform which is not there yet: fails as the key, so that the error is at the key's place.
struct NewPlatform<'a, T>(&'a BTreeMap<Platform, T>);

impl<'de, T> DeserializeSeed<'de> for NewPlatform<'_, T> {
    type Value = Platform;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Platform, D::Error> {
        let PlatformKey(platform) = PlatformKey::deserialize(deserializer)?;
        if self.0.contains_key(&platform) {
            return Err(D::Error::custom(pack(&ValueError::PlatformTwice { platform })));
        }
        Ok(platform)
    }
}
