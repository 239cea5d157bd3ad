//! The reading half of the registry protocol as values, without a socket or a file: requests become what they ask for,
//! documents what they name, lists their pages, refusals their bodies.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>

mod accept;
mod byte_range;
mod digest;
mod document;
mod name;
mod page;
mod refusal;
mod request;

pub use accept::Accept;
pub use byte_range::{Selection, select};
pub use digest::ContentDigest;
pub use document::{Document, Entry, Referrer, ReferrerList};
pub use name::{ImageName, Unnamed, name_of};
pub use page::{Page, compare, page};
pub use refusal::{Code, Refusal};
pub use request::{Paging, Pointer, Request, read};
