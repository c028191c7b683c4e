"""What becomes of a model's parts when a checkpoint is made of it."""

from __future__ import annotations

from tiny_readable import tiny_config

from transducer.training.export import config_without


def test_units_go_with_the_heads_that_alone_had_them():
    config = tiny_config()
    assert config_without(config, []) == config
    rest = config_without(config, ["cases"])
    assert list(rest.heads) == ["marks"]
    assert rest.units == {"words": 8, "marks": 10}  # those of the front-end stay
