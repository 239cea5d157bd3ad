//! A push that ends in the middle, killed or interrupted, at points spread over its requests and their bodies: the old tag
//! stays whole, and the next run ends right without what arrived already.

use std::collections::BTreeSet;
use std::fs::File;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::prebuilt::Noise;
use crate::support::process::{Ended, exit_code};
use crate::support::proxy::{Fault, Gate, On, Request};
use crate::support::scene::{Attempt, Implementation, Scene, Where};
use crate::support::trials::Trials;

/// Which points are tried: another number tries others.
const SEED: u64 = 20_261_121;
/// How long a program may take to come to a point, and to end.
const LIMIT: Duration = Duration::from_mins(1);

/// A moment of a push.
#[derive(Debug)]
struct Point {
    /// the request that is held then
    on: On,
    /// how much of its body came before
    after: u64,
    /// whether the registry gets it all the same, after the program's end
    arrives: bool,
}

/// A point at any request, or in the body of one of the larger uploads.
fn point(scene: &Scene, noise: &mut Noise) -> Point {
    let arrives = noise.below(2) == 0;
    if noise.below(2) == 0 {
        let time = 1 + noise.below(scene.requests.len() as u64);
        return Point { on: On::new("*", "*").nth(time), after: 0, arrives };
    }
    let uploads: Vec<&Request> = scene.requests.iter().filter(|request| large(request)).collect();
    let shortest = uploads.iter().map(|request| request.length).min().expect("something large is uploaded");
    let time = 1 + noise.below(uploads.len() as u64);
    Point { on: On::put_blob().larger(LARGE).nth(time), after: noise.below(shortest), arrives }
}

/// Bytes of an upload that is worth to be cut.
const LARGE: u64 = 100_000;

fn large(request: &Request) -> bool {
    request.uploads() && request.length >= LARGE
}

/// The digests of blobs that arrived whole.
fn arrived(requests: &[Request]) -> BTreeSet<String> {
    let uploads = requests.iter().filter(|request| request.uploads() && request.status == 201);
    uploads.filter_map(digest).collect()
}

/// The blob that a PUT ends the upload of.
fn digest(request: &Request) -> Option<String> {
    let (_, digest) = request.path.split_once("digest=")?;
    Some(digest.split('&').next()?.replace("%3A", ":"))
}

/// Starts a push and ends it at that point; what it said, and what the registry was asked.
fn end_at(scene: &Scene, attempt: &Attempt<'_>, point: &Point, signal: Signal) -> (Ended, Vec<Request>) {
    let gate = Gate::default();
    scene.target.fault(point.on.clone(), Fault::Hold(point.after, gate.clone()));
    let mut command = attempt.program().command();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(gate.wait(LIMIT), "no request came to that point");
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
    let ended = wait(child);
    if point.arrives {
        gate.open();
    } else {
        gate.refuse();
    }
    scene.target.settle();
    scene.target.heal();
    (ended, scene.target.take())
}

fn wait(mut child: Child) -> Ended {
    let end = Instant::now() + LIMIT;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            child.kill().and_then(|()| child.wait()).expect("the program can be ended");
            panic!("the program does not end");
        }
        thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (code, stdout, stderr) = (exit_code(output.status), text(&output.stdout), text(&output.stderr));
    Ended { code, bytes: output.stdout, stdout, stderr }
}

/// Ends a push at that point and holds what is left, and the next run, to what was promised.
fn try_point(scene: &Scene, point: &Point, signal: Signal) {
    let attempt = scene.attempt();
    let old = attempt.put_old();
    let (ended, requests) = end_at(scene, &attempt, point, signal);
    if signal == Signal::SIGINT {
        assert_eq!((ended.code, &*ended.stdout), (130, ""), "{}", ended.stderr);
        assert!(ended.stderr.ends_with("error: interrupted\n"), "{}", ended.stderr);
        assert_eq!(attempt.half_done(), [""; 0], "something is left half done");
    } else {
        assert_eq!(ended.code, 128 + signal as i32, "it ended before: {}", ended.stderr);
    }
    let moved = requests.iter().any(|request| request.pushed() == Some("new") && request.status == 201);
    let tag = attempt.tag("new").expect("the tag is there");
    assert_eq!(tag, if moved { scene.digest.clone() } else { old });
    attempt.assert_whole(&tag);

    // A day later nobody else can be at work on what is left.
    for path in attempt.half_done() {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_hours(25)).unwrap();
    }
    let arrived = arrived(&requests);
    attempt.assert_right(&attempt.run());
    let again: Vec<String> = scene.target.take().iter().filter(|it| it.uploads()).filter_map(digest).collect();
    let twice: Vec<&String> = again.iter().filter(|digest| arrived.contains(*digest)).collect();
    assert!(twice.is_empty(), "these had arrived and were uploaded again: {twice:?}");
}

fn try_points(scene: &Scene, count: usize, signal: Signal) {
    let (mut noise, mut trials) = (Noise::new(SEED), Trials::default());
    for number in 1..=count {
        let point = point(scene, &mut noise);
        trials.run(&format!("{signal} {number}: {point:?}"), || try_point(scene, &point, signal));
    }
}

#[test]
#[ignore = "full: kill"]
fn a_push_killed_at_any_point_leaves_the_old_tag_and_the_next_one_is_right() {
    try_points(&Scene::new(Implementation::Distribution, Where::Other), 20, Signal::SIGKILL);
}

#[test]
#[ignore = "full: kill"]
fn a_push_with_mounts_killed_at_any_point_leaves_the_old_tag_and_the_next_one_is_right() {
    try_points(&Scene::new(Implementation::Distribution, Where::Same), 10, Signal::SIGKILL);
}

#[test]
#[ignore = "full: kill"]
fn a_push_to_another_implementation_killed_at_any_point_leaves_the_old_tag() {
    try_points(&Scene::new(Implementation::Crane, Where::Other), 10, Signal::SIGKILL);
}

#[test]
#[ignore = "full: kill"]
fn a_push_interrupted_at_any_point_leaves_nothing_half_done() {
    try_points(&Scene::new(Implementation::Distribution, Where::Other), 20, Signal::SIGINT);
}

#[test]
fn a_push_that_is_ended_leaves_the_old_tag_and_the_next_one_is_right() {
    let scene = Scene::new(Implementation::Distribution, Where::Other);
    let upload = On::put_blob().larger(LARGE).nth(2);
    try_point(&scene, &Point { on: upload.clone(), after: 100_000, arrives: false }, Signal::SIGKILL);
    try_point(&scene, &Point { on: On::put_tag(), after: 0, arrives: false }, Signal::SIGKILL);
    try_point(&scene, &Point { on: upload, after: 100_000, arrives: true }, Signal::SIGINT);
}
