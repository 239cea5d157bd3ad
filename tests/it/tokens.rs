//! Tokens: had for a login, shown to the registry, had anew; and where logins and tokens go, and where not.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyarch::blob::MEDIA_TYPE_LAYER;
use anyarch::reference::Repository;
use anyarch::registry::PushedHow;
use serde_json::json;

use crate::credentials::{ME, app, configure, helpers, layer, outcome};
use crate::registry::{Party, words};
use crate::support::registry::{Options, Registry, TokenServer};
use crate::support::server::{Answer, Request, Server};

/// A registry that lets in whoever shows `token`, to be had at `realm`.
fn bearer(realm: &Server, token: &'static str) -> Server {
    let challenge = format!(r#"Bearer realm="http://{}/token",service="s""#, realm.host());
    Server::start(move |request| match request.header("authorization") {
        Some(shown) if shown == format!("Bearer {token}") => Answer::ok("content"),
        _ => Answer::status(401).with("WWW-Authenticate", challenge.clone()),
    })
}

/// A token server that takes the refresh token `identity` by POST, unless that is answered by `post`.
fn identity_realm(post: u16) -> Server {
    Server::start(move |request| {
        let form = String::from_utf8_lossy(&request.body).into_owned();
        let is_ours = form.contains("refresh_token=identity") && form.contains("grant_type=refresh_token");
        match (request.method.as_str(), post) {
            ("POST", 200) if is_ours => Answer::ok(r#"{"access_token":"changed","refresh_token":"next"}"#),
            ("POST", 403) => Answer::status(403).body(r#"{"error":"access_denied"}"#),
            ("POST", status) => Answer::status(status).body(r#"{"error_description":"the refresh token has expired"}"#),
            // `:identity`
            ("GET", 404 | 405) if request.header("authorization") == Some("Basic OmlkZW50aXR5") => {
                Answer::ok(r#"{"token":"changed"}"#)
            }
            ("GET", 402) => unreachable!("a POST that is answered so is not followed by a GET"),
            _ => Answer::status(401).body(r#"{"details":"incorrect username or password"}"#),
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_token_is_exchanged_by_post_and_where_that_is_unknown_by_get() {
    let expired = "the token server `http://REALM` of the registry `HOST` answered STATUS (the refresh token has expired)\n\
                   hint: the login for `HOST` was not accepted for this; log in again: anyarch login HOST";
    for (post, methods, expected) in [
        (200, &["POST"][..], "in".to_owned()),
        (404, &["POST", "GET"], "in".to_owned()),
        (405, &["POST", "GET"], "in".to_owned()),
        (401, &["POST", "GET"], expired.replace("STATUS", "401 Unauthorized")),
        (
            400,
            &["POST", "GET"],
            "the token server `http://REALM` of the registry `HOST` answered 400 Bad Request (the refresh token has expired)"
                .to_owned(),
        ),
        (
            403,
            &["POST"],
            "the token server `http://REALM` of the registry `HOST` answered 403 Forbidden (access_denied)\n\
             hint: the login for `HOST` was not accepted for this; log in again: anyarch login HOST"
                .to_owned(),
        ),
    ] {
        let realm = identity_realm(post);
        let server = bearer(&realm, "changed");
        let helpers = helpers();
        for configuration in
            [json!({"auths": {server.host(): {"identitytoken": "identity"}}}), json!({"credsStore": "token"})]
        {
            let party = Party::with(|options| {
                configure(options, &configuration.to_string());
                options.environment.path = Some(helpers.path());
            });
            let before = realm.requests().len();
            assert_eq!(outcome(&party, &server).await.replace(&realm.host(), "REALM"), expected, "{post}");
            let asked: Vec<String> = realm.requests()[before..].iter().map(|request| request.method.clone()).collect();
            assert_eq!(asked, methods, "{post}");
            let file = std::fs::read_to_string(party.store.root().join("docker/config.json")).unwrap();
            assert_eq!(file, configuration.to_string(), "no refresh token is kept");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_server_that_sends_us_on_does_not_send_the_login_on() {
    let elsewhere = Server::start(|_| Answer::ok(r#"{"token":"t"}"#));
    let location = format!("http://{}/token", elsewhere.host());
    let realm = Server::start(move |_| Answer::status(307).with("Location", location.clone()));
    let server = bearer(&realm, "t");
    let party = Party::logged_in(&server.host(), "me", "hunter2");
    assert_eq!(
        outcome(&party, &server).await.replace(&realm.host(), "REALM"),
        "the token server `http://REALM` of the registry `HOST` answered 307 Temporary Redirect"
    );
    assert_eq!(realm.requests()[0].header("authorization"), Some(ME));
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_goes_to_the_realm_and_not_to_the_registry_that_wants_tokens() {
    let realm = Server::start(|_| Answer::ok(r#"{"token":"t"}"#));
    let server = bearer(&realm, "t");
    let party = Party::logged_in(&server.host(), "me", "hunter2");
    assert_eq!(outcome(&party, &server).await, "in");
    let shown: Vec<_> =
        server.requests().iter().map(|request| request.header("authorization").map(str::to_owned)).collect();
    assert_eq!(shown, [None, Some("Bearer t".to_owned())]);
    // Another registry with the same realm has a login of its own, or none.
    let other = bearer(&realm, "t");
    assert_eq!(outcome(&party, &other).await, "in");
    let asked: Vec<_> =
        realm.requests().iter().map(|request| request.header("authorization").map(str::to_owned)).collect();
    assert_eq!(asked, [Some(ME.to_owned()), None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_sends_us_in_circles_gets_its_own_login_and_the_others_nothing() {
    let shown = |request: &Request| request.header("authorization").map(str::to_owned);
    // The registry sends us elsewhere, and elsewhere sends us back.
    let address = Arc::new(std::sync::Mutex::new(String::new()));
    let back = Arc::clone(&address);
    let elsewhere = Server::start(move |_| {
        Answer::status(307).with("Location", format!("http://{}/v2/team/app/blobs/again", back.lock().unwrap()))
    });
    let location = format!("http://{}/away", elsewhere.host());
    let server = Server::start(move |request| match (request.header("authorization"), request.target.as_str()) {
        (None, _) => Answer::status(401).with("WWW-Authenticate", "Basic"),
        (Some(_), target) if target.ends_with("/again") => Answer::ok("content"),
        _ => Answer::status(307).with("Location", location.clone()),
    });
    address.lock().unwrap().clone_from(&server.host());
    let party = Party::logged_in(&server.host(), "me", "hunter2");
    party.client.fetch_blob(&app(&server.host()), &layer(), &|_| ()).await.unwrap();
    assert_eq!(elsewhere.requests().iter().map(shown).collect::<Vec<_>>(), [None]);
    assert_eq!(
        server.requests().iter().map(shown).collect::<Vec<_>>(),
        [None, Some(ME.to_owned()), Some(ME.to_owned())]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_asked_for_once_each_and_again_before_they_end() {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let realm = Server::start(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(100));
        // Fresh for three quarters of its life.
        Answer::ok(r#"{"token":"t","expires_in":2}"#)
    });
    let server = bearer(&realm, "t");
    let party = Arc::new(Party::logged_in(&server.host(), "me", "hunter2"));
    let ask = |number: usize| {
        let (party, host) = (Arc::clone(&party), server.host());
        tokio::spawn(async move {
            let repository = format!("{host}/app{}", number % 2).parse().unwrap();
            party.client.has_blob(&repository, &layer()).await.unwrap()
        })
    };
    futures_util::future::try_join_all((0..12).map(ask)).await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 2, "two repositories, two tokens");
    tokio::time::sleep(Duration::from_millis(1600)).await;
    futures_util::future::try_join_all((0..12).map(ask)).await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 4, "before they end they are renewed");
    let lines = server.lines();
    assert_eq!(lines.iter().filter(|line| *line == "GET /v2/").count(), 1, "one challenge a host");
    assert_eq!(lines.len(), 25, "no request was refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_fewer_scopes_is_an_error_for_a_push_and_no_mount_for_a_mount() {
    let tokens = TokenServer::start("me", "hunter2");
    let registry = Registry::start(&Options { tokens: Some(&tokens), ..Default::default() });
    let host = registry.host();
    let (base, target): (Repository, Repository) = (format!("{host}/base").parse().unwrap(), app(&host));
    let party = Party::logged_in(&host, "me", "hunter2");
    let blob = party.store.put(MEDIA_TYPE_LAYER, b"content").unwrap();
    party.push(&base, &blob, None).await.unwrap();
    tokens.withhold("repository:base:");
    assert_eq!(party.push(&target, &blob, Some(&base)).await.unwrap(), PushedHow::Uploaded);

    tokens.withhold("push");
    let other = party.store.put(MEDIA_TYPE_LAYER, b"other").unwrap();
    let asked = tokens.scopes().len();
    let reader = Party::logged_in(&host, "me", "hunter2");
    std::fs::write(reader.store.blob_path(&other.digest), b"other").unwrap();
    let error = reader.push(&target, &other, None).await.unwrap_err();
    assert_eq!(
        words(&error),
        format!(
            "uploading the blob `{}` to `{target}` failed: the registry answered 401 Unauthorized \
             (UNAUTHORIZED: authentication required)\n\
             hint: the login for `{host}` was not accepted for this; log in again: anyarch login {host}",
            other.digest
        )
    );
    assert!(tokens.scopes().len() - asked <= 3, "not for ever: {:?}", tokens.scopes());
}

/// A registry whose first token ends between the first byte of a blob and its last: it then says so and, if `abrupt`,
/// hangs up without having read the rest.
struct Ending {
    address: String,
    lines: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Ending {
    fn start(realm: &Server, abrupt: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let lines = Arc::<std::sync::Mutex<Vec<String>>>::default();
        let challenge = format!(r#"WWW-Authenticate: Bearer realm="http://{}/token",service="s""#, realm.host());
        let seen = Arc::clone(&lines);
        thread::spawn(move || {
            let ended = AtomicUsize::new(0);
            for stream in listener.incoming().map_while(Result::ok) {
                serve(stream, &challenge, abrupt, &ended, &seen);
            }
        });
        Self { address, lines }
    }
}

/// Answers one request. The token `1` ends when the first PUT arrives.
fn serve(
    mut stream: TcpStream,
    challenge: &str,
    abrupt: bool,
    ended: &AtomicUsize,
    seen: &std::sync::Mutex<Vec<String>>,
) {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let is_put = head.starts_with("put");
    if is_put {
        ended.store(1, Ordering::SeqCst);
    }
    let token = head.lines().find_map(|line| line.strip_prefix("authorization: bearer ")).unwrap_or("none").to_owned();
    seen.lock().unwrap().push(format!("{} {token}", head.split(' ').next().unwrap()));
    let length: u64 =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |length| length.parse().unwrap());
    let right = token == "2" || token == "1" && ended.load(Ordering::SeqCst) == 0;
    if right || !abrupt {
        let _ = std::io::copy(&mut std::io::Read::by_ref(&mut stream).take(length), &mut std::io::sink());
    } else if length > 0 {
        // Some of it arrives before it is known that the token has ended.
        let _ = stream.read(&mut [0; 8192]);
    }
    let answer = match head.split(' ').next().unwrap() {
        _ if !right => format!("401 Unauthorized\r\n{challenge}"),
        "post" => "202 Accepted\r\nLocation: /v2/team/app/blobs/uploads/1".to_owned(),
        "put" => "201 Created".to_owned(),
        _ => "404 Not Found".to_owned(),
    };
    let _ = write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_in_the_middle_of_a_large_blob_is_renewed_and_the_push_ends_right() {
    for abrupt in [false, true] {
        let count = AtomicUsize::new(0);
        let realm = Server::start(move |_| {
            Answer::ok(format!(r#"{{"token":"{}","expires_in":300}}"#, count.fetch_add(1, Ordering::SeqCst) + 1))
        });
        let server = Ending::start(&realm, abrupt);
        let party = Party::logged_in(&server.address, "me", "hunter2");
        let blob = party.store.put(MEDIA_TYPE_LAYER, &vec![b'z'; 32 << 20]).unwrap();
        let how = party.push(&app(&server.address), &blob, None).await;
        assert_eq!(how.unwrap_or_else(|error| panic!("{}", words(&error))), PushedHow::Uploaded);
        assert_eq!(realm.requests().len(), 2, "one token before, one after");
        let lines = server.lines.lock().unwrap().clone();
        assert_eq!(lines[..3], ["get none", "head 1", "post 1"], "{lines:?}");
        assert_eq!((lines.contains(&"put 1".to_owned()), lines.last().unwrap().as_str()), (true, "put 2"));
        assert!(lines.len() <= 8, "{lines:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_server_in_passing_trouble_is_asked_again_when_a_registry_is_known_to_send_its_blobs_itself() {
    let count = AtomicUsize::new(0);
    let realm = Server::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        1 => Answer::status(503),
        _ => Answer::ok(r#"{"token":"t"}"#),
    });
    let (server, party) = (bearer(&realm, "t"), Party::anonymous());
    for name in ["first", "second"] {
        let repository: Repository = format!("{}/{name}", server.host()).parse().unwrap();
        party.client.fetch_blob(&repository, &layer(), &|_| ()).await.unwrap();
        std::fs::remove_file(party.store.blob_path(&layer().digest)).unwrap();
    }
    assert_eq!(realm.requests().len(), 3);
}
