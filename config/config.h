/*
 * config: the settings as plain structs.
 *
 * config_load() reads a libconfig file into an immutable snapshot: unknown keys, wrong types, values
 * out of range, references to nothing and contradictions are problems with file and line, all of
 * them in one go. config/table.c has one line per setting: name, type, default, range, reloadable,
 * help; config/README.md's tables are made from it (mllpctl settings).
 * config_load() opens no file that a setting names, with one exception: it counts the certificates of
 * client_ca and ca bundles that it can read. config_check_files() looks at all of them.
 *
 * Paths: a relative path starts at `directory` (given on the command line; default: where the
 * configuration file is). Here they are absolute already.
 * Ownership: everything belongs to the struct config. Threads: read-only once loaded.
 * Times are milliseconds (_ms) or seconds (_s); sizes are bytes.
 */
#ifndef MLLPGW_CONFIG_CONFIG_H
#define MLLPGW_CONFIG_CONFIG_H

#include "config/problems.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Largest file of certificates that is looked into, here and in certs/pem.h. */
#define CONFIG_PEM_BYTES ((size_t)64 * 1024 * 1024)

/* A list of strings that knows whether it was written at all: absent and [] mean different things
 * for peers' addresses and certificates (semantics, Admission). */
struct config_strings {
    char **items;
    size_t count;
    bool present;
};

enum config_log_format { CONFIG_LOG_TEXT, CONFIG_LOG_JSON };
enum config_log_level { CONFIG_LOG_DEBUG, CONFIG_LOG_INFO, CONFIG_LOG_WARNING, CONFIG_LOG_ERROR };

struct config_gateway {
    struct place place;
    char *name;            /* shows in logs and metrics, never in an answer */
    char *state_directory; /* spool, lock, control socket */
    char *control_socket;  /* default: state_directory/control.sock */
    char *control_group;   /* may read status; NULL: own group */
    char *operator_group;  /* may replay, discard, see bodies; NULL: root only */
    char *user, *group;    /* to become after binding; NULL: stay */
    int workers;           /* 0: one for each core */
    enum config_log_format log_format;
    enum config_log_level log_level;
    int64_t maximum_buffered_bytes; /* frames in flight, whole process */
    int64_t drain_deadline_ms;
    int64_t dns_refresh_s, dns_keep_s;
    int64_t decide_again_s;
    bool watch_files; /* certificates that change are read again without a reload */
};

enum config_spool_type { CONFIG_SPOOL_SQLITE, CONFIG_SPOOL_MEMORY };

struct config_spool {
    struct place place;
    enum config_spool_type type;
    char *path;     /* default: state_directory/spool.db */
    char *key_file; /* required for sqlite */
    int64_t maximum_bytes;
    int64_t reserve_bytes;           /* set aside on the disk, for when it is full */
    int64_t retain_s;                /* accepted messages are kept so long */
    int64_t retransmission_window_s; /* records of safe messages */
    int group_rows;                  /* most rows in one commit */
    int group_wait_us;               /* longest wait for a group to fill */
};

struct config_admin {
    struct place place;
    char *address; /* "127.0.0.1:8080"; NULL: no admin HTTP server */
};

enum config_client_certificate {
    CONFIG_CLIENT_CERTIFICATE_REQUIRED,
    CONFIG_CLIENT_CERTIFICATE_OPTIONAL,
    CONFIG_CLIENT_CERTIFICATE_OFF
};
enum config_tls_profile { CONFIG_TLS_BCP195, CONFIG_TLS_TLS13, CONFIG_TLS_NIST_800_52R2 };

struct config_tls {
    struct place place;
    char *name;
    char *certificate, *key; /* PEM; certificate: leaf first, then intermediates */
    char *client_ca;         /* PEM bundle of roots; NULL only when client_certificate is off */
    char *crl;               /* PEM or DER bundle; NULL: none */
    bool crl_required;       /* every CA in a client's chain needs a current CRL */
    enum config_client_certificate client_certificate;
    enum config_tls_profile profile;
};

/* What a lost status means for sessions that ride on a tunnel (semantics, Tunnel status). */
enum config_on_unknown { CONFIG_ON_UNKNOWN_HOLD, CONFIG_ON_UNKNOWN_CLOSE };

struct config_tunneld {
    struct place place;
    char *status_socket; /* tunneld writes, the gateway reads */
    char *vici_socket;   /* charon's; only tunneld opens it */
    char *user;          /* tunneld's, by name or number: the status socket's peer must be it */
    enum config_on_unknown on_unknown;
    int64_t hold_s;
};

enum config_preset {
    CONFIG_PRESET_STRONGSWAN,
    CONFIG_PRESET_AWS,
    CONFIG_PRESET_GOOGLE,
    CONFIG_PRESET_AZURE,
    CONFIG_PRESET_FORTIGATE,
    CONFIG_PRESET_ASA,
    CONFIG_PRESET_PALOALTO
};
enum config_start { CONFIG_START_START, CONFIG_START_TRAP, CONFIG_START_NONE };

/* A site-to-site tunnel, always IKEv2 and ESP in tunnel mode. Its connection and its child are called
 * CONFIG_TUNNEL_PREFIX and its name in charon. The preset has been worked in: what is not set in the
 * file has the preset's value here. */
#define CONFIG_TUNNEL_PREFIX "mllpgw-"
#define CONFIG_TUNNELS_MAXIMUM 1024 /* mllp-tunneld tells the gateway of them in one line */
#define CONFIG_TUNNEL_ANY "%any"
struct config_tunnel {
    struct place place;
    char *name;
    enum config_preset preset;
    char *remote;               /* address or DNS name; CONFIG_TUNNEL_ANY: wherever it calls from */
    char *local;                /* address; NULL: charon chooses */
    char *remote_id, *local_id; /* NULL: the address (certificates: both are set) */
    char *psk_file;             /* either this, or the next three */
    char *certificate, *key, *remote_ca;
    char *crl;         /* of remote_ca and its CAs, PEM or DER; NULL: none */
    bool crl_required; /* every CA in the other side's chain needs a current CRL */
    struct config_strings local_subnets, remote_subnets;
    struct config_strings ike_proposals, esp_proposals; /* proposal.h */
    /* Hard lifetimes; config_rekey_s() of them is when keys are renewed. */
    int64_t ike_lifetime_s, esp_lifetime_s;
    int64_t dpd_delay_s; /* 0: off. IKEv2 has no DPD timeout: charon's retransmissions are it */
    int keying_tries;    /* 0: for ever */
    enum config_start start;
    int mss; /* of TCP through the tunnel; 0: not clamped */
    struct config_strings allow_weak;
    char *pair;      /* the other tunnel to the same networks: one of them being up is enough */
    int64_t grace_s; /* sessions stay so long after it went down */
    bool ready;      /* does its being down make the gateway not ready? */
};

struct config_peer {
    struct place place;
    char *name;
    struct config_strings addresses; /* "10.0.0.0/24", "2001:db8::1", "lab.example" (DNS) */
    struct config_strings certificates; /* "dns:…" "email:…" "uri:…" "cn:…" "sha256:…" "spki:…" */
    char *
        ca; /* PEM: the root that this peer's certificate must chain to; NULL: any of the listener's */
    char *tunnel;                     /* what it must come through; NULL: any way */
    struct config_strings facilities; /* "STM" (MSH-4.1) or "LAB^STM" (MSH-3.1^MSH-4.1) */
    int maximum_connections;
    int messages_per_second;       /* 0: no limit */
    int64_t maximum_message_bytes; /* 0: the listener's */
    int character_set; /* enum charset of hl7/charset.h: what it sends where MSH-18 says nothing */
};

enum config_acknowledge { CONFIG_ACKNOWLEDGE_STORED, CONFIG_ACKNOWLEDGE_DELIVERED };
enum config_acknowledgment { /* same order as enum ack_mode */
                             CONFIG_ACKNOWLEDGMENT_MESSAGE,
                             CONFIG_ACKNOWLEDGMENT_ORIGINAL,
                             CONFIG_ACKNOWLEDGMENT_ENHANCED
};
enum config_application_acknowledgment { CONFIG_APPLICATION_GATEWAY, CONFIG_APPLICATION_STORE };
enum config_on_refusal { CONFIG_ON_REFUSAL_NACK, CONFIG_ON_REFUSAL_CLOSE };
enum config_on_unavailable {
    CONFIG_ON_UNAVAILABLE_WAIT,
    CONFIG_ON_UNAVAILABLE_NACK,
    CONFIG_ON_UNAVAILABLE_CLOSE
};
enum config_abandoned { CONFIG_ABANDONED_NACK, CONFIG_ABANDONED_SILENT, CONFIG_ABANDONED_CLOSE };

struct config_listener {
    struct place place;
    char *name;
    char *address; /* "0.0.0.0:2575", "[::]:2575" */
    char *tls;     /* name of a tls; NULL: plain */
    struct config_strings peers;
    struct config_strings proxy_from; /* CIDRs from which a PROXY header is mandatory */
    enum config_acknowledge acknowledge;
    enum config_acknowledgment acknowledgment;
    enum config_application_acknowledgment application_acknowledgment;
    enum config_on_refusal on_refusal;
    enum config_on_unavailable on_unavailable;
    enum config_abandoned abandoned_frame;
    bool lenient_end, control_id_required;
    bool commit_blocks;           /* MLLP Release 2 */
    bool sequence_numbers;        /* MSH-13 / MSA-4 */
    bool normalise_segment_ends;  /* LF becomes CR on the way to a store that takes only CR */
    char *application, *facility; /* own names in MSH-3/4; NULL: the sender's MSH-5/6 */
    int64_t answer_deadline_ms;
    int maximum_connections, maximum_connections_per_address;
    int64_t maximum_frame_bytes;
    int64_t maximum_junk_bytes; /* per connection between two frames; 0: no limit */
    int64_t handshake_timeout_ms, frame_timeout_ms, idle_timeout_ms, write_timeout_ms;
    int keepalive_idle_s, keepalive_interval_s, keepalive_count; /* keepalive_idle_s 0: off */
    int64_t tcp_user_timeout_ms;
};

enum config_store_type { CONFIG_STORE_DIRECTORY, CONFIG_STORE_HTTP, CONFIG_STORE_GOOGLE };
enum config_batch { CONFIG_BATCH_SPLIT, CONFIG_BATCH_WHOLE };
enum config_verdict {
    CONFIG_VERDICT_ACCEPTED,
    CONFIG_VERDICT_REFUSED,
    CONFIG_VERDICT_RETRY,
    CONFIG_VERDICT_OPERATOR
};

struct config_status_verdict {
    int status; /* HTTP 200..599 */
    enum config_verdict verdict;
};

struct config_store {
    struct place place;
    char *name;
    enum config_store_type type;
    enum config_batch batch; /* default: directory whole, others split */
    /* directory */
    char *path;
    bool group_readable; /* files 0640 instead of 0600 */
    /* http */
    char *url;
    char *content_type;
    char *username, *password_file; /* Basic */
    char *bearer_file;
    char *oauth2_token_url, *oauth2_client_id, *oauth2_client_secret_file, *oauth2_scope,
        *oauth2_audience;
    /* google */
    char *project, *location, *dataset, *store;
    char *endpoint;    /* "https://host[:port]", no path */
    char *api_version; /* "v1" */
    char *credentials; /* NULL: found in Google's order */
    char *token_scope;
    char *quota_project;          /* NULL: none */
    char *user_agent;             /* NULL: mllp-gateway/VERSION */
    struct config_strings labels; /* "key=value" */
    int64_t maximum_request_bytes;
    /* http and google */
    bool allow_plain;              /* http: to another host than this one: on purpose */
    struct config_strings headers; /* "Name: value" */
    char *certificate, *key;       /* mutual TLS */
    char *ca;                      /* PEM bundle; NULL: the system's */
    char *pin;                     /* "sha256//base64" as libcurl writes it */
    char *proxy, *proxy_username, *proxy_password_file;
    int64_t connect_timeout_ms, attempt_timeout_ms;
    int maximum_connections; /* to the store's host */
    int64_t maximum_answer_bytes;
    struct config_status_verdict *verdicts;
    size_t verdict_count;
};

enum config_order {
    CONFIG_ORDER_ROUTE,
    CONFIG_ORDER_PEER,
    CONFIG_ORDER_FACILITY,
    CONFIG_ORDER_NONE
};
enum config_dead_letter { CONFIG_DEAD_LETTER_CONTINUE, CONFIG_DEAD_LETTER_STOP };

struct config_route {
    struct place place;
    char *name;
    char *from; /* a listener */
    char *to;   /* a store */
    enum config_order order;
    enum config_dead_letter dead_letter;
    int maximum_attempts; /* 0: no cap */
    int64_t retry_minimum_ms, retry_maximum_ms;
    int64_t operator_retry_ms; /* slow retry while the fault is the operator's (401, 403, 404 …) */
    int parallel;              /* most in flight over all lanes of the route */
};

struct config {
    char *file;
    char *directory;
    struct config_gateway gateway;
    struct config_spool spool;
    struct config_admin admin;
    struct config_tls *tls;
    size_t tls_count;
    struct config_tunneld tunneld;
    struct config_tunnel *tunnels;
    size_t tunnel_count;
    struct config_peer *peers;
    size_t peer_count;
    struct config_listener *listeners;
    size_t listener_count;
    struct config_store *stores;
    size_t store_count;
    struct config_route *routes;
    size_t route_count;
    void *memory; /* private: everything above lives in it */
};

/* NULL when there is an error among the problems. directory may be NULL. */
struct config *config_load(const char *file, const char *directory, struct problems *problems);
/* The same, but what could be read comes back although it has errors, so that files and certificates
 * can be looked at in the same go: never to run with. Required settings may be NULL in it. */
struct config *config_load_to_look_at(const char *file, const char *directory,
                                      struct problems *problems);
/* The same from memory; name stands for the file's: it is where @include and relative paths start. */
struct config *config_load_text(const char *text, size_t length, const char *name,
                                const char *directory, struct problems *problems);
void config_free(struct config **config);

/* Everything that the settings name: users, groups, files' kinds, owners and modes, directories to
 * write to; all as the user that the gateway will run as. For mllpctl check, and before a start.
 * Tunnels' keys are none of the gateway's business: */
void config_check_files(const struct config *config, struct problems *problems);
/* The same for what mllp-tunneld reads, as its user: keys, certificates, and whether a PSK is one
 * that the other side takes. Nothing of a secret gets into a problem's text. */
void config_check_tunnel_files(const struct config *config, struct problems *problems);

/* By name; NULL when there is none. */
const struct config_tls *config_find_tls(const struct config *config, const char *name);
const struct config_tunnel *config_find_tunnel(const struct config *config, const char *name);
const struct config_peer *config_find_peer(const struct config *config, const char *name);
const struct config_listener *config_find_listener(const struct config *config, const char *name);
const struct config_store *config_find_store(const struct config *config, const char *name);
const struct config_route *config_find_route(const struct config *config, const char *name);

/* The type as the configuration writes it. */
const char *config_store_type_text(enum config_store_type type);
/* What a store takes, whatever the route: the largest message (as it is sent, so after a conversion of
 * its character set; of a batch each message by itself), 0: any; and whether it must be UTF-8. */
int64_t config_store_maximum_message_bytes(const struct config_store *store);
bool config_store_wants_utf8(const struct config_store *store);
/* What the stores that a listener's routes lead to take, all of them. */
struct config_demand {
    bool utf8;
    int64_t maximum_message_bytes; /* 0: any */
};
struct config_demand config_listener_demand(const struct config *config,
                                            const struct config_listener *listener);
/* The JSON around a message's base64 in a request to a store of type google: in front of it, and
 * behind it. Texts; the second one is the caller's to free(). NULL when memory is out. */
#define CONFIG_GOOGLE_ANSWER_BYTES INT64_C(67108864) /* default of maximum_answer_bytes there */
#define CONFIG_GOOGLE_BODY_START "{\"message\":{\"data\":\""
char *config_google_body_end(const struct config_store *store);
/* "ENDPOINT/VERSION/projects/…/hl7V2Stores/STORE"; the caller's to free(). NULL when memory is out. */
char *config_google_store_url(const struct config_store *store);

/* The identity that the other side must prove: remote_id, or else its address. By it charon finds the key. */
const char *config_tunnel_remote_id(const struct config_tunnel *tunnel);
/* The other tunnel of a pair, whichever of the two names the other one; NULL: it stands alone. */
const struct config_tunnel *config_tunnel_pair(const struct config *config,
                                               const struct config_tunnel *tunnel);
/* When keys with this lifetime are renewed (charon's rekey_time; the rest is its over_time). */
static inline int64_t config_rekey_s(int64_t lifetime_s)
{
    return lifetime_s - lifetime_s / 10;
}
/* tunneld.user's uid and group: 0, or -ENOENT when this machine has no such user. */
__attribute__((warn_unused_result)) int config_tunneld_user(const struct config *config,
                                                            uid_t *ret_user, gid_t *ret_group);

/* Settings that differ and cannot be changed while running, as errors in problems (place = the
 * new file's); returns how many. Every reloadable difference is counted in *ret_changed. */
size_t config_diff(const struct config *running, const struct config *wanted,
                   struct problems *problems, size_t *ret_changed);

/* For mllpctl settings and config/README.md: one line a setting, section by section. */
void config_print_settings(FILE *out);

#endif
