//! Questions about an image's files are answered with as few of its layers as the answer needs: the uppermost first, and the
//! next one below when the answer depends on it.

use std::sync::Arc;

use crate::base_name::BaseName;
use crate::blob::Descriptor;
use crate::listing::Listing;
use crate::platform::Platform;
use crate::tree::Tree;
use crate::verify::NeedsLower;

use super::error::Error;
use super::listings::{Listings, computed};

/// The layers of one platform of an image.
pub(super) struct Layers<'base> {
    /// the image, for sentences
    pub(super) image: String,
    pub(super) platform: Platform,
    /// where the lower ones are from; `None` when there are none
    pub(super) base: Option<&'base BaseName>,
    /// those, lowest first
    pub(super) of_base: Vec<Descriptor>,
    /// those above them, which are listed already, lowest first
    pub(super) own: Vec<Arc<Listing>>,
}

impl Layers<'_> {
    /// Asks `question` of the tree of more and more layers until it has an answer; also how many layers that took.
    pub(super) async fn ask<T: Send + 'static>(
        self,
        listings: &Listings,
        question: impl Fn(&Tree<'_>) -> Result<T, NeedsLower> + Send + Sync + 'static,
    ) -> Result<(T, usize), Error> {
        let question = Arc::new(question);
        let (mut below, mut listed) = (self.of_base, self.own);
        loop {
            match answer(&self.image, &question, &listed, below.is_empty()).await? {
                Ok(answer) => return Ok((answer, listed.len())),
                Err(NeedsLower) => match (below.pop(), self.base) {
                    (Some(next), Some(base)) => listed.insert(0, listings.of(base, self.platform, &next).await?),
                    // With all layers there is nothing that could be needed.
                    _ => return Err(Error::Thread),
                },
            }
        }
    }
}

/// What a question comes to in the tree of the layers `listed`, lowest first; `complete` is false when there are some below.
pub(super) async fn answer<T: Send + 'static>(
    image: &str,
    question: &Arc<impl Fn(&Tree<'_>) -> Result<T, NeedsLower> + Send + Sync + 'static>,
    listed: &[Arc<Listing>],
    complete: bool,
) -> Result<Result<T, NeedsLower>, Error> {
    let (question, layers) = (Arc::clone(question), listed.to_vec());
    let asked = computed(move || {
        let layers: Vec<&Listing> = layers.iter().map(Arc::as_ref).collect();
        Ok(question(&Tree::of(&layers, complete)?))
    });
    asked.await?.map_err(|source| Error::TooManyFiles { image: image.to_owned(), source })
}
