//! A folder with the headers and libraries of a platform, and what compilers and pkg-config have to be told of it.

use std::path::PathBuf;

/// Headers and libraries of a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysroot {
    /// the folder; `usr/include` and `usr/lib` are below it
    pub folder: PathBuf,
    /// Debian's name of the platform, below which its libraries are: `arm-linux-gnueabihf`
    pub triplet: Option<String>,
    /// the packages it was made of, each with its version
    pub packages: Vec<(String, String)>,
}

impl Sysroot {
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
