"""Leaves an artefact, a figure, a log line and progress."""

from mlopslib.steps.base import StepContext, StepResult


def run(ctx: StepContext) -> StepResult:
    ctx.progress(1, 2, "half way")
    ctx.log(f"base month {ctx.base_ym}, last day {ctx.dates['base_dt']}")
    (ctx.workdir / "scratch.txt").write_text("removed after the step")
    artifact = ctx.artifacts.put_json({"base_ym": ctx.base_ym})
    return StepResult("made one artefact", {"rows": 3}, {"first": artifact})
