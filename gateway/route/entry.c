/*
 * The last that the router sees of an entry. Its verdict has said "retry, nothing was sent" from
 * its arrival on, until an attempt of this run said otherwise, so every way out tells the truth.
 */
#include "route/router.h"

#include <stdio.h>

void entry_settle(struct route *route, struct spool_entry *entry)
{
    entry->keep = false;
    route->held--;
    if (entry->transient && !entry->wait)
        route->impatient--;
    report_held(route);
    route->router->context.settle(route->router->context.spool, entry);
}

static void entry_explain(struct spool_entry *entry, const char *why)
{
    if (entry->verdict.reason[0] == '\0')
        snprintf(entry->verdict.reason, sizeof(entry->verdict.reason), "%s", why);
}

/* A stored one goes back as it came. A transient one has a sender that waits for an answer, so it
 * carries a verdict: what its last attempt said, else that it was never sent. */
void entry_give_back(struct router *router, struct route *route, struct spool_entry *entry,
                     const char *why)
{
    entry_explain(entry, why);
    entry->released = !entry->transient;
    if (route != NULL) {
        entry_settle(route, entry);
    } else {
        entry->keep = false;
        router->context.settle(router->context.spool, entry);
    }
}

void entry_expire(struct route *route, struct spool_entry *entry)
{
    entry_explain(entry, "the answer deadline passed before it could be sent");
    metric_add(route->slots.expired, 1);
    entry_settle(route, entry);
}
