"""What we report to a client, and what its reports tell."""

from __future__ import annotations

from typing import Any

import pytest
from aiortc.rtp import RtcpPacket, RtcpReceiverInfo, RtcpRrPacket, RtcpSrPacket

from server.media.consumer import Consumer, Destination
from server.media.producer import Producer
from server.media.quality import Figures
from server.media.reports import NTP_UNITS, VALID_SECONDS, Reports
from server.media.router import Endpoint
from server.media.rtcp import Control, ReceptionReport, ReferenceReply, SenderReport, middle_bits, ntp_time, parse_control
from server.media.speaking import SpeakingRules

EPOCH = 1_700_000_000.0
MIC = 0xAAAA


class Line:
    """An endpoint that speaks and hears one other, on a clock of its own."""

    def __init__(self) -> None:
        self.now = 50.0
        self.other = Producer("room", "other", SpeakingRules(), self.now)
        self.endpoint = Endpoint("me")
        self.endpoint.producer = Producer("room", "me", SpeakingRules(), self.now)
        self.slot = Consumer("1", 0xBBBB, 111, first_sequence=100, first_timestamp=7_000, now=self.now)
        self.endpoint.slots["1"] = self.slot
        self.endpoint.assign(self.slot, self.other, self.now)
        self.slot.switch_on(Destination(None, 0), self.now)
        self.reports = Reports(self.endpoint, 0xCCCC, EPOCH)
        self.sequence = 0
        self.highest = 99
        self.lost = 0
        self.jitter = 0

    def others_speak(self, count: int, *, lost_up: int = 0, lost_down: int = 0) -> None:
        """The other one sends `count` packets, of which some are lost on the way here or from here."""
        for n in range(count):
            self.now += 0.02
            self.sequence += 1
            self.highest += 1
            if n < lost_up:
                self.lost += 1
                continue
            assert self.other.number(1, self.sequence & 0xFFFF, (self.sequence * 960) & 0xFFFFFFFF, self.now) is not None
            self.other.sent_packets += 1
            self.other.sent_octets += 80
            if lost_up <= n < lost_up + lost_down:
                self.lost += 1

    def speak(self, count: int, *, lost: int = 0) -> None:
        """The client sends `count` packets, of which the first `lost` do not come."""
        producer = self.endpoint.producer
        assert producer is not None
        for n in range(count):
            self.now += 0.02
            self.sequence += 1
            if n >= lost:
                producer.reception.packet(MIC, self.sequence & 0xFFFF, (self.sequence * 960) & 0xFFFFFFFF, self.now)

    def client_reports(self, *, rtt: float | None = None, held: float = 0.5, **changes: Any) -> None:
        sent_at = self.now - held - (rtt or 0.0)
        report = {
            "ssrc": 0xBBBB,
            "fraction_lost": 0.0,
            "packets_lost": self.lost,
            "highest_sequence": self.highest,
            "jitter": self.jitter,
            "last_report": middle_bits(ntp_time(sent_at + EPOCH)) if rtt is not None else 0,
            "delay": int(held * NTP_UNITS),
        }
        self.reports.received(Control(receptions=(ReceptionReport(**(report | changes)),)), self.now)

    def figures(self) -> Figures:
        return self.reports.figures(self.now)


def sender_reports(packet: bytes) -> list[RtcpSrPacket]:
    return [part for part in RtcpPacket.parse(packet) if isinstance(part, RtcpSrPacket)]


def test_a_slot_that_sent_has_a_sender_report_and_one_that_did_not_has_none() -> None:
    line = Line()
    assert sender_reports(line.reports.compose(line.now)) == []
    line.others_speak(10)
    [report] = sender_reports(line.reports.compose(line.now))
    assert report.ssrc == 0xBBBB
    assert (report.sender_info.packet_count, report.sender_info.octet_count) == (10, 800)
    assert report.sender_info.ntp_timestamp == ntp_time(line.now + EPOCH)
    assert report.sender_info.rtp_timestamp == pytest.approx(7_000 + 0.2 * 48_000, abs=960)
    assert sender_reports(line.reports.compose(line.now)) == []
    line.others_speak(1)
    assert len(sender_reports(line.reports.compose(line.now))) == 1


def test_the_microphone_has_a_block_which_names_the_clients_last_report() -> None:
    line = Line()
    line.speak(100, lost=0)
    line.speak(10, lost=5)
    line.reports.received(Control(senders=(SenderReport(0xDDDD, 1), SenderReport(MIC, 0x1234))), line.now)
    line.now += 2.0
    [report, *_] = RtcpPacket.parse(line.reports.compose(line.now))
    assert isinstance(report, RtcpRrPacket)
    [block] = report.reports
    assert (block.ssrc, block.packets_lost, block.fraction_lost) == (MIC, 5, 5 * 256 // 110)
    assert (block.lsr, block.dlsr) == (0x1234, 2 * NTP_UNITS)


def test_round_trip_is_measured_by_receiver_reports() -> None:
    line = Line()
    line.others_speak(10)
    line.client_reports(rtt=0.08)
    assert line.figures().rtt_ms == pytest.approx(80, abs=0.1)
    line.now += VALID_SECONDS + 1
    assert line.figures().rtt_ms is None


def test_round_trip_is_measured_by_answers_to_our_reference_time() -> None:
    line = Line()
    reference = middle_bits(ntp_time(line.now + EPOCH))
    line.now += 1.25
    line.reports.received(Control(replies=(ReferenceReply(0xCCCC, reference, NTP_UNITS),)), line.now)
    assert line.figures().rtt_ms == pytest.approx(250, abs=0.1)
    line.reports.received(Control(replies=(ReferenceReply(0x9999, reference, 0),)), line.now)
    assert line.figures().rtt_ms == pytest.approx(250, abs=0.1), "an answer to somebody else"


@pytest.mark.parametrize("changes", [{"delay": 0x40000000}, {"last_report": 1}, {"last_report": 0}])
def test_a_round_trip_that_cannot_be_is_none(changes: dict[str, int]) -> None:
    line = Line()
    line.others_speak(10)
    line.client_reports(rtt=0.08, **changes)
    assert line.figures().rtt_ms is None


def test_loss_downstream_is_that_of_the_way_down() -> None:
    line = Line()
    line.others_speak(100)
    line.client_reports()
    line.others_speak(100, lost_up=20, lost_down=8)
    line.figures()
    line.client_reports()
    assert line.figures().down_loss_pct == pytest.approx(100 * 8 / 80)


def test_a_speakers_own_loss_is_not_the_listeners() -> None:
    line = Line()
    line.others_speak(100)
    line.client_reports()
    line.figures()
    line.others_speak(100, lost_up=30)
    line.client_reports()
    assert line.figures().down_loss_pct == 0


def test_loss_upstream_is_our_own_count() -> None:
    line = Line()
    line.speak(50)
    line.figures()
    line.speak(100, lost=7)
    figures = line.figures()
    assert figures.up_loss_pct == pytest.approx(7)
    assert figures.down_loss_pct is None


def test_jitter_downstream_is_without_the_speakers_and_needs_packets() -> None:
    line = Line()
    line.others_speak(5)
    line.jitter = 480
    line.client_reports()
    line.others_speak(5)
    line.client_reports()
    assert line.figures().down_jitter_ms is None
    line.others_speak(50)
    line.client_reports()
    assert line.figures().down_jitter_ms == pytest.approx(10)
    line.other.reception._jitter = 288 << 4
    line.others_speak(50)
    line.client_reports()
    assert line.figures().down_jitter_ms == pytest.approx(8)
    line.jitter = 100
    line.others_speak(50)
    line.client_reports()
    assert line.figures().down_jitter_ms == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"packets_lost": 0x7FFFFF},
        {"highest_sequence": 0},
        {"highest_sequence": 0xFFFFFFFF},
        {"ssrc": 1},
        {"packets_lost": -0x800000},
    ],
)
def test_reports_that_cannot_be_true_do_not_count(changes: dict[str, int]) -> None:
    line = Line()
    line.others_speak(50)
    line.client_reports()
    line.figures()
    line.others_speak(50)
    line.client_reports(**changes)
    assert line.figures().down_loss_pct in (None, 0.0)


def test_our_reports_are_understood_by_our_own_reader() -> None:
    line = Line()
    line.others_speak(10)
    line.speak(10)
    control = parse_control(line.reports.compose(line.now))
    assert control is not None
    assert [sender.ssrc for sender in control.senders] == [0xBBBB]
    assert [block.ssrc for block in control.receptions] == [MIC]


def test_aiortc_agrees_on_what_a_block_is() -> None:
    block = RtcpReceiverInfo(ssrc=1, fraction_lost=255, packets_lost=-1, highest_sequence=2, jitter=3, lsr=4, dlsr=5)
    assert RtcpReceiverInfo.parse(bytes(block)) == block
