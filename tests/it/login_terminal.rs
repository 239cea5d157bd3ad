//! `anyarch login` at a terminal.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::pty::openpty;
use nix::sys::termios::{LocalFlags, tcgetattr};

use crate::login::{basic, config};
use crate::support::process::{self, Ended};
use crate::support::program::{Home, Program};

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
