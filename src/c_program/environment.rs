//! What the environment of a build tells about the compiler: the variables that Makefiles, configure scripts, `CMake`, Go and
//! people's own scripts read.

use std::collections::BTreeMap;
use std::path::Path;

use super::{CSettings, Site};
use crate::invocation::Word;

/// The variables of a build: the tools by their names, flags, pkg-config, and a PATH on which the names are found.
/// Flags are the user's own first, then those of the configuration, then ours.
#[must_use]
pub fn environment(settings: &CSettings, site: &Site<'_>) -> BTreeMap<String, Word> {
    let mut variables: BTreeMap<String, Word> = BTreeMap::new();
    let Some(compiler) = site.compiler() else { return variables };
    for (variable, name) in
        [("CC", "cc"), ("CXX", "c++"), ("AR", "ar"), ("RANLIB", "ranlib"), ("STRIP", "strip"), ("LD", "ld")]
    {
        variables.insert(variable.to_owned(), format!("{}-{name}", compiler.prefix).into());
    }
    variables.insert("CROSS_COMPILE".to_owned(), format!("{}-", compiler.prefix).into());
    let optimized =
        |flags: &[Word]| flags.iter().any(|flag| flag.value().split(' ').any(|flag| flag.starts_with("-O")));
    for name in ["CFLAGS", "CXXFLAGS"] {
        let mut flags: Vec<Word> = user(name, site).into_iter().chain(settings.cflags.clone()).collect();
        if !optimized(&flags) {
            flags.insert(0, "-O2".into());
        }
        variables.insert(name.to_owned(), Word::join(&flags, " "));
    }
    let ours = link_flags(settings, site).into_iter().map(Word::from);
    let flags: Vec<Word> = user("LDFLAGS", site).into_iter().chain(settings.ldflags.clone()).chain(ours).collect();
    if !flags.is_empty() {
        variables.insert("LDFLAGS".to_owned(), Word::join(&flags, " "));
    }
    variables.extend(pkg_config(settings, &site.scripts_folder()));
    variables.insert("PATH".to_owned(), path(site));
    // What a compiler says of the time is the same every time.
    let time = (site.environment)("SOURCE_DATE_EPOCH").filter(|time| !time.is_empty()).unwrap_or_else(|| "0".into());
    variables.insert("SOURCE_DATE_EPOCH".to_owned(), time.into());
    variables.extend(settings.env.clone());
    variables
}

/// The flags of the linker that are not the user's.
pub(super) fn link_flags(settings: &CSettings, site: &Site<'_>) -> Vec<String> {
    let own = site.compiler().map(|compiler| compiler.ldflags.clone()).unwrap_or_default();
    let brings_libc = site.toolchain.brings_libc();
    let sysroot = settings.sysroot.iter().flat_map(|sysroot| sysroot.link_words(brings_libc));
    own.into_iter().chain(sysroot).chain(settings.strip.then(|| "-s".to_owned())).collect()
}

/// pkg-config never answers for this machine when something is built for another.
fn pkg_config(settings: &CSettings, scripts: &Path) -> BTreeMap<String, Word> {
    let nothing = || [("PKG_CONFIG_LIBDIR", scripts.join("no-packages").display().to_string())].to_vec();
    let told = settings.sysroot.as_ref().map_or_else(nothing, |sysroot| sysroot.pkg_config().to_vec());
    let told = told.into_iter().map(|(name, value)| (name.to_owned(), value.into()));
    // What the user has there is for this machine.
    told.chain([("PKG_CONFIG_PATH".to_owned(), "".into())]).collect()
}

/// The scripts first, then what the user has.
fn path(site: &Site<'_>) -> Word {
    let scripts = site.scripts_folder().display().to_string();
    match (site.environment)("PATH").filter(|path| !path.is_empty()) {
        Some(path) => Word::hiding(format!("{scripts}:{path}"), format!("{scripts}:$PATH")),
        None => scripts.into(),
    }
}

/// The user's own value of a variable.
pub(super) fn user(name: &str, site: &Site<'_>) -> Option<Word> {
    let value = (site.environment)(name).filter(|value| !value.trim().is_empty())?;
    Some(Word::hiding(value, format!("${name}")))
}
