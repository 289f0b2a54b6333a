//! The BERT encoder of the built-in models on CPUs: sequences side by side without padding, linear
//! layers in int8, everything else in f32 by kernels chosen for the processor at run time.

use std::cell::RefCell;

use rten_gemm::{GemmError, GemmExecutor, GemmInputA, GemmInputB, GemmOptions};
use rten_simd::{SimdOp as _, SimdUnaryOp as _};
use rten_tensor::NdTensorView;
use rten_vecmath::{Gelu, Softmax};

use super::linear::{Linear, Scratch};

/// BERT's layer norm epsilon, as both models have it.
const EPSILON: f32 = 1e-12;

/// Vectors by row, read without unpacking the whole table.
pub trait Rows: Send + Sync {
    /// Writes row `index` to `out`.
    fn read(&self, index: usize, out: &mut [f32]);
}

/// Scale and shift of a layer norm.
pub struct Norm {
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
}

/// One transformer layer.
pub struct Layer {
    /// Query, key and value in one.
    pub attend: Linear,
    pub attended: Linear,
    pub attended_norm: Norm,
    pub widen: Linear,
    pub narrow: Linear,
    pub narrow_norm: Norm,
}

/// A BERT encoder.
pub struct Encoder {
    pub width: usize,
    pub heads: usize,
    pub words: Box<dyn Rows>,
    pub positions: Box<dyn Rows>,
    /// What is added for the only segment there is.
    pub segment: Vec<f32>,
    pub norm: Norm,
    pub layers: Vec<Layer>,
}

/// Room for the states of one batch, used again for the next.
struct Room {
    linear: Scratch,
    gemm: GemmExecutor<f32, f32, f32>,
    attend: Vec<f32>,
    context: Vec<f32>,
    out: Vec<f32>,
    wide: Vec<f32>,
    scores: Vec<f32>,
    head: Vec<f32>,
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::new(Room::new());
}

impl Encoder {
    /// The mean of the token vectors of each sequence.
    ///
    /// # Errors
    /// Shapes that do not fit, which only damaged weights have.
    pub fn means(&self, sequences: &[&[u32]]) -> Result<Vec<Vec<f32>>, GemmError> {
        let states = ROOM.with(|room| match room.try_borrow_mut() {
            Ok(mut room) => self.states(sequences, &mut room),
            // A kernel that waits may run another batch on this thread meanwhile.
            Err(_) => self.states(sequences, &mut Room::new()),
        })?;
        let mut at = 0;
        let mean = |sequence: &&[u32]| {
            let tokens = &states[at..at + sequence.len() * self.width];
            at += tokens.len();
            let mut mean = vec![0.0; self.width];
            for token in tokens.chunks_exact(self.width) {
                mean.iter_mut().zip(token).for_each(|(sum, x)| *sum += x);
            }
            mean.iter_mut().for_each(|x| *x /= sequence.len() as f32);
            mean
        };
        Ok(sequences.iter().map(mean).collect())
    }

    /// Final token vectors of all sequences, one after the other.
    fn states(&self, sequences: &[&[u32]], room: &mut Room) -> Result<Vec<f32>, GemmError> {
        let mut states = self.embedded(sequences);
        for layer in &self.layers {
            layer
                .attend
                .apply(&states, &mut room.attend, &mut room.linear)?;
            self.attend(sequences, room)?;
            layer
                .attended
                .apply(&room.context, &mut room.out, &mut room.linear)?;
            layer.attended_norm.add(&mut states, &room.out);
            layer
                .widen
                .apply(&states, &mut room.wide, &mut room.linear)?;
            Gelu {}.map_mut(&mut room.wide);
            layer
                .narrow
                .apply(&room.wide, &mut room.out, &mut room.linear)?;
            layer.narrow_norm.add(&mut states, &room.out);
        }
        Ok(states)
    }

    /// Word, position and segment, summed and normalised.
    fn embedded(&self, sequences: &[&[u32]]) -> Vec<f32> {
        let tokens: usize = sequences.iter().map(|ids| ids.len()).sum();
        let mut states = vec![0.0; tokens * self.width];
        let mut position = vec![0.0; self.width];
        let places = sequences.iter().flat_map(|ids| ids.iter().enumerate());
        for ((place, id), state) in places.zip(states.chunks_exact_mut(self.width)) {
            self.words.read(*id as usize, state);
            self.positions.read(place, &mut position);
            for ((x, p), s) in state.iter_mut().zip(&position).zip(&self.segment) {
                *x += p + s;
            }
            self.norm.apply(state);
        }
        states
    }

    /// Softmax attention of each sequence to itself, head by head, from `room.attend` (query, key and
    /// value side by side) to `room.context`.
    fn attend(&self, sequences: &[&[u32]], room: &mut Room) -> Result<(), GemmError> {
        let (width, size) = (self.width, self.width / self.heads);
        let stride = 3 * width;
        let scale = 1.0 / (size as f32).sqrt();
        room.context.resize(room.attend.len() / 3, 0.0);
        let mut first = 0;
        for ids in sequences {
            let n = ids.len();
            let all = &room.attend[first * stride..(first + n) * stride];
            room.scores.resize(n * n, 0.0);
            room.head.resize(n * size, 0.0);
            for head in 0..self.heads {
                let part = |which: usize| {
                    let data = &all[which * width + head * size..];
                    NdTensorView::from_slice_with_strides([n, size], data, [stride, 1])
                };
                let (Ok(query), Ok(key), Ok(value)) = (part(0), part(1), part(2)) else {
                    return Err(GemmError::KSizeMismatch);
                };
                room.gemm.gemm(
                    &mut room.scores,
                    GemmInputA::Unpacked(query),
                    GemmInputB::Unpacked(key.transposed()),
                    GemmOptions {
                        alpha: scale,
                        ..GemmOptions::default()
                    },
                )?;
                for row in room.scores.chunks_exact_mut(n) {
                    Softmax::new_mut(row).dispatch();
                }
                room.gemm.gemm(
                    &mut room.head,
                    GemmInputA::Unpacked(NdTensorView::from_data([n, n], room.scores.as_slice())),
                    GemmInputB::Unpacked(value),
                    GemmOptions::default(),
                )?;
                let rows = room.context[first * width..(first + n) * width].chunks_exact_mut(width);
                for (row, head_row) in rows.zip(room.head.chunks_exact(size)) {
                    row[head * size..(head + 1) * size].copy_from_slice(head_row);
                }
            }
            first += n;
        }
        Ok(())
    }
}

impl Room {
    fn new() -> Self {
        Self {
            linear: Scratch::new(),
            gemm: GemmExecutor::new(),
            attend: Vec::new(),
            context: Vec::new(),
            out: Vec::new(),
            wide: Vec::new(),
            scores: Vec::new(),
            head: Vec::new(),
        }
    }
}

impl Norm {
    /// `states = norm(states + more)`, row by row.
    fn add(&self, states: &mut [f32], more: &[f32]) {
        let width = self.scale.len();
        for (state, more) in states.chunks_exact_mut(width).zip(more.chunks_exact(width)) {
            state.iter_mut().zip(more).for_each(|(x, y)| *x += y);
            self.apply(state);
        }
    }

    fn apply(&self, row: &mut [f32]) {
        let n = row.len() as f32;
        let mean = sum(row, |x| x) / n;
        let variance = sum(row, |x| (x - mean) * (x - mean)) / n;
        let by = 1.0 / (variance + EPSILON).sqrt();
        for ((x, scale), shift) in row.iter_mut().zip(&self.scale).zip(&self.shift) {
            *x = (*x - mean) * by * scale + shift;
        }
    }
}

/// Sums in eight lanes, which the compiler turns into vector instructions.
fn sum(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; 8];
    let chunks = row.chunks_exact(8);
    let rest: f32 = chunks.remainder().iter().map(|x| of(*x)).sum();
    for chunk in chunks {
        lanes
            .iter_mut()
            .zip(chunk)
            .for_each(|(lane, x)| *lane += of(*x));
    }
    lanes.iter().sum::<f32>() + rest
}
