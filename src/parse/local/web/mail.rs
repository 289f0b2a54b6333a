//! Mail: a message (eml) is a page, and so is each message of a mailbox (mbox). Attachments are listed.

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
        pages: vec![page(1, text(&message, 0))],
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
    for message in split(bytes) {
        let message = unquoted(message);
        let Some(message) = MessageParser::default().parse(&message) else {
            continue;
        };
        let number = pages.len() as u32 + 1;
        details.attachments.extend(attachments(&message));
        let text = text(&message, 0);
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

/// The messages of a mailbox: each begins after a blank line with `From `, who sent it, and a time.
fn split(bytes: &[u8]) -> Vec<&[u8]> {
    let mut starts = Vec::new();
    let (mut at, mut blank) = (0, true);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let is_time = line
            .windows(3)
            .any(|w| w[1] == b':' && w[0].is_ascii_digit() && w[2].is_ascii_digit());
        if blank && line.starts_with(b"From ") && is_time {
            // Behind that line the message begins.
            starts.push((at, at + line.len()));
        }
        at += line.len();
        blank = line.iter().all(u8::is_ascii_whitespace);
    }
    let ends = starts
        .iter()
        .skip(1)
        .map(|(line, _)| *line)
        .chain([bytes.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|((_, start), end)| &bytes[*start..end])
        .collect()
}

/// Without the `>` a mailbox puts before lines of a message that begin with `From `.
fn unquoted(message: &[u8]) -> Vec<u8> {
    let lines = message.split_inclusive(|byte| *byte == b'\n');
    let lines = lines.map(|line| {
        let marks = line.iter().take_while(|byte| **byte == b'>').count();
        let is_quoted = marks > 0 && line[marks..].starts_with(b"From ");
        &line[usize::from(is_quoted)..]
    });
    lines.collect::<Vec<_>>().concat()
}

fn unreadable() -> ParseError {
    ParseError::with_hint(
        "it holds no message",
        "export it again from the mail program",
    )
}

/// Messages in messages that are read.
const FORWARDED: usize = 3;

/// The subject as a heading, who wrote to whom and when, then what.
fn text(message: &Message<'_>, depth: usize) -> String {
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
    let bodies = |parts: &[u32]| -> String {
        let parts = parts.iter().filter_map(|at| message.part(*at));
        let texts = parts.filter_map(|part| match part.is_text_html() {
            true => part.text_contents().map(html::text),
            false => part.text_contents().map(str::to_owned),
        });
        texts.collect::<Vec<_>>().join("\n\n").trim().to_owned()
    };
    let mut body = bodies(&message.text_body);
    if body.is_empty() {
        body = bodies(&message.html_body);
    }
    let forwarded = message.parts.iter().filter_map(|part| part.message());
    for inner in forwarded.filter(|_| depth < FORWARDED) {
        body += &format!("\n\n{}", self::text(inner, depth + 1));
    }
    text.truncate(text.trim_end().len());
    text += "\n\n";
    text += body.trim();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_begins_with_from_is_no_message() {
        let mailbox = b"From a@b Mon Mar  3 09:00:00 2025\nSubject: one\n\nFrom here on we go.\n\n>From there too.\n\n\
            From c@d Mon Mar  3 10:00:00 2025\nSubject: two\n\nEnd\n";
        let pages = super::mailbox(mailbox).unwrap().pages;
        assert_eq!(pages.len(), 2);
        assert!(
            pages[0].text.ends_with("From there too."),
            "{}",
            pages[0].text
        );
    }

    #[test]
    fn html_is_read_where_the_plain_text_is_blank_and_so_is_what_was_forwarded() {
        let mail = b"Subject: s\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=m\n\n--m\n\
            Content-Type: multipart/alternative; boundary=a\n\n--a\nContent-Type: text/plain\n\n \n--a\n\
            Content-Type: text/html\n\n<p>Hello <b>you</b></p>\n--a--\n--m\nContent-Type: message/rfc822\n\n\
            Subject: inner\n\nThe inner text.\n--m--\n";
        let text = message(mail).unwrap().pages.remove(0).text;
        assert!(
            text.contains("Hello you") && text.contains("# inner\n\nThe inner text."),
            "{text}"
        );
    }
}
