//! The tools of a C compiler as scripts whose names are the same on every machine.

use std::fmt::Write as _;

use super::{CSettings, Setup, Site};
use crate::invocation::quote;
use crate::toolchain::Tool;

/// How a tool is called on this machine; `None` when it is not there.
pub type Found<'site> = &'site dyn Fn(&Tool) -> Option<Vec<String>>;

/// The names of each tool, behind the prefix.
const NAMES: [(&str, &[&str]); 8] = [
    ("cc", &["cc", "gcc"]),
    ("cxx", &["c++", "g++"]),
    ("ar", &["ar"]),
    ("ranlib", &["ranlib"]),
    ("strip", &["strip"]),
    ("nm", &["nm"]),
    ("ld", &["ld"]),
    ("objcopy", &["objcopy"]),
];

/// Variables by which a compiler takes this machine's headers and libraries for those of every platform.
const HOST_FOLDERS: &str =
    "CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH OBJC_INCLUDE_PATH LIBRARY_PATH COMPILER_PATH GCC_EXEC_PREFIX";

/// The scripts of a platform's compiler. `after` are flags that win over those of the caller; those for the linker (`-Wl,`)
/// only go where something is linked, and so do those that make a program static.
#[must_use]
pub fn scripts(settings: &CSettings, site: &Site<'_>, after: &[String]) -> Vec<Setup> {
    let Some(compiler) = site.compiler() else { return Vec::new() };
    let brings_libc = site.toolchain.brings_libc();
    let folder = site.scripts_folder();
    let mut scripts = Vec::new();
    for (tool, names) in NAMES {
        let is_compiler = matches!(tool, "cc" | "cxx");
        let sysroot = settings.sysroot.iter().flat_map(|sysroot| sysroot.c_flags(brings_libc, tool == "cxx"));
        let before: Vec<String> = compiler.flags.iter().cloned().chain(sysroot).collect();
        let text = match compiler.commands.get(tool) {
            Some(words) if is_compiler => compiler_script(&call(words, site), &before, after, &compiler.ldflags),
            Some(words) => script(&call(words, site)),
            // Programs are linked without symbols where that is asked for.
            None if tool == "strip" => "#!/bin/sh\n# This compiler has no strip of its own.\nexit 0\n".to_owned(),
            None => continue,
        };
        for name in names {
            let path = folder.join(format!("{}-{name}", compiler.prefix));
            scripts.push(Setup::File { path, text: text.clone(), executable: true });
        }
    }
    scripts
}

/// How a tool is called on this machine, as words for a shell; what to say where it is not there.
fn call(words: &[String], site: &Site<'_>) -> Result<Vec<String>, String> {
    let (first, rest) = words.split_first().map_or(("", [].as_slice()), |(first, rest)| (first.as_str(), rest));
    // The name of a tool stands for how it is called here; any other first word is a program to look up.
    let tool = site.toolchain.tools.iter().find(|tool| tool.name == first).cloned().unwrap_or_else(|| Tool {
        name: first.to_owned(),
        commands: vec![vec![first.to_owned()]],
        version: Vec::new(),
        install: std::collections::BTreeMap::new(),
        download: None,
        downloaded: None,
    });
    let said = || tool.commands.iter().map(|command| command.join(" ")).collect::<Vec<_>>().join(", ");
    let command = (site.found)(&tool).ok_or_else(|| format!("{}: not found", said()))?;
    Ok(command.iter().chain(rest).map(|word| quote(word)).collect())
}

fn missing(said: &str) -> String {
    format!("#!/bin/sh\necho {} >&2\nexit 127\n", quote(said))
}

fn script(call: &Result<Vec<String>, String>) -> String {
    match call {
        Ok(words) => format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" ")),
        Err(said) => missing(said),
    }
}

/// A compiler is called to compile, to link a shared library, or to link a program, and each has flags of its own. Flags of
/// the linker make gcc link where it was only asked for its version.
fn compiler_script(
    call: &Result<Vec<String>, String>,
    before: &[String],
    after: &[String],
    program: &[String],
) -> String {
    let words = match call {
        Ok(words) => words,
        Err(said) => return missing(said),
    };
    let quoted = |words: &[&String]| words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
    let (link, after): (Vec<&String>, Vec<&String>) = after.iter().partition(|flag| flag.starts_with("-Wl,"));
    let before: Vec<String> = words.iter().cloned().chain(before.iter().map(|word| quote(word))).collect();
    let start = before.join(" ");
    let after = if after.is_empty() { String::new() } else { format!(" {}", quoted(&after)) };
    let mut text = format!("#!/bin/sh\nunset {HOST_FOLDERS}\n");
    let whole: Vec<&String> = link.iter().copied().chain(program).collect();
    if !whole.is_empty() {
        let _ = write!(
            text,
            "what=\nfor word; do\n  case $word in\n    -c | -S | -E | -M | -MM | -fsyntax-only) what=compile; break ;;\n    \
             -shared | -r) what=library ;;\n    -*) ;;\n    *) what=${{what:-program}} ;;\n  esac\ndone\ncase $what in\n  \
             program) exec {start} \"$@\"{after} {} ;;\n",
            quoted(&whole)
        );
        if !link.is_empty() {
            let _ = writeln!(text, "  library) exec {start} \"$@\"{after} {} ;;", quoted(&link));
        }
        text.push_str("esac\n");
    }
    let _ = writeln!(text, "exec {start} \"$@\"{after}");
    text
}
