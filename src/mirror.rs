//! What the user says of package indexes and module proxies, and what an index answers, become the URLs of a file.
//!
//! <https://packaging.python.org/en/latest/specifications/simple-repository-api/> and
//! <https://go.dev/ref/mod#module-proxy>. No answer is trusted: the row knows the file's SHA-256.

use serde::Deserialize;
use url::Url;

use crate::hint::Hint;

/// The kinds of answers of an index that we read, in the words of an `Accept` header.
pub const ACCEPT_INDEX: &str =
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1";
/// The variables that name a package index, the first that is set wins.
pub const INDEX_VARIABLES: [&str; 3] = ["PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"];
/// The package index of who says nothing.
pub const INDEX: &str = "https://pypi.org/simple";
/// The variable that names module proxies.
pub const PROXY_VARIABLE: &str = "GOPROXY";
/// The module proxy of who says nothing.
pub const PROXY: &str = "https://proxy.golang.org";

/// A place that a file may be had from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// the file's URL
    pub url: Url,
    /// true when any failure leads to the next mirror, not only that the file is not there
    pub gives_way: bool,
}

/// Why there is no URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    /// A variable that should hold a URL.
    #[error("`{variable}` is `{text}`, which is no http or https URL")]
    Url {
        /// the variable
        variable: String,
        /// what it says, without a login
        text: String,
    },
    /// An answer that is no index.
    #[error("`{url}` is no page of a package index: it is of the type `{content_type}`")]
    NoIndex {
        /// the page
        url: String,
        /// `Content-Type`
        content_type: String,
    },
    /// An index without the file.
    #[error("`{url}` does not list the file `{file}`")]
    NoFile {
        /// the page
        url: String,
        /// the file
        file: String,
    },
    /// No proxy may be asked.
    #[error("`GOPROXY` is `{text}`, which names no module proxy to download from")]
    NoProxy {
        /// what it says, without a login
        text: String,
    },
}

impl Hint for MirrorError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Url { variable, .. } if variable == PROXY_VARIABLE => {
                vec![format!("export {PROXY_VARIABLE}={PROXY}")]
            }
            Self::Url { variable, .. } => vec![format!("export {variable}={INDEX}")],
            Self::NoIndex { .. } | Self::NoFile { .. } => vec![format!("export {}={INDEX}", INDEX_VARIABLES[0])],
            Self::NoProxy { .. } => vec![format!("export {PROXY_VARIABLE}={PROXY}")],
        }
    }
}

/// A URL for people: without a login and without a query, which may hold one.
#[must_use]
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Only a URL without a host refuses, and that has no login.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// What somebody wrote in the place of a URL, for people: what stands before an `@` may hold a password.
#[must_use]
pub fn without_login(text: &str) -> &str {
    text.rsplit_once('@').map_or(text, |(_, rest)| rest)
}

fn web_url(variable: &str, text: &str) -> Result<Url, MirrorError> {
    let parsed = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    parsed.ok_or_else(|| MirrorError::Url { variable: variable.to_owned(), text: without_login(text).to_owned() })
}

/// The page of `package` in the index that the environment names.
///
/// # Errors
/// When the variable holds no URL.
pub fn index_page(package: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Url, MirrorError> {
    // One that is empty is as good as not set, and hides none of those that follow.
    let value = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
    let set = INDEX_VARIABLES.iter().find_map(|name| Some((*name, value(name)?)));
    let (variable, text) = set.as_ref().map_or(("", INDEX), |(name, value)| (*name, value.trim()));
    // Indexes normalize names: <https://packaging.python.org/en/latest/specifications/name-normalization/>
    let name = package.to_ascii_lowercase().replace(['_', '.'], "-");
    Ok(below(web_url(variable, text)?, &format!("{name}/")))
}

/// The URL of `rest` in the folder `root`, whether that ends by a slash or not.
fn below(mut root: Url, rest: &str) -> Url {
    let path = format!("{}/{rest}", root.path().trim_end_matches('/'));
    root.set_path(&path);
    root
}

#[derive(Deserialize)]
struct Page {
    files: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    filename: String,
    url: String,
}

/// The URL of `file` on a page of an index, which is JSON or HTML by its `content_type`. Who may read the page may read
/// the file: a login of the page's URL holds for files of the same host.
///
/// # Errors
/// When the page is no such page, or does not list the file.
pub fn file_on_page(page: &Url, content_type: &str, body: &str, file: &str) -> Result<Url, MirrorError> {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let no_index = || MirrorError::NoIndex { url: shown(page), content_type: kind.clone() };
    let address = match kind.as_str() {
        "application/vnd.pypi.simple.v1+json" | "application/json" => {
            let listed: Page = serde_json::from_str(body).map_err(|_| no_index())?;
            listed.files.into_iter().find(|listed| listed.filename == file).map(|listed| listed.url)
        }
        "application/vnd.pypi.simple.v1+html" | "text/html" => {
            // The last part of the URL is the file's name, whatever the text of the link is.
            anchors(body).into_iter().find(|address| {
                let url = page.join(address).ok();
                let last = url.as_ref().and_then(|url| url.path_segments()?.next_back().map(str::to_owned));
                last.is_some_and(|last| last == file || last.replace("%2B", "+").replace("%2b", "+") == file)
            })
        }
        _ => return Err(no_index()),
    };
    let no_file = || MirrorError::NoFile { url: shown(page), file: file.to_owned() };
    let mut url = page.join(&address.ok_or_else(no_file)?).map_err(|_| no_file())?;
    if !matches!(url.scheme(), "http" | "https") || (page.scheme() == "https" && url.scheme() == "http") {
        return Err(no_file());
    }
    url.set_fragment(None);
    if url.origin() == page.origin() && url.username().is_empty() && url.password().is_none() {
        let _ = url.set_username(page.username());
        let _ = url.set_password(page.password());
    }
    Ok(url)
}

/// The `href` of every `<a>` of a page. An index writes nothing but a list of them; what is misread is another file, and
/// that has another SHA-256.
fn anchors(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let is_anchor =
            rest.starts_with(['a', 'A']) && rest[1..].starts_with(|letter: char| letter.is_ascii_whitespace());
        let (attributes, after) = tag(rest);
        rest = after;
        if is_anchor {
            found.extend(attributes.into_iter().find(|(name, _)| name == "href").map(|(_, value)| decoded(&value)));
        }
    }
    found
}

/// Reads a tag, from its name to its `>`: its attributes, names in lower case, and what follows it.
fn tag(text: &str) -> (Vec<(String, String)>, &str) {
    let name_end = text.find(|letter: char| letter.is_ascii_whitespace() || letter == '>').unwrap_or(text.len());
    let mut rest = &text[name_end..];
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start_matches(|letter: char| letter.is_ascii_whitespace() || letter == '/');
        if rest.is_empty() {
            return (attributes, rest);
        }
        if let Some(after) = rest.strip_prefix('>') {
            return (attributes, after);
        }
        let end = rest.find(|letter: char| letter.is_ascii_whitespace() || matches!(letter, '=' | '>' | '/'));
        // A `=` that no name stands before is one.
        let end = end.unwrap_or(rest.len()).max(rest.chars().next().map_or(0, char::len_utf8));
        let name = rest[..end].to_ascii_lowercase();
        rest = rest[end..].trim_start();
        let mut value = "";
        if let Some(assigned) = rest.strip_prefix('=') {
            let assigned = assigned.trim_start();
            (value, rest) = if let Some(quote @ ('"' | '\'')) = assigned.chars().next() {
                assigned[1..].split_once(quote).unwrap_or((&assigned[1..], ""))
            } else {
                let is_end = |letter: char| letter.is_ascii_whitespace() || letter == '>';
                assigned.split_at(assigned.find(is_end).unwrap_or(assigned.len()))
            };
        }
        attributes.push((name, value.to_owned()));
    }
}

/// A value with its character references resolved; those that no URL needs stay as they are.
fn decoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let reference = after.split_once(';').and_then(|(name, after)| Some((character(name)?, after)));
        if let Some((letter, after)) = reference {
            out.push(letter);
            rest = after;
        } else {
            out.push('&');
            rest = after;
        }
    }
    out + rest
}

fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

/// The mirrors of a file of `module` by what `GOPROXY` says. A comma goes on to the next proxy when this one does not have
/// the file, a bar after any failure; `direct` has no toolchains, and nothing after `off` counts.
///
/// # Errors
/// When it names no proxy, or something that is no URL.
pub fn go_mirrors(text: Option<&str>, module: &str, file: &str) -> Result<Vec<Mirror>, MirrorError> {
    let text = text.map(str::trim).filter(|text| !text.is_empty()).unwrap_or(PROXY);
    let mut mirrors = Vec::new();
    for part in text.split_inclusive([',', '|']) {
        let gives_way = part.ends_with('|');
        match part.trim_end_matches([',', '|']).trim() {
            "off" => break,
            "direct" | "" => {}
            proxy => {
                let url = below(web_url(PROXY_VARIABLE, proxy)?, &format!("{module}/@v/{file}"));
                mirrors.push(Mirror { url, gives_way });
            }
        }
    }
    if mirrors.is_empty() {
        return Err(MirrorError::NoProxy { text: text.split_inclusive([',', '|']).map(without_login).collect() });
    }
    Ok(mirrors)
}

/// The value of a variable in the file that `go env -w` writes.
#[must_use]
pub fn go_env_value(file: &str, name: &str) -> Option<String> {
    let value = file.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim() == name);
    value.map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests;
