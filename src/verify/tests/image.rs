//! Builds images by hand: entries of a single layer, binaries of the facts that a test cares for, and a config.

use serde_json::{Value, json};

use super::super::*;
use crate::elf::{self, ElfFacts, Linkage, Name, RequiredVersion, Symbols, Wanted};
use crate::hint::Hint as _;
use crate::listing::{Entry, File, Kind, Listing};

/// An image for one platform, to be filled.
pub(super) struct Image {
    pub(super) platform: Platform,
    pub(super) entries: Vec<Entry>,
    pub(super) config: Value,
    pub(super) complete: bool,
}

pub(super) fn binary(platform: Platform) -> Binary {
    let row = elf::MACHINES.iter().find(|row| row.architecture == platform.architecture()).unwrap();
    let facts = ElfFacts {
        class: row.class,
        byte_order: row.byte_order,
        machine: row.machine,
        os_abi: 0,
        file_type: 3,
        flags: row.flags.iter().map(|rule| *rule.allowed.last().unwrap()).fold(0, |all, flags| all | flags),
        entry: 0x1000,
        linkage: Linkage::SharedLibrary,
        interpreter: None,
        needed: Vec::new(),
        soname: None,
        rpath: None,
        runpath: None,
        without_default_folders: false,
        binds_now: false,
        versions: Vec::new(),
        offers: Vec::new(),
        x86_level: None,
        mips_float: None,
        arm_attributes: None,
        go: None,
    };
    Binary { facts, symbols: Some(Symbols::default()), glibc: None, loader: None }
}

pub(super) fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl Image {
    /// An image that starts `/app`.
    pub(super) fn new(platform: &str) -> Self {
        let config = json!({"config": {"Entrypoint": ["/app"]}});
        Self { platform: platform.parse().unwrap(), entries: Vec::new(), config, complete: true }
    }

    pub(super) fn entry(mut self, path: &str, mode: u32, kind: Kind) -> Self {
        self.entries.push(Entry { path: path.trim_start_matches('/').to_owned(), mode, uid: 0, gid: 0, kind });
        self
    }

    pub(super) fn contents(self, path: &str, mode: u32, contents: Contents) -> Self {
        self.entry(path, mode, Kind::File(File { size: 100, contents }))
    }

    pub(super) fn elf(self, path: &str, change: impl FnOnce(&mut Binary)) -> Self {
        let mut made = binary(self.platform);
        change(&mut made);
        self.contents(path, 0o755, Contents::Elf(Box::new(made)))
    }

    /// A program that needs `needed`, by the loader `interpreter`.
    pub(super) fn program(self, interpreter: &str, needed: &[&str], change: impl FnOnce(&mut Binary)) -> Self {
        self.elf("/app", |made| {
            made.facts.linkage = Linkage::Dynamic;
            made.facts.interpreter = Some(interpreter.to_owned());
            made.facts.needed = texts(needed);
            change(made);
        })
    }

    pub(super) fn library(self, path: &str, change: impl FnOnce(&mut Binary)) -> Self {
        self.elf(path, |made| {
            made.facts.soname = path.rsplit('/').next().map(str::to_owned);
            change(made);
        })
    }

    /// glibc's loader and library in `/lib`, which the loader looks through, and `/usr/lib`.
    pub(super) fn glibc(self, newest: &str) -> Self {
        let loader = elf::loaders(self.platform).unwrap().glibc;
        let newest = newest.to_owned();
        self.library(loader, |made| {
            made.facts.offers = texts(&["GLIBC_2.3", "GLIBC_PRIVATE"]);
            made.loader = Some(Loader::Glibc { folders: texts(&["/lib", "/usr/lib"]) });
        })
        .library("/lib/libc.so.6", |made| {
            made.facts.needed = texts(&["ld-linux-x86-64.so.2"]);
            made.facts.offers = texts(&["GLIBC_2.2.5", "GLIBC_2.9", &newest, "GLIBC_PRIVATE"]);
            made.glibc = newest.strip_prefix("GLIBC_").map(str::to_owned);
            made.symbols = Some(Symbols { defined: vec![Name::of(b"puts")], ..Symbols::default() });
        })
    }

    pub(super) fn musl(self) -> Self {
        let loader = elf::loaders(self.platform).unwrap().musl;
        self.elf(loader, |made| {
            made.loader = Some(Loader::Musl { version: Some("1.2.5".into()), folders: Vec::new() });
            made.symbols = Some(Symbols { defined: vec![Name::of(b"puts")], ..Symbols::default() });
        })
    }

    pub(super) fn link(self, path: &str, target: &str) -> Self {
        self.entry(path, 0o777, Kind::Symlink(target.to_owned()))
    }

    pub(super) fn script(self, path: &str, line: &str) -> Self {
        self.contents(path, 0o755, Contents::Script(line.to_owned()))
    }

    pub(super) fn kept(self, path: &str, text: &str) -> Self {
        self.contents(path, 0o644, Contents::Kept(text.as_bytes().to_vec()))
    }

    pub(super) fn with(mut self, key: &str, value: Value) -> Self {
        self.config["config"][key] = value;
        self
    }

    pub(super) fn judge(self) -> Result<Judgement, NeedsLower> {
        let listing: Listing = self.entries.into_iter().collect();
        judge(self.platform, &StartConfig::of(&self.config), &Tree::of(&[&listing], self.complete).unwrap())
    }

    /// Verdict, libc and problems in words.
    pub(super) fn said(self) -> (Verdict, String, Vec<String>) {
        let judgement = self.judge().unwrap();
        for problem in &judgement.problems {
            assert!(problem.hints().iter().all(|hint| !hint.contains('\n')), "{:?}", problem.hints());
        }
        let problems = judgement.problems.iter().map(ToString::to_string).collect();
        (judgement.verdict(), judgement.libc.clone().unwrap_or_default(), problems)
    }

    #[track_caller]
    pub(super) fn starts(self, libc: &str) {
        assert_eq!(self.said(), (Verdict::Ok, libc.to_owned(), Vec::new()));
    }

    #[track_caller]
    pub(super) fn fails(self, words: &str) {
        let (verdict, _, problems) = self.said();
        assert_eq!((verdict, problems), (Verdict::Fails, texts(&[words])));
    }
}

pub(super) const X86: &str = "/lib64/ld-linux-x86-64.so.2";
pub(super) const MUSL: &str = "/lib/ld-musl-x86_64.so.1";

pub(super) fn amd64() -> Image {
    Image::new("linux/amd64")
}

pub(super) fn needs(made: &mut Binary, library: &str, version: &str) {
    let required = RequiredVersion { library: library.into(), version: version.into(), weak: false };
    made.facts.versions.push(required);
}

pub(super) fn wants(made: &mut Binary, name: &str, data: bool) {
    made.symbols.get_or_insert_default().wanted.push(Wanted { name: name.to_owned(), data });
}

pub(super) fn is_static(made: &mut Binary) {
    made.facts.file_type = 2;
    made.facts.linkage = Linkage::Static;
}
