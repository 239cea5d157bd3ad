//! Images made by hand, against [`judge`].

use serde_json::json;

use super::*;
use crate::elf::Name;
use crate::hint::Hint as _;
use crate::listing::Kind;

mod image;
mod libc;

use image::{Image, MUSL, X86, amd64, binary, is_static, needs, texts, wants};

#[test]
fn what_has_all_that_it_needs_starts() {
    amd64().elf("/app", is_static).starts("");
    amd64()
        .glibc("GLIBC_2.36")
        .program(X86, &["libc.so.6"], |made| needs(made, "libc.so.6", "GLIBC_2.9"))
        .starts("glibc 2.36");
    amd64()
        .musl()
        .program(MUSL, &["libc.musl-x86_64.so.1", "libm.so.6"], |made| wants(made, "puts", false))
        .starts("musl 1.2.5");
    // A merged /usr, links with and without a slash, and a loader by way of them.
    amd64()
        .link("lib", "usr/lib")
        .link("lib64", "/usr/lib")
        .entry("usr/lib", 0o755, Kind::Folder)
        .glibc("GLIBC_2.36")
        .program(X86, &["libc.so.6"], |_| ())
        .starts("glibc 2.36");
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
        .starts("glibc 2.31");
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
    both().program(X86, &needed, |made| made.facts.rpath = Some("/opt/lib".into())).starts("glibc 2.36");
    both()
        .program(X86, &needed, |made| made.facts.runpath = Some("/opt/lib".into()))
        .fails(&lost("libb.so.1", "/opt/lib/liba.so.1"));
    let beside =
        |made: &mut Binary| (made.facts.rpath, made.facts.runpath) = (Some("/opt/lib".into()), Some("/none".into()));
    both().program(X86, &needed, beside).fails(&lost("liba.so.1", "/app"));
    both().program(X86, &needed, |_| ()).with("Env", json!(["LD_LIBRARY_PATH=/nowhere:/opt/lib"])).starts("glibc 2.36");
    both().program(X86, &needed, |made| made.facts.rpath = Some("$ORIGIN/opt/$LIB".into())).starts("glibc 2.36");
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
        .starts("glibc");
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
    image("linux/amd64/v3").starts("glibc");
    image("linux/amd64/v4").starts("glibc");
    assert_eq!(image("linux/amd64").said().0, Verdict::Fails);
}

#[test]
fn musl_looks_where_its_file_says() {
    let image = || amd64().musl().library("/opt/liba.so", |_| ()).program(MUSL, &["liba.so"], |_| ());
    assert_eq!(image().said().0, Verdict::Fails);
    image().kept("/etc/ld-musl-x86_64.path", "/lib\n/opt\n").starts("musl 1.2.5");
    // Both kinds of paths are for all that follows.
    let chain = |runpath: &str| {
        amd64()
            .musl()
            .library("/opt/liba.so", |made| made.facts.needed = texts(&["libb.so"]))
            .library("/opt/libb.so", |_| ())
            .program(MUSL, &["liba.so"], |made| made.facts.runpath = Some(runpath.to_owned()))
    };
    chain("${ORIGIN}/opt").starts("musl 1.2.5");
    assert_eq!(chain("/opt:$LIB").said().0, Verdict::Fails);
}

#[test]
fn symbols_that_nothing_has_end_the_start_or_wait() {
    let image =
        |change: &dyn Fn(&mut Binary)| amd64().glibc("GLIBC_2.36").program(X86, &["libc.so.6"], |made| change(made));
    image(&|made| wants(made, "puts", false)).starts("glibc 2.36");
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
    image(&|made| wants(made, "missing", false)).with("Env", json!(["LD_BIND_NOW=1"])).fails(lost);
    amd64()
        .musl()
        .program(MUSL, &[], |made| wants(made, "backtrace", false))
        .fails("`/app` needs the symbol `backtrace`, which none of its libraries has");
    let (verdict, _, problems) = image(&|made| made.symbols.as_mut().unwrap().opens_libraries = true).said();
    assert_eq!((verdict, problems.len()), (Verdict::Ok, 1));
}

#[test]
fn what_is_preloaded_is_judged_with_the_rest() {
    let defines = |name: &'static str| {
        move |made: &mut Binary| made.symbols.get_or_insert_default().defined = vec![Name::of(name.as_bytes())]
    };
    let image = || {
        amd64()
            .glibc("GLIBC_2.36")
            .library("/opt/libhas.so", defines("missing"))
            .library("/opt/liblacks.so", |_| ())
            .library("/opt/libdeep.so", |made| made.facts.needed = texts(&["libnone.so"]))
            .program(X86, &["libc.so.6"], |made| wants(made, "missing", true))
    };
    let with = |value: &str| image().with("Env", json!([format!("LD_PRELOAD={value}")]));
    let lost = "`/app` needs the symbol `missing`, which none of its libraries has";
    image().fails(lost);
    with("/opt/liblacks.so").fails(lost);
    with("/opt/libhas.so").starts("glibc 2.36");
    with(":/opt/liblacks.so /opt/libhas.so").starts("glibc 2.36");
    with("libhas.so").with("Env", json!(["LD_PRELOAD=libhas.so", "LD_LIBRARY_PATH=/opt"])).starts("glibc 2.36");
    image().kept("/etc/ld.so.preload", "# why\n/opt/liblacks.so\t/opt/libhas.so # that\n").starts("glibc 2.36");
    with("/opt/libdeep.so:/opt/libhas.so")
        .fails("`/opt/libdeep.so` needs the library `libnone.so`, which the loader does not find");
    // What cannot be preloaded is told, and left out.
    let (verdict, _, problems) = with("/opt/libhas.so:/none.so:/etc/text").kept("/etc/text", "text").said();
    let ignored = [
        "LD_PRELOAD names `/none.so`, which is not found: loaders go on without it",
        "LD_PRELOAD names `/etc/text`, which is no ELF file: loaders go on without it",
    ];
    assert_eq!((verdict, problems), (Verdict::Ok, texts(&ignored)));
    // musl looks for it in nobody's own folders, and reads no file.
    let musl = |env: &str| {
        amd64()
            .musl()
            .library("/opt/libhas.so", defines("missing"))
            .kept("/etc/ld.so.preload", "/opt/libhas.so")
            .program(MUSL, &[], |made| {
                made.facts.runpath = Some("/opt".into());
                wants(made, "missing", false);
            })
            .with("Env", json!([env]))
    };
    musl("LD_PRELOAD=/opt/libhas.so").starts("musl 1.2.5");
    assert_eq!(musl("LD_PRELOAD=libhas.so").said().0, Verdict::Fails);
    assert_eq!(musl("A=b").said().0, Verdict::Fails);
}

#[test]
fn a_search_through_absurdly_many_folders_ends() {
    let image = |folders: usize| {
        let path = format!("LD_LIBRARY_PATH={}", "/x:".repeat(folders));
        amd64().glibc("GLIBC_2.36").program(X86, &["libc.so.6"], |_| ()).with("Env", json!([path]))
    };
    image(1000).starts("glibc 2.36");
    let (verdict, _, problems) = image(200_001).said();
    let said = "`/app` needs more libraries, with those that they need, than anyarch looks for";
    assert_eq!((verdict, problems), (Verdict::Unknown, texts(&[said])));
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
    shell().script("/app", "/bin/sh -e").starts("");
    shell().script("/app", "/script").script("/script", " /bin/sh").starts("");
    shell()
        .script("/app", "/bin/sh\r")
        .fails("the script `/app` asks for the interpreter `/bin/sh\\r`, which is not in the image");
    shell().script("/app", "").fails("the script `/app` names no interpreter after `#!`");
    amd64().script("/app", "/app").fails("scripts that are interpreters of scripts go on for too long at `/app`");
    amd64()
        .contents("/app", 0o755, Contents::NotStartable("text that begins `echo`".into()))
        .fails("`/app` is text that begins `echo`, which a kernel does not start (exec format error)");
    let env = || shell().link("/usr/bin/env", "../../bin/sh");
    env().script("/app", "/usr/bin/env sh").starts("");
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
        .starts("");
    tool().with("Entrypoint", json!(["tool"])).fails(
        "`tool` is in no folder of the image's PATH (/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)",
    );
    tool().with("Entrypoint", json!(["./tool"])).with("WorkingDir", json!("/opt")).starts("");
    tool().with("Entrypoint", json!(["opt/tool"])).starts("");
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
    image().with("User", json!("65532:65532")).starts("");
    image()
        .with("User", json!("4294967296"))
        .fails("the image's user `4294967296` is no number that Linux has: they go from 0 to 2147483647");
    image().with("User", json!("app")).fails("the image's user `app` is not in its /etc/passwd, which does not exist");
    let known = || image().kept("/etc/passwd", "root:x:0:0::/:\napp:x:7:8::/:\n").kept("/etc/group", "wheel:x:9:app\n");
    known().with("User", json!("app")).starts("");
    known().with("User", json!("app:wheel")).starts("");
    known().with("User", json!("app:none")).fails("the image's group `none` is not in its /etc/group");
    known().with("User", json!("other")).fails("the image's user `other` is not in its /etc/passwd");
    let made = binary("linux/amd64".parse().unwrap());
    let file = |mode: u32| {
        let mut made = made.clone();
        is_static(&mut made);
        amd64().kept("/etc/passwd", "app:x:7:8::/:\n").contents("/app", mode, Contents::Elf(Box::new(made)))
    };
    file(0o644).fails("`/app` cannot be executed by root: its mode is 0644");
    file(0o744).starts("");
    file(0o744)
        .with("User", json!("app"))
        .fails("`/app` cannot be executed by the image's user `app`: its mode is 0744");
    file(0o754).with("User", json!("7")).fails("`/app` cannot be executed by the image's user `7`: its mode is 0754");
    file(0o754).with("User", json!("7:0")).starts("");
    let closed = || {
        amd64().entry("/root", 0o700, Kind::Folder).elf("/root/app", is_static).with("Entrypoint", json!(["/root/app"]))
    };
    closed().starts("");
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
    program().with("User", json!("65532")).starts("");
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
