//! Why the parts of several machines do not make one image, and what to do about it.

use crate::hint::Hint;
use crate::shard::Shard;

/// Why parts do not make a whole.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// No file at all.
    #[error("there is no result of any machine")]
    None,
    /// A file of something else.
    #[error("`{file}` is no result of `anyarch build`")]
    Unreadable {
        /// the file
        file: String,
        /// why
        #[source]
        source: serde_json::Error,
    },
    /// A file of another version.
    #[error("`{file}` has the format {format}, and this version reads {known}")]
    Format {
        /// the file
        file: String,
        /// what it says
        format: u32,
        /// what we read
        known: u32,
    },
    /// Parts of builds that were split in different ways.
    #[error("`{}` is {} and `{}` is {}: they are parts of two builds", first.0, split(first.1.as_deref()), second.0, split(second.1.as_deref()))]
    OtherSplit {
        /// a file, and its shard
        first: (String, Option<String>),
        /// another
        second: (String, Option<String>),
    },
    /// Two results of one machine.
    #[error("the shard {shard} is in `{first}` and in `{second}`")]
    ShardTwice {
        /// the shard
        shard: Shard,
        /// a file
        first: String,
        /// another
        second: String,
    },
    /// Machines that did not end, or whose results were not gathered.
    #[error("there is no result of {}", shards(missing))]
    ShardsMissing {
        /// the shards
        missing: Vec<String>,
    },
    /// Two machines made the same.
    #[error("{platform} of `{image}` is in `{first}` and in `{second}`")]
    PlatformTwice {
        /// the image
        image: String,
        /// the platform
        platform: String,
        /// a file
        first: String,
        /// another
        second: String,
    },
    /// Platforms that nobody made.
    #[error("no machine made {} of `{image}`", if missing.is_empty() { "any platform".to_owned() } else { missing.join(", ") })]
    PlatformsMissing {
        /// the image
        image: String,
        /// the platforms; none when there is not even one
        missing: Vec<String>,
    },
    /// Parts of two images of one name.
    #[error("`{first}` and `{second}` do not agree about the {what} of `{image}`")]
    Differ {
        /// the image
        image: String,
        /// what differs
        what: &'static str,
        /// a file
        first: String,
        /// another
        second: String,
    },
}

fn split(shard: Option<&str>) -> String {
    shard.map_or_else(|| "no shard".to_owned(), |shard| format!("the shard {shard}"))
}

fn shards(missing: &[String]) -> String {
    let noun = if missing.len() == 1 { "the shard" } else { "the shards" };
    format!("{noun} {}", missing.join(", "))
}

impl Hint for PartError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::None => {
                vec!["each machine writes its own: anyarch build --shard 1/2 --push-by-digest -t REF".to_owned()]
            }
            Self::Unreadable { .. } | Self::Format { .. } => Vec::new(),
            Self::OtherSplit { second, .. } => vec![format!("rm {}", crate::invocation::quote(&second.0))],
            Self::ShardTwice { second, .. } | Self::PlatformTwice { second, .. } => {
                vec![format!("rm {}", crate::invocation::quote(second))]
            }
            Self::ShardsMissing { missing } => missing
                .iter()
                .take(1)
                .map(|shard| format!("run it, and put its file beside the others: anyarch build --shard {shard} ..."))
                .collect(),
            Self::PlatformsMissing { missing, .. } if missing.is_empty() => Vec::new(),
            Self::PlatformsMissing { missing, .. } => {
                vec![format!("anyarch build --platform {} --push-by-digest ...", missing.join(","))]
            }
            Self::Differ { .. } => {
                vec!["gather the results of one build, of one commit, in a folder of their own".to_owned()]
            }
        }
    }
}
