//! Decides for each unit: its toolchains, its base, and whether it can be built at all.

use std::path::{Path, PathBuf};

use crate::hint::Hint as _;
use crate::image::BaseImage;
use crate::platform::{self, Platform};
use crate::toolchain::{Language, Request, Toolchain, ToolchainError, Toolchains};

use super::schedule::{Pending, schedule};
use super::{
    AutoLibc, BaseChoice, BaseOffer, ChosenToolchain, Context, ImageInput, ImagePlan, Missing, Options, Plan,
    PlanError, PlannedLibc, PlannedProgram, ProgramInput, Source, Undecided, Unit, UnitInput,
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
    let mut planned =
        Planner { toolchains, build, options, missing: Vec::new(), pending: Vec::new(), undecided: Vec::new() };
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
    let Planner { missing, pending, undecided, .. } = planned;
    let mut plan = Plan { images: result, jobs: Vec::new(), skipped: missing, undecided };
    schedule(&mut plan, &pending, build, context, toolchains)?;
    Ok(plan)
}

struct Planner<'input> {
    toolchains: &'input Toolchains,
    build: &'input Path,
    options: Options,
    missing: Vec<Missing>,
    pending: Vec<Pending>,
    undecided: Vec<Undecided>,
}

/// Where a program is in the plan.
struct Spot<'input> {
    image_name: &'input str,
    image: usize,
    unit: usize,
    program: usize,
    platform: Platform,
}

/// A program of a unit, before its unit is sure to be one.
struct Placed {
    planned: PlannedProgram,
    pending: Option<Pending>,
    undecided: Option<Undecided>,
    /// whether the binary is static; `None` where that is still to be read
    static_binary: Option<bool>,
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
        let mut placed = Vec::with_capacity(input.programs.len());
        for (position, program) in input.programs.iter().enumerate() {
            let spot = Spot { image_name, image, unit, program: position, platform };
            match self.place(&spot, program)? {
                Ok(program) => placed.push(program),
                Err(missing) => return Ok(Err(missing)),
            }
        }
        // What is still to be read is read of the base that a dynamic program takes, if there is one.
        let unread = placed.iter().any(|placed| placed.static_binary.is_none());
        let static_binaries = placed.iter().all(|placed| placed.static_binary == Some(true));
        let strict = self.options.strict_platform;
        let base = choose_base(&input.base, platform, static_binaries, strict)
            .or_else(|reason| if unread { choose_base(&input.base, platform, true, strict) } else { Err(reason) });
        match base {
            Ok(base) => {
                let mut programs = Vec::with_capacity(placed.len());
                for Placed { planned, pending, undecided, .. } in placed {
                    programs.push(planned);
                    self.pending.extend(pending);
                    self.undecided.extend(undecided);
                }
                Ok(Ok(Unit { platform, base, programs }))
            }
            Err(reason) => {
                let offered: Vec<String> = input.base.platforms.iter().map(ToString::to_string).collect();
                let hints = vec![format!("--platform {}", offered.join(","))];
                Ok(Err(Missing { image: image_name.to_owned(), platform, reason, hints }))
            }
        }
    }

    fn place(&self, spot: &Spot<'_>, program: &ProgramInput) -> Result<Result<Placed, Missing>, PlanError> {
        let platform = spot.platform;
        let missing = |reason: String, hints: Vec<String>| {
            Ok(Err(Missing { image: spot.image_name.to_owned(), platform, reason, hints }))
        };
        let mut planned = PlannedProgram {
            name: program.name.clone(),
            destination: program.destination.clone(),
            language: program.source.language(),
            toolchain: None,
            libc: None,
            binary: PathBuf::new(),
            job: None,
            installed: None,
        };
        if let Source::Prebuilt { path } = &program.source {
            planned.binary.clone_from(path);
            // What it needs is only known once it is read, so nothing is taken for granted.
            return Ok(Ok(Placed { planned, pending: None, undecided: None, static_binary: Some(false) }));
        }
        let not_there = |error| match error {
            error @ (ToolchainError::NoPlatform { .. } | ToolchainError::NoRow { .. }) => {
                missing(error.to_string(), error.hints())
            }
            error => Err(PlanError::Toolchain(error)),
        };
        match &program.libc {
            Some(AutoLibc::Unfit(unfit)) => return missing(unfit.to_string(), unfit.hints()),
            Some(AutoLibc::Unread { base }) => {
                planned.libc = Some(PlannedLibc::unread(base));
                return match Undecided::new(self.toolchains, &program.source, platform) {
                    Ok(undecided) => {
                        Ok(Ok(Placed { planned, pending: None, undecided: Some(undecided), static_binary: None }))
                    }
                    Err(error) => not_there(error),
                };
            }
            Some(AutoLibc::Chosen { .. }) | None => {}
        }
        match self.toolchains_of(&program.source, platform) {
            Ok(toolchains) => Ok(Ok(self.decided(spot, program, planned, toolchains))),
            Err(error) => not_there(error),
        }
    }

    /// A program whose toolchain is known, and that of its C where it is another.
    fn decided(
        &self,
        spot: &Spot<'_>,
        program: &ProgramInput,
        planned: PlannedProgram,
        (toolchain, c): (Toolchain, Option<Toolchain>),
    ) -> Placed {
        let (platform, source) = (spot.platform, &program.source);
        let linker = c.as_ref().unwrap_or(&toolchain);
        // What a command makes of its compiler is only known once it is read.
        let static_binary = linker.static_binary && !matches!(source, Source::Command(_));
        let auto = program.libc.as_ref();
        let planned = PlannedProgram {
            libc: auto.and_then(|auto| PlannedLibc::chosen(auto, linker.libc.as_ref(), linker.static_binary)),
            toolchain: Some(ChosenToolchain {
                static_binary: linker.static_binary,
                compiler: c.as_ref().map(|c| Box::new(chosen(c, source))),
                ..chosen(&toolchain, source)
            }),
            binary: self.build.join(platform.as_folder()).join(&program.name),
            ..planned
        };
        let pending = Pending {
            image: spot.image,
            unit: spot.unit,
            program: spot.program,
            platform,
            name: program.name.clone(),
            source: source.clone(),
            alternatives: self.alternatives(source, platform, linker),
            toolchain,
            c,
        };
        Placed { planned, pending: Some(pending), undecided: None, static_binary: Some(static_binary) }
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
