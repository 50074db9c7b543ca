"""The command line: `filestore COMMAND`.

A command's module is imported when the command runs, so that `filestore --help` and completion answer at once.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping

import click

from filestore import __version__
from filestore.cli.settings import Settings
from filestore.cli.terminal import escape_controls

__all__ = ["COMMANDS", "main"]

COMMANDS: Mapping[str, tuple[str, str]] = {
    "init": ("filestore.cli.upkeep:init", "Make a directory a store."),
    "datasets": ("filestore.cli.show:datasets", "List the datasets of the store."),
    "list": ("filestore.cli.show:list_datapoints", "List the datapoints of a dataset, newest first."),
    "get": ("filestore.cli.show:get", "Print datapoints in full, as JSON."),
    "insert": ("filestore.cli.change:insert", "Insert datapoints from a file or from stdin, all or none."),
    "delete": ("filestore.cli.change:delete", "Delete datapoints; their files stay."),
    "drop": ("filestore.cli.change:drop", "Delete all datapoints of a dataset; their files stay."),
    "update": ("filestore.cli.revise:update", "Change datapoints in place, all or none."),
    "clone": ("filestore.cli.revise:clone", "Copy datapoints of any dataset into DATASET."),
    "restore": ("filestore.cli.revise:restore", "Undo the deletion of datapoints, all or none."),
    "edit": ("filestore.cli.edit:edit", "Open a datapoint in your editor, and check it when you are done."),
    "new": ("filestore.cli.new:new", "Write a draft of a new datapoint to fill in."),
    "fmt": ("filestore.cli.fmt:fmt", "Write datapoints and schemas in their canonical spelling."),
    "check": ("filestore.cli.check:check", "Tell everything that is wrong with the files of a store."),
    "schema": ("filestore.cli.schema:schema", "Print the JSON Schema of datapoint files, for editors."),
    "purge": ("filestore.cli.upkeep:purge", "Remove the files of deleted datapoints for good."),
    "recover": ("filestore.cli.upkeep:recover", "Complete changes that a crash interrupted."),
    "serve": ("filestore.cli.serve:serve", "Serve the store over HTTP to TensorZero clients."),
}
"""Where each command is, and what the list of commands says of it."""

_INTERRUPTED = 130
"""What a shell reports of a program that ^C ended: 128 and the signal's number."""


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for, and turns the store's errors into one line each."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None where there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        from importlib import import_module

        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name."""
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"There is no command '{escape_controls(args[0])}'.{_suggestion(args[0])}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; what the store or the system refuses becomes one line and an exit code."""
        from filestore.errors import FileContentError, FilestoreError

        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            if not any(error.option_name in option.opts for option in self.params):
                raise
            message = f"'{error.option_name}' stands before the command: filestore {error.option_name} ... COMMAND"
            raise click.UsageError(message, error.ctx) from None
        except FileContentError as error:
            _report(f"{ctx.params['root']}/{error}".removeprefix("./"))
            raise click.exceptions.Exit(error.exit_code) from None
        except FilestoreError as error:
            _report(str(error))
            raise click.exceptions.Exit(error.exit_code) from None
        except BrokenPipeError:
            raise  # whoever read our output has enough of it: click ends the program silently
        except OSError as error:
            reason = error.strerror or str(error)
            _report(f"{error.filename}: {reason}" if error.filename else reason)
            raise click.exceptions.Exit(1) from None
        except (KeyboardInterrupt, click.Abort):
            raise click.exceptions.Exit(_INTERRUPTED) from None


def _report(message: str) -> None:
    click.echo(f"Error: {escape_controls(message)}", err=True)


def _suggestion(name: str) -> str:
    import difflib

    close = difflib.get_close_matches(name, COMMANDS, n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


_EPILOG = """\b
Start here:
  filestore init
  filestore insert my_dataset datapoints.jsonl
  filestore list my_dataset
  filestore serve

\b
Completion of commands and dataset names, in bash (likewise zsh and fish):
  eval "$(_FILESTORE_COMPLETE=bash_source filestore)"
"""


@click.group(
    cls=LazyGroup,
    context_settings={
        "auto_envvar_prefix": "FILESTORE",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
    epilog=_EPILOG,
)
@click.option("--root", metavar="DIR", default=".", show_default="this directory", help="The store's directory.")
@click.option(
    "--config-file",
    metavar="GLOB",
    help="The function config: a tensorzero.toml, or a glob of several.  [default: tensorzero.toml in the root]",
)
@click.version_option(__version__, prog_name="filestore")
@click.pass_context
def main(ctx: click.Context, root: str, config_file: str | None) -> None:
    """Keep datasets of LLM datapoints as plain files in git.

    Every option can come from the environment, too: FILESTORE_ROOT for --root, FILESTORE_LIST_LIMIT for the
    --limit of `list`, and so on. Results go to stdout, everything else to stderr; the exit code is 0 if all is
    well, 1 if something was refused, 2 if the command was used in a wrong way.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal whose encoding lacks a character shows its code instead of ending the program.
        sys.stdout.reconfigure(errors="backslashreplace")
    if not root:
        raise click.UsageError("--root is empty: name a directory.")
    ctx.obj = Settings(root, config_file)
