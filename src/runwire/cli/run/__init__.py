"""``runwire run …``: one file a command."""

import typer

from runwire.cli.failures import EXIT_CODES_HELP
from runwire.cli.run import delete, reexecute, resume, show, submit, tail, terminate
from runwire.cli.run.list import list_runs

run_app = typer.Typer(
    help="Submit, watch and manage runs.", epilog=EXIT_CODES_HELP, no_args_is_help=True
)
run_app.command("submit", epilog=EXIT_CODES_HELP)(submit.submit)
run_app.command("list")(list_runs)
run_app.command("show")(show.show)
run_app.command("tail", epilog=EXIT_CODES_HELP)(tail.tail)
run_app.command("resume", epilog=EXIT_CODES_HELP)(resume.resume)
run_app.command("reexecute", epilog=EXIT_CODES_HELP)(reexecute.reexecute)
run_app.command("terminate")(terminate.terminate)
run_app.command("delete")(delete.delete)
