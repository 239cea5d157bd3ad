//! Any text is a configuration file or is refused with a place in it; whatever it says can be merged and rendered.

#![no_main]

use std::path::Path;
use std::sync::Arc;

use anyarch::config::git::{GitError, GitFact};
use anyarch::config::template::{Facts, Scope, Templates};
use anyarch::config::{Origin, load};
use anyarch::hint::Hint as _;
use libfuzzer_sys::fuzz_target;

/// A checkout without a tag, and an environment with one variable.
struct Few;

impl Facts for Few {
    fn git(&self, fact: GitFact) -> Result<String, GitError> {
        match fact {
            GitFact::Tag => Err(GitError::NoTag),
            _ => Ok("0123456".into()),
        }
    }

    fn environment(&self, name: &str) -> Option<String> {
        (name == "TOKEN").then(|| "a secret that nobody may see".into())
    }
}

/// Loops and repetitions only find out how patient we are.
fn is_quick(template: &str) -> bool {
    !template.contains("{%") && !template.contains('*')
}

fuzz_target!(|text: &str| {
    // libFuzzer sees what it is compared with; a secret that the file itself tells is none.
    if text.contains("nobody may see") {
        return;
    }
    let file = match load(text, Path::new("anyarch.toml")) {
        Ok(file) => file,
        Err(error) => {
            assert!(error.to_string().contains("anyarch.toml:"), "{error}");
            let _ = error.hints();
            return;
        }
    };
    for program in &file.program {
        for platform in program.get_ref().platform.0.keys() {
            let merged = program.get_ref().settings_for(*platform).written();
            for (special, common) in
                [(true, program.get_ref().platform.0[platform].get_ref()), (false, &program.get_ref().settings())]
            {
                let kept = |key: &str| merged.iter().any(|merged| merged.key == key);
                assert!(common.written().iter().all(|written| kept(written.key)), "lost a key, special: {special}");
            }
        }
    }
    let templates = Templates::new(Arc::new(Few));
    for value in file.base.iter().chain(file.env.0.values()).chain(file.labels.0.values()) {
        if !is_quick(value.get_ref()) {
            continue;
        }
        let origin: Origin = file.source.origin_of(value);
        match templates.render(value.get_ref(), &origin, &Scope::default()) {
            Ok(rendered) => assert!(!rendered.display.contains("nobody may see")),
            Err(error) => assert!(!format!("{error} {:?}", error.hints()).contains("nobody may see")),
        }
    }
});
