//! The names of templates, as the engine asks for them: each answered when it is asked, and what could not be
//! answered remembered with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::{Enumerator, Object, Value};

use super::{Facts, NoAnswer, Scope, TemplateError};
use crate::config::git::{GitError, GitFact, version_of_tag};
use crate::config::place::Origin;

/// The facts, and what was learnt of git so far.
pub(super) struct Answers {
    facts: Arc<dyn Facts>,
    git: Mutex<BTreeMap<GitFact, Result<String, GitError>>>,
}

impl Answers {
    pub(super) fn new(facts: Arc<dyn Facts>) -> Self {
        Self { facts, git: Mutex::default() }
    }

    fn git(&self, fact: GitFact) -> Result<String, GitError> {
        let mut known = self.git.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(fact).or_insert_with(|| self.facts.git(fact)).clone()
    }
}

/// A use of a name that is wrong whatever stands in for it.
pub(super) enum Misuse {
    Unknown { name: String, known: Vec<String> },
    OutOfScope { name: String, each: &'static str },
    Group { name: String, parts: Vec<String> },
}

impl Misuse {
    pub(super) fn into_error(self, template: String, origin: Origin) -> TemplateError {
        match self {
            Self::Unknown { name, known } => TemplateError::UnknownName { name, template, origin, known },
            Self::OutOfScope { name, each } => TemplateError::OutOfScope { name, template, origin, each },
            Self::Group { name, parts } => TemplateError::Group { name, template, origin, parts },
        }
    }
}

/// What happened while one template was rendered.
#[derive(Default)]
pub(super) struct Notes {
    pub misuse: Option<Misuse>,
    unanswered: Vec<(String, NoAnswer)>,
    pub environment: BTreeSet<String>,
    pub names_image: bool,
}

impl Notes {
    /// The unanswered name that the engine's message quotes, else the last one.
    pub(super) fn unanswered_in(&mut self, detail: &str) -> Option<(String, NoAnswer)> {
        let quoted = self.unanswered.iter().rposition(|(name, _)| detail.contains(&format!("`{name}`")));
        match quoted {
            Some(index) => Some(self.unanswered.swap_remove(index)),
            None => self.unanswered.pop(),
        }
    }
}

/// Answers the names of one template.
pub(super) struct Lookup {
    answers: Arc<Answers>,
    scope: Scope,
    names: bool,
    notes: Mutex<Notes>,
}

const ROOT: [&str; 6] = ["version", "git", "env", "platform", "image", "program"];
const PLATFORM: [&str; 7] = ["os", "arch", "variant", "rust", "goarch", "goarm", "goamd64"];

impl Lookup {
    /// `names` puts `$NAME` in the place of what the environment holds.
    pub(super) fn new(answers: Arc<Answers>, scope: Scope, names: bool) -> Arc<Self> {
        Arc::new(Self { answers, scope, names, notes: Mutex::default() })
    }

    /// The value in which the engine finds every name.
    pub(super) fn root(self: &Arc<Self>) -> Value {
        Value::from_object(Group { path: Path::Root, lookup: Arc::clone(self) })
    }

    /// What happened; nothing is left.
    pub(super) fn take_notes(&self) -> Notes {
        std::mem::take(&mut *self.notes())
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn misuse(&self, misuse: Misuse) -> Option<Value> {
        self.notes().misuse.get_or_insert(misuse);
        None
    }

    /// A name that is not in its group; the known ones are shown in full, `git.tag`.
    fn unknown(&self, prefix: &str, name: &str, known: &[&str]) -> Option<Value> {
        let known = known.iter().map(|known| format!("{prefix}{known}")).collect();
        self.misuse(Misuse::Unknown { name: format!("{prefix}{name}"), known })
    }

    fn out_of_scope(&self, name: &str, each: &'static str) -> Option<Value> {
        self.misuse(Misuse::OutOfScope { name: name.into(), each })
    }

    fn answer(&self, name: String, answer: Result<String, NoAnswer>) -> Option<Value> {
        match answer {
            Ok(text) => Some(Value::from(text)),
            Err(reason) => {
                self.notes().unanswered.push((name, reason));
                None
            }
        }
    }

    fn version(&self) -> Result<String, NoAnswer> {
        match (self.answers.git(GitFact::Tag), &self.scope.cargo_version) {
            (Ok(tag), _) => Ok(version_of_tag(&tag).to_owned()),
            (Err(error), Some(version)) if error.is_absence() => Ok(version.clone()),
            (Err(error), None) if error.is_absence() => Err(NoAnswer::Version(error)),
            (Err(error), _) => Err(NoAnswer::Git(error)),
        }
    }

    fn in_git(&self, name: &str) -> Option<Value> {
        match GitFact::IN_TEMPLATES.iter().find(|(known, _)| *known == name) {
            Some((_, fact)) => self.answer(format!("git.{name}"), self.answers.git(*fact).map_err(NoAnswer::Git)),
            None => self.unknown("git.", name, &GitFact::IN_TEMPLATES.map(|(known, _)| known)),
        }
    }

    fn in_environment(&self, name: &str) -> Option<Value> {
        let value = self.answers.facts.environment(name);
        self.notes().environment.insert(name.to_owned());
        let value = if self.names { value.map(|_| format!("${name}")) } else { value };
        self.answer(format!("env.{name}"), value.ok_or_else(|| NoAnswer::NotSet { name: name.into() }))
    }

    fn in_platform(&self, name: &str) -> Option<Value> {
        if !PLATFORM.contains(&name) {
            return self.unknown("platform.", name, &PLATFORM);
        }
        let full = format!("platform.{name}");
        let Some(scope) = &self.scope.platform else { return self.out_of_scope(&full, "platform") };
        let platform = scope.platform;
        let value = match name {
            "os" => Some(platform.os().to_string()),
            "arch" => Some(platform.architecture().to_string()),
            "variant" => Some(platform.variant().map(|variant| variant.to_string()).unwrap_or_default()),
            "rust" => scope.rust.clone(),
            "goarch" => scope.goarch.clone(),
            "goarm" => scope.goarm.clone(),
            _ => scope.goamd64.clone(),
        };
        self.answer(full, value.ok_or(NoAnswer::NoRow { platform }))
    }

    fn named(&self, group: &'static str, value: Option<&String>, name: &str) -> Option<Value> {
        if name != "name" {
            return self.unknown(&format!("{group}."), name, &["name"]);
        }
        match value {
            Some(value) => {
                self.notes().names_image |= group == "image";
                Some(Value::from(value.as_str()))
            }
            None => self.out_of_scope(&format!("{group}.name"), group),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Path {
    Root,
    Git,
    Environment,
    Platform,
    Image,
    Program,
}

/// A name with parts, as the engine sees it: `git` in `git.tag`, and the whole.
struct Group {
    path: Path,
    lookup: Arc<Lookup>,
}

impl fmt::Debug for Group {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Group")
    }
}

impl Group {
    fn part(&self, path: Path) -> Value {
        Value::from_object(Self { path, lookup: Arc::clone(&self.lookup) })
    }
}

impl Object for Group {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        let lookup = &self.lookup;
        match (self.path, name) {
            (Path::Root, "version") => lookup.answer("version".into(), lookup.version()),
            (Path::Root, "git") => Some(self.part(Path::Git)),
            (Path::Root, "env") => Some(self.part(Path::Environment)),
            (Path::Root, "platform") => Some(self.part(Path::Platform)),
            (Path::Root, "image") => Some(self.part(Path::Image)),
            (Path::Root, "program") => Some(self.part(Path::Program)),
            (Path::Root, _) => lookup.unknown("", name, &ROOT),
            (Path::Git, _) => lookup.in_git(name),
            (Path::Environment, _) => lookup.in_environment(name),
            (Path::Platform, _) => lookup.in_platform(name),
            (Path::Image, _) => lookup.named("image", lookup.scope.image.as_ref(), name),
            (Path::Program, _) => lookup.named("program", lookup.scope.program.as_ref(), name),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }

    fn render(self: &Arc<Self>, _formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = |group: &str, parts: &[&str]| parts.iter().map(|part| format!("{group}.{part}")).collect();
        let (name, parts): (&str, Vec<String>) = match self.path {
            Path::Git => ("git", parts("git", &GitFact::IN_TEMPLATES.map(|(known, _)| known))),
            Path::Environment => ("env", vec!["env.NAME".into()]),
            Path::Platform => ("platform", parts("platform", &PLATFORM)),
            Path::Image => ("image", parts("image", &["name"])),
            Path::Root | Path::Program => ("program", parts("program", &["name"])),
        };
        self.lookup.misuse(Misuse::Group { name: name.into(), parts });
        Ok(())
    }
}
