//! Blobs by digest: what content becomes once it is hashed, and the one encoder of every JSON blob.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// OCI image index, <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md>
pub const MEDIA_TYPE_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image manifest, <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md>
pub const MEDIA_TYPE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image config, <https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md>
pub const MEDIA_TYPE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// gzip layer, <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md>
pub const MEDIA_TYPE_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// uncompressed layer
pub const MEDIA_TYPE_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// zstd layer
pub const MEDIA_TYPE_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// Docker's image index
pub const MEDIA_TYPE_DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's image manifest
pub const MEDIA_TYPE_DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's gzip layer
pub const MEDIA_TYPE_DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// The annotation by which a layout says what an image is called:
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md>
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation by which a layout says what an image is called in full, as `docker save` and `BuildKit` write it and
/// containerd reads it: <https://github.com/containerd/containerd/blob/v2.0.0/core/images/annotations.go>
pub const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// A SHA-256 content digest; prints as `sha256:HEX`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// A text that is not `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a digest: it should read sha256: and 64 lower-case hexadecimal digits")]
pub struct DigestError(String);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 64 hexadecimal digits without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// Computes a [`Digest`] over bytes that arrive in pieces.
#[derive(Clone, Debug, Default)]
pub struct Hasher {
    state: Sha256,
    size: u64,
}

impl Hasher {
    /// Takes the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// The length of all pieces so far, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digest of all pieces, and their length in bytes.
    #[must_use]
    pub fn finish(self) -> (Digest, u64) {
        (Digest(self.state.finalize().into()), self.size)
    }
}

impl std::io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Hashes what is read through it.
pub struct Hashed<R> {
    inner: R,
    hasher: Hasher,
}

impl<R> Hashed<R> {
    /// Nothing was read yet.
    pub fn new(inner: R) -> Self {
        Self { inner, hasher: Hasher::default() }
    }

    /// The digest of all that was read, and its length in bytes.
    #[must_use]
    pub fn finish(self) -> (Digest, u64) {
        self.hasher.finish()
    }
}

impl<R: std::io::Read> std::io::Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

/// Hands on what is read through it, and fails in place of the end when that was not the blob that was announced.
pub struct Checked<R> {
    inner: R,
    hasher: Hasher,
    announced: (Digest, u64),
}

/// Bytes that are not the blob that was announced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{digest} is not what its name says")]
pub struct NotAnnounced {
    digest: Digest,
}

impl<R> Checked<R> {
    /// Nothing was read yet.
    pub fn new(inner: R, announced: &Descriptor) -> Self {
        Self { inner, hasher: Hasher::default(), announced: (announced.digest, announced.size) }
    }
}

impl<R: std::io::Read> std::io::Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let (digest, size) = self.announced;
        // Whoever takes as much as was announced would never ask for the end: that is part of the last bytes.
        let left = usize::try_from(size - self.hasher.size().min(size)).unwrap_or(usize::MAX);
        let most = left.min(buffer.len());
        let read = self.inner.read(&mut buffer[..most])?;
        self.hasher.update(&buffer[..read]);
        let ended = read == 0 && !buffer.is_empty();
        if (ended || self.hasher.size() == size) && self.hasher.clone().finish() != (digest, size) {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, NotAnnounced { digest }));
        }
        Ok(read)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || DigestError(text.to_owned());
        let hex = text.strip_prefix("sha256:").ok_or_else(error)?;
        if hex.len() != 64 || !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(error());
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| error())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| error())?;
        }
        Ok(Self(digest))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The platform object of a descriptor, as the image specification spells it; read leniently, written normalized.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescriptorPlatform {
    /// `arm64`
    #[serde(default)]
    pub architecture: String,
    /// `linux`
    #[serde(default)]
    pub os: String,
    /// `v7`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl fmt::Display for DescriptorPlatform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(formatter, "/{variant}"))
    }
}

impl From<crate::platform::Platform> for DescriptorPlatform {
    fn from(platform: crate::platform::Platform) -> Self {
        Self {
            architecture: platform.architecture().to_string(),
            os: platform.os().to_string(),
            variant: platform.variant().map(|variant| variant.to_string()),
        }
    }
}

/// Names a blob: <https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md>.
///
/// Ours and not oci-spec's, whose annotations are a `HashMap`: what we write must have one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// what the blob is
    pub media_type: String,
    /// its content digest
    pub digest: Digest,
    /// its length in bytes
    pub size: u64,
    /// annotations, in the order of their keys
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// the platform of a manifest in an index
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<DescriptorPlatform>,
}

impl Descriptor {
    /// A descriptor without annotations or platform.
    #[must_use]
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self { media_type: media_type.to_owned(), digest, size, annotations: BTreeMap::new(), platform: None }
    }

    /// Describes `bytes`.
    #[must_use]
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }
}

/// Encodes a JSON blob: keys sorted, no spaces, so that the same value has the same digest everywhere.
///
/// # Panics
/// Never: a `serde_json::Value` always encodes, and our own types hold no maps with non-string keys.
#[must_use]
pub fn canonical_json<T: Serialize>(value: &T) -> Vec<u8> {
    // serde_json's Value keeps objects in a BTreeMap, which is what sorts the keys.
    let value = serde_json::to_value(value).expect("a JSON blob has string keys");
    serde_json::to_vec(&value).expect("a JSON value encodes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_as_it_prints() {
        let digest = Digest::of(b"");
        assert_eq!(digest.to_string(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        for wrong in
            ["", "sha256:", "sha256:abc", "md5:d41d8cd98f00b204e9800998ecf8427e", &digest.to_string().to_uppercase()]
        {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_that_were_not_announced_never_come_to_their_end() {
        use std::io::Read as _;
        let read = |bytes: &[u8], announced: &[u8]| {
            let mut read = Vec::new();
            let announced = Descriptor::of("text/plain", announced);
            Checked::new(bytes, &announced).take(announced.size).read_to_end(&mut read).map(|_| read)
        };
        assert_eq!(read(b"hello", b"hello").unwrap(), b"hello");
        assert_eq!(read(b"", b"").unwrap(), b"");
        // What comes behind it is not of it.
        assert_eq!(read(b"hello!", b"hello").unwrap(), b"hello");
        for wrong in [b"hallo".as_slice(), b"hell", b""] {
            assert!(read(wrong, b"hello").unwrap_err().to_string().ends_with(" is not what its name says"));
        }
    }

    #[test]
    fn canonical_json_has_one_order() {
        let value = serde_json::json!({"b": 1, "a": {"d": [2, 1], "c": null}});
        assert_eq!(canonical_json(&value), br#"{"a":{"c":null,"d":[2,1]},"b":1}"#);
    }
}
