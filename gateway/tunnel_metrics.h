/*
 * tunnel_metrics: the tunnels' metrics, from what is believed of them. vpn/README.md has their list.
 * Threads: the admin thread; nobody keeps a slot of theirs.
 */
#ifndef MLLPGW_TUNNEL_METRICS_H
#define MLLPGW_TUNNEL_METRICS_H

#include "admission/tunnel_view.h"
#include "base/metrics.h"

void tunnel_metrics_publish(struct metrics *metrics, const struct tunnel_view *view,
                            int64_t now_ms);
/* Those of the view's tunnels that this configuration has not. */
void tunnel_metrics_remove(struct metrics *metrics, const struct tunnel_view *view,
                           const struct config *config);

#endif
