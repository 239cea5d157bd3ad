//! Images that go into docker or podman: who is asked, what is said when nobody is there or the image is refused, and what
//! is sent.

use std::fs;

use serde_json::json;

use crate::support::prebuilt;
use crate::support::process;
use crate::support::program::Home;
use crate::support::server::{Answer, Server};

/// A daemon that answers a load so.
fn daemon(load: Answer) -> Server {
    Server::start(move |request| match (request.method.as_str(), request.target.as_str()) {
        ("GET", "/_ping") => Answer::ok("OK"),
        ("POST", "/images/load?quiet=0") => load.clone(),
        _ => Answer::status(404),
    })
}

fn address(server: &Server) -> String {
    format!("tcp://{}", server.host())
}

#[test]
fn an_image_is_streamed_to_the_daemon_that_the_environment_names() {
    let (project, home) = (prebuilt::project(), Home::new());
    let loaded = Answer::ok("{\"stream\":\"Loaded image: hello:latest\\n\"}\n");
    let (server, other) = (daemon(loaded.clone()), daemon(loaded));
    let built = project.anyarch_at(&home).args(["build", "--load", "-o", "type=oci,dest=all.tar"]);
    let built = built.args(["--platform", "linux/arm64", "--metadata-file", "meta.json"]);
    let built = built.env("DOCKER_HOST", address(&server)).env("CONTAINER_HOST", address(&other)).run();
    built.assert_success().assert_stdout("oci-archive:all.tar:latest\nhello:latest\n");
    assert!(built.stderr.contains("run it:  docker run --rm hello:latest\n"), "{}", built.stderr);
    assert_eq!(
        (server.lines(), other.lines()),
        (vec!["GET /_ping".to_owned(), "POST /images/load?quiet=0".to_owned()], vec![])
    );
    // What was sent is what `-o type=docker,dest=FILE` writes.
    let sent = server.requests()[1].body.clone();
    let file = ["build", "--platform", "linux/arm64", "-o", "type=docker,dest=image.tar"];
    project.anyarch_at(&home).args(file).run().assert_success();
    assert!(sent == fs::read(project.path().join("image.tar")).unwrap(), "{} bytes were sent", sent.len());

    // The same from wherever it is, with its own name or another.
    let load = |arguments: &[&str]| {
        project.anyarch_at(&home).env("CONTAINER_HOST", address(&other)).args(["load"]).args(arguments).run()
    };
    let sent_tags = || {
        let body = other.requests().last().map(|request| request.body.clone()).unwrap_or_default();
        fs::write(project.path().join("sent.tar"), body).unwrap();
        let mut tar = std::process::Command::new("tar");
        tar.args(["-xOf", "sent.tar", "manifest.json"]).current_dir(project.path());
        let saved: serde_json::Value = serde_json::from_str(&process::text(&mut tar)).unwrap();
        saved[0]["RepoTags"].clone()
    };
    for (arguments, tag) in [
        (&["image.tar", "--platform", "linux/arm64"][..], "hello:latest"),
        (&["oci-archive:all.tar", "--platform", "linux/arm64", "-t", "me/app:2"], "me/app:2"),
    ] {
        load(arguments).assert_success().assert_stdout(&format!("{tag}\n"));
        let full = if tag.contains('/') { format!("docker.io/{tag}") } else { format!("docker.io/library/{tag}") };
        assert_eq!(sent_tags(), json!([full]));
    }
    let output = load(&["all.tar", "--platform", "linux/arm64", "--json"]);
    assert_eq!((&output.json()["loaded"], &output.json()["names"]), (&json!("docker"), &json!(["all:latest"])));
    let missing = load(&["all.tar", "--platform", "linux/s390x"]);
    missing.assert_code(2).assert_stderr(
        "
        error: the image `oci-archive:all.tar` has no linux/s390x

        hint: --platform linux/arm64
        ",
    );
}

#[test]
fn without_a_daemon_nothing_is_compiled_and_it_is_said_who_was_asked() {
    let project = prebuilt::project();
    let run = |name: &str, value: &str| project.anyarch().args(["build", "--load"]).env(name, value).run();
    let socket = format!("unix://{}/docker.sock", project.path().display());
    let absent = run("DOCKER_HOST", &socket);
    absent.assert_code(1).assert_stdout("").assert_stderr(
        "
        error: no Docker and no podman answers: unix://[CWD]/docker.sock (DOCKER_HOST) does not exist

        hint: without a daemon: -o type=docker,dest=image.tar
        ",
    );
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = run("CONTAINER_HOST", &format!("tcp://{free}"));
    refused.assert_code(1).assert_stdout("");
    let words = format!("error: no Docker and no podman answers: tcp://{free} (CONTAINER_HOST): Connection refused");
    assert!(refused.stderr.starts_with(&words), "{}", refused.stderr);
    run("DOCKER_HOST", "ssh://me:secret@build.example.com").assert_code(1).assert_stderr(
        "
        error: `ssh://build.example.com` (DOCKER_HOST) is no address that anyarch speaks to

        hint: through docker itself: anyarch build -o type=docker,dest=- | docker load
        ",
    );
    assert!(!project.path().join(".anyarch").exists());
    // The usual places, when nobody names one: this machine may have a daemon of its own.
    if !std::path::Path::new("/var/run/docker.sock").exists()
        && !std::path::Path::new("/run/podman/podman.sock").exists()
    {
        run("XDG_RUNTIME_DIR", "/run/user/none").assert_code(1).assert_stderr(
            "
            error: no Docker and no podman answers: unix:///var/run/docker.sock does not exist; unix:///run/user/none/docker.sock does not exist; unix:///run/user/none/podman/podman.sock does not exist; unix:///run/podman/podman.sock does not exist

            hint: sudo systemctl start docker
            hint: systemctl --user start podman.socket
            hint: without a daemon: -o type=docker,dest=image.tar
            ",
        );
    }
}

#[test]
fn what_a_daemon_has_against_an_image_is_said() {
    let (project, home) = (prebuilt::project(), Home::new());
    for (answer, words) in [
        (
            Answer::status(500).body("{\"message\":\"no space left on device\"}"),
            "refuses the image: no space left on device",
        ),
        (
            Answer::ok("{\"errorDetail\":{\"message\":\"invalid diffID\"},\"error\":\"x\"}\r\n"),
            "refuses the image: invalid diffID",
        ),
        (Answer::ok("<html>"), "did not say that the image is loaded"),
        (Answer::hangup(), "broke off: "),
    ] {
        let server = daemon(answer);
        let output = project.anyarch_at(&home).args(["build", "--load"]).env("DOCKER_HOST", address(&server)).run();
        output.assert_code(1).assert_stdout("");
        let expected = format!("error: Docker at {} {words}", address(&server));
        assert!(output.stderr.contains(&expected), "{expected}\n{}", output.stderr);
        assert!(
            output.stderr.ends_with("\nhint: without a daemon: -o type=docker,dest=image.tar\n"),
            "{}",
            output.stderr
        );
    }
}
