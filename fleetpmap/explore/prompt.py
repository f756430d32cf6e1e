"""The line in which a filter or the name of a file is typed, in place of the keys.   [prompt] ─► app"""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Key
from textual.widgets import Input, Static

from fleetpmap.explore.grid import Grid
from fleetpmap.explore.keyline import KeyLine


class Prompt(Horizontal):
    """A label, what is typed, and what the keys do that end it."""

    DEFAULT_CSS = """
    Prompt { height: 1; display: none; }
    Prompt > Static { width: auto; }
    Prompt > Input { width: 1fr; padding: 0; background: transparent; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._typed: Callable[[str], None] | None = None
        self._entered: Callable[[str], None] | None = None
        self._left: Callable[[], None] | None = None

    def compose(self) -> ComposeResult:
        """Make the line from the left."""
        yield Static(id="label", markup=False)
        yield Input(
            id="prompt", select_on_focus=False, compact=True
        )  # a key that comes before the focus is not to be replaced
        yield Static(id="ends", markup=False)

    @property
    def input(self) -> Input:
        """Where the text is typed."""
        return self.query_one(Input)

    def ask(
        self,
        label: str,
        placeholder: str,
        text: str = "",
        *,
        ends: str,
        entered: Callable[[str], None],
        typed: Callable[[str], None] | None = None,
        left: Callable[[], None] | None = None,
    ) -> None:
        """Begin with a text; `typed` is called with every change of it, `entered` on Enter, `left` on Escape."""
        self._typed, self._entered, self._left = typed, entered, left
        self.query_one("#label", Static).update(label)
        self.query_one("#ends", Static).update(ends)
        self.input.placeholder, self.input.value, self.input.cursor_position = placeholder, text, len(text)
        self._show(is_shown=True)
        self.screen.set_focus(self.input)  # at once: the next key may be there already

    def _show(self, *, is_shown: bool) -> None:
        self.display = is_shown
        self.screen.query_one(KeyLine).display = not is_shown

    def _close(self) -> None:
        self._show(is_shown=False)
        self._typed = None
        self.screen.set_focus(self.screen.query_one(Grid))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell the text as the user types."""
        event.stop()
        if self._typed is not None:
            self._typed(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take what was typed."""
        event.stop()
        self._close()
        if event.value and self._entered is not None:  # keys that come together are Submitted before they are Changed
            self._entered(event.value)

    def take(self, event: Key) -> bool:
        """Leave it with Escape; take what was typed before it had the focus. Returns False if it is not shown."""
        if not self.display:
            return False
        if event.key == "escape":
            self._close()
            if self._left is not None:
                self._left()
        elif event.is_printable and event.character:  # the input stops the keys that it gets itself
            self.input.insert_text_at_cursor(event.character)
        else:
            return True
        event.stop()
        event.prevent_default()
        return True
