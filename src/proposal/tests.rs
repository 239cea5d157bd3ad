use super::*;

fn go(package: &str, name: &str, wanted: bool) -> Candidate {
    Candidate { name: name.into(), package: package.into(), wanted, kind: Kind::Go { cgo: None } }
}

fn c(name: &str) -> Candidate {
    let guess = |text: &str| Some(Value { text: text.into(), guessed: Some("first\nsecond".into()) });
    let kind = Kind::C { build: BuildSystem::Make, target: guess("all"), output: guess("a \"b\"\\c\t[[x]]") };
    Candidate { name: name.into(), package: ".".into(), wanted: true, kind }
}

fn every_kind() -> Vec<(Candidate, String)> {
    let rust = Kind::Rust { bin: Some("tool".into()), features: vec!["cli".into()] };
    let cgo = Kind::Go { cgo: Some("example.com/m/clock".into()) };
    let candidates = vec![
        go("./cmd/app", "app", true),
        Candidate { kind: cgo, ..go("./cmd/clock", "clock", true) },
        Candidate { kind: rust, ..go("worker", "tool", true) },
        c("hello"),
        go("./examples/app", "app", false),
    ];
    settled(candidates).into_iter().map(|candidate| (candidate, "app".to_owned())).collect()
}

#[test]
fn values_are_quoted_and_remarks_keep_to_their_line() {
    let text = text(&every_kind(), &[]);
    assert!(text.contains("output = \"a \\\"b\\\"\\\\c\\u0009[[x]]\"          # check: first second\n"), "{text}");
    assert!(text.lines().all(|line| line.trim_end() == line), "{text}");
}

#[test]
fn every_program_has_a_name_of_its_own() {
    let names = |candidates: Vec<Candidate>| {
        settled(candidates).into_iter().map(|one| (one.name, one.wanted)).collect::<Vec<_>>()
    };
    assert_eq!(
        names(vec![
            go("./x/app", "app", false),
            go("./cmd/app", "app", true),
            go("./tools/app", "app", true),
            c("app")
        ]),
        [("app".into(), true), ("tools-app".into(), true), ("app-2".into(), true), ("x-app".into(), false)]
    );
    // Where none is preferred, all are there.
    assert_eq!(names(vec![go("./examples/a", "a", false)]), [("a".to_owned(), true)]);
}

#[test]
fn one_program_needs_no_choice_between_images() {
    let one = vec![(go(".", "app", true), "app".to_owned())];
    let text = text(&one, &[]);
    assert!(!text.contains("one_image") && !text.contains("check") && !text.contains("name ="), "{text}");
    assert!(
        text.contains("[[program]]\npackage = \".\"                             # its folder\nlanguage = \"go\"\n"),
        "{text}"
    );
}
