//! Any text: what it names as a platform, a reference, a base, a digest, a registry or a destination is named the same when
//! it is printed and read again.

#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use anyarch::base_name::BaseName;
use anyarch::blob::Digest;
use anyarch::hint::Hint;
use anyarch::output_spec;
use anyarch::platform::{Platform, select};
use anyarch::reference::{Namespace, Reference, Repository};
use libfuzzer_sys::fuzz_target;

/// What `text` names, if that is printed as it is read.
fn named<T: FromStr<Err: Display> + Display + PartialEq>(
    text: &str,
    hints: impl Fn(&T::Err) -> Vec<String>,
) -> Option<T> {
    match text.parse::<T>() {
        Ok(value) => {
            let printed = value.to_string();
            assert!(printed.parse::<T>().is_ok_and(|again| again == value), "{text:?} is printed as {printed:?}");
            Some(value)
        }
        Err(error) => {
            let _ = (error.to_string(), hints(&error));
            None
        }
    }
}

fuzz_target!(|text: &str| {
    if let Some(platform) = named::<Platform>(text, Hint::hints) {
        assert!(platform.includes(platform) && !platform.as_folder().contains('/'));
        assert_eq!(select(platform, &[platform], false, true), Some(platform));
        let parts = platform.to_string();
        let parts: Vec<&str> = parts.split('/').collect();
        assert_eq!(Platform::from_parts(parts[0], parts[1], parts.get(2).copied()), Ok(platform));
    }
    if let Some(reference) = named::<Reference>(text, Hint::hints) {
        let repository = &reference.repository;
        assert!(!repository.registry.contains(['/', ' ', '@']) && !repository.path.is_empty());
        if let Ok(below) = repository.join("name") {
            assert_eq!(below.to_string().parse(), Ok::<Repository, _>(below));
        }
        let tagged = repository.with_tag(reference.tag_or_latest()).expect("a tag that was read is a tag");
        assert_eq!(tagged.tag_or_latest(), reference.tag_or_latest());
    }
    named::<BaseName>(text, Hint::hints);
    named::<Namespace>(text, Hint::hints);
    named::<Digest>(text, |_| Vec::new());
    if let Err(error) = output_spec::parse(text) {
        let _ = (error.to_string(), error.hints());
    }
});
