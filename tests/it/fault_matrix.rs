//! Whatever goes wrong with whichever request: what passes leaves the image that an undisturbed run makes, and what lasts
//! ends with an error that says what was tried where, with the old tag in its place, and in a next run that is right.

mod steps;

use std::time::Duration;

use crate::support::program::redact;
use crate::support::proxy::{Cut, Fault, On, Proxy, Reply};
use crate::support::scene::{Implementation, Scene, Where};
use crate::support::trials::Trials;

/// What a fault comes to.
#[derive(Clone, Copy)]
enum Outcome {
    /// the image that an undisturbed run makes
    Right,
    /// an error with these words
    Wrong(&'static [&'static str]),
}

use Outcome::{Right, Wrong};
use steps::{Side, Step, steps, times};

const TRIED: &str = "(tried 5 times in [TIME])";

/// Runs cells one after the other and tells of all that failed.
struct Matrix {
    scene: Scene,
    trials: Trials,
}

impl Matrix {
    fn new(scene: Scene) -> Self {
        Self { scene, trials: Trials::default() }
    }

    fn steps(&self) -> Vec<Step> {
        steps(&self.scene)
    }

    /// The step of that name, if this scene has it.
    fn named(&self, name: &str) -> Option<Step> {
        self.steps().into_iter().find(|step| step.name == name)
    }

    /// One cell: the faults happen to the requests that fit, and this is what comes of it.
    fn cell(&mut self, step: &Step, on: &On, faults: &[Fault], outcome: Outcome) {
        let name = format!("{}: {faults:?} {on:?}", step.name);
        self.trials.run(&name, || try_cell(&self.scene, step, on, faults, outcome));
    }

    /// What fails the first time and not the second.
    fn passes(&mut self, step: &Step, fault: Fault) {
        self.cell(step, &step.on.clone().first(1), &[fault], Right);
    }

    /// What goes on for good, to the request of that name, if this scene makes it.
    fn lasts(&mut self, name: &str, faults: &[Fault], outcome: Outcome) {
        if let Some(step) = self.named(name) {
            self.cell(&step, &step.on, faults, outcome);
        }
    }
}

fn proxy_of(scene: &Scene, side: Side) -> &Proxy {
    match side {
        Side::Base => scene.base_proxy(),
        Side::Target => &scene.target,
        Side::Tokens => scene.tokens.as_ref().expect("a step of tokens is one of a scene with tokens"),
    }
}

fn try_cell(scene: &Scene, step: &Step, on: &On, faults: &[Fault], outcome: Outcome) {
    let proxy = proxy_of(scene, step.side);
    let attempt = scene.attempt();
    let old = if matches!(outcome, Wrong(_)) { Some(attempt.put_old()) } else { None };
    for fault in faults {
        proxy.fault(on.clone(), fault.clone());
    }
    let ended = attempt.run();
    assert!(proxy.take().iter().any(|request| request.faulty), "no such request was made\n{}", ended.stderr);
    // Those who look at what came of it are to see it.
    proxy.heal();
    let Wrong(words) = outcome else { return attempt.assert_right(&ended) };
    let stderr = redact(&ended.stderr, &[]);
    assert_eq!((ended.code, &*ended.stdout), (6, ""), "{stderr}");
    let (base, target) = (scene.base_name(), format!("{}/{}", scene.target.host(), attempt.repository));
    let own = step.words.replace("BASE", base.trim_end_matches(":1")).replace("TARGET", &target);
    let own = own.replace("TOKENS", scene.tokens.as_ref().map_or("", Proxy::host)).replace("HOST", scene.target.host());
    for words in words.iter().copied().chain([&*redact(&own, &[])]) {
        assert!(stderr.contains(words), "it does not say `{words}`:\n{stderr}");
    }
    assert_eq!(attempt.tag("new"), old, "the tag was moved");
    assert_eq!(attempt.half_done(), [""; 0], "something is left half done");
    attempt.assert_right(&attempt.run());
}

/// A date in the near future, as `Retry-After` may have it.
fn soon() -> String {
    let soon = std::time::SystemTime::now() + Duration::from_secs(2);
    let format = &time::format_description::well_known::Rfc2822;
    time::OffsetDateTime::from(soon).format(format).expect("a date can be written").replace("+0000", "GMT")
}

/// What passes, for any request.
fn passing(step: &Step) -> Vec<Fault> {
    let mut faults: Vec<Fault> = [408, 500, 502, 504].into_iter().map(Fault::status).collect();
    faults.extend([Fault::wait(503, "1"), Fault::wait(429, "1"), Fault::wait(429, &soon())]);
    faults.extend([Fault::LoseAnswer(Cut::Close), Fault::LoseAnswer(Cut::Reset)]);
    faults.push(Fault::Delay(Duration::from_secs(1)));
    let (sent, received) = step.sizes;
    if sent > 0 {
        faults.push(Fault::AnswerEarly(Reply::refusal(503, "UNAVAILABLE", "later")));
        for at in [0, sent / 2] {
            faults.extend([Fault::CutRequest(at, Cut::Close), Fault::CutRequest(at, Cut::Reset)]);
        }
        faults.push(Fault::SlowRequest(sent / 2));
    }
    if received > 0 {
        for at in [0, received / 2] {
            faults.extend([Fault::CutAnswer(at, Cut::Close), Fault::CutAnswer(at, Cut::Reset)]);
        }
        faults.extend([Fault::SlowAnswer(received / 2), Fault::DropHeader("Content-Length")]);
        if step.side != Side::Tokens {
            faults.extend([Fault::Shorten(received / 2), Fault::Corrupt(received / 2)]);
        }
    }
    faults
}

fn whatever_passes(scene: Scene) {
    let mut matrix = Matrix::new(scene);
    for step in matrix.steps() {
        for fault in passing(&step) {
            matrix.passes(&step, fault);
        }
    }
}

#[test]
#[ignore = "full: faults"]
fn what_fails_once_is_right_the_second_time() {
    whatever_passes(Scene::new(Implementation::Distribution, Where::Other));
}

#[test]
#[ignore = "full: faults"]
fn what_fails_once_is_right_the_second_time_with_mounts() {
    whatever_passes(Scene::new(Implementation::Distribution, Where::Same));
}

#[test]
#[ignore = "full: faults"]
fn what_fails_once_is_right_the_second_time_with_tokens() {
    whatever_passes(Scene::with_tokens());
}

#[test]
#[ignore = "full: faults"]
fn what_fails_once_is_right_the_second_time_at_another_implementation() {
    whatever_passes(Scene::new(Implementation::Crane, Where::Other));
}

/// What may be answered for good to requests that can do without: the registry is another kind, not broken.
fn whatever_is_done_without(scene: Scene) {
    let mut matrix = Matrix::new(scene);
    for status in [403, 404, 405] {
        for name in ["base tag", "tag there?", "manifest there?", "blob there?", "mount"] {
            matrix.lasts(name, &[Fault::status(status)], Right);
        }
    }
    for status in [400, 501] {
        matrix.lasts("mount", &[Fault::status(status)], Right);
    }
    matrix.lasts("mount", &[Fault::ForgetMount], Right);
    matrix.lasts("mount", &[Fault::ForgetMount, Fault::DropHeader("Location")], Right);
    for name in ["base tag", "base manifest", "tag there?", "mount", "upload", "manifest", "tag"] {
        matrix.lasts(name, &[Fault::DropHeader("Docker-Content-Digest")], Right);
    }
    for name in ["base manifest", "base config", "base layer", "blob there?"] {
        matrix.lasts(name, &[Fault::DropHeader("Content-Length")], Right);
    }
    for name in ["mount", "upload", "manifest", "tag"] {
        matrix.lasts(name, &[Fault::DropHeader("Location")], Right);
    }
    matrix.lasts("base layer", &[Fault::SlowAnswer(200_000)], Right);
    matrix.lasts("upload", &[Fault::SlowRequest(400_000)], Right);
    // What is too large whole goes up in parts.
    for fault in [Fault::TooLarge(100_000), Fault::AnswerEarly(Reply::new(413)), Fault::status(413)] {
        matrix.lasts("upload", &[fault], Right);
    }
    // An upload that the registry forgets, and a body that it cuts, are begun anew.
    if let Some(step) = matrix.named("upload") {
        matrix.passes(&step, Fault::forget_upload());
        matrix.cell(&step, &step.on.clone().first(2), &[Fault::CutRequest(100_000, Cut::Reset)], Right);
    }
}

#[test]
#[ignore = "full: faults"]
fn what_a_registry_lacks_is_done_without() {
    whatever_is_done_without(Scene::new(Implementation::Distribution, Where::Other));
}

#[test]
#[ignore = "full: faults"]
fn what_a_registry_with_mounts_lacks_is_done_without() {
    whatever_is_done_without(Scene::new(Implementation::Distribution, Where::Same));
}

#[test]
#[ignore = "full: faults"]
fn what_another_implementation_lacks_is_done_without() {
    whatever_is_done_without(Scene::new(Implementation::Crane, Where::Other));
}

/// What is refused for good, and what the error says besides what was done where.
fn whatever_is_refused(scene: Scene) {
    let mut matrix = Matrix::new(scene);
    for name in ["base manifest", "base config", "base layer", "begin upload", "upload", "manifest", "tag", "token"] {
        matrix.lasts(name, &[Fault::status(403)], Wrong(&["403 Forbidden", "the test says so", "hint: "]));
    }
    matrix.lasts(
        "token",
        &[Fault::status(403)],
        Wrong(&["the token server `http://localhost:[PORT]` of the registry `"]),
    );
    for name in ["base manifest", "base config", "base layer", "begin upload", "manifest", "tag"] {
        matrix.lasts(name, &[Fault::status(404)], Wrong(&["404 Not Found", "hint: "]));
        matrix.lasts(name, &[Fault::status(405)], Wrong(&["405 Method Not Allowed"]));
    }
    for name in ["manifest", "tag", "upload", "begin upload"] {
        matrix.lasts(name, &[Fault::status(400)], Wrong(&["400 Bad Request", "the test says so"]));
    }
    // Smaller parts are tried where a registry does not take so much at once; here nothing is small enough.
    let limits = Wrong(&["413 Payload Too Large", "hint: the registry, or a proxy before it, limits"]);
    for fault in [Fault::TooLarge(100), Fault::AnswerEarly(Reply::new(413)), Fault::status(413)] {
        if let Some(step) = matrix.named("upload") {
            matrix.cell(&step, &On::new("*", "/v2/team/*/blobs/uploads/*").larger(101), &[fault], limits);
        }
    }
    matrix.lasts("upload", &[Fault::forget_upload()], Wrong(&["BLOB_UPLOAD_UNKNOWN"]));
    matrix.lasts("begin upload", &[Fault::DropHeader("Location")], Wrong(&["no `Location`"]));
    for name in ["base manifest", "base config", "base layer"] {
        matrix.lasts(name, &[Fault::Corrupt(200)], Wrong(&["sent other content"]));
        // What brings some of a blob each time comes to its end.
        matrix.lasts(name, &[Fault::Shorten(0)], Wrong(&[]));
    }
    let other = format!("sha256:{}", "0".repeat(64));
    for name in ["upload", "manifest"] {
        let fault = Fault::SetHeader("Docker-Content-Digest", other.clone());
        matrix.lasts(name, &[fault], Wrong(&["the registry stored it as [DIGEST], but it is [DIGEST]"]));
    }
    // Ways out that there are: logging in for whoever did not, a mirror for whoever reads.
    for name in ["manifest", "upload", "token"] {
        let words = Wrong(&["429 Too Many Requests", "asks to wait [TIME]", "limits requests", "hint: "]);
        matrix.lasts(name, &[Fault::wait(429, "3600")], words);
    }
    for name in ["base tag", "base layer"] {
        let words = Wrong(&["429 Too Many Requests", "asks to wait [TIME]", "limits requests", "log in", "mirror"]);
        matrix.lasts(name, &[Fault::wait(429, "3600")], words);
    }
}

#[test]
#[ignore = "full: faults"]
fn what_is_refused_says_what_was_tried_and_leaves_the_old_tag() {
    whatever_is_refused(Scene::new(Implementation::Distribution, Where::Other));
}

#[test]
#[ignore = "full: faults"]
fn what_is_refused_with_tokens_says_what_was_tried_and_leaves_the_old_tag() {
    whatever_is_refused(Scene::with_tokens());
}

#[test]
#[ignore = "full: faults"]
fn what_another_implementation_refuses_says_what_was_tried_and_leaves_the_old_tag() {
    whatever_is_refused(Scene::new(Implementation::Crane, Where::Other));
}

/// Passing failures that do not pass.
fn whatever_lasts(scene: Scene) {
    let mut matrix = Matrix::new(scene);
    for step in matrix.steps() {
        // A mount only saves what an upload costs.
        let asked = if step.name == "mount" { Right } else { Wrong(&["503 Service Unavailable", TRIED]) };
        matrix.cell(&step, &step.on, &[Fault::status(503)], asked);
        let lost = match step.name {
            // It is there all the same, which is seen before it is sent again.
            "upload" | "mount" => Some(Right),
            // It is moved each time.
            "tag" => None,
            _ => Some(Wrong(&[TRIED])),
        };
        if let Some(outcome) = lost {
            matrix.cell(&step, &step.on, &[Fault::LoseAnswer(Cut::Reset)], outcome);
        }
        let (sent, received) = step.sizes;
        if sent > 0 {
            matrix.cell(&step, &step.on, &[Fault::CutRequest(sent / 2, Cut::Close)], Wrong(&[TRIED]));
        }
        if received > 0 {
            matrix.cell(&step, &step.on, &[Fault::CutAnswer(0, Cut::Close)], Wrong(&[TRIED]));
        }
    }
}

#[test]
#[ignore = "full: faults"]
fn what_lasts_says_how_often_it_was_tried() {
    whatever_lasts(Scene::new(Implementation::Distribution, Where::Other));
}

#[test]
#[ignore = "full: faults"]
fn what_lasts_with_mounts_says_how_often_it_was_tried() {
    whatever_lasts(Scene::new(Implementation::Distribution, Where::Same));
}

#[test]
#[ignore = "full: faults"]
fn what_lasts_with_tokens_says_how_often_it_was_tried() {
    whatever_lasts(Scene::with_tokens());
}

#[test]
#[ignore = "full: faults"]
fn a_token_that_ends_in_the_middle_of_a_push_is_replaced() {
    let mut matrix = Matrix::new(Scene::with_tokens());
    for step in matrix.steps().iter().filter(|step| step.side == Side::Target && step.name != "registry") {
        for time in [1, 2].into_iter().take(times(&matrix.scene, step)) {
            matrix.cell(step, &step.on.clone().nth(time), &[Fault::ForgetLogin], Right);
        }
    }
}

/// In one run the first request of every kind fails: the quick part of all this.
fn all_at_once(scene: &Scene, fault: &dyn Fn(&Step) -> Fault) {
    let attempt = scene.attempt();
    let matrix = steps(scene);
    for step in &matrix {
        let proxy = if step.side == Side::Base { scene.base_proxy() } else { &scene.target };
        proxy.fault(step.on.clone().first(1), fault(step));
    }
    let ended = attempt.run();
    let mut asked = scene.target.take();
    asked.extend(scene.source.take());
    for step in &matrix {
        let met = asked.iter().any(|it| it.faulty && step.on.fits(&it.method, &it.path, it.length));
        assert!(met, "{}: no such request was made", step.name);
    }
    attempt.assert_right(&ended);
}

#[test]
fn a_run_in_which_every_kind_of_request_fails_once_is_right() {
    let scene = Scene::new(Implementation::Distribution, Where::Same);
    all_at_once(&scene, &|_| Fault::wait(503, "0"));
    let scene = Scene::new(Implementation::Distribution, Where::Other);
    all_at_once(&scene, &|_| Fault::LoseAnswer(Cut::Reset));
    all_at_once(&scene, &|step| match step.sizes {
        (0, 0) => Fault::status(500),
        (0, received) => Fault::CutAnswer(received / 2, Cut::Reset),
        (sent, _) => Fault::CutRequest(sent / 2, Cut::Close),
    });
}

#[test]
fn a_refused_push_says_what_was_tried_and_leaves_the_old_tag() {
    let mut matrix = Matrix::new(Scene::new(Implementation::Distribution, Where::Other));
    matrix.lasts("tag", &[Fault::status(403)], Wrong(&["403 Forbidden", "the test says so", "hint: "]));
    matrix.lasts("upload", &[Fault::status(400)], Wrong(&["400 Bad Request"]));
    matrix.lasts("base layer", &[Fault::status(404)], Wrong(&["404 Not Found"]));
}
