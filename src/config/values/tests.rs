use super::*;
use crate::hint::Hint as _;
use crate::toolchain::Libc;

fn read<T: FromStr<Err = ValueError>>(text: &str) -> Result<T, (String, Vec<String>)> {
    text.parse().map_err(|error: ValueError| (error.to_string(), error.hints()))
}

#[test]
fn good_texts_become_values() {
    for (text, mode) in [("0644", 0o644), ("755", 0o755), ("0o4755", 0o4755), ("0", 0)] {
        assert_eq!(read(text), Ok(Mode(mode)), "{text}");
    }
    assert_eq!(read("65532:0"), Ok(Owner { uid: 65532, gid: 0 }));
    for (text, port) in [("8080", "8080/tcp"), ("53/udp", "53/udp"), ("9999/sctp", "9999/sctp"), ("65535", "65535/tcp")]
    {
        assert_eq!(read::<Port>(text).unwrap().to_string(), port);
    }
    for (text, libc) in [
        ("auto", LibcWish::Auto),
        ("static", LibcWish::Static),
        ("musl", LibcWish::Named(Libc::Musl)),
        ("gnu", LibcWish::Named(Libc::Gnu(None))),
        ("gnu.2.28", LibcWish::Named(Libc::Gnu(Some((2, 28))))),
    ] {
        assert_eq!(read(text), Ok(LibcName(libc)));
        assert_eq!(libc.to_string(), text);
    }
    for (text, created) in [
        ("commit", Created::Commit),
        ("1970-01-01T00:00:10Z", Created::At(10)),
        ("1970-01-01 02:00:10+02:00", Created::At(10)),
    ] {
        assert_eq!(read(text), Ok(created), "{text}");
    }
    for text in ["SIGTERM", "SIGRTMIN+3", "15"] {
        assert_eq!(read(text), Ok(Signal(text.into())));
    }
    for (text, wish) in [("all", PlatformWish::All), ("host", PlatformWish::Host)] {
        assert_eq!(read(text), Ok(wish));
    }
    assert_eq!(read("linux/aarch64"), Ok(PlatformWish::One("linux/arm64".parse().unwrap())));
    for name in Language::names() {
        assert_eq!(read::<LanguageName>(name).unwrap().0.to_string(), name);
    }
    assert_eq!(read("A=b=c"), Ok(Assignment { name: "A".into(), value: "b=c".into() }));
    assert_eq!(destination("/usr/local/bin/app"), Ok(()));
    assert_eq!(absolute("/"), Ok(()));
}

#[test]
fn bad_texts_say_what_they_should_read() {
    let mode = "is not a file mode: it should read as octal digits, at most 7777";
    for text in ["", "0888", "rw-r--r--", "10000", "+644", "-1", "99999999999999999999"] {
        assert_eq!(read::<Mode>(text), Err((format!("`{text}` {mode}"), vec!["mode = \"0644\"".into()])));
    }
    let owner = "is not an owner: it should read uid:gid, two numbers";
    for text in ["", "65532", "www-data:www-data", "1:2:3", ":", "-1:0", "4294967296:0"] {
        assert_eq!(read::<Owner>(text), Err((format!("`{text}` {owner}"), vec!["owner = \"65532:65532\"".into()])));
    }
    let port = "is not a port: it should read 1 to 65535, or that with /tcp, /udp or /sctp";
    for text in ["", "0", "65536", "http", "80/TCP", "80/", "+80", "80-90"] {
        assert_eq!(read::<Port>(text), Err((format!("`{text}` {port}"), vec!["ports = [\"8080/tcp\"]".into()])));
    }
    let libc = "is not a libc: it should read auto, static, musl, gnu, or gnu with a version such as gnu.2.28";
    for text in ["", "glibc", "gnu.", "gnu.2", "gnu.2.x", "musl.1.2", "gnu.+2.28"] {
        assert_eq!(read::<LibcName>(text), Err((format!("`{text}` {libc}"), vec!["libc = \"gnu.2.28\"".into()])));
    }
    let time = "is not a time: it should read commit, or a date and time with an offset (RFC 3339)";
    for text in ["", "now", "2026-01-31", "2026-01-31T12:00:00"] {
        let hint = "created = \"2026-01-31T12:00:00Z\"".into();
        assert_eq!(read::<Created>(text), Err((format!("`{text}` {time}"), vec![hint])));
    }
    let signal = "is not a signal: it should read as SIGTERM does, or be a number";
    for text in ["", "TERM", "SIG", "sigterm", "0", "65", "+9"] {
        assert_eq!(read::<Signal>(text), Err((format!("`{text}` {signal}"), vec!["stop_signal = \"SIGTERM\"".into()])));
    }
    let name = "is not a program's name: it should be a single part of a path";
    for text in ["", ".", "..", "a/b", "a\\b", "a\0"] {
        assert_eq!(read::<ProgramName>(text), Err((format!("`{text}` {name}"), vec![])));
    }
}

#[test]
fn a_language_that_is_not_there_is_told_from_one_that_nobody_knows() {
    for (text, message, hint) in [
        ("gol", "`gol` is not a language", "did you mean `go`?"),
        ("golang", "`golang` is not a language", "did you mean `go`?"),
        ("Rust", "`Rust` is not a language", "did you mean `rust`?"),
        ("pre-built", "`pre-built` is not a language", "did you mean `prebuilt`?"),
        ("zig", "`zig` is not a language", "known languages: go, rust, c, command, prebuilt"),
        ("c++", "`c++` is not a language", "did you mean `c`?"),
    ] {
        assert_eq!(read::<LanguageName>(text), Err((message.into(), vec![hint.into()])));
    }
}

#[test]
fn a_bad_platform_advises_a_value_not_a_flag() {
    for (text, hint) in [
        ("linux/amd64,linux/arm64", "platforms = [\"linux/amd64\", \"linux/arm64\", \"linux/arm/v7\"]"),
        ("linux", "did you mean `linux/amd64`?"),
        ("plan9/amd64", "did you mean `linux/amd64`?"),
        ("linux/amd46", "did you mean `linux/amd64`?"),
        ("linux/s390x/v2", "linux/s390x"),
        ("linux/arm/v9", "arm has v5, v6, v7, v8"),
    ] {
        assert_eq!(read::<PlatformWish>(text).unwrap_err().1, [hint], "{text}");
    }
}

#[test]
fn a_path_in_the_image_has_one_spelling() {
    for (text, message) in [
        ("bin/app", "`bin/app` is not a path in the image: it should start with `/`"),
        ("", "`` is not a path in the image: it should start with `/`"),
        ("/", "`/` is not a file's path in the image: it should have no `.`, `..` or empty part"),
        ("/bin/", "`/bin/` is not a file's path in the image: it should have no `.`, `..` or empty part"),
        ("/a//b", "`/a//b` is not a file's path in the image: it should have no `.`, `..` or empty part"),
        ("/a/../b", "`/a/../b` is not a file's path in the image: it should have no `.`, `..` or empty part"),
        (
            "/.wh.etc/b",
            "`/.wh.etc/b` would delete files of the base: names that begin with `.wh.` mean that in a layer",
        ),
    ] {
        assert_eq!(destination(text).unwrap_err().to_string(), message);
    }
    assert_eq!(absolute("data").unwrap_err().hints(), ["did you mean `/data`?"]);
}
