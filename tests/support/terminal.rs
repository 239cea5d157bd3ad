//! Runs a program whose stderr is a terminal.

use std::fs::File;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};

use super::process;

/// How long a program may take.
const LIMIT: Duration = Duration::from_mins(5);

/// What a program left behind.
pub struct Shown {
    /// the exit code
    pub code: i32,
    /// what it wrote to stdout, which was a pipe
    pub stdout: String,
    /// all that it wrote to the terminal, in the order in which it did, with what moves the cursor
    pub terminal: String,
    columns: usize,
}

impl Shown {
    /// What stood on the terminal, a line for each time that it was written; without what moves the cursor and colours.
    pub fn lines(&self) -> Vec<String> {
        let mut plain = String::new();
        let mut rest = self.terminal.as_str();
        while let Some((text, escape)) = rest.split_once('\u{1b}') {
            let end = escape.find(|letter: char| letter.is_ascii_alphabetic()).map_or(escape.len(), |end| end + 1);
            plain.push_str(text);
            // Moves end a line; colours do not.
            plain.push_str(if escape[..end].ends_with('m') { "" } else { "\n" });
            rest = &escape[end..];
        }
        plain.push_str(rest);
        // What is longer than a line goes on in the next.
        let letters: Vec<Vec<char>> = plain.split(['\n', '\r']).map(|line| line.chars().collect()).collect();
        let lines = letters.iter().flat_map(|line| line.chunks(self.columns));
        let lines = lines.map(|line| line.iter().collect::<String>().trim_end().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    }
}

/// Runs `command` with a terminal of that size, in letters, as its stderr.
///
/// # Panics
/// When it cannot be started or does not end.
pub fn run(command: &mut Command, columns: u16, rows: u16) -> Shown {
    let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(Some(&size), None).expect("a terminal can be made");
    let mut screen = File::from(terminal.master);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(terminal.slave);
    let mut child = command.spawn().expect("the program under test starts");
    // As long as anyone could still write to it, the terminal has no end.
    command.stderr(Stdio::null());
    let shown = thread::spawn(move || {
        let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
        // When nobody can write to it any more, reading a terminal is an error.
        while let Ok(length) = screen.read(&mut piece)
            && length > 0
        {
            bytes.extend_from_slice(&piece[..length]);
        }
        bytes
    });
    let end = Instant::now() + LIMIT;
    while child.try_wait().expect("a child can be waited for").is_none() {
        if Instant::now() >= end {
            child.kill().expect("a child can be killed");
            panic!("`{}` did not end within {} s", process::line(command), LIMIT.as_secs());
        }
        thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().expect("the program has ended");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let terminal = text(&shown.join().expect("the reader ends"));
    Shown { code: process::exit_code(output.status), stdout: text(&output.stdout), terminal, columns: columns.into() }
}
