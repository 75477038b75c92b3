//! Digests of what a file says, kept in the file: a bit that turned over on the way is noticed when it
//! is read, not believed.
//!
//! A digest of JSON is over its content, keys sorted, not over its spelling; what changes from one
//! execution to the next ([`TIMES`]) is left out, so that two executions of one computation leave files
//! that differ in nothing else.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Fields that say when something was computed, how long it took and on how many threads.
pub(crate) const TIMES: [&str; 5] =
    ["elapsed_secs", "started_unix_secs", "hvp_seconds", "seconds", "threads"];

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The content of `value` in one spelling, without the times and without the field `without` at its
/// top.
pub(crate) fn content(value: &Value, without: &str) -> String {
    let mut out = String::new();
    write_content(value, Some(without), &mut out);
    out
}

fn write_content(value: &Value, without: Option<&str>, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields
                .iter()
                .filter(|(key, _)| Some(key.as_str()) != without && !TIMES.contains(&key.as_str()))
                .collect();
            fields.sort_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (key, value) in fields {
                let _ = write!(out, "{}:", Value::from(key.as_str()));
                write_content(value, None, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(values) => {
            out.push('[');
            for value in values {
                write_content(value, None, out);
                out.push(',');
            }
            out.push(']');
        }
        // Writing to a string does not fail.
        other => drop(write!(out, "{other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        content(&serde_json::from_str(text).unwrap(), "sha256")
    }

    #[test]
    fn spelling_order_and_times_do_not_count_and_all_else_does() {
        let a =
            r#"{"b": [1, {"y": 0.1, "x": null}], "a": "é", "elapsed_secs": 3.5, "sha256": "?"}"#;
        let same = r#"{"a":"\u00e9","elapsed_secs":4,"b":[1,{"x":null,"y":1e-1}]}"#;
        assert_eq!(of(a), of(same));
        for (from, to) in
            [("0.1", "0.2"), ("null", "0"), ("\"a\"", "\"c\""), ("é", "e"), ("1, {", "{")]
        {
            assert_ne!(of(a), of(&a.replacen(from, to, 1)), "{from}");
        }
        // Structure counts: fields of one object are not those of another.
        assert_ne!(of(r#"[{"a":1},{"b":2}]"#), of(r#"[{"a":1,"b":2}]"#));
        assert_ne!(of(r#"["1"]"#), of("[1]"));
        assert_eq!(sha256("abc")[..16], *"ba7816bf8f01cfea");
    }
}
