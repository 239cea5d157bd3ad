//! `anyarch platforms`: every platform, what each compiler calls it, and what this machine has.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use crate::cli::Platforms as Arguments;
use crate::exit::Exit;
use crate::host;
use crate::run::error::Error;
use crate::run::rows;
use crate::toolchain::{PlatformRow, Tool, Toolchains};
use crate::ui::Ui;

/// Runs the command.
#[must_use]
pub fn run(arguments: &Arguments) -> Exit {
    let ui = Arc::new(Ui::new(false));
    match platforms(&ui, arguments) {
        Ok(()) => Exit::Success,
        Err(error) => super::failed(&ui, &error),
    }
}

/// What a row says, and what is there of it.
struct Line {
    platform: String,
    go: String,
    rust: String,
    gcc: String,
    zig: String,
    has: Vec<String>,
}

fn platforms(ui: &Arc<Ui>, arguments: &Arguments) -> Result<(), Error> {
    let session = super::session(ui, false)?;
    let toolchains = rows::toolchains(&session, &arguments.toolchain, None)?;
    // No rustc is no Rust targets, which is what the table then says.
    let rust = host::rust_libraries(&session.children, &session.directory).ok();
    let mut machine = Machine { known: BTreeMap::new(), rust };
    let lines: Vec<Line> = toolchains.platforms().iter().map(|row| line(row, &toolchains, &mut machine)).collect();
    if arguments.json {
        let value: Vec<_> = lines
            .iter()
            .map(|line| json!({"platform": line.platform, "go": line.go, "rust": line.rust, "gcc": line.gcc, "zig": line.zig, "has": line.has}))
            .collect();
        ui.data(&json!({ "platforms": value }).to_string());
        return Ok(());
    }
    let rows =
        lines.into_iter().map(|line| [line.platform, line.go, line.rust, line.gcc, line.zig, line.has.join(", ")]);
    ui.table(["PLATFORM", "GO", "RUST", "GCC", "ZIG", "THIS MACHINE HAS"], rows);
    Ok(())
}

struct Machine {
    known: BTreeMap<Tool, bool>,
    rust: Option<PathBuf>,
}

impl Machine {
    fn has(&mut self, tool: Option<Tool>) -> bool {
        tool.is_some_and(|tool| *self.known.entry(tool).or_insert_with_key(|tool| host::find(tool).is_some()))
    }
}

fn line(row: &PlatformRow, toolchains: &Toolchains, machine: &mut Machine) -> Line {
    let go = row.go.iter().flatten().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ");
    let targets: Vec<String> =
        row.rust.iter().flat_map(|rust| [rust.musl.clone(), rust.gnu.clone()]).flatten().collect();
    let mut has: Vec<String> = Vec::new();
    for (tool, wanted) in [("go", row.go.is_some()), ("gcc", row.gcc.is_some()), ("zig", row.zig.is_some())] {
        if wanted && machine.has(toolchains.tool(tool, row.platform)) {
            has.push(tool.to_owned());
        }
    }
    let rust = machine.rust.clone();
    has.extend(
        targets.iter().filter(|target| rust.as_ref().is_some_and(|folder| host::has_target(folder, target))).cloned(),
    );
    let zig = row.zig.as_ref().map_or_else(String::new, |zig| {
        let cpu = zig.cpu.as_ref().map_or_else(String::new, |cpu| format!(" {cpu}"));
        format!("{} {}{cpu}", zig.musl, zig.gnu)
    });
    Line {
        platform: row.platform.to_string(),
        go,
        rust: targets.join(" "),
        gcc: row.gcc.clone().unwrap_or_else(|| "-".to_owned()),
        zig,
        has,
    }
}
