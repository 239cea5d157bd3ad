//! Ctrl-C ends compilers and what they started; nothing is published, and what was there before is still whole.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::fs::OFlags;

use crate::support::cache;
use crate::support::process;
use crate::support::program::{Home, Program};
use crate::support::project::Project;
use crate::support::proxy::{Proxy, Request};
use crate::support::registry::{Options, Registry};

/// How long an interrupted run may take to end.
const LIMIT: Duration = Duration::from_secs(20);
/// Where the build script says that it runs.
const MARK: &str = "TEST_MARK";

/// A program whose build script starts another program and waits for it, where [`MARK`] names a file.
fn project() -> Project {
    let script = r#"
fn main() {
    println!("cargo::rerun-if-env-changed=TEST_MARK");
    let Some(mark) = std::env::var_os("TEST_MARK") else { return };
    let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    std::fs::write(mark, format!("{} {}\n", std::process::id(), child.id())).unwrap();
    child.wait().unwrap();
}
"#;
    Project::new()
        .file(
            "Cargo.toml",
            "[package]\nname = \"slow\"\nversion = \"1.0.0\"\nedition = \"2021\"\nbuild = \"build.rs\"\n",
        )
        .file("Cargo.lock", "version = 4\n\n[[package]]\nname = \"slow\"\nversion = \"1.0.0\"\n")
        .file("src/main.rs", "fn main() {}\n")
        .file("build.rs", script)
}

/// Every file below `folder` with its length.
fn files(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder can be read") {
            let entry = entry.expect("a folder can be read");
            let metadata = entry.metadata().expect("a file can be looked at");
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                found.insert(entry.path(), metadata.len());
            }
        }
    }
    found
}

/// Starts the program in a process group of its own, as a shell does, and waits until its compiler's child runs;
/// returns it with the processes that the build script named.
fn start(program: &Program<'_>, mark: &Path) -> (Child, Vec<i32>) {
    let mut command = program.command();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().expect("the program can be started");
    let end = Instant::now() + Duration::from_mins(5);
    let named = loop {
        let said = fs::read_to_string(mark).unwrap_or_default();
        if said.ends_with('\n') {
            break said.split_whitespace().map(|number| number.parse().expect("a process has a number")).collect();
        }
        if Instant::now() > end {
            child.kill().and_then(|()| child.wait()).expect("the program can be ended");
            panic!("what the program starts did not start");
        }
        thread::sleep(Duration::from_millis(20));
    };
    (child, named)
}

/// Sends a signal to the program's group and waits for its end: its exit code, stdout and stderr.
fn interrupt(child: Child, signal: Signal) -> (i32, String, String) {
    send(&child, signal);
    ended(child)
}

fn send(child: &Child, signal: Signal) {
    killpg(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).expect("the program runs");
}

/// Waits for the end of the program: its exit code, stdout and stderr.
fn ended(mut child: Child) -> (i32, String, String) {
    let end = Instant::now() + LIMIT;
    while child.try_wait().expect("a child can be waited for").is_none() {
        if Instant::now() > end {
            child.kill().and_then(|()| child.wait()).expect("the program can be ended");
            panic!("the program does not end");
        }
        thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().expect("the program has ended");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (process::exit_code(output.status), text(&output.stdout), text(&output.stderr))
}

/// True when a process is there and not merely waited for by nobody.
fn runs(process: i32) -> bool {
    let state = fs::read_to_string(format!("/proc/{process}/stat"));
    state.is_ok_and(|state| !state.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
}

/// The command lines of processes that work in `folder` or name it.
fn processes_of(folder: &Path) -> Vec<String> {
    let name = folder.to_string_lossy();
    let numbers = fs::read_dir("/proc").expect("/proc is there").filter_map(|entry| {
        let name = entry.ok()?.file_name();
        name.to_str()?.parse::<i32>().ok()
    });
    let of = numbers.filter(|number| runs(*number)).filter_map(|number| {
        let line = fs::read(format!("/proc/{number}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let here = fs::read_link(format!("/proc/{number}/cwd")).is_ok_and(|place| place.starts_with(folder));
        (here || line.contains(&*name)).then_some(line)
    });
    of.collect()
}

fn assert_all_gone(project: &Project, named: &[i32]) {
    let left: Vec<&i32> = named.iter().filter(|process| runs(**process)).collect();
    assert!(left.is_empty(), "of the processes {named:?}, {left:?} still run");
    let left = processes_of(project.path());
    assert!(left.is_empty(), "these still run: {left:#?}");
}

#[test]
fn an_interrupt_ends_compilers_and_leaves_the_layout_as_it_was() {
    let (project, home) = (project(), Home::new());
    let program = || project.anyarch_at(&home).args(["build", "--platform", "linux/amd64,linux/arm64"]);
    program().run().assert_success();
    let (own, cache) = (project.path().join(".anyarch"), home.cache());
    let before = files(&own);
    assert!(before.keys().any(|path| path.ends_with("slow/index.json")), "{before:?}");

    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mark = home.path().join(signal.as_str());
        let (child, named) = start(&program().env(MARK, &mark), &mark);
        let (code, stdout, stderr) = interrupt(child, signal);
        assert_eq!((code, &*stdout), (130, ""), "{signal}: {stderr}");
        assert!(stderr.ends_with("error: interrupted\n"), "{signal}: {stderr}");
        assert_all_gone(&project, &named);
        assert_eq!(files(&own), before, "{signal}");
        assert!(files(&cache.join("tmp")).is_empty(), "{signal}: something is left in the cache");
    }
    // What was interrupted can be done again.
    program().run().assert_success();
    assert_eq!(files(&own), before);
}

#[test]
fn an_interrupt_while_one_program_waits_for_another_publishes_nothing() {
    let registry = Registry::start(&Options::default());
    let proxy = Proxy::before(&registry);
    let (project, home) = (project(), Home::new());
    let tag = format!("{}/slow:1", proxy.host());
    let mark = home.path().join("mark");
    let program = project.anyarch_at(&home).args(["build", "--push", "--platform", "linux/amd64", "-t", &tag]);
    let (child, named) = start(&program.env(MARK, &mark), &mark);
    let (code, stdout, stderr) = interrupt(child, Signal::SIGINT);
    assert_eq!((code, &*stdout), (130, ""), "{stderr}");
    assert_all_gone(&project, &named);
    let changes = |request: &Request| !matches!(request.method.as_str(), "GET" | "HEAD");
    assert!(!proxy.take().iter().any(changes), "something was sent to the registry");
}

#[test]
fn an_interrupt_is_heard_while_a_tool_is_asked() {
    let home = Home::new();
    let mark = home.path().join("mark");
    // Asking Go what a project is may mean downloads, which take as long as they take.
    let shims = crate::support::shims::Shims::new()
        .script("go", &format!("sleep 1000 &\necho \"$$ $!\" > '{}'\nwait", mark.display()));
    let project = Project::hello_go();
    let program = project.anyarch_at(&home).args(["build"]).env("PATH", shims.path());
    let (child, named) = start(&program, &mark);
    let (code, _, stderr) = interrupt(child, Signal::SIGINT);
    assert_eq!(code, 130, "{stderr}");
    assert_all_gone(&project, &named);
}

/// The program in a process group of its own, which writes into pipes.
fn spawn(program: &Program<'_>, stdout: Stdio) -> Child {
    let mut command = program.command();
    command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped()).process_group(0);
    command.spawn().expect("the program can be started")
}

/// Waits for something that comes, or says what did not.
fn until<T>(what: &str, happened: impl Fn() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(it) = happened() {
            return it;
        }
        assert!(Instant::now() < end, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The largest blob of a layout, which is a layer, becomes a pipe: who opens it waits until somebody writes to it.
fn with_a_pipe_for_a_layer(layout: &Path) -> PathBuf {
    let blobs = files(&layout.join("blobs/sha256"));
    let (largest, _) = blobs.into_iter().max_by_key(|(_, length)| *length).expect("a layout has blobs");
    fs::remove_file(&largest).unwrap();
    process::succeed(Command::new("mkfifo").arg(&largest));
    largest
}

#[test]
fn an_interrupt_ends_a_run_whose_base_is_on_a_file_system_that_hangs() {
    let (project, home) = (cache::site(b"a page"), Home::new());
    let layer = with_a_pipe_for_a_layer(&project.path().join("base"));
    let program = project.anyarch_at(&home).args(["build"]);
    for signals in [&[Signal::SIGINT][..], &[Signal::SIGINT, Signal::SIGINT], &[Signal::SIGTERM, Signal::SIGHUP]] {
        let child = spawn(&program, Stdio::piped());
        // It can be opened like that only when somebody reads it, who then gets nothing.
        let mut options = fs::File::options();
        options.write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let held = until("nobody reads the layer", || options.open(&layer).ok());
        for signal in signals {
            send(&child, *signal);
            thread::sleep(Duration::from_millis(50));
        }
        let (code, stdout, stderr) = ended(child);
        assert_eq!((code, &*stdout), (130, ""), "{signals:?}: {stderr}");
        assert!(stderr.ends_with("error: interrupted\n"), "{signals:?}: {stderr}");
        drop(held);
    }
    assert!(!project.path().join(".anyarch/out").exists());
}

#[test]
fn an_interrupt_is_heard_while_a_layout_is_written() {
    let (project, home) = (cache::site(&cache::noise(1, 9_000)), Home::new());
    cache::build(&project, &home, &[]);
    let folder = project.path().join(".anyarch/out");
    let before = cache::index_of(&folder.join("site"));
    // The old one is looked at for layers that can be taken over.
    let layer = with_a_pipe_for_a_layer(&folder.join("site"));
    let unfinished = || {
        let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "unfinished")).collect::<Vec<_>>()
    };
    let child = spawn(&project.anyarch_at(&home).args(["build"]), Stdio::piped());
    until("no layout is written", || unfinished().pop());
    thread::sleep(Duration::from_millis(200));
    let (code, stdout, stderr) = interrupt(child, Signal::SIGINT);
    assert_eq!((code, &*stdout), (130, ""), "{stderr}");
    assert!(stderr.ends_with("error: interrupted\n"), "{stderr}");
    assert_eq!(cache::index_of(&folder.join("site")), before);

    // Who hangs can tidy nothing up. A day later nobody can be at work on what is left.
    let left = unfinished();
    assert_eq!(left.len(), 1, "{left:?}");
    for part in ["", "blobs", "blobs/sha256"] {
        let opened = fs::File::open(left[0].join(part)).unwrap();
        opened.set_modified(opened.metadata().unwrap().modified().unwrap() - Duration::from_hours(25)).unwrap();
    }
    fs::remove_file(layer).unwrap();
    cache::build(&project, &home, &[]);
    assert_eq!(unfinished(), [""; 0].map(PathBuf::from));
    assert_eq!(cache::index_of(&folder.join("site")), before);
}

#[test]
fn an_interrupt_is_heard_while_nobody_reads_what_is_written() {
    let (project, home) = (cache::site(&cache::noise(1, 300_000)), Home::new());
    let mut child = spawn(&project.anyarch_at(&home).args(["build", "-o", "type=oci,dest=-"]), Stdio::piped());
    // Much more is to come than a pipe holds.
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).expect("the archive begins");
    send(&child, Signal::SIGINT);
    let (code, _, stderr) = ended(child);
    assert_eq!(code, 130, "{stderr}");
    assert!(stderr.ends_with("error: interrupted\n"), "{stderr}");
    assert!(files(&home.cache().join("tmp")).is_empty(), "something is left in the cache");
}

#[test]
fn an_interrupt_is_heard_after_the_work_is_done() {
    let (project, home) = (cache::site(b"a page"), Home::new());
    let (reader, mut writer) = std::io::pipe().unwrap();
    let stdout = Stdio::from(writer.try_clone().unwrap());
    // A pipe that is full whenever the program wants to write to it.
    let filling = thread::spawn(move || while writer.write_all(&[0; 4096]).is_ok() {});
    let mut child = spawn(&project.anyarch_at(&home).args(["build"]), stdout);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("done in ") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "the program ended before");
    }
    send(&child, Signal::SIGINT);
    let (code, _, _) = ended(child);
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!((code, &*rest), (130, "error: interrupted\n"));
    drop(reader);
    filling.join().unwrap();
}
