"""What ends a judgement."""


class JudgeError(Exception):
    """Prompts or scores cannot be used; the message says why."""


class Interrupted(JudgeError):
    """Ctrl-C ended the scoring."""
