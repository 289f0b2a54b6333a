//! What a file is, by its content first. Its name decides only between kinds of plain text.

use super::archive::Archive;
use super::office::ole::Ole;
use super::pdf;

/// Bytes looked at for a header.
const HEAD: usize = 4_096;

/// What an archive is called that holds files of many kinds.
pub const ARCHIVE: &str = "ZIP archive";

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Pdf,
    Docx,
    Pptx,
    /// Any that calamine opens: xlsx, xlsm, xlsb, xls.
    Sheet,
    Ods,
    Doc,
    Ppt,
    Rtf,
    /// odt and odp.
    OpenDocument,
    Hwp,
    Hwpx,
    Html,
    Epub,
    Message,
    Mailbox,
    Delimited,
    Json,
    JsonLines,
    Image,
    Text,
    /// An Office file behind a password: an OLE file with an encrypted package in it.
    Locked,
    /// Known, and not read here; what it is called.
    Foreign(&'static str),
    Unknown,
}

/// Extensions that are taken from folders, with what is expected behind them.
pub const EXTENSIONS: [(&str, Format); 44] = [
    ("pdf", Format::Pdf),
    ("docx", Format::Docx),
    ("docm", Format::Docx),
    ("dotx", Format::Docx),
    ("pptx", Format::Pptx),
    ("pptm", Format::Pptx),
    ("ppsx", Format::Pptx),
    ("xlsx", Format::Sheet),
    ("xlsm", Format::Sheet),
    ("xlsb", Format::Sheet),
    ("xls", Format::Sheet),
    ("ods", Format::Ods),
    ("doc", Format::Doc),
    ("ppt", Format::Ppt),
    ("pps", Format::Ppt),
    ("rtf", Format::Rtf),
    ("odt", Format::OpenDocument),
    ("odp", Format::OpenDocument),
    ("hwp", Format::Hwp),
    ("hwpx", Format::Hwpx),
    ("html", Format::Html),
    ("htm", Format::Html),
    ("xhtml", Format::Html),
    ("epub", Format::Epub),
    ("eml", Format::Message),
    ("mbox", Format::Mailbox),
    ("csv", Format::Delimited),
    ("tsv", Format::Delimited),
    ("tab", Format::Delimited),
    ("json", Format::Json),
    ("ndjson", Format::JsonLines),
    ("jsonl", Format::JsonLines),
    ("png", Format::Image),
    ("jpg", Format::Image),
    ("jpeg", Format::Image),
    ("tif", Format::Image),
    ("tiff", Format::Image),
    ("bmp", Format::Image),
    ("webp", Format::Image),
    ("txt", Format::Text),
    ("text", Format::Text),
    ("log", Format::Text),
    ("md", Format::Text),
    ("markdown", Format::Text),
];

/// The extensions alone.
pub const fn extensions() -> [&'static str; EXTENSIONS.len()] {
    let mut names = [""; EXTENSIONS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = EXTENSIONS[at].0;
        at += 1;
    }
    names
}

/// What `bytes` are. `extension`, in lower case, is what the file's name ends in.
pub fn detect(bytes: &[u8], extension: &str) -> Format {
    let head = &bytes[..bytes.len().min(HEAD)];
    if pdf::is_pdf(bytes) {
        return Format::Pdf;
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return in_zip(bytes, extension);
    }
    if bytes.starts_with(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1") {
        return in_ole(bytes, extension);
    }
    if is_image(head) {
        return Format::Image;
    }
    if head.starts_with(b"{\\rtf") {
        return Format::Rtf;
    }
    if let Some(foreign) = foreign(head) {
        return foreign;
    }
    if head.starts_with(b"\x09\x08")
        || head.starts_with(b"\x09\x04")
        || head.starts_with(b"\x09\x02")
    {
        // An Excel stream of 1992 to 1995 without a container.
        return Format::Sheet;
    }
    by_text(head, extension)
}

/// The name of the kind, as `inspect` and notes say it.
pub fn name(format: Format, bytes: &[u8], extension: &str) -> String {
    let is_zip = bytes.starts_with(b"PK");
    let kind = match format {
        Format::Pdf => "pdf",
        Format::Docx => "docx",
        Format::Pptx => "pptx",
        Format::Sheet if !is_zip => "xls",
        Format::Sheet if extension == "xlsb" => extension,
        Format::Sheet => "xlsx",
        Format::Ods => "ods",
        Format::Doc => "doc",
        Format::Ppt => "ppt",
        Format::Rtf => "rtf",
        Format::OpenDocument if extension == "odp" => "odp",
        Format::OpenDocument => "odt",
        Format::Hwp => "hwp",
        Format::Hwpx => "hwpx",
        Format::Html => "html",
        Format::Epub => "epub",
        Format::Message => "eml",
        Format::Mailbox => "mbox",
        Format::Delimited if matches!(extension, "tsv" | "tab") => "tsv",
        Format::Delimited => "csv",
        Format::Json => "json",
        Format::JsonLines => "ndjson",
        Format::Image => "image",
        Format::Text if matches!(extension, "md" | "markdown") => "md",
        Format::Text => "txt",
        Format::Locked => "locked",
        Format::Foreign(name) => name,
        Format::Unknown => "unknown",
    };
    kind.to_owned()
}

/// What is expected behind an extension.
pub fn expected(extension: &str) -> Option<Format> {
    let known = EXTENSIONS.iter().find(|(known, _)| *known == extension);
    known.map(|(_, format)| *format)
}

fn in_zip(bytes: &[u8], extension: &str) -> Format {
    let Ok(mut archive) = Archive::open(bytes) else {
        // What it was meant to be says what is wrong with it.
        return expected(extension)
            .filter(|format| is_zipped(*format))
            .unwrap_or(Format::Foreign(ARCHIVE));
    };
    let mimetype = String::from_utf8_lossy(&archive.optional("mimetype"))
        .trim()
        .to_owned();
    match mimetype.as_str() {
        "application/epub+zip" => return Format::Epub,
        "application/hwp+zip" => return Format::Hwpx,
        "application/vnd.oasis.opendocument.spreadsheet" => return Format::Ods,
        mime if mime.starts_with("application/vnd.oasis.opendocument") => {
            return Format::OpenDocument;
        }
        _ => {}
    }
    let names = archive.names().to_vec();
    let has = |start: &str| {
        names
            .iter()
            .any(|name| name.to_lowercase().replace('\\', "/").starts_with(start))
    };
    let relations = archive.optional("_rels/.rels");
    let main = super::office::docx::main_part(&relations)
        .unwrap_or_default()
        .to_lowercase();
    match () {
        () if main.starts_with("word/") => Format::Docx,
        () if main.starts_with("ppt/") => Format::Pptx,
        () if main.starts_with("xl/") => Format::Sheet,
        () if has("contents/section") => Format::Hwpx,
        () if has("word/document") => Format::Docx,
        () if has("ppt/presentation") => Format::Pptx,
        () if has("xl/workbook") => Format::Sheet,
        () if has("meta-inf/container.xml") => Format::Epub,
        () if has("content.xml") => expected(extension)
            .filter(|format| *format == Format::Ods)
            .unwrap_or(Format::OpenDocument),
        () if has("[content_types].xml") => expected(extension)
            .filter(|format| matches!(format, Format::Docx | Format::Pptx | Format::Sheet))
            .unwrap_or(Format::Foreign("office file of another kind")),
        () => Format::Foreign(ARCHIVE),
    }
}

fn is_zipped(format: Format) -> bool {
    matches!(
        format,
        Format::Docx
            | Format::Pptx
            | Format::Sheet
            | Format::Ods
            | Format::OpenDocument
            | Format::Hwpx
            | Format::Epub
    )
}

fn in_ole(bytes: &[u8], extension: &str) -> Format {
    let Ok(ole) = Ole::open(bytes) else {
        let is_ole = |format: &Format| {
            matches!(
                format,
                Format::Doc | Format::Ppt | Format::Sheet | Format::Hwp
            )
        };
        return expected(extension)
            .filter(is_ole)
            .unwrap_or(Format::Unknown);
    };
    match () {
        () if ole.has("/EncryptedPackage") => Format::Locked,
        () if ole.has("/WordDocument") => Format::Doc,
        () if ole.has("/PowerPoint Document") => Format::Ppt,
        () if ole.has("/Workbook") || ole.has("/Book") => Format::Sheet,
        () if ole.has("/FileHeader") => Format::Hwp,
        () if ole.has("/__properties_version1.0") => Format::Foreign("Outlook message (msg)"),
        () if ole.has("/PP40") => Format::Foreign("presentation of PowerPoint 4"),
        () => Format::Foreign("OLE container of an unknown program"),
    }
}

fn is_image(head: &[u8]) -> bool {
    let starts = [
        &b"\x89PNG\r\n\x1A\n"[..],
        b"\xFF\xD8\xFF",
        b"II*\0",
        b"MM\0*",
        b"GIF8",
    ];
    starts.iter().any(|start| head.starts_with(start))
        || (head.starts_with(b"BM") && head.get(6..10) == Some(&[0; 4]))
        || (head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP"))
}

fn foreign(head: &[u8]) -> Option<Format> {
    let names = [
        (
            &b"HWP Document File V"[..],
            "Hangul document of the 1990s (HWP 3)",
        ),
        (b"7z\xBC\xAF\x27\x1C", "7z archive"),
        (b"Rar!", "rar archive"),
        (b"\x1F\x8B", "gzip archive"),
        (b"\x7FELF", "program"),
        (b"MZ", "program"),
        (b"%!PS", "PostScript"),
        (b"SQLite format 3", "SQLite database"),
    ];
    let found = names.iter().find(|(start, _)| head.starts_with(start));
    found.map(|(_, name)| Format::Foreign(name))
}

/// Kinds of text, told apart by how they begin and, where that says nothing, by the name.
fn by_text(head: &[u8], extension: &str) -> Format {
    let expected = expected(extension);
    let start = super::plain::beginning(head);
    let trimmed = start.trim_start_matches(['\u{FEFF}', ' ', '\t', '\r', '\n']);
    let lower = trimmed.to_lowercase();
    let is_page = ["<!doctype html", "<html"]
        .iter()
        .any(|mark| lower.starts_with(mark))
        || (lower.starts_with("<?xml") || lower.starts_with("<!--") || lower.starts_with('<'))
            && lower.contains("<html");
    // A text about HTML may begin with a tag, an HTML page never is a text.
    match expected {
        Some(Format::Text | Format::Delimited | Format::Json | Format::JsonLines) if !is_page => {}
        _ if is_page => return Format::Html,
        _ => {}
    }
    match expected {
        Some(Format::Mailbox | Format::Message) if trimmed.starts_with("From ") => Format::Mailbox,
        Some(
            format @ (Format::Html
            | Format::Message
            | Format::Mailbox
            | Format::Delimited
            | Format::Json
            | Format::JsonLines
            | Format::Text),
        ) => format,
        _ if is_message(trimmed) => Format::Message,
        _ if lower.starts_with("<?xml") && lower.contains("hwpml") => {
            Format::Foreign("Hangul document in HWPML")
        }
        _ if start.is_empty() => Format::Unknown,
        _ if is_pdf_source(head) => Format::Pdf,
        _ => Format::Text,
    }
}

/// Whether a text is what is left of a PDF that has lost its beginning: nobody wants to read its source.
fn is_pdf_source(head: &[u8]) -> bool {
    [&b"endobj"[..], b"startxref"]
        .iter()
        .any(|word| head.windows(word.len()).any(|window| window == *word))
}

/// Whether a text begins with the header of a mail: two lines with names that only mail has.
fn is_message(text: &str) -> bool {
    const NAMES: [&str; 9] = [
        "return-path",
        "received",
        "delivered-to",
        "message-id",
        "mime-version",
        "from",
        "to",
        "subject",
        "date",
    ];
    let lines = text.lines().take(3);
    let named = lines.filter(|line| {
        let name = line.split_once(':').map(|(name, _)| name.to_lowercase());
        name.is_some_and(|name| NAMES.contains(&name.as_str()))
    });
    named.count() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_comes_before_the_name() {
        assert_eq!(detect(b"%PDF-1.7", "txt"), Format::Pdf);
        assert_eq!(detect(b"\x89PNG\r\n\x1A\n", "pdf"), Format::Image);
        assert_eq!(detect(b" <!DOCTYPE html><p>x", "doc"), Format::Html);
        assert_eq!(detect(b"PK\x03\x04 cut", "docx"), Format::Docx);
        assert_eq!(detect(b"PK\x03\x04 cut", "pdf"), Format::Foreign(ARCHIVE));
        assert_eq!(detect("회의 안내".as_bytes(), "hwp"), Format::Text);
        assert_eq!(detect(b"1 0 obj<<>>\nendobj", "pdf"), Format::Pdf);
        assert_eq!(detect(b"1 0 obj<<>>\nendobj", "txt"), Format::Text);
    }

    #[test]
    fn the_name_decides_between_kinds_of_text() {
        assert_eq!(detect(b"a,b\n", "csv"), Format::Delimited);
        assert_eq!(detect(b"a,b\n", ""), Format::Text);
        assert_eq!(detect(b"{}", "jsonl"), Format::JsonLines);
        assert_eq!(
            detect(b"From kim Mon\nSubject: x\n", "eml"),
            Format::Mailbox
        );
        assert_eq!(detect(b"Subject: x\nFrom: y\n\nz", ""), Format::Message);
        assert_eq!(detect(b"<div>use <html></div>", "md"), Format::Html);
    }
}
