"""Writing the report of a result, whichever workflow it is of."""

import os
from functools import singledispatch
from pathlib import Path
from typing import Any

from diptych.numerosity.reproduce import Study
from diptych.numerosity.results import NumberLine
from diptych.rdx.results import RDXResult
from diptych.report.numerosity_study import write_number_study
from diptych.report.numerosity_write import write_number_line
from diptych.report.rdx_write import write_rdx
from diptych.report.rsvc_run import write_rsvc_run
from diptych.report.rsvc_write import write_rsvc
from diptych.report.tracing_study import write_tracing_study
from diptych.report.tracing_write import write_tracing
from diptych.rsvc.results import RSVCResult
from diptych.rsvc.run_result import RunResult
from diptych.tracing.results import TracingResult
from diptych.tracing.study import TracingStudy


@singledispatch
def write(result: Any, path: str | os.PathLike[str], **options: Any) -> Path:
    """Make a folder with a page that shows what a comparison found.

    The folder holds ``index.html`` (one file that needs nothing else, and no network), the numbers behind it
    and PNG figures. It appears under its name only when all of it is written.

    Args:
        result: A :class:`diptych.rdx.RDXResult`, :class:`diptych.rsvc.RSVCResult`,
            :class:`diptych.rsvc.RunResult`, :class:`diptych.numerosity.NumberLine`,
            :class:`diptych.numerosity.Study`, :class:`diptych.tracing.TracingResult` or
            :class:`diptych.tracing.TracingStudy`.
        path: The folder to make.
        **options: As :func:`diptych.report.write_rdx`, :func:`diptych.report.write_rsvc`,
            :func:`diptych.report.write_rsvc_run`, :func:`diptych.report.write_number_line`,
            :func:`diptych.report.write_number_study`, :func:`diptych.report.write_tracing` or
            :func:`diptych.report.write_tracing_study` take them;
            ``title``, ``command``, ``overwrite`` and ``progress`` are common to all.

    Returns:
        The folder.

    Raises:
        TypeError: There is no page for such a result.
        FileExistsError: ``path`` exists and is not to be replaced.
        FileNotFoundError: An option is a path that does not exist.
        ValueError: An option does not fit the result.
    """
    known = ", ".join(each.__name__ for each in write.registry if each is not object)
    raise TypeError(f"result: expected one of {known}, found {type(result).__name__}")


write.register(RDXResult, write_rdx)
write.register(RSVCResult, write_rsvc)
write.register(RunResult, write_rsvc_run)
write.register(NumberLine, write_number_line)
write.register(Study, write_number_study)
write.register(TracingResult, write_tracing)
write.register(TracingStudy, write_tracing_study)
