//! Why what a `[[file]]` names cannot go into an image.

use std::io;
use std::path::PathBuf;

use crate::config::Place;
use crate::config::git::GitError;
use crate::hint::Hint;
use crate::run::error::quoted;

/// Why what a `[[file]]` names cannot go into an image.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the words of each variant are its documentation")]
pub enum FileError {
    #[error("`{path}` in {place} does not exist")]
    Missing { place: Place, path: PathBuf },
    #[error("`{path}` in {place} leads out of the project, to `{target}`")]
    Outside { place: Place, path: PathBuf, target: PathBuf },
    #[error("`{path}` ({place}) is neither a file nor a folder")]
    Special { place: Place, path: PathBuf },
    #[error("the name of `{path}` ({place}) is no UTF-8")]
    NotUtf8 { place: Place, path: PathBuf },
    #[error("`{path}` in {place} is a file, and a file cannot go to `/`")]
    FileToRoot { place: Place, path: PathBuf },
    #[error("`{path}` in {place} is a file: `ignored` is for folders")]
    IgnoredFile { place: Place, path: PathBuf },
    #[error("`{path}` in {place} holds nothing that git tracks")]
    NothingTracked { place: Place, path: PathBuf },
    #[error("`{path}` in {place} holds nothing that is not ignored")]
    NothingLeft { place: Place, path: PathBuf },
    #[error("`{path}` ({place}) is tracked by git and is not there")]
    Deleted { place: Place, path: PathBuf },
    #[error("the submodule `{path}` ({place}) is not checked out")]
    Submodule { place: Place, path: PathBuf },
    #[error("the link `{path}` ({place}) leads out of its folder, to `{target}`")]
    Escape { place: Place, path: PathBuf, target: PathBuf },
    #[error("what git tracks of `{path}` ({place}) cannot be known")]
    Tracking {
        place: Place,
        path: PathBuf,
        #[source]
        source: GitError,
    },
    #[error("`{path}` cannot be read")]
    Patterns {
        path: PathBuf,
        #[source]
        source: Box<ignore::Error>,
    },
    #[error("`{path}` cannot be read")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{path}` ({place}) would delete files of the base: names that begin with `.wh.` mean that in a layer")]
    Whiteout { place: String, path: String },
    #[error("two sources for `{destination}`: {first} and {second}")]
    Twice { destination: String, first: String, second: String },
    #[error("`{destination}` would be a file ({file}) and a folder ({folder})")]
    FileAndFolder { destination: String, file: String, folder: String },
}

impl Hint for FileError {
    fn hints(&self) -> Vec<String> {
        let shown = |path: &PathBuf| quoted(&path.display().to_string());
        match self {
            Self::Outside { .. } => vec!["copy it into the project, and name the copy".to_owned()],
            Self::FileToRoot { path, .. } => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                vec![format!("destination = \"/{name}\"")]
            }
            Self::IgnoredFile { .. } => {
                vec!["leave `ignored` out: a file is taken whether or not git tracks it".to_owned()]
            }
            Self::NothingTracked { path, .. } => {
                vec![format!("git add {}", shown(path)), "ignored = true".to_owned()]
            }
            Self::NothingLeft { .. } => {
                vec![".anyarchignore: `!PATTERN` takes what an earlier line, or `.env*`, leaves out".to_owned()]
            }
            Self::Deleted { path, .. } => {
                vec![format!("git checkout -- {}", shown(path)), format!("git rm --cached {}", shown(path))]
            }
            Self::Submodule { path, .. } => vec![format!("git submodule update --init {}", shown(path))],
            Self::Escape { path, .. } => {
                let path = shown(path);
                vec![format!("cp -r --remove-destination \"$(readlink -f {path})\" {path}")]
            }
            Self::Tracking { source, .. } => source.hints().into_iter().chain(["ignored = true".to_owned()]).collect(),
            Self::Whiteout { .. } => vec!["give it another name".to_owned()],
            Self::Twice { .. } | Self::FileAndFolder { .. } => {
                vec!["give one of them another `destination`".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}
