//! Projects of each build system for C become programs that start.

use std::fs;
use std::path::Path;

use crate::support::process;
use crate::support::project::{Project, refused};
use crate::support::start::Source;

const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

/// Prints `hello`, the machine it was compiled for, and what `GREETED` and `ADDED` are.
const MAIN: &str = r#"#include <stdio.h>
#include "words.h"
#if defined(__x86_64__)
#define MACHINE "x86_64"
#elif defined(__aarch64__)
#define MACHINE "aarch64"
#else
#define MACHINE "another"
#endif
#ifndef ADDED
#define ADDED "nothing"
#endif
int main(void) { printf("%s %s %s %s\n", word(), MACHINE, ADDED, __FILE__); return 0; }
"#;
const WORDS: &str = "#include \"words.h\"\nconst char *word(void) { return WORD; }\n";
const HEADER: &str = "#define WORD \"hello\"\nconst char *word(void);\n";

fn sources() -> Project {
    Project::new().file("main.c", MAIN).file("words.c", WORDS).file("words.h", HEADER)
}

const CMAKE: &str = "cmake_minimum_required(VERSION 3.13)\nproject(greeting C)\n\
    add_library(words words.c)\nadd_executable(greet main.c)\ntarget_link_libraries(greet words)\n\
    add_executable(check EXCLUDE_FROM_ALL main.c words.c)\ninstall(TARGETS greet words)\n";

const MAKEFILE: &str = "CC = cc\nCFLAGS += -DADDED='\"by the Makefile\"'\n\
    app: main.o words.o\n\t$(CC) $(LDFLAGS) -o $@ main.o words.o $(LDLIBS)\n\
    install: app\n\tmkdir -p $(DESTDIR)/opt/app/bin $(DESTDIR)/opt/app/empty\n\
    \tinstall -m 0700 app $(DESTDIR)/opt/app/bin/app\n\tln -s bin/app $(DESTDIR)/opt/app/run\n\
    \tinstall -m 0600 words.h $(DESTDIR)/opt/app/words.h\n";

/// A script as autoconf's are called, without autoconf.
const CONFIGURE: &str = r##"#!/bin/sh
# usage: ./configure [--build=BUILD] [--host=HOST] [--prefix=PREFIX]
for argument; do
  case $argument in
    --host=*) host=${argument#*=} ;;
    --build=*) build=${argument#*=} ;;
    --prefix=*) prefix=${argument#*=} ;;
    --with-word=*) word=${argument#*=} ;;
    *) echo "configure: $argument?" >&2; exit 1 ;;
  esac
done
test "$host" != "$build" || exit 1
echo 'int main(void) { return 0; }' >conftest.c
$CC $CFLAGS $LDFLAGS -o conftest conftest.c || exit 1
echo "#define ADDED \"$word for ${host%%-*} in $prefix\"" >config.h
echo "configured once more" >>configured
sed "s|@CC@|$CC|; s|@CFLAGS@|$CFLAGS -include config.h|; s|@LDFLAGS@|$LDFLAGS|" Makefile.in >Makefile
"##;
const MAKEFILE_IN: &str = "CC = @CC@\nCFLAGS = @CFLAGS@\nLDFLAGS = @LDFLAGS@\n\
    app: main.o words.o\n\t$(CC) $(LDFLAGS) -o $@ main.o words.o\nmain.o: words.h config.h\nwords.o: words.h\n";

const MESON: &str = "project('greeting', 'c')\nexecutable('greet', 'main.c', 'words.c', install: true)\n\
    executable('check', 'main.c', 'words.c', build_by_default: false)\n";

fn build(project: &Project) -> Source {
    let platforms = PLATFORMS.join(",");
    let arguments = ["build", "--platform", &platforms, "-o", "type=oci,dest=out,tar=false"];
    project.anyarch().args(arguments).run().assert_success();
    Source::Layout(project.path().join("out"))
}

/// What the program for arm64 says.
#[track_caller]
fn assert_says(source: &Source, words: [&str; 2]) {
    for (platform, words) in PLATFORMS.into_iter().zip(words) {
        let ended = source.unpack(platform).start(&[]);
        assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (0, words, ""), "{platform}");
    }
}

fn digest(project: &Project) -> String {
    let index = fs::read_to_string(project.path().join("out/index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    index["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

/// When a file of the build for arm64 was written.
fn written(project: &Project, path: &str) -> std::time::SystemTime {
    let path = project.path().join(".anyarch/build/linux_arm64").join(path);
    fs::metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).modified().unwrap()
}

#[test]
fn a_cmake_project_needs_no_configuration_and_is_the_same_in_any_folder() {
    let digests = [false, true].map(|again| {
        let project = sources().file("CMakeLists.txt", CMAKE);
        let source = build(&project);
        let platforms = ["hello x86_64 nothing /src/main.c\n", "hello aarch64 nothing /src/main.c\n"];
        assert_says(&source, platforms);
        let image = source.unpack("linux/arm64");
        assert_eq!(image.config()["Entrypoint"], serde_json::json!(["/usr/local/bin/greet"]));
        if again {
            let object = "greet/build/CMakeFiles/greet.dir/main.c.o";
            let before = (digest(&project), written(&project, object));
            build(&project);
            assert_eq!((digest(&project), written(&project, object)), before, "nothing changed");
            // What is compiled with other flags is not taken for what is there.
            let project = project.file("anyarch.toml", "[[program]]\ncflags = ['-DADDED=\\\"flags\\\"']\n");
            let source = build(&project);
            assert_says(&source, ["hello x86_64 flags /src/main.c\n", "hello aarch64 flags /src/main.c\n"]);
            return before.0;
        }
        digest(&project)
    });
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn a_makefile_builds_in_a_copy_with_its_own_flags_and_the_users() {
    let configuration = "[[program]]\nname = \"app\"\nlanguage = \"c\"\noutput = \"app\"\ncflags = [\"-DWORDS\"]\n";
    let digests = [false, true].map(|again| {
        // Objects of this machine, newer than all else.
        let project = sources().file("Makefile", MAKEFILE).file("anyarch.toml", configuration);
        let project = if again { project.file(".gitignore", "/out\n").commit() } else { project };
        let before = listing(project.path());
        if again {
            process::succeed(std::process::Command::new("gcc").args(["-c", "main.c"]).current_dir(project.path()));
        }
        let source = build(&project);
        let words = ["hello x86_64 by the Makefile main.c\n", "hello aarch64 by the Makefile main.c\n"];
        assert_says(&source, words);
        if again {
            let [main, words] = ["app/build/main.o", "app/build/words.o"];
            let (times, first) = ((written(&project, main), written(&project, words)), digest(&project));
            let project = project.file("words.c", WORDS.replace("WORD;", "\"bye\";"));
            assert_says(&build(&project), words_of("bye"));
            assert_eq!(written(&project, main), times.0, "only what changed is compiled again");
            assert!(written(&project, words) > times.1);
            // The Makefile says nothing of the header.
            let project = project.file("words.c", WORDS).file("words.h", HEADER.replace("hello", "good evening"));
            assert_says(&build(&project), words_of("good evening"));
            return first;
        }
        assert_eq!(listing(project.path()), before, "nothing was built in the project's own folder");
        digest(&project)
    });
    assert_eq!(digests[0], digests[1]);
}

fn words_of(word: &'static str) -> [&'static str; 2] {
    match word {
        "bye" => ["bye x86_64 by the Makefile main.c\n", "bye aarch64 by the Makefile main.c\n"],
        _ => ["good evening x86_64 by the Makefile main.c\n", "good evening aarch64 by the Makefile main.c\n"],
    }
}

fn listing(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !["out", ".anyarch"].contains(&name.as_str())).collect();
    names.sort();
    names
}

#[test]
fn each_change_of_a_header_shows_in_the_program() {
    let mut project = Project::new()
        .file("Makefile", "app: main.c\n\t$(CC) $(CFLAGS) $(LDFLAGS) -o $@ main.c\n")
        .file("main.c", "#include <stdio.h>\n#include \"v.h\"\nint main(void) { puts(V); return 0; }\n")
        .file("anyarch.toml", "[[program]]\nlanguage = \"c\"\noutput = \"app\"\n");
    // All of one length, so that only the time tells one from another.
    for version in ["1", "2", "3", "4"] {
        project = project.file("v.h", format!("#define V \"{version}\"\n"));
        let arguments = ["build", "--platform", "linux/amd64", "-o", "type=oci,dest=out,tar=false"];
        project.anyarch().args(arguments).run().assert_success();
        let ended = Source::Layout(project.path().join("out")).unpack("linux/amd64").start(&[]);
        assert_eq!((ended.code, &*ended.stdout), (0, &*format!("{version}\n")));
    }
}

#[test]
fn a_project_that_installs_itself_becomes_a_layer() {
    let configuration = "[[program]]\nname = \"app\"\nlanguage = \"c\"\nbuild = \"make\"\ninstall = true\noutput = \"/opt/app/bin/app\"\n";
    let project = sources().file("Makefile", MAKEFILE).file("anyarch.toml", configuration);
    let source = build(&project);
    assert_says(&source, ["hello x86_64 by the Makefile main.c\n", "hello aarch64 by the Makefile main.c\n"]);
    let image = source.unpack("linux/arm64");
    assert_eq!(image.config()["Entrypoint"], serde_json::json!(["/opt/app/bin/app"]));
    let root = image.root().join("opt/app");
    let mode = |path: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o7777
    };
    assert_eq!([mode("bin/app"), mode("words.h"), mode("empty")], [0o755, 0o644, 0o755]);
    assert_eq!(fs::read_link(root.join("run")).unwrap(), Path::new("bin/app"));
    // Another file at a place of the tree.
    let file = "\n[[file]]\nsource = \"words.h\"\ndestination = \"/opt/app/words.h\"\n";
    let project = project.file("anyarch.toml", format!("{configuration}{file}"));
    let output = project.anyarch().args(["build", "--platform", "linux/arm64"]).run();
    output.assert_code(2);
    let expected =
        "error: the image `app` has two things at `/opt/app/words.h`: one from `anyarch files`, one from `anyarch app`";
    assert!(output.stderr.contains(expected), "{}", output.stderr);
}

#[test]
fn a_configure_script_runs_once_and_is_told_of_the_platform() {
    use std::os::unix::fs::PermissionsExt as _;
    let configuration =
        "[[program]]\nname = \"app\"\nlanguage = \"c\"\noutput = \"app\"\nargs = [\"--with-word=set up\"]\n";
    let project = sources().file("configure", CONFIGURE).file("Makefile.in", MAKEFILE_IN);
    fs::set_permissions(project.path().join("configure"), fs::Permissions::from_mode(0o755)).unwrap();
    let project = project.file("anyarch.toml", configuration);
    let words = [
        "hello x86_64 set up for x86_64 in /usr/local main.c\n",
        "hello aarch64 set up for aarch64 in /usr/local main.c\n",
    ];
    assert_says(&build(&project), words);
    let project = project.file("words.c", WORDS.replace("WORD;", "\"bye\";"));
    assert_says(&build(&project), words.map(|words| words.replace("hello", "bye")).each_ref().map(String::as_str));
    let configured = project.path().join(".anyarch/build/linux_arm64/app/build/configured");
    assert_eq!(fs::read_to_string(configured).unwrap(), "configured once more\n");
}

#[test]
fn a_project_is_only_configured_for_platforms_that_some_image_names() {
    let refuses = |processor: &str| {
        format!(
            "cmake_minimum_required(VERSION 3.13)\nproject(greeting C)\nif(CMAKE_SYSTEM_PROCESSOR MATCHES {processor})\n\
             message(FATAL_ERROR \"not for this one\")\nendif()\nadd_executable(greet main.c words.c)\n"
        )
    };
    let of_image = "[[image]]\nname = \"greet\"\nplatforms = [\"linux/arm64\"]\n";
    // The second is no platform that `all` stands for.
    for (refused, configuration) in
        [("x86_64", of_image), ("aarch64", "platforms = [\"linux/amd64/v3\", \"linux/arm64\"]\n")]
    {
        let project = sources().file("CMakeLists.txt", refuses(refused)).file("anyarch.toml", configuration);
        project.anyarch().args(["plan"]).run().assert_success();
    }
}

#[test]
fn a_meson_project_needs_no_configuration() {
    let project = sources().file("meson.build", MESON);
    let words = ["hello x86_64 nothing ../../../../../main.c\n", "hello aarch64 nothing ../../../../../main.c\n"];
    assert_says(&build(&project), words);
    let object = "greet/build/greet.p/main.c.o";
    let before = (digest(&project), written(&project, object));
    build(&project);
    assert_eq!((digest(&project), written(&project, object)), before, "nothing changed");
    let project = project.file("meson.build", MESON.replace("'greet'", "'welcome'"));
    let entrypoint = build(&project).unpack("linux/arm64").config()["Entrypoint"].clone();
    assert_eq!(entrypoint, serde_json::json!(["/usr/local/bin/welcome"]), "a changed description is read again");
}

#[test]
#[ignore = "full: c-builds"]
fn a_cpp_project_is_static() {
    let main = "#include <iostream>\n#include <stdexcept>\nint main() { try { throw std::runtime_error(\"hello\"); } \
                catch (const std::exception &error) { std::cout << error.what() << std::endl; } }\n";
    let lists = "cmake_minimum_required(VERSION 3.13)\nproject(greeting CXX)\nadd_executable(greet main.cpp)\n";
    let project = Project::new().file("main.cpp", main).file("CMakeLists.txt", lists);
    assert_says(&build(&project), ["hello\n", "hello\n"]);
    let project = project.file("anyarch.toml", "[[program]]\ntoolchain = \"gcc\"\n");
    let output =
        project.anyarch().args(["build", "--platform", "linux/amd64", "-o", "type=oci,dest=out,tar=false"]).run();
    output.assert_success();
    let ended = Source::Layout(project.path().join("out")).unpack("linux/amd64").start(&[]);
    assert_eq!((ended.code, &*ended.stdout), (0, "hello\n"));
}

#[test]
fn only_what_links_a_program_is_told_to_make_it_static() {
    let project = sources().file("anyarch.toml", "[[program]]\nlanguage = \"c\"\ntoolchain = \"gcc\"\n");
    let plan = project
        .anyarch()
        .args(["plan", "--platform", "linux/386", "--json"])
        .env("PATH", path_with_gcc(&project))
        .run()
        .json();
    let setup = plan["plan"]["jobs"][0]["setup"].as_array().expect("the plan says what is set up");
    let is_compiler =
        |entry: &&serde_json::Value| entry["path"].as_str().is_some_and(|path| path.ends_with("-gnu-gcc"));
    let text = setup.iter().find(is_compiler).and_then(|entry| entry["text"].as_str()).expect("gcc has a script");
    let compiler = project.path().join("fake/i686-linux-gnu-gcc").display().to_string();
    assert!(text.contains(&compiler), "{text}");
    let script = project.path().join("cc");
    fs::write(&script, text.replace(&format!("exec {compiler}"), "echo \"[${CPATH-}]\"")).unwrap();
    for (arguments, link) in [
        (&["main.c", "-o", "app"][..], " -Wl,--strip-debug -static"),
        (&["-Wall", "main.o"], " -Wl,--strip-debug -static"),
        (&["-shared", "-o", "lib.so", "a.o"], " -Wl,--strip-debug"),
        (&["-c", "main.c"], ""),
        (&["-o", "main.o", "-c", "a b.c"], ""),
        (&["-E", "-"], ""),
        (&["--version"], ""),
        (&["-v", "-Wl,--version"], ""),
    ] {
        let mut command = std::process::Command::new("sh");
        let said = process::text(command.arg(&script).args(arguments).env("CPATH", "/usr/local/include"));
        let first = said.lines().next().unwrap_or_default();
        let said: Vec<&str> = first.split(' ').filter(|word| !word.starts_with("-ffile-prefix-map=")).collect();
        assert_eq!(said.join(" ").trim(), format!("[] {} -g0{link}", arguments.join(" ")), "{arguments:?}");
    }
}

/// A PATH on which gcc for 386 is, whether this machine has it or not: a plan asks nothing of it.
fn path_with_gcc(project: &Project) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = project.path().join("fake");
    fs::create_dir_all(&folder).unwrap();
    let compiler = folder.join("i686-linux-gnu-gcc");
    fs::write(&compiler, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

#[test]
fn what_a_project_does_not_tell_has_to_be_said() {
    let build = |project: Project, words: &str| refused(&project, &["--platform", "linux/arm64"], 2, words);
    build(
        sources().file("Makefile", MAKEFILE),
        "error: `[CWD]` is built by a Makefile, which does not tell what it makes: `output` has to be said\n\n\
         hint: anyarch init [CWD]\n",
    );
    build(
        sources().file("configure.ac", "AC_INIT\n"),
        "error: `[CWD]` has a configure.ac and no configure script\n\nhint: cd [CWD] && autoreconf -fi\n",
    );
    build(
        sources()
            .file("Makefile", MAKEFILE)
            .file("anyarch.toml", "[[program]]\nlanguage = \"c\"\noutput = \"../app\"\n"),
        "error: `output = \"../app\"` should be a path below the build folder, without `.` and `..`\n\n\
         hint: output = \"app\"\n",
    );
    build(
        sources().file("anyarch.toml", "[[program]]\nlanguage = \"c\"\ninstall = true\n"),
        "error: `install` is for a build system, and the C in `[CWD]` is built by one call of the compiler\n\n\
         hint: build = \"make\"\nhint: cflags = [\"-DNAME=1\"], for the compiler\n",
    );
}

#[test]
fn several_executables_need_a_choice() {
    let lists = format!("{CMAKE}add_executable(server main.c words.c)\n");
    let project = sources().file("CMakeLists.txt", &lists);
    let run = |project: &Project| project.anyarch().args(["plan", "--platform", "linux/arm64"]).run();
    run(&project).assert_code(2).assert_stderr(
        "error: the project in `[CWD]` makes 2 executables: greet, server\n\n\
         hint: [[program]] language = \"c\", target = \"greet\"\nhint: [[program]] language = \"c\", target = \"server\"\n",
    );
    let project = project.file("anyarch.toml", "[[program]]\ntarget = \"sever\"\n");
    run(&project).assert_code(2).assert_stderr(
        "error: the project in `[CWD]` makes no executable `sever`; there are check, greet, server\n\n\
         hint: [[program]] language = \"c\", target = \"check\"\nhint: [[program]] language = \"c\", target = \"greet\"\n\
         hint: [[program]] language = \"c\", target = \"server\"\n",
    );
    let project = project.file("anyarch.toml", "[[program]]\ntarget = \"server\"\n");
    let output = run(&project);
    output.assert_success();
    assert!(output.stdout.contains("server -> /usr/local/bin/server"), "{}", output.stdout);
    assert_eq!(project.git(&["init", "--quiet"]), "");
    assert!(!project.git(&["status", "--porcelain"]).contains(".anyarch"), "what was asked shows in git");
    let project = project.file(
        "CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.13)\nproject(x C)\nmessage(FATAL_ERROR \"no way\")\n",
    );
    let output = run(&project);
    output.assert_code(2);
    assert!(output.stderr.contains("cmake -S . -B") && output.stderr.contains("no way"), "{}", output.stderr);
}
