//! What is typed for an image that exists already, and for its platforms, becomes names.

use std::path::Path;

use crate::base;
use crate::base_name::{BaseName, BaseNameError};
use crate::host;
use crate::platform::Platform;
use crate::reference::Reference;

use super::error::Error;

/// The platforms that were asked for, `host` for this machine's; none for all of them.
///
/// # Errors
/// When one is no platform.
pub(super) fn platforms(texts: &[String]) -> Result<Vec<Platform>, Error> {
    let mut platforms = Vec::new();
    for text in texts {
        match text.trim() {
            "all" => return Ok(Vec::new()),
            "host" => platforms.push(host::platform()?),
            text => platforms.push(text.parse()?),
        }
    }
    Ok(platforms)
}

/// What the user means: a file or a folder where it can be nothing else, a reference otherwise.
///
/// # Errors
/// When it names nothing.
pub(super) fn of(directory: &Path, text: &str) -> Result<BaseName, Error> {
    let is_path = ["/", "./", "../"].iter().any(|start| text.starts_with(start));
    if is_path && directory.join(text).is_dir() {
        return Ok(BaseName::Layout { folder: text.into(), tag: None });
    }
    if is_path || (!text.contains(':') && Path::new(text).extension().is_some_and(|extension| extension == "tar")) {
        return Ok(base::archive(&directory.join(text), text.into()));
    }
    let wrong = |source: BaseNameError| Error::ImageName { text: text.to_owned(), source };
    match text.parse().map_err(wrong)? {
        // Built in as bases, and names like any other in a registry.
        BaseName::Static | BaseName::Scratch => {
            let reference = text.parse::<Reference>().map_err(BaseNameError::Reference);
            Ok(BaseName::Registry(reference.map_err(wrong)?))
        }
        name => Ok(name),
    }
}
