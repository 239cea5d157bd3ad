//! A list of names becomes the page of it that is asked for, and where the next one begins.

use std::cmp::Ordering;

use super::Paging;

/// The order of tags and repositories: that of the alphabet whatever the case, as the specification has it.
#[must_use]
pub fn compare(one: &str, other: &str) -> Ordering {
    let letters = |name: &str| name.bytes().map(|byte| byte.to_ascii_lowercase()).collect::<Vec<u8>>();
    letters(one).cmp(&letters(other)).then_with(|| one.cmp(other))
}

/// Part of a list.
#[derive(Debug, PartialEq, Eq)]
pub struct Page<'a> {
    /// the names, in their order
    pub names: Vec<&'a str>,
    /// what the `Link` header says when there are more
    pub link: Option<String>,
}

/// The names of `all` that are asked for; `path` is where the list is, and `all` is sorted here.
#[must_use]
pub fn page<'a>(path: &str, mut all: Vec<&'a str>, paging: &Paging) -> Page<'a> {
    all.sort_by(|one, other| compare(one, other));
    all.dedup();
    let after = |name: &&str| paging.last.as_deref().is_none_or(|last| compare(name, last) == Ordering::Greater);
    let rest: Vec<&str> = all.into_iter().filter(after).collect();
    let most = paging.most.unwrap_or(rest.len());
    let names: Vec<&str> = rest.iter().copied().take(most).collect();
    // Names consist of letters that mean nothing else in an address.
    let next = names.last().filter(|_| names.len() < rest.len());
    let link = next.map(|last| format!("<{path}?last={last}&n={most}>; rel=\"next\""));
    Page { names, link }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_in_the_order_of_the_alphabet() {
        let all = || vec!["b", "latest", "1.10", "Beta", "a", "1.9", "B", "_x"];
        let page = |most: Option<usize>, last: Option<&str>| {
            let paging = Paging { most, last: last.map(str::to_owned) };
            let page = super::page("/v2/app/tags/list", all(), &paging);
            (page.names.join(" "), page.link)
        };
        let link = |last: &str, most| Some(format!("</v2/app/tags/list?last={last}&n={most}>; rel=\"next\""));
        for (most, last, names, next) in [
            (None, None, "1.10 1.9 _x a B b Beta latest", None),
            (Some(3), None, "1.10 1.9 _x", link("_x", 3)),
            (Some(3), Some("_x"), "a B b", link("b", 3)),
            (Some(3), Some("b"), "Beta latest", None),
            (Some(2), Some("b"), "Beta latest", None),
            (Some(0), None, "", None),
            (Some(usize::MAX), None, "1.10 1.9 _x a B b Beta latest", None),
            (None, Some("Aa"), "B b Beta latest", None),
            (None, Some("latest"), "", None),
            (Some(1), Some("zzz"), "", None),
        ] {
            assert_eq!(page(most, last), (names.to_owned(), next), "{most:?} {last:?}");
        }
    }
}
