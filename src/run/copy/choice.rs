//! An image and the platforms that are wanted of it become what is copied: all of it as it is, the manifest of one
//! platform, or a new index of some.

use std::collections::BTreeSet;

use crate::base::{Bases, Whole};
use crate::base_name::BaseName;
use crate::blob::Digest;
use crate::manifest::{Document, Entry, Role, is_index};
use crate::platform::Platform;
use crate::run::error::Error;
use crate::run::event::Event;
use crate::run::held::{self, Held};
use crate::run::session::Session;

/// What is copied.
pub(super) struct Choice {
    /// the image, as far as it was read: all indexes at least
    pub whole: Whole,
    /// what the destination's name is to stand for
    pub top: Document,
    /// of how many entries the top was made, if it is none of the image's own documents
    pub made_of: Option<usize>,
}

impl Choice {
    /// What the source's name stands for, if that is one thing.
    pub(super) fn of(&self) -> Option<Digest> {
        self.whole.only().map(|only| only.descriptor.digest)
    }

    /// The top and all documents that it names which were read, each once, those that others name after these.
    pub(super) fn documents(&self) -> Vec<(&Document, Option<Platform>)> {
        let (mut documents, mut seen) = (Vec::new(), BTreeSet::new());
        let mut pending = vec![(&self.top, None)];
        while let Some((document, platform)) = pending.pop() {
            if seen.insert(document.descriptor.digest) {
                documents.push((document, platform));
                let named = document.entries().iter().rev();
                pending.extend(
                    named.filter_map(|entry| {
                        Some((self.whole.documents.get(&entry.descriptor.digest)?, entry.platform()))
                    }),
                );
            }
        }
        documents
    }
}

/// Reads an image, and chooses of it what is for `platforms`, all when there are none. All that was chosen is read if it is
/// wanted `whole`, else the indexes at least.
///
/// # Errors
/// When it cannot be read, or lacks one of the platforms.
pub(super) async fn choose(
    session: &Session,
    bases: &Bases,
    name: &BaseName,
    platforms: &[Platform],
    whole: bool,
) -> Result<Choice, Error> {
    if platforms.is_empty() {
        let whole = bases.whole(name, &|entry| whole || is_index(&entry.descriptor.media_type)).await?;
        if let Some(top) = whole.only().cloned() {
            return Ok(Choice { whole, top, made_of: None });
        }
        // A layout whose own index alone says what belongs together.
        let entries: Vec<Entry> = whole.top.iter().map(Entry::without_name).collect();
        let top = Document::index_of(None, &entries);
        return Ok(Choice { whole, top, made_of: Some(entries.len()) });
    }
    let (whole, held) = held::read(bases, name, platforms).await?;
    let all = held.len();
    let chosen = held::choose(name, held, platforms)?;
    let only_one = platforms.iter().all(|platform| *platform == platforms[0]);
    if let (true, Some(top)) = (only_one, alone(&chosen)) {
        if chosen.len() > 1 {
            let digest = top.descriptor.digest;
            let note = format!(
                "what is said about {digest} (attestations) stays behind: a manifest alone has no place for it"
            );
            session.watch.event(Event::Note(note));
        }
        let top = top.clone();
        return Ok(Choice { whole, top, made_of: None });
    }
    if let Some(top) = whole.only().filter(|_| chosen.len() == all).cloned() {
        return Ok(Choice { whole, top, made_of: None });
    }
    let entries: Vec<Entry> = chosen.iter().map(|held| held.entry.without_name()).collect();
    let top = Document::index_of(whole.only(), &entries);
    Ok(Choice { whole, top, made_of: Some(entries.len()) })
}

/// The manifest of the only image among what was chosen.
fn alone(chosen: &[Held]) -> Option<&Document> {
    let mut images = chosen.iter().filter(|held| held.role == Role::Image);
    match (images.next(), images.next()) {
        (Some(only), None) => only.document.as_ref(),
        _ => None,
    }
}
