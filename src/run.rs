//! Carries a build out: flags, configuration, project and bases become a plan; the plan becomes published images.
//! Owns the units; hands CPU work to rayon, waits for children and sockets.

pub mod c;
mod c_survey;
pub mod check;
pub mod compile;
pub mod destination;
pub mod detect;
pub mod error;
pub mod event;
pub mod execute;
pub mod files;
pub mod flags;
pub mod init;
pub mod interrupt;
pub mod locate;
pub mod pack;
pub mod prepare;
pub mod publish;
pub mod rows;
pub mod rust;
pub mod session;
pub mod settings;
mod setup;
