//! Asks the programs that keep logins, and tells them what to keep and what to forget, by the protocol of
//! <https://github.com/docker/docker-credential-helpers>.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::answer;
use super::credentials::{Credential, CredentialError, Secret};
use crate::exec::{ConversationError, Finished, converse};
use crate::invocation::Invocation;

/// The most that a helper may say, in bytes; tokens of clouds have some thousands.
const LONGEST_ANSWER: usize = 1024 * 1024;
/// The user name that stands for a token.
const TOKEN: &str = "<token>";
/// What every helper says of a server that it knows nothing of.
const NOT_FOUND: &str = "credentials not found";

/// A program that keeps logins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Helper<'file> {
    /// what follows `docker-credential-`
    pub(super) name: &'file str,
    /// the file that names it
    pub(super) path: &'file Path,
    /// where programs are looked for, when not in our own `PATH`
    pub(super) programs: Option<&'file OsStr>,
    /// how long it may take; it may ask a person for a password of its own
    pub(super) patience: Duration,
}

#[derive(Deserialize)]
struct Login {
    #[serde(rename = "Username", alias = "username")]
    user: String,
    #[serde(rename = "Secret", alias = "secret")]
    secret: String,
}

impl Helper<'_> {
    /// The program's name.
    pub(super) fn program(&self) -> String {
        format!("docker-credential-{}", self.name)
    }

    /// The login for `server`, if it keeps one.
    pub(super) async fn get(&self, server: &str) -> Result<Option<Credential>, CredentialError> {
        let Some(stdout) = self.run("get", server, server.as_bytes()).await? else { return Ok(None) };
        let Ok(login) = serde_json::from_slice::<Login>(&stdout) else {
            return Err(self.failed("get", server, "its answer is not the JSON of a login"));
        };
        let secret = Secret::new(login.secret);
        Ok(match login.user.as_str() {
            "" if secret.reveal().is_empty() => None,
            TOKEN => Some(Credential::Identity(secret)),
            _ => Some(Credential::Password { user: login.user, password: secret }),
        })
    }

    /// Has it keep a login.
    pub(super) async fn store(&self, server: &str, user: &str, password: &Secret) -> Result<(), CredentialError> {
        let login = serde_json::json!({"ServerURL": server, "Username": user, "Secret": password.reveal()});
        match self.run("store", server, login.to_string().as_bytes()).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(self.failed("store", server, NOT_FOUND)),
            Err(CredentialError::HelperFailed { said, .. }) if said.contains(password.reveal()) => {
                Err(self.failed("store", server, "its words hold the password"))
            }
            Err(error) => Err(error),
        }
    }

    /// Has it forget a login; one that is not there is forgotten.
    pub(super) async fn erase(&self, server: &str) -> Result<(), CredentialError> {
        self.run("erase", server, server.as_bytes()).await.map(drop)
    }

    /// Its answer to one of the three; `None` when it knows no such server.
    async fn run(&self, verb: &'static str, server: &str, told: &[u8]) -> Result<Option<Vec<u8>>, CredentialError> {
        let program = self.program();
        let mut call = Invocation::new(&program, ".").args([verb]);
        if let Some(programs) = self.programs.and_then(OsStr::to_str) {
            call = call.env("PATH", programs);
        }
        let finished = converse(&call, told, self.patience, LONGEST_ANSWER).await.map_err(|error| match error {
            ConversationError::Start(error) if error.kind() == io::ErrorKind::NotFound && !self.is_there(&program) => {
                CredentialError::HelperMissing { program: program.clone(), path: self.path.to_owned() }
            }
            ConversationError::Start(source) | ConversationError::Broken(source) => {
                self.failed(verb, server, &format!("it cannot be run: {source}"))
            }
            error => self.failed(verb, server, &error.to_string()),
        })?;
        if finished.status.success() {
            return Ok(Some(finished.stdout));
        }
        if knows_nothing(&finished) { Ok(None) } else { Err(self.failed(verb, server, &words(&finished))) }
    }

    /// False for a program that is not installed; one whose interpreter is not fails in the same way.
    fn is_there(&self, program: &str) -> bool {
        match self.programs {
            Some(programs) => {
                which::which_in_global(program, Some(programs)).is_ok_and(|mut found| found.next().is_some())
            }
            None => which::which(program).is_ok(),
        }
    }

    fn failed(&self, verb: &'static str, server: &str, said: &str) -> CredentialError {
        CredentialError::HelperFailed {
            program: self.program(),
            verb,
            path: self.path.to_owned(),
            server: server.to_owned(),
            said: said.to_owned(),
        }
    }
}

/// True when a helper that failed says, wherever among its words, that it has no such login.
fn knows_nothing(finished: &Finished) -> bool {
    [&finished.stdout, &finished.stderr].iter().any(|said| String::from_utf8_lossy(said).contains(NOT_FOUND))
}

/// What a helper that failed said, in one line without a secret.
fn words(finished: &Finished) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&finished.stdout), String::from_utf8_lossy(&finished.stderr));
    // A helper that prints a login and fails all the same must not have it printed again.
    let said = [&stderr, &stdout].into_iter().map(|text| text.trim()).find(|text| !text.is_empty());
    let said = said.filter(|text| !text.to_ascii_lowercase().contains("secret\"")).and_then(|text| text.lines().next());
    said.map_or_else(|| format!("it ended with {} and said nothing", finished.ending()), answer::printable)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn what_a_helper_says_is_shown_and_never_a_secret() {
        for (stdout, stderr, expected) in [
            ("", "no display\nmore", "no display"),
            ("out", "", "out"),
            ("", "", "it ended with exit code 1 and said nothing"),
            (r#"{"Username":"me","Secret":"hidden"}"#, "", "it ended with exit code 1 and said nothing"),
            ("", r#"failed: {"ServerURL":"r","secret":"hidden"}"#, "it ended with exit code 1 and said nothing"),
        ] {
            let (stdout, stderr) = (stdout.as_bytes().to_vec(), stderr.as_bytes().to_vec());
            let finished = Finished { status: ExitStatus::from_raw(0x100), stdout, stderr };
            assert_eq!(words(&finished), expected);
            assert!(!knows_nothing(&finished), "{expected}");
        }
    }

    #[test]
    fn a_helper_may_say_much_before_it_says_that_it_knows_nothing() {
        let late = format!("{}credentials not found in native keychain\n", "debug: opening the vault\n".repeat(30));
        for (stdout, stderr) in [("credentials not found in native keychain\n", "Error"), ("", &*late)] {
            let (stdout, stderr) = (stdout.as_bytes().to_vec(), stderr.as_bytes().to_vec());
            assert!(knows_nothing(&Finished { status: ExitStatus::from_raw(0x100), stdout, stderr }));
        }
    }
}
