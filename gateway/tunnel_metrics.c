#include "tunnel_metrics.h"

static const struct metric_family up_family = {
    .name = "mllpgw_tunnel_up",
    .help = "1 while the tunnel has an installed CHILD SA; 0 also while nothing is known of it.",
    .kind = METRIC_GAUGE,
    .labels = {"tunnel"},
};
static const struct metric_family unknown_family = {
    .name = "mllpgw_tunnel_unknown",
    .help = "1 while nothing is heard of the tunnel: mllp-tunneld or charon is gone.",
    .kind = METRIC_GAUGE,
    .labels = {"tunnel"},
};
static const struct metric_family seconds_family = {
    .name = "mllpgw_tunnel_state_seconds",
    .help = "How long the tunnel has been up, down or unknown.",
    .kind = METRIC_GAUGE,
    .labels = {"tunnel"},
};
static const struct metric_family bytes_family = {
    .name = "mllpgw_tunnel_bytes_total",
    .help = "Bytes through the tunnel, over all its CHILD SAs since mllp-tunneld started.",
    .kind = METRIC_COUNTER,
    .labels = {"tunnel", "direction"},
};
static const struct metric_family packets_family = {
    .name = "mllpgw_tunnel_packets_total",
    .help = "Packets through the tunnel, likewise.",
    .kind = METRIC_COUNTER,
    .labels = {"tunnel", "direction"},
};
static const struct metric_family rekeys_family = {
    .name = "mllpgw_tunnel_rekeys_total",
    .help = "Rekeys of the tunnel's SAs.",
    .kind = METRIC_COUNTER,
    .labels = {"tunnel"},
};
static const struct metric_family flaps_family = {
    .name = "mllpgw_tunnel_flaps_total",
    .help = "How often the tunnel went down after it had been up.",
    .kind = METRIC_COUNTER,
    .labels = {"tunnel"},
};
static const struct metric_family warnings_family = {
    .name = "mllpgw_tunnel_warnings",
    .help = "How many things are not as they should be with the tunnel: mllpctl tunnels says what.",
    .kind = METRIC_GAUGE,
    .labels = {"tunnel"},
};

static const struct metric_family expiry_family = {
    .name = "mllpgw_tunnel_certificate_expires_timestamp_seconds",
    .help =
        "When the first certificate of the tunnel's own chain, of its remote_ca, or of its CRLs "
        "runs out, seconds since 1970.",
    .kind = METRIC_GAUGE,
    .labels = {"tunnel", "of"},
};

static void set(struct metrics *metrics, const struct metric_family *family, const char *tunnel,
                const char *direction, uint64_t value)
{
    const char *values[] = {tunnel, direction};

    metric_set(metrics_slot(metrics, family, values),
               value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

/* Nothing for a tunnel by key: it would look as if it had run out in 1970. Nor what was, until it had a key. */
static void publish_ends(struct metrics *metrics, const struct status_tunnel *told)
{
    static const char *const of[] = {
        [TUNNEL_END_CERTIFICATE] = "certificate",
        [TUNNEL_END_REMOTE_CA] = "remote_ca",
        [TUNNEL_END_CRL] = "crl",
    };

    for (size_t i = 0; i < TUNNEL_ENDS; i++) {
        const char *values[] = {told->name, of[i]};
        if (told->ends_s[i] >= 0) {
            set(metrics, &expiry_family, told->name, of[i], (uint64_t)told->ends_s[i]);
        } else {
            metrics_remove_slot(metrics, &expiry_family, values);
        }
    }
}

static void publish_tunnel(struct metrics *metrics, const struct tunnel_view *view, int64_t now_ms,
                           const struct tunnel_seen *tunnel)
{
    const struct status_tunnel *told = tunnel_view_told(view, tunnel);
    const char *name = tunnel->name;
    int64_t ms = now_ms - tunnel->since_ms;

    set(metrics, &up_family, name, NULL, tunnel->state == TUNNEL_UP);
    set(metrics, &unknown_family, name, NULL, tunnel->state == TUNNEL_UNKNOWN);
    set(metrics, &seconds_family, name, NULL, ms < 0 ? 0 : (uint64_t)ms / 1000);
    set(metrics, &warnings_family, name, NULL, told == NULL ? 0 : told->warning_count);
    if (told != NULL) {
        set(metrics, &bytes_family, name, "in", told->bytes_in);
        set(metrics, &bytes_family, name, "out", told->bytes_out);
        set(metrics, &packets_family, name, "in", told->packets_in);
        set(metrics, &packets_family, name, "out", told->packets_out);
        set(metrics, &rekeys_family, name, NULL, told->rekeys);
        set(metrics, &flaps_family, name, NULL, told->flaps);
        publish_ends(metrics, told);
    }
}

void tunnel_metrics_publish(struct metrics *metrics, const struct tunnel_view *view, int64_t now_ms)
{
    for (size_t i = 0; i < tunnel_view_count(view); i++) {
        publish_tunnel(metrics, view, now_ms, tunnel_view_at(view, i));
    }
}

void tunnel_metrics_remove(struct metrics *metrics, const struct tunnel_view *view,
                           const struct config *config)
{
    for (size_t i = 0; i < tunnel_view_count(view); i++) {
        const char *name = tunnel_view_at(view, i)->name;
        if (config_find_tunnel(config, name) == NULL) {
            metrics_remove(metrics, "tunnel", name);
        }
    }
}
