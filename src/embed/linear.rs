//! A linear layer in int8: weights used where they lie in the executable, activations rounded row by
//! row. The sums are integers, so every kernel gives the same ones, but for processors whose products
//! may overflow 16 bits: there weights have 7.

use rten_gemm::{
    GemmError, GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedBMatrix, QuantParams,
};
use rten_simd::SimdOp as _;
use rten_tensor::NdTensorView;
use rten_vecmath::{ExtendInit as _, Quantize};

use super::kernel::{GROUP, Kernel, PANEL, Product, ROWS, ZERO, step};

/// Bytes of a cache line.
const LINE: usize = 64;

/// `y = x W^T + b` for weights of int8 with a scale for each output.
pub struct Linear {
    inputs: usize,
    weights: Weights,
    scales: Vec<f32>,
    bias: Vec<f32>,
    /// What rows of [`ZERO`] would give: taken off every sum.
    zeros: Vec<i32>,
}

enum Weights {
    /// Panels as `build.rs` lays them out.
    Panels(Kernel, &'static [u8]),
    /// Packed for the kernels of `rten-gemm`, which know every other processor.
    Packed(PackedBMatrix<i8>),
}

/// Room for what the kernels work on.
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
    /// A layer over `panels`, which `build.rs` made; as many scales, biases and zeros as outputs.
    pub fn new(panels: &'static [u8], scales: Vec<f32>, bias: Vec<f32>, zeros: Vec<i32>) -> Self {
        Self::on(Kernel::best(), panels, scales, bias, zeros)
    }

    fn on(
        kernel: Option<Kernel>,
        panels: &'static [u8],
        mut scales: Vec<f32>,
        bias: Vec<f32>,
        zeros: Vec<i32>,
    ) -> Self {
        let inputs = panels.len() / bias.len().max(1);
        let weights = match kernel {
            Some(kernel) if kernel.takes(inputs, bias.len()) => Weights::Panels(kernel, panels),
            _ => packed(panels, inputs, &mut scales),
        };
        Self {
            inputs,
            weights,
            scales,
            bias,
            zeros,
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
        let rows = x.len() / self.inputs;
        match &self.weights {
            Weights::Panels(kernel, panels) => {
                let activations = self.rounded_on(*kernel, x, s);
                out.resize(rows * self.outputs(), 0.0);
                kernel.multiply(&mut Product {
                    inputs: self.inputs,
                    activations: &s.rounded[activations..],
                    row_scales: &s.row_scales,
                    panels,
                    scales: &self.scales,
                    bias: &self.bias,
                    zeros: &self.zeros,
                    out,
                });
                Ok(())
            }
            Weights::Packed(weights) => {
                self.round(x, s);
                out.clear();
                self.apply_packed(weights, rows, out, s)
            }
        }
    }

    /// Activations as 8-bit numbers up to a whole tile of rows, and the scale of each row. Returns
    /// where they begin: at the first cache line.
    fn rounded_on(&self, kernel: Kernel, x: &[f32], s: &mut Scratch) -> usize {
        let inputs = self.inputs;
        let rows = (x.len() / inputs).next_multiple_of(ROWS);
        // What earlier rows left in a tile that is not full reaches no result.
        s.rounded.resize(rows * inputs + LINE, ZERO);
        let begin = s.rounded.as_ptr().align_offset(LINE);
        let rounded = s.rounded[begin..].chunks_exact_mut(inputs);
        let rows = x.chunks_exact(inputs).zip(rounded);
        s.row_scales.clear();
        s.row_scales
            .extend(rows.map(|(row, rounded)| kernel.round(row, rounded)));
        begin
    }

    /// Activations as 8-bit numbers, and the scale of each row.
    fn round(&self, x: &[f32], s: &mut Scratch) {
        let inputs = self.inputs;
        s.rounded.clear();
        s.row_scales.clear();
        s.rounded.reserve(x.len());
        for row in x.chunks_exact(inputs) {
            let most = row.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            let scale = step(most);
            s.row_scales.push(scale);
            s.rounded.extend_init(|room| {
                Quantize::new(row, &mut room[..inputs], 1.0 / scale, ZERO).dispatch()
            });
        }
    }

    fn apply_packed(
        &self,
        weights: &PackedBMatrix<i8>,
        rows: usize,
        out: &mut Vec<f32>,
        s: &mut Scratch,
    ) -> Result<(), GemmError> {
        let outputs = self.outputs();
        let activations = &s.rounded[..rows * self.inputs];
        s.zeros.resize(rows, ZERO);
        s.sums.resize(rows * outputs, 0);
        s.gemm.gemm(
            &mut s.sums,
            GemmInputA::Unpacked(NdTensorView::from_data([rows, self.inputs], activations)),
            GemmInputB::Packed(weights),
            GemmOptions {
                a_quant: Some(QuantParams {
                    zero_point: &s.zeros[..rows],
                }),
                ..GemmOptions::default()
            },
        )?;
        for (sums, row_scale) in s.sums.chunks_exact(outputs).zip(&s.row_scales) {
            let parts = sums.iter().zip(&self.scales).zip(&self.bias);
            out.extend(parts.map(|((sum, scale), bias)| *sum as f32 * (row_scale * scale) + bias));
        }
        Ok(())
    }
}

/// Takes panels apart and packs them for `rten-gemm`.
fn packed(panels: &[u8], inputs: usize, scales: &mut [f32]) -> Weights {
    let outputs = scales.len();
    let gemm = GemmExecutor::<u8, i8, i32>::new();
    // Kernels without VNNI add two products in 16 bits: weights of 7 bits keep that exact.
    let by = if gemm.may_saturate() { 2 } else { 1 };
    scales.iter_mut().for_each(|scale| *scale *= by as f32);
    let mut weights = vec![0_i8; panels.len()];
    for (index, &byte) in panels.iter().enumerate() {
        let (rest, input) = (index / GROUP, index % GROUP);
        let (rest, output) = (rest / PANEL, rest % PANEL);
        let (panel, group) = (rest / (inputs / GROUP), rest % (inputs / GROUP));
        let row = panel * PANEL + output;
        weights[row * inputs + group * GROUP + input] = byte as i8 / by;
    }
    let matrix = NdTensorView::from_data([outputs, inputs], weights.as_slice());
    Weights::Packed(gemm.prepack_b(matrix.transposed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row is checked, for every kernel this processor has and numbers of rows that fill no
    /// tile: a wrong kernel has been seen to fail past the first tile only.
    #[test]
    fn every_row_agrees_with_plain_arithmetic() {
        let (inputs, outputs) = (384, 192);
        let mut seed = 7_u32;
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) as f32 / 65_536.0 - 0.5
        };
        let mut panels = vec![0_u8; inputs * outputs];
        let mut weights = vec![0_i8; inputs * outputs];
        for output in 0..outputs {
            for input in 0..inputs {
                let w = (next() * 254.0) as i8;
                let group = output / PANEL * (inputs / GROUP) + input / GROUP;
                panels[(group * PANEL + output % PANEL) * GROUP + input % GROUP] = w as u8;
                weights[output * inputs + input] = w;
            }
        }
        let panels: &'static [u8] = panels.leak();
        let rows_of = |w: &[i8]| w.iter().map(|&w| i32::from(w)).sum::<i32>() * i32::from(ZERO);
        let zeros: Vec<i32> = weights.chunks_exact(inputs).map(rows_of).collect();
        let scales: Vec<f32> = (0..outputs).map(|_| 0.01 + next().abs() * 0.01).collect();
        let bias: Vec<f32> = (0..outputs).map(|_| next()).collect();
        let kernels: Vec<Option<Kernel>> = Kernel::all().map(Some).chain([None]).collect();
        for rows in [1, 5, 16, 31, 32, 37, 70] {
            let x: Vec<f32> = (0..rows * inputs)
                .map(|i| next() * (1.0 + (i / inputs) as f32))
                .collect();
            let mut of_first: Option<Vec<f32>> = None;
            for kernel in &kernels {
                let linear =
                    Linear::on(*kernel, panels, scales.clone(), bias.clone(), zeros.clone());
                let mut out = Vec::new();
                linear.apply(&x, &mut out, &mut Scratch::new()).unwrap();
                assert_eq!(out.len(), rows * outputs);
                for (row, x) in x.chunks_exact(inputs).enumerate() {
                    let most = x.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
                    for output in 0..outputs {
                        let w = &weights[output * inputs..][..inputs];
                        let sum: f32 = x.iter().zip(w).map(|(x, w)| x * f32::from(*w)).sum();
                        let expected = sum * scales[output] + bias[output];
                        let got = out[row * outputs + output];
                        // Half a step of rounding for each product, as a random walk.
                        let allowed = 240.0 * most * scales[output];
                        assert!(
                            (expected - got).abs() < allowed,
                            "{kernel:?} {row}/{output}: {expected} {got}"
                        );
                    }
                }
                if kernel.is_some() {
                    assert_eq!(of_first.get_or_insert(out.clone()), &out, "{kernel:?}");
                }
            }
        }
    }
}
