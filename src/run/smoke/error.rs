//! Why no program could be started, which is not the program's fault, with the ways out.

use std::path::Path;

use fs_err as fs;

use crate::blob::{Descriptor, Digest};
use crate::hint::Hint;
use crate::sandbox::Failure;

/// Settings of Linux that keep users from making namespaces: the value that does, and the one that does not.
const SETTINGS: [(&str, &str, &str); 3] = [
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("user.max_user_namespaces", "0", "10000"),
    // Ubuntu since 23.10: https://discourse.ubuntu.com/t/spec-unprivileged-user-namespace-restrictions-via-apparmor-in-ubuntu-23-10/37626
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
];
/// Files that engines leave in their containers.
const IN_CONTAINER: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

/// Why no program could be started.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// This machine does not let us.
    #[error("`--smoke` can start nothing here: {step} was refused ({reason})")]
    Forbidden {
        /// what was tried
        step: String,
        /// what the system said
        reason: String,
        /// what would let us
        ways_out: Vec<String>,
    },
    /// A layer that is not as it should be.
    #[error("the layer {layer} {text}")]
    Layer {
        /// the layer
        layer: Digest,
        /// what is wrong with it, as a predicate
        text: String,
    },
    /// A layer whose bytes are not what its name says.
    #[error("the layer {layer} is damaged: it is not what its name says")]
    Damaged {
        /// the layer
        layer: Digest,
    },
    /// The image could not be unpacked.
    #[error("`{path}` of the image cannot be unpacked in the cache folder: {reason}")]
    Write {
        /// the path in the image
        path: String,
        /// what the system said
        reason: String,
        /// true when the disk is full
        full: bool,
    },
    /// Something else.
    #[error("a sandbox for `--smoke` cannot be made: {step}, and {reason}")]
    Broken {
        /// what was tried
        step: String,
        /// what the system said
        reason: String,
    },
}

impl SandboxError {
    /// What a sandbox said; `layers` are those that it was given.
    pub(super) fn of(failure: Failure, layers: &[Descriptor]) -> Self {
        match failure {
            Failure::Forbidden { step, reason } => {
                let ways_out =
                    ways_out(&reason, &|path| fs::read_to_string(path).ok(), &|path| Path::new(path).exists());
                Self::Forbidden { step, reason, ways_out }
            }
            Failure::Layer { position, text } => match layers.get(position) {
                Some(layer) => Self::Layer { layer: layer.digest, text },
                None => Self::Broken { step: "a layer was to be unpacked".to_owned(), reason: text },
            },
            Failure::Write { path, reason, full } => Self::Write { path, reason, full },
            Failure::Start { text: reason } => Self::Broken { step: "a program was to be started".to_owned(), reason },
            Failure::Broken { step, reason } => Self::Broken { step, reason },
        }
    }

    /// A sandbox that ended before its time.
    pub(super) fn silent() -> Self {
        let (step, reason) = ("its process was to say how it gets on".to_owned(), "it ended without a word".to_owned());
        Self::Broken { step, reason }
    }
}

/// What would let us make namespaces, by what the machine says of itself.
fn ways_out(reason: &str, read: &dyn Fn(&str) -> Option<String>, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut ways = Vec::new();
    if reason.contains("noexec") {
        ways.push("keep the cache elsewhere: ANYARCH_CACHE_DIR=/path anyarch build".to_owned());
        return ways;
    }
    for (name, closed, open) in SETTINGS {
        let text = read(&format!("/proc/sys/{}", name.replace('.', "/")));
        if text.is_some_and(|text| text.trim() == closed) {
            ways.push(format!("let users make namespaces: sudo sysctl -w {name}={open}"));
        }
    }
    if IN_CONTAINER.iter().any(|file| exists(file)) {
        let options = "--security-opt seccomp=unconfined --security-opt apparmor=unconfined";
        ways.push(format!("let this container make namespaces: docker run {options} ..."));
    }
    ways.push("leave `--smoke` away: anyarch verify judges an image without starting it".to_owned());
    ways
}

impl Hint for SandboxError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Forbidden { ways_out, .. } => ways_out.clone(),
            Self::Layer { .. } | Self::Damaged { .. } => vec!["build or copy the image again".to_owned()],
            Self::Write { full: true, .. } => crate::full_disk::hints(&std::io::ErrorKind::StorageFull.into()),
            Self::Write { .. } | Self::Broken { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_out_is_the_one_of_this_machine() {
        let leave = "leave `--smoke` away: anyarch verify judges an image without starting it";
        let of = |path: &'static str, value: &'static str, container: bool| {
            let read = move |asked: &str| (asked == path).then(|| format!("{value}\n"));
            ways_out("EPERM", &read, &|file| container && file == "/.dockerenv")
        };
        assert_eq!(of("", "", false), [leave]);
        assert_eq!(
            of("/proc/sys/user/max_user_namespaces", "0", false),
            ["let users make namespaces: sudo sysctl -w user.max_user_namespaces=10000", leave]
        );
        assert_eq!(of("/proc/sys/user/max_user_namespaces", "63000", false), [leave]);
        assert_eq!(
            of("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", true),
            [
                "let users make namespaces: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
                "let this container make namespaces: docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined ...",
                leave
            ]
        );
        let noexec = ways_out("is mounted noexec", &|_| None, &|_| false);
        assert_eq!(noexec, ["keep the cache elsewhere: ANYARCH_CACHE_DIR=/path anyarch build"]);
    }
}
