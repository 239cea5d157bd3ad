//! A template and what is known of something become text: `{{ digest }}`, in the language of the templates of
//! `anyarch.toml`, over what `--json` prints.

use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};

use crate::hint::Hint;

/// Why a template gives no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Not a template.
    #[error("the format `{template}` cannot be read: {message}")]
    Syntax {
        /// what was given
        template: String,
        /// what is wrong with it
        message: String,
    },
    /// It names something that there is not.
    #[error("the format `{template}` names what is not there: {message}")]
    Undefined {
        /// what was given
        template: String,
        /// what
        message: String,
        /// what is there, at the top
        known: Vec<String>,
    },
    /// It cannot be computed.
    #[error("the format `{template}` cannot be carried out: {message}")]
    Failed {
        /// what was given
        template: String,
        /// why
        message: String,
    },
}

impl Hint for FormatError {
    fn hints(&self) -> Vec<String> {
        let (Self::Syntax { template, .. } | Self::Undefined { template, .. } | Self::Failed { template, .. }) = self;
        let mut hints = Vec::new();
        // As docker and skopeo have it: `{{json .Manifest}}`, `{{.Digest}}`.
        if ["{{.", "{{ .", "{{json", "{{ json", "{{range", "{{ range"].iter().any(|go| template.contains(go)) {
            hints.push("not Go's templates, but those of anyarch.toml: --format '{{ digest }}'".to_owned());
            hints.push("--format '{% for image in images %}{{ image.platform }} {% endfor %}'".to_owned());
            hints.push("--format '{{ images | tojson }}'".to_owned());
        } else if let Self::Undefined { known, .. } = self {
            hints.push(format!("there is {}: --json shows all of it", known.join(", ")));
        } else {
            hints.push("--format '{{ digest }}'".to_owned());
        }
        hints
    }
}

/// Renders `template` over the fields of `value`.
///
/// # Errors
/// When it is no template, names what there is not, or cannot be carried out.
pub fn render(template: &str, value: &serde_json::Value) -> Result<String, FormatError> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    // So that errors name the expression that is undefined.
    engine.set_debug(true);
    for name in ["tojson", "json"] {
        engine.add_filter(name, |value: Value| {
            serde_json::to_string(&value)
                .map_err(|error| minijinja::Error::new(ErrorKind::BadSerialization, error.to_string()))
        });
    }
    let said = |error: &minijinja::Error| error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let given = || template.to_owned();
    let compiled = engine
        .template_from_str(template)
        .map_err(|error| FormatError::Syntax { template: given(), message: said(&error) })?;
    compiled.render(Value::from(Serde(value))).map_err(|error| match error.kind() {
        ErrorKind::UndefinedError => {
            let known = value.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
            FormatError::Undefined { template: given(), message: said(&error), known }
        }
        _ => FormatError::Failed { template: given(), message: said(&error) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn templates_are_filled_from_what_json_prints() {
        let value = json!({"digest": "sha256:12", "images": [{"platform": "linux/amd64"}, {"platform": "linux/<&>"}]});
        for (template, text) in [
            ("{{ digest }}", "sha256:12"),
            ("{{digest}}\n", "sha256:12"),
            ("{% for image in images %}[{{ image.platform }}]{% endfor %}", "[linux/amd64][linux/<&>]"),
            ("{{ images[1] | tojson }}", r#"{"platform":"linux/<&>"}"#),
            ("{{ images | json }}", r#"[{"platform":"linux/amd64"},{"platform":"linux/<&>"}]"#),
            ("{{ images | map(attribute='platform') | join(' ') }}", "linux/amd64 linux/<&>"),
            ("{{ images | length }}", "2"),
            ("plain", "plain"),
        ] {
            assert_eq!(render(template, &value).as_deref(), Ok(text), "{template}");
        }
    }

    #[test]
    fn what_is_no_template_is_told_what_one_looks_like() {
        let value = json!({"digest": "sha256:12", "images": []});
        let go = "not Go's templates, but those of anyarch.toml: --format '{{ digest }}'";
        for (template, message, hint) in [
            ("{{json .Manifest}}", "the format `{{json .Manifest}}` names what is not there: ", go),
            ("{{.Digest}}", "the format `{{.Digest}}` cannot be read: ", go),
            ("{{ digest", "the format `{{ digest` cannot be read: ", "--format '{{ digest }}'"),
            (
                "{{ name }}",
                "the format `{{ name }}` names what is not there: ",
                "there is digest, images: --json shows all of it",
            ),
            ("{{ digest | nothing }}", "the format `{{ digest | nothing }}` cannot be ", "--format '{{ digest }}'"),
        ] {
            let error = render(template, &value).unwrap_err();
            assert!(error.to_string().starts_with(message), "{error}");
            assert_eq!(error.hints()[0], hint);
        }
        assert!(matches!(render("{{ 1 // 0 }}", &value), Err(FormatError::Failed { .. })));
    }
}
