"""Our signatures are those of the official library, both ways."""

from __future__ import annotations

import time
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from webhooks.standard import BadSignature, Signer, key_of, new_secret

BODY = '{"type":"shipment.delivered","data":{"text":"已签收"}}'.encode()


def signed(signer: Signer, body: bytes = BODY, at: int | None = None) -> dict[str, str]:
    at = int(time.time()) if at is None else at
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": signer.sign("msg_1", at, body),
    }


def test_the_official_library_accepts_what_we_sign() -> None:
    secret = new_secret()
    assert Webhook(secret).verify(BODY, signed(Signer([secret])))["type"] == "shipment.delivered"


def test_we_accept_what_the_official_library_signs() -> None:
    secret, now = new_secret(), int(time.time())
    signature = Webhook(secret).sign("msg_1", datetime.fromtimestamp(now, UTC), BODY.decode())
    headers = {"Webhook-Id": "msg_1", "Webhook-Timestamp": str(now), "Webhook-Signature": f"v1a,x {signature}"}
    Signer([secret]).verify(headers, BODY, now=now)


@given(body=st.text(max_size=300).map(str.encode), key=st.binary(min_size=24, max_size=64))
def test_any_body_and_key_sign_alike(body: bytes, key: bytes) -> None:
    ours = Signer(["whsec_" + b64encode(key).decode()]).sign("msg_1", 1_700_000_000, body)
    assert ours == Webhook(key).sign("msg_1", datetime.fromtimestamp(1_700_000_000, UTC), body.decode())


def test_while_a_secret_is_replaced_either_one_verifies() -> None:
    new, old = new_secret(), new_secret()
    headers = signed(Signer([new, old]))
    Webhook(new).verify(BODY, headers)
    Webhook(old).verify(BODY, headers)
    Signer([old]).verify(headers, BODY, now=time.time())


def test_a_changed_body_is_refused() -> None:
    signer = Signer([new_secret()])
    with pytest.raises(BadSignature, match="no webhook-signature matches"):
        signer.verify(signed(signer), BODY + b" ", now=time.time())


def test_another_secret_is_refused() -> None:
    with pytest.raises(BadSignature):
        Signer([new_secret()]).verify(signed(Signer([new_secret()])), BODY, now=time.time())


@pytest.mark.parametrize("age", [-301, 301])
def test_a_message_too_old_or_too_new_is_refused(age: int) -> None:
    signer = Signer([new_secret()])
    with pytest.raises(BadSignature, match="from now"):
        signer.verify(signed(signer, at=1_700_000_000 + age), BODY, now=1_700_000_000)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(name: str) -> None:
    signer = Signer([new_secret()])
    headers = signed(signer)
    del headers[name]
    with pytest.raises(BadSignature, match=name):
        signer.verify(headers, BODY, now=time.time())


def test_a_timestamp_that_is_no_number_is_refused() -> None:
    signer = Signer([new_secret()])
    with pytest.raises(BadSignature, match="whole number"):
        signer.verify({**signed(signer), "webhook-timestamp": "soon"}, BODY, now=time.time())


@pytest.mark.parametrize("signature", ["", "v1", "v1,", "v1,é", "v2,AAAA", ",", "v1,===="])
def test_a_malformed_signature_is_refused(signature: str) -> None:
    signer = Signer([new_secret()])
    with pytest.raises(BadSignature):
        signer.verify({**signed(signer), "webhook-signature": signature}, BODY, now=time.time())


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!!", "whsec_c2hvcnQ=", "nicht geheim"])
def test_a_bad_secret_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="signing secret") as refused:
        key_of(secret)
    assert not secret or secret not in str(refused.value)


def test_a_secret_without_padding_is_the_same_secret() -> None:
    secret = new_secret()
    assert key_of(secret.rstrip("=")) == key_of(secret)


def test_a_signer_needs_a_secret() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Signer([])
