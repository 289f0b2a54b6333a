//! Products of 8-bit matrices on x86-64: AMX where the system grants it, else AVX-512 VNNI. Both read
//! weights in the panels `build.rs` makes; sums are exact, so both give the same numbers.

/// Outputs of a panel, and inputs that stand together in it.
pub const PANEL: usize = 16;
pub const GROUP: usize = 4;
/// Rows of activations come in multiples of this.
pub const ROWS: usize = 32;

/// What an activation of 0 is rounded to. One for all rows: with one a row, rten-gemm 0.27 gives
/// wrong rows past its first tile.
pub const ZERO: u8 = 128;

/// What one step of the 8 bits stands for where `most` is the greatest absolute value.
pub fn step(most: f32) -> f32 {
    (most / 127.0).max(f32::MIN_POSITIVE)
}

/// An instruction set.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    Amx,
    Vnni,
}

/// What is multiplied, and where it goes.
pub struct Product<'a> {
    pub inputs: usize,
    /// `[rows, inputs]`, 128 for 0; rows are filled up to a multiple of [`ROWS`].
    pub activations: &'a [u8],
    /// One for each row that counts.
    pub row_scales: &'a [f32],
    /// `[outputs / 16][inputs / 4][16][4]`, signed.
    pub panels: &'a [u8],
    /// One for each output, like `bias` and `zeros`.
    pub scales: &'a [f32],
    pub bias: &'a [f32],
    pub zeros: &'a [i32],
    /// `[rows, outputs]`.
    pub out: &'a mut [f32],
}

impl Product<'_> {
    fn check(&self) {
        let (rows, outputs) = (self.row_scales.len(), self.scales.len());
        assert!(self.activations.len() >= rows.next_multiple_of(ROWS) * self.inputs);
        assert!(self.panels.len() == outputs * self.inputs);
        assert!(self.bias.len() == outputs && self.zeros.len() == outputs);
        assert!(self.out.len() == rows * outputs);
    }
}

/// On other processors there is none, and none is ever asked.
#[cfg(not(target_arch = "x86_64"))]
impl Kernel {
    pub fn best() -> Option<Self> {
        None
    }

    #[cfg(test)]
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::empty()
    }

    pub fn takes(self, _inputs: usize, _outputs: usize) -> bool {
        false
    }

    pub fn multiply(self, product: &mut Product<'_>) {
        product.check();
    }

    pub fn round(self, _row: &[f32], _rounded: &mut [u8]) -> f32 {
        0.0
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;
    use std::arch::x86_64::{
        __cpuid, __cpuid_count, __m512i, _mm_storeu_si128, _mm512_abs_ps, _mm512_add_epi32,
        _mm512_cvtepi32_ps, _mm512_cvtps_epi32, _mm512_cvtusepi32_epi8, _mm512_dpbusd_epi32,
        _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_max_ps, _mm512_mul_ps,
        _mm512_reduce_max_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps,
        _mm512_setzero_si512, _mm512_storeu_ps, _mm512_sub_epi32,
    };
    use std::sync::LazyLock;

    use super::{GROUP, Kernel, PANEL, Product, ZERO, step};

    /// Bytes of one panel for 4 inputs, and of an AMX tile's row.
    const LINE: usize = PANEL * GROUP;
    /// Inputs of an AMX tile.
    const DEEP: usize = 64;
    /// Panels the VNNI kernel works on at once, and rows.
    const WIDE: usize = 4;
    const HIGH: usize = 6;

    /// The kernels of this processor, the quickest first.
    static KERNELS: LazyLock<Vec<Kernel>> = LazyLock::new(|| {
        let mut kernels = Vec::new();
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
            if has_amx() {
                kernels.push(Kernel::Amx);
            }
            kernels.push(Kernel::Vnni);
        }
        kernels
    });

    impl Kernel {
        /// The quickest kernel of this processor; `None` without AVX-512 VNNI.
        pub fn best() -> Option<Self> {
            KERNELS.first().copied()
        }

        /// Every kernel of this processor.
        #[cfg(test)]
        pub fn all() -> impl Iterator<Item = Self> {
            KERNELS.iter().copied()
        }

        /// Whether the kernel works on matrices of this shape.
        pub fn takes(self, inputs: usize, outputs: usize) -> bool {
            inputs > 0
                && outputs > 0
                && inputs.is_multiple_of(DEEP)
                && outputs.is_multiple_of(PANEL * WIDE)
        }

        /// Rounds a row of activations, as many as a multiple of 16, to 8 bits; returns their scale.
        pub fn round(self, row: &[f32], rounded: &mut [u8]) -> f32 {
            assert!(KERNELS.contains(&self));
            // SAFETY: the processor has the instructions.
            unsafe { round(row, rounded) }
        }

        /// Fills `product.out`.
        pub fn multiply(self, product: &mut Product<'_>) {
            product.check();
            assert!(KERNELS.contains(&self) && self.takes(product.inputs, product.scales.len()));
            // SAFETY: the processor has the instructions, and `check` has seen that all slices are as
            // long as the kernels go.
            unsafe {
                match self {
                    // A tile has 16 rows; for a few the other is quicker.
                    Self::Amx if product.row_scales.len() > HIGH => amx(product),
                    _ => vnni(product),
                }
            }
        }
    }

    /// See [`Kernel::round`].
    #[target_feature(enable = "avx512f")]
    fn round(row: &[f32], rounded: &mut [u8]) -> f32 {
        let (row, _) = row.as_chunks::<PANEL>();
        let (rounded, _) = rounded.as_chunks_mut::<PANEL>();
        let mut most = _mm512_setzero_ps();
        for x in row {
            // SAFETY: 16 numbers are there.
            let x = unsafe { _mm512_loadu_ps(x.as_ptr()) };
            most = _mm512_max_ps(most, _mm512_abs_ps(x));
        }
        let scale = step(_mm512_reduce_max_ps(most));
        let by = _mm512_set1_ps(1.0 / scale);
        let zero = _mm512_set1_epi32(i32::from(ZERO));
        for (x, rounded) in row.iter().zip(rounded) {
            // SAFETY: 16 numbers and 16 bytes are there.
            unsafe {
                let x = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x.as_ptr()), by));
                let bytes = _mm512_cvtusepi32_epi8(_mm512_add_epi32(x, zero));
                _mm_storeu_si128(rounded.as_mut_ptr().cast(), bytes);
            }
        }
        scale
    }

    /// Whether the processor has AMX for int8 and the system lets this process use it.
    fn has_amx() -> bool {
        const TILE: u32 = 1 << 24;
        const INT8: u32 = 1 << 25;
        // Rust before 1.94 calls these unsafe.
        #[allow(unused_unsafe)]
        // SAFETY: every processor with AVX-512 has the instruction.
        let (most, found) = unsafe { (__cpuid(0).eax, __cpuid_count(7, 0).edx) };
        most >= 7 && found & (TILE | INT8) == TILE | INT8 && is_amx_granted()
    }

    /// Asks Linux for the tile registers (`ARCH_REQ_XCOMP_PERM` for feature 18, see the kernel's
    /// `Documentation/arch/x86/xstate.rst`).
    #[cfg(target_os = "linux")]
    fn is_amx_granted() -> bool {
        let result: isize;
        // SAFETY: arch_prctl with this request takes two numbers and touches no memory of ours.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") 158_isize => result,
                in("rdi") 0x1023_usize,
                in("rsi") 18_usize,
                out("rcx") _,
                out("r11") _,
                options(nostack)
            );
        }
        result == 0
    }

    #[cfg(not(target_os = "linux"))]
    fn is_amx_granted() -> bool {
        false
    }

    /// Sums of 16 outputs from `column` on, as numbers, to their place in `row`.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn finish(product: &mut Product<'_>, row: usize, column: usize, sums: __m512i) {
        // SAFETY: the caller's row and column are in the product, and columns come in sixteens.
        unsafe {
            let zeros = _mm512_loadu_si512(product.zeros.as_ptr().add(column).cast());
            let values = _mm512_cvtepi32_ps(_mm512_sub_epi32(sums, zeros));
            let row_scale = _mm512_set1_ps(*product.row_scales.get_unchecked(row));
            let scale = _mm512_loadu_ps(product.scales.as_ptr().add(column));
            let bias = _mm512_loadu_ps(product.bias.as_ptr().add(column));
            let place = row * product.scales.len() + column;
            _mm512_storeu_ps(
                product.out.as_mut_ptr().add(place),
                _mm512_fmadd_ps(values, _mm512_mul_ps(row_scale, scale), bias),
            );
        }
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn vnni(product: &mut Product<'_>) {
        let (rows, outputs) = (product.row_scales.len(), product.scales.len());
        for column in (0..outputs).step_by(PANEL * WIDE) {
            for row in (0..rows).step_by(HIGH) {
                // SAFETY: what is asked of this function is what these ask.
                unsafe {
                    match rows - row {
                        1 => vnni_tile::<1>(product, row, column),
                        2 => vnni_tile::<2>(product, row, column),
                        3 => vnni_tile::<3>(product, row, column),
                        4 => vnni_tile::<4>(product, row, column),
                        5 => vnni_tile::<5>(product, row, column),
                        _ => vnni_tile::<HIGH>(product, row, column),
                    }
                }
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn vnni_tile<const R: usize>(product: &mut Product<'_>, row: usize, column: usize) {
        let inputs = product.inputs;
        let mut sums = [[_mm512_setzero_si512(); WIDE]; R];
        // SAFETY: rows `row..row + R` and panels of `WIDE * 16` outputs from `column` are there.
        unsafe {
            let a = product.activations.as_ptr().add(row * inputs);
            let b = product.panels.as_ptr().add(column * inputs);
            for group in 0..inputs / GROUP {
                let mut panel = [_mm512_setzero_si512(); WIDE];
                for (p, panel) in panel.iter_mut().enumerate() {
                    *panel = _mm512_loadu_si512(b.add(p * PANEL * inputs + group * LINE).cast());
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let four = a.add(r * inputs + group * GROUP).cast::<i32>();
                    let four = _mm512_set1_epi32(four.read_unaligned());
                    for (sum, panel) in sums.iter_mut().zip(panel) {
                        *sum = _mm512_dpbusd_epi32(*sum, four, panel);
                    }
                }
            }
            for (r, sums) in sums.into_iter().enumerate() {
                for (p, sum) in sums.into_iter().enumerate() {
                    finish(product, row + r, column + p * PANEL, sum);
                }
            }
        }
    }

    /// How `ldtilecfg` wants it: palette 1, every tile 16 rows of 64 bytes.
    #[repr(C, align(64))]
    struct TileConfig {
        palette: u8,
        start: u8,
        reserved: [u8; 14],
        row_bytes: [u16; 16],
        rows: [u8; 16],
    }

    static TILES: TileConfig = TileConfig {
        palette: 1,
        start: 0,
        reserved: [0; 14],
        row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
        rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
    };

    /// Four tiles of sums: 32 rows, 32 outputs.
    #[repr(align(64))]
    struct Sums([[[i32; 16]; 16]; 4]);

    #[target_feature(enable = "avx512f")]
    unsafe fn amx(product: &mut Product<'_>) {
        let (rows, outputs, inputs) = (
            product.row_scales.len(),
            product.scales.len(),
            product.inputs,
        );
        let mut sums = Sums([[[0; 16]; 16]; 4]);
        // SAFETY: activations are there for whole tiles of 32 rows, panels for 32 outputs; the tile
        // registers are this function's until it releases them.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const TILES, options(nostack, readonly));
            for column in (0..outputs).step_by(2 * PANEL) {
                let b = product.panels.as_ptr().add(column * inputs);
                for row in (0..rows).step_by(2 * PANEL) {
                    let a = product.activations.as_ptr().add(row * inputs);
                    asm!(
                        "tilezero tmm0",
                        "tilezero tmm1",
                        "tilezero tmm2",
                        "tilezero tmm3",
                        "2:",
                        "tileloadd tmm4, [{a0} + {row} * 1]",
                        "tileloadd tmm6, [{b0} + {line} * 1]",
                        "tdpbusd tmm0, tmm4, tmm6",
                        "tileloadd tmm7, [{b1} + {line} * 1]",
                        "tdpbusd tmm1, tmm4, tmm7",
                        "tileloadd tmm5, [{a1} + {row} * 1]",
                        "tdpbusd tmm2, tmm5, tmm6",
                        "tdpbusd tmm3, tmm5, tmm7",
                        "add {a0}, 64",
                        "add {a1}, 64",
                        "add {b0}, 1024",
                        "add {b1}, 1024",
                        "dec {count}",
                        "jnz 2b",
                        "tilestored [{c} + {line} * 1], tmm0",
                        "add {c}, 1024",
                        "tilestored [{c} + {line} * 1], tmm1",
                        "add {c}, 1024",
                        "tilestored [{c} + {line} * 1], tmm2",
                        "add {c}, 1024",
                        "tilestored [{c} + {line} * 1], tmm3",
                        a0 = inout(reg) a => _,
                        a1 = inout(reg) a.add(PANEL * inputs) => _,
                        b0 = inout(reg) b => _,
                        b1 = inout(reg) b.add(PANEL * inputs) => _,
                        c = inout(reg) sums.0.as_mut_ptr() => _,
                        count = inout(reg) inputs / DEEP => _,
                        row = in(reg) inputs,
                        line = in(reg) LINE,
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack)
                    );
                    for (tile, sums) in sums.0.iter().enumerate() {
                        let (row, column) = (row + tile / 2 * PANEL, column + tile % 2 * PANEL);
                        for (r, sums) in sums.iter().enumerate().take(rows.saturating_sub(row)) {
                            let sums = _mm512_loadu_si512(sums.as_ptr().cast());
                            finish(product, row + r, column, sums);
                        }
                    }
                }
            }
            asm!("tilerelease", options(nostack, nomem));
        }
    }
}
