//! Lays the built-in weights out as the matrix kernels read them, so that they are used where they
//! lie in the executable: nothing is packed or copied when Squall starts.
//!
//! Linear layers of the same input become one (`attend` is query, key and value). Their int8 weights
//! go in panels of 16 outputs, each `[inputs / 4][16 outputs][4 inputs]`, the order in which both the
//! AVX-512 VNNI and the AMX instructions take them. `zero` is what an input of 128 in every place adds.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

const MODELS: [(&str, &str, usize); 2] = [
    ("all-minilm-l6-v2.int8.safetensors", "minilm.safetensors", 6),
    (
        "multilingual-e5-small.q4.safetensors",
        "multilingual.safetensors",
        12,
    ),
];
/// Our name of a linear layer, and the layers of the source it is made of.
const LINEAR: [(&str, &[&str]); 4] = [
    (
        "attend",
        &[
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
        ],
    ),
    ("attended", &["attention.output.dense"]),
    ("widen", &["intermediate.dense"]),
    ("narrow", &["output.dense"]),
];
/// Outputs of a panel, and inputs that stand together.
const PANEL: usize = 16;
const GROUP: usize = 4;
/// Bytes of a cache line.
const LINE: usize = 64;
/// What stands for an activation of 0.
const ZERO: i32 = 128;

type Failure = Box<dyn std::error::Error>;

/// A tensor of the new file.
struct Laid {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

fn main() -> Result<(), Failure> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = std::env::var("OUT_DIR")?;
    for (source, name, layers) in MODELS {
        let path = Path::new("models").join(source);
        println!("cargo::rerun-if-changed={}", path.display());
        let bytes = std::fs::read(&path)?;
        let laid = lay_out(&SafeTensors::deserialize(&bytes)?, layers)?;
        let mut views = Vec::new();
        for (name, laid) in &laid {
            let view = TensorView::new(laid.dtype, laid.shape.clone(), &laid.bytes)?;
            views.push((name.as_str(), view));
        }
        std::fs::write(Path::new(&out).join(name), aligned(views)?)?;
    }
    Ok(())
}

/// A file whose tensors begin where a cache line does.
fn aligned(views: Vec<(&str, TensorView<'_>)>) -> Result<Vec<u8>, Failure> {
    for padding in 0..LINE {
        let note = HashMap::from([("padding".to_owned(), " ".repeat(padding))]);
        let bytes = safetensors::serialize(views.clone(), Some(note))?;
        let header = u64::from_le_bytes(bytes[..8].try_into()?) as usize;
        if (8 + header).is_multiple_of(LINE) {
            return Ok(bytes);
        }
    }
    Err("the header cannot be aligned".into())
}

fn lay_out(source: &SafeTensors<'_>, layers: usize) -> Result<HashMap<String, Laid>, Failure> {
    let mut laid = HashMap::new();
    for (name, view) in source.tensors() {
        let is_linear = LINEAR
            .iter()
            .any(|(_, parts)| parts.iter().any(|part| name.contains(&format!(".{part}."))));
        if !is_linear || name.contains("LayerNorm") {
            let (dtype, mut shape) = (view.dtype(), view.shape().to_vec());
            let mut bytes = view.data().to_vec();
            // Scales of word embeddings: what comes after them must be aligned, too.
            if let ([rows], Dtype::F32) = (&mut shape[..], dtype) {
                *rows = rows.next_multiple_of(PANEL);
                bytes.resize(*rows * size_of::<f32>(), 0);
            }
            laid.insert(
                name,
                Laid {
                    dtype,
                    shape,
                    bytes,
                },
            );
        }
    }
    for layer in 0..layers {
        for (name, parts) in LINEAR {
            let prefix = format!("encoder.layer.{layer}");
            linear(source, &prefix, name, parts, &mut laid)?;
        }
    }
    Ok(laid)
}

/// Adds the linear layer `name`, made of `parts` side by side.
fn linear(
    source: &SafeTensors<'_>,
    prefix: &str,
    name: &str,
    parts: &[&str],
    laid: &mut HashMap<String, Laid>,
) -> Result<(), Failure> {
    let (mut weights, mut scales, mut bias) = (Vec::new(), Vec::new(), Vec::new());
    let mut inputs = 0;
    for part in parts {
        let tensor = |what: &str| source.tensor(&format!("{prefix}.{part}.{what}"));
        let view = tensor("weight")?;
        inputs = view.shape()[1];
        weights.extend(view.data().iter().map(|&byte| byte as i8));
        scales.extend(tensor("weight.scale")?.data());
        bias.extend(tensor("bias")?.data());
    }
    let outputs = weights.len() / inputs;
    assert!(
        outputs.is_multiple_of(PANEL) && inputs.is_multiple_of(GROUP),
        "{prefix}.{name}"
    );
    let mut panels = Vec::with_capacity(weights.len());
    for panel in weights.chunks_exact(PANEL * inputs) {
        for group in (0..inputs).step_by(GROUP) {
            for row in panel.chunks_exact(inputs) {
                panels.extend(row[group..group + GROUP].iter().map(|&w| w as u8));
            }
        }
    }
    let zero = weights.chunks_exact(inputs).flat_map(|row| {
        let sum: i32 = row.iter().map(|&w| i32::from(w)).sum();
        (sum * ZERO).to_le_bytes()
    });
    let zero = zero.collect();
    let shape = vec![outputs];
    for (what, dtype, shape, bytes) in [
        ("weight", Dtype::I8, vec![outputs, inputs], panels),
        ("scale", Dtype::F32, shape.clone(), scales),
        ("bias", Dtype::F32, shape.clone(), bias),
        ("zero", Dtype::I32, shape, zero),
    ] {
        laid.insert(
            format!("{prefix}.{name}.{what}"),
            Laid {
                dtype,
                shape,
                bytes,
            },
        );
    }
    Ok(())
}
