//! Rust source as tokens and absolute paths: just enough to say which module names which.

use std::fs;
use std::path::{Path, PathBuf};

/// A word, a `::` or any other single character of Rust source, with the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// the text
    pub text: String,
    /// its line, from 1
    pub line: usize,
}

/// A path that the source names, from the crate's root or from another crate's name on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// `["crate", "store", "Store"]`, `["std", "fs"]`
    pub path: Vec<String>,
    /// the line it stands on, from 1
    pub line: usize,
}

/// Every Rust file below `folder`, sorted.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the repository can be read") {
        let path = entry.expect("the repository can be read").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Splits `source` into tokens without comments, texts, characters and whatever stands under `#[cfg(test)]`.
pub fn tokens(source: &str) -> Vec<Token> {
    without_tests(&lex(source))
}

fn lex(source: &str) -> Vec<Token> {
    let letters: Vec<char> = source.chars().collect();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < letters.len() {
        let end = match (letters[at], letters.get(at + 1)) {
            ('/', Some('/')) => find(&letters, at, |letter| letter == '\n'),
            ('/', Some('*')) => block_comment(&letters, at),
            ('"', _) => text(&letters, at + 1),
            ('\'', _) => character(&letters, at),
            ('r' | 'b' | 'c', Some('r' | '"' | '#')) if raw(&letters, at).is_some() => {
                raw(&letters, at).unwrap_or(at + 1)
            }
            (letter, _) if letter.is_alphanumeric() || letter == '_' => {
                let end = find(&letters, at, |letter| !letter.is_alphanumeric() && letter != '_');
                tokens.push(Token { text: letters[at..end].iter().collect(), line });
                end
            }
            (':', Some(':')) => {
                tokens.push(Token { text: "::".into(), line });
                at + 2
            }
            (letter, _) => {
                if !letter.is_whitespace() {
                    tokens.push(Token { text: letter.into(), line });
                }
                at + 1
            }
        };
        line += letters[at..end].iter().filter(|letter| **letter == '\n').count();
        at = end;
    }
    tokens
}

fn find(letters: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    letters[from..].iter().position(|letter| stop(*letter)).map_or(letters.len(), |length| from + length)
}

fn block_comment(letters: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0);
    while at + 1 < letters.len() {
        match (letters[at], letters[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    letters.len()
}

/// The end of a text whose content starts at `from`.
fn text(letters: &[char], from: usize) -> usize {
    let mut at = from;
    while at < letters.len() && letters[at] != '"' {
        at += if letters[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(letters.len())
}

/// The end of a character, or of the quote alone when it opens a lifetime.
fn character(letters: &[char], from: usize) -> usize {
    match (letters.get(from + 1), letters.get(from + 2)) {
        (Some('\\'), _) => (find(letters, from + 3, |letter| letter == '\'') + 1).min(letters.len()),
        (Some(_), Some('\'')) => from + 3,
        _ => from + 1,
    }
}

/// The end of a byte text, C text or raw text that starts at `from`; `None` when it is a word.
fn raw(letters: &[char], from: usize) -> Option<usize> {
    let mut at = from;
    while matches!(letters.get(at), Some('r' | 'b' | 'c')) && at < from + 2 {
        at += 1;
    }
    let is_raw = letters[from..at].contains(&'r');
    let hashes = letters.get(at..)?.iter().take_while(|letter| **letter == '#').count();
    if letters.get(at + hashes) != Some(&'"') || (hashes > 0 && !is_raw) {
        return None;
    }
    if !is_raw {
        return Some(text(letters, at + 1));
    }
    let mut at = at + hashes + 1;
    while at < letters.len() {
        if letters[at] == '"' && letters[at + 1..].iter().take_while(|letter| **letter == '#').count() >= hashes {
            return Some(at + 1 + hashes);
        }
        at += 1;
    }
    Some(letters.len())
}

/// Leaves out each item that follows `#[cfg(test)]`.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let marked = tokens[at..].iter().map(|token| token.text.as_str()).take(MARK.len()).eq(MARK);
        if marked {
            at = item_end(tokens, at + MARK.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Where the item that starts at `from` ends: after its braces, or after the semicolon of one that has none.
fn item_end(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && tokens.get(at + 1).is_none_or(|next| next.text != ";") {
                    return at + 1;
                }
            }
            ")" | "]" => depth = depth.saturating_sub(1),
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Every path with at least two parts in `tokens`, which are the source of the module `module`; `super` and `self` are
/// resolved, groups are taken apart.
pub fn paths(module: &[String], tokens: &[Token]) -> Vec<Named> {
    let mut named = Vec::new();
    // The inline modules around the current token, each with the brace depth outside it.
    let mut inline: Vec<(String, usize)> = Vec::new();
    let (mut depth, mut at) = (0, 0);
    while at < tokens.len() {
        let word = |offset: usize| tokens.get(at + offset).map_or("", |token| token.text.as_str());
        match word(0) {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                inline.pop_if(|(_, outside)| *outside == depth);
            }
            "mod" if word(2) == "{" => inline.push((word(1).to_owned(), depth)),
            first if word(1) == "::" && is_word(first) => {
                let mut here: Vec<String> = vec!["crate".into()];
                here.extend(module.iter().cloned().chain(inline.iter().map(|(name, _)| name.clone())));
                at = tree(tokens, at, &[], &here, &mut named);
                continue;
            }
            // A crate can be named without a path: `use reqwest;`.
            "use" if is_word(word(1)) && word(2) != "::" => {
                named.push(Named { path: vec![word(1).to_owned()], line: tokens[at].line });
            }
            _ => {}
        }
        at += 1;
    }
    named
}

fn is_word(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
}

/// Reads a path or a use tree that starts at `at`, after `prefix`, into `named`; returns where it ends.
fn tree(tokens: &[Token], mut at: usize, prefix: &[String], here: &[String], named: &mut Vec<Named>) -> usize {
    let mut path = prefix.to_vec();
    let line = tokens[at].line;
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.text != "}") {
                    let end = tree(tokens, at, &path, here, named);
                    // A comma, or a `as` and its name.
                    at = end.max(at + 1);
                    while tokens.get(at).is_some_and(|token| token.text != "," && token.text != "}") {
                        at += 1;
                    }
                    if tokens.get(at).is_some_and(|token| token.text == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "super" if path.is_empty() => path = here[..here.len() - 1].to_vec(),
            "super" => {
                path.pop();
            }
            "self" if path.is_empty() => path = here.to_vec(),
            "self" => {}
            "*" => return finish(path, line, at + 1, named),
            word if is_word(word) => path.push(word.to_owned()),
            // Type arguments in a path, a macro's variable: what comes after says nothing of modules.
            _ => break,
        }
        at += 1;
        if tokens.get(at).is_none_or(|token| token.text != "::") {
            break;
        }
        at += 1;
    }
    finish(path, line, at, named)
}

fn finish(path: Vec<String>, line: usize, at: usize, named: &mut Vec<Named>) -> usize {
    named.push(Named { path, line });
    at
}
