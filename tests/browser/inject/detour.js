/**
 * Sends a page's media by way of another UDP port: `window.detourPort` is put into the candidates of every answer.
 * `window.detour.stats()` tells what the browser itself measures: milliseconds, percent (of the last report it got), packets.
 */
(() => {
  const connections = [];
  const apply = RTCPeerConnection.prototype.setRemoteDescription;
  RTCPeerConnection.prototype.setRemoteDescription = function (description) {
    connections.push(this);
    const sdp = description.sdp.replace(/(a=candidate:\S+ \d+ udp \d+ \S+) \d+ typ host/gi, `$1 ${window.detourPort} typ host`);
    return apply.call(this, { type: description.type, sdp });
  };
  window.detour = {
    async stats() {
      const report = await connections.at(-1).getStats();
      const found = { rttMs: null, pathRttMs: null, lossUpPct: null, received: 0, lostDown: 0 };
      for (const entry of report.values()) {
        if (entry.type === "remote-inbound-rtp") {
          found.rttMs = entry.roundTripTime === undefined ? null : entry.roundTripTime * 1000;
          found.lossUpPct = entry.fractionLost === undefined ? null : entry.fractionLost * 100;
        } else if (entry.type === "inbound-rtp") {
          found.received += entry.packetsReceived;
          found.lostDown += entry.packetsLost;
        } else if (entry.type === "candidate-pair" && entry.nominated) {
          found.pathRttMs = entry.currentRoundTripTime * 1000;
        }
      }
      return found;
    },
  };
})();
