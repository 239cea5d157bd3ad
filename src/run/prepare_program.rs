//! A program that was found, with its settings on one platform, becomes what a plan takes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::c_program::CSettings;
use crate::command_program::{Command, CommandProgram};
use crate::config::template::Scope;
use crate::config::{self, ProgramSettings};
use crate::golang::{Cgo, GoSettings};
use crate::host;
use crate::plan::{AutoLibc, ProgramInput, Source};
use crate::platform::Platform;
use crate::toolchain::Language;

use super::c;
use super::cgo;
use super::detect::{Kind, Program};
use super::error::Error;
use super::images;
use super::prepare::Preparation;
use super::rust::Wishes;

impl Preparation<'_> {
    pub(super) async fn program(
        &mut self,
        program: &Program,
        platform: Platform,
        scope: &Scope,
    ) -> Result<ProgramInput, Error> {
        let scope = Scope { program: Some(program.name.clone()), ..scope.clone() };
        let table = program.table.map(|table| &self.settings.file.program[table]);
        let settings = table.map(|table| table.get_ref().settings_for(platform)).unwrap_or_default();
        let words = |list: Option<&toml::Spanned<config::collections::OneOrMany<String>>>| {
            list.iter()
                .flat_map(|list| list.get_ref().iter())
                .map(|value| self.settings.word(value, &scope))
                .collect::<Result<Vec<_>, _>>()
        };
        // Go without C has one row, which it always takes; what a command calls are the tools of C.
        let rows = match &program.kind {
            Kind::Rust(_) => Some(Language::Rust),
            Kind::C(_) | Kind::Command(_) => Some(Language::C),
            Kind::Go(_) | Kind::Prebuilt => None,
        };
        if let Some(language) = rows {
            images::known_row(self.settings, self.toolchains, language, settings.toolchain.as_ref())?;
        }
        let source = match &program.kind {
            Kind::Go(package) => Source::Go {
                package: package.clone(),
                settings: Box::new(GoSettings {
                    tags: words(settings.tags.as_ref())?,
                    ldflags: words(settings.ldflags.as_ref())?,
                    gcflags: words(settings.gcflags.as_ref())?,
                    buildvcs: settings.buildvcs.as_ref().map(|value| *value.get_ref()),
                    strip: settings.strip.as_ref().is_some_and(|value| *value.get_ref()),
                    env: self.variables(&settings, &scope)?,
                    cgo: self.cgo(&package.module_directory, &settings, platform, &scope).await?,
                    row: self.rows.of(&settings, Language::Go),
                }),
            },
            Kind::Rust(binary) => {
                let env = self.variables(&settings, &scope)?;
                let sysroot = self.sysroot(&settings, platform, &scope).await?;
                let auto = self.libcs.of(platform, &program.name);
                let wishes = Wishes {
                    row: self.rows.of(&settings, Language::Rust),
                    libc: self.libc(&settings, platform, &scope),
                    is_open: matches!(auto, Some(AutoLibc::Unread { .. } | AutoLibc::Unfit(_))),
                    env,
                    sysroot,
                };
                let program = self.workspaces.program(self.toolchains, binary, platform, &settings, wishes)?;
                Source::Rust(Box::new(program))
            }
            Kind::C(folder) => {
                let words = self.c_words(&settings, platform, &scope).await?;
                let executables = self.executables.get(&(folder.clone(), program.table)).map(Vec::as_slice);
                Source::C(Box::new(c::program(&program.name, folder, &settings, words, executables)?))
            }
            Kind::Command(folder) => Source::Command(Box::new(CommandProgram {
                name: program.name.clone(),
                directory: folder.clone(),
                command: self.command(program, platform, &settings, &scope)?,
                output: self.command_output(&settings, &scope)?,
                settings: self.c_settings(&settings, platform, &scope).await?,
                languages: self.toolchains.variables(platform, self.libc(&settings, platform, &scope)),
                host: host::machine().map_or_else(host::platform, Ok)?,
            })),
            Kind::Prebuilt => self.prebuilt(program, platform, &settings, &scope)?,
        };
        let (name, libc) = (program.name.clone(), self.libcs.of(platform, &program.name).cloned());
        Ok(ProgramInput { name, destination: self.destination(program, &scope)?, source, libc })
    }

    /// A string is a line for a shell; a list is words, and so is a list of one.
    fn command(
        &self,
        program: &Program,
        platform: Platform,
        settings: &ProgramSettings,
        scope: &Scope,
    ) -> Result<Command, Error> {
        let Some(command) = &settings.command else { return Err(self.lacks(program, platform, "command")) };
        let words = command.get_ref().iter().map(|word| self.settings.word(word, scope));
        let words = words.collect::<Result<Vec<_>, _>>()?;
        Ok(match (command.get_ref().0.as_slice(), words.as_slice()) {
            ([only], [line]) if only.span() == command.span() => Command::Line(line.clone()),
            _ => Command::Words(words),
        })
    }

    /// How the C of a Go program is compiled.
    async fn cgo(
        &mut self,
        folder: &Path,
        settings: &ProgramSettings,
        platform: Platform,
        scope: &Scope,
    ) -> Result<Option<Cgo>, Error> {
        if !cgo::is_on(settings, &self.settings.file.source)? {
            return Ok(None);
        }
        // These two are Go's own.
        let c = CSettings { ldflags: Vec::new(), strip: false, ..self.c_settings(settings, platform, scope).await? };
        Ok(Some(Cgo { settings: c, user: self.go.variables(folder)? }))
    }

    /// Where a command makes its binary, when it decides that: somewhere in the project.
    fn command_output(&self, settings: &ProgramSettings, scope: &Scope) -> Result<Option<PathBuf>, Error> {
        let Some(output) = self.output(settings, scope)? else { return Ok(None) };
        Ok(Some(self.settings.root.join(c::checked_output(&output, "the project")?)))
    }

    pub(super) fn output(&self, settings: &config::ProgramSettings, scope: &Scope) -> Result<Option<String>, Error> {
        let output = settings.output.as_ref();
        let rendered = output.map(|value| self.settings.checked("output", value, scope, config::check::not_empty));
        Ok(rendered.transpose()?.map(|rendered| rendered.value))
    }

    pub(super) fn variables(
        &self,
        settings: &ProgramSettings,
        scope: &Scope,
    ) -> Result<BTreeMap<String, crate::invocation::Word>, Error> {
        let variables = settings.env.iter().flat_map(|env| &env.get_ref().0);
        variables.map(|(name, value)| Ok((name.clone(), self.settings.word(value, scope)?))).collect()
    }

    /// A key that only other platforms of a program have.
    fn lacks(&self, program: &Program, platform: Platform, key: &'static str) -> Error {
        let file = &self.settings.file;
        let table = program.table.map(|table| file.source.place_of(&file.program[table]).to_string());
        Error::NoKeyFor { program: program.name.clone(), platform, place: table.unwrap_or_default(), key }
    }

    fn prebuilt(
        &self,
        program: &Program,
        platform: Platform,
        settings: &ProgramSettings,
        scope: &Scope,
    ) -> Result<Source, Error> {
        let file = &self.settings.file;
        let Some(value) = &settings.path else {
            return Err(self.lacks(program, platform, "path"));
        };
        let text = self.settings.checked("path", value, scope, config::check::not_empty)?.value;
        let found = fs::canonicalize(self.settings.root.join(&text));
        let path = found.ok().filter(|path| path.is_file()).ok_or_else(|| Error::NoPrebuilt {
            program: program.name.clone(),
            platform,
            place: file.source.place_of(value).to_string(),
            path: text.into(),
        })?;
        Ok(Source::Prebuilt { path })
    }
}
