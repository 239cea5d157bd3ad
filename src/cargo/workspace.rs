//! The workspace as `cargo metadata` lists it becomes the programs to build, chosen as `cargo run` chooses.

use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, Package, Target};

use super::{CargoError, Features};

/// What of a workspace is to be built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// `--package`: a member's name, or `name@version`
    pub package: Option<String>,
    /// `--bin`: names of programs
    pub bins: Vec<String>,
    /// `--bins`: every program whose features are on
    pub all_bins: bool,
    /// the features that it will be built with
    pub features: Features,
}

/// A program of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Binary {
    /// cargo's own name of the package
    pub package_id: String,
    /// the package's name
    pub package: String,
    /// the package's version
    pub version: String,
    /// the package's `Cargo.toml`
    pub manifest: PathBuf,
    /// what cargo calls the file
    pub name: String,
}

/// A program of a workspace that nobody has chosen yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceProgram {
    /// the program
    pub binary: Binary,
    /// true when cargo builds its package without being told to
    pub is_default: bool,
    /// true when its package has no other program
    pub is_only: bool,
    /// features that it needs and that are off by default
    pub missing_features: Vec<String>,
}

/// What `cargo metadata --no-deps` says.
#[derive(Clone, Debug)]
pub struct Workspace {
    metadata: Metadata,
}

impl Workspace {
    /// Reads the output of [`workspace_invocation`](super::workspace_invocation).
    ///
    /// # Errors
    /// When it is not what cargo prints.
    pub fn read(json: &str) -> Result<Self, CargoError> {
        let metadata = serde_json::from_str(json).map_err(|source| CargoError::Output {
            command: "cargo metadata --no-deps".to_owned(),
            source: Box::new(source),
        })?;
        Ok(Self { metadata })
    }

    /// The folder of the workspace's own `Cargo.toml`.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    /// Where cargo puts what it builds; `CARGO_TARGET_DIR` and the configuration are in it.
    #[must_use]
    pub fn target_directory(&self) -> &Path {
        self.metadata.target_directory.as_std_path()
    }

    /// True when the configuration keeps intermediate files elsewhere (`build.build-dir`).
    #[must_use]
    pub fn has_own_build_directory(&self) -> bool {
        self.metadata.build_directory.as_ref().is_some_and(|path| *path != self.metadata.target_directory)
    }

    /// The programs that `choice` means to somebody who is in `directory`, a canonical path in the workspace.
    ///
    /// # Errors
    /// When a name is unknown, there is no program, or there are several and none was chosen.
    pub fn binaries(&self, directory: &Path, choice: &Choice) -> Result<Vec<Binary>, CargoError> {
        let packages = self.packages(directory, choice.package.as_deref())?;
        if !choice.bins.is_empty() {
            return choice.bins.iter().map(|name| self.named(&packages, name, choice)).collect();
        }
        let programs = programs_of(&packages);
        if programs.is_empty() {
            let ways_out = self.other_programs(&packages, None);
            return Err(CargoError::NoBinary { packages: names(&packages), ways_out });
        }
        if choice.all_bins {
            let is_on = |(package, target): &&(&Package, &Target)| off(package, target, choice).is_empty();
            let on: Vec<Binary> =
                programs.iter().filter(is_on).map(|(package, target)| binary(package, target)).collect();
            // cargo passes over those whose features are off, but says so when that leaves none.
            return if on.is_empty() { checked(programs[0], choice).map(|one| vec![one]) } else { Ok(on) };
        }
        let chosen = only(&programs).or_else(|| default_program(&packages, &programs));
        let chosen = chosen.ok_or_else(|| several(&packages, &programs))?;
        Ok(vec![checked(chosen, choice)?])
    }

    /// Every program of the workspace, in cargo's order.
    #[must_use]
    pub fn programs(&self) -> Vec<WorkspaceProgram> {
        let root = self.members().find(|package| folder(package) == Some(self.root()));
        let default = self.default_members(root);
        let members: Vec<&Package> = self.members().collect();
        let program = |(package, target): &(&Package, &Target)| WorkspaceProgram {
            binary: binary(package, target),
            is_default: default.iter().any(|member| member.id == package.id),
            is_only: programs_of(&[*package]).len() == 1,
            missing_features: Features::default().missing(package, &target.required_features),
        };
        programs_of(&members).iter().map(program).collect()
    }

    /// Whether the package of a `Cargo.toml` is a member.
    #[must_use]
    pub fn has_member(&self, manifest: &Path) -> bool {
        self.members().any(|package| package.manifest_path.as_std_path() == manifest)
    }

    fn members(&self) -> impl Iterator<Item = &Package> {
        self.metadata.packages.iter().filter(|package| self.metadata.workspace_members.contains(&package.id))
    }

    /// The packages that cargo works on in a folder: the member it belongs to, or the default members at the root.
    fn packages(&self, directory: &Path, asked: Option<&str>) -> Result<Vec<&Package>, CargoError> {
        if let Some(name) = asked {
            let fits =
                |package: &&Package| *package.name == name || format!("{}@{}", package.name, package.version) == name;
            let found: Vec<&Package> = self.members().filter(fits).collect();
            return if found.is_empty() { Err(self.unknown_package(name)) } else { Ok(found) };
        }
        let around = |package: &&Package| folder(package).is_some_and(|folder| directory.starts_with(folder));
        let nearest = self.members().filter(around).max_by_key(|package| package.manifest_path.as_str().len());
        match nearest {
            Some(package) if folder(package) != Some(self.root()) => Ok(vec![package]),
            _ => Ok(self.default_members(nearest)),
        }
    }

    fn default_members<'a>(&'a self, root: Option<&'a Package>) -> Vec<&'a Package> {
        let listed = &self.metadata.workspace_default_members;
        if listed.is_available() {
            return self.members().filter(|package| listed.contains(&package.id)).collect();
        }
        // Before 1.71 cargo does not list them.
        root.map_or_else(|| self.members().collect(), |package| vec![package])
    }

    fn unknown_package(&self, name: &str) -> CargoError {
        let all: Vec<String> = self.members().map(|package| package.name.to_string()).collect();
        let with_programs = self.members().filter(|package| !programs_of(&[package]).is_empty());
        CargoError::UnknownPackage {
            name: name.to_owned(),
            workspace: self.root().to_owned(),
            nearest: nearest(name, &all),
            known: with_programs.map(|package| package.name.to_string()).collect(),
        }
    }

    fn named(&self, packages: &[&Package], name: &str, choice: &Choice) -> Result<Binary, CargoError> {
        let programs = programs_of(packages);
        let fitting: Vec<_> = programs.iter().filter(|(_, target)| target.name == name).copied().collect();
        match fitting.as_slice() {
            [one] => checked(*one, choice),
            [] => {
                let known: Vec<String> = programs.iter().map(|(_, target)| target.name.clone()).collect();
                let elsewhere = self.other_programs(packages, Some(name));
                let here = known.iter().map(|name| format!("--bin {name}")).collect();
                Err(CargoError::UnknownBinary {
                    name: name.to_owned(),
                    packages: names(packages),
                    nearest: nearest(name, &known),
                    ways_out: if elsewhere.is_empty() { here } else { elsewhere },
                })
            }
            _ => Err(several(packages, &fitting)),
        }
    }

    /// How to choose a program (that is called `name`) of a member that was not looked at.
    fn other_programs(&self, packages: &[&Package], name: Option<&str>) -> Vec<String> {
        let others: Vec<&Package> =
            self.members().filter(|member| !packages.iter().any(|package| package.id == member.id)).collect();
        let programs =
            programs_of(&others).into_iter().filter(|(_, target)| name.is_none_or(|name| target.name == name));
        programs.map(|(package, target)| format!("--package {} --bin {}", package.name, target.name)).collect()
    }
}

fn folder(package: &Package) -> Option<&Path> {
    package.manifest_path.parent().map(cargo_metadata::camino::Utf8Path::as_std_path)
}

fn names(packages: &[&Package]) -> Vec<String> {
    packages.iter().map(|package| package.name.to_string()).collect()
}

fn programs_of<'a>(packages: &[&'a Package]) -> Vec<(&'a Package, &'a Target)> {
    let of = |package: &&'a Package| {
        let package = *package;
        package.targets.iter().filter(|target| target.is_bin()).map(move |target| (package, target))
    };
    packages.iter().flat_map(of).collect()
}

fn only<T: Copy>(items: &[T]) -> Option<T> {
    if let [one] = items { Some(*one) } else { None }
}

/// `default-run` decides when just one of the packages has it.
fn default_program<'a>(
    packages: &[&'a Package],
    programs: &[(&'a Package, &'a Target)],
) -> Option<(&'a Package, &'a Target)> {
    let with: Vec<&Package> = packages.iter().filter(|package| package.default_run.is_some()).copied().collect();
    let package = only(&with)?;
    let is_it =
        |(of, target): &&(&Package, &Target)| of.id == package.id && Some(&target.name) == package.default_run.as_ref();
    programs.iter().find(is_it).copied()
}

fn off(package: &Package, target: &Target, choice: &Choice) -> Vec<String> {
    choice.features.missing(package, &target.required_features)
}

fn checked((package, target): (&Package, &Target), choice: &Choice) -> Result<Binary, CargoError> {
    let missing = off(package, target, choice);
    if missing.is_empty() {
        return Ok(binary(package, target));
    }
    Err(CargoError::FeaturesOff { name: target.name.clone(), package: package.name.to_string(), missing })
}

fn binary(package: &Package, target: &Target) -> Binary {
    Binary {
        package_id: package.id.repr.clone(),
        package: package.name.to_string(),
        version: package.version.to_string(),
        manifest: package.manifest_path.clone().into_std_path_buf(),
        name: target.name.clone(),
    }
}

fn several(packages: &[&Package], programs: &[(&Package, &Target)]) -> CargoError {
    let one_package = programs.iter().all(|(package, _)| package.id == programs[0].0.id);
    let same_names = programs.iter().any(|(package, target)| {
        programs.iter().any(|(other, same)| other.id != package.id && same.name == target.name)
    });
    let way = |(package, target): &(&Package, &Target)| {
        if one_package || !same_names {
            format!("--bin {}", target.name)
        } else {
            format!("--package {} --bin {}", package.name, target.name)
        }
    };
    let mut ways_out: Vec<String> = programs.iter().map(way).collect();
    if !same_names {
        ways_out.push("--bins".to_owned());
    }
    let choices = programs.iter().map(|(_, target)| target.name.clone()).collect();
    CargoError::SeveralBinaries { packages: names(packages), choices, ways_out }
}

/// The most similar of `known`, if it is similar at all.
fn nearest(name: &str, known: &[String]) -> Option<String> {
    let score = |known: &String| strsim::jaro_winkler(name, known);
    known.iter().filter(|known| score(known) > 0.75).max_by(|a, b| score(a).total_cmp(&score(b))).cloned()
}

#[cfg(test)]
mod tests;
