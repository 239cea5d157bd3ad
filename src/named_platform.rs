//! What an index or a config calls a platform becomes a value that prints, whether we know that platform or not:
//! `os.version` and `os.features` tell Windows images apart that are otherwise for the same platform.
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md#image-index-property-descriptions>

use std::fmt;

use serde_json::{Map, Value, json};

use crate::platform::Platform;

/// The platform fields of a descriptor or a config, as they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedPlatform {
    /// `linux`
    pub os: String,
    /// `arm`
    pub architecture: String,
    /// `v7`, when it was said
    pub variant: Option<String>,
    /// `10.0.17763.6293`, when it was said
    pub os_version: Option<String>,
    /// `win32k`
    pub os_features: Vec<String>,
    /// features of the CPU: docker's lists have them, and OCI keeps their place
    pub features: Vec<String>,
}

impl NamedPlatform {
    /// Reads the fields of a descriptor's `platform` or of a whole config; `None` where no operating system or no
    /// architecture is named.
    #[must_use]
    pub fn of_json(fields: &Value) -> Option<Self> {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let texts = |name: &str| -> Vec<String> {
            let all = fields.get(name).and_then(Value::as_array).into_iter().flatten();
            all.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Some(Self {
            os: text("os")?.to_owned(),
            architecture: text("architecture")?.to_owned(),
            variant: text("variant").map(str::to_owned),
            os_version: text("os.version").map(str::to_owned),
            os_features: texts("os.features"),
            features: texts("features"),
        })
    }

    /// The platform that it is, if that is one that we know.
    #[must_use]
    pub fn known(&self) -> Option<Platform> {
        Platform::from_parts(&self.os, &self.architecture, self.variant.as_deref()).ok()
    }

    /// The same with what only `other` says of the variant, the version and the features.
    #[must_use]
    pub fn completed_by(&self, other: &Self) -> Self {
        let either = |own: &[String], other: &[String]| if own.is_empty() { other.to_vec() } else { own.to_vec() };
        Self {
            variant: self.variant.clone().or_else(|| other.variant.clone()),
            os_version: self.os_version.clone().or_else(|| other.os_version.clone()),
            os_features: either(&self.os_features, &other.os_features),
            features: either(&self.features, &other.features),
            ..self.clone()
        }
    }

    /// True when both cannot be said of one image. What one of them leaves out contradicts nothing: many configs name no
    /// variant.
    #[must_use]
    pub fn contradicts(&self, other: &Self) -> bool {
        let differ = |own: Option<&String>, other: Option<&String>| own.is_some() && other.is_some() && own != other;
        let without = |platform: &Self| Self { variant: None, ..platform.clone() }.normal();
        without(self) != without(other)
            || self.variant.is_some() && other.variant.is_some() && self.normal() != other.normal()
            || differ(self.os_version.as_ref(), other.os_version.as_ref())
    }

    /// True when they are the same platform, by whatever names.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.normal() == other.normal() && self.os_version == other.os_version && self.os_features == other.os_features
    }

    /// Operating system, architecture and variant by the names that everybody agrees on, as far as we know them.
    fn normal(&self) -> (String, String, Option<String>) {
        match self.known() {
            Some(known) => (
                known.os().to_string(),
                known.architecture().to_string(),
                known.variant().map(|variant| variant.to_string()),
            ),
            None => (
                self.os.to_ascii_lowercase(),
                self.architecture.to_ascii_lowercase(),
                self.variant.as_ref().map(|variant| variant.to_ascii_lowercase()),
            ),
        }
    }

    /// As the `platform` of a descriptor has it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let (os, architecture, variant) = self.normal();
        let mut fields = Map::new();
        fields.insert("os".into(), os.into());
        fields.insert("architecture".into(), architecture.into());
        let mut insert = |name: &str, value: Option<Value>| value.map(|value| fields.insert(name.into(), value));
        insert("variant", variant.map(Value::from));
        insert("os.version", self.os_version.clone().map(Value::from));
        insert("os.features", Some(&self.os_features).filter(|all| !all.is_empty()).map(|all| json!(all)));
        insert("features", Some(&self.features).filter(|all| !all.is_empty()).map(|all| json!(all)));
        Value::Object(fields)
    }
}

impl From<Platform> for NamedPlatform {
    fn from(platform: Platform) -> Self {
        Self {
            os: platform.os().to_string(),
            architecture: platform.architecture().to_string(),
            variant: platform.variant().map(|variant| variant.to_string()),
            ..Self::default()
        }
    }
}

impl fmt::Display for NamedPlatform {
    /// As containerd prints it: `linux/arm/v7`, `windows(10.0.17763.6293)/amd64`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (os, architecture, variant) = self.normal();
        write!(formatter, "{}", os.escape_debug())?;
        if let Some(version) = &self.os_version {
            write!(formatter, "({})", version.escape_debug())?;
        }
        write!(formatter, "/{}", architecture.escape_debug())?;
        variant.map_or(Ok(()), |variant| write!(formatter, "/{}", variant.escape_debug()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &Value) -> NamedPlatform {
        NamedPlatform::of_json(fields).unwrap()
    }

    #[test]
    fn platforms_print_by_their_usual_names() {
        for (fields, printed) in [
            (json!({"os": "linux", "architecture": "arm64", "variant": "v8"}), "linux/arm64"),
            (json!({"os": "linux", "architecture": "arm"}), "linux/arm/v7"),
            (json!({"os": "wasip1", "architecture": "wasm"}), "wasip1/wasm"),
            (json!({"os": "windows", "architecture": "amd64", "os.version": "10.0.1"}), "windows(10.0.1)/amd64"),
            (json!({"os": "li\u{1b}nux", "architecture": "x\n"}), "li\\u{1b}nux/x\\n"),
        ] {
            assert_eq!(of(&fields).to_string(), printed);
        }
        for nothing in [json!({"os": "linux"}), json!({"os": "", "architecture": "arm"}), json!(null), json!([1])] {
            assert_eq!(NamedPlatform::of_json(&nothing), None);
        }
    }

    #[test]
    fn only_what_both_say_can_contradict() {
        let arm = |variant: &str| json!({"os": "linux", "architecture": "arm", "variant": variant});
        let windows = |version: &str| json!({"os": "windows", "architecture": "amd64", "os.version": version});
        for (one, other, contradicts) in [
            (arm("v6"), arm("v7"), true),
            (arm("v6"), arm(""), false),
            (arm("7"), arm("v7"), false),
            (arm("v7"), json!({"os": "linux", "architecture": "arm64"}), true),
            (
                json!({"os": "linux", "architecture": "aarch64"}),
                json!({"os": "Linux", "architecture": "arm64", "variant": "v8"}),
                false,
            ),
            (windows("1"), windows("2"), true),
            (windows("1"), windows(""), false),
            (json!({"os": "linux", "architecture": "wasm"}), json!({"os": "wasi", "architecture": "wasm"}), true),
        ] {
            assert_eq!(of(&one).contradicts(&of(&other)), contradicts, "{one} {other}");
            assert_eq!(of(&other).contradicts(&of(&one)), contradicts, "{other} {one}");
        }
        assert!(!of(&windows("1")).is_same(&of(&windows("2"))));
        assert!(of(&arm("v7")).is_same(&of(&arm(""))));
    }

    #[test]
    fn what_is_written_is_complete_and_normal() {
        let spec = of(&json!({"os": "linux", "architecture": "aarch64", "features": ["sse"]}));
        let config = of(&json!({"os": "linux", "architecture": "arm64", "variant": "v8", "os.version": "6"}));
        assert_eq!(
            spec.completed_by(&config).to_json(),
            json!({"os": "linux", "architecture": "arm64", "os.version": "6", "features": ["sse"]})
        );
        let platform: Platform = "linux/arm/v6".parse().unwrap();
        assert_eq!(NamedPlatform::from(platform).known(), Some(platform));
    }
}
