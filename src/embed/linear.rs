//! A linear layer in int8: weights packed once, activations rounded row by row.

use rten_gemm::{
    GemmError, GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedBMatrix, QuantParams,
};
use rten_simd::SimdOp as _;
use rten_tensor::NdTensorView;
use rten_vecmath::{ExtendInit as _, Quantize};

/// What an activation of 0 is rounded to. One for all rows: with one a row, rten-gemm 0.27 gives
/// wrong rows past its first tile.
const ZERO: u8 = 128;

/// `y = x W^T + b` for weights of int8 with a scale for each output.
pub struct Linear {
    inputs: usize,
    weights: PackedBMatrix<i8>,
    scales: Vec<f32>,
    bias: Vec<f32>,
}

/// The kernel for this processor, and room for what it works on.
pub struct Scratch {
    gemm: GemmExecutor<u8, i8, i32>,
    rounded: Vec<u8>,
    row_scales: Vec<f32>,
    sums: Vec<i32>,
    zeros: Vec<u8>,
}

impl Scratch {
    pub fn new() -> Self {
        Self {
            gemm: GemmExecutor::new(),
            rounded: Vec::new(),
            row_scales: Vec::new(),
            sums: Vec::new(),
            zeros: Vec::new(),
        }
    }
}

impl Linear {
    /// Packs `weights`, `[outputs, inputs]` row by row, with a scale and a bias for each output.
    pub fn new(weights: &[i8], mut scales: Vec<f32>, bias: Vec<f32>) -> Self {
        let outputs = bias.len();
        let inputs = weights.len() / outputs.max(1);
        let gemm = GemmExecutor::<u8, i8, i32>::new();
        // Kernels without VNNI add two products in 16 bits: weights of 7 bits keep that exact.
        let halved: Vec<i8>;
        let weights = if gemm.may_saturate() {
            halved = weights.iter().map(|w| w / 2).collect();
            scales.iter_mut().for_each(|scale| *scale *= 2.0);
            &halved
        } else {
            weights
        };
        let matrix = NdTensorView::from_data([outputs, inputs], weights);
        Self {
            inputs,
            weights: gemm.prepack_b(matrix.transposed()),
            scales,
            bias,
        }
    }

    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// Fills `out`, `[rows, outputs]`, from `x`, `[rows, inputs]`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn apply(&self, x: &[f32], out: &mut Vec<f32>, s: &mut Scratch) -> Result<(), GemmError> {
        let (inputs, outputs) = (self.inputs, self.outputs());
        let rows = x.len() / inputs;
        s.rounded.clear();
        s.row_scales.clear();
        s.rounded.reserve(x.len());
        for row in x.chunks_exact(inputs) {
            let most = row.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            let scale = (most / 127.0).max(f32::MIN_POSITIVE);
            s.row_scales.push(scale);
            s.rounded.extend_init(|room| {
                Quantize::new(row, &mut room[..inputs], 1.0 / scale, ZERO).dispatch()
            });
        }
        s.zeros.resize(rows, ZERO);
        s.sums.resize(rows * outputs, 0);
        s.gemm.gemm(
            &mut s.sums,
            GemmInputA::Unpacked(NdTensorView::from_data(
                [rows, inputs],
                s.rounded.as_slice(),
            )),
            GemmInputB::Packed(&self.weights),
            GemmOptions {
                a_quant: Some(QuantParams {
                    zero_point: &s.zeros[..rows],
                }),
                ..GemmOptions::default()
            },
        )?;
        out.clear();
        out.reserve(rows * outputs);
        for (sums, row_scale) in s.sums.chunks_exact(outputs).zip(&s.row_scales) {
            let parts = sums.iter().zip(&self.scales).zip(&self.bias);
            out.extend(parts.map(|((sum, scale), bias)| *sum as f32 * (row_scale * scale) + bias));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row is checked: a wrong kernel has been seen to fail past the first tile only.
    #[test]
    fn every_row_agrees_with_plain_arithmetic() {
        let (rows, inputs, outputs) = (37, 384, 70);
        let mut seed = 7_u32;
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) as f32 / 65_536.0 - 0.5
        };
        let weights: Vec<i8> = (0..inputs * outputs)
            .map(|_| (next() * 254.0) as i8)
            .collect();
        let scales: Vec<f32> = (0..outputs).map(|_| 0.01 + next().abs() * 0.01).collect();
        let bias: Vec<f32> = (0..outputs).map(|_| next()).collect();
        let x: Vec<f32> = (0..rows * inputs)
            .map(|i| next() * (1.0 + (i / inputs) as f32))
            .collect();
        let linear = Linear::new(&weights, scales.clone(), bias.clone());
        let mut out = Vec::new();
        linear.apply(&x, &mut out, &mut Scratch::new()).unwrap();
        for (row, x) in x.chunks_exact(inputs).enumerate() {
            let most = x.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
            for output in 0..outputs {
                let w = &weights[output * inputs..][..inputs];
                let sum: f32 = x.iter().zip(w).map(|(x, w)| x * f32::from(*w)).sum();
                let expected = sum * scales[output] + bias[output];
                let got = out[row * outputs + output];
                // Half a step of rounding for each product, as a random walk; one for 7-bit weights.
                let allowed = 12.0 * most * scales[output];
                assert!(
                    (expected - got).abs() < allowed * 20.0,
                    "{row}/{output}: {expected} {got}"
                );
            }
        }
    }
}
