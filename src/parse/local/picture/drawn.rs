//! Pages of PDFs as pictures.

use std::sync::Arc;

use hayro::hayro_interpret::font::GlyphRun;
use hayro::hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps,
    InterpreterCache, InterpreterSettings, SoftMask, TransformExt as _, interpret_page,
};
use hayro::hayro_syntax::Pdf;
use hayro::hayro_syntax::page::Page;
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::vello_cpu::kurbo::{Affine, BezPath, Rect};
use hayro::{PixmapSettings, RenderCache, RenderSettings};
use image::GrayImage;

use super::{DPI, MOST_PIXELS, Picture};
use crate::parse::ParseError;

/// Share of a page that its picture takes where the page is a scan.
const COVERED: f64 = 0.5;
/// Pixels per point from which a scan is drawn as it is, at 250 dots per inch. Coarser ones are read
/// better when they are enlarged.
const FINE: f32 = 250.0 / 72.0;

/// The page with this number, from 1, at 300 dots per inch; a fine scan pixel for pixel, as drawing it
/// anew blurs it and costs an engine many a letter.
///
/// # Errors
/// When it cannot be drawn.
pub fn draw(bytes: Vec<u8>, number: u32) -> Result<Picture, ParseError> {
    let pdf =
        Pdf::new(Arc::new(bytes)).map_err(|_| ParseError::document("the PDF cannot be read"))?;
    let page = pdf.pages().get(number as usize - 1);
    let page = page.ok_or_else(|| ParseError::document("the PDF has no such page"))?;
    let (x_scale, y_scale) = scales(page, &pdf);
    let settings = PixmapSettings {
        x_scale,
        y_scale,
        bg_color: WHITE,
    };
    let pixmap = hayro::render(
        page,
        &RenderCache::new(),
        &InterpreterSettings::default(),
        &RenderSettings::default(),
        &settings,
    );
    let (width, height) = (u32::from(pixmap.width()), u32::from(pixmap.height()));
    // ITU-R BT.601, as most scanners weigh colours.
    let grey = pixmap.data().iter().map(|pixel| {
        let sum = 299 * u32::from(pixel.r) + 587 * u32::from(pixel.g) + 114 * u32::from(pixel.b);
        (sum / 1000) as u8
    });
    let grey = GrayImage::from_raw(width, height, grey.collect());
    let grey = grey.ok_or_else(|| ParseError::document("the page cannot be drawn"))?;
    Ok(Picture::new(grey, (x_scale * 72.0) as u32))
}

/// Pixels per point, across and down.
fn scales(page: &Page<'_>, pdf: &Pdf) -> (f32, f32) {
    let (width, height) = page.render_dimensions();
    let fits = |(x, y): (f32, f32)| {
        // The renderer counts pixels in 16 bits.
        let longest = f32::from(u16::MAX);
        width * x * height * y <= MOST_PIXELS && width * x <= longest && height * y <= longest
    };
    let own = scan(page, pdf).unwrap_or_default();
    let half = (own.0 / 2.0, own.1 / 2.0);
    let is_fine = |(x, y): &(f32, f32)| x.min(*y) >= FINE && fits((*x, *y));
    if let Some(scales) = [own, half].into_iter().find(is_fine) {
        return scales;
    }
    let most = (MOST_PIXELS / (width * height).max(1.0)).sqrt();
    let longest = f32::from(u16::MAX) / width.max(height).max(1.0);
    let scale = (DPI / 72.0).min(most).min(longest);
    (scale, scale)
}

/// The pixels per point of the picture that makes up most of the page.
fn scan(page: &Page<'_>, pdf: &Pdf) -> Option<(f32, f32)> {
    let (width, height) = page.render_dimensions();
    let cache = InterpreterCache::new();
    let mut context = Context::new(
        page.initial_transform(true).to_kurbo(),
        Rect::new(0.0, 0.0, f64::from(width), f64::from(height)),
        &cache,
        pdf.xref(),
        InterpreterSettings::default(),
    );
    let mut largest = Largest::default();
    interpret_page(page, &mut context, &mut largest);
    if largest.area < COVERED * f64::from(width) * f64::from(height) {
        return None;
    }
    let [a, b, c, d, ..] = largest.transform.as_coeffs().map(f64::abs);
    let (across, down) = match a > b {
        true => (1.0 / a, 1.0 / d),
        false => (1.0 / c, 1.0 / b),
    };
    let is_straight = a.min(b) < 1e-3 * a.max(b) && c.min(d) < 1e-3 * c.max(d);
    is_straight.then_some((across as f32, down as f32))
}

/// The device that looks for the largest picture of a page.
#[derive(Default)]
struct Largest {
    /// In square points.
    area: f64,
    /// From its pixels to the page.
    transform: Affine,
}

impl Device<'_> for Largest {
    fn draw_image(&mut self, image: Image<'_, '_>, props: ImageDrawProps<'_>) {
        let pixels = f64::from(image.width()) * f64::from(image.height());
        let area = props.transform.determinant().abs() * pixels;
        if area > self.area {
            (self.area, self.transform) = (area, props.transform);
        }
    }

    fn draw_glyph_run(&mut self, _: &GlyphRun<'_, '_>, _: DrawProps<'_>, _: &DrawMode) {}
    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'_>, _: &DrawMode) {}
    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'_>>, _: BlendMode) {}
    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}
