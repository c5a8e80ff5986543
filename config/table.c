/*
 * The settings: one row each. Reading, defaults, ranges, the reload diff, the file checks and the
 * reference in README.md all come from here.
 *
 * Defaults are for the engineer on call: nothing waits for ever, nothing grows without a bound, and
 * a sender that is merely quiet is left alone.
 */
#include "config/table.h"

#include <string.h>

/* Words are stored as an int into an enum's field. */
_Static_assert(sizeof(enum config_log_format) == sizeof(int), "enums are ints");

#define OWNER config_gateway
static const struct setting gateway_settings[] = {
    {AT(name), .type = SETTING_NAME, .fallback = "mllp-gateway", .restart = true,
     .help = "This gateway's name in logs and metrics."},
    {AT(state_directory), .type = SETTING_PATH, .fallback = "/var/lib/mllp-gateway",
     .restart = true, .file = FILE_DIRECTORY,
     .help = "Holds the spool, the lock and the control socket."},
    {AT(control_socket), .type = SETTING_PATH, .note = "`state_directory`/control.sock",
     .restart = true, .file = FILE_NEW, .help = "What mllpctl talks to; mode 0660."},
    {AT(control_group), .type = SETTING_TEXT, .note = "own group", .restart = true,
     .help = "Group whose members may see status and metadata."},
    {AT(operator_group), .type = SETTING_TEXT, .note = "root only", .restart = true,
     .help =
         "Group whose members may replay, discard and see messages; each such call is audited."},
    {AT(user), .type = SETTING_TEXT, .note = "stay", .restart = true,
     .help = "User to become once the ports are bound (started as root only)."},
    {AT(group), .type = SETTING_TEXT, .note = "the user's", .restart = true,
     .help = "Group to become."},
    {AT(workers), .type = SETTING_INT, .fallback = "0", .maximum = 256, .restart = true,
     .help = "Threads that serve connections; 0: one for each core."},
    {AT(log_format), .type = SETTING_WORD, .fallback = "text", .words = WORDS("text", "json"),
     .help = "How a log line is written."},
    {AT(log_level), .type = SETTING_WORD, .fallback = "info",
     .words = WORDS("debug", "info", "warning", "error"), .help = "The least that is logged."},
    {AT(maximum_buffered_bytes), .type = SETTING_INT64, .fallback = "268435456", .minimum = MIB,
     .maximum = 1024L * GIB,
     .help = "Frames being received, whole process, bytes; over it the newest readers pause."},
    {AT(drain_deadline_ms), .type = SETTING_INT64, .fallback = "25000", .maximum = HOUR_MS,
     .help = "Longest end: messages in flight are answered first (Kubernetes kills after 30 s)."},
    {AT(dns_refresh_s), .type = SETTING_INT64, .fallback = "60", .minimum = 1, .maximum = DAY_S,
     .help = "Peers' DNS names are looked up again after this."},
    {AT(dns_keep_s), .type = SETTING_INT64, .fallback = "3600", .maximum = 7 * DAY_S,
     .help = "A good answer counts for so long; without a newer one the name then admits nobody."},
    {AT(watch_files), .type = SETTING_BOOL, .fallback = "false",
     .help = "Certificates, keys and CAs of `tls` and peers that change are read again within ten "
             "seconds, checked as at a reload (cert-manager, ACME, Kubernetes). CRLs always are."},
    {AT(decide_again_s), .type = SETTING_INT64, .fallback = "3600", .minimum = 1, .maximum = DAY_S,
     .help = "Open connections are decided again after this: certificates and CRLs run out by time "
             "alone. After a reload or a changed CRL it happens at once."},
};
#undef OWNER

#define OWNER config_spool
static const struct setting spool_settings[] = {
    {AT(type), .type = SETTING_WORD, .fallback = "sqlite", .words = WORDS("sqlite", "memory"),
     .later = WORDS("jetstream"), .restart = true,
     .help = "Where messages are safe; memory is for tests: an end of the process loses them."},
    {AT(path), .type = SETTING_PATH, .note = "`state_directory`/spool.db", .restart = true,
     .file = FILE_NEW, .help = "The database."},
    {AT(key_file), .type = SETTING_PATH, .note = "required for sqlite", .restart = true,
     .file = FILE_SECRET, .help = "Key that messages are encrypted with at rest. Keep a copy."},
    {AT(maximum_bytes), .type = SETTING_INT64, .fallback = "10737418240", .minimum = MIB,
     .maximum = 1024L * 1024 * GIB, .restart = true,
     .help = "Full at this size: senders get what on_unavailable says until there is room."},
    {AT(reserve_bytes), .type = SETTING_INT64, .fallback = "33554432", .maximum = GIB,
     .restart = true,
     .help =
         "Set aside beside the database (PATH-reserve), at most an eighth of the disk: once that "
         "is full, what is queued is still delivered and settled. No guarantee on file systems "
         "that copy on write (btrfs, ZFS). 0: nothing."},
    {AT(retain_s), .type = SETTING_INT64, .fallback = "0", .maximum = 3650L * DAY_S,
     .restart = true, .help = "Accepted messages are kept so long; 0: removed at once."},
    {AT(retransmission_window_s), .type = SETTING_INT64, .fallback = "86400",
     .maximum = 30L * DAY_S, .restart = true,
     .help =
         "A repeat of a safe message within this gets the same answer and is not stored again."},
    {AT(group_rows), .type = SETTING_INT, .fallback = "64", .minimum = 1, .maximum = 4096,
     .restart = true, .help = "Most messages in one commit."},
    {AT(group_wait_us), .type = SETTING_INT, .fallback = "0", .maximum = 100000, .restart = true,
     .help =
         "Wait for a commit to fill; 0: whatever came during the last one, which delays nobody."},
};
#undef OWNER

#define OWNER config_admin
static const struct setting admin_settings[] = {
    {AT(address), .type = SETTING_TEXT, .note = "off", .restart = true,
     .help = "HTTP for /metrics, /livez, /readyz and the status page, as \"127.0.0.1:8080\". No "
             "password: keep it to machines that may look."},
};
#undef OWNER

#define OWNER config_tls
static const struct setting tls_settings[] = {
    {AT(name), .type = SETTING_NAME, .required = true, .help = "What listeners call it."},
    {AT(certificate), .type = SETTING_PATH, .required = true, .file = FILE_PUBLIC,
     .help = "Own certificate, PEM: leaf first, then intermediates."},
    {AT(key), .type = SETTING_PATH, .required = true, .file = FILE_SECRET,
     .help = "Its private key, PEM."},
    {AT(client_ca), .type = SETTING_PATH, .note = "required unless client_certificate is off",
     .file = FILE_PUBLIC, .help = "Roots that senders' certificates must chain to, PEM bundle."},
    {AT(crl), .type = SETTING_PATH, .note = "none", .file = FILE_PUBLIC,
     .help = "Revocation lists of those roots and their CAs, PEM or DER."},
    {AT(crl_required), .type = SETTING_BOOL, .fallback = "false",
     .help = "Refuse senders when a CA in their chain has no current revocation list."},
    {AT(client_certificate), .type = SETTING_WORD, .fallback = "required",
     .words = WORDS("required", "optional", "off"),
     .help = "Whether senders must show a certificate."},
    {AT(profile), .type = SETTING_WORD, .fallback = "bcp195",
     .words = WORDS("bcp195", "tls13", "nist-800-52r2"),
     .help = "Versions, ciphers and key sizes: BCP 195 (TLS 1.2 and 1.3), TLS 1.3 alone, or NIST."},
};
#undef OWNER

#define OWNER config_peer
static const struct setting peer_settings[] = {
    {AT(name), .type = SETTING_NAME, .required = true,
     .help = "The sender's name in logs, metrics and listeners' lists."},
    {AT(addresses), .type = SETTING_TEXTS, .note = "admits nobody",
     .help = "Where it comes from: addresses, networks or DNS names; \"0.0.0.0/0\" for anywhere."},
    {AT(certificates), .type = SETTING_TEXTS, .note = "none demanded",
     .help = "Its certificates: dns:, email:, uri:, cn:, sha256: or spki:. [] admits nobody."},
    {AT(ca), .type = SETTING_PATH, .note = "any of client_ca", .file = FILE_PUBLIC,
     .help = "The root its certificate must chain to; required where client_ca has several."},
    {AT(tunnel), .type = SETTING_TEXT, .note = "any way",
     .help = "Name of the tunnel that it must come through: admitted only while that is up."},
    {AT(facilities), .type = SETTING_TEXTS, .note = "not checked",
     .help = "What MSH-4.1 may say (\"STM\"), or MSH-3.1 and MSH-4.1 (\"LAB^STM\")."},
    {AT(maximum_connections), .type = SETTING_INT, .fallback = "64", .minimum = 1,
     .maximum = 100000, .help = "At once, over all its addresses."},
    {AT(messages_per_second), .type = SETTING_INT, .fallback = "0", .maximum = 1000000,
     .help = "Over it reading pauses, nothing is refused; 0: no limit."},
    {AT(maximum_message_bytes), .type = SETTING_INT64, .fallback = "0", .maximum = FRAME_MAXIMUM,
     .help = "Larger messages are refused; 0: the listener's maximum_frame_bytes."},
    /* In the order of hl7/charset.h: a unit test compares them. */
    {AT(character_set), .type = SETTING_WORD, .fallback = "none",
     .words = WORDS("none", "ASCII", "8859/1", "8859/2", "8859/3", "8859/4", "8859/5", "8859/6",
                    "8859/7", "8859/8", "8859/9", "8859/15", "ISO IR87", "ISO IR159",
                    "GB 18030-2000", "KS X 1001", "CNS 11643-1992", "BIG-5", "UNICODE UTF-8",
                    "WINDOWS-1250", "WINDOWS-1251", "WINDOWS-1252", "WINDOWS-1253", "WINDOWS-1254",
                    "WINDOWS-1255", "WINDOWS-1256", "WINDOWS-1257", "WINDOWS-1258", "WINDOWS-874",
                    "WINDOWS-31J", "WINDOWS-949"),
     .help =
         "What it really sends where MSH-18 does not say (empty, ASCII, unknown), for stores that "
         "take only UTF-8."},
};
#undef OWNER

#define OWNER config_listener
static const struct setting listener_settings[] = {
    {AT(name), .type = SETTING_NAME, .required = true, .help = "What routes call it."},
    {AT(address), .type = SETTING_TEXT, .required = true, .restart = true,
     .help = "Where it listens: \"0.0.0.0:2575\", \"[::]:2575\"."},
    {AT(tls), .type = SETTING_TEXT, .note = "plain TCP", .help = "Name of a tls section."},
    {AT(peers), .type = SETTING_TEXTS, .required = true, .note = "required",
     .help = "Names of the peers that may connect."},
    {AT(proxy_from), .type = SETTING_TEXTS, .note = "no PROXY header",
     .help = "Load balancers' networks: from them a PROXY v1/v2 header is mandatory, all others "
             "are refused."},
    {AT(acknowledge), .type = SETTING_WORD, .fallback = "stored",
     .words = WORDS("stored", "delivered"), .restart = true,
     .help = "Answer once the message is on disk, or once the store has taken it."},
    {AT(acknowledgment), .type = SETTING_WORD, .fallback = "message",
     .words = WORDS("message", "original", "enhanced"),
     .help = "Mode of the answer: as MSH-15/16 ask, or always one of the two."},
    {AT(application_acknowledgment), .type = SETTING_WORD, .fallback = "gateway",
     .words = WORDS("gateway", "store"),
     .help = "Who makes enhanced mode's second answer (stored only): the gateway, with the first, "
             "or the store's verdict."},
    {AT(on_refusal), .type = SETTING_WORD, .fallback = "nack", .words = WORDS("nack", "close"),
     .help = "For what another try would not cure: a negative answer, or close."},
    {AT(on_unavailable), .type = SETTING_WORD, .fallback = "wait",
     .words = WORDS("wait", "nack", "close"),
     .help = "For what another try would cure (spool full, store down): hold the answer until "
             "answer_deadline_ms and close then, answer AE/CE at once (some senders then skip the "
             "message), or close."},
    {AT(abandoned_frame), .type = SETTING_WORD, .fallback = "nack",
     .words = WORDS("nack", "silent", "close"),
     .help = "A frame begins inside another: the first gets an AE, nothing, or the connection is "
             "closed."},
    {AT(lenient_end), .type = SETTING_BOOL, .fallback = "false",
     .help = "A lone FS ends a frame, too (senders that leave the CR out)."},
    {AT(control_id_required), .type = SETTING_BOOL, .fallback = "false",
     .help = "Refuse messages without MSH-10; they cannot be told from their repeats."},
    {AT(commit_blocks), .type = SETTING_BOOL, .fallback = "false",
     .help = "MLLP Release 2: commit bytes (ACK, NAK) before the HL7 answer."},
    {AT(sequence_numbers), .type = SETTING_BOOL, .fallback = "false",
     .help = "HL7's sequence number protocol (MSH-13, MSA-4)."},
    {AT(normalise_segment_ends), .type = SETTING_BOOL, .fallback = "false",
     .help =
         "Segments that end with LF or CR LF go out with CR to stores that take only CR (google); "
         "without it such messages are refused."},
    {AT(application), .type = SETTING_TEXT, .note = "the message's MSH-5",
     .help = "MSH-3 of answers."},
    {AT(facility), .type = SETTING_TEXT, .note = "the message's MSH-6",
     .help = "MSH-4 of answers."},
    {AT(answer_deadline_ms), .type = SETTING_INT64, .fallback = "20000", .minimum = 10,
     .maximum = HOUR_MS,
     .help = "Longest wait for an answer: less than the sender's own patience (often 30 s)."},
    {AT(maximum_connections), .type = SETTING_INT, .fallback = "1024", .minimum = 1,
     .maximum = 1000000, .help = "At once on this listener."},
    {AT(maximum_connections_per_address), .type = SETTING_INT, .fallback = "64", .minimum = 1,
     .maximum = 1000000, .help = "At once from one address; raise it where a NAT hides many."},
    {AT(maximum_frame_bytes), .type = SETTING_INT64, .fallback = "16777216", .minimum = 256,
     .maximum = FRAME_MAXIMUM, .help = "Larger frames are refused (embedded PDFs need some MiB)."},
    {AT(maximum_junk_bytes), .type = SETTING_INT64, .fallback = "1048576", .maximum = GIB,
     .help = "Bytes between two frames before the connection is closed; 0: no limit."},
    {AT(handshake_timeout_ms), .type = SETTING_INT64, .fallback = "10000", .minimum = 10,
     .maximum = HOUR_MS, .help = "PROXY header and TLS handshake together."},
    {AT(frame_timeout_ms), .type = SETTING_INT64, .fallback = "30000", .minimum = 10,
     .maximum = HOUR_MS, .help = "One frame, first byte to last: a slow drip ends here."},
    {AT(idle_timeout_ms), .type = SETTING_INT64, .fallback = "0", .maximum = 7L * 24 * HOUR_MS,
     .help = "Close connections without a message for so long; 0: never, a quiet feed is healthy."},
    {AT(write_timeout_ms), .type = SETTING_INT64, .fallback = "30000", .minimum = 10,
     .maximum = HOUR_MS, .help = "An answer that the sender does not read."},
    {AT(keepalive_idle_s), .type = SETTING_INT, .fallback = "60", .maximum = 32767,
     .help = "TCP keepalive after so much silence (keeps firewalls' state alive); 0: off."},
    {AT(keepalive_interval_s), .type = SETTING_INT, .fallback = "15", .minimum = 1,
     .maximum = 32767, .help = "Between two probes."},
    {AT(keepalive_count), .type = SETTING_INT, .fallback = "4", .minimum = 1, .maximum = 127,
     .help = "Probes without an answer before the connection counts as dead."},
    {AT(tcp_user_timeout_ms), .type = SETTING_INT64, .fallback = "60000", .maximum = HOUR_MS,
     .help = "Sent bytes that nobody confirms: dead after this; 0: the system's (minutes)."},
};
#undef OWNER

#define OWNER config_route
static const struct setting route_settings[] = {
    {AT(name), .type = SETTING_NAME, .required = true, .help = "Its name in logs and metrics."},
    {AT(from), .type = SETTING_TEXT, .required = true, .help = "A listener."},
    {AT(to), .type = SETTING_TEXT, .required = true, .help = "A store."},
    {AT(order), .type = SETTING_WORD, .fallback = "peer",
     .words = WORDS("route", "peer", "facility", "none"),
     .help = "What is kept in order: all of the route, each peer's, each facility's, nothing. "
             "A reload can change it while nothing is queued."},
    {AT(dead_letter), .type = SETTING_WORD, .fallback = "continue",
     .words = WORDS("continue", "stop"),
     .help = "After a refused message its lane goes on (the message waits as a dead letter, an "
             "alarm is raised), or stops until someone replays or discards it."},
    {AT(maximum_attempts), .type = SETTING_INT, .fallback = "0", .maximum = 1000000,
     .help =
         "Answers about one message before it is a dead letter; outages never count. 0: no cap."},
    {AT(retry_minimum_ms), .type = SETTING_INT64, .fallback = "500", .minimum = 1,
     .maximum = HOUR_MS, .help = "First wait; it doubles, with jitter."},
    {AT(retry_maximum_ms), .type = SETTING_INT64, .fallback = "60000", .minimum = 1,
     .maximum = 24L * HOUR_MS, .help = "Longest wait."},
    {AT(operator_retry_ms), .type = SETTING_INT64, .fallback = "60000", .minimum = 1,
     .maximum = 24L * HOUR_MS,
     .help = "Wait while the fault is ours to mend (401, 403, 404, a bad certificate)."},
    {AT(parallel), .type = SETTING_INT, .fallback = "64", .minimum = 1, .maximum = 10000,
     .help = "Most messages in flight, over all lanes; one a lane."},
};
#undef OWNER

#define ONE(member, about, tunneld)                                                                \
    {                                                                                              \
#member, about, false, tunneld, sizeof(struct config_##member),                            \
            offsetof(struct config, member), 0, member##_settings, COUNT(member##_settings)        \
    }
#define MANY(key, kind, array, number, about, tunneld)                                             \
    {                                                                                              \
        key, about, true, tunneld, sizeof(struct config_##kind), offsetof(struct config, array),   \
            offsetof(struct config, number), kind##_settings, COUNT(kind##_settings)               \
    }

const struct section config_sections[] = {
    ONE(gateway, "The process.", false),
    ONE(spool, "Where messages are safe until they are delivered.", false),
    ONE(admin, "What monitoring looks at.", false),
    MANY("tls", tls, tls, tls_count, "Certificates and rules for TLS listeners; a list.", false),
    ONE(tunneld, "The helper that keeps the tunnels, and what its silence means.", true),
    MANY("tunnels", tunnel, tunnels, tunnel_count,
         "IPsec tunnels; a list of at most 1024. For presets see above.", true),
    MANY("peers", peer, peers, peer_count, "Who may send; a list.", false),
    MANY("listeners", listener, listeners, listener_count, "Where MLLP comes in; a list.", false),
    MANY("stores", store, stores, store_count,
         "Where messages go; a list. In brackets: the types that have a setting; others refuse it.",
         false),
    MANY("routes", route, routes, route_count,
         "Which listener's messages go to which store; a list.", false),
};
const size_t config_section_count = COUNT(config_sections);

const struct section config_verdict_section = {
    .name = "verdicts",
    .help = "The groups of a store's `verdicts`.",
    .list = true,
    .size = sizeof(struct config_status_verdict),
    .settings = verdict_settings,
    .count = COUNT(verdict_settings),
};

const struct section *config_section(const char *name)
{
    for (size_t i = 0; i < config_section_count; i++) {
        if (strcmp(config_sections[i].name, name) == 0) {
            return &config_sections[i];
        }
    }
    return NULL;
}

bool config_is_later(const char *section, const char *key)
{
    return !section && strcmp(key, "destinations") == 0;
}

const struct setting *config_setting_row(const struct section *section, const char *name)
{
    for (size_t i = 0; i < section->count; i++) {
        if (strcmp(section->settings[i].name, name) == 0) {
            return &section->settings[i];
        }
    }
    return NULL;
}

size_t config_section_objects(const struct config *config, const struct section *section,
                              const char **ret_first)
{
    const char *base = (const char *)config + section->offset;
    size_t count = 1;
    *ret_first = base;
    if (section->list) {
        memcpy(ret_first, base, sizeof *ret_first);
        memcpy(&count, (const char *)config + section->count_offset, sizeof count);
    }
    return count;
}

const char *config_object_name(const struct section *section, const void *object)
{
    const struct setting *row = config_setting_row(section, "name");
    const char *name = NULL;
    if (row) {
        memcpy(&name, (const char *)object + row->offset, sizeof name);
    }
    return name;
}
