//! Layouts on disk become what is served, again whenever they change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::error::ServeError;
use super::limits::Budget;
use super::root::Stamp;
use super::source::{Origin, Source};
use super::version::Version;
use super::view::{Image, View};
use super::{Said, Say};

/// How long a layout that was replaced can still be pulled to the end.
const REMEMBERED: Duration = Duration::from_mins(10);
/// The most replaced versions of a layout: each keeps its place on the disk.
const MOST_REPLACED: usize = 2;
/// How often a layout is read that is replaced while it is read.
const ATTEMPTS: usize = 5;

/// All that is served.
pub struct Shelf {
    origins: Vec<Origin>,
    budget: Arc<Budget>,
    say: Say,
    state: Mutex<BTreeMap<Source, Kept>>,
    view: RwLock<Arc<View>>,
}

/// A layout, and what it was before.
#[derive(Default)]
struct Kept {
    current: Option<Arc<Version>>,
    /// the newest first
    replaced: Vec<(Instant, Arc<Version>)>,
    /// what it looked like when it could not be read
    broken: Option<Stamp>,
}

impl Shelf {
    /// Reads layouts. At most `files` of their files are kept open.
    ///
    /// # Errors
    /// When one that was named cannot be read, there is none at all, or two images have one name.
    pub fn open(origins: Vec<Origin>, files: usize, say: Say) -> Result<Self, ServeError> {
        let shelf = Self { origins, budget: Budget::new(files), say, state: Mutex::default(), view: RwLock::default() };
        let mut state = shelf.state();
        for origin in &shelf.origins {
            let (sources, notes) = origin.sources();
            for note in notes {
                shelf.note(note);
            }
            let (mut found, mut failed) = (false, None);
            for source in sources {
                let mut kept = Kept::default();
                match shelf.read(&source, &mut kept) {
                    Ok(()) => found = true,
                    Err(error) if matches!(origin, Origin::Layout(_)) => return Err(error),
                    Err(error) => failed = Some(error),
                }
                state.insert(source, kept);
            }
            match (origin, failed) {
                (_, None) if found => {}
                (_, Some(error)) if found => shelf.complain(&error),
                (_, Some(error)) => return Err(error),
                (Origin::Folder(folder), None) => return Err(ServeError::NothingBuilt { folder: folder.clone() }),
                (Origin::Layout(_), None) => {}
            }
        }
        let (view, mut errors) = view_of(&state);
        drop(state);
        if let Some(error) = errors.pop() {
            return Err(error);
        }
        shelf.publish(view);
        Ok(shelf)
    }

    /// The images that are served, by name.
    #[must_use]
    pub fn images(&self) -> Vec<Image> {
        self.view().images().to_vec()
    }

    /// What is served, as it was when somebody last looked.
    pub(super) fn view(&self) -> Arc<View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks whether layouts changed, reads those that did, and says what is another image now.
    pub(super) fn refresh(&self) -> Arc<View> {
        let mut state = self.state();
        let sources: Vec<Source> = self.origins.iter().flat_map(|origin| origin.sources().0).collect();
        let mut changed = false;
        for source in &sources {
            changed |= self.look(source, state.entry(source.clone()).or_default());
        }
        for (source, kept) in state.iter_mut().filter(|(source, _)| !sources.contains(source)) {
            changed |= self.look(source, kept);
        }
        state.retain(|source, kept| {
            let before = kept.replaced.len();
            kept.replaced.retain(|(since, _)| since.elapsed() < REMEMBERED);
            changed |= kept.replaced.len() != before;
            kept.current.is_some() || !kept.replaced.is_empty() || sources.contains(source)
        });
        if changed {
            let (view, errors) = view_of(&state);
            for error in &errors {
                self.complain(error);
            }
            self.tell(&self.view(), &view);
            self.publish(view);
        }
        self.view()
    }

    /// Whether a layout is another than it was; what it was is remembered for a while.
    fn look(&self, source: &Source, kept: &mut Kept) -> bool {
        let Ok(stamp) = Stamp::of(&source.place) else {
            kept.broken = None;
            return kept.retire();
        };
        let known = kept.current.as_ref().is_some_and(|version| version.stamp == stamp);
        if known || kept.broken.as_ref() == Some(&stamp) {
            return false;
        }
        match self.read(source, kept) {
            Ok(()) => true,
            Err(error) => {
                // What cannot be read is not served, and what was before still is. What is being written is another each time.
                if kept.broken.is_none() {
                    self.complain(&error);
                }
                kept.broken = Some(stamp);
                false
            }
        }
    }

    /// Reads a layout, once more when it is replaced meanwhile.
    fn read(&self, source: &Source, kept: &mut Kept) -> Result<(), ServeError> {
        let mut loaded = Version::load(source, &self.budget);
        for _ in 1..ATTEMPTS {
            let stamp = Stamp::of(&source.place).ok();
            if loaded.as_ref().is_ok_and(|version| Some(&version.stamp) == stamp.as_ref()) || stamp.is_none() {
                break;
            }
            loaded = Version::load(source, &self.budget);
        }
        let version = loaded?;
        for note in &version.notes {
            self.note(note.clone());
        }
        kept.retire();
        *kept = Kept { current: Some(Arc::new(version)), broken: None, replaced: std::mem::take(&mut kept.replaced) };
        Ok(())
    }

    fn tell(&self, before: &View, now: &View) {
        let name = |image: &Image| format!("{}:{}", image.repository, image.tag);
        let of = |view: &View| -> BTreeMap<String, String> {
            view.images().iter().map(|image| (name(image), image.digest.clone())).collect()
        };
        let (before, now) = (of(before), of(now));
        for (name, digest) in now.iter().filter(|(name, digest)| before.get(*name) != Some(digest)) {
            (self.say)(Said::Changed { name: name.clone(), digest: Some(digest.clone()) });
        }
        for name in before.keys().filter(|name| !now.contains_key(*name)) {
            (self.say)(Said::Changed { name: name.clone(), digest: None });
        }
    }

    fn publish(&self, view: View) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }

    fn complain(&self, error: &ServeError) {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
        self.note(format!("{error}{cause}"));
    }

    fn note(&self, note: String) {
        (self.say)(Said::Note(note));
    }

    fn state(&self) -> MutexGuard<'_, BTreeMap<Source, Kept>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Makes what is there now what was there before; false when there is nothing.
    fn retire(&mut self) -> bool {
        let Some(version) = self.current.take() else { return false };
        self.replaced.insert(0, (Instant::now(), version));
        self.replaced.truncate(MOST_REPLACED);
        true
    }
}

fn view_of(state: &BTreeMap<Source, Kept>) -> (View, Vec<ServeError>) {
    let current: Vec<Arc<Version>> = state.values().filter_map(|kept| kept.current.clone()).collect();
    let replaced = state.values().flat_map(|kept| kept.replaced.iter().map(|(_, version)| version.clone()));
    View::of(&current, &replaced.collect::<Vec<_>>())
}
