//! The glibc of a base becomes what a program over it is linked against: the same version, where a compiler has each of
//! them, or the compiler's own.

use super::{Libc, Request, Tool, ToolRow, Toolchain, ToolchainRow, Toolchains};

/// A version of glibc, major and minor.
type Version = (u32, u32);

/// How the first row that links against glibc does so over a base that has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverGlibc {
    /// against any version that is named
    Named {
        /// the highest that the row has and that is not newer than the base's
        libc: Libc,
        /// true when it is older than the base's, since the row has none so new
        newest: bool,
    },
    /// against the one that its compiler comes with, which may be newer than the base's
    Own {
        /// the row
        row: String,
        /// the compiler, which knows where its libc is: a tool, and what stands before other arguments; `None` where the
        /// row does not say
        compiler: Option<Box<(Tool, Vec<String>)>>,
    },
    /// the base's is older than all that the row has
    TooOld {
        /// the row
        row: String,
        /// the oldest that it has
        oldest: Version,
    },
    /// there is no such row, or the one that was asked for is none
    Nowhere,
}

impl Toolchains {
    /// How a program is linked over a base whose glibc has the version `has`; the libc of `request` plays no part.
    #[must_use]
    pub fn over_glibc(&self, request: &Request, has: Version) -> OverGlibc {
        let Some(facts) = self.platform(request.platform) else { return OverGlibc::Nowhere };
        let asked = |row: &&&ToolchainRow| request.row.as_ref().is_none_or(|name| row.name == *name);
        let of_language: Vec<&ToolchainRow> =
            self.compilers.iter().filter(|row| row.language == request.language).collect();
        for row in of_language.iter().filter(asked) {
            let links = |libc: Libc| {
                // Whether there is C in it is no question: what links against glibc compiles C.
                let wish = Request { libc: Some(libc), row: Some(row.name.clone()), c: false, ..request.clone() };
                self.select(&wish).ok()
            };
            let Some(chosen) = links(Libc::Gnu(None)) else { continue };
            if !chosen.brings_libc() {
                return OverGlibc::Own { row: row.name.clone(), compiler: compiler(&chosen).map(Box::new) };
            }
            let newest = self.newest_glibc(row);
            let version = newest.map_or(has, |newest| newest.min(has));
            let oldest = facts.oldest_glibc();
            return match oldest {
                Some(Libc::Gnu(Some(oldest))) if version < oldest => {
                    OverGlibc::TooOld { row: row.name.clone(), oldest }
                }
                _ => OverGlibc::Named { libc: Libc::Gnu(Some(version)), newest: version < has },
            };
        }
        OverGlibc::Nowhere
    }

    /// The newest glibc that the tools of a row have, where they say so.
    fn newest_glibc(&self, row: &ToolchainRow) -> Option<Version> {
        let tools = self.tools.iter().filter(|tool| row.tools.contains(&tool.name));
        tools.filter_map(ToolRow::newest_glibc).min()
    }
}

/// Who knows which libc a toolchain links against.
fn compiler(toolchain: &Toolchain) -> Option<(Tool, Vec<String>)> {
    let tool = |name: &str| toolchain.tools.iter().find(|tool| tool.name == name).cloned();
    let Some(c) = &toolchain.c else { return Some((tool("gcc")?, Vec::new())) };
    let (name, arguments) = c.commands.get("cc")?.split_first()?;
    Some((tool(name)?, [arguments, &c.flags].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toolchain::Language;

    fn over(language: Language, platform: &str, row: Option<&str>, has: Version) -> OverGlibc {
        let (platform, row) = (platform.parse().unwrap(), row.map(str::to_owned));
        let request = Request { language, platform, libc: None, c: false, row, sysroot: false };
        Toolchains::built_in().unwrap().over_glibc(&request, has)
    }

    #[test]
    fn a_version_that_zig_has_is_taken_as_it_is() {
        let named = |version, newest| OverGlibc::Named { libc: Libc::Gnu(Some(version)), newest };
        for language in [Language::Rust, Language::C] {
            assert_eq!(over(language, "linux/arm64", None, (2, 31)), named((2, 31), false));
            assert_eq!(over(language, "linux/arm/v7", Some("zig"), (2, 36)), named((2, 36), false));
            assert_eq!(over(language, "linux/386", None, (2, 17)), named((2, 17), false));
            // Not by gcc, which Rust without C is linked by when it is to be static.
            assert_eq!(over(language, "linux/s390x", None, (2, 36)), named((2, 36), false));
            let OverGlibc::Named { libc: Libc::Gnu(Some(version)), newest: true } =
                over(language, "linux/arm64", None, (9, 1))
            else {
                panic!("zig has some version")
            };
            assert!(version >= (2, 44), "{version:?}");
        }
    }

    #[test]
    fn what_is_older_than_all_that_zig_has_is_said() {
        let too_old = |oldest| OverGlibc::TooOld { row: "zig".into(), oldest };
        for (platform, has, oldest) in [
            ("linux/arm64", (2, 13), (2, 17)),
            ("linux/ppc64le", (2, 31), (2, 32)),
            ("linux/riscv64", (2, 26), (2, 27)),
        ] {
            assert_eq!(over(Language::C, platform, None, has), too_old(oldest), "{platform}");
        }
    }

    #[test]
    fn a_gcc_is_asked_what_it_links_against() {
        let asked = |language, platform: &str| match over(language, platform, Some("gcc"), (2, 31)) {
            OverGlibc::Own { row, compiler: Some(compiler) } => {
                let (tool, arguments) = *compiler;
                (row, tool.commands[0].join(" "), arguments.join(" "))
            }
            other => panic!("{other:?}"),
        };
        let expected = |command: &str, arguments: &str| ("gcc".to_owned(), command.to_owned(), arguments.to_owned());
        assert_eq!(asked(Language::Rust, "linux/arm64"), expected("aarch64-linux-gnu-gcc", ""));
        assert_eq!(asked(Language::C, "linux/arm/v7"), expected("arm-linux-gnueabihf-gcc", ""));
        assert_eq!(asked(Language::C, "linux/amd64/v3"), expected("x86_64-linux-gnu-gcc", "-march=x86-64-v3"));
    }

    #[test]
    fn a_row_that_has_no_glibc_leaves_the_program_static() {
        assert_eq!(over(Language::Rust, "linux/arm64", Some("rust-lld"), (2, 31)), OverGlibc::Nowhere);
        assert_eq!(over(Language::C, "linux/arm/v6", Some("gcc"), (2, 31)), OverGlibc::Nowhere);
        assert_eq!(over(Language::Rust, "windows/amd64", None, (2, 31)), OverGlibc::Nowhere);
    }
}
