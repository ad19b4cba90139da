"""Captions of videos by a vision-language model behind the OpenAI chat API."""
