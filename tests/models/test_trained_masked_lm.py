"""A masked LM that somebody trained: AntiBERTy's weights, which its wheel carries (arXiv:2112.07782).

Optional, for 96 MB and a licence of their own: ``pip install --no-deps antiberty==0.1.3``, then this file runs.
"""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

import dlmsample as ds

#: The variable domain of the heavy chain that human germline genes V3-23 and J4 encode, with a middle of our own.
CHAIN = (
    "EVQLLESGGGLVQPGGSLRLSCAASGFTFSSYAMSWVRQAPGKGLEWVSAISGSGGSTYYADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYCAK"
    "DRGYYFDYWGQGTLVTVSS"
)
MASKED = [3, 10, 17, 21, 35, 40, 47, 65, 72, 80, 88, 95, 110]  # framework: what every antibody has there, or nearly
POLICIES = [
    ds.Unmask(),
    ds.Unmask(tokens_per_step=4),
    ds.T2T(),
    *(ds.T2M(detector=d) for d in ("low_prob", "t2t_remask", "logit_diff")),
    ds.D3IM(steps=8),
    ds.DSC(scorer="random"),
]


@pytest.fixture(scope="module")
def antiberty(tmp_path_factory: pytest.TempPathFactory) -> ds.Denoiser:
    spec = find_spec("antiberty")
    where = [Path(place) / "trained_models" for place in (spec.submodule_search_locations or ())] if spec else []
    weights = [place / "AntiBERTy_md_smooth" for place in where if (place / "AntiBERTy_md_smooth").is_dir()]
    if not weights:
        pytest.skip("needs the weights of antiberty 0.1.3")
    folder = tmp_path_factory.mktemp("antiberty")
    shutil.copy(weights[0] / "pytorch_model.bin", folder)
    shutil.copy(weights[0].parent / "vocab.txt", folder)
    config = json.loads((weights[0] / "config.json").read_text()) | {"architectures": ["BertForMaskedLM"]}
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = {"tokenizer_class": "BertTokenizer", "do_lower_case": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ValueError, match="pickle"):
        ds.load(folder)
    return ds.load(folder, allow_pickle=True)


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_residues_come_back(antiberty: ds.Denoiser, policy: ds.Policy) -> None:
    residues = ["[MASK]" if at in MASKED else residue for at, residue in enumerate(CHAIN)]
    out = ds.Sampler(antiberty, policy).fill([" ".join(residues), " ".join(residues[:60])])
    filled = [text.replace(" ", "") for text in out.texts]
    assert [len(text) for text in filled] == [len(CHAIN), 60]
    for text in filled:
        assert all(text[at] == CHAIN[at] for at in range(len(text)) if at not in MASKED)
    right = sum(filled[0][at] == CHAIN[at] for at in MASKED)
    assert right >= len(MASKED) - 1, filled[0]
