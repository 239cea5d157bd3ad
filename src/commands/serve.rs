//! `anyarch serve`: which images are served and where, for pipelines; how to run them, and what happens, for people.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde_json::json;

use crate::cli::Serve as Arguments;
use crate::exec::Children;
use crate::exit::Exit;
use crate::run::error::Error;
use crate::run::event::{Event, Watch as _};
use crate::run::{interrupt, locate};
use crate::serve::{Image, Origin, Said, Say, ServeError, Server, Shelf, make_room};
use crate::ui::{Ui, bytes, seconds};

/// The longest path of a request that is shown, in letters.
const LONGEST_PATH: usize = 300;

/// Runs the command.
#[must_use]
pub fn run(arguments: &Arguments) -> Exit {
    let ui = Arc::new(Ui::new(arguments.verbose));
    match serve(&ui, arguments) {
        Ok(()) => Exit::Success,
        Err(error) => super::failed(&ui, &error),
    }
}

fn serve(ui: &Arc<Ui>, arguments: &Arguments) -> Result<(), Error> {
    let directory = super::directory()?;
    let origins = if arguments.layouts.is_empty() {
        // Without a project nothing was built, either.
        let root = locate::locate(&directory, ".").map_or_else(|_| directory.clone(), |location| location.root);
        let folder = locate::layouts_folder(&root);
        if !folder.is_dir() {
            return Err(ServeError::NothingBuilt { folder }.into());
        }
        vec![Origin::Folder(folder)]
    } else {
        arguments.layouts.iter().map(|text| Origin::read(&directory, text)).collect::<Result<_, _>>()?
    };
    let server = Server::bind(arguments.addr)?;
    let host = host(server.address());
    let say = sayer(ui, &host);
    let shelf = Arc::new(Shelf::open(origins, make_room(), say.clone())?);
    let images = shelf.images();
    for note in notes(server.address(), &images) {
        ui.event(Event::Note(note));
    }
    for line in instructions(server.address(), &host, &images) {
        ui.line(&line);
    }
    if arguments.json {
        ui.data(&as_value(server.address(), &host, &images).to_string());
    } else {
        for image in &images {
            ui.data(&name(&host, image));
        }
    }
    let (stuck, verbose) = (Arc::clone(ui), arguments.verbose);
    let give_up = move || super::end_interrupted(stuck);
    interrupt::until_signal(&Children::default(), give_up, |end| server.run(shelf, say, verbose, end))??;
    ui.line("ended");
    Ok(())
}

/// What people write before the names of images. Docker speaks plain http to `localhost` and to loopback addresses alone.
fn host(address: SocketAddr) -> String {
    let ip = address.ip();
    let local = ip.is_loopback() && (ip.is_ipv6() || ip == IpAddr::from([127, 0, 0, 1]));
    if local || ip.is_unspecified() { format!("localhost:{}", address.port()) } else { address.to_string() }
}

fn name(host: &str, image: &Image) -> String {
    format!("{host}/{}:{}", image.repository, image.tag)
}

fn notes(address: SocketAddr, images: &[Image]) -> Vec<String> {
    let mut notes = Vec::new();
    if !address.ip().is_loopback() {
        notes
            .push(format!("`{address}` is not of this machine alone: whoever reaches it can read all of these images"));
        notes.push(
            "other machines speak plain http only to a registry that their docker or podman calls insecure".to_owned(),
        );
    }
    if images.is_empty() {
        notes.push("no image has a name: what there is can be pulled by its digest alone".to_owned());
    }
    notes
}

/// How to run what is served, by the first image.
fn instructions(address: SocketAddr, host: &str, images: &[Image]) -> Vec<String> {
    let number = match images.len() {
        1 => "1 image".to_owned(),
        number => format!("{number} images"),
    };
    let mut lines = vec![format!("serving {number} on http://{address}, read only; Ctrl-C ends it")];
    if let Some(image) = images.first().map(|image| name(host, image)) {
        lines.push(format!("run it:  docker run --rm {image}"));
        lines.push(format!("         podman run --rm --tls-verify=false {image}"));
        lines.push(format!("copy it: skopeo copy --all --src-tls-verify=false docker://{image} DESTINATION"));
    }
    lines
}

fn as_value(address: SocketAddr, host: &str, images: &[Image]) -> serde_json::Value {
    let images: Vec<_> = images
        .iter()
        .map(|image| {
            json!({
                "reference": name(host, image),
                "repository": image.repository,
                "tag": image.tag,
                "digest": image.digest,
                "mediaType": image.media_type,
                "layout": image.layout,
            })
        })
        .collect();
    json!({"address": address.to_string(), "images": images})
}

fn sayer(ui: &Arc<Ui>, host: &str) -> Say {
    let (ui, host) = (Arc::clone(ui), host.to_owned());
    Arc::new(move |said| match said {
        Said::Note(note) => ui.event(Event::Note(note)),
        Said::Changed { name, digest: Some(digest) } => ui.line(&format!("{host}/{name} is {digest} now")),
        Said::Changed { name, digest: None } => ui.line(&format!("{host}/{name} is gone")),
        Said::Answered { method, path, status, sent, elapsed } => {
            // What a request says may hold anything but letters.
            let path: String = path.chars().take(LONGEST_PATH).flat_map(char::escape_debug).collect();
            ui.line(&format!("{method:<7} {status} {path} {} {}", bytes(sent), seconds(elapsed)));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_called_as_docker_can_pull_them() {
        for (address, expected) in [
            ("127.0.0.1:5000", "localhost:5000"),
            ("[::1]:5000", "localhost:5000"),
            ("127.0.0.2:5000", "127.0.0.2:5000"),
            ("0.0.0.0:5000", "localhost:5000"),
            ("[::]:5000", "localhost:5000"),
            ("192.0.2.7:5000", "192.0.2.7:5000"),
        ] {
            assert_eq!(host(address.parse().unwrap()), expected, "{address}");
        }
    }
}
