//! A folder of C files becomes one call of the compiler.

use std::collections::BTreeMap;

use super::{CProgram, Recipe, Setup, Site, environment, scripts};
use crate::hint::Hint;
use crate::invocation::{Invocation, Joins, Step, Word};

/// What files make a C program, and in which language the linker has to be called.
const C: &[&str] = &["c"];
const CXX: &[&str] = &["cc", "cpp", "cxx", "C", "c++"];

/// A program that a folder of C files holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// the file that has `main`, without its extension
    pub name: String,
    /// all its files, sorted
    pub sources: Vec<String>,
}

/// Why a folder of C files is not one program.
#[derive(Debug, thiserror::Error)]
pub enum PlainError {
    /// No file has a `main`.
    #[error("none of the C files in `{folder}` has a `main`: {}", files.join(", "))]
    NoMain {
        /// the folder
        folder: String,
        /// the files
        files: Vec<String>,
    },
    /// Several have one.
    #[error("`{folder}` holds {} C programs: {}", mains.len(), mains.join(", "))]
    SeveralMains {
        /// the folder
        folder: String,
        /// the files that have a `main`
        mains: Vec<String>,
    },
    /// The one that was asked for is not there.
    #[error("no C file in `{folder}` that has a `main` is called `{target}`; there are {}", mains.join(", "))]
    NoTarget {
        /// the folder
        folder: String,
        /// what was asked for
        target: String,
        /// the files that have a `main`
        mains: Vec<String>,
    },
}

impl Hint for PlainError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoMain { .. } => vec!["anyarch init".to_owned()],
            Self::SeveralMains { mains, .. } | Self::NoTarget { mains, .. } => {
                mains.iter().map(|main| format!("[[program]] language = \"c\", target = \"{}\"", stem(main))).collect()
            }
        }
    }
}

/// Whether a file is a source of C or C++.
#[must_use]
pub fn is_source(name: &str) -> bool {
    extension(name).is_some_and(|extension| C.contains(&extension) || CXX.contains(&extension))
}

fn extension(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, extension)| extension)
}

fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// The program of a folder: the file with `target`'s `main`, or the only one, and every file that has none. `files` are
/// all C files of the folder with their text.
///
/// # Errors
/// When there is none, or several and no choice.
pub fn sources_of(folder: &str, files: &BTreeMap<String, String>, target: Option<&str>) -> Result<Plain, PlainError> {
    let (mains, rest): (Vec<&String>, Vec<&String>) = files.keys().partition(|name| defines_main(&files[*name]));
    let names = || mains.iter().map(|name| (*name).clone()).collect::<Vec<_>>();
    let main = match (target, mains.as_slice()) {
        (_, []) => {
            return Err(PlainError::NoMain { folder: folder.to_owned(), files: files.keys().cloned().collect() });
        }
        (None, [only]) => *only,
        (None, _) => return Err(PlainError::SeveralMains { folder: folder.to_owned(), mains: names() }),
        (Some(target), _) => mains.iter().find(|name| stem(name) == target || **name == target).ok_or_else(|| {
            PlainError::NoTarget { folder: folder.to_owned(), target: target.to_owned(), mains: names() }
        })?,
    };
    let mut sources: Vec<String> = rest.into_iter().chain([main]).cloned().collect();
    sources.sort();
    Ok(Plain { name: stem(main).to_owned(), sources })
}

/// Whether a text defines `main` at the outermost level: `int main(...) {`, outside of comments, strings and braces.
/// A macro that makes a `main` is not seen.
fn defines_main(text: &str) -> bool {
    let code = without_comments_and_strings(text);
    let mut depth = 0_usize;
    let bytes = code.as_bytes();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut position = 0;
    while position < bytes.len() {
        match bytes[position] {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b'm' if depth == 0 && code[position..].starts_with("main") => {
                let before = position.checked_sub(1).is_none_or(|before| !is_word(bytes[before]));
                let rest = code[position + 4..].trim_start();
                if before && rest.starts_with('(') && opens_body(rest) {
                    return true;
                }
                position += 3;
            }
            _ => {}
        }
        position += 1;
    }
    false
}

/// Whether a parameter list is followed by a body, and not by the `;` of a declaration. What stands between are the
/// declarations of an old-style definition.
fn opens_body(parameters: &str) -> bool {
    let mut depth = 0_usize;
    for (position, character) in parameters.char_indices() {
        match character {
            '(' => depth += 1,
            ')' if depth == 1 => {
                let rest = parameters[position + 1..].trim_start();
                return !rest.starts_with(';') && !rest.starts_with(',') && rest.contains('{');
            }
            ')' => depth -= 1,
            _ => {}
        }
    }
    false
}

fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match (character, rest.peek()) {
            ('/', Some('/')) => {
                while rest.peek().is_some_and(|next| *next != '\n') {
                    rest.next();
                }
            }
            ('/', Some('*')) => {
                rest.next();
                let mut last = ' ';
                for next in rest.by_ref() {
                    if last == '*' && next == '/' {
                        break;
                    }
                    last = next;
                }
                code.push(' ');
            }
            ('"' | '\'', _) => {
                while let Some(next) = rest.next() {
                    match next {
                        '\\' => {
                            rest.next();
                        }
                        // A quote that is not closed on its line is none: `#error don't`.
                        '\n' => break,
                        next if next == character => break,
                        _ => {}
                    }
                }
                code.push_str("\"\"");
            }
            _ => code.push(character),
        }
    }
    code
}

/// One call of the compiler, in the folder of the sources.
pub(super) fn recipe(program: &CProgram, site: &Site<'_>) -> Recipe {
    let build = site.build_folder();
    let output = build.join(&program.name);
    let mut variables = environment(&program.settings, site);
    let take =
        |variables: &mut BTreeMap<String, Word>, name: &str| variables.remove(name).into_iter().collect::<Vec<_>>();
    let is_cxx = program.sources.iter().any(|name| extension(name).is_some_and(|name| CXX.contains(&name)));
    let (compiler, variable) = if is_cxx { ("CXX", "CXXFLAGS") } else { ("CC", "CFLAGS") };
    let name = variables.get(compiler).map(|word| word.value().to_owned()).unwrap_or_default();
    let flags = take(&mut variables, variable);
    let ldflags = take(&mut variables, "LDFLAGS");
    for unused in ["CFLAGS", "CXXFLAGS", "CC", "CXX", "AR", "RANLIB", "STRIP", "LD", "CROSS_COMPILE"] {
        variables.remove(unused);
    }
    let libs = program.settings.libs.iter().map(|library| Word::from(format!("-l{library}")));
    let mut call = Invocation::new(&name, &program.directory)
        .args(flags.iter().flat_map(|flags| split_words(variable, flags)))
        .args(source_words(&program.sources, is_cxx))
        .args(["-o".to_owned(), output.display().to_string()])
        .args(ldflags.iter().flat_map(|flags| split_words("LDFLAGS", flags)))
        .args(libs);
    call.env = variables;
    let mut setup = vec![Setup::Folder { path: build }];
    setup.extend(scripts(&program.settings, site, &super::fixed_flags(program, site)));
    Recipe { setup, steps: vec![Step::new(call, Joins::Alone)], output, installed: None, tools: Vec::new() }
}

/// The sources, those of C before those of C++. The compiler of C++ takes C for its own language unless it is told.
fn source_words(sources: &[String], is_cxx: bool) -> Vec<String> {
    let is_c = |name: &&String| extension(name).is_some_and(|name| C.contains(&name));
    let (c, cxx): (Vec<&String>, Vec<&String>) = sources.iter().partition(is_c);
    let path = |source: &String| format!("./{source}");
    let option = |language: &str| vec!["-x".to_owned(), language.to_owned()];
    let (before, after) =
        if is_cxx && !c.is_empty() { (option("c"), option("none")) } else { (Vec::new(), Vec::new()) };
    before.into_iter().chain(c.into_iter().map(path)).chain(after).chain(cxx.into_iter().map(path)).collect()
}

/// Flags in one variable are words for a shell; here they are words of a call. What is hidden stays hidden, by the name of
/// the variable.
fn split_words(variable: &str, flags: &Word) -> Vec<Word> {
    let shown = shlex::split(flags.shown()).unwrap_or_default();
    let words = shlex::split(flags.value()).unwrap_or_default().into_iter();
    words
        .map(|word| if shown.contains(&word) { word.into() } else { Word::hiding(word, format!("${variable}")) })
        .collect()
}
