//! Values of the configuration become what they stand for: `{{git.describe}}` is asked of git, `{{env.NAME}}` of the
//! environment, `{{platform.arch}}` of the platform at hand, and only when a value needs it.
//!
//! Starts no process and reads no environment: [`Facts`] is the way out. What has no answer is undefined, so
//! `{{ git.tag | default("dev") }}` works, and an error where nothing stands in for it. A name that does not exist, or
//! not where it is used, is an error always.

mod error;
mod lookup;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};

pub use self::error::{NoAnswer, TemplateError};
use self::lookup::{Answers, Lookup};
use super::git::{GitError, GitFact};
use super::place::Origin;
use crate::platform::Platform;

/// Where templates get what they cannot know themselves.
pub trait Facts: Send + Sync {
    /// What git says about the project. Asked at most once a fact.
    ///
    /// # Errors
    /// When git does not know, or cannot be asked.
    fn git(&self, fact: GitFact) -> Result<String, GitError>;

    /// An environment variable, `None` when it is not set.
    fn environment(&self, name: &str) -> Option<String>;
}

/// What a value may name beside git and the environment: the image, program and platform that it is rendered for.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// `image.name`
    pub image: Option<String>,
    /// the Cargo.toml version of the image's first Rust program, which is `version` where HEAD has no tag
    pub cargo_version: Option<String>,
    /// `program.name`
    pub program: Option<String>,
    /// `platform.*`; `None` for a value that is one for all platforms
    pub platform: Option<PlatformScope>,
}

/// What `platform.*` stands for. What a platform has no toolchain row for is `None`; what a row leaves out is empty.
#[derive(Clone, Debug)]
pub struct PlatformScope {
    /// `platform.os`, `.arch` and `.variant`, as buildx's TARGETOS, TARGETARCH and TARGETVARIANT: a platform without a
    /// variant has an empty one
    pub platform: Platform,
    /// `platform.rust`: the Rust target
    pub rust: Option<String>,
    /// `platform.goarch`
    pub goarch: Option<String>,
    /// `platform.goarm`
    pub goarm: Option<String>,
    /// `platform.goamd64`
    pub goamd64: Option<String>,
}

/// A value that was rendered.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// for use; may hold secrets of the environment
    pub value: String,
    /// for people: the same with `$NAME` for what came from the environment
    pub display: String,
    /// the environment variables that were asked for
    pub environment: BTreeSet<String>,
    /// whether `image.name` was asked for
    pub names_image: bool,
}

impl fmt::Debug for Rendered {
    /// Shows no secret, so that no log can.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Rendered").field("display", &self.display).finish_non_exhaustive()
    }
}

impl Rendered {
    /// A text that is no template.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        Self { value: text.into(), display: text.into(), environment: BTreeSet::new(), names_image: false }
    }
}

/// What one rendering gave, and what it asked for.
struct Pass {
    value: String,
    environment: BTreeSet<String>,
    names_image: bool,
}

/// Whether a text has anything to render.
#[must_use]
pub fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

/// Renders the values of one project, and remembers what it asked.
pub struct Templates {
    engine: Environment<'static>,
    answers: Arc<Answers>,
}

impl fmt::Debug for Templates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Templates").finish_non_exhaustive()
    }
}

impl Templates {
    /// Templates over these facts; nothing is asked yet.
    #[must_use]
    pub fn new(facts: Arc<dyn Facts>) -> Self {
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        let mut syntax = SyntaxConfig::builder();
        syntax.keep_trailing_newline(true);
        if let Ok(syntax) = syntax.build() {
            engine.set_syntax(syntax);
        }
        // So that errors name the expression that is undefined.
        engine.set_debug(true);
        // `debug()` would print what the environment holds, and no other function serves a one-line value.
        let functions: Vec<String> = engine.globals().map(|(name, _)| name.to_owned()).collect();
        for function in functions {
            engine.remove_global(&function);
        }
        Self { engine, answers: Arc::new(Answers::new(facts)) }
    }

    /// Renders a value; `origin` is who gave it.
    ///
    /// # Errors
    /// When the text is not a template, names what is not known or has no answer, or cannot be computed.
    pub fn render(&self, template: &str, origin: &Origin, scope: &Scope) -> Result<Rendered, TemplateError> {
        if !is_template(template) {
            return Ok(Rendered::literal(template));
        }
        let Pass { value, environment, names_image } = self.pass(template, origin, scope, false)?;
        let display = if environment.is_empty() {
            value.clone()
        } else {
            // A condition on a variable may go another way with its name in its place, even fail: then the template
            // itself is what can be shown.
            self.pass(template, origin, scope, true).map_or_else(|_| template.to_owned(), |shown| shown.value)
        };
        Ok(Rendered { value, display, environment, names_image })
    }

    /// One rendering: with the environment's values, or with `$NAME` in their place.
    fn pass(&self, template: &str, origin: &Origin, scope: &Scope, names: bool) -> Result<Pass, TemplateError> {
        let (text, at) = (template.to_owned(), origin.clone());
        let compiled = self.engine.template_from_str(template).map_err(|error| TemplateError::Syntax {
            template: text.clone(),
            origin: at.clone(),
            message: error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
        })?;
        let lookup = Lookup::new(Arc::clone(&self.answers), scope.clone(), names);
        let result = compiled.render(lookup.root());
        let mut notes = lookup.take_notes();
        if let Some(misuse) = notes.misuse.take() {
            return Err(misuse.into_error(text, at));
        }
        let error = match result {
            Ok(value) => {
                return Ok(Pass { value, environment: notes.environment, names_image: notes.names_image });
            }
            Err(error) => error,
        };
        if error.kind() == ErrorKind::UndefinedError
            && let Some((name, reason)) = notes.unanswered_in(error.detail().unwrap_or_default())
        {
            return Err(TemplateError::NoAnswer { name, template: text, origin: at, reason: Box::new(reason) });
        }
        // A detail may quote what the environment holds.
        let detail = error.detail().filter(|_| notes.environment.is_empty());
        let message = detail.map_or_else(|| error.kind().to_string(), str::to_owned);
        Err(TemplateError::Failed { template: text, origin: at, message })
    }
}

#[cfg(test)]
mod tests;
