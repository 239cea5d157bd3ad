//! What `cargo metadata` says about a Rust project becomes its programs, what they need, and the one call of cargo
//! that builds them for many targets. Nothing is run here: JSON comes in as text, calls go out as [`Invocation`]s.
//!
//! [`Invocation`]: crate::invocation::Invocation

mod error;
mod features;
mod flags;
mod graph;
mod job;
mod library;
mod machine;
mod messages;
mod metadata;
mod workspace;

pub use error::CargoError;
pub use features::Features;
pub use flags::{Remap, UserFlags, in_order, rust_flags_variable, user_c_flags};
pub use graph::{DependencyPath, Graph};
pub use job::{CargoJob, Target, ZIGBUILD_COMMAND};
pub use library::{CrateRow, MissingLibrary, crate_rows};
pub use machine::{Machine, Rustc, Zig, inherited_variables_to_remove, is_cargo_package_variable};
pub use messages::{Artifact, Message, MessageReader};
pub use metadata::{graph_invocation, survey_invocation, workspace_invocation};
pub use workspace::{Binary, Choice, Workspace, WorkspaceProgram};
