//! The texts of a C project's build files become the programs that they name. Text is all that is looked at: what a build
//! file computes is not known, and so not named.

use std::collections::{BTreeMap, BTreeSet};

/// A program that a build file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// what the build system calls it
    pub target: String,
    /// what its file is called
    pub file: String,
    /// true when its name or place says that it is a test, an example or the like
    pub aside: bool,
}

/// What a `CMakeLists.txt` or a `meson.build` says of itself and of the folders below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// the programs
    pub programs: Vec<Named>,
    /// folders that it says to read too, relative to its own
    pub folders: Vec<String>,
    /// the variables that are known by now
    pub variables: BTreeMap<String, String>,
}

/// Folders and targets that are not what a project is for.
const ASIDE: [&str; 10] =
    ["bench", "contrib", "demo", "doc", "example", "fuzz", "sample", "test", "testing", "tutorial"];

/// Whether a name, or a part of a path, says that what it names is not what the project is for.
#[must_use]
pub fn is_aside(path: &str) -> bool {
    let words = path.split(|letter: char| !letter.is_ascii_alphanumeric());
    words.map(str::to_ascii_lowercase).any(|word| {
        let singular = word.strip_suffix("es").filter(|word| word.ends_with("ch")).or_else(|| word.strip_suffix('s'));
        ASIDE.contains(&word.as_str()) || singular.is_some_and(|word| ASIDE.contains(&word)) || word == "benchmark"
    })
}

/// Reads a `CMakeLists.txt` that lies in `folder` (relative to the project, empty for its root).
#[must_use]
pub fn cmake(text: &str, folder: &str, variables: &BTreeMap<String, String>) -> Listed {
    let mut listed = Listed { variables: variables.clone(), ..Listed::default() };
    for (command, arguments) in cmake_commands(text) {
        let arguments: Vec<String> =
            arguments.iter().map(|argument| expanded(argument, "${", "}", &listed.variables)).collect();
        let Some(first) = arguments.first().filter(|first| !first.contains('$')).cloned() else { continue };
        match command.as_str() {
            "project" => {
                for name in ["PROJECT_NAME", "CMAKE_PROJECT_NAME"] {
                    if name == "PROJECT_NAME" || folder.is_empty() {
                        listed.variables.insert(name.to_owned(), first.clone());
                    }
                }
            }
            "set" => {
                if let [_, value] = arguments.as_slice() {
                    listed.variables.insert(first, value.clone());
                }
            }
            "add_subdirectory" => listed.folders.push(first),
            "add_executable" => {
                let kind = arguments.get(1).map(String::as_str);
                if !matches!(kind, Some("IMPORTED" | "ALIAS")) {
                    let aside = is_aside(&first) || is_aside(folder);
                    listed.programs.push(Named { file: first.clone(), target: first, aside });
                }
            }
            "set_target_properties" => {
                let named = arguments.iter().position(|word| word == "OUTPUT_NAME");
                let Some(name) = named.and_then(|position| arguments.get(position + 1)) else { continue };
                let targets: Vec<&String> = arguments.iter().take_while(|word| *word != "PROPERTIES").collect();
                for program in listed.programs.iter_mut().filter(|program| targets.contains(&&program.target)) {
                    program.file.clone_from(name);
                }
            }
            _ => {}
        }
    }
    listed
}

/// The commands of a `CMakeLists.txt`, in lower case, with their arguments.
fn cmake_commands(text: &str) -> Vec<(String, Vec<String>)> {
    let without_comments: String =
        text.lines().map(|line| line.split('#').next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut commands = Vec::new();
    let mut rest = without_comments.as_str();
    while let Some((before, after)) = rest.split_once('(') {
        let name = before.trim_end().rsplit(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).next();
        // An argument list with parentheses of its own is a condition: its end does not matter here.
        let Some((inside, after)) = after.split_once(')') else { break };
        let arguments = inside.split_whitespace().map(|word| word.trim_matches('"').to_owned()).collect();
        commands.push((name.unwrap_or_default().to_ascii_lowercase(), arguments));
        rest = after;
    }
    commands
}

/// How many bytes a text may have with its variables put in: variables that hold each other twice and more grow without
/// end, and no list that people write is as long.
const LONGEST: usize = 64 << 10;

/// The text with variables that are known put in; the others stay as they are, and so does what would be too long.
fn expanded(text: &str, open: &str, close: &str, variables: &BTreeMap<String, String>) -> String {
    let mut current = text.to_owned();
    // A variable may hold another one; one that holds itself must not keep us.
    for _ in 0..8 {
        match expanded_once(&current, open, close, variables) {
            Some(next) if next == current => break,
            Some(next) => current = next,
            None => return text.to_owned(),
        }
    }
    current
}

/// The text with the values of its variables, which may name variables again; `None` when it is too long.
fn expanded_once(text: &str, open: &str, close: &str, variables: &BTreeMap<String, String>) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((head, after)) = rest.split_once(close) {
        let known = head.rsplit_once(open).and_then(|(before, name)| Some((before, variables.get(name)?)));
        match known {
            Some((before, value)) => out.extend([before, value]),
            None => out.extend([head, close]),
        }
        if out.len() > LONGEST {
            return None;
        }
        rest = after;
    }
    out.push_str(rest);
    (out.len() <= LONGEST).then_some(out)
}

/// Reads a `meson.build` that lies in `folder`.
#[must_use]
pub fn meson(text: &str, folder: &str) -> Listed {
    let mut listed = Listed::default();
    let text: String =
        text.lines().map(|line| line.split('#').next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    for (function, programs) in [("executable", true), ("subdir", false)] {
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once(function) {
            rest = after;
            let is_word = before.ends_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '_');
            let Some(argument) = after.trim_start().strip_prefix('(').map(str::trim_start) else { continue };
            let name = argument.strip_prefix('\'').and_then(|rest| rest.split_once('\'')).map(|(name, _)| name);
            match name.filter(|name| !is_word && !name.is_empty() && !name.contains('@')) {
                Some(name) if programs => {
                    let aside = is_aside(name) || is_aside(folder);
                    listed.programs.push(Named { target: name.to_owned(), file: name.to_owned(), aside });
                }
                Some(name) => listed.folders.push(name.to_owned()),
                None => {}
            }
        }
    }
    listed
}

/// The programs of automake's `Makefile.am` in `folder`, what `bin_PROGRAMS` and its like name, and the files that it
/// includes, relative to the root.
#[must_use]
pub fn automake(text: &str, folder: &str) -> (Vec<Named>, Vec<String>) {
    let mut programs = Vec::new();
    let mut included = Vec::new();
    for line in joined_lines(text) {
        if let Some(path) = line.strip_prefix("include ").map(str::trim) {
            let top = path.strip_prefix("$(top_srcdir)/");
            let own = path.strip_prefix("$(srcdir)/").or(Some(path)).filter(|_| folder.is_empty());
            included.extend(top.or(own).filter(|path| !path.contains('$')).map(str::to_owned));
        }
        let Some((name, value)) = line.split_once('=') else { continue };
        let name = name.trim().trim_end_matches('+').trim_end();
        if ["bin_PROGRAMS", "sbin_PROGRAMS", "noinst_PROGRAMS"].contains(&name) {
            let plain = |word: &&str| !word.contains(['$', '@', '#']);
            programs.extend(value.split_whitespace().filter(plain).map(|word| Named {
                target: word.to_owned(),
                file: last(word).to_owned(),
                aside: name == "noinst_PROGRAMS" || is_aside(folder) || is_aside(word),
            }));
        }
    }
    (programs, included)
}

/// The last part of a path.
fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Goals that make no program.
const NO_PROGRAMS: [&str; 14] = [
    "all",
    "build",
    "check",
    "clean",
    "default",
    "depend",
    "dist",
    "distclean",
    "doc",
    "docs",
    "install",
    "test",
    "tests",
    "uninstall",
];

/// The programs that a Makefile makes when it is called without a goal.
#[must_use]
pub fn make(text: &str) -> Vec<Named> {
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    let mut rules: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for line in joined_lines(text).iter().filter(|line| !line.starts_with('\t')) {
        let line = line.split('#').next().unwrap_or_default();
        if let Some((name, value)) = assignment(line) {
            variables.insert(name.to_owned(), value.to_owned());
        } else if let Some((targets, rest)) = line.split_once(':').filter(|(targets, _)| !targets.trim().is_empty()) {
            let words = |text: &str| {
                let text = expanded(&expanded(text, "$(", ")", &variables), "${", "}", &variables);
                text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
            };
            let prerequisites = rest.trim_start_matches(':').split(';').next().unwrap_or_default();
            rules.push((words(targets), words(prerequisites)));
        }
    }
    let is_goal = |target: &&String| !target.starts_with('.') && !target.contains(['%', '$']);
    let first = || rules.iter().flat_map(|(targets, _)| targets).find(is_goal).cloned();
    let goal = variables.get(".DEFAULT_GOAL").map(|goal| goal.trim().to_owned()).or_else(first);
    let is_list = |targets: &[String]| targets.iter().any(|name| name == ".PHONY");
    let phony: BTreeSet<&String> =
        rules.iter().filter(|(targets, _)| is_list(targets)).flat_map(|(_, names)| names).collect();
    let mut rules_of: BTreeMap<&String, Vec<usize>> = BTreeMap::new();
    for (index, (targets, _)) in rules.iter().enumerate() {
        for target in targets {
            rules_of.entry(target).or_default().push(index);
        }
    }
    let mut programs: Vec<Named> = Vec::new();
    let mut open: Vec<&String> = goal.iter().collect();
    let mut seen: BTreeSet<&String> = BTreeSet::new();
    // What a rule of several targets needs is taken up once.
    let mut taken: BTreeSet<usize> = BTreeSet::new();
    while let Some(target) = open.pop() {
        if !seen.insert(target) {
            continue;
        }
        let own = rules_of.get(target).map_or(&[][..], Vec::as_slice);
        let name = last(target);
        if !makes_program(name) || phony.contains(target) {
            let own = own.iter().filter(|index| taken.insert(**index)).map(|index| &rules[*index].1);
            let prerequisites: Vec<&String> = own.flatten().collect();
            // The first of them is to be looked at first.
            open.extend(prerequisites.into_iter().rev());
        } else if !own.is_empty() {
            programs.push(Named { target: target.clone(), file: name.to_owned(), aside: is_aside(target) });
        }
    }
    programs
}

fn makes_program(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(['.', '$', '%', '|', '='])
        && !NO_PROGRAMS.contains(&name)
        && !name.starts_with("install-")
}

/// `NAME = value` in any of make's spellings.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim().trim_end_matches([':', '?', '+', '!']).trim_end();
    let name = name.strip_prefix("export ").unwrap_or(name).trim();
    let is_name = !name.is_empty() && !name.contains(|letter: char| letter.is_whitespace() || letter == ':');
    is_name.then(|| (name, value.trim()))
}

/// Lines, those that end with a backslash joined with the next.
fn joined_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut continued = false;
    for line in text.lines() {
        let (part, more) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
        match lines.last_mut().filter(|_| continued) {
            Some(last) => {
                last.push(' ');
                last.push_str(part.trim());
            }
            None => lines.push(part.to_owned()),
        }
        continued = more;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(programs: &[Named]) -> Vec<String> {
        programs.iter().map(|one| format!("{}{}", one.target, if one.aside { " (aside)" } else { "" })).collect()
    }

    #[test]
    fn cmake_says_what_it_makes() {
        let text = r#"
            cmake_minimum_required(VERSION 3.13)
            project(app C) # add_executable(comment x.c)
            set(TOOL "tool")
            if(NOT (A AND B))
              ADD_EXECUTABLE(${PROJECT_NAME} main.c)
            endif()
            add_executable (${TOOL}
                tool.c)
            add_executable(app::app ALIAS app)
            add_executable(${UNKNOWN} x.c)
            add_executable(api_test t.c)
            set_target_properties(tool other PROPERTIES
                CXX_STANDARD 17 OUTPUT_NAME "the-tool")
            add_subdirectory(src)
            add_subdirectory(tests)
        "#;
        let listed = cmake(text, "", &BTreeMap::new());
        assert_eq!(names(&listed.programs), ["app", "tool", "api_test (aside)"]);
        assert_eq!(listed.programs[1].file, "the-tool");
        assert_eq!(listed.folders, ["src", "tests"]);
        let below = cmake("add_executable(${PROJECT_NAME}-cli a.c)", "src", &listed.variables);
        assert_eq!(names(&below.programs), ["app-cli"]);
        assert_eq!(names(&cmake("add_executable(x a.c)", "tests", &BTreeMap::new()).programs), ["x (aside)"]);
    }

    #[test]
    fn variables_that_grow_without_end_stay_as_they_are() {
        let grown = |number: usize| {
            let held = format!("$(A{})", number - 1).repeat(100);
            format!("A{number} = {held}\nt{number}: $(A{number}) x{number}\n")
        };
        let text: Vec<String> = ["A0 = 0123456789\n".to_owned()].into_iter().chain((1..200).map(grown)).collect();
        assert_eq!(names(&make(&text.concat())), ["t1"]);
        let all: Vec<String> = (0..6000).map(|number| format!("a.{number}")).collect();
        let all = all.join(" ");
        assert_eq!(names(&make(&format!("{all}: {all} app\napp: app.c\n"))), ["app"]);
        let doubled = "set(A \"${A}${A}\")\n".repeat(200);
        let listed = cmake(&format!("set(A ab)\n{doubled}add_executable(app a.c)"), "", &BTreeMap::new());
        assert!(listed.variables["A"].len() <= LONGEST, "{}", listed.variables["A"].len());
        assert_eq!(names(&listed.programs), ["app"]);
    }

    #[test]
    fn meson_says_what_it_makes() {
        let text = "project('app', 'c')\nsubdir('src')\nexecutable('app', 'main.c')\nx = executable(\n  'tool', 'a.c')\n\
                    my_executable('no')\nexecutable(name, 'b.c') # executable('comment')\n";
        let listed = meson(text, "");
        assert_eq!(names(&listed.programs), ["app", "tool"]);
        assert_eq!(listed.folders, ["src"]);
    }

    #[test]
    fn automake_says_what_it_makes() {
        let text =
            "bin_PROGRAMS = sed \\\n  other\nnoinst_PROGRAMS = helper\nbin_PROGRAMS += $(EXTRA)\nlib_LIBRARIES = x.a\n";
        assert_eq!(names(&automake(text, "src").0), ["sed", "other", "helper (aside)"]);
        let text = "include $(top_srcdir)/sed/local.mk\ninclude $(srcdir)/own.mk\ninclude $(OTHER)/x.mk\n";
        assert_eq!(automake(text, "").1, ["sed/local.mk", "own.mk"]);
        assert_eq!(automake(text, "src").1, ["sed/local.mk"]);
    }

    #[test]
    fn a_makefile_says_what_its_default_goal_makes() {
        for (text, programs) in [
            (
                "all: libbz2.a bzip2 bzip2recover test\n\nbzip2: libbz2.a\n\tcc\nbzip2recover: x.o\n\tcc\ntest: bzip2\n\t./bzip2\n",
                &["bzip2", "bzip2recover"][..],
            ),
            ("CC = cc\nNAME := app\nOBJS = a.o b.o\n$(NAME): $(OBJS)\n\t$(CC) -o $@ $(OBJS)\nclean:\n\trm\n", &["app"]),
            (
                "PROGS = one \\\n  two\n.PHONY: everything\neverything: $(PROGS)\none: one.c\ntwo: two.c\n",
                &["one", "two"],
            ),
            (".DEFAULT_GOAL := app\nother: x\napp: y\n", &["app"]),
            ("BIN=bin/app\nall: ${BIN}\n${BIN}: a.o\n", &["bin/app"]),
            ("%.o: %.c\n\tcc\nall:\n\t$(MAKE) -C src\n", &[]),
            ("X = $(X)\nall: $(X)\n", &[]),
            ("A = a\nB = $(A)pp\nall: $(B) $(no) $(x$(A) b\napp:\nb:\n", &["app", "b"]),
            ("", &[]),
        ] {
            assert_eq!(names(&make(text)), programs, "{text}");
        }
    }
}
