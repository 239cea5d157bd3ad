//! Reads what a person types, or what stdin holds. On threads of their own: who reads a terminal cannot be interrupted.

use std::io::{self, IsTerminal as _, Read as _, stdin};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use tokio::sync::oneshot;

use crate::registry::LoginError;
use crate::ui::Ui;

/// The longest password, in bytes: keys of service accounts have some thousands.
const LONGEST: usize = 64 * 1024;

/// A terminal that does not show what is typed; it does again when the value goes.
struct Silence(Termios);

impl Silence {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        // The line still ends for whoever looks.
        silent.local_flags.insert(LocalFlags::ECHONL);
        tcsetattr(stdin(), SetArg::TCSANOW, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that has gone away shows nothing any more.
        let _ = tcsetattr(stdin(), SetArg::TCSANOW, &self.0);
    }
}

/// Asks for a line.
///
/// # Errors
/// When it cannot be read.
pub(super) async fn line(ui: &Ui, words: &str) -> Result<String, LoginError> {
    ui.ask(words);
    let text = elsewhere(|| {
        let mut text = String::new();
        stdin().read_line(&mut text)?;
        Ok(text)
    });
    Ok(without_newline(text.await?))
}

/// Asks for a line that nobody is to see.
///
/// # Errors
/// When it cannot be read, or the terminal cannot keep it to itself.
pub(super) async fn secret(ui: &Ui, words: &str) -> Result<String, LoginError> {
    let _silence = Silence::begin().map_err(LoginError::Input)?;
    line(ui, words).await
}

/// All of stdin, less the newline at its end.
///
/// # Errors
/// When it cannot be read, or is longer than any password.
pub(super) async fn all() -> Result<String, LoginError> {
    let _silence = stdin().is_terminal().then(Silence::begin);
    let text = elsewhere(|| {
        let mut text = String::new();
        stdin().take(LONGEST as u64 + 2).read_to_string(&mut text)?;
        Ok(text)
    });
    let text = without_newline(text.await?);
    if text.len() > LONGEST { Err(LoginError::LongPassword { limit: LONGEST }) } else { Ok(text) }
}

fn without_newline(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

/// Runs what waits for a person without being waited for at the end of the program.
async fn elsewhere(read: impl FnOnce() -> io::Result<String> + Send + 'static) -> Result<String, LoginError> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        // Nobody listens any more when the user pressed Ctrl-C.
        let _ = sender.send(read());
    });
    let read = receiver.await.unwrap_or_else(|_| Err(io::ErrorKind::UnexpectedEof.into()));
    read.map_err(LoginError::Input)
}
