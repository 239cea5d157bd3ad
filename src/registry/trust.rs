//! Files of certificates become whom a registry's connections trust and who we are on them: those that the settings name,
//! else those in the folders of docker and podman (`certs.d/HOST`):
//! <https://docs.docker.com/engine/security/certificates/>,
//! <https://github.com/containers/image/blob/v5.36.0/docs/containers-certs.d.5.md>.

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::error::Error;
use super::note::Notes;
use crate::registry_map::RegistrySettings;

/// Why a file does not help to prove who somebody is.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(io::Error),
    /// Nothing in it is a certificate.
    #[error("it holds no certificate in PEM")]
    None,
    /// What looks like a certificate is none.
    #[error("what it holds is not a certificate")]
    Malformed,
    /// A certificate without its key, or with something else.
    #[error("a certificate and its key in PEM are not both there")]
    NoPair,
    /// A pair that the TLS library does not take.
    #[error("it and its key cannot be used: {0}")]
    Unusable(String),
    /// A certificate whose key is not beside it.
    #[error("its key `{0}` is not beside it; a certificate to trust ends in `.crt`")]
    NoKey(String),
    /// A key whose certificate is not beside it.
    #[error("its certificate `{0}` is not beside it")]
    NoCertificate(String),
    /// Several of our own certificates, and no choice.
    #[error("`{first}` is there, too, and only one can be shown")]
    Several {
        /// whose they are
        registry: String,
        /// the other file's name
        first: String,
    },
    /// A key and no certificate.
    #[error("it is the key of no certificate: `client_certificate` is not given")]
    KeyAlone {
        /// whose table it is
        registry: String,
    },
}

/// Whom the connections to one registry trust beside the system's authorities, and who we are on them.
#[derive(Default)]
pub(super) struct Trust {
    pub(super) roots: Vec<reqwest::Certificate>,
    /// with the file that names it
    pub(super) identity: Option<(PathBuf, reqwest::Identity)>,
}

impl Trust {
    /// What the settings of `registry` name, else what is in the first of `folders` that has a folder of its name. One
    /// that we may not look into was not made for us: it counts as not there, and `notes` are told.
    pub(super) fn of(
        registry: &str,
        settings: Option<&RegistrySettings>,
        folders: &[PathBuf],
        notes: &Notes,
    ) -> Result<Self, Error> {
        if let Some(settings) = settings.filter(|settings| names_files(settings)) {
            let mut trust = Self::default();
            for path in settings.ca.iter().flatten() {
                trust.roots.extend(certificates(path)?);
            }
            trust.identity = match (&settings.client_certificate, &settings.client_key) {
                (Some(certificate), key) => Some(identity(certificate, key.as_deref())?),
                (None, Some(key)) => return Err(wrong(key, TrustError::KeyAlone { registry: registry.to_owned() })),
                (None, None) => None,
            };
            return Ok(trust);
        }
        for parent in folders {
            let folder = parent.join(registry);
            match fs::read_dir(&folder) {
                Ok(entries) => {
                    let names = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>();
                    let mut files = names.map_err(|source| wrong(&folder, TrustError::Unreadable(source)))?;
                    files.sort();
                    return Self::of_folder(registry, &files);
                }
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    // Of a folder above that is closed, it is said once and not for each registry.
                    let closed = if fs::read_dir(parent).is_err() { parent } else { &folder };
                    let shown = closed.display().to_string();
                    notes.once(&shown, || format!("certificates in `{shown}` are passed over: it may not be read"));
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(source) => return Err(wrong(&folder, TrustError::Unreadable(source))),
            }
        }
        Ok(Self::default())
    }

    /// By docker's rules: `.crt` is to be trusted, `.cert` is ours, with its `.key`.
    fn of_folder(registry: &str, files: &[PathBuf]) -> Result<Self, Error> {
        let mut trust = Self::default();
        let there = |path: &PathBuf| files.contains(path);
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for path in files {
            match path.extension().and_then(std::ffi::OsStr::to_str) {
                Some("crt") => trust.roots.extend(certificates(path)?),
                Some("cert") => {
                    let key = path.with_extension("key");
                    if !there(&key) {
                        return Err(wrong(path, TrustError::NoKey(name(&key))));
                    }
                    if let Some((first, _)) = &trust.identity {
                        let (registry, first) = (registry.to_owned(), name(first));
                        return Err(wrong(path, TrustError::Several { registry, first }));
                    }
                    trust.identity = Some(identity(path, Some(&key))?);
                }
                Some("key") if !there(&path.with_extension("cert")) => {
                    return Err(wrong(path, TrustError::NoCertificate(name(&path.with_extension("cert")))));
                }
                _ => {}
            }
        }
        Ok(trust)
    }
}

/// True when the settings name files of certificates.
pub(super) fn names_files(settings: &RegistrySettings) -> bool {
    settings.ca.is_some() || settings.client_certificate.is_some() || settings.client_key.is_some()
}

fn wrong(path: &Path, source: TrustError) -> Error {
    Error::Certificates { path: path.to_owned(), source }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| wrong(path, TrustError::Unreadable(source)))
}

/// The certificates to trust in a file; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<reqwest::Certificate>, Error> {
    let pem = read(path)?;
    let mut found = Vec::new();
    for der in CertificateDer::pem_slice_iter(&pem) {
        let malformed = || wrong(path, TrustError::Malformed);
        let der = der.map_err(|_| malformed())?;
        // The HTTP client would tell of it without the file's name.
        RootCertStore::empty().add(der.clone()).map_err(|_| malformed())?;
        found.push(reqwest::Certificate::from_der(&der).map_err(|_| malformed())?);
    }
    if found.is_empty() { Err(wrong(path, TrustError::None)) } else { Ok(found) }
}

fn identity(certificate: &Path, key: Option<&Path>) -> Result<(PathBuf, reqwest::Identity), Error> {
    let mut pem = read(certificate)?;
    if let Some(key) = key {
        pem.push(b'\n');
        pem.extend(read(key)?);
    }
    let identity = reqwest::Identity::from_pem(&pem).map_err(|_| wrong(certificate, TrustError::NoPair))?;
    Ok((certificate.to_owned(), identity))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_empty(trust: &Trust) -> bool {
        trust.roots.is_empty() && trust.identity.is_none()
    }

    /// The error of a folder with these empty files, without the folder's name.
    fn refusal(files: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let registry = folder.path().join("registry.lan:5000");
        fs::create_dir(&registry).unwrap();
        for file in files {
            fs::write(registry.join(file), "").unwrap();
        }
        let folders = [folder.path().join("none"), folder.path().to_owned()];
        match Trust::of("registry.lan:5000", None, &folders, &Notes::default()) {
            Ok(trust) if is_empty(&trust) => "nothing".to_owned(),
            Ok(_) => "something".to_owned(),
            Err(Error::Certificates { path, source }) => {
                format!("{}: {source}", path.strip_prefix(&registry).unwrap().display())
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_folder_is_read_by_dockers_rules() {
        for (files, expected) in [
            (&[][..], "nothing"),
            (&["README", "old.crt.bak"], "nothing"),
            (&["ca.crt"], "ca.crt: it holds no certificate in PEM"),
            (
                &["client.cert"],
                "client.cert: its key `client.key` is not beside it; a certificate to trust ends in `.crt`",
            ),
            (&["client.key"], "client.key: its certificate `client.cert` is not beside it"),
            (&["client.cert", "client.key"], "client.cert: a certificate and its key in PEM are not both there"),
        ] {
            assert_eq!(refusal(files), expected, "{files:?}");
        }
    }

    #[test]
    fn a_folder_that_may_not_be_read_is_passed_over_with_one_note() {
        use std::os::unix::fs::PermissionsExt as _;
        use std::sync::{Arc, Mutex};

        let (closed, open) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(open.path().join("a.lan")).unwrap();
        fs::write(open.path().join("a.lan/ca.crt"), "").unwrap();
        fs::set_permissions(closed.path(), std::fs::Permissions::from_mode(0o000)).unwrap();
        if closed.path().read_dir().is_ok() {
            // Whoever may read everything cannot see this.
            return;
        }
        let told = Arc::new(Mutex::new(Vec::new()));
        let notes = Notes::new({
            let told = Arc::clone(&told);
            move |note| told.lock().unwrap().push(note)
        });
        let folders = [closed.path().to_owned(), open.path().to_owned()];
        assert!(Trust::of("a.lan", None, &folders, &notes).is_err(), "the next folder counts");
        assert!(is_empty(&Trust::of("b.lan", None, &folders, &notes).unwrap()));
        let shown = closed.path().display();
        assert_eq!(*told.lock().unwrap(), [format!("certificates in `{shown}` are passed over: it may not be read")]);
    }

    #[test]
    fn what_settings_name_wins_over_folders() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a.lan")).unwrap();
        fs::write(folder.path().join("a.lan/ca.crt"), "").unwrap();
        let key = RegistrySettings { client_key: Some("/no/such.key".into()), ..Default::default() };
        let none = RegistrySettings { ca: Some(Vec::new()), ..Default::default() };
        let only_mirrors = RegistrySettings { mirrors: Some(Vec::new()), ..Default::default() };
        for (settings, expected) in [
            (&key, Some("it is the key of no certificate: `client_certificate` is not given")),
            (&none, None),
            (&only_mirrors, Some("it holds no certificate in PEM")),
        ] {
            let found = Trust::of("a.lan", Some(settings), &[folder.path().to_owned()], &Notes::default());
            let refusal = found.err().and_then(|error| std::error::Error::source(&error).map(ToString::to_string));
            assert_eq!(refusal.as_deref(), expected);
        }
    }
}
