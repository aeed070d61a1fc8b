"""Errors are values: what does not fit says what would, and what is misspelt says where."""
# ruff: noqa: T201

import rack_sim


def main() -> None:
    try:
        rack_sim.explain(rack_sim.load("llama70b", ["precision.weights=fp16"]))
    except rack_sim.InfeasibleError as error:
        reason = error.reason
        print(f"{reason.gap_bytes / 1e9:.1f} GB too many, of {reason.demand_bytes / 1e9:.1f} GB")
        print("weights:", f"{reason.terms['weights']:,}", "bytes")
        print("one lever:", next(lever for lever in reason.levers if "precision" in lever))

    try:
        rack_sim.load("llama70b", ["serving.slot_row=2", "sead=1"])
    except rack_sim.InputError as error:
        for problem in error.problems:
            print(f"{problem.place}: {problem.message} ({problem.suggestion})")


if __name__ == "__main__":
    main()
