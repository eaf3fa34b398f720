/**
 * Types of the wire and of what the library takes from its surroundings. No code.
 *
 * @typedef {"user" | "moderator" | "admin"} Role
 *
 * A participant as REST and signalling send it.
 * @typedef {object} WireParticipant
 * @property {string} sessionId
 * @property {string} userId
 * @property {string} username
 * @property {string | null} [avatarEmoji]
 * @property {boolean} [isMuted]
 * @property {boolean} [isSpeaking]
 * @property {boolean} [handRaised]
 * @property {Role} [role]
 *
 * A participant as the page gets it; a new object after each change, never a changed one.
 * @typedef {object} Participant
 * @property {string} sessionId
 * @property {string} userId
 * @property {string} username as given by a person: show it as text only
 * @property {string | null} avatarEmoji null where none was given
 * @property {Role} role
 * @property {boolean} isMuted
 * @property {"self" | "moderator" | null} mutedBy null when not muted, or when the snapshot did not tell
 * @property {boolean} isSpeaking measured by the server
 * @property {number} level 0.0 to 1.0, measured by the server
 * @property {boolean} handRaised
 *
 * What a person joins with.
 * @typedef {object} JoinRequest
 * @property {string} token user token (or an API token, in trusted surroundings)
 * @property {string} roomId
 * @property {string} userId
 * @property {string} username
 * @property {string} world
 * @property {string} [avatarEmoji]
 *
 * The backend session, from the REST join.
 * @typedef {object} Session
 * @property {string} sessionId
 * @property {string} sessionToken opens the socket and may leave this session; belongs in no URL and no log
 * @property {string} roomId
 * @property {string} userId
 * @property {string} world
 * @property {number} maxParticipants
 * @property {WireParticipant[]} participants everyone, in order of joining, this one included
 * @property {string} signallingUrl relative to the server's base URL
 * @property {RTCIceServer[]} iceServers
 *
 * The account of a stay, from the leave answer.
 * @typedef {object} Summary
 * @property {number} durationMs
 * @property {number} speakingMs measured by the server
 * @property {string} leftAt ISO 8601, UTC
 *
 * The answer to `voice_join`.
 * @typedef {object} VoiceJoined
 * @property {WireParticipant[]} participants
 * @property {number} slots how many streams this client may receive
 * @property {RTCIceServer[]} iceServers
 * @property {boolean} resumed
 * @property {boolean} moderator
 *
 * Who is heard in which section of the connection; `track` is null until the connection was offered.
 * @typedef {object} Slot
 * @property {string} mid
 * @property {string | null} sessionId null: free
 * @property {string | null} userId null: free
 * @property {MediaStreamTrack | null} track
 *
 * @typedef {object} Speaker
 * @property {string} sessionId
 * @property {string} userId
 * @property {boolean} speaking
 * @property {number} level 0.0 to 1.0
 *
 * Connection quality as the server measures it.
 * @typedef {object} Quality
 * @property {string} sessionId
 * @property {"excellent" | "good" | "poor" | "lost"} quality
 * @property {number} mos
 * @property {number | null} rttMs null where nothing was there to measure, like the following
 * @property {number | null} jitterMs of the worse direction
 * @property {number | null} lossPct of the worse direction
 * @property {number | null} upJitterMs from that person to the server
 * @property {number | null} upLossPct
 * @property {number | null} downJitterMs
 * @property {number | null} downLossPct
 *
 * A message of the signalling wire: an object with a `type`; the rest depends on it.
 * @typedef {{type: string, requestId?: string, [field: string]: any}} Message
 *
 * What the library uses of a `WebSocket`.
 * @typedef {object} SocketLike
 * @property {((event: any) => void) | null} onopen
 * @property {((event: any) => void) | null} onmessage
 * @property {((event: any) => void) | null} onclose
 * @property {((event: any) => void) | null} onerror
 * @property {(text: string) => void} send
 * @property {(code?: number, reason?: string) => void} close
 *
 * @typedef {new (url: string) => SocketLike} SocketConstructor
 * @typedef {new (configuration?: RTCConfiguration) => RTCPeerConnection} PeerConnectionConstructor
 * @typedef {(constraints: MediaStreamConstraints) => Promise<MediaStream>} GetUserMedia
 * @typedef {(url: string, body: string) => boolean} SendBeacon
 */

export {};
