//! A login of ours is the login of everyone: other programs read it, and others' programs keep it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::process;
use crate::support::program::Home;
use crate::support::registry::{Options, Registry};

/// A registry with a password, and `team/app:v1` in it.
fn filled() -> Registry {
    let registry = Registry::start(&Options { login: Some(("me", "hunter2")), ..Default::default() });
    let folder = tempfile::tempdir().unwrap();
    let layout = format!("oci:{}:v1", folder.path().join("layout").display());
    process::succeed(Command::new("umoci").args(["init", "--layout"]).arg(folder.path().join("layout")));
    process::succeed(Command::new("umoci").args(["new", "--image"]).arg(layout.trim_start_matches("oci:")));
    let target = format!("docker://{}/team/app:v1", registry.host());
    process::succeed(Command::new("skopeo").args([
        "copy",
        "--dest-tls-verify=false",
        "--dest-creds=me:hunter2",
        &layout,
        &target,
    ]));
    registry
}

/// A program of others that reads `team/app:v1` with whatever login it finds at that home.
fn reader(home: &Home, program: &str, arguments: &[&str], host: &str) -> Command {
    let mut command = Command::new(program);
    command.args(arguments.iter().map(|argument| argument.replace("HOST", host)));
    command.env("HOME", home.path()).env_remove("DOCKER_CONFIG").env_remove("REGISTRY_AUTH_FILE");
    command.env("XDG_RUNTIME_DIR", home.path());
    command
}

/// The readers that this machine has: podman's library, go-containerregistry and docker's own.
const READERS: [(&str, &[&str]); 3] = [
    ("skopeo", &["inspect", "--raw", "--tls-verify=false", "docker://HOST/team/app:v1"]),
    ("crane", &["manifest", "--insecure", "HOST/team/app:v1"]),
    ("docker", &["manifest", "inspect", "--insecure", "HOST/team/app:v1"]),
];

fn log_in(home: &Home, name: &str) {
    home.anyarch().args(["login", "-u", "me", "--password-stdin", name]).stdin("hunter2").run().assert_success();
}

#[test]
#[ignore = "full: logins"]
fn skopeo_crane_and_docker_read_what_we_write() {
    let registry = filled();
    let (home, host) = (Home::new(), registry.host());
    let present: Vec<_> = READERS.into_iter().filter(|(program, _)| which::which(program).is_ok()).collect();
    assert!(present.iter().any(|(program, _)| *program == "skopeo"), "hint: scripts/install-test-tools");
    for (program, arguments) in &present {
        let refused = process::output(&mut reader(&home, program, arguments, &host));
        assert!(!refused.status.success(), "{program} needs no login");
    }
    log_in(&home, &host);
    for (program, arguments) in &present {
        let manifest = process::text(&mut reader(&home, program, arguments, &host));
        assert!(manifest.contains("sha256:"), "{program}: {manifest}");
    }
    home.anyarch().args(["logout", &host]).run().assert_success();
    for (program, arguments) in &present {
        let refused = process::output(&mut reader(&home, program, arguments, &host));
        assert!(!refused.status.success(), "{program} is still logged in");
    }
    // A path of a registry is podman's way.
    log_in(&home, &format!("{host}/team"));
    let (program, arguments) = present[0];
    assert!(process::text(&mut reader(&home, program, arguments, &host)).contains("sha256:"));
}

#[test]
#[ignore = "full: logins"]
fn we_read_what_skopeo_and_docker_write() {
    let registry = filled();
    let host = registry.host();
    for (program, arguments) in [
        ("skopeo", &["login", "--tls-verify=false", "-u", "me", "-p", "hunter2", "HOST"][..]),
        ("docker", &["login", "-u", "me", "-p", "hunter2", "HOST"]),
    ] {
        let home = Home::new();
        if which::which(program).is_err() {
            continue;
        }
        let login = process::output(&mut reader(&home, program, arguments, &host));
        if program == "docker" && !login.status.success() {
            // Older ones leave it to the daemon, which need not run.
            continue;
        }
        assert!(login.status.success(), "{}", String::from_utf8_lossy(&login.stderr));
        let output = home.anyarch().args(["logout", &host]).env("XDG_RUNTIME_DIR", home.path()).run();
        output.assert_success();
        let found = if program == "docker" { "logged out: " } else { "another program keeps a login for " };
        assert!(output.stderr.contains(found), "{}", output.stderr);
    }
}

/// A key without a password and a store that is locked by it, as `pass` wants them.
fn keys(folder: &Path) -> [(&'static str, std::path::PathBuf); 2] {
    let variables = [("GNUPGHOME", folder.join("gnupg")), ("PASSWORD_STORE_DIR", folder.join("passwords"))];
    fs::create_dir(&variables[0].1).unwrap();
    fs::set_permissions(&variables[0].1, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        process::succeed(
            Command::new(program).args(arguments).envs(variables.iter().map(|(name, value)| (name, value))),
        );
    };
    let unlocked = ["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""];
    run("gpg", &[&unlocked[..], &["--quick-gen-key", "test@example.com", "default", "default", "never"]].concat());
    run("pass", &["init", "test@example.com"]);
    variables
}

#[test]
#[ignore = "full: logins"]
fn a_real_helper_keeps_the_login_and_forgets_it() {
    let registry = filled();
    let host = registry.host();
    let home = Home::new();
    // A socket's path has to be short.
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let variables = keys(folder.path());
    let program = |arguments: &[&str]| {
        let program = home.anyarch().args(arguments);
        variables.iter().fold(program, |program, (name, value)| program.env(name, value))
    };
    fs::create_dir(home.path().join(".docker")).unwrap();
    let config = home.path().join(".docker/config.json");
    fs::write(&config, json!({"credsStore": "pass"}).to_string()).unwrap();
    program(&["logout", &host])
        .run()
        .assert_success()
        .assert_stderr("note: there is no login for `127.0.0.1:[PORT]`\n");
    program(&["login", "-u", "me", "--password-stdin", &host])
        .stdin("hunter2")
        .run()
        .assert_success()
        .assert_stderr("login succeeded: 127.0.0.1:[PORT] as me, kept by docker-credential-pass\n");
    let kept: serde_json::Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    assert_eq!(kept, json!({"auths": {host.as_str(): {}}, "credsStore": "pass"}));
    let with_keys = |mut command: Command| {
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command
    };
    let listed = || {
        let mut list = Command::new("docker-credential-pass");
        list.arg("list");
        serde_json::from_slice::<serde_json::Value>(&process::succeed(&mut with_keys(list))).unwrap()
    };
    assert_eq!(listed(), json!({host.as_str(): "me"}));
    for (name, arguments) in READERS.iter().filter(|(name, _)| *name != "skopeo" && which::which(name).is_ok()) {
        let manifest = process::text(&mut with_keys(reader(&home, name, arguments, &host)));
        assert!(manifest.contains("sha256:"), "{name}: {manifest}");
    }
    // Its own base is read with it, too.
    let project = crate::support::project::Project::hello_go();
    let base = format!("{host}/team/app:v1");
    let plan = program(&["plan", "--base", &base, "--platform", "linux/amd64"]).cwd(project.path()).run();
    plan.assert_success();
    program(&["logout", &host])
        .run()
        .assert_success()
        .assert_stderr("logged out: 127.0.0.1:[PORT], forgotten by docker-credential-pass\n");
    assert_eq!(listed(), json!({}));
    program(&["plan", "--base", &base, "--platform", "linux/amd64"]).cwd(project.path()).run().assert_code(6);
    // Its agent would outlive us.
    process::succeed(&mut with_keys({
        let mut kill = Command::new("gpgconf");
        kill.args(["--kill", "gpg-agent"]);
        kill
    }));
}
