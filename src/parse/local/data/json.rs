//! JSON: an object is a page, and so is each object of an array or of lines (NDJSON).

use serde_json::{Map, Value};

use super::super::flow::page;
use super::super::plain;
use crate::document::{Details, Parsed};
use crate::parse::ParseError;

const TITLES: [&str; 5] = ["title", "name", "subject", "headline", "제목"];
const TEXTS: [&str; 9] = [
    "text",
    "body",
    "content",
    "contents",
    "description",
    "abstract",
    "본문",
    "내용",
    "요약",
];
const DATES: [&str; 5] = ["date", "created", "created_at", "published", "날짜"];

/// One value, or an array of them. `template` has fields in braces, such as `{title}`.
///
/// # Errors
/// When it is no JSON, with the line where it ends to be.
pub fn parse(bytes: &[u8], template: Option<&str>) -> Result<Parsed, ParseError> {
    let text = plain::decode(bytes).ok_or_else(plain::binary)?;
    let value: Value = match serde_json::from_str(&text) {
        Ok(value) => value,
        // Lines of JSON under the name of one.
        Err(error) => return lines(bytes, template).map_err(|_| broken(&error.to_string())),
    };
    Ok(match value {
        Value::Array(items) if items.iter().any(Value::is_object) => records(&items, template),
        Value::Object(mut object) => match only_list(&object) {
            Some(name) => {
                let list = object.remove(&name);
                let items = list
                    .as_ref()
                    .and_then(Value::as_array)
                    .map_or(&[][..], Vec::as_slice);
                // What is said of the list as a whole comes before it.
                let about = Value::Object(object);
                match about.as_object().is_some_and(Map::is_empty) {
                    true => records(items, template),
                    false => records(&[&[about], items].concat(), template),
                }
            }
            None => records(&[Value::Object(object)], template),
        },
        other => records(&[other], template),
    })
}

/// A value on each line.
///
/// # Errors
/// When a line is none, with its number.
pub fn lines(bytes: &[u8], template: Option<&str>) -> Result<Parsed, ParseError> {
    let text = plain::decode(bytes).ok_or_else(plain::binary)?;
    let mut items: Vec<Value> = Vec::new();
    for (number, line) in (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let value = serde_json::from_str(line)
            .map_err(|error| broken(&format!("line {number}: {error}")))?;
        items.push(value);
    }
    Ok(records(&items, template))
}

fn broken(why: &str) -> ParseError {
    ParseError::with_hint(
        format!("it is no JSON ({why})"),
        "mend it, or give the file the ending .txt",
    )
}

/// The name of the one list of objects: each of them is a page.
fn only_list(object: &Map<String, Value>) -> Option<String> {
    if TEXTS.iter().any(|name| object.contains_key(*name)) {
        return None;
    }
    let mut lists = object.iter().filter(|(_, value)| match value {
        Value::Array(items) => items.len() > 1 && items.iter().all(Value::is_object),
        _ => false,
    });
    let (first, _) = lists.next()?;
    lists.next().is_none().then(|| first.clone())
}

fn records(items: &[Value], template: Option<&str>) -> Parsed {
    let mut details = Details::default();
    let mut title = None;
    if let [Value::Object(only)] = items {
        title = field(only, &TITLES);
        details.created = field(only, &DATES);
        details.author = field(only, &["author"]);
    }
    let texts = items.iter().map(|item| match template {
        Some(template) => filled(template, item),
        None => shown(item),
    });
    Parsed {
        pages: (1..)
            .zip(texts)
            .map(|(number, text)| page(number, text))
            .collect(),
        title,
        details,
    }
}

fn field(object: &Map<String, Value>, names: &[&str]) -> Option<String> {
    let found = names.iter().find_map(|name| object.get(*name));
    found.map(scalar).filter(|text| !text.is_empty())
}

/// Title, text, then all else as `name: value`.
fn shown(item: &Value) -> String {
    let Value::Object(object) = item else {
        let mut lines = Vec::new();
        flatten("", item, &mut lines);
        return lines.join("\n");
    };
    let mut parts = Vec::new();
    let titled = TITLES
        .iter()
        .find(|name| object.get(**name).is_some_and(Value::is_string));
    parts
        .extend(titled.map(|name| format!("# {}", crate::text::one_line(&scalar(&object[*name])))));
    let texts = TEXTS
        .iter()
        .filter(|name| object.get(**name).is_some_and(Value::is_string));
    parts.extend(texts.clone().map(|name| scalar(&object[*name])));
    let mut lines = Vec::new();
    for (name, value) in object {
        if Some(name.as_str()) != titled.copied() && !texts.clone().any(|text| text == name) {
            flatten(name, value, &mut lines);
        }
    }
    parts.push(lines.join("\n"));
    parts.retain(|part| !part.trim().is_empty());
    parts.join("\n\n")
}

/// `- a.b: value` for each value inside.
fn flatten(name: &str, value: &Value, lines: &mut Vec<String>) {
    let inner = |key: &str| match name {
        "" => key.to_owned(),
        name => format!("{name}.{key}"),
    };
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                flatten(&inner(key), value, lines);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (index, item) in (1..).zip(items) {
                flatten(&inner(&index.to_string()), item, lines);
            }
        }
        Value::Null => {}
        other => lines.push(match name {
            "" => scalar(other),
            name => format!("- {name}: {}", scalar(other)),
        }),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(scalar).collect::<Vec<_>>().join(", "),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The template with its fields filled in; `{a.b}` looks into `a`, and what is not there is left out.
fn filled(template: &str, item: &Value) -> String {
    let (mut text, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            text.push('{');
            rest = after;
            continue;
        };
        let found = name.split('.').try_fold(item, |value, key| value.get(key));
        text.push_str(&found.map(scalar).unwrap_or_default());
        rest = tail;
    }
    text.push_str(rest);
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(parsed: Parsed) -> Vec<String> {
        parsed.pages.into_iter().map(|page| page.text).collect()
    }

    #[test]
    fn known_fields_come_first_and_none_is_lost() {
        let parsed = parse(
            r#"{"id": 7, "title": "공지", "text": "휴관합니다.", "tags": ["a", "b"], "by": {"name": "Kim"}}"#
                .as_bytes(),
            None,
        )
        .unwrap();
        assert_eq!(parsed.title.as_deref(), Some("공지"));
        assert_eq!(
            texts(parsed),
            ["# 공지\n\n휴관합니다.\n\n- by.name: Kim\n- id: 7\n- tags: a, b"]
        );
    }

    #[test]
    fn each_object_is_a_page_and_a_template_decides_what_it_says() {
        let list = br#"{"count": 2, "items": [{"a": "1"}, {"a": {"b": 2}}]}"#;
        assert_eq!(
            texts(parse(list, None).unwrap()),
            ["- count: 2", "- a: 1", "- a.b: 2"]
        );
        let lines = lines(b"{\"a\":1}\n\n{\"a\":2}\n", Some("A is {a}{none}!")).unwrap();
        assert_eq!(texts(lines), ["A is 1!", "A is 2!"]);
    }

    #[test]
    fn a_broken_line_is_named() {
        let error = super::lines(b"{}\n{,}\n", None).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
