//! A JSON file that is changed in one place: everything else keeps its order, its numbers and its escapes as they were
//! written. Printed as docker and podman do, with tabs.

/// What an entry of `auths` holds of a login; what else is in it stays.
const LOGIN_KEYS: [&str; 5] = ["auth", "username", "password", "identitytoken", "registrytoken"];
const AUTHS: &str = "auths";

/// A JSON object; keys and scalars as they were written, quotes included.
#[derive(Debug)]
pub(super) struct Document {
    entries: Vec<(String, Value)>,
    /// what followed the object: a newline, mostly
    end: String,
}

#[derive(Debug)]
enum Value {
    Scalar(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Document {
    /// Reads an object; nothing at all is an empty one.
    ///
    /// # Errors
    /// When the text is not JSON, or something else than an object.
    pub(super) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let end = text[text.trim_ascii_end().len()..].to_owned();
        if text.trim_ascii().is_empty() {
            return Ok(Self { entries: Vec::new(), end });
        }
        // All that is wrong is found here, nesting without end included; the reader below meets valid JSON alone.
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text)?;
        let entries = match (Reader { text, at: 0 }).value() {
            Value::Object(entries) => entries,
            Value::Scalar(_) | Value::List(_) => Vec::new(),
        };
        Ok(Self { entries, end })
    }

    /// Puts a login under `key` of `auths`: the base64 text of `user:password`, or nothing when a program keeps it.
    pub(super) fn set_login(&mut self, key: &str, auth: Option<&str>) {
        let auths = object(&mut self.entries, AUTHS, true);
        let entry = object(auths, key, false);
        entry.retain(|(name, _)| !LOGIN_KEYS.contains(&unquoted(name).as_str()));
        if let Some(auth) = auth {
            entry.insert(0, (quoted("auth"), Value::Scalar(quoted(auth))));
        }
    }

    /// Takes out the entries of `auths` whose key is of `unwanted`; the keys that were there.
    pub(super) fn remove_logins(&mut self, unwanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut removed = Vec::new();
        for (_, value) in self.entries.iter_mut().filter(|(name, _)| unquoted(name) == AUTHS) {
            if let Value::Object(auths) = value {
                auths.retain(|(name, _)| {
                    let key = unquoted(name);
                    let keep = !unwanted(&key);
                    if !keep {
                        removed.push(key);
                    }
                    keep
                });
            }
        }
        removed
    }

    /// The text of the file.
    pub(super) fn print(&self) -> String {
        let mut text = String::new();
        print_object(&self.entries, 0, &mut text);
        text + &self.end
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A key without quotes and escapes.
fn unquoted(raw: &str) -> String {
    serde_json::from_str(raw).unwrap_or_default()
}

/// The object under `key`, made where there is none, first or last.
fn object<'entries>(
    entries: &'entries mut Vec<(String, Value)>,
    key: &str,
    first: bool,
) -> &'entries mut Vec<(String, Value)> {
    let at = entries.iter().position(|(name, _)| unquoted(name) == key).unwrap_or_else(|| {
        let at = if first { 0 } else { entries.len() };
        entries.insert(at, (quoted(key), Value::Object(Vec::new())));
        at
    });
    let value = &mut entries[at].1;
    if !matches!(value, Value::Object(_)) {
        // `null`, which means the same.
        *value = Value::Object(Vec::new());
    }
    match value {
        Value::Object(entries) => entries,
        Value::Scalar(_) | Value::List(_) => unreachable!("an object was put there"),
    }
}

fn print_object(entries: &[(String, Value)], depth: usize, text: &mut String) {
    print_items(entries, ['{', '}'], depth, text, |(key, value), text| {
        text.push_str(key);
        text.push_str(": ");
        value.print(depth + 1, text);
    });
}

fn print_items<T>(
    items: &[T],
    [open, close]: [char; 2],
    depth: usize,
    text: &mut String,
    one: impl Fn(&T, &mut String),
) {
    let new_line = |depth, text: &mut String| {
        text.push('\n');
        text.extend(std::iter::repeat_n('\t', depth));
    };
    text.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        new_line(depth + 1, text);
        one(item, text);
    }
    if !items.is_empty() {
        new_line(depth, text);
    }
    text.push(close);
}

impl Value {
    fn print(&self, depth: usize, text: &mut String) {
        match self {
            Self::Scalar(raw) => text.push_str(raw),
            Self::Object(entries) => print_object(entries, depth, text),
            Self::List(items) => {
                print_items(items, ['[', ']'], depth, text, |item, text| item.print(depth + 1, text));
            }
        }
    }
}

/// Reads JSON that is known to be valid.
struct Reader<'text> {
    text: &'text str,
    at: usize,
}

impl Reader<'_> {
    /// The next byte that is no white space, which stays; 0 at the end.
    fn peek(&mut self) -> u8 {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_ascii_start().len();
        self.text.as_bytes().get(self.at).copied().unwrap_or_default()
    }

    fn value(&mut self) -> Value {
        match self.peek() {
            b'{' => Value::Object(self.items(|reader| {
                let key = reader.scalar();
                reader.peek();
                // The colon.
                reader.at += 1;
                (key, reader.value())
            })),
            b'[' => Value::List(self.items(Self::value)),
            _ => Value::Scalar(self.scalar()),
        }
    }

    /// What stands between brackets, with commas between.
    fn items<T>(&mut self, one: impl Fn(&mut Self) -> T) -> Vec<T> {
        let mut items = Vec::new();
        self.at += 1;
        while !matches!(self.peek(), b'}' | b']' | 0) {
            if self.peek() == b',' {
                self.at += 1;
            }
            items.push(one(self));
        }
        self.at += 1;
        items
    }

    /// A string with its quotes, a number, or a word.
    fn scalar(&mut self) -> String {
        let is_string = self.peek() == b'"';
        let rest = &self.text[self.at..];
        let mut escaped = false;
        let end = |(at, byte): &(usize, u8)| {
            if !is_string {
                return matches!(*byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
            }
            let closes = *at > 0 && *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            closes
        };
        let end = rest.bytes().enumerate().find(end).map_or(rest.len(), |(at, _)| at + usize::from(is_string));
        self.at += end;
        rest[..end].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_changed_stays_as_it_was() {
        let text = "{\n\t\"zebra\": 1.50e3,\n\t\"HttpHeaders\": {\n\t\t\"X\": \"a\\u003cb \\\" \\\\\"\n\t},\n\t\"auths\": {\n\t\t\"b\": {\n\t\t\t\"auth\": \"b2xk\",\n\t\t\t\"email\": \"me\"\n\t\t},\n\t\t\"a\": {}\n\t},\n\t\"list\": [\n\t\t[],\n\t\t{},\n\t\t12345678901234567890123,\n\t\ttrue\n\t]\n}\n";
        let mut document = Document::parse(text).unwrap();
        assert_eq!(document.print(), text);
        document.set_login("b", Some("bmV3"));
        assert_eq!(document.print(), text.replace("b2xk", "bmV3"));
        document.set_login("b", None);
        document.set_login("b", Some("b2xk"));
        assert_eq!(document.print(), text, "an entry keeps what is no login");
        document.set_login("c\"", Some("eA=="));
        let more = "\"a\": {},\n\t\t\"c\\\"\": {\n\t\t\t\"auth\": \"eA==\"\n\t\t}";
        assert_eq!(document.print(), text.replace("\"a\": {}", more));
        assert_eq!(document.remove_logins(|key| key != "b"), ["a", "c\""]);
        assert_eq!(document.print(), text.replace(",\n\t\t\"a\": {}", ""));
    }

    #[test]
    fn other_layouts_and_gaps_become_dockers() {
        for (text, expected) in [
            ("", "{\n\t\"auths\": {\n\t\t\"r\": {\n\t\t\t\"auth\": \"YQ==\"\n\t\t}\n\t}\n}"),
            ("{}\n", "{\n\t\"auths\": {\n\t\t\"r\": {\n\t\t\t\"auth\": \"YQ==\"\n\t\t}\n\t}\n}\n"),
            (
                r#"{ "credsStore" :"x", "auths":null }"#,
                "{\n\t\"credsStore\": \"x\",\n\t\"auths\": {\n\t\t\"r\": {\n\t\t\t\"auth\": \"YQ==\"\n\t\t}\n\t}\n}",
            ),
            (
                r#"{"\u0061uths":{"r":{"password":"p","identitytoken":"t"}}}"#,
                "{\n\t\"\\u0061uths\": {\n\t\t\"r\": {\n\t\t\t\"auth\": \"YQ==\"\n\t\t}\n\t}\n}",
            ),
        ] {
            let mut document = Document::parse(text).unwrap();
            document.set_login("r", Some("YQ=="));
            assert_eq!(document.print(), expected, "{text}");
        }
        for text in ["[]", "null", "{", r#"{"a": 01}"#, "{} {}"] {
            assert!(Document::parse(text).is_err(), "{text}");
        }
    }
}
