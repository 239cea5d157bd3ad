//! `libc = "auto"`: the libcs of the bases that a program goes on become the one that it is linked against, and why.

use serde::Serialize;

use crate::hint::Hint;
use crate::platform::Platform;
use crate::toolchain::{Libc, OverGlibc};
use crate::verify::ImageLibc;

/// A base that a program goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// the name the user gave it
    pub base: String,
    /// its libc; `None` where its layers were not read
    pub libc: Option<ImageLibc>,
    /// the platform of it that serves only static programs of the one that is asked for, if that is the only one there
    pub only_static: Option<Platform>,
}

/// How `libc = "auto"` came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AutoLibc {
    /// a libc
    Chosen {
        /// the libc; `None` for whichever gives a static binary
        libc: Option<Libc>,
        /// why
        because: String,
    },
    /// nothing yet: this base was not read
    Unread {
        /// its name
        base: String,
    },
    /// none of those that there are
    Unfit(UnfitLibc),
}

/// Why no libc fits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitLibc {
    /// The base is older than what a compiler has for it.
    #[error(
        "the base `{base}` has glibc {}, and the oldest that `{row}` has for {platform} is {}",
        version(*.has), version(*.oldest)
    )]
    TooOld {
        /// the base
        base: String,
        /// its glibc
        has: (u32, u32),
        /// the row
        row: String,
        /// the platform
        platform: Platform,
        /// the oldest glibc of the row
        oldest: (u32, u32),
    },
    /// What a compiler makes is too new for the base.
    #[error("`{compiler}` links against glibc {}, and the base `{base}` has glibc {}", version(*.links), version(*.has))]
    TooNew {
        /// the base
        base: String,
        /// its glibc
        has: (u32, u32),
        /// the compiler
        compiler: String,
        /// its glibc
        links: (u32, u32),
        /// another row that would do
        other: Option<String>,
    },
    /// A compiler that does not say what it links against.
    #[error("which glibc the toolchain `{row}` links against is not known, and the base `{base}` has glibc {}", version(*.has))]
    Untold {
        /// the base
        base: String,
        /// its glibc
        has: (u32, u32),
        /// the row
        row: String,
    },
    /// A base that does not say what it has.
    #[error("the base `{base}` has the loader of a glibc, and no `libc.so.6` that says its version")]
    NoVersion {
        /// the base
        base: String,
    },
}

/// How a version of glibc is written.
fn version((major, minor): (u32, u32)) -> String {
    format!("{major}.{minor}")
}

const STATIC: &str = "libc = \"static\"";

impl Hint for UnfitLibc {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::TooOld { oldest, .. } => {
                vec![STATIC.to_owned(), format!("take a base with glibc {} or newer", version(*oldest))]
            }
            Self::TooNew { links, other, .. } => {
                let other = other.iter().map(|row| format!("toolchain = \"{row}\""));
                let newer = format!("take a base with glibc {} or newer", version(*links));
                other.chain([STATIC.to_owned(), newer]).collect()
            }
            Self::Untold { .. } | Self::NoVersion { .. } => vec![STATIC.to_owned(), "libc = \"gnu\"".to_owned()],
        }
    }
}

/// What a compiler says of the glibc that it links against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// its version
    Version((u32, u32)),
    /// nothing, since it is not on this machine
    NotThere,
    /// nothing that is understood
    Nothing,
}

/// What rows and compilers have to offer to a program on one platform.
pub struct Offer<'offer> {
    /// how the first row that fits links against a glibc
    pub over: &'offer dyn Fn((u32, u32)) -> OverGlibc,
    /// asks the compiler of an [`OverGlibc::Own`], by what it is called, for its glibc
    pub told: &'offer mut dyn FnMut(&OverGlibc) -> (String, Told),
    /// another row that would link against that glibc
    pub other: &'offer dyn Fn((u32, u32)) -> Option<String>,
}

impl AutoLibc {
    /// What serves all of `grounds`: a static binary where one of them has no glibc, else the oldest glibc of them.
    ///
    /// One program is compiled once for a platform, however many images it goes into.
    #[must_use]
    pub fn on(platform: Platform, grounds: &[Ground], offer: &mut Offer<'_>) -> Self {
        let fixed = |because: String| Self::Chosen { libc: None, because };
        if let Some(unread) = grounds.iter().find(|ground| ground.only_static.is_none() && ground.libc.is_none()) {
            return Self::Unread { base: unread.base.clone() };
        }
        let mut oldest: Option<(&Ground, (u32, u32))> = None;
        for ground in grounds {
            let base = &ground.base;
            if let Some(lower) = ground.only_static {
                return fixed(format!("base {base} has only {lower}, where no dynamic program for {platform} starts"));
            }
            match &ground.libc {
                Some(ImageLibc::Glibc(Some(has))) if oldest.is_none_or(|(_, oldest)| *has < oldest) => {
                    oldest = Some((ground, *has));
                }
                Some(ImageLibc::Glibc(Some(_))) | None => {}
                Some(ImageLibc::Glibc(None)) => return Self::Unfit(UnfitLibc::NoVersion { base: base.clone() }),
                Some(libc @ (ImageLibc::None | ImageLibc::Musl(_))) => return fixed(format!("base {base} has {libc}")),
            }
        }
        match oldest {
            Some((ground, has)) => Self::over(platform, &ground.base, has, offer),
            None => fixed("there is no base".to_owned()),
        }
    }

    fn over(platform: Platform, base: &str, has: (u32, u32), offer: &mut Offer<'_>) -> Self {
        let of_base = format!("base {base} has glibc {}", version(has));
        let base = base.to_owned();
        let over = (offer.over)(has);
        match &over {
            OverGlibc::Named { libc, newest } => {
                let newest = if *newest { ", which is newer than all that the compiler has" } else { "" };
                Self::Chosen { libc: Some(*libc), because: format!("{of_base}{newest}") }
            }
            OverGlibc::TooOld { row, oldest } => {
                Self::Unfit(UnfitLibc::TooOld { base, has, row: row.clone(), platform, oldest: *oldest })
            }
            OverGlibc::Nowhere => {
                Self::Chosen { libc: None, because: format!("{of_base}, and the toolchain links against none") }
            }
            OverGlibc::Own { row, .. } => {
                let (compiler, told) = (offer.told)(&over);
                match told {
                    Told::Version(links) if links > has => {
                        Self::Unfit(UnfitLibc::TooNew { base, has, compiler, links, other: (offer.other)(has) })
                    }
                    Told::Version(links) => {
                        let because = format!("{of_base}, and {compiler} links against {}", version(links));
                        Self::Chosen { libc: Some(Libc::Gnu(None)), because }
                    }
                    // Nothing is compiled before it is there, and then it is asked.
                    Told::NotThere => Self::Chosen { libc: Some(Libc::Gnu(None)), because: of_base },
                    Told::Nothing => Self::Unfit(UnfitLibc::Untold { base, has, row: row.clone() }),
                }
            }
        }
    }

    /// The libc that a toolchain is asked for; `None` for whichever gives a static binary.
    #[must_use]
    pub fn libc(&self) -> Option<Libc> {
        match self {
            Self::Chosen { libc, .. } => *libc,
            Self::Unread { .. } | Self::Unfit(_) => None,
        }
    }
}

/// What a plan says of a program whose libc is `auto`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedLibc {
    /// `auto`
    pub asked: &'static str,
    /// what was chosen; `None` while the base is not read
    pub chosen: Option<String>,
    /// whether the binary will be static; `None` while the base is not read
    #[serde(rename = "static")]
    pub static_binary: Option<bool>,
    /// why
    pub because: String,
}

impl PlannedLibc {
    /// What `auto` came to with a toolchain that links against `libc`; `None` for what has no libc at all.
    pub(super) fn chosen(auto: &AutoLibc, libc: Option<&Libc>, static_binary: bool) -> Option<Self> {
        let AutoLibc::Chosen { because, .. } = auto else { return None };
        let (chosen, because) = (libc.map(ToString::to_string), because.clone());
        Some(Self { asked: "auto", chosen, static_binary: Some(static_binary), because })
    }

    /// What is still to be read.
    pub(super) fn unread(base: &str) -> Self {
        Self { asked: "auto", chosen: None, static_binary: None, because: format!("base {base} not read yet") }
    }

    /// For people: `libc = auto: gnu.2.31 (base debian:11 has glibc 2.31)`.
    #[must_use]
    pub fn shown(&self) -> String {
        let Self { asked, chosen, static_binary, because } = self;
        let chosen = chosen.as_ref().map_or_else(String::new, |chosen| format!(": {chosen}"));
        let fixed = if *static_binary == Some(true) { ", static" } else { "" };
        format!("libc = {asked}{chosen}{fixed} ({because})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toolchain::{Language, Request, Toolchains};

    fn ground(base: &str, libc: Option<ImageLibc>) -> Ground {
        Ground { base: base.into(), libc, only_static: None }
    }

    fn glibc(base: &str, minor: u32) -> Ground {
        ground(base, Some(ImageLibc::Glibc(Some((2, minor)))))
    }

    /// What is chosen for a C program, by the compiler that says `told`.
    fn on(platform: &str, row: Option<&str>, told: Told, grounds: &[Ground]) -> AutoLibc {
        let rows = Toolchains::built_in().unwrap();
        let platform: Platform = platform.parse().unwrap();
        let request = |row: Option<&str>| {
            let row = row.map(str::to_owned);
            Request { language: Language::C, platform, libc: None, c: true, row, sysroot: false }
        };
        let mut offer = Offer {
            over: &|has| rows.over_glibc(&request(row), has),
            told: &mut |_| ("x-gcc".to_owned(), told),
            other: &|has| match rows.over_glibc(&request(None), has) {
                OverGlibc::Named { .. } => Some("zig".to_owned()),
                _ => None,
            },
        };
        AutoLibc::on(platform, grounds, &mut offer)
    }

    fn chosen(libc: &str, because: &str) -> AutoLibc {
        let libc = (libc != "static").then(|| libc.parse().unwrap());
        AutoLibc::Chosen { libc, because: because.into() }
    }

    #[test]
    fn what_serves_all_bases_is_chosen() {
        let musl = || ground("alpine:3", Some(ImageLibc::Musl(Some("1.2.5".into()))));
        let lower = Ground { only_static: Some("linux/arm/v5".parse().unwrap()), ..ground("d", None) };
        for (grounds, expected) in [
            (vec![glibc("debian:11", 31)], chosen("gnu.2.31", "base debian:11 has glibc 2.31")),
            (vec![glibc("b", 36), glibc("a", 31), glibc("c", 41)], chosen("gnu.2.31", "base a has glibc 2.31")),
            (vec![glibc("a", 31), musl()], chosen("static", "base alpine:3 has musl 1.2.5")),
            (vec![ground("static", Some(ImageLibc::None))], chosen("static", "base static has no libc")),
            (
                vec![lower],
                chosen("static", "base d has only linux/arm/v5, where no dynamic program for linux/arm/v6 starts"),
            ),
            (vec![glibc("a", 31), ground("b", None)], AutoLibc::Unread { base: "b".into() }),
        ] {
            assert_eq!(on("linux/arm/v6", None, Told::Nothing, &grounds), expected);
        }
        let none = on("linux/arm/v6", Some("gcc"), Told::Nothing, &[glibc("a", 31)]);
        assert_eq!(none, chosen("static", "base a has glibc 2.31, and the toolchain links against none"));
    }

    #[test]
    fn a_compiler_with_a_glibc_of_its_own_must_not_be_newer_than_the_base() {
        let grounds = [glibc("debian:11", 31)];
        let gcc = |told| on("linux/arm64", Some("gcc"), told, &grounds);
        for older in [(2, 28), (2, 31)] {
            let because = format!("base debian:11 has glibc 2.31, and x-gcc links against {}", version(older));
            assert_eq!(gcc(Told::Version(older)), chosen("gnu", &because));
        }
        assert_eq!(gcc(Told::NotThere), chosen("gnu", "base debian:11 has glibc 2.31"));
        let unfit = |auto| match auto {
            AutoLibc::Unfit(unfit) => (unfit.to_string(), unfit.hints()),
            other => panic!("{other:?}"),
        };
        let (text, hints) = unfit(gcc(Told::Version((2, 36))));
        assert_eq!(text, "`x-gcc` links against glibc 2.36, and the base `debian:11` has glibc 2.31");
        assert_eq!(
            hints,
            ["toolchain = \"zig\"", "libc = \"static\"", "take a base with glibc 2.36 or newer"].map(str::to_owned)
        );
        let (text, hints) = unfit(gcc(Told::Nothing));
        assert_eq!(
            text,
            "which glibc the toolchain `gcc` links against is not known, and the base `debian:11` has glibc 2.31"
        );
        assert_eq!(hints, ["libc = \"static\"", "libc = \"gnu\""].map(str::to_owned));
    }

    #[test]
    fn a_base_that_no_compiler_serves_is_told_with_the_ways_out() {
        let unfit = |platform, grounds: &[Ground]| match on(platform, None, Told::Nothing, grounds) {
            AutoLibc::Unfit(unfit) => (unfit.to_string(), unfit.hints().join("; ")),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            unfit("linux/ppc64le", &[glibc("debian:11", 31)]),
            (
                "the base `debian:11` has glibc 2.31, and the oldest that `zig` has for linux/ppc64le is 2.32"
                    .to_owned(),
                "libc = \"static\"; take a base with glibc 2.32 or newer".to_owned()
            )
        );
        assert_eq!(
            unfit("linux/arm64", &[ground("odd", Some(ImageLibc::Glibc(None)))]).0,
            "the base `odd` has the loader of a glibc, and no `libc.so.6` that says its version"
        );
    }

    #[test]
    fn a_newer_glibc_than_the_compiler_has_is_served_by_the_newest_that_it_has() {
        let AutoLibc::Chosen { libc: Some(Libc::Gnu(Some(version))), because } =
            on("linux/arm64", None, Told::Nothing, &[glibc("sid", 99)])
        else {
            panic!("zig has some glibc")
        };
        assert!(version < (2, 99));
        assert_eq!(because, "base sid has glibc 2.99, which is newer than all that the compiler has");
    }
}
