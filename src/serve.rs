//! Image layouts become a registry that can be read: `docker run localhost:5000/hello` takes the right platform of an image
//! that was never pushed.
//!
//! What a request may get was found by walking a layout from its `index.json`; nothing else in it, and nothing beside it, is
//! ever opened, whatever a request says. The protocol itself is in [`crate::distribution`].

mod answer;
mod body;
mod error;
mod limits;
mod patience;
mod root;
mod server;
mod shelf;
mod source;
mod version;
mod view;

use std::sync::Arc;
use std::time::Duration;

pub use error::ServeError;
pub use limits::make_room;
pub use server::{GRACE, Server};
pub use shelf::Shelf;
pub use source::{Origin, Place, Source};
pub use view::Image;

/// What people may want to know while layouts are served.
#[derive(Debug)]
pub enum Said {
    /// something is not as it should be
    Note(String),
    /// a layout was replaced, and an image is another now, is new, or is gone
    Changed {
        /// the image, as `hello:latest`
        name: String,
        /// what it is now
        digest: Option<String>,
    },
    /// a request was answered
    Answered {
        /// its method
        method: String,
        /// its path and query, as they came
        path: String,
        /// the status of the answer
        status: u16,
        /// how much of the answer's body was sent, in bytes
        sent: u64,
        /// how long that took
        elapsed: Duration,
    },
}

/// Takes what is said.
pub type Say = Arc<dyn Fn(Said) + Send + Sync>;
