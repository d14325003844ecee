"""Models that somebody else trained: bound by path or by name, checked before they are used, never run as code."""

import json
import shutil
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import causalc
from causalc.errors import CausalcError
from causalc.execute import train
from causalc.grammar import LanguageError
from causalc.model_folder import described, digest
from causalc.report import report
from causalc.runtime.binding import named
from causalc.runtime.families.protocol import Shape
from causalc.runtime.fitted import load_model
from causalc.runtime.pipelines import load
from causalc.runtime.schema import binary, image
from causalc.runtime.specs import ModelSpec
from causalc.script import Job, compile_script

SCRIPT = """
graph {{ I1 -> {{A, B, I2}}; A <-> B; {{A, B}} -> I2 }}
var I1, I2 : image(8, 8, channels=3)
var A, B : binary
model I2 = pretrained({model})
query effect = P(I2 | do(A))
"""
TRANSLATOR = '"translator", inputs = [I1, A, B], evaluations = 3'


def network(**options: Any) -> Any:
    from diffusers import UNet2DModel

    torch.manual_seed(0)
    small = {"layers_per_block": 1, "block_out_channels": (8, 8), "norm_num_groups": 4}
    blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    return UNet2DModel(**{"sample_size": 8, "add_attention": False, **small, **blocks, **options})


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny image-to-image pipeline, saved: a picture beside the noise, one of four classes."""
    from diffusers import DDIMPipeline, DDIMScheduler

    folder = tmp_path_factory.mktemp("models") / "translator"
    unet = network(in_channels=6, out_channels=3, num_class_embeds=4)
    DDIMPipeline(unet, DDIMScheduler()).save_pretrained(folder)
    return folder


@pytest.fixture
def home(tmp_path: Path, translator: Path) -> Path:
    shutil.copytree(translator, tmp_path / "translator")
    return tmp_path


def compiled(home: Path, model: str = TRANSLATOR) -> Job:
    (home / "a.causal").write_text(SCRIPT.format(model=model), encoding="utf-8")
    return compile_script(home / "a.causal")


def rows(n: int = 40) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    pictures = {v: rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8) for v in ("I1", "I2")}
    return {**pictures, "A": rng.integers(2, size=n), "B": rng.integers(2, size=n)}


def pixels(frame: Any, name: str = "I2") -> np.ndarray:
    return np.stack(list(frame[name])).astype(int)


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network: whoever asks for a socket fails."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was asked for")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


# ---- a pipeline from a folder


@pytest.mark.usefixtures("cut_off")
def test_a_pipeline_runs_inside_a_compiled_program(home: Path) -> None:
    job = compiled(home)
    assert job.program is not None
    assert (
        'runtime.pretrained("translator", inputs=["I1", "A", "B"], evaluations=3)'
        in job.program.source
    )
    sampler = job.program.fit(rows(), progress=False)
    made = pixels(sampler.sample(70, A=1, seed=5))
    assert made.shape == (70, 8, 8, 3)
    assert made.std() > 10
    again = pixels(sampler.sample(70, A=1, seed=5, batch_size=9))
    assert np.abs(made - again).max() <= 1  # batches round float sums differently
    assert (pixels(sampler.sample(70, A=0, seed=5)) != made).any()
    saved = causalc.load(sampler.save(home / "saved"))
    assert np.abs(pixels(saved.sample(70, A=1, seed=5)) - made).max() <= 1


def test_the_report_says_what_was_not_trained(home: Path) -> None:
    columns, folder = rows(20), home / "rows"
    folder.mkdir()
    for name in ("I1", "I2"):
        files = [f"{name}{i}.png" for i in range(20)]
        for file, pixels in zip(files, columns[name], strict=True):
            Image.fromarray(pixels).save(folder / file)
        columns[name] = np.array(files)
    pd.DataFrame(columns).to_csv(folder / "labels.csv", index=False)
    trained = train(compiled(home), str(folder), str(home / "store"), False, {})
    assert "taken as it is" in report(trained)


@pytest.mark.parametrize("inputs", ["I1", "A", "B"])
def test_each_input_reaches_the_network(home: Path, inputs: str) -> None:
    shape = Shape(
        (("I2", image(8, 8, 3)),), (("I1", image(8, 8, 3)), ("A", binary()), ("B", binary()))
    )
    pipeline = load(home / "translator", shape, 2, "cpu")
    given = {"I1": rows(6)["I1"], "A": np.zeros(6, int), "B": np.zeros(6, int)}
    start = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    before = pipeline._made(start, [0] * 6, given)
    changed = given | {inputs: 255 - given[inputs] if inputs == "I1" else given[inputs] + 1}
    assert (pipeline._made(start, [0] * 6, changed) != before).any()


@pytest.mark.parametrize("kind", ["DDIM", "LDM"])
def test_the_loop_is_that_of_diffusers(tmp_path: Path, kind: str) -> None:
    """From the same starting noise the pipeline's own call makes the same pictures."""
    import diffusers

    scheduler = diffusers.DDIMScheduler(clip_sample=False)
    if kind == "DDIM":
        whole = diffusers.DDIMPipeline(network(in_channels=3, out_channels=3), scheduler)
    else:
        torch.manual_seed(0)
        blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "latent_channels": 2}
        more = {"up_block_types": ("UpDecoderBlock2D",) * 2, "norm_num_groups": 4}
        coder = diffusers.AutoencoderKL(block_out_channels=(8, 8), **blocks, **more)
        unet = network(in_channels=2, out_channels=2)
        whole = diffusers.LDMPipeline(vqvae=coder, unet=unet, scheduler=scheduler)
    whole.set_progress_bar_config(disable=True)
    whole.save_pretrained(tmp_path / "m")
    size = (16, 16, 3) if kind == "LDM" else (8, 8, 3)
    pipeline = load(tmp_path / "m", Shape((("Y", image(*size)),), ()), 4, "cpu")
    assert pipeline.about.size == size
    channels = 2 if kind == "LDM" else 3
    start = torch.randn(5, channels, 8, 8, generator=torch.Generator().manual_seed(3))
    theirs = whole(
        batch_size=5,
        generator=torch.Generator().manual_seed(3),
        num_inference_steps=4,
        output_type="np",
    ).images
    ours = pipeline._made(start, [0] * 5, {})
    assert np.abs(ours - 255 * theirs).max() <= 1


def test_noise_of_the_scheduler_belongs_to_the_row(tmp_path: Path) -> None:
    from diffusers import DDPMPipeline, DDPMScheduler

    DDPMPipeline(network(in_channels=3, out_channels=3), DDPMScheduler()).save_pretrained(
        tmp_path / "m"
    )
    pipeline = load(tmp_path / "m", Shape((("Y", image(8, 8, 3)),), ()), 3, "cpu")
    start = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = pipeline._made(start, [1, 2, 3, 4], {}).astype(int)
    halves = [pipeline._made(start[i : i + 2], [i + 1, i + 2], {}) for i in (0, 2)]
    assert np.abs(np.concatenate(halves) - whole).max() <= 1
    assert np.abs(pipeline._made(start, [1, 2, 3, 5], {})[3] - whole[3]).max() > 1


def test_training_goes_on_from_the_folder(home: Path) -> None:
    job = compiled(home, TRANSLATOR + ", steps = 40, lr = 0.003, batch = 20")
    assert job.program is not None
    data, store = rows(), home / "store"
    data["I2"] = np.full_like(data["I2"], 30)
    before = digest(home / "translator")
    sampler = job.program.fit(data, store=store, progress=False)
    (model,) = (m for m in sampler.models.values() if m.targets == ("I2",))
    assert digest(home / "translator") == before  # the folder itself stays as it was
    curve = (next(store.glob("??/*/curve.jsonl"))).read_text().splitlines()
    losses = [json.loads(line)["held_out"] for line in curve]
    assert losses[-1] < 0.8 * losses[0]
    again = job.program.fit(data, store=store, progress=False).models
    assert model.key in {m.key for m in again.values()}
    frozen = compiled(home).program
    assert frozen is not None
    made = [pixels(s.sample(8, A=1)) for s in (sampler, frozen.fit(data, progress=False))]
    assert (made[0] != made[1]).any()


# ---- what is refused


def _add(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text, encoding="utf-8")


def _edit(name: str, **values: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | values), encoding="utf-8")

    return edit


MARK = "open('ran', 'w')"
BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "code": (_add("pipeline.py", MARK), "is code, and code of a model folder is never run"),
    "code below": (_add("unet/my_unet.py", MARK), "is code"),
    "pickle": (_add("unet/diffusion_pytorch_model.bin", "x"), "weights must be safetensors"),
    "auto_map": (_edit("unet/config.json", auto_map={"AutoModel": "my.Model"}), "code of its own"),
    "custom": (_edit("model_index.json", custom_pipeline="their/code"), "code of its own"),
    "class": (_edit("model_index.json", _class_name="FluxPipeline"), "is not a pipeline that can"),
    "library": (_edit("model_index.json", unet=["my_code", "UNet2DModel"]), "of diffusers belongs"),
    "part": (_edit("model_index.json", extra=["my_code", "Extra"]), "has no part 'extra'"),
    "network": (_edit("unet/config.json", _class_name="os.system"), "belongs"),
    "bounds": (_edit("unet/config.json", layers_per_block=10**6), "layers_per_block is out of"),
    "huge": (_edit("unet/config.json", block_out_channels=[2**30, 8]), "out of bounds"),
    "not JSON": (_add("unet/config.json", "{"), "not JSON"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_folder_that_asks_for_trust_is_refused_at_compile_time(home: Path, bad: str) -> None:
    breaks, words = BAD[bad]
    breaks(home / "translator")
    with pytest.raises(LanguageError, match=r"this model cannot be used: translator.*" + words):
        compiled(home)
    assert not list(home.rglob("ran"))


def test_weights_must_fill_the_network(home: Path) -> None:
    _edit("unet/config.json", block_out_channels=[8, 4096])(home / "translator")
    job = compiled(home)  # its JSON is in order; the weights are looked at when they are needed
    assert job.program is not None
    with pytest.raises(CausalcError, match="not those of the network"):
        job.program.fit(rows(), progress=False)


def test_a_folder_that_comes_later_is_looked_at_before_training(home: Path) -> None:
    shutil.move(home / "translator", home / "later")
    job = compiled(home)
    assert job.program is not None
    with pytest.raises(CausalcError, match="translator: no such folder of a model"):
        job.program.fit(rows(), progress=False)
    shutil.move(home / "later", home / "translator")
    _edit("unet/config.json", num_class_embeds=7)(home / "translator")
    with pytest.raises(CausalcError, match="takes one of 7 classes, and `A` and `B` have 4"):
        job.program.fit(rows(), progress=False)


def test_latents_must_not_be_clipped(tmp_path: Path) -> None:
    import diffusers

    coder = diffusers.AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=2)
    unet = network(in_channels=2, out_channels=2)
    whole = diffusers.LDMPipeline(vqvae=coder, unet=unet, scheduler=diffusers.DDIMScheduler())
    whole.save_pretrained(tmp_path / "m")
    with pytest.raises(CausalcError, match="clips latents"):
        described(tmp_path / "m")


# ---- a function of the host program

LABELS = """
graph { R -> E -> Y; R <-> Y }
var R : vector(2)
var E : binary("no", "yes")
var Y : binary
model E = pretrained(callable = "labeler", inputs = [R])
query effect = P(Y, E | do(R))
"""


def labelled(home: Path, function: Callable[..., object] | None) -> Any:
    (home / "l.causal").write_text(LABELS, encoding="utf-8")
    program = compile_script(home / "l.causal").program
    assert program is not None
    rng = np.random.default_rng(0)
    r = rng.normal(size=(200, 2))
    e = np.where(r[:, 0] > 0, "yes", "no")
    data = {"R": r, "E": e, "Y": rng.integers(2, size=200)}
    callables = {} if function is None else {"labeler": function}
    return program.fit(data, progress=False, callables=callables)


def by_sign(columns: Mapping[str, np.ndarray]) -> object:
    return np.where(columns["R"][:, 0] > 0, "yes", "no")


def test_a_labeler_is_a_point_mass(tmp_path: Path) -> None:
    sampler = labelled(tmp_path, by_sign)
    assert set(sampler.sample(50, R=[1.0, 0.0])["E"]) == {"yes"}
    assert set(sampler.sample(50, R=[-1.0, 0.0])["E"]) == {"no"}
    folder = sampler.save(tmp_path / "saved")
    assert set(causalc.load(folder, {"labeler": by_sign}).sample(9, R=[1.0, 0.0])["E"]) == {"yes"}
    with pytest.raises(CausalcError, match=r"was not given: fit\(..., callables="):
        causalc.load(folder).sample(9, R=[1.0, 0.0])


def test_a_function_may_draw(tmp_path: Path) -> None:
    def coin(columns: Mapping[str, np.ndarray], noise: Any) -> list[str]:
        return ["yes" if u < 0.3 else "no" for u in noise.uniform()]

    sampler = labelled(tmp_path, coin)
    drawn = sampler.sample(4000, R=[0.0, 0.0], seed=1)["E"]
    # 4,000 draws of 0.3: a standard error of .0072; .036 is five of them, once in 1.7 million runs
    assert abs((drawn == "yes").mean() - 0.3) < 0.036
    assert (sampler.sample(4000, R=[0.0, 0.0], seed=1, batch_size=77)["E"] == drawn).all()


def test_another_function_is_another_model(tmp_path: Path) -> None:
    def other(columns: Mapping[str, np.ndarray]) -> object:
        return np.where(columns["R"][:, 1] > 0, "yes", "no")

    keys = [
        next(m.key for m in labelled(tmp_path, f).models.values() if m.targets == ("E",))
        for f in (by_sign, by_sign, other)
    ]
    assert keys[0] == keys[1] != keys[2]


def _raising(columns: Mapping[str, np.ndarray]) -> object:
    raise ZeroDivisionError("no rows")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (None, r"function 'labeler' of the host program, which was not given"),
        (_raising, r"the function 'labeler', which draws E, failed \(ZeroDivisionError: no rows\)"),
        (lambda columns: ["yes"], "returned 1 values of E for 64 rows"),
        (lambda columns: ["maybe"] * len(columns["R"]), r"'maybe' is not one of its levels"),
    ],
)
def test_what_a_function_does_wrong_is_said(
    tmp_path: Path, function: Callable[..., object] | None, words: str
) -> None:
    with pytest.raises(CausalcError, match=words):
        labelled(tmp_path, function)


def test_a_saved_folder_is_checked_like_any_other(home: Path) -> None:
    program = compiled(home).program
    assert program is not None
    folder = program.fit(rows(), progress=False).save(home / "saved")
    (place,) = (p for p in (folder / "models").iterdir() if (p / "model").is_dir())
    (place / "model" / "evil.py").write_text(MARK)
    with pytest.raises(CausalcError, match="is code"):
        load_model(place, "cpu")


# ---- an autoencoder from a folder

LATENT = """
graph { X -> Y }
var X : binary
var Y : image(16, 16, channels=3)
model Y = diffusion(autoencoder = "coder", steps = 400, width = 64, depth = 1)
query effect = P(Y | do(X))
"""


@pytest.fixture
def coder(tmp_path: Path) -> Path:
    """An autoencoder of one layer a side: 4 latents for each square of 2 pixels."""
    from diffusers import AutoencoderKL

    torch.manual_seed(1)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "latent_channels": 4}
    more = {"up_block_types": ("UpDecoderBlock2D",) * 2, "norm_num_groups": 4}
    made = AutoencoderKL(block_out_channels=(8, 8), **blocks, **more)
    made.save_pretrained(tmp_path / "coder")
    return tmp_path


def test_pictures_are_learnt_in_the_latents_of_a_given_autoencoder(coder: Path) -> None:
    """What comes out are pictures as the autoencoder renders the data: bright on the left for 0, right for 1."""
    from diffusers import AutoencoderKL

    (coder / "a.causal").write_text(LATENT, encoding="utf-8")
    program = compile_script(coder / "a.causal").program
    assert program is not None
    rng = np.random.default_rng(0)
    x = rng.integers(2, size=300)
    y = rng.integers(20, 60, (300, 16, 16, 3), dtype=np.uint8)
    for i, v in enumerate(x):
        y[i, :, 8 * v : 8 * v + 8] += 180
    sampler = program.fit({"X": x, "Y": y}, store=coder / "store", progress=False)
    whole = AutoencoderKL.from_pretrained(coder / "coder").eval()
    with torch.no_grad():
        seen = torch.from_numpy(y).permute(0, 3, 1, 2).float() / 127.5 - 1
        made = whole.decode(whole.encode(seen).latent_dist.mode()).sample
    rendered = ((made + 1) * 127.5).clamp(0, 255).permute(0, 2, 3, 1).numpy()
    wanted = [rendered[x == v].mean(axis=0) for v in (0, 1)]
    apart = np.linalg.norm(wanted[1] - wanted[0])
    for v in (0, 1):
        drawn = pixels(sampler.sample(200, X=v, seed=3), "Y").mean(axis=0)
        assert np.linalg.norm(drawn - wanted[v]) < 0.25 * apart
    again = causalc.load(sampler.save(coder / "saved")).sample(200, X=1, seed=3)
    assert np.abs(pixels(again, "Y").mean(axis=0) - drawn).max() < 0.1
    _edit("config.json", _diffusers_version="0.0.0")(coder / "coder")
    changed = named(ModelSpec("diffusion", (("autoencoder", "coder"),)), coder)
    _edit("config.json", _diffusers_version="0.0.1")(coder / "coder")
    assert changed != named(ModelSpec("diffusion", (("autoencoder", "coder"),)), coder)


def test_an_autoencoder_of_other_pictures_is_refused(coder: Path) -> None:
    (coder / "a.causal").write_text(LATENT.replace("channels=3", "channels=1"), encoding="utf-8")
    program = compile_script(coder / "a.causal").program
    assert program is not None
    data = {"X": np.arange(9) % 2, "Y": np.zeros((9, 16, 16, 1), np.uint8)}
    with pytest.raises(
        CausalcError, match="codes pictures with 3 channels and sides that 2 divides"
    ):
        program.fit(data, progress=False)
