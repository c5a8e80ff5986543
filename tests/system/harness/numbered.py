"""A sender that never gives up: numbered messages one after the other, over a connection as long as it lasts, then over
the next one; what was not acknowledged is sent again. And what its store must hold after that."""
import re
import threading
import time

from .checks import at_end, equal, wait_until
from .mllp import Answer, Client, message

PAUSE_S = 0.03  # between two messages, so that the log stays short; between two connections

PATIENCE_S = 3.0  # for a connection, and for an answer


class Sender:
    def __init__(self, name, namespace, address, source, canary, context=None):
        self.name, self.namespace, self.address, self.source = name, namespace, address, source
        self.canary, self.context = canary, context
        self.patience = PATIENCE_S
        self.number = 1  # the one that is on its way
        self.sent = self.opened = 0  # highest number ever sent; connections that were used
        self.acknowledged = []  # when, on time.monotonic()'s clock: [0] is number 1
        self.refused = []  # answers other than AA
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        at_end(self.stop)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.stopping.set()
        if self.thread.ident is not None:
            self.thread.join()

    def message(self, number):
        """Each tenth takes many packets."""
        more = [f"OBX|{i}|ST|note||{self.canary} {number} " + "lorem ipsum " * (number % 7 * 9)
                for i in range(1, 25 if number % 10 == 0 else 2)]
        return message(f"{self.name}{number:06}", pid=f"{number}^^^STM||Doe^{self.canary}", more=more)

    def _run(self):
        self.namespace.enter()
        while not self.stopping.is_set():
            try:
                client = Client(self.address, self.context, self.source, self.patience)
            except OSError:
                self.stopping.wait(PAUSE_S)
                continue
            self._talk(client)
            try:
                client.reset()  # nothing of an old connection may come after what the next one sends
            except OSError:
                client.close()
            self.stopping.wait(PAUSE_S)

    def _talk(self, client):
        self.opened += 1
        while not self.stopping.is_set():
            try:
                self.sent = max(self.sent, self.number)
                client.send(self.message(self.number))
                content = client.receive(self.patience)
            except (OSError, AssertionError):
                return
            if content is None:
                return
            answer = Answer(content)
            if (answer.code, answer.control_id.decode()) != ("AA", f"{self.name}{self.number:06}"):
                self.refused.append(answer)
                return
            self.acknowledged.append(time.monotonic())
            self.number += 1
            self.stopping.wait(PAUSE_S)

    def wait_acknowledged(self, since, count=1, seconds=30.0):
        """Until so many were acknowledged since then; returns when the first of them was."""
        def first():
            later = [moment for moment in self.acknowledged[-500:] if moment > since]
            return later[0] if len(later) >= count else None
        return wait_until(first, f"{self.name}: {count} acknowledged messages", seconds)

    def compare(self, requests):
        """requests: HttpStore's, this sender's. Each is a message byte for byte; first deliveries come in the order of
        their numbers; a repeat has its object's key; none that was acknowledged is missing."""
        keys, order = {}, []
        for about, content in requests:
            match = re.match(rb"[^\r]*\|%s(\d{6})\|" % self.name.encode(), content)
            assert match, f"{self.name}: not its message: {content[:80]!r}"
            number, key = int(match[1]), about["headers"]["idempotency-key"]
            equal(content, self.message(number), f"{self.name}: number {number}")
            if number not in keys:
                order.append(number)
            equal(keys.setdefault(number, key), key, f"{self.name}: key of number {number}'s repeat")
        equal(len(set(keys.values())), len(keys), f"{self.name}: keys")
        equal(order, list(range(1, len(order) + 1)), f"{self.name}: numbers in the order of their delivery")
        assert 0 < len(self.acknowledged) <= len(order) <= self.sent, \
            f"{self.name}: {len(self.acknowledged)} acknowledged, {len(order)} stored, {self.sent} sent"
        equal(self.refused, [], f"{self.name}: other answers")
        return len(requests) - len(order)
