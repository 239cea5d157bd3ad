//! `anyarch login` and `anyarch logout`: what is tried, what is written, what is said.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::pty::openpty;
use nix::sys::termios::{LocalFlags, tcgetattr};

use crate::support::process::{self, Ended};
use crate::support::program::{Home, Output, Program};
use crate::support::registry::{Options, Registry, TokenServer};
use crate::support::server::{Answer, Server};
use crate::support::shims::Shims;

/// A registry that lets `me` in with `hunter2`.
fn basic() -> Server {
    Server::start(|request| match request.header("authorization") {
        Some("Basic bWU6aHVudGVyMg==") => Answer::status(200),
        Some(_) => Answer::status(401).body(r#"{"errors":[{"code":"UNAUTHORIZED","message":"wrong"}]}"#),
        None => Answer::status(401).with("WWW-Authenticate", r#"Basic realm="x""#),
    })
}

/// `anyarch login -u me --password-stdin REGISTRY` with that password.
fn login<'home>(home: &'home Home, registry: &str, password: &str) -> Program<'home> {
    home.anyarch().args(["login", "-u", "me", "--password-stdin", registry]).stdin(password)
}

fn config(home: &Home) -> PathBuf {
    home.path().join(".docker/config.json")
}

/// No secret anywhere.
#[track_caller]
fn assert_silent(output: &Output) {
    for text in [&output.stdout, &output.stderr] {
        assert!(!text.contains("hunter2") && !text.contains("bWU6aHVudGVyMg"), "{text}");
    }
}

fn listed(folder: &std::path::Path) -> Vec<String> {
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

        hint: check the name `localhost:[PORT]`, the network and HTTPS_PROXY
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

/// A helper that keeps its logins as files of a folder, and writes what it was asked into a log.
fn keeper(home: &Home) -> Shims {
    let folder = home.path().join("keys");
    fs::create_dir(&folder).unwrap();
    let script = format!(
        r#"cd '{}' || exit 9
echo "$1" >> log
told=$(cat)
name() {{ printf %s "$1" | tr '/:' '__'; }}
case $1 in
store)
  server=$(printf %s "$told" | sed 's/.*"ServerURL":"\([^"]*\)".*/\1/')
  printf %s "$told" > "$(name "$server").json" ;;
get)
  cat "$(name "$told").json" 2>/dev/null || {{ echo 'credentials not found in native keychain'; exit 1; }} ;;
erase) rm "$(name "$told").json" ;;
esac"#,
        folder.display()
    );
    Shims::new().script("docker-credential-keeper", &script)
}

#[test]
fn a_helper_keeps_the_login_and_forgets_it() {
    let (server, home) = (basic(), Home::new());
    let (host, shims) = (server.host(), keeper(&home));
    let name = host.replace(':', "_");
    fs::create_dir(home.path().join(".docker")).unwrap();
    for configuration in
        [serde_json::json!({"credsStore": "keeper"}), serde_json::json!({"credHelpers": {host.as_str(): "keeper"}})]
    {
        let mut with_old = configuration.clone();
        with_old["auths"] = serde_json::json!({host.as_str(): {"auth": "b2xk", "email": "me"}});
        fs::write(config(&home), with_old.to_string()).unwrap();
        let output = login(&home, &host, "hunter2").env("PATH", shims.path()).run();
        output
            .assert_success()
            .assert_stderr("login succeeded: 127.0.0.1:[PORT] as me, kept by docker-credential-keeper\n");
        let kept: serde_json::Value = serde_json::from_slice(&fs::read(config(&home)).unwrap()).unwrap();
        let mut expected = configuration.clone();
        expected["auths"] = serde_json::json!({host.as_str(): {"email": "me"}});
        assert_eq!(kept, expected, "the file holds no login");
        let stored: serde_json::Value =
            serde_json::from_slice(&fs::read(home.path().join(format!("keys/{name}.json"))).unwrap()).unwrap();
        assert_eq!(stored, serde_json::json!({"ServerURL": host, "Username": "me", "Secret": "hunter2"}));

        let output = home.anyarch().args(["logout", &host]).env("PATH", shims.path()).run();
        output.assert_success().assert_stderr("logged out: 127.0.0.1:[PORT], forgotten by docker-credential-keeper\n");
        assert_eq!(listed(&home.path().join("keys")), ["log"]);
        let kept: serde_json::Value = serde_json::from_slice(&fs::read(config(&home)).unwrap()).unwrap();
        assert_eq!(kept["auths"], serde_json::json!({}));
        let output = home.anyarch().args(["logout", &host]).env("PATH", shims.path()).run();
        output.assert_success().assert_stderr("note: there is no login for `127.0.0.1:[PORT]`\n");
    }
    let log = fs::read_to_string(home.path().join("keys/log")).unwrap();
    let round = "store\nget\nerase\nget\nget\nget\nget\nget\n";
    assert_eq!(log, round.repeat(2), "what it has not is not erased");
}

#[test]
fn a_helper_or_a_file_in_trouble_is_named_and_nothing_is_written() {
    let (server, home) = (basic(), Home::new());
    let host = server.host();
    fs::create_dir(home.path().join(".docker")).unwrap();
    let shims = Shims::new()
        .script("docker-credential-locked", "cat >/dev/null; echo 'the keychain is locked' >&2; exit 1")
        .script("docker-credential-echoing", "cat; exit 1");
    let run = |configuration: &str, code: i32, expected: &str| {
        fs::write(config(&home), configuration).unwrap();
        let output = login(&home, &host, "hunter2").env("PATH", shims.path()).run();
        output.assert_code(code).assert_stdout("").assert_stderr(expected);
        assert_silent(&output);
        assert_eq!(fs::read_to_string(config(&home)).unwrap(), configuration);
        assert_eq!(listed(&home.path().join(".docker")), ["config.json"]);
    };
    run(
        r#"{"credsStore":"locked"}"#,
        1,
        "
        error: the credential helper `docker-credential-locked`, which `[HOME]/.docker/config.json` names, failed for `127.0.0.1:[PORT]`: the keychain is locked

        hint: see for yourself: docker-credential-locked list
        ",
    );
    run(
        r#"{"credsStore":"echoing"}"#,
        1,
        "
        error: the credential helper `docker-credential-echoing`, which `[HOME]/.docker/config.json` names, failed for `127.0.0.1:[PORT]`: it ended with exit code 1 and said nothing

        hint: see for yourself: docker-credential-echoing list
        ",
    );
    run(
        r#"{"credsStore":"missing"}"#,
        1,
        "
        error: the credential helper `docker-credential-missing`, which `[HOME]/.docker/config.json` names, is not on PATH

        hint: install `docker-credential-missing`, or remove its name from `[HOME]/.docker/config.json`
        ",
    );
    let before = server.requests().len();
    run(
        "{\"auths\":",
        1,
        "
        error: `[HOME]/.docker/config.json` is not a valid docker configuration: line 1, column 9

        hint: check it: jq . [HOME]/.docker/config.json
        ",
    );
    assert_eq!(server.requests().len(), before, "a file that is broken is said first");
    // What is no folder cannot hold a file.
    let output = login(&home, &host, "hunter2").env("DOCKER_CONFIG", config(&home).join("x")).run();
    output.assert_code(1).assert_stderr(
        "
        error: `[HOME]/.docker/config.json/x/config.json` cannot be written
          because: Not a directory (os error 20)

        hint: check the folder: ls -ld [HOME]/.docker/config.json/x
        hint: or name another: DOCKER_CONFIG=/path/of/a/folder anyarch login
        ",
    );
}

#[test]
fn what_is_no_login_is_said_before_anyone_is_asked() {
    let home = Home::new();
    let run = |arguments: &[&str], stdin: &str, expected: &str| {
        let output = home.anyarch().args(arguments).stdin(stdin).run();
        output.assert_code(2).assert_stdout("").assert_stderr(expected);
        assert_silent(&output);
    };
    for arguments in [
        &["login", "-u", "me", "-p", "hunter2", "ghcr.io"][..],
        &["login", "-u", "me", "-phunter2", "ghcr.io"],
        &["login", "-u", "me", "--password=hunter2", "ghcr.io"],
        &["login", "-u", "me", "ghcr.io", "--password", "hunter2"],
        &["login", "-u", "me", "ghcr.io", "-p"],
    ] {
        run(
            arguments,
            "",
            "
            error: a password does not belong into the arguments: every user of this machine can see them, and the shell remembers them

            hint: printf %s \"$PASSWORD\" | anyarch login -u me --password-stdin ghcr.io
            ",
        );
    }
    run(
        &["login", "--insecure-registry", "reg.example:5000", "reg.example:5000/team"],
        "",
        "
        error: there is no terminal to ask for the login

        hint: printf %s \"$PASSWORD\" | anyarch login -u USER --password-stdin reg.example:5000/team --insecure-registry reg.example:5000
        ",
    );
    run(
        &["login", "-u", "my name"],
        "",
        "
        error: there is no terminal to ask for the login

        hint: printf %s \"$PASSWORD\" | anyarch login -u 'my name' --password-stdin
        ",
    );
    run(&["login", "-u", "me", "--password-stdin", "ghcr.io"], "\n", "error: the password is empty\n");
    run(&["login", "-u", "me", "--password-stdin", "ghcr.io"], "", "error: the password is empty\n");
    run(&["login", "-u", "", "--password-stdin", "ghcr.io"], "hunter2", "error: the user name is empty\n");
    run(
        &["login", "-u", "me:you", "--password-stdin", "ghcr.io"],
        "hunter2",
        "error: the user name `me:you` has a colon, and no login can have one\n",
    );
    run(
        &["login", "-u", "me", "--password-stdin", "ghcr.io"],
        &"x".repeat(70_000),
        "error: what was given as the password is longer than 65536 bytes\n",
    );
    run(
        &["login", "me"],
        "",
        "
        error: `me` is not a registry: it should be a host name with a dot, an address or `localhost`, and perhaps a port

        hint: name no registry for Docker Hub
        hint: name the path of Docker Hub in full: `docker.io/me`
        ",
    );
    run(
        &["logout", "https://ghcr.io/org"],
        "",
        "
        error: `https://ghcr.io/org` is a URL with a path, and a login is for a registry or for a path of one

        hint: write `ghcr.io/org`
        ",
    );
    let output = home.anyarch().args(["login", "--password-stdin", "ghcr.io"]).stdin("hunter2").run();
    output.assert_code(2);
    assert!(output.stderr.contains("--username <USER>"), "{}", output.stderr);
    assert!(!home.path().join(".docker").exists());
}

/// Runs `program` at a terminal where `lines` are typed, each when the words that it follows are there; what the terminal
/// showed, and how the program ended.
fn at_a_terminal(program: &Program<'_>, lines: &[(&str, &str)]) -> (String, Ended, bool) {
    let pty = openpty(None, None).unwrap();
    let mut master = fs::File::from(pty.master);
    let mut command = program.command();
    let terminal = pty.slave.try_clone().unwrap();
    command.stdin(Stdio::from(pty.slave)).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut stderr = child.stderr.take().unwrap();
    let mut said = Vec::new();
    for (words, line) in lines {
        while !String::from_utf8_lossy(&said).ends_with(words) {
            let mut byte = [0];
            assert_eq!(stderr.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&said));
            said.push(byte[0]);
        }
        if *line == "^C" {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), nix::sys::signal::SIGINT)
                .unwrap();
        } else {
            master.write_all(line.as_bytes()).unwrap();
        }
    }
    stderr.read_to_end(&mut said).unwrap();
    let begin = Instant::now();
    let status = child.wait().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(10));
    let echoes = tcgetattr(&terminal).unwrap().local_flags.contains(LocalFlags::ECHO);
    let mut shown = Vec::new();
    if echoes {
        // The end of what was shown: without it there would be nothing to read, and no end.
        master.write_all(b"END\n").unwrap();
        while !shown.ends_with(b"END\r\n") {
            let mut byte = [0];
            master.read_exact(&mut byte).unwrap();
            shown.push(byte[0]);
        }
    }
    let code = process::exit_code(status);
    let ended =
        Ended { code, bytes: Vec::new(), stdout: String::new(), stderr: String::from_utf8_lossy(&said).into_owned() };
    (String::from_utf8_lossy(&shown).into_owned(), ended, echoes)
}

#[test]
fn at_a_terminal_the_password_is_asked_for_and_not_shown() {
    let (server, home) = (basic(), Home::new());
    let host = server.host();
    let ask = format!("user name at {host}: ");
    let program = home.anyarch().args(["login", &host]);
    let typed = [(ask.as_str(), "me\n"), ("password or access token of me: ", "hunter2\n")];
    let (shown, ended, echoes) = at_a_terminal(&program, &typed);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.ends_with(&format!("as me, kept in {}\n", config(&home).display())), "{}", ended.stderr);
    assert!(shown.starts_with("me\r\n\r\n") && !shown.contains("hunter2"), "{shown:?}");
    assert!(echoes, "the terminal is as it was");
    assert!(fs::read_to_string(config(&home)).unwrap().contains("bWU6aHVudGVyMg=="));
}

#[test]
fn an_interrupt_while_the_password_is_typed_leaves_the_terminal_as_it_was() {
    let (server, home) = (basic(), Home::new());
    let program = home.anyarch().args(["login", "-u", "me", &server.host()]);
    let (_, ended, echoes) = at_a_terminal(&program, &[("password or access token of me: ", "^C")]);
    assert_eq!(ended.code, 130, "{}", ended.stderr);
    assert!(echoes, "the terminal is as it was");
    assert!(!config(&home).exists());
}
