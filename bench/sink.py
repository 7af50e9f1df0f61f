"""Receives webhooks: answers every POST with 200 and forgets it. `python -m bench.sink` prints its port."""

import asyncio

from bench.load import HOST, is_complete

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Receiver(asyncio.Protocol):
    """One connection, kept open for as long as its client likes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.request = transport, b""

    def data_received(self, data: bytes) -> None:
        self.request += data
        if is_complete(self.request):
            self.request = b""
            self.transport.write(ANSWER)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Receiver, HOST, 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
