"""A report as one page that opens offline.   report ─► [as_html] ─► file

    html_page      the writer: template, style, script and policy put together
    page_sections  the parts of the page, in order       tables   cells as texts and classes
    treemap        memory as areas                        charts   sizes over time
                                                          heat     colours of the cells that stand apart
    page.html, page.css, page.js                          the looks; sorting and searching

The extra [html] brings Jinja and squarify.
"""

from __future__ import annotations

from fleetpmap.export.as_html.html_page import write_html

__all__ = ["write_html"]
