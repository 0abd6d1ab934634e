"""JailbreakBench artifacts: one attack on one model, a hundred behaviours, two judges."""

from __future__ import annotations

from interjudge.datasets.foreign import Found, formats, scale
from interjudge.datasets.foreign_rows import Asked, Rows
from interjudge.datasets.probe import Probe
from interjudge.errors import InputError


def recognises(probe: Probe) -> bool:
    """An object with `parameters` and `jailbreaks`."""
    return isinstance(probe.document, dict) and {"parameters", "jailbreaks"} <= set(probe.document)


def read(probe: Probe) -> Found:
    """Outputs and verdicts; a behaviour without a response was not attacked with success and is left out."""
    document = probe.document
    assert isinstance(document, dict)
    rows = Rows(probe.source.name)
    parameters, attacks = document["parameters"], document["jailbreaks"]
    if not isinstance(parameters, dict) or not isinstance(attacks, list):
        raise InputError(
            "parameters or jailbreaks are not what they should be", file=probe.source.name,
            expected="an object and a list",
        )  # fmt: skip
    attack = "/".join(str(parameters[k]) for k in ("method", "attack_type") if parameters.get(k) is not None)
    judges = formats()["jailbreakbench"].said["judges"]
    silent = 0
    for number, one in enumerate(attacks, 1):
        where = f"jailbreak {number}"
        if not isinstance(one, dict):
            raise rows.error("not an object", where, found=one)
        if one.get("prompt") is None or one.get("response") is None:
            silent += 1
            continue
        item = rows.item(
            where, prompt=one["prompt"], response=one["response"], model=parameters.get("model"),
            benchmark="jailbreakbench", category=one.get("category"), attack=attack or None,
            behavior=one.get("behavior"), goal=one.get("goal"), index=one.get("index"),
        )  # fmt: skip
        for key, spec in judges.items():
            if key in one:
                asked = Asked(spec["judge"], spec["kind"], spec["construct"])
                rows.verdict(item, asked, scale(spec["scale"]).read(one[key]))
    if silent == len(attacks):
        raise InputError("no behaviour has a response", file=probe.source.name)
    notes = [f"{silent:,} of {len(attacks):,} behaviours have no response and are left out"] if silent else []
    return rows.found(notes=notes)
