"""Every part that is registered is under the law: there is no list to forget one in."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import torch
from contract import flat, verify_contract, verify_lookahead, verify_whole
from exporting import verify_export, verify_whole_export
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from transducer.heads.head import Head, Target
from transducer.model import config as registry
from transducer.model.config import (
    CoreConfig,
    EncoderConfig,
    FrontendConfig,
    HeadConfig,
    ModelConfig,
    PartConfig,
    SegmentDecoderConfig,
    SegmentEncoderConfig,
    from_json,
    to_json,
)
from transducer.model.sequence import Serial, Streaming

registry.find("none")  # imports all there are
# Other tests may have registered parts of their own.
OURS = {tag: kind for tag, kind in registry.TAGS.items() if kind.__module__.startswith("transducer.")}
PARTS = {tag: kind for tag, kind in OURS.items() if issubclass(kind, PartConfig)}
DECODERS = {
    tag for tag, kind in PARTS.items() if issubclass(kind, SegmentDecoderConfig)
}  # no stages: see test_decoders


def examples_of(kind: type[PartConfig]) -> tuple[PartConfig, ...]:
    try:
        return tuple(kind.examples())
    except NotImplementedError:
        return ()  # a test names it


# A part that cannot step needs the whole sequence, however long.
WHOLE_STEPS = 12
EXAMPLES = {
    f"{tag} {number}": part
    for tag in PARTS
    if tag not in DECODERS
    for number, part in enumerate(examples_of(PARTS[tag]))
}
CHANNELS, TOKENS = 8, 7
GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"))


def model_of(part: PartConfig) -> ModelConfig:
    """A model with the units that a head or an intermediate head wants."""
    return ModelConfig(units={"characters": TOKENS, getattr(part, "units", "characters"): TOKENS})


def frontends_of(part: EncoderConfig) -> Iterator[tuple[Streaming, Streaming]]:
    """The front-ends whose features an encoder takes, and the encoder for each."""
    for name, other in EXAMPLES.items():
        if isinstance(other, FrontendConfig):
            frontend = other.build()
            try:
                yield frontend, part.build(frontend, CHANNELS)
            except ValueError as error:
                assert "does not encode the features" in str(error), name


def build(name: str) -> tuple[Streaming, int]:
    """A part in float64 with weights that are all different, and the channels of its input."""
    torch.manual_seed(0)
    part = EXAMPLES[name]
    if isinstance(part, FrontendConfig):
        stage = part.build()
        channels = stage.inputs
    elif isinstance(part, EncoderConfig):
        frontend, stage = next(frontends_of(part))
        features, _ = frontend(torch.zeros(1, frontend.block, frontend.inputs), torch.ones(1, frontend.block) > 0)
        channels = features.shape[2]
    elif isinstance(part, CoreConfig):
        stage, channels = Serial(*part.build()), part.channels
    elif isinstance(part, SegmentEncoderConfig):
        stage, channels = part.build(CHANNELS), CHANNELS
    else:
        stage, channels = part.build(CHANNELS, model_of(part)), CHANNELS
    stage = stage.double().eval()
    for parameter in stage.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return stage, channels


def test_every_part_has_examples_and_every_kind_is_there():
    for base in (FrontendConfig, EncoderConfig, CoreConfig, HeadConfig):
        assert sum(issubclass(kind, base) for kind in PARTS.values()) >= 2, base
    assert DECODERS
    assert [tag for tag in PARTS if not examples_of(PARTS[tag])] == [], "these have no examples: no test holds them"
    with pytest.raises(NotImplementedError, match="CoreConfig has no examples"):
        CoreConfig.examples()


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("name", EXAMPLES)
@settings(max_examples=4)
@given(data=st.data())
def test_contract(name, device, data):
    stage, channels = build(name)
    stage.to(device)
    steps = 2 * stage.lookahead + 3 * stage.block if stage.can_step else WHOLE_STEPS
    longest = data.draw(st.integers(1, steps), label="longest")
    lengths = [longest, *data.draw(st.lists(st.integers(1, longest), max_size=2), label="other lengths")]
    blocks = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=4), label="blocks")
    inner = not isinstance(EXAMPLES[name], FrontendConfig)
    verify_contract(stage, channels, lengths, blocks, data.draw(st.integers(0, 9), label="seed"), inner)


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")  # torch's own recurrent modules do
@pytest.mark.parametrize("name", EXAMPLES)
def test_everything_is_made_where_the_input_is(name):
    """On a GPU that torch only imagines: who makes a tensor elsewhere is found without one."""
    stage, channels = build(name)
    with FakeTensorMode():
        try:
            torch.empty(1, device="cuda")
        except (AssertionError, RuntimeError) as error:
            pytest.skip(f"this torch cannot imagine a GPU: {error}")
        for module in stage.modules():
            for tensors in (module._parameters, module._buffers):
                for key, tensor in tensors.items():
                    moved = None if tensor is None else torch.empty(tensor.shape, dtype=tensor.dtype, device="cuda")
                    tensors[key] = nn.Parameter(moved) if isinstance(tensor, nn.Parameter) else moved
        x = torch.empty(2, 2 * stage.block, channels, dtype=torch.float64, device="cuda")
        mask = torch.ones(x.shape[:2], dtype=torch.bool, device="cuda")
        try:
            with torch.backends.cudnn.flags(enabled=False):
                found = [*stage(x, mask)]
                if stage.can_step:
                    found += stage.step(x, mask, stage.init_state(2, x))
        except RuntimeError as error:
            if "NVIDIA driver" in str(error):
                pytest.skip("one of torch's kernels cannot be imagined")
            raise
        assert all(tensor.device.type == "cuda" for tensor in flat(tuple(found)))


@pytest.mark.parametrize("name", EXAMPLES)
def test_lookahead_is_as_declared(name):
    stage, channels = build(name)
    if not stage.can_step:
        verify_whole(stage, channels, WHOLE_STEPS)
        return
    verify_lookahead(stage, channels, 3 * stage.lookahead + 4 * max(stage.block, stage.stride))


@pytest.mark.filterwarnings("ignore:The tensor attributes .*_flat_weights")  # of torch's own recurrent modules
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_step_can_be_exported(name):
    """Or `forward`, of what has no step."""
    stage, channels = build(name)
    if stage.can_step:
        verify_export(stage, channels, blocks=2)
    else:
        verify_whole_export(stage, channels, WHOLE_STEPS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_configs_go_to_json_and_back(name):
    part = EXAMPLES[name]
    assert from_json(json.loads(json.dumps(to_json(part)))) == part


@pytest.mark.parametrize("name", [name for name, part in EXAMPLES.items() if isinstance(part, EncoderConfig)])
def test_every_encoder_has_a_front_end(name):
    assert list(frontends_of(EXAMPLES[name]))


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("name", [name for name, part in EXAMPLES.items() if isinstance(part, HeadConfig)])
def test_every_head_learns(name, device):
    """Its loss falls where its targets are learned by heart, and then its metric is good."""
    head = build(name)[0].float().to(device)
    assert isinstance(head, Head) and head.config == EXAMPLES[name]
    numbers = TOKENS - 1  # all but the background
    assert head.size == (numbers if head.target in (Target.VALUES, Target.VALUE) else TOKENS)
    torch.manual_seed(1)
    x = torch.randn(2, 12, CHANNELS).to(device)
    mask = (torch.arange(12) < torch.tensor([[12], [9]])).to(device)
    steps = head(x, mask)[1].sum(dim=1).tolist()
    targets = {
        Target.LABELS: [torch.randint(TOKENS, (count,)).numpy() for count in steps],
        Target.LABEL: [2, 5],
        Target.TOKENS: [[1, 2], [3]],
        Target.VALUES: [torch.randn(count, numbers).numpy() for count in steps],
        Target.VALUE: [torch.randn(numbers).numpy() for _ in steps],
    }[head.target]
    for target in targets:
        head.check_target(target, "pair")
    optimizer = torch.optim.Adam([*head.parameters(), x.requires_grad_()], lr=0.03)
    losses = []
    for _ in range(300):
        loss = head.loss(*head(x, mask), targets)
        counts = {Target.LABELS: sum(steps), Target.LABEL: 2, Target.TOKENS: 3}
        counts |= {Target.VALUES: numbers * sum(steps), Target.VALUE: numbers * 2}
        assert loss.count == counts[head.target]
        optimizer.zero_grad()
        loss.mean.backward()
        optimizer.step()
        losses.append(loss.mean.item())
    assert losses[-1] < 0.2 * losses[0]
    metric = head.metric()
    with torch.no_grad():
        for row, target in enumerate(targets):
            length = int(mask[row].sum())
            metric.add(head(x[row : row + 1, :length], mask[row : row + 1, :length])[0][0], target)
    assert metric.total == loss.count
    # Greedy search and a narrow layer need not be right everywhere.
    most = 1.2 if metric.name == "perplexity" else 0.34
    assert metric.rate >= 0.8 if metric.name == "accuracy" else metric.rate <= most
