//! The `anyarch` program: hands its arguments to the library.

use std::process::ExitCode;

use clap::Parser as _;

use anyarch::cli::{Cli, Command};
use anyarch::commands;

fn main() -> ExitCode {
    if let Some(code) = anyarch::sandbox::dispatch(std::env::args_os()) {
        return code.into();
    }
    // cargo-zigbuild makes us our own linker and archiver: those calls are none of the user's.
    match anyarch::zigbuild::dispatch(std::env::args_os()) {
        Some(Ok(code)) => return code.into(),
        Some(Err(error)) => return commands::child_failed(&error).into(),
        None => {}
    }
    anyarch::exec::join_jobserver();
    let exit = match Cli::parse().command {
        Command::Init(arguments) => commands::init::run(&arguments),
        Command::Build(arguments) => commands::build::run(arguments),
        Command::Plan(arguments) => commands::plan::run(arguments),
        Command::Verify(arguments) => commands::verify::run(arguments),
        Command::Inspect(arguments) => commands::inspect::run(arguments),
        Command::Load(arguments) => commands::load::run(arguments),
        Command::Serve(arguments) => commands::serve::run(&arguments),
        Command::Index(arguments) => commands::index::run(arguments),
        Command::Copy(arguments) => commands::copy::run(arguments),
        Command::Platforms(arguments) => commands::platforms::run(&arguments),
        Command::Toolchain(arguments) => commands::toolchain::run(arguments),
        Command::Cache(arguments) => commands::cache::run(arguments),
        Command::Login(arguments) => commands::login::run(&arguments),
        Command::Logout(arguments) => commands::logout::run(&arguments),
    };
    exit.into()
}
