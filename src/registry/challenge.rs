//! Turns `WWW-Authenticate` headers into the way in which a registry wants to be logged in to:
//! <https://distribution.github.io/distribution/spec/auth/token/>, <https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1>.

use serde::{Deserialize, Serialize};

/// How a registry wants requests to be authorized.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Challenge {
    /// User name and password with every request.
    Basic,
    /// A token, to be had from a token server.
    Bearer {
        /// the token server's URL as the registry wrote it
        realm: String,
        /// what the token server calls the registry
        service: Option<String>,
    },
}

/// Chooses among everything that the headers offer: a token before a password, which then goes to fewer places.
/// `None` when nothing is offered that we know.
pub(super) fn choose<'header>(headers: impl Iterator<Item = &'header str>) -> Option<Challenge> {
    let mut basic = None;
    for (scheme, parameters) in headers.flat_map(parse) {
        let find = |name: &str| {
            parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
        };
        if scheme.eq_ignore_ascii_case("bearer") {
            if let Some(realm) = find("realm") {
                return Some(Challenge::Bearer { realm, service: find("service") });
            }
        } else if scheme.eq_ignore_ascii_case("basic") {
            basic = Some(Challenge::Basic);
        }
    }
    basic
}

type Parameters = Vec<(String, String)>;

/// Reads `Scheme key=value, key="value", Scheme ...`; what cannot be read is left out.
fn parse(header: &str) -> Vec<(String, Parameters)> {
    let mut challenges: Vec<(String, Parameters)> = Vec::new();
    let mut rest = header.trim_start_matches([',', ' ', '\t']);
    while !rest.is_empty() {
        let end = rest.find([' ', '\t', '=', ',']).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        let tail = tail.trim_start_matches([' ', '\t']);
        rest = match (tail.strip_prefix('='), challenges.last_mut()) {
            (Some(value), Some((_, parameters))) if !word.is_empty() => {
                let (value, tail) = parse_value(value.trim_start_matches([' ', '\t']));
                parameters.push((word.to_owned(), value));
                tail
            }
            // A value that belongs to no scheme.
            (Some(value), _) => parse_value(value).1,
            (None, _) => {
                if !word.is_empty() {
                    challenges.push((word.to_owned(), Vec::new()));
                }
                tail
            }
        }
        .trim_start_matches([',', ' ', '\t']);
    }
    challenges
}

/// Splits a token or a quoted string off the front.
fn parse_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) }
    }

    #[test]
    fn a_token_is_preferred_to_a_password() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io""#;
        let hub_wants = bearer("https://auth.docker.io/token", Some("registry.docker.io"));
        let comma =
            r#"Bearer realm="https://a/t?x=1,2", scope="repository:a:pull,push" , service=s, Basic realm="b c""#;
        for (headers, expected) in [
            (vec![hub], Some(hub_wants.clone())),
            (vec![r#"Basic realm="x""#, hub], Some(hub_wants)),
            (vec![comma], Some(bearer("https://a/t?x=1,2", Some("s")))),
            (vec!["basic realm=x"], Some(Challenge::Basic)),
            (vec!["Basic"], Some(Challenge::Basic)),
            (vec![r#"Basic realm="quoted \" Bearer realm=x""#], Some(Challenge::Basic)),
            (vec!["bearer REALM=https://a/t"], Some(bearer("https://a/t", None))),
            (vec![r#"Bearer service="no realm""#], None),
            (vec!["Negotiate"], None),
            (vec![""], None),
            (vec![r#"=,"=Bearer realm"#], None),
            (vec![r#"Bearer realm="unterminated"#], Some(bearer("unterminated", None))),
            (vec![], None),
        ] {
            assert_eq!(choose(headers.iter().copied()), expected, "{headers:?}");
        }
    }
}
