//! A clear-signed text and the archive's public keys become the text that the signature covers:
//! <https://www.rfc-editor.org/rfc/rfc9580.html#name-cleartext-signature-framewo>.

use std::io::BufReader;
use std::time::Duration;

use pgp::composed::{CleartextSignedMessage, Deserializable as _, SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails as _, Timestamp, VerifyingKey};

/// The keys of Debian's archive, as its package `debian-archive-keyring` has them (`data/debian/SOURCES.toml`).
const DEBIAN: &[u8] = include_bytes!("../../data/debian/archive-keys.gpg");

/// Public keys that an archive signs with.
#[derive(Debug, Clone)]
pub struct Keyring {
    keys: Vec<SignedPublicKey>,
}

/// Why a signature, or a key, does not count.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// These are no public keys.
    #[error("the public keys cannot be read")]
    Keys(#[source] Box<pgp::errors::Error>),
    /// There are no keys.
    #[error("there are no public keys")]
    NoKeys,
    /// It is not signed, or more than the signed text.
    #[error("it is not one clear-signed text")]
    NotSigned(#[source] Box<pgp::errors::Error>),
    /// None of the keys made any of the signatures.
    #[error("no signature is by a known key: {}", list(signers))]
    UnknownSigner {
        /// key ids that the signatures name
        signers: Vec<String>,
    },
    /// A known key is named, and the signature is not of this text, or too weak, or the key had expired.
    #[error("the signature by the key {signer} does not fit the text")]
    Wrong {
        /// the key's id
        signer: String,
    },
}

fn list(signers: &[String]) -> String {
    if signers.is_empty() { "nobody signed it".to_owned() } else { format!("it was signed by {}", signers.join(", ")) }
}

impl Keyring {
    /// Debian's own keys.
    ///
    /// # Panics
    /// Never: the keys are part of the program, and a test reads them.
    #[must_use]
    pub fn debian() -> Self {
        Self::read(DEBIAN).expect("the embedded keys are whole")
    }

    /// Reads public keys, armored or not.
    ///
    /// # Errors
    /// When there are none, or a subkey is not bound to its key.
    pub fn read(bytes: &[u8]) -> Result<Self, SignatureError> {
        let error = |source| SignatureError::Keys(Box::new(source));
        let (keys, _) = SignedPublicKey::from_reader_many_buf(BufReader::new(bytes)).map_err(error)?;
        let keys = keys.collect::<Result<Vec<_>, _>>().map_err(error)?;
        for key in &keys {
            for subkey in &key.public_subkeys {
                subkey.verify_bindings(&key.primary_key).map_err(error)?;
            }
        }
        if keys.is_empty() { Err(SignatureError::NoKeys) } else { Ok(Self { keys }) }
    }

    /// How many keys there are, without subkeys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Never true.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The text that a signature by one of these keys covers; nothing around it is read. As with apt, one such signature
    /// is enough, since archives sign with the keys of several releases.
    ///
    /// # Errors
    /// When there is anything beside one signed text, or no signature counts.
    pub fn signed_text(&self, message: &str) -> Result<String, SignatureError> {
        let (message, _) = CleartextSignedMessage::from_string(message)
            .map_err(|source| SignatureError::NotSigned(Box::new(source)))?;
        let text = message.signed_text();
        let mut known = None;
        for signature in message.signatures() {
            for key in &self.keys {
                match made_by(signature, key, &text) {
                    Verdict::Good => return Ok(text),
                    Verdict::Bad(signer) => known = Some(signer),
                    Verdict::Other => {}
                }
            }
        }
        Err(match known {
            Some(signer) => SignatureError::Wrong { signer },
            None => SignatureError::UnknownSigner { signers: message.signatures().iter().flat_map(signers).collect() },
        })
    }
}

/// How long a key lasts by the latest of its own signatures: an owner who gives it more time signs it anew.
fn lasting<'key>(own: impl Iterator<Item = &'key Signature>) -> Option<Duration> {
    let latest = own.max_by_key(|own| own.created().map(Timestamp::as_secs))?;
    latest.key_expiration_time().map(Duration::from)
}

enum Verdict {
    Good,
    /// by this key, and of no worth
    Bad(String),
    /// not by this key
    Other,
}

fn signers(signature: &Signature) -> Vec<String> {
    let mut names: Vec<String> = signature.issuer_key_id().iter().map(ToString::to_string).collect();
    if names.is_empty() {
        names.extend(signature.issuer_fingerprint().iter().map(ToString::to_string));
    }
    names
}

/// Tries the key itself and those of its subkeys that may sign.
fn made_by(signature: &Signature, key: &SignedPublicKey, text: &str) -> Verdict {
    let created = signature.created();
    let revoked =
        key.details.revocation_signatures.iter().any(|revocation| revocation.verify_key(&key.primary_key).is_ok());
    let of_users = key.details.users.iter().flat_map(|user| &user.signatures).chain(&key.details.direct_signatures);
    // A key's own signatures say how long it lasts; those of others, which keys also carry, do not count.
    let own = of_users.filter(|own| own.issuer_key_id().contains(&&key.primary_key.legacy_key_id()));
    let lasts = lasting(own);
    let usable = !revoked && valid(created, key.primary_key.created_at(), lasts);
    let primary = judge(signature, &key.primary_key, text, usable);
    key.public_subkeys.iter().map(|subkey| by_subkey(signature, subkey, text, usable)).fold(primary, better)
}

fn by_subkey(signature: &Signature, subkey: &SignedPublicSubKey, text: &str, usable: bool) -> Verdict {
    let binding = |kind| subkey.signatures.iter().filter(move |binding| binding.typ() == Some(kind));
    let signs = binding(SignatureType::SubkeyBinding).any(|binding| binding.key_flags().sign());
    let lasts = lasting(binding(SignatureType::SubkeyBinding));
    let revoked = binding(SignatureType::SubkeyRevocation).next().is_some();
    let usable = usable && signs && !revoked && valid(signature.created(), subkey.key.created_at(), lasts);
    judge(signature, &subkey.key, text, usable)
}

fn better(one: Verdict, other: Verdict) -> Verdict {
    match (one, other) {
        (Verdict::Good, _) | (_, Verdict::Good) => Verdict::Good,
        (Verdict::Bad(signer), _) | (_, Verdict::Bad(signer)) => Verdict::Bad(signer),
        (Verdict::Other, Verdict::Other) => Verdict::Other,
    }
}

fn judge(signature: &Signature, key: &impl VerifyingKey, text: &str, usable: bool) -> Verdict {
    let named = signature.issuer_key_id().contains(&&key.legacy_key_id())
        || signature.issuer_fingerprint().contains(&&key.fingerprint());
    if !named {
        return Verdict::Other;
    }
    let of_text = matches!(signature.typ(), Some(SignatureType::Text | SignatureType::Binary));
    // Which hashes are too weak (MD5, SHA-1) is the library's to know.
    if usable && of_text && signature.verify(key, text.as_bytes()).is_ok() {
        Verdict::Good
    } else {
        Verdict::Bad(key.legacy_key_id().to_string())
    }
}

/// True when a signature was made while the key was valid: a release that is done stays readable after its keys expire.
fn valid(created: Option<Timestamp>, key_created: Timestamp, lasts: Option<Duration>) -> bool {
    let seconds = |time: Timestamp| u64::from(time.as_secs());
    let Some(created) = created.map(seconds) else { return false };
    let begin = seconds(key_created);
    created >= begin && lasts.is_none_or(|lasts| lasts.is_zero() || created - begin <= lasts.as_secs())
}

#[cfg(test)]
mod tests;
