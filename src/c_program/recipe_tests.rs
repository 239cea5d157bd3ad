use std::path::{Path, PathBuf};

use super::tests::{program, recipe_of, script};
use super::*;
use crate::hint::Hint as _;

fn of(build: BuildSystem, change: impl FnOnce(&mut CProgram)) -> Recipe {
    let mut program = program();
    (program.build, program.output) = (build, Some("bin/app".into()));
    change(&mut program);
    recipe_of(&program, "linux/arm64", true)
}

/// The lines without the variables that all of them have.
fn lines(recipe: &Recipe) -> Vec<String> {
    let bare = |step: &Step| {
        let mut call = step.invocation.clone();
        call.env.retain(|name, _| matches!(name.as_str(), "CFLAGS" | "LDFLAGS" | "LIBS" | "DESTDIR" | "CHOST"));
        call.to_line()
    };
    recipe.steps.iter().map(bare).collect()
}

fn text(recipe: &Recipe, path: &str) -> String {
    let file = recipe.setup.iter().find_map(|setup| match setup {
        Setup::File { path: known, text, .. } if known == Path::new(path) => Some(text.clone()),
        _ => None,
    });
    file.unwrap_or_else(|| panic!("no {path}: {:?}", recipe.setup))
}

const CMAKE: &str = "CFLAGS=\"$CFLAGS\" cmake -S . -B /b/build -G 'Unix Makefiles' '-DCMAKE_TOOLCHAIN_FILE=/b/toolchain.cmake' \
     '-DCMAKE_BUILD_TYPE=Release' '-DCMAKE_INSTALL_PREFIX=/usr/local' '-DCMAKE_SKIP_BUILD_RPATH=ON' '-DBUILD_SHARED_LIBS=OFF'";
const TOOLS: &str = "CC=aarch64-linux-musl-cc' 'CXX=aarch64-linux-musl-c++' 'AR=aarch64-linux-musl-ar' \
     'RANLIB=aarch64-linux-musl-ranlib' 'STRIP=aarch64-linux-musl-strip' 'CROSS_COMPILE=aarch64-linux-musl-'";

#[test]
fn each_build_system_is_called_in_its_own_way() {
    let set = |target: &str, install: bool| {
        let target = target.to_owned();
        move |program: &mut CProgram| {
            program.target = (!target.is_empty()).then_some(target);
            program.install = install;
            program.configure_options = options_of("--host --build --prefix");
        }
    };
    let make = |target: &str| format!("CFLAGS=\"-O2 $CFLAGS\" make{target} '{TOOLS}");
    for (build, target, install, expected, output) in [
        (BuildSystem::Cmake, "app", false, vec![CMAKE.into(), "CFLAGS=\"$CFLAGS\" cmake --build /b/build --config Release --target app".into()], "/b/build/bin/app"),
        (BuildSystem::Cmake, "app", true, vec![
            CMAKE.into(),
            "CFLAGS=\"$CFLAGS\" cmake --build /b/build --config Release".into(),
            "CFLAGS=\"$CFLAGS\" DESTDIR=/b/installed cmake --install /b/build --config Release".into(),
        ], "/b/installed/bin/app"),
        (BuildSystem::Make, "", false, vec![make("")], "/b/build/bin/app"),
        (BuildSystem::Make, "all", true, vec![make(" all"), format!("{} 'DESTDIR=/b/installed'", make(" install"))], "/b/installed/bin/app"),
        (BuildSystem::Configure, "", true, vec![
            "CFLAGS=\"-O2 $CFLAGS\" CHOST=aarch64-linux-musl ./configure '--build=x86_64-pc-linux-gnu' '--host=aarch64-linux-musl' '--prefix=/usr/local'".into(),
            "CFLAGS=\"-O2 $CFLAGS\" CHOST=aarch64-linux-musl make".into(),
            "CFLAGS=\"-O2 $CFLAGS\" CHOST=aarch64-linux-musl make install 'DESTDIR=/b/installed'".into(),
        ], "/b/installed/bin/app"),
        (BuildSystem::Meson, "app", false, vec![
            "CFLAGS=\"$CFLAGS\" meson setup --cross-file /b/cross.ini '--buildtype=release' '--wrap-mode=nodownload' \
             '--prefix=/usr/local' '-Ddefault_library=static' '-Dprefer_static=true' /b/build .".into(),
            "CFLAGS=\"$CFLAGS\" meson compile -C /b/build app".into(),
        ], "/b/build/bin/app"),
    ] {
        let recipe = of(build, set(target, install));
        assert_eq!(lines(&recipe), expected, "{build:?}");
        assert_eq!(recipe.output, Path::new(output), "{build:?}");
        assert_eq!(recipe.installed, install.then(|| PathBuf::from("/b/installed")), "{build:?}");
        let copies = recipe.setup.iter().any(|setup| matches!(setup, Setup::Copy { .. }));
        assert_eq!(copies, matches!(build, BuildSystem::Make | BuildSystem::Configure), "{build:?}");
    }
}

#[test]
fn what_the_user_says_reaches_the_build() {
    let user = |program: &mut CProgram| {
        program.args = vec!["-DTOOLS=OFF".into()];
        program.settings.cflags = vec!["-Os".into()];
        program.settings.ldflags = vec!["-Wl,-z,now".into()];
        program.settings.libs = vec!["m".into()];
        program.settings.strip = true;
    };
    for (build, expected) in [
        (BuildSystem::Cmake, "CFLAGS=\"$CFLAGS -Os\" LDFLAGS='-Wl,-z,now -s' cmake "),
        (BuildSystem::Make, "CFLAGS=\"$CFLAGS -Os\" LDFLAGS='-Wl,-z,now -s' LIBS=-lm make "),
        (
            BuildSystem::Configure,
            "CFLAGS=\"$CFLAGS -Os\" CHOST=aarch64-linux-musl LDFLAGS='-Wl,-z,now -s' LIBS=-lm ./configure '-DTOOLS=OFF'",
        ),
        (BuildSystem::Meson, "CFLAGS=\"$CFLAGS -Os\" LDFLAGS='-Wl,-z,now -s -lm' meson setup "),
    ] {
        let lines = lines(&of(build, user));
        assert!(lines[0].starts_with(expected), "{}", lines[0]);
        assert!(lines[0].contains("'-DTOOLS=OFF'"), "{}", lines[0]);
    }
    let cmake = &lines(&of(BuildSystem::Cmake, user))[0];
    // Those of the build type would come after the user's own.
    assert!(cmake.contains(" '-DCMAKE_C_FLAGS_RELEASE=-DNDEBUG' '-DCMAKE_C_STANDARD_LIBRARIES=-lm' "), "{cmake}");
}

#[test]
fn the_generator_and_the_build_type_are_the_arguments() {
    for (args, called, tool) in [
        (&["-G", "Ninja"][..], "--config Release", "ninja"),
        (&["-GNinja", "-DCMAKE_BUILD_TYPE=Debug"], "--config Debug", "ninja"),
        (&["-DCMAKE_BUILD_TYPE:STRING=MinSizeRel"], "--config MinSizeRel", "make"),
    ] {
        let recipe = of(BuildSystem::Cmake, |program| program.args = args.iter().map(|arg| (*arg).into()).collect());
        let lines = lines(&recipe);
        assert_eq!(lines[0].contains("Unix Makefiles"), tool == "make", "{}", lines[0]);
        assert!(lines[1].contains(called), "{}", lines[1]);
        assert_eq!(recipe.tools, ["cmake", tool]);
        let debugs = args.iter().any(|arg| arg.ends_with("Debug"));
        assert_eq!(script(&recipe, "/b/tools/aarch64-linux-musl-cc").contains("-g0"), !debugs, "{args:?}");
    }
}

#[test]
fn platforms_are_described_to_cmake_and_meson() {
    let recipe = of(BuildSystem::Cmake, |program| {
        program.settings.sysroot = Some(Sysroot {
            folder: "/s".into(),
            triplet: None,
            libc_headers: Vec::new(),
            glibc: None,
            packages: Vec::new(),
        });
    });
    assert_eq!(
        text(&recipe, "/b/toolchain.cmake").lines().skip(1).collect::<Vec<_>>(),
        [
            "set(CMAKE_SYSTEM_NAME \"Linux\")",
            "set(CMAKE_SYSTEM_PROCESSOR \"aarch64\")",
            "set(CMAKE_C_COMPILER \"/b/tools/aarch64-linux-musl-cc\")",
            "set(CMAKE_CXX_COMPILER \"/b/tools/aarch64-linux-musl-c++\")",
            "set(CMAKE_AR \"/b/tools/aarch64-linux-musl-ar\")",
            "set(CMAKE_RANLIB \"/b/tools/aarch64-linux-musl-ranlib\")",
            "set(CMAKE_STRIP \"/b/tools/aarch64-linux-musl-strip\")",
            "set(CMAKE_FIND_ROOT_PATH \"/s\" \"/p\" \"/b/build\")",
            "set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM \"NEVER\")",
            "set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY \"ONLY\")",
            "set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE \"ONLY\")",
            "set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE \"ONLY\")",
        ]
    );
    for (platform, expected) in [
        ("linux/386", ["'x86'", "'i686'", "'little'"]),
        ("linux/arm/v6", ["'arm'", "'armv6l'", "'little'"]),
        ("linux/s390x", ["'s390x'", "'s390x'", "'big'"]),
        ("linux/ppc64le", ["'ppc64'", "'ppc64le'", "'little'"]),
    ] {
        let mut program = program();
        (program.build, program.output) = (BuildSystem::Meson, Some("app".into()));
        let cross = text(&recipe_of(&program, platform, true), "/b/cross.ini");
        let value =
            |name: &str| cross.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")).map(str::to_owned));
        assert_eq!(["cpu_family", "cpu", "endian"].map(|name| value(name).unwrap()), expected, "{cross}");
        assert_eq!(value("pkg_config_libdir").unwrap(), "'/b/tools/no-packages'");
    }
}

#[test]
fn a_build_folder_is_of_all_that_it_was_made_with() {
    let key = |change: &dyn Fn(&mut CProgram), platform: &str| {
        let mut program = program();
        (program.build, program.output) = (BuildSystem::Make, Some("app".into()));
        change(&mut program);
        let recipe = recipe_of(&program, platform, true);
        let key = recipe.setup.into_iter().find_map(|setup| match setup {
            Setup::KeyedFolder { key, programs, .. } => Some((key, programs)),
            _ => None,
        });
        key.unwrap()
    };
    let (plain, programs) = key(&|_| (), "linux/arm64");
    assert_eq!(programs, [PathBuf::from("/bin/zig")]);
    assert_eq!(plain, key(&|_| (), "linux/arm64").0);
    let changes: [&dyn Fn(&mut CProgram); 4] = [
        &|program| program.settings.cflags = vec!["-DX".into()],
        &|program| program.args = vec!["V=1".into()],
        &|program| program.settings.row = Some("gcc".into()),
        &|program| program.settings.cflags = vec![Word::hiding("-DKEY=1".into(), "-DKEY=$KEY".into())],
    ];
    for change in changes {
        assert_ne!(plain, key(change, "linux/arm64").0);
    }
}

fn executables(names: &[(&str, bool)]) -> Vec<Executable> {
    let executable = |(name, by_default): &(&str, bool)| Executable {
        name: (*name).to_owned(),
        output: format!("bin/{name}"),
        installed: None,
        by_default: *by_default,
    };
    names.iter().map(executable).collect()
}

#[test]
fn one_executable_is_chosen_or_all_are_named() {
    for (names, target, expected) in [
        (&[("app", true), ("bench", false)][..], None, Ok("app")),
        (&[("app", true), ("bench", false)], Some("bench"), Ok("bench")),
        (&[("b", true), ("a", true), ("c", false)], None, Err("the project in `p` makes 2 executables: a, b")),
        (&[("a", false), ("b", false)], None, Err("the project in `p` makes 2 executables: a, b")),
        (&[("a", true)], Some("x"), Err("the project in `p` makes no executable `x`; there are a")),
        (&[], None, Err("the project in `p` makes no executable")),
        (&[], Some("x"), Err("the project in `p` makes no executable")),
    ] {
        let executables = executables(names);
        let found = choose("p", &executables, target);
        let found = found.as_ref().map(|found| found.name.as_str()).map_err(ToString::to_string);
        assert_eq!(found, expected.map_err(str::to_owned), "{names:?} {target:?}");
    }
    let error = choose("p", &executables(&[("a", true), ("b", true)]), None).unwrap_err();
    assert_eq!(error.hints()[1], "[[program]] language = \"c\", target = \"b\"");
}

#[test]
fn cmakes_reply_says_what_is_made_and_where_it_goes() {
    let read = |name: &str| {
        let text = match name {
            "index" => r#"{"reply": {"client-anyarch": {"codemodel-v2": {"jsonFile": "model", "kind": "codemodel"}}}}"#,
            "model" => {
                r#"{"configurations": [{"name": "Debug", "targets": []}, {"name": "Release", "targets": [
                    {"jsonFile": "app"}, {"jsonFile": "lib"}, {"jsonFile": "gen"}]}]}"#
            }
            "app" => {
                r#"{"name": "app", "type": "EXECUTABLE", "nameOnDisk": "app-1", "artifacts": [{"path": "src/app-1"}],
                    "install": {"prefix": {"path": "/usr/local"}, "destinations": [{"path": "bin"}]}}"#
            }
            "lib" => r#"{"name": "lib", "type": "STATIC_LIBRARY", "artifacts": [{"path": "lib.a"}]}"#,
            "gen" => r#"{"name": "gen", "type": "EXECUTABLE", "nameOnDisk": "gen", "artifacts": [{"path": "gen"}]}"#,
            _ => return Err(std::io::ErrorKind::NotFound.into()),
        };
        Ok(text.to_owned())
    };
    // `gen` is only there because `app` needs it.
    let makefile = "# all: not/CMakeFiles/this.dir/all\nall: src/all\nsrc/all: src/CMakeFiles/app.dir/all\n\
                    src/CMakeFiles/app.dir/all: CMakeFiles/gen.dir/all\n\t$(MAKE) -f CMakeFiles/gen.dir/build.make\n";
    let found = read_reply(&read, "index", "Release", Some(makefile)).unwrap();
    let found: Vec<_> =
        found.iter().map(|one| (&*one.name, &*one.output, one.installed.as_deref(), one.by_default)).collect();
    assert_eq!(found, [("app", "src/app-1", Some("usr/local/bin/app-1"), true), ("gen", "gen", None, false)]);
    assert!(read_reply(&read, "model", "Release", None).is_err());
}

#[test]
fn mesons_targets_say_what_is_made_and_where_it_goes() {
    let printed = br#"[
        {"name": "app", "type": "executable", "filename": ["/b/build/src/app"], "install_filename": ["/usr/local/bin/app"],
         "build_by_default": true, "subproject": null},
        {"name": "lib", "type": "static library", "filename": ["/b/build/lib.a"], "build_by_default": true, "subproject": null},
        {"name": "tool", "type": "executable", "filename": ["/b/build/subprojects/x/tool"], "build_by_default": true,
         "subproject": "x"}]"#;
    let found = read_targets(printed, Path::new("/b/build")).unwrap();
    let found: Vec<_> =
        found.iter().map(|one| (&*one.name, &*one.output, one.installed.as_deref(), one.by_default)).collect();
    assert_eq!(
        found,
        [("app", "src/app", Some("usr/local/bin/app"), true), ("tool", "subprojects/x/tool", None, false)]
    );
    assert!(read_targets(b"{}", Path::new("/b/build")).is_err());
}

#[test]
fn a_configure_script_is_told_what_it_knows() {
    assert_eq!(options_of("  --prefix=DIR\n  --static\n"), ["--prefix"]);
    assert_eq!(options_of("--host --build --prefix").len(), 3);
    assert_eq!(options_of("--host-cc=CC --host_os --build-dir --no--prefix --prefixes"), [""; 0]);
    assert_eq!(options_of("--host-cc=CC\n--host=*) ;; --build) [--prefix=DIR]"), ["--build", "--host", "--prefix"]);
}
