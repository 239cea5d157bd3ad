//! What was found in a project becomes the text of an `anyarch.toml` for its people to check: every program with the keys
//! that it needs, and behind a `#` the others that it may have. The same project gives the same text.

pub mod build_files;

use std::fmt::Write as _;

use crate::c_program::BuildSystem;

/// The word that marks what is a guess.
const CHECK: &str = "check";
/// Where the remark behind a value starts, if the value is not longer.
const REMARK_COLUMN: usize = 40;

/// A program that a project seems to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// what it is called in the image
    pub name: String,
    /// its folder or package, as the configuration writes it
    pub package: String,
    /// false when it stands there behind a `#`: it may be none that anybody wants in an image
    pub wanted: bool,
    /// what it is made of
    pub kind: Kind,
}

/// What a program is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// a main package of Go
    Go {
        /// the package that holds C, if one does
        cgo: Option<String>,
    },
    /// a binary of a Cargo package
    Rust {
        /// its name, where the package's name does not tell
        bin: Option<String>,
        /// the features that it needs and that are off by default
        features: Vec<String>,
    },
    /// C
    C {
        /// how it is built
        build: BuildSystem,
        /// what is built of it
        target: Option<Value>,
        /// where the binary will be, below the folder that is built in
        output: Option<Value>,
    },
}

/// A value that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// the value
    pub text: String,
    /// why it is thought so, where somebody has to check it
    pub guessed: Option<String>,
}

impl Kind {
    /// The language, as the configuration writes it.
    #[must_use]
    pub fn language(&self) -> &'static str {
        match self {
            Self::Go { .. } => "go",
            Self::Rust { .. } => "rust",
            Self::C { .. } => "c",
        }
    }
}

/// Gives every candidate a name of its own, since no two programs share a path in the image, and wants all where none is
/// wanted: then there is nothing to prefer.
#[must_use]
pub fn settled(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    if !candidates.iter().any(|candidate| candidate.wanted) {
        for candidate in &mut candidates {
            candidate.wanted = true;
        }
    }
    // Those that are wanted come first, and keep their names.
    candidates.sort_by_key(|candidate| !candidate.wanted);
    let mut taken: Vec<String> = Vec::new();
    for candidate in &mut candidates {
        let folder = candidate.package.trim_end_matches('/').rsplit('/').nth(1).filter(|folder| *folder != ".");
        let with_folder = folder.map(|folder| format!("{folder}-{}", candidate.name));
        let numbered = (2..).map(|number| format!("{}-{number}", candidate.name));
        let names = std::iter::once(candidate.name.clone()).chain(with_folder).chain(numbered);
        if let Some(free) = names.into_iter().find(|name| !taken.contains(name)) {
            candidate.name = free;
        }
        taken.push(candidate.name.clone());
    }
    candidates
}

/// The text of the configuration. `candidates` are [`settled`], with the name that each has without a `name` of its own;
/// `remarks` are lines for people.
#[must_use]
pub fn text(candidates: &[(Candidate, String)], remarks: &[String]) -> String {
    let wanted = candidates.iter().filter(|(candidate, _)| candidate.wanted).count();
    let name = candidates.first().map_or("app", |(candidate, _)| candidate.name.as_str());
    let mut text = Text::default();
    text.comment("What anyarch makes of this project. Every key has a default; behind a `#` stands another choice.");
    text.comment("");
    text.comment("  anyarch plan     what would be done, before any compiler runs");
    text.comment("  anyarch build    one index with an image for each platform");
    if candidates.iter().any(|(candidate, _)| has_guess(candidate)) {
        text.comment("");
        text.comment(&format!(
            "What is marked `{CHECK}` was read from the text of build files: hold it to what they do."
        ));
    }
    text.blank();
    text.line(false, "platforms = [\"linux/amd64\", \"linux/arm64\"]", "\"all\": every platform of the base");
    text.line(true, "base = \"debian:12-slim\"", "\"static\" when not given; \"scratch\", \"oci:DIR\"");
    text.line(true, &format!("tags = [{}]", quoted(&format!("registry.example.com/{name}:{{{{version}}}}"))), "as -t");
    if wanted > 1 {
        text.line(false, "one_image = true", "false: an image for each program");
        text.line(true, &format!("entrypoint = [{}]", quoted(&format!("/usr/local/bin/{name}"))), "the first program");
    }
    text.line(true, "cmd = [\"--help\"]", "arguments when the container gets none");
    text.line(true, "env = { LANG = \"C.UTF-8\" }", "");
    text.line(true, "user = \"65532:65532\"", "that of the base, when not given");
    text.line(true, "ports = [\"8080/tcp\"]", "");
    for (candidate, default_name) in candidates {
        text.blank();
        if !candidate.wanted {
            text.comment("Found too; take the `#`s away if it belongs into the image.");
        }
        text.program(candidate, default_name);
    }
    if !remarks.is_empty() {
        text.blank();
        for remark in remarks {
            text.comment(remark);
        }
    }
    text.blank();
    text.line(true, "[[file]]", "a file of the project, besides the programs");
    text.line(true, "source = \"etc/app.conf\"", "");
    text.line(true, "destination = \"/etc/app.conf\"", "");
    text.0
}

/// Whether somebody has to check something of it.
#[must_use]
pub fn has_guess(candidate: &Candidate) -> bool {
    let Kind::C { target, output, .. } = &candidate.kind else { return false };
    [target, output].into_iter().flatten().any(|value| value.guessed.is_some())
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn blank(&mut self) {
        self.0.push('\n');
    }

    fn comment(&mut self, words: &str) {
        // A text can be written to.
        let _ = writeln!(self.0, "{}", format!("# {}", one_line(words)).trim_end());
    }

    /// A key with its value and a remark behind it; behind a `#` itself where it is another choice.
    fn line(&mut self, other_choice: bool, key: &str, remark: &str) {
        let key = if other_choice { format!("# {key}") } else { key.to_owned() };
        let line = match remark {
            "" => key,
            remark => format!("{key:<REMARK_COLUMN$}  # {}", one_line(remark)),
        };
        let _ = writeln!(self.0, "{line}");
    }

    /// Another choice for a program. One that stands behind a `#` itself has none: taking the `#`s away would take them.
    fn choice(&mut self, off: bool, key: &str, remark: &str) {
        if !off {
            self.line(true, key, remark);
        }
    }

    fn program(&mut self, candidate: &Candidate, default_name: &str) {
        let off = !candidate.wanted;
        let pair = |key: &str, value: &str| format!("{key} = {}", quoted(value));
        self.line(off, "[[program]]", "");
        let of_package = if matches!(candidate.kind, Kind::Rust { .. }) { "" } else { "its folder" };
        self.line(off, &pair("package", &candidate.package), of_package);
        self.line(off, &pair("language", candidate.kind.language()), "");
        if candidate.name != default_name {
            self.line(off, &pair("name", &candidate.name), "");
        }
        match &candidate.kind {
            Kind::Go { cgo } => self.go(off, cgo.as_deref()),
            Kind::Rust { bin, features } => self.rust(off, bin.as_deref(), features),
            Kind::C { build, target, output } => self.c(off, *build, target.as_ref(), output.as_ref()),
        }
    }

    fn go(&mut self, off: bool, cgo: Option<&str>) {
        match cgo {
            Some(package) => self.line(off, "cgo = true", &format!("`{package}` holds C")),
            None => self.choice(off, "cgo = true", "compiles the C of Go packages; none was found"),
        }
        self.choice(off, "ldflags = [\"-s\", \"-w\", \"-X main.version={{git.describe}}\"]", "");
    }

    fn rust(&mut self, off: bool, bin: Option<&str>, features: &[String]) {
        if let Some(bin) = bin {
            self.line(off, &format!("bin = {}", quoted(bin)), "");
        }
        if features.is_empty() {
            self.choice(off, "features = []", "");
        } else {
            let names: Vec<String> = features.iter().map(|name| quoted(name)).collect();
            self.line(off, &format!("features = [{}]", names.join(", ")), "it needs them, and they are off by default");
        }
        self.choice(off, "libc = \"static\"", "that of the base when not given");
    }

    fn c(&mut self, off: bool, build: BuildSystem, target: Option<&Value>, output: Option<&Value>) {
        let name = BuildSystem::names().into_iter().find(|name| BuildSystem::from_name(name) == Some(build));
        self.line(off, &format!("build = {}", quoted(name.unwrap_or_default())), "");
        for (key, value) in [("target", target), ("output", output)] {
            if let Some(Value { text, guessed }) = value {
                let remark = guessed.as_ref().map(|reason| format!("{CHECK}: {reason}")).unwrap_or_default();
                self.line(off, &format!("{key} = {}", quoted(text)), &remark);
            }
        }
        let args = match build {
            BuildSystem::Plain => None,
            BuildSystem::Cmake => Some("args = [\"-DBUILD_SHARED_LIBS=OFF\"]"),
            BuildSystem::Make => Some("args = [\"PREFIX=/usr\"]"),
            BuildSystem::Configure => Some("args = [\"--disable-nls\"]"),
            BuildSystem::Meson => Some("args = [\"-Ddefault_library=static\"]"),
        };
        if let Some(args) = args {
            self.choice(off, args, &format!("for {}", name.unwrap_or_default()));
        }
        self.choice(off, "cflags = [\"-O3\"]", "");
        self.choice(off, "libs = [\"m\"]", "");
        self.choice(off, "libc = \"static\"", "that of the base when not given");
    }
}

/// A text as TOML writes it, on one line.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            // A text can be written to.
            control if control.is_control() => drop(write!(quoted, "\\u{:04X}", u32::from(control))),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// Words of a comment, which ends with its line.
fn one_line(words: &str) -> String {
    words.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests;
