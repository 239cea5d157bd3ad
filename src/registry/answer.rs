//! Turns the body of a refusal into one line for a person.

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;

pub(super) use crate::http::retry::wait_asked;

/// The most of a refusal's body that is read, in bytes.
const LONGEST_BODY: usize = 64 * 1024;
/// The most of it that is shown, in characters.
const LONGEST_LINE: usize = 300;
/// How long the body of a refusal is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// What stands for the words of a server that repeats our login.
const BLANKED: &str = "its words hold the login, and are not shown";

/// What a refusal says; `None` when it says nothing that a person could use. Words that hold one of `secrets`, which is
/// what the server was told, are not passed on.
pub(super) async fn said(response: Response, secrets: &[String]) -> Option<String> {
    let body = tokio::time::timeout(PATIENCE, beginning(response)).await.ok()?;
    explain(&body).map(|words| without_secrets(&words, secrets))
}

/// One printable line of those words, unless they hold a secret: looked for before they are cut.
fn without_secrets(words: &str, secrets: &[String]) -> String {
    let told = secrets.iter().any(|secret| !secret.is_empty() && words.contains(secret));
    if told { BLANKED.to_owned() } else { printable(words) }
}

async fn beginning(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < LONGEST_BODY {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            // What came before the end, or the break, is all there is to show.
            Ok(None) | Err(_) => break,
        }
    }
    body.truncate(LONGEST_BODY);
    body
}

/// Reads the specification's `{"errors": [{"code", "message", "detail"}]}`, what token servers say, and plain text.
fn explain(body: &[u8]) -> Option<String> {
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        let shown = !text.is_empty() && !text.starts_with('<');
        return shown.then(|| text.lines().next().unwrap_or_default().to_owned());
    };
    if let Some(errors) = json.get("errors").and_then(Value::as_array) {
        let lines: Vec<String> = errors.iter().filter_map(explain_one).collect();
        return (!lines.is_empty()).then(|| lines.join("; "));
    }
    ["error_description", "details", "message", "error"]
        .iter()
        .find_map(|key| json.get(key).and_then(Value::as_str))
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

fn explain_one(error: &Value) -> Option<String> {
    let text = |key: &str| error.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    match (text("code"), text("message")) {
        (Some(code), Some(message)) => Some(format!("{code}: {message}")),
        (Some(one), None) | (None, Some(one)) => Some(one.to_owned()),
        (None, None) => None,
    }
}

/// One line that a terminal shows as it is: what a stranger wrote must not move the cursor.
pub(super) fn printable(text: &str) -> String {
    let clean = |character: char| if character.is_control() { ' ' } else { character };
    let mut line: String = text.trim().chars().take(LONGEST_LINE).map(clean).collect();
    if text.trim().chars().count() > LONGEST_LINE {
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_becomes_one_line() {
        let long = "x".repeat(400);
        for (body, expected) in [
            (
                r#"{"errors":[{"code":"DENIED","message":"no access","detail":[]},{"code":"UNKNOWN","message":""}]}"#,
                Some("DENIED: no access; UNKNOWN"),
            ),
            (r#"{"errors":[]}"#, None),
            (r#"{"details":"incorrect username or password"}"#, Some("incorrect username or password")),
            (r#"{"error":"invalid_grant","error_description":"expired"}"#, Some("expired")),
            ("404 page not found\n", Some("404 page not found")),
            ("<html><body>oops", None),
            ("", None),
            ("a\u{1b}[2Jb", Some("a [2Jb")),
            (&long, Some(&*format!("{}...", "x".repeat(300)))),
        ] {
            let line = explain(body.as_bytes()).map(|words| without_secrets(&words, &[]));
            assert_eq!(line.as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn words_with_a_secret_are_not_passed_on() {
        let late = format!("{} hunter2", "x".repeat(400));
        for (words, secrets, shown) in [
            ("bad login me:hunter2", &["hunter2"][..], false),
            (&late, &["hunter2"], false),
            ("bad header Basic bWU6aHVudGVyMg==", &["hunter2", "bWU6aHVudGVyMg=="], false),
            ("bad login", &["hunter2"], true),
            ("bad login", &[""], true),
        ] {
            let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
            assert_eq!(without_secrets(words, &secrets) == words, shown, "{words}");
        }
    }
}
