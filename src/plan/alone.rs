//! A call of cargo for several targets becomes one for each: cargo's messages carry no target, so this is how an error
//! is told to belong to a platform.

use std::path::Path;

use super::Job;
use crate::invocation::{Invocation, Step, Word};

impl Job {
    /// The same call for each of its platforms alone, with the binaries that it makes: the same environment and the same
    /// folder, so that what is done is not done again. Empty when the call is for one platform already.
    #[must_use]
    pub fn alone(&self) -> Vec<Self> {
        let Some(folder) = self.build_directory.as_deref().filter(|_| self.targets.len() > 1) else {
            return Vec::new();
        };
        let targets = self.platforms.iter().zip(&self.targets);
        targets
            .map(|(platform, triple)| Self { platforms: vec![*platform], ..self.for_triple(folder, triple) })
            .collect()
    }

    fn for_triple(&self, folder: &Path, triple: &str) -> Self {
        let alone = |step: &Step| {
            let args = only_target(&step.invocation.args, triple);
            let once = step.once.clone();
            Step { once, ..Step::new(Invocation { args, ..step.invocation.clone() }, step.joins) }
        };
        let below = folder.join(triple);
        Self {
            steps: self.steps.iter().map(alone).collect(),
            outputs: self.outputs.iter().filter(|output| output.starts_with(&below)).cloned().collect(),
            targets: vec![triple.to_owned()],
            ..self.clone()
        }
    }
}

/// The arguments without any `--target` but that of `triple`, which zig's glibc version may follow: `TRIPLE.2.28`.
fn only_target(args: &[Word], triple: &str) -> Vec<Word> {
    let is_meant = |value: &Word| {
        let rest = value.value().strip_prefix(triple);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let mut kept = Vec::with_capacity(args.len());
    let mut args = args.iter();
    while let Some(argument) = args.next() {
        if argument.value() == "--target" {
            kept.extend(
                args.next().filter(|value| is_meant(value)).map(|value| [argument, value]).into_iter().flatten(),
            );
        } else {
            kept.push(argument);
        }
    }
    kept.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::invocation::Joins;
    use crate::toolchain::Language;

    fn job(targets: &[(&str, &str, &str)]) -> Job {
        let words = targets.iter().flat_map(|(_, _, argument)| ["--target", argument]);
        let invocation = Invocation::new("cargo", "/w").args(["build"]).args(words).args(["--target-dir", "/t"]);
        Job {
            language: Language::Rust,
            platforms: targets.iter().map(|(platform, _, _)| platform.parse().unwrap()).collect(),
            setup: Vec::new(),
            steps: vec![Step::new(invocation, Joins::Jobserver)],
            outputs: targets.iter().map(|(_, triple, _)| PathBuf::from(format!("/t/{triple}/release/app"))).collect(),
            tools: Vec::new(),
            build_tools: Vec::new(),
            targets: targets.iter().map(|(_, triple, _)| (*triple).to_owned()).collect(),
            needs_libraries: true,
            alternatives: Vec::new(),
            build_directory: Some("/t".into()),
        }
    }

    #[test]
    fn each_platform_has_a_call_and_binaries_of_its_own() {
        // One triple begins with another.
        let job = job(&[
            ("linux/arm/v6", "arm-unknown-linux-gnueabi", "arm-unknown-linux-gnueabi.2.28"),
            ("linux/arm/v7", "arm-unknown-linux-gnueabihf", "arm-unknown-linux-gnueabihf.2.28"),
        ]);
        let alone = job.alone();
        let found: Vec<_> =
            alone.iter().map(|job| (job.platforms.clone(), &*job.steps[0].line, job.outputs.clone())).collect();
        let expected = |platform: &str, triple: &str| {
            let line = format!("cargo build --target {triple}.2.28 --target-dir /t");
            (vec![platform.parse().unwrap()], line, vec![PathBuf::from(format!("/t/{triple}/release/app"))])
        };
        for (found, expected) in found.into_iter().zip([
            expected("linux/arm/v6", "arm-unknown-linux-gnueabi"),
            expected("linux/arm/v7", "arm-unknown-linux-gnueabihf"),
        ]) {
            assert_eq!((found.0, found.1.to_owned(), found.2), expected);
        }
        assert_eq!(alone.len(), 2);
    }

    #[test]
    fn what_is_alone_already_is_not_taken_apart() {
        assert!(job(&[("linux/arm64", "aarch64-unknown-linux-musl", "aarch64-unknown-linux-musl")]).alone().is_empty());
    }
}
