"""The one error type for bad input: it says what, where and how to mend it."""

from __future__ import annotations


class InputError(ValueError):
    """Something a user wrote, named or pointed at cannot be used.

    Args:
        what: What is wrong, in one sentence.
        where: File and line, item id, or option that holds the fault.
        fix: The change or command that mends it.
    """

    def __init__(self, what: str, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        super().__init__(self._render())

    def _render(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)
