//! A folder with the headers and libraries of a platform, and what compilers and pkg-config have to be told of it.

use std::path::PathBuf;

use crate::invocation::quote;
use crate::toolchain::Libc;

/// Headers and libraries of a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysroot {
    /// the folder; `usr/include` and `usr/lib` are below it
    pub folder: PathBuf,
    /// Debian's name of the platform, below which its libraries are: `arm-linux-gnueabihf`
    pub triplet: Option<String>,
    /// the headers of its libc, where they are not beside the others: for compilers that bring none
    pub libc_headers: Vec<PathBuf>,
    /// the version of its glibc, if that is its libc
    pub glibc: Option<(u32, u32)>,
    /// the packages it was made of, each with its version
    pub packages: Vec<(String, String)>,
}

/// The version that a glibc says of itself: `GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.`
#[must_use]
pub fn glibc_version(library: &[u8]) -> Option<(u32, u32)> {
    const BANNER: &[u8] = b"release version ";
    let after = library.windows(BANNER.len()).position(|window| window == BANNER)? + BANNER.len();
    let digits = library[after..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.');
    let text: String = digits.map(|byte| char::from(*byte)).collect();
    let mut numbers = text.trim_end_matches('.').split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn quoted(flag: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_=/.,:+@%".contains(character);
    if flag.chars().all(plain) {
        return flag.to_owned();
    }
    quote(flag)
}

impl Sysroot {
    /// The libc that what links against it needs, where it has one that is told by its version.
    #[must_use]
    pub fn libc(&self) -> Option<Libc> {
        self.glibc.map(|version| Libc::Gnu(Some(version)))
    }

    /// True when what is linked against it needs no newer libc than `asked`.
    #[must_use]
    pub fn serves(&self, asked: Option<Libc>) -> bool {
        match (self.glibc, asked) {
            (Some(has), Some(Libc::Gnu(Some(asked)))) => has <= asked,
            _ => true,
        }
    }

    /// The folders of headers, the more special first.
    #[must_use]
    pub fn includes(&self) -> Vec<PathBuf> {
        let include = self.folder.join("usr/include");
        self.triplet.iter().map(|triplet| include.join(triplet)).chain([include.clone()]).collect()
    }

    /// The folders of libraries, the more special first.
    #[must_use]
    pub fn libraries(&self) -> Vec<PathBuf> {
        let special = self.triplet.iter().flat_map(|triplet| ["usr/lib", "lib"].map(|lib| format!("{lib}/{triplet}")));
        let folders = special.chain(["usr/lib", "lib"].map(str::to_owned));
        folders.map(|folder| self.folder.join(folder)).collect()
    }

    /// The folders where pkg-config finds what is here.
    #[must_use]
    pub fn package_folders(&self) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = self
            .libraries()
            .into_iter()
            .filter(|folder| folder.starts_with(self.folder.join("usr")))
            .map(|folder| folder.join("pkgconfig"))
            .collect();
        folders.push(self.folder.join("usr/share/pkgconfig"));
        folders
    }

    /// What a C compiler is told, or a C++ compiler. One that brings a libc of its own, as zig does, finds its headers
    /// before those that are here, which would be of another; for any other the libc is this one. The libc's headers of
    /// C++ come last, because libstdc++ includes the next of their name after its own.
    #[must_use]
    pub fn c_flags(&self, brings_libc: bool, cxx: bool) -> Vec<String> {
        let each = |flag: &'static str, folders: &[PathBuf]| -> Vec<String> {
            folders.iter().flat_map(|folder| [flag.to_owned(), folder.display().to_string()]).collect()
        };
        if brings_libc {
            return each("-idirafter", &self.includes());
        }
        let root = vec![format!("--sysroot={}", self.folder.display())];
        let libc = each(if cxx { "-idirafter" } else { "-isystem" }, &self.libc_headers);
        let others = each("-isystem", &self.includes());
        if cxx { [root, others, libc].concat() } else { [root, libc, others].concat() }
    }

    /// What the linker is told. `libc.so` is a script that names files by their paths in the sysroot, and start files are
    /// looked for where `-B` says.
    #[must_use]
    pub fn link_flags(&self, brings_libc: bool) -> Vec<String> {
        let folders: Vec<String> = self.libraries().iter().map(|folder| folder.display().to_string()).collect();
        let search = folders.iter().map(|folder| format!("-L{folder}"));
        if brings_libc {
            return search.collect();
        }
        let start = folders.iter().map(|folder| format!("-B{folder}"));
        [format!("--sysroot={}", self.folder.display())].into_iter().chain(start).chain(search).collect()
    }

    /// What the linker is told, as words for a shell: what reads `LDFLAGS` cuts it so.
    #[must_use]
    pub fn link_words(&self, brings_libc: bool) -> Vec<String> {
        self.link_flags(brings_libc).iter().map(|flag| quoted(flag)).collect()
    }

    /// What pkg-config is told.
    #[must_use]
    pub fn pkg_config(&self) -> [(&'static str, String); 3] {
        let joined = |folders: Vec<PathBuf>| {
            folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(":")
        };
        [
            ("PKG_CONFIG_SYSROOT_DIR", self.folder.display().to_string()),
            ("PKG_CONFIG_LIBDIR", joined(self.package_folders())),
            // Said as `-I`, these would come before the headers of the compiler's own libc.
            ("PKG_CONFIG_SYSTEM_INCLUDE_PATH", joined(self.includes())),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glibc_says_its_version() {
        for (text, version) in [
            ("\0GNU C Library (Debian GLIBC 2.36-9+deb12u10) stable release version 2.36.\n", Some((2, 36))),
            ("GNU C Library (GNU libc) development release version 2.39.9000.\n", Some((2, 39))),
            ("musl libc (x86_64)\nVersion 1.2.4\n", None),
            ("release version x", None),
        ] {
            assert_eq!(glibc_version(text.as_bytes()), version, "{text}");
        }
    }

    #[test]
    fn special_folders_come_first() {
        let sysroot = Sysroot {
            folder: "/s".into(),
            triplet: Some("arm-linux-gnueabihf".into()),
            libc_headers: Vec::new(),
            glibc: None,
            packages: Vec::new(),
        };
        let line = |flags: Vec<String>| flags.join(" ");
        let (special, plain) = ("/s/usr/include/arm-linux-gnueabihf", "/s/usr/include");
        assert_eq!(line(sysroot.c_flags(true, false)), format!("-idirafter {special} -idirafter {plain}"));
        let sysroot = Sysroot { libc_headers: vec!["/s/usr/libc/include".into()], ..sysroot };
        assert_eq!(
            line(sysroot.c_flags(false, false)),
            format!("--sysroot=/s -isystem /s/usr/libc/include -isystem {special} -isystem {plain}")
        );
        assert_eq!(
            line(sysroot.c_flags(false, true)),
            format!("--sysroot=/s -isystem {special} -isystem {plain} -idirafter /s/usr/libc/include")
        );
        let (special, plain) = ("/s/usr/lib/arm-linux-gnueabihf", "/s/lib/arm-linux-gnueabihf");
        assert_eq!(sysroot.link_flags(true)[..2], [format!("-L{special}"), format!("-L{plain}")]);
        assert_eq!(
            sysroot.link_flags(false)[..3],
            ["--sysroot=/s".to_owned(), format!("-B{special}"), format!("-B{plain}")]
        );
        assert_eq!(
            sysroot.pkg_config()[1].1,
            "/s/usr/lib/arm-linux-gnueabihf/pkgconfig:/s/usr/lib/pkgconfig:/s/usr/share/pkgconfig"
        );
    }
}
