//! A text becomes the digest of some content, by any algorithm that the image specification registers, or it is none.

use std::fmt;

use sha2::{Digest as _, Sha256, Sha512};

/// The digest of content: <https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests>.
///
/// What we write has a [`crate::blob::Digest`], which is SHA-256; what others wrote may have another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContentDigest {
    algorithm: Algorithm,
    hex: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl ContentDigest {
    /// Reads `sha256:` or `sha512:` and as many lower-case hexadecimal digits as belong to it; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, hex) = text.split_once(':')?;
        let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)?;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let fits = hex.len() == algorithm.digits() && hex.bytes().all(is_digit);
        fits.then(|| Self { algorithm, hex: hex.to_owned() })
    }

    /// The SHA-256 digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { algorithm: Algorithm::Sha256, hex: hex_of(&Sha256::digest(bytes)) }
    }

    /// Whether `bytes` have this digest.
    #[must_use]
    pub fn is_of(&self, bytes: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::Sha256 => hex_of(&Sha256::digest(bytes)) == self.hex,
            Algorithm::Sha512 => hex_of(&Sha512::digest(bytes)) == self.hex,
        }
    }

    /// The names on the way from the folder of a layout to the content:
    /// <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>
    #[must_use]
    pub fn place(&self) -> [&str; 3] {
        ["blobs", self.algorithm.name(), &self.hex]
    }
}

fn hex_of(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.algorithm.name(), self.hex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_both_algorithms_are_read_and_nothing_else_is() {
        let sha256 = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let sha512 = "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                      47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
        for text in [sha256, sha512] {
            let digest = ContentDigest::parse(text).unwrap();
            assert_eq!(digest.to_string(), text);
            assert!(digest.is_of(b"") && !digest.is_of(b"x"));
            assert_eq!(digest.place().join("/"), format!("blobs/{}", text.replace(':', "/")));
        }
        assert_eq!(ContentDigest::of(b"").to_string(), sha256);
        for text in [
            "",
            "sha256",
            "sha256:",
            "sha256:abc",
            &sha256.to_uppercase(),
            &sha256.replace("sha256", "sha512"),
            &sha256.replace("sha256", "md5"),
            &sha256.replace("e3b", "../"),
            &format!("{sha256}0"),
            &format!(" {sha256}"),
        ] {
            assert_eq!(ContentDigest::parse(text), None, "{text}");
        }
    }
}
