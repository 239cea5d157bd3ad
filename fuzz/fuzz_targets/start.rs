//! Any image of a few layers, made of what a start looks at: what is judged with the upper layers alone is judged the same
//! with all of them, and with all of them there is an answer.

#![no_main]

use std::cell::LazyCell;
use std::io::Cursor;

use anyarch::elf::{ByteOrder, ElfFacts, Linkage, MACHINES, Name, RequiredVersion, Symbols, Wanted};
use anyarch::hint::Hint as _;
use anyarch::listing::{Binary, Contents, Entry, File, Kind, Listing, Loader};
use anyarch::platform::Platform;
use anyarch::tree::Tree;
use anyarch::verify::{StartConfig, judge};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

const PLATFORMS: &[&str] = &["linux/amd64", "linux/amd64/v3", "linux/arm/v6", "linux/s390x"];
/// Where a start looks, and ways that lead there or elsewhere.
const PATHS: &[&str] = &[
    "app",
    "lib",
    "lib64",
    "usr",
    "usr/lib",
    "usr/bin",
    "bin/sh",
    "usr/bin/env",
    "etc",
    "etc/passwd",
    "etc/group",
    "etc/ld.so.cache",
    "etc/ld.so.preload",
    "etc/ld-musl-x86_64.path",
    "lib64/ld-linux-x86-64.so.2",
    "lib/ld-linux-armhf.so.3",
    "lib/ld64.so.1",
    "lib/ld-musl-x86_64.so.1",
    "lib/liba.so",
    "usr/lib/liba.so",
    "usr/lib/libb.so",
    "lib/glibc-hwcaps/x86-64-v3/liba.so",
    "data",
    "data/lib",
    "data/lib/liba.so",
    "data/app",
];
const NAMES: &[&str] = &["liba.so", "libb.so", "libc.so.6", "/lib/liba.so", "data/lib/liba.so", "lib", "", "libm.so.6"];
const FOLDERS: &[&str] =
    &["/lib", "/usr/lib", "$ORIGIN/data/lib", "/data/lib", "${LIB}", "data/lib", "/lib:/data/lib", "..", ""];
const TARGETS: &[&str] = &[
    "/",
    "..",
    "../..",
    "usr/lib",
    "/usr/lib",
    "lib",
    "/lib64",
    "app",
    "/data/app",
    "../data",
    "liba.so",
    "./../lib/.",
    "",
];
const WORDS: &[&str] = &["/app", "app", "./app", "data/app", "/bin/sh", "-c", "/usr/bin/env", "../app", ""];
const USERS: &[&str] = &["", "0", "7", "app", "7:8", "app:app", ":app", "4294967296", "7:"];
const TEXTS: &[&str] =
    &["app:x:7:8::/:\n", "app:x:8:app\nx:y:z\n", "/lib/liba.so libb.so", "/data/lib\n/usr/lib:x", ":::\n::"];
const LINES: &[&str] =
    &["/bin/sh -e", " /usr/bin/env app", "/usr/bin/env -S A=1 app", "/app", "", "app\r", "/data/app"];
const VERSIONS: &[&str] = &["GLIBC_2.31", "GLIBC_2.34", "GLIBC_PRIVATE", "A_1"];

thread_local! {
    /// A static executable of each machine, with nothing in it.
    static EMPTY: LazyCell<Vec<(&'static str, ElfFacts)>> = const { LazyCell::new(empty) };
}

fn empty() -> Vec<(&'static str, ElfFacts)> {
    PLATFORMS.iter().map(|platform| (*platform, facts(platform.parse().expect("a platform")))).collect()
}

fn facts(platform: Platform) -> ElfFacts {
    let machine = MACHINES.iter().find(|row| row.architecture == platform.architecture()).expect("a machine");
    let wide = machine.class == anyarch::elf::Class::Bits64;
    let number = |value: u64, size: usize| match machine.byte_order {
        ByteOrder::Little => value.to_le_bytes()[..size].to_vec(),
        ByteOrder::Big => value.to_be_bytes()[8 - size..].to_vec(),
    };
    let flags = machine.flags.iter().map(|rule| *rule.allowed.last().expect("a rule allows something"));
    let flags = flags.fold(0, |all, flags| all | flags);
    let word = if wide { 8 } else { 4 };
    let (header, segment) = if wide { (64, 56) } else { (52, 32) };
    let order = if machine.byte_order == ByteOrder::Little { 1 } else { 2 };
    let mut bytes = vec![0x7f, b'E', b'L', b'F', if wide { 2 } else { 1 }, order, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let fields = [(2, 2), (machine.machine.into(), 2), (1, 4), (0x10000, word), (header, word), (0, word)];
    let fields =
        fields.into_iter().chain([(flags.into(), 4), (header, 2), (segment, 2), (1, 2), (0, 2), (0, 2), (0, 2)]);
    bytes.extend(fields.flat_map(|(value, size)| number(value, size)));
    let words = [0, 0x10000, 0x10000, header + segment, header + segment];
    let words = words.into_iter().map(|value| (value, word));
    let fields: Vec<(u64, usize)> = if wide {
        [(1, 4), (5, 4)].into_iter().chain(words).chain([(16, word)]).collect()
    } else {
        [(1, 4)].into_iter().chain(words).chain([(5, 4), (16, word)]).collect()
    };
    bytes.extend(fields.into_iter().flat_map(|(value, size)| number(value, size)));
    ElfFacts::read(Cursor::new(bytes)).expect("an empty program is one")
}

/// Some of `all`.
fn some(input: &mut Unstructured<'_>, all: &[&str]) -> Result<Vec<String>> {
    let count = input.int_in_range(0..=3)?;
    (0..count).map(|_| Ok((*input.choose(all)?).to_owned())).collect()
}

fn maybe(input: &mut Unstructured<'_>, all: &[&str]) -> Result<Option<String>> {
    Ok(if input.ratio(1, 4)? { Some((*input.choose(all)?).to_owned()) } else { None })
}

fn binary(input: &mut Unstructured<'_>) -> Result<Binary> {
    let mut facts = EMPTY.with(|empty| Ok::<_, libfuzzer_sys::arbitrary::Error>(input.choose(empty)?.1.clone()))?;
    let kinds = [Linkage::Static, Linkage::StaticPie, Linkage::Dynamic, Linkage::SharedLibrary];
    facts.linkage = *input.choose(&kinds)?;
    facts.file_type = input.int_in_range(1..=3)?;
    if facts.linkage == Linkage::Dynamic {
        facts.interpreter = Some(format!("/{}", input.choose(PATHS)?));
    }
    facts.needed = some(input, NAMES)?;
    facts.soname = maybe(input, NAMES)?;
    facts.rpath = maybe(input, FOLDERS)?;
    facts.runpath = maybe(input, FOLDERS)?;
    facts.without_default_folders = input.ratio(1, 8)?;
    facts.binds_now = input.ratio(1, 8)?;
    facts.offers = some(input, VERSIONS)?;
    for version in some(input, VERSIONS)? {
        let library = (*input.choose(NAMES)?).to_owned();
        facts.versions.push(RequiredVersion { library, version, weak: input.ratio(1, 4)? });
    }
    let mut defined: Vec<Name> =
        some(input, &["puts", "greet"])?.iter().map(|name| Name::of(name.as_bytes())).collect();
    defined.sort_unstable();
    let wanted = some(input, &["puts", "greet"])?;
    let wanted = wanted.into_iter().map(|name| Wanted { data: name == "greet", name }).collect();
    let symbols = Symbols { defined, wanted, opens_libraries: input.ratio(1, 8)?, ..Symbols::default() };
    let folders = some(input, &["/lib", "/usr/lib", "/data/lib"])?;
    let loader = match input.int_in_range(0..=3)? {
        0 => Some(Loader::Musl { version: None, folders }),
        1 => None,
        _ => Some(Loader::Glibc { folders }),
    };
    let glibc = maybe(input, &["2.31", "2.36"])?;
    Ok(Binary { facts, symbols: if input.ratio(1, 8)? { None } else { Some(symbols) }, glibc, loader })
}

fn contents(input: &mut Unstructured<'_>) -> Result<Contents> {
    Ok(match input.int_in_range(0..=9)? {
        0 => Contents::Unread,
        1 => Contents::Script((*input.choose(LINES)?).to_owned()),
        2 => Contents::Kept(input.choose(TEXTS)?.as_bytes().to_vec()),
        // For one that is no cache: any bytes.
        3 | 4 => {
            let length = input.int_in_range(0..=400)?;
            let mut bytes = (*input.choose(&[&b"glibc-ld.so.cache1.1"[..], b"ld.so-1.7.0\0", b""])?).to_vec();
            bytes.extend_from_slice(input.bytes(length.min(input.len()))?);
            Contents::Kept(bytes)
        }
        5 => Contents::NotRead("is stored as a sparse file".to_owned()),
        _ => Contents::Elf(Box::new(binary(input)?)),
    })
}

fn layer(input: &mut Unstructured<'_>) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for _ in 0..input.int_in_range(0..=12)? {
        let path = (*input.choose(PATHS)?).to_owned();
        let kind = match input.int_in_range(0..=12)? {
            0 => Kind::Whiteout,
            1 => Kind::Opaque,
            2 => Kind::HardLink((*input.choose(PATHS)?).to_owned()),
            3 | 4 => Kind::Symlink((*input.choose(TARGETS)?).to_owned()),
            5 => Kind::Folder,
            6 => Kind::Other,
            _ => Kind::File(File { size: 100, contents: contents(input)? }),
        };
        // That the usual folders are open to all is taken for granted of layers that are not read.
        let mode = if kind == Kind::Folder && !path.starts_with("data") {
            0o755
        } else {
            *input.choose(&[0o755, 0o644, 0o700])?
        };
        entries.push(Entry { path, mode, uid: *input.choose(&[0, 7])?, gid: *input.choose(&[0, 8])?, kind });
    }
    Ok(entries)
}

fn config(input: &mut Unstructured<'_>) -> Result<Value> {
    let mut env = Vec::new();
    for name in some(input, &["PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "LD_BIND_NOW"])? {
        let all = if name == "LD_PRELOAD" { NAMES } else { FOLDERS };
        env.push(format!("{name}={}", input.choose(all)?));
    }
    Ok(json!({"config": {
        "Entrypoint": some(input, WORDS)?,
        "Cmd": some(input, WORDS)?,
        "Env": env,
        "User": input.choose(USERS)?,
        "WorkingDir": input.choose(&["", "/", "/data", "data", "/app"])?,
    }}))
}

/// Whether a layer has something in what is a link of one below it, and lies elsewhere then: over anything else, which
/// nobody can know who has not read that layer.
fn leads_elsewhere(layers: &[Vec<Entry>]) -> bool {
    layers.iter().enumerate().any(|(number, layer)| {
        let mut links = layer.iter().filter(|entry| matches!(entry.kind, Kind::Symlink(_) | Kind::HardLink(_)));
        let above: Vec<&Entry> = layers[number + 1..].iter().flatten().collect();
        links.any(|link| above.iter().any(|entry| entry.path.starts_with(&format!("{}/", link.path))))
    })
}

fn run(input: &mut Unstructured<'_>) -> Result<()> {
    let platform: Platform = input.choose(PLATFORMS)?.parse().expect("a platform");
    let config = StartConfig::of(&config(input)?);
    let layers = [layer(input)?, layer(input)?, layer(input)?];
    let listings = layers.clone().map(Listing::from_iter);
    let comparable = !leads_elsewhere(&layers);
    let mut first = None;
    for lowest in (0..=layers.len()).rev() {
        let above: Vec<&Listing> = listings[lowest..].iter().collect();
        let tree = Tree::of(&above, lowest == 0).expect("small layers have few files");
        match judge(platform, &config, &tree) {
            Ok(judgement) => {
                let _ = judgement.problems.iter().map(|problem| (problem.to_string(), problem.hints())).count();
                let said = (judgement.verdict(), judgement.program, judgement.format);
                let known = first.get_or_insert_with(|| said.clone());
                assert!(
                    known == &said || !comparable,
                    "{known:?} {said:?} layers below change what was said: {platform} {config:?} {layers:#?}"
                );
            }
            // A layer whose entries lie in one below it makes all uncertain until that is there.
            Err(_) => assert!(lowest > 0, "with all layers there is no answer: {platform} {config:?} {layers:#?}"),
        }
    }
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Unstructured::new(bytes));
});
