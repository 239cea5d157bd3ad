//! Where images go: flags over the configuration file over the folder of ours.

use crate::annotation::AnnotationKey;
use crate::config::Origin;
use crate::config::template::{Rendered, Scope};
use crate::output_spec::{self, Output, OutputSpec};
use crate::run::error::Error;

use super::{Settings, said};

/// The flag of whoever pushes a part of an image: its tags are for whoever puts the parts together.
pub(super) const PUSH_BY_DIGEST: &str = "--push-by-digest";

/// An output with who asked for it.
#[derive(Clone, Debug)]
pub struct OutputChoice {
    /// what was asked for
    pub spec: OutputSpec,
    /// the words
    pub text: String,
    /// who asked
    pub origin: Origin,
}

impl OutputChoice {
    fn of(output: Output, text: &str, origin: Origin) -> Self {
        Self { spec: output.into(), text: text.to_owned(), origin }
    }
}

impl Settings {
    /// Where the images go: one place at least, each once.
    ///
    /// # Errors
    /// When an output is none that we write, or two say different things of the one image that is made.
    pub fn outputs(&self, scope: &Scope) -> Result<Vec<OutputChoice>, Error> {
        self.outputs_as(scope, |rendered| rendered.value)
    }

    fn outputs_as(&self, scope: &Scope, pick: fn(Rendered) -> String) -> Result<Vec<OutputChoice>, Error> {
        let mut outputs = self.of_flags()?;
        if outputs.is_empty() {
            outputs = self.of_file(scope, pick)?;
        }
        if outputs.is_empty() {
            outputs.push(OutputChoice::of(Output::Default, "", Origin::Default));
        }
        one_image(&outputs)?;
        Ok(outputs)
    }

    /// `-o` as often as it was said; `--push`, `--push-by-digest` and `--load` are short for three of them.
    fn of_flags(&self) -> Result<Vec<OutputChoice>, Error> {
        let mut outputs = Vec::new();
        for text in &self.flags.outputs {
            outputs.push(parse(text, Origin::Flag("-o"))?);
        }
        let short = [
            (self.flags.push, "--push", Output::Registry { by_digest: false }),
            (self.flags.push_by_digest, PUSH_BY_DIGEST, Output::Registry { by_digest: true }),
            (self.flags.load, "--load", Output::Daemon),
        ];
        for (_, flag, output) in short.into_iter().filter(|(said, ..)| *said) {
            let is_there = |choice: &OutputChoice| match output {
                // What is pushed already is so with more to say of it.
                Output::Registry { .. } => choice.spec.output.is_registry(),
                _ => choice.spec.output == output,
            };
            if !outputs.iter().any(is_there) {
                outputs.push(OutputChoice::of(output, flag, Origin::Flag(flag)));
            }
        }
        Ok(outputs)
    }

    fn of_file(&self, scope: &Scope, pick: fn(Rendered) -> String) -> Result<Vec<OutputChoice>, Error> {
        let mut outputs = Vec::new();
        for value in self.file.output.iter().flat_map(|output| output.get_ref().iter()) {
            let mut choice = parse(&pick(self.text(value, scope)?), self.file.source.origin_of(value))?;
            // What the file says is relative to the file.
            choice.spec.output = choice.spec.output.below(&self.root);
            outputs.push(choice);
        }
        if let Some(push) = self.file.push.as_ref().filter(|push| outputs.is_empty() && said(Some(*push))) {
            let origin = self.file.source.origin_of(push);
            outputs.push(OutputChoice::of(Output::Registry { by_digest: false }, "push", origin));
        }
        Ok(outputs)
    }

    /// Annotations that outputs ask for, rendered where they were typed; a file's outputs are rendered as a whole.
    pub(super) fn annotations_of_outputs(
        &self,
        scope: &Scope,
        pick: fn(Rendered) -> String,
    ) -> Result<Vec<(AnnotationKey, String)>, Error> {
        let outputs = self.outputs_as(&Scope::default(), pick)?;
        let Some(choice) = outputs.into_iter().find(|choice| !choice.spec.annotations.is_empty()) else {
            return Ok(Vec::new());
        };
        let annotations = choice.spec.annotations.into_iter().map(|(key, value)| {
            Ok(match choice.origin {
                Origin::File(_) => (key, value),
                _ => (key, pick(self.templates.render(&value, &choice.origin, scope)?)),
            })
        });
        annotations.collect()
    }

    /// Whether the image goes into docker or podman alone, which take one platform: that of this machine, where no flag
    /// says another.
    #[must_use]
    pub fn wants_host(&self) -> bool {
        let outputs = self.outputs(&Scope::default()).unwrap_or_default();
        self.flags.platforms.is_empty()
            && !outputs.is_empty()
            && outputs.iter().all(|choice| choice.spec.output.is_docker())
    }
}

fn parse(text: &str, origin: Origin) -> Result<OutputChoice, Error> {
    match output_spec::parse(text) {
        Ok(spec) => Ok(OutputChoice { spec, text: text.to_owned(), origin }),
        Err(source) => Err(Error::Output { origin, source: Box::new(source) }),
    }
}

/// One build makes one image, so outputs that hold it agree on its annotations; and no two have the same place.
fn one_image(outputs: &[OutputChoice]) -> Result<(), Error> {
    for (position, choice) in outputs.iter().enumerate() {
        for other in &outputs[..position] {
            let holds = |choice: &OutputChoice| {
                !matches!(choice.spec.output, Output::Files { .. } | Output::FilesArchive { .. })
            };
            if holds(choice) && holds(other) && choice.spec.annotations != other.spec.annotations {
                let (first, second) = (other.text.clone(), choice.text.clone());
                return Err(Error::OutputsDiffer { first, second });
            }
            let same_place =
                choice.spec.output.is_one_place() && place(&choice.spec.output) == place(&other.spec.output);
            if same_place || (choice.spec.output.is_stdout() && other.spec.output.is_stdout()) {
                let (first, second) = (other.text.clone(), choice.text.clone());
                return Err(Error::SamePlace { first, second });
            }
        }
    }
    Ok(())
}

fn place(output: &Output) -> Option<&std::path::Path> {
    use output_spec::Destination::File;
    match output {
        Output::Folder(path)
        | Output::Files { folder: path, .. }
        | Output::Archive(File(path))
        | Output::DockerArchive(File(path))
        | Output::FilesArchive { destination: File(path), .. } => Some(path),
        _ => None,
    }
}
