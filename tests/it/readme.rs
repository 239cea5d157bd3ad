//! Holds README.md to the program: its tables are generated, its configuration is read, its commands are run.
//!
//! A code block of the kind `console test` (or `console full`, which takes minutes) holds commands, each after `$ `, and under it what
//! it writes to stdout and stderr, in which digests, times and sizes may differ, and the order of the lines: compilers
//! that run side by side end in any. `/src` is a folder with a copy of the examples, in which each block starts, and
//! `localhost:5000` a registry. `ANYARCH_UPDATE_README=1 cargo test` writes the tables and outputs.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyarch::exit::Exit;
use anyarch::toolchain::{Language, PlatformRow, Toolchains};

use crate::support::process;
use crate::support::program::{Home, redact};
use crate::support::project::Project;
use crate::support::registry::{Options, Registry};
use crate::support::repository;

/// The text of the README; it goes back to disk when the README is being updated and the text was changed.
struct Readme {
    path: PathBuf,
    text: String,
    _alone: MutexGuard<'static, ()>,
}

/// One test at a time has the README: all may write to it.
static ALONE: Mutex<()> = Mutex::new(());

impl Readme {
    fn read() -> Self {
        // A test that failed has left the file whole.
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let path = repository().join("README.md");
        let text = fs::read_to_string(&path).expect("README.md can be read");
        Self { path, text, _alone: alone }
    }

    /// Holds the text to `wanted`, or makes it so when the README is being updated.
    #[track_caller]
    fn hold_to(self, wanted: &str, what: &str) {
        if self.text == wanted {
            return;
        }
        assert!(
            updating(),
            "{what} in README.md is not what it should be\nhint: ANYARCH_UPDATE_README=1 cargo test readme\n{}",
            first_difference(&self.text, wanted)
        );
        fs::write(self.path, wanted).expect("README.md can be written");
    }

    /// The text with what stands between the markers `NAME:begin` and `NAME:end` replaced.
    fn with_section(&self, name: &str, content: &str) -> String {
        let (begin, end) = (format!("<!-- {name}:begin -->\n"), format!("<!-- {name}:end -->"));
        let (before, rest) = self.text.split_once(&begin).unwrap_or_else(|| panic!("README.md has no `{begin}`"));
        let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("README.md has no `{end}`"));
        format!("{before}{begin}{content}{end}{after}")
    }
}

/// True when the README is being written anew; its blocks then all come from one run.
fn updating() -> bool {
    std::env::var_os("ANYARCH_UPDATE_README").is_some()
}

fn first_difference(actual: &str, wanted: &str) -> String {
    let (mut actual, mut wanted) = (actual.lines(), wanted.lines());
    loop {
        match (actual.next(), wanted.next()) {
            (None, None) => return "only the end of the file differs".into(),
            (actual, wanted) if actual != wanted => {
                return format!(
                    "it says: {}\nit should say: {}",
                    actual.unwrap_or("(nothing)"),
                    wanted.unwrap_or("(nothing)")
                );
            }
            _ => {}
        }
    }
}

#[test]
fn the_platform_table_is_what_the_toolchain_rows_say() {
    let toolchains = Toolchains::built_in().expect("our own rows can be read");
    let mut table = String::from(
        "| platform | in `all` for | Go | Rust target of a static binary | gcc prefix | zig target |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in toolchains.platforms() {
        writeln!(table, "{}", platform_line(row)).expect("a text can be written to");
    }
    let readme = Readme::read();
    let wanted = readme.with_section("platforms", &table);
    readme.hold_to(&wanted, "the table of platforms");
}

fn platform_line(row: &PlatformRow) -> String {
    let default: Vec<&str> = row
        .default
        .iter()
        .map(|language| match language {
            Language::Go => "Go",
            Language::Rust => "Rust",
            Language::C => "C",
            Language::Command => "commands",
            Language::Prebuilt => "prebuilt",
        })
        .collect();
    let settings = row.go.iter().flatten().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ");
    let rust = row.rust.as_ref().and_then(|names| match names.static_libc.as_str() {
        "musl" => names.musl.as_deref(),
        _ => names.gnu.as_deref(),
    });
    let zig = row.zig.as_ref().map(|names| names.musl.as_str());
    let code = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), |text| format!("`{text}`"));
    format!(
        "| {} | {} | {} | {} | {} | {} |",
        row.platform,
        if default.is_empty() { "-".to_owned() } else { default.join(", ") },
        code(Some(settings.as_str()).filter(|settings| !settings.is_empty())),
        code(rust),
        code(row.gcc.as_deref()),
        code(zig)
    )
}

#[test]
fn the_table_of_exit_codes_is_the_enum() {
    let mut table = String::from("| code | meaning |\n| --- | --- |\n");
    for (exit, meaning) in Exit::ALL {
        writeln!(table, "| {} | {meaning} |", exit as u8).expect("a text can be written to");
    }
    let readme = Readme::read();
    let wanted = readme.with_section("exit codes", &table);
    readme.hold_to(&wanted, "the table of exit codes");
}

#[test]
fn the_configuration_reference_is_a_configuration() {
    let readme = Readme::read();
    let blocks: Vec<String> = blocks(&readme.text, "toml test").map(|block| block.content).collect();
    assert!(!blocks.is_empty(), "README.md has no block of the kind `toml test`");
    for block in blocks {
        anyarch::config::load(&block, Path::new("README.md")).expect("the block is a configuration");
    }
}

#[test]
fn the_commands_do_what_the_readme_shows() {
    run_blocks("console test");
}

#[test]
#[ignore = "full: readme"]
fn the_slow_commands_do_what_the_readme_shows() {
    run_blocks("console full");
}

/// A fenced block: where its content lies in the text, and the content.
struct Block {
    start: usize,
    content: String,
}

/// The fenced blocks whose info string is `kind`.
fn blocks<'text>(text: &'text str, kind: &str) -> impl Iterator<Item = Block> + use<'text> {
    let opening = format!("```{kind}\n");
    let starts: Vec<usize> = text.match_indices(&opening).map(|(at, _)| at + opening.len()).collect();
    starts.into_iter().map(|start| {
        let length = text[start..].find("\n```").expect("a block is closed") + 1;
        Block { start, content: text[start..start + length].to_owned() }
    })
}

/// Runs the blocks of one kind and holds them to what they show.
fn run_blocks(kind: &str) {
    let readme = Readme::read();
    let (registry, home) = (Registry::start(&Options::default()), Home::new());
    let project = Project::new();
    let examples = Project::copy_of(&repository().join("examples"));
    fs::rename(examples.path(), project.path().join("examples")).expect("temporary folders lie on one file system");
    let mut wanted = readme.text.clone();
    let blocks: Vec<Block> = blocks(&readme.text, kind).collect();
    assert!(!blocks.is_empty(), "README.md has no block of the kind `{kind}`");
    // From the last to the first, so that what is replaced moves nothing that comes after.
    let shown: Vec<String> =
        blocks.iter().map(|block| run_block(&block.content, project.path(), &home, &registry)).collect();
    for (block, shown) in blocks.iter().zip(&shown).rev() {
        if updating() || comparable(&block.content) != comparable(shown) {
            wanted.replace_range(block.start..block.start + block.content.len(), shown);
        }
    }
    readme.hold_to(&wanted, "the output of a command");
}

/// What has to be the same in two runs: not what is told only of a transfer that takes long.
fn comparable(block: &str) -> Vec<String> {
    let is_transfer = |line: &&str| line.starts_with("push localhost:") && line.contains(" done ");
    let mut lines: Vec<String> =
        redact(block, &[]).lines().filter(|line| !is_transfer(line)).map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Runs the commands of a block; returns the block as it should read.
fn run_block(block: &str, root: &Path, home: &Home, registry: &Registry) -> String {
    let mut folder = root.to_owned();
    let mut shown = String::new();
    for command in block.lines().filter_map(|line| line.strip_prefix("$ ")) {
        writeln!(shown, "$ {command}").expect("a text can be written to");
        if let Some(path) = command.strip_prefix("cd ") {
            folder = root.join(path);
            continue;
        }
        let mut shell = shell(&command.replace("localhost:5000", &registry.host()), &folder, home);
        let output = process::text(&mut shell);
        let output = output.replace(&registry.host(), "localhost:5000").replace(&*root.to_string_lossy(), "/src");
        for line in output.lines() {
            writeln!(shown, "{}", line.trim_end()).expect("a text can be written to");
        }
    }
    shown
}

/// A shell that runs `line` with the program under test on its PATH, stderr going where stdout goes.
fn shell(line: &str, folder: &Path, home: &Home) -> Command {
    let call = home.anyarch().command();
    let own = Path::new(call.get_program()).parent().expect("a program lies in a folder").to_owned();
    let mut shell = Command::new("sh");
    shell.arg("-ec").arg(format!("exec 2>&1; {line}")).current_dir(folder).env_clear();
    for (name, value) in call.get_envs().filter_map(|(name, value)| Some((name, value?))) {
        shell.env(name, value);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(own).chain(std::env::split_paths(&path));
    shell.env("PATH", std::env::join_paths(paths).expect("folders of PATH have no colons"));
    shell
}
