//! Numbers in which the processor multiplies matrices.

use std::cell::Cell;
use std::marker::PhantomData;

use dinoscope_shaders::cpu::{MatrixView, has_bf16_products, multiply, multiply_in_bf16};
use serde::{Deserialize, Serialize};

/// What factors of matrix products are rounded to on the CPU; sums, and all that is kept, are f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MatmulPrecision {
    /// They stay as they are.
    #[default]
    F32,
    /// 8 bits of mantissa in place of 24, which processors with `VDPBF16PS` multiply twice as fast.
    Bf16,
}

thread_local! {
    static OF_THREAD: Cell<MatmulPrecision> = const { Cell::new(MatmulPrecision::F32) };
}

impl MatmulPrecision {
    /// Whether this processor multiplies in it.
    pub fn is_available(self) -> bool {
        self == Self::F32 || has_bf16_products()
    }

    /// Holds for products of this thread until the scope ends; attention's and the loss's own stay f32.
    #[must_use]
    pub fn scope(self) -> MatmulPrecisionScope {
        MatmulPrecisionScope { before: OF_THREAD.replace(self), of_thread: PhantomData }
    }
}

/// While it lives, products of its thread are made in a [`MatmulPrecision`].
pub struct MatmulPrecisionScope {
    before: MatmulPrecision,
    /// It ends on the thread that it began on.
    of_thread: PhantomData<*const ()>,
}

impl Drop for MatmulPrecisionScope {
    fn drop(&mut self) {
        OF_THREAD.set(self.before);
    }
}

/// `out = a b` (`+=` when `add`) in the precision of this thread.
pub(super) fn product(out: &mut [f32], a: MatrixView<'_>, b: MatrixView<'_>, add: bool) {
    match OF_THREAD.get() {
        MatmulPrecision::F32 => multiply(out, a, b, 1.0, add),
        MatmulPrecision::Bf16 => multiply_in_bf16(out, a, b, 1.0, add),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A product of ones and of a number that bf16 has not.
    fn of_a_third() -> f32 {
        let (a, b, mut out) = (vec![1.0; 128 * 128], vec![1.0 / 3.0; 128 * 128], vec![0.0; 128 * 128]);
        product(&mut out, MatrixView::new(&a, 128, 128), MatrixView::new(&b, 128, 128), false);
        out[0] / 128.0
    }

    #[test]
    fn it_holds_within_its_scope_and_on_its_thread() {
        let exact = of_a_third();
        assert!((exact - 1.0 / 3.0).abs() < 1e-6);
        {
            let _scope = MatmulPrecision::Bf16.scope();
            // 171/512, where the processor has it.
            let wanted = if has_bf16_products() { 0.333_984_38 } else { exact };
            assert!((of_a_third() - wanted).abs() < 1e-6, "{}", of_a_third());
            assert_eq!(std::thread::spawn(of_a_third).join().ok(), Some(exact));
            let _inner = MatmulPrecision::F32.scope();
            assert_eq!(of_a_third(), exact);
        }
        assert_eq!(of_a_third(), exact);
    }
}
