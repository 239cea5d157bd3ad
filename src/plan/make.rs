//! Decides for each unit: its toolchains, its base, and whether it can be built at all.

use std::path::{Path, PathBuf};

use crate::hint::Hint as _;
use crate::image::BaseImage;
use crate::platform::{self, Platform};
use crate::toolchain::{Language, Request, Toolchain, ToolchainError, Toolchains};

use super::schedule::{Pending, schedule};
use super::{
    BaseChoice, BaseOffer, ChosenToolchain, Context, ImageInput, ImagePlan, Missing, Options, Plan, PlanError,
    PlannedProgram, Source, Unit, UnitInput,
};

/// Makes the plan. `build` is the folder where compilers put what they make.
///
/// # Errors
/// When a platform is missing and may not be left out, nothing is left, or names collide.
pub fn make(
    toolchains: &Toolchains,
    build: &Path,
    context: &Context<'_>,
    images: Vec<ImageInput>,
    options: Options,
) -> Result<Plan, PlanError> {
    let mut planned = Planner { toolchains, build, options, missing: Vec::new(), pending: Vec::new() };
    let mut result = Vec::with_capacity(images.len());
    for (position, image) in images.into_iter().enumerate() {
        result.push(planned.image(position, image)?);
    }
    let left = result.iter().flat_map(|image| &image.units).map(|unit| unit.platform).fold(
        Vec::new(),
        |mut left, platform| {
            if !left.contains(&platform) {
                left.push(platform);
            }
            left
        },
    );
    if !planned.missing.is_empty() && !options.skip_missing {
        return Err(PlanError::Platforms { missing: planned.missing, left });
    }
    if let Some(image) = result.iter().find(|image| image.units.is_empty()) {
        let missing = planned.missing.into_iter().filter(|missing| missing.image == image.name).collect();
        return Err(PlanError::Nothing { image: image.name.clone(), missing });
    }
    let Planner { missing, pending, .. } = planned;
    let mut plan = Plan { images: result, jobs: Vec::new(), skipped: missing };
    schedule(&mut plan, &pending, build, context, toolchains)?;
    Ok(plan)
}

struct Planner<'input> {
    toolchains: &'input Toolchains,
    build: &'input Path,
    options: Options,
    missing: Vec<Missing>,
    pending: Vec<Pending>,
}

impl Planner<'_> {
    fn image(&mut self, position: usize, image: ImageInput) -> Result<ImagePlan, PlanError> {
        let mut units: Vec<Unit> = Vec::with_capacity(image.units.len());
        for input in &image.units {
            if units.iter().any(|unit| unit.platform == input.platform) {
                return Err(PlanError::Twice(input.platform));
            }
            distinct_destinations(&image, input)?;
            match self.unit(&image.name, position, units.len(), input)? {
                Ok(unit) => units.push(unit),
                Err(missing) => self.missing.push(missing),
            }
        }
        let ImageInput { name, settings, shown, files, .. } = image;
        Ok(ImagePlan { name, settings, shown, files, units })
    }

    fn unit(
        &mut self,
        image_name: &str,
        image: usize,
        unit: usize,
        input: &UnitInput,
    ) -> Result<Result<Unit, Missing>, PlanError> {
        let platform = input.platform;
        let missing =
            |reason: String, hints: Vec<String>| Missing { image: image_name.to_owned(), platform, reason, hints };
        let mut programs = Vec::with_capacity(input.programs.len());
        let mut pending = Vec::new();
        let mut static_binaries = true;
        for (position, program) in input.programs.iter().enumerate() {
            let mut planned = PlannedProgram {
                name: program.name.clone(),
                destination: program.destination.clone(),
                language: program.source.language(),
                toolchain: None,
                binary: PathBuf::new(),
                job: None,
                installed: None,
            };
            if let Source::Prebuilt { path } = &program.source {
                // What it needs is only known once it is read, so nothing is taken for granted.
                static_binaries = false;
                planned.binary.clone_from(path);
                programs.push(planned);
                continue;
            }
            let (toolchain, c) = match self.toolchains_of(&program.source, platform) {
                Ok(toolchains) => toolchains,
                Err(error @ (ToolchainError::NoPlatform { .. } | ToolchainError::NoRow { .. })) => {
                    return Ok(Err(missing(error.to_string(), error.hints())));
                }
                Err(error) => return Err(PlanError::Toolchain(error)),
            };
            let linker = c.as_ref().unwrap_or(&toolchain);
            // What a command makes of its compiler is only known once it is read.
            static_binaries &= linker.static_binary && !matches!(program.source, Source::Command(_));
            planned.toolchain = Some(ChosenToolchain {
                static_binary: linker.static_binary,
                compiler: c.as_ref().map(|c| Box::new(chosen(c, &program.source))),
                ..chosen(&toolchain, &program.source)
            });
            planned.binary = self.build.join(platform.as_folder()).join(&program.name);
            programs.push(planned);
            pending.push(Pending {
                image,
                unit,
                program: position,
                platform,
                name: program.name.clone(),
                source: program.source.clone(),
                alternatives: self.alternatives(&program.source, platform, linker),
                toolchain,
                c,
            });
        }
        match choose_base(&input.base, platform, static_binaries, self.options.strict_platform) {
            Ok(base) => {
                self.pending.extend(pending);
                Ok(Ok(Unit { platform, base, programs }))
            }
            Err(reason) => {
                let offered: Vec<String> = input.base.platforms.iter().map(ToString::to_string).collect();
                Ok(Err(missing(reason, vec![format!("--platform {}", offered.join(","))])))
            }
        }
    }
}

impl Planner<'_> {
    /// The toolchain of a program, and beside it that of its C where another compiles it.
    fn toolchains_of(
        &self,
        source: &Source,
        platform: Platform,
    ) -> Result<(Toolchain, Option<Toolchain>), ToolchainError> {
        let request = source.request(platform);
        let toolchain = match (self.toolchains.select(&request), source) {
            // A command may build what no compiler of C does; whoever names one wants it.
            (Err(ToolchainError::NoPlatform { .. } | ToolchainError::NoRow { .. }), Source::Command(_))
                if request.libc.is_none() && request.row.is_none() =>
            {
                Toolchain::none(&Request { language: Language::Command, ..request })
            }
            (selected, _) => selected?,
        };
        let c = source.c_request(platform).map(|request| self.toolchains.select(&request)).transpose()?;
        Ok((toolchain, c))
    }

    fn alternatives(&self, source: &Source, platform: Platform, chosen: &Toolchain) -> Vec<String> {
        let request = source.c_request(platform).unwrap_or_else(|| source.request(platform));
        self.toolchains.alternatives(&request, &chosen.name)
    }
}

fn chosen(toolchain: &Toolchain, source: &Source) -> ChosenToolchain {
    let c = match source {
        Source::Rust(program) => program.c.clone(),
        _ => None,
    };
    ChosenToolchain {
        name: toolchain.name.clone(),
        origin: toolchain.origin.clone(),
        target: toolchain.target.clone(),
        libc: toolchain.libc.as_ref().map(ToString::to_string),
        c,
        static_binary: toolchain.static_binary,
        compiler: None,
    }
}

fn distinct_destinations(image: &ImageInput, unit: &UnitInput) -> Result<(), PlanError> {
    let files = image.files.iter().map(|entry| format!("/{}", entry.path));
    let mut seen = std::collections::BTreeSet::new();
    for destination in files.chain(unit.programs.iter().map(|program| program.destination.clone())) {
        if !seen.insert(destination.clone()) {
            return Err(PlanError::SameDestination { image: image.name.clone(), destination });
        }
    }
    Ok(())
}

fn choose_base(offer: &BaseOffer, wanted: Platform, static_binaries: bool, strict: bool) -> Result<BaseChoice, String> {
    let choice = |platform, image: BaseImage, note| BaseChoice {
        name: offer.name.clone(),
        platform,
        digest: image.manifest,
        index: offer.digest,
        note,
        image,
    };
    if let Some(any) = &offer.any {
        return Ok(choice(wanted, BaseImage { platform: wanted, ..any.clone() }, None));
    }
    let listed = offer.platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let found = platform::select(wanted, &offer.platforms, static_binaries, strict);
    let image = found.and_then(|found| offer.images.iter().find(|image| image.platform == found));
    let image = image.ok_or_else(|| format!("the base `{}` lacks it; it offers {listed}", offer.name))?;
    let note = (image.platform != wanted).then(|| {
        format!("the base `{}` has no {wanted}; its {} is the nearest lower variant", offer.name, image.platform)
    });
    Ok(choice(image.platform, image.clone(), note))
}
