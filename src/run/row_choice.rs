//! The toolchain row that a program is built by: as the run says (`--toolchain-row`), else as the program says
//! (`toolchain`), else as the project says (`toolchain_row`), else the first that fits.

use std::collections::BTreeSet;

use crate::config::{Origin, ProgramSettings};
use crate::toolchain::{Language, Toolchains};

use super::error::Error;
use super::settings::Settings;

/// What the run and the project say.
pub struct RowChoice<'run> {
    run: Option<&'run str>,
    project: Option<(&'run str, Origin)>,
    toolchains: &'run Toolchains,
}

impl<'run> RowChoice<'run> {
    /// Takes both from the settings.
    #[must_use]
    pub fn new(settings: &'run Settings, toolchains: &'run Toolchains) -> Self {
        let project = settings.file.toolchain_row.as_ref();
        let project = project.map(|row| (row.get_ref().as_str(), settings.file.source.origin_of(row)));
        Self { run: settings.flags.toolchain_row.as_deref(), project, toolchains }
    }

    /// The row of a program in `language`. What is said of all programs is for those whose language has a row of that
    /// name: `gcc` says nothing to Go.
    #[must_use]
    pub fn of(&self, settings: &ProgramSettings, language: Language) -> Option<String> {
        let general = |row: Option<&str>| row.filter(|row| self.knows(language, row)).map(str::to_owned);
        let own = settings.toolchain.as_ref().map(|row| row.get_ref().clone());
        general(self.run).or(own).or_else(|| general(self.project.as_ref().map(|(row, _)| *row)))
    }

    fn knows(&self, language: Language, row: &str) -> bool {
        self.toolchains.rows().any(|known| known.language == language && known.name == row)
    }

    /// A name that says nothing to any of the programs is a mistake.
    ///
    /// # Errors
    /// When there is such a name.
    pub fn check(&self, languages: impl Iterator<Item = Language>) -> Result<(), Error> {
        // A command is told of a C compiler.
        let languages: BTreeSet<Language> = languages.map(Language::compiled).collect();
        let run = self.run.map(|row| (row, Origin::Flag("--toolchain-row")));
        for (row, origin) in run.into_iter().chain(self.project.clone()) {
            if !languages.iter().any(|language| self.knows(*language, row)) {
                let rows = self.toolchains.rows().filter(|known| languages.contains(&known.language));
                let known: BTreeSet<String> = rows.map(|known| known.name.clone()).collect();
                let (row, known) = (row.to_owned(), known.into_iter().collect());
                return Err(Error::UnknownRow { row, origin, known });
            }
        }
        Ok(())
    }
}
