#include "ingress/statistics.h"

#include <stdlib.h>
#include <string.h>

static const struct metric_family connections_family = {
    .name = "mllpgw_connections",
    .help = "Open connections.",
    .kind = METRIC_GAUGE,
    .labels = {"listener", "peer"},
};
static const struct metric_family refused_connections_family = {
    .name = "mllpgw_connections_refused_total",
    .help = "Connections that were not let in.",
    .kind = METRIC_COUNTER,
    .labels = {"listener", "reason"},
};
static const struct metric_family closed_family = {
    .name = "mllpgw_connections_closed_total",
    .help = "Connections that ended, by reason.",
    .kind = METRIC_COUNTER,
    .labels = {"listener", "peer", "reason"},
};
static const struct metric_family messages_family = {
    .name = "mllpgw_messages_received_total",
    .help = "Messages whose frame was complete.",
    .kind = METRIC_COUNTER,
    .labels = {"listener", "peer"},
};
static const struct metric_family bytes_family = {
    .name = "mllpgw_message_bytes_received_total",
    .help = "Bytes of those messages, without framing.",
    .kind = METRIC_COUNTER,
    .labels = {"listener", "peer"},
};
static const struct metric_family repeated_family = {
    .name = "mllpgw_messages_repeated_total",
    .help = "Retransmissions of messages that were safe or under way: answered, not stored again.",
    .kind = METRIC_COUNTER,
    .labels = {"listener", "peer"},
};
static const struct metric_family refused_messages_family = {
    .name = "mllpgw_messages_refused_total",
    .help = "Messages that were answered negatively or not at all, by reason.",
    .kind = METRIC_COUNTER,
    .labels = {"listener", "peer", "reason"},
};
static const struct metric_family acknowledgments_family = {
    .name = "mllpgw_acknowledgments_total",
    .help = "Acknowledgments sent, by MSA-1.",
    .kind = METRIC_COUNTER,
    .labels = {"listener", "peer", "code"},
};
static const struct metric_family acknowledge_family = {
    .name = "mllpgw_acknowledge_seconds",
    .help = "From the end of a frame to its answer.",
    .kind = METRIC_HISTOGRAM,
    .labels = {"listener", "peer"},
    .bounds = metrics_latency_bounds,
    .bound_count = sizeof(metrics_latency_bounds) / sizeof(metrics_latency_bounds[0]),
};
static const struct metric_family abandoned_family = {
    .name = "mllpgw_frames_abandoned_total",
    .help = "Frames that were not finished before the next one began.",
    .kind = METRIC_COUNTER,
    .labels = {"listener", "peer"},
};
static const struct metric_family unsent_family = {
    .name = "mllpgw_application_acknowledgments_unsent_total",
    .help = "Application acknowledgments made later whose connection had gone.",
    .kind = METRIC_COUNTER,
    .labels = {"listener", "peer"},
};
static const struct metric_family junk_family = {
    .name = "mllpgw_junk_bytes_total",
    .help = "Bytes outside frames, without CR, LF and NUL.",
    .kind = METRIC_COUNTER,
    .labels = {"listener", "peer"},
};

void statistics_init(struct statistics *statistics, struct metrics *metrics)
{
    statistics->metrics = metrics;
    list_init(&statistics->peers);
}

static void free_peer(struct peer_statistics *peer)
{
    free(peer->listener);
    free(peer->peer);
    free(peer);
}

void statistics_free(struct statistics *statistics)
{
    LIST_FOREACH_SAFE(node, next, &statistics->peers) {
        free_peer(LIST_ENTRY(node, struct peer_statistics, node));
    }
    list_init(&statistics->peers);
}

static void fill_in(struct metrics *metrics, struct peer_statistics *peer)
{
    const char *labels[] = {peer->listener, peer->peer, NULL};

    peer->connections = metrics_slot(metrics, &connections_family, labels);
    peer->messages = metrics_slot(metrics, &messages_family, labels);
    peer->bytes = metrics_slot(metrics, &bytes_family, labels);
    peer->repeated = metrics_slot(metrics, &repeated_family, labels);
    peer->acknowledge_seconds = metrics_slot(metrics, &acknowledge_family, labels);
    peer->abandoned_frames = metrics_slot(metrics, &abandoned_family, labels);
    peer->junk_bytes = metrics_slot(metrics, &junk_family, labels);
    for (int code = 0; code < ACK_CODE_UNKNOWN; code++) {
        labels[2] = ack_code_text((enum ack_code)code);
        peer->acknowledgments[code] = metrics_slot(metrics, &acknowledgments_family, labels);
    }
}

static struct peer_statistics *new_peer(struct statistics *statistics, const char *listener,
                                        const char *name)
{
    struct peer_statistics *peer = calloc(1, sizeof(*peer));

    if (peer == NULL) {
        return NULL;
    }
    peer->listener = strdup(listener);
    peer->peer = strdup(name);
    if (peer->listener == NULL || peer->peer == NULL) {
        free_peer(peer);
        return NULL;
    }
    fill_in(statistics->metrics, peer);
    list_append(&statistics->peers, &peer->node);
    return peer;
}

struct peer_statistics *statistics_find(struct statistics *statistics, const char *listener,
                                        const char *peer)
{
    LIST_FOREACH_SAFE(node, next, &statistics->peers) {
        struct peer_statistics *each = LIST_ENTRY(node, struct peer_statistics, node);
        if (strcmp(each->listener, listener) == 0 && strcmp(each->peer, peer) == 0) {
            return each;
        }
    }
    return new_peer(statistics, listener, peer);
}

void statistics_connection_refused(struct statistics *statistics, const char *listener,
                                   enum reason reason)
{
    const char *labels[] = {listener, reason_code(reason)};

    metric_add(metrics_slot(statistics->metrics, &refused_connections_family, labels), 1);
}

void statistics_connection_closed(struct statistics *statistics, struct peer_statistics *peer,
                                  enum reason reason)
{
    if (peer == NULL) {
        return;
    }
    if (peer->closed[reason] == NULL) {
        const char *labels[] = {peer->listener, peer->peer, reason_code(reason)};
        peer->closed[reason] = metrics_slot(statistics->metrics, &closed_family, labels);
    }
    metric_add(peer->closed[reason], 1);
}

void statistics_message_refused(struct statistics *statistics, struct peer_statistics *peer,
                                enum reason reason)
{
    if (peer == NULL) {
        return;
    }
    if (peer->refused[reason] == NULL) {
        const char *labels[] = {peer->listener, peer->peer, reason_code(reason)};
        peer->refused[reason] = metrics_slot(statistics->metrics, &refused_messages_family, labels);
    }
    metric_add(peer->refused[reason], 1);
}

void statistics_application_unsent(struct statistics *statistics, const char *listener,
                                   const char *peer)
{
    const char *labels[] = {listener, peer};

    metric_add(metrics_slot(statistics->metrics, &unsent_family, labels), 1);
}

void statistics_acknowledged(struct peer_statistics *peer, enum ack_code code)
{
    if (peer != NULL && code < ACK_CODE_UNKNOWN) {
        metric_add(peer->acknowledgments[code], 1);
    }
}
