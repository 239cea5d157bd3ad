//! What is written behind an archive for an image in it (`app:1.0`, `1.0`) is held to the names that images have there.

use crate::reference::Reference;

/// An image's name, or its tag alone.
#[derive(Clone, Debug)]
pub struct TagChoice<'text> {
    text: &'text str,
    reference: Option<Reference>,
}

impl<'text> TagChoice<'text> {
    /// Takes what was written.
    #[must_use]
    pub fn of(text: &'text str) -> Self {
        Self { text, reference: text.parse().ok() }
    }

    /// Whether `name`, which may be shortened as docker does, is the one that was written.
    #[must_use]
    pub fn is_exactly(&self, name: &str) -> bool {
        let named = |reference: &Reference| (reference.repository.clone(), reference.tag_or_latest().to_owned());
        match (&self.reference, name.parse::<Reference>()) {
            (Some(wanted), Ok(there)) => named(wanted) == named(&there),
            _ => self.text == name,
        }
    }

    /// Whether `name` has the tag that was written.
    #[must_use]
    pub fn has_tag(&self, name: &str) -> bool {
        name.parse::<Reference>().is_ok_and(|there| there.tag_or_latest() == self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_chosen_in_full_short_or_by_its_tag() {
        let name = "docker.io/library/app:1.0";
        for (text, exactly, by_tag) in [
            ("app:1.0", true, false),
            ("docker.io/library/app:1.0", true, false),
            ("1.0", false, true),
            ("app", false, false),
            ("app:2.0", false, false),
            ("App", false, false),
        ] {
            let choice = TagChoice::of(text);
            assert_eq!((choice.is_exactly(name), choice.has_tag(name)), (exactly, by_tag), "{text}");
        }
        assert!(TagChoice::of("app").is_exactly("app:latest"));
    }
}
