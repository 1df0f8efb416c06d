"""Mail: the smallest sender. A folder on one machine, an SMTP server elsewhere; never in the way of an answer."""

import queue
import smtplib
import ssl
import threading
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import structlog

from orderhouse.kernel.errors import Invalid
from orderhouse.kernel.ids import new_id
from orderhouse.runtime import private_files

log = structlog.get_logger(__name__)

_TIMEOUT_S = 10.0


class MailAddressInvalid(Invalid):
    """The address of the mail server is none."""

    code = "mail_address_invalid"


@dataclass(frozen=True, slots=True)
class Mail:
    """A message to one person."""

    to: str
    subject: str
    text: str


class Sender(Protocol):
    """Sends a message now, or raises OSError or SMTPException."""

    def send(self, mail: Mail) -> None:
        """Send it."""


class FolderSender:
    """Leaves each message as a file, for its owner alone, in the order of their making."""

    def __init__(self, folder: Path, sender: str) -> None:
        """Write to `folder`, from `sender`."""
        self._folder = folder
        self._from = sender

    def send(self, mail: Mail) -> None:
        """Write it."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_files.write(self._folder / f"{new_id()}.eml", _message(mail, self._from).as_bytes())


class SmtpSender:
    """Hands each message to a server: smtps:// is encrypted from the start, smtp:// where the server offers it."""

    def __init__(self, url: str, sender: str) -> None:
        """Use the server at `url`, from `sender`; MailAddressInvalid."""
        parts = urlsplit(url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise MailAddressInvalid("It begins with smtp:// or smtps:// and names a host.")
        self._tls = parts.scheme == "smtps"
        self._host, self._port = parts.hostname, parts.port or (465 if self._tls else 587)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._from = sender

    def send(self, mail: Mail) -> None:
        """Send it."""
        with self._connected() as server:
            if self._user:
                server.login(self._user, self._password)
            server.send_message(_message(mail, self._from))

    def _connected(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self._tls:
            return smtplib.SMTP_SSL(self._host, self._port, timeout=_TIMEOUT_S, context=context)
        server = smtplib.SMTP(self._host, self._port, timeout=_TIMEOUT_S)
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls(context=context)
        elif self._user:
            server.close()
            raise smtplib.SMTPNotSupportedError("the server offers no encryption: no password is told to it")
        return server


def sender_of(url: str, folder: Path, sender: str) -> Sender:
    """Return the sender `url` names; where it names none, one that writes to `folder`."""
    return SmtpSender(url, sender) if url else FolderSender(folder, sender)


class Post:
    """Sends in a thread of its own, so that nobody can tell by the time of an answer whether a mail was sent."""

    def __init__(self, sender: Sender, *, waiting: int = 1000) -> None:
        """Send through `sender`; at most `waiting` messages wait."""
        self._sender = sender
        self._waiting: queue.Queue[Mail | None] = queue.Queue(waiting)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def send(self, mail: Mail) -> None:
        """Send `mail` soon. What cannot be sent is logged and forgotten: whoever waits for it asks again."""
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="post", daemon=True)
                self._thread.start()
        try:
            self._waiting.put_nowait(mail)
        except queue.Full:
            log.error("mail_not_sent", error="too many wait")

    def _run(self) -> None:
        while (mail := self._waiting.get()) is not None:
            try:
                self._sender.send(mail)
            except Exception as error:  # noqa: BLE001 - one message that cannot be sent holds up no other
                # Neither the address nor the text: it holds a secret.
                log.error("mail_not_sent", error=type(error).__name__)

    def close(self) -> None:
        """Send what waits, and end."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(2 * _TIMEOUT_S)


def _message(mail: Mail, sender: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, mail.to, mail.subject
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="orderhouse.invalid")
    message.set_content(mail.text)
    return message
