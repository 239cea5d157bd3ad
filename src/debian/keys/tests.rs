use pgp::composed::{ArmorOptions, SignedSecretKey};
use pgp::packet::{SignatureConfig, Subpacket, SubpacketData};
use pgp::types::{Password, SigningKey as _};

use super::*;
use crate::blob::Digest;

/// As Debian's mirrors have it; bullseye does not change any more.
const BULLSEYE: &str = include_str!("bullseye-updates.InRelease");
/// Made on 2025-01-01, and expired on 2025-01-11.
const SHORT: &str = include_str!("expires-after-10-days.asc");
const DAY: u32 = 24 * 60 * 60;

/// `text`, signed that many seconds after the key was made.
fn signed(text: &str, after: u32) -> (String, Keyring) {
    let (secret, _) = SignedSecretKey::from_string(SHORT).unwrap();
    let message = CleartextSignedMessage::new_many(text, |text| {
        let key = &secret.primary_key;
        let mut config = SignatureConfig::v4(SignatureType::Text, key.algorithm(), key.hash_alg());
        let created = Timestamp::from_secs(key.created_at().as_secs() + after);
        config.hashed_subpackets = vec![
            Subpacket::regular(SubpacketData::SignatureCreationTime(created))?,
            Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
        ];
        Ok(vec![config.sign(key, &Password::empty(), text.as_bytes())?])
    });
    let public = secret.to_public_key().to_armored_bytes(ArmorOptions::default()).unwrap();
    (message.unwrap().to_armored_string(ArmorOptions::default()).unwrap(), Keyring::read(&public).unwrap())
}

#[test]
fn the_embedded_keys_are_those_of_the_list() {
    let sources: toml::Table = include_str!("../../../data/debian/SOURCES.toml").parse().unwrap();
    let files = sources["file"].as_array().unwrap();
    let file = files[0].as_table().unwrap();
    assert_eq!((files.len(), file["name"].as_str()), (1, Some("archive-keys.gpg")));
    assert_eq!(file["sha256"].as_str(), Some(Digest::of(DEBIAN).hex().as_str()));
    assert_eq!(file["size"].as_integer(), i64::try_from(DEBIAN.len()).ok());
    assert!(Keyring::debian().len() >= 6, "the keys of three releases");
}

#[test]
fn what_debian_signed_is_what_is_read() {
    let text = Keyring::debian().signed_text(BULLSEYE).unwrap();
    assert!(text.starts_with("Origin: Debian\r\nLabel: Debian\r\nSuite: oldoldstable-updates\r\n"), "{}", &text[..80]);
    assert!(!text.contains("PGP"));
}

#[test]
fn what_is_not_as_it_was_signed_is_refused() {
    let keys = Keyring::debian();
    let (unknown, _) = signed("Suite: stable\n", DAY);
    for (message, expected) in [
        (BULLSEYE.replacen("Label: Debian", "Label: Nobody", 1), "does not fit the text"),
        (BULLSEYE.replacen("SHA256:\n", "SHA256:\n 00 1 main/x\n", 1), "does not fit the text"),
        (format!("Suite: evil\n\n{BULLSEYE}"), "it is not one clear-signed text"),
        (format!("{BULLSEYE}\nSuite: evil\n"), "it is not one clear-signed text"),
        ("Suite: stable\n".to_owned(), "it is not one clear-signed text"),
        (String::new(), "it is not one clear-signed text"),
        (BULLSEYE[..BULLSEYE.len() - 400].to_owned(), "it is not one clear-signed text"),
        (unknown, "no signature is by a known key: it was signed by "),
    ] {
        let error = keys.signed_text(&message).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} for {:?}", message.chars().take(60).collect::<String>());
    }
}

#[test]
fn a_signature_counts_if_the_key_was_valid_when_it_was_made() {
    for (days, good) in [(1, true), (9, true), (11, false), (1000, false)] {
        let (message, keys) = signed("Suite: stable\n", days * DAY);
        assert_eq!(keys.signed_text(&message).is_ok(), good, "{days}");
    }
}

#[test]
fn what_holds_no_keys_is_refused() {
    for bytes in [&b""[..], b"keys", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n", SHORT.as_bytes(), &DEBIAN[..400]] {
        assert!(Keyring::read(bytes).is_err(), "{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(20)]));
    }
}
