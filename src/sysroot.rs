//! A folder with the headers and libraries of a platform, and what compilers and pkg-config have to be told of it.

use std::path::PathBuf;

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

impl Sysroot {
    /// The libc that what links against it needs, where it has one that is told by its version.
    #[must_use]
    pub fn libc(&self) -> Option<Libc> {
        self.glibc.map(|version| Libc::Gnu(Some(version)))
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

    /// What the C compiler is told. The headers come after the compiler's own: zig brings those of its libc, and these
    /// would be of another.
    #[must_use]
    pub fn c_flags(&self) -> Vec<String> {
        self.includes().iter().flat_map(|folder| ["-idirafter".to_owned(), folder.display().to_string()]).collect()
    }

    /// What the linker is told.
    #[must_use]
    pub fn link_flags(&self) -> Vec<String> {
        let folders = self.libraries();
        let search = folders.iter().map(|folder| format!("-L{}", folder.display()));
        let needed = folders.iter().map(|folder| format!("-Wl,-rpath-link,{}", folder.display()));
        search.chain(needed).collect()
    }

    /// What pkg-config is told.
    #[must_use]
    pub fn pkg_config(&self) -> [(&'static str, String); 2] {
        let folders: Vec<String> = self.package_folders().iter().map(|folder| folder.display().to_string()).collect();
        [("PKG_CONFIG_SYSROOT_DIR", self.folder.display().to_string()), ("PKG_CONFIG_LIBDIR", folders.join(":"))]
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
        assert_eq!(
            sysroot.c_flags(),
            ["-idirafter", "/s/usr/include/arm-linux-gnueabihf", "-idirafter", "/s/usr/include"]
        );
        assert_eq!(sysroot.link_flags()[..2], ["-L/s/usr/lib/arm-linux-gnueabihf", "-L/s/lib/arm-linux-gnueabihf"]);
        assert_eq!(
            sysroot.pkg_config()[1].1,
            "/s/usr/lib/arm-linux-gnueabihf/pkgconfig:/s/usr/lib/pkgconfig:/s/usr/share/pkgconfig"
        );
    }
}
