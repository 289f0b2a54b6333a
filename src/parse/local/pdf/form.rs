//! Fields of a form: what was written into them, and where they stand.

use hayro_interpret::hayro_syntax::object::{Array, Dict, Name, Object, Rect, String as Text};
use hayro_interpret::hayro_syntax::page::Page;
use hayro_interpret::kurbo::Point;

use super::about::{DEEPEST, MOST, pdf_string};
use crate::parse::local::layout::Segment;

/// Bit of an annotation's flags that hides it (ISO 32000-1, table 165).
const HIDDEN: i32 = 2;
/// Bit of a text field's flags that makes it one for a password (table 228).
const PASSWORD: i32 = 1 << 13;

/// A field that is filled in.
pub struct Field {
    /// What the form calls it: the name it has for people, or those of the field and the groups around it.
    name: String,
    /// Two corners of where it stands.
    pub area: Option<Segment>,
    pub value: String,
    /// A box that is ticked, not text.
    pub is_state: bool,
    /// The page shows the value beside a label.
    pub is_labelled: bool,
}

/// The fields of a page that are filled in.
pub fn fields(page: &Page<'_>) -> Vec<Field> {
    let Some(annotations) = page.raw().get::<Array<'_>>("Annots") else {
        return Vec::new();
    };
    let widgets = annotations
        .iter::<Dict<'_>>()
        .take(MOST)
        .filter(|annotation| {
            let kind = annotation.get::<Name<'_>>("Subtype");
            kind.as_deref() == Some(b"Widget")
        });
    widgets.filter_map(|widget| field(&widget)).collect()
}

fn field(widget: &Dict<'_>) -> Option<Field> {
    let mut names: Vec<String> = Vec::new();
    let mut label = None;
    let mut value = None;
    let mut is_secret = widget.get::<i32>("F").unwrap_or(0) & HIDDEN != 0;
    let mut node = Some(widget.clone());
    for _ in 0..DEEPEST {
        let Some(field) = node else { break };
        let text = |key: &str| {
            let text = field.get::<Text<'_>>(key)?;
            pdf_string(text.as_bytes())
        };
        names.extend(text("T"));
        label = label.or_else(|| text("TU"));
        value = value.or_else(|| field.get::<Object<'_>>("V"));
        is_secret |= field.get::<i32>("Ff").unwrap_or(0) & PASSWORD != 0
            && field.get::<Name<'_>>("FT").as_deref() == Some(b"Tx");
        node = field.get("Parent");
    }
    names.reverse();
    let (value, is_state) = match value? {
        Object::String(said) => (pdf_string(said.as_bytes())?, false),
        // A box that is not ticked says nothing.
        Object::Name(state) if &*state == b"Off" => return None,
        Object::Name(state) => (pdf_string(&state)?, true),
        Object::Array(several) => {
            let all = several
                .iter::<Text<'_>>()
                .filter_map(|said| pdf_string(said.as_bytes()));
            (all.collect::<Vec<_>>().join(", "), false)
        }
        _ => return None,
    };
    let area = widget.get::<Rect>("Rect");
    (!value.is_empty() && !is_secret).then(|| Field {
        name: label.unwrap_or_else(|| names.join(".")),
        area: area.map(|area| (Point::new(area.x0, area.y0), Point::new(area.x1, area.y1))),
        value,
        is_state,
        is_labelled: false,
    })
}

/// `- name: value` for what the text of the page does not show, or not with a label.
pub fn unseen(fields: &[Field], text: &str) -> Vec<String> {
    let solid = |text: &str| text.split_whitespace().collect::<String>();
    let page = solid(text);
    let mut lines: Vec<String> = Vec::new();
    for field in fields.iter().filter(|field| !field.is_labelled) {
        // Few letters say something beside their label only.
        let value = solid(&field.value);
        let is_seen = value.chars().count() > 3 && page.contains(&value);
        let line = format!("- {}: {}", field.name, field.value);
        if !is_seen && !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}
