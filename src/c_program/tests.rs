use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::hint::Hint as _;
use crate::toolchain::{Tool, Toolchains};

fn files(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn the_file_with_a_main_makes_the_program() {
    for (text, is_main) in [
        ("int main(void) { return 0; }", true),
        ("int\nmain (int argc, char **argv)\n{\n}", true),
        ("main(argc, argv)\nint argc; char **argv;\n{ }", true),
        ("#include <stdio.h>\nextern \"C\" int other();\nauto main() -> int { }", true),
        ("int main(void);", false),
        ("int domain(void) { return 0; }", false),
        ("int mainly(void) { return 0; }", false),
        ("// int main(void) {}\n/* int main(void) {} */\nint f(void) { return 0; }", false),
        ("const char *text = \"int main(void) {}\";", false),
        ("void f(void) { main(1); }", false),
        ("#error don't\nint main(void) { }", true),
    ] {
        let found = sources_of("src", &files(&[("a.c", text)]), None);
        assert_eq!(found.is_ok(), is_main, "{text}");
    }
}

#[test]
fn several_programs_need_a_choice() {
    let main = "int main(void) { }";
    let folder = files(&[("client.c", main), ("server.c", main), ("shared.c", "int f(void) { }")]);
    let server = sources_of("src", &folder, Some("server")).unwrap();
    assert_eq!((server.name.as_str(), server.sources), ("server", vec!["server.c".to_owned(), "shared.c".to_owned()]));
    let error = sources_of("src", &folder, None).unwrap_err();
    assert_eq!(error.to_string(), "`src` holds 2 C programs: client.c, server.c");
    assert_eq!(error.hints()[1], "[[program]] language = \"c\", target = \"server\"");
    let error = sources_of("src", &folder, Some("shared")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no C file in `src` that has a `main` is called `shared`; there are client.c, server.c"
    );
}

pub(super) fn program() -> CProgram {
    CProgram {
        name: "app".into(),
        directory: "/p".into(),
        build: BuildSystem::Plain,
        sources: vec!["main.c".into()],
        target: None,
        args: Vec::new(),
        output: None,
        install: false,
        configure_options: Vec::new(),
        settings: CSettings::default(),
    }
}

pub(super) fn recipe_of(program: &CProgram, platform: &str, there: bool) -> Recipe {
    let toolchain =
        Toolchains::built_in().unwrap().select(&program.settings.request(platform.parse().unwrap())).unwrap();
    let found = |tool: &Tool| there.then(|| vec![format!("/bin/{}", tool.commands[0][0])]);
    let environment = |name: &str| match name {
        "PATH" => Some("/usr/bin".to_owned()),
        "CFLAGS" => Some("-Wall -Wextra".to_owned()),
        _ => None,
    };
    let site = Site {
        platform: platform.parse().unwrap(),
        toolchain: &toolchain,
        folder: Path::new("/b"),
        found: &found,
        environment: &environment,
    };
    recipe(program, &site)
}

pub(super) fn script(recipe: &Recipe, path: &str) -> String {
    let script = recipe.setup.iter().find_map(|setup| match setup {
        Setup::File { path: known, text, executable: true } if known == Path::new(path) => Some(text.clone()),
        _ => None,
    });
    script.unwrap_or_else(|| panic!("no {path}: {:?}", recipe.setup))
}

#[test]
fn a_plain_program_is_one_call() {
    let mut program = program();
    program.settings.cflags = vec!["-DX=1".into()];
    program.settings.libs = vec!["m".into()];
    program.settings.strip = true;
    let recipe = recipe_of(&program, "linux/arm/v7", true);
    assert_eq!(recipe.output, Path::new("/b/build/app"));
    assert_eq!(
        recipe.steps[0].line,
        "PATH=\"/b/tools:$PATH\" PKG_CONFIG_LIBDIR=/b/tools/no-packages PKG_CONFIG_PATH='' SOURCE_DATE_EPOCH=0 \
         arm-linux-musleabihf-cc -O2 \"$CFLAGS\" \"$CFLAGS\" '-DX=1' ./main.c -o /b/build/app -static -s -lm"
    );
    let values: Vec<&str> = recipe.steps[0].invocation.args.iter().map(Word::value).collect();
    assert_eq!(values[1..3], ["-Wall", "-Wextra"]);
    let call = "exec /bin/zig cc -target arm-linux-musleabihf '-mcpu=generic+v7a+vfp3d16' '-fno-sanitize=undefined' \
         \"$@\" '-ffile-prefix-map=/b=/build' '-ffile-prefix-map=/p=/src' '-ffile-prefix-map=/b/build=/src' -g0";
    let script = script(&recipe, "/b/tools/arm-linux-musleabihf-cc");
    let calls: Vec<&str> = script.lines().filter(|line| line.contains("exec")).map(str::trim).collect();
    assert_eq!(
        calls,
        [
            format!("program) {call} '-Wl,--strip-debug' -static ;;"),
            format!("library) {call} '-Wl,--strip-debug' ;;"),
            call.to_owned()
        ]
    );
}

#[test]
fn c_beside_cpp_stays_c() {
    for (sources, expected) in [
        (vec!["f.c", "g.cpp", "h.c", "main.cc"], "-O2 -x c ./f.c ./h.c -x none ./g.cpp ./main.cc -o"),
        (vec!["f.C", "main.cc"], "-O2 ./f.C ./main.cc -o"),
        (vec!["f.c", "main.c"], "\"$CFLAGS\" ./f.c ./main.c -o"),
    ] {
        let mut program = program();
        program.sources = sources.into_iter().map(str::to_owned).collect();
        let line = recipe_of(&program, "linux/arm64", true).steps[0].line.clone();
        assert!(line.contains(&format!(" {expected} /b/build/app ")), "{line}");
    }
}

#[test]
fn gcc_is_called_by_its_own_names_and_from_wherever_it_is() {
    let mut program = program();
    program.settings.row = Some("gcc".into());
    program.settings.env = [("CFLAGS".to_owned(), "-Og -g".into())].into();
    let recipe = recipe_of(&program, "linux/386", true);
    assert!(recipe.steps[0].line.contains(" i686-linux-gnu-cc -Og -g ./main.c "), "{}", recipe.steps[0].line);
    assert!(recipe.steps[0].line.ends_with(" -static"), "{}", recipe.steps[0].line);
    assert!(script(&recipe, "/b/tools/i686-linux-gnu-gcc").contains("\nexec /bin/i686-linux-gnu-gcc \"$@\""));
    assert_eq!(script(&recipe, "/b/tools/i686-linux-gnu-strip"), "#!/bin/sh\nexec /bin/i686-linux-gnu-strip \"$@\"\n");
}

#[test]
fn a_tool_that_is_not_there_says_so_when_it_is_called() {
    let recipe = recipe_of(&program(), "linux/arm64", false);
    assert_eq!(
        script(&recipe, "/b/tools/aarch64-linux-musl-cc"),
        "#!/bin/sh\necho 'zig, python-zig, python3 -m ziglang: not found' >&2\nexit 127\n"
    );
}
