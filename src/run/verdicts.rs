//! What was found out about the units of a run: what of it is said, and whether anything may be published.

use std::collections::BTreeMap;

use crate::plan::Plan;
use crate::platform::Platform;
use crate::verify::{Policy, Verdict};

use super::error::Error;
use super::event::Event;
use super::session::Session;
use super::start_check::{Checked, Finding};

/// What was found out about the units of a run, by image and unit.
#[derive(Debug, Default)]
pub(super) struct Verdicts(BTreeMap<(usize, usize), Checked>);

impl Verdicts {
    pub(super) fn add(&mut self, image: usize, unit: usize, checked: Checked) {
        self.0.insert((image, unit), checked);
    }

    /// Says what a person should know, each thing once for all units that it is about.
    pub(super) fn say(&self, session: &Session, plan: &Plan) {
        // In the order of the plan, and of each start.
        let mut said: Vec<(&Finding, Vec<(usize, usize)>)> = Vec::new();
        for (unit, checked) in &self.0 {
            for finding in &checked.findings {
                match said.iter_mut().find(|(known, _)| *known == finding) {
                    Some((_, units)) => units.push(*unit),
                    None => said.push((finding, vec![*unit])),
                }
            }
        }
        for (Finding { verdict, text, hints }, units) in said {
            let units = units.into_iter().map(|(image, unit)| {
                let (several, image) = (plan.images.len() > 1, &plan.images[image]);
                let platform = image.units[unit].platform;
                if several { format!("{} {platform}", image.name) } else { platform.to_string() }
            });
            let units = units.collect::<Vec<_>>().join(", ");
            let (text, hints) = (text.clone(), hints.clone());
            session.watch.event(Event::Finding { units, verdict: *verdict, text, hints });
        }
    }

    /// The error for what would not start, where that must not be published.
    pub(super) fn refusal(&self, plan: &Plan, policy: Policy) -> Option<Error> {
        let mut images: BTreeMap<usize, Vec<Platform>> = BTreeMap::new();
        for ((image, unit), checked) in &self.0 {
            if checked.verdict == Verdict::Fails {
                images.entry(*image).or_default().push(plan.images[*image].units[*unit].platform);
            }
        }
        if images.is_empty() || policy != Policy::Strict {
            return None;
        }
        let named = images.into_iter().map(|(image, platforms)| (plan.images[image].name.clone(), platforms));
        Some(Error::WouldNotStart { images: named.collect() })
    }

    /// What was found out about each unit of an image, in its order; nothing where nobody looked.
    pub(super) fn of_image(&mut self, image: usize, units: usize) -> Vec<Option<Checked>> {
        (0..units).map(|unit| self.0.remove(&(image, unit))).collect()
    }
}
