//! Debian's own `docker-registry` on a free port of this machine, with whatever logins and TLS a test wants, and the
//! token server that such a registry believes.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::server::{Answer, Request, Server};

/// What the registry asks of its users.
#[derive(Default)]
pub struct Options<'options> {
    /// user and password for basic authentication
    pub login: Option<(&'options str, &'options str)>,
    /// the server whose tokens are believed
    pub tokens: Option<&'options TokenServer>,
    /// `HOST:PORT` where tokens are asked for, when that is not the token server itself
    pub realm: Option<&'options str>,
    /// the certificate to show
    pub certificate: Option<&'options Certificate>,
    /// where readers of blobs are sent: `http://HOST/`
    pub blobs: Option<&'options str>,
    /// whether only those are served who show a certificate of the same authority
    pub clients_known: bool,
    /// whether manifests and blobs may be deleted
    pub deletes: bool,
}

/// A running registry; it ends with the value.
pub struct Registry {
    child: Child,
    folder: TempDir,
    port: u16,
}

impl Registry {
    /// Starts a registry without any images.
    ///
    /// # Panics
    /// When it is not installed or does not come up.
    pub fn start(options: &Options<'_>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        let configuration = path.join("config.yml");
        fs::write(&configuration, configure(path, options)).expect("the configuration is written");
        let log = |name: &str| fs::File::create(path.join(name)).expect("a log is made");
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(log("requests.log"))
            .stderr(log("messages.log"))
            .spawn()
            .unwrap_or_else(|error| {
                panic!("`docker-registry` cannot be started: {error}\nhint: apt-get install docker-registry")
            });
        let mut registry = Self { child, folder, port: 0 };
        registry.port = registry.wait_for_port();
        registry
    }

    /// The registry chooses its port itself, and its log says which.
    fn wait_for_port(&self) -> u16 {
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            let log = self.log("messages.log");
            let port = log.split_once("listening on 127.0.0.1:").and_then(|(_, rest)| {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                // The next character is there, so the number is whole.
                (digits.len() < rest.len()).then(|| digits.parse().ok()).flatten()
            });
            if let Some(port) = port {
                return port;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("`docker-registry` did not come up:\n{}", self.log("messages.log"))
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).expect("the log is readable")
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The lines of the access log so far, as the Combined Log Format has them.
    pub fn requests(&self) -> Vec<String> {
        self.log("requests.log").lines().map(str::to_owned).collect()
    }

    /// How many requests so far began with `start`, such as `PUT /v2/app/`.
    pub fn count(&self, start: &str) -> usize {
        let quoted = format!("\"{start}");
        self.requests().iter().filter(|line| line.contains(&quoted)).count()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configure(folder: &Path, options: &Options<'_>) -> String {
    let mut text = format!(
        "version: 0.1\nlog:\n  accesslog:\n    disabled: false\nstorage:\n  delete:\n    enabled: {}\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n",
        options.deletes,
        folder.join("storage").display()
    );
    if let Some(certificate) = options.certificate {
        let (chain, key) = (certificate.chain(), certificate.key());
        let _ = write!(text, "  tls:\n    certificate: {}\n    key: {}\n", chain.display(), key.display());
        if options.clients_known {
            let _ = write!(text, "    clientcas:\n      - {}\n", certificate.authority().display());
        }
    }
    if let Some((user, password)) = options.login {
        let line = run(Command::new("htpasswd").args(["-B", "-b", "-n", user, password]));
        let path = folder.join("htpasswd");
        fs::write(&path, line).expect("the password file is written");
        let _ = write!(text, "auth:\n  htpasswd:\n    realm: test\n    path: {}\n", path.display());
    }
    if let Some(tokens) = options.tokens {
        let _ = write!(
            text,
            "auth:\n  token:\n    realm: http://{}/token\n    service: {}\n    issuer: {}\n    rootcertbundle: {}\n",
            options.realm.map_or_else(|| tokens.server.host(), str::to_owned),
            TokenServer::SERVICE,
            TokenServer::ISSUER,
            tokens.certificate.display()
        );
    }
    if let Some(blobs) = options.blobs {
        let _ =
            write!(text, "middleware:\n  storage:\n    - name: redirect\n      options:\n        baseurl: {blobs}\n");
    }
    text
}

/// Has the authority in `folder` sign a request.
fn certify(folder: &Path, request: &str, certificate: &str) {
    let file = |name: &str| folder.join(name);
    run(Command::new("openssl").args(["x509", "-req", "-days", "2", "-CAcreateserial"]).args([
        PathBuf::from("-in"),
        file(request),
        "-CA".into(),
        file("authority.pem"),
        "-CAkey".into(),
        file("authority.key"),
        // Without any extension it would be a certificate of version 1.
        "-extfile".into(),
        file("extensions"),
        "-out".into(),
        file(certificate),
    ]));
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A server certificate for `registry.test`, and the authority that made it.
pub struct Certificate {
    folder: TempDir,
}

impl Certificate {
    /// The name that it is good for.
    pub const NAME: &'static str = "registry.test";

    /// Makes both.
    pub fn make() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| folder.path().join(name);
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let openssl = || Command::new("openssl");
        run(openssl().args(["req", "-x509", "-days", "2", "-subj", "/CN=anyarch test authority"]).args(key).args([
            "-keyout".into(),
            file("authority.key"),
            "-out".into(),
            file("authority.pem"),
        ]));
        run(openssl().args(["req", "-subj", "/CN=registry.test"]).args(key).args([
            "-keyout".into(),
            file("key.pem"),
            "-out".into(),
            file("request.pem"),
        ]));
        fs::write(file("extensions"), "subjectAltName=DNS:registry.test\n").expect("the extensions are written");
        certify(folder.path(), "request.pem", "chain.pem");
        Self { folder }
    }

    /// The authority's certificate, to be trusted.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// A client's certificate by the same authority, with its key: their files.
    pub fn client(&self) -> (PathBuf, PathBuf) {
        let file = |name: &str| self.folder.path().join(name);
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let request = ["-keyout".into(), file("client.key"), "-out".into(), file("client-request.pem")];
        run(Command::new("openssl").args(["req", "-subj", "/CN=client"]).args(key).args(request));
        certify(self.folder.path(), "client-request.pem", "client.pem");
        (file("client.pem"), file("client.key"))
    }

    fn chain(&self) -> PathBuf {
        self.folder.path().join("chain.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }
}

/// A token server that gives whatever is asked for to whoever knows the password.
pub struct TokenServer {
    pub server: Server,
    certificate: PathBuf,
    lives: Arc<Mutex<Vec<i64>>>,
    withheld: Arc<Mutex<Vec<String>>>,
    _folder: TempDir,
}

impl TokenServer {
    const SERVICE: &'static str = "test registry";
    const ISSUER: &'static str = "test issuer";

    /// Starts a server that knows one user.
    pub fn start(user: &str, password: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (key, certificate) = (folder.path().join("token.key"), folder.path().join("token.pem"));
        run(Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tokens"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate));
        let der = run(Command::new("openssl").args(["x509", "-outform", "DER", "-in"]).arg(&certificate));
        let accepted = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let lives = Arc::<Mutex<Vec<i64>>>::default();
        let next_lives = Arc::clone(&lives);
        let withheld = Arc::<Mutex<Vec<String>>>::default();
        let not_given = Arc::clone(&withheld);
        let server = Server::start(move |request| {
            if request.header("authorization") != Some(&accepted) {
                return Answer::status(401).body(r#"{"details":"incorrect username or password"}"#);
            }
            let life = next_lives.lock().unwrap().pop().unwrap_or(300);
            let token = sign(&key, &der, &claims(request, life, &not_given.lock().unwrap()));
            // What it says of the life of the token is not what the token says.
            Answer::ok(json!({"token": token, "expires_in": 300}).to_string())
        });
        Self { server, certificate, lives, withheld, _folder: folder }
    }

    /// Gives no more of what is wanted, but for it still gives tokens: neither scopes that begin so, nor actions of that name.
    pub fn withhold(&self, scope_or_action: &str) {
        self.withheld.lock().unwrap().push(scope_or_action.to_owned());
    }

    /// Gives the next token that life in seconds; a negative one has ended when it is given.
    pub fn next_life(&self, seconds: i64) {
        self.lives.lock().unwrap().push(seconds);
    }

    /// The scopes of each token that was asked for.
    pub fn scopes(&self) -> Vec<Vec<String>> {
        self.server.requests().iter().map(|request| request.query("scope")).collect()
    }
}

fn claims(request: &Request, life: i64, withheld: &[String]) -> Value {
    let scopes = request.query("scope");
    let access: Vec<Value> = scopes
        .iter()
        .filter(|scope| !withheld.iter().any(|withheld| scope.starts_with(withheld.as_str())))
        .filter_map(|scope| {
            let mut parts = scope.splitn(3, ':');
            let (kind, name, actions) = (parts.next()?, parts.next()?, parts.next()?);
            let given = |action: &&str| !withheld.iter().any(|withheld| withheld == action);
            let actions: Vec<&str> = actions.split(',').filter(given).collect();
            Some(json!({"type": kind, "name": name, "actions": actions}))
        })
        .collect();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is right").as_secs();
    let now = i64::try_from(now).expect("the clock is right");
    json!({
        "iss": TokenServer::ISSUER,
        "aud": request.query("service").first(),
        "sub": "me",
        "nbf": now - 3600,
        "iat": now - 3600,
        // The registry forgives a minute.
        "exp": if life < 0 { now - 600 } else { now + life },
        "jti": format!("{:?}", Instant::now()),
        "access": access,
    })
}

/// A JSON Web Token, <https://www.rfc-editor.org/rfc/rfc7519>, signed by openssl.
fn sign(key: &Path, certificate: &[u8], claims: &Value) -> String {
    let header = json!({"typ": "JWT", "alg": "RS256", "x5c": [STANDARD.encode(certificate)]});
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(claims));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("signed");
    fs::write(&path, &signed).expect("the token is written");
    let signature = run(Command::new("openssl").args(["dgst", "-sha256", "-sign"]).arg(key).arg(&path));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
