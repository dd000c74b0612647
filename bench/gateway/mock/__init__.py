"""The provider's place: `answers` (nginx, whole answers) and `streams` (an event loop that writes paced chunks)."""
