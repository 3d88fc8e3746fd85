"""Our signatures are those of the official libraries, both ways."""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook
from svix.webhooks import Webhook as SvixWebhook
from svix.webhooks import WebhookVerificationError as SvixRefusal

from webhooks.standard import BadSignature, Scheme, Signer, key_of, new_secret, public_key

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


# Svix's own vector for v1a (svix-server, `test_asymmetric_key_signing`): a key published for tests
REFERENCE = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
REFERENCE_SIGNATURE = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="


def verified(public: str, signature: str, signed_content: bytes) -> None:
    """As a receiver checks `v1a`: with the public key and a library of its own."""
    key = Ed25519PublicKey.from_public_bytes(b64decode(public.removeprefix("whpk_")))
    key.verify(b64decode(signature.removeprefix("v1a,")), signed_content)


def test_an_ed25519_signature_is_that_of_the_reference_implementation() -> None:
    made = Signer([REFERENCE]).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}')
    assert made == REFERENCE_SIGNATURE
    assert public_key(REFERENCE) == "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
    verified(public_key(REFERENCE), made, b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}')


@given(body=st.binary(max_size=300))
def test_a_fresh_pair_of_keys_signs_and_verifies_any_body(body: bytes) -> None:
    secret = new_secret(Scheme.ED25519)
    verified(public_key(secret), Signer([secret]).sign("msg_1", 5, body), b"msg_1.5." + body)


def test_another_public_key_verifies_nothing() -> None:
    signature = Signer([new_secret(Scheme.ED25519)]).sign("msg_1", 5, BODY)
    with pytest.raises(InvalidSignature):
        verified(public_key(new_secret(Scheme.ED25519)), signature, b"msg_1.5." + BODY)


def test_a_message_may_change_from_one_scheme_to_the_other() -> None:
    shared, pair = new_secret(), new_secret(Scheme.ED25519)
    headers = signed(Signer([pair, shared]))
    assert [one.partition(",")[0] for one in headers["webhook-signature"].split(" ")] == ["v1a", "v1"]
    Webhook(shared).verify(BODY, headers)
    Signer([pair]).verify(headers, BODY, now=time.time())


def test_a_shared_secret_has_no_public_key() -> None:
    assert public_key(new_secret()) == ""


@pytest.mark.parametrize(
    "secret",
    [
        "whsk_",
        "whsk_!!!!",
        "whsk_c2hvcnQ=",
        "whsk_" + b64encode(b"s" * 32 + b"p" * 32).decode(),  # another's public key
    ],
)
def test_a_bad_private_key_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="signing secret") as refused:
        Signer([secret])
    assert secret not in str(refused.value) or secret == "whsk_"


def test_svix_accepts_what_we_sign_with_the_old_secret_and_the_new() -> None:
    new, old = new_secret(), new_secret()
    headers = signed(Signer([new, old]))
    for secret in (new, old):
        SvixWebhook(secret).verify(BODY, headers)
        assert Webhook(secret).verify(BODY, headers)["type"] == "shipment.delivered"
    with pytest.raises(SvixRefusal):
        SvixWebhook(new_secret()).verify(BODY, headers)
