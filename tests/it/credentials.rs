//! Where logins come from: files, and helper programs.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyarch::blob::{Descriptor, MEDIA_TYPE_LAYER};
use anyarch::reference::{Namespace, Repository};
use anyarch::registry::{CredentialEnvironment, Kept, Secret};
use serde_json::json;

use crate::registry::{Party, words};
use crate::support::server::{Answer, Server};
use crate::support::shims::Shims;

/// `me:hunter2`
pub const ME: &str = "Basic bWU6aHVudGVyMg==";

pub fn app(host: &str) -> Repository {
    format!("{host}/team/app").parse().unwrap()
}

pub fn layer() -> Descriptor {
    Descriptor::of(MEDIA_TYPE_LAYER, b"content")
}

/// A registry that lets `me` in, by basic authentication.
fn basic() -> Server {
    Server::start(|request| match request.header("authorization") {
        Some(ME) => Answer::ok("content"),
        _ => Answer::status(401).with("WWW-Authenticate", r#"Basic realm="x""#),
    })
}

/// What became of asking `server` for a blob: `in`, `anonymous` or the words of an error.
pub async fn outcome(party: &Party, server: &Server) -> String {
    match party.client.has_blob(&app(&server.host()), &layer()).await {
        Ok(true) => "in".to_owned(),
        Ok(false) => panic!("the server knows no 404"),
        Err(error) => {
            let words = words(&error);
            let anonymous = words.contains("no login is known for");
            if anonymous { "anonymous".to_owned() } else { words.replace(&server.host(), "HOST") }
        }
    }
}

pub fn helpers() -> Shims {
    let login = |user: &str, secret: &str| {
        format!(
            r#"read server; [ "$1" = get ] && echo "{{\"ServerURL\":\"$server\",\"Username\":\"{user}\",\"Secret\":\"{secret}\"}}""#
        )
    };
    let shims = Shims::new()
        .script("docker-credential-good", &login("me", "hunter2"))
        .script("docker-credential-token", &login("<token>", "identity"))
        .script("docker-credential-empty", &login("", ""))
        .script("docker-credential-ignorant", "read server; echo 'credentials not found in native keychain'; exit 1")
        .script("docker-credential-crashing", "echo 'no secret service' >&2; exit 3")
        .script("docker-credential-mute", "kill -9 $$")
        .script("docker-credential-leaking", r#"read server; echo '{"Username":"me","Secret":"hunter2"}'; exit 1"#)
        .script("docker-credential-babbling", "read server; echo hello")
        .script("docker-credential-hanging", "exec sleep 1000")
        .script("docker-credential-flooding", "exec yes 0123456789");
    let broken = shims.folder().join("docker-credential-broken");
    std::fs::write(&broken, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&broken, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    shims
}

#[tokio::test(flavor = "multi_thread")]
async fn what_helpers_say_is_a_login_or_anonymous_or_an_error_that_names_them() {
    let (server, helpers) = (basic(), helpers());
    let failed = |name: &str, said: &str| {
        format!(
            "the login for the registry `HOST` cannot be found out: the credential helper `docker-credential-{name}`, \
             which `FILE` names, failed for `HOST`: {said}\n\
             hint: see for yourself: echo HOST | docker-credential-{name} get"
        )
    };
    let missing = "the login for the registry `HOST` cannot be found out: the credential helper `docker-credential-missing`, \
                   which `FILE` names, is not on PATH\n\
                   hint: install `docker-credential-missing`, or remove its name from `FILE`";
    let begin = Instant::now();
    for (helper, expected) in [
        ("good", "in".to_owned()),
        ("ignorant", "anonymous".to_owned()),
        ("empty", "anonymous".to_owned()),
        ("crashing", failed("crashing", "no secret service")),
        ("mute", failed("mute", "it ended with signal 9 and said nothing")),
        ("leaking", failed("leaking", "it ended with exit code 1 and said nothing")),
        ("babbling", failed("babbling", "its answer is not the JSON of a login")),
        ("hanging", failed("hanging", "it did not answer within 2 s")),
        ("flooding", failed("flooding", "its answer is longer than 1048576 bytes")),
        ("broken", failed("broken", "it cannot be run: No such file or directory (os error 2)")),
        ("missing", missing.to_owned()),
    ] {
        for configuration in [
            json!({"credsStore": helper, "auths": {server.host(): {}}}),
            json!({"credHelpers": {server.host(): helper}, "credsStore": "crashing"}),
        ] {
            let party = Party::with(|options| {
                configure(options, &configuration.to_string());
                options.environment.path = Some(helpers.path());
                options.environment.patience = Duration::from_secs(2);
            });
            let file = party.store.root().join("docker/config.json").display().to_string();
            assert_eq!(outcome(&party, &server).await.replace(&file, "FILE"), expected, "{configuration}");
        }
    }
    assert!(begin.elapsed() < Duration::from_mins(1), "nobody waits for a helper that hangs");
}

pub fn configure(options: &mut anyarch::registry::Options, configuration: &str) {
    let folder = options.store.root().join("docker");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("config.json"), configuration).unwrap();
    options.environment.docker_config = Some(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_is_asked_once_however_many_want_to_know() {
    let counter = tempfile::NamedTempFile::new().unwrap();
    let script = format!(
        r#"read server; echo "$server" >> '{}'; echo '{{"Username":"me","Secret":"hunter2"}}'"#,
        counter.path().display()
    );
    let (server, helpers) = (basic(), Shims::new().script("docker-credential-counting", &script));
    let party = Arc::new(Party::with(|options| {
        configure(options, r#"{"credsStore":"counting"}"#);
        options.environment.path = Some(helpers.path());
    }));
    let asked = (0..6).map(|number| {
        let (party, host) = (Arc::clone(&party), server.host());
        tokio::spawn(async move {
            let repository = format!("{host}/app{number}").parse().unwrap();
            party.client.has_blob(&repository, &layer()).await.unwrap()
        })
    });
    assert!(futures_util::future::try_join_all(asked).await.unwrap().into_iter().all(|there| there));
    assert_eq!(std::fs::read_to_string(counter.path()).unwrap(), format!("{}\n", server.host()));
    assert_eq!(server.lines().iter().filter(|line| *line == "GET /v2/").count(), 1, "one challenge a host");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_files_say_is_a_login_or_anonymous_or_an_error_that_names_them() {
    let server = basic();
    let host = server.host();
    let login = json!({"auth": "bWU6aHVudGVyMg=="});
    let other = json!({"auth": "eW91OndvcmQ="});
    let broken =
        |what: &str, hint: &str| format!("the login for the registry `HOST` cannot be found out: {what}\nhint: {hint}");
    for (configuration, expected) in [
        ("{}".to_owned(), "anonymous".to_owned()),
        (String::new(), "anonymous".to_owned()),
        (json!({"auths": {"other.example": login}}).to_string(), "anonymous".to_owned()),
        (json!({"auths": {host.as_str(): {}}}).to_string(), "anonymous".to_owned()),
        (json!({"auths": {host.as_str(): login}}).to_string(), "in".to_owned()),
        (json!({"auths": {format!("https://{host}"): login}}).to_string(), "in".to_owned()),
        (json!({"auths": {format!("http://{host}/v2/"): login}}).to_string(), "in".to_owned()),
        (json!({"auths": {format!("{host}/v1/"): login}}).to_string(), "in".to_owned()),
        (json!({"auths": {format!("https://{host}"): other, host.as_str(): login}}).to_string(), "in".to_owned()),
        (json!({"auths": {host.as_str(): other, format!("{host}/team"): login}}).to_string(), "in".to_owned()),
        (
            json!({"auths": {format!("{host}/team/app"): login, format!("{host}/team"): other}}).to_string(),
            "in".to_owned(),
        ),
        (json!({"auths": {format!("{host}/tea"): login}}).to_string(), "anonymous".to_owned()),
        (json!({"auths": {format!("{host}/team"): login}, "credsStore": "missing"}).to_string(), "in".to_owned()),
        (
            json!({"auths": {host.as_str(): login}, "credsStore": "missing", "credHelpers": {host.as_str(): ""}})
                .to_string(),
            "in".to_owned(),
        ),
        (
            "{\n  \"auths\": 7".to_owned(),
            broken("`FILE` is not a valid docker configuration: line 2, column 12", "check it: jq . FILE"),
        ),
        (
            "[]".to_owned(),
            broken("`FILE` is not a valid docker configuration: line 1, column 0", "check it: jq . FILE"),
        ),
        (
            json!({"auths": {host.as_str(): {"auth": "hunter2"}}}).to_string(),
            broken(
                "the entry `HOST` of `auths` in `FILE` is not the base64 text of `user:password`",
                "write it again: anyarch login HOST",
            ),
        ),
    ] {
        let party = Party::configured(&configuration);
        let file = party.store.root().join("docker/config.json").display().to_string();
        assert_eq!(outcome(&party, &server).await.replace(&file, "FILE"), expected, "{configuration}");
    }
    // What is no file: root may read every file, whatever its mode.
    let party = Party::with(|options| {
        let folder = options.store.root().join("docker");
        std::fs::create_dir_all(folder.join("config.json")).unwrap();
        options.environment.docker_config = Some(folder);
    });
    let file = party.store.root().join("docker/config.json").display().to_string();
    assert_eq!(
        outcome(&party, &server).await.replace(&file, "FILE"),
        broken(
            "`FILE` cannot be read: Is a directory (os error 21)",
            "check what it is, and its permissions: ls -ld FILE"
        )
    );
    assert_eq!(outcome(&Party::anonymous(), &server).await, "anonymous");
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_hub_is_logged_in_to_by_all_its_names() {
    let server = basic();
    for key in ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io", "docker.io/team"]
    {
        let party = Party::with(|options| {
            configure(options, &json!({"auths": {key: {"auth": "bWU6aHVudGVyMg=="}}}).to_string());
            options.insecure_hosts.push("docker.io".to_owned());
            options.addresses.insert("registry-1.docker.io".to_owned(), server.host().parse().unwrap());
        });
        let there = party.client.has_blob(&app("docker.io"), &layer()).await;
        assert!(there.unwrap_or_else(|error| panic!("{key}: {}", words(&error))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_kept_where_it_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let environment =
        CredentialEnvironment { docker_config: Some(folder.path().to_owned()), ..CredentialEnvironment::default() };
    let keep = |namespace: Namespace| {
        let environment = &environment;
        async move { environment.keep_login(&namespace, "me", &Secret::new("hunter2"), |_: &Path| ()).await.unwrap() }
    };
    std::fs::write(&path, r#"{"auths":{"docker.io":{"auth":"b2xk"},"docker.io/org":{"auth":"b3Jn"}}}"#).unwrap();
    assert_eq!(keep(Namespace::docker_hub()).await, Kept::File(path.clone()));
    let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let login = json!({"auth": "bWU6aHVudGVyMg=="});
    assert_eq!(kept, json!({"auths": {"https://index.docker.io/v1/": login, "docker.io/org": {"auth": "b3Jn"}}}));
    let forgotten = environment.forget_login(&Namespace::docker_hub(), |_: &Path| ()).await.unwrap();
    assert_eq!((forgotten.from, forgotten.paths), (vec![Kept::File(path)], vec!["docker.io/org".to_owned()]));
    assert!(forgotten.elsewhere.is_empty());
}
