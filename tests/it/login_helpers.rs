//! `anyarch login` and `anyarch logout` with helper programs, and what is said when they, the file or the arguments are wrong.

use std::fs;

use crate::login::{assert_silent, basic, config, listed, login};
use crate::support::program::Home;
use crate::support::shims::Shims;

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
