"""Kafka, through librdkafka: a group's member, its observer for dry runs, and topics as the tools see them."""

from lern.adapters.kafka.connection import Timing
from lern.adapters.kafka.consumer import KafkaConsumer
from lern.adapters.kafka.log import KafkaLog
from lern.adapters.kafka.observer import KafkaObserver

__all__ = ["KafkaConsumer", "KafkaLog", "KafkaObserver", "Timing"]
