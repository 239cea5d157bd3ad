//! `[[program]]`: one binary to build, and `[program.platform."..."]`: what is different for one platform.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::collections::{ByPlatform, OneOrMany, Variables};
use super::schema::describe;
use super::sysroot::SysrootWish;
use super::values::{BuildStd, BuildSystemName, LanguageName, LibcName, ProgramName};
use crate::platform::Platform;
use crate::toolchain::Language;

const EVERY: &[Language] = &[Language::Go, Language::Rust, Language::C, Language::Command, Language::Prebuilt];
const BUILT: &[Language] = &[Language::Go, Language::Rust, Language::C, Language::Command];
const COMPILED: &[Language] = &[Language::Go, Language::Rust, Language::C];
const GO: &[Language] = &[Language::Go];
const GO_AND_C: &[Language] = &[Language::Go, Language::C];
const RUST: &[Language] = &[Language::Rust];
const C: &[Language] = &[Language::C];
const COMMAND: &[Language] = &[Language::Command];
const C_AND_COMMAND: &[Language] = &[Language::C, Language::Command];
const PREBUILT: &[Language] = &[Language::Prebuilt];

/// A key of a program as it was written: its name, its value's span, the languages that know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenKey {
    /// as in the file
    pub key: &'static str,
    /// of the value
    pub span: Range<usize>,
    /// the languages that have this key
    pub languages: &'static [Language],
}

/// How the value for one platform joins the value for all.
pub(super) trait Overlay: Clone {
    /// This value, laid over `below`.
    fn over(&self, below: &Self) -> Self;
}

/// Values that replace each other.
macro_rules! replaces {
    ($($type:ty),* $(,)?) => {$(
        impl Overlay for Spanned<$type> {
            fn over(&self, _below: &Self) -> Self {
                self.clone()
            }
        }
    )*};
}
pub(super) use replaces;
replaces!(String, bool, BuildStd, BuildSystemName, LibcName, SysrootWish, Vec<Spanned<String>>, OneOrMany<String>);

impl Overlay for Spanned<Variables> {
    /// Variables are joined by name: the others stay.
    fn over(&self, below: &Self) -> Self {
        let mut variables = below.get_ref().0.clone();
        variables.extend(self.get_ref().0.clone());
        Spanned::new(self.span(), Variables(variables))
    }
}

impl<T: Overlay> Overlay for Option<T> {
    fn over(&self, below: &Self) -> Self {
        match (self, below) {
            (Some(value), Some(below)) => Some(value.over(below)),
            (value, below) => value.clone().or_else(|| below.clone()),
        }
    }
}

/// Makes both tables of one list of keys, so that a key, its type, its meaning and its languages stand in one place.
macro_rules! program {
    (
        identity { $($(#[doc = $identity_doc:literal])* $identity:ident: $identity_type:ty => $identity_languages:ident,)* }
        settings { $($(#[doc = $setting_doc:literal])* $setting:ident: $setting_type:ty => $setting_languages:ident,)* }
    ) => {
        /// One binary to build: what it is, and how it is built.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct ProgramFile {
            $($(#[doc = $identity_doc])* pub $identity: Option<Spanned<$identity_type>>,)*
            $($(#[doc = $setting_doc])* pub $setting: Option<Spanned<$setting_type>>,)*
            /// settings for one platform, over those for all
            pub platform: ByPlatform<ProgramSettings>,
        }

        /// How a program is built: what `[program.platform."..."]` may set.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct ProgramSettings {
            $($(#[doc = $setting_doc])* pub $setting: Option<Spanned<$setting_type>>,)*
        }

        impl ProgramSettings {
            /// The keys that were written.
            #[must_use]
            pub fn written(&self) -> Vec<WrittenKey> {
                let mut written = Vec::new();
                $(written.extend(written_key(stringify!($setting), self.$setting.as_ref(), $setting_languages));)*
                written
            }

            fn over(&self, below: &Self) -> Self {
                Self { $($setting: self.$setting.over(&below.$setting),)* }
            }
        }

        impl ProgramFile {
            /// The settings for all platforms.
            #[must_use]
            pub fn settings(&self) -> ProgramSettings {
                ProgramSettings { $($setting: self.$setting.clone(),)* }
            }

            /// The keys that were written, without those for one platform.
            #[must_use]
            pub fn written(&self) -> Vec<WrittenKey> {
                let mut written = self.settings().written();
                $(written.extend(written_key(stringify!($identity), self.$identity.as_ref(), $identity_languages));)*
                written
            }
        }

        describe! { ProgramFile, "one binary to build: what it is, and how it is built", {
            $($identity: Option<Spanned<$identity_type>> = concat!($($identity_doc),*),)*
            $($setting: Option<Spanned<$setting_type>> = concat!($($setting_doc),*),)*
            platform: ByPlatform<ProgramSettings> = "settings for one platform, over those for all",
        } }
        describe! { ProgramSettings, "how a program is built for one platform", {
            $($setting: Option<Spanned<$setting_type>> = concat!($($setting_doc),*),)*
        } }
    };
}

fn written_key<T>(key: &'static str, value: Option<&Spanned<T>>, languages: &'static [Language]) -> Option<WrittenKey> {
    value.map(|value| WrittenKey { key, span: value.span(), languages })
}

program! {
    identity {
        /// Go: an import path or folder (`./cmd/app`); Rust: a package of the workspace; C and commands: a folder. Found
        /// when not given.
        package: String => BUILT,
        /// what the program is called in the image
        name: ProgramName => EVERY,
        /// found when not given
        language: LanguageName => EVERY,
        /// its path in the image, `/usr/local/bin/NAME` when not given; a template
        destination: String => EVERY,
        /// the binary target of the package
        bin: String => RUST,
        /// every binary target of the package
        bins: bool => RUST,
    }
    settings {
        /// Go's `-ldflags`, or flags of the C linker; templates
        ldflags: OneOrMany<String> => GO_AND_C,
        /// Go's `-gcflags`; templates
        gcflags: OneOrMany<String> => GO,
        /// Go's build tags; templates
        tags: OneOrMany<String> => GO,
        /// false: Go stamps no commit into the binary (`-buildvcs=false`)
        buildvcs: bool => GO,
        /// true: C in Go packages is compiled
        cgo: bool => GO,
        /// variables for the compiler; templates
        env: Variables => BUILT,
        /// cargo's `--features`
        features: OneOrMany<String> => RUST,
        /// cargo's `--all-features`
        all_features: bool => RUST,
        /// cargo's `--no-default-features`
        no_default_features: bool => RUST,
        /// cargo's `--profile`, `release` when not given
        profile: String => RUST,
        /// `true`, or the name of a nightly toolchain: the standard library is compiled too
        build_std: BuildStd => RUST,
        /// `auto`, the default: that of the base; `static`; `musl`, `gnu` or `gnu.2.28`
        libc: LibcName => BUILT,
        /// the name of a toolchain row: `rust-lld`, `zig`, `gcc`
        toolchain: String => BUILT,
        /// a folder with headers and libraries of the platform (a template), or `{ debian = "bookworm", packages = [...] }`
        sysroot: SysrootWish => BUILT,
        /// how C is built: `plain`, `cmake`, `make`, `configure` or `meson`; found when not given
        build: BuildSystemName => C,
        /// what is built of a C project; `plain`: the file that has `main`, without its extension
        target: String => C,
        /// arguments of `cmake`, `make`, `configure` or `meson`; templates
        args: OneOrMany<String> => C,
        /// what is run: a line for `sh`, or a list of words; templates
        command: OneOrMany<String> => COMMAND,
        /// where the binary is: below the build folder of C, or below the project for a command; a template
        output: String => C_AND_COMMAND,
        /// true: what the project installs goes into the layer
        install: bool => C,
        /// flags of the C and C++ compilers; templates; for Go with `cgo = true`
        cflags: OneOrMany<String> => GO_AND_C,
        /// libraries to link, `m` for `-lm`; for Go with `cgo = true`
        libs: OneOrMany<String> => GO_AND_C,
        /// whether some crate compiles C; found when not given
        c: bool => RUST,
        /// whether symbols are taken out (Go: `-s -w`)
        strip: bool => COMPILED,
        /// the binary that something else built; a template
        path: String => PREBUILT,
    }
}

impl ProgramFile {
    /// True when C in Go packages is compiled for some platform.
    #[must_use]
    pub fn uses_cgo(&self) -> bool {
        let says = |cgo: &Option<Spanned<bool>>| cgo.as_ref().is_some_and(|cgo| *cgo.get_ref());
        says(&self.cgo) || self.platform.0.values().any(|special| says(&special.get_ref().cgo))
    }

    /// The settings that hold for `platform`: those for all, and over them those for exactly this platform.
    /// Variables of `env` are joined by name.
    #[must_use]
    pub fn settings_for(&self, platform: Platform) -> ProgramSettings {
        let common = self.settings();
        match self.platform.0.get(&platform) {
            Some(special) => special.get_ref().over(&common),
            None => common,
        }
    }
}
