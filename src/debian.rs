//! What a Debian archive says about itself becomes the list of packages that a sysroot is made of: a signed text becomes
//! a [`Release`], an index of packages an [`Index`], and the names that were asked for a [`closure`]. Nothing here
//! fetches, unpacks or looks at a clock.
//!
//! The formats: <https://wiki.debian.org/DebianRepository/Format>,
//! <https://www.debian.org/doc/debian-policy/ch-controlfields.html>.

mod closure;
mod index;
mod keys;
mod place;
mod relation;
mod release;
mod stanza;
mod version;

pub use closure::{ALWAYS, Chosen, ClosureError, closure};
pub use index::{Index, IndexError};
pub use keys::{Keyring, SignatureError};
pub use place::{LIBC_HEADERS, Place, TOP_LINKS, link_target, place};
pub use release::{Listed, Release, ReleaseError};
pub use version::Version;

/// True for what Debian calls a package:
/// <https://www.debian.org/doc/debian-policy/ch-controlfields.html#source>.
#[must_use]
pub fn is_package_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() > 1 && plain(name.as_bytes()[0]) && name.bytes().all(|byte| plain(byte) || b"+-.".contains(&byte))
}

/// True for what a release may be called (`bookworm`, `stable`, `bookworm-updates`): it becomes part of a path.
#[must_use]
pub fn is_release_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    name.bytes().next().is_some_and(plain) && name.bytes().all(|byte| plain(byte) || b"+-._".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_what_is_none() {
        for (name, package, release) in [
            ("libssl-dev", true, true),
            ("libstdc++6", true, true),
            ("0ad", true, true),
            ("x", false, true),
            ("Bookworm", false, true),
            ("libssl-dev:arm64", false, false),
            ("libssl-dev=3.0", false, false),
            ("../x", false, false),
            ("a/b", false, false),
            ("", false, false),
        ] {
            assert_eq!((is_package_name(name), is_release_name(name)), (package, release), "{name}");
        }
    }
}
