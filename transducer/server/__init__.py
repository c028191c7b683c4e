"""The engine over the network: a WebSocket, OpenAI's transcription API and the Wyoming protocol; see docs/server.md."""
