"""The command line: `dissensus run`, `check`, `verify`, `demo`, `report`, `heal`, `systems`,
`faults`, `doctor`.

This module holds the table of commands and turns errors into exit codes; each command lives in a
module of its own that is imported when it is called, so that `dissensus --help` loads nothing but
click. Results go to stdout, progress and errors to stderr.
"""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module

import click

from dissensus import __version__

COMMANDS = {
    "demo": ("dissensus.harness.cli_demo:demo", "Two runs of the bundled Raft, right and wrong."),
    "run": ("dissensus.harness.cli_run:run", "Run a system under faults and judge it."),
    "check": ("dissensus.harness.cli_check:check", "Judge a run or a history."),
    "verify": ("dissensus.harness.cli_verify:verify", "Check the certificates of a verdict again."),
    "convert": ("dissensus.harness.cli_convert:convert", "Write a history in another form."),
    "lint": ("dissensus.harness.cli_convert:lint", "Say what is odd about a history."),
    "report": ("dissensus.harness.cli_check:report", "Draw the report of a run again."),
    "heal": ("dissensus.harness.cli_heal:heal", "Undo what a killed harness left behind."),
    "systems": ("dissensus.harness.cli_list:systems", "List the systems that can be tested."),
    "faults": ("dissensus.harness.cli_list:faults", "List the faults that can be injected."),
    "doctor": ("dissensus.harness.cli_list:doctor", "Probe what this machine can do."),
}
"""Command -> (module:function, one line of help). The line stands here so that --help imports
nothing; a test compares it with the command's own.
"""

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 3, 4, 130
"""As `verdict.ExitCode`, which costs an import of msgspec; a test compares them."""

HINTS = {
    errno.ENOSPC: "the disk is full: free some space, or put the run store elsewhere with --store",
    errno.EDQUOT: "the disk quota is used up: free some space, or use another --store",
    errno.EACCES: "permission denied: choose a folder that you may write to with --store",
    errno.EROFS: "the file system is read-only: choose another folder with --store",
    errno.EADDRINUSE: "the address is in use: end the program that holds it, or try again",
    errno.EMFILE: "too many open files: raise the limit (ulimit -n 4096) or use fewer nodes",
}
"""What to do about the operating system's refusals that users meet."""


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            from dissensus.harness.errors import unknown_name

            raise unknown_name("command", name, COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 valid, 1 invalid, 2 unknown, 3 environment or tool failed, 4 usage, "
    "5 vacuous, 6 engines disagree, 130 interrupted.",
)
@click.version_option(__version__, "--version", message="dissensus %(version)s")
def cli() -> None:
    """Run a distributed system under faults, record what every client saw, and prove from that
    record what it kept and what it broke.
    """


def main() -> None:
    """The entry point of the program: never returns."""
    sys.exit(call(sys.argv[1:]))


def call(args: list[str]) -> int:
    """Run one command line and return its exit code; errors are told on stderr."""
    try:
        result = cli.main(args, prog_name="dissensus", standalone_mode=False)
        sys.stdout.flush()
        return int(result) if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except (KeyboardInterrupt, click.Abort):
        complain("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left (`| head`): nothing to tell, and nobody to tell it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception as error:
        return explain(error)


def explain(error: Exception) -> int:
    """Tell an error on stderr, whose fault it is and what to do; return its exit code."""
    from dissensus.harness.errors import DissensusError, culprit

    if isinstance(error, DissensusError):
        complain(str(error))
        return error.exit_code
    if isinstance(error, OSError) and error.errno in HINTS:
        complain(f"{error}: {HINTS[error.errno]}")
        return EXIT_FAILED
    import traceback

    traceback.print_exception(error)
    if foreign := culprit(error):
        complain(f"the error is in {foreign}, which is no part of dissensus")
        return EXIT_FAILED
    complain("this is a bug in dissensus; please report it with the lines above")
    return EXIT_FAILED


def complain(text: str) -> None:
    """One error, on stderr."""
    click.echo(f"dissensus: {text}", err=True)
