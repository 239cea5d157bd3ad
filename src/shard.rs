//! `2/3` becomes the part of a build that one of several machines does.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::hint::Hint;

/// Which of how many machines this is. As pipelines count them that hand out `NUMBER/COUNT`: the first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    number: NonZeroUsize,
    count: NonZeroUsize,
}

/// Why a text is no shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// Not two numbers with a slash between.
    #[error("`{text}` is no shard: it should read NUMBER/COUNT, as 2/3")]
    Form {
        /// what was given
        text: String,
    },
    /// A shard before the first.
    #[error("there is no shard 0: the first of {count} is 1/{count}")]
    Zero {
        /// how many there are
        count: NonZeroUsize,
    },
    /// A shard after the last.
    #[error("there is no shard {number} of {count}")]
    Beyond {
        /// the one that was asked for
        number: NonZeroUsize,
        /// how many there are
        count: NonZeroUsize,
    },
}

impl Hint for ShardError {
    fn hints(&self) -> Vec<String> {
        let from_one = "where machines are counted from 0: --shard $((CIRCLE_NODE_INDEX + 1))/$CIRCLE_NODE_TOTAL";
        match self {
            Self::Form { .. } => vec!["--shard 1/3".to_owned()],
            Self::Zero { .. } => vec![from_one.to_owned()],
            Self::Beyond { count, .. } => vec![format!("--shard {count}/{count}")],
        }
    }
}

impl Shard {
    /// Which one it is; the first is 1.
    #[must_use]
    pub fn number(self) -> usize {
        self.number.get()
    }

    /// How many there are.
    #[must_use]
    pub fn count(self) -> usize {
        self.count.get()
    }

    /// What of `all` it does: every machine comes to the same parts when it has the same list, and no two do the same.
    #[must_use]
    pub fn of<T: Clone>(self, all: &[T]) -> Vec<T> {
        all.iter().skip(self.number() - 1).step_by(self.count()).cloned().collect()
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let form = || ShardError::Form { text: text.to_owned() };
        let (number, count) = text.split_once('/').ok_or_else(form)?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(number) || !digits(count) {
            return Err(form());
        }
        let count: NonZeroUsize = count.parse().map_err(|_| form())?;
        let number: usize = number.parse().map_err(|_| form())?;
        let number = NonZeroUsize::new(number).ok_or(ShardError::Zero { count })?;
        if number > count {
            return Err(ShardError::Beyond { number, count });
        }
        Ok(Self { number, count })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.number, self.count)
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

impl TryFrom<String> for Shard {
    type Error = ShardError;

    fn try_from(text: String) -> Result<Self, ShardError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_read_as_they_print() {
        for text in ["1/1", "2/3", "3/3", "10/12"] {
            assert_eq!(text.parse::<Shard>().unwrap().to_string(), text);
        }
        for (text, message) in [
            ("", "`` is no shard: it should read NUMBER/COUNT, as 2/3"),
            ("2", "`2` is no shard: it should read NUMBER/COUNT, as 2/3"),
            ("a/3", "`a/3` is no shard: it should read NUMBER/COUNT, as 2/3"),
            ("+1/3", "`+1/3` is no shard: it should read NUMBER/COUNT, as 2/3"),
            ("1/0", "`1/0` is no shard: it should read NUMBER/COUNT, as 2/3"),
            ("1/2/3", "`1/2/3` is no shard: it should read NUMBER/COUNT, as 2/3"),
            ("0/3", "there is no shard 0: the first of 3 is 1/3"),
            ("4/3", "there is no shard 4 of 3"),
        ] {
            assert_eq!(text.parse::<Shard>().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn every_part_is_done_once() {
        for (all, count) in [(7, 3), (3, 3), (2, 5), (0, 2), (6, 1)] {
            let all: Vec<usize> = (0..all).collect();
            let parts = (1..=count).map(|number| format!("{number}/{count}").parse::<Shard>().unwrap().of(&all));
            let parts: Vec<Vec<usize>> = parts.collect();
            let longest = parts.iter().map(Vec::len).max().unwrap_or_default();
            assert!(parts.iter().all(|part| part.len() + 1 >= longest), "{parts:?} are even");
            let mut done: Vec<usize> = parts.concat();
            done.sort_unstable();
            assert_eq!(done, all);
        }
    }
}
