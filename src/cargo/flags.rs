//! The flags of Rust and C compilers: the user's effective value first, ours after it, one source for each.

use std::path::{Path, PathBuf};

use crate::invocation::Word;

/// The Rust flags that cargo would use for a target, in its own precedence, and how they can be passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFlags {
    /// all of them
    pub effective: Vec<String>,
    /// those that cargo itself puts before what `CARGO_TARGET_<TRIPLE>_RUSTFLAGS` says (`target.<triple>.rustflags`)
    pub before: Vec<String>,
    /// those that cargo itself puts after it (`target.'cfg(..)'.rustflags`)
    pub after: Vec<String>,
    /// the variable that the others come from, if they do
    pub variable: Option<String>,
}

impl UserFlags {
    /// What `CARGO_TARGET_<TRIPLE>_RUSTFLAGS` has to hold, `ours` included, for cargo to arrive at the effective flags:
    /// it adds what the configuration says about the target. `None` when no value does: `RUSTFLAGS` silences that
    /// configuration but would silence ours too, and a flag with a space cannot be said there.
    #[must_use]
    pub fn as_target_variable(&self, ours: &[String]) -> Option<Word> {
        let rest = self.effective.strip_prefix(self.before.as_slice())?;
        let rest = rest.strip_suffix(self.after.as_slice())?;
        let can_be_said = |flag: &String| !flag.is_empty() && !flag.contains(char::is_whitespace);
        rest.iter().chain(ours).all(can_be_said).then(|| self.joined(rest, ours, " "))
    }

    /// What `CARGO_ENCODED_RUSTFLAGS` has to hold, which replaces every other source, for all targets of the call.
    #[must_use]
    pub fn as_encoded_variable(&self, ours: &[String]) -> Word {
        self.joined(&self.effective, ours, "\u{1f}")
    }

    fn joined(&self, user: &[String], ours: &[String], separator: &str) -> Word {
        let user_word = match &self.variable {
            Some(name) if !user.is_empty() => Some(Word::hiding(user.join(separator), format!("${name}"))),
            _ => (!user.is_empty()).then(|| Word::from(user.join(separator))),
        };
        let ours = (!ours.is_empty()).then(|| Word::from(ours.join(separator)));
        Word::join(&user_word.into_iter().chain(ours).collect::<Vec<_>>(), separator)
    }
}

/// `CARGO_TARGET_<TRIPLE>_RUSTFLAGS` for a triple.
#[must_use]
pub fn rust_flags_variable(triple: &str) -> String {
    format!("CARGO_TARGET_{}_RUSTFLAGS", capitals(triple))
}

/// A triple as it stands in the names of cargo's variables.
pub(super) fn capitals(triple: &str) -> String {
    triple.replace(['-', '.'], "_").to_uppercase()
}

/// The names by which the crate `cc` takes `name` (`CFLAGS`) from the environment, the one that wins first.
pub(super) fn c_variables(name: &str, triple: &str, host: &str) -> [String; 4] {
    let kind = if triple == host { "HOST" } else { "TARGET" };
    [
        format!("{name}_{triple}"),
        format!("{name}_{}", triple.replace(['-', '.'], "_")),
        format!("{kind}_{name}"),
        name.into(),
    ]
}

/// What the crate `cc` would take for `name` (`CFLAGS` or `CXXFLAGS`): the variable that has it, and its value.
pub fn user_c_flags(
    name: &str,
    triple: &str,
    host: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Option<(String, String)> {
    let variables = c_variables(name, triple, host);
    variables.into_iter().find_map(|variable| environment(&variable).map(|value| (variable, value)))
}

/// A folder of this machine and what stands for it in a binary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remap {
    /// the folder
    pub from: PathBuf,
    /// what stands for it
    pub to: String,
}

impl Remap {
    /// `from` shows as `to`.
    #[must_use]
    pub fn new(from: &Path, to: &str) -> Self {
        Self { from: from.to_owned(), to: to.to_owned() }
    }

    /// The flag that tells rustc so.
    #[must_use]
    pub fn rust_flag(&self) -> String {
        format!("--remap-path-prefix={}={}", self.from.display(), self.to)
    }

    /// The flag that tells gcc and clang so.
    #[must_use]
    pub fn c_flag(&self) -> String {
        format!("-ffile-prefix-map={}={}", self.from.display(), self.to)
    }
}

/// Sorted for rustc, gcc and clang, where the last of several that fit wins: folders inside of others come after them.
#[must_use]
pub fn in_order(mut remaps: Vec<Remap>) -> Vec<Remap> {
    remaps.sort_by_key(|remap| (remap.from.as_os_str().len(), remap.clone()));
    remaps.dedup_by(|later, earlier| later.from == earlier.from);
    remaps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn cargo_arrives_at_the_users_flags_and_ours() {
        // What the configuration says about a target is added by cargo itself, so it is not passed again.
        for (effective, before, after, expected) in [
            (vec!["-Ca"], vec![], vec![], Some("-Ca -Cours")),
            (vec![], vec![], vec![], Some("-Cours")),
            (vec!["-Cfile", "-Cenv", "-Ccfg"], vec!["-Cfile"], vec!["-Ccfg"], Some("-Cenv -Cours")),
            (vec!["-Cfile"], vec!["-Cfile"], vec![], Some("-Cours")),
            (vec!["-Crustflags"], vec!["-Cfile"], vec![], None),
            (vec![], vec![], vec!["-Ccfg"], None),
            (vec!["-Clink-arg=a b"], vec![], vec![], None),
        ] {
            let flags = UserFlags {
                effective: words(&effective),
                before: words(&before),
                after: words(&after),
                variable: None,
            };
            let passed = flags.as_target_variable(&words(&["-Cours"]));
            assert_eq!(passed.as_ref().map(Word::value), expected, "{flags:?}");
            let encoded: Vec<&str> = effective.iter().copied().chain(["-Cours"]).collect();
            assert_eq!(flags.as_encoded_variable(&words(&["-Cours"])).value(), encoded.join("\u{1f}"));
        }
    }

    #[test]
    fn a_value_of_the_environment_is_shown_by_its_name() {
        let flags = UserFlags {
            effective: words(&["--cfg=key=hunter2"]),
            variable: Some("RUSTFLAGS".into()),
            ..UserFlags::default()
        };
        let word = flags.as_target_variable(&words(&["-Cours"])).unwrap();
        assert_eq!(word.value(), "--cfg=key=hunter2 -Cours");
        assert_eq!(word.shown(), "$RUSTFLAGS -Cours");
    }

    #[test]
    fn the_most_specific_c_variable_wins() {
        let of = |set: &'static [&'static str], host: &str| {
            let environment = |name: &str| set.contains(&name).then(|| format!("value of {name}"));
            user_c_flags("CFLAGS", "aarch64-unknown-linux-musl", host, &environment).map(|(name, _)| name)
        };
        let host = "x86_64-unknown-linux-gnu";
        for (set, found) in [
            (&["CFLAGS", "TARGET_CFLAGS"][..], Some("TARGET_CFLAGS")),
            (&["CFLAGS", "CFLAGS_aarch64_unknown_linux_musl"], Some("CFLAGS_aarch64_unknown_linux_musl")),
            (
                &["CFLAGS_aarch64-unknown-linux-musl", "CFLAGS_aarch64_unknown_linux_musl"],
                Some("CFLAGS_aarch64-unknown-linux-musl"),
            ),
            (&["HOST_CFLAGS"], None),
            (&[], None),
        ] {
            assert_eq!(of(set, host).as_deref(), found);
        }
        assert_eq!(of(&["HOST_CFLAGS"], "aarch64-unknown-linux-musl").as_deref(), Some("HOST_CFLAGS"));
    }

    #[test]
    fn inner_folders_come_after_outer_ones() {
        let remaps = in_order(vec![
            Remap::new(Path::new("/w/target"), "/target"),
            Remap::new(Path::new("/w"), "/src"),
            Remap::new(Path::new("/w/target"), "/target"),
        ]);
        let flags: Vec<String> = remaps.iter().map(Remap::rust_flag).collect();
        assert_eq!(flags, ["--remap-path-prefix=/w=/src", "--remap-path-prefix=/w/target=/target"]);
        assert_eq!(remaps[0].c_flag(), "-ffile-prefix-map=/w=/src");
    }
}
