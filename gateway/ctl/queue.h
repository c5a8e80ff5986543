/*
 * queue: what the files of `mllpctl queue` share.
 */
#ifndef MLLPGW_CTL_QUEUE_H
#define MLLPGW_CTL_QUEUE_H

#include "ctl/client.h"

struct queue_options {
    struct client_options client;
    const char *verb; /* "list" */
    json_t *request;  /* what is sent */
    bool filtered;    /* a filter, or --all, was given */
    bool body;        /* show: what the message holds, too */
};

int ctl_queue_show(struct queue_options *options);

#endif
