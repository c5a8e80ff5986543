#include "base/reason.h"

#include <stddef.h>

struct reason_text {
    const char *code;
    const char *words;
};

static const struct reason_text reason_texts[REASON_COUNT] = {
    [REASON_NONE] = {"none", "no reason"},
    [REASON_ADDRESS_NOT_LISTED] = {"address-not-listed",
                                   "no peer of this listener has this address"},
    [REASON_CERTIFICATE_MISSING] = {"certificate-missing",
                                    "the client sent no certificate and one is required"},
    [REASON_CERTIFICATE_NOT_LISTED] =
        {"certificate-not-listed", "the certificate belongs to no peer that this address may be"},
    [REASON_CERTIFICATE_INVALID] = {"certificate-invalid",
                                    "the certificate did not pass verification"},
    [REASON_CERTIFICATE_WRONG_CA] = {"certificate-wrong-ca",
                                     "the certificate was issued by a CA that is not this peer's"},
    [REASON_PEER_AMBIGUOUS] = {"peer-ambiguous", "address and certificate fit more than one peer"},
    [REASON_FACILITY_NOT_LISTED] = {"facility-not-listed",
                                    "the sending facility is not one of this peer's"},
    [REASON_TUNNEL_DOWN] = {"tunnel-down", "the peer's tunnel is down"},
    [REASON_TUNNEL_UNKNOWN] = {"tunnel-unknown", "the state of the peer's tunnel is not known"},
    [REASON_CONNECTION_LIMIT_LISTENER] = {"connection-limit-listener",
                                          "the listener has as many connections as it may have"},
    [REASON_CONNECTION_LIMIT_PEER] = {"connection-limit-peer",
                                      "the peer has as many connections as it may have"},
    [REASON_CONNECTION_LIMIT_ADDRESS] = {"connection-limit-address",
                                         "the address has as many connections as it may have"},
    [REASON_PROXY_HEADER_MISSING] = {"proxy-header-missing",
                                     "a PROXY header was due and did not come"},
    [REASON_PROXY_HEADER_INVALID] = {"proxy-header-invalid", "the PROXY header is not valid"},
    [REASON_PROXY_NOT_ALLOWED] = {"proxy-not-allowed",
                                  "this listener takes connections from its proxies only"},
    [REASON_NO_LONGER_ALLOWED] = {"no-longer-allowed",
                                  "the connection was decided again and is not allowed any more"},
    [REASON_PEER_CLOSED] = {"peer-closed", "the peer closed the connection"},
    [REASON_PEER_CLOSED_IN_FRAME] = {"peer-closed-in-frame",
                                     "the peer closed the connection inside a frame"},
    [REASON_CONNECTION_RESET] = {"connection-reset", "the connection was reset"},
    [REASON_TLS_HANDSHAKE_FAILED] = {"tls-handshake-failed", "the TLS handshake failed"},
    [REASON_TLS_HANDSHAKE_TIMEOUT] = {"tls-handshake-timeout",
                                      "the TLS handshake was not finished in time"},
    [REASON_TLS_ERROR] = {"tls-error", "the TLS session broke"},
    [REASON_TLS_ON_PLAIN_PORT] = {"tls-on-plain-port",
                                  "the client speaks TLS and this listener is plain"},
    [REASON_PLAIN_ON_TLS_PORT] = {"plain-on-tls-port",
                                  "the client does not speak TLS and this listener does"},
    [REASON_IDLE_TIMEOUT] = {"idle-timeout", "nothing came for idle_timeout_ms"},
    [REASON_WRITE_TIMEOUT] = {"write-timeout", "the peer did not read its answer in time"},
    [REASON_DRAIN] = {"drain", "the gateway is draining"},
    [REASON_SHUTDOWN] = {"shutdown", "the gateway is stopping"},
    [REASON_OUT_OF_MEMORY] = {"out-of-memory", "memory is out"},
    [REASON_FRAME_TIMEOUT] = {"frame-timeout",
                              "the frame was not finished within frame_timeout_ms"},
    [REASON_FRAME_TOO_LARGE] = {"frame-too-large", "the frame is larger than maximum_frame_bytes"},
    [REASON_FRAME_ABANDONED] = {"frame-abandoned", "a start block came before the frame's end"},
    [REASON_NO_START_BLOCK] = {"no-start-block", "bytes came and never a start block"},
    [REASON_JUNK_LIMIT] = {"junk-limit", "too many bytes outside frames"},
    [REASON_MSH_UNREADABLE] = {"msh-unreadable", "the message header cannot be read"},
    [REASON_MESSAGE_TYPE_MISSING] = {"message-type-missing", "MSH-9 is empty"},
    [REASON_CONTROL_ID_REQUIRED] = {"control-id-required",
                                    "MSH-10 is empty and this listener requires it"},
    [REASON_CONTROL_ID_TOO_LONG] = {"control-id-too-long", "MSH-10 is too long to be echoed"},
    [REASON_MESSAGE_TOO_LARGE] = {"message-too-large",
                                  "the message is larger than this peer's may be"},
    [REASON_TOO_LARGE_FOR_STORE] = {"too-large-for-store",
                                    "the message is larger than its store takes"},
    [REASON_CHARACTER_SET_UNKNOWN] =
        {"character-set-unknown",
         "the store takes UTF-8, the message is not, and MSH-18 does not say what it is"},
    [REASON_CHARACTER_SET_UNSUPPORTED] =
        {"character-set-unsupported",
         "the store takes UTF-8, and what MSH-18 names cannot be converted"},
    [REASON_CHARACTER_SET_BROKEN] =
        {"character-set-broken", "the message holds bytes that its character set does not have"},
    [REASON_SEGMENT_ENDS] = {"segment-ends",
                             "the store takes CR at the end of a segment, and the message has LF"},
    [REASON_SEQUENCE_NUMBER] = {"sequence-number", "MSH-13 is not the expected sequence number"},
    [REASON_NOTHING_MAY_BE_SENT] =
        {"nothing-may-be-sent",
         "the message was not taken and the sender wants no answer that says so"},
    [REASON_REFUSED_BY_STORE] = {"refused-by-store", "the store refused the message"},
    [REASON_REFUSED] = {"refused", "the message was refused"},
    [REASON_SPOOL_FULL] = {"spool-full", "the spool is full"},
    [REASON_SPOOL_ERROR] = {"spool-error", "the spool could not store the message"},
    [REASON_STORE_UNAVAILABLE] = {"store-unavailable", "the store cannot be reached"},
    [REASON_ANSWER_DEADLINE] = {"answer-deadline",
                                "no outcome was known within answer_deadline_ms"},
};

static const struct reason_text *reason_find(enum reason reason)
{
    static const struct reason_text unknown = {"unknown", "unknown reason"};

    if ((unsigned)reason >= REASON_COUNT || reason_texts[reason].code == NULL)
        return &unknown;
    return &reason_texts[reason];
}

const char *reason_code(enum reason reason)
{
    return reason_find(reason)->code;
}

const char *reason_words(enum reason reason)
{
    return reason_find(reason)->words;
}
