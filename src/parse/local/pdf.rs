//! PDF pages by hayro, with pdfrum as the second opinion for documents whose fonts do not map to
//! Unicode. Page numbers are physical, from 1.

mod about;
mod form;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use hayro_interpret::font::{Glyph, GlyphRun};
use hayro_interpret::hayro_syntax::{LoadPdfError, Pdf};
use hayro_interpret::kurbo::{Affine, BezPath, PathSeg, Point, Rect, Vec2};
use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps,
    InterpreterCache, InterpreterSettings, SoftMask, interpret_page,
};

use self::form::Field;
use super::MAX_TEXT;
use super::layout::{Piece, Segment, compose};
use super::read::{limit_pages, too_much_text};
use super::verdict::{Looks, is_legible, judge};
use crate::document::{Page, Parsed, Verdict};
use crate::parse::ParseError;

/// Paths of more parts are drawings, and no lines of a table.
const RULED: usize = 400;
/// Straight lines kept of a page.
const MOST_SEGMENTS: usize = 10_000;

/// Whether a PDF header stands in the first kilobyte, where readers accept it.
pub fn is_pdf(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(1024)]
        .windows(5)
        .any(|window| window == b"%PDF-")
}

/// All pages of a PDF.
///
/// # Errors
/// Encrypted, unreadable and empty files, with the reason. A page that cannot be read is not an
/// error: it is returned with [`Verdict::Failed`].
pub fn parse(bytes: Vec<u8>) -> Result<Parsed, ParseError> {
    let bytes = Arc::new(bytes);
    let pdf = Pdf::new(Arc::clone(&bytes)).map_err(|error| refusal(error, &bytes))?;
    if pdf.pages().is_empty() {
        return Err(ParseError::document("the PDF has no pages"));
    }
    limit_pages(pdf.pages().len())?;
    let mut pages = extract(&pdf)?;
    if pages.iter().any(|page| page.verdict == Verdict::Garbled) {
        second_opinion(&bytes, &mut pages);
    }
    let title = pdf.metadata().title.as_deref().and_then(about::pdf_string);
    // A broken table of bookmarks is no reason to lose the pages.
    let details = std::panic::catch_unwind(AssertUnwindSafe(|| about::details(&pdf)));
    Ok(Parsed {
        pages,
        title,
        details: details.unwrap_or_default(),
    })
}

fn refusal(error: LoadPdfError, bytes: &[u8]) -> ParseError {
    match error {
        // hayro does not export the type inside, so its name has to do.
        LoadPdfError::Decryption(why) => match format!("{why:?}").as_str() {
            "PasswordProtected" => ParseError::with_hint(
                "the PDF is protected with a password",
                "save a copy without the password and ingest that",
            ),
            _ if contains(bytes, b"Adobe.PubSec") => ParseError::with_hint(
                "the PDF is encrypted for the holders of certain certificates",
                "save a copy without encryption and ingest that",
            ),
            other => ParseError::document(format!("the PDF's encryption cannot be read ({other})")),
        },
        LoadPdfError::Invalid => ParseError::unreadable_here(
            "the PDF is damaged beyond repair",
            "download or export it again",
        ),
    }
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// How many pages a PDF has; `None` if it cannot be read.
pub fn count(bytes: Vec<u8>) -> Option<u64> {
    let pdf = Pdf::new(Arc::new(bytes)).ok()?;
    Some(pdf.pages().len() as u64)
}

fn extract(pdf: &Pdf) -> Result<Vec<Page>, ParseError> {
    let cache = InterpreterCache::new();
    let mut room = MAX_TEXT;
    (1..)
        .zip(pdf.pages().iter())
        .map(|(number, page)| {
            let read = std::panic::catch_unwind(AssertUnwindSafe(|| {
                let mut context = Context::new(
                    Affine::IDENTITY,
                    Rect::new(0.0, 0.0, 1.0, 1.0),
                    &cache,
                    pdf.xref(),
                    InterpreterSettings::default(),
                );
                let area = page.intersected_crop_box();
                let mut collector = Collector::new(area.width() * area.height());
                interpret_page(page, &mut context, &mut collector);
                let mut fields = form::fields(page);
                let mut read = collector.page(number, &mut fields);
                let unseen = form::unseen(&fields, &read.text);
                for line in unseen.into_iter().chain(about::notes(page)) {
                    let gap = if read.text.is_empty() { "" } else { "\n\n" };
                    read.text = format!("{}{gap}{line}", read.text);
                    read.verdict = Verdict::Ok;
                }
                read
            }));
            let page = match read {
                Ok(page) => page,
                Err(_) => Page {
                    number,
                    text: String::new(),
                    verdict: Verdict::Failed,
                },
            };
            room = room
                .checked_sub(page.text.len())
                .ok_or_else(too_much_text)?;
            Ok(page)
        })
        .collect()
}

/// Replaces garbled pages by what pdfrum reads there, where that is text.
fn second_opinion(bytes: &[u8], pages: &mut [Page]) {
    let other = std::panic::catch_unwind(|| {
        let document = pdfrum::Document::from_bytes(bytes.to_vec()).ok()?;
        Some(
            document
                .pages()
                .map(|page| page.text().to_string())
                .collect::<Vec<_>>(),
        )
    });
    let Ok(Some(texts)) = other else { return };
    for (page, text) in pages.iter_mut().zip(texts) {
        if page.verdict == Verdict::Garbled && is_legible(&text) {
            page.text = text;
            page.verdict = Verdict::Ok;
        }
    }
}

/// The drawing device that keeps the glyphs and throws the rest away, but for how much it covers.
struct Collector {
    pieces: Vec<Piece>,
    /// Straight lines, as tables are ruled with.
    segments: Vec<Segment>,
    looks: Looks,
}

impl Collector {
    /// For a page of `area` square points.
    fn new(area: f64) -> Self {
        let looks = Looks {
            area,
            ..Looks::default()
        };
        Self {
            pieces: Vec::new(),
            segments: Vec::new(),
            looks,
        }
    }

    fn page(self, number: u32, fields: &mut [Field]) -> Page {
        let is_written = |field: &Field| !field.is_state && field.area.is_some();
        let written: Vec<(Segment, &str)> = fields
            .iter()
            .filter(|field| is_written(field))
            .filter_map(|field| Some((field.area?, field.value.as_str())))
            .collect();
        let (text, labelled) = compose(self.pieces, &self.segments, &written);
        let written = fields.iter_mut().filter(|field| is_written(field));
        for (field, is_labelled) in written.zip(labelled) {
            field.is_labelled = is_labelled;
        }
        Page {
            number,
            verdict: judge(&text, self.looks),
            text,
        }
    }
}

impl Device<'_> for Collector {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, '_>, props: DrawProps<'_>, mode: &DrawMode) {
        // Fill-and-stroke text is drawn twice.
        let again = matches!(mode, DrawMode::Stroke(_));
        for glyph in run.glyphs() {
            let Some(text) = glyph.as_unicode() else {
                self.looks.unmapped += 1;
                continue;
            };
            let advance = match &**glyph {
                Glyph::Outline(outline) => outline.advance_width().map(f64::from),
                Glyph::Type3(_) => None,
            };
            let place = props.transform * glyph.transform();
            let piece = Piece::new(text, place * Point::ZERO, linear(place), advance);
            if !(again && self.pieces.iter().rev().take(200).any(|p| p.covers(&piece))) {
                self.pieces.push(piece);
            }
        }
    }

    fn draw_path(&mut self, path: &BezPath, props: DrawProps<'_>, _: &DrawMode) {
        self.looks.ink = true;
        if path.elements().len() > RULED {
            return;
        }
        for segment in path.segments() {
            if let (PathSeg::Line(line), true) = (segment, self.segments.len() < MOST_SEGMENTS) {
                self.segments
                    .push((props.transform * line.p0, props.transform * line.p1));
            }
        }
    }

    fn draw_image(&mut self, image: Image<'_, '_>, props: ImageDrawProps<'_>) {
        let pixels = f64::from(image.width()) * f64::from(image.height());
        self.looks.ink = true;
        self.looks.image_area += props.transform.determinant().abs() * pixels;
    }

    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'_>>, _: BlendMode) {}
    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}

/// The images of the unit vectors of glyph space (1,000 units to the em): along the line and up.
fn linear(place: Affine) -> (Vec2, Vec2) {
    let c = place.as_coeffs();
    (Vec2::new(c[0], c[1]), Vec2::new(c[2], c[3]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_may_follow_some_junk() {
        assert!(is_pdf(b"\n\n%PDF-1.4"));
        assert!(!is_pdf(b"<html>"));
    }
}
