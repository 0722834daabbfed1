//! The vision tower of Qwen2.5-VL: several images at once, and grids that do not fit.

#[allow(dead_code, reason = "each test file uses its part of what all share")]
mod common;

use burn::tensor::Tensor;
use common::{Case, Fixture, assert_close, values};
use vlm::model::Vlm;

/// The fixture README's bound for a float32 implementation.
const TOLERANCE: f32 = 2e-4;

fn tower(fixture: &Fixture) -> Vlm {
    Vlm::load(&fixture.model_folder(), &common::device()).unwrap()
}

fn expected(fixture: &Fixture, case: &Case) -> Vec<f32> {
    fixture.floats(&format!("{}.image_embeds", case.id))
}

/// Images of many sizes at once, some of them equal.
#[test]
fn an_image_in_company_is_embedded_as_it_is_alone() {
    let fixture = Fixture::committed();
    let cases = ["case2", "case3", "case2", "case6"].map(|id| fixture.case(id));
    let pixels = cases.iter().filter_map(|case| fixture.pixel_values(case, &common::device()));
    let pixels = Tensor::cat(pixels.collect(), 0);
    let grids: Vec<_> = cases.iter().flat_map(|case| case.grids.clone()).collect();
    let expected: Vec<f32> = cases.iter().flat_map(|case| expected(&fixture, case)).collect();
    let got = values(tower(&fixture).encode_images(pixels, &grids).unwrap());
    assert_close("four cases at once", &got, &expected, TOLERANCE);
}

#[test]
fn grids_that_do_not_fit_are_refused() {
    let tower = tower(&Fixture::committed());
    for (n_patches, grid, expected) in [
        (15, [1, 3, 5], "image grid [1, 3, 5]: expected multiples of 2 patches, none zero"),
        (12, [1, 4, 4], "pixel values: expected 16 patches of 1176 values for grids [[1, 4, 4]], got 12 of 1176"),
    ] {
        let pixels = Tensor::zeros([n_patches, 1176], &common::device());
        let error = tower.encode_images(pixels, &[grid]).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
