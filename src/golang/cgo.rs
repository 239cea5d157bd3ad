//! A C compiler becomes what the go command has to be told of it, for packages that hold C.
//!
//! Go asks its cache by what a compiler is called, by the version that it says, and by its flags: never by what a script
//! of that name does. So the name says everything that decides what is compiled, and no variable that Go looks at names a
//! folder of this machine: it would be in the build ID of the program, which differed then from folder to folder.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::blob::Hasher;
use crate::c_program::{CSettings, Setup, Site, environment, scripts};
use crate::invocation::{Invocation, Word, quote};
use crate::sysroot::Sysroot;
use crate::toolchain::Toolchain;

/// What stands for the sysroot in the flags that pkg-config answers.
const SYSROOT: &str = "/sysroot";
/// So many digits of a digest tell compilers apart.
const DIGITS: usize = 8;

/// How the C of a Go program is compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cgo {
    /// what the configuration says; `ldflags` and `strip` are Go's own and not here
    pub settings: CSettings,
    /// what the user's environment and Go's own settings say
    pub user: GoVariables,
}

/// What `go env` answers: the user's own settings, wherever they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "SCREAMING_SNAKE_CASE")]
pub struct GoVariables {
    /// flags of the C compiler; Go's own default when there are none
    pub cgo_cflags: String,
    /// flags of the C++ compiler; the same
    pub cgo_cxxflags: String,
    /// flags of the linker; the same
    pub cgo_ldflags: String,
    /// flags of the go command
    pub goflags: String,
}

/// What `go env` says of a variable of flags that is not set.
const DEFAULT_FLAGS: &str = "-O2 -g";

/// The call whose output [`read_variables`] takes.
#[must_use]
pub fn variables_invocation(directory: &Path) -> Invocation {
    let names = ["CGO_CFLAGS", "CGO_CXXFLAGS", "CGO_LDFLAGS", "GOFLAGS"];
    Invocation::new("go", directory).args(["env", "-json"]).args(names)
}

/// Reads what [`variables_invocation`] printed.
///
/// # Errors
/// When it is not the JSON of variables.
pub fn read_variables(stdout: &[u8]) -> Result<GoVariables, serde_json::Error> {
    serde_json::from_slice(stdout)
}

impl GoVariables {
    /// What `-ldflags` of `GOFLAGS` says, which a flag of ours on the command line would replace.
    #[must_use]
    pub fn go_ldflags(&self) -> Option<Word> {
        let flags = shlex::split(&self.goflags).unwrap_or_default();
        let said = flags.iter().rev().find_map(|flag| {
            let flag = flag.strip_prefix('-')?;
            flag.strip_prefix('-').unwrap_or(flag).strip_prefix("ldflags=").map(str::to_owned)
        })?;
        Some(Word::hiding(said, "$GOFLAGS".to_owned()))
    }

    fn of(&self, name: &str) -> Option<Word> {
        let value = match name {
            "CGO_CFLAGS" => &self.cgo_cflags,
            "CGO_CXXFLAGS" => &self.cgo_cxxflags,
            _ => &self.cgo_ldflags,
        };
        let said = value.trim();
        (!said.is_empty() && said != DEFAULT_FLAGS).then(|| Word::hiding(said.to_owned(), format!("${name}")))
    }
}

/// What a call of `go build` has to find, and what it is told.
pub struct Compiler {
    /// the scripts
    pub setup: Vec<Setup>,
    /// the variables
    pub env: BTreeMap<String, Word>,
}

/// The same toolchain under a name that says all that decides what it compiles.
#[must_use]
pub fn named(toolchain: &Toolchain, settings: &CSettings) -> Toolchain {
    let mut named = toolchain.clone();
    if let Some(compiler) = &mut named.c {
        let sysroot = settings.sysroot.as_ref().map(identity);
        let mut hasher = Hasher::default();
        let said = format!("{:?} {:?} {:?} {sysroot:?}", compiler.commands, compiler.flags, compiler.ldflags);
        hasher.update(said.as_bytes());
        let digits: String = hasher.finish().0.hex().chars().take(DIGITS).collect();
        compiler.prefix = format!("{}-{digits}", compiler.prefix);
    }
    named
}

/// What a sysroot holds, without where this machine has it.
fn identity(sysroot: &Sysroot) -> String {
    let packages = sysroot.packages.iter().map(|(name, version)| format!("{name}={version}"));
    let triplet = sysroot.triplet.clone().unwrap_or_default();
    format!("{triplet} {}", packages.collect::<Vec<_>>().join(" "))
}

/// The compiler of `site` for Go; the site's toolchain is what [`named`] made of it.
#[must_use]
pub fn compiler(cgo: &Cgo, site: &Site<'_>) -> Compiler {
    let own = CSettings { ldflags: Vec::new(), strip: false, ..cgo.settings.clone() };
    let mut env = environment(&own, site);
    for name in ["CFLAGS", "CXXFLAGS", "LDFLAGS", "RANLIB", "STRIP", "LD", "CROSS_COMPILE"] {
        if !own.env.contains_key(name) {
            env.remove(name);
        }
    }
    if own.sysroot.is_some() {
        env.insert("PKG_CONFIG_SYSROOT_DIR".to_owned(), SYSROOT.into());
    }
    let user = |name: &str| own.env.get(name).cloned().or_else(|| cgo.user.of(name));
    let mut asks_for_debug = false;
    for name in ["CGO_CFLAGS", "CGO_CXXFLAGS"] {
        let said: Vec<Word> = user(name).into_iter().chain(own.cflags.clone()).collect();
        let has =
            |start: &str| said.iter().any(|word| word.value().split_whitespace().any(|flag| flag.starts_with(start)));
        let debug = has("-g");
        asks_for_debug |= debug;
        let optimize = (!has("-O")).then(|| Word::from("-O2"));
        let ours = (!debug).then(|| Word::from("-g0"));
        let flags: Vec<Word> = optimize.into_iter().chain(said).chain(ours).collect();
        env.insert(name.to_owned(), Word::join(&flags, " "));
    }
    let libraries = own.libs.iter().map(|library| format!("-l{library}"));
    let static_link = site.compiler().map(|compiler| compiler.ldflags.clone()).unwrap_or_default();
    // The libc that zig makes has debug information, which names folders of this machine.
    let no_debug = (!asks_for_debug).then(|| "-Wl,--strip-debug".to_owned());
    let ours = libraries.chain(static_link).chain(no_debug).map(Word::from);
    let flags: Vec<Word> = user("CGO_LDFLAGS").into_iter().chain(ours).collect();
    env.insert("CGO_LDFLAGS".to_owned(), Word::join(&flags, " "));
    env.insert("CGO_ENABLED".to_owned(), "1".into());
    Compiler { setup: compiler_scripts(&own, site), env }
}

/// The scripts: with a sysroot they know its libraries, and find in it what pkg-config answers.
fn compiler_scripts(settings: &CSettings, site: &Site<'_>) -> Vec<Setup> {
    let Some(sysroot) = &settings.sysroot else { return scripts(settings, site, &[]) };
    let mut after = sysroot.link_flags(site.toolchain.brings_libc());
    // They are there for every call, and most calls link nothing.
    after.push("-Wno-unused-command-line-argument".to_owned());
    let folder = quote(&sysroot.folder.display().to_string());
    let translate = format!(
        "#!/bin/sh\nfor word do\n  shift\n  case $word in\n    -[IL]{SYSROOT}/*) flag=${{word%%{SYSROOT}/*}}; word=$flag{folder}/${{word#\"$flag\"{SYSROOT}/}} ;;\n  esac\n  set -- \"$@\" \"$word\"\ndone\n"
    );
    let mut made = scripts(settings, site, &after);
    for setup in &mut made {
        if let Setup::File { path, text, .. } = setup
            && path.to_string_lossy().ends_with(['c', '+'])
        {
            *text = text.replacen("#!/bin/sh\n", &translate, 1);
        }
    }
    made
}

/// The call that lists every package of a build that failed without cgo, for [`read_c_packages`].
#[must_use]
pub fn list_c_invocation(build: &Invocation) -> Invocation {
    let mut call = Invocation { args: Vec::new(), ..build.clone() };
    let tags = build.args.iter().filter(|word| word.value().starts_with("-tags="));
    // The packages stand behind `-o OUTPUT`.
    let packages = build.args.iter().skip_while(|word| word.value() != "-o").skip(2);
    call.args = ["list", "-e", "-deps", "-json=ImportPath,Standard,CgoFiles"].map(Word::from).into();
    call.args.extend(tags.chain(packages).cloned());
    call.env("CGO_ENABLED", "1")
}

/// The packages beyond Go's own that hold C.
#[must_use]
pub fn read_c_packages(stdout: &[u8]) -> Vec<String> {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Dependency {
        import_path: String,
        standard: bool,
        cgo_files: Vec<String>,
    }
    let listed = serde_json::Deserializer::from_slice(stdout).into_iter::<Dependency>().map_while(Result::ok);
    let with_c = listed.filter(|package| !package.standard && !package.cgo_files.is_empty());
    with_c.map(|package| package.import_path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Platform;
    use crate::toolchain::{Tool, Toolchains};

    fn compiler_of(platform: &str, cgo: &Cgo, folder: &str) -> Compiler {
        let platform: Platform = platform.parse().unwrap();
        let toolchain = Toolchains::built_in().unwrap().select(&cgo.settings.request(platform)).unwrap();
        let toolchain = named(&toolchain, &cgo.settings);
        let found = |tool: &Tool| Some(vec![format!("/usr/bin/{}", tool.name)]);
        let site_folder = Path::new(folder).join(".anyarch/build/cgo");
        let environment = |name: &str| (name == "PATH").then(|| "/usr/bin".to_owned());
        let site =
            Site { platform, toolchain: &toolchain, folder: &site_folder, found: &found, environment: &environment };
        compiler(cgo, &site)
    }

    fn seen_by_go(compiler: &Compiler) -> Vec<String> {
        let is_hashed = |name: &str| name == "CC" || name == "CXX" || name.starts_with("CGO_");
        let env = compiler.env.iter().filter(|(name, _)| is_hashed(name));
        env.map(|(name, value)| format!("{name}={}", value.value())).collect()
    }

    #[test]
    fn what_the_user_says_comes_first_and_is_not_shown() {
        let user = GoVariables {
            cgo_cflags: "-DKEY=hunter2 -O1".into(),
            cgo_cxxflags: "-O2 -g".into(),
            ..GoVariables::default()
        };
        let settings = CSettings { cflags: vec!["-DMINE".into()], libs: vec!["m".into()], ..CSettings::default() };
        let made = compiler_of("linux/arm/v6", &Cgo { settings, user }, "/src");
        let shown: Vec<String> = made
            .env
            .iter()
            .filter(|(name, _)| name.starts_with("CGO_") || name.starts_with("CC"))
            .map(|(name, value)| format!("{name}={}", value.shown()))
            .collect();
        let name = made.env["CC"].value();
        assert!(name.starts_with("arm-linux-musleabihf-") && name.ends_with("-cc"), "{name}");
        assert_eq!(
            shown,
            [
                &format!("CC={name}"),
                "CGO_CFLAGS=$CGO_CFLAGS -DMINE -g0",
                "CGO_CXXFLAGS=-O2 -DMINE -g0",
                "CGO_ENABLED=1",
                "CGO_LDFLAGS=-lm -static -Wl,--strip-debug",
            ]
        );
        assert_eq!(made.env["CGO_CFLAGS"].value(), "-DKEY=hunter2 -O1 -DMINE -g0");
        assert_eq!(made.env["PKG_CONFIG_PATH"].value(), "", "what is installed here is for this machine");
    }

    #[test]
    fn debug_information_is_there_for_those_who_ask() {
        let settings = CSettings { cflags: vec!["-ggdb3".into()], ..CSettings::default() };
        let made = compiler_of("linux/arm64", &Cgo { settings, ..Cgo::default() }, "/src");
        assert_eq!(made.env["CGO_CFLAGS"].value(), "-O2 -ggdb3");
        assert_eq!(made.env["CGO_LDFLAGS"].value(), "-static");
    }

    #[test]
    fn go_tells_compilers_apart_and_never_sees_a_folder() {
        let sysroot = |folder: &str, packages: &[(&str, &str)]| Sysroot {
            folder: folder.into(),
            triplet: Some("arm-linux-gnueabihf".into()),
            libc_headers: Vec::new(),
            glibc: None,
            packages: packages.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect(),
        };
        let with = |sysroot: Option<Sysroot>| Cgo {
            settings: CSettings { sysroot, ..CSettings::default() },
            ..Cgo::default()
        };
        let plain = with(None);
        let of = |platform: &str, cgo: &Cgo, folder: &str| seen_by_go(&compiler_of(platform, cgo, folder));
        // The same triple, another processor.
        assert_ne!(of("linux/arm/v6", &plain, "/a"), of("linux/arm/v7", &plain, "/a"));
        assert_ne!(of("linux/arm64", &plain, "/a"), of("linux/arm64/v9", &plain, "/a"));
        // Two sysroots.
        let files = |folder: &str, digest: &str| with(Some(sysroot(folder, &[("files", digest)])));
        let (one, other) = (files("/a/one", "1"), files("/a/two", "2"));
        assert_ne!(of("linux/arm/v7", &one, "/a"), of("linux/arm/v7", &other, "/a"));
        let newer = with(Some(sysroot("/a/one", &[("libssl-dev", "2")])));
        assert_ne!(
            of("linux/arm/v7", &with(Some(sysroot("/a/one", &[("libssl-dev", "1")]))), "/a"),
            of("linux/arm/v7", &newer, "/a")
        );
        // The same in another folder.
        assert_eq!(of("linux/arm/v6", &plain, "/a"), of("linux/arm/v6", &plain, "/b"));
        assert_eq!(of("linux/arm/v7", &one, "/a"), of("linux/arm/v7", &files("/b/one", "1"), "/b"));
        assert_eq!(
            of("linux/arm/v7", &newer, "/a"),
            of("linux/arm/v7", &with(Some(sysroot("/store/x", &[("libssl-dev", "2")]))), "/b")
        );
    }

    #[test]
    fn flags_of_goflags_are_kept_beside_ours() {
        for (goflags, ldflags) in [
            ("", None),
            ("-mod=mod", None),
            ("-ldflags=-s", Some("-s")),
            ("-mod=mod '-ldflags=-s -w' -v", Some("-s -w")),
            ("--ldflags=-s -ldflags=-w", Some("-w")),
        ] {
            let variables = GoVariables { goflags: goflags.into(), ..GoVariables::default() };
            assert_eq!(variables.go_ldflags().as_ref().map(Word::value), ldflags, "{goflags}");
        }
    }

    #[test]
    fn packages_that_hold_c_are_found_after_a_build_without_it() {
        let build = Invocation::new("go", "/src")
            .args(["build", "-trimpath", "-tags=a,b", "-ldflags=-s", "-o", "/out/", ".", "./cmd/app"])
            .env("CGO_ENABLED", "0")
            .env("GOARCH", "arm64");
        assert_eq!(
            list_c_invocation(&build).to_line(),
            "CGO_ENABLED=1 GOARCH=arm64 go list -e -deps '-json=ImportPath,Standard,CgoFiles' '-tags=a,b' . ./cmd/app"
        );
        let printed = br#"{"ImportPath": "runtime/cgo", "Standard": true, "CgoFiles": ["cgo.go"]}
            {"ImportPath": "example.com/sqlite", "CgoFiles": ["sqlite.go"]} {"ImportPath": "example.com/app"}"#;
        assert_eq!(read_c_packages(printed), ["example.com/sqlite"]);
        assert!(read_c_packages(b"go: what?").is_empty());
    }

    #[test]
    fn what_go_env_prints_is_read() {
        let printed =
            br#"{"CGO_CFLAGS": "-O2 -g", "CGO_CXXFLAGS": "-O3", "CGO_LDFLAGS": "-O2 -g", "GOFLAGS": "-mod=mod"}"#;
        let read = read_variables(printed).unwrap();
        assert_eq!(read.of("CGO_CFLAGS"), None);
        assert_eq!(read.of("CGO_CXXFLAGS").unwrap().value(), "-O3");
        assert_eq!(read.goflags, "-mod=mod");
        assert!(read_variables(b"go: no such command").is_err());
    }
}
