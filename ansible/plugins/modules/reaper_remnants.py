"""The documentation of the action plugin of this name, which does all the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: reaper_remnants
short_description: Removes files of Reaper that no package owns
version_added: "0.1.0"
author: [The Reaper authors (@reaper)]
description:
  - For nodes whose package database has forgotten it. Files that a package owns stay.
"""

EXAMPLES = r"""
- name: Remove what is left
  reaper.node.reaper_remnants:
"""

RETURN = r"""
files:
  description: What was removed.
  type: list
  elements: str
  returned: always
"""
