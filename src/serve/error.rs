//! Why layouts cannot be served, and what to do then.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::base_name::BaseNameError;
use crate::hint::Hint;
use crate::invocation::quote;

/// Why layouts cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An argument that is malformed.
    #[error("{source}")]
    Name {
        /// the argument
        text: String,
        /// why
        source: BaseNameError,
    },
    /// An argument that names nothing.
    #[error("there is no layout `{text}`")]
    NotHere {
        /// the argument
        text: String,
    },
    /// A layout without a name that a repository could have.
    #[error("no repository can be called as `{text}` is")]
    NoName {
        /// the layout, as it was named
        text: String,
    },
    /// A project that was not built.
    #[error("nothing was built here: there is no layout in `{folder}`")]
    NothingBuilt {
        /// where builds put layouts
        folder: PathBuf,
    },
    /// A folder or a file that is something else.
    #[error("`{shown}` is no image layout: there is no `index.json` in it")]
    NotALayout {
        /// as it was named
        shown: String,
        /// a folder with layouts that is in it
        built: Option<PathBuf>,
    },
    /// A file that says nothing that could be understood.
    #[error("the `index.json` of `{shown}` is not that of an image layout")]
    Index {
        /// the layout
        shown: String,
        /// why
        #[source]
        source: serde_json::Error,
    },
    /// A layout that cannot be read.
    #[error("`{shown}` cannot be read")]
    Read {
        /// the layout
        shown: String,
        /// why
        #[source]
        source: io::Error,
    },
    /// A layout that is larger than any.
    #[error("`{shown}` names more than {most} manifests")]
    TooMany {
        /// the layout
        shown: String,
        /// how many are read
        most: usize,
    },
    /// A layout that does not have what was named.
    #[error("there is no image `{tag}` in `{shown}`")]
    NoImage {
        /// the layout, without the tag
        shown: String,
        /// the tag
        tag: String,
        /// those that there are
        tags: Vec<String>,
    },
    /// Two images of one name.
    #[error("two images are called `{name}`: one in `{first}`, one in `{second}`")]
    SameName {
        /// the name
        name: String,
        /// one layout
        first: String,
        /// the other, or the same
        second: String,
    },
    /// Two indexes of one name in one layout.
    #[error("`{shown}` has several images that are called `{name}`")]
    Several {
        /// the layout
        shown: String,
        /// the name
        name: String,
    },
    /// An address that cannot be had.
    #[error("`{address}` cannot be listened on")]
    Listen {
        /// the address
        address: SocketAddr,
        /// why
        #[source]
        source: io::Error,
    },
}

impl ServeError {
    /// Whether the machine is at fault, and not what was asked for.
    #[must_use]
    pub fn is_of_this_machine(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::Listen { .. })
    }
}

/// An argument with a name before it.
fn with_name(name: &str, layout: &str) -> String {
    format!("anyarch serve {name}={}", quote(layout))
}

impl Hint for ServeError {
    fn hints(&self) -> Vec<String> {
        let layouts =
            || ["oci:path/to/layout", "oci-archive:image.tar"].map(|layout| format!("anyarch serve {layout}")).to_vec();
        match self {
            Self::Name { source, .. } => {
                source.hints().iter().map(|hint| hint.replace("--base", "anyarch serve")).collect()
            }
            Self::NotHere { text } => match text.split_once('=') {
                Some((name, layout)) if name.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                    vec![format!("repositories are lower case: {}", with_name(&name.to_lowercase(), layout))]
                }
                _ => layouts(),
            },
            Self::NoName { text } => vec![format!("give it a name: {}", with_name("app", text))],
            Self::NothingBuilt { .. } => {
                let mut hints = vec!["build it first: anyarch build".to_owned()];
                hints.extend(layouts().into_iter().map(|line| format!("or name a layout: {line}")).take(1));
                hints
            }
            Self::NotALayout { built: Some(built), .. } => {
                vec![format!("anyarch serve {}", quote(&built.display().to_string()))]
            }
            Self::NotALayout { .. } => layouts(),
            Self::NoImage { shown, tags, .. } => {
                tags.iter().take(10).map(|tag| format!("anyarch serve {}", quote(&format!("{shown}:{tag}")))).collect()
            }
            Self::SameName { second, .. } => {
                vec![format!("give one of them a name of its own: {}", with_name("other", second))]
            }
            Self::Listen { source, address } => match source.kind() {
                io::ErrorKind::AddrInUse => vec![format!(
                    "take a free port, which is printed: anyarch serve --addr {}",
                    SocketAddr::new(address.ip(), 0)
                )],
                io::ErrorKind::AddrNotAvailable => vec!["anyarch serve --addr 127.0.0.1:5000".to_owned()],
                io::ErrorKind::PermissionDenied => {
                    vec!["ports below 1024 are for root: anyarch serve --addr 127.0.0.1:5000".to_owned()]
                }
                _ => Vec::new(),
            },
            Self::Index { .. } | Self::Read { .. } | Self::TooMany { .. } | Self::Several { .. } => Vec::new(),
        }
    }
}
