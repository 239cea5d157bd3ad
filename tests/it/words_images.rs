//! What people read when the images of an `anyarch.toml` do not fit each other, the programs, or the flags.

use crate::support::project::{Project, refused};

const IMAGES: &str = "[[program]]\npackage = \"./cmd/server\"\n[[program]]\npackage = \"./cmd/migrate\"\n\
    [[image]]\nname = \"web\"\n[[image]]\nname = \"job\"\nprograms = [\"migrate\"]\n";

fn project(config: &str) -> Project {
    let main = "package main\n\nfunc main() {}\n";
    Project::new()
        .file("go.mod", "module example.com/shop\n\ngo 1.21\n")
        .file("cmd/server/main.go", main)
        .file("cmd/migrate/main.go", main)
        .file("anyarch.toml", config)
}

#[test]
fn names_that_nothing_has() {
    refused(
        &project(IMAGES),
        &["--image", "wep"],
        2,
        "
        error: there is no image `wep`

        hint: did you mean `web`?
        ",
    );
    refused(
        &project(IMAGES),
        &["--image", "web", "--image", "database"],
        2,
        "
        error: there is no image `database`

        hint: known images: web, job
        ",
    );
    refused(
        &project(&IMAGES.replace("[\"migrate\"]", "[\"migrat\"]")),
        &[],
        2,
        "
        error: the image `job` has no program `migrat` to take (anyarch.toml:9:13)

        hint: did you mean `migrate`?
        ",
    );
    refused(
        &project(&IMAGES.replace("[\"migrate\"]", "[\"backup\"]")),
        &[],
        2,
        "
        error: the image `job` has no program `backup` to take (anyarch.toml:9:13)

        hint: known programs: server, migrate
        ",
    );
}

#[test]
fn images_that_would_be_one() {
    let tags = |web: &str, job: &str| {
        IMAGES.replace("name = \"web\"", &format!("name = \"web\"\ntags = \"{web}\"")) + &format!("tags = \"{job}\"\n")
    };
    refused(
        &project(&tags("registry.example.com/shop", "registry.example.com/shop:latest")),
        &[],
        2,
        "
        error: `registry.example.com/shop:latest` names two images: `web` (anyarch.toml:7:8) and `job` (anyarch.toml:11:8)

        hint: registry.example.com/app/{{image.name}}:1.0
        ",
    );
    refused(
        &project(IMAGES),
        &["--one-image"],
        2,
        "
        error: `--one-image` makes one image of all programs, and anyarch.toml:5:1 begins those of the configuration

        hint: leave `--one-image` away, or choose: --image NAME
        ",
    );
    refused(
        &project(IMAGES),
        &["-o", "type=oci,dest=image.tar"],
        2,
        "
        error: several images (web, job) cannot go to one place

        hint: --image web
        hint: leave -o away: each image gets its own folder below .anyarch/out/
        ",
    );
    let named = |path: &str| format!("[[program]]\nname = \"app\"\npath = \"{path}\"\n");
    let project = project(&format!("one_image = false\n{}{}", named("a"), named("b"))).file("a", "").file("b", "");
    refused(
        &project,
        &[],
        2,
        "
        error: two images are called `app`

        hint: name = \"app-2\"
        ",
    );
}

#[test]
fn a_program_that_each_image_wants_otherwise() {
    let config = IMAGES.replacen("./cmd/migrate\"", "./cmd/migrate\"\nldflags = \"-X main.image={{image.name}}\"", 1);
    refused(
        &project(&config),
        &[],
        2,
        "
        error: the program `migrate` would have to be built in two ways: its settings differ from image to image

        hint: write a [[program]] for each image: name = \"migrate-2\", and `programs` in each [[image]]
        ",
    );
}

#[test]
fn a_toolchain_row_that_is_not_there_is_said_with_its_place() {
    let manifest = "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";
    let project = Project::new()
        .file("Cargo.toml", manifest)
        .file("Cargo.lock", "version = 3\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\n")
        .file("src/main.rs", "fn main() {}\n")
        .file("anyarch.toml", "[[program]]\n[program.platform.\"linux/amd64\"]\ntoolchain = \"tcc\"\n");
    refused(
        &project,
        &["--platform", "linux/amd64"],
        5,
        "
        error: rust has no toolchain called `tcc` (anyarch.toml:3:13)

        hint: toolchain = \"rust-lld\"
        hint: toolchain = \"zig\"
        hint: toolchain = \"gcc\"
        ",
    );
}

#[test]
fn a_folder_that_is_no_layout_is_said_before_anything_is_compiled() {
    let project = Project::hello_go().file("mine/letter.txt", "dear\n");
    refused(
        &project,
        &["-o", "type=oci,dest=mine,tar=false"],
        1,
        "
        error: `[CWD]/mine` is there already and is no OCI layout

        hint: choose another folder: -o type=oci,dest=[CWD]/mine-image,tar=false
        ",
    );
}
