"""The mail that says that a job is done or has failed."""

import re
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from tellapart.errors import TellapartError, UsageError
from tellapart.settings import Settings
from webui.claims import Claims
from webui.jobs import Job, State, utc_now
from webui.words import KIND_WORDS

_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
_MAX_LOCAL, _MAX_ADDRESS = 64, 254  # RFC 5321, 4.5.3.1 and RFC 3696, erratum 1690
_TIMEOUT = 15


def check_address(text: str) -> str:
    """An e-mail address without the white space around it, or "" for none.

    Raises:
        UsageError: it is no address of the plain form name@host.
    """
    address = text.strip()
    if not address:
        return ""
    fits = len(address) <= _MAX_ADDRESS and len(address.partition("@")[0]) <= _MAX_LOCAL
    if not (fits and _ADDRESS.fullmatch(address)):
        raise UsageError(f"{address[:80]!r} is not an e-mail address", "Write one like name@example.org, or none")
    return address


def tell_due(claims: Claims, settings: Settings) -> None:
    """Mail all who asked to be told how a job ended; where that fails, the job's page says so.

    A worker that is killed after it has sent and before it has written that down sends the same again.
    """
    while job := claims.take_mail():
        problem = ""
        try:
            if settings.smtp_url:
                send(compose(job, settings), settings)
        except TellapartError as error:
            problem = str(error)
        claims.settle_mail(job, problem)


def compose(job: Job, settings: Settings) -> EmailMessage:
    """The mail; nothing in it can end a header line, whatever the job is called."""
    message = EmailMessage(policy=SMTP)
    done = job.state == State.DONE
    message["Subject"] = f"Tellapart: {job.name} is {'ready' if done else 'not finished'}"
    message["From"] = settings.mail_from
    message["To"] = check_address(job.email)
    message["Date"] = job.finished or utc_now()
    message["Message-ID"] = _message_id(job, settings)
    message["Auto-Submitted"] = "auto-generated"
    told = "It can be used now." if done else " ".join(filter(None, [f"{job.error}.", job.fix]))
    message.set_content(
        f"{KIND_WORDS[job.kind]} {job.name}\n\n{told}\n\n{settings.web_url}/jobs/{job.id}\n", cte="quoted-printable"
    )
    return message


def _message_id(job: Job, settings: Settings) -> str:
    """The same for the same end of a job, so that a mail that comes twice is seen to be one."""
    host = parseaddr(settings.mail_from)[1].rpartition("@")[2]
    ended = f"{job.finished:%Y%m%d%H%M%S}" if job.finished else "0"
    return f"<{job.id}.{ended}@{host or 'localhost'}>"


def send(message: EmailMessage, settings: Settings) -> None:
    """Hand a mail to the server of TELLAPART_SMTP_URL.

    Raises:
        TellapartError: the address of the server is wrong, or it cannot be reached or refused.
    """
    try:
        with _connect(settings.smtp_url) as server:
            server.send_message(message)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise TellapartError(f"the mail could not be sent: {reason}", "Check TELLAPART_SMTP_URL") from error


def _connect(address: str) -> smtplib.SMTP:
    url = urlsplit(address)
    if url.scheme not in ("smtp", "smtps") or not url.hostname:
        raise ValueError("it is not of the form smtp://HOST:PORT or smtps://HOST:PORT")
    secure = ssl.create_default_context()
    if url.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(url.hostname, url.port or 465, timeout=_TIMEOUT, context=secure)
    else:
        server = smtplib.SMTP(url.hostname, url.port or 587, timeout=_TIMEOUT)
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls(context=secure)
        elif url.password and not _is_here(url.hostname):
            server.close()
            raise ValueError("the server offers no encryption, and the password is not sent without")
    if url.password:
        server.login(unquote(url.username or ""), unquote(url.password))
    return server


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
