//! What people read when what a `[[file]]` names cannot go into an image: the exact words, with the line and column.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::process;
use crate::support::project::{Project, refused};

fn file(source: &str, more: &str) -> String {
    format!("[[file]]\nsource = \"{source}\"\ndestination = \"/srv/web\"\n{more}")
}

/// A Go project with a folder of two files.
fn project() -> Project {
    Project::hello_go().file("web/index.html", "<p>hello</p>\n").file("web/css/a.css", "p {}\n")
}

#[track_caller]
fn says(project: Project, config: &str, words: &str) -> Project {
    let project = project.file("anyarch.toml", config);
    refused(&project, &["--platform", "linux/amd64"], 2, words);
    project
}

#[test]
fn a_folder_without_anything_to_take() {
    let project = project().file(".gitignore", "/dist\n").commit().file("dist/app.js", "1\n").file("web/x/.env", "1\n");
    let project = says(
        project,
        &file("dist", ""),
        "
        error: `dist` in anyarch.toml:2:10 holds nothing that git tracks

        hint: git add dist
        hint: ignored = true
        ",
    );
    let project = says(
        project,
        &file("web/x", "ignored = true\n"),
        "
        error: `web/x` in anyarch.toml:2:10 holds nothing that is not ignored

        hint: .anyarchignore: `!PATTERN` takes what an earlier line, or `.env*`, leaves out
        ",
    );
    says(
        project.file(".anyarchignore", "a{b\n"),
        &file("dist", "ignored = true\n"),
        "
        error: `[CWD]/.anyarchignore` cannot be read
          because: [CWD]/.anyarchignore: line 1: error parsing glob 'a{b': unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)
        ",
    );
}

#[test]
fn what_would_delete_files_of_the_base() {
    let project = project().file("web/css/.wh.passwd", "").commit();
    let project = says(
        project,
        &file("web", ""),
        "
        error: `/srv/web/css/.wh.passwd` (anyarch.toml:3:15) would delete files of the base: names that begin with `.wh.` mean that in a layer

        hint: give it another name
        ",
    );
    let project = says(
        project,
        "[[program]]\npackage = \".\"\nname = \".wh.sh\"\n",
        "
        error: `/usr/local/bin/.wh.sh` (anyarch.toml:3:8) would delete files of the base: names that begin with `.wh.` mean that in a layer

        hint: give it another name
        ",
    );
    says(
        project,
        "[[file]]\nsource = \"web\"\ndestination = \"/etc/.wh..wh..opq/x\"\n",
        "
        error: `destination` in anyarch.toml:3:15: `/etc/.wh..wh..opq/x` would delete files of the base: names that begin with `.wh.` mean that in a layer
        ",
    );
}

#[test]
fn what_git_tracks_and_is_not_there() {
    let project = project().commit();
    fs::remove_file(project.path().join("web/css/a.css")).unwrap();
    let words = "
        error: `web/css/a.css` (anyarch.toml:2:10) is tracked by git and is not there

        hint: git checkout -- web/css/a.css
        hint: git rm --cached web/css/a.css
        ";
    let project = says(project, &file("web", ""), words);
    // Nor is it what lies behind a link that took its folder's place.
    fs::remove_dir(project.path().join("web/css")).unwrap();
    let project = project.file("other/a.css", "p {}\n");
    symlink("../other", project.path().join("web/css")).unwrap();
    says(project, &file("web", ""), words);
}

#[test]
fn a_checkout_that_git_does_not_read() {
    let project = project().commit();
    fs::write(project.path().join(".git/HEAD"), "").unwrap();
    let config = file("web", "");
    let project = project.file("anyarch.toml", &config);
    let output = project.anyarch().args(["build"]).run();
    output.assert_code(2).assert_stderr(
        "
        error: what git tracks of `web` (anyarch.toml:2:10) cannot be known
          because: `web` is not in a git checkout

        hint: git init
        hint: ignored = true
        ",
    );
    let project = project.file("anyarch.toml", file("web", "ignored = true\n"));
    project.anyarch().args(["plan"]).run().assert_success();
}

#[test]
fn a_machine_without_git() {
    let config = "[[image]]\nname = \"web\"\nprograms = []\n[[image.file]]\nsource = \"web\"\ndestination = \"/srv\"\n";
    let project = project().file("anyarch.toml", config);
    let plan = |project: &Project| project.anyarch().env("PATH", "/no/such/folder").args(["plan"]).run();
    plan(&project).assert_success();
    // What is in the image is not for the machine to decide.
    plan(&project.commit()).assert_code(2).assert_stderr(
        "
        error: what git tracks of `web` (anyarch.toml:5:10) cannot be known
          because: git is not installed

        hint: apt-get install git
        hint: ignored = true
        ",
    );
}

#[test]
fn links_that_lead_out() {
    let mut project = project().file("secret", "1\n");
    for (link, target) in
        [("web/css/up", "../../secret"), ("web/abs", "/etc/passwd"), ("web/round", "../web/index.html")]
    {
        symlink(target, project.path().join(link)).unwrap();
        let words = format!(
            "error: the link `{link}` (anyarch.toml:2:10) leads out of its folder, to `{target}`\n\n\
             hint: cp -r --remove-destination \"$(readlink -f {link})\" {link}\n"
        );
        project = says(project, &file("web", ""), &words);
        fs::remove_file(project.path().join(link)).unwrap();
    }
    // By way of a link that is not taken, too.
    symlink("..", project.path().join("web/.env")).unwrap();
    symlink(".env/secret", project.path().join("web/by-way")).unwrap();
    let project = says(
        project,
        &file("web", ""),
        "
        error: the link `web/by-way` (anyarch.toml:2:10) leads out of its folder, to `.env/secret`

        hint: cp -r --remove-destination \"$(readlink -f web/by-way)\" web/by-way
        ",
    );
    fs::remove_file(project.path().join("web/by-way")).unwrap();
    // The folder itself must not be one that leads out of the project.
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), project.path().join("away")).unwrap();
    let project = project.file("anyarch.toml", file("away", ""));
    let output = project.anyarch().redact(elsewhere.path().to_string_lossy(), "[ELSEWHERE]").args(["build"]).run();
    output.assert_code(2).assert_stderr(
        "
        error: `away` in anyarch.toml:2:10 leads out of the project, to `[ELSEWHERE]`

        hint: copy it into the project, and name the copy
        ",
    );
}

#[test]
fn what_is_no_file() {
    let project = project();
    process::succeed(std::process::Command::new("mkfifo").arg(project.path().join("web/pipe")));
    let project =
        says(project, &file("web", ""), "error: `web/pipe` (anyarch.toml:2:10) is neither a file nor a folder\n");
    let project =
        says(project, &file("web/pipe", ""), "error: `web/pipe` (anyarch.toml:2:10) is neither a file nor a folder\n");
    let project = says(
        project,
        &file("web/index.html", "ignored = true\n"),
        "
        error: `web/index.html` in anyarch.toml:2:10 is a file: `ignored` is for folders

        hint: leave `ignored` out: a file is taken whether or not git tracks it
        ",
    );
    says(
        project,
        "[[file]]\nsource = \"web/index.html\"\ndestination = \"/\"\n",
        "
        error: `web/index.html` in anyarch.toml:2:10 is a file, and a file cannot go to `/`

        hint: destination = \"/index.html\"
        ",
    );
}

#[test]
fn two_sources_for_one_place() {
    let entry = |source: &str, to: &str| format!("[[file]]\nsource = \"{source}\"\ndestination = \"{to}\"\n");
    let hint = "\n\nhint: give one of them another `destination`\n";
    let mut project = project().file("more/a.css", "1\n").file("more/server", "2\n").file("blank", "");
    let program = "[[program]]\npackage = \".\"\n";
    for (config, words) in [
        (
            entry("web", "/srv") + &entry("more", "/srv/css"),
            "two sources for `/srv/css/a.css`: anyarch.toml:3:15 and anyarch.toml:6:15",
        ),
        (
            entry("web", "/srv") + &entry("blank", "/srv/index.html"),
            "two sources for `/srv/index.html`: anyarch.toml:3:15 and anyarch.toml:6:15",
        ),
        (
            entry("web", "/srv") + &entry("more", "/{{ 'srv' }}"),
            "two sources for `/srv`: anyarch.toml:3:15 and anyarch.toml:6:15",
        ),
        (
            entry("web", "/usr/local/bin") + program + "destination = \"/usr/local/bin/index.html\"\n",
            "two sources for `/usr/local/bin/index.html`: anyarch.toml:3:15 and anyarch.toml:6:15",
        ),
        (
            entry("blank", "/usr/local/bin/hello") + program,
            "two sources for `/usr/local/bin/hello`: anyarch.toml:3:15 and anyarch.toml:4:1",
        ),
        (
            entry("blank", "/usr/local/bin/hello"),
            "two sources for `/usr/local/bin/hello`: anyarch.toml:3:15 and the program `hello`",
        ),
        (
            entry("blank", "/srv/css") + &entry("web", "/srv"),
            "`/srv/css` would be a file (anyarch.toml:3:15) and a folder (anyarch.toml:6:15)",
        ),
        (
            entry("blank", "/usr/local") + program,
            "`/usr/local` would be a file (anyarch.toml:3:15) and a folder (anyarch.toml:4:1)",
        ),
    ] {
        project = says(project, &config, &format!("error: {words}{hint}"));
    }
}
