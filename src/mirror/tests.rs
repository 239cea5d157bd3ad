use super::*;

fn page(text: &str) -> Url {
    text.parse().unwrap()
}

#[test]
fn the_index_is_the_one_that_the_environment_names() {
    for (variables, expected) in [
        (&[][..], Ok("https://pypi.org/simple/ziglang/")),
        (&[("PIP_INDEX_URL", "https://m.example/simple/")], Ok("https://m.example/simple/ziglang/")),
        (&[("UV_INDEX_URL", "http://m.example")], Ok("http://m.example/ziglang/")),
        (
            &[("UV_DEFAULT_INDEX", "https://uv.example"), ("PIP_INDEX_URL", "https://pip.example")],
            Ok("https://pip.example/ziglang/"),
        ),
        (&[("PIP_INDEX_URL", "")], Ok("https://pypi.org/simple/ziglang/")),
        (&[("PIP_INDEX_URL", " "), ("UV_DEFAULT_INDEX", "https://uv.example")], Ok("https://uv.example/ziglang/")),
        (
            &[("PIP_INDEX_URL", "ftp://me:secret@m.example")],
            Err("`PIP_INDEX_URL` is `m.example`, which is no http or https URL"),
        ),
    ] {
        let environment =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let found = index_page("ZigLang", &environment);
        let found = found.as_ref().map(Url::as_str).map_err(ToString::to_string);
        assert_eq!(found, expected.map_err(str::to_owned), "{variables:?}");
    }
}

#[test]
fn a_file_is_found_on_a_page_of_json_or_html() {
    const JSON: &str = "application/vnd.pypi.simple.v1+json";
    let json = r#"{"meta": {}, "files": [{"filename": "a-1.whl", "url": "../../files/a-1.whl", "hashes": {}},
        {"filename": "b-1.whl", "url": "https://files.example/x/b-1.whl#sha256=00"}]}"#;
    let html = "<!DOCTYPE html><!-- <a href=\"https://evil.example/a-1.whl\"> --><body>\n\
        <abbr href='https://evil.example/a-1.whl'>\n\
        <A data-x='>' HREF = '../../files/a-1.whl#sha256=00' >a-1.whl</A><br/>\n\
        <a href=https://files.example/x/b-1.whl>b</a><a>none</a>\
        <a href=\"https://files.example/c-1%2Bd.whl?a=1&amp;b=&#50;&x\">c</a>";
    for (content_type, body, file, expected) in [
        (JSON, json, "a-1.whl", Ok("https://me:secret@m.example/files/a-1.whl")),
        (JSON, json, "b-1.whl", Ok("https://files.example/x/b-1.whl")),
        ("text/html; charset=utf-8", html, "a-1.whl", Ok("https://me:secret@m.example/files/a-1.whl")),
        ("text/html", html, "b-1.whl", Ok("https://files.example/x/b-1.whl")),
        ("text/html", html, "c-1+d.whl", Ok("https://files.example/c-1%2Bd.whl?a=1&b=2&x")),
        (JSON, json, "c-1.whl", Err("`https://m.example/simple/a/` does not list the file `c-1.whl`")),
        ("text/html", html, "c-1.whl", Err("`https://m.example/simple/a/` does not list the file `c-1.whl`")),
        (
            JSON,
            "<html>",
            "a-1.whl",
            Err(
                "`https://m.example/simple/a/` is no page of a package index: it is of the type `application/vnd.pypi.simple.v1+json`",
            ),
        ),
        (
            "text/plain",
            html,
            "a-1.whl",
            Err("`https://m.example/simple/a/` is no page of a package index: it is of the type `text/plain`"),
        ),
        (
            "text/html",
            "<a href='http://m.example/a-1.whl'>",
            "a-1.whl",
            Err("`https://m.example/simple/a/` does not list the file `a-1.whl`"),
        ),
        (
            "text/html",
            "<a href='file:///a-1.whl'>",
            "a-1.whl",
            Err("`https://m.example/simple/a/` does not list the file `a-1.whl`"),
        ),
        ("text/html", "<a href='/files/a-1.whl", "a-1.whl", Ok("https://me:secret@m.example/files/a-1.whl")),
        (
            "text/html",
            "<a = \"\u{e9}\u{e9}",
            "a-1.whl",
            Err("`https://m.example/simple/a/` does not list the file `a-1.whl`"),
        ),
    ] {
        let found = file_on_page(&page("https://me:secret@m.example/simple/a/"), content_type, body, file);
        let found = found.as_ref().map(Url::as_str).map_err(ToString::to_string);
        assert_eq!(found, expected.map_err(str::to_owned), "{file} in {body}");
    }
}

#[test]
fn gos_proxies_are_read_as_go_reads_them() {
    for (text, expected) in [
        (None, Ok(&[("https://proxy.golang.org/m/@v/f.zip", false)][..])),
        (Some(""), Ok(&[("https://proxy.golang.org/m/@v/f.zip", false)])),
        (Some("https://a.example/,direct"), Ok(&[("https://a.example/m/@v/f.zip", false)])),
        (
            Some("https://a.example|https://b.example/go,off"),
            Ok(&[("https://a.example/m/@v/f.zip", true), ("https://b.example/go/m/@v/f.zip", false)]),
        ),
        (Some("off"), Err("`GOPROXY` is `off`, which names no module proxy to download from")),
        (
            Some("off,https://a.example"),
            Err("`GOPROXY` is `off,https://a.example`, which names no module proxy to download from"),
        ),
        (
            Some("off,https://me:secret@a.example|https://you:p@ss@b.example,direct"),
            Err("`GOPROXY` is `off,a.example|b.example,direct`, which names no module proxy to download from"),
        ),
        (Some("direct"), Err("`GOPROXY` is `direct`, which names no module proxy to download from")),
        (Some("a.example"), Err("`GOPROXY` is `a.example`, which is no http or https URL")),
    ] {
        let found = go_mirrors(text, "m", "f.zip");
        let found = found.as_ref().map_err(ToString::to_string);
        let found: Result<Vec<(&str, bool)>, String> =
            found.map(|mirrors| mirrors.iter().map(|mirror| (mirror.url.as_str(), mirror.gives_way)).collect());
        assert_eq!(found, expected.map(<[_]>::to_vec).map_err(str::to_owned), "{text:?}");
    }
}

#[test]
fn the_file_of_go_env_is_read() {
    let file = "GOFLAGS=-buildvcs=false\nGOPROXY=https://a.example,direct\nGOSUMDB=\n";
    for (name, value) in [
        ("GOPROXY", Some("https://a.example,direct")),
        ("GOFLAGS", Some("-buildvcs=false")),
        ("GOSUMDB", None),
        ("GO", None),
    ] {
        assert_eq!(go_env_value(file, name).as_deref(), value);
    }
}

#[test]
fn a_login_is_never_shown() {
    assert_eq!(shown(&page("https://me:secret@m.example/a?token=1#x")), "https://m.example/a");
}
