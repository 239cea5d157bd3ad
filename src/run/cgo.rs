//! What a `[[program]]` says of C in Go packages, and what the user's own Go says of it.

use std::path::Path;

use crate::config::{ProgramSettings, Source};
use crate::exec::Children;
use crate::golang::{self, GoError, GoVariables};
use crate::host;
use crate::platform::{Architecture, Platform};
use crate::toolchain::Toolchains;

use super::error::Error;

/// Keys of a Go program that are for its C.
const FOR_C: [&str; 4] = ["cflags", "libs", "libc", "sysroot"];

/// Whether C is compiled. Settings for C without it would go unheard, so they are a mistake.
///
/// # Errors
/// When there are such settings.
pub fn is_on(settings: &ProgramSettings, source: &Source) -> Result<bool, Error> {
    if settings.cgo.as_ref().is_some_and(|cgo| *cgo.get_ref()) {
        return Ok(true);
    }
    match settings.written().into_iter().find(|key| FOR_C.contains(&key.key)) {
        Some(key) => Err(Error::WithoutCgo { key: key.key, place: source.place(key.span.start) }),
        None => Ok(false),
    }
}

/// What `go env` says, asked once.
pub struct GoSaid<'run> {
    children: &'run Children,
    toolchains: &'run Toolchains,
    variables: Option<GoVariables>,
}

impl<'run> GoSaid<'run> {
    /// Nothing was asked yet. `toolchains` say which Go is called.
    #[must_use]
    pub fn new(children: &'run Children, toolchains: &'run Toolchains) -> Self {
        Self { children, toolchains, variables: None }
    }

    /// The user's settings, as Go has them in `folder`.
    ///
    /// # Errors
    /// When Go does not say.
    pub fn variables(&mut self, folder: &Path) -> Result<GoVariables, Error> {
        if let Some(known) = &self.variables {
            return Ok(known.clone());
        }
        let mut call = golang::variables_invocation(folder);
        if let Some(go) = self.toolchains.tool("go", Platform::linux(Architecture::Amd64)) {
            host::call_downloaded(&go, &mut call);
        }
        let finished = self.children.ask(&call)?;
        let failed = |output: String| GoError::Variables { line: call.to_line(), output };
        if !finished.status.success() {
            return Err(failed(String::from_utf8_lossy(&finished.stderr).trim().to_owned()).into());
        }
        let variables = golang::read_variables(&finished.stdout).map_err(|error| failed(error.to_string()))?;
        Ok(self.variables.insert(variables).clone())
    }
}
