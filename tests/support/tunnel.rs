//! A proxy as companies have them: it opens tunnels (CONNECT) and passes plain requests on, for those who know its
//! password, and speaks SOCKS to who does. It alone knows where names below `.test` are: on this machine.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The proxy; it serves until the tests end.
pub struct Tunnel {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Tunnel {
    /// Starts a proxy that wants a login, or none.
    pub fn start(login: Option<(&str, &str)>) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = socket.local_addr().expect("a socket has an address").port();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let wanted = login.map(|(user, password)| format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            for client in socket.incoming().map_while(Result::ok) {
                let (seen, wanted) = (Arc::clone(&shared), wanted.clone());
                // Whoever goes away in the middle is a test that is over.
                thread::spawn(move || drop(serve(client, wanted.as_deref(), &seen)));
            }
        });
        Self { port, seen }
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What was asked of it, as `CONNECT registry.test:5000` or `GET http://registry.test:5000/v2/`.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no thread panics with the list").clone()
    }
}

fn serve(mut client: TcpStream, wanted: Option<&str>, seen: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    if reader.fill_buf()?.first() == Some(&5) {
        return serve_socks(client, reader, seen);
    }
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let (mut headers, mut login) = (Vec::new(), None);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "proxy-authorization" => login = Some(value.trim().to_owned()),
            "connection" => {}
            _ => headers.push(line.trim_end().to_owned()),
        }
    }
    let words: Vec<&str> = first.split_whitespace().collect();
    let [method, target, _] = words[..] else { return Ok(()) };
    seen.lock().expect("no thread panics with the list").push(format!("{method} {target}"));
    let refuse = |mut client: TcpStream, status: &str| {
        write!(client, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    };
    if login.as_deref() != wanted {
        return refuse(client, "407 Proxy Authentication Required");
    }
    let (authority, path) = match target.strip_prefix("http://") {
        None => (target, ""),
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
    };
    let Some((_, port)) = authority.split_once(':').filter(|(host, _)| host.rsplit('.').next() == Some("test")) else {
        return refuse(client, "502 Bad Gateway");
    };
    let mut server = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    if method == "CONNECT" {
        write!(client, "HTTP/1.1 200 Connected\r\n\r\n")?;
    } else {
        write!(server, "{method} {path} HTTP/1.1\r\nConnection: close\r\n{}\r\n\r\n", headers.join("\r\n"))?;
    }
    pass(&client, reader, server)
}

/// SOCKS 5 with names, <https://www.rfc-editor.org/rfc/rfc1928>.
fn serve_socks(mut client: TcpStream, mut reader: BufReader<TcpStream>, seen: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut head = [0; 2];
    reader.read_exact(&mut head)?;
    reader.read_exact(&mut vec![0; usize::from(head[1])])?;
    client.write_all(&[5, 0])?;
    let mut request = [0; 5];
    reader.read_exact(&mut request)?;
    let mut name = vec![0; usize::from(request[4]) + 2];
    reader.read_exact(&mut name)?;
    let port = u16::from_be_bytes([name[name.len() - 2], name[name.len() - 1]]);
    name.truncate(name.len() - 2);
    let name = String::from_utf8_lossy(&name).into_owned();
    seen.lock().expect("no thread panics with the list").push(format!("SOCKS {name}:{port}"));
    let server = TcpStream::connect(("127.0.0.1", port))?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    pass(&client, reader, server)
}

/// Passes everything on, both ways.
fn pass(client: &TcpStream, mut reader: BufReader<TcpStream>, mut server: TcpStream) -> io::Result<()> {
    let (mut up, mut down) = (server.try_clone()?, client.try_clone()?);
    let sending = thread::spawn(move || {
        let sent = io::copy(&mut reader, &mut up);
        up.shutdown(Shutdown::Write).and(sent)
    });
    io::copy(&mut server, &mut down)?;
    client.shutdown(Shutdown::Both)?;
    let _ = sending.join();
    Ok(())
}
