"""A mail server for tests: speaks as much SMTP as a client needs, and says no, nothing or something slow when told."""

import time
from email import message_from_bytes
from email.message import Message
from email.policy import default as policy
from socketserver import StreamRequestHandler, ThreadingTCPServer

GREETING, CONTENT = "greeting", "content"  # what a server answers to before the first command, and after DATA
USUAL = {GREETING: "220 mail.example.com", "data": "354 Go on", "quit": "221 Bye"}
SILENCE_SECONDS = 0.5


class Conversation(StreamRequestHandler):
    server: "MailServer"

    def handle(self):
        self.server.conversations += 1
        self._answer(GREETING)
        while command := self.rfile.readline().decode().strip():
            self._answer(command)
            if command == "data":
                self._take()
            if command == "quit":
                return

    def _take(self):
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line)
        if self._answer(CONTENT).startswith("2"):
            self.server.mails.append(message_from_bytes(b"".join(lines), policy=policy))

    def _answer(self, command):
        reply = self.server.reply_to(command)
        if reply:
            self.wfile.write(f"{reply}\r\n".encode())
        else:
            time.sleep(SILENCE_SECONDS)
        return reply


class MailServer(ThreadingTCPServer):
    """`replies` says what to answer to a command that starts so, where "250 OK" would not do; "" is silence."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.replies: dict[str, str] = {}
        self.mails: list[Message] = []
        self.conversations = 0

    def reply_to(self, command: str) -> str:
        replies = USUAL | self.replies
        return next((reply for start, reply in replies.items() if command.startswith(start)), "250 OK")

    def handle_error(self, request, client_address):
        """A client that hangs up is part of the tests."""
