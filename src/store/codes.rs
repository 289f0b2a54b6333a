//! Vectors in 8 bits, for a first look at many of them: a quarter of the memory to read, and four
//! products at once. What looks best is then scored in f32.

/// What a component of 0 is stored as.
const ZERO: i32 = 128;

/// Appends the code of `vector` to `out`: each component in 1/127 of the greatest, plus 128. Returns
/// what one step stands for.
pub fn encode(vector: &[f32], out: &mut Vec<u8>) -> f32 {
    let step = step_of(vector);
    let code = |x: &f32| ((x / step).round_ties_even() as i32 + ZERO) as u8;
    out.extend(vector.iter().map(code));
    step
}

fn step_of(vector: &[f32]) -> f32 {
    let most = vector.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    (most / 127.0).max(f32::MIN_POSITIVE)
}

/// A query vector to compare with codes.
pub struct Asked {
    signed: Vec<i8>,
    step: f32,
    /// What codes of zeros alone would give.
    zero: i32,
}

impl Asked {
    pub fn new(query: &[f32]) -> Self {
        let step = step_of(query);
        let signed: Vec<i8> = query
            .iter()
            .map(|x| (x / step).round_ties_even() as i8)
            .collect();
        Self {
            zero: ZERO * signed.iter().map(|&x| i32::from(x)).sum::<i32>(),
            signed,
            step,
        }
    }

    /// About the dot product with the vector that `code` stands for; it may be off by .002 for unit
    /// vectors of 384 dimensions.
    pub fn score(&self, code: &[u8], step: f32) -> f32 {
        (dot(code, &self.signed) - self.zero) as f32 * (step * self.step)
    }
}

/// The dot product of what two codes of one length stand for, in steps of both.
pub fn between(a: &[u8], b: &[u8]) -> i32 {
    let length = a.len().min(b.len());
    let (a, b) = (&a[..length], &b[..length]);
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
            // SAFETY: the processor has the instructions.
            return unsafe { x86::between_vnni(a, b) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has the instructions.
            return unsafe { x86::between_avx2(a, b) };
        }
    }
    plainly_between(a, b)
}

#[inline(always)]
fn plainly_between(a: &[u8], b: &[u8]) -> i32 {
    let products = a.iter().zip(b);
    let signed = |code: u8| i32::from(code) - ZERO;
    products.map(|(&a, &b)| signed(a) * signed(b)).sum()
}

/// The dot product of the shorter length.
fn dot(code: &[u8], signed: &[i8]) -> i32 {
    let length = code.len().min(signed.len());
    let (code, signed) = (&code[..length], &signed[..length]);
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
            // SAFETY: the processor has the instructions.
            return unsafe { x86::dot_vnni(code, signed) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has the instructions.
            return unsafe { x86::dot_avx2(code, signed) };
        }
    }
    plain(code, signed)
}

#[inline(always)]
fn plain(code: &[u8], signed: &[i8]) -> i32 {
    let products = code.iter().zip(signed);
    products.map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_reduce_add_epi32, _mm512_set1_epi8,
        _mm512_setzero_si512, _mm512_xor_si512,
    };

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub fn dot_vnni(code: &[u8], signed: &[i8]) -> i32 {
        let (a, a_rest) = code.as_chunks::<64>();
        let (b, b_rest) = signed.as_chunks::<64>();
        let mut sums = [_mm512_setzero_si512(); 2];
        for (index, (a, b)) in a.iter().zip(b).enumerate() {
            // SAFETY: 64 bytes are there in both.
            let (a, b) = unsafe {
                (
                    _mm512_loadu_si512(a.as_ptr().cast()),
                    _mm512_loadu_si512(b.as_ptr().cast()),
                )
            };
            sums[index % 2] = _mm512_dpbusd_epi32(sums[index % 2], a, b);
        }
        let [first, second] = sums.map(|sum| _mm512_reduce_add_epi32(sum));
        first + second + super::plain(a_rest, b_rest)
    }

    /// The instruction takes one side unsigned: what 128 in each of its places adds is taken off.
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub fn between_vnni(a: &[u8], b: &[u8]) -> i32 {
        let (a, a_rest) = a.as_chunks::<64>();
        let (b, b_rest) = b.as_chunks::<64>();
        let top_bits = _mm512_set1_epi8(i8::MIN);
        let mut sums = _mm512_setzero_si512();
        let mut zeros = _mm512_setzero_si512();
        for (a, b) in a.iter().zip(b) {
            // SAFETY: 64 bytes are there in both.
            let (a, b) = unsafe {
                (
                    _mm512_loadu_si512(a.as_ptr().cast()),
                    _mm512_loadu_si512(b.as_ptr().cast()),
                )
            };
            let signed = _mm512_xor_si512(b, top_bits);
            sums = _mm512_dpbusd_epi32(sums, a, signed);
            zeros = _mm512_dpbusd_epi32(zeros, top_bits, signed);
        }
        let sum = _mm512_reduce_add_epi32(sums) - _mm512_reduce_add_epi32(zeros);
        sum + super::plainly_between(a_rest, b_rest)
    }

    #[target_feature(enable = "avx2")]
    pub fn between_avx2(a: &[u8], b: &[u8]) -> i32 {
        super::plainly_between(a, b)
    }

    /// Plain arithmetic, which the compiler turns into AVX2.
    #[target_feature(enable = "avx2")]
    pub fn dot_avx2(code: &[u8], signed: &[i8]) -> i32 {
        super::plain(code, signed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unit(seeds: &[i16]) -> Vec<f32> {
        let raw: Vec<f32> = seeds.iter().map(|&x| f32::from(x) + 0.5).collect();
        let norm = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
        raw.into_iter().map(|x| x / norm).collect()
    }

    type Kernel<A, B> = fn(&[A], &[B]) -> i32;

    /// The AVX2 variants, where `dot` and `between` would take a better one.
    fn avx2() -> Option<(Kernel<u8, i8>, Kernel<u8, u8>)> {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has the instructions.
            return Some((
                |a, b| unsafe { x86::dot_avx2(a, b) },
                |a, b| unsafe { x86::between_avx2(a, b) },
            ));
        }
        None
    }

    proptest! {
        #[test]
        fn scores_are_near_the_true_ones(
            a in proptest::collection::vec(any::<i16>(), 384),
            b in proptest::collection::vec(any::<i16>(), 384),
        ) {
            let (a, b) = (unit(&a), unit(&b));
            let mut code = Vec::new();
            let step = encode(&b, &mut code);
            let exact: f32 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
            let score = Asked::new(&a).score(&code, step);
            prop_assert!((score - exact).abs() < 0.002, "{score} {exact}");
        }

        #[test]
        fn every_kernel_sums_alike(
            code in proptest::collection::vec(any::<u8>(), 0..200),
            signed in proptest::collection::vec(any::<i8>(), 0..200),
        ) {
            prop_assert_eq!(dot(&code, &signed), plain(&code, &signed));
            if let Some((dot, _)) = avx2() {
                prop_assert_eq!(dot(&code, &signed), plain(&code, &signed));
            }
        }

        #[test]
        fn every_kernel_compares_alike(
            a in proptest::collection::vec(any::<u8>(), 0..200),
            b in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let length = a.len().min(b.len());
            let plain = plainly_between(&a[..length], &b[..length]);
            prop_assert_eq!(between(&a, &b), plain);
            if let Some((_, between)) = avx2() {
                prop_assert_eq!(between(&a, &b), plain);
            }
        }
    }
}
