"""The documentation of the action plugin of this name, which does all the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: reaper_facts
short_description: Tells what a node is, as far as Reaper has to know it
version_added: "0.1.0"
author: [The Reaper authors (@reaper)]
description:
  - Sets the fact C(reaper_node). Changes nothing, and needs no Python on the node.
"""

EXAMPLES = r"""
- name: Ask the node what it is
  reaper.node.reaper_facts:
"""

RETURN = r"""
ansible_facts:
  description: The fact reaper_node.
  type: dict
  returned: always
"""
