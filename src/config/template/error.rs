//! Why a value cannot be rendered, and what to write instead.

use crate::config::error::nearest;
use crate::config::git::GitError;
use crate::config::place::Origin;
use crate::hint::Hint;
use crate::platform::Platform;

/// Why a name has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// git does not know.
    #[error("{0}")]
    Git(GitError),
    /// Neither git nor Cargo.toml names a version.
    #[error("{0} and the image has no Rust program")]
    Version(GitError),
    /// The variable is not set.
    #[error("the environment has no `{name}`")]
    NotSet {
        /// of the variable
        name: String,
    },
    /// The platform has no row for this.
    #[error("there is no toolchain row for {platform} that says so")]
    NoRow {
        /// the platform at hand
        platform: Platform,
    },
}

/// Why a value cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The template cannot be read.
    #[error("`{template}` ({origin}) is not a template: {message}")]
    Syntax {
        /// as written
        template: String,
        /// who wrote it
        origin: Origin,
        /// what is wrong
        message: String,
    },
    /// A name has no answer, and nothing stands in for it.
    #[error("`{{{{{name}}}}}` in `{template}` ({origin}) has no answer: {reason}")]
    NoAnswer {
        /// as `git.tag`
        name: String,
        /// as written
        template: String,
        /// who wrote it
        origin: Origin,
        /// why
        reason: Box<NoAnswer>,
    },
    /// A name that no template knows.
    #[error("`{{{{{name}}}}}` in `{template}` ({origin}) is unknown")]
    UnknownName {
        /// as written
        name: String,
        /// as written
        template: String,
        /// who wrote it
        origin: Origin,
        /// names that are known there
        known: Vec<String>,
    },
    /// A name that means nothing where it is used.
    #[error("`{{{{{name}}}}}` in `{template}` ({origin}) cannot be used here: the value is not one for each {each}")]
    OutOfScope {
        /// as `platform.arch`
        name: String,
        /// as written
        template: String,
        /// who wrote it
        origin: Origin,
        /// what the value would have to be for: a platform, a program, an image
        each: &'static str,
    },
    /// A group of names where a name should be.
    #[error("`{{{{{name}}}}}` in `{template}` ({origin}) is not a value: it has parts")]
    Group {
        /// as `git`
        name: String,
        /// as written
        template: String,
        /// who wrote it
        origin: Origin,
        /// its parts
        parts: Vec<String>,
    },
    /// The template fails where it is computed.
    #[error("`{template}` ({origin}) cannot be rendered: {message}")]
    Failed {
        /// as written
        template: String,
        /// who wrote it
        origin: Origin,
        /// why
        message: String,
    },
}

impl Hint for TemplateError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Syntax { .. } => vec!["a literal `{{` is written {{ \"{{\" }}".into()],
            Self::NoAnswer { name, reason, .. } => {
                let mut hints = match reason.as_ref() {
                    NoAnswer::Git(error) | NoAnswer::Version(error) => error.hints(),
                    NoAnswer::NotSet { name } => vec![format!("export {name}=...")],
                    NoAnswer::NoRow { .. } => Vec::new(),
                };
                hints.push(format!("{{{{ {name} | default(\"...\") }}}}"));
                hints
            }
            Self::UnknownName { name, known, .. } => match nearest(name, known) {
                Some(nearest) => vec![format!("did you mean `{{{{{nearest}}}}}`?")],
                None => vec![format!("known names: {}", known.join(", "))],
            },
            Self::Group { parts, .. } => vec![format!("its parts: {}", parts.join(", "))],
            Self::OutOfScope { .. } | Self::Failed { .. } => Vec::new(),
        }
    }
}
