//! One image that several machines build: `build --shard --push-by-digest`, then `index create --from-results`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support;
use crate::support::process;
use crate::support::program::{Home, Output};
use crate::support::project::Project;
use crate::support::registry::{Options, Registry};
use crate::support::start::Source;

const PLATFORMS: &str = "linux/arm64,linux/amd64,linux/arm/v7";
const ANNOTATION: &str = "index:org.example.team=one";

/// A machine: a checkout and a cache of its own.
struct Machine {
    project: Project,
    home: Home,
}

impl Machine {
    fn new() -> Self {
        Self { project: Project::hello_go(), home: Home::new() }
    }

    fn build(&self, tag: &str, arguments: &[&str]) -> Output {
        let program = self.project.anyarch_at(&self.home).args(["build", "--annotation", ANNOTATION, "-t", tag]);
        program.args(["--platform", PLATFORMS]).args(arguments).run()
    }

    fn results(&self) -> PathBuf {
        self.project.path().join(".anyarch/results")
    }
}

/// Builds the part of one machine, and puts its result into `gathered`.
fn part(shard: &str, tag: &str, gathered: &Path) -> Output {
    let machine = Machine::new();
    let output = machine.build(tag, &["--shard", shard, "--push-by-digest"]);
    output.assert_success();
    for file in fs::read_dir(machine.results()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), gathered.join(file.file_name())).unwrap();
    }
    output
}

fn publish(gathered: &Path, arguments: &[&str]) -> Output {
    let program = support::anyarch().cwd(gathered.parent().expect("a folder lies in another"));
    program.args(["index", "create", "--from-results"]).args([gathered]).args(arguments).run()
}

/// The tags of a repository; none when there is no such repository.
fn tags(registry: &Registry, repository: &str) -> Vec<String> {
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["list-tags", "--tls-verify=false", &format!("docker://{}/{repository}", registry.host())]);
    let Ok(listed) = skopeo.output() else { panic!("skopeo can be run") };
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap_or_default();
    listed["Tags"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn several_machines_publish_what_one_machine_publishes() {
    let registry = Registry::start(&Options::default());
    let (whole, shared) = (format!("{}/whole:1", registry.host()), format!("{}/shared:1", registry.host()));
    let alone = Machine::new().build(&whole, &["--push"]);
    alone.assert_success();
    let folder = tempfile::tempdir().unwrap();
    let gathered = folder.path().join("gathered");
    fs::create_dir(&gathered).unwrap();

    let first = part("1/2", &shared, &gathered);
    assert!(first.stdout.starts_with(&format!("{}/shared@sha256:", registry.host())), "{}", first.stdout);
    assert!(first.stderr.contains("result written to .anyarch/results/shard-1-of-2.json\n"), "{}", first.stderr);
    publish(&gathered, &[]).assert_code(2).assert_stderr(
        "error: there is no result of the shard 2/2\n\n\
         hint: run it, and put its file beside the others: anyarch build --shard 2/2 ...\n",
    );
    part("2/2", &shared, &gathered);
    assert!(tags(&registry, "shared").is_empty());

    let output = publish(&gathered, &[]);
    output.assert_success();
    let digest = alone.stdout.trim_end().rsplit_once('@').expect("a reference by digest").1;
    assert_eq!(output.stdout, format!("{}/shared@{digest}\n", registry.host()));
    assert_eq!(tags(&registry, "shared"), ["1"]);
    assert_eq!(Source::Registry(shared).platforms(), PLATFORMS.split(',').collect::<Vec<_>>());

    // To another place under another name: what that lacks is brought there.
    let elsewhere = Registry::start(&Options::default());
    let other = format!("{}/other:2", elsewhere.host());
    publish(&gathered, &["-t", &other]).assert_success();
    assert_eq!(Source::Registry(other).unpack("linux/arm64").start(&[]).stdout, "hello from linux/arm64\n");
}

#[test]
fn machines_that_were_told_their_platforms_publish_together() {
    let registry = Registry::start(&Options::default());
    let tag = format!("{}/app:1", registry.host());
    let folder = tempfile::tempdir().unwrap();
    let gathered = folder.path().join("gathered");
    for (machine, platform) in ["linux/arm64", "linux/amd64"].into_iter().enumerate() {
        let project = Project::hello_go();
        let own = gathered.join(format!("results-{machine}"));
        let build = project.anyarch().args(["build", "--push-by-digest", "-t", &tag, "--platform", platform]);
        build.args(["--results"]).args([&own]).run().assert_success();
        assert!(own.join(format!("{}.json", platform.replace('/', "-"))).is_file());
    }
    publish(&gathered, &[]).assert_success();
    assert_eq!(Source::Registry(tag).platforms(), ["linux/amd64", "linux/arm64"]);
}

#[test]
fn a_machine_without_a_platform_has_a_result_all_the_same() {
    let registry = Registry::start(&Options::default());
    let tag = format!("{}/app:1", registry.host());
    let machine = Machine::new();
    let output = machine.build(&tag, &["--shard", "4/4", "--push-by-digest"]);
    output.assert_success();
    let note = "note: the shard 4/4 has no platform of `hello`, which has 3\n";
    assert!(output.stderr.contains(note), "{}", output.stderr);
    assert_eq!(output.stdout, "");
    let result: Value =
        serde_json::from_slice(&fs::read(machine.results().join("shard-4-of-4.json")).unwrap()).unwrap();
    assert_eq!(result, serde_json::json!({"format": 1, "shard": "4/4", "images": []}));
}

#[test]
fn a_part_never_takes_the_place_of_the_whole() {
    let machine = Machine::new();
    machine.build("localhost:1/app:1", &["--shard", "1/2", "--push"]).assert_code(2).assert_stderr(
        "error: the shard 1/2 is a part of the image, and a push would move the tags to it\n\n\
         hint: --push-by-digest; then, with all results in a folder: anyarch index create --from-results DIR\n",
    );
    machine.build("localhost:1/app:1", &["--results", "here"]).assert_code(2).assert_stderr(
        "error: `--results` says where the result of a push by digest goes, and nothing is pushed by digest\n\n\
         hint: --push-by-digest\n",
    );
}

/// A pipeline's machines run on this one: `sh` with the variables that the pipeline sets.
struct Pipeline {
    registry: Registry,
    folder: tempfile::TempDir,
}

impl Pipeline {
    fn new() -> Self {
        Self { registry: Registry::start(&Options::default()), folder: tempfile::tempdir().unwrap() }
    }

    fn image(&self) -> String {
        format!("{}/team/hello:v1", self.registry.host())
    }

    /// Runs a script of the pipeline in `folder`.
    fn run(folder: &Path, script: &str, variables: &[(&str, &str)]) {
        let program = Path::new(env!("CARGO_BIN_EXE_anyarch"));
        let mut path = program.parent().expect("a program lies in a folder").as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let home = Home::new();
        let mut shell = Command::new("sh");
        shell.args(["-ec", script]).current_dir(folder).env("PATH", path).env("ANYARCH_CACHE_DIR", home.cache());
        process::succeed(shell.envs(variables.iter().copied()));
    }

    /// What was published starts.
    fn assert_published(&self) {
        let image = Source::Registry(self.image());
        assert_eq!(image.platforms(), PLATFORMS.split(',').collect::<Vec<_>>());
        assert_eq!(image.unpack("linux/arm/v7").start(&[]).stdout, "hello from linux/arm\n");
    }

    /// A checkout of a project whose configuration says for which platforms it is built.
    fn checkout() -> Project {
        let platforms: Vec<String> = PLATFORMS.split(',').map(|platform| format!("\"{platform}\"")).collect();
        Project::hello_go().file("anyarch.toml", format!("platforms = [{}]\n", platforms.join(", ")))
    }
}

/// The documents of an example of a pipeline.
fn example(name: &str) -> Vec<Value> {
    let file = support::repository().join("examples/ci").join(name);
    let text = fs::read_to_string(file).unwrap();
    text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

fn text<'value>(value: &'value Value, pointer: &str) -> &'value str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} of {value}"))
}

/// The step of that name.
fn step<'job>(job: &'job Value, name: &str) -> &'job Value {
    let steps = job["steps"].as_array().expect("a job has steps");
    let named = |step: &&Value| step["name"] == name || step["run"]["name"] == name;
    steps.iter().find(named).unwrap_or_else(|| panic!("the job has a step `{name}`"))
}

#[test]
fn the_example_for_github_actions_publishes() {
    let (pipeline, workflow) = (Pipeline::new(), example("github-actions.yml").remove(0));
    let image = pipeline.image();
    let build = &workflow["jobs"]["build"];
    for (position, shard) in build["strategy"]["matrix"]["shard"].as_array().unwrap().iter().enumerate() {
        let script = text(step(build, "build"), "/run").replace("${{ matrix.shard }}", shard.as_str().unwrap());
        let checkout = Pipeline::checkout();
        Pipeline::run(checkout.path(), &script, &[("IMAGE", &image)]);
        // What one action uploads the other one unpacks into a folder of the artifact's name.
        let steps = build["steps"].as_array().unwrap();
        let artifact = steps.iter().find(|step| step["uses"] == "actions/upload-artifact@v4").unwrap();
        let to = pipeline.folder.path().join("results").join(format!("results-{position}"));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::rename(checkout.path().join(text(artifact, "/with/path")), to).unwrap();
    }
    Pipeline::run(pipeline.folder.path(), text(step(&workflow["jobs"]["publish"], "publish"), "/run"), &[]);
    pipeline.assert_published();
}

#[test]
fn the_example_for_gitlab_publishes() {
    let (pipeline, jobs) = (Pipeline::new(), example("gitlab-ci.yml").remove(0));
    let (name, tag) = pipeline.image().rsplit_once(':').map(|(name, tag)| (name.to_owned(), tag.to_owned())).unwrap();
    let set = format!("IMAGE=\"{}\"; ", text(&jobs, "/variables/IMAGE"));
    let count = jobs["build"]["parallel"].to_string();
    for number in 1..=jobs["build"]["parallel"].as_u64().unwrap() {
        let checkout = Pipeline::checkout();
        let variables = [
            ("CI_NODE_INDEX", number.to_string()),
            ("CI_NODE_TOTAL", count.clone()),
            ("CI_REGISTRY_IMAGE", name.clone()),
            ("CI_COMMIT_TAG", tag.clone()),
        ];
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        Pipeline::run(checkout.path(), &format!("{set}{}", text(&jobs, "/build/script/0")), &variables);
        // Artifacts of all jobs are unpacked over each other, where they were.
        let artifacts = text(&jobs, "/build/artifacts/paths/0");
        gather(&checkout.path().join(artifacts), &pipeline.folder.path().join(artifacts));
    }
    Pipeline::run(pipeline.folder.path(), text(&jobs, "/publish/script/0"), &[]);
    pipeline.assert_published();
}

#[test]
fn the_example_for_circleci_publishes() {
    let (pipeline, configuration) = (Pipeline::new(), example("circleci.yml").remove(0));
    let build = &configuration["jobs"]["build"];
    let registry = pipeline.registry.host();
    let count = build["parallelism"].to_string();
    let publish = &configuration["jobs"]["publish"];
    let workspace =
        publish["steps"].as_array().unwrap().iter().find_map(|step| step["attach_workspace"]["at"].as_str());
    let workspace = pipeline.folder.path().join(workspace.unwrap());
    for index in 0..build["parallelism"].as_u64().unwrap() {
        let checkout = Pipeline::checkout();
        let index = index.to_string();
        let variables = [
            ("CIRCLE_NODE_INDEX", index.as_str()),
            ("CIRCLE_NODE_TOTAL", &count),
            ("CIRCLE_PROJECT_USERNAME", "team"),
            ("CIRCLE_PROJECT_REPONAME", "hello"),
            ("CIRCLE_TAG", "v1"),
            ("REGISTRY", &registry),
        ];
        Pipeline::run(checkout.path(), text(step(build, "build"), "/run/command"), &variables);
        let steps = build["steps"].as_array().unwrap();
        let kept = steps.iter().find(|step| step["persist_to_workspace"].is_object()).unwrap();
        let (root, path) = (text(kept, "/persist_to_workspace/root"), text(kept, "/persist_to_workspace/paths/0"));
        gather(&checkout.path().join(root).join(path), &workspace.join(path));
    }
    Pipeline::run(pipeline.folder.path(), text(step(publish, "publish"), "/run/command"), &[]);
    pipeline.assert_published();
}

#[test]
fn the_example_for_kubernetes_publishes() {
    let (pipeline, project) = (Pipeline::new(), Pipeline::checkout().commit());
    project.git(&["tag", "v1"]);
    let job = example("kubernetes.yaml").into_iter().find(|document| document["kind"] == "Job").unwrap();
    let (image, results) = (pipeline.image(), pipeline.folder.path().join("results"));
    let (source, results) = (format!("file://{}", project.path().display()), results.to_string_lossy().into_owned());
    let count = job["spec"]["completions"].to_string();
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    let shards = container["env"].as_array().unwrap().iter().find(|variable| variable["name"] == "SHARDS").unwrap();
    assert_eq!(text(shards, "/value"), count);
    for index in 0..job["spec"]["completions"].as_u64().unwrap() {
        let pod = tempfile::tempdir().unwrap();
        let index = index.to_string();
        let variables = [
            ("JOB_COMPLETION_INDEX", index.as_str()),
            ("SHARDS", &count),
            ("SOURCE", &source),
            ("REVISION", "v1"),
            ("IMAGE", &image),
            ("RESULTS", &results),
        ];
        Pipeline::run(pod.path(), text(container, "/args/0"), &variables);
    }
    let publish = example("kubernetes-publish.yaml").remove(0);
    let script = text(&publish, "/spec/template/spec/containers/0/args/0");
    Pipeline::run(pipeline.folder.path(), script, &[("RESULTS", &results)]);
    pipeline.assert_published();
}

/// Puts the files of one machine beside those of the others.
fn gather(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::rename(file.path(), to.join(file.file_name())).unwrap();
    }
}
