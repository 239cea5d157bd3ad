//! An [`Invocation`] is a compiler call as a value: built purely, printed as a line to paste into a shell, run elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Serialize, Serializer};

/// A text that may hold a secret: what the child gets, and what people are shown (`$NAME` for a value from the environment).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word {
    value: String,
    shown: Option<String>,
}

impl Word {
    /// A text of which `shown` is printed in place of `value`.
    #[must_use]
    pub fn hiding(value: String, shown: String) -> Self {
        Self { shown: (value != shown).then_some(shown), value }
    }

    /// What the child gets.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What people are shown.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.value)
    }

    /// Several words as one, with `separator` between.
    #[must_use]
    pub fn join(words: &[Self], separator: &str) -> Self {
        let value = words.iter().map(Self::value).collect::<Vec<_>>().join(separator);
        let shown = words.iter().map(Self::shown).collect::<Vec<_>>().join(separator);
        Self::hiding(value, shown)
    }
}

impl<T: Into<String>> From<T> for Word {
    fn from(value: T) -> Self {
        Self { value: value.into(), shown: None }
    }
}

impl std::fmt::Debug for Word {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self.shown(), formatter)
    }
}

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

/// How a compiler uses the pool of job tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Joins {
    /// by the jobserver protocol: starts with one token and takes more itself
    Jobserver,
    /// by `-p N` of the go command: what is free when it starts
    AtStart,
    /// by `-j N` as its last argument: what is free when it starts
    LastArgument,
    /// not at all: one process after another
    Alone,
}

/// A program with its arguments, what it changes in the inherited environment, and its folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Invocation {
    /// a name to look up in PATH, or a path
    pub program: String,
    /// its arguments, without the program's name
    pub args: Vec<Word>,
    /// variables that are set on top of the inherited environment
    pub env: BTreeMap<String, Word>,
    /// variables that are taken out of the inherited environment
    pub env_remove: BTreeSet<String>,
    /// the folder it runs in
    pub cwd: PathBuf,
}

impl Invocation {
    /// A call of `program` in `cwd` without arguments.
    #[must_use]
    pub fn new(program: &str, cwd: impl Into<PathBuf>) -> Self {
        Self {
            program: program.to_owned(),
            args: Vec::new(),
            env: BTreeMap::new(),
            env_remove: BTreeSet::new(),
            cwd: cwd.into(),
        }
    }

    /// Appends arguments.
    #[must_use]
    pub fn args<T: Into<Word>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<Word>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// The call as a line for a POSIX shell that is in [`Self::cwd`], secrets as `$NAME`.
    #[must_use]
    pub fn to_line(&self) -> String {
        let removed = self.env_remove.iter().map(|name| format!("-u {}", quote(name)));
        let set = self.env.iter().map(|(name, value)| format!("{name}={}", quote_word(value)));
        let mut parts: Vec<String> = Vec::new();
        if !self.env_remove.is_empty() {
            parts.push("env".to_owned());
            parts.extend(removed);
        }
        parts.extend(set);
        parts.push(quote(&self.program));
        parts.extend(self.args.iter().map(quote_word));
        parts.join(" ")
    }
}

/// A call, and how it uses job tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// the call
    pub invocation: Invocation,
    /// the call as a line for a shell
    pub line: String,
    /// how it uses job tokens
    pub joins: Joins,
    /// a file that says the call was made and ended well: it is not made again where that is
    #[serde(skip_serializing_if = "Option::is_none")]
    pub once: Option<PathBuf>,
}

impl Step {
    /// A call that uses tokens so.
    #[must_use]
    pub fn new(invocation: Invocation, joins: Joins) -> Self {
        Self { line: invocation.to_line(), invocation, joins, once: None }
    }

    /// The same, made once: `stamp` says that it was.
    #[must_use]
    pub fn once(self, stamp: PathBuf) -> Self {
        Self { once: Some(stamp), ..self }
    }
}

/// A text as one word of a POSIX shell.
#[must_use]
pub fn quote(text: &str) -> String {
    // The only failure is a NUL, which no argument can hold anyway.
    shlex::try_quote(text).map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned)
}

/// A hidden value prints as `$NAME`, which the shell has to expand, so it goes into double quotes.
fn quote_word(word: &Word) -> String {
    match &word.shown {
        None => quote(&word.value),
        Some(shown) => format!("\"{}\"", shown.replace('\\', "\\\\").replace('"', "\\\"").replace('`', "\\`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_prints_as_a_line_to_paste() {
        let call = Invocation::new("go", "/src")
            .args(["build", "-ldflags", "-s -w"])
            .args([Word::hiding("-X main.key=hunter2".into(), "-X main.key=$KEY".into())])
            .env("GOARCH", "arm64");
        assert_eq!(call.to_line(), r#"GOARCH=arm64 go build -ldflags '-s -w' "-X main.key=$KEY""#);
        assert!(!format!("{call:?}").contains("hunter2"));
        assert!(!serde_json::to_string(&call).unwrap().contains("hunter2"));
    }

    #[test]
    fn what_is_taken_out_of_the_environment_is_shown() {
        let mut call = Invocation::new("cargo", "/src").args(["build"]).env("A", "1");
        call.env_remove.insert("RUSTFLAGS".into());
        assert_eq!(call.to_line(), "env -u RUSTFLAGS A=1 cargo build");
    }
}
