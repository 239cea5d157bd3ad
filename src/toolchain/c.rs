//! A row for C becomes the compiler of one platform: how each of its tools is called, and what the machine is called.

use std::collections::BTreeMap;

use super::rows::Placeholders;
use super::select::{flags_key, links};
use super::{Libc, PlatformRow, Request, Toolchain, ToolchainRow, Toolchains};

/// The C compiler of a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CCompiler {
    /// what stands before the names of its tools, without the last hyphen: `aarch64-linux-gnu`
    pub prefix: String,
    /// what autoconf calls the machine: `arm-linux-musleabihf`
    pub host: String,
    /// how each tool is called, by `cc`, `cxx`, `ar`, ...; a first word that is the name of one of
    /// [`Toolchain::tools`] stands for how that is called on this machine
    pub commands: BTreeMap<String, Vec<String>>,
    /// flags of `cc` and `cxx` that choose the target
    pub flags: Vec<String>,
    /// flags of the linker
    pub ldflags: Vec<String>,
}

impl Toolchains {
    pub(super) fn c(&self, row: &ToolchainRow, facts: &PlatformRow, request: &Request) -> Option<Toolchain> {
        let static_binary = request.libc.is_none() || request.libc == Some(Libc::Musl);
        let libc = request.libc.unwrap_or_else(|| {
            if row.static_libc.iter().any(|libc| libc == "musl") { Libc::Musl } else { Libc::Gnu(None) }
        });
        if !links(row, facts, &libc, (static_binary, request.sysroot)) {
            return None;
        }
        let zig = facts.zig.as_ref().map(|zig| match libc {
            Libc::Musl => zig.musl.clone(),
            Libc::Gnu(None) => zig.gnu.clone(),
            Libc::Gnu(Some((major, minor))) => format!("{}.{major}.{minor}", zig.gnu),
        });
        let uses_zig = row.tools.iter().any(|tool| tool == "zig");
        let host = autoconf_host(facts, &libc)?;
        let prefix = if uses_zig { zig.clone()? } else { facts.gcc.clone().unwrap_or_else(|| host.clone()) };
        let names = Placeholders::of(facts, None);
        let names = zig.iter().fold(names, |names, target| names.with_zig(target.clone()));
        let ldflags = row.ldflags.get(flags_key(&libc, static_binary));
        let compiler = CCompiler {
            host,
            prefix: prefix.clone(),
            commands: row.commands.iter().map(|(tool, words)| (tool.clone(), names.fill_words(words))).collect(),
            flags: names.fill_words(&row.flags),
            ldflags: ldflags.map(|words| names.fill_words(words)).unwrap_or_default(),
        };
        Some(Toolchain {
            name: row.name.clone(),
            origin: row.origin.clone(),
            driver: row.driver,
            target: Some(prefix),
            c: Some(compiler),
            libc: Some(libc),
            static_binary,
            env: row.env.iter().map(|(name, value)| (names.fill(name), names.fill(value))).collect(),
            rustflags: Vec::new(),
            shares_target: false,
            tools: row.tools.iter().filter_map(|tool| self.tool(tool, facts.platform)).collect(),
        })
    }
}

/// autoconf knows gcc's names of processors (`i686`, where zig says `x86`); the rest says the libc, as zig's names do.
fn autoconf_host(facts: &PlatformRow, libc: &Libc) -> Option<String> {
    let zig = facts.zig.as_ref().map(|zig| if *libc == Libc::Musl { &zig.musl } else { &zig.gnu });
    let gcc = facts.gcc.as_ref();
    let (zig_processor, rest) = zig.and_then(|target| target.split_once('-')).unzip();
    let (gcc_processor, gcc_rest) = gcc.and_then(|prefix| prefix.split_once('-')).unzip();
    Some(format!("{}-{}", gcc_processor.or(zig_processor)?, rest.or(gcc_rest)?))
}
