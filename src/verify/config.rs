//! An image's config becomes what a start needs of it.

use serde_json::Value;

/// What container engines set where an image's environment has no PATH.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What an image's config says of its start: <https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md>.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartConfig {
    entrypoint: Vec<String>,
    cmd: Vec<String>,
    env: Vec<(String, String)>,
    /// `User`, empty for none
    pub user: String,
    workdir: String,
}

impl StartConfig {
    /// Reads the `config` object of an image's config; what is not there is empty.
    #[must_use]
    pub fn of(config: &Value) -> Self {
        let list = |name: &str| {
            let words = config.pointer(&format!("/config/{name}")).and_then(Value::as_array);
            words.into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        let text = |name: &str| {
            config.pointer(&format!("/config/{name}")).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let env = list("Env");
        let env = env.iter().filter_map(|variable| variable.split_once('='));
        Self {
            entrypoint: list("Entrypoint"),
            cmd: list("Cmd"),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            user: text("User"),
            workdir: text("WorkingDir"),
        }
    }

    /// The same with another program to start.
    #[must_use]
    pub fn starting(&self, program: &str) -> Self {
        Self { entrypoint: vec![program.to_owned()], cmd: Vec::new(), ..self.clone() }
    }

    /// The same start with other words in place of the command's.
    #[must_use]
    pub fn with_command(mut self, words: Vec<String>) -> Self {
        self.cmd = words;
        self
    }

    /// The variables of the environment, in their order.
    #[must_use]
    pub fn env(&self) -> &[(String, String)] {
        &self.env
    }

    /// The words of the start: the entrypoint's, then the command's.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        [self.entrypoint.as_slice(), &self.cmd].concat()
    }

    /// A variable of the environment; of several of one name the last.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The working folder, absolute and without a slash at its end; empty for the root.
    #[must_use]
    pub fn folder(&self) -> String {
        let folder = self.workdir.trim_matches('/');
        if folder.is_empty() { String::new() } else { format!("/{folder}") }
    }
}
