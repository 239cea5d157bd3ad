//! Sysroots of the real Debian: what is unpacked can be compiled and linked against by gcc and by zig, and what comes out
//! needs the libraries and the glibc of the release.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use anyarch::debian_archive::{Archive, Event, Options, Sysroot};
use anyarch::store::Store;

use crate::support::{self, process};

const OPENSSL: &str = "#include <openssl/ssl.h>\n#include <math.h>\n#include <pthread.h>\n#include <stdio.h>\n\
    int main(int count, char **words) {\n\
        SSL_CTX *context = SSL_CTX_new(TLS_client_method());\n\
        printf(\"%s %d %d %f\\n\", words[0], context != NULL, (int)sizeof(pthread_mutex_t), pow(count, 2.5));\n\
        return context == NULL;\n\
    }\n";
const POSTGRES: &str = "#include <libpq-fe.h>\nint main(void) { return PQlibVersion() < 90000; }\n";

/// The sysroot of Debian's own mirror, kept in the target folder from run to run.
async fn real(release: &str, architecture: &str) -> Sysroot {
    let store = Store::open(support::target().join("debian-sysroots")).unwrap();
    let archive = Archive::new(Options::new(store, SystemTime::now())).unwrap();
    let packages = ["libpq-dev", "libssl-dev"].map(str::to_owned);
    archive.sysroot(release, architecture, &packages, &|_: Event| ()).await.unwrap()
}

/// What gcc takes: its own C library, which comes first otherwise, has to stand back for the sysroot's.
fn gcc_flags(sysroot: &Sysroot) -> Vec<String> {
    let mut flags = vec![format!("--sysroot={}", sysroot.folder.display())];
    for folder in sysroot.libc_headers().iter().chain(&sysroot.headers()) {
        flags.extend(["-isystem".to_owned(), folder.display().to_string()]);
    }
    let libraries = sysroot.libraries().display().to_string();
    flags.extend([format!("-B{libraries}"), format!("-L{libraries}")]);
    flags
}

/// What zig takes: it brings the C library of the version it is told, so only the other headers and libraries are named;
/// `--sysroot` would be put before every one of them.
fn zig_flags(sysroot: &Sysroot, target: &str) -> Vec<String> {
    let (major, minor) = sysroot.glibc;
    let mut flags = vec!["cc".to_owned(), "-target".to_owned(), format!("{target}.{major}.{minor}")];
    for folder in sysroot.headers() {
        flags.extend(["-idirafter".to_owned(), folder.display().to_string()]);
    }
    flags.push(format!("-L{}", sysroot.libraries().display()));
    flags
}

/// Compiles and links both programs and holds them to the libraries and the glibc that they may need.
fn compiles(compiler: &str, flags: &[String], sysroot: &Sysroot) {
    let work = tempfile::tempdir().unwrap();
    for (name, source, library) in [("openssl", OPENSSL, "libssl.so"), ("libpq", POSTGRES, "libpq.so.5")] {
        let (c, binary) = (work.path().join(format!("{name}.c")), work.path().join(name));
        fs::write(&c, source).unwrap();
        let said = pkg_config(sysroot, name);
        assert!(said.contains(&format!("-I{}", sysroot.folder.join("usr/include").display())), "{said}");
        let mut command = Command::new(compiler);
        command.args(flags).arg(&c).arg("-o").arg(&binary).args(said.split_whitespace()).arg("-lm");
        process::succeed(&mut command);
        let dynamic = process::text(Command::new("readelf").arg("-dW").arg(&binary));
        assert!(dynamic.contains(&format!("[{library}")), "{compiler} {flags:?}\n{dynamic}");
        assert!(needed_glibc(&binary) <= sysroot.glibc, "{compiler} {flags:?}");
    }
}

/// The newest version of glibc that a binary asks for.
fn needed_glibc(binary: &Path) -> (u32, u32) {
    let versions = process::text(Command::new("readelf").arg("-VW").arg(binary));
    let named = versions.split("GLIBC_").skip(1).filter_map(|rest| {
        let text: String = rest.chars().take_while(|letter| letter.is_ascii_digit() || *letter == '.').collect();
        let mut numbers = text.split('.').map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    });
    named.max().expect("a dynamic binary names versions of glibc")
}

fn pkg_config(sysroot: &Sysroot, name: &str) -> String {
    let folders = sysroot.pkg_config().map(|folder| folder.display().to_string());
    let mut command = Command::new("pkg-config");
    command.args(["--cflags", "--libs", name]);
    command.env("PKG_CONFIG_SYSROOT_DIR", &sysroot.folder).env("PKG_CONFIG_LIBDIR", folders.join(":"));
    process::text(&mut command)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "full: sysroot"]
async fn programs_link_against_the_libraries_of_debian() {
    for (release, architecture, triplet, gcc, glibc) in [
        ("bookworm", "arm64", "aarch64-linux-gnu", "aarch64-linux-gnu-gcc", (2, 36)),
        ("bookworm", "armhf", "arm-linux-gnueabihf", "arm-linux-gnueabihf-gcc", (2, 36)),
        // Older than the C library that gcc and zig bring.
        ("bullseye", "arm64", "aarch64-linux-gnu", "aarch64-linux-gnu-gcc", (2, 31)),
        // Newer, and with links in place of the kernel's headers.
        ("trixie", "arm64", "aarch64-linux-gnu", "aarch64-linux-gnu-gcc", (2, 41)),
        // A name that no gcc has, and a folder lib64.
        ("bookworm", "i386", "i386-linux-gnu", "", (2, 36)),
        ("bookworm", "amd64", "x86_64-linux-gnu", "x86_64-linux-gnu-gcc", (2, 36)),
    ] {
        let sysroot = real(release, architecture).await;
        assert_eq!((sysroot.glibc, sysroot.triplet.as_str()), (glibc, triplet), "{release} {architecture}");
        for name in ["crt1.o", "libc.so", "libm.so", "libpq.so", "libssl.so"] {
            assert!(sysroot.libraries().join(name).exists(), "{name} of {release} {architecture}");
        }
        assert!(sysroot.libc_headers()[1].join("stdio.h").exists());
        assert!(sysroot.libc_headers()[0].join("asm/types.h").exists());
        assert!(!sysroot.headers()[1].join("stdio.h").exists());
        if !gcc.is_empty() {
            compiles(gcc, &gcc_flags(&sysroot), &sysroot);
        }
        let target = triplet.replace("i386", "x86");
        compiles("zig", &zig_flags(&sysroot, &target), &sysroot);
    }
}
