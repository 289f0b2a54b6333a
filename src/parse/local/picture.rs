//! Pictures for OCR: pages of PDFs drawn, image files decoded, to grey at a size an engine reads well.
//! Runs in the child process.

mod drawn;

use std::io::Cursor;

use image::imageops::FilterType;
use image::{DynamicImage, GrayImage, ImageDecoder as _, ImageReader, Limits};
use serde::{Deserialize, Serialize};
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult};

use super::format::Format;
use crate::document::{Page, Parsed, Verdict};
use crate::parse::ParseError;

/// Dots per inch at which pages are drawn: what OCR engines are trained on.
const DPI: f32 = 300.0;
/// Most pixels of a picture: A3 at 300 dpi, and four bytes of each while it is drawn.
const MOST_PIXELS: f32 = 24e6;
/// Bytes one picture may take while it is decoded.
const MOST_BYTES: u64 = 512 << 20;
/// A picture narrower and lower than this, in pixels, was scanned at less than 200 dpi, or is of a few lines.
const SMALL: u32 = 1_600;
/// Most times a small picture is enlarged.
const ENLARGED: f32 = 3.0;
/// Pixels below this are ink.
const DARK: u8 = 128;
/// Scanned documents in one file have hundreds of pages.
const MOST_PAGES: usize = 5_000;

/// A picture in shades of grey.
#[derive(Clone, Serialize, Deserialize)]
pub struct Picture {
    width: u32,
    height: u32,
    /// What the engine is to take for its resolution.
    pub dpi: u32,
    /// A byte a pixel, row by row; base 64 on its way out of the cage.
    #[serde(with = "base64_bytes")]
    pixels: Vec<u8>,
}

mod base64_bytes {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        BASE64_STANDARD.decode(text).map_err(D::Error::custom)
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({} x {})", self.width, self.height)
    }
}

/// Where something is in a picture: left, top, width and height in pixels.
pub type Area = [u32; 4];

impl Picture {
    fn new(grey: GrayImage, dpi: u32) -> Self {
        Self {
            width: grey.width(),
            height: grey.height(),
            dpi,
            pixels: grey.into_raw(),
        }
    }

    /// As a portable graymap.
    pub fn pgm(&self) -> Vec<u8> {
        let mut bytes = format!("P5 {} {} 255\n", self.width, self.height).into_bytes();
        bytes.extend_from_slice(&self.pixels);
        bytes
    }

    /// The picture turned to the right by so many quarters.
    pub fn turned(&self, quarters: u32) -> Self {
        let grey = GrayImage::from_raw(self.width, self.height, self.pixels.clone());
        let grey = grey.unwrap_or_default();
        let turned = match quarters % 4 {
            1 => image::imageops::rotate90(&grey),
            2 => image::imageops::rotate180(&grey),
            3 => image::imageops::rotate270(&grey),
            _ => grey,
        };
        Self::new(turned, self.dpi)
    }

    /// The share of the dark pixels that are in none of `areas`, 0 to 1.
    pub fn dark_outside(&self, areas: &[Area]) -> f32 {
        let (width, height) = (self.width as usize, self.height as usize);
        let mut inside = vec![false; self.pixels.len()];
        for &[left, top, wide, high] in areas {
            let (from, to) = (
                (left as usize).min(width),
                (left.saturating_add(wide) as usize).min(width),
            );
            for row in top as usize..(top.saturating_add(high) as usize).min(height) {
                inside[row * width + from..row * width + to].fill(true);
            }
        }
        let dark = self
            .pixels
            .iter()
            .zip(&inside)
            .filter(|(pixel, _)| **pixel < DARK);
        let (outside, all) = dark.fold((0u32, 0u32), |(outside, all), (_, inside)| {
            (outside + u32::from(!inside), all + 1)
        });
        outside as f32 / all.max(1) as f32
    }
}

/// An image file: a page for each picture in it, none of which has text yet.
///
/// # Errors
/// When it is damaged.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let pages = match is_tiff(bytes) {
        true => count(bytes).map_err(damaged)?,
        false => {
            let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
            let size = reader
                .map_err(|error| damaged(error.to_string()))?
                .into_dimensions();
            size.map(|_| 1)
                .map_err(|error| damaged(error.to_string()))?
        }
    };
    let pages = (1..=pages as u32).map(|number| Page {
        number,
        text: String::new(),
        verdict: Verdict::Empty,
    });
    Ok(Parsed {
        pages: pages.collect(),
        ..Parsed::default()
    })
}

fn damaged(error: String) -> ParseError {
    ParseError::unreadable_here(
        format!("the picture is damaged ({error})"),
        "scan or export it again",
    )
}

/// The picture of a page, from 1.
///
/// # Errors
/// When it cannot be drawn or decoded.
pub fn of_page(bytes: Vec<u8>, format: Format, page: u32) -> Result<Picture, ParseError> {
    match format {
        Format::Pdf => drawn::draw(bytes, page),
        _ => decode(&bytes, page).map(enlarged).map_err(damaged),
    }
}

fn decode(bytes: &[u8], page: u32) -> Result<GrayImage, String> {
    if is_tiff(bytes) {
        return tiff(bytes, page as usize - 1);
    }
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|error| error.to_string())?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let turned = decoder.orientation().map_err(|error| error.to_string())?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
    image.apply_orientation(turned);
    Ok(on_white(&image))
}

/// What shows through is white, as paper is.
fn on_white(image: &DynamicImage) -> GrayImage {
    if !image.color().has_alpha() {
        return image.to_luma8();
    }
    let seen = image.to_luma_alpha8();
    let mut grey = GrayImage::new(seen.width(), seen.height());
    for (to, from) in grey.pixels_mut().zip(seen.pixels()) {
        let [light, alpha] = from.0.map(u32::from);
        to.0[0] = ((light * alpha + 255 * (255 - alpha)) / 255) as u8;
    }
    grey
}

fn is_tiff(bytes: &[u8]) -> bool {
    bytes.starts_with(b"II*\0") || bytes.starts_with(b"MM\0*")
}

fn count(bytes: &[u8]) -> Result<usize, String> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let mut pages = 1;
    while decoder.more_images() && pages < MOST_PAGES {
        decoder.next_image().map_err(|error| error.to_string())?;
        pages += 1;
    }
    Ok(pages)
}

/// One picture of a TIFF file.
fn tiff(bytes: &[u8], index: usize) -> Result<GrayImage, String> {
    let said = |error: tiff::TiffError| error.to_string();
    let mut limits = tiff::decoder::Limits::default();
    limits.decoding_buffer_size = MOST_BYTES as usize;
    let decoder = Decoder::new(Cursor::new(bytes)).map_err(said)?;
    let mut decoder = decoder.with_limits(limits);
    decoder.seek_to_image(index).map_err(said)?;
    let (width, height) = decoder.dimensions().map_err(said)?;
    let color = decoder.colortype().map_err(said)?;
    let samples: Vec<u8> = match decoder.read_image().map_err(said)? {
        DecodingResult::U8(samples) => samples,
        DecodingResult::U16(samples) => samples
            .into_iter()
            .map(|sample| (sample >> 8) as u8)
            .collect(),
        _ => return Err("its pixels are of a rare kind".to_owned()),
    };
    let grey = match color {
        ColorType::Gray(1) => bits(&samples, width),
        ColorType::Gray(_) => samples,
        ColorType::GrayA(_) => samples.chunks_exact(2).map(|pixel| pixel[0]).collect(),
        ColorType::RGB(_) => samples.chunks_exact(3).map(light).collect(),
        ColorType::RGBA(_) => samples.chunks_exact(4).map(light).collect(),
        // Ink takes light away.
        ColorType::CMYK(_) => samples
            .chunks_exact(4)
            .map(|ink| {
                let rest = |c: u8| (255 - u32::from(c)) * (255 - u32::from(ink[3])) / 255;
                ((rest(ink[0]) + rest(ink[1]) + rest(ink[2])) / 3) as u8
            })
            .collect(),
        other => return Err(format!("its colours are of a rare kind, {other:?}")),
    };
    GrayImage::from_raw(width, height, grey).ok_or_else(|| "it is cut off".to_owned())
}

fn light(pixel: &[u8]) -> u8 {
    ((299 * u32::from(pixel[0]) + 587 * u32::from(pixel[1]) + 114 * u32::from(pixel[2])) / 1000)
        as u8
}

/// Eight pixels a byte, rows beginning with a new one.
fn bits(samples: &[u8], width: u32) -> Vec<u8> {
    let row = width.div_ceil(8) as usize;
    let rows = samples.chunks_exact(row.max(1));
    let pixels = rows.flat_map(|row| (0..width as usize).map(|at| row[at / 8] >> (7 - at % 8) & 1));
    pixels.map(|bit| bit * 255).collect()
}

/// Small pictures are enlarged, as letters of some ten pixels are read badly, and vast ones made smaller.
fn enlarged(grey: GrayImage) -> Picture {
    let (width, height) = (grey.width(), grey.height());
    let longer = width.max(height).max(1);
    let times = match longer < SMALL {
        true => (SMALL as f32 / longer as f32 * 1.5).min(ENLARGED),
        false => 1.0,
    };
    let most = (MOST_PIXELS / (width as f32 * height as f32).max(1.0)).sqrt();
    let times = times.min(most);
    let to = |size: u32| ((size as f32 * times) as u32).max(1);
    let grey = match times == 1.0 {
        true => grey,
        false => image::imageops::resize(&grey, to(width), to(height), FilterType::CatmullRom),
    };
    // If it is a page of A4, it has about this resolution.
    let dpi = (to(longer) as f32 / 11.7).clamp(70.0, DPI) as u32;
    Picture::new(grey, dpi)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_become_pixels_row_by_row() {
        assert_eq!(
            bits(&[0b1010_0000, 0b1000_0000, 0, 0], 9),
            [255, 0, 255, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn ink_outside_of_what_was_read_is_measured() {
        let mut grey = GrayImage::from_pixel(4, 2, image::Luma([255]));
        for (x, y) in [(0, 0), (1, 0), (3, 1), (2, 1)] {
            grey.put_pixel(x, y, image::Luma([0]));
        }
        let picture = Picture::new(grey, 300);
        assert_eq!(picture.dark_outside(&[[0, 0, 2, 1]]), 0.5);
        assert_eq!(picture.dark_outside(&[[0, 0, 99, 99]]), 0.0);
        let turned = picture.turned(1);
        assert_eq!((turned.width, turned.height), (2, 4));
        assert_eq!(turned.pixels, [255, 0, 255, 0, 0, 255, 0, 255]);
    }

    #[test]
    fn what_shows_through_is_white() {
        let image = image::RgbaImage::from_pixel(1, 1, image::Rgba([0, 0, 0, 0]));
        assert_eq!(on_white(&DynamicImage::ImageRgba8(image)).into_raw(), [255]);
    }

    #[test]
    fn small_pictures_grow_and_large_ones_shrink() {
        let picture = enlarged(GrayImage::new(600, 800));
        assert_eq!((picture.width, picture.height), (1_800, 2_400));
        let picture = enlarged(GrayImage::new(9_000, 4_000));
        assert!(picture.width * picture.height <= 24_000_000);
    }
}
