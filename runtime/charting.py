"""Learning the chart of a set of images (``chart``), and whether it is worth having."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from causalc.runtime import spectrum
from causalc.runtime.chart import COMPONENTS, IMAGE, Chart, Curved
from causalc.runtime.components import KEPT, decomposed, of_channels
from causalc.runtime.encode import unpack
from causalc.runtime.families.neural import in_batches, whole
from causalc.runtime.families.protocol import Setting, Tensors
from causalc.runtime.noise import derive
from causalc.runtime.progress import Report
from causalc.runtime.schema import Kind
from causalc.runtime.specs import ModelSpec
from causalc.runtime.train import Plan, seeded, train

FLAT = 32  # components that need no bending: about as few as a curved surface would take
_WORTH = 2  # times as many components must lose more
_SAMPLE = 20_000


@dataclass(frozen=True, slots=True)
class _Size:
    """How many coordinates, how wide a network, and how many steps."""

    latent: int
    width: int
    steps: int


_FEW = 64  # components, up to which images are small
_SMALL, _LARGE = _Size(24, 256, 1600), _Size(40, 512, 3000)


@dataclass(frozen=True, slots=True)
class Charted:
    """A chart, the sizes it is made with, and the standard deviation of each coordinate ``(latent,)``."""

    chart: Chart | Curved
    sizes: Mapping[str, int]
    scale: torch.Tensor

    @property
    def curved(self) -> bool:
        """Whether coordinates are more than components."""
        return isinstance(self.chart, Curved)


def charted(
    images: torch.Tensor,
    kind: Kind,
    weights: torch.Tensor | None,
    spec: ModelSpec,
    setting: Setting,
    report: Report,
) -> Charted | None:
    """Return a chart of ``images`` ``(n, channels, h, w)``; None where few components do not carry them.

    It is flat where these are very few, or where held-out rows do not bear a curved one out: it must lose less
    of the variance than twice as many flat coordinates would.
    """
    found = decomposed(images, weights)
    kept = None if found is None else found.kept()
    if found is None or kept is None:
        return None
    count = len(kept.scale)
    sizes = {"latent": count, "components": count, "chart_width": 0}
    flat = Charted(Chart(kind.width, count).take(kept), sizes, kept.scale / kept.unit)
    if count <= FLAT:
        return flat
    size = _SMALL if found.needed(KEPT) <= _FEW else _LARGE
    curved, lost = _curved(images, kind, weights, size, spec, setting, report)
    return curved if lost < found.lost(_WORTH * size.latent) else flat


def _curved(
    images: torch.Tensor,
    kind: Kind,
    weights: torch.Tensor | None,
    size: _Size,
    spec: ModelSpec,
    setting: Setting,
    report: Report,
) -> tuple[Charted, float]:
    """Return a curved chart, and the share of the variance of held-out rows that it loses."""
    one = of_channels(images, weights)
    finer = one.finer()
    count = len(finer.scale)
    sizes = {"latent": size.latent, "components": count, "chart_width": size.width}
    with seeded(derive(setting.seed, "chart")):
        chart = Curved(kind, size.latent, count, size.width)
    chart.centre.copy_(finer.centre)
    chart.basis.copy_(finer.basis)
    device = torch.device(setting.device)
    in_memory = isinstance(images, torch.Tensor)
    seen = _components(chart.to(device), images if in_memory else images[:_SAMPLE], device)
    # In memory they are worked out once for all steps.
    rows = {IMAGE: images, COMPONENTS: seen} if in_memory else {IMAGE: images}
    some = seen[:_SAMPLE]
    _start(chart, some, weights)
    chart.variance.fill_(one.total / finer.basis.shape[0])
    plan = Plan(size.steps, lr=3e-3, weight_decay=1e-2).at_most(whole(spec, "steps", size.steps))
    outcome = train(chart, rows, None, plan, setting, report)

    def coordinates(batch: Tensors) -> torch.Tensor:
        return chart.coordinates(batch[COMPONENTS])

    z = in_batches(coordinates, {COMPONENTS: some}, len(some), device)
    chart.cpu().eval()
    chart.shift.copy_(z.mean(dim=0))
    chart.spread.copy_(z.std(dim=0).clamp(min=1e-3))
    return Charted(chart, sizes, torch.ones(size.latent)), outcome.loss


def _components(chart: Curved, images: torch.Tensor, device: torch.device) -> torch.Tensor:
    def seen(batch: Tensors) -> torch.Tensor:
        return chart.components(unpack(batch[IMAGE]).flatten(1))

    return in_batches(seen, {IMAGE: images}, len(images), device)


def _start(chart: Curved, c: torch.Tensor, weights: torch.Tensor | None) -> None:
    """Set from components ``c`` ``(n, …)`` where the chart starts: their own leading components."""
    mass = torch.ones(len(c)) if weights is None else weights[: len(c)].cpu()
    mass = (mass / mass.sum()).double()[:, None]
    gaps = c.double() - (mass * c).sum(dim=0)
    latent = chart.unit.shape[0]
    values, axes, total = spectrum.leading(gaps, mass, latent)
    chart.axes.copy_(axes[:, :latent])
    chart.unit.copy_(values[:latent].sqrt())
    chart.size.copy_((total / c.shape[1]).sqrt())
