"""A report as one page that opens offline.   report ─► [as_html] ─► file

    html_page      the writer: template, style, script and policy put together
    page_sections  the parts of the page, in order       tables   cells as texts and classes
    treemap        memory by kind and mapping             charts   sizes of the first rows over time
    over_time      services over many runs                heat     colours of the cells that stand apart
    limits         how full each limit is
    page_data      tables as JSON for the scripts         parts/, styles/, scripts/   the looks, and what a reader does

The extra [html] brings Jinja.
"""

from __future__ import annotations

from fleetpmap.export.as_html.html_page import write_html

__all__ = ["write_html"]
