"""A vision-language model behind the OpenAI chat API, by OpenAI's own client."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import openai

from .errors import Stopped, Unanswered
from .rules import broken_rules, cleaned, correction

ATTEMPTS = 3
"""An answer that breaks the rules is asked for again at most twice."""
RETRIES = 6
"""Of a request that the server refuses for now (429, 5xx), or whose connection breaks; with growing pauses, or those of
`retry-after`."""
MAX_TOKENS = 512
NO_KEY = "none"
"""Servers of one's own need no key, and OpenAI's client wants one."""


@dataclass(frozen=True)
class Answer:
    """A caption that keeps the rules."""

    text: str
    """The caption."""
    tokens: int
    """Tokens of all attempts, as the server counts them: prompt and answer."""
    attempts: int
    """How often the model was asked."""


class NoCaption(Unanswered):
    """The model gave no caption that keeps the rules; `tokens` were used for that."""

    def __init__(self, message: str, tokens: int) -> None:
        super().__init__(message)
        self.tokens = tokens


class ChatModel:
    """A model; safe to use from several threads."""

    def __init__(self, api: str, model: str, key: str | None, *, timeout_seconds: float, words: int) -> None:
        """api: the address of the API, such as `http://host:8000/v1`; key: is never in a message of an error."""
        self._model = model
        self._key = key
        self._words = words
        self._timeout_seconds = timeout_seconds
        self._client = openai.OpenAI(base_url=api, api_key=key or NO_KEY, max_retries=RETRIES, timeout=timeout_seconds)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def caption(self, prompt: str, pictures: Sequence[bytes]) -> Answer:
        """A caption for JPEG pictures. Raises `Unanswered`, `Stopped`."""
        content: list[dict[str, Any]] = [{"type": "text", "text": prompt}]
        for picture in pictures:
            url = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
            content.append({"type": "image_url", "image_url": {"url": url}})
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        tokens = 0
        problems: list[str] = []
        for attempt in range(1, ATTEMPTS + 1):
            given, used = self._ask(messages, tokens)
            tokens += used
            text = cleaned(given)
            problems = broken_rules(text, self._words)
            if not problems:
                return Answer(text, tokens, attempt)
            messages += [{"role": "assistant", "content": given}, {"role": "user", "content": correction(problems)}]
        raise NoCaption(f"the model broke the rules {ATTEMPTS} times: its answer {' and '.join(problems)}", tokens)

    def _ask(self, messages: list[dict[str, Any]], tokens: int) -> tuple[str, int]:
        """The text of an answer, empty if it has none, and the tokens used."""
        said: Any = messages
        try:
            answer: Any = self._client.chat.completions.create(
                model=self._model, messages=said, temperature=0, max_tokens=MAX_TOKENS
            )
        except openai.APITimeoutError as error:
            raise NoCaption(f"there was no answer within {self._timeout_seconds:g} s", tokens) from error
        except openai.APIConnectionError as error:
            raise Stopped(self._without_key(f"the API cannot be reached: {error.__cause__ or error}")) from error
        except openai.RateLimitError as error:
            raise Stopped(self._without_key(f"the API takes no more requests: {_reason(error)}")) from error
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            raise Stopped(
                self._without_key(f"the API refuses the key, the model or the address: {_reason(error)}")
            ) from error
        except openai.APIStatusError as error:
            raise NoCaption(self._without_key(f"the API failed: {_reason(error)}"), tokens) from error
        except (openai.APIError, json.JSONDecodeError):  # an answer that is not one of this API
            return "", 0
        try:
            text = answer.choices[0].message.content
            used = answer.usage.total_tokens if answer.usage is not None else 0
        except (AttributeError, IndexError, TypeError):
            return "", 0
        return text if isinstance(text, str) else "", used if isinstance(used, int) else 0

    def _without_key(self, message: str) -> str:
        """In one line, without the key: servers repeat it in their errors."""
        line = " ".join(message.split())[:300]
        return line.replace(self._key, "***") if self._key else line


def _reason(error: openai.APIStatusError) -> str:
    body = error.body
    said = body.get("message") if isinstance(body, dict) else None
    return f"{error.status_code} {said or error.response.reason_phrase}"
