//! What was found out about the units of a run: what of it is said, and whether anything may be published.

use std::collections::{BTreeMap, BTreeSet};

use crate::hint::Hint as _;
use crate::plan::Plan;
use crate::platform::Platform;
use crate::verify::{Policy, Verdict};

use super::error::Error;
use super::event::Event;
use super::session::Session;
use super::start_check::{Checked, Finding};

/// What was found out about the units of a run, by image and unit.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    checked: BTreeMap<(usize, usize), Checked>,
    /// those with a binary that is none for its platform, which nobody publishes
    unfit: BTreeMap<(usize, usize), Error>,
}

impl Verdicts {
    pub(super) fn add(&mut self, image: usize, unit: usize, checked: Checked) {
        self.checked.insert((image, unit), checked);
    }

    /// Takes in why a unit is no image. What is not about its binaries ends the run by itself, unless `before` does.
    pub(super) fn refuse(&mut self, unit: (usize, usize), error: Error, before: Option<Error>) -> Option<Error> {
        if matches!(error, Error::Unfit { .. } | Error::NoProgram { .. } | Error::NotStatic { .. }) {
            self.unfit.insert(unit, error);
            return before;
        }
        before.or(Some(error))
    }

    /// Says what a person should know, each thing once for all units that it is about. Where the run ends by nothing else,
    /// `alone`, one binary that does not fit is left to its own error.
    pub(super) fn say(&self, session: &Session, plan: &Plan, alone: bool) {
        // In the order of the plan, and of each start.
        let mut said: Vec<(Finding, Vec<(usize, usize)>)> = Vec::new();
        let unfit = self.unfit.iter().filter(|_| !(alone && self.is_one_unfit()));
        let unfit = unfit.map(|(unit, error)| (*unit, of_error(error)));
        let checked =
            self.checked.iter().flat_map(|(unit, checked)| checked.findings.iter().map(|known| (*unit, known.clone())));
        let mut all: Vec<((usize, usize), Finding)> = unfit.chain(checked).collect();
        all.sort_by_key(|(unit, _)| *unit);
        for (unit, finding) in all {
            match said.iter_mut().find(|(known, _)| *known == finding) {
                Some((_, units)) => units.push(unit),
                None => said.push((finding, vec![unit])),
            }
        }
        for (Finding { verdict, text, hints }, units) in said {
            let units = units.into_iter().map(|(image, unit)| {
                let (several, image) = (plan.images.len() > 1, &plan.images[image]);
                let platform = image.units[unit].platform;
                if several { format!("{} {platform}", image.name) } else { platform.to_string() }
            });
            let units = units.collect::<Vec<_>>().join(", ");
            session.watch.event(Event::Finding { units, verdict, text, hints });
        }
    }

    /// The error for what would not start, where that must not be published; it is asked for once.
    pub(super) fn refusal(&mut self, plan: &Plan, policy: Policy) -> Option<Error> {
        if self.is_one_unfit() {
            return self.unfit.pop_first().map(|(_, error)| error);
        }
        let checked = self.checked.iter().filter(|(_, checked)| checked.verdict == Verdict::Fails);
        let checked = checked.filter(|_| policy == Policy::Strict).map(|(unit, _)| *unit);
        let units: BTreeSet<(usize, usize)> = checked.chain(self.unfit.keys().copied()).collect();
        if units.is_empty() {
            return None;
        }
        let mut images: BTreeMap<usize, Vec<Platform>> = BTreeMap::new();
        for (image, unit) in units {
            images.entry(image).or_default().push(plan.images[image].units[unit].platform);
        }
        let images = images.into_iter().map(|(image, platforms)| (plan.images[image].name.clone(), platforms));
        Some(Error::WouldNotStart { images: images.collect(), may_be_forced: self.unfit.is_empty() })
    }

    /// Whether one binary is all that is wrong: an error of its own says it best.
    fn is_one_unfit(&self) -> bool {
        self.unfit.len() == 1 && self.checked.values().all(|checked| checked.verdict != Verdict::Fails)
    }

    /// What was found out about each unit of an image, in its order; nothing where nobody looked.
    pub(super) fn of_image(&mut self, image: usize, units: usize) -> Vec<Option<Checked>> {
        (0..units).map(|unit| self.checked.remove(&(image, unit))).collect()
    }
}

/// An error that is about one unit, with what caused it.
fn of_error(error: &Error) -> Finding {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    Finding { verdict: Verdict::Fails, text, hints: error.hints() }
}
