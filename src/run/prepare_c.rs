//! What a plan has to know of C programs before it is made: what their projects make, and where that is installed.

use crate::c_program::{CSettings, choose};
use crate::config;
use crate::config::sysroot::SysrootWish;
use crate::config::template::Scope;
use crate::config::values::PlatformWish;
use crate::host;
use crate::platform::{Architecture, Platform};
use crate::sysroot::Sysroot;
use crate::toolchain::Language;

use super::c;
use super::c_executables;
use super::detect::{Kind, Program};
use super::error::Error;
use super::images;
use super::prepare::Preparation;
use super::project_lock;
use super::session::Session;
use super::settings::platform_scope;
use super::sysroot;

impl Preparation<'_> {
    /// Where a program is in the image that its project installs.
    pub(super) fn installed(&self, program: &Program, scope: &Scope) -> Result<Option<String>, Error> {
        let (Kind::C(folder), Some(table)) = (&program.kind, program.table) else { return Ok(None) };
        let table = self.settings.file.program[table].get_ref();
        let platform = scope.platform.as_ref().map(|scope| scope.platform);
        let settings = platform.map_or_else(|| table.settings(), |platform| table.settings_for(platform));
        if !settings.install.as_ref().is_some_and(|install| *install.get_ref()) {
            return Ok(None);
        }
        let words =
            c::Words { args: Vec::new(), output: self.output(&settings, scope)?, settings: CSettings::default() };
        let executables = self.executables.get(&(folder.clone(), program.table)).map(Vec::as_slice);
        let made = c::program(&program.name, folder, &settings, words, executables)?;
        Ok(made.output.map(|output| format!("/{output}")))
    }

    /// Asks the build system of a C program what it makes, unless the configuration says so, and calls the program by that.
    pub(super) async fn find_executables(&mut self, session: &Session, program: &mut Program) -> Result<(), Error> {
        let Kind::C(folder) = &program.kind else { return Ok(()) };
        let table = program.table.map(|table| self.settings.file.program[table].get_ref());
        let settings = table.map(config::ProgramFile::settings).unwrap_or_default();
        if settings.output.is_some() || !c_executables::answers(c::build_of(folder, &settings)?) {
            return Ok(());
        }
        let platform = self.first_platform()?;
        let settings = table.map(|table| table.settings_for(platform)).unwrap_or_default();
        images::known_row(self.settings, self.toolchains, Language::C, settings.toolchain.as_ref())?;
        let scope = Scope {
            program: Some(program.name.clone()),
            platform: Some(platform_scope(platform, self.toolchains)),
            ..Scope::default()
        };
        let words = self.c_words(&settings, platform, &scope).await?;
        let project = c::project(&program.name, folder, &settings, words)?;
        let own_folder = self.settings.own_folder();
        let question = c_executables::Question {
            children: self.children,
            toolchains: self.toolchains,
            own_folder: &own_folder,
            platform,
        };
        let lock = project_lock::lock(&own_folder, &*session.watch).await?;
        let executables = question.ask(&project)?;
        drop(lock);
        let key = (folder.clone(), program.table);
        if table.is_none_or(|table| table.name.is_none()) {
            let chosen = choose(&folder.display().to_string(), &executables, project.target.as_deref());
            program.name.clone_from(&chosen.map_err(c::CProjectError::from)?.name);
        }
        self.executables.insert(key, executables);
        Ok(())
    }

    /// The first platform that some image is made for and that C has a compiler for, else linux/amd64.
    fn first_platform(&self) -> Result<Platform, Error> {
        let whole = self.settings.file.image_keys();
        let wanted = &self.settings.flags.images;
        let tables = self.settings.file.image.iter().map(toml::Spanned::get_ref);
        let chosen = tables.filter(|table| wanted.is_empty() || wanted.contains(&table.name.get_ref().0));
        let mut images: Vec<config::ImageKeys> = chosen.map(|table| table.over(&whole)).collect();
        if images.is_empty() {
            images.push(whole);
        }
        for keys in &images {
            for wish in self.settings.platforms(keys)? {
                let platform = match wish {
                    PlatformWish::One(platform) => platform,
                    PlatformWish::Host => host::platform()?,
                    PlatformWish::All => continue,
                };
                if self.toolchains.compiles(Language::C, platform) {
                    return Ok(platform);
                }
            }
        }
        Ok(Platform::linux(Architecture::Amd64))
    }

    /// What the configuration says of a C program, rendered.
    pub(super) async fn c_words(
        &mut self,
        settings: &config::ProgramSettings,
        platform: Platform,
        scope: &Scope,
    ) -> Result<c::Words, Error> {
        let args = settings.args.iter().flat_map(|args| args.get_ref().iter());
        Ok(c::Words {
            args: args.map(|value| self.settings.word(value, scope)).collect::<Result<Vec<_>, _>>()?,
            output: self.output(settings, scope)?,
            settings: self.c_settings(settings, platform, scope).await?,
        })
    }

    /// What C depends on beside its sources, whichever language it is compiled for.
    pub(super) async fn c_settings(
        &mut self,
        settings: &config::ProgramSettings,
        platform: Platform,
        scope: &Scope,
    ) -> Result<CSettings, Error> {
        let sysroot = self.sysroot(settings, platform, scope).await?;
        let words = |list: &Option<toml::Spanned<config::collections::OneOrMany<String>>>| {
            let values = list.iter().flat_map(|list| list.get_ref().iter());
            values.map(|value| self.settings.word(value, scope)).collect::<Result<Vec<_>, _>>()
        };
        let libs = settings.libs.iter().flat_map(|libs| libs.get_ref().iter());
        Ok(CSettings {
            cflags: words(&settings.cflags)?,
            ldflags: words(&settings.ldflags)?,
            libs: libs.map(|library| library.get_ref().clone()).collect(),
            strip: settings.strip.as_ref().is_some_and(|strip| *strip.get_ref()),
            libc: self.libc(settings, platform, scope),
            row: self.rows.of(settings, Language::C),
            sysroot,
            env: self.variables(settings, scope)?,
        })
    }

    pub(super) async fn sysroot(
        &mut self,
        settings: &config::ProgramSettings,
        platform: Platform,
        scope: &Scope,
    ) -> Result<Option<Sysroot>, Error> {
        let Some(wish) = &settings.sysroot else { return Ok(None) };
        let place = self.settings.file.source.place_of(wish).to_string();
        match wish.get_ref() {
            SysrootWish::Folder(template) => {
                let value = toml::Spanned::new(wish.span(), template.clone());
                let text = self.settings.checked("sysroot", &value, scope, config::check::not_empty)?.value;
                sysroot::of_folder(&self.settings.root, &text, &place, platform, self.toolchains).map(Some)
            }
            SysrootWish::Debian(wish) => self.sysroots.get(wish, platform, self.toolchains, &place).await.map(Some),
        }
    }
}
