//! `Depends`, `Conflicts` and `Provides` become names with conditions:
//! <https://www.debian.org/doc/debian-policy/ch-relationships.html#syntax-of-relationship-fields>.

use std::cmp::Ordering;
use std::fmt;

use super::version::Version;

/// How a version must stand to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`, and the old `<`
    EarlierOrEqual,
    /// `=`
    Equal,
    /// `>=`, and the old `>`
    LaterOrEqual,
    /// `>>`
    Later,
}

/// One name of a relation: `libc6:any (>= 2.36)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// the package, or what packages provide
    pub name: String,
    /// after the colon: `any`, `native` or an architecture
    pub qualifier: Option<String>,
    /// the condition on the version
    pub version: Option<(Operator, Version)>,
}

impl Relation {
    /// Reads one name; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (head, rest) = match text.split_once('(') {
            Some((head, rest)) => (head.trim(), Some(rest)),
            None => (text.trim(), None),
        };
        let version = match rest {
            None => None,
            Some(rest) => Some(condition(rest.trim_end().strip_suffix(')')?.trim())?),
        };
        let (name, qualifier) = match head.split_once(':') {
            Some((name, qualifier)) => (name, Some(qualifier.to_owned())),
            None => (head, None),
        };
        super::is_package_name(name).then(|| Self { name: name.to_owned(), qualifier, version })
    }

    /// True when `version` meets the condition, or there is none.
    pub fn allows(&self, version: &Version) -> bool {
        let Some((operator, bound)) = &self.version else { return true };
        let order = version.cmp(bound);
        match operator {
            Operator::Earlier => order == Ordering::Less,
            Operator::EarlierOrEqual => order != Ordering::Greater,
            Operator::Equal => order == Ordering::Equal,
            Operator::LaterOrEqual => order != Ordering::Less,
            Operator::Later => order == Ordering::Greater,
        }
    }

    /// True when a package called `name` of that version that provides `provides` (a field as it is written) is what this
    /// names: by its own name, or because it provides it. A condition on the version is only met by what is provided with
    /// a version.
    pub fn is_met_by(&self, name: &str, version: &Version, provides: &str) -> bool {
        if name == self.name {
            return self.allows(version);
        }
        if !provides.contains(&self.name) {
            return false;
        }
        let same_name = provides.split(',').filter_map(Self::parse).filter(|relation| relation.name == self.name);
        same_name.map(|relation| relation.version).any(|provided| match (&self.version, &provided) {
            (None, _) => true,
            (Some(_), Some((Operator::Equal, version))) => self.allows(version),
            (Some(_), _) => false,
        })
    }

    /// True when packages of `architecture` count.
    pub fn is_for(&self, architecture: &str) -> bool {
        self.qualifier
            .as_deref()
            .is_none_or(|qualifier| matches!(qualifier, "any" | "native") || qualifier == architecture)
    }
}

fn condition(text: &str) -> Option<(Operator, Version)> {
    let digits = text.find(|letter| !matches!(letter, '<' | '>' | '='))?;
    let operator = match &text[..digits] {
        "<<" => Operator::Earlier,
        "<=" | "<" => Operator::EarlierOrEqual,
        "=" => Operator::Equal,
        ">=" | ">" => Operator::LaterOrEqual,
        ">>" => Operator::Later,
        _ => return None,
    };
    Some((operator, Version::new(&text[digits..])))
}

impl fmt::Display for Relation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        if let Some(qualifier) = &self.qualifier {
            write!(formatter, ":{qualifier}")?;
        }
        let Some((operator, version)) = &self.version else { return Ok(()) };
        let operator = match operator {
            Operator::Earlier => "<<",
            Operator::EarlierOrEqual => "<=",
            Operator::Equal => "=",
            Operator::LaterOrEqual => ">=",
            Operator::Later => ">>",
        };
        write!(formatter, " ({operator} {version})")
    }
}

/// A whole field: every group has to be met, by any of its alternatives. What cannot be read comes back as the error.
pub fn groups(field: &str) -> Result<Vec<Vec<Relation>>, String> {
    let parts = field.split(',').map(str::trim).filter(|group| !group.is_empty());
    parts
        .map(|group| {
            let alternatives = group.split('|').map(Relation::parse);
            alternatives.collect::<Option<Vec<_>>>().ok_or_else(|| group.to_owned())
        })
        .collect()
}

/// A group as it is written in a field.
pub fn group_text(group: &[Relation]) -> String {
    group.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_bookworm_are_read_and_written_back() {
        for (field, expected) in [
            ("", vec![]),
            ("libssl3 (= 3.0.20-1~deb12u1)", vec!["libssl3 (= 3.0.20-1~deb12u1)"]),
            (
                "libc6 (>= 2.34), debconf (>= 0.5) | debconf-2.0",
                vec!["libc6 (>= 2.34)", "debconf (>= 0.5) | debconf-2.0"],
            ),
            ("python3:any,\n libfoo(<<2)", vec!["python3:any", "libfoo (<< 2)"]),
            ("gcc-12-base (> 1) , x11-common (< 2)", vec!["gcc-12-base (>= 1)", "x11-common (<= 2)"]),
        ] {
            let read: Vec<String> = groups(field).unwrap().iter().map(|group| group_text(group)).collect();
            assert_eq!(read, expected, "{field}");
        }
        for (field, broken) in [
            ("libc6 (>= 2.34", "libc6 (>= 2.34"),
            ("a1 (~ 2)", "a1 (~ 2)"),
            ("ok1, | b1", "| b1"),
            ("b1 (=)", "b1 (=)"),
        ] {
            assert_eq!(groups(field).unwrap_err(), broken, "{field}");
        }
    }

    #[test]
    fn conditions_hold_or_do_not() {
        for (relation, version, expected) in [
            ("a1", "1", true),
            ("a1 (>= 2.36)", "2.36-9", true),
            ("a1 (>= 2.36)", "2.35-9", false),
            ("a1 (>> 2)", "2", false),
            ("a1 (<< 2)", "2~rc1", true),
            ("a1 (<= 2)", "2", true),
            ("a1 (= 2)", "2-0", true),
            ("a1 (= 2)", "2-1", false),
        ] {
            let read = Relation::parse(relation).unwrap();
            assert_eq!(read.allows(&Version::new(version)), expected, "{relation} {version}");
        }
        for (relation, expected) in [("a1", true), ("a1:any", true), ("a1:arm64", true), ("a1:amd64", false)] {
            assert_eq!(Relation::parse(relation).unwrap().is_for("arm64"), expected, "{relation}");
        }
    }
}
