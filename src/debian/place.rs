//! A path in a package becomes a path in a sysroot: `/usr` merged, the C library's headers apart, and nothing that leads
//! out of the folder.

/// The top folders that are links into `/usr` (<https://wiki.debian.org/UsrMerge>): packages older than the merge still
/// ship files below them.
pub const TOP_LINKS: &[&str] = &["bin", "lib", "lib32", "lib64", "libo32", "libx32", "sbin"];

/// Where the headers of the C library and of the kernel are, apart from those of all other packages: zig brings its own,
/// and must not find half of another version's when a build names `usr/include` itself, as pkg-config does.
pub const LIBC_HEADERS: &str = "usr/libc/include";

/// The packages whose `usr/include` that is.
const LIBC_PACKAGES: &[&str] = &["libc6-dev", "linux-libc-dev"];

/// What no compiler, linker or build script reads.
const LEFT_OUT: &[&str] =
    &["usr/share/doc", "usr/share/info", "usr/share/lintian", "usr/share/locale", "usr/share/man"];

/// What becomes of an entry of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// it goes there, below the sysroot's folder
    At(String),
    /// it is left out
    Nowhere,
    /// its path leads out of the folder
    Outside,
}

/// Where the entry `path` of `package` goes. A path that begins with `/` or `./` begins at the sysroot's folder.
#[must_use]
pub fn place(package: &str, path: &str) -> Place {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Place::Outside;
    }
    let path = moved(package, parts);
    let below = |folder: &&str| path.strip_prefix(*folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if path.is_empty() || LEFT_OUT.iter().any(below) { Place::Nowhere } else { Place::At(path) }
}

/// Where the symbolic link `path` of `package` leads to: a path below the sysroot's folder, whatever it says. As in a
/// `chroot`, `..` of the top is the top.
#[must_use]
pub fn link_target(package: &str, path: &str, target: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    if !target.starts_with('/') {
        parts.extend(path.split('/').filter(|part| !matches!(*part, "" | ".")));
        parts.pop();
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    moved(package, parts)
}

fn moved(package: &str, mut parts: Vec<&str>) -> String {
    if parts.first().is_some_and(|top| TOP_LINKS.contains(top)) {
        parts.insert(0, "usr");
    }
    let path = parts.join("/");
    match path.strip_prefix("usr/include") {
        Some(rest) if LIBC_PACKAGES.contains(&package) && (rest.is_empty() || rest.starts_with('/')) => {
            format!("{LIBC_HEADERS}{rest}")
        }
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_has_its_place() {
        for (package, path, expected) in [
            ("libssl3", "./usr/lib/aarch64-linux-gnu/libssl.so.3", "usr/lib/aarch64-linux-gnu/libssl.so.3"),
            ("libc6", "./lib/aarch64-linux-gnu/libc.so.6", "usr/lib/aarch64-linux-gnu/libc.so.6"),
            ("libc6", "/lib64/ld.so.1", "usr/lib64/ld.so.1"),
            ("libc6", "./lib/", "usr/lib"),
            ("libc6-dev", "./usr/include/stdio.h", "usr/libc/include/stdio.h"),
            (
                "linux-libc-dev",
                "./usr/include/arm-linux-gnueabihf/asm/a.h",
                "usr/libc/include/arm-linux-gnueabihf/asm/a.h",
            ),
            ("libc6-dev", "./usr/include", "usr/libc/include"),
            ("libc6-dev", "./usr/includes/x", "usr/includes/x"),
            ("libssl-dev", "./usr/include/openssl/ssl.h", "usr/include/openssl/ssl.h"),
            ("libfoo", "./usr/share/docs/x", "usr/share/docs/x"),
        ] {
            assert_eq!(place(package, path), Place::At(expected.to_owned()), "{path}");
        }
        for path in ["./usr/share/doc/libssl3/copyright", "./usr/share/man", "./", "."] {
            assert_eq!(place("libssl3", path), Place::Nowhere, "{path}");
        }
        for path in ["../etc/passwd", "usr/../../etc/passwd", "/..", "./a/../b"] {
            assert_eq!(place("libssl3", path), Place::Outside, "{path}");
        }
    }

    #[test]
    fn every_link_leads_into_the_sysroot() {
        for (package, path, target, expected) in [
            ("libc6-dev", "./usr/lib/T/libm.so", "/lib/T/libm.so.6", "usr/lib/T/libm.so.6"),
            ("libssl-dev", "./usr/lib/T/libssl.so", "libssl.so.3", "usr/lib/T/libssl.so.3"),
            ("libfoo", "./usr/lib/T/x", "../../share/y", "usr/share/y"),
            ("libfoo", "./usr/lib/x", "../../../../../etc/passwd", "etc/passwd"),
            ("libfoo", "./usr/lib/x", "/", ""),
            // trixie's kernel headers lie below usr/lib and are linked to.
            ("linux-libc-dev", "./usr/include/T/asm", "../../lib/linux/uapi/arm64/asm", "usr/lib/linux/uapi/arm64/asm"),
            ("libc6-dev", "./usr/include/T/a.h", "../b.h", "usr/libc/include/b.h"),
        ] {
            assert_eq!(link_target(package, path, target), expected, "{path} -> {target}");
        }
    }
}
