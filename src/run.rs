//! Carries a build out: flags, configuration, project and bases become a plan; the plan becomes published images.
//! Owns the units; hands CPU work to rayon, waits for children and sockets.

pub mod c;
mod c_executables;
mod c_survey;
pub mod cgo;
pub mod check;
pub mod compile;
pub mod destination;
pub mod detect;
pub mod error;
pub mod event;
pub mod execute;
pub mod files;
pub mod flags;
mod images;
pub mod init;
mod installed;
pub mod interrupt;
pub mod locate;
pub mod pack;
pub mod prepare;
mod prepare_c;
mod prepare_program;
mod project_lock;
pub mod provide;
pub mod publish;
pub mod row_choice;
pub mod rows;
pub mod rust;
pub mod session;
pub mod settings;
mod setup;
mod source_copy;
mod sysroot;
mod transfer;
pub mod verify;
