"""One self-contained page that shows what a comparison found: :func:`diptych.report.write`."""

try:
    from diptych.report.numerosity_study import write_number_study
    from diptych.report.numerosity_write import write_number_line
    from diptych.report.rdx_write import write_rdx
    from diptych.report.rsvc_run import run_patches, write_rsvc_run
    from diptych.report.rsvc_write import write_rsvc
    from diptych.report.tracing_study import write_tracing_study
    from diptych.report.tracing_write import write_tracing
    from diptych.report.write import write
except ModuleNotFoundError as error:
    if error.name is None or error.name.split(".")[0] == "diptych":
        raise
    raise ModuleNotFoundError(
        f"diptych.report needs {error.name}: pip install 'diptych[report]'", name=error.name
    ) from error

__all__ = [
    "run_patches",
    "write",
    "write_number_line",
    "write_number_study",
    "write_rdx",
    "write_rsvc",
    "write_rsvc_run",
    "write_tracing",
    "write_tracing_study",
]
