//! A request becomes a row made concrete: the first that fits, whatever is installed, or why there is none.

use super::rows::Placeholders;
use super::why::why;
use super::{Language, Libc, PlatformRow, Request, Toolchain, ToolchainError, ToolchainRow, Toolchains};

impl Toolchains {
    /// The first row that fits: what is installed plays no part, so the same project gives the same image everywhere.
    ///
    /// # Errors
    /// When no row fits; the error names those that would under other settings.
    pub fn select(&self, request: &Request) -> Result<Toolchain, ToolchainError> {
        let (language, platform) = (request.language, request.platform);
        let of_language: Vec<&ToolchainRow> = self.compilers.iter().filter(|row| row.language == language).collect();
        let facts = self.platform(platform).filter(|facts| has_names(facts, language)).ok_or_else(|| {
            let known = self.platforms.iter().filter(|row| has_names(row, language)).map(|row| row.platform).collect();
            ToolchainError::NoPlatform { language, platform, known }
        })?;
        if let Some(row) = &request.row {
            self.named(language, row)?;
        }
        of_language
            .iter()
            .filter(|row| request.row.as_ref().is_none_or(|name| row.name == *name))
            .find_map(|row| self.concrete(row, facts, request))
            .ok_or_else(|| ToolchainError::NoRow {
                language,
                platform,
                wish: wish(request),
                why: of_language
                    .iter()
                    .find(|row| request.row.as_ref() == Some(&row.name))
                    .map_or_else(String::new, |row| format!(": {}", why(row, facts, request))),
                ways_out: self.ways_out(&of_language, facts, request),
            })
    }

    /// Holds the name of a row to those that a language has.
    ///
    /// # Errors
    /// When it has none of that name; the error names those that it has.
    pub fn named(&self, language: Language, row: &str) -> Result<(), ToolchainError> {
        let rows = self.compilers.iter().filter(|known| known.language == language);
        let known: Vec<String> = rows.map(|row| row.name.clone()).collect();
        if known.iter().any(|known| known == row) {
            return Ok(());
        }
        Err(ToolchainError::UnknownRow { language, row: row.to_owned(), known })
    }

    /// Whether some compiler of `language` has a name for a platform.
    #[must_use]
    pub fn compiles(&self, language: Language, platform: crate::platform::Platform) -> bool {
        self.platform(platform).is_some_and(|facts| has_names(facts, language))
    }

    /// The other rows that would serve the same request, by name.
    #[must_use]
    pub fn alternatives(&self, request: &Request, chosen: &str) -> Vec<String> {
        let Some(facts) = self.platform(request.platform) else { return Vec::new() };
        let rows = self.compilers.iter().filter(|row| row.language == request.language && row.name != chosen);
        rows.filter(|row| self.concrete(row, facts, request).is_some()).map(|row| row.name.clone()).collect()
    }

    fn ways_out(&self, rows: &[&ToolchainRow], facts: &PlatformRow, request: &Request) -> Vec<String> {
        let mut ways = Vec::new();
        let oldest = facts.oldest_glibc();
        for libc in [request.libc, Some(Libc::Musl), oldest, Some(Libc::Gnu(None))] {
            for row in rows {
                let changed = Request { libc, row: None, ..request.clone() };
                if self.concrete(row, facts, &changed).is_some() {
                    let libc = libc.as_ref().filter(|libc| Some(*libc) != request.libc.as_ref());
                    let libc = libc.map_or(String::new(), |libc| format!("libc = \"{libc}\", "));
                    ways.push(format!("{libc}toolchain = \"{}\"", row.name));
                }
            }
        }
        ways.dedup();
        ways
    }

    fn concrete(&self, row: &ToolchainRow, facts: &PlatformRow, request: &Request) -> Option<Toolchain> {
        let tools = || row.tools.iter().filter_map(|tool| self.tool(tool, facts.platform)).collect();
        match request.language {
            Language::Rust => self.rust(row, facts, request),
            Language::C => self.c(row, facts, request),
            Language::Go | Language::Command | Language::Prebuilt => Some(Toolchain {
                name: row.name.clone(),
                origin: row.origin.clone(),
                driver: row.driver,
                target: None,
                c: None,
                libc: None,
                static_binary: true,
                env: row.env.clone().into_iter().chain(facts.go.clone()?).collect(),
                rustflags: Vec::new(),
                shares_target: false,
                tools: tools(),
            }),
        }
    }

    fn rust(&self, row: &ToolchainRow, facts: &PlatformRow, request: &Request) -> Option<Toolchain> {
        let rust = facts.rust.as_ref()?;
        let static_binary = request.libc.is_none() || request.libc == Some(Libc::Musl);
        let libc = request.libc.unwrap_or(if rust.static_libc == "musl" { Libc::Musl } else { Libc::Gnu(None) });
        let target = match &libc {
            Libc::Musl => rust.musl.as_ref()?,
            Libc::Gnu(_) => rust.gnu.as_ref()?,
        };
        if !links(row, facts, &libc, (static_binary, request.sysroot)) || (request.c && !row.c) {
            return None;
        }
        let names = Placeholders::of(facts, Some(target));
        let cpu = rust.cpu.iter().map(|cpu| format!("-Ctarget-cpu={cpu}"));
        let features = rust.features.iter().map(|features| format!("-Ctarget-feature={features}"));
        let flags = row.rustflags.get(flags_key(&libc, static_binary));
        Some(Toolchain {
            name: row.name.clone(),
            origin: row.origin.clone(),
            driver: row.driver,
            target: Some(target.clone()),
            c: None,
            static_binary,
            env: row.env.iter().map(|(name, value)| (names.fill(name), names.fill(value))).collect(),
            rustflags: flags.into_iter().flatten().cloned().chain(cpu).chain(features).collect(),
            shares_target: rust.cpu.is_some() || rust.features.is_some(),
            libc: Some(libc),
            tools: row.tools.iter().filter_map(|tool| self.tool(tool, facts.platform)).collect(),
        })
    }
}

/// The key of a row's flags for what is linked.
pub(super) fn flags_key(libc: &Libc, static_binary: bool) -> &'static str {
    if static_binary && *libc != Libc::Musl { "static-gnu" } else { libc.name() }
}

/// Whether a row links so on a platform. Only zig has a glibc of every version, from one on.
pub(super) fn links(
    row: &ToolchainRow,
    facts: &PlatformRow,
    libc: &Libc,
    (static_binary, has_sysroot): (bool, bool),
) -> bool {
    let needs = |tool: &str| row.tools.iter().any(|name| name == tool);
    let links = if static_binary { &row.static_libc } else { &row.libc };
    let old_enough = |version: &(u32, u32)| {
        let oldest = facts.oldest_glibc();
        oldest.is_none_or(|oldest| matches!(oldest, Libc::Gnu(Some(oldest)) if oldest <= *version))
    };
    let has_version = match libc {
        Libc::Gnu(Some(version)) if needs("zig") => old_enough(version),
        Libc::Gnu(Some(_)) => has_sysroot,
        Libc::Gnu(None) | Libc::Musl => true,
    };
    links.iter().any(|name| name == libc.name())
        && has_version
        && !(needs("zig") && facts.zig.is_none())
        && !(needs("gcc") && facts.gcc.is_none())
}

fn has_names(facts: &PlatformRow, language: Language) -> bool {
    match language {
        Language::Go => facts.go.is_some(),
        Language::Rust => facts.rust.is_some(),
        Language::C => facts.gcc.is_some() || facts.zig.is_some(),
        Language::Command | Language::Prebuilt => true,
    }
}

fn wish(request: &Request) -> String {
    let mut wishes = Vec::new();
    if let Some(row) = &request.row {
        wishes.push(format!("is called `{row}`"));
    }
    if let Some(libc) = &request.libc {
        wishes.push(format!("links against {libc}"));
    }
    if request.c && request.language == Language::Rust {
        wishes.push("compiles the C of its crates".to_owned());
    }
    if wishes.is_empty() { "fits".to_owned() } else { wishes.join(" and ") }
}
