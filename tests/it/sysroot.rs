//! Programs that link a C library of Debian's: the headers and libraries come from Debian's packages of each platform, and
//! the program starts over a base that has the library.

use std::process::Command;

use crate::support::bases::{self, Release};
use crate::support::process;
use crate::support::project::Project;
use crate::support::publish::push;
use crate::support::registry::{Options, Registry};

/// With a build of their own of every package that is needed.
const PLATFORMS: &[&str] = &["linux/arm64", "linux/arm/v7"];

/// A server that speaks TLS with a certificate of its own, and a client of it.
const RUST_SERVER: &str = r#"
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::ssl::{SslAcceptor, SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::{X509, X509Name};

fn main() {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_text("CN", "localhost").unwrap();
    let name = name.build();
    let mut certificate = X509::builder().unwrap();
    certificate.set_version(2).unwrap();
    certificate.set_subject_name(&name).unwrap();
    certificate.set_issuer_name(&name).unwrap();
    certificate.set_pubkey(&key).unwrap();
    certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    certificate.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    certificate.sign(&key, MessageDigest::sha256()).unwrap();
    let mut acceptor = SslAcceptor::mozilla_intermediate(SslMethod::tls()).unwrap();
    acceptor.set_private_key(&key).unwrap();
    acceptor.set_certificate(&certificate.build()).unwrap();
    let acceptor = acceptor.build();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut stream = acceptor.accept(listener.accept().unwrap().0).unwrap();
        stream.write_all(b"hello over TLS").unwrap();
        stream.shutdown().ok();
    });
    let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    let stream = TcpStream::connect(address).unwrap();
    let mut stream = connector.build().configure().unwrap().verify_hostname(false).connect("localhost", stream).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).ok();
    server.join().unwrap();
    println!("{text}");
}
"#;

/// A digest by a library that pkg-config finds.
const CGO_PROGRAM: &str = r#"package main

/*
#cgo pkg-config: libcrypto
#include <openssl/sha.h>
*/
import "C"

import (
	"fmt"
	"unsafe"
)

func main() {
	text := []byte("abc")
	sum := make([]byte, C.SHA256_DIGEST_LENGTH)
	C.SHA256((*C.uchar)(unsafe.Pointer(&text[0])), C.size_t(len(text)), (*C.uchar)(unsafe.Pointer(&sum[0])))
	fmt.Printf("%x\n", sum)
}
"#;

fn table(language: &str, more: &str) -> String {
    let sysroot = "sysroot = { debian = \"bookworm\", packages = [\"libssl-dev\"] }";
    format!("[[program]]\nlanguage = \"{language}\"\nname = \"app\"\n{sysroot}\n{more}")
}

#[test]
#[ignore = "full: sysroot"]
fn a_rust_server_with_openssl_starts_over_debian() {
    let registry = Registry::start(&Options::default());
    let base = bases::push(Release::Bookworm, &registry.host(), "debian");
    for (name, more) in [("tls-zig", ""), ("tls-gcc", "toolchain = \"gcc\"\n")] {
        let manifest = "[package]\nname = \"app\"\nversion = \"1.0.0\"\nedition = \"2021\"\n\n[dependencies]\nopenssl = \"0.10\"\n";
        let project = Project::new()
            .file("Cargo.toml", manifest)
            .file("src/main.rs", RUST_SERVER)
            .file("anyarch.toml", table("rust", more));
        process::succeed(Command::new("cargo").arg("generate-lockfile").current_dir(project.path()));
        let image = push(&project, &registry, name, &base, &[], PLATFORMS);
        for platform in PLATFORMS {
            let ended = image.unpack(platform).start(&[]);
            assert_eq!((ended.code, &*ended.stdout), (0, "hello over TLS\n"), "{name} {platform}: {}", ended.stderr);
        }
    }
}

#[test]
#[ignore = "full: sysroot"]
fn a_cgo_program_with_pkg_config_starts_over_debian() {
    let registry = Registry::start(&Options::default());
    let base = bases::push(Release::Bookworm, &registry.host(), "debian");
    for (name, more) in [("sum-zig", ""), ("sum-gcc", "toolchain = \"gcc\"\n")] {
        let project = Project::new()
            .file("go.mod", "module example.com/app\n\ngo 1.21\n")
            .file("main.go", CGO_PROGRAM)
            .file("anyarch.toml", table("go", &format!("cgo = true\n{more}")));
        let image = push(&project, &registry, name, &base, &[], PLATFORMS);
        for platform in PLATFORMS {
            let ended = image.unpack(platform).start(&[]);
            let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";
            assert_eq!((ended.code, &*ended.stdout), (0, sum), "{name} {platform}: {}", ended.stderr);
        }
    }
}
