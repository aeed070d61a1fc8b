"""From a notebook: place a model, replay traffic, and look at the requests as a table."""
# ruff: noqa: T201

import rack_sim


def main() -> None:
    scenario = rack_sim.load("llama70b", ["workload.request_count=400"])

    explanation = rack_sim.explain(scenario)
    plan, step = explanation.plan, explanation.step
    print(f"{plan.model.name} on {plan.chip_count} chips: {plan.weight_bytes:,} bytes of weights")
    print(f"{plan.stage_count} stages of {plan.tensor_parallel} chips, {step.slot_count} slots")
    print(f"a token every {step.revolution_ps / 1e9:.2f} ms")

    result = rack_sim.simulate(scenario)
    requests = result.requests()
    print(requests["status"].value_counts().to_string())
    print(f"median TTFT: {requests['ttft_ms'].median():.0f} ms")
    print(f"the same in the summary: {result.summary['ttft_ms_p50']:.0f} ms")
    long = requests[requests["input_tokens"] > 2000].dropna(subset="ttft_ms")
    short = requests[requests["input_tokens"] < 500].dropna(subset="ttft_ms")
    print(f"prompts above 2,000 tokens wait longer: {long.ttft_ms.min() > short.ttft_ms.median()}")


if __name__ == "__main__":
    main()
