//! The weights inside the binary, as `build.rs` lays them out, read where they lie.

use anyhow::Context as _;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::encoder::{Layer, Norm, Rows};
use super::linear::Linear;

/// Weights of one 4-bit block, and its bytes: an f16 scale and 16 pairs of weights.
const BLOCK: usize = 32;
const BLOCK_BYTES: usize = 18;

/// A safetensors file in memory.
pub struct Tensors(pub SafeTensors<'static>);

impl Tensors {
    pub fn new(bytes: &'static [u8]) -> anyhow::Result<Self> {
        SafeTensors::deserialize(bytes)
            .map(Self)
            .context("the built-in weights are damaged")
    }

    fn view(&self, name: &str) -> anyhow::Result<TensorView<'static>> {
        self.0
            .tensor(name)
            .with_context(|| format!("the built-in weights have no {name}"))
    }

    /// Any tensor as f32.
    pub fn floats(&self, name: &str) -> anyhow::Result<Vec<f32>> {
        let view = self.view(name)?;
        if view.dtype() == Dtype::F32 {
            return Ok(floats(view.data()));
        }
        let rows = self.rows(name)?;
        let count = view.shape()[0];
        let width = match view.dtype() {
            Dtype::U8 => view.shape()[1] / BLOCK_BYTES * BLOCK,
            _ => view.shape()[1],
        };
        let mut values = vec![0.0; count * width];
        for (index, row) in values.chunks_exact_mut(width).enumerate() {
            rows.read(index, row);
        }
        Ok(values)
    }

    /// A table of vectors: int8 with a scale a row, or 4-bit blocks.
    pub fn rows(&self, name: &str) -> anyhow::Result<Box<dyn Rows>> {
        let view = self.view(name)?;
        let bytes: &'static [u8] = view.data();
        Ok(match view.dtype() {
            Dtype::U8 => Box::new(Blocks { bytes }),
            _ => Box::new(Bytes {
                bytes,
                scales: self.floats(&format!("{name}.scale"))?,
            }),
        })
    }

    pub fn norm(&self, name: &str) -> anyhow::Result<Norm> {
        Ok(Norm {
            scale: self.floats(&format!("{name}.weight"))?,
            shift: self.floats(&format!("{name}.bias"))?,
        })
    }

    pub fn layer(&self, number: usize) -> anyhow::Result<Layer> {
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        Ok(Layer {
            attend: self.linear(&name("attend"))?,
            attended: self.linear(&name("attended"))?,
            attended_norm: self.norm(&name("attention.output.LayerNorm"))?,
            widen: self.linear(&name("widen"))?,
            narrow: self.linear(&name("narrow"))?,
            narrow_norm: self.norm(&name("output.LayerNorm"))?,
        })
    }

    fn linear(&self, name: &str) -> anyhow::Result<Linear> {
        let zeros = self.view(&format!("{name}.zero"))?.data();
        let (zeros, _) = zeros.as_chunks::<4>();
        Ok(Linear::new(
            self.view(&format!("{name}.weight"))?.data(),
            self.floats(&format!("{name}.scale"))?,
            self.floats(&format!("{name}.bias"))?,
            zeros
                .iter()
                .map(|&bytes| i32::from_le_bytes(bytes))
                .collect(),
        ))
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect()
}

/// int8, `[rows, width]`, with a scale a row.
struct Bytes {
    bytes: &'static [u8],
    scales: Vec<f32>,
}

impl Rows for Bytes {
    fn read(&self, index: usize, out: &mut [f32]) {
        let row = &self.bytes[index * out.len()..][..out.len()];
        let scale = self.scales[index];
        for (x, &byte) in out.iter_mut().zip(row) {
            *x = f32::from(byte as i8) * scale;
        }
    }
}

/// Rows of 4-bit blocks (ggml's Q4_0): byte j of a block holds weight j in its low half and weight
/// j + 16 in its high half, each plus 8.
struct Blocks {
    bytes: &'static [u8],
}

impl Rows for Blocks {
    fn read(&self, index: usize, out: &mut [f32]) {
        let length = out.len() / BLOCK * BLOCK_BYTES;
        let row = &self.bytes[index * length..][..length];
        let blocks = row.chunks_exact(BLOCK_BYTES);
        for (block, out) in blocks.zip(out.chunks_exact_mut(BLOCK)) {
            let scale = half::f16::from_le_bytes([block[0], block[1]]).to_f32();
            let (low, high) = out.split_at_mut(BLOCK / 2);
            for ((low, high), byte) in low.iter_mut().zip(high).zip(&block[2..]) {
                *low = (f32::from(byte & 15) - 8.0) * scale;
                *high = (f32::from(byte >> 4) - 8.0) * scale;
            }
        }
    }
}
