use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use super::*;
use crate::config::place::Source;
use crate::hint::Hint as _;

/// Facts from tables, which write down what they were asked.
#[derive(Default)]
struct Table {
    git: BTreeMap<GitFact, Result<String, GitError>>,
    environment: BTreeMap<&'static str, &'static str>,
    asked: Mutex<Vec<GitFact>>,
}

impl Facts for Table {
    fn git(&self, fact: GitFact) -> Result<String, GitError> {
        self.asked.lock().unwrap().push(fact);
        self.git.get(&fact).cloned().unwrap_or(Err(GitError::NoTag))
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.environment.get(name).map(ToString::to_string)
    }
}

fn facts() -> Arc<Table> {
    let git = [
        (GitFact::Tag, "v1.2.3"),
        (GitFact::Describe, "v1.2.3-dirty"),
        (GitFact::Commit, "0123456789abcdef"),
        (GitFact::ShortCommit, "0123456"),
    ];
    Arc::new(Table {
        git: git.map(|(fact, answer)| (fact, Ok(answer.to_owned()))).into(),
        environment: [("TOKEN", "hunter2"), ("EMPTY", "")].into(),
        asked: Mutex::default(),
    })
}

fn without_git(error: &GitError) -> Arc<Table> {
    let all = [GitFact::Tag, GitFact::Describe, GitFact::Commit, GitFact::ShortCommit];
    Arc::new(Table { git: all.map(|fact| (fact, Err(error.clone()))).into(), ..Table::default() })
}

fn scope() -> Scope {
    Scope {
        image: Some("app".into()),
        cargo_version: None,
        program: Some("tool".into()),
        platform: Some(PlatformScope {
            platform: "linux/arm/v7".parse().unwrap(),
            rust: None,
            goarch: Some("arm".into()),
            goarm: Some("7".into()),
            goamd64: Some(String::new()),
        }),
    }
}

fn origin() -> Origin {
    Origin::File(Source::new(Path::new("anyarch.toml"), "tags = \"x\"").place(7))
}

fn render(facts: &Arc<Table>, template: &str, scope: &Scope) -> Result<Rendered, TemplateError> {
    Templates::new(Arc::clone(facts) as Arc<dyn Facts>).render(template, &origin(), scope)
}

#[test]
fn names_are_answered() {
    for (template, value) in [
        ("plain { } text\n", "plain { } text\n"),
        ("{{version}}", "1.2.3"),
        ("app:{{ git.tag }}", "app:v1.2.3"),
        ("{{git.describe}}\n", "v1.2.3-dirty\n"),
        ("{{git.commit}} {{git.short_commit}}", "0123456789abcdef 0123456"),
        ("{{git['tag']}}", "v1.2.3"),
        ("{{env.TOKEN}}{{env.EMPTY}}", "hunter2"),
        ("{{platform.os}}/{{platform.arch}}/{{platform.variant}}", "linux/arm/v7"),
        ("{{platform.goarch}}{{platform.goarm}}{{platform.goamd64}}", "arm7"),
        ("{{image.name}}-{{program.name}}", "app-tool"),
        ("{{env.NOT_SET | default('dev')}}", "dev"),
        ("{{env.EMPTY | default('dev', true)}}", "dev"),
        ("{{platform.rust | default('none')}}", "none"),
        ("{{image.name | upper | replace('A', 'B')}}", "BPP"),
        ("{% if platform.variant == 'v7' %}yes{% endif %}", "yes"),
        ("{{ '{{' }}.Version}}", "{{.Version}}"),
        ("<{{image.name}}>&", "<app>&"),
    ] {
        assert_eq!(render(&facts(), template, &scope()).unwrap().value, value, "{template}");
    }
}

#[test]
fn a_platform_without_a_variant_has_an_empty_one() {
    let mut scope = scope();
    scope.platform.as_mut().unwrap().platform = "linux/arm64".parse().unwrap();
    assert_eq!(render(&facts(), "{{platform.arch}}[{{platform.variant}}]", &scope).unwrap().value, "arm64[]");
}

#[test]
fn git_is_asked_only_for_what_is_needed_and_once() {
    let facts = facts();
    let templates = Templates::new(Arc::clone(&facts) as Arc<dyn Facts>);
    for template in ["plain", "{{image.name}}", "{% if false %}{{git.commit}}{% endif %}"] {
        templates.render(template, &origin(), &scope()).unwrap();
    }
    assert_eq!(*facts.asked.lock().unwrap(), []);
    for template in ["{{git.tag}}{{git.tag}}", "{{version}}", "{{env.TOKEN}}{{git.describe}}"] {
        templates.render(template, &origin(), &scope()).unwrap();
    }
    assert_eq!(*facts.asked.lock().unwrap(), [GitFact::Tag, GitFact::Describe]);
}

#[test]
fn the_version_is_the_tags_then_the_manifests() {
    let with_manifest = Scope { cargo_version: Some("0.9.0".into()), ..scope() };
    assert_eq!(render(&facts(), "{{version}}", &with_manifest).unwrap().value, "1.2.3");
    let absent = without_git(&GitError::NotACheckout { folder: "src".into() });
    assert_eq!(render(&absent, "{{version}}", &with_manifest).unwrap().value, "0.9.0");
    let kept = without_git(&GitError::Distrusted { folder: "/src".into() });
    assert_eq!(
        render(&kept, "{{version}}", &with_manifest).unwrap_err().to_string(),
        "`{{version}}` in `{{version}}` (anyarch.toml:1:8) has no answer: git does not trust `/src`, which belongs to \
         another user"
    );
}

#[test]
fn what_cannot_be_answered_is_an_error_with_a_way_out() {
    let no_tag = without_git(&GitError::NoTag);
    let outside = without_git(&GitError::NotACheckout { folder: "src".into() });
    let bare = Scope::default();
    for (facts, scope, template, message, hints) in [
        (
            &no_tag,
            &bare,
            "app:{{version}}",
            "`{{version}}` in `app:{{version}}` (anyarch.toml:1:8) has no answer: HEAD has no tag and the image has no \
             Rust program",
            &["git tag v0.1.0", "git fetch --tags", "{{ version | default(\"...\") }}"][..],
        ),
        (
            &outside,
            &bare,
            "{{git.describe}}",
            "`{{git.describe}}` in `{{git.describe}}` (anyarch.toml:1:8) has no answer: `src` is not in a git checkout",
            &["git init", "{{ git.describe | default(\"...\") }}"],
        ),
        (
            &no_tag,
            &bare,
            "{{git.tag | upper}}",
            "`{{git.tag}}` in `{{git.tag | upper}}` (anyarch.toml:1:8) has no answer: HEAD has no tag",
            &["git tag v0.1.0", "git fetch --tags", "{{ git.tag | default(\"...\") }}"],
        ),
        (
            &no_tag,
            &bare,
            "{{git.tag | default('x')}}{{env.NOPE}}{{version | default('y')}}",
            "`{{env.NOPE}}` in `{{git.tag | default('x')}}{{env.NOPE}}{{version | default('y')}}` (anyarch.toml:1:8) \
             has no answer: the environment has no `NOPE`",
            &["export NOPE=...", "{{ env.NOPE | default(\"...\") }}"],
        ),
        (
            &no_tag,
            &scope(),
            "{{platform.rust}}",
            "`{{platform.rust}}` in `{{platform.rust}}` (anyarch.toml:1:8) has no answer: there is no toolchain row for \
             linux/arm/v7 that says so",
            &["{{ platform.rust | default(\"...\") }}"],
        ),
    ] {
        let error = render(facts, template, scope).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.hints()),
            (message, hints.iter().map(ToString::to_string).collect())
        );
    }
}

#[test]
fn a_name_that_is_wrong_is_an_error_whatever_stands_in_for_it() {
    let bare = Scope::default();
    for (template, scope, message, hints) in [
        (
            "{{vresion | default('x')}}",
            &bare,
            "`{{vresion}}` in `{{vresion | default('x')}}` (anyarch.toml:1:8) is unknown",
            &["did you mean `{{version}}`?"][..],
        ),
        (
            "{{git.descirbe}}",
            &bare,
            "`{{git.descirbe}}` in `{{git.descirbe}}` (anyarch.toml:1:8) is unknown",
            &["did you mean `{{git.describe}}`?"],
        ),
        (
            "{{image.digest}}",
            &scope(),
            "`{{image.digest}}` in `{{image.digest}}` (anyarch.toml:1:8) is unknown",
            &["known names: image.name"],
        ),
        (
            "app:{{platform.arch | default('x')}}",
            &bare,
            "`{{platform.arch}}` in `app:{{platform.arch | default('x')}}` (anyarch.toml:1:8) cannot be used here: the \
             value is not one for each platform",
            &[],
        ),
        (
            "{{program.name}}",
            &bare,
            "`{{program.name}}` in `{{program.name}}` (anyarch.toml:1:8) cannot be used here: the value is not one for \
             each program",
            &[],
        ),
        (
            "{{git}}",
            &bare,
            "`{{git}}` in `{{git}}` (anyarch.toml:1:8) is not a value: it has parts",
            &["its parts: git.tag, git.describe, git.commit, git.short_commit"],
        ),
        (
            "{{debug()}}",
            &bare,
            "`{{debug}}` in `{{debug()}}` (anyarch.toml:1:8) is unknown",
            &["known names: version, git, env, platform, image, program"],
        ),
    ] {
        let error = render(&facts(), template, scope).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.hints()),
            (message, hints.iter().map(ToString::to_string).collect())
        );
    }
}

#[test]
fn what_is_no_template_or_cannot_be_computed_says_so() {
    for (template, message) in [
        (
            "{{version",
            "`{{version` (anyarch.toml:1:8) is not a template: unexpected end of input, expected end of variable block",
        ),
        (
            "{{image.name | uper}}",
            "`{{image.name | uper}}` (anyarch.toml:1:8) cannot be rendered: filter uper is unknown",
        ),
        ("{% include 'x' %}", "`{% include 'x' %}` (anyarch.toml:1:8) is not a template: unknown statement include"),
    ] {
        assert_eq!(render(&facts(), template, &scope()).unwrap_err().to_string(), message);
    }
}

#[test]
fn what_the_environment_holds_is_never_shown() {
    let facts = facts();
    let rendered = render(&facts, "Bearer {{env.TOKEN}} {{version}}", &scope()).unwrap();
    assert_eq!(rendered.value, "Bearer hunter2 1.2.3");
    assert_eq!(rendered.display, "Bearer $TOKEN 1.2.3");
    assert_eq!(rendered.environment.iter().collect::<Vec<_>>(), ["TOKEN"]);
    assert!(!format!("{rendered:?}").contains("hunter2"));
    let conditional = render(&facts, "{% if env.TOKEN == 'hunter2' %}a{% else %}b{% endif %}", &scope()).unwrap();
    assert_eq!((conditional.value.as_str(), conditional.display.as_str()), ("a", "b"));
    let failing = "{% if env.TOKEN == 'hunter2' %}x{% else %}{{git.nope}}{% endif %}";
    assert_eq!(render(&facts, failing, &scope()).unwrap().display, failing);
    for template in ["{{env.TOKEN | int}}", "{{env.TOKEN + 1}}", "{{env.TOKEN.x}}", "{{env}}"] {
        let error = render(&facts, template, &scope()).unwrap_err();
        assert!(!format!("{error} {error:?} {:?}", error.hints()).contains("hunter2"), "{template}: {error}");
    }
}
