//! Entries of indexes become an index of ours.

use serde_json::{Map, Value};

use super::{Contents, Document, Entry};
use crate::blob::{Descriptor, MEDIA_TYPE_INDEX, canonical_json};

impl Document {
    /// An index of these entries, each as it was written. Whatever else `like` says, of the index as a whole, it says too.
    #[must_use]
    pub fn index_of(like: Option<&Self>, entries: &[Entry]) -> Self {
        let media_type = like.map_or(MEDIA_TYPE_INDEX, |like| &like.descriptor.media_type);
        let fields = like.and_then(|like| serde_json::from_slice::<Map<String, Value>>(&like.bytes).ok());
        let mut fields = fields.unwrap_or_default();
        fields.insert("schemaVersion".to_owned(), 2.into());
        fields.insert("mediaType".to_owned(), media_type.into());
        let written = entries.iter().map(|entry| Value::Object(entry.written.clone()));
        fields.insert("manifests".to_owned(), written.collect());
        let bytes = canonical_json(&fields);
        Self {
            descriptor: Descriptor::of(media_type, &bytes),
            bytes,
            contents: Contents::Index(entries.to_vec()),
            subject: like.and_then(|like| like.subject.clone()),
            artifact_type: like.and_then(|like| like.artifact_type.clone()),
            annotations: like.map(|like| like.annotations.clone()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::MEDIA_TYPE_DOCKER_INDEX;
    use serde_json::json;

    #[test]
    fn some_entries_of_an_index_make_one_that_says_the_same() {
        let entry = |text: &str| json!({"digest": Descriptor::of("", text.as_bytes()).digest, "mediaType": "a/b", "size": 1, "x": text});
        let bytes = json!({
            "annotations": {"k": "v"}, "manifests": [entry("one"), entry("two"), entry("three")],
            "mediaType": MEDIA_TYPE_DOCKER_INDEX, "new": [7], "schemaVersion": 2,
        })
        .to_string()
        .into_bytes();
        let index = Document::read(Descriptor::of(MEDIA_TYPE_DOCKER_INDEX, &bytes), bytes.clone()).unwrap();
        let all = Document::index_of(Some(&index), index.entries());
        assert_eq!(all, index, "keys were sorted before");
        let less = Document::index_of(Some(&index), &index.entries()[1..]);
        let expected = String::from_utf8(bytes).unwrap().replace(&format!("{},", entry("one")), "");
        assert_eq!(String::from_utf8(less.bytes.clone()).unwrap(), expected);
        assert_eq!(Document::read(less.descriptor.clone(), less.bytes.clone()).unwrap(), less);
        let none = Document::index_of(None, &[]);
        let expected = format!(r#"{{"manifests":[],"mediaType":"{MEDIA_TYPE_INDEX}","schemaVersion":2}}"#);
        assert_eq!(String::from_utf8(none.bytes).unwrap(), expected);
    }
}
