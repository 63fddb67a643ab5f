"""Half precision is used where it is faster."""

import time

import torch

from lmcore.trainers.half_precision import bfloat16_pays


def test_it_says_what_a_larger_product_says():
    def seconds(matrix):
        taken = []
        for _ in range(4):
            started = time.perf_counter()
            matrix @ matrix
            taken.append(time.perf_counter() - started)
        return min(taken)

    matrix = torch.ones(512, 512)
    gain = seconds(matrix) / seconds(matrix.bfloat16())
    if not 0.7 < gain < 2:  # in between either answer is good
        assert bfloat16_pays() == (gain > 1), gain
