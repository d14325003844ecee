"""Graphs as people draw them: with named latents, before these are projected out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from causalc.compiler.graph import Graph, Pair


@dataclass(frozen=True, slots=True)
class Diagram:
    """A graph before latent projection; ``latents`` are the named ones among ``nodes``."""

    nodes: tuple[str, ...]
    directed: tuple[Pair, ...]
    bidirected: tuple[Pair, ...]
    latents: tuple[str, ...] = ()

    @classmethod
    def of(cls, graph: Graph) -> Diagram:
        """A graph without named latents."""
        return cls(graph.nodes, graph.directed, graph.bidirected)

    def projected(self) -> Graph:
        """The graph over the observed variables."""
        return Graph.from_edges(self.nodes, self.directed, self.bidirected, self.latents)

    def without(self, pair: Pair) -> Diagram:
        """The diagram in which nothing hidden confounds a pair."""
        kept = tuple(p for p in self.bidirected if {*p} != {*pair})
        return replace(self, bidirected=kept)

    def measured(self, hidden: str | Pair) -> Diagram:
        """The diagram in which a named latent, or the common cause of a pair, is observed."""
        if isinstance(hidden, str):
            return replace(self, latents=tuple(v for v in self.latents if v != hidden))
        cause = " ".join(("cause of", *hidden))
        while cause in self.nodes:
            cause += "'"
        arrows = (*self.directed, *((cause, v) for v in hidden))
        return replace(self.without(hidden), nodes=(*self.nodes, cause), directed=arrows)

    def explicit(self) -> Diagram:
        """The diagram in which each ``<->`` is a named latent that causes both ends."""
        made = self
        for pair in self.bidirected:
            cause = " ".join(("U", *pair)).replace(" ", "_")
            while cause in made.nodes:
                cause += "_"
            made = replace(
                made.without(pair),
                nodes=(*made.nodes, cause),
                directed=(*made.directed, *((cause, v) for v in pair)),
                latents=(*made.latents, cause),
            )
        return made
