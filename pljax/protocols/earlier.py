"""Translation of configs that earlier versions saved, so that their runs stay readable."""

from typing import Any

NETWORK_FIELDS = ("hidden", "initial_weights", "inverted_dropout", "output")


def translate(value: Any) -> Any:
    """Convert the JSON values of an earlier config to the present form. Other values are returned unchanged."""
    if not (isinstance(value, dict) and value.get("kind") == "Config" and "hidden" in value):
        return value
    try:
        network = {"kind": "Network", **{name: value[name] for name in NETWORK_FIELDS}}
        phases = [_phase(phase, network) for phase in value["phases"]]
    except (KeyError, TypeError, AttributeError):
        return value
    return {**{name: item for name, item in value.items() if name not in NETWORK_FIELDS}, "phases": phases}


def _phase(phase: dict[str, Any], network: dict[str, Any]) -> dict[str, Any]:
    return (_pretrain if phase["kind"] == "Pretrain" else _finetune)(dict(phase), network)


def _optimizer(optimizer: dict[str, Any]) -> dict[str, Any]:
    return {("learning_rate" if name == "rate" else name): item for name, item in optimizer.items()}


def _pretrain(phase: dict[str, Any], network: dict[str, Any]) -> dict[str, Any]:
    batches = {"batch_size": phase["batch_size"], "updates_per_epoch": phase["updates_per_epoch"]}
    method = {name: phase[name] for name in ("noise", "noise_level", "bottleneck")}
    method |= {"encoder_dropout": phase["hidden_dropout"], "reduction": phase["loss"]}
    method |= {"error": phase.get("error", "cross_entropy")}
    return {
        "kind": "Phase",
        "method": {"kind": "DenoisingAutoencoder", "network": network, **method},
        "batches": {"kind": "DrawnBatches", **batches},
        "optimizer": _optimizer(phase["optimizer"]),
        "epochs": phase["epochs"],
    }


def _finetune(phase: dict[str, Any], network: dict[str, Any]) -> dict[str, Any]:
    dropout, pseudo = phase["dropout"] or {"visible": 0.0, "hidden": 0.0}, phase["pseudo_labels"]
    method = {"kind": "Supervised", "network": network, "input_noise": phase.get("input_noise", 0.0)}
    method |= {f"{units}_dropout": dropout[units] for units in ("visible", "hidden")}
    batches = {"kind": "LabelledBatches", "batch_size": phase["batch_size"], "last_batch": phase["last_batch"]}
    if pseudo:
        draw_from = "unlabelled" if pseudo["draw"] == "uniform" else pseudo["draw"]
        method |= {"kind": "PseudoLabel", **{name: pseudo[name] for name in ("alpha_f", "t1", "t2", "assign")}}
        method |= {name: pseudo.get(name, 0.0) for name in ("threshold", "alignment")}
        batches |= {"kind": "MixedBatches", "unlabelled_batch_size": pseudo["batch_size"]}
        batches |= {"draw_from": draw_from, "buffer_size": pseudo["buffer_size"]}
    optimizer = _optimizer(phase["optimizer"])
    return {"kind": "Phase", "method": method, "batches": batches, "optimizer": optimizer, "epochs": phase["epochs"]}
