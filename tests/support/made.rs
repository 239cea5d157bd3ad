//! Small images, right and wrong: C programs compiled once, the parts of a base that they need, and a config.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::bases::{self, Release};
use super::layout::{self, Image, Node, Tree};
use super::process;

const HELLO: &str = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n";
const HELLO_GO: &str = "package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(\"hello\\n\") }\n";
const GREETER: &str = "#include <stdio.h>\nconst char *greet(void);\nint main(void) { puts(greet()); return 0; }\n";
const GREET: &str = "const char *greet(void) { return \"hello\"; }\n";
/// A library that gets the greeting from another.
const PASSES_ON: &str = "const char *deep(void);\nconst char *greet(void) { return deep(); }\n";
const DEEP: &str = "const char *deep(void) { return \"hello\"; }\n";

/// Compiled once for all tests of a run.
pub struct Compiled {
    /// where sources and results are
    pub folder: TempDir,
}

impl Compiled {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in
            [("hello", HELLO), ("greeter", GREETER), ("greet", GREET), ("passes-on", PASSES_ON), ("deep", DEEP)]
        {
            fs::write(folder.path().join(name).with_extension("c"), text).unwrap();
        }
        Self { folder }
    }

    /// What `compiler` makes of `source`; each line of arguments is compiled once.
    pub fn made(&self, compiler: &str, source: &str, arguments: &[&str]) -> Vec<u8> {
        let words: Vec<&str> = compiler.split(' ').collect();
        let name: String = [&words, arguments].concat().join("_").replace(['/', ' ', '$', ',', '='], "-");
        let path = self.folder.path().join(format!("{source}.{name}"));
        if !path.exists() {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).arg("-O1").arg("-o").arg(&path).arg(format!("{source}.c")).args(arguments);
            process::succeed(command.current_dir(self.folder.path()));
        }
        fs::read(path).unwrap()
    }

    pub fn hello(&self, compiler: &str, arguments: &[&str]) -> Vec<u8> {
        self.made(compiler, "hello", arguments)
    }

    /// A program of Go that says hello.
    pub fn hello_go(&self, goarch: &str, goarm: &str) -> Vec<u8> {
        let (source, path) =
            (self.folder.path().join("hello.go"), self.folder.path().join(format!("go-{goarch}{goarm}")));
        fs::write(&source, HELLO_GO).unwrap();
        let mut command = Command::new("go");
        command.args(["build", "-o"]).arg(&path).arg(&source).current_dir(self.folder.path());
        command.env("GOOS", "linux").env("GOARCH", goarch).env("GOARM", goarm).env("CGO_ENABLED", "0");
        process::succeed(command.env("GOFLAGS", ""));
        fs::read(path).unwrap()
    }

    /// The library `libgreet.so.1` of `source`, and what it is linked against.
    pub fn library(&self, compiler: &str, source: &str, name: &str, arguments: &[&str]) -> Vec<u8> {
        let soname = format!("-Wl,-soname,{name}");
        let bytes = self.made(compiler, source, &[&["-shared", "-fPIC", &soname], arguments].concat());
        // Where the linker looks for what comes next.
        let linked = name.split(".so").next().unwrap().to_owned() + ".so";
        fs::write(self.folder.path().join(linked), &bytes).unwrap();
        bytes
    }

    pub fn here(&self) -> String {
        format!("-L{}", self.folder.path().display())
    }
}

/// The parts of a release's base that a small program needs: links of the merged `/usr`, busybox, the libc and its loader.
pub fn base(release: Release, platform: &str) -> Tree {
    let kept = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        let library = ["ld-", "ld64", "libc.so", "libc-2", "libm.so", "libm-2", "libpthread", "libdl"];
        !path.contains("/share/") && (library.iter().any(|start| name.starts_with(start)) || path.starts_with("etc/"))
    };
    let mut small = Tree::default();
    for tree in layout::layers(&bases::debian(release), platform.parse().unwrap()) {
        for (path, node) in tree.0 {
            let busybox = path.starts_with("usr/bin/") || path == "bin";
            if busybox || kept(&path) || !matches!(node, Node::File(..)) && !path.contains("/share/") {
                small.0.insert(path, node);
            }
        }
    }
    small
}

/// An image that starts `/app`, to be filled.
pub struct Made {
    /// its platform
    pub platform: &'static str,
    /// the base's, then ours
    pub layers: Vec<Tree>,
    /// what its config says of a start
    pub config: Value,
}

impl Made {
    pub fn on(platform: &'static str, base: &Tree) -> Self {
        let config = json!({"Entrypoint": ["/app"], "Env": ["PATH=/usr/bin:/bin"]});
        Self { platform, layers: vec![base.clone(), Tree::default()], config }
    }

    pub fn bare(platform: &'static str) -> Self {
        Self::on(platform, &Tree::default())
    }

    pub fn top(&mut self) -> &mut Tree {
        self.layers.last_mut().unwrap()
    }

    pub fn file(mut self, path: &str, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        self.top().file(path, mode, content);
        self
    }

    pub fn app(self, content: impl Into<Vec<u8>>) -> Self {
        self.file("app", 0o755, content)
    }

    pub fn link(mut self, path: &str, target: &str) -> Self {
        self.top().link(path, target);
        self
    }

    pub fn with(mut self, key: &str, value: Value) -> Self {
        self.config[key] = value;
        self
    }

    pub fn change(mut self, change: impl FnOnce(&mut Tree)) -> Self {
        change(self.top());
        self
    }

    pub fn write(&self, folder: &Path) {
        let layers = self.layers.iter().filter(|tree| !tree.0.is_empty()).cloned().collect();
        let image = Image { platform: self.platform.parse().unwrap(), layers, config: self.config.clone() };
        layout::write(folder, "made", &[image]);
    }
}
