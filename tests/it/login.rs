//! `anyarch login` and `anyarch logout`: what is tried, what is written, what is said.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use crate::support::program::{Home, Output, Program};
use crate::support::registry::{Options, Registry, TokenServer};
use crate::support::server::{Answer, Server};

/// A registry that lets `me` in with `hunter2`.
pub fn basic() -> Server {
    Server::start(|request| match request.header("authorization") {
        Some("Basic bWU6aHVudGVyMg==") => Answer::status(200),
        Some(_) => Answer::status(401).body(r#"{"errors":[{"code":"UNAUTHORIZED","message":"wrong"}]}"#),
        None => Answer::status(401).with("WWW-Authenticate", r#"Basic realm="x""#),
    })
}

/// `anyarch login -u me --password-stdin REGISTRY` with that password.
pub fn login<'home>(home: &'home Home, registry: &str, password: &str) -> Program<'home> {
    home.anyarch().args(["login", "-u", "me", "--password-stdin", registry]).stdin(password)
}

/// The file that a login goes to.
pub fn config(home: &Home) -> PathBuf {
    home.path().join(".docker/config.json")
}

/// No secret anywhere.
#[track_caller]
pub fn assert_silent(output: &Output) {
    for text in [&output.stdout, &output.stderr] {
        assert!(!text.contains("hunter2") && !text.contains("bWU6aHVudGVyMg"), "{text}");
    }
}

/// The names in a folder, sorted.
pub fn listed(folder: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_login_is_tried_and_kept_in_dockers_file() {
    let registry = Registry::start(&Options { login: Some(("me", "hunter2")), ..Default::default() });
    let (home, host) = (Home::new(), registry.host());
    let output = login(&home, &host, "hunter2\n").run();
    output.assert_success().assert_stdout("").assert_stderr(
        "
        note: the password is not encrypted in `[HOME]/.docker/config.json`, only encoded
        login succeeded: 127.0.0.1:[PORT] as me, kept in [HOME]/.docker/config.json
        ",
    );
    assert_silent(&output);
    let text = fs::read_to_string(config(&home)).unwrap();
    assert_eq!(
        text,
        format!("{{\n\t\"auths\": {{\n\t\t\"{host}\": {{\n\t\t\t\"auth\": \"bWU6aHVudGVyMg==\"\n\t\t}}\n\t}}\n}}")
    );
    assert_eq!(fs::metadata(config(&home)).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(listed(&home.path().join(".docker")), ["config.json"]);
    assert_eq!(registry.count("GET /v2/ "), 2);

    // One that is wrong changes nothing.
    let output = login(&home, &host, "wrong").run();
    output.assert_code(6).assert_stdout("").assert_stderr(
        "
        error: the registry `127.0.0.1:[PORT]` does not accept the login of `me`: it answered 401 Unauthorized (UNAUTHORIZED: authentication required)

        hint: check the user name and the password; many registries want an access token in place of the password
        ",
    );
    assert_eq!(fs::read_to_string(config(&home)).unwrap(), text);
}

#[test]
fn a_login_for_tokens_is_tried_at_the_token_server_and_then_at_the_registry() {
    let tokens = TokenServer::start("me", "hunter2");
    let registry = Registry::start(&Options { tokens: Some(&tokens), ..Default::default() });
    let (home, host) = (Home::new(), registry.host());
    login(&home, &host, "hunter2").run().assert_success();
    assert_eq!(tokens.scopes(), [[""; 0]], "a token for nothing");
    assert_eq!(registry.count("GET /v2/ "), 2);
    let text = fs::read_to_string(config(&home)).unwrap();

    let output = login(&home, &host, "wrong").redact(tokens.server.host(), "[REALM]").run();
    output.assert_code(6).assert_stderr(
        "
        error: the registry `127.0.0.1:[PORT]` does not accept the login of `me`: its token server `http://[REALM]` answered 401 Unauthorized (incorrect username or password)

        hint: check the user name and the password; many registries want an access token in place of the password
        ",
    );
    assert_eq!(fs::read_to_string(config(&home)).unwrap(), text);
    let other = Home::new();
    login(&other, &host, "wrong").run().assert_code(6);
    assert!(!config(&other).exists(), "nothing is made for a login that is wrong");
}

#[test]
fn a_registry_that_is_not_there_or_asks_nobody_is_said() {
    let home = Home::new();
    login(&home, "localhost:1", "hunter2").run().assert_code(6).assert_stderr(
        "
        error: the registry `localhost:[PORT]` cannot be reached
          because: error sending request
          because: client error (Connect)
          because: tcp connect error
          because: Connection refused (os error 111)

        hint: check the name `localhost:[PORT]`, and that the registry runs
        ",
    );
    let open = Server::start(|_| Answer::status(200));
    login(&home, &open.host(), "hunter2").run().assert_success().assert_stderr(
        "
        note: `127.0.0.1:[PORT]` asks nobody for a login, so this one could not be tried
        note: the password is not encrypted in `[HOME]/.docker/config.json`, only encoded
        login succeeded: 127.0.0.1:[PORT] as me, kept in [HOME]/.docker/config.json
        ",
    );
    assert_eq!(open.requests().len(), 1, "nothing is shown to who does not ask");
    let busy = Server::start(|request| match request.header("authorization") {
        None => Answer::status(401).with("WWW-Authenticate", "Basic"),
        Some(_) => Answer::status(404),
    });
    login(&home, &busy.host(), "hunter2").run().assert_code(6).assert_stderr(
        "
        error: the registry `127.0.0.1:[PORT]` does not accept the login of `me`: it answered 404 Not Found

        hint: check the user name and the password; many registries want an access token in place of the password
        ",
    );
}

#[test]
fn the_rest_of_the_file_stays_and_a_link_does_too() {
    let (server, home) = (basic(), Home::new());
    let host = server.host();
    let text = "{\n\t\"HttpHeaders\": {\n\t\t\"X\": \"1\"\n\t},\n\t\"auths\": {\n\t\t\"other.example\": {\n\t\t\t\"auth\": \"b3RoZXI6eA==\"\n\t\t},\n\t\t\"https://HOST\": {\n\t\t\t\"auth\": \"b2xk\"\n\t\t},\n\t\t\"HOST\": {\n\t\t\t\"auth\": \"b2xk\",\n\t\t\t\"email\": \"me@example.com\"\n\t\t}\n\t},\n\t\"aliases\": [\n\t\t1.0,\n\t\t\"\\u003c\"\n\t],\n\t\"unknown\": null\n}\n";
    let folder = home.path().join("elsewhere");
    fs::create_dir(&folder).unwrap();
    fs::create_dir(home.path().join(".docker")).unwrap();
    fs::write(folder.join("docker.json"), text.replace("HOST", &host)).unwrap();
    fs::set_permissions(folder.join("docker.json"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink("../elsewhere/docker.json", config(&home)).unwrap();
    login(&home, &format!("http://{host}/v2/"), "hunter2\r\n").run().assert_success();
    let changed = text
        .replace("\t\t\"https://HOST\": {\n\t\t\t\"auth\": \"b2xk\"\n\t\t},\n", "")
        .replace("b2xk", "bWU6aHVudGVyMg==")
        .replace("HOST", &host);
    assert!(config(&home).is_symlink());
    assert_eq!(fs::read_to_string(folder.join("docker.json")).unwrap(), changed);
    assert_eq!(listed(&folder), ["docker.json"]);

    home.anyarch()
        .args(["logout", &host])
        .run()
        .assert_success()
        .assert_stderr("logged out: 127.0.0.1:[PORT], forgotten by [HOME]/.docker/config.json\n");
    let without = "{\n\t\"HttpHeaders\": {\n\t\t\"X\": \"1\"\n\t},\n\t\"auths\": {\n\t\t\"other.example\": {\n\t\t\t\"auth\": \"b3RoZXI6eA==\"\n\t\t}\n\t},\n\t\"aliases\": [\n\t\t1.0,\n\t\t\"\\u003c\"\n\t],\n\t\"unknown\": null\n}\n";
    assert_eq!(fs::read_to_string(folder.join("docker.json")).unwrap(), without);
    assert!(config(&home).is_symlink());
}

#[test]
fn variables_name_the_file() {
    let (server, home) = (basic(), Home::new());
    let path = |name: &str| home.path().join(name);
    let run = |variables: &[(&str, PathBuf)], expected: &str| {
        let program = variables
            .iter()
            .fold(login(&home, &server.host(), "hunter2"), |program, (name, value)| program.env(name, value));
        let output = program.run();
        output.assert_success();
        assert!(
            output.redacted_stderr().ends_with(&format!("as me, kept in [HOME]/{expected}\n")),
            "{}",
            output.stderr
        );
        assert!(path(expected).is_file());
        fs::remove_file(path(expected)).unwrap();
    };
    run(&[("DOCKER_CONFIG", path("docker"))], "docker/config.json");
    run(&[("REGISTRY_AUTH_FILE", path("podman/auth.json"))], "podman/auth.json");
    run(&[("REGISTRY_AUTH_FILE", path("auth.json")), ("DOCKER_CONFIG", path("docker"))], "docker/config.json");
    login(&home, &server.host(), "hunter2").env_remove("HOME").run().assert_code(1).assert_stderr(
        "
        error: there is no place to keep a login: neither HOME nor DOCKER_CONFIG is set

        hint: name a folder: DOCKER_CONFIG=/path/of/a/folder anyarch login
        ",
    );
}

#[test]
fn logins_at_once_lose_nothing() {
    let (server, home) = (basic(), Home::new());
    let names: Vec<String> = (0..8).map(|number| format!("{}/team{number}", server.host())).collect();
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| {
                login(&home, name, "hunter2").run().assert_success().assert_stdout("");
            });
        }
    });
    let kept: serde_json::Value = serde_json::from_slice(&fs::read(config(&home)).unwrap()).unwrap();
    let auths = kept["auths"].as_object().unwrap();
    assert!(names.iter().all(|name| auths[name]["auth"] == "bWU6aHVudGVyMg=="), "{kept}");
    assert_eq!(auths.len(), 8);
    assert_eq!(listed(&home.path().join(".docker")), ["config.json"]);
}

#[test]
fn a_path_has_a_login_of_its_own() {
    let (server, home) = (basic(), Home::new());
    let host = server.host();
    fs::create_dir(home.path().join(".docker")).unwrap();
    fs::write(config(&home), r#"{"credsStore":"missing"}"#).unwrap();
    login(&home, &format!("{host}/team"), "hunter2").run().assert_success().assert_stderr(
        "
        note: the password is not encrypted in `[HOME]/.docker/config.json`, only encoded
        note: docker itself knows no logins of a path; podman and skopeo do
        login succeeded: 127.0.0.1:[PORT]/team as me, kept in [HOME]/.docker/config.json
        ",
    );
    fs::write(config(&home), fs::read_to_string(config(&home)).unwrap().replace("missing", "")).unwrap();
    home.anyarch().args(["logout", &host]).run().assert_success().assert_stderr(
        "
        note: there is no login for `127.0.0.1:[PORT]`
        note: `127.0.0.1:[PORT]/team` keeps a login of its own; anyarch logout 127.0.0.1:[PORT]/team
        ",
    );
    home.anyarch()
        .args(["logout", &format!("{host}/team")])
        .run()
        .assert_success()
        .assert_stderr("logged out: 127.0.0.1:[PORT]/team, forgotten by [HOME]/.docker/config.json\n");
    assert_eq!(fs::read_to_string(config(&home)).unwrap(), "{\n\t\"auths\": {},\n\t\"credsStore\": \"\"\n}");
}

#[test]
fn who_is_not_logged_in_is_told_so_and_where_others_keep_a_login() {
    let home = Home::new();
    home.anyarch()
        .args(["logout", "ghcr.io"])
        .run()
        .assert_success()
        .assert_stdout("")
        .assert_stderr("note: there is no login for `ghcr.io`\n");
    assert!(!home.path().join(".docker").exists());
    home.anyarch().args(["logout"]).run().assert_success().assert_stderr("note: there is no login for `docker.io`\n");

    let podman = home.path().join(".config/containers");
    fs::create_dir_all(&podman).unwrap();
    fs::write(podman.join("auth.json"), r#"{"auths":{"docker.io":{"auth":"bWU6aHVudGVyMg=="}}}"#).unwrap();
    fs::create_dir(home.path().join(".docker")).unwrap();
    let names = r#"{"auths":{"https://index.docker.io/v1/":{},"docker.io":{},"index.docker.io":{},"ghcr.io":{}}}"#;
    fs::write(config(&home), names).unwrap();
    home.anyarch().args(["logout"]).run().assert_success().assert_stderr(
        "
        logged out: docker.io, forgotten by [HOME]/.docker/config.json
        note: another program keeps a login for `docker.io` in `[HOME]/.config/containers/auth.json`
        ",
    );
    assert_eq!(fs::read_to_string(config(&home)).unwrap(), "{\n\t\"auths\": {\n\t\t\"ghcr.io\": {}\n\t}\n}");
}
