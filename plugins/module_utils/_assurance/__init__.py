# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The spec file of a database as a whole: drafted from its catalog, validated, the results of its checks joined.

It stands above the domains of the five checks: it knows them, and they do not know it.
"""
