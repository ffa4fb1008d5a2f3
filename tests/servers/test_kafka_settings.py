"""How a client connects: SASL, TLS, and what becomes of librdkafka's own messages."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from lern.adapters.kafka import KafkaConsumer, KafkaLog, Timing
from lern.errors import SettingsError, Unavailable
from lern.settings.model import KafkaSettings, Tls

_SECRET = "tell-nobody"  # noqa: S105 - what must not be told, for these tests alone


def test_a_mechanism_that_does_not_exist_is_an_error_of_the_settings() -> None:
    settings = KafkaSettings(
        "127.0.0.1:1", sasl_mechanism="NONESUCH", sasl_username="lern", sasl_password=_SECRET
    )

    with pytest.raises(SettingsError, match="NONESUCH") as raised:
        KafkaConsumer(settings, "topic", "group")
    with pytest.raises(SettingsError, match="NONESUCH"):
        KafkaLog(settings).topics()

    assert _SECRET not in str(raised.value)


def test_a_certificate_that_is_not_there_is_an_error_of_the_settings(tmp_path: Path) -> None:
    settings = KafkaSettings("127.0.0.1:1", tls=Tls(enabled=True, ca=tmp_path / "missing.pem"))

    with pytest.raises(SettingsError, match=r"ssl\.ca\.location"):
        KafkaConsumer(settings, "topic", "group")


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "no tls"])
def test_a_broker_that_is_spoken_to_in_the_wrong_way_is_unavailable(
    kafka_address: str, capfd: pytest.CaptureFixture[str], *, tls: bool
) -> None:
    settings = KafkaSettings(
        kafka_address,
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="lern",
        sasl_password=_SECRET,
        tls=Tls(enabled=tls),
    )
    consumer = KafkaConsumer(settings, "topic", "group", Timing(delivery=2.0))
    reasons: list[str] = []
    with capture_logs() as lines:
        for _ in range(20):
            try:
                consumer.poll(1, 0.2)
            except Unavailable as error:
                reasons.append(str(error))
                break
        consumer.close()

    assert reasons
    assert reasons[0].startswith("kafka: all brokers are down (")
    assert "kafka_client" in {line["event"] for line in lines}
    assert _SECRET not in str(reasons) + str(lines)
    assert capfd.readouterr() == ("", "")
