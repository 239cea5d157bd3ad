//! What a template may ask git becomes git's arguments, and git's output becomes the answer. Starts nothing: whoever
//! may start processes runs `git` with [`GitFact::arguments`] and [`ENVIRONMENT`], without [`UNSET`], in the project's
//! folder and hands the output to [`read`].

use std::path::{Path, PathBuf};

use crate::hint::Hint;

/// Variables for every `git`: messages in the words that [`read`] knows, and no write that can be left out.
pub const ENVIRONMENT: [(&str, &str); 2] = [("LC_ALL", "C"), ("GIT_OPTIONAL_LOCKS", "0")];

/// Variables that no `git` of ours has: a hook or an alias sets them for the repository that it runs in, and git would
/// answer for that one instead of the folder where it is asked.
pub const UNSET: [&str; 5] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_PREFIX", "GIT_INDEX_FILE", "GIT_COMMON_DIR"];

/// Digits of `git.short_commit`. Fixed, as git's own choice grows with the number of objects in the clone, and a
/// shallow clone would give another image than a full one.
const SHORT_COMMIT_DIGITS: usize = 7;

/// The arguments with which `git` lists what it tracks in the folder where it is asked, that of submodules too.
/// [`read_tracked`] reads the list.
pub const TRACKED: &[&str] = &["ls-files", "-z", "--cached", "--recurse-submodules"];

/// Something that git knows about the checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GitFact {
    /// the tag at HEAD exactly: of several the highest version, a name that reads as a version before one that does not
    Tag,
    /// the nearest tag, the distance to it and `-dirty`: always answers where there is a commit
    Describe,
    /// HEAD in full
    Commit,
    /// HEAD's first seven digits
    ShortCommit,
    /// when HEAD was committed, in seconds since 1970; no template asks it, `created = "commit"` does
    CommitTime,
}

impl GitFact {
    /// The facts that a template can ask, as `git.NAME`.
    pub const IN_TEMPLATES: [(&'static str, Self); 4] = [
        ("tag", Self::Tag),
        ("describe", Self::Describe),
        ("commit", Self::Commit),
        ("short_commit", Self::ShortCommit),
    ];

    /// The arguments with which `git` tells.
    #[must_use]
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            // Not `git tag`, whose output the user's column.ui shapes. The suffix puts v1.0.0-rc1 below v1.0.0.
            Self::Tag => &[
                "-c",
                "versionsort.suffix=-",
                "for-each-ref",
                "--points-at=HEAD",
                "--sort=-version:refname",
                "--format=%(refname:strip=2)",
                "refs/tags",
            ],
            // With --abbrev for the reason of SHORT_COMMIT_DIGITS.
            Self::Describe => &["describe", "--tags", "--always", "--dirty", "--abbrev=7"],
            Self::Commit | Self::ShortCommit => &["rev-parse", "--verify", "HEAD"],
            // Without the signature that log.showSignature would print in front.
            Self::CommitTime => &["-c", "log.showSignature=false", "log", "-1", "--format=%ct", "HEAD"],
        }
    }
}

/// What a `git` that ended left behind.
#[derive(Clone, Copy, Debug)]
pub struct GitOutput<'a> {
    /// whether it ended with 0
    pub success: bool,
    /// its standard output
    pub stdout: &'a [u8],
    /// its standard error
    pub stderr: &'a [u8],
}

/// Why git does not say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    /// There is no program `git`.
    #[error("git is not installed")]
    NotInstalled,
    /// No checkout here or above.
    #[error("`{}` is not in a git checkout", folder.display())]
    NotACheckout {
        /// where git was asked
        folder: PathBuf,
    },
    /// A checkout before its first commit.
    #[error("the git checkout has no commit yet")]
    NoCommit,
    /// HEAD has no tag.
    #[error("HEAD has no tag")]
    NoTag,
    /// The checkout is another user's, and git will not read it.
    #[error("git does not trust `{}`, which belongs to another user", folder.display())]
    Distrusted {
        /// the checkout that git names
        folder: PathBuf,
    },
    /// git failed otherwise.
    #[error("`git {}` failed: {message}", arguments.join(" "))]
    Failed {
        /// what it was asked
        arguments: &'static [&'static str],
        /// the last line of what it said
        message: String,
    },
    /// git ended well with something that cannot be its answer.
    #[error("`git {}` gave no answer that can be read: `{answer}`", arguments.join(" "))]
    Unreadable {
        /// what it was asked
        arguments: &'static [&'static str],
        /// the first line of it
        answer: String,
    },
}

impl GitError {
    /// True when there is nothing to know, rather than something that git keeps from us: only then may another
    /// source answer in git's place.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::NotACheckout { .. } | Self::NoCommit | Self::NoTag)
    }
}

impl Hint for GitError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotInstalled => vec!["apt-get install git".into()],
            Self::NotACheckout { .. } => vec!["git init".into()],
            Self::NoCommit => vec!["git commit --all".into()],
            Self::NoTag => vec!["git tag v0.1.0".into(), "git fetch --tags".into()],
            Self::Distrusted { folder } => {
                vec![format!("git config --global --add safe.directory {}", shell_word(&folder.to_string_lossy()))]
            }
            Self::Failed { .. } | Self::Unreadable { .. } => Vec::new(),
        }
    }
}

/// A text as one word of a POSIX shell.
fn shell_word(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:@%".contains(letter);
    if !text.is_empty() && text.chars().all(plain) { text.into() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Reads what `git` with the arguments of `fact` left behind; `folder` is where it was run.
///
/// # Errors
/// When git does not know, or failed.
pub fn read(fact: GitFact, output: GitOutput<'_>, folder: &Path) -> Result<String, GitError> {
    let arguments = fact.arguments();
    if !output.success {
        return Err(failure(arguments, &String::from_utf8_lossy(output.stderr), folder));
    }
    let text = String::from_utf8_lossy(output.stdout);
    let unreadable =
        || GitError::Unreadable { arguments, answer: text.lines().next().unwrap_or_default().trim().to_owned() };
    let text = std::str::from_utf8(output.stdout).map_err(|_| unreadable())?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    if fact == GitFact::Tag {
        let tags: Vec<&str> = lines.collect();
        let tag = tags.iter().find(|tag| reads_as_version(tag)).or(tags.first());
        return tag.map(|tag| (*tag).to_owned()).ok_or(GitError::NoTag);
    }
    let answer = lines.next().ok_or_else(unreadable)?;
    let is_digest = answer.len() >= 40 && answer.bytes().all(|byte| byte.is_ascii_hexdigit());
    match fact {
        GitFact::Tag | GitFact::Describe => Ok(answer.to_owned()),
        GitFact::Commit if is_digest => Ok(answer.to_owned()),
        GitFact::ShortCommit if is_digest => Ok(answer[..SHORT_COMMIT_DIGITS].to_owned()),
        GitFact::CommitTime if answer.parse::<i64>().is_ok() => Ok(answer.to_owned()),
        _ => Err(unreadable()),
    }
}

/// Reads what `git` with [`TRACKED`] left behind: paths below `folder`, where it was run, each once and in order. What is
/// staged is tracked; a submodule that is not checked out is listed as itself.
///
/// # Errors
/// When git failed, or a path is no UTF-8.
pub fn read_tracked(output: GitOutput<'_>, folder: &Path) -> Result<Vec<String>, GitError> {
    if !output.success {
        return Err(failure(TRACKED, &String::from_utf8_lossy(output.stderr), folder));
    }
    let mut paths = Vec::new();
    for path in output.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty()) {
        let path = std::str::from_utf8(path).map_err(|_| GitError::Unreadable {
            arguments: TRACKED,
            answer: String::from_utf8_lossy(path).into_owned(),
        })?;
        paths.push(path.to_owned());
    }
    paths.sort();
    // A file with a merge conflict is there once for each side.
    paths.dedup();
    Ok(paths)
}

/// Sorts git's messages (of `LC_ALL=C`, git 2.20 to 2.50) into what can be done about them.
fn failure(arguments: &'static [&'static str], stderr: &str, folder: &Path) -> GitError {
    const NO_COMMIT: [&str; 6] = [
        "ambiguous argument 'HEAD'",
        "malformed object name",
        "Needed a single revision",
        "bad revision 'HEAD'",
        "Not a valid object name HEAD",
        "does not have any commits yet",
    ];
    if stderr.contains("not a git repository") {
        return GitError::NotACheckout { folder: folder.to_owned() };
    }
    // "detected dubious ownership in repository at 'FOLDER'", before git 2.37 "unsafe repository ('FOLDER' is owned ...".
    if stderr.contains("dubious ownership") || stderr.contains("unsafe repository") {
        let named = stderr
            .lines()
            .find_map(|line| line.trim().strip_prefix("git config --global --add safe.directory "))
            .map(|word| word.trim_matches('\''));
        return GitError::Distrusted { folder: named.map_or_else(|| folder.to_owned(), PathBuf::from) };
    }
    if NO_COMMIT.iter().any(|words| stderr.contains(words)) {
        return GitError::NoCommit;
    }
    let last = stderr.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
    let message = last.strip_prefix("fatal: ").or_else(|| last.strip_prefix("error: ")).unwrap_or(last);
    GitError::Failed { arguments, message: message.to_owned() }
}

/// Whether a tag's name is a number with or without a `v` in front.
fn reads_as_version(tag: &str) -> bool {
    tag.strip_prefix('v').unwrap_or(tag).starts_with(|first: char| first.is_ascii_digit())
}

/// The version that a tag names: `v1.2.3` is 1.2.3.
#[must_use]
pub fn version_of_tag(tag: &str) -> &str {
    match tag.strip_prefix('v') {
        Some(version) if reads_as_version(version) => version,
        _ => tag,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &[u8] = b"0123456789abcdef0123456789abcdef01234567\n";

    fn answer(fact: GitFact, stdout: &[u8]) -> Result<String, GitError> {
        read(fact, GitOutput { success: true, stdout, stderr: b"" }, Path::new("src"))
    }

    #[test]
    fn output_becomes_the_answer() {
        for (fact, stdout, expected) in [
            (GitFact::Tag, &b"v1.0.0\n"[..], "v1.0.0"),
            (GitFact::Tag, b"v1.0.0\nv1.0.0-rc1\n", "v1.0.0"),
            (GitFact::Tag, b"zzz\nv2.0.0\nlatest\n", "v2.0.0"),
            (GitFact::Tag, b"stable\nlatest\n", "stable"),
            (GitFact::Describe, b"v1.0.0-3-gabcdef0-dirty\n", "v1.0.0-3-gabcdef0-dirty"),
            (GitFact::Commit, HASH, "0123456789abcdef0123456789abcdef01234567"),
            (GitFact::ShortCommit, HASH, "0123456"),
            (GitFact::CommitTime, b"1700000000\n", "1700000000"),
        ] {
            assert_eq!(answer(fact, stdout).unwrap(), expected, "{fact:?}");
        }
    }

    #[test]
    fn an_answer_that_cannot_be_is_an_error() {
        for (fact, stdout, message) in [
            (GitFact::Tag, &b""[..], "HEAD has no tag"),
            (GitFact::Commit, b"", "`git rev-parse --verify HEAD` gave no answer that can be read: ``"),
            (
                GitFact::ShortCommit,
                b"HEAD\nmore\n",
                "`git rev-parse --verify HEAD` gave no answer that can be read: `HEAD`",
            ),
            (
                GitFact::CommitTime,
                b"gpg: no\n",
                "`git -c log.showSignature=false log -1 --format=%ct HEAD` gave no answer that can be read: `gpg: no`",
            ),
            (
                GitFact::Describe,
                b"\xff\n",
                "`git describe --tags --always --dirty --abbrev=7` gave no answer that can be read: `\u{fffd}`",
            ),
        ] {
            assert_eq!(answer(fact, stdout).unwrap_err().to_string(), message, "{fact:?}");
        }
    }

    #[test]
    fn failures_say_what_can_be_done() {
        for (stderr, message, hints) in [
            (
                "fatal: not a git repository (or any of the parent directories): .git\n",
                "`src` is not in a git checkout",
                &["git init"][..],
            ),
            ("fatal: Needed a single revision\n", "the git checkout has no commit yet", &["git commit --all"]),
            (
                "error: malformed object name HEAD\nusage: git ...\n",
                "the git checkout has no commit yet",
                &["git commit --all"],
            ),
            (
                "fatal: detected dubious ownership in repository at '/src/my app'\nTo add an exception for this \
                 directory, call:\n\n\tgit config --global --add safe.directory '/src/my app'\n",
                "git does not trust `/src/my app`, which belongs to another user",
                &["git config --global --add safe.directory '/src/my app'"],
            ),
            (
                "fatal: detected dubious ownership in repository at '/src/app'\n\n\tgit config --global --add \
                 safe.directory /src/app\n",
                "git does not trust `/src/app`, which belongs to another user",
                &["git config --global --add safe.directory /src/app"],
            ),
            (
                "fatal: ambiguous argument 'HEAD': unknown revision or path not in the working tree.\nUse '--' to\n",
                "the git checkout has no commit yet",
                &["git commit --all"],
            ),
            (
                "warning: x\nfatal: index file corrupt\n",
                "`git rev-parse --verify HEAD` failed: index file corrupt",
                &[],
            ),
            ("", "`git rev-parse --verify HEAD` failed: it said nothing", &[]),
        ] {
            let output = GitOutput { success: false, stdout: b"", stderr: stderr.as_bytes() };
            let error = read(GitFact::Commit, output, Path::new("src")).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert_eq!(error.hints(), hints, "{stderr}");
        }
    }

    #[test]
    fn the_list_of_what_is_tracked_is_taken_apart() {
        let list = |success, stdout, stderr| read_tracked(GitOutput { success, stdout, stderr }, Path::new("src"));
        assert_eq!(list(true, b"b\0a/\xc3\xa9 x\nc\0b\0", b"").unwrap(), ["a/\u{e9} x\nc", "b"]);
        assert_eq!(list(true, b"", b"").unwrap(), [""; 0]);
        assert_eq!(
            list(true, b"a\xff\0", b"").unwrap_err().to_string(),
            "`git ls-files -z --cached --recurse-submodules` gave no answer that can be read: `a\u{fffd}`"
        );
        let not_here = b"fatal: not a git repository (or any of the parent directories): .git\n";
        assert!(list(false, b"", not_here).unwrap_err().is_absence());
    }

    #[test]
    fn only_what_is_not_there_may_be_answered_by_another() {
        assert!(GitError::NoTag.is_absence());
        assert!(GitError::NoCommit.is_absence());
        assert!(GitError::NotACheckout { folder: "x".into() }.is_absence());
        assert!(!GitError::NotInstalled.is_absence());
        assert!(!GitError::Distrusted { folder: "x".into() }.is_absence());
    }

    #[test]
    fn a_version_is_a_tag_without_its_v() {
        for (tag, version) in
            [("v1.2.3", "1.2.3"), ("1.2.3", "1.2.3"), ("vanilla", "vanilla"), ("api/v1.0.0", "api/v1.0.0"), ("v", "v")]
        {
            assert_eq!(version_of_tag(tag), version);
        }
    }
}
