/*
 * reason: why a connection was refused or closed, or a message was not taken.
 *
 * One list for the log line, the metric label, the audit record and the answer's ERR: an engineer
 * who sees "frame-timeout" in one finds it in the others. reason_code() is stable (scripts match
 * it); reason_words() is for people.
 * Threads: constant data.
 */
#ifndef MLLPGW_BASE_REASON_H
#define MLLPGW_BASE_REASON_H

enum reason {
    REASON_NONE = 0,
    /* admission */
    REASON_ADDRESS_NOT_LISTED,
    REASON_CERTIFICATE_MISSING,
    REASON_CERTIFICATE_NOT_LISTED,
    REASON_CERTIFICATE_INVALID, /* chain, validity, key usage, revoked: the handshake says which */
    REASON_CERTIFICATE_WRONG_CA,
    REASON_PEER_AMBIGUOUS, /* two peers could be meant: nobody is let in */
    REASON_FACILITY_NOT_LISTED,
    REASON_TUNNEL_DOWN,
    REASON_TUNNEL_UNKNOWN,
    REASON_CONNECTION_LIMIT_LISTENER,
    REASON_CONNECTION_LIMIT_PEER,
    REASON_CONNECTION_LIMIT_ADDRESS,
    REASON_PROXY_HEADER_MISSING,
    REASON_PROXY_HEADER_INVALID,
    REASON_PROXY_NOT_ALLOWED,
    REASON_NO_LONGER_ALLOWED, /* decided again after a reload, a CRL change or hourly */
    /* transport */
    REASON_PEER_CLOSED,
    REASON_PEER_CLOSED_IN_FRAME,
    REASON_CONNECTION_RESET,
    REASON_TLS_HANDSHAKE_FAILED,
    REASON_TLS_HANDSHAKE_TIMEOUT,
    REASON_TLS_ERROR,
    REASON_TLS_ON_PLAIN_PORT,
    REASON_PLAIN_ON_TLS_PORT,
    REASON_IDLE_TIMEOUT,
    REASON_WRITE_TIMEOUT,
    REASON_DRAIN,
    REASON_SHUTDOWN,
    REASON_OUT_OF_MEMORY,
    /* frames */
    REASON_FRAME_TIMEOUT,
    REASON_FRAME_TOO_LARGE,
    REASON_FRAME_ABANDONED,
    REASON_NO_START_BLOCK,
    REASON_JUNK_LIMIT,
    /* messages */
    REASON_MSH_UNREADABLE,
    REASON_MESSAGE_TYPE_MISSING,
    REASON_CONTROL_ID_REQUIRED,
    REASON_CONTROL_ID_TOO_LONG,
    REASON_MESSAGE_TOO_LARGE,
    REASON_TOO_LARGE_FOR_STORE,
    REASON_CHARACTER_SET_UNKNOWN,     /* not UTF-8, and nothing says what it is */
    REASON_CHARACTER_SET_UNSUPPORTED, /* something does, but it cannot be converted from */
    REASON_CHARACTER_SET_BROKEN,
    REASON_SEGMENT_ENDS,
    REASON_SEQUENCE_NUMBER,
    REASON_NOTHING_MAY_BE_SENT, /* NE or SU forbids the negative answer: the close is the answer */
    REASON_REFUSED_BY_STORE,
    REASON_REFUSED,
    REASON_SPOOL_FULL,
    REASON_SPOOL_ERROR,
    REASON_STORE_UNAVAILABLE,
    REASON_ANSWER_DEADLINE,
    REASON_COUNT
};

/* "frame-timeout": lower case and hyphens, a metric label and a log value. */
const char *reason_code(enum reason reason);
/* "the frame was not finished within frame_timeout_ms": no full stop, no content. */
const char *reason_words(enum reason reason);

#endif
