//! A base's config and layers of ours become an image: its config, its manifest, and the index over all of them.
//!
//! A base's config is edited as JSON, so that what we do not know (Healthcheck, Shell) is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::annotation::Annotations;
use crate::blob::{
    Descriptor, Digest, MEDIA_TYPE_CONFIG, MEDIA_TYPE_DOCKER_LAYER, MEDIA_TYPE_INDEX, MEDIA_TYPE_LAYER,
    MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_LAYER_ZSTD, MEDIA_TYPE_MANIFEST, canonical_json,
};
use crate::hint::Hint;
use crate::platform::Platform;

/// Fields of a config that describe the container it was committed from, and nothing of the image.
const CONTAINER_FIELDS: [&str; 4] = ["container", "container_config", "id", "parent"];
const CONTAINER_CONFIG_FIELDS: [&str; 9] =
    ["Hostname", "Domainname", "Image", "AttachStdin", "AttachStdout", "AttachStderr", "OpenStdin", "StdinOnce", "Tty"];

/// What the user says of the image beyond its programs and files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSettings {
    /// replaces the base's
    pub entrypoint: Option<Vec<String>>,
    /// replaces the base's
    pub cmd: Option<Vec<String>>,
    /// laid over the base's, by name
    pub env: BTreeMap<String, String>,
    /// replaces the base's
    pub user: Option<String>,
    /// replaces the base's
    pub workdir: Option<String>,
    /// laid over the base's
    pub labels: BTreeMap<String, String>,
    /// of the index, its manifests and their descriptors
    pub annotations: Annotations,
    /// `8080/tcp`, added to the base's
    pub ports: Vec<String>,
    /// added to the base's
    pub volumes: Vec<String>,
    /// replaces the base's
    pub stop_signal: Option<String>,
    /// true drops the base's build triggers
    pub ignore_onbuild: bool,
}

/// A layer of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnLayer {
    /// its blob
    pub descriptor: Descriptor,
    /// digest of its uncompressed tar
    pub diff_id: Digest,
    /// what history says of it
    pub created_by: String,
}

/// One platform of a base image, as far as an image on top of it has to know it.
#[derive(Clone, Debug, PartialEq)]
pub struct BaseImage {
    /// the platform that it was made for
    pub platform: Platform,
    /// its manifest, `None` for `scratch` and `static`
    pub manifest: Option<Digest>,
    /// its config, whole
    pub config: Value,
    /// its layers, lowest first
    pub layers: Vec<Descriptor>,
}

/// Why an image cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The base wants something to be run at build time.
    #[error("it has build triggers (ONBUILD), which only a Dockerfile build runs: {}", triggers.join("; "))]
    OnBuild {
        /// the triggers
        triggers: Vec<String>,
    },
    /// A layer in a format that is not known.
    #[error("it has a layer of the unknown media type `{media_type}`")]
    MediaType {
        /// the media type
        media_type: String,
    },
    /// A base config that does not fit its manifest.
    #[error("its config lists {diff_ids} diff_ids, and its manifest {layers} layers")]
    Layers {
        /// entries of `rootfs.diff_ids`
        diff_ids: usize,
        /// entries of `layers`
        layers: usize,
    },
}

impl Hint for ImageError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::OnBuild { .. } => vec!["leave the triggers out: anyarch build --ignore-onbuild".to_owned()],
            _ => Vec::new(),
        }
    }
}

impl BaseImage {
    /// An empty base for a platform.
    #[must_use]
    pub fn scratch(platform: Platform) -> Self {
        Self {
            platform,
            manifest: None,
            config: json!({"rootfs": {"type": "layers", "diff_ids": []}}),
            layers: Vec::new(),
        }
    }

    /// Fails early on a base that no image can be put on.
    ///
    /// # Errors
    /// Build triggers, layers that are not counted right, unknown layer formats.
    pub fn check(&self, ignore_onbuild: bool) -> Result<(), ImageError> {
        let triggers = self.triggers();
        if !triggers.is_empty() && !ignore_onbuild {
            return Err(ImageError::OnBuild { triggers });
        }
        let diff_ids = self.config.pointer("/rootfs/diff_ids").and_then(Value::as_array).map_or(0, Vec::len);
        if diff_ids != self.layers.len() {
            return Err(ImageError::Layers { diff_ids, layers: self.layers.len() });
        }
        self.layers.iter().try_for_each(|layer| oci_layer_type(&layer.media_type).map(drop))
    }

    /// Its build triggers: what the `ONBUILD` lines of a Dockerfile left there.
    #[must_use]
    pub fn triggers(&self) -> Vec<String> {
        let triggers = self.config.pointer("/config/OnBuild").and_then(Value::as_array);
        triggers.into_iter().flatten().map(|trigger| trigger.as_str().unwrap_or("?").to_owned()).collect()
    }

    /// True when a layer is compressed in a way that older readers do not know.
    #[must_use]
    pub fn has_zstd_layers(&self) -> bool {
        self.layers.iter().any(|layer| layer.media_type == MEDIA_TYPE_LAYER_ZSTD)
    }
}

/// The OCI name of a layer's format: the same bytes under Docker's name break umoci inside an OCI manifest.
fn oci_layer_type(media_type: &str) -> Result<&'static str, ImageError> {
    match media_type {
        MEDIA_TYPE_LAYER_GZIP | MEDIA_TYPE_DOCKER_LAYER => Ok(MEDIA_TYPE_LAYER_GZIP),
        MEDIA_TYPE_LAYER | "application/vnd.docker.image.rootfs.diff.tar" => Ok(MEDIA_TYPE_LAYER),
        MEDIA_TYPE_LAYER_ZSTD | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Ok(MEDIA_TYPE_LAYER_ZSTD),
        other => Err(ImageError::MediaType { media_type: other.to_owned() }),
    }
}

/// A whole image as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// the platform it is for
    pub platform: Platform,
    /// its config blob
    pub config: Vec<u8>,
    /// its manifest blob
    pub manifest: Vec<u8>,
    /// every layer, lowest first
    pub layers: Vec<Descriptor>,
    /// how many of them are the base's
    pub base_layers: usize,
}

impl Image {
    /// The layers that were put on the base, lowest first.
    #[must_use]
    pub fn own_layers(&self) -> &[Descriptor] {
        self.layers.get(self.base_layers..).unwrap_or_default()
    }

    /// The manifest's descriptor, with its platform.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        let mut descriptor = Descriptor::of(MEDIA_TYPE_MANIFEST, &self.manifest);
        descriptor.platform = Some(self.platform.into());
        descriptor
    }

    /// The config's descriptor.
    #[must_use]
    pub fn config_descriptor(&self) -> Descriptor {
        Descriptor::of(MEDIA_TYPE_CONFIG, &self.config)
    }

    /// Bytes that a pull of this platform moves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.layers.iter().map(|layer| layer.size).sum::<u64>() + (self.config.len() + self.manifest.len()) as u64
    }
}

/// Puts layers of ours on a base.
///
/// `created` is RFC 3339 and stands in the config and in each history entry of ours. `annotations` are those of the manifest
/// beside the user's own.
///
/// # Errors
/// When the base fails [`BaseImage::check`].
pub fn assemble(
    base: &BaseImage,
    platform: Platform,
    settings: &ImageSettings,
    own: &[OwnLayer],
    created: &str,
    annotations: &BTreeMap<String, String>,
) -> Result<Image, ImageError> {
    base.check(settings.ignore_onbuild)?;
    let config = canonical_json(&config(base, platform, settings, own, created));
    let mut layers = Vec::with_capacity(base.layers.len() + own.len());
    for layer in &base.layers {
        let mut layer = layer.clone();
        oci_layer_type(&layer.media_type)?.clone_into(&mut layer.media_type);
        layers.push(layer);
    }
    layers.extend(own.iter().map(|layer| layer.descriptor.clone()));
    let mut all = annotations.clone();
    all.extend(settings.annotations.of_manifest(platform));
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MEDIA_TYPE_MANIFEST,
        "config": Descriptor::of(MEDIA_TYPE_CONFIG, &config),
        "layers": layers,
    });
    if !all.is_empty() {
        manifest["annotations"] = json!(all);
    }
    Ok(Image { platform, config, manifest: canonical_json(&manifest), layers, base_layers: base.layers.len() })
}

fn config(base: &BaseImage, platform: Platform, settings: &ImageSettings, own: &[OwnLayer], created: &str) -> Value {
    let mut config = base.config.as_object().cloned().unwrap_or_default();
    for field in CONTAINER_FIELDS {
        config.remove(field);
    }
    config.insert("created".into(), created.into());
    config.insert("architecture".into(), platform.architecture().to_string().into());
    config.insert("os".into(), platform.os().to_string().into());
    match platform.variant() {
        Some(variant) => drop(config.insert("variant".into(), variant.to_string().into())),
        None => drop(config.remove("variant")),
    }
    let mut inner = match config.remove("config") {
        Some(Value::Object(inner)) => inner,
        _ => Map::new(),
    };
    overlay(&mut inner, settings);
    config.insert("config".into(), Value::Object(inner));

    // A base without layers may come without these, or with null.
    let rootfs = config.entry("rootfs").or_insert(Value::Null);
    if !rootfs.is_object() {
        *rootfs = json!({"type": "layers"});
    }
    append(&mut rootfs["diff_ids"], own.iter().map(|layer| json!(layer.diff_id)));
    let history = own.iter().map(|layer| json!({"created": created, "created_by": layer.created_by}));
    append(config.entry("history").or_insert(Value::Null), history);
    Value::Object(config)
}

/// Adds to a list, which takes the place of what is none.
fn append(list: &mut Value, added: impl Iterator<Item = Value>) {
    match list {
        Value::Array(there) => there.extend(added),
        other => *other = Value::Array(added.collect()),
    }
}

fn overlay(inner: &mut Map<String, Value>, settings: &ImageSettings) {
    for field in CONTAINER_CONFIG_FIELDS {
        inner.remove(field);
    }
    if settings.ignore_onbuild {
        inner.remove("OnBuild");
    }
    if let Some(entrypoint) = &settings.entrypoint {
        inner.insert("Entrypoint".into(), json!(entrypoint));
        // The base's arguments were meant for the base's entrypoint.
        inner.remove("Cmd");
        inner.remove("ArgsEscaped");
    }
    if let Some(cmd) = &settings.cmd {
        inner.insert("Cmd".into(), json!(cmd));
    }
    merge_env(inner, &settings.env);
    let plain = [("User", &settings.user), ("WorkingDir", &settings.workdir), ("StopSignal", &settings.stop_signal)];
    for (field, value) in plain {
        if let Some(value) = value {
            inner.insert(field.into(), json!(value));
        }
    }
    let labels = settings.labels.iter().map(|(key, value)| (key.clone(), json!(value)));
    merge_object(inner, "Labels", labels.collect());
    merge_object(inner, "ExposedPorts", settings.ports.iter().map(|port| (port.clone(), json!({}))).collect());
    merge_object(inner, "Volumes", settings.volumes.iter().map(|volume| (volume.clone(), json!({}))).collect());
}

fn merge_object(inner: &mut Map<String, Value>, field: &str, added: Map<String, Value>) {
    if added.is_empty() {
        return;
    }
    match inner.get_mut(field) {
        Some(Value::Object(there)) => there.extend(added),
        _ => drop(inner.insert(field.into(), Value::Object(added))),
    }
}

/// A variable that the base has keeps its place, new ones follow in the order of their names.
fn merge_env(inner: &mut Map<String, Value>, ours: &BTreeMap<String, String>) {
    if ours.is_empty() {
        return;
    }
    let there = inner.get("Env").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut merged: Vec<(String, String)> = there
        .iter()
        .filter_map(Value::as_str)
        .map(|variable| variable.split_once('=').unwrap_or((variable, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (name, value) in ours {
        match merged.iter_mut().find(|(there, _)| there == name) {
            Some((_, there)) => there.clone_from(value),
            None => merged.push((name.clone(), value.clone())),
        }
    }
    let merged: Vec<String> = merged.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    inner.insert("Env".into(), json!(merged));
}

/// Puts manifests into a flat index, in the order that was asked for. It always carries its `mediaType`.
#[must_use]
pub fn index(images: &[Descriptor], annotations: &BTreeMap<String, String>) -> Vec<u8> {
    let mut index = json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": images});
    if !annotations.is_empty() {
        index["annotations"] = json!(annotations);
    }
    canonical_json(&index)
}

#[cfg(test)]
mod tests;
