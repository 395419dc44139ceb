# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throwaway hosts from the command line: ``python -m tests.throwaway --help``."""

from __future__ import annotations

import argparse
import os
import sys

from tests.throwaway import IMAGES, HostError, HostSpec, build, clean, down, hosts, images, inventory_path, up


def main() -> int:
    """Run one command; the exit status is 1 with a message where hosts cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m tests.throwaway", description="Make and remove throwaway hosts.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("build", help="make the images that do not exist yet")
    command.add_argument("images", nargs="*", default=list(IMAGES), metavar="image")
    command = commands.add_parser("up", help="make the hosts of a group; what is left of the group is removed first")
    command.add_argument("group")
    command.add_argument("hosts", nargs="+", metavar="name=image")
    command.add_argument("--keep", action="store_true", help="use the hosts that run already, if they are the same")
    command = commands.add_parser("down", help="remove the hosts of a group")
    command.add_argument("group")
    command = commands.add_parser("clean", help="remove all hosts of this checkout")
    command.add_argument("--images", action="store_true", help="and the images")
    commands.add_parser("list", help="show the hosts of this checkout")
    command = commands.add_parser("ssh", help="a shell, or a command, on a host")
    command.add_argument("group")
    command.add_argument("host")
    command.add_argument("words", nargs=argparse.REMAINDER, metavar="command")
    arguments = parser.parse_args()
    try:
        return _run(arguments)
    except HostError as error:
        print(error, file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "build":
        for reference in build(*arguments.images).values():
            print(reference)
    elif arguments.command == "up":
        specs = [HostSpec(*text.split("=", 1)) for text in arguments.hosts]
        up(arguments.group, specs, keep=arguments.keep)
        print(f"inventory: {inventory_path(arguments.group)}")
    elif arguments.command == "down":
        down(arguments.group)
    elif arguments.command == "clean":
        clean()
        if arguments.images:
            images.remove()
    elif arguments.command == "list":
        for host in hosts():
            print(f"{host.group:20} {host.name:20} {host.address:15} {host.image}")
    else:
        for host in hosts(arguments.group):
            if host.name == arguments.host:
                line = [*host.ssh_command(), *arguments.words]
                os.execvp(line[0], line)  # noqa: S606
        raise HostError(f"There is no host {arguments.host!r} in the group {arguments.group!r}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
