//! Images made by hand, against [`judge`].

use serde_json::{Value, json};

use super::*;
use crate::elf::{self, ElfFacts, Linkage, Name, RequiredVersion, Symbols, Wanted};
use crate::hint::Hint as _;
use crate::listing::{Entry, File, Kind, Listing};

/// An image for one platform, to be filled.
struct Image {
    platform: Platform,
    entries: Vec<Entry>,
    config: Value,
    complete: bool,
}

fn binary(platform: Platform) -> Binary {
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

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl Image {
    /// An image that starts `/app`.
    fn new(platform: &str) -> Self {
        let config = json!({"config": {"Entrypoint": ["/app"]}});
        Self { platform: platform.parse().unwrap(), entries: Vec::new(), config, complete: true }
    }

    fn entry(mut self, path: &str, mode: u32, kind: Kind) -> Self {
        self.entries.push(Entry { path: path.trim_start_matches('/').to_owned(), mode, uid: 0, gid: 0, kind });
        self
    }

    fn contents(self, path: &str, mode: u32, contents: Contents) -> Self {
        self.entry(path, mode, Kind::File(File { size: 100, contents }))
    }

    fn elf(self, path: &str, change: impl FnOnce(&mut Binary)) -> Self {
        let mut made = binary(self.platform);
        change(&mut made);
        self.contents(path, 0o755, Contents::Elf(Box::new(made)))
    }

    /// A program that needs `needed`, by the loader `interpreter`.
    fn program(self, interpreter: &str, needed: &[&str], change: impl FnOnce(&mut Binary)) -> Self {
        self.elf("/app", |made| {
            made.facts.linkage = Linkage::Dynamic;
            made.facts.interpreter = Some(interpreter.to_owned());
            made.facts.needed = texts(needed);
            change(made);
        })
    }

    fn library(self, path: &str, change: impl FnOnce(&mut Binary)) -> Self {
        self.elf(path, |made| {
            made.facts.soname = path.rsplit('/').next().map(str::to_owned);
            change(made);
        })
    }

    /// glibc's loader and library in `/lib`, which the loader looks through, and `/usr/lib`.
    fn glibc(self, newest: &str) -> Self {
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

    fn musl(self) -> Self {
        let loader = elf::loaders(self.platform).unwrap().musl;
        self.elf(loader, |made| {
            made.loader = Some(Loader::Musl { version: Some("1.2.5".into()), folders: Vec::new() });
            made.symbols = Some(Symbols { defined: vec![Name::of(b"puts")], ..Symbols::default() });
        })
    }

    fn link(self, path: &str, target: &str) -> Self {
        self.entry(path, 0o777, Kind::Symlink(target.to_owned()))
    }

    fn script(self, path: &str, line: &str) -> Self {
        self.contents(path, 0o755, Contents::Script(line.to_owned()))
    }

    fn kept(self, path: &str, text: &str) -> Self {
        self.contents(path, 0o644, Contents::Kept(text.as_bytes().to_vec()))
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        self.config["config"][key] = value;
        self
    }

    fn judge(self) -> Result<Judgement, NeedsLower> {
        let listing = Listing { entries: self.entries };
        judge(self.platform, &StartConfig::of(&self.config), &Tree::of(&[&listing], self.complete).unwrap())
    }

    /// Verdict, libc and problems in words.
    fn said(self) -> (Verdict, String, Vec<String>) {
        let judgement = self.judge().unwrap();
        for problem in &judgement.problems {
            assert!(problem.hints().iter().all(|hint| !hint.contains('\n')), "{:?}", problem.hints());
        }
        let problems = judgement.problems.iter().map(ToString::to_string).collect();
        (judgement.verdict(), judgement.libc.clone().unwrap_or_default(), problems)
    }

    #[track_caller]
    fn is_ok(self, libc: &str) {
        assert_eq!(self.said(), (Verdict::Ok, libc.to_owned(), Vec::new()));
    }

    #[track_caller]
    fn fails(self, words: &str) {
        let (verdict, _, problems) = self.said();
        assert_eq!((verdict, problems), (Verdict::Fails, texts(&[words])));
    }
}

const X86: &str = "/lib64/ld-linux-x86-64.so.2";
const MUSL: &str = "/lib/ld-musl-x86_64.so.1";

fn amd64() -> Image {
    Image::new("linux/amd64")
}

fn needs(made: &mut Binary, library: &str, version: &str) {
    let required = RequiredVersion { library: library.into(), version: version.into(), weak: false };
    made.facts.versions.push(required);
}

fn wants(made: &mut Binary, name: &str, data: bool) {
    made.symbols.get_or_insert_default().wanted.push(Wanted { name: name.to_owned(), data });
}

fn is_static(made: &mut Binary) {
    made.facts.file_type = 2;
    made.facts.linkage = Linkage::Static;
}

#[test]
fn what_has_all_that_it_needs_starts() {
    amd64().elf("/app", is_static).is_ok("");
    amd64()
        .glibc("GLIBC_2.36")
        .program(X86, &["libc.so.6"], |made| needs(made, "libc.so.6", "GLIBC_2.9"))
        .is_ok("glibc 2.36");
    amd64()
        .musl()
        .program(MUSL, &["libc.musl-x86_64.so.1", "libm.so.6"], |made| wants(made, "puts", false))
        .is_ok("musl 1.2.5");
    // A merged /usr, links with and without a slash, and a loader by way of them.
    amd64()
        .link("lib", "usr/lib")
        .link("lib64", "/usr/lib")
        .entry("usr/lib", 0o755, Kind::Folder)
        .glibc("GLIBC_2.36")
        .program(X86, &["libc.so.6"], |_| ())
        .is_ok("glibc 2.36");
}

#[test]
fn the_loader_has_to_be_there_and_of_the_machine() {
    amd64()
        .program(X86, &["libc.so.6"], |_| ())
        .fails("`/app` asks for the loader `/lib64/ld-linux-x86-64.so.2` (glibc), which is not in the image");
    amd64().musl().program(X86, &["libc.so.6"], |_| ()).fails(
        "`/app` asks for the loader `/lib64/ld-linux-x86-64.so.2` (glibc), which is not in the image; it has musl 1.2.5",
    );
    amd64()
        .glibc("GLIBC_2.31")
        .program(MUSL, &[], |_| ())
        .fails("`/app` asks for the loader `/lib/ld-musl-x86_64.so.1` (musl), which is not in the image; it has glibc");
    let arm = binary("linux/arm64".parse().unwrap());
    amd64()
        .contents(X86, 0o755, Contents::Elf(Box::new(arm)))
        .program(X86, &[], |_| ())
        .fails("`/app` asks for the loader `/lib64/ld-linux-x86-64.so.2`, which is an AArch64 binary");
    let (verdict, _, _) =
        amd64().elf("/lib/ld-uClibc.so.0", |_| ()).program("/lib/ld-uClibc.so.0", &["libc.so.0"], |_| ()).said();
    assert_eq!(verdict, Verdict::Unknown);
}

#[test]
fn versions_that_the_image_lacks_are_told_with_the_highest_that_it_has() {
    let problems = amd64()
        .glibc("GLIBC_2.31")
        .program(X86, &["libc.so.6"], |made| {
            needs(made, "libc.so.6", "GLIBC_2.32");
            needs(made, "libc.so.6", "GLIBC_2.34");
            needs(made, "libc.so.6", "GLIBC_2.9");
            made.symbols.get_or_insert_default().examples = vec![("GLIBC_2.34".into(), "__libc_start_main".into())];
        })
        .said();
    assert_eq!(
        problems.2,
        ["`/app` needs GLIBC_2.34 (`__libc_start_main`) of `libc.so.6`, and `/lib/libc.so.6` is of glibc 2.31"]
    );
    // Weak ones are not needed, and a library without versions is used all the same.
    amd64()
        .glibc("GLIBC_2.31")
        .library("/lib/libplain.so", |_| ())
        .program(X86, &["libc.so.6", "libplain.so"], |made| {
            needs(made, "libplain.so", "PLAIN_1");
            needs(made, "libc.so.6", "GLIBC_ABI_DT_RELR");
            made.facts.versions[1].weak = true;
        })
        .is_ok("glibc 2.31");
    // A library of the image that needs more than its libc.
    amd64()
        .glibc("GLIBC_2.31")
        .library("/lib/libnew.so", |made| needs(made, "libc.so.6", "GLIBC_2.34"))
        .program(X86, &["libnew.so", "libc.so.6"], |_| ())
        .fails("`/lib/libnew.so` needs GLIBC_2.34 of `libc.so.6`, and `/lib/libc.so.6` is of glibc 2.31");
}

#[test]
fn libraries_are_looked_for_as_glibc_does() {
    let base =
        || amd64().glibc("GLIBC_2.36").library("/opt/lib/liba.so.1", |made| made.facts.needed = texts(&["libb.so.1"]));
    let both = || base().library("/opt/lib/libb.so.1", |_| ());
    let needed = ["liba.so.1", "libc.so.6"];
    let lost = |name: &str, by: &str| {
        format!(
            "`{by}` needs the library `{name}`, which the loader does not find; it is at `/opt/lib/{name}`, where the loader does not look"
        )
    };
    both().program(X86, &needed, |_| ()).fails(&lost("liba.so.1", "/app"));
    // DT_RPATH is for all that the program brings, DT_RUNPATH for itself, and makes a DT_RPATH beside it mean nothing.
    both().program(X86, &needed, |made| made.facts.rpath = Some("/opt/lib".into())).is_ok("glibc 2.36");
    both()
        .program(X86, &needed, |made| made.facts.runpath = Some("/opt/lib".into()))
        .fails(&lost("libb.so.1", "/opt/lib/liba.so.1"));
    let beside =
        |made: &mut Binary| (made.facts.rpath, made.facts.runpath) = (Some("/opt/lib".into()), Some("/none".into()));
    both().program(X86, &needed, beside).fails(&lost("liba.so.1", "/app"));
    both().program(X86, &needed, |_| ()).with("Env", json!(["LD_LIBRARY_PATH=/nowhere:/opt/lib"])).is_ok("glibc 2.36");
    both().program(X86, &needed, |made| made.facts.rpath = Some("$ORIGIN/opt/$LIB".into())).is_ok("glibc 2.36");
    let flagged = |made: &mut Binary| made.facts.without_default_folders = true;
    amd64().glibc("GLIBC_2.36").program(X86, &["libc.so.6"], flagged).fails(
        "`/app` needs the library `libc.so.6`, which the loader does not find; it is at `/lib/libc.so.6`, where the loader does not look",
    );
    // A path is opened as it is.
    base()
        .program(X86, &["/opt/lib/libc.so"], |_| ())
        .fails("`/app` needs the library `/opt/lib/libc.so`, which the loader does not find");
}

#[test]
fn only_ldconfig_reads_its_configuration() {
    let judgement = amd64()
        .glibc("GLIBC_2.36")
        .library("/usr/local/lib/liba.so.1", |_| ())
        .kept("/etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n")
        .kept("/etc/ld.so.conf.d/libc.conf", "# here\n/usr/local/lib\n")
        .program(X86, &["liba.so.1"], |_| ())
        .judge()
        .unwrap();
    let hints = judgement.problems[0].hints();
    assert_eq!(hints, ["/etc/ld.so.conf names its folder, and only ldconfig reads that: RUN ldconfig"]);
}

#[test]
fn files_of_other_machines_are_passed_over_by_glibc_and_stop_musl() {
    let arm = || Contents::Elf(Box::new(binary("linux/arm64".parse().unwrap())));
    let path = "LD_LIBRARY_PATH=/foreign";
    let needed = ["liba.so.1"];
    amd64()
        .glibc("GLIBC_2.36")
        .contents("/foreign/liba.so.1", 0o644, arm())
        .library("/lib/liba.so.1", |_| ())
        .program(X86, &needed, |_| ())
        .with("Env", json!([path]))
        .is_ok("glibc");
    amd64().glibc("GLIBC_2.36").contents("/lib/liba.so.1", 0o644, arm()).program(X86, &needed, |_| ()).fails(
        "`/app` needs the library `liba.so.1`, which the loader does not find; `/lib/liba.so.1` is an AArch64 binary",
    );
    amd64()
        .musl()
        .contents("/foreign/liba.so.1", 0o644, arm())
        .library("/lib/liba.so.1", |_| ())
        .program(MUSL, &needed, |_| ())
        .with("Env", json!([path]))
        .fails("`/app` needs the library `liba.so.1`, and the loader stops at `/foreign/liba.so.1`, which is an AArch64 binary");
    amd64()
        .glibc("GLIBC_2.36")
        .kept("/lib/liba.so.1", "INPUT(x)")
        .program(X86, &needed, |_| ())
        .fails("`/app` needs the library `liba.so.1`, and the loader stops at `/lib/liba.so.1`, which is no ELF file");
}

#[test]
fn subfolders_for_newer_processors_count_where_the_platform_has_them() {
    let image = |platform: &str| {
        Image::new(platform).glibc("GLIBC_2.36").library("/lib/glibc-hwcaps/x86-64-v3/liba.so.1", |_| ()).program(
            X86,
            &["liba.so.1"],
            |_| (),
        )
    };
    image("linux/amd64/v3").is_ok("glibc");
    image("linux/amd64/v4").is_ok("glibc");
    assert_eq!(image("linux/amd64").said().0, Verdict::Fails);
}

#[test]
fn musl_looks_where_its_file_says() {
    let image = || amd64().musl().library("/opt/liba.so", |_| ()).program(MUSL, &["liba.so"], |_| ());
    assert_eq!(image().said().0, Verdict::Fails);
    image().kept("/etc/ld-musl-x86_64.path", "/lib\n/opt\n").is_ok("musl 1.2.5");
    // Both kinds of paths are for all that follows.
    let chain = |runpath: &str| {
        amd64()
            .musl()
            .library("/opt/liba.so", |made| made.facts.needed = texts(&["libb.so"]))
            .library("/opt/libb.so", |_| ())
            .program(MUSL, &["liba.so"], |made| made.facts.runpath = Some(runpath.to_owned()))
    };
    chain("${ORIGIN}/opt").is_ok("musl 1.2.5");
    assert_eq!(chain("/opt:$LIB").said().0, Verdict::Fails);
}

#[test]
fn symbols_that_nothing_has_end_the_start_or_wait() {
    let image =
        |change: &dyn Fn(&mut Binary)| amd64().glibc("GLIBC_2.36").program(X86, &["libc.so.6"], |made| change(made));
    image(&|made| wants(made, "puts", false)).is_ok("glibc 2.36");
    let (verdict, _, problems) = image(&|made| wants(made, "missing", false)).said();
    assert_eq!(
        (verdict, problems),
        (
            Verdict::Unknown,
            texts(&["`/app` calls `missing`, which none of its libraries has: it fails when it comes to that"])
        )
    );
    let lost = "`/app` needs the symbol `missing`, which none of its libraries has";
    image(&|made| wants(made, "missing", true)).fails(lost);
    let now = |made: &mut Binary| {
        wants(made, "missing", false);
        made.facts.binds_now = true;
    };
    image(&now).fails(lost);
    image(&now).with("Env", json!(["LD_PRELOAD=/lib/any.so"])).is_ok("glibc 2.36");
    image(&|made| wants(made, "missing", false)).with("Env", json!(["LD_BIND_NOW=1"])).fails(lost);
    amd64()
        .musl()
        .program(MUSL, &[], |made| wants(made, "backtrace", false))
        .fails("`/app` needs the symbol `backtrace`, which none of its libraries has");
    let (verdict, _, problems) = image(&|made| made.symbols.as_mut().unwrap().opens_libraries = true).said();
    assert_eq!((verdict, problems.len()), (Verdict::Ok, 1));
}

#[test]
fn code_of_the_program_and_of_libraries_is_held_to_the_platform() {
    let v3 = |made: &mut Binary| made.facts.x86_level = Some(3);
    amd64()
        .glibc("GLIBC_2.36")
        .library("/lib/liba.so", v3)
        .program(X86, &["liba.so"], |_| ())
        .fails("`/lib/liba.so` says that it needs x86-64-v3, linux/amd64 is x86-64-v1");
    let mut arm = binary("linux/arm64".parse().unwrap());
    is_static(&mut arm);
    amd64()
        .contents("/app", 0o755, Contents::Elf(Box::new(arm)))
        .fails("`/app` is an AArch64 binary, linux/amd64 needs x86-64");
}

#[test]
fn scripts_lead_to_their_interpreters() {
    let shell = || amd64().elf("/bin/sh", is_static);
    shell().script("/app", "/bin/sh -e").is_ok("");
    shell().script("/app", "/script").script("/script", " /bin/sh").is_ok("");
    shell()
        .script("/app", "/bin/sh\r")
        .fails("the script `/app` asks for the interpreter `/bin/sh\\r`, which is not in the image");
    shell().script("/app", "").fails("the script `/app` names no interpreter after `#!`");
    amd64().script("/app", "/app").fails("scripts that are interpreters of scripts go on for too long at `/app`");
    amd64()
        .contents("/app", 0o755, Contents::NotStartable("text that begins `echo`".into()))
        .fails("`/app` is text that begins `echo`, which a kernel does not start (exec format error)");
    let env = || shell().link("/usr/bin/env", "../../bin/sh");
    env().script("/app", "/usr/bin/env sh").is_ok("");
    env().script("/app", "/usr/bin/env python3").fails(
        "the script `/app` asks `env` for `python3`, which is in no folder of the image's PATH (/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)",
    );
    // An interpreter that is dynamic is held to its loader.
    amd64()
        .glibc("GLIBC_2.31")
        .script("/start", "/app")
        .program(X86, &["libc.so.6"], |made| needs(made, "libc.so.6", "GLIBC_2.34"))
        .with("Entrypoint", json!(["/start"]))
        .fails("`/app` needs GLIBC_2.34 of `libc.so.6`, and `/lib/libc.so.6` is of glibc 2.31");
}

#[test]
fn the_program_is_found_as_engines_find_it() {
    let tool = || amd64().elf("/opt/tool", is_static);
    tool()
        .with("Entrypoint", json!(null))
        .with("Cmd", json!(["tool"]))
        .with("Env", json!(["PATH=/bin:/opt"]))
        .is_ok("");
    tool().with("Entrypoint", json!(["tool"])).fails(
        "`tool` is in no folder of the image's PATH (/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)",
    );
    tool().with("Entrypoint", json!(["./tool"])).with("WorkingDir", json!("/opt")).is_ok("");
    tool().with("Entrypoint", json!(["opt/tool"])).is_ok("");
    tool().fails("`/app` is not in the image");
    tool().link("/app", "/nowhere").fails("`/app` is not in the image: it is a link to what is not there");
    tool().link("/app", "/opt").fails("`/app` is a folder, not a program");
    let (verdict, _, problems) = tool().with("Entrypoint", json!([])).said();
    assert_eq!((verdict, problems.len()), (Verdict::Unknown, 1));
    tool()
        .with("Entrypoint", json!(["/opt/tool"]))
        .with("WorkingDir", json!("/opt/tool"))
        .fails("the image's working folder `/opt/tool` is not a folder");
    let (verdict, _, _) = tool().with("Entrypoint", json!(["/opt/tool"])).with("WorkingDir", json!("/data")).said();
    assert_eq!(verdict, Verdict::Ok, "engines make it");
}

#[test]
fn users_are_looked_up_and_held_to_modes() {
    let image = || amd64().elf("/app", is_static);
    image().with("User", json!("65532:65532")).is_ok("");
    image()
        .with("User", json!("4294967296"))
        .fails("the image's user `4294967296` is no number that Linux has: they go from 0 to 2147483647");
    image().with("User", json!("app")).fails("the image's user `app` is not in its /etc/passwd, which does not exist");
    let known = || image().kept("/etc/passwd", "root:x:0:0::/:\napp:x:7:8::/:\n").kept("/etc/group", "wheel:x:9:app\n");
    known().with("User", json!("app")).is_ok("");
    known().with("User", json!("app:wheel")).is_ok("");
    known().with("User", json!("app:none")).fails("the image's group `none` is not in its /etc/group");
    known().with("User", json!("other")).fails("the image's user `other` is not in its /etc/passwd");
    let made = binary("linux/amd64".parse().unwrap());
    let file = |mode: u32| {
        let mut made = made.clone();
        is_static(&mut made);
        amd64().kept("/etc/passwd", "app:x:7:8::/:\n").contents("/app", mode, Contents::Elf(Box::new(made)))
    };
    file(0o644).fails("`/app` cannot be executed by root: its mode is 0644");
    file(0o744).is_ok("");
    file(0o744)
        .with("User", json!("app"))
        .fails("`/app` cannot be executed by the image's user `app`: its mode is 0744");
    file(0o754).with("User", json!("7")).fails("`/app` cannot be executed by the image's user `7`: its mode is 0754");
    file(0o754).with("User", json!("7:0")).is_ok("");
    let closed = || {
        amd64().entry("/root", 0o700, Kind::Folder).elf("/root/app", is_static).with("Entrypoint", json!(["/root/app"]))
    };
    closed().is_ok("");
    closed()
        .with("User", json!("7"))
        .fails("`/root/app` cannot be reached by the image's user `7`: the mode of a folder on the way is 0700");
}

#[test]
fn lower_layers_are_asked_for_only_where_the_answer_needs_them() {
    let upper = |mut image: Image| {
        image.complete = false;
        image
    };
    let program =
        || upper(amd64().elf("/usr/local/bin/app", is_static).with("Entrypoint", json!(["/usr/local/bin/app"])));
    program().with("User", json!("65532")).is_ok("");
    assert_eq!(program().with("User", json!("app")).judge(), Err(NeedsLower));
    assert_eq!(program().with("WorkingDir", json!("/data")).judge(), Err(NeedsLower));
    assert_eq!(
        program().with("Entrypoint", json!(["app"])).judge(),
        Err(NeedsLower),
        "another may come before it on PATH"
    );
    assert_eq!(upper(amd64().program(X86, &[], |_| ())).judge(), Err(NeedsLower));
    let private = upper(amd64().elf("/data/app", is_static).with("Entrypoint", json!(["/data/app"])));
    assert_eq!(private.with("User", json!("7")).judge(), Err(NeedsLower), "who may enter /data is not known");
}
