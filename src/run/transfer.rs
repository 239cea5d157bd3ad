//! Bytes on their way, told to who watches.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::base::Role;
use crate::base_name::BaseName;
use crate::platform::Platform;
use crate::reference::{Reference, Repository};

use super::event::{Event, TransferEnd};
use super::push::{Blob, Task};
use super::session::Session;

/// Digits of a digest that tell it from others well enough for a line.
const DIGITS: usize = 12;

static TRANSFER: AtomicU64 = AtomicU64::new(0);

/// Tells of a transfer and of its end; one that is dropped before it ended has failed.
pub(super) struct Transfer {
    session: Session,
    id: u64,
    began: AtomicBool,
    end: TransferEnd,
}

impl Transfer {
    /// `size` bytes begin to move; `what` they are is shown as it is.
    pub(super) fn start(session: &Session, what: String, size: u64) -> Self {
        let id = TRANSFER.fetch_add(1, Ordering::Relaxed);
        session.watch.event(Event::TransferStarted { id, what, size });
        Self { session: session.clone(), id, began: AtomicBool::new(false), end: TransferEnd::Failed }
    }

    /// It stands at so many bytes: at first those that were there before any moved, then all by now; fewer than before when
    /// it begins anew.
    pub(super) fn moved(&self, bytes: u64) {
        let id = self.id;
        let began = self.began.swap(true, Ordering::Relaxed);
        let event = if began { Event::Transferred { id, bytes } } else { Event::TransferBegan { id, at: bytes } };
        self.session.watch.event(event);
    }

    /// It is over.
    pub(super) fn end(mut self, end: TransferEnd) {
        self.end = end;
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.session.watch.event(Event::TransferEnded { id: self.id, end: self.end });
    }
}

/// What comes when a layer is read: `base debian:12-slim linux/arm64`, or `layer ...` of an image that is looked at.
pub(super) fn of_layer(role: Role, image: &BaseName, platform: Option<Platform>) -> String {
    let word = if role == Role::Base { "base" } else { "layer" };
    format!("{word} {}{}", familiar(&image.to_string()), behind(platform))
}

/// What goes into docker or podman: `docker app:1.0`, or `docker image` for one without a name.
pub(super) fn of_load(command: &str, names: &[Reference]) -> String {
    let name = names.first().map_or_else(|| "image".to_owned(), |name| familiar(&name.to_string()));
    format!("{command} {name}")
}

/// What goes when a blob of an image is pushed: `push ghcr.io/me/app linux/arm64`, and behind it `base` for a layer of the
/// base.
pub(super) fn of_push(task: Task, repository: &Repository, blob: &Blob) -> String {
    match (task, blob.platform) {
        (Task::Push, Some(platform)) => {
            let base = if blob.origin.is_some() { " base" } else { "" };
            format!("push {} {platform}{base}", familiar(&repository.to_string()))
        }
        (_, platform) => of_copy(&repository.to_string(), platform),
    }
}

/// What goes when an image that exists is copied: `copy ghcr.io/me/app linux/arm64`.
pub(super) fn of_copy(place: &str, platform: Option<Platform>) -> String {
    let platform = behind(platform);
    format!("copy {}{platform}", familiar(place))
}

fn behind(platform: Option<Platform>) -> String {
    platform.map_or_else(String::new, |platform| format!(" {platform}"))
}

/// A name as docker shows it: Docker Hub goes without saying, and so does a digest behind a tag; of another digest the
/// beginning is enough.
pub(super) fn familiar(name: &str) -> String {
    let name = name.strip_prefix("docker.io/").map_or(name, |path| path.strip_prefix("library/").unwrap_or(path));
    let Some((name, digest)) = name.split_once("@sha256:") else { return name.to_owned() };
    let tagged = name.rsplit('/').next().is_some_and(|last| last.contains(':'));
    if tagged { name.to_owned() } else { format!("{name}@{digest:.DIGITS$}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::Descriptor;

    #[test]
    fn what_moves_is_called_by_short_names() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        let platform: Platform = "linux/arm64".parse().unwrap();
        for (base, expected) in [
            ("debian:12-slim".to_owned(), "base debian:12-slim linux/arm64"),
            ("bitnami/minideb:latest".to_owned(), "base bitnami/minideb:latest linux/arm64"),
            ("localhost:5000/debian:12".to_owned(), "base localhost:5000/debian:12 linux/arm64"),
            (format!("localhost:5000/debian@{digest}"), "base localhost:5000/debian@0123456789ab linux/arm64"),
            (format!("ghcr.io/me/base:1@{digest}"), "base ghcr.io/me/base:1 linux/arm64"),
            ("oci:folder:tag".to_owned(), "base oci:folder:tag linux/arm64"),
        ] {
            assert_eq!(of_layer(Role::Base, &base.parse().unwrap(), Some(platform)), expected);
        }
        let base: BaseName = "debian:12".parse().unwrap();
        for (task, repository, origin, platform, expected) in [
            (Task::Push, "ghcr.io/me/app", None, Some(platform), "push ghcr.io/me/app linux/arm64"),
            (Task::Push, "me/app", Some(&base), Some(platform), "push me/app linux/arm64 base"),
            (Task::Copy, "me/app", Some(&base), Some(platform), "copy me/app linux/arm64"),
            (Task::Copy, "me/app", Some(&base), None, "copy me/app"),
        ] {
            let blob = Blob { descriptor: Descriptor::of("text/plain", b""), origin: origin.cloned(), platform };
            assert_eq!(of_push(task, &repository.parse().unwrap(), &blob), expected);
        }
    }
}
