//! The requests that a push makes, and what an error says of each.

use crate::support::proxy::On;
use crate::support::scene::{Scene, Where};

/// A request of a push.
#[derive(Clone)]
pub struct Step {
    pub name: &'static str,
    pub side: Side,
    pub on: On,
    /// bytes of the body that is sent, and of the one that comes: about so many, or none
    pub sizes: (u64, u64),
    /// what an error says of it
    pub words: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Base,
    Target,
    Tokens,
}

fn step(name: &'static str, side: Side, on: On, sizes: (u64, u64), words: &'static str) -> Step {
    Step { name, side, on, sizes, words }
}

/// Every kind of request that a push makes. In words, `BASE` is the base's repository, `TARGET` the one that is pushed to.
fn all_steps(scene: &Scene) -> Vec<Step> {
    use Side::{Base, Target, Tokens};
    let get = |digests: &[String]| On::new("GET", format!("/v2/base/blobs/{}", digests[0]));
    let head = |path: &str| On::new("HEAD", path);
    let (none, manifest) = ((0, 0), "reading the manifest `[DIGEST]` of `BASE` failed: ");
    let (tag, blob) = ("reading the manifest `1` of `BASE` failed: ", "reading the blob `[DIGEST]` of `BASE` failed: ");
    let upload = "uploading the blob `[DIGEST]` to `TARGET` failed: ";
    let put = "pushing the manifest `[DIGEST]` to `TARGET` failed: ";
    let manifest_there = "looking for the manifest `[DIGEST]` in `TARGET` failed: ";
    let blob_there = "looking for the blob `[DIGEST]` in `TARGET` failed: ";
    let tag_there = "looking for the manifest `new` in `TARGET` failed: ";
    let mount = "mounting the blob `[DIGEST]` in `TARGET` failed: ";
    let token = "`http://TOKENS`";
    vec![
        step("base registry", Base, On::new("GET", "/v2/"), none, "the registry `HOST` "),
        step("base tag", Base, head("/v2/base/manifests/1"), none, tag),
        step("base manifest", Base, On::new("GET", "/v2/base/manifests/sha256:*"), (0, 490), manifest),
        step("base config", Base, get(&scene.base.configs), (0, 450), blob),
        step("base layer", Base, get(&scene.base.layers), (0, 300_000), blob),
        step("registry", Target, On::new("GET", "/v2/"), none, "the registry `HOST` "),
        step("token", Tokens, On::new("GET", "/token?*"), (0, 2000), token),
        step("tag there?", Target, head("/v2/team/*/manifests/new"), none, tag_there),
        step("manifest there?", Target, head("/v2/team/*/manifests/sha256:*"), none, manifest_there),
        step("blob there?", Target, On::head_blob(), none, blob_there),
        step("mount", Target, On::mount(), none, mount),
        step("begin upload", Target, On::begin_upload(), none, upload),
        step("upload", Target, On::put_blob().larger(100_000), (250_000, 0), upload),
        step("manifest", Target, On::put_manifest(), (490, 0), put),
        step("tag", Target, On::put_tag(), (490, 0), "pushing the manifest `new` to `TARGET` failed: "),
    ]
}

/// What every push asks for; mounts, tokens and looking first depend on where.
const ALWAYS: &[&str] =
    &["base registry", "base tag", "base manifest", "base config", "begin upload", "upload", "manifest", "tag"];

/// Those that are made here when nothing goes wrong.
pub fn steps(scene: &Scene) -> Vec<Step> {
    let mut steps = all_steps(scene);
    steps.retain(|step| times(scene, step) > 0);
    let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
    assert!(ALWAYS.iter().all(|name| names.contains(name)), "some requests are not made any more: {names:?}");
    steps
}

/// How often a step is made when nothing goes wrong.
pub fn times(scene: &Scene, step: &Step) -> usize {
    let requests = match (step.side, scene.lies) {
        (Side::Tokens, _) => &scene.token_requests,
        (Side::Base, Where::Other) => &scene.reads,
        (Side::Base, Where::Same) | (Side::Target, _) => &scene.requests,
    };
    requests.iter().filter(|it| step.on.fits(&it.method, &it.path, it.length)).count()
}
