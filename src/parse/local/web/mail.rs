//! Mail: a message (eml) is a page, and so is each message of a mailbox (mbox). Attachments are listed.

use mail_parser::mailbox::mbox::MessageIterator;
use mail_parser::{Address, Message, MessageParser, MimeHeaders as _};

use super::super::flow::page;
use super::super::{MAX_TEXT, read};
use super::html;
use crate::document::{Details, Parsed};
use crate::parse::ParseError;

/// One message.
///
/// # Errors
/// When it has no header.
pub fn message(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let message = MessageParser::default()
        .parse(bytes)
        .ok_or_else(unreadable)?;
    let details = Details {
        author: message.from().map(people).filter(|from| !from.is_empty()),
        created: message.date().map(mail_parser::DateTime::to_rfc3339),
        attachments: attachments(&message),
        ..Details::default()
    };
    Ok(Parsed {
        pages: vec![page(1, text(&message))],
        title: message.subject().map(crate::text::one_line),
        details,
    })
}

/// All messages of a mailbox.
///
/// # Errors
/// When there is none.
pub fn mailbox(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let (mut pages, mut details, mut size) = (Vec::new(), Details::default(), 0);
    for message in MessageIterator::new(bytes).flatten() {
        let Some(message) = MessageParser::default().parse(message.contents()) else {
            continue;
        };
        let number = pages.len() as u32 + 1;
        details.attachments.extend(attachments(&message));
        let text = text(&message);
        size += text.len();
        if size > MAX_TEXT {
            return Err(read::too_much_text());
        }
        pages.push(page(number, text));
    }
    match pages.is_empty() {
        true => Err(unreadable()),
        false => Ok(Parsed {
            pages,
            title: None,
            details,
        }),
    }
}

fn unreadable() -> ParseError {
    ParseError::with_hint(
        "it holds no message",
        "export it again from the mail program",
    )
}

/// The subject as a heading, who wrote to whom and when, then what.
fn text(message: &Message<'_>) -> String {
    let mut text = format!(
        "# {}\n\n",
        crate::text::one_line(message.subject().unwrap_or("-"))
    );
    let lines = [
        ("From", message.from().map(people)),
        ("To", message.to().map(people)),
        ("Cc", message.cc().map(people)),
        (
            "Date",
            message.date().map(mail_parser::DateTime::to_rfc3339),
        ),
    ];
    for (name, value) in lines {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            text += &format!("- {name}: {value}\n");
        }
    }
    // Where the same text came as plain text and as HTML, the plain one is meant for reading.
    let plain = message.text_body.iter().filter_map(|at| message.part(*at));
    let bodies: Vec<String> = plain
        .filter_map(|part| match part.is_text_html() {
            true => part.text_contents().map(html::text),
            false => part.text_contents().map(str::to_owned),
        })
        .collect();
    text += "\n";
    text += bodies.join("\n\n").trim();
    let attached = attachments(message);
    if !attached.is_empty() {
        text += "\n\n";
    }
    for name in attached {
        text += &format!("- Attachment: {name}\n");
    }
    text.trim().to_owned()
}

fn people(address: &Address<'_>) -> String {
    let people = address
        .iter()
        .map(|person| match (person.name(), person.address()) {
            (Some(name), Some(address)) => format!("{name} <{address}>"),
            (name, address) => name.or(address).unwrap_or_default().to_owned(),
        });
    people.collect::<Vec<_>>().join(", ")
}

fn attachments(message: &Message<'_>) -> Vec<String> {
    let names = message
        .attachments()
        .filter_map(|part| part.attachment_name());
    names.map(str::to_owned).collect()
}
