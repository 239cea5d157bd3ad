//! A program whose base was not read yet becomes what it needs of the machine, whatever is in the base.

use crate::platform::Platform;
use crate::toolchain::{Language, Libc, OverGlibc, Request, Tool, Toolchain, ToolchainError, Toolchains};

use super::Source;

/// A program that has no call yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// the platform
    pub platform: Platform,
    /// what has to be on the machine for a static program as well as for one with a glibc
    pub tools: Vec<Tool>,
    /// names of other toolchains that would do
    pub alternatives: Vec<String>,
    /// true when that is all that is needed, so that the base has nothing to add
    pub whole: bool,
}

impl Undecided {
    /// What `source` needs on `platform`.
    ///
    /// # Errors
    /// When no toolchain makes it, static or not.
    pub(super) fn new(toolchains: &Toolchains, source: &Source, platform: Platform) -> Result<Self, ToolchainError> {
        let own = source.c_request(platform).map(|_| toolchains.select(&source.request(platform))).transpose()?;
        let request = source.c_request(platform).unwrap_or_else(|| source.request(platform));
        let fixed = toolchains.select(&request);
        let dynamic = dynamic(toolchains, &request);
        let (first, second) = match (fixed, dynamic) {
            (Ok(fixed), Some(dynamic)) => (fixed, dynamic),
            (Ok(only), None) | (Err(_), Some(only)) => (only.clone(), only),
            (Err(error), None) => return Err(error),
        };
        let needs = |toolchain: &Toolchain| -> (Vec<Tool>, Option<String>) {
            // A Rust target has a standard library that is to be installed.
            let target = toolchain.target.clone().filter(|_| request.language == Language::Rust);
            let mut tools = toolchain.tools.clone();
            tools.sort();
            (tools, target)
        };
        let (one, other) = (needs(&first), needs(&second));
        let both = one.0.iter().filter(|tool| other.0.contains(tool)).cloned();
        Ok(Self {
            platform,
            // A command that compiles no C needs no C compiler.
            tools: if matches!(source, Source::Command(_)) {
                Vec::new()
            } else {
                own.into_iter().flat_map(|own| own.tools).chain(both).collect()
            },
            alternatives: toolchains.alternatives(&request, &first.name),
            whole: matches!(source, Source::Command(_)) || one == other,
        })
    }
}

/// The toolchain of a program over some glibc, whichever that is.
fn dynamic(toolchains: &Toolchains, request: &Request) -> Option<Toolchain> {
    let libc = match toolchains.over_glibc(request, (u32::MAX, 0)) {
        OverGlibc::Named { libc, .. } => libc,
        OverGlibc::Own { .. } => Libc::Gnu(None),
        OverGlibc::TooOld { .. } | OverGlibc::Nowhere => return None,
    };
    toolchains.select(&Request { libc: Some(libc), ..request.clone() }).ok()
}
