"""Two request modes on one shop: how good, how many bytes, and what an attacker reaches.

    python examples/compare_modes.py

Takes about a minute. Writes datasets/made-up, runs/mode-paper and runs/mode-slate, anew each time.
"""

import shutil

import spfedrec_cli as spfedrec

MODES = {"paper": "each client requests its items", "slate": "nobody requests anything"}


def main() -> None:
    spfedrec.prepare("synthetic", output="datasets/made-up", customers=2000, items=400)
    shop = spfedrec.Dataset.open("datasets/made-up")
    settings = ["train.rounds=60", "train.eval_every=20", "federated.cohort_size=512"]
    for mode in MODES:
        config = spfedrec.resolve("synthetic", settings=[*settings, f"request.mode={mode}"])
        shutil.rmtree(f"runs/mode-{mode}", ignore_errors=True)
        spfedrec.train(shop, config, f"runs/mode-{mode}", preset="synthetic")

    found = spfedrec.compare(["mode-paper", "mode-slate"], ks=[10], metrics=["ndcg@10"])
    gap = found.pairs[0].differences["ndcg@10"]
    for mode, said in MODES.items():
        print(f"{mode} ({said}): NDCG@10 {found.means[f'mode-{mode}']['ndcg@10']:.4f}")
    print(f"paper less slate: {gap.mean:+.4f}, 95 % from {gap.low:+.4f} to {gap.high:+.4f}, p = {gap.p:.2g}")

    for mode in MODES:
        crossed = dict.fromkeys(("up", "down"), 0.0)
        for message in spfedrec.crossed(f"mode-{mode}"):
            crossed[message.direction] += message.count * message.mean
        megabytes = ", ".join(f"{total / 1e6:.1f} MB {way}" for way, total in crossed.items())
        print(f"{mode}: {megabytes} in the whole training")

    for mode in MODES:
        audit = spfedrec.audit_run(f"mode-{mode}", clients=200, rounds=1).to_frame()
        worst = audit["auc"].idxmax()
        print(f"{mode}: the strongest attack is {worst}, AUC {audit['auc'].max():.2f} (0.5 is guessing)")


if __name__ == "__main__":
    main()
