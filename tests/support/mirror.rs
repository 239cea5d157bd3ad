//! A package index and a module proxy on this machine, with small tools in them, and the rows that say so.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyarch::blob::Digest;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::server::{Answer, Request, Server};

/// An archive: path, Unix mode (none in a module's zip), content.
pub fn archive(entries: &[(&str, Option<u32>, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, mode, content) in entries {
        let mut options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        if let Some(mode) = mode {
            options = options.unix_permissions(*mode);
        }
        writer.start_file(*path, options).expect("an entry can be begun");
        writer.write_all(content).expect("an entry can be written");
    }
    writer.finish().expect("an archive can be finished").into_inner()
}

/// A wheel of a tool whose program is `script`, with a library of `library` bytes that do not compress.
pub fn wheel(script: &str, library: usize) -> Vec<u8> {
    let program = format!("#!/bin/sh\n{script}\n");
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        // The numbers of Knuth's MMIX.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    })
    .take(library)
    .collect();
    archive(&[
        ("fakezig/zig", Some(0o755), program.as_bytes()),
        ("fakezig/lib/std.zig", Some(0o644), &noise),
        ("fakezig-1.0.dist-info/METADATA", Some(0o644), b"Name: fakezig\n"),
    ])
}

/// The zip of a module whose `bin/go` is `script`.
pub fn module_zip(script: &str) -> Vec<u8> {
    let prefix = "example.com/toolchain@v1.0.0-host/";
    let entry = |path: &str| format!("{prefix}{path}");
    let program = format!("#!/bin/sh\n{script}\n");
    archive(&[
        (&entry("bin/go"), None, program.as_bytes()),
        (&entry("pkg/tool/host/compile"), None, b"#!/bin/sh\n"),
        (&entry("VERSION"), None, b"go1.0\n"),
    ])
}

/// How the mirror answers.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a habit of its own, and a test names the one that it is about"
)]
pub struct Manners {
    /// the index is HTML
    pub html: bool,
    /// the first answer with a file breaks off after so many bytes
    pub cut: Option<usize>,
    /// what follows a cut is refused
    pub refuses_after_cut: bool,
    /// ranges are not known
    pub whole_only: bool,
    /// every whole file breaks off where the first does, and every range is refused
    pub never_whole: bool,
    /// how long a file takes
    pub slow: Duration,
}

/// The mirror.
pub struct Mirror {
    server: Server,
    file: Vec<u8>,
}

/// The name of the file in the index.
pub const WHEEL: &str = "fakezig-1.0-py3-none-any.whl";
/// The name of the file at the proxy.
pub const ZIP: &str = "v1.0.0-host.zip";

impl Mirror {
    /// Serves `file` as the wheel and as the zip.
    pub fn start(file: Vec<u8>, manners: Manners) -> Self {
        let (copy, sent) = (file.clone(), Arc::new(AtomicUsize::new(0)));
        let server = Server::start(move |request| answer(request, &copy, manners, &sent));
        Self { server, file }
    }

    /// `PIP_INDEX_URL`
    pub fn index(&self) -> String {
        format!("http://{}/simple", self.server.host())
    }

    /// `GOPROXY`
    pub fn proxy(&self) -> String {
        format!("http://{}/proxy", self.server.host())
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// The address of the file.
    pub fn file(&self) -> String {
        format!("http://{}/files/{WHEEL}", self.server.host())
    }

    /// Every request so far, with the range that it asked for.
    pub fn requests(&self) -> Vec<String> {
        let line = |request: &Request| {
            let range = request.header("range").map_or(String::new(), |range| format!(" {range}"));
            format!("{}{range}", request.target)
        };
        self.server.requests().iter().map(line).collect()
    }

    /// The row of zig with the wheel of this mirror; `sha256` in place of the file's own.
    pub fn zig_row(&self, sha256: Option<&str>) -> String {
        self.row("zig", &[("pypi", "fakezig", "fakezig/zig", WHEEL)], sha256)
    }

    /// The row of Go with the zip of this mirror.
    pub fn go_row(&self) -> String {
        self.row("go", &[("goproxy", "example.com/toolchain", "bin/go", ZIP)], None)
    }

    fn row(&self, tool: &str, download: &[(&str, &str, &str, &str); 1], sha256: Option<&str>) -> String {
        let [(kind, package, program, file)] = download;
        let own = Digest::of(&self.file).hex();
        let (sha256, size) = (sha256.unwrap_or(&own), self.file.len());
        let host = anyarch::host::machine().expect("this machine is known");
        let mut row = String::new();
        write!(
            row,
            "[[tool]]\nname = \"{tool}\"\ncommands = [[\"{tool}\"]]\nversion = [\"version\"]\n\
             install = {{ any = \"a line for {tool}\" }}\n\
             [tool.download]\nkind = \"{kind}\"\npackage = \"{package}\"\nversion = \"1.0\"\nprogram = \"{program}\"\n\
             unset = [\"GOROOT\"]\n\
             [tool.download.hosts]\n\"{host}\" = {{ file = \"{file}\", sha256 = \"{sha256}\", size = {size} }}\n"
        )
        .expect("a text can be written to");
        row
    }

    /// The folder in which the row's tool is, below the cache folder.
    pub fn folder(&self, cache: &Path, tool: &str) -> PathBuf {
        cache.join("toolchains").join(format!("{tool}-1.0-{}", &Digest::of(&self.file).hex()[..12]))
    }
}

fn answer(request: &Request, file: &[u8], manners: Manners, sent: &AtomicUsize) -> Answer {
    match request.target.as_str() {
        "/simple/fakezig/" if manners.html => {
            let page = format!(
                "<!DOCTYPE html><html><body><a href=\"../../files/{WHEEL}#sha256=00\">{WHEEL}</a></body></html>"
            );
            Answer::ok(page).with("Content-Type", "text/html")
        }
        "/simple/fakezig/" => {
            let page = serde_json::json!({"meta": {"api-version": "1.0"}, "name": "fakezig",
                "files": [{"filename": WHEEL, "url": format!("../../files/{WHEEL}"), "hashes": {}}]});
            Answer::ok(page.to_string()).with("Content-Type", "application/vnd.pypi.simple.v1+json")
        }
        target if target == format!("/files/{WHEEL}") || target == format!("/proxy/example.com/toolchain/@v/{ZIP}") => {
            let first = sent.fetch_add(1, Ordering::SeqCst) == 0;
            std::thread::sleep(manners.slow);
            if !first && manners.refuses_after_cut && manners.cut.is_some() && sent.load(Ordering::SeqCst) == 2 {
                return Answer::status(403);
            }
            let from = request.header("range").filter(|_| !manners.whole_only);
            let from = from.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
            let answer = match from {
                Some(from) => Answer::status(206)
                    .with("Content-Range", format!("bytes {from}-{}/{}", file.len() - 1, file.len()))
                    .body(&file[from..]),
                None => Answer::ok(file),
            };
            if manners.never_whole && request.header("range").is_some() {
                return Answer::status(416);
            }
            match manners.cut {
                Some(after) if first || manners.never_whole => answer.cut(after),
                _ => answer,
            }
        }
        _ => Answer::status(404),
    }
}
