//! The tools of a C compiler as scripts whose names are the same on every machine.

use super::{CSettings, Setup, Site};
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

/// The scripts of a platform's compiler. `after` are flags that win over those of the caller.
#[must_use]
pub fn scripts(settings: &CSettings, site: &Site<'_>, after: &[String]) -> Vec<Setup> {
    let Some(compiler) = site.compiler() else { return Vec::new() };
    let mut before = compiler.flags.clone();
    before.extend(settings.sysroot.iter().flat_map(crate::sysroot::Sysroot::c_flags));
    let folder = site.scripts_folder();
    let mut scripts = Vec::new();
    for (tool, names) in NAMES {
        let is_compiler = matches!(tool, "cc" | "cxx");
        let text = match compiler.commands.get(tool) {
            Some(words) if is_compiler => script(words, site, &before, after),
            Some(words) => script(words, site, &[], &[]),
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

fn script(words: &[String], site: &Site<'_>, before: &[String], after: &[String]) -> String {
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
    let Some(command) = (site.found)(&tool) else {
        let said = tool.commands.iter().map(|command| command.join(" ")).collect::<Vec<_>>().join(", ");
        return format!("#!/bin/sh\necho {} >&2\nexit 127\n", quote(&format!("{said}: not found")));
    };
    let words = command.iter().chain(rest).chain(before).map(|word| quote(word));
    let after = after.iter().map(|word| quote(word));
    let call: Vec<String> = words.chain(["\"$@\"".to_owned()]).chain(after).collect();
    format!("#!/bin/sh\nexec {}\n", call.join(" "))
}

fn quote(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), std::borrow::Cow::into_owned)
}
