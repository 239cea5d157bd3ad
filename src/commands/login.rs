//! `anyarch login`: asks for a login or takes it from stdin, tries it, and has it kept.

mod input;

use std::io::{IsTerminal as _, stdin};
use std::path::Path;
use std::sync::Arc;

use crate::cli::Login;
use crate::exit::Exit;
use crate::invocation::quote;
use crate::reference::{DOCKER_HUB, Namespace};
use crate::registry::{AtRegistry, Kept, LoginError, Secret, Tried};
use crate::run::error::Error;
use crate::run::event::{Event, Watch as _};
use crate::run::registries;
use crate::run::session::Session;
use crate::ui::Ui;

/// Runs the command.
#[must_use]
pub fn run(arguments: &Login) -> Exit {
    let ui = Arc::new(Ui::new(false));
    match log_in(&ui, arguments) {
        Ok(()) => Exit::Success,
        Err(error) => super::failed(&ui, &error),
    }
}

fn log_in(ui: &Arc<Ui>, arguments: &Login) -> Result<(), Error> {
    let namespace = namespace(arguments.registry.as_deref())?;
    if arguments.password.is_some() {
        return Err(LoginError::InArguments { line: line(&namespace, arguments) }.into());
    }
    if !arguments.password_stdin && !stdin().is_terminal() {
        return Err(LoginError::NoTerminal { line: line(&namespace, arguments) }.into());
    }
    let session = super::session(ui, false)?;
    let work = attempt(ui, &session, &namespace, arguments);
    super::carry_out(ui, &session, work)
}

/// What is to be logged in to or out of.
///
/// # Errors
/// When it is no registry.
pub(super) fn namespace(text: Option<&str>) -> Result<Namespace, LoginError> {
    text.map_or_else(|| Ok(Namespace::docker_hub()), |text| text.parse().map_err(LoginError::Name))
}

/// Says that another process has the file.
pub(super) fn waiting(ui: &Ui) -> impl Fn(&Path) {
    move |file| ui.line(&format!("waiting for another anyarch that writes `{}`", file.display()))
}

/// The line that logs in without a terminal.
fn line(namespace: &Namespace, arguments: &Login) -> String {
    let user = arguments.username.as_deref().map_or_else(|| "USER".to_owned(), quote);
    let mut line = format!("printf %s \"$PASSWORD\" | anyarch login -u {user} --password-stdin");
    if *namespace != Namespace::docker_hub() {
        line = format!("{line} {namespace}");
    }
    for host in &arguments.insecure_registry {
        line = format!("{line} --insecure-registry {}", quote(host));
    }
    line
}

async fn attempt(ui: &Ui, session: &Session, namespace: &Namespace, arguments: &Login) -> Result<(), Error> {
    session.credentials.readable_login_file().await?;
    let (user, password) = ask(ui, arguments).await?;
    let client = registries::without_project(session, arguments.insecure_registry.clone())?;
    let tried = client.try_login(namespace, &user, &password).await;
    let at = |error| AtRegistry { error: Box::new(error), file: registries::file_of_user(session) };
    if tried.map_err(|error| LoginError::Registry(at(error)))? == Tried::NotAsked {
        let note = format!("`{}` asks nobody for a login, so this one could not be tried", namespace.registry);
        ui.event(Event::Note(note));
    }
    let kept = session.credentials.keep_login(namespace, &user, &password, waiting(ui)).await?;
    let by = match kept {
        Kept::Helper { program } => format!("by {program}"),
        Kept::File(file) => {
            let file = file.display();
            ui.event(Event::Note(format!("the password is not encrypted in `{file}`, only encoded")));
            format!("in {file}")
        }
    };
    if namespace.path.is_some() {
        ui.event(Event::Note("docker itself knows no logins of a path; podman and skopeo do".to_owned()));
    }
    ui.line(&format!("login succeeded: {namespace} as {user}, kept {by}"));
    Ok(())
}

/// Who logs in, and by what.
async fn ask(ui: &Ui, arguments: &Login) -> Result<(String, Secret), LoginError> {
    let user = if let Some(user) = &arguments.username {
        user.clone()
    } else {
        let registry = arguments.registry.as_deref().unwrap_or(DOCKER_HUB);
        input::line(ui, &format!("user name at {registry}: ")).await?
    };
    if user.is_empty() {
        return Err(LoginError::NoUser);
    }
    if user.contains(':') {
        return Err(LoginError::Colon { user });
    }
    let password = if arguments.password_stdin {
        input::all().await?
    } else {
        input::secret(ui, &format!("password or access token of {user}: ")).await?
    };
    if password.is_empty() { Err(LoginError::NoPassword) } else { Ok((user, Secret::new(password))) }
}
