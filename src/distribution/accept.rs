//! The `Accept` headers of a request become which kinds of manifest its client can read.

use crate::blob::{MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST};

/// What a client can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    /// media types in lower case; none when everything is welcome
    types: Option<Vec<String>>,
}

impl Accept {
    /// Reads all `Accept` headers of a request. One that has none, or in which there is a `*`, takes everything; that it
    /// prefers one type to another (`q`) changes nothing, since there is one only; `q=0` takes a type out.
    #[must_use]
    pub fn of<'a>(headers: impl Iterator<Item = &'a str>) -> Self {
        let mut types = Vec::new();
        for item in headers.flat_map(|header| header.split(',')) {
            let mut parts = item.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
            let refused = parts.any(|part| {
                let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
                weight.is_some_and(|weight| weight.parse::<f32>() == Ok(0.0))
            });
            if !media_type.is_empty() && !refused {
                types.push(media_type);
            }
        }
        let everything = types.is_empty() || types.iter().any(|kind| kind == "*/*" || kind == "application/*");
        Self { types: (!everything).then_some(types) }
    }

    /// Whether the client names this type, or takes all of them.
    #[must_use]
    pub fn names(&self, media_type: &str) -> bool {
        let same = |kind: &String| kind.eq_ignore_ascii_case(media_type);
        self.types.as_ref().is_none_or(|types| types.iter().any(same))
    }

    /// What kind of manifest this is when the client cannot read it: as docker's registry (2.8), which holds clients to what
    /// they say of the OCI's types only, since those that are older than the OCI do not know them.
    #[must_use]
    pub fn refuses(&self, media_type: &str) -> Option<&'static str> {
        let kind = match media_type {
            MEDIA_TYPE_INDEX => "an OCI index",
            MEDIA_TYPE_MANIFEST => "an OCI manifest",
            _ => return None,
        };
        (!self.names(media_type)).then_some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::{MEDIA_TYPE_DOCKER_INDEX, MEDIA_TYPE_DOCKER_MANIFEST};

    #[test]
    fn clients_get_what_they_can_read() {
        let (index, manifest) = (Some("an OCI index"), Some("an OCI manifest"));
        for (headers, of_index, of_manifest, names_docker_index) in [
            (&[][..], None, None, true),
            (&["*/*"], None, None, true),
            (&["application/*"], None, None, true),
            (&["text/html, */*;q=0.8"], None, None, true),
            (&[""], None, None, true),
            (&[MEDIA_TYPE_INDEX], None, manifest, false),
            (&["application/vnd.oci.image.index.V1+json; q=0.5"], None, manifest, false),
            (&[MEDIA_TYPE_DOCKER_MANIFEST], index, manifest, false),
            (&[MEDIA_TYPE_DOCKER_INDEX, MEDIA_TYPE_MANIFEST], index, None, true),
            (&["application/json,application/vnd.oci.image.index.v1+json;q=0"], index, manifest, false),
        ] {
            let accept = Accept::of(headers.iter().copied());
            assert_eq!(accept.refuses(MEDIA_TYPE_INDEX), of_index, "{headers:?}");
            assert_eq!(accept.refuses(MEDIA_TYPE_MANIFEST), of_manifest, "{headers:?}");
            assert_eq!(accept.names(MEDIA_TYPE_DOCKER_INDEX), names_docker_index, "{headers:?}");
            assert_eq!(accept.refuses(MEDIA_TYPE_DOCKER_INDEX), None, "{headers:?}");
        }
    }
}
